//! The recording role: drivers, rings, the store's writers, and the internal API that shows them to other roles.
//!
//! Decides what is recorded where, from a signed snapshot of its configuration alone. It opens no database, waits for
//! no other part, and knows no viewer: the gateway takes each stream once over the media link.

mod device;
mod devices;
mod events;
mod http;
mod recorder;
mod ring;
mod snapshot;
mod storages;
mod stream;
mod surroundings;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use varde_driver::Driver;

pub use recorder::{Options, Recorder};

/// How often a storage that could not be opened is tried again.
const STORAGE_RETRY: Duration = Duration::from_secs(5);
/// How often time passes for streams that get no units.
const STREAM_TICK: Duration = Duration::from_millis(500);
/// How long answers may take to end when the role ends.
const SERVE_OUT: Duration = Duration::from_secs(2);

/// Runs the recording role until `stop` completes: drivers on a thread of their own, the internal API on `socket`.
pub fn run(
    options: Options,
    socket: &Path,
    drivers: Vec<Arc<dyn Driver>>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let io = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let io_handle = io.handle().clone();
    let (io_stop, io_stopped) = tokio::sync::oneshot::channel::<()>();
    let io_thread = std::thread::Builder::new().name("cameras".into()).spawn(move || {
        let _ = io.block_on(io_stopped);
    })?;
    // Readers and the internal API; whatever they do, the cameras' thread goes on.
    let readers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .thread_name("readers")
        .enable_all()
        .build()?;
    let served = readers.block_on(async {
        let recorder = Recorder::start(options, drivers, io_handle.clone()).await?;
        let ticked = {
            let recorder = Arc::clone(&recorder);
            io_handle.spawn(async move {
                let mut tick = every(STREAM_TICK);
                loop {
                    tick.tick().await;
                    recorder.on_tick();
                }
            })
        };
        let retried = {
            let recorder = Arc::clone(&recorder);
            tokio::spawn(async move {
                let mut tick = every(STORAGE_RETRY);
                loop {
                    tick.tick().await;
                    recorder.retry_storages().await;
                }
            })
        };
        let (end_serving, serving_ends) = tokio::sync::oneshot::channel::<()>();
        let serving = http::serve(Arc::clone(&recorder), socket, async {
            let _ = serving_ends.await;
        });
        tokio::pin!(serving);
        let served = tokio::select! {
            served = &mut serving => served,
            () = stop => {
                let _ = end_serving.send(());
                // Closing the rings ends the media links, and with them the connections that are served.
                recorder.stop().await;
                tokio::time::timeout(SERVE_OUT, serving).await.unwrap_or(Ok(()))
            }
        };
        retried.abort();
        ticked.abort();
        if served.is_err() {
            recorder.stop().await;
        }
        served
    });
    let _ = io_stop.send(());
    let _ = io_thread.join();
    // A media link has no end of its own: what still reads is cut off.
    readers.shutdown_timeout(Duration::from_secs(1));
    served
}

/// Whether a recorder was set up in this folder: it has something to do whatever becomes of the rest.
pub fn is_set_up(folder: &Path) -> bool {
    snapshot::SnapshotFile::path(folder).exists()
}

/// Makes the indexes of all storages of the kept snapshot anew, from files and ledger; gives the number of recordings.
/// The role must not run. Reads the disks.
pub fn rebuild_indexes(options: &Options, progress: &mut dyn FnMut(u64)) -> std::io::Result<u64> {
    let snapshot = snapshot::SnapshotFile::open(&options.folder);
    let config = snapshot
        .config()
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "no recorder was set up here"))?;
    let writer = varde_ids::WriterId::new(varde_ambient::utc_now(), varde_ambient::identifier_random());
    let events = Arc::new(events::EventLog::new(writer));
    storages::Storages::open_folder(options, writer, events)?.rebuild(config, progress)
}

/// A tick that leaves out what it missed.
fn every(period: Duration) -> tokio::time::Interval {
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick
}
