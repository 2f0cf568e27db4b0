//! A loop of pictures ready to be sent: access units, their order of display and, where asked for, a counter in each.

use bytes::{BufMut as _, Bytes, BytesMut};
use varde_codec::Format;

use crate::h264::{self, Pps, SliceHeader, Sps, Strip};
use crate::{h265, jpeg};

/// A loop of pictures.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    pub(crate) format: Format,
    /// In decode order; the first is a key frame.
    pub(crate) frames: Vec<Frame>,
    /// The rate it was made for, in thousandths of a picture a second.
    pub(crate) rate_milli: u32,
    /// By how many pictures display lags behind decoding.
    pub(crate) lead: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The access unit, laid out as [`varde_codec::AccessUnit`] says; without what stands in `padding`.
    data: Bytes,
    /// Supplemental data, which comes before all slices.
    padding: Bytes,
    pub(crate) key: bool,
    /// Place in the order of display, within the loop.
    pub(crate) display: u32,
    counter: Option<Counter>,
}

#[derive(Clone, Debug)]
enum Counter {
    H264(Strip),
    Jpeg(jpeg::Picture),
}

impl Frame {
    /// The access unit, showing `number` where this frame can.
    pub(crate) fn data(&self, number: u32) -> Bytes {
        match &self.counter {
            None if self.padding.is_empty() => self.data.clone(),
            None => [&self.padding[..], &self.data[..]].concat().into(),
            Some(Counter::H264(strip)) => {
                let nal = strip.write(number);
                let mut data = BytesMut::with_capacity(self.padding.len() + 4 + nal.len() + self.data.len());
                data.put_slice(&self.padding);
                put_nal(&mut data, &nal);
                data.put_slice(&self.data);
                data.freeze()
            }
            Some(Counter::Jpeg(picture)) => picture.with_counter(number),
        }
    }

    pub(crate) fn new(data: Bytes, key: bool, display: u32) -> Self {
        Self { data, padding: Bytes::new(), key, display, counter: None }
    }
}

fn put_nal(data: &mut BytesMut, nal: &[u8]) {
    data.put_u32(u32::try_from(nal.len()).expect("a NAL unit of bundled footage is small"));
    data.put_slice(nal);
}

/// The NAL units of an Annex B stream.
fn annex_b(stream: &Bytes) -> Vec<Bytes> {
    let mut starts = Vec::new();
    let mut at = 0;
    while at + 3 <= stream.len() {
        if stream[at..at + 3] == [0, 0, 1] {
            starts.push(at + 3);
            at += 3;
        } else {
            at += 1;
        }
    }
    let ends = starts.iter().skip(1).map(|next| next - 3).chain([stream.len()]);
    let nal = |(&start, mut end): (&usize, usize)| {
        while end > start && stream[end - 1] == 0 {
            end -= 1;
        }
        stream.slice(start..end)
    };
    starts.iter().zip(ends).map(nal).filter(|nal| nal.len() > 2).collect()
}

/// A bundled H.264 loop: one slice a picture, a guard row on top (footage/README.md).
pub(crate) fn from_h264(stream: &Bytes, height: u32, rate_milli: u32, counter: bool) -> Option<Clip> {
    let nals = annex_b(stream);
    let of_type = |kind: u8| nals.iter().find(|nal| nal[0] & 0x1f == kind);
    let (sps, pps_nal) = (Sps::parse(of_type(7)?)?, of_type(8)?);
    let pps = Pps::parse(pps_nal)?;
    let mut frames = Vec::new();
    let (mut group_start, mut previous_key) = (0, None);
    for nal in nals.iter().filter(|nal| matches!(nal[0] & 0x1f, 1 | 5)) {
        let key = nal[0] & 0x1f == 5;
        let header = SliceHeader::parse(nal, &sps, &pps)?;
        let index = u32::try_from(frames.len()).ok()?;
        if key {
            group_start = index;
            previous_key = Some(index);
        }
        previous_key?;
        let display = header.display_order.map_or(index, |order| group_start + order / 2);
        let mut data = BytesMut::new();
        let strip = if counter {
            put_nal(&mut data, &header.moved_to(sps.width_macroblocks));
            Some(Counter::H264(Strip::new(&header, &pps, sps.width_macroblocks)))
        } else {
            put_nal(&mut data, nal);
            None
        };
        frames.push(Frame { counter: strip, ..Frame::new(data.freeze(), key, display) });
    }
    let lead = lead(&frames);
    let format = Format::H264 {
        sps: sps.write(height, counter, lead).into(),
        pps: vec![pps_nal.clone()],
        width: sps.width(),
        height,
    };
    Some(Clip { format, frames, rate_milli, lead })
}

/// How many pictures wait for one that is decoded later and shown earlier.
pub(crate) fn lead(frames: &[Frame]) -> u32 {
    (0u32..).zip(frames).map(|(index, frame)| index.saturating_sub(frame.display)).max().unwrap_or(0)
}

/// A bundled H.265 loop: one slice a picture, no reordering, guard rows on top.
pub(crate) fn from_h265(stream: &Bytes, width: u32, height: u32, rate_milli: u32) -> Option<Clip> {
    let kind = |nal: &Bytes| nal[0] >> 1 & 0x3f;
    let nals = annex_b(stream);
    let of_type = |wanted: u8| nals.iter().find(|nal| kind(nal) == wanted).cloned();
    let sps = h265::cropped(&of_type(33)?, h264::GUARD_HEIGHT, height)?.into();
    let format = Format::H265 { vps: vec![of_type(32)?], sps, pps: vec![of_type(34)?], width, height };
    let mut frames = Vec::new();
    for nal in nals.iter().filter(|nal| kind(nal) < 32) {
        let mut data = BytesMut::with_capacity(nal.len() + 4);
        put_nal(&mut data, nal);
        let display = u32::try_from(frames.len()).ok()?;
        frames.push(Frame::new(data.freeze(), (16..=21).contains(&kind(nal)), display));
    }
    frames.first().is_some_and(|first| first.key).then_some(Clip { format, frames, rate_milli, lead: 0 })
}

/// A motion JPEG loop.
pub(crate) fn from_jpeg(stream: &Bytes, rate_milli: u32, counter: bool) -> Option<Clip> {
    let pictures = jpeg::split(stream);
    let first = pictures.first()?;
    let format = Format::Mjpeg { width: first.width, height: first.height };
    let frame = |(display, picture): (u32, jpeg::Picture)| {
        let plain = Frame::new(picture.whole.clone(), true, display);
        Frame { counter: counter.then_some(Counter::Jpeg(picture)), ..plain }
    };
    let frames = (0..).zip(pictures).map(frame).collect();
    Some(Clip { format, frames, rate_milli, lead: 0 })
}

impl Clip {
    /// Makes each picture larger in proportion, by supplemental data that decoders skip, until the loop needs
    /// `bitrate` bits a second at `rate_milli`. A loop that needs more already, or has no such data, stays.
    pub(crate) fn padded(mut self, bitrate: u64, rate_milli: u32) -> Self {
        let header: &[u8] = match self.format {
            Format::H264 { .. } => &[6],
            Format::H265 { .. } => &[39 << 1, 1],
            _ => return self,
        };
        let have: u64 = self.frames.iter().map(|frame| frame.data.len() as u64).sum();
        let want = bitrate.saturating_mul(self.frames.len() as u64 * 1000) / 8 / u64::from(rate_milli.max(1));
        if want <= have {
            return self;
        }
        for frame in &mut self.frames {
            let size = (u128::from(want) * frame.data.len() as u128 / u128::from(have)) as usize;
            let missing = size.saturating_sub(frame.data.len());
            if missing < 64 {
                continue;
            }
            let mut padding = BytesMut::with_capacity(missing + 16);
            put_nal(&mut padding, &filler(header, missing));
            frame.padding = padding.freeze();
        }
        self
    }
}

/// Unregistered user data of about `size` bytes.
fn filler(header: &[u8], size: usize) -> Vec<u8> {
    let mut body = size.saturating_sub(header.len() + 24 + size / 255).max(16);
    let mut nal = Vec::with_capacity(size + 16);
    nal.extend_from_slice(header);
    nal.push(5);
    let content = body;
    while body >= 255 {
        nal.push(255);
        body -= 255;
    }
    nal.push(body as u8);
    nal.extend_from_slice(b"varde fills here");
    // Never zero, so nothing needs escaping.
    nal.extend((16..content).map(|index| (index as u8).wrapping_mul(73) | 1));
    nal.push(0x80);
    nal
}
