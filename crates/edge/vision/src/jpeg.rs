//! A picture as JPEG.

use bytes::Bytes;
use ffmpeg::codec::{self, Context};
use ffmpeg::format::Pixel;
use ffmpeg::frame::Video;
use ffmpeg::{Packet, Rational, encoder};
use ffmpeg_the_third as ffmpeg;
use varde_vision_link::{Failure, Image};

use crate::failure::{broken, unsupported};
use crate::scale::{Scaler, fitted};

/// FFmpeg's factor between a quantiser and its internal unit.
const LAMBDA: i32 = 118;
/// 2 is best, 31 is worst.
const QUANTISER: i32 = 4;
const SIDE_MAX: u32 = 8192;
const WIDTH_MIN: u32 = 16;

/// Encodes a picture, at most `width` pixels across.
pub(crate) fn encode(picture: &Video, width: Option<u32>) -> Result<Image, Failure> {
    let width_max = width.unwrap_or(SIDE_MAX).clamp(WIDTH_MIN, SIDE_MAX);
    let (width, height) = fitted(picture.width(), picture.height(), width_max, SIDE_MAX);
    let mut scaled = Scaler::default().scale(picture, Pixel::YUVJ420P, width, height)?;
    scaled.set_pts(Some(0));
    let found = encoder::find(codec::Id::MJPEG).ok_or_else(|| unsupported("JPEG"))?;
    let mut encoder =
        Context::new_with_codec(found).encoder().video().map_err(broken("the JPEG encoder does not open"))?;
    encoder.set_width(width);
    encoder.set_height(height);
    encoder.set_format(Pixel::YUVJ420P);
    encoder.set_time_base(Rational::new(1, 25));
    encoder.set_flags(codec::Flags::QSCALE);
    encoder.set_global_quality(LAMBDA * QUANTISER);
    encoder.set_threading(codec::threading::Config::count(1));
    let mut encoder = encoder.open_as(found).map_err(broken("the JPEG encoder does not open"))?;
    encoder.send_frame(&scaled).map_err(broken("the picture can't be encoded"))?;
    let mut packet = Packet::empty();
    encoder.receive_packet(&mut packet).map_err(broken("the picture can't be encoded"))?;
    let jpeg = Bytes::copy_from_slice(packet.data().unwrap_or_default());
    Ok(Image { jpeg, width, height })
}
