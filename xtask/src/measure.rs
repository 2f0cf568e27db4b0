//! Processes under measurement: processor time of a tree of processes, memory, and of the whole machine.

use std::collections::HashMap;
use std::fs;
use std::process::{Child, Command};
use std::sync::OnceLock;

/// Processor time in milliseconds of a process and all its descendants, those that ended and were waited for included.
pub fn tree_cpu_ms(root: u32) -> f64 {
    descendants(root).into_iter().filter_map(cpu_ticks).sum::<u64>() as f64 * 1000.0 / ticks_per_second()
}

/// Anonymous memory of a tree of processes, in bytes.
pub fn tree_anonymous_bytes(root: u32) -> u64 {
    descendants(root)
        .into_iter()
        .filter_map(|process| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
            let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map(|kibibytes| kibibytes * 1024)
        .sum()
}

/// Processor time that the whole machine has spent on work, in milliseconds.
pub fn machine_cpu_ms() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal: all but idle, iowait and steal.
    let busy: u64 = fields
        .iter()
        .enumerate()
        .filter(|(place, _)| [0, 1, 2, 5, 6].contains(place))
        .map(|(_, it)| it)
        .sum();
    busy as f64 * 1000.0 / ticks_per_second()
}

/// The kernel counts in these (`USER_HZ`); 100 wherever Linux runs today.
fn ticks_per_second() -> f64 {
    static TICKS: OnceLock<f64> = OnceLock::new();
    *TICKS.get_or_init(|| {
        let answer = Command::new("getconf").arg("CLK_TCK").output().ok();
        let text = answer.and_then(|output| String::from_utf8(output.stdout).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(100.0)
    })
}

fn cpu_ticks(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything; fields count from behind it. utime, stime, cutime, cstime.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

fn descendants(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(process);
    }
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        found.extend(children.get(&found[at]).into_iter().flatten());
        at += 1;
    }
    found
}

/// A program that is killed when dropped.
#[derive(Debug)]
pub struct Guard(pub Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
