//! What a storage is told when it is opened, and what it asks of its surroundings.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde_json::{Map, Value};
use varde_api::codes::{EventType, GapCause, StorageState};
use varde_ids::{ChannelId, InstallationId, StorageId, StreamId, WriterId};
use varde_units::{ByteSize, Mono, Utc};

/// Clocks and randomness, handed in so that tests can turn them.
pub trait Ambient: Send + Sync + fmt::Debug {
    fn mono(&self) -> Mono;
    fn utc(&self) -> Utc;
    /// Whether the operating system says that the clock is synchronised.
    fn synchronised(&self) -> bool;
    fn fill_random(&self, bytes: &mut [u8]);
}

/// Something that happened to a storage or a recording. Handed over outside all locks; must not block.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreEvent {
    pub kind: EventType,
    pub time: Utc,
    /// `info`, `warning`, `error`.
    pub severity: &'static str,
    pub storage: StorageId,
    pub channel: Option<ChannelId>,
    pub data: Map<String, Value>,
}

/// Takes the storage's events.
pub trait EventSink: Send + Sync + fmt::Debug {
    fn event(&self, event: StoreEvent);
}

/// A key that wraps data keys.
#[derive(Clone)]
pub struct MasterKey(pub [u8; 32]);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// How written bytes become durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushMode {
    /// `syncfs` where the storage is a file system of its own, else `fdatasync` of each file.
    #[default]
    Automatic,
    WholeFileSystem,
    EachFile,
}

/// Everything that a storage must be told.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    pub path: PathBuf,
    /// The server's own folder for the index; never on the storage.
    pub index_folder: PathBuf,
    pub installation: InstallationId,
    pub storage: StorageId,
    /// This run of the recorder.
    pub writer: WriterId,
    /// Make a new storage of an empty folder. Without it a folder that is not this storage is refused, so that a
    /// missing mount never fills the root disk.
    pub create: bool,
    pub signing_key: SigningKey,
    pub size_max: Option<ByteSize>,
    pub free_min: ByteSize,
    /// How long recordings are kept where a channel says nothing itself.
    pub retention: Option<Duration>,
    /// Encrypts new recordings, and reads encrypted ones.
    pub master_key: Option<MasterKey>,
    /// Encrypt new recordings; needs `master_key`.
    pub encrypt: bool,
    /// Most media in memory: waiting to be written, or written and not yet durable.
    pub memory_max: ByteSize,
    pub flush_interval: Duration,
    pub flush_mode: FlushMode,
    /// When this program was built: no clock can be right that is earlier.
    pub built: Utc,
}

impl StoreOptions {
    /// The defaults of a one-box installation.
    pub fn new(
        path: impl Into<PathBuf>,
        index_folder: impl Into<PathBuf>,
        installation: InstallationId,
        storage: StorageId,
        writer: WriterId,
        signing_key: SigningKey,
    ) -> Self {
        Self {
            path: path.into(),
            index_folder: index_folder.into(),
            installation,
            storage,
            writer,
            create: false,
            signing_key,
            size_max: None,
            free_min: ByteSize::gibibytes(2),
            retention: None,
            master_key: None,
            encrypt: false,
            memory_max: ByteSize::mebibytes(256),
            flush_interval: Duration::from_secs(1),
            flush_mode: FlushMode::Automatic,
            built: Utc::EPOCH,
        }
    }
}

/// What a track writes. A track is one stream of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackSpec {
    pub channel: ChannelId,
    pub stream: StreamId,
    /// Higher is kept longer when the disk can't keep up.
    pub priority: u8,
    /// How long this channel's recordings are kept; `None`: as the storage says.
    pub retention: Option<Duration>,
    /// Name of the channel, for `channel.json`.
    pub channel_name: String,
    /// Name of the device, for `channel.json`.
    pub device_name: String,
}

/// Why a storage can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is missing, or holds no storage: perhaps a disk is not mounted.
    #[error("{path} holds no storage; is its disk mounted?")]
    NoStorage { path: PathBuf },
    #[error("{path} is storage {found}, not {expected}")]
    OtherStorage { path: PathBuf, expected: StorageId, found: StorageId },
    #[error("{path} belongs to another installation, {found}")]
    OtherInstallation { path: PathBuf, found: InstallationId },
    #[error("{path} was written by a newer release: {what}")]
    Newer { path: PathBuf, what: String },
    #[error("encryption needs a master key")]
    NoMasterKey,
    #[error("the storage can't be opened: {0}")]
    Io(#[from] std::io::Error),
}

/// Why footage can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("there is no such recording")]
    NotFound,
    #[error("the range lies outside the file")]
    OutOfRange,
    #[error("the recording is encrypted and its key is not here")]
    NoKey,
    #[error("the recording is damaged: {0}")]
    Damaged(String),
    #[error("the index can't be read: {0}")]
    Index(#[from] rusqlite::Error),
    #[error("the storage can't be read: {0}")]
    Io(#[from] std::io::Error),
}

/// A gap as a recorder announces it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GapNotice {
    pub(crate) cause: GapCause,
    pub(crate) parameters: Map<String, Value>,
    pub(crate) at: Mono,
}

/// The code of a state in an atomic.
pub(crate) fn state_from_number(number: u8) -> StorageState {
    StorageState::ALL.get(usize::from(number)).copied().unwrap_or(StorageState::Offline)
}
