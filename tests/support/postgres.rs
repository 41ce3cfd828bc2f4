//! A PostgreSQL server of the test's own, on a socket in a temporary folder.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// A server that ends with the test. Its data is on a small disk of its own, which can be filled.
pub struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    shell: Mutex<Shell>,
    /// What `store.url` takes.
    pub url: String,
}

impl Server {
    /// One that runs.
    pub fn start() -> Server {
        Server::with_disk(DISK)
    }

    /// The same with a disk of this size in memory (`3g`), of which only what is written is taken.
    pub fn with_disk(size: &str) -> Server {
        let folder = tempfile::Builder::new().prefix("cp-pg").tempdir().unwrap();
        let path = folder.path().display().to_string();
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        if is_root() {
            let chown = Command::new("chown").arg("postgres").arg(folder.path()).status();
            assert!(chown.unwrap().success());
        }
        let server = Server {
            programs: programs(),
            url: format!("postgres://tester@localhost/postgres?host={path}"),
            shell: Mutex::new(Shell::start(&format!("{path}/disk"), size)),
            folder,
        };
        server.run("initdb", &["-U", "tester", "-A", "trust", "--no-sync", "--wal-segsize=1"]);
        server.set("");
        server.begin();
        server
    }

    pub fn begin(&self) {
        self.run("pg_ctl", &["start", "-w"]);
    }

    /// As a crash would.
    pub fn stop(&self) {
        self.run("pg_ctl", &["stop", "-m", "immediate", "-w"]);
    }

    pub fn restart(&self) {
        self.run("pg_ctl", &["restart", "-m", "immediate", "-w"]);
    }

    /// A setting of the server, in force at once where it runs.
    pub fn set(&self, line: &str) {
        let socket = self.folder.path().display();
        let (data, options) = (
            self.data(),
            format!(
                "listen_addresses = ''\\nunix_socket_directories = '{socket}'\\nfsync = off\\n\
             min_wal_size = 2MB\\nmax_wal_size = 4MB\\n{line}\\n"
            ),
        );
        self.shell(&format!("printf \"{options}\" >{}/postgresql.conf", data.display()));
        if self.is_up() {
            self.run("pg_ctl", &["reload"]);
        }
    }

    /// Leaves no byte of its disk free.
    pub fn fill_disk(&self) {
        let disk = self.folder.path().join("disk");
        self.shell(&format!("dd if=/dev/zero of={}/filler bs=4k; true", disk.display()));
    }

    /// Makes room again; a server that gave up is started, as its operator would.
    pub fn free_disk(&self) {
        let disk = self.folder.path().join("disk");
        self.shell(&format!("rm {}/filler", disk.display()));
        if !self.is_up() {
            self.begin();
        }
    }

    fn is_up(&self) -> bool {
        let (program, data) = (self.programs.join("pg_ctl"), self.data());
        let status = format!("{} status -D {}", program.display(), data.display());
        self.shell.lock().unwrap().ask(&as_user(&status)) == 0
    }

    /// Sends a signal to every process of the server (`STOP`, `CONT`).
    pub fn signal(&self, signal: &str) {
        let data = self.data();
        let pid = self.folder.path().join("pid");
        self.shell(&format!("head -1 {}/postmaster.pid >{}", data.display(), pid.display()));
        let postmaster = std::fs::read_to_string(pid).unwrap().trim().to_owned();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &postmaster]).output();
        let children = String::from_utf8(children.unwrap().stdout).unwrap();
        for process in std::iter::once(&*postmaster).chain(children.split_whitespace()) {
            // A child may be gone by now.
            let _ = Command::new("kill").args([&format!("-{signal}"), process]).output();
        }
    }

    /// Where its tables are, on its own disk.
    fn data(&self) -> PathBuf {
        self.folder.path().join("disk/data")
    }

    /// One of PostgreSQL's programs on this server's data, never as root, which it refuses.
    fn run(&self, program: &str, arguments: &[&str]) {
        let path = self.programs.join(program);
        let (path, data) = (path.display(), self.data());
        self.shell(&as_user(&format!("{path} {} -D {}", arguments.join(" "), data.display())));
    }

    fn shell(&self, line: &str) {
        let log = self.folder.path().join("log");
        let status = self.shell.lock().unwrap().ask(&format!("({line}) >{} 2>&1", log.display()));
        assert_eq!(status, 0, "{line}: {}", std::fs::read_to_string(log).unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let end = as_user(&format!(
            "{}/pg_ctl stop -m immediate -w -D {}",
            self.programs.display(),
            self.data().display()
        ));
        if !std::thread::panicking() {
            self.signal("CONT");
        }
        if let Ok(mut shell) = self.shell.lock() {
            shell.ask(&format!("{end} >/dev/null 2>&1"));
        }
    }
}

/// A shell that sees a disk of its own at `disk`; the disk goes away with it.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    fn start(disk: &str, size: &str) -> Shell {
        let mount = format!("mount -t tmpfs -o size={size},mode=1777 none {disk}");
        let mut command = Command::new("unshare");
        if is_root() {
            command.args(["-m", "sh", "-c", &format!("{mount} && exec sh")]);
        } else {
            // To mount one must be root of a user namespace, which PostgreSQL must not be.
            let script = format!("{mount} && exec unshare -U --map-user=1000 sh");
            command.args(["-Urm", "sh", "-c", &script]);
        }
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.expect("unshare (util-linux) starts");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Shell { child, input, output: BufReader::new(output) }
    }

    /// Runs a line and gives its exit status.
    fn ask(&mut self, line: &str) -> i32 {
        writeln!(self.input, "{{ {line}; }}; echo \"status $?\"").unwrap();
        let mut answer = String::new();
        loop {
            answer.clear();
            assert!(self.output.read_line(&mut answer).unwrap() > 0, "the shell is gone: {line}");
            if let Some(status) = answer.trim_end().strip_prefix("status ") {
                return status.parse().unwrap();
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn as_user(line: &str) -> String {
    if is_root() { format!("runuser -u postgres -- {line}") } else { line.to_owned() }
}

/// Holds an empty database (40 MB) and some ten thousand records.
const DISK: &str = "96m";

fn programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = debian.flatten().map(|entry| entry.path().join("bin")).max();
    newest.filter(|bin| bin.join("initdb").exists()).unwrap_or_default()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}
