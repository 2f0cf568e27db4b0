//! Who may do what to which camera: the one decision that every door asks, [`allow`]. Deny by default.
//!
//! Refuses to know sessions, routes and databases: the caller brings a [`Subject`] whose grants are resolved. Device
//! groups resolve into a grant's cameras; a time profile becomes a further field of [`Grant`], judged by
//! [`Context::now`].

mod action;
mod decision;
mod subject;

pub use action::{Action, Role};
pub use decision::{Context, Decision, DenyReason, Footage, Object, Transform, allow};
pub use subject::{Bounds, CameraScope, Grant, Purpose, Subject};

#[cfg(test)]
mod tests;
