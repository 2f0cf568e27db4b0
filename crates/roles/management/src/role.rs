//! The role's state: what is configured, who is signed in, what the recorder last said.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::{Mutex, Notify};
use varde_ambient::{identifier_random, mono_now, utc_now};
use varde_api_internal::recorder::RecorderStatus;
use varde_bus::{Draft, Publisher};
use varde_database::{Configuration, Database, ServerRow, StorageRow};
use varde_driver::Network;
use varde_http::Problem;
use varde_ids::{InstallationId, ServerId, SiteId, StorageId};
use varde_recorder_link::RecorderLink;
use varde_units::{Mono, Utc};

use crate::app::password::Passwords;
use crate::app::preview::Previews;
use crate::app::rate::Attempts;
use crate::app::secret::{KeyError, Keys};
use crate::app::session::Sessions;
use crate::app::setup::SetupCode;
use crate::app::ticket::Tickets;
use crate::app::token::Tokens;
use crate::problem;

/// Tells the time; tests hand in their own.
pub type Clock = Arc<dyn Fn() -> Utc + Send + Sync>;

#[derive(Clone)]
pub struct ManagementOptions {
    /// Holds the key files; made where it is missing.
    pub keys_folder: PathBuf,
    /// Name of this server, at its first start.
    pub server_name: String,
    /// Where the first storage lies, at the first start.
    pub storage_path: PathBuf,
    /// Bytes of its file system that the first storage leaves free.
    pub storage_free_min_bytes: u64,
    /// Networks in which cameras may be addressed: [`crate::NETWORKS_DEFAULT`] and what the administrator adds.
    pub allowed_networks: Vec<String>,
    pub pre_buffer_seconds: u32,
    /// Said at `/system`.
    pub transcode_streams_max: u32,
    pub clock: Clock,
}

impl ManagementOptions {
    pub fn new(keys_folder: PathBuf, storage_path: PathBuf) -> Self {
        Self {
            keys_folder,
            server_name: "Varde".to_owned(),
            storage_path,
            storage_free_min_bytes: 5 << 30,
            allowed_networks: crate::NETWORKS_DEFAULT.iter().map(|&text| text.to_owned()).collect(),
            pre_buffer_seconds: 5,
            transcode_streams_max: 2,
            clock: Arc::new(utc_now),
        }
    }
}

impl std::fmt::Debug for ManagementOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagementOptions").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Database(#[from] varde_database::Error),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("allowed networks: {0}")]
    Networks(String),
}

/// The role. Handlers and tasks share it.
pub struct Management {
    pub(crate) database: Database,
    pub(crate) link: Arc<dyn RecorderLink>,
    pub(crate) events: Publisher,
    pub(crate) options: ManagementOptions,
    pub(crate) networks: Vec<Network>,
    pub(crate) keys: Keys,
    pub(crate) passwords: Passwords,
    pub(crate) attempts: Attempts,
    pub(crate) setup: SetupCode,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Tokens,
    pub(crate) tickets: Tickets,
    pub(crate) previews: Previews,
    /// One change at a time, so that memory follows the database in order.
    pub(crate) changing: Mutex<()>,
    configuration: RwLock<Arc<Configuration>>,
    recorder: RwLock<Option<Arc<RecorderStatus>>>,
    /// Revision that the recorder is to have.
    pub(crate) revision: AtomicU64,
    pub(crate) wake: Notify,
    pub(crate) started: Utc,
    started_mono: Mono,
}

impl std::fmt::Debug for Management {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Management").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Management {
    /// Makes what a first start needs, reads everything into memory. [`Management::run`] does the rest.
    pub async fn start(
        options: ManagementOptions,
        database: Database,
        link: Arc<dyn RecorderLink>,
        events: Publisher,
    ) -> Result<Arc<Self>, StartError> {
        let networks = options
            .allowed_networks
            .iter()
            .map(|text| Network::try_from(text.clone()).map_err(StartError::Networks))
            .collect::<Result<Vec<_>, _>>()?;
        let keys = Keys::open(&options.keys_folder)?;
        let now = (options.clock)();
        let (server, storage) = first(&options, now);
        database.installation_create(&server, &storage, now).await?;
        let configuration = database.configuration_get().await?;
        // What goes into the snapshot besides the database (networks, pre-buffer) may differ from the last run.
        let revision = database.server_revision_raise(configuration.server.server, 0).await?;
        let setup = SetupCode::new(configuration.users.is_empty(), now);
        Ok(Arc::new(Self {
            sessions: Sessions::load(&database, now).await?,
            tokens: Tokens::load(&database, now).await?,
            database,
            link,
            events,
            networks,
            keys,
            passwords: Passwords::default(),
            attempts: Attempts::default(),
            setup,
            tickets: Tickets::default(),
            previews: Previews::default(),
            changing: Mutex::new(()),
            configuration: RwLock::new(Arc::new(configuration)),
            recorder: RwLock::new(None),
            revision: AtomicU64::new(revision),
            wake: Notify::new(),
            started: now,
            started_mono: mono_now(),
            options,
        }))
    }

    /// The code that the first administrator needs; `None` once set-up is done. For the console alone.
    pub fn setup_code(&self) -> Option<String> {
        self.setup.code(self.now())
    }

    /// Name of this server, as it was given at the first start.
    pub fn server_name(&self) -> String {
        self.configuration().server.name.clone()
    }

    pub(crate) fn now(&self) -> Utc {
        (self.options.clock)()
    }

    pub(crate) fn uptime_seconds(&self) -> u64 {
        mono_now().since(self.started_mono).as_secs()
    }

    pub(crate) fn configuration(&self) -> Arc<Configuration> {
        self.configuration.read().clone()
    }

    /// The recorder's last word; `None` while it is away.
    pub(crate) fn recorder(&self) -> Option<Arc<RecorderStatus>> {
        self.recorder.read().clone()
    }

    pub(crate) fn recorder_set(&self, status: Option<RecorderStatus>) {
        *self.recorder.write() = status.map(Arc::new);
    }

    /// Reads the database after a change. The caller holds `changing`.
    pub(crate) async fn reload(&self) -> Result<(), Problem> {
        let configuration = self.database.configuration_get().await.map_err(problem::database)?;
        *self.configuration.write() = Arc::new(configuration);
        Ok(())
    }

    /// Makes a new revision of the recorder's configuration and has it handed over.
    pub(crate) async fn revise(&self, floor: u64) -> Result<(), Problem> {
        let server = self.configuration().server.server;
        let revision = self.database.server_revision_raise(server, floor).await.map_err(problem::database)?;
        self.revision.store(revision, Ordering::SeqCst);
        self.wake.notify_one();
        Ok(())
    }

    pub(crate) fn publish(&self, draft: Draft) {
        self.events.publish(draft);
    }
}

fn first(options: &ManagementOptions, now: Utc) -> (ServerRow, StorageRow) {
    let server = ServerRow {
        installation: InstallationId::new(now, identifier_random()),
        site: SiteId::new(now, identifier_random()),
        server: ServerId::new(now, identifier_random()),
        name: options.server_name.clone(),
        revision: 0,
    };
    let storage = StorageRow {
        id: StorageId::new(now, identifier_random()),
        name: "Recordings".to_owned(),
        path: options.storage_path.to_string_lossy().into_owned(),
        size_max_bytes: None,
        free_min_bytes: options.storage_free_min_bytes,
        retention_days: None,
        encrypted: false,
        version: 1,
    };
    (server, storage)
}
