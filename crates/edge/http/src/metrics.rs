//! `/metrics` in the Prometheus text form, gathered from the roles.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{Method, header};
use varde_access::Action;

use crate::{Permission, Routes};

/// A part of the process that has something to count.
pub trait MetricsSource: Send + Sync + 'static {
    /// Appends whole lines with `# HELP` and `# TYPE`. Must not wait.
    fn write(&self, text: &mut String);
}

/// The route for administrators and their tokens.
pub fn metrics_routes(sources: Vec<Arc<dyn MetricsSource>>) -> Routes {
    let answer = move || {
        let mut text = String::new();
        for source in &sources {
            source.write(&mut text);
        }
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response() as Response }
    };
    Routes::new().route(Method::GET, "/metrics", Permission::Of(Action::MetricsView), answer)
}
