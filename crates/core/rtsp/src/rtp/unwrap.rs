//! Timestamps of 32 bits that wrap, counted on as 64 bits.

/// Extends wrapping 32-bit timestamps. The low 32 bits of a result are always the timestamp itself.
#[derive(Clone, Debug, Default)]
pub struct Unwrapper {
    last: Option<i64>,
}

impl Unwrapper {
    /// The value nearest to the last one, so that order may be disturbed by up to 2³¹ ticks.
    pub fn on_timestamp(&mut self, timestamp: u32) -> i64 {
        let value = match self.last {
            None => i64::from(timestamp),
            Some(last) => Self::near(last, timestamp),
        };
        self.last = Some(value);
        value
    }

    /// What `timestamp` means when it stands near `reference`.
    pub fn near(reference: i64, timestamp: u32) -> i64 {
        let step = timestamp.wrapping_sub(reference as u32) as i32;
        reference.saturating_add(i64::from(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_forward_and_back() {
        let mut unwrapper = Unwrapper::default();
        let check = |unwrapper: &mut Unwrapper, timestamp: u32, value: i64| {
            assert_eq!(unwrapper.on_timestamp(timestamp), value);
            assert_eq!(value as u32, timestamp);
        };
        check(&mut unwrapper, u32::MAX - 1, (1 << 32) - 2);
        check(&mut unwrapper, 3, (1 << 32) + 3);
        check(&mut unwrapper, u32::MAX, (1 << 32) - 1); // A B-frame before the wrap.
        check(&mut unwrapper, 5, (1 << 32) + 5);
    }
}
