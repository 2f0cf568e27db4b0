//! Starts the children, starts them again when they end, and ends them in order.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::folders::RECORDER_FOLDER;
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
        .block_on(guard_both(options))
}

async fn guard_both(options: &Options) -> Result<(), Failure> {
    // Asked once: after an update the running file has another name, and the new one is to be started.
    let program = std::env::current_exe()?;
    let (stop_recording, recording_stopped) = oneshot::channel();
    let (stop_rest, rest_stopped) = oneshot::channel();
    let mut recording = tokio::spawn(guard(&program, options, Role::Recording).run(recording_stopped));
    let mut rest = tokio::spawn(guard(&program, options, Role::Rest).run(rest_stopped));
    // Only a start that can never work ends a guard by itself.
    let ended = tokio::select! {
        () = told_to_stop() => None,
        ended = &mut rest => Some((Role::Rest, ended)),
        ended = &mut recording => Some((Role::Recording, ended)),
    };
    let role = ended.as_ref().map(|(role, _)| *role);
    // Viewers go first, so that the recorder is the last to stop.
    let _ = stop_rest.send(());
    if role != Some(Role::Rest) {
        let _ = rest.await;
    }
    let _ = stop_recording.send(());
    if role != Some(Role::Recording) {
        let _ = recording.await;
    }
    match ended {
        None => Ok(()),
        Some((_, ended)) => ended.map_err(|error| Failure::Failed(error.to_string()))?,
    }
}

fn guard(program: &Path, options: &Options, role: Role) -> Guard {
    Guard { program: program.to_path_buf(), options: options.clone(), role, starts: 0, pause: PAUSE_FIRST }
}

struct Guard {
    program: PathBuf,
    options: Options,
    role: Role,
    starts: u32,
    pause: Duration,
}

impl Guard {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) -> Result<(), Failure> {
        loop {
            let started = Instant::now();
            match self.start() {
                Ok(mut child) => {
                    let status = tokio::select! {
                        status = child.wait() => status?,
                        _ = &mut stopped => {
                            end(&mut child).await;
                            return Ok(());
                        }
                    };
                    if self.is_hopeless(status, started) {
                        return Err(Failure::Failed(format!(
                            "{:?} could not start; see the log above",
                            self.role
                        )));
                    }
                    if started.elapsed() >= PROVEN_AFTER {
                        self.pause = PAUSE_FIRST;
                    }
                    warn!(role = ?self.role, %status, pause_ms = self.pause.as_millis() as u64, "a child ended and is started again");
                }
                Err(error) if self.starts == 1 => return Err(error.into()),
                // Out of processes or memory, or the program is being replaced: none of it lasts.
                Err(error) => {
                    error!(role = ?self.role, %error, pause_ms = self.pause.as_millis() as u64, "a child can't be started and is tried again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.pause) => {}
                _ = &mut stopped => return Ok(()),
            }
            self.pause = (self.pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// The first start of the roles that serve people, ended by itself with an error of its own: a port in use, a
    /// folder without rights. Trying again would only hide the message. Once cameras are recorded here, they are
    /// recorded on whatever the rest suffers from, a broken database for one.
    fn is_hopeless(&self, status: ExitStatus, started: Instant) -> bool {
        self.role == Role::Rest
            && self.starts == 1
            && status.code() == Some(1)
            && started.elapsed() < PAUSE_LONGEST
            && !varde_recording::is_set_up(&self.options.data.join(RECORDER_FOLDER))
    }

    fn start(&mut self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.arg("role").arg(self.role.name());
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn guard_of(program: &Path) -> Guard {
        guard(program, &Line::parse_from(["varde"]).options, Role::Recording)
    }

    #[tokio::test]
    async fn a_program_that_is_gone_for_a_moment_is_tried_again_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("varde");
        let (stop, stopped) = oneshot::channel();
        let mut guard = guard_of(&program);
        guard.starts = 1;
        let running = tokio::spawn(guard.run(stopped));
        tokio::time::sleep(PAUSE_FIRST * 2).await;
        assert!(!running.is_finished(), "a start that failed ended the guard");
        let mark = folder.path().join("started");
        let fresh = folder.path().join("fresh");
        std::fs::write(&fresh, format!("#!/bin/sh\necho > '{}'\nexec sleep 60\n", mark.display())).unwrap();
        std::fs::set_permissions(&fresh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(&fresh, &program).unwrap();
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_first_start_that_fails_is_said_at_once() {
        let (_stop, stopped) = oneshot::channel();
        let guard = guard_of(Path::new("/does/not/exist"));
        assert!(guard.run(stopped).await.is_err());
    }
}
