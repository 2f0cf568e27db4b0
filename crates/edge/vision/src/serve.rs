//! Takes jobs from one pipe and answers on another, one at a time, until the pipe ends.

use std::io::{self, Read, Write};

use varde_vision_link::{Decoder, Message, encode};

use crate::job::{self, Work};

/// Serves until the input ends. An error means that the other side is gone or talks nonsense.
pub fn serve(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    const READ_BYTES: usize = 64 << 10;
    ffmpeg_the_third::log::set_level(ffmpeg_the_third::log::Level::Quiet);
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut server = Server::default();
    loop {
        while let Some(message) = decoder.poll().map_err(io::Error::other)? {
            for answer in server.take(message) {
                for piece in encode(&answer) {
                    output.write_all(&piece)?;
                }
            }
        }
        output.flush()?;
        match input.read(&mut buffer)? {
            0 => return Ok(()),
            count => decoder.push(&buffer[..count]),
        }
    }
}

/// The job under way, if it has not failed.
#[derive(Default)]
struct Server {
    work: Option<Box<dyn Work>>,
}

impl Server {
    fn take(&mut self, message: Message) -> Vec<Message> {
        let mut out = Vec::new();
        let ends = matches!(message, Message::End);
        let result = match (message, &mut self.work) {
            (Message::Job(job), work) => {
                *work = Some(job::begin(job));
                Ok(())
            }
            (Message::Format(format), Some(work)) => work.format(format, &mut out),
            (Message::Unit(unit), Some(work)) => work.unit(&unit, &mut out),
            (Message::End, Some(work)) => work.end(&mut out),
            // What belongs to a job that has failed.
            _ => Ok(()),
        };
        if let Err(failure) = result {
            self.work = None;
            out.push(Message::Failed(failure));
        }
        if ends {
            self.work = None;
            out.push(Message::End);
        }
        out
    }
}
