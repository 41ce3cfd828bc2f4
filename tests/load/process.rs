//! A program that is measured: its CPU time and its memory, as the kernel counts them.

use std::fs;
use std::io::{BufRead, BufReader, PipeReader};
use std::process::{Child, Command};
use std::time::Duration;

use super::MEASURED_CORE;

/// A program on the measured core; ended when dropped.
pub struct Measured {
    child: Child,
    lines: Option<BufReader<PipeReader>>,
}

impl Measured {
    pub fn start(program: &std::path::Path, arguments: &[&str]) -> Measured {
        // What it says and what it logs, as a terminal has them.
        let (lines, out) = std::io::pipe().unwrap();
        let child = Command::new("taskset")
            .args(["-c", MEASURED_CORE])
            .arg(program)
            .args(arguments)
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .expect("taskset and the program start");
        Measured { child, lines: Some(BufReader::new(lines)) }
    }

    /// The first line of its output that holds `text`.
    pub fn line_with(&mut self, text: &str) -> String {
        let mut line = String::new();
        let lines = self.lines.as_mut().expect("its lines are still read");
        loop {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before {text}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Reads what it says from now on and forgets it, so that it never waits for a reader.
    pub fn forget_lines(&mut self) {
        let Some(mut rest) = self.lines.take() else { return };
        std::thread::spawn(move || {
            let mut line = String::new();
            while rest.read_line(&mut line).is_ok_and(|length| length > 0) {
                line.clear();
            }
        });
    }

    /// CPU time of all its threads so far.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanoseconds = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Resident memory in kB.
    pub fn resident_kb(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
