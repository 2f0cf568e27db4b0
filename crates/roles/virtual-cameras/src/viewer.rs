//! One client's end of a stream: its queue, and what happens when it does not keep up.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::{Buf as _, Bytes};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::batch::{Batch, Place};

/// Bytes that wait for a client that does not read. Beyond it pictures are dropped up to the next key frame.
const QUEUE_BYTES_MAX: usize = 4 << 20;

/// A connection, as streams see it.
#[derive(Debug)]
pub(crate) struct Outlet {
    socket: TcpStream,
    queue: Mutex<Queue>,
    /// The connection's task looks again: something waits to be written, or it is to close.
    pub(crate) wake: Notify,
    closing: AtomicBool,
    /// RTCP datagrams from the client: a sign of life.
    pub(crate) heard: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    parts: VecDeque<Bytes>,
    bytes: usize,
}

impl Outlet {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            queue: Mutex::default(),
            wake: Notify::new(),
            closing: AtomicBool::new(false),
            heard: AtomicU64::new(0),
        }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Writes now what the socket takes and queues the rest. False, and nothing is sent, where the queue is full.
    pub(crate) fn send(&self, mut bytes: Bytes) -> bool {
        let mut queue = self.queue.lock();
        if queue.bytes + bytes.len() > QUEUE_BYTES_MAX {
            return false;
        }
        if queue.parts.is_empty() {
            match self.socket.try_write(&bytes) {
                Ok(written) => bytes.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => {
                    self.close();
                    return false;
                }
            }
        }
        if !bytes.is_empty() {
            queue.bytes += bytes.len();
            queue.parts.push_back(bytes);
            drop(queue);
            self.wake.notify_one();
        }
        true
    }

    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.lock().parts.is_empty()
    }

    /// Writes queued bytes until the socket takes no more.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut queue = self.queue.lock();
        while let Some(part) = queue.parts.front_mut() {
            match self.socket.try_write(part) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    part.advance(written);
                    let done = part.is_empty();
                    queue.bytes -= written;
                    if done {
                        queue.parts.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

/// Where the packets of one track go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Interleaved { rtp: u8, rtcp: u8 },
    Udp { rtp: Arc<UdpSocket>, rtcp: Arc<UdpSocket>, rtp_to: SocketAddr, rtcp_to: SocketAddr },
}

/// A client of a stream that plays.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) targets: [Option<Target>; 2],
    waits_for_key_frame: bool,
    /// Pictures that it lost because it did not read.
    pub(crate) dropped: u64,
}

impl Viewer {
    pub(crate) fn new(outlet: Arc<Outlet>, targets: [Option<Target>; 2]) -> Self {
        Self { outlet, targets, waits_for_key_frame: true, dropped: 0 }
    }

    /// False when the client is gone.
    pub(crate) fn deliver(&mut self, batch: &Batch) -> bool {
        if self.outlet.is_closing() {
            return false;
        }
        match batch.place {
            Place::KeyFrame => self.waits_for_key_frame = false,
            Place::Picture | Place::Rest if self.waits_for_key_frame => return true,
            _ => {}
        }
        match self.targets.get(batch.track).and_then(Option::as_ref) {
            None => {}
            Some(&Target::Interleaved { rtp, rtcp }) => {
                let sent = self.outlet.send(batch.interleaved(if batch.rtcp { rtcp } else { rtp }));
                if !sent && batch.place != Place::Other {
                    self.waits_for_key_frame = true;
                    self.dropped += 1;
                }
            }
            Some(Target::Udp { rtp, rtcp, rtp_to, rtcp_to }) => {
                let (socket, to) = if batch.rtcp { (rtcp, rtcp_to) } else { (rtp, rtp_to) };
                for datagram in batch.datagrams() {
                    // A datagram that can't be sent is lost, as datagrams are.
                    let _ = socket.send_to(datagram, to);
                }
            }
        }
        true
    }

    /// Takes what the client sent to the RTCP ports.
    pub(crate) fn listen(&self, now: varde_units::Mono) {
        const DATAGRAMS_MAX: usize = 64;
        let mut buffer = [0; 1500];
        for target in self.targets.iter().flatten() {
            let Target::Udp { rtcp, rtcp_to, .. } = target else { continue };
            for _ in 0..DATAGRAMS_MAX {
                let Ok((_, from)) = rtcp.recv_from(&mut buffer) else { break };
                if from.ip() == rtcp_to.ip() {
                    self.outlet.heard.store(now.as_nanos(), Ordering::Relaxed);
                }
            }
        }
    }
}
