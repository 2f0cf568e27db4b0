//! Datagrams on their way to a socket, sent many at a time.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;

use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Datagrams handed to the kernel in one call.
const BATCH: usize = 64;

/// Bytes that may wait for one socket; beyond it, datagrams are dropped as a full network would drop them.
const BYTES_MAX: usize = 32 << 20;

#[derive(Debug)]
struct Datagram {
    viewer: u64,
    destination: SocketAddr,
    contents: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Datagram>,
    bytes: usize,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
}

impl Outbox {
    /// Returns how many bytes of the viewer wait more than before: none when the datagram was dropped.
    pub(crate) fn push(&mut self, viewer: u64, destination: SocketAddr, contents: Vec<u8>) -> usize {
        let bytes = contents.len();
        if self.bytes + bytes > BYTES_MAX {
            self.dropped += 1;
            return 0;
        }
        self.bytes += bytes;
        self.queue.push_back(Datagram { viewer, destination, contents });
        bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Sends until the socket is full, and tells `gone` what left for whom.
    pub(crate) fn flush(&mut self, socket: &UdpSocket, mut gone: impl FnMut(u64, usize)) {
        while !self.queue.is_empty() {
            let sent = match socket.try_io(Interest::WRITABLE, || self.send_batch(socket)) {
                Ok(sent) => {
                    self.sent += sent as u64;
                    sent
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // One destination can't be reached; it must not hold up the others.
                    tracing::debug!(%error, "datagram refused");
                    self.dropped += 1;
                    1
                }
            };
            for datagram in self.queue.drain(..sent) {
                self.bytes -= datagram.contents.len();
                gone(datagram.viewer, datagram.contents.len());
            }
        }
    }

    fn send_batch(&self, socket: &UdpSocket) -> io::Result<usize> {
        let batch = || self.queue.iter().take(BATCH);
        let addresses: Vec<SocketAddrAny> = batch().map(|d| d.destination.as_any()).collect();
        let slices: Vec<[IoSlice<'_>; 1]> = batch().map(|d| [IoSlice::new(&d.contents)]).collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
            batch().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<MMsgHdr<'_>> = addresses
            .iter()
            .zip(&slices)
            .zip(&mut controls)
            .map(|((address, slice), control)| MMsgHdr::new_with_addr(address, slice, control))
            .collect();
        Ok(rustix::net::sendmmsg(socket, &mut messages, SendFlags::DONTWAIT)?)
    }
}
