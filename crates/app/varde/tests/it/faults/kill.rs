//! `kill -9` of the recorder at random instants. `VARDE_SOAK_KILLS` sets how many; the full count is soak's.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use varde_units::Utc;

use super::pictures::{self, Schedule, span};
use crate::stack::{PATIENCE, Stack, signal};

/// Kills in a test run.
const KILLS: u32 = 3;
const CAMERAS: usize = 2;
/// Cameras of a soak (reliability.md (d) 1).
const CAMERAS_SOAK: usize = 8;

/// Since when each camera's footage is safe, in their order, or `None` while one does not record.
async fn durable(stack: &Stack, cameras: &[String]) -> Option<Vec<Utc>> {
    let status = stack.recorder().status().await.ok()?;
    cameras
        .iter()
        .map(|camera| {
            let channel = status.channels.iter().find(|it| it.channel.to_string() == *camera)?;
            channel.streams.iter().find_map(|stream| stream.durable_until).filter(|_| channel.recording)
        })
        .collect()
}

#[tokio::test]
async fn nothing_durable_is_lost_when_the_recorder_is_killed_at_any_instant() {
    let soak: Option<u32> = std::env::var("VARDE_SOAK_KILLS").ok().map(|text| text.parse().unwrap());
    let count = if soak.is_some() { CAMERAS_SOAK } else { CAMERAS };
    let stack = Stack::start(count as u32).await;
    let storage = stack.data().join("storage");
    let (mut cameras, mut schedules) = (Vec::new(), Vec::new());
    for number in 0..count {
        cameras.push(stack.add_camera(number).await);
        schedules.push(Schedule::of(&stack, number).await);
    }
    for camera in &cameras {
        stack.records(camera).await;
    }
    let (mut checked, mut back_after, mut behind) = (HashSet::new(), Vec::new(), Vec::new());
    let kills = soak.unwrap_or(KILLS);
    for kill in 0..kills {
        let instant = varde_ambient::random_below_or_equal(2_700);
        tokio::time::sleep(Duration::from_millis(300 + instant)).await;
        let before = durable(&stack, &cameras).await.expect("all record");
        let now = varde_ambient::utc_now();
        signal(stack.child("recording"), "KILL");
        behind.extend(before.iter().map(|until| now.since(*until)));

        let killed = Instant::now();
        loop {
            let after = durable(&stack, &cameras).await;
            if after.is_some_and(|after| after.iter().zip(&before).all(|(after, before)| after > before)) {
                break;
            }
            assert!(killed.elapsed() < PATIENCE, "kill {kill}: it records no more");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let started = stack.recorder().status().await.unwrap().started;
        back_after.push(varde_ambient::utc_now().since(started));

        for ((camera, schedule), before) in cameras.iter().zip(&schedules).zip(&before) {
            let timeline = stack.api.timeline(camera).await;
            let kept = timeline["recordings"].as_array().unwrap().iter().map(span).any(|(start, end)| {
                start < *before && end.is_some_and(|end| end.plus(Duration::from_millis(1)) >= *before)
            });
            assert!(kept, "kill {kill}: {before} was durable: {timeline}");
            // What the killed run left, by another's decoder: all of it, and as much as the timeline promises.
            for file in pictures::files(&storage, camera).into_iter().rev().skip(1) {
                if !checked.insert(file.clone()) {
                    continue;
                }
                let pictures = pictures::whole(&file);
                let first = schedule.shown(pictures[0]);
                let promised = timeline["recordings"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(span)
                    // Runs may follow each other within a second or two: the nearest beginning is this file's.
                    .min_by_key(|(start, _)| pictures::apart(*start, first))
                    .filter(|(start, _)| pictures::apart(*start, first) < Duration::from_secs(2))
                    .and_then(|(start, end)| Some(end?.since(start)))
                    .unwrap_or_else(|| panic!("kill {kill}: {} is not on the {timeline}", file.display()));
                let there = schedule.span(pictures.len());
                assert!(
                    there.abs_diff(promised) < Duration::from_millis(300),
                    "kill {kill}: {} has {there:?} of pictures, the timeline says {promised:?}",
                    file.display()
                );
            }
        }
    }
    for camera in &cameras {
        let timeline = stack.api.timeline(camera).await;
        let gaps = timeline["gaps"].as_array().unwrap();
        assert_eq!(gaps.len(), kills as usize, "each kill left a gap: {timeline}");
        assert!(gaps.iter().all(|gap| gap["cause"] == "recorder_down"), "that says so: {timeline}");
    }
    back_after.sort();
    behind.sort();
    let p95 = |sorted: &[Duration]| sorted[(sorted.len() - 1) * 95 / 100].as_secs_f64();
    // Figures for soak, one line of JSON; no assertion depends on how fast the machine is.
    eprintln!(
        "kills: {}",
        serde_json::json!({
            "kills": kills, "cameras": count, "files_decoded": checked.len(),
            "recording_again_p95_s": p95(&back_after), "recording_again_max_s": back_after[back_after.len() - 1].as_secs_f64(),
            "behind_durable_p95_s": p95(&behind), "behind_durable_max_s": behind[behind.len() - 1].as_secs_f64(),
        })
    );
    stack.server.stop();
}
