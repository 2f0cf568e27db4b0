//! The media link: length-prefixed messages with access units, from a recorder to whoever shows or analyses them.
//!
//! A message is `u32 length` (of what follows, big-endian), `u8 kind`, then the body. Kinds that a reader does not
//! know are skipped. It travels as the endless body of `GET /internal/v1/streams/{stream}/live`.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use varde_codec::{AccessUnit, Format, UnitFlags};
use varde_units::{Mono, Utc};

/// The longest message: one access unit of 16 MiB and its header.
pub const MESSAGE_BYTES_MAX: usize = (16 << 20) + 1024;

const KIND_FORMAT: u8 = 1;
const KIND_UNIT: u8 = 2;
const KIND_STATE: u8 = 3;

/// A message of the link.
#[derive(Clone, Debug)]
pub enum Message {
    /// Comes before the first unit and whenever the stream's configuration changes.
    Format(Format),
    Unit(AccessUnit),
    /// The source's state changed; after a loss the reader waits for an entry point.
    State(StateMessage),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateMessage {
    /// A code of `varde_api::codes::CameraState`.
    pub state: String,
    #[serde(default)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
}

/// Why a link can't be read on. The reader closes it and connects anew.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LinkError {
    #[error("a message of {length} bytes is over the limit of {MESSAGE_BYTES_MAX}")]
    TooLong { length: usize },
    #[error("a message of kind {kind} is malformed: {what}")]
    Malformed { kind: u8, what: String },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "codec", rename_all = "lowercase")]
enum WireFormat {
    H264 { sps: Vec<u8>, pps: Vec<Vec<u8>>, width: u32, height: u32 },
    H265 { vps: Vec<Vec<u8>>, sps: Vec<u8>, pps: Vec<Vec<u8>>, width: u32, height: u32 },
    Av1 { config: Vec<u8>, width: u32, height: u32 },
    Mjpeg { width: u32, height: u32 },
    Aac { config: Vec<u8>, sample_rate: u32, channels: u8 },
    Alaw { sample_rate: u32, channels: u8 },
    Ulaw { sample_rate: u32, channels: u8 },
    Opus { channels: u8 },
    Metadata,
}

/// The JSON form of a format, as link and ledger carry it.
pub fn format_to_json(format: &Format) -> Vec<u8> {
    let lists = |list: &[Bytes]| list.iter().map(|item| item.to_vec()).collect();
    let wire = match format {
        Format::H264 { sps, pps, width, height } => {
            WireFormat::H264 { sps: sps.to_vec(), pps: lists(pps), width: *width, height: *height }
        }
        Format::H265 { vps, sps, pps, width, height } => WireFormat::H265 {
            vps: lists(vps),
            sps: sps.to_vec(),
            pps: lists(pps),
            width: *width,
            height: *height,
        },
        Format::Av1 { config, width, height } => {
            WireFormat::Av1 { config: config.to_vec(), width: *width, height: *height }
        }
        Format::Mjpeg { width, height } => WireFormat::Mjpeg { width: *width, height: *height },
        Format::Aac { config, sample_rate, channels } => {
            WireFormat::Aac { config: config.to_vec(), sample_rate: *sample_rate, channels: *channels }
        }
        Format::Alaw { sample_rate, channels } => {
            WireFormat::Alaw { sample_rate: *sample_rate, channels: *channels }
        }
        Format::Ulaw { sample_rate, channels } => {
            WireFormat::Ulaw { sample_rate: *sample_rate, channels: *channels }
        }
        Format::Opus { channels } => WireFormat::Opus { channels: *channels },
        Format::Metadata => WireFormat::Metadata,
    };
    serde_json::to_vec(&wire).expect("a format has no map with keys that are not text")
}

/// Reads what [`format_to_json`] wrote.
pub fn format_from_json(json: &[u8]) -> Result<Format, serde_json::Error> {
    let lists = |list: Vec<Vec<u8>>| list.into_iter().map(Bytes::from).collect();
    Ok(match serde_json::from_slice(json)? {
        WireFormat::H264 { sps, pps, width, height } => {
            Format::H264 { sps: sps.into(), pps: lists(pps), width, height }
        }
        WireFormat::H265 { vps, sps, pps, width, height } => {
            Format::H265 { vps: lists(vps), sps: sps.into(), pps: lists(pps), width, height }
        }
        WireFormat::Av1 { config, width, height } => Format::Av1 { config: config.into(), width, height },
        WireFormat::Mjpeg { width, height } => Format::Mjpeg { width, height },
        WireFormat::Aac { config, sample_rate, channels } => {
            Format::Aac { config: config.into(), sample_rate, channels }
        }
        WireFormat::Alaw { sample_rate, channels } => Format::Alaw { sample_rate, channels },
        WireFormat::Ulaw { sample_rate, channels } => Format::Ulaw { sample_rate, channels },
        WireFormat::Opus { channels } => Format::Opus { channels },
        WireFormat::Metadata => Format::Metadata,
    })
}

/// Bytes of a unit's header: everything of it but its data.
pub const UNIT_HEADER_BYTES: usize = 8 * 5 + 1;

/// Appends a unit's header, [`UNIT_HEADER_BYTES`] long. The worker's protocol carries units in the same form.
pub fn put_unit_header(out: &mut BytesMut, unit: &AccessUnit) {
    out.put_u64(unit.sequence);
    out.put_u64(unit.time.as_nanos());
    out.put_u64(unit.decode_time.as_nanos());
    out.put_u64(unit.received.as_nanos());
    out.put_i64(unit.camera_time.map_or(i64::MIN, Utc::as_micros));
    let flags = &unit.flags;
    out.put_u8(
        u8::from(flags.entry_point)
            | u8::from(flags.skipped_after_seek) << 1
            | u8::from(flags.disposable) << 2
            | u8::from(flags.after_loss) << 3,
    );
}

/// Encodes everything of a unit's message but its data, which the caller sends behind it without a copy.
pub fn unit_head(unit: &AccessUnit) -> Bytes {
    let mut head = BytesMut::with_capacity(5 + UNIT_HEADER_BYTES);
    head.put_u32((1 + UNIT_HEADER_BYTES + unit.data.len()) as u32);
    head.put_u8(KIND_UNIT);
    put_unit_header(&mut head, unit);
    head.freeze()
}

/// Encodes a message whole. For units, [`unit_head`] and the unit's own data save a copy.
pub fn encode(message: &Message) -> Bytes {
    let (kind, body) = match message {
        Message::Unit(unit) => {
            let mut whole = BytesMut::from(unit_head(unit));
            whole.extend_from_slice(&unit.data);
            return whole.freeze();
        }
        Message::Format(format) => (KIND_FORMAT, format_to_json(format)),
        Message::State(state) => {
            (KIND_STATE, serde_json::to_vec(state).expect("a state message is plain data"))
        }
    };
    let mut whole = BytesMut::with_capacity(5 + body.len());
    whole.put_u32((1 + body.len()) as u32);
    whole.put_u8(kind);
    whole.extend_from_slice(&body);
    whole.freeze()
}

/// Takes bytes as they arrive and gives messages. Holds at most one message of [`MESSAGE_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message; `None` until more bytes arrive. Unknown kinds are skipped.
    pub fn poll(&mut self) -> Result<Option<Message>, LinkError> {
        loop {
            let Some(prefix) = self.buffer.get(..4) else { return Ok(None) };
            let length = u32::from_be_bytes(prefix.try_into().expect("four bytes")) as usize;
            if length > MESSAGE_BYTES_MAX {
                return Err(LinkError::TooLong { length });
            }
            if self.buffer.len() < 4 + length {
                self.buffer.reserve(4 + length - self.buffer.len());
                return Ok(None);
            }
            self.buffer.advance(4);
            let mut body = self.buffer.split_to(length).freeze();
            if body.is_empty() {
                continue;
            }
            let kind = body.get_u8();
            let malformed = |what: String| LinkError::Malformed { kind, what };
            return Ok(Some(match kind {
                KIND_FORMAT => {
                    Message::Format(format_from_json(&body).map_err(|error| malformed(error.to_string()))?)
                }
                KIND_UNIT => Message::Unit(read_unit(body).ok_or_else(|| malformed("header is cut".into()))?),
                KIND_STATE => Message::State(
                    serde_json::from_slice(&body).map_err(|error| malformed(error.to_string()))?,
                ),
                _ => continue,
            }));
        }
    }
}

/// Reads a unit: its header and, behind it, its data. `None` when the header is cut.
pub fn read_unit(mut body: Bytes) -> Option<AccessUnit> {
    if body.len() < UNIT_HEADER_BYTES {
        return None;
    }
    let sequence = body.get_u64();
    let time = Mono::from_nanos(body.get_u64());
    let decode_time = Mono::from_nanos(body.get_u64());
    let received = Mono::from_nanos(body.get_u64());
    let camera_time = match body.get_i64() {
        i64::MIN => None,
        micros => Some(Utc::from_micros(micros)),
    };
    let bits = body.get_u8();
    let flags = UnitFlags {
        entry_point: bits & 1 != 0,
        skipped_after_seek: bits & 2 != 0,
        disposable: bits & 4 != 0,
        after_loss: bits & 8 != 0,
    };
    Some(AccessUnit { sequence, time, decode_time, received, camera_time, flags, data: body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_any_cut() {
        let unit = AccessUnit {
            sequence: 7,
            time: Mono::from_nanos(5),
            decode_time: Mono::from_nanos(4),
            received: Mono::from_nanos(9),
            camera_time: Some(Utc::from_micros(-3)),
            flags: UnitFlags { entry_point: true, after_loss: true, ..UnitFlags::default() },
            data: Bytes::from_static(b"picture"),
        };
        let format = Format::H264 {
            sps: Bytes::from_static(&[0x67, 1]),
            pps: vec![Bytes::from_static(&[0x68])],
            width: 640,
            height: 360,
        };
        let mut wire = encode(&Message::Format(format.clone())).to_vec();
        wire.extend_from_slice(&[0, 0, 0, 2, 200, 1]); // A kind of a later release.
        wire.extend_from_slice(&encode(&Message::Unit(unit.clone())));
        for step in 1..wire.len() {
            let mut decoder = Decoder::default();
            let mut messages = Vec::new();
            for piece in wire.chunks(step) {
                decoder.push(piece);
                while let Some(message) = decoder.poll().unwrap() {
                    messages.push(message);
                }
            }
            let [Message::Format(read_format), Message::Unit(read)] = messages.as_slice() else {
                panic!("step {step}: {messages:?}")
            };
            assert_eq!(*read_format, format);
            assert_eq!(
                (read.sequence, read.time, read.camera_time),
                (unit.sequence, unit.time, unit.camera_time)
            );
            assert_eq!((read.flags, &read.data), (unit.flags, &unit.data));
        }
    }

    #[test]
    fn a_length_over_the_limit_ends_the_link() {
        let mut decoder = Decoder::default();
        decoder.push(&[0xff; 5]);
        assert!(matches!(decoder.poll(), Err(LinkError::TooLong { .. })));
    }
}
