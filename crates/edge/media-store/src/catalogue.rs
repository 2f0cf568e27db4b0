//! What lies in the media folder: channels, days, recordings, and each day's catalogue. Whatever else lies there is
//! left alone.

use std::io;

use varde_footage::{CATALOGUE, FilePath, Frames, MEDIA_FOLDER, SignedSummary, Summary};
use varde_ids::ChannelId;
use varde_units::Day;

use crate::close::CATALOGUE_BYTES_MAX;
use crate::disk::{DirectoryEntry, Disk, read_whole};

fn list(disk: &dyn Disk, path: &str) -> io::Result<Vec<DirectoryEntry>> {
    match disk.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// Channels that have a folder.
pub(crate) fn channels(disk: &dyn Disk) -> io::Result<Vec<ChannelId>> {
    let entries = list(disk, MEDIA_FOLDER)?;
    Ok(entries.iter().filter(|entry| entry.is_folder).filter_map(|entry| entry.name.parse().ok()).collect())
}

/// A channel's folders of days, relative to the root.
pub(crate) fn days(disk: &dyn Disk, channel: ChannelId) -> io::Result<Vec<String>> {
    let folder = format!("{MEDIA_FOLDER}/{channel}");
    let entries = list(disk, &folder)?;
    let days = entries.iter().filter(|entry| {
        entry.is_folder && entry.name.parse::<Day>().is_ok_and(|day| day.to_string() == entry.name)
    });
    Ok(days.map(|entry| format!("{folder}/{}", entry.name)).collect())
}

/// The recordings in a day's folder.
pub(crate) fn recordings(disk: &dyn Disk, channel: ChannelId, folder: &str) -> io::Result<Vec<FilePath>> {
    let entries = list(disk, folder)?;
    let paths = entries
        .iter()
        .filter(|entry| !entry.is_folder)
        .filter_map(|entry| FilePath::from_name(channel, &entry.name))
        .filter(|path| folder.ends_with(&path.folder()));
    Ok(paths.collect())
}

/// The highest epoch that any recording's name has.
pub(crate) fn newest_epoch(disk: &dyn Disk) -> io::Result<u32> {
    let mut newest = 0;
    for channel in channels(disk)? {
        for folder in days(disk, channel)? {
            let epochs = recordings(disk, channel, &folder)?.into_iter().map(|path| path.epoch);
            newest = epochs.fold(newest, u32::max);
        }
    }
    Ok(newest)
}

/// The summaries in a day's catalogue, up to its first torn frame; the last word on a file counts.
pub(crate) fn summaries(disk: &dyn Disk, folder: &str) -> io::Result<Vec<Summary>> {
    let log = match read_whole(disk, &format!("{folder}/{CATALOGUE}"), CATALOGUE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    Ok(Frames::new(&log).filter_map(|body| SignedSummary::decode(body).ok()?.0.summary().ok()).collect())
}
