//! What a request's connection says: who is at the other end, on which of our addresses, and whether it is TLS.

use std::net::SocketAddr;

/// An extension of every request that came through [`crate::Server`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub tls: bool,
}

impl ConnectionInfo {
    /// What a request without a socket counts as: plain HTTP from this machine to itself.
    pub fn loopback() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { peer: address, local: address, tls: false }
    }

    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        extensions.get().copied().unwrap_or_else(Self::loopback)
    }
}
