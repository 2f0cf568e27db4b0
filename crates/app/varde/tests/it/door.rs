//! What the server shows to the network: its listeners, its certificate, and how soon a withdrawn right ends.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::stack::{Program, Stack, children};
use crate::whep::Client;

/// The promise is 5 s; the machine of the tests may be slow.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

fn descendants(process: u32) -> Vec<u32> {
    let own = children(process).into_iter().map(|(id, _)| id);
    own.flat_map(|id| std::iter::once(id).chain(descendants(id))).collect()
}

/// Sockets on which a process can be reached: `tcp PORT`, `udp PORT`, `unix PATH`.
fn listeners(process: u32) -> BTreeSet<String> {
    let mut inodes = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten() {
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        let target = target.to_string_lossy().into_owned();
        inodes.extend(
            target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).map(str::to_owned),
        );
    }
    let mut found = BTreeSet::new();
    for (table, kind, listens) in
        [("tcp", "tcp", "0A"), ("tcp6", "tcp", "0A"), ("udp", "udp", "07"), ("udp6", "udp", "07")]
    {
        let text = std::fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields[3] == listens && inodes.contains(fields[9]) {
                let port = u16::from_str_radix(fields[1].rsplit(':').next().unwrap(), 16).unwrap();
                found.insert(format!("{kind} {port}"));
            }
        }
    }
    let text = std::fs::read_to_string(format!("/proc/{process}/net/unix")).unwrap_or_default();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields[3] == "00010000" && inodes.contains(fields[6]) {
            found.insert(format!("unix {}", fields.get(7).unwrap_or(&"")));
        }
    }
    found
}

#[tokio::test]
async fn nothing_listens_but_the_api_webrtc_and_the_recorders_own_socket() {
    let stack = Stack::start(1).await;
    let camera = stack.add_camera(0).await;
    stack.records(&camera).await;
    // A still starts a worker, if there is one; it must not listen either.
    let _ = stack.api.call(Method::GET, &format!("/cameras/{camera}/frame.jpg"), None).await;
    let mut found = BTreeSet::new();
    for process in std::iter::once(stack.server.id()).chain(descendants(stack.server.id())) {
        found.extend(listeners(process));
    }
    let port = stack.api.url.rsplit(':').next().unwrap();
    let socket = stack.data().join("run/recorder.sock");
    let (api, unix) = (format!("tcp {port}"), format!("unix {}", socket.display()));
    let mut udp = found.iter().filter(|listener| listener.starts_with("udp "));
    let webrtc = udp.next().expect("WebRTC has its port").clone();
    assert_eq!(found, BTreeSet::from([api, unix, webrtc]));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    for folder in ["management", "recorder", "gateway", "run"] {
        assert_eq!(mode(&stack.data().join(folder)), 0o700, "{folder}");
    }
    stack.server.stop();
}

#[tokio::test]
async fn a_withdrawn_right_ends_what_is_being_watched() {
    let stack = Stack::start(1).await;
    let camera = stack.add_camera(0).await;
    stack.records(&camera).await;
    let password = "a heron over the weir";
    let body = json!({ "name": "anna", "password": password, "role": "viewer", "cameras": [camera] });
    let user = stack.api.call(Method::POST, "/users", Some(body)).await.unwrap();
    let login = json!({ "user": "anna", "password": password });
    let mut anna = stack.api.clone();
    anna.token = String::new();
    let token = anna.call(Method::POST, "/tokens", Some(login)).await.unwrap();
    let token = token["token"].as_str().unwrap().to_owned();

    let mut sockets = Vec::new();
    for path in [format!("/cameras/{camera}/live/ws"), "/events/ws".to_owned()] {
        let address = stack.api.url.strip_prefix("http://").unwrap();
        let mut request = format!("ws://{address}/api/v1{path}").into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        sockets.push(tokio_tungstenite::client_async(request, stream).await.unwrap().0);
    }
    sockets[0].next().await.unwrap().expect("it plays");

    let mut client = Client::new();
    let url = format!("{}/api/v1/cameras/{camera}/live/whep", stack.api.url);
    let request = stack.api.client.post(url).bearer_auth(&token).header("content-type", "application/sdp");
    let answer = request.body(client.offer.clone()).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    let answer = answer.text().await.unwrap();
    let mut client = tokio::task::spawn_blocking(move || {
        client.accept(&answer);
        client.play(|| {}, |client| client.frames(client.video).count() > 5);
        client
    })
    .await
    .unwrap();

    let path = format!("/users/{}", user["id"].as_str().unwrap());
    let change = json!({ "version": user["version"], "cameras": [] });
    stack.api.call(Method::PATCH, &path, Some(change)).await.unwrap();
    let change = json!({ "version": user["version"].as_u64().unwrap() + 1, "enabled": false });
    let withdrawn = Instant::now();
    stack.api.call(Method::PATCH, &path, Some(change)).await.unwrap();
    for socket in &mut sockets {
        let ended = async { while socket.next().await.is_some_and(|message| message.is_ok()) {} };
        tokio::time::timeout(ENDS_WITHIN, ended).await.expect("the WebSocket ends");
    }
    let after = tokio::task::spawn_blocking(move || {
        client.play(|| {}, |client| client.closed || withdrawn.elapsed() > ENDS_WITHIN);
        let before = client.received.len();
        let until = Instant::now() + Duration::from_secs(2);
        if !client.closed {
            client.play(|| {}, |_| Instant::now() > until);
        }
        client.received.len() - before
    });
    assert_eq!(after.await.unwrap(), 0, "no picture comes any more");
    let gone = stack.api.client.delete(format!("{}{place}", stack.api.url)).bearer_auth(&stack.api.token);
    assert_eq!(gone.send().await.unwrap().status(), 404);
    stack.server.stop();
}

/// Runs the command line, with a line on its standard input. Gives what it printed, as JSON.
fn varde(folder: &Path, arguments: &[&str], input: &str) -> Result<Value, String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_varde"))
        .args(arguments)
        .env("XDG_CONFIG_HOME", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test]
async fn any_other_address_than_loopback_speaks_tls_that_the_authority_vouches_for() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let arguments = [
        "serve",
        "--listen",
        "0.0.0.0:0",
        "--host",
        "nvr.example",
        "--json",
        "--data",
        data.to_str().unwrap(),
    ];
    let server = Program::start(&arguments, folder.path(), "server.log");
    let url = server.says["url"].as_str().unwrap();
    assert!(url.starts_with("https://"), "{url}");
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let url = format!("https://127.0.0.1:{port}");
    let authority = data.join("management/ca.pem");
    let certificate = reqwest::Certificate::from_pem(&std::fs::read(&authority).unwrap()).unwrap();

    let builder = || reqwest::Client::builder().add_root_certificate(certificate.clone());
    let newest = builder().build().unwrap();
    let answer = newest.get(format!("{url}/api/v1/health")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["strict-transport-security"].to_str().unwrap().starts_with("max-age="));
    let name = builder().resolve("nvr.example", ([127, 0, 0, 1], port).into()).build().unwrap();
    let answer = name.get(format!("https://nvr.example:{port}/api/v1/health")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "the name that the administrator gave");
    let older = builder().max_tls_version(reqwest::tls::Version::TLS_1_2).build().unwrap();
    assert_eq!(older.get(format!("{url}/api/v1/health")).send().await.unwrap().status(), 200);
    let stranger = reqwest::Client::new();
    assert!(stranger.get(format!("{url}/api/v1/health")).send().await.is_err(), "nobody else vouches for it");

    let check = move || {
        for version in [[3, 0], [3, 1], [3, 2]] {
            let answer = hello(port, version);
            assert!(answer.first().is_none_or(|kind| *kind == ALERT), "{version:?}: {answer:?}");
        }
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.write_all(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "nothing in the clear");
    };
    tokio::task::spawn_blocking(check).await.unwrap();

    let ca = authority.to_str().unwrap();
    let code = server.says["setup_code"].as_str().unwrap();
    let password = "a heron over the weir\n";
    let setup = ["setup", &url, "--code", code, "--password-stdin", "--json", "--ca", ca];
    varde(folder.path(), &setup, password).unwrap();
    let login = ["login", &url, "--user", "admin", "--password-stdin", "--json", "--ca", ca];
    let signed_in = varde(folder.path(), &login, password).unwrap();
    assert!(signed_in["token"].as_str().unwrap().starts_with("varde_"));
    let without = ["login", &url, "--user", "admin", "--password-stdin", "--json"];
    let refused = varde(folder.path(), &without, password).unwrap_err();
    assert!(refused.contains("--ca"), "it says what to do: {refused}");
    server.stop();
}

const ALERT: u8 = 21;

/// What the server says to a client that knows no newer version than this.
fn hello(port: u16, version: [u8; 2]) -> Vec<u8> {
    // Random, no session, AES and 3DES with RSA and ECDHE, no compression.
    let suites: [u8; 8] = [0xc0, 0x09, 0xc0, 0x13, 0x00, 0x2f, 0x00, 0x0a];
    let mut hello = version.to_vec();
    hello.extend([7; 32]);
    hello.extend([0, 0, suites.len() as u8]);
    hello.extend(suites);
    hello.extend([1, 0]);
    let mut record = vec![22, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
    record.extend(hello);
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.write_all(&record).unwrap();
    let mut answer = vec![0; 64];
    let length = socket.read(&mut answer).unwrap_or(0);
    answer.truncate(length);
    answer
}
