//! Who makes the request, as handlers see it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use varde_access::{Action, Context, Decision, DenyReason, Footage, Object, Subject, Transform, allow};
use varde_ids::{ChannelId, SessionId, TokenId};

use crate::{Authenticate, Problem};

/// How often a long answer asks again whether its right still stands; half of the promised 5 s.
const RECHECK_INTERVAL: Duration = Duration::from_millis(2500);

/// By what the request was recognised.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A browser's session; `csrf` is what its unsafe requests must carry.
    Session {
        id: SessionId,
        csrf: String,
    },
    Token {
        id: TokenId,
    },
    /// The ticket's text, for URLs that an answer lists. Never to be logged.
    Ticket {
        text: String,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session { id, .. } => write!(f, "Session({id})"),
            Self::Token { id } => write!(f, "Token({id})"),
            Self::Ticket { .. } => f.write_str("Ticket"),
        }
    }
}

/// What [`Authenticate`] found out.
#[derive(Clone, Debug)]
pub struct Identity {
    pub subject: Subject,
    /// The user's name, for logs and answers.
    pub name: String,
    pub credential: Credential,
}

/// An authenticated caller. As an extractor it needs a route that is not public.
#[derive(Clone, Debug)]
pub struct Principal {
    pub identity: Identity,
    pub(crate) authority: Arc<dyn Authenticate>,
}

/// A decision to let somebody do something, with what must be done to the media first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    pub transform: Transform,
}

impl Permit {
    /// Whether sound may be handed out. Where it is false, no path may deliver it.
    pub fn with_audio(&self) -> bool {
        !self.transform.without_audio
    }
}

impl Principal {
    pub fn subject(&self) -> &Subject {
        &self.identity.subject
    }

    /// The ticket by which the request came, for the URLs in a playlist.
    pub fn ticket(&self) -> Option<&str> {
        match &self.identity.credential {
            Credential::Ticket { text } => Some(text),
            _ => None,
        }
    }

    /// Decides on a camera. Cameras outside the caller's scope answer as if they did not exist.
    pub fn allow(
        &self,
        action: Action,
        camera: ChannelId,
        footage: Option<Footage>,
    ) -> Result<Permit, Problem> {
        decide(&self.identity.subject, action, Object::Camera(camera), footage)
    }

    /// Decides on what belongs to no camera.
    pub fn allow_system(&self, action: Action) -> Result<Permit, Problem> {
        decide(&self.identity.subject, action, Object::System, None)
    }

    /// Whether a list may show this camera.
    pub fn sees(&self, camera: ChannelId) -> bool {
        self.allow(Action::CameraView, camera, None).is_ok()
    }

    /// Ends when the caller's right to `action` on `camera` has ended (signed out, expired, disabled, scope changed):
    /// at most 5 s later. Long answers select against it and close. While it waits, the session counts as used: its user
    /// watches.
    pub async fn revoked(&self, action: Action, camera: ChannelId, footage: Option<Footage>) {
        let before = self.allow(action, camera, footage).ok();
        loop {
            tokio::time::sleep(RECHECK_INTERVAL).await;
            let Ok(identity) = self.authority.recheck(&self.identity, true).await else { return };
            // A right that shrank (sound withdrawn) ends the answer too; the client asks anew.
            if before.is_none()
                || decide(&identity.subject, action, Object::Camera(camera), footage).ok() != before
            {
                return;
            }
        }
    }

    /// The caller as it stands now; an error when the credential has ended. Does not count as use of the session: a
    /// page that is left open listens for events all the same.
    pub async fn renewed(&self) -> Result<Self, Problem> {
        let identity = self.authority.recheck(&self.identity, false).await?;
        Ok(Self { identity, authority: self.authority.clone() })
    }
}

pub(crate) fn decide(
    subject: &Subject,
    action: Action,
    object: Object,
    footage: Option<Footage>,
) -> Result<Permit, Problem> {
    let context = Context { now: varde_ambient::utc_now(), footage };
    match allow(subject, action, object, &context) {
        Decision::Permit => Ok(Permit::default()),
        Decision::PermitWith(transform) => Ok(Permit { transform }),
        Decision::Deny { reason: DenyReason::Camera } => Err(Problem::not_found()),
        // A ticket tells nothing about what lies beyond it.
        Decision::Deny { reason: DenyReason::Ticket } => Err(Problem::not_found()),
        Decision::Deny { reason: DenyReason::Role | DenyReason::Footage } => Err(Problem::forbidden()),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(Problem::not_signed_in)
    }
}

/// The caller of a route with [`crate::Permission::Optional`], or why there is none.
#[derive(Clone, Debug)]
pub struct MaybePrincipal(pub Result<Principal, Problem>);

impl<S: Send + Sync> FromRequestParts<S> for MaybePrincipal {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self(Err(Problem::not_signed_in()))))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Permit {
    type Rejection = Problem;

    /// Present on routes with [`crate::Permission::Camera`].
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get()
            .copied()
            .ok_or_else(|| Problem::internal(&"the route's permission decides on no camera"))
    }
}
