//! The export resource.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use varde_access::{Action, Footage};
use varde_ambient::{identifier_random, utc_now};
use varde_api::List;
use varde_api::media::{Export, ExportCreate, ExportState};
use varde_http::{Cursor, Json, PageRequest, Path, Principal, Problem, Query};
use varde_ids::ExportId;

use super::{job, store::Record};
use crate::gateway::Gateway;
use crate::playback::{Cut, HOURS_MAX, check_range};
use crate::problem::limit_reached;

const NAME_CHARACTERS_MAX: usize = 100;

/// `POST /exports`
#[utoipa::path(post, path = "/api/v1/exports", operation_id = "export_create", tag = "exports",
    request_body = ExportCreate, responses((status = 201, body = Export)))]
pub(crate) async fn create(
    State(gateway): State<Gateway>,
    principal: Principal,
    Json(wish): Json<ExportCreate>,
) -> Result<Response, Problem> {
    check_range(wish.start, wish.end)?;
    if wish.end.since(wish.start).as_secs() > HOURS_MAX * 3600 {
        return Err(limit_reached("recording_hours_max", HOURS_MAX));
    }
    let permit = principal.allow(Action::Export, wish.camera, Footage::new(wish.start, wish.end))?;
    let camera = gateway.camera(wish.camera)?;
    let now = utc_now();
    let id = ExportId::new(now, identifier_random());
    let name = wish.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let export = Export {
        id,
        camera: wish.camera,
        start: wish.start,
        end: wish.end,
        state: ExportState::Running,
        progress: 0.0,
        bytes: 0,
        file_name: file_name(name.unwrap_or(&camera.name), name.is_none().then(|| wish.start.file_name())),
        error: None,
        created_at: now,
    };
    let sound = permit.with_audio() && wish.audio.unwrap_or(true);
    let cut = Cut { camera, start: wish.start, end: wish.end, head: wish.head, sound };
    let record = Record { owner: principal.subject().user, export: export.clone() };
    match gateway.0.exports.insert(record).await {
        Ok(Ok(())) => {}
        Ok(Err(limit)) => return Err(limit_reached("exports_per_user_max", limit)),
        Err(error) => return Err(Problem::internal(&error)),
    }
    let making = tokio::spawn(job::run(gateway.clone(), id, cut));
    gateway.0.exports.set_making(id, making.abort_handle());
    let location = [(header::LOCATION, format!("/api/v1/exports/{id}"))];
    Ok((StatusCode::CREATED, location, Json(export)).into_response())
}

/// Letters, digits and a few signs of any script: what every file system takes, and no path.
fn file_name(name: &str, time: Option<String>) -> String {
    let clean = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.chars().take(NAME_CHARACTERS_MAX).map(clean).collect();
    let name = name.trim_matches('.').strip_suffix(".mp4").unwrap_or(name.trim_matches('.')).to_owned();
    let name = if name.is_empty() { "export".to_owned() } else { name };
    match time {
        Some(time) => format!("{name}-{time}.mp4"),
        None => format!("{name}.mp4"),
    }
}

/// `GET /exports`
#[utoipa::path(get, path = "/api/v1/exports", operation_id = "export_list", tag = "exports",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = List<Export>)))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    principal: Principal,
    Query(page): Query<PageRequest>,
) -> Result<Json<List<Export>>, Problem> {
    let (limit, after) = (page.limit()?, page.cursor::<ExportId>()?);
    let own = gateway.0.exports.of(principal.subject().user).into_iter();
    let mut items: Vec<Export> =
        own.filter(|export| after.is_none_or(|after| export.id < after)).take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| Cursor::write(&last.id));
    Ok(Json(List { items, next }))
}

/// `GET /exports/{export}`
#[utoipa::path(get, path = "/api/v1/exports/{export}", operation_id = "export_get", tag = "exports",
    params(("export" = String, Path)),
    responses((status = 200, body = Export)))]
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    Path(id): Path<ExportId>,
    principal: Principal,
) -> Result<Json<Export>, Problem> {
    gateway.0.exports.find(id, principal.subject().user).map(Json).ok_or_else(Problem::not_found)
}

/// `DELETE /exports/{export}`: stops one that runs, forgets one that is done.
#[utoipa::path(delete, path = "/api/v1/exports/{export}", operation_id = "export_delete", tag = "exports",
    params(("export" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(
    State(gateway): State<Gateway>,
    Path(id): Path<ExportId>,
    principal: Principal,
) -> Result<StatusCode, Problem> {
    match gateway.0.exports.remove(id, principal.subject().user).await {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found()),
    }
}

/// `GET /exports/{export}/file`
#[utoipa::path(get, path = "/api/v1/exports/{export}/file", operation_id = "export_file", tag = "exports",
    params(("export" = String, Path)),
    responses((status = 200, content_type = "video/mp4")))]
pub(crate) async fn file(
    State(gateway): State<Gateway>,
    Path(id): Path<ExportId>,
    principal: Principal,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let exports = &gateway.0.exports;
    let export = exports.find(id, principal.subject().user).ok_or_else(Problem::not_found)?;
    let footage = Footage::new(export.start, export.end);
    // The right may have shrunk since it was made: what one may no longer export, one no longer fetches.
    let _permit = principal.allow(Action::Export, export.camera, footage)?;
    if export.state != ExportState::Done {
        return Err(Problem::not_found());
    }
    let path = exports.path(id, "mp4");
    let revoked = async move { principal.revoked(Action::Export, export.camera, footage).await };
    let mut response = crate::files::serve(&path, "video/mp4", &headers, revoked).await?;
    let ascii: String = export.file_name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let encoded: String = export.file_name.bytes().map(percent).collect();
    let disposition = format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}");
    let disposition = disposition.parse().map_err(|error| Problem::internal(&error))?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response.map(Body::new))
}

/// RFC 8187's `attr-char` stay, other bytes are escaped.
fn percent(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_are_no_paths_and_no_markup() {
        let check = |name: &str, expected: &str| assert_eq!(file_name(name, None), expected, "{name}");
        check("Gate", "Gate.mp4");
        check("Gate.mp4", "Gate.mp4");
        check("../../etc/passwd", "_.._etc_passwd.mp4");
        check("Tür \"<b>\"", "Tür___b__.mp4");
        check("...", "export.mp4");
        check("a\r\nSet-Cookie: b", "a__Set-Cookie__b.mp4");
        assert_eq!(file_name(&"x".repeat(500), None).len(), 104);
    }
}
