//! A stream of sound as Opus.

use varde_codec::{AccessUnit, Format};
use varde_vision_link::{Failure, Message};

use crate::job::Work;
use crate::sound::SoundEncoder;

#[derive(Default)]
pub(crate) struct Audio {
    encoder: Option<SoundEncoder>,
}

impl Work for Audio {
    fn format(&mut self, format: Format, out: &mut Vec<Message>) -> Result<(), Failure> {
        self.encoder = Some(SoundEncoder::open(&format, out)?);
        Ok(())
    }

    fn unit(&mut self, unit: &AccessUnit, out: &mut Vec<Message>) -> Result<(), Failure> {
        self.encoder.as_mut().map_or(Ok(()), |encoder| encoder.push(unit, out))
    }

    fn end(&mut self, _: &mut Vec<Message>) -> Result<(), Failure> {
        // Less than 20 ms that wait are no packet.
        self.encoder = None;
        Ok(())
    }
}
