//! Recorded media: timelines, plans, playlists, byte ranges, and what is cut out of them.

pub(crate) mod entry_points;
pub(crate) mod file;
pub(crate) mod frame;
mod head;
pub(crate) mod hls;
mod layout;
pub(crate) mod recording;
mod source;
pub(crate) mod timeline;
mod tracks;

pub(crate) use entry_points::entry_points;
pub(crate) use file::{byte_range, file};
pub(crate) use frame::{Stills, frame};
pub(crate) use hls::playlist;
pub(crate) use recording::{Cut, HOURS_MAX, cut, recording};
pub(crate) use timeline::{plan, timeline};

use varde_http::Problem;
use varde_units::Utc;

/// `start` must lie before `end`.
pub(crate) fn check_range(start: Utc, end: Utc) -> Result<(), Problem> {
    if start < end {
        return Ok(());
    }
    Err(Problem::invalid("end", "`end` must lie after `start`."))
}
