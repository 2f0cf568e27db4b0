//! Files of this run: being written, or closed and not yet in the index. Readers see them as far as they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use varde_footage::{Digest, FileIdentity, FilePath, Row, Span, Summary};
use varde_ids::{ChannelId, StreamId};
use varde_units::Utc;

use crate::disk::DiskFile;

/// What grows while a file is written.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    pub(crate) leaves: Vec<Digest>,
    /// Where the next fragment goes.
    pub(crate) bytes: u64,
    pub(crate) end: Utc,
    /// Set when the file is closed.
    pub(crate) summary: Option<Arc<Summary>>,
}

#[derive(Debug)]
pub(crate) struct LiveFile {
    pub(crate) path: FilePath,
    pub(crate) identity: FileIdentity,
    pub(crate) init_bytes: u64,
    pub(crate) init: Digest,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) table: RwLock<Table>,
}

impl LiveFile {
    pub(crate) fn span(&self) -> Option<Span> {
        let table = self.table.read();
        if table.rows.is_empty() {
            return None;
        }
        Some(Span {
            start: self.identity.start,
            end: table.end,
            stream: self.path.stream,
            epoch: self.path.epoch,
            codec: self.identity.codec,
        })
    }
}

/// All files of this run that the index does not hold.
#[derive(Debug, Default)]
pub(crate) struct LiveFiles(RwLock<BTreeMap<FilePath, Arc<LiveFile>>>);

impl LiveFiles {
    pub(crate) fn insert(&self, file: Arc<LiveFile>) {
        self.0.write().insert(file.path, file);
    }

    pub(crate) fn remove(&self, path: &FilePath) {
        self.0.write().remove(path);
    }

    pub(crate) fn get(&self, path: &FilePath) -> Option<Arc<LiveFile>> {
        self.0.read().get(path).cloned()
    }

    pub(crate) fn of_stream(&self, stream: StreamId) -> Vec<Arc<LiveFile>> {
        self.0.read().values().filter(|file| file.path.stream == stream).cloned().collect()
    }

    pub(crate) fn of_channel(&self, channel: ChannelId) -> Vec<Arc<LiveFile>> {
        self.0.read().values().filter(|file| file.path.channel == channel).cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<LiveFile>> {
        self.0.read().values().cloned().collect()
    }
}
