//! When camera connections are read: all of a thread together, some hundred times a second.
//!
//! A camera sends a frame as a dozen writes within a few milliseconds. Waking for each costs more than all else that the
//! recorder does with the frame. So the sockets lie in a poll set of their own that wakes nobody; one task looks into it at every
//! tick and wakes the owners of those that have data. A frame then costs about one read, however it was sent, and is
//! late by half a tick in the mean.

use std::collections::HashMap;
use std::future::{Future as _, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Longer than most frames take to come, short against the delay that a viewer notices.
const PERIOD: Duration = Duration::from_millis(8);
/// Sockets looked at in one call; the rest is asked for at once.
const EVENTS_MAX: usize = 128;

/// Wakes readers at common ticks. One for each runtime; clones share it.
#[derive(Clone, Debug)]
pub struct ReadTicker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    sockets: std::sync::Mutex<Sockets>,
}

#[derive(Debug, Default)]
struct Sockets {
    next: u64,
    ready: HashMap<u64, Arc<Notify>>,
    /// Whether the task that ticks is there; it ends when the last socket is gone.
    ticking: bool,
}

/// A socket that is looked at. Dropping it ends that.
#[derive(Debug)]
pub struct Registration {
    shared: Arc<Shared>,
    socket: Arc<TcpStream>,
    token: u64,
    ready: Arc<Notify>,
}

impl ReadTicker {
    /// # Errors
    /// The system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { shared: Arc::new(Shared { epoll, sockets: std::sync::Mutex::default() }) })
    }

    /// Looks at a non-blocking socket from now on. Runs in the caller's runtime.
    ///
    /// # Errors
    /// The system refused to watch the socket.
    pub fn register(&self, socket: Arc<TcpStream>) -> io::Result<Registration> {
        let ready = Arc::new(Notify::new());
        let mut sockets = self.shared.lock();
        let token = sockets.next;
        let interest = EventFlags::IN | EventFlags::RDHUP;
        epoll::add(&self.shared.epoll, &socket, EventData::new_u64(token), interest)?;
        sockets.next += 1;
        sockets.ready.insert(token, Arc::clone(&ready));
        if !std::mem::replace(&mut sockets.ticking, true) {
            let ticking = Ticking { shared: Arc::clone(&self.shared), over: false };
            tokio::spawn(async move { ticking.run().await });
        }
        drop(sockets);
        Ok(Registration { shared: Arc::clone(&self.shared), socket, token, ready })
    }
}

impl Registration {
    /// Comes back at a tick at which the socket had something to read, or its end. May come back once for nothing.
    pub async fn readable(&self) {
        self.ready.notified().await;
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.lock().ready.remove(&self.token);
        // Fails only where the system forgot the socket by itself.
        let _ = epoll::delete(&self.shared.epoll, &self.socket);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Sockets> {
        // Nothing panics while it is held, and a set of wakers can't be half changed.
        self.sockets.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Wakes the owners of sockets with data; false when there is no socket left.
    fn tick(&self) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            let mut events = [MaybeUninit::uninit(); EVENTS_MAX];
            // A signal, or a poll set that fails for a moment: the next tick looks again.
            let (events, _) =
                epoll::wait(&self.epoll, &mut events, Some(&at_once)).unwrap_or((&mut [], &mut []));
            let mut sockets = self.lock();
            for event in events.iter() {
                if let Some(ready) = sockets.ready.get(&event.data.u64()) {
                    ready.notify_one();
                }
            }
            if sockets.ready.is_empty() {
                sockets.ticking = false;
                return false;
            }
            // The set hands out sockets in turn, so one full answer after the other covers all of them.
            if events.len() < EVENTS_MAX || events.len() >= sockets.ready.len() {
                return true;
            }
        }
    }
}

/// The task that ticks. When its runtime ends before it, another may begin.
struct Ticking {
    shared: Arc<Shared>,
    /// It ended by itself and said so; by now there may be another.
    over: bool,
}

impl Ticking {
    async fn run(mut self) {
        // Two timers in turn. The runtime interrupts its own wait, for two system calls, when a timer is set that is
        // due before all others; with the next tick's timer always set already, none ever is.
        let start = Instant::now();
        let mut timers = [1, 2].map(|tick| Box::pin(sleep_until(start + PERIOD * tick)));
        while !self.over {
            let [next, after] = &mut timers;
            poll_fn(|context| {
                let _ = after.as_mut().poll(context);
                next.as_mut().poll(context)
            })
            .await;
            self.over = !self.shared.tick();
            // After a pause of the whole thread, ticks that were missed are not made up for.
            next.as_mut().reset(after.deadline().max(Instant::now()) + PERIOD);
            timers.reverse();
        }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        if !self.over {
            self.shared.lock().ticking = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (TcpStream, Arc<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        (far, Arc::new(near))
    }

    #[test]
    fn readers_wake_for_data_and_for_the_end_in_one_runtime_after_another() {
        let ticker = ReadTicker::new().unwrap();
        for _ in 0..2 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (mut far, near) = pair();
                let (_other_far, other) = pair();
                let registration = ticker.register(near).unwrap();
                let quiet = ticker.register(other).unwrap();
                far.write_all(b"frame").unwrap();
                tokio::select! {
                    () = registration.readable() => {}
                    () = quiet.readable() => panic!("nothing was written to this one"),
                }
                let mut bytes = [0; 16];
                assert_eq!(registration.socket().read(&mut bytes).unwrap(), 5);
                drop(far);
                loop {
                    registration.readable().await;
                    match registration.socket().read(&mut bytes) {
                        Ok(count) => break assert_eq!(count, 0),
                        Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                    }
                }
            });
        }
    }

    #[tokio::test]
    async fn the_task_ends_with_the_last_socket_and_begins_anew() {
        let ticker = ReadTicker::new().unwrap();
        for _ in 0..2 {
            let (mut far, near) = pair();
            let registration = ticker.register(near).unwrap();
            far.write_all(b"x").unwrap();
            registration.readable().await;
            drop(registration);
            while ticker.shared.lock().ticking {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}
