//! The driver contract: what the recorder asks of a device and what a device tells the recorder.
//!
//! A driver speaks messages alone (commands in; formats, units, states out), so that it can move into a process of
//! its own unchanged. It decides how to reach a device and when to try again; it refuses to know what is recorded.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use varde_api::codes::CameraState;
use varde_codec::{AccessUnit, Format};
use varde_ids::{HardwareId, StreamId};
use varde_units::Mono;

/// Everything a driver needs to drive one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    pub hardware: HardwareId,
    /// User name and password for the device; not part of any URL.
    pub credentials: Option<Credentials>,
    /// Networks in which devices may be addressed; checked on the resolved address, once it is resolved.
    pub allowed_networks: Vec<Network>,
    pub sources: Vec<SourceSpec>,
}

/// One connection of the device and the streams wanted from it. A main and a sub stream are two sources;
/// picture and sound of one RTSP presentation are two streams of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// Where the stream is, without user information: `rtsp://10.0.0.7/main`.
    pub url: String,
    pub transport: Transport,
    pub video: Option<StreamId>,
    pub audio: Option<StreamId>,
    pub metadata: Option<StreamId>,
}

/// How media travels from the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Interleaved in the RTSP connection.
    #[default]
    Tcp,
    Udp,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// An address range in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    pub address: IpAddr,
    pub prefix_bits: u8,
}

impl Network {
    /// Whether `address` lies inside; an IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_bits.min(32))).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_bits.min(128))).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refuse = || format!("{text:?} is not a network; write it as 10.0.0.0/8");
        let (address, bits) = text.split_once('/').ok_or_else(refuse)?;
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let prefix_bits: u8 = bits.parse().map_err(|_| refuse())?;
        if prefix_bits > if address.is_ipv4() { 32 } else { 128 } {
            return Err(refuse());
        }
        Ok(Self { address, prefix_bits })
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        format!("{}/{}", network.address, network.prefix_bits)
    }
}

/// What a driver is told while it runs.
#[derive(Debug)]
pub enum Command {
    /// New wishes for the same device; sources that did not change keep their sessions.
    Update(DeviceSpec),
    /// Try again now instead of waiting for the back-off.
    Retry,
    /// Ends the driver: sessions are torn down, then `run` returns.
    Stop,
}

/// State of one source, with what a client needs to say it in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    pub state: CameraState,
    /// Parameters of the code, as `state`'s documentation names them.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// The inner detail, for the log and the details panel. Holds no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What is measured on a source, told about once a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceHealth {
    pub packets_received: u64,
    pub packets_lost: u64,
    /// How fast the camera's media clock runs against ours, in parts per million; positive is fast.
    pub clock_drift_ppm: f64,
    /// The camera's wall clock less ours, in milliseconds, where it tells one.
    pub clock_offset_ms: Option<i64>,
}

/// Where a driver puts what it has. Calls never block: the receiver is bounded and drops by its own rule.
pub trait Outlet: Send + Sync + 'static {
    /// The stream's configuration, before its first unit and whenever it changes.
    fn format(&self, stream: StreamId, format: Arc<Format>);
    fn unit(&self, stream: StreamId, unit: AccessUnit);
    /// `source` is the index in [`DeviceSpec::sources`].
    fn state(&self, source: usize, state: SourceState, at: Mono);
    fn health(&self, source: usize, health: SourceHealth);
}

/// The server's monotonic clock and randomness for back-off, as a driver sees them.
pub trait Surroundings: Send + Sync + 'static {
    fn mono(&self) -> Mono;
    fn utc(&self) -> varde_units::Utc;
    /// Uniform in 0..=`limit`.
    fn random(&self, limit: u64) -> u64;
}

/// A way of driving devices.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// The name in the device list: `rtsp`.
    fn name(&self) -> &'static str;

    /// Drives one device until [`Command::Stop`] or until `commands` closes. Reconnects by itself, for ever.
    async fn run(
        &self,
        device: DeviceSpec,
        commands: mpsc::Receiver<Command>,
        outlet: Arc<dyn Outlet>,
        surroundings: Arc<dyn Surroundings>,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_address_it_maps() {
        let check = |network: &str, address: &str, inside| {
            let network = Network::try_from(network.to_owned()).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("127.0.0.0/8", "::ffff:127.0.0.1", true);
        check("0.0.0.0/0", "169.254.169.254", true);
        check("0.0.0.0/0", "::1", false);
        check("fe80::/10", "fe80::1", true);
        check("192.168.1.0/32", "192.168.1.0", true);
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = Credentials { user: "admin".into(), password: "canary".into() };
        assert!(!format!("{credentials:?}").contains("canary"));
    }
}
