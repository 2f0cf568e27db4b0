//! A JPEG image's size by its frame header (ITU-T T.81 Annex B).

use crate::Format;
use crate::error::{Error, Result};

const WHAT: &str = "JPEG image";

/// Width and height in pixels. Walks segments up to the frame header, which must stand before the first scan.
pub fn dimensions(image: &[u8]) -> Result<(u32, u32)> {
    let mut rest = image.strip_prefix(&[0xff, 0xd8]).ok_or(Error::Malformed { what: WHAT })?;
    loop {
        // Any number of fill bytes may stand before a marker.
        let marker = match *rest {
            [0xff, 0xff, ..] => {
                rest = &rest[1..];
                continue;
            }
            [0xff, marker, ..] => marker,
            [0xff] | [] => return Err(Error::Truncated { what: WHAT }),
            _ => return Err(Error::Malformed { what: WHAT }),
        };
        rest = &rest[2..];
        // Markers without a segment: restarts, TEM.
        if matches!(marker, 0x01 | 0xd0..=0xd7) {
            continue;
        }
        if matches!(marker, 0x00 | 0xd8..=0xda) {
            return Err(Error::Malformed { what: WHAT });
        }
        let length = rest.first_chunk::<2>().ok_or(Error::Truncated { what: WHAT })?;
        let length = usize::from(u16::from_be_bytes(*length));
        let segment = rest.get(..length).ok_or(Error::Truncated { what: WHAT })?;
        let body = segment.get(2..).ok_or(Error::Malformed { what: WHAT })?;
        // SOF0 to SOF15 without DHT, JPG and DAC.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let &[_, high_y, low_y, high_x, low_x, ..] = body else {
                return Err(Error::Truncated { what: WHAT });
            };
            let (width, height) = (u16::from_be_bytes([high_x, low_x]), u16::from_be_bytes([high_y, low_y]));
            if width == 0 || height == 0 {
                return Err(Error::OutOfRange { what: "size of JPEG image", value: 0 });
            }
            return Ok((u32::from(width), u32::from(height)));
        }
        rest = &rest[length..];
    }
}

/// The format of a stream of images like this one.
pub fn format_from_image(image: &[u8]) -> Result<Format> {
    let (width, height) = dimensions(image)?;
    Ok(Format::Mjpeg { width, height })
}
