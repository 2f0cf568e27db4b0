//! A stream through a worker: units in, units of another codec out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use varde_codec::{AccessUnit, Format};

use crate::error::VisionError;
use crate::pool::VisionPool;
use crate::protocol::{Job, Message};
use crate::worker::Worker;

/// Units that wait for the worker: a second of pictures, or two of sound.
const INPUT_MAX: usize = 32;
/// Units that wait for the reader.
const OUTPUT_MAX: usize = 64;

/// What became of a unit that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Taken,
    /// The worker is behind: this unit, and all up to the next entry point, are left out.
    Dropped,
    /// The stream has ended; its output says why.
    Ended,
}

/// What comes out of a stream.
#[derive(Clone, Debug)]
pub enum StreamItem {
    /// Comes before the first unit and whenever the configuration changes.
    Format(Format),
    Unit(AccessUnit),
}

/// Where a stream's units go in. Dropping it ends the stream once everything is through.
#[derive(Debug)]
pub struct VisionInput {
    sender: mpsc::Sender<Message>,
    /// The worker has the current format.
    format: Option<Format>,
    format_sent: bool,
    skips_to_entry_point: bool,
}

impl VisionInput {
    /// Units offered from now on have this format.
    pub fn format(&mut self, format: Format) {
        if self.format.as_ref() != Some(&format) {
            self.format = Some(format);
            self.format_sent = false;
        }
    }

    /// Hands over a unit without waiting. Begins with the first entry point; drops units while the worker is behind.
    pub fn offer(&mut self, unit: AccessUnit) -> Offer {
        if unit.flags.entry_point {
            self.skips_to_entry_point = false;
        } else if self.skips_to_entry_point {
            return Offer::Dropped;
        }
        let format = if self.format_sent { None } else { self.format.clone() };
        let offered = match format {
            Some(format) => {
                self.sender.try_send(Message::Format(format)).inspect(|()| self.format_sent = true)
            }
            None => Ok(()),
        };
        match offered.and_then(|()| self.sender.try_send(Message::Unit(unit))) {
            Ok(()) => Offer::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.skips_to_entry_point = true;
                Offer::Dropped
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Offer::Ended,
        }
    }

    /// Hands over a unit and waits until the worker is ready for it: for footage, where nothing may be left out.
    pub async fn send(&mut self, unit: AccessUnit) -> Result<(), VisionError> {
        if !self.format_sent
            && let Some(format) = self.format.clone()
        {
            self.sender.send(Message::Format(format)).await.map_err(|_| VisionError::Crashed)?;
            self.format_sent = true;
        }
        self.sender.send(Message::Unit(unit)).await.map_err(|_| VisionError::Crashed)
    }
}

/// Where a stream's units come out. Dropping it ends the stream at once.
#[derive(Debug)]
pub struct VisionOutput {
    receiver: mpsc::Receiver<Result<StreamItem, VisionError>>,
}

impl VisionOutput {
    /// The next item; `None` at the end. After an error comes the end.
    pub async fn next(&mut self) -> Option<Result<StreamItem, VisionError>> {
        self.receiver.recv().await
    }
}

/// Opens a stream; the worker is started in the background.
pub(crate) fn open(pool: VisionPool, job: Job, permit: OwnedSemaphorePermit) -> (VisionInput, VisionOutput) {
    let (sender, messages) = mpsc::channel(INPUT_MAX);
    let (items, receiver) = mpsc::channel(OUTPUT_MAX);
    tokio::spawn(async move {
        let _permit = permit;
        let ended = tokio::select! {
            result = work(&pool, job, messages, &items) => result,
            () = items.closed() => Ok(()),
        };
        if let Err(error) = ended {
            // Nobody may be there to hear it.
            let _ = items.send(Err(error)).await;
        }
    });
    let input = VisionInput { sender, format: None, format_sent: false, skips_to_entry_point: true };
    (input, VisionOutput { receiver })
}

type Items = mpsc::Sender<Result<StreamItem, VisionError>>;

async fn work(
    pool: &VisionPool,
    job: Job,
    messages: mpsc::Receiver<Message>,
    items: &Items,
) -> Result<(), VisionError> {
    let mut worker = pool.worker_take().await?;
    let result = drive(&mut worker, job, messages, items, pool.options().stall_timeout).await;
    match &result {
        Ok(()) => pool.worker_return(worker),
        Err(VisionError::Refused(_)) => {}
        Err(_) => pool.worker_lost(),
    }
    result
}

async fn drive(
    worker: &mut Worker,
    job: Job,
    mut messages: mpsc::Receiver<Message>,
    items: &Items,
    stall_timeout: Duration,
) -> Result<(), VisionError> {
    let (input, output) = (&mut worker.input, &mut worker.output);
    // Since when the worker has had something that it gave no answer to.
    let waiting_since = Mutex::new(None);
    let lock = || waiting_since.lock().unwrap_or_else(PoisonError::into_inner);
    let send = async {
        input.send(&Message::Job(job)).await?;
        while let Some(message) = messages.recv().await {
            lock().get_or_insert_with(Instant::now);
            input.send(&message).await?;
        }
        input.send(&Message::End).await
    };
    let receive = async {
        loop {
            let message = tokio::select! {
                message = output.next() => message?,
                () = tokio::time::sleep(stall_timeout / 4) => {
                    if lock().is_some_and(|since: Instant| since.elapsed() > stall_timeout) {
                        return Err(VisionError::TimedOut);
                    }
                    continue;
                }
            };
            *lock() = None;
            let item = match message {
                Message::Format(format) => StreamItem::Format(format),
                Message::Unit(unit) => StreamItem::Unit(unit),
                Message::End => return Ok(()),
                Message::Failed(reason) => return Err(VisionError::Refused(reason)),
                Message::Job(_) | Message::Image(_) => return Err(VisionError::Crashed),
            };
            if items.send(Ok(item)).await.is_err() {
                // Nobody listens: whoever runs this stops it.
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::try_join!(send, receive).map(|_| ())
}
