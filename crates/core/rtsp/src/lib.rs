//! RTSP 1.0 and RTP as state machines: messages, SDP, authentication, sessions, packets. Client and server share it.
//!
//! Bytes and time come in, bytes and units go out. Refuses to know sockets, clocks and TLS; follows RFC 2326
//! (with what RFC 7826 clarified), RFC 3550, RFC 4566 and the payload formats named in [`rtp`].

pub mod auth;
pub mod client;
pub mod message;
pub mod rtp;
pub mod sdp;
pub mod server;
mod transport;
mod url;

pub use transport::{Lower, TransportHeader};
pub use url::{RtspUrl, UrlError, resolve_control};
