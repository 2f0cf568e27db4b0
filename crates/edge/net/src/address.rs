//! From a host name to the one address that is connected to, checked after it was resolved.
//!
//! The caller connects to what is returned here and never resolves again, so that a name can't point elsewhere between
//! check and use.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
const ADDRESSES_MAX: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The name has no address, or nobody could say.
    #[error("{host} could not be resolved")]
    Unresolved {
        host: String,
        #[source]
        source: io::Error,
    },
    /// It has one, but none that the administrator allows.
    #[error("{host} is at {address}, outside the allowed networks")]
    NotAllowed { host: String, address: IpAddr },
}

/// The first address of `host` that `allowed` lets through; IPv4 mapped into IPv6 counts and comes out as IPv4.
///
/// # Errors
/// See [`AddressError`].
pub async fn resolve(
    host: &str,
    port: u16,
    allowed: impl Fn(IpAddr) -> bool,
) -> Result<SocketAddr, AddressError> {
    let unresolved = |source| AddressError::Unresolved { host: host.to_owned(), source };
    let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => {
            let lookup = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port)));
            lookup
                .await
                .map_err(|_| unresolved(io::ErrorKind::TimedOut.into()))?
                .map_err(unresolved)?
                .collect()
        }
    };
    choose(&found, allowed)
        .map_err(|address| match address {
            Some(address) => AddressError::NotAllowed { host: host.to_owned(), address },
            None => unresolved(io::ErrorKind::NotFound.into()),
        })
        .map(|address| SocketAddr::new(address, port))
}

fn choose(found: &[SocketAddr], allowed: impl Fn(IpAddr) -> bool) -> Result<IpAddr, Option<IpAddr>> {
    let mut refused = None;
    for address in found.iter().take(ADDRESSES_MAX).map(|each| each.ip().to_canonical()) {
        if reachable_by_one(address) && allowed(address) {
            return Ok(address);
        }
        refused = refused.or(Some(address));
    }
    Err(refused)
}

/// Neither "everyone" nor "nobody": a camera is one host.
fn reachable_by_one(address: IpAddr) -> bool {
    let everyone = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    !(everyone || address.is_multicast() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_allowed_host_comes_out() {
        let private = |address: IpAddr| match address {
            IpAddr::V4(address) => address.is_private(),
            IpAddr::V6(_) => false,
        };
        let check = |found: &[&str], chosen: Result<&str, Option<&str>>| {
            let found: Vec<_> =
                found.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 554)).collect();
            let address = |text: &str| text.parse::<IpAddr>().unwrap();
            let expected = chosen.map(address).map_err(|refused| refused.map(address));
            assert_eq!(choose(&found, private), expected);
        };
        check(&["10.0.0.7"], Ok("10.0.0.7"));
        check(&["8.8.8.8", "10.0.0.7"], Ok("10.0.0.7"));
        check(&["::ffff:10.0.0.7"], Ok("10.0.0.7"));
        check(&["::ffff:127.0.0.1"], Err(Some("127.0.0.1")));
        check(&["169.254.169.254"], Err(Some("169.254.169.254")));
        check(&[], Err(None));
    }

    #[test]
    fn groups_and_nobody_are_refused_whatever_is_allowed() {
        for text in ["0.0.0.0", "::", "255.255.255.255", "239.1.2.3", "ff02::1", "::ffff:224.0.0.1"] {
            let found = [SocketAddr::new(text.parse().unwrap(), 554)];
            assert!(choose(&found, |_| true).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn other_spellings_of_an_address_are_checked_as_the_address() {
        // The system's resolver takes decimal, octal and short forms for 127.0.0.1.
        for text in ["2130706433", "0x7f000001", "127.1", "localhost"] {
            let result = resolve(text, 554, |address| !address.is_loopback()).await;
            assert!(
                matches!(result, Err(AddressError::NotAllowed { .. } | AddressError::Unresolved { .. })),
                "{text}: {result:?}"
            );
        }
        let address = resolve("::ffff:127.0.0.1", 8554, |_| true).await.unwrap();
        assert_eq!(address, "127.0.0.1:8554".parse().unwrap());
    }
}
