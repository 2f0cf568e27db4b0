//! What a confined process can't do any more, tried in a process of its own.

use std::process::Command;

const MARK: &str = "VARDE_TEST_CONFINED";
const ALL_REFUSED: i32 = 42;

#[test]
fn a_confined_process_has_no_files_no_network_and_no_programs() {
    if std::env::var_os(MARK).is_some() {
        std::process::exit(try_everything());
    }
    let this = std::env::current_exe().unwrap();
    let status = Command::new(this)
        .args(["--exact", "a_confined_process_has_no_files_no_network_and_no_programs", "--test-threads=1"])
        .env(MARK, "1")
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(ALL_REFUSED), "the number tells which attempt went wrong");
}

/// [`ALL_REFUSED`] when everything is as it should be.
fn try_everything() -> i32 {
    let shared = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    varde_vision_edge::confine().unwrap();
    // One after the other, so that the number says which.
    if std::fs::File::open("/etc/passwd").is_ok() {
        return 1;
    }
    if std::fs::write("/tmp/varde-confined", "").is_ok() {
        return 2;
    }
    let refused = std::net::TcpStream::connect("127.0.0.1:1").unwrap_err();
    if refused.kind() != std::io::ErrorKind::PermissionDenied {
        return 3;
    }
    if shared.send_to(b"out", "127.0.0.1:9").is_ok() {
        return 4;
    }
    if Command::new("/bin/true").status().is_ok() {
        return 5;
    }
    // Threads and memory are what decoders need.
    match std::thread::spawn(|| vec![1u8; 1 << 20].len()).join() {
        Ok(length) if length == 1 << 20 => {}
        _ => return 6,
    }
    if Vec::<u8>::new().try_reserve_exact(8 << 30).is_ok() {
        return 7;
    }
    ALL_REFUSED
}
