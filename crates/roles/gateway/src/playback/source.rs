//! Reads fragments of recorded files, a bounded piece at a time.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use varde_api_internal::recorder::{PlanFile, PlanFragment};
use varde_codec::Format;
use varde_fmp4::{FragmentInfo, ReadError, read_fragment, read_init};
use varde_http::Problem;

use crate::problem::recorder_problem;
use crate::recorder::Recorder;

/// One read at most: a fragment is half a second of pictures.
const READ_BYTES_MAX: u64 = 64 << 20;
/// An init segment with its evidence at most.
const INIT_BYTES_MAX: u64 = 1 << 20;
/// A fragment's head is a few hundred bytes; more is read where it is longer.
const HEAD_BYTES: u64 = 4 << 10;
const HEAD_BYTES_MAX: u64 = 4 << 20;

/// Exactly these bytes of a file.
pub(super) async fn read(
    recorder: &dyn Recorder,
    file: &PlanFile,
    offset: u64,
    length: u64,
) -> Result<Bytes, Problem> {
    if length > READ_BYTES_MAX {
        return Err(Problem::internal(&format!("{} plans a piece of {length} bytes", file.file)));
    }
    let answer = recorder.file(file.storage, &file.file, offset, length).await;
    let mut body = answer.map_err(|error| recorder_problem(&error))?.body;
    let mut bytes = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| recorder_problem(&error))?;
        if bytes.is_empty() && piece.len() as u64 == length {
            return Ok(piece);
        }
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > length {
            break;
        }
    }
    if bytes.len() as u64 == length {
        return Ok(bytes.freeze());
    }
    // Retention may have taken the file between plan and read.
    Err(Problem::not_found())
}

/// What the file says of its track.
pub(super) async fn format(recorder: &dyn Recorder, file: &PlanFile) -> Result<Format, Problem> {
    let bytes = read(recorder, file, 0, file.init_bytes.min(INIT_BYTES_MAX)).await?;
    let init = read_init(&bytes).map_err(|error| damaged(file, &error))?;
    if init.timescale != file.timescale {
        return Err(damaged(file, &"its timescale is not the planned one"));
    }
    Ok(init.format)
}

/// The samples of a fragment, without their bytes.
pub(super) async fn head(
    recorder: &dyn Recorder,
    file: &PlanFile,
    fragment: &PlanFragment,
) -> Result<FragmentInfo, Problem> {
    let mut length = HEAD_BYTES;
    loop {
        let bytes = read(recorder, file, fragment.offset, length.min(fragment.bytes)).await?;
        match read_fragment(&bytes) {
            Err(ReadError::Truncated { .. }) if length < fragment.bytes && length < HEAD_BYTES_MAX => {
                length *= 16
            }
            Ok(info) if info.bytes <= fragment.bytes => return Ok(info),
            Ok(_) => return Err(damaged(file, &"a fragment is longer than planned")),
            Err(error) => return Err(damaged(file, &error)),
        }
    }
}

fn damaged(file: &PlanFile, error: &dyn std::fmt::Display) -> Problem {
    Problem::internal(&format!("{} is damaged: {error}", file.file))
}
