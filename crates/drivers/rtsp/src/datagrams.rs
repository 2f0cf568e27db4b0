//! The UDP sockets of a session: one pair a track, heard only from the camera's own address.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use varde_net::{UdpPair, bind_udp_pair};

/// Datagrams taken from one socket before the others have their turn.
const BATCH_MAX: usize = 256;

#[derive(Debug)]
pub(crate) struct Datagrams {
    /// By track.
    pairs: Vec<UdpPair>,
    camera: IpAddr,
}

/// What kind of packet a datagram holds, by the port that it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Rtp,
    Rtcp,
}

impl Datagrams {
    pub(crate) const fn none(camera: IpAddr) -> Self {
        Self { pairs: Vec::new(), camera }
    }

    /// Binds a pair for each of `tracks` and tells the ports.
    pub(crate) fn bind(&mut self, tracks: usize, local: IpAddr) -> io::Result<Vec<(u16, u16)>> {
        self.pairs = (0..tracks).map(|_| bind_udp_pair(local)).collect::<io::Result<_>>()?;
        Ok(self.pairs.iter().map(|pair| pair.ports).collect())
    }

    /// Comes back when a socket has something; never where there is none.
    pub(crate) async fn readable(&self) {
        poll_fn(|context| {
            let mut any = false;
            for socket in self.pairs.iter().flat_map(|pair| [&pair.rtp, &pair.rtcp]) {
                any |= socket.poll_recv_ready(context).is_ready();
            }
            if any { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Hands every datagram that is there to `take`, with its track.
    pub(crate) fn receive(&self, buffer: &mut [u8], mut take: impl FnMut(usize, Port, &[u8])) {
        for (track, pair) in self.pairs.iter().enumerate() {
            for (port, socket) in [(Port::Rtp, &pair.rtp), (Port::Rtcp, &pair.rtcp)] {
                for _ in 0..BATCH_MAX {
                    match socket.try_recv_from(buffer) {
                        // Anyone may send here; only the camera is listened to.
                        Ok((count, from)) if from.ip().to_canonical() == self.camera => {
                            take(track, port, &buffer[..count]);
                        }
                        Ok(_) => {}
                        // Nothing there; or an ICMP answer to a report of ours, which says nothing of the camera.
                        Err(_) => break,
                    }
                }
            }
        }
    }

    /// Sends a report to the camera's RTCP port. A report that is lost is no loss.
    pub(crate) fn send_report(&self, track: usize, port: u16, bytes: &[u8]) {
        if let Some(pair) = self.pairs.get(track) {
            let _ = pair.rtcp.try_send_to(bytes, SocketAddr::new(self.camera, port));
        }
    }
}
