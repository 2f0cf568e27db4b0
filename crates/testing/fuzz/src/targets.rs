//! The targets: every parser that reads bytes from outside, and what must hold of what it gives.

mod media;
mod protocol;
mod store;

/// A parser under test.
#[derive(Debug)]
pub struct Target {
    pub name: &'static str,
    /// Words of the format that random bytes would hardly hit.
    pub words: &'static [&'static [u8]],
    /// Inputs that real writers make.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Panics where something that must hold does not.
    pub run: fn(&[u8]),
}

/// All targets, by name.
pub static TARGETS: [Target; 16] = [
    media::AUDIO,
    media::AV1,
    store::CATALOGUE,
    store::CONFIG,
    store::IDS,
    media::JPEG,
    store::LEDGER,
    store::LINK,
    media::MP4,
    media::NAL,
    protocol::RTCP,
    protocol::RTP,
    protocol::RTSP,
    protocol::RTSP_CLIENT,
    protocol::SDP,
    store::TIMES,
];
