//! Footage: what stands in a store and what it means. File names, documents, fragments, the evidence chain, the
//! ledger, trailers, spans and gaps, playback plans, retention and the clock.
//!
//! Pure: bytes and times in, values out. Refuses to know disks, threads and clocks; `edge/media-store` has them.

mod chain;
mod clock;
mod digest;
mod document;
mod fragment;
mod frame;
mod ledger;
mod path;
mod plan;
mod retention;
mod span;
mod trailer;

pub use chain::{ChainProblem, ChainVerifier, Checkpoint, Head, LeafContext, configuration_digest, leaf};
pub use clock::{ClockAction, ClockMapping, ClockWatch, SLEW_MAX, STEADY_FOR};
pub use digest::{Digest, ParseDigestError, hex, unhex};
pub use document::{
    DocumentError, ENCRYPTION, FORMAT_VERSION, FRAGMENT_BOX, FileIdentity, IDENTITY_BOX, StoreDocument,
    TRAILER_BOX,
};
pub use fragment::{FragmentError, FragmentRecord, SAMPLES_MAX, SampleEntry, Seal};
pub use frame::{FRAME_BYTES_MAX, Frames, push_frame};
pub use ledger::{EpochReason, LedgerEntry, LedgerRecord, LedgerState, StreamTail, read_entries};
pub use path::{
    CATALOGUE, CHANNEL_DOCUMENT, FilePath, KEYS_FOLDER, LEDGER_FOLDER, MEDIA_FOLDER, ParsePathError,
    STORE_DOCUMENT, ledger_number, ledger_path,
};
pub use plan::fragments_for;
pub use retention::{Candidate, Lock, Reason, expired};
pub use span::{GapRecord, MERGE_WITHIN, Span, merge_spans};
pub use trailer::{
    ROW_BYTES, ROWS_MAX, Row, SignedSummary, Summary, TRAILER_END_BYTES, Trailer, TrailerError, table_digest,
};
