//! The media store: footage on disk. Durable writing, the ledger, the index, reading, retention, encryption, recovery.
//!
//! Threads of an open storage: one writes fragments and owns all files, one flushes once a second and looks at the
//! clock, one feeds the index and runs retention. Cameras' threads only hash and hand over ([`TrackWriter`]).
//! What a fragment, a trailer or a ledger record is, `core/footage` decides.

mod catalogue;
mod close;
mod crypt;
pub mod disk;
mod flush;
mod index;
mod keeper;
mod lease;
mod ledger;
mod live;
pub mod maintenance;
mod mux;
mod options;
mod queue;
mod read;
mod recover;
mod retain;
mod scan;
mod shared;
mod store;
mod tables;
mod track;
mod verify;
mod writer;

pub use lease::Lease;
pub use options::{
    Ambient, EventSink, FlushMode, MasterKey, OpenError, ReadError, StoreEvent, StoreOptions, TrackSpec,
};
pub use read::READ_BYTES_MAX;
pub use store::Store;
pub use track::{Durability, TrackWriter};
pub use varde_footage::Lock;
pub use verify::{Finding, Problem, Report, verify, verify_on};
