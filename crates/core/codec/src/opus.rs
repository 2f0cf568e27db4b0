//! Opus packets' lengths (RFC 6716 §3.1) and `dOps` (Opus in ISOBMFF §4.3.2).

use crate::error::{Error, Result};

/// Ticks a second of Opus time, whatever the encoder was given.
pub const SAMPLE_RATE: u32 = 48_000;
/// Longest packet: 120 ms.
const PACKET_SAMPLES_MAX: u32 = 5_760;
/// Bytes of `dOps` with mapping family 0.
const DOPS_BYTES: usize = 11;

/// Samples at 48 kHz of one packet, by its TOC byte.
pub fn packet_samples(packet: &[u8]) -> Result<u32> {
    let toc = *packet.first().ok_or(Error::Truncated { what: "Opus packet" })?;
    let frame = match toc >> 3 {
        silk @ 0..12 => [480, 960, 1920, 2880][usize::from(silk & 3)],
        hybrid @ 12..16 => [480, 960][usize::from(hybrid & 1)],
        celt => [120, 240, 480, 960][usize::from(celt & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1).ok_or(Error::Truncated { what: "Opus packet" })? & 0x3f),
    };
    match frame * frames {
        samples @ 1..=PACKET_SAMPLES_MAX => Ok(samples),
        other => Err(Error::OutOfRange { what: "length of Opus packet", value: u64::from(other) }),
    }
}

/// Writes the body of `dOps` for one or two channels.
pub fn dops_build(channels: u8) -> Result<[u8; DOPS_BYTES]> {
    if !matches!(channels, 1 | 2) {
        return Err(Error::OutOfRange { what: "channels of Opus", value: u64::from(channels) });
    }
    // No pre-skip: recording begins in the middle of a stream, so there is no encoder start to cut.
    let mut body = [0; DOPS_BYTES];
    body[1] = channels;
    body[4..8].copy_from_slice(&SAMPLE_RATE.to_be_bytes());
    Ok(body)
}

/// Channels that the body of `dOps` names.
pub fn dops_parse(body: &[u8]) -> Result<u8> {
    if body.len() < DOPS_BYTES {
        return Err(Error::Truncated { what: "dOps" });
    }
    match (body[0], body[1]) {
        (0, channels @ 1..=2) => Ok(channels),
        (0, channels) => Err(Error::OutOfRange { what: "channels of Opus", value: u64::from(channels) }),
        _ => Err(Error::Unsupported { what: "version of dOps" }),
    }
}
