//! Certificates of our own: an authority that a first start makes and that stays, and the server's certificate that it
//! signs.
//!
//! People and programs trust the authority (`ca.pem`). The server's certificate names the host names and the addresses
//! on which connections arrive; it is made anew for a further address, thirty days before it ends, and where the clock
//! says that it has not begun (a machine that started without the time).

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use varde_units::Utc;

use crate::tls::server_config;
use crate::{HostNames, ServerError};

const AUTHORITY_FILE: &str = "ca.pem";
const AUTHORITY_KEY_FILE: &str = "ca-key.pem";
const SERVER_FILE: &str = "server-certificate.json";

const DAY: Duration = Duration::from_secs(86_400);
/// Browsers take no longer ones.
const VALID: Duration = Duration::from_secs(397 * DAY.as_secs());
const RENEWED_BEFORE_END: Duration = Duration::from_secs(30 * DAY.as_secs());
/// Addresses in one certificate; a machine that had more forgets the oldest.
const ADDRESSES_MAX: usize = 32;

/// Signs the server's certificate and hands out the configuration with it.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    names: Vec<String>,
    current: Mutex<Current>,
}

struct Current {
    signed: Signed,
    config: Arc<ServerConfig>,
}

/// The server's certificate as it lies in the folder: whole in one file, so that it never stands there without its key.
#[derive(Clone, Serialize, Deserialize)]
struct Signed {
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    not_before: Utc,
    not_after: Utc,
    certificate: String,
    key: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Signed {
    fn serves(&self, names: &[String], address: IpAddr, now: Utc) -> bool {
        self.names == names
            && self.addresses.contains(&address)
            && self.not_before <= now
            && now < self.not_after.minus(RENEWED_BEFORE_END)
    }
}

impl Authority {
    /// Reads what the folder holds and makes what it lacks.
    pub fn open(folder: &Path, names: &HostNames, now: Utc) -> Result<Self, ServerError> {
        fs::create_dir_all(folder).map_err(|error| ServerError::Folder(folder.to_owned(), error))?;
        let (key, certificate) = authority(folder)?;
        let mut names: Vec<String> =
            names.0.iter().map(|name| name.trim_matches(['[', ']']).to_owned()).collect();
        names.push("localhost".to_owned());
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        let parameters = authority_parameters(&key);
        let issuer = Issuer::new(parameters, key);
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let path = folder.join(SERVER_FILE);
        // A file that can't be read is made anew: nothing else hangs on it.
        let kept: Option<Signed> = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let kept = kept.filter(|kept| kept.serves(&names, loopback, now));
        let kept = kept.and_then(|kept| Some((config(&kept, &certificate).ok()?, kept)));
        let (config, signed) = match kept {
            Some(kept) => kept,
            None => {
                let addresses = vec![loopback, IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
                let made = sign(&issuer, &names, addresses, now).map_err(|error| invalid(&path, &error))?;
                let config = config(&made, &certificate)?;
                keep(&path, &made)?;
                (config, made)
            }
        };
        let current = Mutex::new(Current { signed, config });
        Ok(Self { folder: folder.to_owned(), issuer, certificate, names, current })
    }

    /// The configuration for a connection that arrived on this address of ours.
    pub fn config(&self, address: IpAddr, now: Utc) -> Arc<ServerConfig> {
        let address = address.to_canonical();
        let mut current = self.current.lock();
        if current.signed.serves(&self.names, address, now) {
            return current.config.clone();
        }
        match self.renew(&current.signed, address, now) {
            Ok((signed, config)) => *current = Current { signed, config },
            // The old one is better than none.
            Err(error) => tracing::error!(%error, "the certificate could not be renewed"),
        }
        current.config.clone()
    }

    fn renew(
        &self,
        before: &Signed,
        address: IpAddr,
        now: Utc,
    ) -> Result<(Signed, Arc<ServerConfig>), ServerError> {
        let path = self.folder.join(SERVER_FILE);
        let mut addresses = before.addresses.clone();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
        if addresses.len() > ADDRESSES_MAX {
            // The first two are loopback.
            addresses.remove(2);
        }
        let signed =
            sign(&self.issuer, &self.names, addresses, now).map_err(|error| invalid(&path, &error))?;
        let config = config(&signed, &self.certificate)?;
        if let Err(error) = keep(&path, &signed) {
            tracing::warn!(%error, "the new certificate is in memory alone");
        }
        tracing::info!(not_after = %signed.not_after, "the server has a new certificate");
        Ok((signed, config))
    }
}

fn invalid(path: &Path, error: &rcgen::Error) -> ServerError {
    ServerError::Certificate { path: path.to_owned(), reason: error.to_string() }
}

/// Key and certificate of the authority.
fn authority(folder: &Path) -> Result<(KeyPair, String), ServerError> {
    let (path, key_path) = (folder.join(AUTHORITY_FILE), folder.join(AUTHORITY_KEY_FILE));
    let read = |path: &Path| match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ServerError::Folder(path.to_owned(), error)),
    };
    if let (Some(certificate), Some(key)) = (read(&path)?, read(&key_path)?) {
        let key = KeyPair::from_pem(&key).map_err(|error| invalid(&key_path, &error))?;
        return Ok((key, certificate));
    }
    // The certificate comes last: with it, both are there and belong together.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(ServerError::Folder(path, error));
        }
        _ => {}
    }
    let key = KeyPair::generate().map_err(|error| invalid(&key_path, &error))?;
    let certificate = authority_parameters(&key).self_signed(&key).map_err(|error| invalid(&path, &error))?;
    write_private(&key_path, key.serialize_pem().as_bytes())?;
    write_private(&path, certificate.pem().as_bytes())?;
    Ok((key, certificate.pem()))
}

/// The authority's own certificate follows from its key alone, also where the clock is wrong at the first start.
fn authority_parameters(key: &KeyPair) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    // Two installations must not have authorities of one name: trust stores look them up by it.
    let mark: String = key.public_key_raw().iter().rev().take(4).map(|byte| format!("{byte:02x}")).collect();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, format!("Varde authority {mark}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters.not_before = date_time_ymd(2026, 1, 1);
    parameters.not_after = date_time_ymd(2046, 1, 1);
    parameters
}

fn sign(
    issuer: &Issuer<'_, KeyPair>,
    names: &[String],
    addresses: Vec<IpAddr>,
    now: Utc,
) -> Result<Signed, rcgen::Error> {
    let subjects = names.iter().cloned().chain(addresses.iter().map(IpAddr::to_string));
    let mut parameters = CertificateParams::new(subjects.collect::<Vec<_>>())?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "Varde");
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    // A client's clock may be a little behind.
    let (not_before, not_after) = (now.minus(DAY), now.plus(VALID - DAY));
    let date = |at: Utc| date_time_ymd(1970, 1, 1) + at.since(Utc::EPOCH);
    (parameters.not_before, parameters.not_after) = (date(not_before), date(not_after));
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, issuer)?.pem();
    Ok(Signed {
        names: names.to_vec(),
        addresses,
        not_before,
        not_after,
        certificate,
        key: key.serialize_pem(),
    })
}

fn config(signed: &Signed, authority: &str) -> Result<Arc<ServerConfig>, ServerError> {
    let damaged = |error: rustls_pki_types::pem::Error| ServerError::Certificate {
        path: SERVER_FILE.into(),
        reason: error.to_string(),
    };
    let mut chain = Vec::new();
    for text in [&signed.certificate, authority] {
        chain.push(CertificateDer::from_pem_slice(text.as_bytes()).map_err(damaged)?);
    }
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).map_err(damaged)?;
    server_config(chain, key).map_err(|reason| ServerError::Certificate { path: SERVER_FILE.into(), reason })
}

fn keep(path: &Path, signed: &Signed) -> Result<(), ServerError> {
    write_private(path, &serde_json::to_vec(signed).expect("a certificate's description is plain data"))
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

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn day(days: u64) -> Utc {
        Utc::from_micros(1_795_000_000_000_000).plus(DAY * days as u32)
    }

    fn read(folder: &Path) -> Signed {
        serde_json::from_slice(&fs::read(folder.join(SERVER_FILE)).unwrap()).unwrap()
    }

    #[test]
    fn what_a_first_start_makes_is_private_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let names = HostNames(vec!["varde.example.org".into(), "[2001:db8::7]".into()]);
        Authority::open(path, &names, day(0)).unwrap();
        for name in [AUTHORITY_KEY_FILE, SERVER_FILE] {
            assert_eq!(fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        let (authority, signed) = (fs::read(path.join(AUTHORITY_FILE)).unwrap(), read(path));
        Authority::open(path, &names, day(300)).unwrap();
        assert_eq!(read(path).certificate, signed.certificate, "made once");
        Authority::open(path, &HostNames::default(), day(300)).unwrap();
        assert_ne!(read(path).certificate, signed.certificate, "other names need another");
        assert_eq!(
            fs::read(path.join(AUTHORITY_FILE)).unwrap(),
            authority,
            "who trusts us need not learn anew"
        );
        fs::write(path.join(SERVER_FILE), "torn").unwrap();
        Authority::open(path, &names, day(0)).unwrap();
        read(path);
    }

    #[test]
    fn a_certificate_is_renewed_in_time_and_for_a_further_address() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), &HostNames::default(), day(0)).unwrap();
        let first = authority.config(HERE, day(0));
        let check = |address: IpAddr, at, same: bool, why: &str| {
            let before = authority.current.lock().config.clone();
            assert_eq!(Arc::ptr_eq(&before, &authority.config(address, at)), same, "{why}");
        };
        check(HERE, day(365), true, "thirty days are left");
        check(HERE, day(367), false, "less than thirty days are left");
        check(HERE, day(0), false, "the clock was wrong before");
        check("10.0.0.5".parse().unwrap(), day(0), false, "a further address");
        check("::ffff:10.0.0.5".parse().unwrap(), day(0), true, "the same address");
        check(HERE, day(0), true, "the former address is kept");
        assert!(!Arc::ptr_eq(&first, &authority.config(HERE, day(0))));
        let signed = read(folder.path());
        assert_eq!(signed.not_after.since(signed.not_before), VALID);
        for number in 0..100u8 {
            authority.config(IpAddr::from([10, 0, 1, number]), day(0));
        }
        assert_eq!(read(folder.path()).addresses.len(), ADDRESSES_MAX);
        check(HERE, day(0), true, "loopback is never forgotten");
    }

    #[test]
    fn a_torn_first_start_is_made_whole() {
        let folder = tempfile::tempdir().unwrap();
        Authority::open(folder.path(), &HostNames::default(), day(0)).unwrap();
        fs::remove_file(folder.path().join(AUTHORITY_KEY_FILE)).unwrap();
        let before = fs::read(folder.path().join(AUTHORITY_FILE)).unwrap();
        Authority::open(folder.path(), &HostNames::default(), day(0)).unwrap();
        assert_ne!(fs::read(folder.path().join(AUTHORITY_FILE)).unwrap(), before);
    }
}
