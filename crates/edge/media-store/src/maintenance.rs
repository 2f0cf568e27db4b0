//! What the command line does with a storage that nobody records to: use, and bytes in the clear.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use varde_footage::FilePath;
use varde_ids::ChannelId;
use varde_units::Utc;

use crate::catalogue;
use crate::crypt::Vault;
use crate::disk::{Disk, RealDisk, read_exact};
use crate::options::{MasterKey, ReadError};
use crate::read::open_fragment;
use crate::shared::media_path;
use crate::tables::TableCache;

/// What a channel's recordings take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelFiles {
    pub files: u64,
    pub bytes: u64,
    pub oldest: Option<Utc>,
    pub newest: Option<Utc>,
}

/// Adds up the recordings of each channel from names and sizes alone. `progress` hears the number of files so far.
pub fn usage(path: &Path, progress: &mut dyn FnMut(u64)) -> io::Result<BTreeMap<ChannelId, ChannelFiles>> {
    usage_on(&RealDisk::open(path)?, progress)
}

/// The same on any disk.
pub fn usage_on(
    disk: &dyn Disk,
    progress: &mut dyn FnMut(u64),
) -> io::Result<BTreeMap<ChannelId, ChannelFiles>> {
    let mut channels = BTreeMap::new();
    let mut seen = 0;
    for channel in catalogue::channels(disk)? {
        let usage: &mut ChannelFiles = channels.entry(channel).or_default();
        for folder in catalogue::days(disk, channel)? {
            for path in catalogue::recordings(disk, channel, &folder)? {
                usage.files += 1;
                usage.bytes += disk.open(&media_path(&path), false)?.length()?;
                let start = path.start();
                usage.oldest = Some(usage.oldest.map_or(start, |oldest| oldest.min(start)));
                usage.newest = Some(usage.newest.map_or(start, |newest| newest.max(start)));
                seen += 1;
            }
            progress(seen);
        }
    }
    Ok(channels)
}

/// Writes a recording as plain MP4, decrypted where it is encrypted. `file` is its path below `media`. `progress`
/// hears the bytes so far. Gives all bytes.
pub fn cat(
    path: &Path,
    file: &str,
    master_key: Option<MasterKey>,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, ReadError> {
    cat_on(Arc::new(RealDisk::open(path)?), file, master_key, out, progress)
}

/// The same on any disk.
pub fn cat_on(
    disk: Arc<dyn Disk>,
    file: &str,
    master_key: Option<MasterKey>,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, ReadError> {
    let path: FilePath = file.parse().map_err(|_| ReadError::NotFound)?;
    let vault = Vault::new(Arc::clone(&disk), master_key);
    let opened = TableCache::default().get(&*disk, &path)?;
    out.write_all(&read_exact(&*opened.file, 0, opened.init_bytes as usize)?)?;
    let mut written = opened.init_bytes;
    for row in &opened.rows {
        let fragment = open_fragment(&vault, &path, &opened.identity, &*opened.file, row)?;
        out.write_all(&fragment)?;
        written += fragment.len() as u64;
        progress(written);
    }
    Ok(written)
}
