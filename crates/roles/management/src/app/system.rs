//! The server itself, in words and in numbers.

use std::fmt::Write;

use varde_api::system::{System, SystemLimits, SystemRecorder};
use varde_http::MetricsSource;

use crate::role::Management;

impl Management {
    pub fn system_get(&self) -> System {
        let recorder = self.recorder();
        System {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            server_name: self.server_name(),
            uptime_seconds: self.uptime_seconds(),
            started: self.started,
            recorder: SystemRecorder {
                connected: recorder.is_some(),
                started: recorder.map(|recorder| recorder.started),
            },
            limits: SystemLimits { transcode_streams_max: self.options.transcode_streams_max },
        }
    }
}

fn gauge(text: &mut String, name: &str, help: &str, rows: impl Iterator<Item = (String, f64)>) {
    let _ = writeln!(text, "# HELP varde_{name} {help}\n# TYPE varde_{name} gauge");
    for (labels, value) in rows {
        let _ = writeln!(text, "varde_{name}{labels} {value}");
    }
}

impl MetricsSource for Management {
    /// What the recorder said last, by identifiers alone: names are no labels.
    fn write(&self, text: &mut String) {
        let recorder = self.recorder();
        let none = || std::iter::once(String::new());
        gauge(
            text,
            "uptime_seconds",
            "Seconds since the start.",
            none().map(|l| (l, self.uptime_seconds() as f64)),
        );
        let connected = f64::from(u8::from(recorder.is_some()));
        gauge(text, "recorder_connected", "Whether the recorder answers.", none().map(|l| (l, connected)));
        let Some(recorder) = recorder else { return };
        let now = self.now();
        let streams = || {
            recorder.channels.iter().flat_map(|channel| {
                channel.streams.iter().map(move |stream| {
                    (format!("{{channel=\"{}\",stream=\"{}\"}}", channel.channel, stream.stream), stream)
                })
            })
        };
        gauge(
            text,
            "camera_online",
            "Whether pictures come.",
            recorder.channels.iter().map(|channel| {
                let online = u8::from(channel.state == "online");
                (format!("{{channel=\"{}\"}}", channel.channel), f64::from(online))
            }),
        );
        gauge(
            text,
            "stream_bitrate_bps",
            "Bits a second.",
            streams().map(|(l, s)| (l, s.bitrate_bps as f64)),
        );
        gauge(text, "stream_frames_per_second", "Frames.", streams().map(|(l, s)| (l, s.frames_per_second)));
        gauge(
            text,
            "stream_units_received",
            "Access units.",
            streams().map(|(l, s)| (l, s.units_received as f64)),
        );
        gauge(
            text,
            "stream_units_dropped",
            "Units lost here.",
            streams().map(|(l, s)| (l, s.units_dropped as f64)),
        );
        gauge(
            text,
            "stream_packets_lost",
            "Lost on the way.",
            streams().map(|(l, s)| (l, s.packets_lost as f64)),
        );
        gauge(
            text,
            "stream_ring_bytes",
            "Bytes in memory.",
            streams().map(|(l, s)| (l, s.ring_bytes as f64)),
        );
        let lag = streams().filter_map(|(labels, stream)| {
            stream.durable_until.map(|until| (labels, now.since(until).as_secs_f64()))
        });
        gauge(text, "stream_durable_lag_seconds", "Now less durable_until.", lag);
        let storages = || {
            recorder.storages.iter().map(|storage| (format!("{{storage=\"{}\"}}", storage.storage), storage))
        };
        gauge(
            text,
            "storage_used_bytes",
            "Bytes of recordings.",
            storages().map(|(l, s)| (l, s.used_bytes as f64)),
        );
        gauge(text, "storage_free_bytes", "Free bytes.", storages().map(|(l, s)| (l, s.free_bytes as f64)));
    }
}
