//! Workers that die, hang or get nonsense: one job is lost, and no more.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use bytes::Bytes;
use varde_codec::Format;
use varde_units::Mono;
use varde_vision_link::{FailureCode, Offer, TranscodeOptions, VisionError, VisionOptions, VisionPool};

use crate::clip::{self, Clip, time};
use crate::jobs::pool;

fn small() -> Format {
    Format::Mjpeg { width: 16, height: 16 }
}

#[tokio::test]
async fn garbage_is_refused_and_the_next_job_is_done() {
    let pool = pool();
    let Clip { format, units } = clip::pictures(clip::H264);
    for garbage in [&b""[..], b"\0\0\0\x05\x65garbage", &[0xff; 4096]] {
        let mut broken = units[..1].to_vec();
        broken[0].data = Bytes::copy_from_slice(garbage);
        match pool.still(format.clone(), broken, Mono::ZERO, None).await {
            Err(VisionError::Refused(failure)) => assert_eq!(failure.code, FailureCode::Broken),
            other => panic!("{other:?}"),
        }
    }
    let huge = Format::Mjpeg { width: 60_000, height: 60_000 };
    match pool.still(huge, units.clone(), Mono::ZERO, None).await {
        Err(VisionError::Refused(failure)) => assert_eq!(failure.code, FailureCode::TooLarge),
        other => panic!("{other:?}"),
    }
    pool.still(format, units, time(3), None).await.unwrap();
}

#[tokio::test]
async fn a_worker_that_is_missing_dies_or_babbles_costs_its_job() {
    let check = async |program: &str| {
        let pool = VisionPool::new(VisionOptions::new(program.into()));
        let still = pool.still(small(), Vec::new(), Mono::ZERO, None).await;
        let (input, mut output) = pool.transcode(TranscodeOptions::default()).unwrap();
        let stream = output.next().await.unwrap();
        assert!(output.next().await.is_none());
        drop(input);
        (still.unwrap_err(), stream.unwrap_err())
    };
    assert!(matches!(check("/nowhere").await, (VisionError::Unavailable(_), VisionError::Unavailable(_))));
    assert_eq!(check("/bin/false").await, (VisionError::Crashed, VisionError::Crashed));
    assert_eq!(check("/usr/bin/yes").await, (VisionError::Crashed, VisionError::Crashed));
}

#[tokio::test]
async fn a_worker_that_hangs_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("hang");
    std::fs::write(&program, "#!/bin/sh\nexec /bin/sleep 600\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut options = VisionOptions::new(program);
    options.still_timeout = Duration::from_millis(200);
    options.stall_timeout = Duration::from_millis(200);
    options.transcodes_max = 1;
    let pool = VisionPool::new(options);
    assert_eq!(pool.still(small(), Vec::new(), Mono::ZERO, None).await.unwrap_err(), VisionError::TimedOut);

    let Clip { format, units } = clip::pictures(clip::MJPEG);
    let (mut input, mut output) = pool.transcode(TranscodeOptions::default()).unwrap();
    assert_eq!(pool.transcode(TranscodeOptions::default()).unwrap_err(), VisionError::Busy);
    input.format(format);
    // Nobody takes them: at some point they are dropped, and never waited for.
    let offers: Vec<_> = units.iter().cycle().take(200).map(|unit| input.offer(unit.clone())).collect();
    assert_eq!((offers[0], offers[199]), (Offer::Taken, Offer::Dropped));
    assert_eq!(output.next().await.unwrap().unwrap_err(), VisionError::TimedOut);
    assert!(output.next().await.is_none());
    while pool.transcodes_free() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(input.offer(units[0].clone()), Offer::Ended);
}
