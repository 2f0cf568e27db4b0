//! Randomness from the cryptographic generator of the process.

use aws_lc_rs::rand;

/// `N` unpredictable bytes.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system has randomness once it is up");
    bytes
}

/// Fills `bytes` with unpredictable ones.
pub fn random_fill(bytes: &mut [u8]) {
    rand::fill(bytes).expect("the operating system has randomness once it is up");
}

/// The random part of a new identifier.
pub fn identifier_random() -> [u8; 10] {
    random_bytes()
}

/// Uniform in `0..=limit`.
pub fn random_below_or_equal(limit: u64) -> u64 {
    let Some(count) = limit.checked_add(1) else { return u64::from_le_bytes(random_bytes()) };
    // Values past the last whole multiple of `count` would favour small results; draw again.
    let fair_end = u64::MAX - u64::MAX % count;
    loop {
        let value = u64::from_le_bytes(random_bytes());
        if value < fair_end {
            return value % count;
        }
    }
}

/// A token of 256 bits in 43 characters of the URL-safe base64 alphabet.
pub fn random_token() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bytes = random_bytes::<43>();
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_their_limit_and_reach_both_ends() {
        let draws: Vec<u64> = (0..500).map(|_| random_below_or_equal(3)).collect();
        for value in 0..=3 {
            assert!(draws.contains(&value), "{value} never came in 500 draws");
        }
        assert!(draws.iter().all(|&value| value <= 3));
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(random_token(), random_token());
        assert_eq!(random_token().len(), 43);
    }
}
