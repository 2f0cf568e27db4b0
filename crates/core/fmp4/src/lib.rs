//! MP4 (ISO/IEC 14496-12) as the store, the live players and exports need it: fragmented files of one track, whole
//! files of several, and a bounded reader for both.
//!
//! Bytes in, bytes out: media is never copied, and files are never opened here. Evidence, encryption and what
//! stands in the `uuid` boxes are the caller's.

mod error;
pub mod export;
mod fragment;
mod init;
mod read;
mod sample;
mod sample_entry;
mod write;

pub use error::{ReadError, WriteError};
pub use fragment::{FRAGMENT_BYTES_MAX, FRAGMENT_SAMPLES_MAX, Fragment, FragmentBuilder};
pub use init::{TrackInit, init_segment};
pub use read::fragment::{FragmentInfo, FragmentSample, read_fragment};
pub use read::init::{InitInfo, read_init};
pub use read::progressive;
pub use read::{BoxHead, Scan, TopBox, box_head, scan};
pub use sample::{Sample, SampleFlags, UserBox, UserData};
