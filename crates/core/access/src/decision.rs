//! The decision itself.

use serde::{Deserialize, Serialize};
use varde_ids::ChannelId;
use varde_units::Utc;

use crate::{Action, Subject};

/// What the action is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Object {
    /// The installation: users, storages, settings, events that belong to no camera.
    System,
    /// A camera, with its sound and metadata.
    Camera(ChannelId),
}

/// A range of recorded time, `start` ≤ `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footage {
    pub start: Utc,
    pub end: Utc,
}

impl Footage {
    /// `None` when the end lies before the start.
    pub fn new(start: Utc, end: Utc) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    pub fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// What else the decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub now: Utc,
    /// The recorded time that is asked for, where the caller knows it.
    pub footage: Option<Footage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    Permit,
    Deny {
        reason: DenyReason,
    },
    /// Allowed only with the transform applied; whoever can't apply it must refuse.
    PermitWith(Transform),
}

/// What must be done to media before they are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transform {
    pub without_audio: bool,
}

/// Why not. For logs and wording; a client learns `not found` for cameras outside its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// None of the subject's roles holds the action.
    Role,
    /// A role holds it, but not for this camera.
    Camera,
    /// The ticket is for something else.
    Ticket,
    /// The ticket is bound to a range of footage, and the request is not inside.
    Footage,
}

/// May `subject` do `action` to `object`?
pub fn allow(subject: &Subject, action: Action, object: Object, context: &Context) -> Decision {
    match judge(subject, action, object, context) {
        Err(reason) => Decision::Deny { reason },
        Ok(()) if action.carries_sound() && judge(subject, Action::AudioListen, object, context).is_err() => {
            Decision::PermitWith(Transform { without_audio: true })
        }
        Ok(()) => Decision::Permit,
    }
}

fn judge(subject: &Subject, action: Action, object: Object, context: &Context) -> Result<(), DenyReason> {
    if let Some(bounds) = &subject.bounds {
        let Object::Camera(camera) = object else { return Err(DenyReason::Ticket) };
        if !bounds.purpose.covers(action) || !bounds.cameras.contains(&camera) {
            return Err(DenyReason::Ticket);
        }
        if let Some(range) = &bounds.footage
            && !context.footage.is_some_and(|asked| range.contains(&asked))
        {
            return Err(DenyReason::Footage);
        }
    }
    let mut reason = DenyReason::Role;
    for grant in subject.grants.iter().filter(|grant| grant.role.holds(action)) {
        match object {
            // What belongs to no camera, but is of a kind that does, needs a grant for all of them.
            Object::System if !action.is_per_camera() => return Ok(()),
            Object::System if grant.cameras == crate::CameraScope::All => return Ok(()),
            Object::Camera(camera) if grant.cameras.contains(camera) => return Ok(()),
            _ => reason = DenyReason::Camera,
        }
    }
    Err(reason)
}
