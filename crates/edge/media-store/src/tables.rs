//! The fragment tables of closed files, read from their trailers and kept a while.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use varde_footage::{FilePath, Row, TRAILER_END_BYTES, Trailer};

use crate::disk::{Disk, DiskFile, read_exact};
use crate::options::ReadError;
use crate::scan;
use crate::shared::media_path;

/// Most tables in memory: 128 files of 30 minutes are about 18 MB.
const TABLES_MAX: usize = 128;

/// An open closed file with what its trailer says.
#[derive(Debug)]
pub(crate) struct ClosedFile {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) rows: Vec<Row>,
    pub(crate) encrypted: bool,
    pub(crate) init_bytes: u64,
    pub(crate) identity: varde_footage::FileIdentity,
}

#[derive(Debug, Default)]
struct Inner {
    tables: HashMap<FilePath, (u64, Arc<ClosedFile>)>,
    clock: u64,
}

/// A small cache: the table that was not asked for the longest goes first.
#[derive(Debug, Default)]
pub(crate) struct TableCache(Mutex<Inner>);

impl TableCache {
    pub(crate) fn get(&self, disk: &dyn Disk, path: &FilePath) -> Result<Arc<ClosedFile>, ReadError> {
        {
            let mut inner = self.0.lock();
            inner.clock += 1;
            let now = inner.clock;
            if let Some((used, table)) = inner.tables.get_mut(path) {
                *used = now;
                return Ok(Arc::clone(table));
            }
        }
        let table = Arc::new(load(disk, path)?);
        let mut inner = self.0.lock();
        if inner.tables.len() >= TABLES_MAX
            && let Some(oldest) =
                inner.tables.iter().min_by_key(|(_, (used, _))| *used).map(|(path, _)| *path)
        {
            inner.tables.remove(&oldest);
        }
        let now = inner.clock;
        inner.tables.insert(*path, (now, Arc::clone(&table)));
        Ok(table)
    }

    pub(crate) fn forget(&self, path: &FilePath) {
        self.0.lock().tables.remove(path);
    }
}

fn load(disk: &dyn Disk, path: &FilePath) -> Result<ClosedFile, ReadError> {
    let file = match disk.open(&media_path(path), false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::NotFound),
        other => other?,
    };
    if let Some(trailer) = read_trailer(&*file)? {
        return Ok(ClosedFile {
            rows: trailer.rows,
            encrypted: trailer.summary.identity.encrypted(),
            init_bytes: trailer.summary.init_bytes,
            identity: trailer.summary.identity,
            file,
        });
    }
    // No trailer, or a damaged one: the fragments speak for themselves.
    let scanned = scan::scan(&*file, scan::Doubt::Nothing)?.ok_or_else(|| {
        ReadError::Damaged("the file has neither a trailer nor a readable beginning".into())
    })?;
    Ok(ClosedFile {
        rows: scanned.rows,
        encrypted: scanned.identity.encrypted(),
        init_bytes: scanned.init_bytes,
        identity: scanned.identity,
        file,
    })
}

/// The file's trailer; `None` where there is none, or none that is sound.
pub(crate) fn read_trailer(file: &dyn DiskFile) -> io::Result<Option<Trailer>> {
    let length = file.length()?;
    let Some(end_at) = length.checked_sub(TRAILER_END_BYTES as u64) else { return Ok(None) };
    let end = read_exact(file, end_at, TRAILER_END_BYTES)?;
    let end: &[u8; TRAILER_END_BYTES] = end.as_slice().try_into().expect("the length was asked for");
    let Some(bytes) = Trailer::length(end) else { return Ok(None) };
    let Some(at) = length.checked_sub(bytes as u64) else { return Ok(None) };
    let payload = read_exact(file, at, bytes)?;
    // The summary says where the media ends; the trailer stands right behind it.
    Ok(Trailer::decode(&payload).ok().filter(|trailer| trailer.summary.bytes.checked_add(24) == Some(at)))
}
