//! The HTTP server's edge: sockets, TLS, limits, and the door that every request passes.
//!
//! A role hands in [`Routes`], where each route names its [`Permission`]; [`Site`] puts the door in front of them:
//! host, origin, credential, decision, request id, security headers, problem documents. Refuses to know how
//! credentials are checked ([`Authenticate`]) and what routes do.

mod certificate;
mod connection;
mod directory;
mod door;
mod extract;
mod gate;
mod metrics;
mod openapi;
mod page;
mod permission;
mod principal;
mod problem;
mod server;
mod site;
mod stall;
mod tls;

pub use connection::{ConnectionInfo, address_network};
pub use directory::{CameraDirectory, CameraEntry, StreamEntry};
pub use door::HostNames;
pub use extract::{JSON_BYTES_MAX, Json, Path, Query, Text};
pub use gate::{Authenticate, CSRF_HEADER, Presented, session_cookie_name};
pub use metrics::{MetricsSource, metrics_routes};
pub use openapi::{document, document_gaps, openapi_routes};
pub use page::{Cursor, PageRequest};
pub use permission::{Permission, RouteEntry, Routes};
pub use principal::{Credential, Identity, MaybePrincipal, Permit, Principal};
pub use problem::{Problem, status_of};
pub use server::{Listener, Server, ServerError, ServerOptions, TlsMode};
pub use site::{Site, SiteOptions};
