//! HTTPS from an authority that speaks ACME, and from files: a client that knows the authority is served, and served by the next certificate when
//! the files change, without a new start.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::certificates::Authority;
use support::gateway::Gateway;
use support::process::{Process, run};
use support::{TempDir, free_port};

const PLAN: &str = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                    timezone = \"Europe/Berlin\"\n";

/// pebble, the test authority of Let's Encrypt; the challenge is looked for at `port`.
struct Pebble {
    directory: String,
    /// Where its roots are asked for.
    management: String,
    process: Process,
    _names: Process,
}

impl Pebble {
    fn start(dir: &TempDir, authority: &Authority, port: u16) -> Pebble {
        let (cert, key) = authority.issue("pebble", "DNS:localhost,IP:127.0.0.1");
        let (listen, management) = (free_port(), free_port());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{listen}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": cert, "privateKey": key, "httpPort": free_port(), "tlsPort": port,
            "ocspResponderURL": "", "externalAccountBindingRequired": false } });
        fs::write(dir.join("pebble.json"), config.to_string()).unwrap();
        // A name server that says 127.0.0.1 whatever it is asked.
        let (dns, manage) = (free_port(), free_port());
        let mut command = Command::new("pebble-challtestsrv");
        command.args(["-dns01", &format!("127.0.0.1:{dns}"), "-defaultIPv4", "127.0.0.1"]);
        command.args(["-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""]);
        command.args(["-management", &format!("127.0.0.1:{manage}")]);
        let names = Process::start("pebble-challtestsrv", &mut command);
        let mut command = Command::new("pebble");
        command.args(["-dnsserver", &format!("127.0.0.1:{dns}")]);
        command.arg("-config").arg(dir.join("pebble.json"));
        // It waits and refuses at random, so that clients learn to live with it; not here.
        command.envs([
            ("PEBBLE_VA_NOSLEEP", "1"),
            ("PEBBLE_WFE_NONCEREJECT", "0"),
            ("PEBBLE_AUTHZREUSE", "100"),
        ]);
        let process = Process::start("pebble", &mut command);
        process.line_with("ACME directory available", Duration::from_secs(60));
        Pebble {
            directory: format!("https://localhost:{listen}/dir"),
            management: format!("https://localhost:{management}"),
            process,
            _names: names,
        }
    }
}

/// Asks the gateway at this port by the name that its certificate is for.
fn ask_as(name: &str, port: u16, authority: &Path) -> String {
    let script = "const [name, port] = process.argv.slice(1); const { get } = require('node:https'); \
                  get({ host: '127.0.0.1', port, servername: name, path: '/healthz', headers: { host: name } }, \
                  (answer) => { console.log(answer.statusCode); answer.resume(); })\
                  .on('error', (error) => console.log('refused', error.code))";
    let port = port.to_string();
    let mut command = Command::new("node");
    command.env("NODE_EXTRA_CA_CERTS", authority).args(["-e", script, name, &port]);
    run(&mut command).stdout
}

#[test]
fn a_certificate_is_got_from_an_authority_and_kept() {
    let dir = TempDir::new("acme");
    let authority = Authority::new();
    let port = free_port();
    let pebble = Pebble::start(&dir, &authority, port);
    let own = TempDir::new("acme-gateway");
    let folder = own.path().display();
    let config = format!(
        "dialplan = \"{folder}/plan.toml\"\n\
         [http]\nlisten = \"127.0.0.1:{port}\"\n\
         acme = {{ domain = \"phone.example.com\", contact = \"me@example.com\", folder = \"acme\", \
         directory = \"{}\", ca = \"{}\" }}\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[media]\nworkers = 1\nwebrtc_port = 0\n\
         address = \"127.0.0.1\"\n[store]\nurl = \"sqlite:{folder}/crosspoint.db\"\n[auth]\n\
         token_secret_file = \"{folder}/token.key\"\n[trunk.phone]\ntarget = \"sip:127.0.0.1:9\"\n",
        pebble.directory,
        authority.file().display()
    );
    let gateway = Gateway::of_files(own, &config, PLAN, "info");
    gateway.process.has_said("a new certificate serves", Duration::from_secs(120));
    // pebble has made its root at its start; a client that believes it is served under the name.
    let root = ask(&format!("{}/roots/0", pebble.management), &authority.file());
    let root = root.split_once("-----BEGIN").map(|(_, rest)| format!("-----BEGIN{rest}"));
    let root_file = dir.join("root.pem");
    fs::write(&root_file, root.expect("pebble gives its root")).unwrap();
    let ask_for = |name: &str, authority: &Path| ask_as(name, port, authority);
    let answer = ask_for("phone.example.com", &root_file);
    assert!(answer.starts_with("200"), "{answer}");
    assert!(ask_for("other.example.com", &root_file).starts_with("refused"));
    assert!(ask_for("phone.example.com", &authority.file()).starts_with("refused"));
    let kept = gateway.dir.join("acme");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&kept).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700, "nobody else reads its keys");
    // Another start serves the one that is kept, with no authority at all.
    drop(pebble.process);
    let gateway = gateway.kill_and_start_again();
    gateway.process.has_said("the certificate that was kept serves", Duration::from_secs(60));
    let answer = ask_for("phone.example.com", &root_file);
    assert!(answer.starts_with("200"), "{answer}{}", gateway.process.output());
}

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
