//! Sockets and TLS towards cameras: which address may be reached, how a connection is opened, when it is read.
//!
//! Knows no protocol above TCP, UDP and TLS.

mod address;
mod connection;
mod tick;
mod tls;
mod udp;

pub use address::{AddressError, resolve};
pub use connection::{CameraConnection, ConnectError};
pub use tick::{ReadTicker, Registration};
pub use tls::{CameraTrust, Fingerprint, TlsClient};
pub use udp::{UdpPair, bind_udp_pair};
