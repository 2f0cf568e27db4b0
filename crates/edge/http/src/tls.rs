//! TLS: the certificate that a first start makes, kept in the data folder, or one that the administrator gives.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{HostNames, ServerError};

const CERTIFICATE_FILE: &str = "certificate.pem";
const KEY_FILE: &str = "certificate-key.pem";

/// Where a listener's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Self-signed, in this folder; made where it is missing.
    Generated(PathBuf),
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
}

pub(crate) fn server_config(source: &Source, names: &HostNames) -> Result<Arc<ServerConfig>, ServerError> {
    let (certificate, key) = match source {
        Source::Files { certificate, key } => (certificate.clone(), key.clone()),
        Source::Generated(folder) => {
            let (certificate, key) = (folder.join(CERTIFICATE_FILE), folder.join(KEY_FILE));
            if !(certificate.exists() && key.exists()) {
                generate(folder, names)?;
            }
            (certificate, key)
        }
    };
    let invalid = |path: &Path, reason: String| ServerError::Certificate { path: path.to_owned(), reason };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect)
        .map_err(|error| invalid(&certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| invalid(&key, error.to_string()))?;
    // The provider is named, so that no other crate's choice of a process default matters.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| invalid(&certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| invalid(&certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn generate(folder: &Path, names: &HostNames) -> Result<(), ServerError> {
    let mut subjects: Vec<String> =
        names.0.iter().map(|name| name.trim_matches(['[', ']']).to_owned()).collect();
    subjects.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
    subjects.dedup();
    let failed = |error: rcgen::Error| ServerError::Certificate {
        path: folder.join(CERTIFICATE_FILE),
        reason: error.to_string(),
    };
    let mut parameters = rcgen::CertificateParams::new(subjects).map_err(failed)?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "Varde");
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate().map_err(failed)?;
    let certificate = parameters.self_signed(&key).map_err(failed)?;
    fs::create_dir_all(folder).map_err(|error| ServerError::Folder(folder.to_owned(), error))?;
    // The key comes first: a certificate without its key would be taken for whole.
    write_private(&folder.join(KEY_FILE), key.serialize_pem().as_bytes())?;
    write_private(&folder.join(CERTIFICATE_FILE), certificate.pem().as_bytes())
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), ServerError> {
    let failed = |error| ServerError::Folder(path.to_owned(), error);
    let partial = path.with_extension("partial");
    let _ = fs::remove_file(&partial);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&partial, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::Generated(folder.path().join("tls"));
        server_config(&source, &HostNames(vec!["varde.example.org".into()])).unwrap();
        let key = folder.path().join("tls").join(KEY_FILE);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let before = fs::read(&key).unwrap();
        server_config(&source, &HostNames::default()).unwrap();
        assert_eq!(fs::read(&key).unwrap(), before);
    }

    #[test]
    fn a_broken_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.pem");
        fs::write(&path, "nonsense").unwrap();
        let source = Source::Files { certificate: path.clone(), key: path };
        let error = server_config(&source, &HostNames::default()).unwrap_err();
        assert!(error.to_string().contains("c.pem"), "{error}");
    }
}
