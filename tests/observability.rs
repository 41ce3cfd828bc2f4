//! Prometheus of the distribution scrapes the gateway; the rules and the dashboard of `deploy/` name only
//! what it gives. systemd is told when the gateway is ready and when it stops.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::gateway::Gateway;
use support::http::{get, request};
use support::process::{Process, run};
use support::{TempDir, free_port};

const PLAN: &str = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                    timezone = \"Europe/Berlin\"\n";

#[test]
fn prometheus_scrapes_and_the_rules_are_about_what_there_is() {
    let gateway = Gateway::serve(9, PLAN);
    let dir = TempDir::new("prometheus");
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let rules = deploy.join("alerts.yml");
    let check = run(Command::new("promtool").args(["check", "rules"]).arg(&rules));
    assert_eq!(check.code, Some(0), "{}{}", check.stdout, check.stderr);
    // The configuration of `deploy/`, with this gateway's port and a quick step.
    let config = fs::read_to_string(deploy.join("prometheus.yml")).unwrap();
    let authority = gateway.base.strip_prefix("http://").unwrap();
    let config = config.replace("127.0.0.1:8080", authority).replace("15s", "1s");
    fs::copy(&rules, dir.join("alerts.yml")).unwrap();
    fs::write(dir.join("prometheus.yml"), config).unwrap();
    let port = free_port();
    let mut command = Command::new("prometheus");
    command.current_dir(dir.path()).arg("--config.file=prometheus.yml");
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--storage.tsdb.path=data");
    let process = Process::start("prometheus", &mut command);
    process.line_with("Server is ready", Duration::from_secs(60));
    let base = format!("http://127.0.0.1:{port}");
    let ask = |query: &str| {
        let body = format!("query={}", query.replace('+', "%2B").replace('&', "%26"));
        let form = ["Content-Type: application/x-www-form-urlencoded"];
        request(&base, "POST", "/api/v1/query", &form, &body).json()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while ask("up{job=\"crosspoint\"}")["data"]["result"][0]["value"][1] != "1" {
        assert!(Instant::now() < deadline, "{}", get(&base, "/api/v1/targets", &[]).body);
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let trunk = ask("crosspoint_trunk_up");
    assert_eq!(trunk["data"]["result"][0]["metric"]["trunk"], "phone", "{trunk}");

    // A name that nothing gives is an alert that never fires, a panel that stays empty.
    let help = get(&gateway.base, "/metrics", &[]).body;
    let shown = help.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    // A family shows when it has its first sample; all of them are registered in one place.
    let source = include_str!("../src/telemetry/metrics.rs");
    let registered = source.split("registry.register(").skip(1);
    let registered = registered.filter_map(|rest| rest.split('"').nth(1));
    let given: BTreeSet<String> = registered
        .map(|name| format!("crosspoint_{name}"))
        .chain(shown.map(str::to_owned))
        .collect();
    let dashboard = fs::read_to_string(deploy.join("grafana/dashboards/crosspoint.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut queries: Vec<String> =
        targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    for query in &queries {
        assert_eq!(ask(query)["status"], "success", "{query}: {}", ask(query));
    }
    queries.push(fs::read_to_string(&rules).unwrap());
    for query in &queries {
        for name in names(query) {
            let base = ["_total", "_bucket", "_count", "_sum"];
            let base = base.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(given.contains(base), "{name} in {query:?} is none of {given:?}");
        }
    }
    assert!(panels.len() >= 12 && names(&queries[queries.len() - 1]).len() >= 8);
}

/// The metrics of ours that a text names.
fn names(text: &str) -> Vec<&str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(word).filter(|name| name.starts_with("crosspoint_")).collect()
}

#[test]
fn systemd_hears_that_it_is_ready_and_that_it_stops() {
    let dir = TempDir::new("notify");
    let path = dir.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = || {
        let mut bytes = [0; 256];
        let n = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    };
    let mut gateway = Gateway::serve_told(9, PLAN, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert!(hear().contains("READY=1"));
    gateway.process.signal("HUP");
    assert!(hear().contains("RELOADING=1"));
    assert!(hear().contains("READY=1"));
    gateway.process.signal("TERM");
    assert!(hear().contains("STOPPING=1"));
    assert!(gateway.process.wait(Duration::from_secs(30)).success());
}
