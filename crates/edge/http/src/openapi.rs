//! The OpenAPI document: what the roles describe, completed from the table of routes.

use std::sync::Arc;

use axum::response::IntoResponse;
use http::{Method, header};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, Info, OpenApi, Ref, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};
use varde_api::codes::ProblemCode;
use varde_api::problem::ProblemDocument;

use crate::{Permission, RouteEntry, Routes, session_cookie_name};

/// Merges what roles describe and adds what the door knows: who may call, and how refusals look.
pub fn document(parts: Vec<OpenApi>, table: &[RouteEntry]) -> OpenApi {
    let mut whole = OpenApi::default();
    whole.info = Info::new("Varde", "1");
    for part in parts {
        whole.merge(part);
    }
    let components = whole.components.get_or_insert_default();
    components.schemas.insert(ProblemDocument::name().into_owned(), ProblemDocument::schema());
    components.schemas.insert(ProblemCode::name().into_owned(), ProblemCode::schema());
    let schemes = [
        ("session", cookie(session_cookie_name(true), "The session of a browser; with TLS.")),
        (
            "session_plain",
            cookie(session_cookie_name(false), "The session of a browser; plain HTTP on loopback."),
        ),
        ("token", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build())),
        (
            "ticket",
            SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description("ticket", "For media URLs."))),
        ),
    ];
    for (name, scheme) in schemes {
        components.add_security_scheme(name, scheme);
    }
    // A parameter that takes the rest of the path is one like any other in the document.
    let paths = std::mem::take(&mut whole.paths.paths);
    whole.paths.paths = paths.into_iter().map(|(path, item)| (template(&path), item)).collect();
    for (path, item) in &mut whole.paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
            (Method::PATCH, &mut item.patch),
            (Method::DELETE, &mut item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            let entry = table.iter().find(|entry| entry.method == method && template(entry.path) == *path);
            if let Some(entry) = entry {
                complete(operation, entry.permission, &method);
            }
        }
    }
    whole
}

/// A route's path as OpenAPI writes it.
fn template(path: &str) -> String {
    path.replace("{*", "{")
}

fn cookie(name: &str, description: &str) -> SecurityScheme {
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(name, description)))
}

fn complete(operation: &mut Operation, permission: Permission, method: &Method) {
    let none: [&str; 0] = [];
    operation.security = match permission {
        Permission::Public => Some(vec![]),
        other => {
            let mut ways = vec!["session", "session_plain", "token"];
            if other == Permission::Optional {
                // Two ways of asking, one of them without a credential; the empty requirement says so.
                operation.security = Some(
                    ways.into_iter()
                        .map(|name| SecurityRequirement::new(name, none))
                        .chain([SecurityRequirement::default()])
                        .collect(),
                );
                return complete_refusal(operation);
            }
            if other.takes_tickets() && method == Method::GET {
                ways.push("ticket");
            }
            Some(ways.into_iter().map(|name| SecurityRequirement::new(name, none)).collect())
        }
    };
    complete_refusal(operation);
}

fn complete_refusal(operation: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemDocument::name()))).build();
    let refusal =
        ResponseBuilder::new().description("Refused").content("application/problem+json", content).build();
    operation.responses.responses.entry("default".into()).or_insert_with(|| refusal.into());
}

/// What needs no description: the description itself, and what Prometheus reads.
const UNDESCRIBED: [&str; 2] = ["/api/openapi.json", "/metrics"];

/// Routes without an operation, and operations without a route: there must be none.
pub fn document_gaps(document: &OpenApi, table: &[RouteEntry]) -> Vec<String> {
    let mut described = Vec::new();
    for (path, item) in &document.paths.paths {
        let operations = [
            (Method::GET, &item.get),
            (Method::POST, &item.post),
            (Method::PUT, &item.put),
            (Method::PATCH, &item.patch),
            (Method::DELETE, &item.delete),
        ];
        let there = operations.into_iter().filter(|(_, operation)| operation.is_some());
        described.extend(there.map(|(method, _)| format!("{method} {path}")));
    }
    let routed = table.iter().filter(|entry| !UNDESCRIBED.contains(&entry.path));
    let routed: Vec<String> =
        routed.map(|entry| format!("{} {}", entry.method, template(entry.path))).collect();
    let missing = routed
        .iter()
        .filter(|route| !described.contains(route))
        .map(|route| format!("{route} is not described"));
    let surplus =
        described.iter().filter(|route| !routed.contains(route)).map(|route| format!("{route} is no route"));
    missing.chain(surplus).collect()
}

/// Serves the document at `/api/openapi.json`.
pub fn openapi_routes(document: &OpenApi) -> Routes {
    let text: Arc<str> = document.to_pretty_json().expect("an OpenAPI document is plain data").into();
    let answer = move || async move {
        ([(header::CONTENT_TYPE, "application/json")], text.to_string()).into_response()
    };
    Routes::new().route(Method::GET, "/api/openapi.json", Permission::Public, answer)
}
