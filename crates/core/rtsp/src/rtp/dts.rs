//! Decode times for streams that tell presentation times alone, as RTP does.
//!
//! With a reorder depth of d, the decode time of a picture is the smallest of the d + 1 largest presentation times so
//! far: never after its own, and rising. Streams without B-frames (d = 0) decode when they present, at no delay.

use std::time::Duration;

use varde_units::Mono;

/// Pictures that may come before one that is presented earlier: the bound of both codecs.
const DEPTH_MAX: usize = 16;
/// The least step between two decode times: a tick of the slowest sample clock, 8 kHz.
const STEP: Duration = Duration::from_micros(125);
/// What is learnt at the most. Timestamps further behind are disorder, not reordering.
const DEPTH_LEARNT_MAX: usize = 4;
/// What one picture lasts, while only one is known.
const INTERVAL_ASSUMED: Duration = Duration::from_millis(40);

/// Derives decode times of one stream.
#[derive(Debug)]
pub struct DecodeTimes {
    depth: usize,
    /// The largest presentation times so far, rising; at most `DEPTH_MAX + 1` of them.
    latest: Vec<Mono>,
    last: Option<Mono>,
}

impl Default for DecodeTimes {
    fn default() -> Self {
        Self::new(0)
    }
}

impl DecodeTimes {
    /// `depth` is `max_num_reorder_frames` (or `sps_max_num_reorder_pics`) where the stream tells it, else 0: more is
    /// learnt from the pictures.
    pub fn new(depth: u8) -> Self {
        Self { depth: usize::from(depth).min(DEPTH_MAX), latest: Vec::new(), last: None }
    }

    /// The stream's own word on its depth, with a new format.
    pub fn set_depth(&mut self, depth: u8) {
        self.depth = usize::from(depth).min(DEPTH_MAX);
    }

    pub fn depth(&self) -> u8 {
        self.depth as u8
    }

    /// The clock was set anew: times begin again, yet never before what was given.
    pub fn restart(&mut self) {
        self.latest.clear();
    }

    /// Times of the next picture in decoding order: (presentation, decode). Presentation comes back as it was given,
    /// unless it is not after the last decode time: then the depth was too small, is raised, and this picture is
    /// presented a little late.
    pub fn on_picture(&mut self, time: Mono) -> (Mono, Mono) {
        if self.latest.is_empty() {
            // The times that pictures before the first would have had.
            let before = (1..=DEPTH_MAX as u32).rev().map(|index| time - INTERVAL_ASSUMED * index);
            self.latest.extend(before);
        }
        let place = self.latest.partition_point(|&other| other <= time);
        let presented_after = self.latest.len() - place;
        self.latest.insert(place, time);
        if self.latest.len() > DEPTH_MAX + 1 {
            self.latest.remove(0);
        }
        if presented_after > self.depth && presented_after <= DEPTH_LEARNT_MAX {
            self.depth = presented_after;
        }
        let floor = self.last.map_or(Mono::ZERO, |last| last + STEP);
        let decode = self.latest[self.latest.len() - 1 - self.depth].min(time).max(floor);
        self.last = Some(decode);
        (time.max(decode), decode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(10_000_000_000 + millis * 1_000_000)
    }

    fn run(times: &mut DecodeTimes, pictures: impl IntoIterator<Item = u64>) -> Vec<(Mono, Mono, Mono)> {
        let mut last = None;
        pictures
            .into_iter()
            .map(|millis| {
                let (time, decode) = times.on_picture(at(millis));
                assert!(decode <= time, "{millis}");
                assert!(last.is_none_or(|last| last < decode), "{millis}: decode times rise");
                last = Some(decode);
                (at(millis), time, decode)
            })
            .collect()
    }

    #[test]
    fn without_reordering_decoding_is_presenting() {
        for (given, time, decode) in run(&mut DecodeTimes::new(0), (0..100).map(|index| index * 40)) {
            assert_eq!((time, decode), (given, given));
        }
    }

    /// Decoding order of groups I B B P … with a pyramid: presentation indices.
    const PYRAMID: [u64; 9] = [0, 4, 2, 1, 3, 8, 6, 5, 7];

    #[test]
    fn a_told_depth_leaves_presentation_alone_from_the_first_picture() {
        let check = |depth, order: &[u64]| {
            let pictures =
                (0..20u64).flat_map(|group| order.iter().map(move |index| (group * 9 + index) * 40));
            for (given, time, decode) in run(&mut DecodeTimes::new(depth), pictures) {
                assert_eq!(time, given);
                assert!(given.since(decode) <= Duration::from_millis(40 * 8));
            }
        };
        check(2, &PYRAMID);
        check(1, &[0, 2, 1, 4, 3, 6, 5, 8, 7]);
        check(3, &PYRAMID); // More than needed only adds delay.
    }

    #[test]
    fn an_untold_depth_is_learnt() {
        let mut times = DecodeTimes::new(0);
        let pictures = (0..20u64).flat_map(|group| PYRAMID.map(|index| (group * 9 + index) * 40));
        let late = run(&mut times, pictures).iter().filter(|(given, time, _)| given != time).count();
        assert!(late <= 4, "{late} pictures were presented late");
        assert_eq!(times.depth(), 2);
    }

    #[test]
    fn times_that_stand_still_or_jump_back_still_rise() {
        let mut times = DecodeTimes::new(0);
        run(&mut times, [0, 0, 0, 40, 20, 0, 80, 3, 5000, 100, 60, 120, 140]);
        times.restart();
        run(&mut times, [10_000, 10_040]);
        assert!(times.depth() <= 4, "disorder is no reordering");
    }
}
