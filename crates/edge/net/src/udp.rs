//! Pairs of UDP ports for RTP and RTCP.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Asked for; the system gives what its own limit allows (`net.core.rmem_max`).
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
const TRIES: usize = 64;

/// RTP on an even port, RTCP on the next (RFC 3550 §11).
#[derive(Debug)]
pub struct UdpPair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    pub ports: (u16, u16),
}

/// Binds a free pair on a local address.
///
/// # Errors
/// No pair was free, or the system has no descriptor left.
pub fn bind_udp_pair(local: IpAddr) -> io::Result<UdpPair> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let first = bind(SocketAddr::new(local, 0))?;
        let port = first.local_addr()?.port();
        let partner = if port.is_multiple_of(2) { port.checked_add(1) } else { Some(port - 1) };
        let Some(partner) = partner else { continue };
        match bind(SocketAddr::new(local, partner)) {
            Ok(second) if port < partner => {
                return Ok(UdpPair { rtp: first, rtcp: second, ports: (port, partner) });
            }
            Ok(second) => return Ok(UdpPair { rtp: second, rtcp: first, ports: (partner, port) }),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pairs_are_even_and_odd_and_never_the_same() {
        let local = IpAddr::from([127, 0, 0, 1]);
        let pairs: Vec<_> = (0..8).map(|_| bind_udp_pair(local).unwrap()).collect();
        let mut ports: Vec<_> = pairs.iter().map(|pair| pair.ports.0).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), pairs.len());
        for pair in &pairs {
            assert!(pair.ports.0.is_multiple_of(2));
            assert_eq!(pair.ports.1, pair.ports.0 + 1);
            assert_eq!(pair.rtp.local_addr().unwrap().port(), pair.ports.0);
        }
    }
}
