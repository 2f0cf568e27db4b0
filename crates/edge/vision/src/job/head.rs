//! The beginning of an export: the rest of a group from an instant on, encoded anew, so that nothing before it is in
//! the file.

use varde_codec::{AccessUnit, Codec, Format};
use varde_units::Mono;
use varde_vision_link::{Failure, Message};

use crate::decode::{Picture, VideoDecoder};
use crate::encode::{EncoderOptions, VideoEncoder};
use crate::failure::{nothing, unsupported};
use crate::job::Work;

pub(crate) struct Head {
    from: Mono,
    coding: Option<Coding>,
    given: usize,
}

enum Coding {
    Anew {
        decoder: VideoDecoder,
        encoder: Box<VideoEncoder>,
    },
    /// Every image stands alone.
    Images,
}

impl Head {
    pub(crate) fn new(from: Mono) -> Self {
        Self { from, coding: None, given: 0 }
    }

    fn encode(&mut self, pictures: Vec<Picture>, out: &mut Vec<Message>) -> Result<(), Failure> {
        let Some(Coding::Anew { encoder, .. }) = &mut self.coding else { return Ok(()) };
        for picture in pictures.into_iter().filter(|picture| picture.time >= self.from) {
            encoder.push(&picture, self.given == 0, out)?;
            self.given += 1;
        }
        Ok(())
    }
}

impl Work for Head {
    fn format(&mut self, format: Format, out: &mut Vec<Message>) -> Result<(), Failure> {
        let codec = format.codec();
        self.coding = Some(match codec {
            Codec::Mjpeg => {
                out.push(Message::Format(format));
                Coding::Images
            }
            Codec::H264 | Codec::H265 => Coding::Anew {
                decoder: VideoDecoder::open(&format, false)?,
                encoder: Box::new(VideoEncoder::new(EncoderOptions {
                    codec,
                    is_live: false,
                    bitrate_bps_max: None,
                    height_max: 8192,
                    rate_milli: 25_000,
                    key_interval_max: 250,
                })),
            },
            _ => return Err(unsupported(&format!("an exact head of {}", codec.name()))),
        });
        Ok(())
    }

    fn unit(&mut self, unit: &AccessUnit, out: &mut Vec<Message>) -> Result<(), Failure> {
        let pictures = match &mut self.coding {
            Some(Coding::Anew { decoder, .. }) => decoder.push(unit)?,
            Some(Coding::Images) => {
                if unit.time >= self.from {
                    self.given += 1;
                    out.push(Message::Unit(unit.clone()));
                }
                return Ok(());
            }
            None => return Ok(()),
        };
        self.encode(pictures, out)
    }

    fn end(&mut self, out: &mut Vec<Message>) -> Result<(), Failure> {
        if let Some(Coding::Anew { decoder, .. }) = &mut self.coding {
            let rest = decoder.finish()?;
            self.encode(rest, out)?;
        }
        if let Some(Coding::Anew { encoder, .. }) = &mut self.coding {
            encoder.finish(out)?;
        }
        if self.given == 0 { Err(nothing("no picture")) } else { Ok(()) }
    }
}
