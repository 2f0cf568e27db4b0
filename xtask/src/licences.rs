//! What may be linked: licences that go with Apache-2.0, no banned crate, nothing from outside the registry.

use std::collections::BTreeSet;

use crate::process;

const ALLOWED: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unlicense",
    "CC0-1.0",
    "BSL-1.0",
    "Unicode-3.0",
    "MPL-2.0",
    "CDLA-Permissive-2.0",
    "WTFPL",
    "OpenSSL",
];

/// Major, minor, patch.
type Version = (u64, u64, u64);

/// Name, versions that are banned (`None`: all, `Some(v)`: below v), reason.
const BANNED: &[(&str, Option<Version>, &str)] = &[
    ("ring", None, "one TLS provider: aws-lc-rs"),
    ("openssl-sys", None, "TLS is rustls"),
    ("native-tls", None, "TLS is rustls"),
    ("rumqttc", None, "pins a vulnerable rustls-webpki; use rumqttc-next"),
    ("quick-xml", Some((0, 41, 0)), "RUSTSEC-2026-0194, RUSTSEC-2026-0195"),
    ("zip", Some((2, 3, 0)), "CVE-2025-29787"),
    ("tar", Some((0, 4, 45)), "CVE-2026-33056"),
    ("h2", Some((0, 4, 16)), "RUSTSEC-2024-0003, RUSTSEC-2026-0258"),
];

pub fn check() -> Result<(), String> {
    let mut faults = Vec::new();
    let packages = packages()?;
    if packages.len() < 100 {
        return Err(format!(
            "licences: only {} packages were listed, so the list can't be right",
            packages.len()
        ));
    }
    for package in &packages {
        let Package { name, version, licence, outside } = package;
        if !is_allowed(licence) {
            faults.push(format!("{name} {version}: licence {licence:?} is not on the list"));
        }
        for (banned, below, reason) in BANNED {
            if name == banned && below.is_none_or(|below| numbers(version) < below) {
                faults.push(format!("{name} {version} is banned: {reason}"));
            }
        }
        if *outside {
            faults.push(format!("{name} {version} comes from outside the registry"));
        }
    }
    if faults.is_empty() {
        eprintln!("── licences and bans: {} packages", packages.len());
        return Ok(());
    }
    Err(format!("licences and bans:\n  {}", faults.join("\n  ")))
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
    /// Neither ours nor from the registry.
    outside: bool,
}

/// What is really built, for all targets. `cargo metadata` also lists what no feature asks for.
fn packages() -> Result<BTreeSet<Package>, String> {
    let text = process::output(process::cargo().args([
        "tree",
        "--workspace",
        "--locked",
        "--target",
        "all",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
        "--format",
        "{p}\t{l}",
    ]))?;
    Ok(text.lines().filter_map(package).collect())
}

/// `name v1.2.3 (where from)<tab>licence (*)`.
fn package(line: &str) -> Option<Package> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?.trim_start_matches('v'));
    let from = words.next().unwrap_or_default();
    Some(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: licence.trim_end_matches(" (*)").to_owned(),
        outside: from.contains("://"),
    })
}

fn numbers(version: &str) -> Version {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = core.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Evaluates an SPDX expression: `OR` needs one side, `AND` both. The old `A/B` means `A OR B`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&words, &mut at) && at == words.len()
}

fn either(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = both(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        allowed |= both(words, at);
    }
    allowed
}

fn both(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = one(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        allowed &= one(words, at);
    }
    allowed
}

fn one(words: &[&str], at: &mut usize) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let allowed = either(words, at);
        *at += 1;
        return allowed;
    }
    if words.get(*at) == Some(&"WITH") {
        let name = format!("{word} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
        // An exception only adds rights to a licence that is already allowed.
        return ALLOWED.contains(&name.as_str()) || ALLOWED.contains(word);
    }
    ALLOWED.contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        assert!(is_allowed("MIT OR GPL-3.0"));
        assert!(!is_allowed("MIT AND GPL-3.0"));
        assert!(is_allowed("MIT/Apache-2.0"));
        assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!is_allowed("(MIT OR Apache-2.0) AND GPL-2.0"));
        assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR MIT"));
        assert!(!is_allowed("AGPL-3.0"));
        assert!(!is_allowed(""));
    }

    #[test]
    fn lines_of_the_tree_are_read() {
        let read = package("foo v1.2.3 (proc-macro)\tMIT OR Apache-2.0 (*)").unwrap();
        assert_eq!((read.name.as_str(), read.version.as_str(), read.outside), ("foo", "1.2.3", false));
        assert_eq!(read.licence, "MIT OR Apache-2.0");
        assert!(package("foo v1.2.3 (https://example.org/foo#1234)\tMIT").unwrap().outside);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("0.4.9") < numbers("0.4.16"));
        assert!(numbers("0.42.0") > (0, 41, 0));
    }
}
