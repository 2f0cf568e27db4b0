//! RTSP, SDP, RTP and RTCP.

use std::time::Duration;

use bytes::Bytes;
use varde_codec::Format;
use varde_rtsp::auth::Credentials;
use varde_rtsp::client::{ClientAction, ClientOptions, ClientSession, Delivery, Wanted};
use varde_rtsp::message::{self, Limits, Message, Parsed};
use varde_rtsp::rtp::receiver::Arrival;
use varde_rtsp::rtp::{
    Depacketiser, Output, Packetiser, PayloadParameters, Receiver, SessionClock, UNIT_BYTES_MAX, rtcp,
};
use varde_rtsp::sdp::Description;
use varde_rtsp::{RtspUrl, TransportHeader, resolve_control};
use varde_units::Mono;

use super::Target;

pub(super) const RTSP: Target = Target {
    name: "rtsp",
    words: &[
        b"RTSP/1.0",
        b"\r\n\r\n",
        b"Content-Length: ",
        b"CSeq: 1\r\n",
        b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
        b"$\0",
        b"rtsp://",
        b" 200 OK\r\n",
    ],
    seeds: Vec::new,
    run: run_rtsp,
};

fn run_rtsp(input: &[u8]) {
    let limits = Limits::default();
    let mut rest = input;
    while let Ok(Parsed::Complete { message, length }) = message::parse(rest, &limits) {
        assert!(length > 0 && length <= rest.len(), "a message uses bytes that are there");
        let headers = match message {
            Message::Request(request) => Some(request.headers),
            Message::Response(response) => Some(response.headers),
            Message::Data(_) => None,
        };
        for (name, value) in headers.iter().flat_map(|headers| headers.iter()) {
            let transports = TransportHeader::parse_all(value).count();
            assert!(transports <= value.len() + 1, "{name}");
        }
        rest = &rest[length..];
    }
    if let Ok(text) = std::str::from_utf8(input) {
        if let Ok(url) = RtspUrl::parse(text) {
            assert_eq!(RtspUrl::parse(url.as_str()).as_ref().map(RtspUrl::as_str), Ok(url.as_str()));
            let _ = (url.host(), url.path());
        }
        let (base, control) = text.split_once('\n').unwrap_or((text, ""));
        assert!(resolve_control(base, control).len() <= text.len() + 16);
    }
}

/// What a camera answers, from the first byte of the connection on.
pub(super) const RTSP_CLIENT: Target = Target {
    name: "rtsp_client",
    words: &[
        b"RTSP/1.0 200 OK\r\n",
        b"RTSP/1.0 401 Unauthorized\r\n",
        b"CSeq: 3\r\n",
        b"Session: 1;timeout=1\r\n",
        b"Transport: RTP/AVP;unicast;server_port=1-2;ssrc=7\r\n",
        b"WWW-Authenticate: Digest realm=\"a\",nonce=\"b\",stale=true\r\n",
        b"Location: rtsp://10.0.0.8/\r\n",
    ],
    seeds: || {
        let sdp = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n\
                   m=audio 0 RTP/AVP 0\r\na=control:track2\r\n";
        let begin = format!(
            "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\n\r\n\
             RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\"\r\n\r\n\
             RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Base: rtsp://10.0.0.7/main/\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        let set_up = |cseq: u32, channels: &str| {
            format!(
                "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 77;timeout=30\r\n\
                 Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n\r\n"
            )
        };
        let play = "RTSP/1.0 200 OK\r\nCSeq: 6\r\nSession: 77\r\n\r\n\
                    OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\nRTSP/1.0 454 Session Not Found\r\nCSeq: 7\r\n\r\n";
        let whole = [begin.clone(), set_up(4, "0-1"), set_up(5, "2-3"), play.to_owned()].concat();
        ["\0", "\u{1}"]
            .iter()
            .flat_map(|choice| [format!("{choice}{whole}"), format!("{choice}{begin}")])
            .map(String::into_bytes)
            .collect()
    },
    run: run_rtsp_client,
};

fn run_rtsp_client(input: &[u8]) {
    let Some((&choice, mut rest)) = input.split_first() else { return };
    let options = ClientOptions {
        url: RtspUrl::parse("rtsp://10.0.0.7/main").expect("a plain URL"),
        credentials: (choice & 2 == 0).then(|| Credentials { user: "a".into(), password: "b".into() }),
        user_agent: "varde".into(),
        delivery: if choice & 1 == 0 { Delivery::Interleaved } else { Delivery::Udp },
        wanted: Wanted { video: true, audio: true, metadata: true },
    };
    let mut now = Mono::from_nanos(1 << 40);
    let mut session = ClientSession::new(options, 7, now);
    let limits = Limits::default();
    for _ in 0..200 {
        // What the session wants is carried out until it waits; it must come to wait.
        for step in 0.. {
            assert!(step < 50, "the session never waits");
            match session.poll(now) {
                Ok(ClientAction::Send(bytes)) => assert!(bytes.len() <= input.len() * 4 + 4_096),
                Ok(ClientAction::BindPorts { tracks }) => {
                    assert!(tracks <= 3);
                    session.on_ports(&[(5_000, 5_001), (5_002, 5_003), (5_004, 5_005)][..tracks], now);
                }
                Ok(ClientAction::Ready | ClientAction::Playing) => assert!(session.tracks().len() <= 3),
                Ok(ClientAction::WaitUntil(_)) => break,
                Ok(ClientAction::Close) | Err(_) => return,
            }
        }
        let Ok(Parsed::Complete { message, length }) = message::parse(rest, &limits) else { break };
        rest = &rest[length..];
        now += Duration::from_secs(1);
        let going = match message {
            Message::Request(request) => session.on_request(&request),
            Message::Response(response) => session.on_response(&response, now),
            Message::Data(_) => Ok(()),
        };
        if going.is_err() {
            return;
        }
    }
    session.tear_down(now);
    let _ = session.poll(now);
}

pub(super) const SDP: Target = Target {
    name: "sdp",
    words: &[
        b"m=video 0 RTP/AVP 96\r\n",
        b"a=rtpmap:96 H264/90000\r\n",
        b"a=fmtp:96 ",
        b"sprop-parameter-sets=",
        b"sprop-vps=",
        b"config=",
        b"a=control:",
        b"mpeg4-generic/48000/2",
    ],
    seeds: Vec::new,
    run: |input| {
        let Ok(description) = Description::parse(input) else { return };
        for media in &description.media {
            let _ = (media.flows_to_client(), media.medium(), media.encoding());
            let Some(parameters) = media.payload() else { continue };
            assert!(parameters.clock_rate > 0);
            let depacketiser = Depacketiser::new(&parameters);
            let _ = depacketiser.as_ref().map(Depacketiser::format);
        }
    },
};

fn hex(text: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Formats by the first byte of an input.
pub(super) fn formats() -> [Format; 9] {
    [
        Format::H264 {
            sps: hex("6764000aacb208f60220000003002000000641e244c9"),
            pps: vec![hex("68ebc3cb22c0")],
            width: 64,
            height: 48,
        },
        Format::H265 {
            vps: vec![hex("40010c01ffff01600000030090000003000003001e959809")],
            sps: hex("42010101600000030090000003000003001ea02083165959ae4caf016808000003000800000300c840"),
            pps: vec![hex("4401c173d089")],
            width: 64,
            height: 48,
        },
        varde_codec::av1::format_from_sequence_header(&hex("0a0a00000002aff79b5f2008"))
            .expect("a sequence header of libaom"),
        Format::Mjpeg { width: 64, height: 48 },
        varde_codec::aac::format_from_config(hex("1190")).expect("low complexity, 48 kHz, stereo"),
        Format::Alaw { sample_rate: 8_000, channels: 1 },
        Format::Ulaw { sample_rate: 8_000, channels: 2 },
        Format::Opus { channels: 2 },
        Format::Metadata,
    ]
}

/// A unit of each format, small enough to be mutated and large enough for fragments.
fn units(format: &Format) -> Vec<Vec<u8>> {
    let nal = |header: &[u8], count: usize| {
        let nal = [header, &[0x80][..], &vec![0x5a; count]].concat();
        [&(nal.len() as u32).to_be_bytes()[..], &nal].concat()
    };
    match format {
        Format::H264 { .. } => {
            vec![[nal(&[6], 9), nal(&[0x65], 300)].concat(), nal(&[0x41], 40), nal(&[1], 20)]
        }
        Format::H265 { .. } => vec![
            [nal(&[78, 1], 9), nal(&[38, 1], 300)].concat(),
            nal(&[2, 1], 40),
            nal(&[42, 1], 30),
            nal(&[16, 1], 20),
        ],
        Format::Av1 { .. } => {
            let frame = |first: u8, count: u8| {
                [&[0x32, count + 1, first][..], &vec![0x5a; usize::from(count)]].concat()
            };
            vec![[hex("0a0a00000002aff79b5f2008").to_vec(), frame(0x10, 100)].concat(), frame(0x30, 20)]
        }
        Format::Mjpeg { .. } => vec![super::media::jpeg_image()],
        Format::Metadata => vec![b"<?xml version=\"1.0\"?><tt:MetadataStream/>".to_vec()],
        _ => vec![vec![0x5c; 80], vec![0x5c; 100]],
    }
}

/// One byte chooses format and transport; then packets, each behind its length in two bytes.
pub(super) const RTP: Target = Target {
    name: "rtp",
    words: &[&[0x80, 0xe0], &[0x90, 0xe0], &[0x7c, 0x85], &[0x62, 0x01, 0x93], &[0x78, 0, 4], &[0x60, 0x01]],
    seeds: || {
        formats()
            .iter()
            .enumerate()
            .flat_map(|(index, format)| {
                [0, 128].map(|ordered| {
                    let mut packetiser = Packetiser::new(format, 96, 7, 65_530, 120);
                    let mut input = vec![index as u8 | ordered];
                    for (step, unit) in units(format).iter().cycle().take(5).enumerate() {
                        let sent =
                            packetiser.packetise(unit, step as u32 * 3_600, step == 0, |head, body| {
                                input.extend_from_slice(&((head.len() + body.len()) as u16).to_be_bytes());
                                input.extend_from_slice(head);
                                input.extend_from_slice(body);
                            });
                        sent.expect("the seeds are well formed");
                    }
                    input
                })
            })
            .collect()
    },
    run: run_rtp,
};

fn run_rtp(input: &[u8]) {
    let Some((&choice, mut rest)) = input.split_first() else { return };
    let formats = formats();
    let format = &formats[usize::from(choice & 0x7f) % formats.len()];
    let arrival = if choice & 0x80 == 0 { Arrival::Unordered } else { Arrival::Ordered };
    let mut clock = SessionClock::default();
    let parameters = PayloadParameters::for_format(format, 96);
    let mut receiver =
        Receiver::new(&parameters, arrival, 1, &mut clock).expect("what we say ourselves is supported");
    let mut echo = Packetiser::new(format, 96, 7, 0, 100);
    let mut now = Mono::from_nanos(1 << 40);
    let mut came = 0;
    let mut last = None;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let (packet, tail) = tail.split_at(length);
        rest = tail;
        now += Duration::from_millis(20);
        receiver.on_packet(&mut clock, packet, now);
        receiver.on_rtcp(&mut clock, packet, now);
        if rest.is_empty() {
            now += Duration::from_secs(1);
            receiver.on_time(&mut clock, now);
            receiver.finish(&mut clock, now);
        }
        while let Some(output) = receiver.poll() {
            let Output::Unit(unit) = output else { continue };
            assert!(unit.data.len() <= UNIT_BYTES_MAX && !unit.data.is_empty());
            assert!(unit.decode_time <= unit.time);
            if let Some((sequence, decode_time)) = last.replace((unit.sequence, unit.decode_time)) {
                assert!(unit.sequence > sequence && unit.decode_time > decode_time);
            }
            came += unit.data.len();
            if matches!(format, Format::H264 { .. } | Format::H265 { .. }) {
                let nals: usize = unit.nal_units().map(|nal| nal.len() + 4).sum();
                assert_eq!(nals, unit.data.len(), "lengths fill the unit");
            }
            // What was received can be sent on.
            let _ = echo.packetise(&unit.data, 0, unit.flags.entry_point, |head, body| {
                assert!(head.len() + body.len() <= 100 + 300);
            });
        }
    }
    // A JPEG head is some 600 bytes; nothing else grows by more than a few bytes a packet.
    assert!(came <= input.len() * 2 + (1 + input.len() / 8) * 1_024, "{came} bytes out of {}", input.len());
    let mut report = Vec::new();
    receiver.write_report(now, &mut report);
    assert!(rtcp::parse(&report).all(|packet| packet.is_ok()));
}

pub(super) const RTCP: Target = Target {
    name: "rtcp",
    words: &[&[0x80, 200, 0, 6], &[0x81, 201, 0, 7], &[0x81, 202], &[0x81, 203, 0, 1]],
    seeds: || {
        let block = rtcp::ReportBlock {
            ssrc: 7,
            fraction_lost: 1,
            lost: -2,
            highest_sequence: 3,
            jitter: 4,
            last_report: 5,
            delay: 6,
        };
        let report = rtcp::SenderReport {
            ssrc: 7,
            ntp: 0xee00_0000_8000_0000,
            rtp_timestamp: 9,
            packets: 1,
            octets: 2,
        };
        let mut compound = Vec::new();
        rtcp::write_sender_report(&mut compound, &report, &[block]);
        rtcp::write_source_description(&mut compound, 7, "camera");
        rtcp::write_bye(&mut compound, 7);
        let mut receiver = Vec::new();
        rtcp::write_receiver_report(&mut receiver, 1, &[block, block]);
        vec![compound, receiver]
    },
    run: |input| {
        let mut clock = SessionClock::default();
        let track = clock.add_track(90_000);
        let mut now = Mono::from_nanos(1 << 40);
        assert!(rtcp::parse(input).count() <= input.len() / 4 + 1);
        for packet in rtcp::parse(input).flatten() {
            now += Duration::from_millis(40);
            match packet {
                rtcp::RtcpPacket::SenderReport { report, blocks } => {
                    assert!(blocks.len() <= 31);
                    clock.on_unit(track, i64::from(report.rtp_timestamp), now);
                    clock.on_sender_report(track, report.ntp, report.rtp_timestamp);
                }
                rtcp::RtcpPacket::ReceiverReport { blocks, .. } => assert!(blocks.len() <= 31),
                rtcp::RtcpPacket::SourceDescription { name, .. } => assert!(name.len() <= 255),
                _ => {}
            }
            let _ = (clock.camera_time(now), clock.drift_ppm(track));
        }
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read() {
        for sdp in [
            &include_bytes!("../../corpus/sdp/h264-aac")[..],
            include_bytes!("../../corpus/sdp/h265-pcmu-metadata"),
        ] {
            let description = Description::parse(sdp).unwrap();
            let known = description.media.iter().filter_map(|media| media.payload());
            assert!(known.map(|parameters| Depacketiser::new(&parameters)).all(|made| made.is_ok()));
        }
        for seed in (RTP.seeds)() {
            let formats = formats();
            let format = &formats[usize::from(seed[0] & 0x7f)];
            let mut depacketiser = Depacketiser::new(&PayloadParameters::for_format(format, 96)).unwrap();
            let mut rest = &seed[1..];
            let mut units = 0;
            while let Some((length, tail)) = rest.split_first_chunk::<2>() {
                let (packet, tail) = tail.split_at(usize::from(u16::from_be_bytes(*length)));
                depacketiser.on_packet(&varde_rtsp::rtp::Packet::parse(packet).unwrap(), 0);
                units += std::iter::from_fn(|| depacketiser.poll()).count();
                rest = tail;
            }
            assert!(units >= 2, "{format:?}: {units} units");
        }
        // The whole conversation ends by a ping that was refused: it was playing.
        let (url, limits) = (RtspUrl::parse("rtsp://10.0.0.7/main").unwrap(), Limits::default());
        let credentials = Some(Credentials { user: "a".into(), password: "b".into() });
        let wanted = Wanted { video: true, audio: true, metadata: true };
        let delivery = Delivery::Interleaved;
        let options = ClientOptions { url, credentials, user_agent: "varde".into(), delivery, wanted };
        let now = Mono::from_nanos(1 << 40);
        let mut session = ClientSession::new(options, 7, now);
        let seeds = (RTSP_CLIENT.seeds)();
        let mut rest = &seeds[0][1..];
        let mut playing = false;
        while let Ok(Parsed::Complete { message, length }) = message::parse(rest, &limits) {
            loop {
                match session.poll(now) {
                    Ok(ClientAction::WaitUntil(_)) | Err(_) => break,
                    Ok(action) => playing |= action == ClientAction::Playing,
                }
            }
            if let Message::Response(response) = message {
                let _ = session.on_response(&response, now);
            }
            rest = &rest[length..];
        }
        assert!(playing);
    }
}
