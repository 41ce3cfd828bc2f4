//! The operator's pages in Chromium, over a demo and a call of its web phone: the login, the live call,
//! its ladder, plots and digits, trunks, the plan's editor, records; `axe` on every screen.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::gateway::Gateway;
use support::http::{get, records};
use support::process::{Process, run};

#[test]
fn the_operator_sees_a_call_of_the_web_phone_and_ends_it() {
    let gateway = Gateway::demo();
    let key = fs::read_to_string(gateway.dir.join("crosspoint-demo.key")).unwrap();
    // `CROSSPOINT_SHOTS=docs/images` makes the README's pictures anew.
    let shots = std::env::var_os("CROSSPOINT_SHOTS")
        .map(|folder| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder).display().to_string());
    let reported = report_a_run(&gateway);
    let saw = drive(&json!({"base": gateway.base, "key": key.trim(), "shots": shots}));
    assert_eq!(saw["without"], 401);
    assert!(
        saw["wrong"].as_str().unwrap().contains("not one of this gateway's"),
        "{}",
        saw["wrong"]
    );
    assert_eq!(saw["cookie"], "", "scripts cannot read the login");
    let live = saw["live"].as_str().unwrap();
    assert!(live.contains("603") && live.contains("carrier"), "{live}");
    assert!(saw["address"].as_str().unwrap().starts_with("/admin/calls/call_"));
    let steps: Vec<&str> =
        saw["steps"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
    let place = |what: &str| {
        steps.iter().position(|step| *step == what).unwrap_or_else(|| panic!("{what}: {steps:#?}"))
    };
    let order = ["signal call.start", "sip INVITE", "sip 200 OK (INVITE)", "sip ACK"].map(place);
    assert!(order.is_sorted(), "{steps:#?}");
    assert!(place("media ICE and DTLS up") > place("signal call.start"));
    assert!(!format!("{saw}").contains("4711"), "keys are secrets");
    assert_eq!(saw["plots"], 5);
    assert_eq!(saw["pcap"], json!([0xd4, 0xc3, 0xb2, 0xa1]));
    assert!(saw["ended"].as_str().unwrap().contains("hangup"), "{}", saw["ended"]);
    assert!(saw["scrolled"].as_u64() > Some(0), "{}", saw["scrolled"]);
    assert_eq!(saw["finds"], 0, "the fourth line is seen");
    assert!(saw["finding"].as_str().unwrap().contains("nonsense"), "{}", saw["finding"]);
    assert!(saw["diff"].as_str().unwrap().contains("+ nonsense = 2"), "{}", saw["diff"]);
    assert_eq!(saw["blocked"], true);
    assert!(saw["trace"].as_str().unwrap().contains("605"), "{}", saw["trace"]);
    assert_eq!(saw["inForce"], true);
    assert_eq!(saw["asTyped"], true);
    assert_eq!(saw["search"], "?user=nobody");
    assert!(saw["csv"][0].as_str().unwrap().starts_with("id,direction,"), "{}", saw["csv"]);
    assert_eq!(saw["thousand"]["sees"], true, "{}", saw["thousand"]);
    assert!(saw["thousand"]["rows"].as_u64().unwrap() <= 40, "{}", saw["thousand"]);
    assert_eq!(saw["thousand"]["count"], "1000");
    assert!(saw["thousand"]["drawn"].as_u64().unwrap() <= 121, "once a frame: {}", saw["thousand"]);
    // Not a limit: what else the machine does is in it.
    println!("1,000 live calls that all change, scrolled through: {}", saw["thousand"]);
    assert!(saw["recording"].as_str().unwrap().starts_with("/admin/recordings/rec_"));
    assert_eq!(saw["wave"], json!([true, false, false, true]), "caller above, callee below");
    let axe = saw["axe"].as_object().unwrap();
    assert!(saw["version"].as_str().unwrap().starts_with("?version="), "{}", saw["version"]);
    assert_eq!(saw["run"], reported);
    let failure = saw["failure"].as_str().unwrap();
    assert!(failure.contains("wrong greeting") && failure.contains("about"), "{failure}");
    assert!(saw["case"].as_str().unwrap().starts_with("?case="), "{}", saw["case"]);
    assert_eq!(axe.len(), 12, "{axe:#?}");
    assert!(axe.values().all(|own| own == &json!([])), "{axe:#?}");
    let record = &records(&gateway.base)[0];
    assert_eq!((&record["cause"], &record["ended_by"]), (&json!("hangup"), &json!("gateway")));
    pcap_is_read_by_tshark(&gateway, record["id"].as_str().unwrap());
}

/// Two scenarios on a plan without a gateway, one of which is wrong; where the gateway shows what came of
/// them.
fn report_a_run(gateway: &Gateway) -> String {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/ivr");
    let here = examples.display();
    let wrong = format!(
        "version: 1\nname: wrong greeting\ntarget: \"did:+493012345670\"\nat: \"2026-11-23T22:00+01:00\"\n\
         via: loopback\nplan: {here}/night-plan.toml\nprompts: {here}/prompts/\nsteps:\n  \
         - name: greeting\n    expect: {{ prompt: {{ file: about.wav, within: 1s }} }}\n"
    );
    fs::write(gateway.dir.join("wrong.yaml"), wrong).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    command.current_dir(gateway.dir.path()).args(["ivr", "run"]);
    command.arg(examples.join("night.yaml")).arg("wrong.yaml");
    let told = run(command.args(["--report-to", &gateway.base]));
    assert_eq!(told.code, Some(1), "{}{}", told.stdout, told.stderr);
    let told = told.stdout.lines().find_map(|line| line.strip_prefix("reported: "));
    told.unwrap().strip_prefix(&*gateway.base).unwrap().to_owned()
}

/// What the gateway kept of the call is what Wireshark reads in its file.
fn pcap_is_read_by_tshark(gateway: &Gateway, id: &str) {
    let kept = get(&gateway.base, &format!("/v1/calls/{id}/signalling"), &[]).json();
    let kept = kept["items"].as_array().unwrap();
    let file = gateway.dir.join("call.pcap");
    let authority = gateway.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(stream, "GET /v1/calls/{id}/pcap HTTP/1.0\r\nHost: {authority}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    fs::write(&file, &answer[head + 4..]).unwrap();
    let read = run(Command::new("tshark").args([
        "-r",
        file.to_str().unwrap(),
        "-d",
        "udp.port==1-65535,sip",
        "-o",
        "ip.check_checksum:TRUE",
        "-T",
        "fields",
        "-e",
        "sip.Method",
        "-e",
        "sip.Status-Code",
        "-e",
        "ip.checksum.status",
    ]));
    assert!(read.code == Some(0), "{}", read.stderr);
    let lines: Vec<&str> = read.stdout.lines().collect();
    assert_eq!(lines.len(), kept.len(), "{}", read.stdout);
    for (line, own) in lines.iter().zip(kept) {
        let words: Vec<&str> = line.split('\t').collect();
        let said = if words[0].is_empty() { words[1] } else { words[0] };
        assert!(own["summary"].as_str().unwrap().starts_with(said), "{line}: {own}");
        assert_eq!(words[2], "1", "the checksum is right: {line}");
    }
}

fn drive(plan: &Value) -> Value {
    let web = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("web");
    let mut command = Command::new("node");
    command.arg("test/admin.mjs").current_dir(web).arg(plan.to_string());
    let mut process = Process::start("admin", &mut command);
    process.wait(Duration::from_secs(240));
    let line = process.line_with("{\"ok\"", Duration::from_secs(5));
    let result: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(result["ok"], json!(true), "{result:#}");
    result["saw"].clone()
}
