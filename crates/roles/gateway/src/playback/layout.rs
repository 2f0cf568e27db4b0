//! Where every sample of a cut stands in the movie's time: picture leads, sound follows.
//!
//! No bytes and no waiting here: samples and instants in, samples with corrected durations out.

use std::sync::Arc;

use bytes::Bytes;
use varde_api::media::TrackKind;
use varde_api_internal::recorder::PlanFile;
use varde_codec::Format;
use varde_fmp4::{FragmentSample, Sample};
use varde_units::Utc;

/// What is missing for longer is left out of the movie; what is shorter is bridged by the sample before it.
const BRIDGED_MICROS_MAX: i64 = 1_000_000;
/// Sound may begin before or end behind the pictures that it belongs to by this much.
const SOUND_SLACK_MICROS: i64 = 20_000;

/// Where the bytes of a part are.
#[derive(Clone, Debug)]
pub(super) enum Source {
    File { file: Arc<PlanFile>, offset: u64, bytes: u64 },
    Memory(Bytes),
}

/// Samples of one track that lie together and follow each other.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) source: Source,
    /// When the first is decoded.
    pub(super) start: Utc,
    pub(super) epoch: u32,
    pub(super) format: Arc<Format>,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(super) struct TrackParts {
    pub(super) kind: TrackKind,
    pub(super) parts: Vec<Part>,
}

/// A track of the movie.
#[derive(Debug)]
pub(super) struct LaidTrack {
    pub(super) format: Arc<Format>,
    /// What the movie shows first, from the first sample's decode time; negative where the track begins later.
    pub(super) start_ticks: i64,
}

#[derive(Debug)]
pub(super) struct Layout {
    /// When the first picture was.
    pub(super) start: Utc,
    pub(super) tracks: Vec<LaidTrack>,
    /// Parts in the order of the file, each with its track's index.
    pub(super) parts: Vec<(usize, Part)>,
    pub(super) gaps: Vec<(Utc, Utc)>,
}

impl Part {
    fn ticks(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    pub(super) fn end(&self) -> Utc {
        self.start.offset_micros(to_micros(self.ticks(), &self.format))
    }
}

pub(super) fn to_micros(ticks: u64, format: &Format) -> i64 {
    let micros = u128::from(ticks) * 1_000_000 / u128::from(format.timescale().max(1));
    i64::try_from(micros).unwrap_or(i64::MAX)
}

fn to_ticks(micros: i64, format: &Format) -> i64 {
    let ticks = i128::from(micros) * i128::from(format.timescale()) / 1_000_000;
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

impl TrackParts {
    /// Adds the next sample, to the last part where it follows it byte by byte and moment by moment.
    pub(super) fn push(
        &mut self,
        file: &Arc<PlanFile>,
        format: &Arc<Format>,
        at: Utc,
        offset: u64,
        sample: &FragmentSample,
    ) {
        let own = Sample {
            duration: sample.duration,
            composition_offset: sample.composition_offset,
            bytes: sample.bytes,
            flags: sample.flags,
        };
        if let Some(last) = self.parts.last_mut()
            && let Source::File { file: of, offset: from, bytes } = &mut last.source
            && Arc::ptr_eq(of, file)
            && from.checked_add(*bytes) == Some(offset)
        {
            *bytes = bytes.saturating_add(u64::from(sample.bytes));
            last.samples.push(own);
            return;
        }
        self.parts.push(Part {
            source: Source::File { file: file.clone(), offset, bytes: u64::from(sample.bytes) },
            start: at,
            epoch: file.epoch,
            format: format.clone(),
            samples: vec![own],
        });
    }
}

/// The samples that `keep` takes, by their number over all parts; what lies together stays together.
pub(super) fn filtered(parts: &[Part], mut keep: impl FnMut(usize, &Sample) -> bool) -> Vec<Part> {
    let mut list: Vec<Part> = Vec::new();
    let mut number = 0;
    for part in parts {
        let (mut ticks, mut passed) = (0u64, 0u64);
        let mut open = false;
        for sample in &part.samples {
            let kept = keep(number, sample);
            number += 1;
            if kept && !open {
                let source = part.source.from(passed);
                let start = part.start.offset_micros(to_micros(ticks, &part.format));
                list.push(Part { source, start, samples: Vec::new(), ..part.clone() });
            }
            open = kept;
            if let Some(last) = list.last_mut().filter(|_| kept) {
                last.source.extend(&part.source, passed, u64::from(sample.bytes));
                last.samples.push(*sample);
            }
            passed += u64::from(sample.bytes);
            ticks += u64::from(sample.duration);
        }
    }
    list
}

impl Source {
    /// An empty source that begins `passed` bytes behind this one.
    fn from(&self, passed: u64) -> Self {
        match self {
            Self::File { file, offset, .. } => {
                Self::File { file: file.clone(), offset: offset.saturating_add(passed), bytes: 0 }
            }
            Self::Memory(_) => Self::Memory(Bytes::new()),
        }
    }

    /// Takes in the next `more` bytes, which stand `passed` bytes behind the beginning of `whole`.
    fn extend(&mut self, whole: &Self, passed: u64, more: u64) {
        match (self, whole) {
            (Self::File { bytes, .. }, _) => *bytes = bytes.saturating_add(more),
            (Self::Memory(bytes), Self::Memory(whole)) => {
                let begin = usize::try_from(passed).unwrap_or(usize::MAX).min(whole.len()) - bytes.len();
                let end = begin.saturating_add(bytes.len()).saturating_add(more as usize).min(whole.len());
                *bytes = whole.slice(begin..end);
            }
            (Self::Memory(_), Self::File { .. }) => {}
        }
    }
}

/// A stretch without a long gap, and where it begins in the movie.
#[derive(Clone, Copy, Debug)]
struct Span {
    epoch: u32,
    start: Utc,
    end: Utc,
    movie_start: i64,
}

fn spans(parts: &[Part]) -> Vec<Span> {
    let mut list: Vec<Span> = Vec::new();
    for part in parts {
        let end = part.end();
        match list.last_mut() {
            Some(last)
                if last.epoch == part.epoch
                    && part.start.signed_micros_since(last.end).abs() <= BRIDGED_MICROS_MAX =>
            {
                last.end = last.end.max(end);
            }
            last => {
                let movie_start =
                    last.map_or(0, |last| last.movie_start + last.end.signed_micros_since(last.start));
                list.push(Span { epoch: part.epoch, start: part.start, end, movie_start });
            }
        }
    }
    list
}

/// The instant's place in the movie; `None` inside a gap that was left out.
fn movie_micros(spans: &[Span], epoch: u32, at: Utc) -> Option<i64> {
    let holds = |span: &&Span| {
        at.signed_micros_since(span.start) >= -SOUND_SLACK_MICROS
            && at.signed_micros_since(span.end) < SOUND_SLACK_MICROS
    };
    let mut holding = spans.iter().filter(holds);
    let first = holding.clone().find(|span| span.epoch == epoch).or_else(|| holding.next())?;
    Some(first.movie_start + at.signed_micros_since(first.start))
}

/// Lays the tracks out; `None` where there is nothing. The first with anything in it leads: the picture, if there is
/// one. Without one, sound begins at `start`.
pub(super) fn lay(tracks: Vec<TrackParts>, start: Utc) -> Option<Layout> {
    let mut tracks: Vec<TrackParts> = tracks.into_iter().filter(|track| !track.parts.is_empty()).collect();
    let leader = tracks.first_mut()?;
    if leader.kind == TrackKind::Audio {
        leader.parts.retain(|part| part.end() > start);
    }
    let first = leader.parts.first()?;
    let spans = spans(&leader.parts);
    let gaps = spans.windows(2).map(|pair| (pair[0].end, pair[1].start)).collect();
    // A picture that is shown later than it is decoded is the movie's first moment all the same.
    let shown_ticks = first.samples.first().map_or(0, |sample| i64::from(sample.composition_offset)).max(0);
    let shown_micros = to_micros(shown_ticks.unsigned_abs(), &first.format);
    let shown = first.start.offset_micros(shown_micros);
    let mut laid = Vec::new();
    let mut parts: Vec<(i64, usize, Part)> = Vec::new();
    for (index, track) in tracks.into_iter().enumerate() {
        let mut placed: Vec<(i64, Part)> = track
            .parts
            .into_iter()
            .flat_map(|part| if index == 0 { vec![part] } else { from_instant(part, shown) })
            .filter_map(|part| Some((movie_micros(&spans, part.epoch, part.start)?, part)))
            .collect();
        // Order is the movie's: a clock that was set back is in the spans already.
        placed.sort_by_key(|(at, _)| *at);
        let Some((origin, first)) = placed.first() else { continue };
        let (origin, format) = (*origin, first.format.clone());
        let start_ticks =
            if index == 0 { shown_ticks } else { -to_ticks((origin - shown_micros).max(0), &format) };
        correct(&mut placed, origin);
        let number = laid.len();
        laid.push(LaidTrack { format, start_ticks });
        parts.extend(placed.into_iter().map(|(at, part)| (at, number, part)));
    }
    parts.sort_by_key(|(at, track, _)| (*at, *track));
    let parts = parts.into_iter().map(|(_, track, part)| (track, part)).collect();
    Some(Layout { start: shown, tracks: laid, parts, gaps })
}

/// The part without its samples before an instant.
fn from_instant(part: Part, instant: Utc) -> Vec<Part> {
    let early = instant.signed_micros_since(part.start);
    if early <= 0 {
        return vec![part];
    }
    let format = part.format.clone();
    let mut ticks = 0u64;
    filtered(&[part], |_, sample| {
        let before = to_micros(ticks, &format);
        ticks += u64::from(sample.duration);
        before >= early
    })
}

/// Lengthens or shortens the last sample of each part so that the next part begins when it should.
fn correct(placed: &mut [(i64, Part)], origin: i64) {
    let mut passed = 0i64;
    for index in 0..placed.len() {
        let (at, format) = (placed[index].0, placed[index].1.format.clone());
        let due = to_ticks(at - origin, &format);
        if index > 0
            && let Some(last) = placed[index - 1].1.samples.last_mut()
        {
            let wanted = i64::from(last.duration).saturating_add(due - passed);
            let duration = u32::try_from(wanted.max(1)).unwrap_or(u32::MAX);
            passed += i64::from(duration) - i64::from(last.duration);
            last.duration = duration;
        }
        passed += i64::try_from(placed[index].1.ticks()).unwrap_or(i64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use varde_fmp4::SampleFlags;

    use super::*;

    fn at(millis: i64) -> Utc {
        Utc::from_micros(1_800_000_000_000_000 + millis * 1_000)
    }

    /// Ten samples of `ticks` each.
    fn part(format: &Format, start_millis: i64, ticks: u32, epoch: u32) -> Part {
        let sample = Sample { duration: ticks, composition_offset: 0, bytes: 10, flags: SampleFlags::SYNC };
        Part {
            source: Source::Memory(Bytes::from_static(&[0; 100])),
            start: at(start_millis),
            epoch,
            format: Arc::new(format.clone()),
            samples: vec![sample; 10],
        }
    }

    fn video(starts: &[i64]) -> TrackParts {
        let format = Format::Mjpeg { width: 2, height: 2 };
        let parts = starts.iter().map(|&start| part(&format, start, 3_600, 0)).collect();
        TrackParts { kind: TrackKind::Video, parts }
    }

    fn sound(starts: &[i64]) -> TrackParts {
        let format = Format::Alaw { sample_rate: 8_000, channels: 1 };
        let parts = starts.iter().map(|&start| part(&format, start, 320, 0)).collect();
        TrackParts { kind: TrackKind::Audio, parts }
    }

    /// Milliseconds of the movie at which each part of a track begins, by the durations before it.
    fn begins(layout: &Layout, track: usize) -> Vec<i64> {
        let laid = &layout.tracks[track];
        let mut ticks = -laid.start_ticks;
        let own = layout.parts.iter().filter(|(of, _)| *of == track);
        own.map(|(_, part)| {
            let begin = ticks * 1_000 / i64::from(laid.format.timescale());
            ticks += part.ticks() as i64;
            begin
        })
        .collect()
    }

    #[test]
    fn short_gaps_are_bridged_and_long_ones_left_out_of_both_tracks() {
        let starts = [0, 400, 1_100, 10_000, 10_400];
        let layout = lay(vec![video(&starts), sound(&starts)], at(0)).unwrap();
        assert_eq!(begins(&layout, 0), [0, 400, 1_100, 1_500, 1_900]);
        assert_eq!(begins(&layout, 1), begins(&layout, 0), "sound stays with the picture");
        assert_eq!(layout.gaps, [(at(1_500), at(10_000))]);
    }

    #[test]
    fn sound_that_begins_later_or_drifts_stays_within_a_frame() {
        // The microphone's clock is 1 % slow: its parts come 404 ms apart and hold 400 ms.
        let late: Vec<i64> = (0..20).map(|i| 130 + i * 404).collect();
        let pictures: Vec<i64> = (0..21).map(|i| i * 400).collect();
        let layout = lay(vec![video(&pictures), sound(&late)], at(0)).unwrap();
        for (begin, expected) in begins(&layout, 1).iter().zip(&late) {
            assert!((begin - expected).abs() <= 1, "{begin} instead of {expected}");
        }
    }

    #[test]
    fn parts_are_interleaved_by_time() {
        let layout = lay(vec![video(&[0, 400, 800]), sound(&[10, 410])], at(0)).unwrap();
        let order: Vec<usize> = layout.parts.iter().map(|(track, _)| *track).collect();
        assert_eq!(order, [0, 1, 0, 1, 0]);
        assert!(lay(vec![video(&[]), sound(&[])], at(0)).is_none());
    }
}
