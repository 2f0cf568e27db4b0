//! The whole site: every role's routes behind one door.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;
use varde_api::codes::ProblemCode;

use crate::door::{self, Door};
use crate::{Authenticate, HostNames, JSON_BYTES_MAX, Problem, RouteEntry, Routes};

#[derive(Clone, Debug, Default)]
pub struct SiteOptions {
    /// Names and addresses under which the server answers, besides loopback names and the connection's own address.
    pub host_names: HostNames,
}

/// Routes, who checks credentials, and what answers everything else (the web client).
#[derive(Debug)]
pub struct Site {
    routes: Routes,
    door: Door,
    fallback: Option<Router>,
}

impl Site {
    pub fn new(routes: Routes, authority: Arc<dyn Authenticate>, options: SiteOptions) -> Self {
        Self { routes, door: Door { authority, host_names: Arc::new(options.host_names) }, fallback: None }
    }

    /// Answers every path that is neither a route nor below `/api`: the web client's files, open to anybody.
    #[must_use]
    pub fn fallback(mut self, router: Router) -> Self {
        self.fallback = Some(router);
        self
    }

    pub fn table(&self) -> &[RouteEntry] {
        self.routes.table()
    }

    pub fn into_router(self) -> Router {
        let not_found = || async { Problem::not_found() };
        let router = self.routes.router;
        let router = match self.fallback {
            Some(fallback) => router
                .route("/api", axum::routing::any(not_found))
                .route("/api/{*rest}", axum::routing::any(not_found))
                .fallback_service(fallback),
            None => router.fallback(not_found),
        };
        router
            .method_not_allowed_fallback(|| async {
                Problem::new(ProblemCode::MethodNotAllowed, "This path does not take this method.")
            })
            .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
            .layer(CompressionLayer::new().compress_when(Compressible))
            .layer(from_fn_with_state(self.door, door::enter))
    }
}

/// Texts of some length; media and byte ranges travel as they are.
#[derive(Clone, Copy, Debug)]
struct Compressible;

const COMPRESSIBLE_BYTES_MIN: u64 = 1024;
const COMPRESSIBLE_TYPES: &[&str] = &[
    "application/json",
    "application/javascript",
    "application/wasm",
    "application/vnd.apple.mpegurl",
    "image/svg+xml",
    "text/",
];

impl Predicate for Compressible {
    fn should_compress<B: hyper::body::Body>(&self, response: &http::Response<B>) -> bool {
        let kind = response.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let long = response.body().size_hint().exact().is_none_or(|bytes| bytes >= COMPRESSIBLE_BYTES_MIN);
        long && kind.is_some_and(|kind| COMPRESSIBLE_TYPES.iter().any(|prefix| kind.starts_with(prefix)))
    }
}
