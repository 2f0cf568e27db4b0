//! The web client's files: out of the binary, or out of a folder while one works on them.
//!
//! Paths of the client's own routes get `index.html`. Security headers are the door's.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use varde_http::Problem;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/web_files.rs"));
}

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Varde</title>\
    <p>The web client is not part of this build. Build it with <code>npm ci &amp;&amp; npm run build</code> in \
    <code>web/</code>, then build the server again.</p></html>";

const PATH_BYTES_MAX: usize = 256;

/// Answers everything that is no API: files of `folder`, or those of the binary where there is none.
pub fn web_client(folder: Option<PathBuf>) -> Router {
    let folder = Arc::new(folder);
    Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap| {
        let folder = folder.clone();
        async move { answer(folder.as_ref().as_ref(), &method, uri.path(), &headers).await }
    })
}

async fn answer(folder: Option<&PathBuf>, method: &Method, path: &str, headers: &HeaderMap) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Problem::not_found().into_response();
    }
    let path = path.trim_start_matches('/');
    if is_plain(path)
        && let Some(response) = serve(folder, path, headers).await
    {
        return response;
    }
    // A missing file is missing; any other plain path is a page of the client's.
    let last = path.rsplit('/').next().unwrap_or("");
    if path.starts_with("assets/") || last.contains('.') || !(path.is_empty() || is_plain(path)) {
        return Problem::not_found().into_response();
    }
    match serve(folder, "index.html", headers).await {
        Some(response) => response,
        None => {
            let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            (StatusCode::OK, kind, NOT_BUILT).into_response()
        }
    }
}

/// Names that a build tool makes, and nothing that leaves the folder.
fn is_plain(path: &str) -> bool {
    path.len() <= PATH_BYTES_MAX
        && path.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        })
}

async fn serve(folder: Option<&PathBuf>, path: &str, headers: &HeaderMap) -> Option<Response> {
    let plain = load(folder, path).await;
    let packed = if takes_gzip(headers) { load(folder, &format!("{path}.gz")).await } else { None };
    let is_packed = packed.is_some();
    let bytes = packed.or(plain)?;
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let text = kind.type_() == mime_guess::mime::TEXT || kind.subtype() == mime_guess::mime::JAVASCRIPT;
    let kind = if text { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    // The build tool puts a hash of the content into the names of assets.
    let caching =
        if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(header::CACHE_CONTROL, caching)
        .header(header::VARY, "accept-encoding");
    if is_packed {
        response = response.header(header::CONTENT_ENCODING, "gzip");
    }
    let body = match bytes {
        Cow::Borrowed(bytes) => Body::from(bytes::Bytes::from_static(bytes)),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    response.body(body).ok()
}

async fn load(folder: Option<&PathBuf>, path: &str) -> Option<Cow<'static, [u8]>> {
    match folder {
        Some(folder) => tokio::fs::read(folder.join(path)).await.ok().map(Cow::Owned),
        None => {
            let place = embedded::FILES.binary_search_by_key(&path, |(name, _)| name).ok()?;
            Some(Cow::Borrowed(embedded::FILES[place].1))
        }
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).map(HeaderValue::to_str);
    let Some(Ok(accepted)) = accepted else { return false };
    accepted.split(',').any(|one| {
        let mut parts = one.split(';');
        parts.next().is_some_and(|name| name.trim() == "gzip")
            && !parts.any(|weight| matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;

    async fn get(router: &Router, path: &str, gzip: bool) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = http::Request::get(path);
        if gzip {
            request = request.header(header::ACCEPT_ENCODING, "br, gzip;q=0.8");
        }
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn files_are_served_and_nothing_outside_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let dist = folder.path().join("dist");
        std::fs::create_dir_all(dist.join("assets")).unwrap();
        std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        std::fs::write(dist.join("index.html"), "page").unwrap();
        std::fs::write(dist.join("assets/app-1a2b.js"), "plain").unwrap();
        std::fs::write(dist.join("assets/app-1a2b.js.gz"), "packed").unwrap();
        let router = web_client(Some(dist));
        let (status, headers, body) = get(&router, "/assets/app-1a2b.js", true).await;
        assert_eq!((status, body), (StatusCode::OK, b"packed".to_vec()));
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        let (_, headers, body) = get(&router, "/assets/app-1a2b.js", false).await;
        assert_eq!(body, b"plain");
        assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/javascript"));
        for page in ["/", "/live", "/playback/camera"] {
            let (status, headers, body) = get(&router, page, false).await;
            assert_eq!((status, body), (StatusCode::OK, b"page".to_vec()), "{page}");
            assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        }
        for path in
            ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/gone.js", "/.git/config", "//etc/passwd.txt"]
        {
            let (status, _, body) = get(&router, path, false).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert!(!body.windows(6).any(|w| w == b"secret"), "{path}");
        }
    }
}
