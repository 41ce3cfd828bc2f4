//! The page of `examples/` as a site of its own would serve it: it places a call to baresip and takes
//! one from it.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::gateway::Gateway;
use support::phones::Baresip;
use support::plan::PHONE_AND_PAGE;
use support::process::Process;

#[test]
fn twenty_lines_place_a_call_and_take_one() {
    let page = include_str!("../examples/phone.html");
    let script = page.lines().skip_while(|line| !line.contains("<script")).count();
    assert!(script <= 20, "the script has {script} lines");
    let readme = include_str!("../README.md");
    assert!(readme.contains(page.trim_end()), "the README shows the example as it is");

    let phone = Baresip::start(880.0, -20.0);
    let gateway = Gateway::serve(phone.port, PHONE_AND_PAGE);
    let plan = json!({"base": gateway.base, "token": gateway.token(), "call": "700"});
    let mut command = Command::new("node");
    let web = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("web");
    command.current_dir(web).arg("test/example.mjs").arg(plan.to_string());
    let mut browser = Process::start("example", &mut command);
    browser.line_with("waiting", Duration::from_secs(60));
    let sip = gateway.sip_udp.unwrap();
    phone.dial(&format!("sip:+493012345670@127.0.0.1:{}", sip.port()));
    let line = browser.line_with("{\"ok\"", Duration::from_secs(60));
    let result: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(result["ok"], true, "{result:#}");
    let saw: Vec<&str> =
        result["saw"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    assert_eq!(saw[0], "ready");
    assert_eq!(saw[1].trim(), "active");
    assert!(saw[2].starts_with("ended ") && saw[4].starts_with("ended "), "{saw:?}");
    assert_eq!(saw[3].trim(), "active");
    browser.end(Duration::from_secs(10));
}
