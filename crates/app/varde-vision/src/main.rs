//! The worker that decodes: takes jobs on standard input and answers on standard output.
//!
//! Started by the server (`edge/vision-link`), not by people. It gives up files, network and most of the system
//! before it reads the first byte, and refuses to work where it can't.

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = varde_vision_edge::confine() {
        eprintln!("varde-vision: {error}");
        return ExitCode::FAILURE;
    }
    match varde_vision_edge::serve(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("varde-vision: {error}");
            ExitCode::FAILURE
        }
    }
}
