//! The gateway's own binary, started with a configuration of the test's, or as the demo.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use super::TempDir;
use super::process::Process;

pub struct Gateway {
    pub process: Process,
    /// `http://127.0.0.1:port`
    pub base: String,
    pub dir: TempDir,
    /// Where SIP listens; a demo does not say.
    pub sip_udp: Option<SocketAddr>,
    pub sip_tcp: Option<SocketAddr>,
    pub sip_tls: Option<SocketAddr>,
}

impl Gateway {
    /// `crosspoint demo` on a free port.
    pub fn demo() -> Gateway {
        let dir = TempDir::new("demo");
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
        command.args(["demo", "--listen", "127.0.0.1:0", "--data"]).arg(dir.path());
        Gateway::start(dir, &mut command, LEVELS)
    }

    /// `crosspoint serve` with one trunk `phone` at `phone_port` and the plan in `plan`; user `web`.
    pub fn serve(phone_port: u16, plan: &str) -> Gateway {
        Gateway::serve_trunk(phone_port, plan, "")
    }

    /// The same with these variables of the environment.
    pub fn serve_told(phone_port: u16, plan: &str, variables: &[(&str, &str)]) -> Gateway {
        let dir = TempDir::new("gateway");
        let config = config_text(&dir, &format!("sip:127.0.0.1:{phone_port}"), "", "");
        write_files(&dir, &config, plan);
        let mut command = serve_command(&dir);
        command.envs(variables.iter().copied());
        Gateway::start(dir, &mut command, LEVELS)
    }

    /// The same with further settings of the trunk.
    pub fn serve_trunk(phone_port: u16, plan: &str, trunk: &str) -> Gateway {
        Gateway::serve_logging(phone_port, plan, trunk, LEVELS)
    }

    /// The same with other levels of the log.
    pub fn serve_logging(phone_port: u16, plan: &str, trunk: &str, levels: &str) -> Gateway {
        Gateway::configured(&format!("sip:127.0.0.1:{phone_port}"), plan, ["", trunk], levels)
    }

    /// The same for browsers that reach this machine at `address`, with these further tables.
    pub fn serve_at(phone_port: u16, plan: &str, address: &str, tables: &str) -> Gateway {
        let dir = TempDir::new("gateway");
        let target = format!("sip:127.0.0.1:{phone_port}");
        let config = config_text(&dir, &target, "", "")
            .replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{address}:0\""))
            .replace("address = \"127.0.0.1\"", &format!("address = \"{address}\""))
            // A phone on this machine speaks from the address that it is spoken to at.
            .replace("accept_from", &format!("media_from = [\"{address}/32\"]\naccept_from"));
        Gateway::of_files(dir, &format!("{config}{tables}"), plan, LEVELS)
    }

    /// The trunk is at `target`; `sip` are further settings of SIP.
    pub fn serve_target(target: &str, plan: &str, sip: &str) -> Gateway {
        Gateway::configured(target, plan, [sip, ""], LEVELS)
    }

    /// The trunk is at `target`; `sip` are the settings of SIP, where it listens among them.
    pub fn serve_with(target: &str, plan: &str, sip: &str, trunk: &str) -> Gateway {
        Gateway::configured(target, plan, [sip, trunk], LEVELS)
    }

    fn configured(target: &str, plan: &str, [sip, trunk]: [&str; 2], levels: &str) -> Gateway {
        let dir = TempDir::new("gateway");
        let config = config_text(&dir, target, sip, trunk);
        Gateway::of_files(dir, &config, plan, levels)
    }

    /// `crosspoint serve` with this configuration and plan, in a folder of its own.
    pub fn of_files(dir: TempDir, config: &str, plan: &str, levels: &str) -> Gateway {
        write_files(&dir, config, plan);
        let mut command = serve_command(&dir);
        Gateway::start(dir, &mut command, levels)
    }

    /// Kills it as a power cut would, and starts it again on the same files.
    pub fn kill_and_start_again(mut self) -> Gateway {
        self.process.signal("KILL");
        self.process.wait(Duration::from_secs(10));
        let mut command = serve_command(&self.dir);
        Gateway::start(self.dir, &mut command, LEVELS)
    }

    fn start(dir: TempDir, command: &mut Command, levels: &str) -> Gateway {
        command.args(["--log-format", "json", "--log-level", levels]);
        let process = Process::start("crosspoint", command);
        let line = process.line_with("\"message\":\"ready\"", Duration::from_secs(30));
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        let base = format!("http://{}", ready["http"].as_str().expect("ready names http"));
        let address = |name: &str| ready[name].as_str().map(|text| text.parse().unwrap());
        let (sip_udp, sip_tcp) = (address("sip_udp"), address("sip_tcp"));
        let sip_tls = address("sip_tls");
        Gateway { process, base, dir, sip_udp, sip_tcp, sip_tls }
    }

    /// Where the carrier of a demo listens for SIP, as its screen says.
    pub fn carrier(&self) -> SocketAddr {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // The screen and the log are two streams: either may be seen first.
            let said = self.process.output();
            let found = said.split("sip:601@").nth(1).and_then(|rest| rest.split_once(' '));
            if let Some((address, _)) = found {
                return address.parse().unwrap();
            }
            assert!(Instant::now() < deadline, "no carrier on the screen: {said}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// A client token for `web`, made by the command.
    pub fn token(&self) -> String {
        self.token_of("web")
    }

    /// The same for another user.
    pub fn token_of(&self, user: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_crosspoint"))
            .args(["token", "create", "--user", user, "--ttl", "1h", "--config"])
            .arg(self.dir.join("crosspoint.toml"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn write_files(dir: &TempDir, config: &str, plan: &str) {
    fs::write(dir.join("plan.toml"), plan).unwrap();
    fs::write(dir.join("token.key"), "a secret of the tests, long enough to be one\n").unwrap();
    fs::write(dir.join("crosspoint.toml"), config).unwrap();
}

/// The configuration of [`Gateway::serve`] with a trunk at this port.
pub fn gateway_config(dir: &TempDir, phone_port: u16) -> String {
    config_text(dir, &format!("sip:127.0.0.1:{phone_port}"), "", "")
}

fn config_text(dir: &TempDir, target: &str, sip: &str, trunk: &str) -> String {
    let here = dir.path().display();
    let listen = match sip.contains("listen =") {
        true => "",
        false => "listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n",
    };
    let codecs = match trunk.contains("codecs =") {
        true => "",
        false => "codecs = [\"pcmu\", \"pcma\"]\n",
    };
    format!(
        "dialplan = \"{here}/plan.toml\"\n\
             [http]\n\
             listen = \"127.0.0.1:0\"\n\
             [sip]\n{listen}{sip}\n\
             [media]\n\
             workers = 1\n\
             webrtc_port = 0\n\
             address = \"127.0.0.1\"\n\
             [store]\n\
             url = \"sqlite:{here}/crosspoint.db\"\n\
             [auth]\n\
             token_secret_file = \"{here}/token.key\"\n\
             [user.web]\n\
             country = \"DE\"\n\
             [trunk.phone]\n\
             target = \"{target}\"\n\
             accept_from = [\"127.0.0.1/32\"]\n\
             {codecs}{trunk}\n"
    )
}

fn serve_command(dir: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    command.current_dir(dir.path()).arg("serve").arg("--config").arg(dir.join("crosspoint.toml"));
    command
}

pub const LEVELS: &str = "info,crosspoint::gateway=debug";
