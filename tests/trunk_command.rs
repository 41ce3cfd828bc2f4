//! `crosspoint trunk list` and `trunk test` against a running gateway: a trunk that works, one that is
//! silent, one that refuses the password.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::certificates::Authority;
use support::gateway::Gateway;
use support::http;
use support::kamailio::Kamailio;
use support::process::{Finished, Process, run};
use support::raw_phone::{Manner, RawPhone};
use support::uas::{Manner as CarrierManner, Uas};

const PLAN: &str = "version = 1\nemergency = \"not-provided\"\n\
    [defaults]\ncountry = \"DE\"\ntimezone = \"Europe/Berlin\"\ncaller_id = \"office\"\n\
    [caller_id.office]\nnumber = \"+493012345670\"\n\
    [[outbound]]\nname = \"germany\"\nto = [\"+49.\"]\nroute = [\"phone\"]\n";

/// The command with the gateway's configuration, whose port the system chose.
fn trunk(gateway: &Gateway, arguments: &[&str]) -> Finished {
    let listen = gateway.base.strip_prefix("http://").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    command.arg("trunk").args(arguments).arg("--config").arg(gateway.dir.join("crosspoint.toml"));
    run(command.env("CROSSPOINT_HTTP__LISTEN", listen))
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|e| panic!("{e}: {}", finished.stdout))
}

fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let steps = report["steps"].as_array().unwrap();
    steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn a_trunk_that_works_is_said_to_in_words_and_in_json() {
    let phone = RawPhone::start(Manner::Answers);
    let gateway = Gateway::serve(phone.port, PLAN);
    let list = trunk(&gateway, &["list"]);
    assert_eq!(list.code, Some(0), "{}", list.stderr);
    assert!(list.stdout.starts_with("phone            up"), "{}", list.stdout);
    let test = trunk(&gateway, &["test", "phone", "--call", "+4930123456", "--output", "json"]);
    let report = json(&test);
    let call = step(&report, "call");
    assert_eq!(call["outcome"], "fine", "{report}");
    let found = call["found"].as_str().unwrap();
    assert!(
        found.contains("answers after") && found.contains("with Pcmu at 127.0.0.1:"),
        "{found}"
    );
    assert!(!found.contains("30123456"), "the number is masked: {found}");
    assert_eq!(step(&report, "register")["outcome"], "skipped");
    // What the plan keeps in is not called to try a trunk, either.
    let kept = trunk(&gateway, &["test", "phone", "--call", "+4319876543", "--output", "json"]);
    let kept = json(&kept);
    assert_eq!(step(&kept, "call")["outcome"], "failed", "{kept}");
    let found = step(&kept, "call")["found"].as_str().unwrap();
    assert!(found.contains("the dial plan does not send this call out"), "{found}");
    // The channel, the ports and the session are given back.
    let deadline = Instant::now() + Duration::from_secs(40);
    while http::metric(&gateway.base, "crosspoint_rtp_ports_in_use") > 0.0
        || http::metric(&gateway.base, "crosspoint_dialogs") > 0.0
    {
        assert!(Instant::now() < deadline, "something is left over");
    }
    let none = trunk(&gateway, &["test", "nowhere"]);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("no such trunk"), "{}", none.stderr);
}

/// Many carriers never say 180: the ringing is in their sound.
#[test]
fn a_trunk_that_says_183_works() {
    let carrier = Uas::start(CarrierManner::EarlyMediaThen(480));
    let gateway = Gateway::serve_target(&carrier.target(), PLAN, "");
    let test = trunk(&gateway, &["test", "phone", "--call", "+4930123456", "--output", "json"]);
    let report = json(&test);
    let call = step(&report, "call");
    assert_eq!(call["outcome"], "fine", "{report}");
    let found = call["found"].as_str().unwrap();
    assert!(found.contains("is on its way (183") && found.contains("with Pcma at"), "{found}");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let gateway = Gateway::serve(silent.local_addr().unwrap().port(), PLAN);
    let test = trunk(&gateway, &["test", "phone"]);
    assert_eq!(test.code, Some(1), "{}{}", test.stdout, test.stderr);
    assert!(
        test.stdout.contains("says nothing") && test.stdout.contains("firewall"),
        "{}",
        test.stdout
    );
    drop(gateway);

    let kamailio = Kamailio::start("MD5");
    let wrong = "username = \"acct\"\npassword = \"wrong\"\nregister = true";
    let gateway = Gateway::serve_trunk(kamailio.port, PLAN, wrong);
    let deadline = Instant::now() + Duration::from_secs(15);
    let list = loop {
        let list = trunk(&gateway, &["list"]);
        if !list.stdout.contains("not registered yet") {
            break list;
        }
        assert!(Instant::now() < deadline, "{}", list.stdout);
    };
    assert_eq!(list.code, Some(1), "{}", list.stderr);
    assert!(list.stdout.contains("refuses username or password"), "{}", list.stdout);
    let report =
        json(&trunk(&gateway, &["test", "phone", "--call", "+4930123456", "--output", "json"]));
    assert_eq!(step(&report, "options")["outcome"], "fine", "{report}");
    assert_eq!(step(&report, "register")["outcome"], "failed", "{report}");
    let call = step(&report, "call");
    assert_eq!(call["outcome"], "failed");
    assert!(call["found"].as_str().unwrap().contains("does not know the number"), "{report}");
    assert_eq!(report["passed"], false);
}

/// A trunk by TCP or TLS that is not reached: why, and what to do about it.
#[test]
fn what_keeps_a_stream_from_being_opened_is_said() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("trunk", "DNS:sip.trunk.example");
    let other = Authority::new();
    let port = support::free_port();
    let mut server = Command::new("openssl");
    server.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
    server.arg("-cert").arg(&cert).arg("-key").arg(&key);
    let server = Process::start_with_input("openssl", &mut server);
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let no_tls = plain.local_addr().unwrap().port();
    // It ends with the test.
    std::thread::spawn(move || {
        for stream in plain.incoming() {
            let _ = stream.unwrap().write_all(b"220 this is mail\r\n");
        }
    });
    let closed = support::free_port();
    let trunks = format!(
        "options_interval = \"0s\"\n\
         [trunk.closed]\ntarget = \"sip:127.0.0.1:{closed};transport=tcp\"\noptions_interval = \"0s\"\n\
         [trunk.name]\ntarget = \"sip:127.0.0.1:{port};transport=tls\"\noptions_interval = \"0s\"\n\
         tls = {{ ca = {ca:?} }}\n\
         [trunk.authority]\ntarget = \"sip:127.0.0.1:{port};transport=tls\"\n\
         options_interval = \"0s\"\ntls = {{ ca = {foreign:?}, name = \"sip.trunk.example\" }}\n\
         [trunk.plain]\ntarget = \"sip:127.0.0.1:{no_tls};transport=tls\"\noptions_interval = \"0s\"\n\
         tls = {{ ca = {ca:?} }}\n",
        ca = authority.file(),
        foreign = other.file(),
    );
    let gateway = Gateway::serve_trunk(support::free_port(), PLAN, &trunks);
    for (name, words) in [
        ("closed", "nothing listens there"),
        ("name", "its certificate is for sip.trunk.example, not for 127.0.0.1: set `tls.name`"),
        ("authority", "name its authority as `tls.ca`"),
        ("plain", "speaks no TLS"),
    ] {
        let test = trunk(&gateway, &["test", name]);
        assert_eq!(test.code, Some(1), "{name}: {}{}", test.stdout, test.stderr);
        assert!(test.stdout.contains(words), "{name}: {}", test.stdout);
    }
    drop((gateway, server));
}

#[test]
fn without_a_gateway_the_command_says_what_to_start() {
    let phone = RawPhone::start(Manner::Answers);
    let mut gateway = Gateway::serve(phone.port, PLAN);
    gateway.process.signal("TERM");
    gateway.process.wait(Duration::from_secs(20));
    let list = trunk(&gateway, &["list"]);
    assert_eq!(list.code, Some(2));
    assert!(list.stderr.contains("is `crosspoint serve` running"), "{}", list.stderr);
}
