//! Pictures out of access units.

use ffmpeg::codec::{self, Context};
use ffmpeg::frame::Video;
use ffmpeg::{Packet, decoder};
use ffmpeg_the_third as ffmpeg;
use varde_codec::{AccessUnit, Format, nal};
use varde_units::Mono;
use varde_vision_link::Failure;

use crate::failure::{broken, check_size, unsupported};

/// A decoder of one format.
pub(crate) struct VideoDecoder {
    decoder: decoder::Video,
    format: Format,
    has_parameters: bool,
}

/// A decoded picture and when it is shown.
pub(crate) struct Picture {
    pub(crate) frame: Video,
    pub(crate) time: Mono,
}

impl VideoDecoder {
    /// `is_live`: pictures that surely come in order are given out at once.
    pub(crate) fn open(format: &Format, is_live: bool) -> Result<Self, Failure> {
        let (width, height) = format.dimensions().ok_or_else(|| unsupported("a stream without pictures"))?;
        check_size(width, height)?;
        let found = match format {
            Format::H264 { .. } => decoder::find(codec::Id::H264),
            Format::H265 { .. } => decoder::find(codec::Id::HEVC),
            // FFmpeg's own decoder of AV1 works with hardware alone.
            Format::Av1 { .. } => {
                decoder::find_by_name("libdav1d").or_else(|| decoder::find_by_name("libaom-av1"))
            }
            _ => decoder::find(codec::Id::MJPEG),
        };
        let found = found.ok_or_else(|| unsupported(format.codec().name()))?;
        let mut context = Context::new_with_codec(found);
        // Threads would hold pictures back; parallel work is parallel workers.
        context.set_threading(codec::threading::Config::count(1));
        if is_live && format.is_in_order() {
            context.set_flags(codec::Flags::LOW_DELAY);
        }
        let decoder = context.decoder().open_as(found).and_then(decoder::Opened::video);
        let decoder = decoder.map_err(broken("the decoder does not open"))?;
        Ok(Self { decoder, format: format.clone(), has_parameters: false })
    }

    /// Decodes a unit. Damaged ones give no picture, which is no failure.
    pub(crate) fn push(&mut self, unit: &AccessUnit) -> Result<Vec<Picture>, Failure> {
        let mut packet = Packet::copy(&self.in_band(unit));
        let time = i64::try_from(unit.time.as_nanos()).unwrap_or(i64::MAX);
        packet.set_pts(Some(time));
        let decode_time = i64::try_from(unit.decode_time.as_nanos()).unwrap_or(i64::MAX);
        packet.set_dts(Some(decode_time));
        let _ = self.decoder.send_packet(&packet);
        self.pictures()
    }

    /// What the decoder still held back.
    pub(crate) fn finish(&mut self) -> Result<Vec<Picture>, Failure> {
        let _ = self.decoder.send_eof();
        self.pictures()
    }

    fn pictures(&mut self) -> Result<Vec<Picture>, Failure> {
        let mut pictures = Vec::new();
        loop {
            let mut frame = Video::empty();
            // Both "needs more" and "damaged" mean that there is no picture now.
            if self.decoder.receive_frame(&mut frame).is_err() {
                return Ok(pictures);
            }
            check_size(frame.width(), frame.height())?;
            let time = frame.timestamp().and_then(|time| u64::try_from(time).ok());
            pictures.push(Picture { time: Mono::from_nanos(time.unwrap_or(0)), frame });
        }
    }

    /// The unit as FFmpeg's decoders take it without any configuration beside it.
    fn in_band(&mut self, unit: &AccessUnit) -> Vec<u8> {
        let with_parameters = unit.flags.entry_point || !self.has_parameters;
        self.has_parameters = true;
        let mut sets: Vec<&[u8]> = Vec::new();
        match &self.format {
            Format::H264 { sps, pps, .. } => {
                sets.push(sps);
                sets.extend(pps.iter().map(|set| &set[..]));
            }
            Format::H265 { vps, sps, pps, .. } => {
                sets.extend(vps.iter().map(|set| &set[..]));
                sets.push(sps);
                sets.extend(pps.iter().map(|set| &set[..]));
            }
            Format::Av1 { config, .. } => {
                let header = if with_parameters { config.get(4..).unwrap_or_default() } else { &[] };
                return [header, &unit.data].concat();
            }
            _ => return unit.data.to_vec(),
        }
        if !with_parameters {
            sets.clear();
        }
        let units: Vec<&[u8]> = sets.into_iter().chain(nal::length_prefixed(&unit.data)).collect();
        nal::to_annex_b(units.into_iter()).to_vec()
    }
}
