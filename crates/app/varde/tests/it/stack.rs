//! Starts virtual cameras and a server in a folder of their own, and speaks to them as a program would.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

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
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(log)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_varde"))
            .args(arguments)
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

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order and waits.
    pub fn stop(mut self) {
        signal(self.child.id(), "TERM");
        let _ = self.child.wait();
    }

    /// Ends it as a power cut would: at once.
    pub fn kill(mut self) {
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
}

impl Stack {
    pub async fn start(cameras: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
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
        let server = serve(folder.path());
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
        Self { folder, cameras: farm, server, api }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server again on the same data; the one before must have ended.
    pub fn serve_again(&mut self) {
        self.server = serve(self.folder.path());
        self.api.url = self.server.says["url"].as_str().unwrap().to_owned();
    }

    /// Adds virtual camera `number` and gives its id.
    pub async fn add_camera(&self, number: usize) -> String {
        let camera = &self.cameras.says["cameras"][number];
        let body = json!({
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
        let children = children(self.server.id());
        let found = children.iter().find(|(_, line)| line.contains(&format!("role {role}")));
        found.unwrap_or_else(|| panic!("no {role} child among {children:?}")).0
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

fn serve(folder: &Path) -> Program {
    let data = folder.join("data");
    Program::start(
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--allow-network",
            "127.0.0.0/8",
            "--json",
            "--data",
            data.to_str().unwrap(),
        ],
        folder,
        "server.log",
    )
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
