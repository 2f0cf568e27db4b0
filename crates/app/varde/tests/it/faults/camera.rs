//! Faults of cameras and of people: each leaves a gap with its cause and its true ends. Then the store's own damage:
//! an index lost or flipped, a torn ledger, a torn last fragment, a stranger's file; the timeline stays the same.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use varde_units::Utc;

use super::pictures::{self, Schedule, apart, span};
use crate::stack::Stack;

/// How near the ends of a gap must be to what happened.
const NEAR: Duration = Duration::from_secs(1);

enum Deed {
    /// The camera is told to misbehave, for so many seconds.
    Camera(&'static str, u32),
    Disable,
    StopRecording,
    Retire,
}

/// What is done to the data folder of a server that does not run.
type Damage = fn(&Path);

struct Case {
    deed: Deed,
    causes: &'static [&'static str],
}

/// What happens to the cameras, in their order, and the causes of which one must stand on the timeline.
const CASES: [Case; 7] = [
    Case { deed: Deed::Camera("refuse", 6), causes: &["disconnected", "unreachable"] },
    Case { deed: Deed::Camera("wrong_password", 6), causes: &["wrong_password"] },
    Case { deed: Deed::Camera("not_found", 6), causes: &["no_such_stream"] },
    // A camera counts as silent after ten seconds.
    Case { deed: Deed::Camera("freeze", 14), causes: &["silent"] },
    Case { deed: Deed::Disable, causes: &["disabled"] },
    Case { deed: Deed::StopRecording, causes: &["disabled"] },
    Case { deed: Deed::Retire, causes: &["retired"] },
];

async fn change(stack: &Stack, camera: &str, what: Value) {
    let path = format!("/cameras/{camera}");
    let mut body = what;
    body["version"] = stack.api.get(&path).await["version"].clone();
    stack.api.call(Method::PATCH, &path, Some(body)).await.unwrap();
}

async fn begin(stack: &Stack, number: usize, camera: &str, deed: &Deed) -> Utc {
    let asked = varde_ambient::utc_now();
    match deed {
        Deed::Camera(fault, seconds) => {
            let path = format!("/control/cameras/{}/faults", number + 1);
            stack.control(&path, json!({ "fault": fault, "seconds": seconds })).await;
        }
        Deed::Disable => change(stack, camera, json!({ "enabled": false })).await,
        Deed::StopRecording => change(stack, camera, json!({ "record": false })).await,
        Deed::Retire => {
            stack.api.call(Method::DELETE, &format!("/cameras/{camera}"), None).await.unwrap();
        }
    }
    let done = varde_ambient::utc_now();
    asked.plus(done.since(asked) / 2)
}

async fn end(stack: &Stack, camera: &str, deed: &Deed) {
    match deed {
        // After a wrong password a camera is left alone for a minute, unless somebody changes something.
        Deed::Camera("wrong_password", _) => change(stack, camera, json!({ "transport": "udp" })).await,
        Deed::Camera(..) | Deed::Retire => {}
        Deed::Disable => change(stack, camera, json!({ "enabled": true })).await,
        Deed::StopRecording => change(stack, camera, json!({ "record": true })).await,
    }
}

#[tokio::test]
async fn each_fault_leaves_a_gap_that_says_why_and_damage_to_the_store_changes_nothing() {
    let mut stack = Stack::start(CASES.len() as u32).await;
    let (mut cameras, mut schedules) = (Vec::new(), Vec::new());
    for number in 0..CASES.len() {
        cameras.push(stack.add_camera(number).await);
        schedules.push(Schedule::of(&stack, number).await);
    }
    for camera in &cameras {
        stack.records(camera).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;

    let mut begun = Vec::new();
    for (number, (camera, case)) in cameras.iter().zip(&CASES).enumerate() {
        begun.push(begin(&stack, number, camera, &case.deed).await);
    }
    tokio::time::sleep(Duration::from_secs(7)).await;
    for (camera, case) in cameras.iter().zip(&CASES) {
        end(&stack, camera, &case.deed).await;
    }
    for ((camera, case), begun) in cameras.iter().zip(&CASES).zip(&begun) {
        let Deed::Retire = case.deed else {
            let path = format!("/cameras/{camera}");
            stack
                .api
                .until(&path, "records again", |camera| {
                    let durable = camera["streams"][0]["durable_until"].as_str();
                    let durable: Option<Utc> = durable.map(|until| until.parse().unwrap());
                    camera["recording"] == true
                        && durable.is_some_and(|until| until > begun.plus(Duration::from_secs(7)))
                })
                .await;
            continue;
        };
    }
    // The frozen camera was the last to be noticed; what follows its gap must be on disk too.
    tokio::time::sleep(Duration::from_secs(3)).await;

    let mut timelines = Vec::new();
    for camera in &cameras {
        timelines.push(stack.api.timeline(camera).await);
    }
    stack.server.stop_in_place();
    let storage = stack.data().join("storage");
    for (number, (camera, case)) in cameras.iter().zip(&CASES).enumerate() {
        check_gap(case, begun[number], schedules[number], &timelines[number], &storage, camera);
    }

    let damage: [(&str, Damage); 4] = [
        ("rebuilt", rebuild),
        ("without an index", remove_index),
        ("with an index that was flipped", flip_index),
        ("torn and with a stranger", tear),
    ];
    for (what, damage) in damage {
        damage(&stack.data());
        stack.serve_again();
        for ((camera, before), case) in cameras.iter().zip(&timelines).zip(&CASES) {
            if !matches!(case.deed, Deed::Retire) {
                stack.records(camera).await;
            }
            let path = whole_timeline(camera);
            let wanted = settled(before);
            stack.api.until(&path, &format!("is the old one, {what}"), |now| contains(now, &wanted)).await;
        }
        // The next damage finds a store that was cut off, not one that was closed.
        stack.server.kill_in_place();
    }
    let stranger = storage.join("media/notes.txt");
    assert_eq!(std::fs::read(stranger).unwrap(), b"mine", "what is not ours is left alone");
}

/// The gap has one of the causes, begins with the fault, and lies exactly where the counters are missing.
fn check_gap(case: &Case, begun: Utc, schedule: Schedule, timeline: &Value, storage: &Path, camera: &str) {
    let gaps = timeline["gaps"].as_array().unwrap();
    let causes = case.causes;
    let right = |gap: &&Value| causes.contains(&gap["cause"].as_str().unwrap());
    let gap = gaps.iter().find(right).unwrap_or_else(|| panic!("none of {causes:?}: {timeline}"));
    // A closed connection may be followed by the reason for which the next one is refused: one hole, two causes.
    let (start, _) = span(&gaps[0]);
    assert!(apart(start, begun) <= NEAR, "{causes:?}: begun {begun}: {timeline}");
    let (gap_start, gap_end) = span(gap);
    assert!(apart(gap_start, begun) <= NEAR, "{causes:?}: begun {begun}: {timeline}");
    let pictures = pictures::all(storage, camera);
    let shown_last = schedule.shown(*pictures[0].last().unwrap() + 1);
    assert!(apart(shown_last, begun) <= NEAR, "{causes:?}: pictures until {shown_last}, begun {begun}");
    if let Deed::Retire = case.deed {
        assert_eq!(gap_end, None, "retired for good: {timeline}");
        assert_eq!(pictures.len(), 1);
        return;
    }
    let shown_again = schedule.shown(pictures[1][0]);
    let (_, end) = span(gaps.last().unwrap());
    let end = end.unwrap_or_else(|| panic!("{causes:?}: the gap is over: {timeline}"));
    assert!(apart(end, shown_again) <= NEAR, "{causes:?}: pictures from {shown_again}: {timeline}");
    for pair in gaps.windows(2) {
        let (first, second) = (span(&pair[0]).1.unwrap(), span(&pair[1]).0);
        assert!(apart(first, second) <= NEAR, "{causes:?}: no reason in between: {timeline}");
    }
}

fn whole_timeline(camera: &str) -> String {
    let now = varde_ambient::utc_now();
    let (start, end) = (now.minus(Duration::from_secs(3_600)), now.plus(Duration::from_secs(3_600)));
    format!("/cameras/{camera}/timeline?start={start}&end={end}")
}

/// What a timeline says of the time that is over.
fn settled(timeline: &Value) -> Vec<Value> {
    let recordings = timeline["recordings"].as_array().unwrap();
    let gaps = timeline["gaps"].as_array().unwrap();
    // The last recording grew on until the server was stopped.
    recordings[..recordings.len() - 1].iter().chain(gaps).cloned().collect()
}

fn contains(timeline: &Value, wanted: &[Value]) -> bool {
    let entries = |key: &str| timeline[key].as_array().cloned().unwrap_or_default();
    let there: Vec<Value> = entries("recordings").into_iter().chain(entries("gaps")).collect();
    wanted.iter().all(|wanted| there.contains(wanted))
}

fn rebuild(data: &Path) {
    let done = Command::new(env!("CARGO_BIN_EXE_varde"))
        .args(["storage", "rebuild", "--json", "--data"])
        .arg(data)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(said["files"].as_u64().unwrap() >= CASES.len() as u64, "{said}");
}

fn remove_index(data: &Path) {
    std::fs::remove_dir_all(data.join("recorder/index")).unwrap();
}

fn flip_index(data: &Path) {
    for entry in std::fs::read_dir(data.join("recorder/index")).unwrap().flatten() {
        let mut bytes = std::fs::read(entry.path()).unwrap();
        for at in (0..bytes.len()).step_by(61) {
            bytes[at] ^= 0x55;
        }
        std::fs::write(entry.path(), bytes).unwrap();
    }
}

/// A last fragment that was half written, a ledger that ends within a record, and a file that somebody put there.
fn tear(data: &Path) {
    let storage = data.join("storage");
    let cut = |path: &Path, bytes: u64| {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len().saturating_sub(bytes)).unwrap();
    };
    let camera = std::fs::read_dir(storage.join("media")).unwrap().flatten().next().unwrap();
    let newest = pictures::files(&storage, camera.file_name().to_str().unwrap()).pop().unwrap();
    cut(&newest, 999);
    let mut logs: Vec<_> =
        std::fs::read_dir(storage.join("ledger")).unwrap().flatten().map(|entry| entry.path()).collect();
    logs.sort();
    cut(logs.last().unwrap(), 3);
    std::fs::write(storage.join("media/notes.txt"), b"mine").unwrap();
}
