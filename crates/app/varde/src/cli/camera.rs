//! `varde camera add|list|remove`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::api::{Api, Connection};
use super::login::read_password;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
    /// Print JSON as the API gives it
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a camera by the address of its stream
    Add(Add),
    /// List the cameras and how they are
    List,
    /// Retire a camera: it is no longer recorded, and its footage stays until retention
    Remove {
        /// Id or name of the camera
        camera: String,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// Address of the main stream: rtsp://10.0.0.7/main
    stream_url: String,
    /// Address of a smaller stream for small tiles
    #[arg(long)]
    sub_url: Option<String>,
    #[arg(long)]
    name: Option<String>,
    /// User name at the camera
    #[arg(long)]
    camera_user: Option<String>,
    /// Read the camera's password from standard input
    #[arg(long)]
    camera_password_stdin: bool,
    /// How media travels: tcp or udp
    #[arg(long, value_parser = ["tcp", "udp"])]
    transport: Option<String>,
    /// Days that recordings are kept at most
    #[arg(long)]
    retention_days: Option<u32>,
    /// Show it live without recording it
    #[arg(long)]
    no_record: bool,
}

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let api = Api::signed_in(&arguments.connection)?;
    match arguments.command {
        Command::Add(add) => {
            let camera = api.post("/cameras", &body(add)?).await?;
            if arguments.json {
                println!("{camera}");
            } else {
                println!("Added {} ({}).", printable(text(&camera, "name")), text(&camera, "id"));
            }
        }
        Command::List => {
            let cameras = api.list("/cameras").await?;
            if arguments.json {
                println!("{}", json!({ "items": cameras, "next": null }));
            } else if cameras.is_empty() {
                println!("No cameras yet. Add one: varde camera add rtsp://ADDRESS/STREAM --name NAME");
            } else {
                print_table(&cameras);
            }
        }
        Command::Remove { camera } => {
            let found = find(&api, &camera).await?;
            api.delete(&format!("/cameras/{}", text(&found, "id"))).await?;
            if arguments.json {
                println!("{}", json!({ "id": found["id"], "retired": true }));
            } else {
                let name = printable(text(&found, "name"));
                println!("Retired {name}. Its footage stays until retention removes it.");
            }
        }
    }
    Ok(())
}

fn body(add: Add) -> Result<Value, Failure> {
    let mut body = json!({ "url": add.stream_url, "record": !add.no_record });
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[key] = value;
        }
    };
    set("sub_url", add.sub_url.map(Value::from));
    set("name", add.name.map(Value::from));
    set("user", add.camera_user.map(Value::from));
    set("transport", add.transport.map(Value::from));
    set("retention_days", add.retention_days.map(Value::from));
    if add.camera_password_stdin {
        set("password", Some(Value::from(read_password(true, "")?)));
    }
    Ok(body)
}

/// The camera with this id, or the only one with this name.
pub async fn find(api: &Api, wanted: &str) -> Result<Value, Failure> {
    let cameras = api.list("/cameras").await?;
    let mut matching =
        cameras.into_iter().filter(|camera| text(camera, "id") == wanted || text(camera, "name") == wanted);
    match (matching.next(), matching.next()) {
        (Some(camera), None) => Ok(camera),
        (Some(_), Some(_)) => {
            Err(Failure::Failed(format!("several cameras are named {wanted:?}; use the id")))
        }
        (None, _) => {
            Err(Failure::Failed(format!("no camera has the id or name {wanted:?}; see varde camera list")))
        }
    }
}

pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn print_table(cameras: &[Value]) {
    let width = cameras
        .iter()
        .map(|camera| printable(text(camera, "name")).chars().count())
        .max()
        .unwrap_or(0)
        .max(4);
    println!("{:width$}  {:14}  {:9}  ID", "NAME", "STATE", "RECORDING");
    for camera in cameras {
        let recording = if camera["recording"] == true { "yes" } else { "no" };
        let name = printable(text(camera, "name"));
        println!("{name:width$}  {:14}  {recording:9}  {}", text(camera, "state"), text(camera, "id"));
    }
}

/// A name from outside, without what would steer a terminal.
fn printable(name: &str) -> String {
    name.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
