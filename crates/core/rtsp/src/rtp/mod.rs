//! RTP packets, RTCP, reordering, payload formats and the media clock.
//!
//! Follows RFC 3550 and the payload formats RFC 6184 (H.264), RFC 7798 (H.265), the AOMedia RTP specification (AV1),
//! RFC 2435 (JPEG), RFC 3640 (AAC), RFC 3551 (G.711), RFC 7587 (Opus) and ONVIF's metadata streams. A receiving
//! track is one [`Receiver`]; the tracks of one session share a [`SessionClock`]. A sending track is one
//! [`Packetiser`]. Nothing here knows sockets or reads a clock.

pub mod clock;
pub mod depacketise;
pub mod dts;
mod jpeg_tables;
pub mod packet;
pub mod packetise;
pub mod payload;
pub mod receiver;
pub mod reorder;
pub mod rtcp;
pub mod statistics;
mod unwrap;

pub use clock::{MediaClock, SessionClock, Stamp, TrackId};
pub use depacketise::{Depacketiser, Unit};
pub use dts::DecodeTimes;
pub use packet::{Header, Packet, PacketError};
pub use packetise::{PacketiseError, Packetiser};
pub use payload::{PayloadParameters, UnsupportedPayload};
pub use receiver::{Arrival, Output, Receiver};
pub use reorder::Reorder;
pub use statistics::Statistics;
pub use unwrap::Unwrapper;

#[cfg(test)]
mod payload_tests;
#[cfg(test)]
mod round_trip_tests;

/// The largest access unit that is assembled; a larger one is dropped and counted as lost.
pub const UNIT_BYTES_MAX: usize = 16 << 20;
