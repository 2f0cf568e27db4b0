//! `varde serve`: a small supervisor with two children of the same binary, recording and all the rest.
//!
//! The supervisor opens no socket and parses nothing. A child that ends is started again, with a growing pause; the
//! other one is not touched.

mod folders;
mod recording;
mod rest;
mod supervisor;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::Failure;

pub use recording::recorder_options;
pub use rest::openapi_text;

/// What both children need to know; handed on to them as it was given.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Folder for configuration, keys and (unless set otherwise) recordings
    #[arg(long, default_value = "varde-data")]
    pub data: PathBuf,
    /// Address and port of the API and the web client; any but loopback speaks TLS
    #[arg(long, default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// Names or addresses under which browsers reach the server, beside its own
    #[arg(long = "host")]
    pub hosts: Vec<String>,
    /// Networks in which cameras may be, beside the private ranges: 203.0.113.0/24
    #[arg(long = "allow-network")]
    pub allow_networks: Vec<String>,
    /// Folder of the first storage; within the data folder by default
    #[arg(long)]
    pub storage: Option<PathBuf>,
    /// Folder with the built web client; the built-in one by default
    #[arg(long)]
    pub web: Option<PathBuf>,
    /// Print `{"url","setup_code"}` on standard output once the server answers
    #[arg(long)]
    pub json: bool,
    /// Write the log as JSON
    #[arg(long)]
    pub log_json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Recording,
    Rest,
}

impl Role {
    /// As the command line spells it.
    const fn name(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Rest => "rest",
        }
    }
}

#[derive(Debug, Args)]
pub struct RoleOptions {
    #[arg(value_enum)]
    role: Role,
    /// A restart: the address was printed before
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    options: Options,
}

/// Runs the server until it is told to stop.
pub fn supervise(options: &Options) -> Result<(), Failure> {
    start_log(options);
    let folders = folders::Folders::create(options)?;
    let _lock = folders.lock_server()?;
    supervisor::run(options)
}

/// Runs one role until it is told to stop.
pub fn run_role(arguments: &RoleOptions) -> Result<(), Failure> {
    start_log(&arguments.options);
    supervisor::end_with_parent()?;
    let folders = folders::Folders::create(&arguments.options)?;
    let _lock = folders.lock_role(arguments.role.name())?;
    match arguments.role {
        Role::Recording => recording::run(&folders),
        Role::Rest => rest::run(&arguments.options, &folders, arguments.again),
    }
}

fn start_log(options: &Options) {
    use varde_ambient::LogFormat;
    varde_ambient::log_init(if options.log_json { LogFormat::Json } else { LogFormat::Text });
}

/// Completes when the process is asked to end (Ctrl-C, SIGTERM).
pub async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the runtime handles signals");
    let mut interrupt = signal(SignalKind::interrupt()).expect("the runtime handles signals");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
