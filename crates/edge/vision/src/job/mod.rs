//! The jobs, each a small machine that takes formats and units and gives messages.

mod audio;
mod head;
mod still;
mod transcode;

use varde_codec::{AccessUnit, Format};
use varde_vision_link::{Failure, Job, Message};

/// A job under way.
pub(crate) trait Work {
    fn format(&mut self, format: Format, out: &mut Vec<Message>) -> Result<(), Failure>;
    fn unit(&mut self, unit: &AccessUnit, out: &mut Vec<Message>) -> Result<(), Failure>;
    fn end(&mut self, out: &mut Vec<Message>) -> Result<(), Failure>;
}

pub(crate) fn begin(job: Job) -> Box<dyn Work> {
    match job {
        Job::Still { at, width } => Box::new(still::Still::new(at, width)),
        Job::Transcode(options) => Box::new(transcode::Transcode::new(options)),
        Job::Audio => Box::new(audio::Audio::default()),
        Job::Head { from } => Box::new(head::Head::new(from)),
    }
}
