//! The bytes of a recording: the head of a file, the head of a fragment, the box of a trailer.
//!
//! Varde's own documents stand in `uuid` boxes inside `moov` and `moof`, so that players step over them.

use std::io;

use varde_codec::Format;
use varde_fmp4::{FragmentBuilder, TrackInit, UserBox};
use varde_footage::{FRAGMENT_BOX, FileIdentity, FragmentRecord, IDENTITY_BOX, TRAILER_BOX};

use crate::queue::Fragment;

fn refused(error: varde_fmp4::WriteError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// `ftyp` and `moov`.
pub(crate) fn init_segment(format: &Format, identity: &FileIdentity) -> io::Result<bytes::Bytes> {
    let body = identity.to_json();
    let user = Some(UserBox { kind: &IDENTITY_BOX, body: &body });
    varde_fmp4::init_segment(&TrackInit { format, creation: identity.start, user }).map_err(refused)
}

/// `moof` with the fragment's record, and the head of the `mdat` that follows.
pub(crate) fn fragment_head(
    record: &FragmentRecord,
    fragment: &Fragment,
    start_ticks: u64,
) -> io::Result<bytes::Bytes> {
    let mut builder = FragmentBuilder::new(start_ticks);
    for (sample, unit) in record.samples.iter().zip(&fragment.units) {
        builder
            .push(unit.data.clone(), sample.duration, sample.composition, unit.flags.into())
            .map_err(refused)?;
    }
    let mut document = Vec::with_capacity(256 + record.samples.len() * 8);
    record.encode(&mut document);
    let user = Some(UserBox { kind: &FRAGMENT_BOX, body: &document });
    // `mfhd` counts from one in 32 bits; only its rising matters to players.
    Ok(builder.finish((record.sequence as u32).wrapping_add(1), user).map_err(refused)?.head)
}

/// The whole trailer box.
pub(crate) fn trailer_box(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + payload.len());
    out.extend_from_slice(&(24 + payload.len() as u32).to_be_bytes());
    out.extend_from_slice(b"uuid");
    out.extend_from_slice(&TRAILER_BOX);
    out.extend_from_slice(payload);
    out
}
