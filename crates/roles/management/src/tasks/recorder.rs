//! Follows the recorder: hears its status once a second, and hands over the configuration whenever it has another one
//! than it should, be it after a change here, a restart there, or a time apart.

use std::sync::atomic::Ordering;
use std::time::Duration;

use varde_api_internal::recorder::RecorderStatus;
use varde_recorder_link::Error;

use crate::role::Management;

const INTERVAL: Duration = Duration::from_secs(1);
/// Rest after a recorder refused a configuration: asking every second would fill its log.
const REFUSED_REST: Duration = Duration::from_secs(10);

pub async fn follow(management: &Management) {
    loop {
        let rest = match management.link.status().await {
            Ok(status) => {
                let rest = hand_over(management, &status).await;
                management.recorder_set(Some(status));
                rest
            }
            Err(error) => {
                if management.recorder().is_some() {
                    tracing::warn!(%error, "the recorder does not answer");
                }
                management.recorder_set(None);
                INTERVAL
            }
        };
        tokio::select! {
            () = management.wake.notified() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Gives how long to rest.
async fn hand_over(management: &Management, status: &RecorderStatus) -> Duration {
    let wanted = management.revision.load(Ordering::SeqCst);
    if status.revision == wanted {
        return INTERVAL;
    }
    // The recorder is ahead of a database that was restored from a backup: count on from there.
    if status.revision > wanted {
        tracing::warn!(
            recorder = status.revision,
            ours = wanted,
            "the recorder has a newer configuration than we do"
        );
        if management.revise(status.revision).await.is_err() {
            return REFUSED_REST;
        }
    }
    let Ok(snapshot) = management.snapshot() else { return REFUSED_REST };
    match management.link.put_config(&snapshot).await {
        Ok(()) => INTERVAL,
        Err(error @ Error::Refused { .. }) => {
            tracing::error!(%error, "the recorder does not take its configuration");
            REFUSED_REST
        }
        Err(error) => {
            tracing::warn!(%error, "the configuration was not handed over");
            INTERVAL
        }
    }
}
