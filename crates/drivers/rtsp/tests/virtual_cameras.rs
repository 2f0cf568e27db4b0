//! The driver against the virtual cameras: real footage that is coded in another order than it is shown.

mod support;

use std::time::Duration;

use support::{Driving, device, source, stream};
use varde_codec::AccessUnit;
use varde_driver::Transport;
use varde_virtual_cameras::{Options, VirtualCameras};

#[tokio::test]
async fn pictures_with_b_frames_come_in_decoding_order_with_the_times_at_which_they_are_shown() {
    let options = Options { count: 1, rtsp_port: 0, control_port: 0, ..Options::default() };
    let account = (options.user.clone(), options.password.clone());
    let cameras = VirtualCameras::start(options).await.unwrap();
    let sources = vec![source(&cameras.url("/codec/h264-b-frames"), Transport::Tcp, 7)];
    let driving = Driving::start(device(Some((&account.0, &account.1)), sources));
    let units = driving.notebook.wait_units(stream(7), 90).await;
    driving.stop().await;
    cameras.stop().await;

    let reordered = units.windows(2).filter(|pair| pair[1].time < pair[0].time).count();
    assert!(
        reordered > 10,
        "{reordered} of {} pictures are shown before the one that came before",
        units.len()
    );
    for pair in units.windows(2) {
        assert!(pair[0].decode_time < pair[1].decode_time, "{pair:?}");
    }
    for unit in &units {
        assert!(unit.decode_time <= unit.time, "{unit:?}");
    }
    assert_even(&units);
    assert_groups_are_closed(&units);
}

/// In the order in which they are shown, pictures follow each other at the footage's pace. The last few may still wait
/// for one that is shown between them.
fn assert_even(units: &[AccessUnit]) {
    let mut times: Vec<_> = units[..units.len() - 8].iter().map(|unit| unit.time).collect();
    times.sort_unstable();
    times.truncate(times.len() - 8);
    let pace = times[times.len() - 1].since(times[0]) / (times.len() as u32 - 1);
    for pair in times.windows(2) {
        let step = pair[1].since(pair[0]);
        assert!(
            step.abs_diff(pace) < Duration::from_millis(20),
            "{step:?} between pictures, {pace:?} on average"
        );
    }
}

/// What comes before an entry point is shown before it, and what comes after it after.
fn assert_groups_are_closed(units: &[AccessUnit]) {
    let entry_points = units.iter().enumerate().filter(|(_, unit)| unit.flags.entry_point);
    let mut seen = 0;
    for (at, entry_point) in entry_points {
        assert!(units[..at].iter().all(|unit| unit.time < entry_point.time));
        assert!(units[at + 1..].iter().all(|unit| unit.time > entry_point.time));
        seen += 1;
    }
    assert!(seen >= 2, "{seen} entry points in {} pictures", units.len());
}
