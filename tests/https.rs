//! HTTPS from files: a client that knows the authority is served, and served by the next certificate when
//! the files change, without a new start.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::TempDir;
use support::certificates::Authority;
use support::gateway::Gateway;
use support::process::run;

const PLAN: &str = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                    timezone = \"Europe/Berlin\"\n";

/// Asks with a client that believes this authority only; its words.
fn ask(url: &str, authority: &Path) -> String {
    let script = "const [url] = process.argv.slice(1); fetch(url).then(async (answer) => { \
                  console.log(answer.status, answer.headers.get('strict-transport-security'), \
                  await answer.text()) }, (error) => console.log('refused', error.cause?.code))";
    let node =
        run(Command::new("node").env("NODE_EXTRA_CA_CERTS", authority).args(["-e", script, url]));
    node.stdout
}

#[test]
fn https_is_served_and_its_certificate_is_read_again() {
    let dir = TempDir::new("https");
    let (first, second) = (Authority::new(), Authority::new());
    let place = |authority: &Authority| {
        let (cert, key) = authority.issue("http", "DNS:localhost,IP:127.0.0.1");
        fs::copy(cert, dir.join("cert.pem")).unwrap();
        fs::copy(key, dir.join("key.pem")).unwrap();
    };
    place(&first);
    let here = dir.path().display();
    let own = TempDir::new("https-gateway");
    let folder = own.path().display();
    let config = format!(
        "dialplan = \"{folder}/plan.toml\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n\
         tls = {{ cert = \"{here}/cert.pem\", key = \"{here}/key.pem\" }}\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[media]\nworkers = 1\nwebrtc_port = 0\n\
         address = \"127.0.0.1\"\n[store]\nurl = \"sqlite:{folder}/crosspoint.db\"\n[auth]\n\
         token_secret_file = \"{folder}/token.key\"\n[trunk.phone]\ntarget = \"sip:127.0.0.1:9\"\n"
    );
    let gateway = Gateway::of_files(own, &config, PLAN, "info");
    let url = format!("{}/healthz", gateway.base.replace("http://127.0.0.1", "https://localhost"));
    let answer = ask(&url, &first.file());
    assert!(answer.starts_with("200 max-age=15768000 {\"status\":\"ok\"}"), "{answer}");
    assert!(ask(&url, &second.file()).starts_with("refused"), "another authority's client");
    place(&second);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ask(&url, &second.file()).starts_with("200") {
        assert!(Instant::now() < deadline, "{}", gateway.process.output());
    }
    assert!(ask(&url, &first.file()).starts_with("refused"));
    // A file that is broken leaves the one that works.
    fs::write(dir.join("cert.pem"), "nothing").unwrap();
    gateway.process.line_with("the old one serves", Duration::from_secs(60));
    assert!(ask(&url, &second.file()).starts_with("200"));
}
