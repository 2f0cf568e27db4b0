//! The exact head of a cut: the worker encodes anew the pictures from the asked instant up to the next entry point, so
//! that nothing before it is inside the file.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use varde_api::codes::ProblemCode;
use varde_codec::{AccessUnit, Format, UnitFlags};
use varde_fmp4::Sample;
use varde_http::Problem;
use varde_units::{Mono, Utc};

use super::layout::{Part, Source, TrackParts, filtered};
use super::source;
use crate::gateway::Gateway;
use crate::problem::limit_reached;
use crate::recorder::Recorder;

/// Pictures and bytes of one group of pictures that the worker is given.
const PICTURES_MAX: usize = 3_000;
const BYTES_MAX: u64 = 64 << 20;
/// The units' own clock begins here; only differences count.
const CLOCK_START: Duration = Duration::from_secs(3_600);
/// What times lose on their way through microseconds, at the most.
const ROUNDING_NANOS: i64 = 1_000_000;

/// Replaces what comes before the first entry point behind `start` by newly encoded pictures from `start` on.
pub(super) async fn make_exact(gateway: &Gateway, track: &mut TrackParts, start: Utc) -> Result<(), Problem> {
    let shown: Vec<(Utc, bool)> = track.parts.iter().flat_map(shown).collect();
    let begin = shown.iter().rposition(|&(at, sync)| sync && at <= start).unwrap_or(0);
    if shown.get(begin).is_none_or(|&(at, _)| at >= start) {
        track.parts = filtered(&track.parts, |number, _| number >= begin);
        return Ok(());
    }
    let behind = shown.iter().skip(begin + 1).position(|&(_, sync)| sync);
    let end = behind.map_or(shown.len(), |behind| begin + 1 + behind);
    let wanted = shown[begin..end].iter().filter(|&&(at, _)| at >= start).count();
    // Pictures that lead the next entry point lean on the group before it, and are encoded anew with that.
    let leading = track.parts.iter().flat_map(|part| &part.samples).skip(end + 1);
    let head_end = match leading.take_while(|sample| sample.flags.leading).count() {
        0 => end,
        count => end + 1 + count,
    };
    let head = filtered(&track.parts, |number, _| (begin..head_end).contains(&number));
    track.parts = filtered(&track.parts, |number, _| number == end || number >= head_end);
    if wanted == 0 {
        return Ok(());
    }
    let vision = gateway
        .0
        .vision
        .clone()
        .ok_or_else(|| refused("This server has no worker that could encode the beginning anew."))?;
    let (format, origin, epoch) = (head[0].format.clone(), head[0].start, head[0].epoch);
    let units = units(&*gateway.0.recorder, &head, origin).await?;
    let from =
        (Mono::ZERO + CLOCK_START).offset_nanos(start.signed_micros_since(origin).saturating_mul(1_000));
    let mut made = vision.head(&format, units, from).await.map_err(|error| {
        tracing::warn!(%error, "an exact head can't be made");
        refused("The beginning can't be encoded anew.")
    })?;
    if let Some(&(at, _)) = shown.get(end) {
        // The entry point itself passes as it is.
        let limit = (Mono::ZERO + CLOCK_START)
            .offset_nanos(at.signed_micros_since(origin).saturating_mul(1_000) - ROUNDING_NANOS);
        made.1.retain(|unit| unit.time < limit);
    }
    let next = next_entry_point(&*gateway.0.recorder, track).await?;
    if let Some(part) = part_of(made, origin, epoch, next) {
        track.parts.insert(0, part);
    }
    Ok(())
}

/// Where what was encoded anew ends, and by how many ticks the pictures from there on are shown after their decoding.
type Next = Option<(Utc, i32)>;

/// Gives the first picture behind the head its parameter sets, since the head's differ: readers that take those of the
/// sample description alone would misread it.
async fn next_entry_point(recorder: &dyn Recorder, track: &mut TrackParts) -> Result<Next, Problem> {
    let mut parts = filtered(&track.parts, |number, _| number == 0);
    let Some((part, sample)) = parts.first_mut().and_then(|part| {
        let sample = *part.samples.first()?;
        Some((part, sample))
    }) else {
        return Ok(None);
    };
    let next = (part.start, sample.composition_offset);
    let data = match &part.source {
        Source::Memory(data) => data.clone(),
        Source::File { file, offset, bytes } => source::read(recorder, file, *offset, *bytes).await?,
    };
    let data = with_parameter_sets(&part.format, &data);
    part.samples[0].bytes = u32::try_from(data.len()).map_err(|error| Problem::internal(&error))?;
    part.source = Source::Memory(data);
    parts.extend(filtered(&track.parts, |number, _| number > 0));
    track.parts = parts;
    Ok(Some(next))
}

/// A picture with the parameter sets of its format before it.
fn with_parameter_sets(format: &Format, data: &Bytes) -> Bytes {
    let sets: Vec<&Bytes> = match format {
        Format::H264 { sps, pps, .. } => std::iter::once(sps).chain(pps).collect(),
        Format::H265 { vps, sps, pps, .. } => vps.iter().chain([sps]).chain(pps).collect(),
        _ => return data.clone(),
    };
    let mut all = BytesMut::with_capacity(data.len() + sets.iter().map(|set| 4 + set.len()).sum::<usize>());
    for set in sets {
        // A parameter set of a format has at most a few thousand bytes.
        all.extend_from_slice(&(set.len() as u32).to_be_bytes());
        all.extend_from_slice(set);
    }
    all.extend_from_slice(data);
    all.freeze()
}

fn refused(sentence: &str) -> Problem {
    Problem::new(ProblemCode::CodecNotSupported, sentence).hint("Ask for `head=keyframe`.")
}

/// When each sample is shown, and whether decoding can begin there.
fn shown(part: &Part) -> impl Iterator<Item = (Utc, bool)> {
    let scale = i128::from(part.format.timescale().max(1));
    let mut ticks = 0i128;
    part.samples.iter().map(move |sample: &Sample| {
        let micros = (ticks + i128::from(sample.composition_offset)) * 1_000_000 / scale;
        ticks += i128::from(sample.duration);
        let at = part.start.offset_micros(i64::try_from(micros).unwrap_or(i64::MAX));
        (at, sample.flags.sync)
    })
}

/// The group of pictures with its bytes, on a clock of its own.
async fn units(recorder: &dyn Recorder, parts: &[Part], origin: Utc) -> Result<Vec<AccessUnit>, Problem> {
    let count: usize = parts.iter().map(|part| part.samples.len()).sum();
    let bytes: u64 = parts.iter().flat_map(|part| &part.samples).map(|sample| u64::from(sample.bytes)).sum();
    if count > PICTURES_MAX || bytes > BYTES_MAX {
        return Err(limit_reached("exact_head_pictures_max", PICTURES_MAX));
    }
    let mut units = Vec::with_capacity(count);
    for part in parts {
        let mut data = match &part.source {
            Source::Memory(data) => data.clone(),
            Source::File { file, offset, bytes } => source::read(recorder, file, *offset, *bytes).await?,
        };
        let nanos = |ticks: i128| {
            let nanos = ticks * 1_000_000_000 / i128::from(part.format.timescale().max(1));
            i64::try_from(nanos).unwrap_or(i64::MAX)
        };
        let begin = (Mono::ZERO + CLOCK_START)
            .offset_nanos(part.start.signed_micros_since(origin).saturating_mul(1_000));
        let mut ticks = 0i128;
        for sample in &part.samples {
            let decode_time = begin.offset_nanos(nanos(ticks));
            ticks += i128::from(sample.duration);
            let own = data.split_to((sample.bytes as usize).min(data.len()));
            units.push(AccessUnit {
                sequence: units.len() as u64,
                time: decode_time.offset_nanos(nanos(i128::from(sample.composition_offset))),
                decode_time,
                received: decode_time,
                camera_time: None,
                flags: UnitFlags {
                    entry_point: sample.flags.sync,
                    skipped_after_seek: sample.flags.leading,
                    disposable: sample.flags.disposable,
                    after_loss: false,
                },
                data: own,
            });
        }
    }
    Ok(units)
}

/// What the worker made, as a part; each sample lasts up to the next, the last up to what follows. All of them are
/// decoded as much before they are shown as what follows, so that decode times go on evenly.
fn part_of((format, units): (Format, Vec<AccessUnit>), origin: Utc, epoch: u32, next: Next) -> Option<Part> {
    let clock = Mono::ZERO + CLOCK_START;
    let scale = i128::from(format.timescale());
    let ticks = |nanos: i64| i128::from(nanos) * scale / 1_000_000_000;
    let first = units.first()?;
    let delay = next.map_or(0, |(_, delay)| delay).max(0);
    let delay_micros = i64::from(delay) * 1_000_000 / i64::from(format.timescale().max(1));
    let start = origin.offset_micros(first.decode_time.signed_nanos_since(clock) / 1_000 - delay_micros);
    let end_ticks = next.map(|(end, _)| i128::from(end.signed_micros_since(start)) * scale / 1_000_000);
    let mut data = BytesMut::new();
    let mut samples = Vec::with_capacity(units.len());
    for (index, unit) in units.iter().enumerate() {
        let at = ticks(unit.decode_time.signed_nanos_since(first.decode_time));
        let next =
            units.get(index + 1).map(|next| ticks(next.decode_time.signed_nanos_since(first.decode_time)));
        let duration = next.or(end_ticks).map_or(scale / 25, |next| next - at);
        let own = if index == 0 { with_parameter_sets(&format, &unit.data) } else { unit.data.clone() };
        data.extend_from_slice(&own);
        samples.push(Sample {
            duration: u32::try_from(duration.max(1)).unwrap_or(u32::MAX),
            composition_offset: i32::try_from(ticks(unit.time.signed_nanos_since(unit.decode_time)))
                .unwrap_or(0)
                .saturating_add(delay),
            bytes: u32::try_from(own.len()).ok()?,
            flags: unit.flags.into(),
        });
    }
    Some(Part { source: Source::Memory(data.freeze()), start, epoch, format: Arc::new(format), samples })
}
