//! The driver against a server that is not ours: GStreamer's, from Debian, with digest authentication.

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command as Process, Stdio};

use support::{Driving, device, formats, source, stream};
use varde_api::codes::CameraState;
use varde_codec::{Codec, Medium};
use varde_driver::Transport;

const USER: &str = "operator";
const PASSWORD: &str = "canary";

/// GStreamer's server as a process; it ends with its standard input.
struct Server {
    process: Child,
    _input: ChildStdin,
    port: u16,
    mounts: Vec<String>,
}

impl Server {
    /// `None` where GStreamer is not installed, which is said.
    fn start() -> Option<Self> {
        // The system's Python first: the bindings are the system's.
        let finds = |python: &&&str| {
            let import = "import gi; gi.require_version('GstRtspServer', '1.0')";
            let output = Process::new(python).args(["-c", import]).output();
            output.is_ok_and(|output| output.status.success())
        };
        let Some(python) = ["/usr/bin/python3", "python3"].iter().find(finds) else {
            println!(
                "skipped: GStreamer's RTSP server for Python (python3-gi, gir1.2-gst-rtsp-server-1.0) is not installed"
            );
            return None;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gst_server.py");
        let mut process = Process::new(python)
            .args([script, USER, PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let mounts = lines.next().unwrap().unwrap().split(' ').map(str::to_owned).collect();
        Some(Self { process, _input: input, port, mounts })
    }

    fn url(&self, mount: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{mount}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn pictures_and_sound_of_gstreamer_are_received() {
    let Some(server) = Server::start() else { return };
    let cases = [
        ("h264", Transport::Tcp, Codec::H264, Codec::Alaw),
        ("h264", Transport::Udp, Codec::H264, Codec::Alaw),
        ("h265", Transport::Tcp, Codec::H265, Codec::Aac),
        ("jpeg", Transport::Tcp, Codec::Mjpeg, Codec::Opus),
    ];
    let mut seen = 0;
    for (mount, transport, picture, sound) in cases {
        if !server.mounts.iter().any(|offered| offered == mount) {
            println!("skipped: GStreamer has no encoder for {mount}");
            continue;
        }
        let mut wanted = source(&server.url(mount), transport, 1);
        wanted.audio = Some(stream(2));
        let driving = Driving::start(device(Some((USER, PASSWORD)), vec![wanted]));
        for (stream, codec) in [(stream(1), picture), (stream(2), sound)] {
            let units = driving.notebook.wait_units(stream, 40).await;
            let formats = formats(&driving.notebook.all(), stream);
            assert_eq!(formats.len(), 1, "{mount}");
            assert_eq!(formats[0].codec(), codec, "{mount}");
            if codec.medium() == Medium::Video {
                assert_eq!(formats[0].dimensions(), Some((320, 240)), "{mount}");
            }
            assert!(units[0].flags.entry_point, "{mount}");
            assert!(units.iter().all(|unit| !unit.data.is_empty() && !unit.flags.after_loss), "{mount}");
            assert!(units.windows(2).all(|pair| pair[0].decode_time < pair[1].decode_time), "{mount}");
        }
        assert_eq!(driving.notebook.states(0), [CameraState::Connecting, CameraState::Online], "{mount}");
        driving.stop().await;
        println!("{mount} by {transport:?}: received");
        seen += 1;
    }
    assert!(seen > 0);
}

#[tokio::test]
async fn gstreamer_refuses_what_it_should() {
    let Some(server) = Server::start() else { return };
    let wrong =
        Driving::start(device(Some((USER, "wrong")), vec![source(&server.url("h264"), Transport::Tcp, 1)]));
    wrong.notebook.wait_state(0, CameraState::WrongPassword).await;
    wrong.stop().await;
    let none =
        Driving::start(device(Some((USER, PASSWORD)), vec![source(&server.url("none"), Transport::Tcp, 1)]));
    none.notebook.wait_state(0, CameraState::NoSuchStream).await;
    none.stop().await;
}
