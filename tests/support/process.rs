//! A child process that ends with the test, by its own id, and whose output lines can be awaited.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub fn start(name: &str, command: &mut Command) -> Process {
        Process::spawn(name, command.stdin(Stdio::null()))
    }

    /// One that reads commands from its standard input.
    pub fn start_with_input(name: &str, command: &mut Command) -> Process {
        Process::spawn(name, command.stdin(Stdio::piped()))
    }

    fn spawn(name: &str, command: &mut Command) -> Process {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{name} does not start: {e} (make test installs it)"));
        let (sender, lines) = channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let (sender, seen) = (sender.clone(), seen.clone());
            thread::spawn(move || {
                let mut reader = BufReader::new(output);
                let mut bytes = Vec::new();
                while reader.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
                    let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                    bytes.clear();
                    seen.lock().unwrap().push(line.clone());
                    let _ = sender.send(line);
                }
            });
        }
        Process { name: name.to_owned(), child, lines, seen }
    }

    /// The first line from here on that holds `text`.
    pub fn line_with(&self, text: &str, limit: Duration) -> String {
        // A machine that does much else at once stalls for seconds.
        let deadline = Instant::now() + limit.max(Duration::from_secs(30));
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{} never said {text:?}; it said:\n{}", self.name, self.output())
                }
            }
        }
    }

    /// Waits until it has said `text`, be it before what was already read.
    pub fn has_said(&self, text: &str, limit: Duration) {
        let deadline = Instant::now() + limit.max(Duration::from_secs(30));
        while !self.output().contains(text) {
            let said = self.output();
            assert!(
                Instant::now() < deadline,
                "{} never said {text:?}; it said:\n{said}",
                self.name
            );
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Types a line; only for one started with input.
    pub fn type_line(&self, line: &str) {
        let mut input = self.child.stdin.as_ref().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// Everything it said so far.
    pub fn output(&self) -> String {
        self.seen.lock().unwrap().join("\n")
    }

    /// The UDP ports that it has open, by `/proc`.
    pub fn udp_ports(&self) -> Vec<u16> {
        let mut sockets = Vec::new();
        for file in std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap() {
            let target = file.ok().and_then(|file| std::fs::read_link(file.path()).ok());
            let name = target.map(|target| target.to_string_lossy().into_owned());
            let inode = name.as_deref().and_then(|name| name.strip_prefix("socket:["));
            sockets.extend(inode.and_then(|inode| inode.strip_suffix(']')).map(str::to_owned));
        }
        let table = std::fs::read_to_string("/proc/net/udp").unwrap();
        let row = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let own = sockets.iter().any(|inode| words.get(9) == Some(&inode.as_str()));
            let port = words.get(1)?.split_once(':')?.1;
            u16::from_str_radix(port, 16).ok().filter(|_| own)
        };
        table.lines().filter_map(row).collect()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name (`TERM`, `HUP`).
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([format!("-{signal}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success(), "kill -{signal} {} failed", self.name);
    }

    /// Asks it to end and waits for that; what still runs then is killed when the value goes away.
    pub fn end(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal("TERM");
        }
        while self.child.try_wait().is_ok_and(|status| status.is_none())
            && Instant::now() < deadline
        {
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} does not end; it said:\n{}",
                self.name,
                self.output()
            );
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- {} said:\n{}\n---", self.name, self.output());
        }
    }
}

/// What a command that ends by itself said.
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end, within 30 s.
pub fn run(command: &mut Command) -> Finished {
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (sender, ended) = channel();
    thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
    let Ok(output) = ended.recv_timeout(Duration::from_secs(30)) else {
        let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        panic!("{command:?} does not end");
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
