//! TLS: which certificate a connection is shown, the administrator's or one of our own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use varde_ambient::utc_now;

use crate::certificate::Authority;
use crate::{HostNames, ServerError};

/// Where a listener's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Signed by an authority of our own, kept in this folder; made where it is missing.
    Generated(PathBuf),
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Tls {
    Given(Arc<ServerConfig>),
    Own(Arc<Authority>),
}

impl Tls {
    pub fn open(source: &Source, names: &HostNames) -> Result<Self, ServerError> {
        match source {
            Source::Generated(folder) => Ok(Self::Own(Arc::new(Authority::open(folder, names, utc_now())?))),
            Source::Files { certificate, key } => given(certificate, key).map(Self::Given),
        }
    }

    /// For a connection that arrived on this address of ours.
    pub fn config(&self, local: IpAddr) -> Arc<ServerConfig> {
        match self {
            Self::Given(config) => config.clone(),
            Self::Own(authority) => authority.config(local, utc_now()),
        }
    }
}

fn given(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, ServerError> {
    let invalid = |path: &Path, reason: String| ServerError::Certificate { path: path.to_owned(), reason };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| invalid(certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| invalid(key, error.to_string()))?;
    server_config(chain, private).map_err(|reason| invalid(certificate, reason))
}

/// TLS 1.2 and 1.3, HTTP/1.1 alone.
pub(crate) fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, String> {
    // The provider is named, so that no other crate's choice of a process default matters.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.pem");
        std::fs::write(&path, "nonsense").unwrap();
        let source = Source::Files { certificate: path.clone(), key: path };
        let error = Tls::open(&source, &HostNames::default()).unwrap_err();
        assert!(error.to_string().contains("c.pem"), "{error}");
    }
}
