//! Pictures to H.264 and H.265, without reordering: what goes in comes out at once.

use std::collections::VecDeque;

use bytes::Bytes;
use ffmpeg::codec::Context;
use ffmpeg::format::Pixel;
use ffmpeg::{Dictionary, Packet, Rational, encoder, picture};
use ffmpeg_the_third as ffmpeg;
use varde_codec::{AccessUnit, Codec, Format, h264, h265, nal};
use varde_units::Mono;
use varde_vision_link::{Failure, FailureCode, Message};

use crate::decode::Picture;
use crate::failure::{broken, unsupported};
use crate::scale::{Scaler, fitted};

/// What to encode to.
#[derive(Clone, Debug)]
pub(crate) struct EncoderOptions {
    /// H.264 or H.265.
    pub(crate) codec: Codec,
    /// For live viewers: quick, and so plain that WebRTC takes it.
    pub(crate) is_live: bool,
    pub(crate) bitrate_bps_max: Option<u32>,
    pub(crate) height_max: u32,
    pub(crate) rate_milli: u32,
    pub(crate) key_interval_max: u32,
}

/// An encoder that follows its pictures: another size begins anew.
pub(crate) struct VideoEncoder {
    options: EncoderOptions,
    scaler: Scaler,
    open: Option<Open>,
    format: Option<Format>,
    sequence: u64,
    last_decode_time: Option<Mono>,
}

struct Open {
    encoder: encoder::video::Encoder,
    width: u32,
    height: u32,
    /// Time of the first picture: encoders count from it.
    origin: Mono,
    last_pts: i64,
    /// Pictures that went in and did not come out yet: count and time.
    inside: VecDeque<(i64, Mono)>,
}

impl VideoEncoder {
    pub(crate) fn new(options: EncoderOptions) -> Self {
        Self {
            options,
            scaler: Scaler::default(),
            open: None,
            format: None,
            sequence: 0,
            last_decode_time: None,
        }
    }

    /// Encodes a picture; `key` makes it an entry point.
    pub(crate) fn push(
        &mut self,
        picture: &Picture,
        key: bool,
        out: &mut Vec<Message>,
    ) -> Result<(), Failure> {
        const WIDTH_MAX: u32 = 8192;
        let frame = &picture.frame;
        let (width, height) = fitted(frame.width(), frame.height(), WIDTH_MAX, self.options.height_max);
        if self.open.as_ref().is_some_and(|open| (open.width, open.height) != (width, height)) {
            self.finish(out)?;
        }
        let mut scaled = self.scaler.scale(frame, Pixel::YUV420P, width, height)?;
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::new(&self.options, width, height, picture.time)?),
        };
        // Microseconds: nanoseconds would not fit the encoders' time fields.
        let pts = (picture.time.signed_nanos_since(open.origin) / 1000).max(open.last_pts + 1);
        open.last_pts = pts;
        open.inside.push_back((pts, picture.time));
        scaled.set_pts(Some(pts));
        scaled.set_kind(if key { picture::Type::I } else { picture::Type::None });
        open.encoder.send_frame(&scaled).map_err(broken("the picture can't be encoded"))?;
        self.packets(out)
    }

    /// Gives out what the encoder holds back and closes it.
    pub(crate) fn finish(&mut self, out: &mut Vec<Message>) -> Result<(), Failure> {
        if let Some(open) = &mut self.open {
            open.encoder.send_eof().map_err(broken("the encoder does not end"))?;
            self.packets(out)?;
            self.open = None;
        }
        Ok(())
    }

    fn packets(&mut self, out: &mut Vec<Message>) -> Result<(), Failure> {
        loop {
            let Some(open) = &mut self.open else { return Ok(()) };
            let mut packet = Packet::empty();
            // "Needs more" and "at the end" both mean that there is no packet now.
            if open.encoder.receive_packet(&mut packet).is_err() {
                return Ok(());
            }
            let pts = packet.pts().unwrap_or(open.last_pts);
            let place = open.inside.iter().position(|(inside, _)| *inside == pts);
            let time =
                place.and_then(|place| open.inside.remove(place)).map_or(open.origin, |(_, time)| time);
            self.unit(packet.data().unwrap_or_default(), time, out)?;
        }
    }

    /// Takes the encoder's Annex B apart into format and unit.
    fn unit(&mut self, annex_b: &[u8], time: Mono, out: &mut Vec<Message>) -> Result<(), Failure> {
        let mut sets = [Vec::new(), Vec::new(), Vec::new()];
        let mut slices: Vec<&[u8]> = Vec::new();
        for unit in nal::annex_b(annex_b) {
            let (set, is_slice) = match self.options.codec {
                Codec::H264 => {
                    let set = match h264::nal_unit_type(unit) {
                        Some(h264::nal_type::SPS) => Some(1),
                        Some(h264::nal_type::PPS) => Some(2),
                        _ => None,
                    };
                    (set, h264::is_slice(unit))
                }
                _ => {
                    let set = match h265::nal_unit_type(unit) {
                        Some(h265::nal_type::VPS) => Some(0),
                        Some(h265::nal_type::SPS) => Some(1),
                        Some(h265::nal_type::PPS) => Some(2),
                        _ => None,
                    };
                    (set, h265::is_slice(unit))
                }
            };
            match set {
                Some(place) => sets[place].push(Bytes::copy_from_slice(unit)),
                None if is_slice => slices.push(unit),
                None => {}
            }
        }
        let [vps, mut sps, pps] = sets;
        let own_fault = |error: varde_codec::Error| Failure {
            code: FailureCode::Broken,
            message: format!("the encoder made something unreadable: {error}"),
        };
        if let Some(sps) = sps.pop() {
            let format = match self.options.codec {
                Codec::H264 => h264::format_from_parameter_sets(sps, pps),
                _ => h265::format_from_parameter_sets(vps, sps, pps),
            };
            let format = format.map_err(own_fault)?;
            if self.format.as_ref() != Some(&format) {
                out.push(Message::Format(format.clone()));
                self.format = Some(format);
            }
        }
        let (Some(format), false) = (&self.format, slices.is_empty()) else { return Ok(()) };
        let data = nal::to_length_prefixed(slices.into_iter()).map_err(own_fault)?;
        let after_last = self.last_decode_time.map(|last| last.offset_nanos(1));
        let decode_time = after_last.map_or(time, |after_last| time.max(after_last));
        self.last_decode_time = Some(decode_time);
        let unit = AccessUnit {
            sequence: self.sequence,
            time: decode_time,
            decode_time,
            received: time,
            camera_time: None,
            flags: format.unit_flags(&data),
            data,
        };
        self.sequence += 1;
        out.push(Message::Unit(unit));
        Ok(())
    }
}

impl Open {
    fn new(options: &EncoderOptions, width: u32, height: u32, origin: Mono) -> Result<Self, Failure> {
        let (name, title) = match options.codec {
            Codec::H264 => ("libx264", "encoding H.264"),
            Codec::H265 => ("libx265", "encoding H.265"),
            _ => return Err(unsupported(options.codec.name())),
        };
        let found = encoder::find_by_name(name).ok_or_else(|| unsupported(title))?;
        let mut encoder =
            Context::new_with_codec(found).encoder().video().map_err(broken("the encoder does not open"))?;
        encoder.set_width(width);
        encoder.set_height(height);
        encoder.set_format(Pixel::YUV420P);
        encoder.set_time_base(Rational::new(1, 1_000_000));
        let rate = options.rate_milli.clamp(1_000, 120_000);
        encoder.set_frame_rate(Some(Rational::new(rate.cast_signed(), 1000)));
        let encoder =
            encoder.open_as_with(found, settings(options)).map_err(broken("the encoder does not open"))?;
        Ok(Self { encoder, width, height, origin, last_pts: -1, inside: VecDeque::new() })
    }
}

fn settings(options: &EncoderOptions) -> Dictionary {
    let keys = options.key_interval_max.clamp(1, 1000);
    let mut settings = Dictionary::new();
    settings.set("threads", "1");
    settings.set("tune", "zerolatency");
    settings.set("forced-idr", "1");
    // A head is at most one group of pictures, and somebody waits for it; x265 is slow enough as it is.
    let is_hurried = options.is_live || options.codec == Codec::H265;
    settings.set("preset", if is_hurried { "ultrafast" } else { "veryfast" });
    settings.set("crf", if options.is_live { "23" } else { "18" });
    if let Some(most) = options.bitrate_bps_max {
        settings.set("maxrate", most.to_string());
        // One second's worth: a key frame fits in, and the delay stays short.
        settings.set("bufsize", most.to_string());
    }
    if options.codec == Codec::H264 {
        if options.is_live {
            // Constrained baseline is what every WebRTC client decodes.
            settings.set("profile", "baseline");
        }
        settings.set(
            "x264-params",
            format!("keyint={keys}:min-keyint=1:scenecut=0:bframes=0:repeat-headers=1:annexb=1"),
        );
    } else {
        settings.set(
            "x265-params",
            format!(
                "log-level=none:keyint={keys}:min-keyint=1:scenecut=0:bframes=0:repeat-headers=1:annexb=1:\
                 pools=none:frame-threads=1:rc-lookahead=0:info=0"
            ),
        );
    }
    settings
}
