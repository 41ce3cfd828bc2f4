//! Trunks that register, and callers that show a password: sipp as a registrar with every whim of
//! RFC 3261 10.3, kamailio as a carrier's registrar and proxy, sipp as the caller behind it.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::gateway::Gateway;
use support::kamailio::Kamailio;
use support::process::Process;
use support::{TempDir, free_port, http};

const PLAN: &str = "version = 1\nemergency = \"not-provided\"\n\
    [defaults]\ncountry = \"DE\"\ntimezone = \"Europe/Berlin\"\n\
    [[inbound]]\nname = \"desk\"\ndid = [\"+4930123456\"]\nflow = [\"user:web\"]\n";

const LIMIT: Duration = Duration::from_secs(15);

fn sipp(scenario: &str, dir: &TempDir, arguments: &[String]) -> Process {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(scenario);
    let mut command = Command::new("sipp");
    command.current_dir(dir.path()).arg("-sf").arg(file);
    command.args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-m", "1", "-nostdin", "-nd"]);
    command.args(["-timeout", "30", "-timeout_error", "-trace_logs", "-log_file"]);
    command.arg(dir.join("log")).args(["-trace_err"]).args(arguments);
    Process::start("sipp", &mut command)
}

fn log(dir: &TempDir) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}

fn trunk(gateway: &Gateway) -> Value {
    http::get(&gateway.base, "/v1/trunks", &[]).json()["items"][0].clone()
}

/// Waits until the trunk is as `wanted` says.
fn wait_for(gateway: &Gateway, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + LIMIT;
    loop {
        let trunk = trunk(gateway);
        if wanted(&trunk) {
            return trunk;
        }
        assert!(Instant::now() < deadline, "not {what}: {trunk}");
    }
}

#[test]
fn a_registrar_with_every_whim_is_satisfied_and_told_when_we_leave() {
    let (dir, port) = (TempDir::new("registrar"), free_port());
    let mut registrar = sipp("uas_registrar.xml", &dir, &["-p".into(), port.to_string()]);
    let settings = "username = \"acct\"\npassword = \"open sesame\"\nregister = true\n\
                    register_expires = \"10s\"\noptions_interval = \"0s\"";
    let mut gateway = Gateway::serve_trunk(port, PLAN, settings);
    let trunk = wait_for(&gateway, "registered for 600 s", |trunk| {
        trunk["registration"]["expires_in_ms"].as_u64().is_some_and(|ms| ms > 60_000)
    });
    assert_eq!(
        (&trunk["registration"]["state"], &trunk["state"]),
        (&"registered".into(), &"up".into())
    );
    assert_eq!(http::metric(&gateway.base, "crosspoint_trunk_registered{trunk=\"phone\"}"), 1.0);
    gateway.process.signal("TERM");
    assert!(gateway.process.wait(LIMIT).success());
    let status = registrar.wait(LIMIT);
    assert!(status.success(), "sipp is not content: {}\n{}", registrar.output(), log(&dir));
    let said = log(&dir);
    assert!(said.contains("CONTACT sip:acct@127.0.0.1:"), "{said}");
    assert!(said.contains("LEFT"), "{said}");
}

#[test]
fn a_wrong_password_is_said_and_not_tried_again_soon() {
    let kamailio = Kamailio::start("MD5");
    let settings = "username = \"acct\"\npassword = \"wrong\"\nregister = true";
    let gateway = Gateway::serve_trunk(kamailio.port, PLAN, settings);
    let trunk = wait_for(&gateway, "refused", |trunk| {
        trunk["registration"]["reason"].as_str().is_some_and(|why| why.contains("(401)"))
    });
    let reason = "the registrar refuses username or password (401)";
    assert_eq!(trunk["registration"]["reason"], reason);
    assert_eq!(trunk["state"], "down");
    let ready = http::get(&gateway.base, "/readyz", &[]).json();
    assert_eq!(ready["trunks"], "1 of 1 are down");
}

/// Calls `acct` through kamailio, which knows where the gateway is from its registration only.
#[test]
fn a_call_finds_the_gateway_by_its_registration_at_kamailio() {
    for algorithm in ["MD5", "SHA-256"] {
        let kamailio = Kamailio::start(algorithm);
        let settings = "username = \"acct\"\npassword = \"secret\"\nregister = true";
        let gateway = Gateway::serve_trunk(kamailio.port, PLAN, settings);
        wait_for(&gateway, "registered", |trunk| trunk["registration"]["state"] == "registered");
        let dir = TempDir::new("caller");
        let mut caller = sipp(
            "uac_refused.xml",
            &dir,
            &[
                format!("127.0.0.1:{}", kamailio.port),
                "-s".into(),
                "acct".into(),
                "-key".into(),
                "called".into(),
                "+4930123456".into(),
                "-p".into(),
                free_port().to_string(),
            ],
        );
        let status = caller.wait(Duration::from_secs(30));
        assert!(status.success(), "{}\n{}", caller.output(), log(&dir));
        assert!(log(&dir).contains("GOT 480"), "{}", log(&dir));
        http::no_call_is_on(&gateway.base);
        let record = &http::closed_records(&gateway.base, 1)[0];
        assert_eq!(record["trunk"], "phone", "{record}");
        assert_eq!(record["to"]["number"], "+4930123456", "the number is in To: {record}");
    }
}

#[test]
fn callers_of_a_trunk_with_a_password_show_it() {
    let port = free_port();
    let settings = "caller_username = \"carrier\"\ncaller_password = \"let me in\"\n\
                    caller_digest = \"md5\"\n\
                    options_interval = \"0s\"";
    let gateway = Gateway::serve_trunk(port, PLAN, settings);
    let sip = gateway.sip_udp.unwrap();
    for (user, password, said, records) in [
        ("carrier", "let me in", "GOT 480", 1),
        ("carrier", "wrong", "GOT 401 AGAIN", 1),
        ("nobody", "let me in", "GOT 401 AGAIN", 1),
    ] {
        let dir = TempDir::new("caller");
        let mut caller = sipp(
            "uac_refused.xml",
            &dir,
            &[
                sip.to_string(),
                "-s".into(),
                "+4930123456".into(),
                "-key".into(),
                "called".into(),
                "+4930123456".into(),
                "-au".into(),
                user.into(),
                "-ap".into(),
                password.into(),
                // Without it sipp signs another URI than the one it calls.
                "-auth_uri".into(),
                format!("+4930123456@{sip}"),
                "-p".into(),
                free_port().to_string(),
            ],
        );
        let status = caller.wait(Duration::from_secs(30));
        assert!(status.success(), "{}\n{}", caller.output(), log(&dir));
        let log = log(&dir);
        assert!(log.starts_with("GOT 401") && log.contains(said), "{user}: {log}");
        http::no_call_is_on(&gateway.base);
        let deadline = Instant::now() + LIMIT;
        while http::records(&gateway.base).len() != records {
            assert!(Instant::now() < deadline, "{:?}", http::records(&gateway.base));
        }
    }
}
