//! Routes that name their permission: there is no way to add one without.

use std::convert::Infallible;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use varde_access::Action;

use crate::gate;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Anybody, without a credential.
    Public,
    /// Anybody; a credential that is shown is looked at, and the handler decides ([`crate::MaybePrincipal`]).
    Optional,
    /// Whoever is signed in, by session or token.
    SignedIn,
    /// Whoever may do the action to something; the handler decides on the object ([`crate::Principal::allow`]).
    Of(Action),
    /// Decided before the handler runs, on the camera that the path names as `{id}`; takes tickets on GET.
    Camera(Action),
    /// As [`Permission::Of`], and takes tickets on GET; the handler must decide on the camera.
    Media(Action),
}

impl Permission {
    pub(crate) const fn takes_tickets(self) -> bool {
        matches!(self, Self::Camera(_) | Self::Media(_))
    }
}

/// A row of the table of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    pub method: Method,
    pub path: &'static str,
    pub permission: Permission,
}

/// Routes of a role, each with its permission, and the table of them.
#[derive(Debug)]
pub struct Routes<S = ()> {
    pub(crate) router: Router<S>,
    table: Vec<RouteEntry>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub fn new() -> Self {
        Self { router: Router::new(), table: Vec::new() }
    }

    /// Adds a route under its whole path (`/api/v1/cameras/{id}`). GET answers HEAD too.
    ///
    /// Panics at start where a route stands twice, or decides on a camera and names none: both are bugs.
    #[must_use]
    pub fn route<H, T>(
        mut self,
        method: Method,
        path: &'static str,
        permission: Permission,
        handler: H,
    ) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        if matches!(permission, Permission::Camera(_)) {
            assert!(
                path.contains("/cameras/{id}"),
                "{path} decides on a camera and its path names none as {{id}}"
            );
        }
        let filter = MethodFilter::try_from(method.clone()).expect("the method is one of HTTP's own");
        let guarded: MethodRouter<S, Infallible> = on(filter, handler)
            .layer(from_fn(move |request, next| gate::authorize(permission, request, next)));
        self.router = self.router.route(path, guarded);
        self.table.push(RouteEntry { method, path, permission });
        self
    }

    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.table.extend(other.table);
        self
    }

    #[must_use]
    pub fn with_state(self, state: S) -> Routes {
        Routes { router: self.router.with_state(state), table: self.table }
    }

    /// Every route with its permission: for the generated walk over all of them.
    pub fn table(&self) -> &[RouteEntry] {
        &self.table
    }
}
