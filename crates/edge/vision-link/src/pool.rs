//! The pool of workers: how many run, who waits, and what happens when one dies.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use varde_codec::{AccessUnit, Format};
use varde_units::Mono;

use crate::error::VisionError;
use crate::protocol::{Image, Job, Message, TranscodeOptions};
use crate::stream::{self, VisionInput, VisionOutput};
use crate::worker::Worker;

/// Longest pause before a worker is started again after others died.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
const BACK_OFF_MIN: Duration = Duration::from_millis(50);
/// The longest answer to a job: a group of pictures at the highest rate. A worker that says more is out of its mind.
const ANSWER_BYTES_MAX: usize = 256 << 20;
const ANSWER_MESSAGES_MAX: usize = 10_000;

/// Limits of a pool.
#[derive(Clone, Debug)]
pub struct VisionOptions {
    /// The worker program, `varde-vision`, by its absolute path.
    pub program: PathBuf,
    /// Most stills and heads that are made at once.
    pub jobs_max: usize,
    /// Most stills and heads that wait for their turn.
    pub waiting_max: usize,
    /// Most streams of pictures that are transcoded at once.
    pub transcodes_max: usize,
    /// Most streams of sound that are transcoded at once.
    pub sounds_max: usize,
    /// A still is given up after this time, waiting included.
    pub still_timeout: Duration,
    /// A head is given up after this time, waiting included.
    pub head_timeout: Duration,
    /// A stream is given up when the worker has had something to do for so long and gave nothing.
    pub stall_timeout: Duration,
}

impl VisionOptions {
    /// The limits of a small machine.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            jobs_max: 2,
            waiting_max: 64,
            transcodes_max: 4,
            sounds_max: 16,
            still_timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(10),
        }
    }
}

/// Pictures of a group, encoded anew.
#[derive(Clone, Debug)]
pub struct Head {
    pub format: Format,
    /// In decode order; the first is an entry point.
    pub units: Vec<AccessUnit>,
}

/// Starts workers when there is work, and keeps a few that are idle. Clones share the pool.
#[derive(Clone, Debug)]
pub struct VisionPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: VisionOptions,
    jobs: Semaphore,
    waiting: AtomicUsize,
    transcodes: Arc<Semaphore>,
    sounds: Arc<Semaphore>,
    idle: Mutex<Vec<Worker>>,
    health: Mutex<Health>,
}

/// When a worker may be started next.
#[derive(Debug, Default)]
struct Health {
    failures: u32,
    not_before: Option<Instant>,
}

impl VisionPool {
    pub fn new(options: VisionOptions) -> Self {
        Self(Arc::new(Inner {
            jobs: Semaphore::new(options.jobs_max),
            waiting: AtomicUsize::new(0),
            transcodes: Arc::new(Semaphore::new(options.transcodes_max)),
            sounds: Arc::new(Semaphore::new(options.sounds_max)),
            idle: Mutex::default(),
            health: Mutex::default(),
            options,
        }))
    }

    /// Streams of pictures that may still be started.
    pub fn transcodes_free(&self) -> usize {
        self.0.transcodes.available_permits()
    }

    /// The picture shown at `at`, as JPEG of at most `width` pixels across. `units` begin with an entry point.
    pub async fn still(
        &self,
        format: Format,
        units: Vec<AccessUnit>,
        at: Mono,
        width: Option<u32>,
    ) -> Result<Image, VisionError> {
        let answer = self.job(Job::Still { at, width }, format, units, self.0.options.still_timeout).await?;
        answer
            .into_iter()
            .find_map(|message| if let Message::Image(image) = message { Some(image) } else { None })
            .ok_or(VisionError::Crashed)
    }

    /// Encodes the pictures from `from` on anew, in the same codec. `units` begin with an entry point, and end
    /// before the next.
    pub async fn exact_head(
        &self,
        format: Format,
        units: Vec<AccessUnit>,
        from: Mono,
    ) -> Result<Head, VisionError> {
        let answer = self.job(Job::Head { from }, format, units, self.0.options.head_timeout).await?;
        let (mut format, mut units) = (None, Vec::new());
        for message in answer {
            match message {
                Message::Format(found) => format = Some(found),
                Message::Unit(unit) => units.push(unit),
                _ => {}
            }
        }
        format.map(|format| Head { format, units }).ok_or(VisionError::Crashed)
    }

    /// Starts to transcode pictures to H.264. [`VisionError::Busy`] when no stream is free.
    pub fn transcode(&self, options: TranscodeOptions) -> Result<(VisionInput, VisionOutput), VisionError> {
        let permit = self.0.transcodes.clone().try_acquire_owned().map_err(|_| VisionError::Busy)?;
        Ok(stream::open(self.clone(), Job::Transcode(options), permit))
    }

    /// Starts to transcode sound to Opus. [`VisionError::Busy`] when no stream is free.
    pub fn audio(&self) -> Result<(VisionInput, VisionOutput), VisionError> {
        let permit = self.0.sounds.clone().try_acquire_owned().map_err(|_| VisionError::Busy)?;
        Ok(stream::open(self.clone(), Job::Audio, permit))
    }

    pub(crate) fn options(&self) -> &VisionOptions {
        &self.0.options
    }

    async fn job(
        &self,
        job: Job,
        format: Format,
        units: Vec<AccessUnit>,
        timeout: Duration,
    ) -> Result<Vec<Message>, VisionError> {
        let waiting = Waiting::enter(&self.0)?;
        let work = async {
            let _permit = self.0.jobs.acquire().await.map_err(|_| VisionError::Busy)?;
            drop(waiting);
            let mut worker = self.worker_take().await?;
            let result = run(&mut worker, job, format, units).await;
            match &result {
                Ok(_) | Err(VisionError::Refused(_)) => self.worker_return(worker),
                Err(_) => self.worker_lost(),
            }
            result
        };
        match tokio::time::timeout(timeout, work).await {
            Ok(result) => result,
            // Dropping the work has killed its worker, if it had one.
            Err(_) => Err(VisionError::TimedOut),
        }
    }

    /// An idle worker or a new one; waits out the back-off.
    pub(crate) async fn worker_take(&self) -> Result<Worker, VisionError> {
        let idle = || self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(mut worker) = idle() {
            if worker.is_fit() {
                return Ok(worker);
            }
        }
        let not_before = self.health().not_before;
        if let Some(instant) = not_before {
            tokio::time::sleep_until(instant).await;
        }
        Worker::start(&self.0.options.program).map_err(|error| {
            self.worker_lost();
            VisionError::Unavailable(error.to_string())
        })
    }

    /// Keeps a worker whose job ended well for the next one.
    pub(crate) fn worker_return(&self, worker: Worker) {
        *self.health() = Health::default();
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.0.options.jobs_max {
            idle.push(worker);
        }
    }

    /// Counts a worker that died or had to be killed.
    pub(crate) fn worker_lost(&self) {
        let mut health = self.health();
        let pause = BACK_OFF_MIN.saturating_mul(1 << health.failures.min(10)).min(BACK_OFF_MAX);
        health.failures = health.failures.saturating_add(1);
        health.not_before = Some(Instant::now() + pause);
        tracing::warn!(failures = health.failures, "a vision worker was lost");
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.0.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(inner: &'a Inner) -> Result<Self, VisionError> {
        let before = inner.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(&inner.waiting);
        if before < inner.options.waiting_max { Ok(place) } else { Err(VisionError::Busy) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends a whole job and collects its answer. Both pipes move at once, so neither side waits for the other.
async fn run(
    worker: &mut Worker,
    job: Job,
    format: Format,
    units: Vec<AccessUnit>,
) -> Result<Vec<Message>, VisionError> {
    let (input, output) = (&mut worker.input, &mut worker.output);
    let send = async {
        input.send(&Message::Job(job)).await?;
        input.send(&Message::Format(format)).await?;
        for unit in units {
            input.send(&Message::Unit(unit)).await?;
        }
        input.send(&Message::End).await
    };
    let receive = async {
        let (mut answer, mut failure, mut bytes) = (Vec::new(), None, 0);
        loop {
            let message = output.next().await?;
            match &message {
                Message::End => break,
                Message::Failed(reason) => failure = Some(reason.clone()),
                Message::Unit(unit) => bytes += unit.data.len(),
                Message::Image(image) => bytes += image.jpeg.len(),
                Message::Job(_) | Message::Format(_) => {}
            }
            answer.push(message);
            if bytes > ANSWER_BYTES_MAX || answer.len() > ANSWER_MESSAGES_MAX {
                return Err(VisionError::Crashed);
            }
        }
        Ok((answer, failure))
    };
    let ((), (answer, failure)) = tokio::try_join!(send, receive)?;
    failure.map_or(Ok(answer), |reason| Err(VisionError::Refused(reason)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_worker_that_never_stops_talking_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("worker");
        // An image of one pixel and no bytes, for ever.
        let talk = r"printf '\000\000\000\011\005\000\000\000\001\000\000\000\001'";
        std::fs::write(&program, format!("#!/bin/sh\nwhile :; do {talk}; done\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let patience = Duration::from_secs(60);
        let pool = VisionPool::new(VisionOptions { still_timeout: patience, ..VisionOptions::new(program) });
        let format = Format::Mjpeg { width: 1, height: 1 };
        assert_eq!(pool.still(format, Vec::new(), Mono::ZERO, None).await, Err(VisionError::Crashed));
    }
}
