//! One picture of a group, as JPEG.

use varde_codec::{AccessUnit, Format};
use varde_units::Mono;
use varde_vision_link::{Failure, Message};

use crate::decode::{Picture, VideoDecoder};
use crate::failure::nothing;
use crate::job::Work;
use crate::jpeg;

pub(crate) struct Still {
    at: Mono,
    width: Option<u32>,
    decoder: Option<VideoDecoder>,
    best: Option<Picture>,
}

impl Still {
    pub(crate) fn new(at: Mono, width: Option<u32>) -> Self {
        Self { at, width, decoder: None, best: None }
    }

    /// Keeps the latest picture that is not after the instant; where all are, the first.
    fn consider(&mut self, pictures: Vec<Picture>) {
        for picture in pictures {
            if self.best.is_none() || picture.time <= self.at {
                self.best = Some(picture);
            }
        }
    }
}

impl Work for Still {
    fn format(&mut self, format: Format, _: &mut Vec<Message>) -> Result<(), Failure> {
        if let Some(mut decoder) = self.decoder.take() {
            let rest = decoder.finish()?;
            self.consider(rest);
        }
        self.decoder = Some(VideoDecoder::open(&format, false)?);
        Ok(())
    }

    fn unit(&mut self, unit: &AccessUnit, _: &mut Vec<Message>) -> Result<(), Failure> {
        if let Some(decoder) = &mut self.decoder {
            let pictures = decoder.push(unit)?;
            self.consider(pictures);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Message>) -> Result<(), Failure> {
        if let Some(mut decoder) = self.decoder.take() {
            let rest = decoder.finish()?;
            self.consider(rest);
        }
        let best = self.best.take().ok_or_else(|| nothing("no picture"))?;
        out.push(Message::Image(jpeg::encode(&best.frame, self.width)?));
        Ok(())
    }
}
