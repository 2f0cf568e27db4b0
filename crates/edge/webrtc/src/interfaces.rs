//! Where viewers may reach this machine: one socket per address, all on one port.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Asked of the kernel for each socket; it grants what it allows.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Addresses offered at most; a machine with more has virtual ones that no viewer reaches.
const ADDRESSES_MAX: usize = 16;

/// The machine's own addresses that a viewer may reach; loopback alone where there is no other.
pub(crate) fn discover() -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = if_addrs::get_if_addrs()?
        .into_iter()
        .map(|interface| interface.ip())
        .filter(|address| !is_link_local(*address))
        .collect();
    // Loopback stays: the browser may run on this very machine.
    addresses.sort_by_key(|address| (address.is_loopback(), address.is_ipv6()));
    addresses.dedup();
    addresses.truncate(ADDRESSES_MAX);
    Ok(addresses)
}

/// Link-local IPv6 needs a zone, which a candidate can't name.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Binds all addresses to the same port. Port 0 lets the kernel choose with the first address. An address that can't
/// be bound is left out; an error means that none could.
pub(crate) fn bind(addresses: &[IpAddr], port: u16) -> io::Result<Vec<std::net::UdpSocket>> {
    let mut port = port;
    let mut sockets = Vec::new();
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address to bind");
    for &address in addresses.iter().take(ADDRESSES_MAX) {
        match bind_one(SocketAddr::new(address, port)) {
            Ok(socket) => {
                port = socket.local_addr()?.port();
                sockets.push(socket);
            }
            Err(error) => {
                tracing::warn!(%address, port, %error, "address left out of WebRTC");
                failure = error;
            }
        }
    }
    if sockets.is_empty() { Err(failure) } else { Ok(sockets) }
}

fn bind_one(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Best effort: a small buffer costs speed, never correctness.
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
