//! What a request's connection says: who is at the other end, on which of our addresses, and whether it is TLS.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An extension of every request that came through [`crate::Server`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub tls: bool,
}

impl ConnectionInfo {
    /// What a request without a socket counts as: plain HTTP from this machine to itself.
    pub fn loopback() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { peer: address, local: address, tls: false }
    }

    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        extensions.get().copied().unwrap_or_else(Self::loopback)
    }
}

/// What counts as one client where clients are counted: an IPv4 address, or the /64 of an IPv6 address, of which a
/// single machine has all.
pub fn address_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_with_many_addresses_is_one_client() {
        let check = |address: &str, network: &str| {
            assert_eq!(address_network(address.parse().unwrap()), network.parse::<IpAddr>().unwrap());
        };
        check("10.0.0.5", "10.0.0.5");
        check("::ffff:10.0.0.5", "10.0.0.5");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("2001:db8:1:2:ffff::1", "2001:db8:1:2::");
        check("2001:db8:1:3::1", "2001:db8:1:3::");
    }
}
