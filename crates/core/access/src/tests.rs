//! What each role may do, on which camera, and that nothing else is ever permitted.

use std::collections::BTreeSet;

use proptest::prelude::*;
use varde_ids::{ChannelId, UserId};
use varde_units::Utc;

use super::*;

fn camera(number: u8) -> ChannelId {
    ChannelId::from_bytes([number; 16])
}

fn subject(role: Role, cameras: &[u8]) -> Subject {
    let set = cameras.iter().map(|&number| camera(number)).collect();
    Subject::new(UserId::from_bytes([1; 16]), role, CameraScope::Set(set))
}

fn context() -> Context {
    Context { now: Utc::EPOCH, footage: None }
}

fn decide(subject: &Subject, action: Action, object: Object) -> Decision {
    allow(subject, action, object, &context())
}

#[test]
fn roles_hold_what_they_say() {
    let check = |role, allowed: &[Action]| {
        for &action in Action::ALL {
            assert_eq!(
                role_holds_on_own_camera(role, action),
                allowed.contains(&action),
                "{role:?} {action:?}"
            );
        }
    };
    fn role_holds_on_own_camera(role: Role, action: Action) -> bool {
        !matches!(decide(&subject(role, &[1]), action, Object::Camera(camera(1))), Decision::Deny { .. })
    }
    use Action::*;
    check(Role::Administrator, Action::ALL);
    check(
        Role::Operator,
        &[CameraView, LiveView, PlaybackView, AudioListen, Export, EventView, TokenOwn, SystemView],
    );
    check(Role::Viewer, &[CameraView, LiveView, PlaybackView, EventView, TokenOwn, SystemView]);
}

#[test]
fn a_viewer_sees_and_does_not_hear() {
    let silent = Decision::PermitWith(Transform { without_audio: true });
    let object = Object::Camera(camera(1));
    assert_eq!(decide(&subject(Role::Viewer, &[1]), Action::LiveView, object), silent);
    assert_eq!(decide(&subject(Role::Viewer, &[1]), Action::PlaybackView, object), silent);
    assert_eq!(decide(&subject(Role::Operator, &[1]), Action::LiveView, object), Decision::Permit);
}

#[test]
fn sound_granted_by_another_role_is_heard() {
    let mut both = subject(Role::Viewer, &[1, 2]);
    both.grants.push(Grant { role: Role::Operator, cameras: CameraScope::Set([camera(2)].into()) });
    assert!(matches!(decide(&both, Action::LiveView, Object::Camera(camera(1))), Decision::PermitWith(_)));
    assert_eq!(decide(&both, Action::LiveView, Object::Camera(camera(2))), Decision::Permit);
}

#[test]
fn a_ticket_opens_its_purpose_camera_and_range_alone() {
    let at = Utc::from_micros;
    let mut ticket = subject(Role::Administrator, &[1, 2]);
    ticket.bounds = Some(Bounds {
        cameras: [camera(1)].into(),
        purpose: Purpose::Playback,
        footage: Footage::new(at(10), at(20)),
    });
    let ask = |action, object, range: Option<(i64, i64)>| {
        let footage = range.and_then(|(start, end)| Footage::new(at(start), at(end)));
        allow(&ticket, action, object, &Context { now: Utc::EPOCH, footage })
    };
    let one = Object::Camera(camera(1));
    let denied = |reason| Decision::Deny { reason };
    assert_eq!(ask(Action::PlaybackView, one, Some((10, 20))), Decision::Permit);
    assert_eq!(ask(Action::PlaybackView, one, Some((10, 21))), denied(DenyReason::Footage));
    assert_eq!(ask(Action::PlaybackView, one, None), denied(DenyReason::Footage));
    assert_eq!(ask(Action::LiveView, one, Some((10, 20))), denied(DenyReason::Ticket));
    assert_eq!(
        ask(Action::PlaybackView, Object::Camera(camera(2)), Some((10, 20))),
        denied(DenyReason::Ticket)
    );
    assert_eq!(ask(Action::UserChange, Object::System, None), denied(DenyReason::Ticket));
}

#[test]
fn system_events_need_every_camera() {
    let own = subject(Role::Viewer, &[1]);
    assert_eq!(
        decide(&own, Action::EventView, Object::System),
        Decision::Deny { reason: DenyReason::Camera }
    );
    let all = Subject::new(own.user, Role::Viewer, CameraScope::All);
    assert_eq!(decide(&all, Action::EventView, Object::System), Decision::Permit);
}

fn any_role() -> impl Strategy<Value = Role> {
    proptest::sample::select(Role::ALL)
}

fn any_action() -> impl Strategy<Value = Action> {
    proptest::sample::select(Action::ALL)
}

fn any_scope() -> impl Strategy<Value = CameraScope> {
    prop_oneof![
        Just(CameraScope::All),
        proptest::collection::btree_set((0u8..6).prop_map(camera), 0..4).prop_map(CameraScope::Set),
    ]
}

fn any_grants() -> impl Strategy<Value = Vec<Grant>> {
    proptest::collection::vec(
        (any_role(), any_scope()).prop_map(|(role, cameras)| Grant { role, cameras }),
        0..4,
    )
}

fn any_object() -> impl Strategy<Value = Object> {
    prop_oneof![Just(Object::System), (0u8..6).prop_map(|number| Object::Camera(camera(number)))]
}

fn any_bounds() -> impl Strategy<Value = Bounds> {
    (
        proptest::collection::btree_set((0u8..6).prop_map(camera), 0..4),
        proptest::sample::select(&[Purpose::Live, Purpose::Playback, Purpose::Export][..]),
        proptest::option::of((0i64..50, 0i64..50)),
    )
        .prop_map(|(cameras, purpose, range)| Bounds {
            cameras,
            purpose,
            footage: range.and_then(|(start, length)| {
                Footage::new(Utc::from_micros(start), Utc::from_micros(start + length))
            }),
        })
}

fn user() -> UserId {
    UserId::from_bytes([9; 16])
}

proptest! {
    #[test]
    fn nobody_without_a_grant_may_anything(action in any_action(), object in any_object()) {
        let nobody = Subject { user: user(), grants: vec![], bounds: None };
        let denied = matches!(decide(&nobody, action, object), Decision::Deny { .. });
        prop_assert!(denied);
        prop_assert!(!nobody.may_somewhere(action));
    }

    #[test]
    fn what_is_allowed_is_backed_by_one_grant(
        grants in any_grants(), action in any_action(), object in any_object(),
    ) {
        let whole = Subject { user: user(), grants: grants.clone(), bounds: None };
        let allowed = |subject: &Subject| !matches!(decide(subject, action, object), Decision::Deny { .. });
        let by_one = grants.iter().any(|grant| {
            allowed(&Subject { user: user(), grants: vec![grant.clone()], bounds: None })
        });
        prop_assert_eq!(allowed(&whole), by_one);
        if allowed(&whole) {
            prop_assert!(whole.may_somewhere(action));
        }
    }

    #[test]
    fn a_camera_outside_every_scope_stays_closed(
        roles in proptest::collection::vec(any_role(), 0..4), action in any_action(),
    ) {
        let scope: BTreeSet<_> = (0u8..3).map(camera).collect();
        let grants = roles
            .into_iter()
            .map(|role| Grant { role, cameras: CameraScope::Set(scope.clone()) })
            .collect();
        let subject = Subject { user: user(), grants, bounds: None };
        let denied = matches!(decide(&subject, action, Object::Camera(camera(7))), Decision::Deny { .. });
        prop_assert!(denied);
    }

    #[test]
    fn a_ticket_never_opens_more_than_its_user(
        grants in any_grants(), bounds in any_bounds(), action in any_action(), object in any_object(),
        range in proptest::option::of((0i64..50, 0i64..50)),
    ) {
        let footage = range.and_then(|(start, length)| {
            Footage::new(Utc::from_micros(start), Utc::from_micros(start + length))
        });
        let context = Context { now: Utc::EPOCH, footage };
        let person = Subject { user: user(), grants, bounds: None };
        let ticket = Subject { bounds: Some(bounds.clone()), ..person.clone() };
        match allow(&ticket, action, object, &context) {
            Decision::Deny { .. } => {}
            decision => {
                let by_user = allow(&person, action, object, &context);
                prop_assert!(by_user == decision || matches!(decision, Decision::PermitWith(_)));
                let not_denied = !matches!(by_user, Decision::Deny { .. });
                prop_assert!(not_denied);
                let inside = matches!(object, Object::Camera(camera) if bounds.cameras.contains(&camera));
                prop_assert!(inside);
                prop_assert!(bounds.purpose.covers(action));
            }
        }
    }
}
