//! The real file system. Everything is opened relative to a descriptor of the root that is taken once, so that a
//! storage that is unmounted later is never mistaken for the folder below it.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::{DirectoryEntry, Disk, DiskFile, Space};

/// Most parts of one vectored write (Linux `UIO_MAXIOV`).
const PARTS_MAX: usize = 1024;

/// A folder of the real file system.
#[derive(Debug)]
pub struct RealDisk {
    root: OwnedFd,
    own_file_system: bool,
}

impl RealDisk {
    /// Opens an existing folder.
    pub fn open(root: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(root, flags, Mode::empty())?;
        let device = rustix::fs::fstat(&descriptor)?.st_dev;
        // The system's own disk is never flushed as a whole for our sake.
        let shared = ["/", "/var", "/home", "/tmp"]
            .iter()
            .any(|path| rustix::fs::stat(*path).is_ok_and(|other| other.st_dev == device));
        Ok(Self { root: descriptor, own_file_system: !shared })
    }

    fn open_at(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        let path = if path.is_empty() { "." } else { path };
        Ok(rustix::fs::openat(&self.root, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, mode)?)
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        Ok(Arc::new(RealFile(self.open_at(path, flags)?)))
    }

    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn DiskFile>> {
        let flags = if write { OFlags::RDWR } else { OFlags::RDONLY };
        Ok(Arc::new(RealFile(self.open_at(path, flags)?)))
    }

    fn create_folder(&self, path: &str) -> io::Result<bool> {
        let mode = Mode::RWXU | Mode::RGRP | Mode::XGRP;
        match rustix::fs::mkdirat(&self.root, path, mode) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirectoryEntry>> {
        let folder = self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::new(folder)? {
            let entry = entry?;
            // Names that are not UTF-8 are not ours.
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let is_folder = match entry.file_type() {
                rustix::fs::FileType::Unknown => {
                    let full = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                    let stat = rustix::fs::statat(&self.root, full, AtFlags::SYMLINK_NOFOLLOW)?;
                    rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir()
                }
                kind => kind.is_dir(),
            };
            entries.push(DirectoryEntry { name: name.to_owned(), is_folder });
        }
        Ok(entries)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.root, path, AtFlags::empty())?)
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.root, path, AtFlags::REMOVEDIR)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.root, from, &self.root, to)?)
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        let folder = self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(rustix::fs::fsync(folder)?)
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.root)?)
    }

    fn own_file_system(&self) -> bool {
        self.own_file_system
    }

    fn space(&self) -> io::Result<Space> {
        let space = rustix::fs::fstatvfs(&self.root)?;
        Ok(Space {
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
            capacity_bytes: space.f_blocks.saturating_mul(space.f_frsize),
        })
    }
}

#[derive(Debug)]
struct RealFile(OwnedFd);

impl DiskFile for RealFile {
    fn write_at(&self, mut parts: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let count = parts.len().min(PARTS_MAX);
            match rustix::io::pwritev(&self.0, &parts[..count], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut parts, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match rustix::io::pread(&self.0, &mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(u64::try_from(rustix::fs::fstat(&self.0)?.st_size).unwrap_or(0))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        Ok(rustix::fs::ftruncate(&self.0, length)?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.0)?)
    }
}
