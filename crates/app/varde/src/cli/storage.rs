//! `varde storage verify|rebuild|usage|cat`: looks into a storage folder with nothing but the files.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ed25519_dalek::VerifyingKey;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use varde_media_store::MasterKey;
use varde_units::ByteSize;

use super::Failure;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check every recording against what the recorder signed. Ends with 4 when something is wrong
    Verify {
        /// Folder of the storage
        storage: PathBuf,
        /// File with the recorder's public key (DATA/recorder/signing.pub), kept outside the storage; may be repeated
        #[arg(long = "key", required = true)]
        keys: Vec<PathBuf>,
        /// File with the storage's master key, where it is encrypted
        #[arg(long)]
        master_key: Option<PathBuf>,
    },
    /// Make the index of recordings anew, from the files alone. The server must not run
    Rebuild {
        /// Data folder of the server
        #[arg(long, default_value = "varde-data")]
        data: PathBuf,
    },
    /// Say what each channel's recordings take
    Usage {
        /// Folder of the storage
        storage: PathBuf,
    },
    /// Write one recording to standard output, decrypted where it is encrypted
    Cat {
        /// Folder of the storage
        storage: PathBuf,
        /// Path of the recording below `media`
        file: String,
        /// File with the storage's master key
        #[arg(long)]
        master_key: Option<PathBuf>,
    },
}

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Verify { storage, keys, master_key } => verify(&storage, &keys, master_key, arguments.json),
        Command::Rebuild { data } => rebuild(&data, arguments.json),
        Command::Usage { storage } => usage(&storage, arguments.json),
        Command::Cat { storage, file, master_key } => cat(&storage, &file, master_key),
    }
}

fn verify(
    storage: &Path,
    keys: &[PathBuf],
    master_key: Option<PathBuf>,
    as_json: bool,
) -> Result<(), Failure> {
    let trusted: Vec<VerifyingKey> = keys.iter().map(|path| public_key(path)).collect::<Result<_, _>>()?;
    let bar = bytes_bar();
    let report = varde_media_store::verify(storage, &trusted, read_master_key(master_key)?, &mut |bytes| {
        bar.set_position(bytes)
    })
    .map_err(|error| named(storage, &error))?;
    bar.finish_and_clear();
    if as_json {
        let findings: Vec<_> = report
            .findings
            .iter()
            .map(|finding| json!({ "place": finding.place, "offset": finding.offset, "problem": finding.to_string() }))
            .collect();
        println!(
            "{}",
            json!({
                "files": report.files, "open": report.open, "fragments": report.fragments, "media_bytes": report.media_bytes,
                "checkpoints": report.checkpoints, "findings": findings,
            })
        );
    } else {
        println!(
            "{} recordings with {} fragments and {} of media, {} signed checkpoints.",
            report.files,
            report.fragments,
            ByteSize(report.media_bytes),
            report.checkpoints
        );
        if report.open > 0 {
            println!(
                "{} of the recordings are still open: being written now, or left by a crash.",
                report.open
            );
        }
        report.findings.iter().for_each(|finding| println!("  {finding}"));
    }
    if !report.is_clean() {
        return Err(Failure::DamageFound(format!("{} findings", report.findings.len())));
    }
    if !as_json {
        println!("All of it is as it was recorded.");
    }
    Ok(())
}

fn rebuild(data: &Path, as_json: bool) -> Result<(), Failure> {
    let socket = data.join("run/recorder.sock");
    if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        return Err(Failure::Failed(format!("the server on {} runs; stop it first", data.display())));
    }
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {pos} recordings"));
    let options = crate::serve::recorder_options(&data.join("recorder"));
    let files = varde_recording::rebuild_indexes(&options, &mut |files| bar.set_position(files))
        .map_err(|error| named(data, &error))?;
    bar.finish_and_clear();
    if as_json {
        println!("{}", json!({ "files": files }));
    } else {
        println!("The index was made anew from {files} recordings.");
    }
    Ok(())
}

fn usage(storage: &Path, as_json: bool) -> Result<(), Failure> {
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {pos} recordings"));
    let channels = varde_media_store::maintenance::usage(storage, &mut |files| bar.set_position(files))
        .map_err(|error| named(storage, &error))?;
    bar.finish_and_clear();
    if as_json {
        let rows: Vec<_> = channels
            .iter()
            .map(|(channel, usage)| {
                json!({
                    "channel": channel, "files": usage.files, "bytes": usage.bytes,
                    "oldest": usage.oldest, "newest": usage.newest,
                })
            })
            .collect();
        println!("{}", json!({ "channels": rows }));
        return Ok(());
    }
    println!("{:36}  {:>10}  {:>8}  {:27}  NEWEST FILE", "CHANNEL", "SIZE", "FILES", "OLDEST FILE");
    for (channel, usage) in channels {
        let time = |time: Option<varde_units::Utc>| time.map(|time| time.to_string()).unwrap_or_default();
        let size = ByteSize(usage.bytes).to_string();
        println!(
            "{channel}  {size:>10}  {:>8}  {:27}  {}",
            usage.files,
            time(usage.oldest),
            time(usage.newest)
        );
    }
    Ok(())
}

fn cat(storage: &Path, file: &str, master_key: Option<PathBuf>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        return Err(Failure::Failed(
            "a recording is no text for a terminal; send it to a file: > recording.mp4".into(),
        ));
    }
    varde_media_store::maintenance::cat(storage, file, read_master_key(master_key)?, &mut out, &mut |_| {})
        .map_err(|error| named(storage, &error))?;
    out.flush()?;
    Ok(())
}

fn public_key(path: &Path) -> Result<VerifyingKey, Failure> {
    let text = fs::read_to_string(path).map_err(|error| named(path, &error))?;
    let bytes: Option<Vec<u8>> = (0..text.trim().len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.trim().get(at..at + 2)?, 16).ok())
        .collect();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
        .ok_or_else(|| Failure::Failed(format!("{} holds no public key", path.display())))
}

fn read_master_key(path: Option<PathBuf>) -> Result<Option<MasterKey>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let bytes = fs::read(&path).map_err(|error| named(&path, &error))?;
    let key =
        bytes.try_into().map_err(|_| Failure::Failed(format!("{} holds no master key", path.display())))?;
    Ok(Some(MasterKey(key)))
}

fn named(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(format!("{}: {error}", path.display()))
}

fn bytes_bar() -> ProgressBar {
    ProgressBar::new_spinner().with_style(style("{spinner} {bytes} verified, {bytes_per_sec}"))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed")
}
