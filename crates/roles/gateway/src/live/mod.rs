//! Live media for viewers: WHEP, and fragmented MP4 over WebSocket.

mod choice;
mod fragments;
pub(crate) mod socket;
pub(crate) mod whep;

pub(crate) use choice::candidates;
pub(crate) use socket::socket;
pub(crate) use whep::{Whep, whep_close, whep_open, whep_trickle};
