//! The storage's file system behind one small trait, so that tests can fail, tear and forget what they like.
//!
//! All paths are relative to the storage's root, with `/` between their parts, and written by this crate alone.

mod fault;
mod real;

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;

pub use fault::{FaultDisk, Operation};
pub use real::RealDisk;

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectoryEntry {
    pub name: String,
    pub is_folder: bool,
}

/// Room on the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub free_bytes: u64,
    pub capacity_bytes: u64,
}

/// One storage's file system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates a file that must not exist yet.
    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file, for writing too if asked.
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a folder; false if it was there.
    fn create_folder(&self, path: &str) -> io::Result<bool>;
    /// Entries in no order; `NotFound` where there is no such folder.
    fn list(&self, path: &str) -> io::Result<Vec<DirectoryEntry>>;
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_folder(&self, path: &str) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes the entries of a folder durable; `""` is the root.
    fn sync_folder(&self, path: &str) -> io::Result<()>;
    /// Makes everything on the file system durable.
    fn sync_all(&self) -> io::Result<()>;
    /// Whether the storage is a file system of its own, so that [`Disk::sync_all`] flushes nobody else's data.
    fn own_file_system(&self) -> bool;
    fn space(&self) -> io::Result<Space>;
}

/// An open file. Positions are explicit: nobody shares a cursor.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Writes all parts one after another.
    fn write_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Reads up to the buffer's length; fewer at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn length(&self) -> io::Result<u64>;
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Makes the file's bytes and length durable.
    fn sync(&self) -> io::Result<()>;
}

/// Reads exactly `length` bytes; `UnexpectedEof` where the file is shorter.
pub(crate) fn read_exact(file: &dyn DiskFile, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    let read = file.read_at(&mut buffer, offset)?;
    if read < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(buffer)
}

/// Reads a whole file that is at most `limit` bytes long.
pub(crate) fn read_whole(disk: &dyn Disk, path: &str, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, false)?;
    let length = file.length()?;
    if length > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{path} is longer than {limit} bytes"),
        ));
    }
    read_exact(&*file, 0, length as usize)
}

/// Writes a small document so that it is there whole or not at all, and durable.
pub(crate) fn write_document(disk: &dyn Disk, folder: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let part = format!("{prefix}.{name}.part");
    match disk.remove(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&part)?;
    file.write_at(&mut [IoSlice::new(bytes)], 0)?;
    file.sync()?;
    disk.rename(&part, &format!("{prefix}{name}"))?;
    disk.sync_folder(folder)
}
