//! The role as a whole: what it is given, its limits, and its routes.

use std::path::PathBuf;
use std::sync::Arc;

use http::Method;
use varde_access::Action;
use varde_http::{CameraDirectory, CameraEntry, Permission, Problem, Routes};
use varde_ids::{ChannelId, StreamId};

use crate::exports::{self, Exports};
use crate::hub::Hub;
use crate::live::{self, Whep};
use crate::playback;
use crate::recorder::Recorder;
use crate::vision::Vision;

/// Named limits, each with what happens at it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Live streams that the worker encodes anew at once; more are refused with `transcode_limit`.
    pub transcode_streams_max: usize,
    /// WebSockets with live pictures at once; more are refused with `limit_reached`.
    pub live_sockets_max: usize,
    /// Exports that run at once; more wait.
    pub exports_running_max: usize,
    /// Exports that one user keeps; more are refused with `limit_reached`.
    pub exports_per_user_max: usize,
    /// Bytes of all exports; an export that would go beyond it fails with `limit_reached`.
    pub exports_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transcode_streams_max: 2,
            live_sockets_max: 1_024,
            exports_running_max: 2,
            exports_per_user_max: 50,
            exports_bytes_max: 64 << 30,
        }
    }
}

/// What the gateway is given by the application.
#[derive(Clone)]
pub struct GatewayOptions {
    pub recorder: Arc<dyn Recorder>,
    pub directory: Arc<dyn CameraDirectory>,
    /// `None`: nothing is decoded or encoded anew.
    pub vision: Option<Arc<dyn Vision>>,
    /// `None`: WHEP is refused and clients take the WebSocket.
    pub webrtc: Option<varde_webrtc::Server>,
    /// Folder of finished exports; made if it does not exist.
    pub exports_folder: PathBuf,
    pub limits: Limits,
}

impl std::fmt::Debug for GatewayOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayOptions").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The gateway role. Clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Gateway(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) directory: Arc<dyn CameraDirectory>,
    pub(crate) vision: Option<Arc<dyn Vision>>,
    pub(crate) hub: Hub,
    pub(crate) whep: Option<Whep>,
    pub(crate) exports: Exports,
    pub(crate) stills: playback::Stills,
    pub(crate) limits: Limits,
    pub(crate) live_sockets: Arc<tokio::sync::Semaphore>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Reads what exports there are; those that ran when the server went down are failed now.
    pub async fn start(options: GatewayOptions) -> std::io::Result<Self> {
        let exports = Exports::open(options.exports_folder, &options.limits).await?;
        Ok(Self(Arc::new(Inner {
            hub: Hub::new(
                options.recorder.clone(),
                options.vision.clone(),
                options.limits.transcode_streams_max,
            ),
            vision: options.vision,
            recorder: options.recorder,
            directory: options.directory,
            whep: options.webrtc.map(Whep::new),
            exports,
            stills: playback::Stills::default(),
            live_sockets: Arc::new(tokio::sync::Semaphore::new(options.limits.live_sockets_max)),
            limits: options.limits,
        })))
    }

    /// How many watch a stream through this gateway.
    pub fn viewers(&self, stream: StreamId) -> usize {
        self.0.hub.viewers(stream)
    }

    /// All routes, each with its permission.
    pub fn routes(&self) -> Routes {
        let camera = Permission::Camera;
        Routes::<Self>::new()
            .route(
                Method::GET,
                "/api/v1/cameras/{id}/timeline",
                camera(Action::PlaybackView),
                playback::timeline,
            )
            .route(Method::GET, "/api/v1/cameras/{id}/playback", camera(Action::PlaybackView), playback::plan)
            .route(
                Method::GET,
                "/api/v1/cameras/{id}/files/{storage}/{*file}",
                camera(Action::PlaybackView),
                playback::file,
            )
            .route(
                Method::GET,
                "/api/v1/cameras/{id}/playback.m3u8",
                camera(Action::PlaybackView),
                playback::playlist,
            )
            .route(
                Method::GET,
                "/api/v1/cameras/{id}/entry-points.mp4",
                camera(Action::PlaybackView),
                playback::entry_points,
            )
            .route(
                Method::GET,
                "/api/v1/cameras/{id}/recording.mp4",
                camera(Action::Export),
                playback::recording,
            )
            .route(
                Method::GET,
                "/api/v1/cameras/{id}/frame.jpg",
                Permission::Media(Action::PlaybackView),
                playback::frame,
            )
            .route(Method::GET, "/api/v1/cameras/{id}/live/ws", camera(Action::LiveView), live::socket)
            .route(Method::POST, "/api/v1/cameras/{id}/live/whep", camera(Action::LiveView), live::whep_open)
            .route(
                Method::PATCH,
                "/api/v1/whep/{session}",
                Permission::Of(Action::LiveView),
                live::whep_trickle,
            )
            .route(
                Method::DELETE,
                "/api/v1/whep/{session}",
                Permission::Of(Action::LiveView),
                live::whep_close,
            )
            .route(Method::POST, "/api/v1/exports", Permission::Of(Action::Export), exports::create)
            .route(Method::GET, "/api/v1/exports", Permission::Of(Action::Export), exports::list)
            .route(Method::GET, "/api/v1/exports/{export}", Permission::Of(Action::Export), exports::get)
            .route(
                Method::DELETE,
                "/api/v1/exports/{export}",
                Permission::Of(Action::Export),
                exports::delete,
            )
            .route(
                Method::GET,
                "/api/v1/exports/{export}/file",
                Permission::Media(Action::Export),
                exports::file,
            )
            .with_state(self.clone())
    }

    pub(crate) fn camera(&self, id: ChannelId) -> Result<Arc<CameraEntry>, Problem> {
        self.0.directory.camera(id).ok_or_else(Problem::not_found)
    }
}
