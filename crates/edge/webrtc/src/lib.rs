//! WebRTC for viewers: WHEP offers in, H.264, H.265, Opus and G.711 out, over one UDP port.
//!
//! Decides which codec of an offer a stream can be sent as, when a viewer may begin, and what a slow viewer loses.
//! Refuses to know cameras, users and HTTP: tracks are handed in, sessions are opened with the text of an offer.
//!
//! str0m does ICE, DTLS, SRTP and retransmission without sockets; [`Server`] drives it from a thread of its own.
//! Pictures are cut into RTP payloads once a track, however many watch (RFC 6184, RFC 7798, RFC 7587).
//! str0m changes with each release, so nothing of it shows in this interface.

mod interfaces;
mod offer;
mod outbox;
mod payload;
mod server;
mod session;
mod track;

pub use server::{Error, Server, Session, SessionId, Settings};
pub use track::Track;
