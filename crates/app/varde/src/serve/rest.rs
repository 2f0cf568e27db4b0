//! The child for all the rest: management, events and gateway behind one door.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;
use utoipa::openapi::OpenApi;
use varde_database::Database;
use varde_events::Events;
use varde_gateway::{Gateway, GatewayOptions, Limits, Vision, web_client};
use varde_http::{
    HostNames, Listener, MetricsSource, Routes, Server, ServerOptions, Site, SiteOptions, TlsMode, document,
    document_gaps, metrics_routes, openapi_routes,
};
use varde_management::{Management, ManagementOptions};
use varde_recorder_link::RecorderClient;
use varde_vision_link::{VisionOptions, VisionPool};

use super::folders::Folders;
use super::{Options, told_to_stop};
use crate::cli::Failure;

/// Bytes that the first storage leaves free on its disk.
const FREE_MIN_BYTES: u64 = 5 << 30;

pub fn run(options: &Options, folders: &Folders, again: bool) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("the runtime did not start: {error}")))?
        .block_on(serve(options, folders, again))
}

async fn serve(options: &Options, folders: &Folders, again: bool) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let database =
        Database::open(&folders.management.join("varde.db")).await.map_err(|error| failed(&error))?;
    let recorder = Arc::new(RecorderClient::new(&folders.recorder_socket));
    let (publisher, subscriber) = varde_bus::bus();
    let limits = Limits::default();
    let management = {
        let mut wanted = ManagementOptions::new(folders.management.join("keys"), folders.storage.clone());
        wanted.storage_free_min_bytes = FREE_MIN_BYTES;
        wanted.allowed_networks.extend(options.allow_networks.iter().cloned());
        wanted.transcode_streams_max = limits.transcode_streams_max as u32;
        Management::start(wanted, database.clone(), recorder.clone(), publisher)
            .await
            .map_err(|error| failed(&error))?
    };
    let events = Events::start(database.clone(), recorder.clone()).await.map_err(|error| failed(&error))?;
    let gateway = Gateway::start(GatewayOptions {
        recorder,
        directory: management.clone(),
        vision: vision(limits.transcode_streams_max),
        webrtc: webrtc(options.listen.ip()),
        exports_folder: folders.gateway.join("exports"),
        limits,
    })
    .await
    .map_err(|error| failed(&error))?;

    let routes = public_routes(&management, &events, &gateway);
    let document = described(&routes)?;
    let metrics: Vec<Arc<dyn MetricsSource>> = vec![management.clone()];
    let routes = routes.merge(openapi_routes(&document)).merge(metrics_routes(metrics));
    let host_names = HostNames(options.hosts.clone());
    let site = Site::new(routes, management.clone(), SiteOptions { host_names: host_names.clone() })
        .fallback(web_client(options.web.clone()));

    let server = Server::bind(&ServerOptions {
        listeners: vec![Listener { address: options.listen, tls: TlsMode::Automatic }],
        tls_folder: folders.management.clone(),
        host_names,
    })
    .await
    .map_err(|error| failed(&error))?;
    announce(options, &server, &management, again);

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let managing = stopped.clone();
    tasks.spawn(async move { management.run(managing).await });
    let collecting = stopped.clone();
    tasks.spawn(async move { events.run(subscriber, collecting).await });
    tasks.spawn(server.serve(site.into_router(), stopped));
    let ended = tokio::select! {
        () = told_to_stop() => Ok(()),
        // None of them ends by itself. Half a server helps nobody: the supervisor starts a whole one.
        _ = tasks.join_next() => Err(Failure::Failed("a part of the server ended by itself".into())),
    };
    let _ = stop.send(true);
    while let Some(task) = tasks.join_next().await {
        if let Err(error) = task {
            warn!(%error, "a task ended in a panic");
        }
    }
    database.close().await;
    ended
}

/// Says where the server answers, and the code that its first administrator needs.
fn announce(options: &Options, server: &Server, management: &Management, again: bool) {
    let url = server.urls().first().cloned().unwrap_or_default();
    let code = management.setup_code();
    if again {
        // Programs read one line; a person needs the new code, for the old one went with the process that made it.
        if let Some(code) = code.filter(|_| !options.json) {
            println!("The code for the first start is now {code}");
        }
        return;
    }
    if options.json {
        println!("{}", json!({ "url": url, "setup_code": code }));
        return;
    }
    println!("Varde answers at {url}");
    if let Some(code) = code {
        println!("First start: open that address and enter the code {code}");
    }
}

/// The worker program beside ours. Without it nothing is decoded; all else works.
fn vision(transcodes_max: usize) -> Option<Arc<dyn Vision>> {
    let program = std::env::current_exe().ok()?.with_file_name("varde-vision");
    if !program.is_file() {
        warn!(program = %program.display(), "not found: stills, transcoding and exact exports are refused");
        return None;
    }
    Some(Arc::new(VisionPool::new(VisionOptions { transcodes_max, ..VisionOptions::new(program) })))
}

/// WebRTC on the address that browsers use; on every one when that is unspecified.
fn webrtc(listen: IpAddr) -> Option<varde_webrtc::Server> {
    let addresses = if listen.is_unspecified() { Vec::new() } else { vec![listen] };
    let settings = varde_webrtc::Settings { addresses, ..Default::default() };
    varde_webrtc::Server::start(settings)
        .inspect_err(|error| warn!(%error, "WebRTC can't be offered; live pictures go over WebSockets"))
        .ok()
}

fn public_routes(management: &Arc<Management>, events: &Arc<Events>, gateway: &Gateway) -> Routes {
    varde_management::routes(management.clone())
        .merge(varde_events::routes(events.clone()))
        .merge(gateway.routes())
}

/// The OpenAPI document as a server with default options serves it.
pub async fn openapi_text() -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let folder = std::env::temp_dir().join(format!("varde-openapi-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let database = Database::open(&folder.join("varde.db")).await.map_err(|error| failed(&error))?;
    let recorder = Arc::new(RecorderClient::new(folder.join("none.sock")));
    let (publisher, _subscriber) = varde_bus::bus();
    let wanted = ManagementOptions::new(folder.join("keys"), folder.join("storage"));
    let management = Management::start(wanted, database.clone(), recorder.clone(), publisher)
        .await
        .map_err(|error| failed(&error))?;
    let events = Events::start(database.clone(), recorder.clone()).await.map_err(|error| failed(&error))?;
    let gateway = Gateway::start(GatewayOptions {
        recorder,
        directory: management.clone(),
        vision: None,
        webrtc: None,
        exports_folder: folder.join("exports"),
        limits: Limits::default(),
    })
    .await
    .map_err(|error| failed(&error))?;
    let routes = public_routes(&management, &events, &gateway);
    let text = described(&routes)?.to_pretty_json().map_err(|error| failed(&error))?;
    database.close().await;
    let _ = std::fs::remove_dir_all(&folder);
    Ok(text)
}

/// The description of every route. A route without one is a defect, and the server does not start with it.
fn described(routes: &Routes) -> Result<OpenApi, Failure> {
    let document = document(openapi_parts(), routes.table());
    let gaps = document_gaps(&document, routes.table());
    if gaps.is_empty() {
        Ok(document)
    } else {
        Err(Failure::Failed(format!("the API's description has gaps: {}", gaps.join("; "))))
    }
}

fn openapi_parts() -> Vec<OpenApi> {
    vec![varde_management::openapi(), varde_events::openapi(), varde_gateway::openapi()]
}
