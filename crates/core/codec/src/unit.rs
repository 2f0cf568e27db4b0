//! One access unit: a picture, an audio frame or a metadata document, as it travels through the server.

use bytes::Bytes;
use varde_units::{Mono, Utc};

/// What a reader must know of a unit without looking into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitFlags {
    /// Decoding can begin here: an IDR, CRA or BLA picture, any JPEG, any audio frame or document.
    pub entry_point: bool,
    /// A leading picture that can't be decoded when playback began at the entry point before it (H.265 RASL).
    pub skipped_after_seek: bool,
    /// No other unit refers to this one; it may be dropped alone.
    pub disposable: bool,
    /// Units or packets before this one were lost; pictures up to the next entry point may be broken.
    pub after_loss: bool,
}

/// One access unit of one stream.
///
/// Layout of `data` by codec:
/// - H.264, H.265: NAL units, each behind its length as four big-endian bytes, without parameter sets, access
///   unit delimiters and filler (parameter sets stand in the [`crate::Format`]).
/// - AV1: low-overhead OBUs without temporal delimiters.
/// - MJPEG: one complete JFIF image.
/// - AAC: one raw frame without ADTS header. Opus: one packet. G.711: the samples, one byte each.
/// - Metadata: one XML document.
///
/// `data` is shared: cloning a unit copies no media.
#[derive(Clone, Debug)]
pub struct AccessUnit {
    /// Counts the units of this stream since its session began; a jump means that units were lost.
    pub sequence: u64,
    /// When the picture or sound is to be presented, on the server's monotonic clock: the camera's media clock,
    /// slewed slowly towards arrival. Within 100 ms of the truth; smooth enough to be a sample time.
    pub time: Mono,
    /// When it must be decoded: never after `time`, and strictly rising within a session.
    pub decode_time: Mono,
    /// When its last byte arrived.
    pub received: Mono,
    /// The camera's own idea of the time (RTCP sender report, ONVIF), where it tells one.
    pub camera_time: Option<Utc>,
    pub flags: UnitFlags,
    pub data: Bytes,
}

impl AccessUnit {
    /// The NAL units of an H.264 or H.265 unit, without their lengths. Ends at the first length that does not fit.
    pub fn nal_units(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let length = self.data.get(at..at + 4)?;
            let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
            let end = (at + 4).checked_add(length)?;
            if end > self.data.len() {
                return None;
            }
            let nal = self.data.slice(at + 4..end);
            at = end;
            Some(nal)
        })
    }
}
