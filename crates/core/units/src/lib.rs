//! Time, sizes and rates as their own types, so that no bare number crosses a crate's border.
//!
//! Refuses to know where time comes from: clocks live in `edge/ambient`, and everything here is handed in.

mod mono;
mod size;
mod utc;

pub use mono::Mono;
pub use size::{Bitrate, ByteSize};
pub use utc::{Day, ParseUtcError, Utc};
