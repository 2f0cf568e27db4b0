//! Pictures of another size and pixel format.

use ffmpeg::format::Pixel;
use ffmpeg::frame::Video;
use ffmpeg::software::scaling::{Context, Flags};
use ffmpeg_the_third as ffmpeg;
use varde_vision_link::Failure;

use crate::failure::broken;

/// Keeps its tables while pictures stay alike.
#[derive(Default)]
pub(crate) struct Scaler {
    context: Option<Context>,
}

impl Scaler {
    /// A new picture, also where nothing had to change.
    pub(crate) fn scale(
        &mut self,
        from: &Video,
        pixel: Pixel,
        width: u32,
        height: u32,
    ) -> Result<Video, Failure> {
        let fits = self.context.as_ref().is_some_and(|context| {
            let (input, output) = (context.input(), context.output());
            (input.format, input.width, input.height) == (from.format(), from.width(), from.height())
                && (output.format, output.width, output.height) == (pixel, width, height)
        });
        if !fits {
            let context = Context::get(
                from.format(),
                from.width(),
                from.height(),
                pixel,
                width,
                height,
                Flags::BILINEAR,
            );
            self.context = Some(context.map_err(broken("the picture's format can't be converted"))?);
        }
        let context = self.context.as_mut().expect("it was made above");
        let mut to = Video::empty();
        context.run(from, &mut to).map_err(broken("the picture can't be scaled"))?;
        Ok(to)
    }
}

/// The largest even size within the limits, in the picture's own proportions.
pub(crate) fn fitted(width: u32, height: u32, width_max: u32, height_max: u32) -> (u32, u32) {
    let (wide, high) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let (mut to_width, mut to_height) = (wide, high);
    if to_width > u64::from(width_max) {
        (to_width, to_height) = (u64::from(width_max), high * u64::from(width_max) / wide);
    }
    if to_height > u64::from(height_max) {
        (to_width, to_height) = (wide * u64::from(height_max) / high, u64::from(height_max));
    }
    let even = |side: u64| (side & !1).max(2) as u32;
    (even(to_width), even(to_height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_their_proportions() {
        assert_eq!(fitted(1920, 1080, 320, 4096), (320, 180));
        assert_eq!(fitted(1920, 1080, 4096, 720), (1280, 720));
        assert_eq!(fitted(322, 243, 4096, 4096), (322, 242));
        assert_eq!(fitted(1, 8000, 16, 16), (2, 16));
        assert_eq!(fitted(0, 0, 16, 16), (2, 2));
    }
}
