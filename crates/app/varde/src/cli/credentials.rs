//! The token that `varde login` keeps: one JSON file that only its owner can read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Failure;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Credentials {
    /// The server that commands talk to when nothing else is said.
    pub default: Option<String>,
    pub servers: BTreeMap<String, Server>,
}

/// An API token; never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Server {
    pub token: Token,
    /// File with the certificate authority that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Do not check the server's certificate.
    #[serde(default)]
    pub insecure: bool,
}

impl Credentials {
    fn path() -> Result<PathBuf, Failure> {
        let folder = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))
            .ok_or_else(|| Failure::Failed("neither XDG_CONFIG_HOME nor HOME is set".into()))?;
        Ok(folder.join("varde/credentials.json"))
    }

    /// What was kept; nothing when there is no file.
    pub fn load() -> Result<Self, Failure> {
        let path = Self::path()?;
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::Failed(format!("{}: {error}", path.display()))),
        };
        serde_json::from_slice(&text).map_err(|error| {
            Failure::Failed(format!("{}: {error}; delete the file and sign in again", path.display()))
        })
    }

    pub fn save(&self) -> Result<PathBuf, Failure> {
        let path = Self::path()?;
        let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", path.display()));
        fs::create_dir_all(path.parent().expect("the file lies in a folder")).map_err(failed)?;
        let text = serde_json::to_vec_pretty(self).expect("credentials are plain data");
        let fresh = path.with_extension("new");
        let _ = fs::remove_file(&fresh);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&fresh, &path).map_err(failed)?;
        Ok(path)
    }
}
