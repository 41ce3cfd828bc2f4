//! A TURN server of the distribution.

use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::{TempDir, free_port};

/// coturn on loopback that knows nobody but by a secret.
pub struct Coturn {
    pub port: u16,
    _process: Process,
    _dir: TempDir,
}

impl Coturn {
    pub fn start(secret: &str) -> Coturn {
        let dir = TempDir::new("coturn");
        let port = free_port();
        let mut command = Command::new("turnserver");
        command.current_dir(dir.path()).args([
            "-n",
            "--log-file",
            "stdout",
            "--realm",
            "crosspoint",
        ]);
        command.args(["--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"]);
        command.args(["--listening-port", &port.to_string(), "--no-tls", "--no-dtls", "--no-cli"]);
        command.args(["--use-auth-secret", "--static-auth-secret", secret]);
        command.args(["--allow-loopback-peers", "--no-multicast-peers"]);
        command.arg("--pidfile").arg(dir.join("pid"));
        command.arg("--db").arg(dir.join("turndb"));
        let process = Process::start("turnserver", &mut command);
        process.line_with("Total General servers", Duration::from_secs(20));
        Coturn { port, _process: process, _dir: dir }
    }
}
