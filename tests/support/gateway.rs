//! The gateway's own binary, started with a configuration of the test's.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::TempDir;
use super::process::Process;

pub struct Gateway {
    pub process: Process,
    /// `http://127.0.0.1:port`
    pub base: String,
    /// The SIP address over UDP.
    pub sip: SocketAddr,
    pub dir: TempDir,
}

impl Gateway {
    /// `crosspoint serve` with one trunk `phone` at `phone_port` and the plan in `plan`; user `web`.
    pub fn serve(phone_port: u16, plan: &str) -> Gateway {
        let dir = TempDir::new("gateway");
        fs::write(dir.join("plan.toml"), plan).unwrap();
        fs::write(dir.join("token.key"), "a secret of the tests, long enough to be one\n").unwrap();
        let here = dir.path().display();
        let config = format!(
            "dialplan = \"{here}/plan.toml\"\n\
             [http]\n\
             listen = \"127.0.0.1:0\"\n\
             [sip]\n\
             listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n\
             [media]\n\
             workers = 1\n\
             webrtc_port = 0\n\
             rtp_ports = \"0-0\"\n\
             address = \"127.0.0.1\"\n\
             [store]\n\
             url = \"sqlite:{here}/crosspoint.db\"\n\
             [auth]\n\
             token_secret_file = \"{here}/token.key\"\n\
             [user.web]\n\
             country = \"DE\"\n\
             [trunk.phone]\n\
             target = \"sip:127.0.0.1:{phone_port}\"\n\
             accept_from = [\"127.0.0.1/32\"]\n\
             codecs = [\"pcmu\", \"pcma\"]\n"
        );
        fs::write(dir.join("crosspoint.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
        command.arg("serve").arg("--config").arg(dir.join("crosspoint.toml"));
        command.args(["--log-format", "json"]);
        let process = Process::start("crosspoint", &mut command);
        let line = process.line_with("\"ready\"", Duration::from_secs(30));
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        let fields = &ready["fields"];
        let base = format!("http://{}", fields["http"].as_str().expect("ready names http"));
        let sip = fields["sip_udp"].as_str().expect("ready names sip_udp").parse().unwrap();
        Gateway { process, base, sip, dir }
    }

    /// A client token for `web`, made by the command.
    pub fn token(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_crosspoint"))
            .args(["token", "create", "--user", "web", "--ttl", "1h", "--config"])
            .arg(self.dir.join("crosspoint.toml"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
