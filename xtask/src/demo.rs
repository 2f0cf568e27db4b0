//! `cargo xtask demo`: the whole product on one machine, with virtual cameras; also the ground of the end-to-end tests.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process;

/// How long all cameras may take until they record, on a slow machine.
const RECORDING_WITHIN: Duration = Duration::from_secs(180);

#[derive(Debug)]
pub struct Options {
    pub cameras: u32,
    pub port: u16,
    pub data: Option<PathBuf>,
    pub keep: bool,
    pub json: bool,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self { cameras: 4, port: 8443, data: None, keep: false, json: false };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--cameras" => options.cameras = number(name, value()?)?,
                "--port" => options.port = number(name, value()?)?,
                "--data" => options.data = Some(PathBuf::from(value()?)),
                "--keep" => options.keep = true,
                "--json" => options.json = true,
                other => return Err(format!("demo has no option {other:?}; see cargo xtask demo --help")),
            }
        }
        if !(1..=64).contains(&options.cameras) {
            return Err(format!("--cameras is 1 to 64, and {} was given", options.cameras));
        }
        Ok(options)
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{name} needs a number, and {text:?} was given"))
}

pub fn run(options: &Options) -> Result<(), String> {
    // We ourselves stay to end the children and to clean up.
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|error| format!("Ctrl-C can't be caught: {error}"))?;
    }
    crate::build()?;
    let (data, fresh) = match &options.data {
        Some(folder) => (folder.clone(), false),
        None => (std::env::temp_dir().join(format!("varde-demo-{}", std::process::id())), true),
    };
    let binaries = process::root().join("target/release");
    let farm = Farm::start(&binaries, options.cameras, &[])?;
    let stack = Stack::start(
        farm,
        &StackOptions { binaries, port: options.port, data: data.clone(), sub_streams: true },
    )?;
    let answer = json!({
        "url": stack.url, "user": stack.user, "password": stack.password, "data": data.display().to_string(),
    });
    if options.json {
        println!("{answer}");
        std::io::stdout().flush().map_err(|error| error.to_string())?;
    } else {
        println!(
            "\nVarde records {} cameras.\n\n  address   {}\n  user      {}\n  password  {}\n  data      {}\n\nCtrl-C stops everything.",
            options.cameras,
            stack.url,
            stack.user,
            stack.password,
            data.display(),
        );
    }
    let ended = stack.wait(&interrupted);
    if fresh && !options.keep {
        let _ = fs::remove_dir_all(&data);
    }
    ended
}

/// Running virtual cameras.
#[derive(Debug)]
pub struct Farm {
    running: Running,
    pub cameras: Vec<FarmCamera>,
    pub user: String,
    pub password: String,
}

#[derive(Clone, Debug)]
pub struct FarmCamera {
    pub name: String,
    pub main: String,
    pub sub: String,
}

impl Farm {
    /// Starts `count` virtual cameras with more arguments of `varde virtual-cameras`.
    pub fn start(binaries: &Path, count: u32, arguments: &[&str]) -> Result<Self, String> {
        let (running, says) = Running::start(
            "virtual cameras",
            Command::new(binaries.join("varde"))
                .args([
                    "virtual-cameras",
                    "--count",
                    &count.to_string(),
                    "--rtsp-port",
                    "0",
                    "--control-port",
                    "0",
                    "--json",
                ])
                .args(arguments),
        )?;
        let camera = |camera: &Value| -> Result<FarmCamera, String> {
            Ok(FarmCamera {
                name: text(camera, "name")?,
                main: text(camera, "main")?,
                sub: text(camera, "sub")?,
            })
        };
        let cameras =
            says["cameras"].as_array().into_iter().flatten().map(camera).collect::<Result<_, _>>()?;
        Ok(Self { running, cameras, user: text(&says, "user")?, password: text(&says, "password")? })
    }

    pub fn process(&self) -> u32 {
        self.running.child.id()
    }
}

#[derive(Debug)]
pub struct StackOptions {
    /// Folder with `varde` and `varde-vision`.
    pub binaries: PathBuf,
    /// 0: any free port.
    pub port: u16,
    pub data: PathBuf,
    /// Take the cameras' small streams as well.
    pub sub_streams: bool,
}

/// A server that records virtual cameras; dropped, both are stopped.
#[derive(Debug)]
pub struct Stack {
    pub url: String,
    pub user: String,
    pub password: String,
    token: String,
    varde: PathBuf,
    server: Running,
    pub farm: Farm,
}

impl Stack {
    pub fn start(farm: Farm, options: &StackOptions) -> Result<Self, String> {
        let varde = options.binaries.join("varde");
        let listen = format!("127.0.0.1:{}", options.port);
        let (server, serving) = Running::start(
            "server",
            Command::new(&varde)
                .args(["serve", "--listen", &listen, "--allow-network", "127.0.0.0/8", "--json", "--data"])
                .arg(&options.data),
        )?;
        let url = text(&serving, "url")?;
        let code = text(&serving, "setup_code").map_err(|_| {
            format!("the data folder {} was set up before; name a fresh one", options.data.display())
        })?;
        let (user, password) = ("admin".to_owned(), generated_password()?);
        let token = set_up(&varde, &url, &code, &user, &password)?;
        let stack = Self { url, user, password, token, varde, server, farm };
        for camera in &stack.farm.cameras {
            let mut arguments = vec!["camera", "add", &camera.main, "--name", &camera.name];
            arguments.extend(["--camera-user", &stack.farm.user, "--camera-password-stdin"]);
            if options.sub_streams {
                arguments.extend(["--sub-url", &camera.sub]);
            }
            stack.cli(&arguments, Some(&stack.farm.password))?;
        }
        stack.all_record()?;
        Ok(stack)
    }

    /// Process of the supervisor; its children are the roles.
    pub fn process(&self) -> u32 {
        self.server.child.id()
    }

    /// Stops the server and gives the cameras back.
    pub fn into_farm(self) -> Farm {
        self.farm
    }

    /// The cameras as the API lists them.
    pub fn cameras(&self) -> Result<Vec<Value>, String> {
        let mut list: Value = serde_json::from_str(&self.cli(&["camera", "list", "--json"], None)?)
            .map_err(|error| format!("varde camera list --json: {error}"))?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            other => Err(format!("varde camera list --json gave {other}")),
        }
    }

    fn cli(&self, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
        let mut command = Command::new(&self.varde);
        feed(command.args(arguments).env("VARDE_URL", &self.url).env("VARDE_TOKEN", &self.token), input)
    }

    fn all_record(&self) -> Result<(), String> {
        let deadline = Instant::now() + RECORDING_WITHIN;
        loop {
            let cameras = self.cameras()?;
            let recording = cameras.iter().filter(|camera| camera["recording"] == true).count();
            if recording == cameras.len() && recording >= self.farm.cameras.len() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "only {recording} of {} cameras record: {cameras:?}",
                    self.farm.cameras.len()
                ));
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Waits until the server ends, or ends it when we are told to.
    fn wait(mut self, interrupted: &AtomicBool) -> Result<(), String> {
        let status = loop {
            if let Some(status) = self.server.child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if interrupted.load(Ordering::Relaxed) {
                // A terminal's Ctrl-C has reached the children as well; once more does no harm.
                self.server.stop();
            } else {
                std::thread::sleep(Duration::from_millis(100));
            }
        };
        self.farm.running.stop();
        // 130: ended by Ctrl-C, as asked.
        if status.success() || status.code() == Some(130) || status.code().is_none() {
            Ok(())
        } else {
            Err(format!("the server ended by itself ({status})"))
        }
    }
}

fn set_up(varde: &Path, url: &str, code: &str, user: &str, password: &str) -> Result<String, String> {
    let answer = feed(
        Command::new(varde).args([
            "setup",
            url,
            "--code",
            code,
            "--user",
            user,
            "--password-stdin",
            "--json",
        ]),
        Some(password),
    )?;
    let answer: Value =
        serde_json::from_str(&answer).map_err(|error| format!("varde setup --json: {error}"))?;
    text(&answer, "token")
}

fn feed(command: &mut Command, input: Option<&str>) -> Result<String, String> {
    let shown = format!("{:?}", command.get_args().next().unwrap_or_default());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("varde {shown} did not start: {error}"))?;
    if let Some(mut stdin) = child.stdin.take()
        && let Some(input) = input
    {
        stdin.write_all(input.as_bytes()).map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("varde {shown} failed ({})", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    value[key].as_str().map(str::to_owned).ok_or_else(|| format!("expected {key:?} in {value}"))
}

/// 20 characters that are easy to tell apart, from the operating system's randomness.
fn generated_password() -> Result<String, String> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 20];
    let mut source = fs::File::open("/dev/urandom").map_err(|error| error.to_string())?;
    std::io::Read::read_exact(&mut source, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect())
}

/// A program of ours that printed one line of JSON and runs on.
#[derive(Debug)]
struct Running {
    child: Child,
}

impl Running {
    fn start(what: &str, command: &mut Command) -> Result<(Self, Value), String> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{what} did not start: {error}"))?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let running = Self { child };
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let _ = sender.send(lines.next());
            // Reads on, so that the program never blocks on a full pipe.
            lines.for_each(drop);
        });
        let line = receiver
            .recv_timeout(Duration::from_secs(60))
            .ok()
            .flatten()
            .ok_or_else(|| format!("{what}: said nothing on standard output; see its log above"))?;
        let value = serde_json::from_str(&line).map_err(|error| format!("{what}: {line:?}: {error}"))?;
        Ok((running, value))
    }

    /// Asks for an orderly end, and makes sure of it.
    fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
