//! `varde export`: a stretch of recording into a file, with progress.

use std::path::PathBuf;

use clap::Args;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use varde_units::Utc;

use super::Failure;
use super::api::{Api, Connection};
use super::camera;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Id or name of the camera
    camera: String,
    /// First instant: 2026-11-23T19:40:00Z
    #[arg(long)]
    start: Utc,
    /// End: 2026-11-23T19:45:00Z
    #[arg(long)]
    end: Utc,
    /// File to write; it must not exist
    #[arg(long, short)]
    output: PathBuf,
    /// Begin at the key frame before the start (as recorded) or exactly at it (the head is encoded anew)
    #[arg(long, default_value = "keyframe", value_parser = ["keyframe", "exact"])]
    head: String,
    /// Leave the sound out
    #[arg(long)]
    no_audio: bool,
    /// Print `{"file","bytes"}`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.end <= arguments.start {
        return Err(Failure::Failed("--end must be later than --start".into()));
    }
    let api = Api::signed_in(&arguments.connection)?;
    let found = camera::find(&api, &arguments.camera).await?;
    let path = format!("/cameras/{}/recording.mp4", camera::text(&found, "id"));
    let query = [
        ("start", arguments.start.to_string()),
        ("end", arguments.end.to_string()),
        ("head", arguments.head),
        ("audio", (!arguments.no_audio).to_string()),
    ];
    let answer = api.stream(&path, &query).await?;
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&arguments.output)
        .await
        .map_err(|error| Failure::Failed(format!("{}: {error}", arguments.output.display())))?;
    let bar = match answer.content_length() {
        Some(length) => ProgressBar::new(length).with_style(
            ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left")
                .expect("the template is well formed"),
        ),
        None => ProgressBar::new_spinner().with_style(
            ProgressStyle::with_template("{spinner} {bytes}").expect("the template is well formed"),
        ),
    };
    let bytes = match receive(answer, &mut file, &bar).await {
        Ok(bytes) => bytes,
        Err(failure) => {
            drop(file);
            let _ = tokio::fs::remove_file(&arguments.output).await;
            return Err(Failure::Failed(format!("the export broke off, nothing was kept: {failure}")));
        }
    };
    bar.finish_and_clear();
    if arguments.json {
        println!("{}", json!({ "file": arguments.output.display().to_string(), "bytes": bytes }));
    } else {
        println!("Wrote {} ({}).", arguments.output.display(), varde_units::ByteSize(bytes));
    }
    Ok(())
}

/// Writes what comes until its end; gives the number of bytes.
async fn receive(
    answer: reqwest::Response,
    file: &mut tokio::fs::File,
    bar: &ProgressBar,
) -> Result<u64, Failure> {
    let mut pieces = answer.bytes_stream();
    let mut bytes = 0_u64;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Failure::Failed(error.to_string()))?;
        file.write_all(&piece).await?;
        bytes += piece.len() as u64;
        bar.set_position(bytes);
    }
    file.sync_all().await?;
    Ok(bytes)
}
