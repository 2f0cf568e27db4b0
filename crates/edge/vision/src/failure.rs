//! Failures in the words of the protocol.

use varde_vision_link::{Failure, FailureCode};

/// Most pixels of a picture: 8192 × 8192.
const PIXELS_MAX: u64 = 1 << 26;

pub(crate) fn unsupported(what: &str) -> Failure {
    Failure { code: FailureCode::Unsupported, message: format!("{what} is not supported") }
}

/// FFmpeg would not do it.
pub(crate) fn broken(what: &'static str) -> impl Fn(ffmpeg_the_third::Error) -> Failure {
    move |error| Failure { code: FailureCode::Broken, message: format!("{what}: {error}") }
}

pub(crate) fn nothing(what: &str) -> Failure {
    Failure { code: FailureCode::Broken, message: format!("{what} came out of what was sent") }
}

pub(crate) fn check_size(width: u32, height: u32) -> Result<(), Failure> {
    if width == 0 || height == 0 || u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(Failure {
            code: FailureCode::TooLarge,
            message: format!("pictures of {width} × {height} are not taken"),
        });
    }
    Ok(())
}
