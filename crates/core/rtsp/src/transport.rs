//! The Transport header (RFC 2326 §12.39), as offered and as answered.

/// How the packets of a track travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lower {
    /// Frames within the RTSP connection: RTP on `rtp`, RTCP on `rtcp`.
    Interleaved { rtp: u8, rtcp: u8 },
    /// Datagrams. The client's ports, and the server's where they are known.
    Udp { client: (u16, u16), server: Option<(u16, u16)> },
}

/// One transport of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportHeader {
    /// `None` where an answer names neither channels nor ports.
    pub lower: Option<Lower>,
    pub interleaved: bool,
    pub multicast: bool,
    /// Synchronisation source of the sender.
    pub ssrc: Option<u32>,
    /// Where the server says that datagrams come from. Not to be trusted as an address to send to.
    pub source: Option<String>,
}

impl TransportHeader {
    /// Every transport of the header that is RTP/AVP over TCP or UDP, in the sender's order.
    pub fn parse_all(value: &str) -> impl Iterator<Item = Self> {
        value.split(',').take(8).filter_map(Self::parse)
    }

    fn parse(one: &str) -> Option<Self> {
        let mut parts = one.split(';').map(str::trim);
        let profile = parts.next()?.to_ascii_uppercase();
        // `RTP/AVP/UDP` is the long form of `RTP/AVP`; `RTP/AVPF` differs in RTCP timing alone.
        let interleaved = match profile.as_str() {
            "RTP/AVP" | "RTP/AVP/UDP" | "RTP/AVPF" | "RTP/AVPF/UDP" => false,
            "RTP/AVP/TCP" | "RTP/AVPF/TCP" => true,
            _ => return None,
        };
        let mut header = Self { lower: None, interleaved, multicast: false, ssrc: None, source: None };
        let (mut client, mut server) = (None, None);
        for part in parts.take(32) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "multicast" => header.multicast = true,
                "interleaved" if interleaved => {
                    let (rtp, rtcp) = pair::<u8>(value)?;
                    header.lower = Some(Lower::Interleaved { rtp, rtcp });
                }
                "client_port" => client = pair::<u16>(value),
                "server_port" => server = pair::<u16>(value),
                "ssrc" => header.ssrc = u32::from_str_radix(value.trim(), 16).ok(),
                "source" => header.source = Some(value.trim_matches('"').to_owned()),
                _ => {}
            }
        }
        if !interleaved && let Some(client) = client {
            header.lower = Some(Lower::Udp { client, server });
        }
        // Some cameras repeat only their own ports.
        if !interleaved && header.lower.is_none() && server.is_some() {
            header.lower = Some(Lower::Udp { client: (0, 0), server });
        }
        Some(header)
    }

    /// What a client asks for.
    pub fn request(lower: Lower) -> String {
        match lower {
            Lower::Interleaved { rtp, rtcp } => format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}"),
            Lower::Udp { client: (rtp, rtcp), .. } => format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}"),
        }
    }

    /// What a server answers.
    pub fn response(lower: Lower, ssrc: Option<u32>) -> String {
        let mut text = Self::request(lower);
        if let Lower::Udp { server: Some((rtp, rtcp)), .. } = lower {
            text.push_str(&format!(";server_port={rtp}-{rtcp}"));
        }
        if let Some(ssrc) = ssrc {
            text.push_str(&format!(";ssrc={ssrc:08X}"));
        }
        text
    }
}

/// `4588-4589`, or `4588` alone: then the next number belongs to it.
fn pair<T: std::str::FromStr + Copy + TryFrom<u32> + Into<u32>>(text: &str) -> Option<(T, T)> {
    let (first, second) = text.split_once('-').unwrap_or((text, ""));
    let first: T = first.trim().parse().ok()?;
    let second = match second.trim() {
        "" => T::try_from(first.into().checked_add(1)?).ok()?,
        text => text.parse().ok()?,
    };
    Some((first, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_read_as_cameras_write_them() {
        let check = |text: &str, expected: Option<Lower>| {
            let lower = TransportHeader::parse_all(text).next().and_then(|header| header.lower);
            assert_eq!(lower, expected, "{text}");
        };
        let udp = |client, server| Some(Lower::Udp { client, server });
        check("RTP/AVP/TCP;unicast;interleaved=0-1", Some(Lower::Interleaved { rtp: 0, rtcp: 1 }));
        check("rtp/avp/tcp; interleaved=4", Some(Lower::Interleaved { rtp: 4, rtcp: 5 }));
        check("RTP/AVP/TCP;interleaved=255", None);
        check("RTP/AVP/TCP;interleaved=300-301", None);
        check("RTP/AVP/TCP;unicast", None);
        check("RTP/AVP;unicast;client_port=5000-5001", udp((5000, 5001), None));
        check(
            "RTP/AVP/UDP;unicast;client_port=5000-5001;server_port=6000-6001;ssrc=1A",
            udp((5000, 5001), Some((6000, 6001))),
        );
        check("RTP/AVP;unicast;server_port=6000-6001", udp((0, 0), Some((6000, 6001))));
        check("RAW/RAW/UDP;unicast;client_port=1-2", None);
        check("RTP/SAVP;unicast;client_port=1-2", None);
        check("", None);
        let header = TransportHeader::parse_all("RTP/AVP;multicast;source=\"10.0.0.7\";ssrc=0000ABCD").next();
        let header = header.unwrap();
        assert!(
            header.multicast && header.ssrc == Some(0xabcd) && header.source.as_deref() == Some("10.0.0.7")
        );
    }

    #[test]
    fn the_first_usable_offer_is_found_behind_others() {
        let text = "RTP/SAVP;unicast;client_port=1-2,RTP/AVP/TCP;interleaved=2-3,RTP/AVP;client_port=4-5";
        let offers: Vec<_> = TransportHeader::parse_all(text).filter_map(|offer| offer.lower).collect();
        assert_eq!(offers[0], Lower::Interleaved { rtp: 2, rtcp: 3 });
        assert_eq!(TransportHeader::request(offers[0]), "RTP/AVP/TCP;unicast;interleaved=2-3");
        let answer = TransportHeader::response(Lower::Udp { client: (4, 5), server: Some((6, 7)) }, Some(26));
        assert_eq!(answer, "RTP/AVP;unicast;client_port=4-5;server_port=6-7;ssrc=0000001A");
    }
}
