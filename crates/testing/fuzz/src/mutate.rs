//! Makes inputs out of inputs: bits, bytes, lengths, interesting numbers, pieces of others, words of the format.

use crate::random::Random;

/// Inputs grow no further than this.
const INPUT_BYTES_MAX: usize = 64 << 10;

/// Numbers at which parsers break.
const INTERESTING: [u64; 18] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    16,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// Mutates inputs of one target.
#[derive(Debug)]
pub struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
    /// Words of the format, inserted and written over.
    words: &'a [&'a [u8]],
    random: Random,
}

impl<'a> Mutator<'a> {
    pub fn new(corpus: &'a [Vec<u8>], words: &'a [&'a [u8]], seed: u64) -> Self {
        Self { corpus, words, random: Random::new(seed) }
    }

    /// Makes the next input in `out`.
    pub fn next_into(&mut self, out: &mut Vec<u8>) {
        out.clear();
        match self.random.choose(self.corpus) {
            Some(seed) if !self.random.one_in(50) => out.extend_from_slice(seed),
            _ => {
                let count = self.random.below(300);
                out.extend(std::iter::repeat_with(|| self.random.number() as u8).take(count));
            }
        }
        // Mostly few changes: many leave nothing that a parser would follow.
        let changes = 1 + self.random.below(4) * self.random.below(4);
        for _ in 0..changes {
            self.change(out);
        }
        out.truncate(INPUT_BYTES_MAX);
    }

    fn change(&mut self, out: &mut Vec<u8>) {
        let at = self.random.below(out.len() + 1);
        let span = 1 + self.random.below(self.random_scale(out.len()));
        match self.random.below(12) {
            0 | 1 => {
                if let Some(byte) = out.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
            2 => {
                if let Some(byte) = out.get_mut(at) {
                    *byte = self.random.number() as u8;
                }
            }
            3 | 4 => self.write_number(out, at),
            5 => self.edit_number(out, at),
            6 => drop(out.drain(at..(at + span).min(out.len()))),
            7 => {
                let piece: Vec<u8> = out[at..(at + span).min(out.len())].to_vec();
                let to = self.random.below(out.len() + 1);
                out.splice(to..to, piece);
            }
            8 => out.truncate(at),
            9 => self.splice(out, at),
            10 => {
                if let Some(word) = self.random.choose(self.words) {
                    let over = if self.random.one_in(2) { word.len() } else { 0 };
                    out.splice(at..(at + over).min(out.len()), word.iter().copied());
                }
            }
            _ => {
                let byte = self.random.number() as u8;
                out.splice(at..at, std::iter::repeat_n(byte, span));
            }
        }
    }

    /// Mostly small spans, now and then large ones.
    fn random_scale(&self, length: usize) -> usize {
        let mut random = self.random.clone();
        if random.one_in(8) { length.max(1) } else { 16 }
    }

    /// An interesting number in one to eight bytes, big-endian mostly.
    fn write_number(&mut self, out: &mut [u8], at: usize) {
        let width = [1, 2, 3, 4, 8][self.random.below(5)];
        let value = INTERESTING[self.random.below(INTERESTING.len())];
        self.put(out, at, width, value);
    }

    /// A number that stands there, moved a little: lengths that are off by one.
    fn edit_number(&mut self, out: &mut [u8], at: usize) {
        let width = [1, 2, 4][self.random.below(3)];
        let Some(bytes) = out.get(at..at + width) else { return };
        let value = bytes.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let value = match self.random.below(4) {
            0 => value.wrapping_add(1),
            1 => value.wrapping_sub(1),
            2 => value.wrapping_add(self.random.below(32) as u64),
            // What follows, as a length would say it.
            _ => (out.len() - at - width) as u64,
        };
        self.put(out, at, width, value);
    }

    fn put(&mut self, out: &mut [u8], at: usize, width: usize, value: u64) {
        let bytes = value.to_be_bytes();
        let mut bytes = bytes[8 - width..].to_vec();
        if self.random.one_in(5) {
            bytes.reverse();
        }
        if let Some(place) = out.get_mut(at..at + width) {
            place.copy_from_slice(&bytes);
        }
    }

    /// The head of this input and the tail of another.
    fn splice(&mut self, out: &mut Vec<u8>, at: usize) {
        let Some(other) = self.random.choose(self.corpus) else { return };
        let from = self.random.below(other.len() + 1);
        let to = from + self.random.below(other.len() - from + 1);
        let end = if self.random.one_in(2) { out.len() } else { at };
        out.splice(at..end, other[from..to].iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_depends_on_its_seed_alone() {
        let corpus = vec![b"one input".to_vec(), vec![7; 300], Vec::new()];
        let inputs = |seed| {
            let mut mutator = Mutator::new(&corpus, &[b"word"], seed);
            let mut input = Vec::new();
            let mut all = Vec::new();
            for _ in 0..500 {
                mutator.next_into(&mut input);
                all.push(input.clone());
            }
            all
        };
        assert_eq!(inputs(3), inputs(3));
        assert_ne!(inputs(3), inputs(4));
        assert!(inputs(3).iter().all(|input| input.len() <= INPUT_BYTES_MAX));
    }
}
