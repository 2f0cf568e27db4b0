//! The protocol with the worker, both ways: `u32` length of what follows (big-endian), `u8` kind, body.
//!
//! A job is [`Message::Job`], then formats and units, then [`Message::End`]. The answer is any number of formats,
//! units and images, then `End`; a job that fails sends [`Message::Failed`] before its `End`.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use varde_api_internal::link::{
    UNIT_HEADER_BYTES, format_from_json, format_to_json, put_unit_header, read_unit,
};
use varde_codec::{AccessUnit, Format};
use varde_units::Mono;

use crate::error::Failure;

/// The longest message: one access unit of 16 MiB and its header.
pub const MESSAGE_BYTES_MAX: usize = (16 << 20) + 1024;

const KIND_JOB: u8 = 1;
const KIND_FORMAT: u8 = 2;
const KIND_UNIT: u8 = 3;
const KIND_END: u8 = 4;
const KIND_IMAGE: u8 = 5;
const KIND_FAILED: u8 = 6;
const IMAGE_HEADER_BYTES: usize = 8;

/// What the worker is to do with the units that follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// One JPEG of the last picture shown at or before `at`; the first of all if there is none.
    Still { at: Mono, width: Option<u32> },
    /// H.264 without reordering, picture by picture.
    Transcode(TranscodeOptions),
    /// Opus in packets of 20 ms.
    Audio,
    /// The pictures from `from` on, encoded anew in the same codec, beginning with a key frame.
    Head { from: Mono },
}

/// How a stream is to be transcoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscodeOptions {
    pub bitrate_bps_max: u32,
    /// Larger pictures are scaled down.
    pub height_max: u32,
    /// About how many pictures come in a second, in thousandths.
    pub rate_milli: u32,
    /// Most pictures from one key frame to the next.
    pub key_interval_max: u32,
}

impl Default for TranscodeOptions {
    fn default() -> Self {
        Self { bitrate_bps_max: 4_000_000, height_max: 1080, rate_milli: 25_000, key_interval_max: 100 }
    }
}

/// A JPEG image and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub jpeg: Bytes,
    pub width: u32,
    pub height: u32,
}

/// A message in either direction.
#[derive(Clone, Debug)]
pub enum Message {
    Job(Job),
    /// Comes before the first unit and whenever the configuration changes.
    Format(Format),
    Unit(AccessUnit),
    End,
    Image(Image),
    Failed(Failure),
}

/// Why the other side can't be understood. The worker is stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("a message of {length} bytes is over the limit of {MESSAGE_BYTES_MAX}")]
    TooLong { length: usize },
    #[error("a message of kind {kind} is malformed")]
    Malformed { kind: u8 },
}

/// A message's bytes in two pieces to be sent one behind the other; the second is shared, not copied.
pub fn encode(message: &Message) -> [Bytes; 2] {
    let json = |kind: u8, body: Vec<u8>| [head(kind, body.len(), 0), Bytes::from(body)];
    match message {
        Message::Job(job) => json(KIND_JOB, serde_json::to_vec(job).expect("a job is plain data")),
        Message::Format(format) => json(KIND_FORMAT, format_to_json(format)),
        Message::Failed(failure) => {
            json(KIND_FAILED, serde_json::to_vec(failure).expect("a failure is plain data"))
        }
        Message::End => [head(KIND_END, 0, 0), Bytes::new()],
        Message::Image(image) => {
            let mut bytes = BytesMut::from(head(KIND_IMAGE, IMAGE_HEADER_BYTES, image.jpeg.len()));
            bytes.put_u32(image.width);
            bytes.put_u32(image.height);
            [bytes.freeze(), image.jpeg.clone()]
        }
        Message::Unit(unit) => {
            let mut bytes = BytesMut::from(head(KIND_UNIT, UNIT_HEADER_BYTES, unit.data.len()));
            put_unit_header(&mut bytes, unit);
            [bytes.freeze(), unit.data.clone()]
        }
    }
}

fn head(kind: u8, header_bytes: usize, data_bytes: usize) -> Bytes {
    let mut head = BytesMut::with_capacity(5 + UNIT_HEADER_BYTES);
    // A message that is too long for its length field is also over the limit, and refused by the reader.
    head.put_u32(u32::try_from(1 + header_bytes + data_bytes).unwrap_or(u32::MAX));
    head.put_u8(kind);
    head.freeze()
}

/// Takes bytes as they arrive and gives messages. Holds at most one message of [`MESSAGE_BYTES_MAX`], and what
/// one read brought behind it.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Where the next bytes may be read into.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(64 << 10);
        &mut self.buffer
    }

    /// The next whole message; `None` until more bytes arrive.
    pub fn poll(&mut self) -> Result<Option<Message>, ProtocolError> {
        let Some(prefix) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(ProtocolError::TooLong { length });
        }
        if self.buffer.len() < 4 + length {
            self.buffer.reserve(4 + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(4);
        let mut body = self.buffer.split_to(length).freeze();
        let kind = if body.is_empty() { 0 } else { body.get_u8() };
        read(kind, body).map(Some).ok_or(ProtocolError::Malformed { kind })
    }
}

fn read(kind: u8, mut body: Bytes) -> Option<Message> {
    Some(match kind {
        KIND_JOB => Message::Job(serde_json::from_slice(&body).ok()?),
        KIND_FORMAT => Message::Format(format_from_json(&body).ok()?),
        KIND_FAILED => Message::Failed(serde_json::from_slice(&body).ok()?),
        KIND_END => Message::End,
        KIND_IMAGE if body.len() >= IMAGE_HEADER_BYTES => {
            let (width, height) = (body.get_u32(), body.get_u32());
            Message::Image(Image { jpeg: body, width, height })
        }
        KIND_UNIT => Message::Unit(read_unit(body)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use varde_codec::UnitFlags;
    use varde_units::Utc;

    use super::*;
    use crate::error::FailureCode;

    #[test]
    fn messages_survive_any_cut() {
        let unit = AccessUnit {
            sequence: 7,
            time: Mono::from_nanos(5),
            decode_time: Mono::from_nanos(4),
            received: Mono::from_nanos(9),
            camera_time: Some(Utc::from_micros(3)),
            flags: UnitFlags { entry_point: true, after_loss: true, ..UnitFlags::default() },
            data: Bytes::from_static(b"picture"),
        };
        let messages = [
            Message::Job(Job::Still { at: Mono::from_nanos(3), width: Some(320) }),
            Message::Job(Job::Transcode(TranscodeOptions::default())),
            Message::Format(Format::Opus { channels: 2 }),
            Message::Unit(unit),
            Message::Image(Image { jpeg: Bytes::from_static(b"jpeg"), width: 3, height: 2 }),
            Message::Failed(Failure { code: FailureCode::Broken, message: "no".into() }),
            Message::End,
        ];
        let wire: Vec<u8> = messages.iter().flat_map(|message| encode(message).concat()).collect();
        for step in 1..wire.len() {
            let mut decoder = Decoder::default();
            let mut read = Vec::new();
            for piece in wire.chunks(step) {
                decoder.push(piece);
                while let Some(message) = decoder.poll().unwrap() {
                    read.push(message);
                }
            }
            assert_eq!(format!("{read:?}"), format!("{messages:?}"), "step {step}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let check = |bytes: &[u8], expected: ProtocolError| {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            assert_eq!(decoder.poll().unwrap_err(), expected);
        };
        check(&[0xff; 5], ProtocolError::TooLong { length: u32::MAX as usize });
        check(&[0, 0, 0, 0], ProtocolError::Malformed { kind: 0 });
        check(&[0, 0, 0, 2, KIND_UNIT, 0], ProtocolError::Malformed { kind: KIND_UNIT });
        check(&[0, 0, 0, 1, 99], ProtocolError::Malformed { kind: 99 });
    }
}
