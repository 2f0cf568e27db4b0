//! One stream as fragmented MP4 for Media Source Extensions: a fragment per unit, so that nothing waits.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use varde_ambient::{mono_now, utc_now};
use varde_api::media::{LiveTrack, TrackKind};
use varde_codec::{AccessUnit, Codec, Format, Medium, opus};
use varde_fmp4::{FragmentBuilder, TrackInit, WriteError, init_segment};
use varde_units::{Mono, Utc};

/// Decode times of all streams count from one instant before the gateway began, so that picture and sound of a camera,
/// and all viewers, agree.
const HEAD_START: Duration = Duration::from_secs(3_600);

/// A unit's time may differ so much from the end of the one before it without being a gap.
const JITTER_MAX: Duration = Duration::from_millis(12);

fn origin() -> Mono {
    static ORIGIN: OnceLock<Mono> = OnceLock::new();
    *ORIGIN.get_or_init(|| mono_now() - HEAD_START)
}

/// Whether browsers take the format by Media Source Extensions, in fragmented MP4.
pub(crate) fn suits_media_source(format: &Format) -> bool {
    matches!(format.codec(), Codec::H264 | Codec::H265 | Codec::Av1 | Codec::Aac | Codec::Opus)
}

pub(crate) fn live_track(format: &Format, transcoded: bool) -> LiveTrack {
    let kind = if format.medium() == Medium::Video { TrackKind::Video } else { TrackKind::Audio };
    let container = if kind == TrackKind::Video { "video/mp4" } else { "audio/mp4" };
    LiveTrack {
        kind,
        mime: format!("{container}; codecs=\"{}\"", format.codec_string()),
        codec: format.codec().name().to_owned(),
        transcoded,
    }
}

/// Makes the binary messages of one track: `u8` index, `u64` capture time (UTC, µs), then MP4.
#[derive(Debug)]
pub(crate) struct Fragmenter {
    index: u8,
    format: std::sync::Arc<Format>,
    sequence: u32,
    /// Where the next unit would begin without a gap, in ticks.
    next_ticks: Option<u64>,
}

impl Fragmenter {
    pub(crate) fn new(index: u8, format: std::sync::Arc<Format>) -> Self {
        Self { index, format, sequence: 0, next_ticks: None }
    }

    pub(crate) fn init(&self) -> Result<Bytes, WriteError> {
        let now = utc_now();
        let init = init_segment(&TrackInit { format: &self.format, creation: now, user: None })?;
        let mut message = BytesMut::with_capacity(9 + init.len());
        self.head(&mut message, now);
        message.put(init);
        Ok(message.freeze())
    }

    pub(crate) fn fragment(&mut self, unit: &AccessUnit, duration: Duration) -> Result<Bytes, WriteError> {
        let timescale = u64::from(self.format.timescale());
        let ticks = |time: Duration| u64::try_from(time.as_nanos() * u128::from(timescale) / 1_000_000_000);
        let exact = self.exact_duration(unit);
        let length = exact.unwrap_or_else(|| ticks(duration).unwrap_or(1).clamp(1, timescale * 10) as u32);
        let measured = ticks(unit.decode_time.since(origin())).unwrap_or(u64::MAX);
        let jitter = ticks(JITTER_MAX).unwrap_or(0);
        // Sound that follows itself must do so to the tick, or players click.
        let decode_time = match self.next_ticks {
            Some(next) if exact.is_some() && next.abs_diff(measured) <= jitter => next,
            _ => measured,
        };
        self.next_ticks = Some(decode_time.saturating_add(u64::from(length)));
        let ahead = unit.time.since(unit.decode_time);
        let composition = i32::try_from(ticks(ahead).unwrap_or(0)).unwrap_or(0);
        let mut builder = FragmentBuilder::new(decode_time);
        builder.push(unit.data.clone(), length, composition, unit.flags.into())?;
        self.sequence = self.sequence.wrapping_add(1);
        let fragment = builder.finish(self.sequence, None)?;
        let mut message = BytesMut::with_capacity(9 + fragment.bytes() as usize);
        self.head(&mut message, utc_now().minus(mono_now().since(unit.time)));
        message.put(fragment.head);
        fragment.payload.into_iter().for_each(|data| message.put(data));
        Ok(message.freeze())
    }

    fn head(&self, message: &mut BytesMut, time: Utc) {
        message.put_u8(self.index);
        message.put_u64(u64::try_from(time.as_micros()).unwrap_or(0));
    }

    /// What the sound's own bytes say of its length.
    fn exact_duration(&self, unit: &AccessUnit) -> Option<u32> {
        match *self.format {
            Format::Aac { .. } => Some(1_024),
            Format::Opus { .. } => opus::packet_samples(&unit.data).ok(),
            _ => None,
        }
    }
}
