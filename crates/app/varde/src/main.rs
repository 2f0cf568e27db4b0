//! The Varde program: one binary with many roles, and the command line that talks to a running server.

mod cli;
mod serve;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // rustls has to be told once which provider to use, before anything speaks TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = cli::Arguments::parse();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("varde: {failure}");
            failure.exit_code()
        }
    }
}
