//! Programs that `cargo xtask bench` measures Varde against.

mod floor;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Debug, Subcommand)]
enum Peer {
    /// Record RTSP streams with the least work that is possible
    Floor {
        #[arg(long)]
        user: String,
        #[arg(long)]
        password: String,
        /// Folder for the recordings
        #[arg(long)]
        folder: PathBuf,
        urls: Vec<String>,
    },
}

fn main() -> ExitCode {
    let Arguments { peer: Peer::Floor { user, password, folder, urls } } = Arguments::parse();
    match floor::run(&urls, &user, &password, &folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("varde-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
