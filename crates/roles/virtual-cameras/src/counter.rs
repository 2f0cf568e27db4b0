//! The frame counter in the picture: what it looks like and how it is read back from decoded pixels.
//!
//! The topmost 16 rows of a picture carry a strip of 40 equal cells (each `width / 40` pixels wide), black for 0 and
//! white for 1, most significant bit first: 32 bits frame number, then 8 bits CRC (polynomial x⁸+x²+x+1, initial
//! value 0xA5) over the number's four big-endian bytes. Luma is near 28 for black and near 228 for white, so a
//! threshold of 128 reads it, also from a picture that was scaled. Colour is neutral.
//!
//! The number counts the pictures of a stream in the order of display, from zero at the start of the server.
//! In TypeScript, from one row of grey values `row` (take it at y = 8 × height / original height):
//!
//! ```text
//! const bits = Array.from({length: 40}, (_, i) => row[Math.floor((i + 0.5) * row.length / 40)] > 128 ? 1 : 0);
//! const number = bits.slice(0, 32).reduce((n, b) => n * 2 + b, 0);
//! ```

/// Cells of the strip: 32 bits and their check.
pub const CELLS: usize = 40;
/// Height of the strip in pixels of the unscaled picture.
pub const STRIP_HEIGHT: u32 = 16;
/// Luma of a zero and of a one, as they are encoded.
pub(crate) const LUMA: [u8; 2] = [28, 228];

/// The cells for a frame number; `true` is white.
pub fn cells(number: u32) -> [bool; CELLS] {
    let word = u64::from(number) << 8 | u64::from(check(number));
    std::array::from_fn(|cell| word >> (CELLS - 1 - cell) & 1 == 1)
}

/// Reads a strip from one row of luma samples, taken anywhere within its height but best in its middle.
/// `None` when the check does not fit: no strip, or a broken one.
pub fn read_luma(width: usize, row: &[u8]) -> Option<u32> {
    if width < CELLS {
        return None;
    }
    let mut word = 0u64;
    for cell in 0..CELLS {
        let sample = *row.get((2 * cell + 1) * width / (2 * CELLS))?;
        word = word << 1 | u64::from(sample > 128);
    }
    let number = (word >> 8) as u32;
    (check(number) == word as u8).then_some(number)
}

fn check(number: u32) -> u8 {
    number.to_be_bytes().iter().fold(0xa5, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 != 0 { crc << 1 ^ 0x07 } else { crc << 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_reads_at_any_scale_and_a_broken_one_does_not() {
        for number in [0, 1, 4711, 0x8000_0001, u32::MAX] {
            let cells = cells(number);
            for width in [160usize, 640, 853, 1920] {
                let mut row: Vec<u8> =
                    (0..width).map(|x| LUMA[usize::from(cells[x * CELLS / width])]).collect();
                assert_eq!(read_luma(width, &row), Some(number), "{width}");
                let middle = width / 80;
                row[middle] = !row[middle];
                assert_eq!(read_luma(width, &row), None);
            }
        }
        assert_eq!(read_luma(640, &[0; 640]), None);
        assert_eq!(read_luma(640, &[255; 640]), None);
        assert_eq!(read_luma(640, &[255; 8]), None);
    }
}
