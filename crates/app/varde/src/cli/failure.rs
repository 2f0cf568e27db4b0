//! How a command ends when it does not succeed: a sentence and an exit code.

use std::process::ExitCode;

/// Exit codes: 1 failed, 2 wrong usage (by clap), 3 not signed in or not permitted, 4 damage was found.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    NotPermitted(String),
    #[error("{0}")]
    DamageFound(String),
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::NotPermitted(_) => 3,
            Self::DamageFound(_) => 4,
        })
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
