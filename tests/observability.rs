//! Prometheus of the distribution scrapes the gateway; the rules and the dashboard of `deploy/` name only
//! what it gives. systemd is told when the gateway is ready and when it stops.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use prost::Message;
use serde_json::{Value, json};
use support::gateway::{Gateway, gateway_config};
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

/// Takes requests as an OpenTelemetry collector does; the first one is asked to come again.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length = length.split("\r\n").next().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let status = if n == 0 { "503 Service Unavailable" } else { "200 OK" };
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            // The test may be over.
            let _ = tell.send((head, body));
        }
    });
    (endpoint, told)
}

/// kamailio with the module that was Homer's collector; it says each chunk of what it gets.
fn homer(port: u16) -> (TempDir, Process) {
    let dir = TempDir::new("homer");
    let here = dir.path().display().to_string();
    fs::create_dir(dir.join("db")).unwrap();
    let config = format!(
        "#!KAMAILIO\ndebug=2\nlog_stderror=yes\nchildren=1\ndisable_tcp=yes\nlisten=udp:127.0.0.1:{port}\n\
         loadmodule \"pv.so\"\nloadmodule \"xlog.so\"\nloadmodule \"db_text.so\"\nloadmodule \"sipcapture.so\"\n\
         modparam(\"sipcapture\", \"db_url\", \"text://{here}/db\")\n\
         modparam(\"sipcapture\", \"hep_capture_on\", 1)\nmodparam(\"sipcapture\", \"nonsip_hook\", 1)\n\
         request_route {{ drop; }}\nevent_route[sipcapture:request] {{\n xlog(\"L_ERR\", \"HEP|$hep(version)\
         |$hep(0x002)|$hep(0x003)|$hep(0x004)|$hep(0x008)|$hep(0x00b)|$hep(0x00c)|$hep(0x00e)|$hep(0x011)\
         |$(hep(0x00f){{line.at,0}})|\\n\");\n drop;\n}}\n"
    );
    fs::write(dir.join("kamailio.cfg"), config).unwrap();
    let mut command = Command::new("kamailio");
    command.args(["-DD", "-E", "-m", "64", "-f"]).arg(dir.join("kamailio.cfg"));
    command.arg("-P").arg(dir.join("pid")).arg("-Y").arg(dir.path());
    let process = Process::start("kamailio", &mut command);
    process.line_with("using database at", Duration::from_secs(60));
    (dir, process)
}

#[test]
fn a_call_is_a_trace_and_its_messages_are_captured() {
    // A page calls the carrier of a demo through a gateway of its own.
    let demo = Gateway::demo();
    let carrier = demo.carrier().port();
    let (endpoint, told) = collector();
    let homer_port = free_port();
    let (_folder, homer) = homer(homer_port);
    let dir = TempDir::new("gateway");
    let config = gateway_config(&dir, carrier)
        + &format!(
            "[otlp]\nendpoint = \"{endpoint}\"\nservice = \"test-gateway\"\nauthorization = \"Bearer t\"\n\
             [trunk.dead]\ntarget = \"sip:127.0.0.1:9;transport=tcp\"\noptions_interval = \"0s\"\n\
             [hep]\ncollector = \"127.0.0.1:{homer_port}\"\ncapture_id = 77\npassword = \"hunter2\"\n"
        );
    let plan = format!(
        "{PLAN}caller_id = \"own\"\n[caller_id.own]\nnumber = \"+493023125600\"\n[[outbound]]\nname = \"lines\"\nto = [\"60[0-8]\"]\nroute = [\"phone\"]\n\
         [[outbound]]\nname = \"nobody\"\nto = [\"609\"]\nroute = [\"dead\"]\n"
    );
    let gateway = Gateway::of_files(dir, &config, &plan, "info");
    let called = run(&mut page_calls(&gateway, "603", "  - name: keys\n    press: \"12\"\n"));
    assert_eq!(called.code, Some(0), "{}{}", called.stdout, called.stderr);

    let wait = Duration::from_secs(60);
    let (_, refused) = told.recv_timeout(wait).unwrap();
    let (head, body) = told.recv_timeout(wait).expect("what was refused with 503 comes again");
    assert_eq!(refused, body);
    for line in ["post /v1/traces http/1.1", "content-type: application/x-protobuf", "bearer t"] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    // The types of the OpenTelemetry project read it.
    let request = ExportTraceServiceRequest::decode(&*body).unwrap();
    let read = as_others_read_it(&gateway, &body);
    let resource = &request.resource_spans[0];
    let text = |attributes: &[KeyValue], key: &str| {
        let own = attributes.iter().find(|own| own.key == key);
        let value = own.and_then(|own| own.value.clone()).and_then(|own| own.value);
        match value {
            Some(any_value::Value::StringValue(text)) => text,
            Some(any_value::Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        }
    };
    let about = &resource.resource.as_ref().unwrap().attributes;
    assert_eq!(text(about, "service.name"), "test-gateway");
    let spans = &resource.scope_spans[0].spans;
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    let all = |name: &str| spans.iter().filter(move |span| span.name == name).collect::<Vec<_>>();
    let one = |name: &str| {
        let found = all(name);
        assert_eq!(found.len(), 1, "{name} in {names:?}");
        found[0]
    };
    let (root, page, trunk) = (one("call outbound"), one("leg page"), one("leg trunk"));
    let (ice, invite, bye) = (one("ICE and DTLS"), one("SIP INVITE"), one("SIP BYE"));
    let record = &get(&gateway.base, "/v1/cdrs", &[]).json()["items"][0];
    let id = record["id"].as_str().unwrap();
    let octets = ulid::Ulid::from_string(id.strip_prefix("call_").unwrap()).unwrap().to_bytes();
    for span in spans {
        assert_eq!(span.trace_id, octets, "the trace has the call's id");
        assert_eq!(span.span_id.len(), 8);
        assert!(root.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano, "{span:?}");
    }
    for (span, parent) in [(page, root), (trunk, root), (ice, page), (invite, trunk), (bye, trunk)]
    {
        assert_eq!(span.parent_span_id, parent.span_id, "{} in {}", span.name, parent.name);
    }
    assert!(root.parent_span_id.is_empty() && root.status.is_none());
    // Their own reader in another language sees the same: kinds, parents, times.
    assert_eq!(read.len(), spans.len());
    for (read, span) in read.iter().zip(spans) {
        let hex = |id: &[u8]| id.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        assert_eq!(read["traceId"], hex(&octets), "{read}");
        assert_eq!(read["spanId"], hex(&span.span_id), "{read}");
        assert_eq!(
            read["parentSpanId"].as_str().unwrap_or(""),
            hex(&span.parent_span_id),
            "{read}"
        );
        assert_eq!(read["name"], span.name, "{read}");
        assert_eq!(read["startTimeUnixNano"], span.start_time_unix_nano.to_string(), "{read}");
        assert_eq!(read["endTimeUnixNano"], span.end_time_unix_nano.to_string(), "{read}");
        let kind = match &*span.name {
            "call outbound" | "leg page" => "SPAN_KIND_SERVER",
            "ICE and DTLS" => "SPAN_KIND_INTERNAL",
            _ => "SPAN_KIND_CLIENT",
        };
        assert_eq!(read["kind"], kind, "{read}");
    }
    let at = |name: &str| record[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let ms = |nanos: u64| (nanos / 1_000_000) as i64;
    assert_eq!(ms(root.start_time_unix_nano), at("started_at").as_millisecond(), "{record}");
    // The answer to BYE comes a moment after the end.
    let after = ms(root.end_time_unix_nano) - at("ended_at").as_millisecond();
    assert!((0..32_000).contains(&after), "{after} ms after the record's end: {record}");
    assert_eq!(text(&root.attributes, "call.id"), id);
    assert_eq!(text(&root.attributes, "trunk.id"), "phone");
    assert_eq!(text(&invite.attributes, "sip.status"), "200");
    assert_eq!(text(&trunk.attributes, "network.peer.port"), carrier.to_string());
    assert!(page.events.iter().any(|event| event.name == "call.start"), "{page:?}");
    let digits: Vec<_> = trunk
        .events
        .iter()
        .filter(|event| event.name == "digit" && text(&event.attributes, "direction") == "out")
        .collect();
    assert_eq!(digits.len(), 2, "{trunk:?}");
    for digit in digits {
        let keys: Vec<&str> = digit.attributes.iter().map(|own| &*own.key).collect();
        assert_eq!(keys, ["direction", "mode", "duration_ms"], "never which digit it was");
    }

    // Homer's reader has the same call, every message under its id.
    homer.line_with("BYE sip:", wait);
    homer.line_with("SIP/2.0 200", wait);
    let output = homer.output();
    let captured: Vec<Vec<&str>> = output
        .lines()
        .filter_map(|line| Some(line.split_once("HEP|")?.1.split('|').collect()))
        .collect();
    let sip: Vec<_> = captured.iter().filter(|own| own[5] == "1").collect();
    assert!(sip.len() >= 5, "{captured:#?}");
    for own in &captured {
        assert_eq!((own[0], own[6], own[7], own[8]), ("3", "77", "hunter2", id), "{own:?}");
    }
    let first = sip[0];
    assert!(first[9].starts_with("INVITE sip:603@"), "{first:?}");
    assert_eq!(first[1..5], ["17", "127.0.0.1", "127.0.0.1", &carrier.to_string()], "{first:?}");
    let pages: Vec<Value> = captured
        .iter()
        .filter(|own| own[5] == "100")
        .map(|own| serde_json::from_str(own[9]).unwrap())
        .collect();
    assert!(
        pages.iter().any(|own| own["type"] == "call.start" && own["from"] == "page"),
        "{pages:?}"
    );

    // What fails has the status of an error, what was refused by the one who was called has none.
    for (number, cause, calls_status, said) in [
        ("605", "busy", &Value::Null, "486 Busy Here"),
        ("609", "unreachable", &json!("STATUS_CODE_ERROR"), "no final response"),
    ] {
        let answer = run(&mut page_calls(&gateway, number, ""));
        assert_ne!(answer.code, Some(0), "{}", answer.stdout);
        let (_, body) = told.recv_timeout(wait).unwrap();
        let spans = as_others_read_it(&gateway, &body);
        let named = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
        let root = named("call outbound");
        assert_eq!(attribute(root, "call.cause"), cause, "{root}");
        assert_eq!(&root["status"]["code"], calls_status, "{root}");
        let invite = named("SIP INVITE");
        assert_eq!(invite["status"]["code"], "STATUS_CODE_ERROR", "{invite}");
        assert_eq!(invite["status"]["message"], said, "{invite}");
    }
    // A collector that is gone costs its traces and nothing else.
    assert_eq!(get(&gateway.base, "/readyz", &[]).status, 200);
}

/// The call of a page to a number that is answered, with these steps after it.
fn page_calls(gateway: &Gateway, number: &str, steps: &str) -> Command {
    let scenario = gateway.dir.join(&format!("{number}.yaml"));
    let text = format!(
        "version: 1\nname: traced\ntarget: \"{number}\"\nvia: browser\nsteps:\n  - name: answered\n    \
         expect:\n      sip: {{ status: 200, within: 30s }}\n{steps}"
    );
    fs::write(&scenario, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    command.current_dir(gateway.dir.path()).args(["ivr", "run"]).arg(&scenario);
    command.args(["--url", &gateway.base, "--token", &gateway.token()]);
    command
}

/// The spans as the OpenTelemetry project's own definitions have them (from PyPI), which know every field
/// and would write the same octets; they are of one gateway, `test-gateway`.
fn as_others_read_it(gateway: &Gateway, body: &[u8]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/otlp/bin/python");
    assert!(python.exists(), "OpenTelemetry's definitions are missing: run tools/setup.sh test");
    let file = gateway.dir.join("request.pb");
    fs::write(&file, body).unwrap();
    let read = run(Command::new(python).arg(root.join("tests/otlp/read.py")).arg(file));
    assert_eq!(read.code, Some(0), "{}", read.stderr);
    let request: Value = serde_json::from_str(&read.stdout).unwrap();
    let [resource] = &request["resourceSpans"].as_array().unwrap()[..] else { panic!("{request}") };
    assert_eq!(attribute(&resource["resource"], "service.name"), "test-gateway", "{request}");
    assert_eq!(resource["scopeSpans"][0]["scope"]["name"], "crosspoint", "{request}");
    resource["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn attribute<'a>(of: &'a Value, key: &str) -> &'a Value {
    let all = of["attributes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|own| own["key"] == key);
    found.map_or(&Value::Null, |own| &own["value"]["stringValue"])
}

/// Every text in a piece of YAML.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Object(table) => table.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_containers_fit_together() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let compose: Value = serde_saphyr::from_str(&read("docker-compose.yml")).unwrap();
    let services = compose["services"].as_object().unwrap();
    let volumes = compose["volumes"].as_object().unwrap();
    for (name, service) in services {
        // What is mounted is there, or is a volume.
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            let there = match source.strip_prefix("./") {
                Some(file) => root.join(file).is_file(),
                None => volumes.contains_key(source),
            };
            assert!(there, "{name}: {volume}");
        }
        assert!(service["healthcheck"].is_object(), "{name} has no health check");
        for needed in service["depends_on"].as_object().into_iter().flat_map(|own| own.keys()) {
            assert!(services.contains_key(needed), "{name} needs {needed}");
            // A service of one network cannot wait for one of the other.
            let profile = &services[needed]["profiles"];
            assert!(profile.is_null() || *profile == service["profiles"], "{name}: {needed}");
        }
    }
    // Both networks have the same parts; `docker compose up` takes the first without a word.
    for part in ["gateway", "coturn", "prometheus", "grafana"] {
        let (bridge, host) = (&services[part], &services[&format!("{part}-host")]);
        assert_eq!(bridge["profiles"][0], "bridge");
        assert_eq!((&host["profiles"][0], &host["network_mode"]), (&"host".into(), &"host".into()));
        assert_eq!(
            (&bridge["image"], &bridge["healthcheck"]),
            (&host["image"], &host["healthcheck"])
        );
    }
    assert!(read(".env").lines().any(|line| line == "COMPOSE_PROFILES=bridge"));

    // The secrets are made once, and nobody else reads the gateway's own.
    let dir = TempDir::new("compose");
    let secrets = dir.join("secrets");
    fs::create_dir(&secrets).unwrap();
    let script = root.join("deploy/compose/make-secrets.sh");
    let make = || run(Command::new("bash").arg(&script).arg(&secrets));
    assert_eq!(make().code, Some(0), "{}", make().stderr);
    let token = fs::read_to_string(secrets.join("token.key")).unwrap();
    assert_eq!(make().code, Some(0));
    assert_eq!(fs::read_to_string(secrets.join("token.key")).unwrap(), token);
    assert_eq!(token.len(), 48, "192 bits in hex");
    let pass = fs::metadata(secrets.join("pgpass")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&pass.permissions()) & 0o777, 0o600);
    for text in texts(&compose).into_iter().filter(|text| text.starts_with("/secrets/")) {
        assert!(secrets.join(&text["/secrets/".len()..]).is_file(), "{text} is not made");
    }

    // The gateway takes its configuration and environment, and its health check finds it healthy.
    let place = |text: &str| {
        let data = dir.path().display().to_string();
        text.replace("/secrets", &secrets.display().to_string())
            .replace("/var/lib/crosspoint", &data)
    };
    let config = place(&read("deploy/compose/crosspoint.toml"));
    let plan = read("deploy/compose/dialplan.toml");
    let own = services["gateway"]["environment"].as_object().unwrap();
    for service in ["gateway", "gateway-host"] {
        fs::write(dir.join("crosspoint.toml"), &config).unwrap();
        fs::write(dir.join("dialplan.toml"), &plan).unwrap();
        let environment = services[service]["environment"].as_object().unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
        check.current_dir(dir.path()).args(["config", "show"]);
        check.envs(environment.iter().map(|(key, value)| (key, place(value.as_str().unwrap()))));
        let shown = run(&mut check);
        assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
        for line in ["http.listen", "ice.servers"] {
            let setting = shown.stdout.lines().find(|shown| shown.starts_with(line)).unwrap();
            assert!(setting.contains("# environment CROSSPOINT_"), "{setting}");
        }
    }
    let tests = run(Command::new(env!("CARGO_BIN_EXE_crosspoint"))
        .args(["dialplan", "test", "dialplan.toml", "--config", "crosspoint.toml"])
        .current_dir(dir.path()));
    assert_eq!(tests.code, Some(0), "{}{}", tests.stdout, tests.stderr);

    // What is published is what is listened on.
    let ports = texts(&services["gateway"]["ports"]).join(" ");
    for port in
        ["8080:8080", "5060:5060/udp", "20000-20099:20000-20099/udp", "40000-40001:40000-40001/udp"]
    {
        assert!(ports.contains(port), "{port} is not in {ports}");
    }
    for line in ["workers     = 2", "webrtc_port = 40000", "\"20000-20099\"", "udp:0.0.0.0:5060"] {
        assert!(config.contains(line), "{line}");
    }
    let turn = own["CROSSPOINT_ICE__SERVERS"].as_str().unwrap();
    assert!(turn.contains("turn:localhost:3478") && texts(&services["coturn"]["ports"]).len() == 2);

    // It starts so, but for its ports and database; the containers' health check is put to it.
    let ports = [
        ("0.0.0.0:5060", "127.0.0.1:0"),
        ("webrtc_port = 40000", "webrtc_port = 0"),
        ("\n[http]\n", "\n[http]\nadmin = \"key\"\nlisten = \"127.0.0.1:0\"\n"),
    ];
    let started = ports.iter().fold(config, |text, (from, to)| text.replace(from, to));
    let gateway = Gateway::of_files(dir, &started, &plan, "info");
    let check = texts(&services["gateway"]["healthcheck"]["test"]);
    assert_eq!(check[..3], ["CMD", "bash", "-c"]);
    let port = gateway.base.rsplit(':').next().unwrap();
    let healthy = |port: &str| {
        // Compose reads `$$` as `$`; there is none.
        let line = check[3].replace("8080", port);
        run(Command::new("bash").arg("-c").arg(line)).code == Some(0)
    };
    assert!(healthy(port));
    assert!(!healthy(&free_port().to_string()), "a check that cannot fail");
    // Prometheus' key opens the metrics, and nothing else.
    let key = fs::read_to_string(gateway.dir.join("secrets/metrics.key")).unwrap();
    let key = format!("Authorization: Bearer {key}");
    assert_eq!(get(&gateway.base, "/metrics", &[&key]).status, 200);
    assert_eq!(get(&gateway.base, "/metrics", &[]).status, 401);
    assert_eq!(get(&gateway.base, "/v1/cdrs", &[&key]).status, 403);

    let prometheus = read("deploy/compose/prometheus.yml");
    let file = gateway.dir.join("prometheus.yml");
    fs::copy(root.join("deploy/alerts.yml"), gateway.dir.join("alerts.yml")).unwrap();
    let here = gateway.dir.path().display().to_string();
    fs::write(&file, prometheus.replace("/secrets", &format!("{here}/secrets"))).unwrap();
    let checked = run(Command::new("promtool").args(["check", "config"]).arg(&file));
    assert_eq!(checked.code, Some(0), "{}{}", checked.stdout, checked.stderr);
    assert!(prometheus.contains("gateway:8080"));

    // Where there is a client that knows compose, it judges, too.
    let compose = |arguments: &[&str]| {
        Command::new("docker").arg("compose").args(arguments).current_dir(root).output()
    };
    if compose(&["version"]).is_ok_and(|output| output.status.success()) {
        for profile in ["bridge", "host"] {
            let judged = compose(&["--profile", profile, "config", "--quiet"]).unwrap();
            assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
        }
    }
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
