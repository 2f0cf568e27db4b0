//! Starts virtual cameras and a server in a folder of their own, and speaks to them as a program would.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use varde_recorder_link::RecorderClient;

/// Generous: the test machine may have two slow cores and other tests beside.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A program of ours that printed one line of JSON; killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    pub says: Value,
}

impl Program {
    pub fn start(arguments: &[&str], folder: &Path, log: &str) -> Self {
        Self::start_with(arguments, &[], folder, log)
    }

    /// The same with variables of the environment.
    pub fn start_with(arguments: &[&str], environment: &[(&str, &str)], folder: &Path, log: &str) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(log)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_varde"))
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let _ = sender.send(lines.next());
            lines.for_each(drop);
        });
        let line = receiver.recv_timeout(PATIENCE).ok().flatten();
        let says = line.as_deref().and_then(|line| serde_json::from_str(line).ok());
        let Some(says) = says else {
            let _ = child.kill();
            panic!("{arguments:?} said {line:?}; its log is in {}", folder.display());
        };
        Self { child, says }
    }

    /// Starts one that may never have anything to say.
    pub fn start_silent(arguments: &[&str], folder: &Path, log: &str) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(log)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_varde"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, says: Value::Null }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order and waits.
    pub fn stop(mut self) {
        self.stop_in_place();
    }

    /// The same for one that is started again in its place.
    pub fn stop_in_place(&mut self) {
        signal(self.child.id(), "TERM");
        let _ = self.child.wait();
    }

    /// Ends it and its children as a power cut would: at once, none of them in order.
    pub fn kill_in_place(&mut self) {
        signal(self.child.id(), "STOP");
        for (child, _) in children(self.child.id()) {
            signal(child, "KILL");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(process: u32, name: &str) {
    let done = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().unwrap();
    assert!(done.success(), "kill -{name} {process}");
}

/// The direct children of a process, with their command lines.
pub fn children(process: u32) -> Vec<(u32, String)> {
    let list =
        std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|id| id.parse().ok())
        .map(|id: u32| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            (id, String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect()
}

/// Cameras, a server that is set up, and a token.
#[derive(Debug)]
pub struct Stack {
    pub folder: tempfile::TempDir,
    pub cameras: Program,
    pub server: Program,
    pub api: Api,
    port: u16,
}

impl Stack {
    pub async fn start(cameras: u32) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), cameras, &[]).await
    }

    /// The same in a given folder, the server with variables of the environment.
    pub async fn start_in(folder: tempfile::TempDir, cameras: u32, environment: &[(&str, &str)]) -> Self {
        let count = cameras.to_string();
        let farm = Program::start(
            &[
                "virtual-cameras",
                "--count",
                &count,
                "--rtsp-port",
                "0",
                "--control-port",
                "0",
                "--counter",
                "--json",
            ],
            folder.path(),
            "cameras.log",
        );
        let port = free_port();
        let server = serve(folder.path(), port, environment);
        let url = server.says["url"].as_str().unwrap().to_owned();
        let code = server.says["setup_code"].as_str().expect("a fresh server prints its code").to_owned();
        let mut api = Api { client: reqwest::Client::new(), url, token: String::new() };
        let password = "a long password for tests";
        api.call(
            Method::POST,
            "/setup",
            Some(json!({ "code": code, "user": "admin", "password": password })),
        )
        .await
        .unwrap();
        let answer = api
            .call(Method::POST, "/tokens", Some(json!({ "user": "admin", "password": password })))
            .await
            .unwrap();
        api.token = answer["token"].as_str().unwrap().to_owned();
        Self { folder, cameras: farm, server, api, port }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server again on the same data; the one before must have ended.
    pub fn serve_again(&mut self) {
        self.server = serve(self.folder.path(), self.port, &[]);
    }

    /// The same where the server may never come to answer.
    pub fn serve_again_silently(&mut self) {
        let data = self.data();
        self.server = Program::start_silent(
            &serve_arguments(data.to_str().unwrap(), &listen(self.port)),
            self.folder.path(),
            "server.log",
        );
    }

    /// The recorder's own door, which answers whatever happens to the rest.
    pub fn recorder(&self) -> RecorderClient {
        RecorderClient::new(self.data().join("run/recorder.sock"))
    }

    /// Adds virtual camera `number` and gives its id.
    pub async fn add_camera(&self, number: usize) -> String {
        self.add_camera_to(number, None).await
    }

    /// The same, recorded to a given storage.
    pub async fn add_camera_to(&self, number: usize, storage: Option<&str>) -> String {
        let camera = &self.cameras.says["cameras"][number];
        let body = json!({
            "storage": storage,
            "name": camera["name"], "url": camera["main"], "sub_url": camera["sub"],
            "user": self.cameras.says["user"], "password": self.cameras.says["password"],
        });
        let added = self.api.call(Method::POST, "/cameras", Some(body)).await.unwrap();
        added["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a camera records and has something durable.
    pub async fn records(&self, camera: &str) {
        self.api
            .until(&format!("/cameras/{camera}"), "records", |camera| {
                camera["recording"] == true
                    && camera["streams"].as_array().is_some_and(|streams| {
                        streams.iter().any(|stream| stream["durable_until"].is_string())
                    })
            })
            .await;
    }

    /// Process of the child in this role.
    pub fn child(&self, role: &str) -> u32 {
        self.child_now(role).unwrap_or_else(|| panic!("no {role} child"))
    }

    /// `None` while there is none.
    pub fn child_now(&self, role: &str) -> Option<u32> {
        let role = format!("role {role}");
        children(self.server.id()).into_iter().find(|(_, line)| line.contains(&role)).map(|(id, _)| id)
    }

    /// Tells virtual camera `number` to misbehave.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let control = self.cameras.says["control"].as_str().unwrap();
        let answer = self
            .api
            .client
            .post(format!("{control}{path}"))
            .json(&body)
            .send()
            .await
            .expect("the control endpoint answers");
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

fn serve(folder: &Path, port: u16, environment: &[(&str, &str)]) -> Program {
    let data = folder.join("data");
    let listen = listen(port);
    let arguments = serve_arguments(data.to_str().unwrap(), &listen);
    Program::start_with(&arguments, environment, folder, "server.log")
}

fn listen(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn serve_arguments<'a>(data: &'a str, listen: &'a str) -> [&'a str; 8] {
    ["serve", "--listen", listen, "--allow-network", "127.0.0.0/8", "--json", "--data", data]
}

/// A port that stays the same when the server is started again; below those that the kernel hands out.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 200) as u16 * 100;
    (0..1_000)
        .map(|_| 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
}

/// The public API with a token.
#[derive(Clone, Debug)]
pub struct Api {
    pub client: reqwest::Client,
    pub url: String,
    pub token: String,
}

impl Api {
    /// The answer's body, or its status and problem.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, (u16, Value)> {
        let mut request = self.client.request(method, format!("{}/api/v1{path}", self.url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| (0, Value::from(error.to_string())))?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if status.is_success() { Ok(body) } else { Err((status.as_u16(), body)) }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.unwrap_or_else(|error| panic!("GET {path}: {error:?}"))
    }

    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let request = self.client.get(format!("{}/api/v1{path}", self.url)).bearer_auth(&self.token);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap().to_vec();
        assert!(status.is_success(), "GET {path}: {status} {}", String::from_utf8_lossy(&bytes));
        bytes
    }

    /// Asks again and again until the answer is as wanted. Panics with the last answer when patience ends.
    pub async fn until(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.call(Method::GET, path, None).await;
            if let Ok(value) = &answer
                && wanted(value)
            {
                return value.clone();
            }
            assert!(Instant::now() < deadline, "GET {path} never {what}; last: {answer:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Timeline of a camera over the last day and the next hour.
    pub async fn timeline(&self, camera: &str) -> Value {
        let now = varde_ambient::utc_now();
        let (start, end) = (now.minus(Duration::from_secs(86_400)), now.plus(Duration::from_secs(3_600)));
        self.get(&format!("/cameras/{camera}/timeline?start={start}&end={end}")).await
    }
}

/// What `ffprobe` says of a media file, counting every frame by decoding it.
pub fn probe(path: &Path) -> Value {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json"])
        .arg(path)
        .output()
        .expect("ffprobe is installed (cargo xtask test installs it)");
    let _ = std::io::stderr().write_all(&output.stderr);
    assert!(output.status.success(), "ffprobe {}", path.display());
    serde_json::from_slice(&output.stdout).unwrap()
}
