//! The command line: what can be asked of `varde`, and how each answer ends.

mod api;
mod camera;
mod credentials;
mod export;
mod failure;
mod login;
mod storage;
mod virtual_cameras;

use clap::{Parser, Subcommand};

pub use failure::Failure;

use crate::serve;

/// Open video management: records cameras, shows them live and recorded in a browser.
#[derive(Debug, Parser)]
#[command(name = "varde", version, about, max_term_width = 100, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server on this machine
    Serve(serve::Options),
    /// Set the first administrator of a new server, with the code that it printed
    Setup(login::SetUp),
    /// Sign in to a server and keep the token for the commands below
    Login(login::Login),
    /// Add, list and remove cameras
    Camera(camera::Arguments),
    /// Save a stretch of a camera's recording as an MP4 file
    Export(export::Arguments),
    /// Look into a storage folder: verify, rebuild, usage, cat
    Storage(storage::Arguments),
    /// Play real footage as cameras, for trying and testing
    VirtualCameras(virtual_cameras::Arguments),
    /// Print the OpenAPI document
    #[command(hide = true)]
    Openapi,
    /// One role of a server; started by `serve`
    #[command(hide = true)]
    Role(serve::RoleOptions),
}

/// Carries out one command.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Serve(options) => serve::supervise(&options),
        Command::Role(options) => serve::run_role(&options),
        Command::Setup(arguments) => block_on(login::set_up(arguments)),
        Command::Login(arguments) => block_on(login::login(arguments)),
        Command::Camera(arguments) => block_on(camera::run(arguments)),
        Command::Export(arguments) => block_on(export::run(arguments)),
        Command::Storage(arguments) => storage::run(arguments),
        Command::VirtualCameras(arguments) => block_on_threads(virtual_cameras::run(arguments)),
        Command::Openapi => block_on(async {
            println!("{}", serve::openapi_text().await?);
            Ok(())
        }),
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("the runtime did not start: {error}")))?
        .block_on(work)
}

fn block_on_threads(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("the runtime did not start: {error}")))?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
