//! A gateway that serves menus and mailboxes, and `crosspoint ivr` against it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::TempDir;
use super::gateway::Gateway;

/// The menu is an extension and a number; `5` of it is a number of the trunk's.
pub const PLAN: &str = r##"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
caller_id = "office"
[caller_id.office]
number = "+493023125600"
[extension]
"601" = "menu:top"
"600" = "app:echo"
[[outbound]]
name = "the other number"
to = ["620"]
route = ["phone"]
[[inbound]]
name = "menu"
did = ["+493023125600"]
flow = ["menu:top"]
[[inbound]]
name = "mailbox"
did = ["+493023125601"]
flow = ["user:web", "voicemail:reception"]
[[inbound]]
name = "mailbox alone"
did = ["+493023125602"]
flow = ["voicemail:reception"]
[voicemail.reception]
greeting = "prompts/unavailable.wav"
max = "1m"
notify = ["web"]
[menu.top]
prompt = "prompts/menu.wav"
invalid = "prompts/invalid.wav"
on_fail = "voicemail:reception"
[menu.top.press]
"1" = "user:web"
"2" = "app:dtmf-readback"
"3" = "menu:about"
"4" = "app:milliwatt"
"5" = "number:620"
"6" = "number:+12025550123"
"#" = "hangup"
[menu.about]
prompt = "prompts/about.wav"
on_fail = "menu:top"
[menu.about.press]
"*" = "menu:top"
"##;

/// `examples/ivr`, whose prompts the tests use.
pub fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ivr")
}

/// A gateway with the menus of [`PLAN`], whose trunk is this machine.
pub fn gateway(phone: u16) -> Gateway {
    gateway_with(phone, PLAN, |_| ())
}

/// The same with another plan, for which `prepare` may put sounds into the folder `prompts/`.
pub fn gateway_with(phone: u16, plan: &str, prepare: impl FnOnce(&Path)) -> Gateway {
    let dir = TempDir::new("ivr");
    fs::create_dir(dir.join("prompts")).unwrap();
    for entry in fs::read_dir(examples().join("prompts")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.join("prompts").join(path.file_name().unwrap())).unwrap();
    }
    prepare(&dir.join("prompts"));
    let here = dir.path().display();
    let config = format!(
        "dialplan = \"{here}/plan.toml\"\n[http]\nlisten = \"127.0.0.1:0\"\n[sip]\n\
         listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n[media]\nworkers = 2\n\
         webrtc_port = 0\naddress = \"127.0.0.1\"\n[store]\nurl = \"sqlite:{here}/crosspoint.db\"\n\
         voicemail = \"{here}/mail\"\n[auth]\ntoken_secret_file = \"{here}/token.key\"\n\
         [user.web]\ncountry = \"DE\"\n[user.desk]\n[trunk.phone]\ntarget = \"sip:127.0.0.1:{phone}\"\n\
         accept_from = [\"127.0.0.1/32\"]\ncodecs = [\"g722\", \"pcmu\", \"pcma\"]\n"
    );
    Gateway::of_files(dir, &config, plan, "info,crosspoint=debug")
}

/// `crosspoint ivr …`
pub fn ivr(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crosspoint")).arg("ivr").args(arguments).output().unwrap()
}

/// Runs a scenario against a gateway; all its cases must pass.
pub fn passes(gateway: &Gateway, name: &str, scenario: &str, more: &[&str]) -> Value {
    let file = gateway.dir.join(name);
    fs::write(&file, scenario).unwrap();
    let file = file.display().to_string();
    let sip = gateway.sip_udp.unwrap().to_string();
    // A machine that builds beside it may hold a frame back for longer than a call bears.
    let mut arguments = vec!["run", &file, "--sip", &sip, "--output", "json"];
    arguments.extend(["--retries", "6", "--parallel", "4"]);
    arguments.extend(more);
    let output = ivr(&arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = gateway.process.output();
    assert!(output.status.success(), "the gateway said:\n{said}\nall results:\n{text}\n{errors}");
    serde_json::from_str(&text).unwrap()
}

/// The body of a file.
pub fn download(base: &str, path: &str) -> Vec<u8> {
    let authority = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..body]));
    answer.split_off(body)
}
