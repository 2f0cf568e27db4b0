//! The bundled loops, and those made out of them: cut, counted and padded once, then shared by all cameras.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use varde_codec::Format;

use crate::audio::{AudioClip, from_adts, from_ogg, from_samples};
use crate::clip::{Clip, from_h264, from_h265, from_jpeg};
use crate::options::Audio;
use crate::source;

macro_rules! footage {
    ($name:literal) => {
        include_bytes!(concat!("../footage/", $name))
    };
}

/// Name, main stream, sub stream.
const SCENES: [(&str, &[u8], &[u8]); 8] = [
    ("street", footage!("street-720.h264"), footage!("street-360.h264")),
    ("cyclist", footage!("cyclist-720.h264"), footage!("cyclist-360.h264")),
    ("bicycle", footage!("bicycle-720.h264"), footage!("bicycle-360.h264")),
    ("taxi", footage!("taxi-720.h264"), footage!("taxi-360.h264")),
    ("corner", footage!("corner-720.h264"), footage!("corner-360.h264")),
    ("van", footage!("van-720.h264"), footage!("van-360.h264")),
    ("night", footage!("night-720.h264"), footage!("night-360.h264")),
    ("roof", footage!("roof-720.h264"), footage!("roof-360.h264")),
];

/// Which loop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Picture {
    /// A scene, `true` for 1280×720, otherwise 640×360.
    Scene(usize, bool),
    BFrames,
    LongGop,
    Bench,
    H265,
    Mjpeg,
    File(PathBuf),
}

impl Picture {
    pub(crate) fn scene(index: usize, large: bool) -> Self {
        Self::Scene(index % SCENES.len(), large)
    }

    /// The name that people see.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Scene(index, _) => SCENES[index % SCENES.len()].0.to_owned(),
            Self::BFrames => "b-frames".to_owned(),
            Self::LongGop => "long-gop".to_owned(),
            Self::Bench => "bench".to_owned(),
            Self::H265 => "h265".to_owned(),
            Self::Mjpeg => "mjpeg".to_owned(),
            Self::File(path) => {
                path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
            }
        }
    }
}

/// How a loop is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    pub(crate) picture: Picture,
    pub(crate) counter: bool,
    /// Pad to this many bits a second at this many thousandths of a picture a second.
    pub(crate) bitrate: Option<(u64, u32)>,
}

/// All loops that were asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Footage {
    clips: Mutex<HashMap<Wanted, Arc<Clip>>>,
}

impl Footage {
    pub(crate) fn clip(&self, wanted: &Wanted) -> Result<Arc<Clip>, crate::Error> {
        if let Some(clip) = self.clips.lock().get(wanted) {
            return Ok(clip.clone());
        }
        let mut clip = make(&wanted.picture, wanted.counter)?;
        if let Some((bitrate, rate_milli)) = wanted.bitrate {
            clip = clip.padded(bitrate, rate_milli);
        }
        let clip = Arc::new(clip);
        self.clips.lock().insert(wanted.clone(), clip.clone());
        Ok(clip)
    }
}

fn make(picture: &Picture, counter: bool) -> Result<Clip, crate::Error> {
    let bytes = Bytes::from_static;
    let clip = match picture {
        Picture::Scene(index, large) => {
            let (_, main, sub) = SCENES[index % SCENES.len()];
            let (stream, height) = if *large { (main, 720) } else { (sub, 360) };
            from_h264(&bytes(stream), height, 15_000, counter)
        }
        Picture::BFrames => from_h264(&bytes(footage!("b-frames-360.h264")), 360, 15_000, counter),
        Picture::LongGop => from_h264(&bytes(footage!("long-gop-360.h264")), 360, 15_000, counter),
        Picture::Bench => from_h264(&bytes(footage!("bench-1080.h264")), 1080, 25_000, counter),
        Picture::H265 => from_h265(&bytes(footage!("street-360.h265")), 640, 360, 15_000),
        Picture::Mjpeg => from_jpeg(&bytes(footage!("cyclist-360.mjpeg")), 15_000, counter),
        Picture::File(path) => return source::read(path),
    };
    Ok(clip.expect("the bundled footage is what its readers expect; a test reads every loop"))
}

/// The sound loop in a codec; `None` for silence.
pub(crate) fn sound(audio: Audio) -> Option<AudioClip> {
    let bytes = Bytes::from_static;
    let clip = match audio {
        Audio::None => return None,
        Audio::Aac => from_adts(&bytes(footage!("sound.aac"))),
        Audio::Opus => from_ogg(&bytes(footage!("sound.opus"))),
        Audio::Alaw => Some(from_samples(
            &bytes(footage!("sound.alaw")),
            Format::Alaw { sample_rate: 8000, channels: 1 },
        )),
        Audio::Ulaw => Some(from_samples(
            &bytes(footage!("sound.ulaw")),
            Format::Ulaw { sample_rate: 8000, channels: 1 },
        )),
    };
    Some(clip.expect("the bundled sound is what its readers expect; a test reads every loop"))
}

#[cfg(test)]
mod tests;
