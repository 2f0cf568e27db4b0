//! What the role does by itself.

mod housekeeping;
mod recorder;

use tokio::sync::watch;

use crate::role::Management;

impl Management {
    /// Keeps the recorder's configuration and the role's memory up to date until `stop` becomes true.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = recorder::follow(self) => {}
            () = housekeeping::tidy(self) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}
