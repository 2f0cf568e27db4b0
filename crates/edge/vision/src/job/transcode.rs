//! A stream of pictures as H.264 that any browser takes.

use std::collections::BTreeSet;

use varde_codec::{AccessUnit, Codec, Format};
use varde_units::Mono;
use varde_vision_link::{Failure, Message, TranscodeOptions};

use crate::decode::{Picture, VideoDecoder};
use crate::encode::{EncoderOptions, VideoEncoder};
use crate::job::Work;

/// Most entry points that wait for their picture to come out of the decoder.
const ENTRY_POINTS_MAX: usize = 64;

pub(crate) struct Transcode {
    decoder: Option<VideoDecoder>,
    encoder: VideoEncoder,
    /// Times of entry points that were sent to the decoder: their pictures become entry points again.
    entry_points: BTreeSet<Mono>,
}

impl Transcode {
    pub(crate) fn new(options: TranscodeOptions) -> Self {
        let encoder = VideoEncoder::new(EncoderOptions {
            codec: Codec::H264,
            is_live: true,
            bitrate_bps_max: Some(options.bitrate_bps_max.max(50_000)),
            height_max: options.height_max.max(16),
            rate_milli: options.rate_milli,
            key_interval_max: options.key_interval_max,
        });
        Self { decoder: None, encoder, entry_points: BTreeSet::new() }
    }

    fn encode(&mut self, pictures: &[Picture], out: &mut Vec<Message>) -> Result<(), Failure> {
        for picture in pictures {
            let key = self.entry_points.contains(&picture.time);
            // Those of earlier pictures that never came are forgotten with it.
            self.entry_points = self.entry_points.split_off(&picture.time.offset_nanos(1));
            self.encoder.push(picture, key, out)?;
        }
        Ok(())
    }

    fn drain(&mut self, out: &mut Vec<Message>) -> Result<(), Failure> {
        if let Some(mut decoder) = self.decoder.take() {
            let rest = decoder.finish()?;
            self.encode(&rest, out)?;
        }
        Ok(())
    }
}

impl Work for Transcode {
    fn format(&mut self, format: Format, out: &mut Vec<Message>) -> Result<(), Failure> {
        self.drain(out)?;
        self.decoder = Some(VideoDecoder::open(&format, true)?);
        Ok(())
    }

    fn unit(&mut self, unit: &AccessUnit, out: &mut Vec<Message>) -> Result<(), Failure> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        if unit.flags.entry_point && self.entry_points.len() < ENTRY_POINTS_MAX {
            self.entry_points.insert(unit.time);
        }
        let pictures = decoder.push(unit)?;
        self.encode(&pictures, out)
    }

    fn end(&mut self, out: &mut Vec<Message>) -> Result<(), Failure> {
        self.drain(out)?;
        self.encoder.finish(out)
    }
}
