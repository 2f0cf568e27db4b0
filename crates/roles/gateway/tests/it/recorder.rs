//! A recorder in memory: files as the store writes them, and live links that a test feeds.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use tokio::sync::broadcast;
use varde_api_internal::link::Message;
use varde_api_internal::recorder::{Gap, Plan, PlanFile, PlanFragment, Recording, Timeline};
use varde_codec::{AccessUnit, Format, Medium};
use varde_fmp4::{FragmentBuilder, TrackInit, init_segment};
use varde_footage::FilePath;
use varde_gateway::{FileBytes, LiveLink, Recorder, RecorderError};
use varde_ids::{ChannelId, StorageId, StreamId};
use varde_units::{Mono, Utc};

pub(crate) const STORAGE: StorageId = StorageId::from_bytes([0x57; 16]);

#[derive(Default)]
pub(crate) struct Memory {
    files: Mutex<Vec<(ChannelId, StreamId, PlanFile)>>,
    bytes: Mutex<HashMap<String, Bytes>>,
    gaps: Mutex<Vec<(ChannelId, Gap)>>,
    live: Mutex<HashMap<StreamId, broadcast::Sender<Message>>>,
}

impl Memory {
    /// Writes a file: fragments end before key frames and after half a second.
    pub(crate) fn record(
        &self,
        channel: ChannelId,
        stream: StreamId,
        format: &Format,
        start: Utc,
        units: &[AccessUnit],
    ) {
        let timescale = format.timescale();
        let ticks = |time: Mono| (u128::from(time.as_nanos()) * u128::from(timescale) / 1_000_000_000) as u64;
        let origin = ticks(units[0].decode_time);
        let init = init_segment(&TrackInit { format, creation: start, user: None }).unwrap();
        let mut bytes = BytesMut::from(init.clone());
        let mut fragments = Vec::new();
        let mut index = 0;
        while index < units.len() {
            let from = index;
            let begin = units[from].decode_time;
            let video = format.medium() == Medium::Video;
            index += 1;
            while index < units.len()
                && !(video && units[index].flags.entry_point)
                && units[index].decode_time.since(begin).as_millis() < 500
            {
                index += 1;
            }
            let mut builder = FragmentBuilder::new(ticks(begin) - origin);
            for number in from..index {
                let unit = &units[number];
                let next = units
                    .get(number + 1)
                    .map_or(unit.decode_time + units[1].decode_time.since(units[0].decode_time), |n| {
                        n.decode_time
                    });
                let duration = (ticks(next) - ticks(unit.decode_time)) as u32;
                builder.push(unit.data.clone(), duration, 0, unit.flags.into()).unwrap();
            }
            let fragment = builder.finish(fragments.len() as u32 + 1, None).unwrap();
            fragments.push(PlanFragment {
                offset: bytes.len() as u64,
                bytes: fragment.bytes(),
                start_ticks: fragment.decode_time,
                duration_ticks: fragment.duration,
                entry_point: units[from].flags.entry_point,
            });
            bytes.extend_from_slice(&fragment.head);
            fragment.payload.iter().for_each(|data| bytes.extend_from_slice(data));
        }
        let seq = self.files.lock().unwrap().len() as u32;
        let file = FilePath::new(channel, stream, 0, seq, start).to_string();
        let dimensions = format.dimensions();
        self.files.lock().unwrap().push((
            channel,
            stream,
            PlanFile {
                storage: STORAGE,
                file: file.clone(),
                codec: format.codec(),
                codec_string: format.codec_string(),
                width: dimensions.map(|(width, _)| width),
                height: dimensions.map(|(_, height)| height),
                timescale,
                start,
                epoch: 0,
                init_bytes: init.len() as u64,
                fragments,
            },
        ));
        self.bytes.lock().unwrap().insert(file, bytes.freeze());
    }

    pub(crate) fn gap(&self, channel: ChannelId, gap: Gap) {
        self.gaps.lock().unwrap().push((channel, gap));
    }

    /// The sending end of a live stream.
    pub(crate) fn feed(&self, stream: StreamId) -> broadcast::Sender<Message> {
        self.live.lock().unwrap().entry(stream).or_insert_with(|| broadcast::channel(4_096).0).clone()
    }

    pub(crate) fn stored(&self, file: &str) -> Bytes {
        self.bytes.lock().unwrap()[file].clone()
    }
}

fn at(file: &PlanFile, ticks: u64) -> Utc {
    file.start.offset_micros((u128::from(ticks) * 1_000_000 / u128::from(file.timescale)) as i64)
}

fn end(file: &PlanFile) -> Utc {
    file.fragments.last().map_or(file.start, |last| at(file, last.start_ticks + last.duration_ticks))
}

#[async_trait]
impl Recorder for Memory {
    async fn timeline(
        &self,
        channel: ChannelId,
        start: Utc,
        until: Utc,
        limit: usize,
    ) -> Result<Timeline, RecorderError> {
        let files = self.files.lock().unwrap();
        let own =
            files.iter().filter(|(of, _, file)| *of == channel && file.start < until && end(file) > start);
        let recordings = own.take(limit).map(|(_, stream, file)| Recording {
            start: file.start,
            end: end(file),
            stream: *stream,
            codec: file.codec,
            epoch: 0,
        });
        let gaps = self.gaps.lock().unwrap();
        let gaps = gaps.iter().filter(|(of, _)| *of == channel).map(|(_, gap)| gap.clone()).collect();
        Ok(Timeline { recordings: recordings.collect(), gaps, next: None })
    }

    async fn plan(
        &self,
        stream: StreamId,
        start: Utc,
        until: Utc,
        entry_points_only: bool,
        limit: usize,
    ) -> Result<Plan, RecorderError> {
        let mut plan = Plan::default();
        let mut left = limit;
        for (_, of, file) in self.files.lock().unwrap().iter() {
            if *of != stream || file.start >= until || end(file) <= start {
                continue;
            }
            let before = |f: &&PlanFragment| at(file, f.start_ticks) < until;
            let from = file.fragments.iter().rposition(|f| f.entry_point && at(file, f.start_ticks) <= start);
            let run = file.fragments.iter().skip(from.unwrap_or(0)).take_while(before);
            let mut fragments: Vec<PlanFragment> =
                run.filter(|f| f.entry_point || !entry_points_only).copied().collect();
            if fragments.len() > left {
                fragments.truncate(left);
                plan.next = fragments.last().map(|last| at(file, last.start_ticks + last.duration_ticks));
            }
            left -= fragments.len();
            plan.files.push(PlanFile { fragments, ..file.clone() });
            if plan.next.is_some() {
                break;
            }
        }
        Ok(plan)
    }

    async fn file(
        &self,
        storage: StorageId,
        file: &str,
        offset: u64,
        length: u64,
    ) -> Result<FileBytes, RecorderError> {
        let files = self.bytes.lock().unwrap();
        let bytes = files.get(file).filter(|_| storage == STORAGE).ok_or(RecorderError::NotFound)?;
        let total = bytes.len() as u64;
        if offset >= total {
            return Err(RecorderError::OutOfRange);
        }
        let last = offset.saturating_add(length).min(total);
        let piece = bytes.slice(offset as usize..last as usize);
        let body = stream::iter([Ok(piece)]).boxed();
        Ok(FileBytes { length: Some(last - offset), total: Some(total), body })
    }

    async fn live(&self, stream: StreamId) -> Result<LiveLink, RecorderError> {
        let receiver = self.feed(stream).subscribe();
        let messages = stream::unfold(receiver, async |mut receiver| {
            loop {
                match receiver.recv().await {
                    Ok(message) => return Some((Ok(message), receiver)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Ok(messages.boxed())
    }
}
