//! One source for ever: connect, run a session, wait, again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use varde_api::codes::CameraState;
use varde_driver::Transport;
use varde_driver::{Credentials, Network, Outlet, SourceHealth, SourceSpec, SourceState, Surroundings};
use varde_net::{CameraConnection, Fingerprint, ReadTicker, TlsClient, resolve};
use varde_rtsp::RtspUrl;
use varde_rtsp::client::Delivery;
use varde_units::Mono;

use crate::Control;
use crate::back_off::BackOff;
use crate::failure::Failure;
use crate::session::{End, Session};

/// Redirects that are followed in a row.
const MOVES_MAX: usize = 3;

/// An address for the log. Many cameras take their password in the query.
pub(crate) fn printable(url: &str) -> &str {
    match RtspUrl::parse(url) {
        Ok(_) => url.split(['?', '#']).next().unwrap_or_default(),
        Err(_) => "an address that can't be read",
    }
}

/// Whether a redirection keeps what the address promised: who asked for encryption gets no session without.
fn may_follow(from: &RtspUrl, to: &RtspUrl) -> bool {
    to.tls() || !from.tls()
}

/// What every source of a driver shares.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) ticker: ReadTicker,
    pub(crate) tls: TlsClient,
    pub(crate) user_agent: String,
    pub(crate) outlet: Arc<dyn Outlet>,
    pub(crate) surroundings: Arc<dyn Surroundings>,
}

pub(crate) struct Source {
    pub(crate) world: World,
    pub(crate) spec: SourceSpec,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) control: watch::Receiver<Control>,
    /// How the next session asks for packets; falls back to TCP where UDP does not come through.
    pub(crate) delivery: Delivery,
    state: SourceState,
    /// Packets received and lost in sessions that are over.
    packets_before: (u64, u64),
    /// Of the certificate that the camera showed last.
    fingerprint: Option<Fingerprint>,
}

impl Source {
    pub(crate) fn new(
        world: World,
        spec: SourceSpec,
        credentials: Option<Credentials>,
        control: watch::Receiver<Control>,
    ) -> Self {
        let delivery = match spec.transport {
            Transport::Tcp => Delivery::Interleaved,
            Transport::Udp => Delivery::Udp,
        };
        let state =
            SourceState { state: CameraState::Connecting, parameters: serde_json::Map::new(), detail: None };
        Self { world, spec, credentials, control, delivery, state, packets_before: (0, 0), fingerprint: None }
    }

    /// Until it is told to stop.
    pub(crate) async fn run(mut self) {
        let mut back_off = BackOff::default();
        self.tell();
        loop {
            let mut online = Duration::ZERO;
            let Some(failure) = self.attempt(&mut online).await else { return };
            let pace = failure.pace;
            self.enter(failure.state);
            let wait = back_off.next(pace, online, self.world.surroundings.as_ref());
            if self.pause(wait).await == Pause::Stop {
                return;
            }
        }
    }

    pub(crate) fn now(&self) -> Mono {
        self.world.surroundings.mono()
    }

    pub(crate) fn outlet(&self) -> &dyn Outlet {
        self.world.outlet.as_ref()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.control.borrow().stop
    }

    /// Takes up a state, and tells it where it is another. A camera that stays away keeps the state that it went with:
    /// the attempts in between are nobody's news.
    pub(crate) fn enter(&mut self, state: SourceState) {
        if self.state == state {
            return;
        }
        if self.state.state != state.state {
            let detail = state.detail.as_deref().unwrap_or_default();
            tracing::info!(url = printable(&self.spec.url), state = state.state.code(), detail, "camera");
        }
        self.state = state;
        self.tell();
    }

    pub(crate) fn enter_online(&mut self) {
        self.enter(SourceState {
            state: CameraState::Online,
            parameters: serde_json::Map::new(),
            detail: None,
        });
    }

    /// The state again: first, or after the source has another index.
    pub(crate) fn tell(&self) {
        let index = self.control.borrow().index;
        self.outlet().state(index, self.state.clone(), self.now());
    }

    pub(crate) fn tell_health(&self, packets: (u64, u64), drift_ppm: f64, clock_offset_ms: Option<i64>) {
        let health = SourceHealth {
            packets_received: self.packets_before.0 + packets.0,
            packets_lost: self.packets_before.1 + packets.1,
            clock_drift_ppm: drift_ppm,
            clock_offset_ms,
        };
        self.outlet().health(self.control.borrow().index, health);
    }

    /// One session from resolving to its end. `None`: told to stop.
    async fn attempt(&mut self, online: &mut Duration) -> Option<Failure> {
        let mut url = match RtspUrl::parse(&self.spec.url) {
            Ok(url) => url,
            Err(error) => return Some(Failure::url(error)),
        };
        for _ in 0..=MOVES_MAX {
            let connection = match self.connect(&url).await? {
                Ok(connection) => connection,
                Err(failure) => return Some(failure),
            };
            let mut session = Session::new(self, url.clone(), connection);
            let end = session.run().await;
            let (packets, since) = session.result();
            self.packets_before.0 += packets.0;
            self.packets_before.1 += packets.1;
            *online = since.map_or(Duration::ZERO, |since| self.now().since(since));
            match end {
                End::Stopped => return None,
                End::Failed(failure) => return Some(failure),
                End::Moved(to) if may_follow(&url, &to) => url = to,
                End::Moved(_) => return Some(Failure::moved_into_the_open()),
                End::UseTcp => {
                    tracing::info!(url = printable(&self.spec.url), "no packets by UDP; going on by TCP");
                    self.delivery = Delivery::Interleaved;
                }
            }
        }
        Some(Failure::moved_too_often())
    }

    /// `None`: told to stop.
    async fn connect(&mut self, url: &RtspUrl) -> Option<Result<CameraConnection, Failure>> {
        let mut control = self.control.clone();
        let stop = async move {
            // An error means that the driver is gone.
            let _ = control.wait_for(|control| control.stop).await;
        };
        let opened = tokio::select! {
            opened = self.open(url) => opened,
            () = stop => return None,
        };
        if let Ok(connection) = &opened
            && let Some(fingerprint) = connection.fingerprint()
        {
            match self.fingerprint.replace(fingerprint) {
                None => tracing::info!(host = url.host(), %fingerprint, "certificate of the camera"),
                Some(before) if before != fingerprint => {
                    tracing::warn!(host = url.host(), %fingerprint, %before, "the camera shows another certificate than before");
                }
                Some(_) => {}
            }
        }
        Some(opened)
    }

    async fn open(&self, url: &RtspUrl) -> Result<CameraConnection, Failure> {
        let networks = Arc::clone(&self.control.borrow().networks);
        let allowed = |address| networks.iter().any(|network: &Network| network.contains(address));
        let address =
            resolve(url.host(), url.port(), allowed).await.map_err(|error| Failure::address(&error))?;
        let tls = url.tls().then_some((&self.world.tls, url.host()));
        let opened = CameraConnection::open(&self.world.ticker, address, tls).await;
        opened.map_err(|error| Failure::connect(&error))
    }

    /// Waits, unless somebody wants another try at once.
    async fn pause(&mut self, wait: Duration) -> Pause {
        let until = tokio::time::Instant::now() + wait;
        let (retries, networks) = {
            let control = self.control.borrow_and_update();
            (control.retries, Arc::clone(&control.networks))
        };
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Pause::Over,
                changed = self.control.changed() => {
                    let (stop, again) = {
                        let control = self.control.borrow_and_update();
                        let again = control.retries != retries || control.networks != networks;
                        (control.stop || changed.is_err(), again)
                    };
                    if stop {
                        return Pause::Stop;
                    }
                    self.tell();
                    if again {
                        return Pause::Over;
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Over,
    Stop,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_never_takes_encryption_away() {
        let url = |text| RtspUrl::parse(text).unwrap();
        let (plain, encrypted) = (url("rtsp://10.0.0.7/main"), url("rtsps://10.0.0.8/main"));
        assert!(may_follow(&plain, &plain) && may_follow(&plain, &encrypted));
        assert!(may_follow(&encrypted, &encrypted) && !may_follow(&encrypted, &plain));
    }

    #[test]
    fn the_log_shows_no_password_of_an_address() {
        assert_eq!(printable("rtsp://10.0.0.7/main?user=a&password=canary"), "rtsp://10.0.0.7/main");
        for url in ["rtsp://admin:canary@10.0.0.7/main", "canary", "rtsp://10.0.0.7/#canary"] {
            assert!(!printable(url).contains("canary"), "{url}");
        }
    }
}
