//! The recorder's storages: opened as the snapshot names them, asked as if they were one.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use parking_lot::RwLock;
use varde_api::codes::{EventType, StorageState};
use varde_api_internal::config::{ChannelConfig, HardwareConfig, RecorderConfig, StorageConfig};
use varde_api_internal::recorder::{Plan, StorageStatus, Timeline};
use varde_ids::{ChannelId, StorageId, StreamId, WriterId};
use varde_media_store::{EventSink, MasterKey, OpenFile, ReadError, Store, StoreEvent, StoreOptions, TrackSpec, TrackWriter};
use varde_units::{ByteSize, Utc};

use crate::events::{EventLog, Occurrence};
use crate::recorder::Options;
use crate::surroundings::RealSurroundings;

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug)]
pub struct Storages {
    folder: PathBuf,
    writer: WriterId,
    built: Utc,
    key: SigningKey,
    events: Arc<EventLog>,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<StorageId, Arc<Store>>,
    /// Wanted, and could not be opened: why.
    missing: HashMap<StorageId, (StorageConfig, String)>,
    order: Vec<StorageId>,
}

/// Hands a storage's events on to the recorder's log.
#[derive(Debug)]
struct Sink(Arc<EventLog>);

impl EventSink for Sink {
    fn event(&self, event: StoreEvent) {
        let mut occurrence = Occurrence::pulse(event.kind, event.time, event.severity);
        occurrence.storage = Some(event.storage);
        occurrence.channel = event.channel;
        occurrence.data = event.data;
        self.0.push(occurrence);
    }
}
