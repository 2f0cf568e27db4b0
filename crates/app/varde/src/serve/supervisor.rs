//! Starts the children, starts them again when they end, and ends them in order.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Options, Role, told_to_stop};
use crate::cli::Failure;

/// First pause before a child is started again; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_LONGEST: Duration = Duration::from_secs(10);
/// A child that ran this long has proven itself: its next pause is the first again.
const PROVEN_AFTER: Duration = Duration::from_secs(60);
/// How long a child may take to end in order.
const END_WITHIN: Duration = Duration::from_secs(10);

pub fn run(options: &Options) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("the runtime did not start: {error}")))?
        .block_on(async {
            let recording = guard(options.clone(), Role::Recording);
            let rest = guard(options.clone(), Role::Rest);
            // Viewers go first, so that the recorder is the last to stop.
            let (stop_recording, recording_stopped) = tokio::sync::oneshot::channel();
            let (stop_rest, rest_stopped) = tokio::sync::oneshot::channel();
            let recording = tokio::spawn(recording.run(recording_stopped));
            let mut rest = tokio::spawn(rest.run(rest_stopped));
            tokio::select! {
                () = told_to_stop() => {}
                // Only a start that can never work ends a guard by itself.
                ended = &mut rest => {
                    let _ = stop_recording.send(());
                    let _ = recording.await;
                    return ended.map_err(|error| Failure::Failed(error.to_string()))?;
                }
            }
            let _ = stop_rest.send(());
            let _ = rest.await;
            let _ = stop_recording.send(());
            let _ = recording.await;
            Ok(())
        })
}

fn guard(options: Options, role: Role) -> Guard {
    Guard { options, role, starts: 0, pause: PAUSE_FIRST }
}

struct Guard {
    options: Options,
    role: Role,
    starts: u32,
    pause: Duration,
}

impl Guard {
    async fn run(mut self, mut stopped: tokio::sync::oneshot::Receiver<()>) -> Result<(), Failure> {
        loop {
            let started = Instant::now();
            let mut child = self.start()?;
            let status = tokio::select! {
                status = child.wait() => status?,
                _ = &mut stopped => {
                    end(&mut child).await;
                    return Ok(());
                }
            };
            if self.is_hopeless(status, started) {
                return Err(Failure::Failed(format!("{:?} could not start; see the log above", self.role)));
            }
            if started.elapsed() >= PROVEN_AFTER {
                self.pause = PAUSE_FIRST;
            }
            warn!(role = ?self.role, %status, pause_ms = self.pause.as_millis() as u64, "a child ended and is started again");
            tokio::select! {
                () = tokio::time::sleep(self.pause) => {}
                _ = &mut stopped => return Ok(()),
            }
            self.pause = (self.pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// The first start of the roles that serve people, ended by itself with an error of its own: a port in use, a
    /// folder without rights. Trying again would only hide the message.
    fn is_hopeless(&self, status: ExitStatus, started: Instant) -> bool {
        self.role == Role::Rest
            && self.starts == 1
            && status.code() == Some(1)
            && started.elapsed() < PAUSE_LONGEST
    }

    fn start(&mut self) -> Result<Child, Failure> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.arg("role");
        command.arg(match self.role {
            Role::Recording => "recording",
            Role::Rest => "rest",
        });
        if self.starts > 0 {
            command.arg("--again");
        }
        let options = &self.options;
        command.arg("--data").arg(&options.data).arg("--listen").arg(options.listen.to_string());
        for host in &options.hosts {
            command.arg("--host").arg(host);
        }
        for network in &options.allow_networks {
            command.arg("--allow-network").arg(network);
        }
        if let Some(folder) = &options.storage {
            command.arg("--storage").arg(folder);
        }
        if let Some(folder) = &options.web {
            command.arg("--web").arg(folder);
        }
        if options.json {
            command.arg("--json");
        }
        if options.log_json {
            command.arg("--log-json");
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        // Ctrl-C in a terminal reaches the whole group: the children must hear it from us alone, in order.
        command.process_group(0);
        self.starts += 1;
        let child = command.spawn()?;
        info!(role = ?self.role, pid = child.id(), "started");
        Ok(child)
    }
}

/// Asks a child to end, and makes sure of it.
async fn end(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(END_WITHIN, child.wait()).await.is_err() {
        error!("a child did not end in time and is killed");
        let _ = child.kill().await;
    }
}

/// Ends this process in order when its supervisor dies, so that no child is left alone.
pub fn end_with_parent() -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
        .map_err(|error| Failure::Failed(format!("the parent can't be watched: {error}")))
}
