//! From the snapshot to what drivers are asked for: one device, its sources, and which stream belongs to which channel.

use std::collections::HashMap;

use varde_api_internal::config::{ChannelConfig, ChannelKind, HardwareConfig, StreamConfig};
use varde_driver::{Credentials, DeviceSpec, Network, SourceSpec, Transport};

/// What the driver of a device is asked for. Streams with the same address and transport are one source: picture and
/// sound of one presentation come over one connection.
pub fn device_spec(hardware: &HardwareConfig, allowed_networks: &[Network]) -> DeviceSpec {
    let mut sources: Vec<SourceSpec> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    for channel in &hardware.channels {
        for stream in &channel.streams {
            let place = *places.entry((&stream.url, &stream.transport)).or_insert_with(|| {
                sources.push(source(stream));
                sources.len() - 1
            });
            let slot = match channel.kind {
                ChannelKind::Camera => &mut sources[place].video,
                ChannelKind::Microphone => &mut sources[place].audio,
                ChannelKind::Metadata => &mut sources[place].metadata,
            };
            slot.get_or_insert(stream.id);
        }
    }
    let credentials = hardware.user.as_ref().map(|user| Credentials {
        user: user.clone(),
        password: hardware.password.clone().unwrap_or_default(),
    });
    DeviceSpec { hardware: hardware.id, credentials, allowed_networks: allowed_networks.to_vec(), sources }
}

fn source(stream: &StreamConfig) -> SourceSpec {
    SourceSpec {
        url: stream.url.clone(),
        transport: if stream.transport == "udp" { Transport::Udp } else { Transport::Tcp },
        video: None,
        audio: None,
        metadata: None,
    }
}

/// The streams of a device, each with its channel.
pub fn streams(hardware: &HardwareConfig) -> impl Iterator<Item = (&ChannelConfig, &StreamConfig)> {
    hardware.channels.iter().flat_map(|channel| channel.streams.iter().map(move |stream| (channel, stream)))
}

/// Networks as the snapshot spells them; what can't be read is left out and said in the log, so that a typing error
/// never opens more than was meant.
pub fn networks(texts: &[String]) -> Vec<Network> {
    texts
        .iter()
        .filter_map(|text| {
            Network::try_from(text.clone()).inspect_err(|error| tracing::error!(%error, "ignored")).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use varde_api_internal::config::StreamRole;
    use varde_ids::{ChannelId, HardwareId, StorageId, StreamId};

    use super::*;

    fn channel(number: u8, kind: ChannelKind, streams: &[(u8, &str)]) -> ChannelConfig {
        ChannelConfig {
            id: ChannelId::from_bytes([number; 16]),
            kind,
            name: "Door".into(),
            priority: 1,
            record: true,
            retention_days: None,
            storage: StorageId::from_bytes([9; 16]),
            streams: streams
                .iter()
                .map(|(id, url)| StreamConfig {
                    id: StreamId::from_bytes([*id; 16]),
                    url: (*url).into(),
                    transport: "tcp".into(),
                    roles: vec![StreamRole::Record],
                    codec: None,
                })
                .collect(),
            related_to: None,
        }
    }

    #[test]
    fn picture_and_sound_of_one_address_share_a_connection() {
        let hardware = HardwareConfig {
            id: HardwareId::from_bytes([1; 16]),
            name: "Door".into(),
            driver: "rtsp".into(),
            enabled: true,
            user: Some("viewer".into()),
            password: None,
            channels: vec![
                channel(2, ChannelKind::Camera, &[(3, "rtsp://10.0.0.7/main"), (4, "rtsp://10.0.0.7/sub")]),
                channel(5, ChannelKind::Microphone, &[(6, "rtsp://10.0.0.7/main")]),
            ],
        };
        let spec = device_spec(&hardware, &networks(&["10.0.0.0/8".into(), "nonsense".into()]));
        assert_eq!(spec.sources.len(), 2);
        assert_eq!(spec.sources[0].video, Some(StreamId::from_bytes([3; 16])));
        assert_eq!(spec.sources[0].audio, Some(StreamId::from_bytes([6; 16])));
        assert_eq!(spec.allowed_networks.len(), 1);
        assert_eq!(streams(&hardware).count(), 3);
    }
}
