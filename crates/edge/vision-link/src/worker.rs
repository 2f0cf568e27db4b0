//! One worker process: its pipes, and its end.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::error::VisionError;
use crate::protocol::{Decoder, Message, encode};

/// A running worker; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    pub(crate) input: WorkerInput,
    pub(crate) output: WorkerOutput,
}

#[derive(Debug)]
pub(crate) struct WorkerInput(ChildStdin);

#[derive(Debug)]
pub(crate) struct WorkerOutput {
    pipe: ChildStdout,
    decoder: Decoder,
}

impl Worker {
    /// Starts `program` with an empty environment.
    pub(crate) fn start(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| io::Error::other("the worker has no pipes"))?;
        let output = WorkerOutput { pipe: output, decoder: Decoder::default() };
        Ok(Self { child, input: WorkerInput(input), output })
    }

    /// Whether the process still runs and has said nothing that nobody asked for.
    pub(crate) fn is_fit(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl WorkerInput {
    pub(crate) async fn send(&mut self, message: &Message) -> Result<(), VisionError> {
        for piece in encode(message) {
            self.0.write_all(&piece).await.map_err(|_| VisionError::Crashed)?;
        }
        Ok(())
    }
}

impl WorkerOutput {
    /// The next message. May be dropped while it waits: nothing that was read gets lost.
    pub(crate) async fn next(&mut self) -> Result<Message, VisionError> {
        loop {
            match self.decoder.poll() {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the vision worker talks nonsense");
                    return Err(VisionError::Crashed);
                }
            }
            match self.pipe.read_buf(self.decoder.buffer()).await {
                Ok(0) | Err(_) => return Err(VisionError::Crashed),
                Ok(_) => {}
            }
        }
    }
}
