//! Sound to Opus: AAC and G.711 in, packets of 20 ms out.

use bytes::Bytes;
use ffmpeg::codec::{self, Context};
use ffmpeg::format::Sample;
use ffmpeg::format::sample::Type;
use ffmpeg::frame::Audio;
use ffmpeg::software::resampling;
use ffmpeg::{ChannelLayoutMask, Dictionary, Packet, Rational, decoder, encoder};
use ffmpeg_the_third as ffmpeg;
use varde_codec::aac::AudioConfig;
use varde_codec::{AccessUnit, Format, UnitFlags, g711, opus};
use varde_units::Mono;
use varde_vision_link::{Failure, Message};

use crate::failure::{broken, unsupported};

/// Samples of 20 ms.
const PACKET_SAMPLES: usize = 960;
const PACKET_NANOS: i64 = 20_000_000;
/// Beyond this the sound's own count and its times don't belong together: it begins anew.
const JUMP_NANOS: u64 = 60_000_000;
const SAMPLES: Sample = Sample::I16(Type::Packed);

/// Decodes and encodes one stream of sound.
pub(crate) struct SoundEncoder {
    input: Input,
    encoder: Option<encoder::audio::Encoder>,
    resampler: Option<resampling::Context>,
    channels: usize,
    /// Samples at 48 kHz, channels interleaved, that don't fill a packet yet.
    waiting: Vec<i16>,
    /// Time of the first sample that waits.
    time: Option<Mono>,
    pts: i64,
    sequence: u64,
}

enum Input {
    Aac { decoder: decoder::Audio, config: AudioConfig },
    Table { table: &'static [i16; 256], sample_rate: u32, channels: u8 },
}

impl SoundEncoder {
    pub(crate) fn open(format: &Format, out: &mut Vec<Message>) -> Result<Self, Failure> {
        let input = match format {
            Format::Aac { config, .. } => {
                let config = AudioConfig::parse(config).map_err(|_| unsupported("this kind of AAC"))?;
                let found = decoder::find(codec::Id::AAC).ok_or_else(|| unsupported("AAC"))?;
                let decoder = Context::new_with_codec(found).decoder().open_as(found);
                let decoder = decoder.and_then(decoder::Opened::audio);
                Input::Aac { decoder: decoder.map_err(broken("the AAC decoder does not open"))?, config }
            }
            Format::Alaw { sample_rate, channels } => {
                Input::Table { table: &g711::ALAW, sample_rate: *sample_rate, channels: *channels }
            }
            Format::Ulaw { sample_rate, channels } => {
                Input::Table { table: &g711::ULAW, sample_rate: *sample_rate, channels: *channels }
            }
            _ => return Err(unsupported(format.codec().name())),
        };
        let (Format::Aac { channels, .. } | Format::Alaw { channels, .. } | Format::Ulaw { channels, .. }) =
            format
        else {
            return Err(unsupported(format.codec().name()));
        };
        let channels = if *channels > 1 { 2 } else { 1 };
        out.push(Message::Format(Format::Opus { channels }));
        Ok(Self {
            input,
            encoder: None,
            resampler: None,
            channels: usize::from(channels),
            waiting: Vec::new(),
            time: None,
            pts: 0,
            sequence: 0,
        })
    }

    /// Encodes what the unit completes. Damaged units are left out.
    pub(crate) fn push(&mut self, unit: &AccessUnit, out: &mut Vec<Message>) -> Result<(), Failure> {
        let frames = match &mut self.input {
            Input::Table { table, sample_rate, channels } => {
                table_frame(table, *sample_rate, *channels, &unit.data).into_iter().collect()
            }
            Input::Aac { decoder, config } => decode_aac(decoder, config, &unit.data),
        };
        let held = (self.waiting.len() / self.channels) as i64 * PACKET_NANOS / PACKET_SAMPLES as i64;
        let expected = self.time.map(|time| time.offset_nanos(held));
        if expected.is_none_or(|expected| unit.time.signed_nanos_since(expected).unsigned_abs() > JUMP_NANOS)
        {
            self.waiting.clear();
            self.time = Some(unit.time);
        }
        for frame in frames {
            self.resample(&frame)?;
        }
        while self.waiting.len() >= PACKET_SAMPLES * self.channels {
            self.packet(unit.received, out)?;
        }
        Ok(())
    }

    fn resample(&mut self, frame: &Audio) -> Result<(), Failure> {
        let from = (frame.format(), frame.channel_layout(), frame.rate());
        let fits = self.resampler.as_ref().is_some_and(|resampler| {
            let input = resampler.input();
            (input.format, input.channel_layout, input.rate) == from
        });
        let layout = layout(self.channels);
        if !fits {
            let context =
                resampling::Context::get(from.0, from.1, from.2, SAMPLES, layout, opus::SAMPLE_RATE);
            self.resampler = Some(context.map_err(broken("the sound can't be converted"))?);
        }
        let resampler = self.resampler.as_mut().expect("it was made above");
        // Room for what this frame gives and for the filter's tail.
        let room = frame.samples() as u64 * u64::from(opus::SAMPLE_RATE) / u64::from(from.2.max(1)) + 256;
        let mut converted = Audio::new(SAMPLES, room as usize, layout);
        resampler.run(frame, &mut converted).map_err(broken("the sound can't be converted"))?;
        let bytes = converted.samples() * self.channels * 2;
        let samples = converted.data(0).get(..bytes).unwrap_or_default();
        self.waiting.extend(samples.as_chunks().0.iter().map(|pair| i16::from_ne_bytes(*pair)));
        Ok(())
    }

    fn packet(&mut self, received: Mono, out: &mut Vec<Message>) -> Result<(), Failure> {
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(open_opus(self.channels)?),
        };
        let mut frame = Audio::new(SAMPLES, PACKET_SAMPLES, layout(self.channels));
        frame.set_rate(opus::SAMPLE_RATE);
        frame.set_pts(Some(self.pts));
        self.pts += PACKET_SAMPLES as i64;
        let samples = self.waiting.drain(..PACKET_SAMPLES * self.channels);
        for (place, sample) in frame.data_mut(0).as_chunks_mut().0.iter_mut().zip(samples) {
            *place = sample.to_ne_bytes();
        }
        let time = self.time.unwrap_or(received);
        self.time = Some(time.offset_nanos(PACKET_NANOS));
        encoder.send_frame(&frame).map_err(broken("the sound can't be encoded"))?;
        let mut packet = Packet::empty();
        while encoder.receive_packet(&mut packet).is_ok() {
            let data = Bytes::copy_from_slice(packet.data().unwrap_or_default());
            let flags = UnitFlags { entry_point: true, ..UnitFlags::default() };
            let sequence = self.sequence;
            self.sequence += 1;
            out.push(Message::Unit(AccessUnit {
                sequence,
                time,
                decode_time: time,
                received,
                camera_time: None,
                flags,
                data,
            }));
        }
        Ok(())
    }
}

fn layout(channels: usize) -> ChannelLayoutMask {
    if channels > 1 { ChannelLayoutMask::STEREO } else { ChannelLayoutMask::MONO }
}

fn open_opus(channels: usize) -> Result<encoder::audio::Encoder, Failure> {
    const BITS_PER_CHANNEL: usize = 32_000;
    let found = encoder::find_by_name("libopus").ok_or_else(|| unsupported("encoding Opus"))?;
    let mut encoder =
        Context::new_with_codec(found).encoder().audio().map_err(broken("the Opus encoder does not open"))?;
    encoder.set_rate(opus::SAMPLE_RATE.cast_signed());
    encoder.set_format(SAMPLES);
    encoder.set_channel_layout(layout(channels));
    encoder.set_channels(channels as i32);
    encoder.set_time_base(Rational::new(1, opus::SAMPLE_RATE.cast_signed()));
    encoder.set_bit_rate(BITS_PER_CHANNEL * channels);
    let mut settings = Dictionary::new();
    settings.set("frame_duration", "20");
    settings.set("application", "lowdelay");
    encoder.open_as_with(found, settings).map_err(broken("the Opus encoder does not open"))
}

fn table_frame(table: &[i16; 256], sample_rate: u32, channels: u8, data: &[u8]) -> Option<Audio> {
    let channels = usize::from(channels.clamp(1, 2));
    let samples = data.len() / channels;
    if samples == 0 {
        return None;
    }
    let mut frame = Audio::new(SAMPLES, samples, layout(channels));
    frame.set_rate(sample_rate);
    for (place, code) in frame.data_mut(0).as_chunks_mut().0.iter_mut().zip(data) {
        *place = table[usize::from(*code)].to_ne_bytes();
    }
    Some(frame)
}

/// Decodes one raw frame, behind an ADTS header that says what the decoder needs to know.
fn decode_aac(decoder: &mut decoder::Audio, config: &AudioConfig, data: &[u8]) -> Vec<Audio> {
    let Some(header) = adts_header(config, data.len()) else { return Vec::new() };
    let packet = Packet::copy(&[&header, data].concat());
    let _ = decoder.send_packet(&packet);
    let mut frames = Vec::new();
    loop {
        let mut frame = Audio::empty();
        if decoder.receive_frame(&mut frame).is_err() {
            return frames;
        }
        if frame.samples() > 0 && !frame.channel_layout().is_empty() {
            frames.push(frame);
        }
    }
}

/// The header of ISO/IEC 13818-7 §6.2 for one frame of AAC-LC; HE-AAC is found by the decoder itself.
fn adts_header(config: &AudioConfig, data_bytes: usize) -> Option<[u8; 7]> {
    let length = u16::try_from(data_bytes + 7).ok().filter(|length| *length < 1 << 13)?;
    let low = AudioConfig::low_complexity(config.sample_rate, config.channels)?;
    let index = (low[0] & 7) << 1 | low[1] >> 7;
    let channels = low[1] >> 3 & 15;
    Some([
        0xff,
        0xf1, // MPEG-4, no checksum.
        1 << 6 | index << 2 | channels >> 2,
        channels << 6 | (length >> 11) as u8,
        (length >> 3) as u8,
        (length << 5) as u8 | 0x1f,
        0xfc,
    ])
}
