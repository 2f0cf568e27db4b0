//! `/events`: a list, and a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use ::http::Method;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use utoipa::OpenApi;
use varde_access::Action;
use varde_api::List;
use varde_api::codes::EventType;
use varde_api::event::Event;
use varde_database::{Error, EventFilter, EventScope};
use varde_http::{Cursor, Json, PageRequest, Permission, Principal, Problem, Query, Routes};
use varde_ids::{ChannelId, EventId};
use varde_units::Utc;

use crate::Events;

/// How often a socket asks whether its caller may still listen.
const RECHECK_INTERVAL: Duration = Duration::from_millis(2500);
/// How often an idle socket shows that it is there.
const PING_EVERY: u32 = 8;
/// A client that takes nothing for so long is let go; until then its right is not asked for again.
const UNREAD_MAX: Duration = Duration::from_secs(4);
/// Clients send nothing but pongs.
const INCOMING_BYTES_MAX: usize = 4096;
const KIND_BYTES_MAX: usize = 100;
/// Who signs in from where, and what strangers typed: for those who see the accounts.
const OF_PEOPLE: &str = EventType::SignIn.code();

/// The role's routes, ready to merge with other roles'.
pub fn routes(events: Arc<Events>) -> Routes {
    Routes::<Arc<Events>>::new()
        .route(Method::GET, "/api/v1/events", Permission::Of(Action::EventView), event_list)
        .route(Method::GET, "/api/v1/events/ws", Permission::Of(Action::EventView), event_watch)
        .with_state(events)
}

#[derive(OpenApi)]
#[openapi(paths(event_list, event_watch))]
struct Document;

/// The description of [`routes`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    camera: Option<ChannelId>,
    #[serde(rename = "type")]
    kind: Option<String>,
    start: Option<Utc>,
    end: Option<Utc>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Newest first: events of the caller's cameras, and of the system where the caller may see all.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "event_list", tag = "events",
    params(
        ("camera" = Option<String>, Query),
        ("type" = Option<String>, Query),
        ("start" = Option<String>, Query, description = "Not before this time."),
        ("end" = Option<String>, Query, description = "Before this time."),
        ("limit" = Option<u32>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = List<Event>)))]
async fn event_list(
    State(events): State<Arc<Events>>,
    principal: Principal,
    Query(query): Query<EventQuery>,
) -> Result<Json<List<Event>>, Problem> {
    let page = PageRequest { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let before = page.cursor::<(Utc, EventId)>()?;
    if query.kind.as_ref().is_some_and(|kind| kind.len() > KIND_BYTES_MAX) {
        return Err(Problem::invalid("type", "`type` is longer than any type of event."));
    }
    let scope = match query.camera {
        // The filter itself leaves nothing but what was decided on here.
        Some(camera) => principal.allow(Action::EventView, camera, None).map(|_| EventScope::All)?,
        None if principal.allow_system(Action::EventView).is_ok() => EventScope::All,
        None => EventScope::CamerasOf(principal.subject().user),
    };
    let filter = EventFilter {
        scope,
        channel: query.camera,
        kind: query.kind,
        hidden: (!sees_people(&principal)).then_some(OF_PEOPLE),
        start: query.start,
        end: query.end,
        before,
        limit: limit + 1,
    };
    let mut stored = events.database.event_list(&filter).await.map_err(problem)?;
    let more = stored.len() > limit;
    stored.truncate(limit);
    let next = stored.last().filter(|_| more).map(|event| Cursor::write(&(event.time, event.id)));
    Ok(Json(List { items: stored.into_iter().map(|event| events.public(event)).collect(), next }))
}

fn problem(error: Error) -> Problem {
    match error {
        Error::Unavailable(detail) => {
            tracing::error!(detail, "the database does not answer");
            Problem::database_unavailable()
        }
        other => Problem::internal(&other),
    }
}

/// A WebSocket with one event a text message, as they are stored. A client that falls behind is closed with 1013, and
/// reads what it missed from the list.
#[utoipa::path(get, path = "/api/v1/events/ws", operation_id = "event_watch", tag = "events",
    responses((status = 101, description = "A WebSocket; each text message is an Event.")))]
async fn event_watch(
    State(events): State<Arc<Events>>,
    principal: Principal,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade
        .max_message_size(INCOMING_BYTES_MAX)
        .max_frame_size(INCOMING_BYTES_MAX)
        .on_upgrade(move |socket| watch(events, principal, socket))
}

fn sees_people(principal: &Principal) -> bool {
    principal.allow_system(Action::UserView).is_ok()
}

fn may_see(principal: &Principal, event: &Event) -> bool {
    if event.kind.starts_with(OF_PEOPLE) && !sees_people(principal) {
        return false;
    }
    match event.camera {
        Some(camera) => principal.allow(Action::EventView, camera, None).is_ok(),
        None => principal.allow_system(Action::EventView).is_ok(),
    }
}

async fn watch(events: Arc<Events>, mut principal: Principal, mut socket: WebSocket) {
    let mut arrivals = events.arrivals.subscribe();
    let mut ticks = tokio::time::interval(RECHECK_INTERVAL);
    let mut tick: u32 = 0;
    let (code, reason) = loop {
        let sent = tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Ok(event) if may_see(&principal, &event) => match serde_json::to_string(&*event) {
                    Ok(text) => send(&mut socket, Message::text(text)).await,
                    Err(error) => {
                        tracing::error!(%error, "an event can't be written");
                        continue;
                    }
                },
                Ok(_) => continue,
                Err(RecvError::Lagged(_)) => break (close_code::AGAIN, "behind"),
                Err(RecvError::Closed) => break (close_code::AWAY, "closing"),
            },
            _ = ticks.tick() => {
                match principal.renewed().await {
                    Ok(renewed) => principal = renewed,
                    Err(_) => break (close_code::POLICY, "signed out"),
                }
                tick = tick.wrapping_add(1);
                if !tick.is_multiple_of(PING_EVERY) {
                    continue;
                }
                send(&mut socket, Message::Ping(Default::default())).await
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                // Whatever a client says has no meaning here.
                Some(Ok(_)) => continue,
            },
        };
        if !sent {
            return;
        }
    };
    send(&mut socket, Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(tokio::time::timeout(UNREAD_MAX, socket.send(message)).await, Ok(Ok(())))
}
