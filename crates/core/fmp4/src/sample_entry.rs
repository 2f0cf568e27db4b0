//! Sample entries: how each codec of the table stands in `stsd`, both ways.
//!
//! | codec | entry | configuration |
//! |---|---|---|
//! | H.264, H.265, AV1 | `avc1`, `hvc1`, `av01` | `avcC`, `hvcC`, `av1C` |
//! | MJPEG | `mp4v` | `esds` with object type 0x6C |
//! | AAC | `mp4a` | `esds` with object type 0x40 |
//! | G.711 | `alaw`, `ulaw` | none |
//! | Opus | `Opus` | `dOps` |
//! | metadata | `metx` | namespace of ONVIF's schema |

use bytes::Bytes;
use varde_codec::{Format, aac, av1, h264, h265, opus};

use crate::error::{ReadError, WriteError};
use crate::read::{Children, Fields};
use crate::write::BoxWriter;

const OBJECT_AAC: u8 = 0x40;
const OBJECT_JPEG: u8 = 0x6c;
/// `streamType` in the upper six bits, and one reserved bit.
const STREAM_VISUAL: u8 = 4 << 2 | 1;
const STREAM_AUDIO: u8 = 5 << 2 | 1;
const METADATA_NAMESPACE: &[u8] = b"http://www.onvif.org/ver10/schema";
const DESCRIPTOR_ES: u8 = 3;
const DESCRIPTOR_CONFIG: u8 = 4;
const DESCRIPTOR_SPECIFIC: u8 = 5;
const DESCRIPTOR_SYNC: u8 = 6;

/// Writes the sample entry of a format.
pub(crate) fn write(out: &mut BoxWriter, format: &Format) -> Result<(), WriteError> {
    match format {
        Format::H264 { sps, pps, .. } => {
            let config = h264::avcc_build(sps, pps)?;
            visual(out, b"avc1", format, |out| out.boxed(b"avcC", |out| out.bytes(&config)))
        }
        Format::H265 { vps, sps, pps, .. } => {
            let config = h265::hvcc_build(vps, sps, pps)?;
            visual(out, b"hvc1", format, |out| out.boxed(b"hvcC", |out| out.bytes(&config)))
        }
        Format::Av1 { config, .. } => {
            visual(out, b"av01", format, |out| out.boxed(b"av1C", |out| out.bytes(config)))
        }
        Format::Mjpeg { .. } => {
            visual(out, b"mp4v", format, |out| descriptors(out, OBJECT_JPEG, STREAM_VISUAL, &[]))
        }
        Format::Aac { config, sample_rate, channels } => {
            aac::AudioConfig::parse(config)?;
            audio(out, b"mp4a", *sample_rate, *channels, |out| {
                descriptors(out, OBJECT_AAC, STREAM_AUDIO, config);
            });
            Ok(())
        }
        Format::Alaw { sample_rate, channels } => {
            audio(out, b"alaw", *sample_rate, *channels, |_| ());
            Ok(())
        }
        Format::Ulaw { sample_rate, channels } => {
            audio(out, b"ulaw", *sample_rate, *channels, |_| ());
            Ok(())
        }
        Format::Opus { channels } => {
            let config = opus::dops_build(*channels)?;
            audio(out, b"Opus", opus::SAMPLE_RATE, *channels, |out| {
                out.boxed(b"dOps", |out| out.bytes(&config));
            });
            Ok(())
        }
        Format::Metadata => {
            out.boxed(b"metx", |out| {
                entry_head(out);
                out.u8(0); // No content encoding.
                out.bytes(METADATA_NAMESPACE);
                out.zeros(2); // End of namespace; no schema location.
            });
            Ok(())
        }
    }
}

fn entry_head(out: &mut BoxWriter) {
    out.zeros(6);
    out.u16(1); // data_reference_index
}

fn visual(
    out: &mut BoxWriter,
    kind: &[u8; 4],
    format: &Format,
    configuration: impl FnOnce(&mut BoxWriter),
) -> Result<(), WriteError> {
    let (width, height) = format.dimensions().unwrap_or_default();
    let side = |pixels: u32| u16::try_from(pixels).map_err(|_| WriteError::Full { what: "picture size" });
    let (width, height) = (side(width)?, side(height)?);
    out.boxed(kind, |out| {
        entry_head(out);
        out.zeros(16);
        out.u16(width);
        out.u16(height);
        out.u32(0x0048_0000); // 72 dots an inch,
        out.u32(0x0048_0000); // both ways.
        out.u32(0);
        out.u16(1); // One frame a sample.
        out.zeros(32); // Compressor name.
        out.u16(24); // Depth.
        out.u16(0xffff);
        configuration(out);
    });
    Ok(())
}

fn audio(
    out: &mut BoxWriter,
    kind: &[u8; 4],
    sample_rate: u32,
    channels: u8,
    configuration: impl FnOnce(&mut BoxWriter),
) {
    out.boxed(kind, |out| {
        entry_head(out);
        out.zeros(8);
        out.u16(u16::from(channels));
        out.u16(16);
        out.u32(0);
        // 16.16 fixed point; higher rates stand in the configuration and the timescale alone.
        out.u32(u16::try_from(sample_rate).map_or(0, |rate| u32::from(rate) << 16));
        configuration(out);
    });
}

/// `esds` (ISO/IEC 14496-1 §7.2.6): an ES descriptor around decoder configuration and its specific part.
fn descriptors(out: &mut BoxWriter, object_type: u8, stream_type: u8, specific: &[u8]) {
    // A specific part has at most 64 bytes, so all lengths fit into seven bits.
    let specific_bytes = if specific.is_empty() { 0 } else { 2 + specific.len() as u8 };
    out.full(b"esds", 0, 0, |out| {
        out.bytes(&[DESCRIPTOR_ES, 3 + 2 + 13 + specific_bytes + 3, 0, 1, 0]);
        out.bytes(&[DESCRIPTOR_CONFIG, 13 + specific_bytes, object_type, stream_type]);
        out.zeros(3 + 4 + 4); // Buffer size, maximum and average bit rate: unknown.
        if !specific.is_empty() {
            out.bytes(&[DESCRIPTOR_SPECIFIC, specific.len() as u8]);
            out.bytes(specific);
        }
        out.bytes(&[DESCRIPTOR_SYNC, 1, 2]);
    });
}

/// Reads one sample entry. `timescale` of `mdhd` stands in for a sample rate above 65,535.
pub(crate) fn read(kind: [u8; 4], body: &[u8], timescale: u32) -> Result<Format, ReadError> {
    match &kind {
        b"avc1" | b"avc3" => Ok(h264::avcc_parse(visual_child(body, b"avcC")?)?),
        b"hvc1" | b"hev1" => Ok(h265::hvcc_parse(visual_child(body, b"hvcC")?)?),
        b"av01" => Ok(av1::av1c_parse(Bytes::copy_from_slice(visual_child(body, b"av1C")?))?),
        b"jpeg" | b"mjpg" => Ok(mjpeg(body)?),
        b"mp4v" => match read_descriptors(visual_child(body, b"esds")?)? {
            (OBJECT_JPEG, _) => Ok(mjpeg(body)?),
            _ => Err(ReadError::Unsupported { what: "mp4v of other than JPEG" }),
        },
        b"mp4a" => match read_descriptors(audio_child(body, b"esds")?)? {
            (OBJECT_AAC, config) => Ok(aac::format_from_config(Bytes::copy_from_slice(config))?),
            _ => Err(ReadError::Unsupported { what: "mp4a of other than AAC" }),
        },
        b"alaw" | b"ulaw" => {
            let (channels, sample_rate) = audio_head(body)?;
            let sample_rate = if sample_rate == 0 { timescale } else { sample_rate };
            Ok(match &kind {
                b"alaw" => Format::Alaw { sample_rate, channels },
                _ => Format::Ulaw { sample_rate, channels },
            })
        }
        b"Opus" => Ok(Format::Opus { channels: opus::dops_parse(audio_child(body, b"dOps")?)? }),
        b"metx" => Ok(Format::Metadata),
        _ => Err(ReadError::Unsupported { what: "sample entry" }),
    }
}

const VISUAL_BYTES: usize = 78;
const AUDIO_BYTES: usize = 28;

fn mjpeg(body: &[u8]) -> Result<Format, ReadError> {
    let mut fields = Fields::new(body, "sample entry");
    fields.skip(24)?;
    let (width, height) = (u32::from(fields.u16()?), u32::from(fields.u16()?));
    if width == 0 || height == 0 {
        return Err(ReadError::Malformed { what: "picture size" });
    }
    Ok(Format::Mjpeg { width, height })
}

fn visual_child<'a>(body: &'a [u8], kind: &[u8; 4]) -> Result<&'a [u8], ReadError> {
    let children = body.get(VISUAL_BYTES..).ok_or(ReadError::Truncated { what: "sample entry" })?;
    Children::new(children).find(kind)?.ok_or(ReadError::Missing { what: "decoder configuration" })
}

fn audio_head(body: &[u8]) -> Result<(u8, u32), ReadError> {
    let mut fields = Fields::new(body, "sample entry");
    fields.skip(16)?;
    let channels = u8::try_from(fields.u16()?).ok().filter(|count| (1..=8).contains(count));
    let channels = channels.ok_or(ReadError::Malformed { what: "channel count" })?;
    fields.skip(6)?;
    Ok((channels, fields.u32()? >> 16))
}

fn audio_child<'a>(body: &'a [u8], kind: &[u8; 4]) -> Result<&'a [u8], ReadError> {
    const WHAT: &str = "sample entry";
    // QuickTime's version 1 has 16 more bytes, version 2 has 36 more.
    let version = Fields::new(body.get(8..).ok_or(ReadError::Truncated { what: WHAT })?, WHAT).u16()?;
    let skipped = match version {
        0 => AUDIO_BYTES,
        1 => AUDIO_BYTES + 16,
        _ => return Err(ReadError::Unsupported { what: "version of audio sample entry" }),
    };
    let children = body.get(skipped..).ok_or(ReadError::Truncated { what: WHAT })?;
    let mut found = Children::new(children).find(kind)?;
    if found.is_none()
        && let Some(wave) = Children::new(children).find(b"wave")?
    {
        // QuickTime wraps it once more.
        found = Children::new(wave).find(kind)?;
    }
    found.ok_or(ReadError::Missing { what: "decoder configuration" })
}

/// Object type and decoder specific information of the body of `esds`.
fn read_descriptors(esds: &[u8]) -> Result<(u8, &[u8]), ReadError> {
    const WHAT: &str = "esds";
    let mut fields = Fields::new(esds, WHAT);
    fields.skip(4)?;
    let mut outer = Fields::new(descriptor(&mut fields, DESCRIPTOR_ES)?, WHAT);
    outer.skip(2)?;
    let flags = outer.u8()?;
    if flags & 0x80 != 0 {
        outer.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let length = usize::from(outer.u8()?);
        outer.skip(length)?;
    }
    if flags & 0x20 != 0 {
        outer.skip(2)?;
    }
    let mut config = Fields::new(descriptor(&mut outer, DESCRIPTOR_CONFIG)?, WHAT);
    let object_type = config.u8()?;
    config.skip(12)?;
    let specific = if config.is_empty() { &[][..] } else { descriptor(&mut config, DESCRIPTOR_SPECIFIC)? };
    Ok((object_type, specific))
}

fn descriptor<'a>(fields: &mut Fields<'a>, tag: u8) -> Result<&'a [u8], ReadError> {
    if fields.u8()? != tag {
        return Err(ReadError::Malformed { what: "esds" });
    }
    let mut length = 0usize;
    for _ in 0..4 {
        let byte = fields.u8()?;
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return fields.take(length);
        }
    }
    Err(ReadError::Malformed { what: "esds" })
}
