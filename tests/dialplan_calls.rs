//! The dial plan at run time: real calls of a page through a gateway to trunks that refuse, stay silent
//! or answer; caps; ring groups; another plan while the gateway runs.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crosspoint::api::{self, Access, Api, GatewayBackend};
use crosspoint::base::{Secret, TrunkId, UserId};
use crosspoint::config::{Config, LoadedPlan, User, load_plan};
use crosspoint::gateway::Gateway;
use crosspoint::sip::Transport;
use crosspoint::trunk::{Definition, Health};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::uas::{Manner, Uas};
use support::{TempDir, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const HEAD: &str = r#"
version = 1
[defaults]
timezone = "Europe/Berlin"
country = "DE"
caller_id = "office"
[caller_id.office]
number = "+493023125600"
[emergency]
numbers = { DE = ["110", "112"] }
route = ["a", "b"]
[[inbound]]
name = "desk"
did = ["+493023125600"]
flow = ["user:nobody", "ring:desk", "voicemail:box"]
[ring.desk]
users = ["alice", "bob"]
strategy = "in-order"
timeout = "1s"
[voicemail.box]
greeting = "v.wav"
max = "1m"
"#;
const ORDERED: &str = "[[outbound]]\nname = \"de\"\nregion = [\"DE\"]\nroute = [\"a\", \"b\"]\n";
const BALANCED: &str =
    "[[outbound]]\nname = \"de\"\nregion = [\"DE\"]\nroute = { balance = [\"a\", \"b\"] }\n";
const NUMBER: &str = "+493012345678";

struct Site {
    gateway: Gateway,
    base: String,
    dir: TempDir,
}

impl Site {
    /// A gateway with the trunks `a` and `b` at these targets.
    async fn start(a: &str, b: &str, rules: &str) -> Site {
        Site::with(a, b, rules, User::default()).await
    }

    async fn with(a: &str, b: &str, rules: &str, alice: User) -> Site {
        let dir = TempDir::new("plan-calls");
        std::fs::write(dir.join("v.wav"), "").unwrap();
        let path = dir.join("plan.toml");
        let text = format!("{HEAD}{rules}");
        std::fs::write(&path, &text).unwrap();
        let key = Secret::new("a secret of the tests, long enough to be one".to_owned());
        let mut config = Config::demo("127.0.0.1:9".parse().unwrap(), &dir.join("cp.db"), key);
        config.trunks = [("a", a), ("b", b)]
            .into_iter()
            .map(|(name, target)| {
                let id: TrunkId = name.parse().unwrap();
                let mut trunk = Definition::new(id.clone(), target.parse().unwrap());
                trunk.accept_from = vec!["127.0.0.1".parse().unwrap()];
                (id, trunk)
            })
            .collect();
        config.users = ["alice", "bob", "nobody"]
            .map(|name| {
                let user = if name == "alice" { alice.clone() } else { User::default() };
                (name.parse::<UserId>().unwrap(), user)
            })
            .into();
        let (plan, files) = load_plan(&text, &path, &config.known());
        let loaded = LoadedPlan { plan: plan.unwrap(), text, path: Some(path), files };
        let gateway = Gateway::start(&config, loaded).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let backend = std::sync::Arc::new(GatewayBackend::new(gateway.clone(), None));
        let api = Api::new(backend, gateway.store(), gateway.metrics());
        let router = api::router(api, Access::default(), api::rtc(gateway.server().clone()));
        let served = api::Served { router, metrics: gateway.metrics() };
        tokio::spawn(api::serve(listener, served, std::future::pending(), Duration::ZERO));
        Site { gateway, base, dir }
    }

    async fn http(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
        let mut stream = tokio::net::TcpStream::connect(&self.base).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.base,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn page(&self, user: &str) -> Page {
        let body = json!({"sub": user}).to_string();
        let token = self.http("POST", "/v1/client-tokens", "", &body).await.1["token"].clone();
        let mut request = format!("ws://{}/v1/rtc", self.base).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "crosspoint.v1".parse().unwrap());
        headers.insert("origin", format!("http://{}", self.base).parse().unwrap());
        let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let mut page = Page { socket, requests: 0, events: Vec::new() };
        let client = json!({"name": "test", "version": "1"});
        let welcome = page.ask(json!({"type": "hello", "token": token, "client": client})).await;
        assert_eq!(welcome["ok"], true, "{welcome}");
        page
    }

    /// The trace of the one live call.
    async fn trace(&self, call: &str) -> Vec<String> {
        let (status, trace) = self.http("GET", &format!("/v1/calls/{call}/trace"), "", "").await;
        assert_eq!(status, 200);
        serde_json::from_value(trace["items"].clone()).unwrap()
    }

    /// The call's record, complete.
    fn record(&self, call: &str) -> Value {
        tokio::task::block_in_place(|| http::closed_record(&format!("http://{}", self.base), call))
    }

    fn health(&self, trunk: &str) -> Health {
        self.gateway.trunks().into_iter().find(|t| t.id.as_str() == trunk).unwrap().health
    }
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

struct Page {
    socket: Socket,
    requests: u64,
    events: Vec<Value>,
}

impl Page {
    async fn next(&mut self) -> Value {
        let message = tokio::time::timeout(Duration::from_secs(20), self.socket.next());
        match message.await.expect("a message in time") {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&mut self, mut request: Value) -> Value {
        self.requests += 1;
        request["id"] = json!(self.requests);
        self.socket.send(Message::text(request.to_string())).await.unwrap();
        loop {
            let message = self.next().await;
            if message["re"] == json!(self.requests) {
                return message;
            }
            self.events.push(message);
        }
    }

    /// `call.start`; the reply and the call's id.
    async fn call(&mut self, to: &str) -> (Value, String) {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = crosspoint::base::CallId::from_parts(1_763_712_000_000, u128::from(n)).to_string();
        let request =
            json!({"type": "call.start", "call": id, "to": to, "metadata": {}, "sdp": OFFER});
        (self.ask(request).await, id)
    }

    async fn event(&mut self, kind: &str) -> Value {
        loop {
            if let Some(at) = self.events.iter().position(|event| event["type"] == kind) {
                return self.events.remove(at);
            }
            let message = self.next().await;
            self.events.push(message);
        }
    }

    /// Waits until the call is in this state.
    async fn state(&mut self, state: &str) {
        while self.event("call.state").await["state"] != state {}
    }
}

/// As a browser offers, with nobody behind it: what is tried here is over before media must flow.
const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 \
    00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:126 telephone-event/8000\r\n";

/// The lines of a trace that tell of attempts, without their times.
fn attempts(trace: &[String]) -> Vec<String> {
    let words = |line: &String| match line.split_once(" after ") {
        Some((before, after)) => {
            format!("{before}{}", after.split_once(" ms").unwrap().1)
        }
        None => line.clone(),
    };
    trace.iter().filter(|line| line.starts_with("attempt")).map(words).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_503_and_an_unreachable_trunk_lead_to_the_next() {
    let good = Uas::start(Manner::Answers);
    let bad = Uas::start(Manner::Refuses(503));
    let nobody = format!("sip:127.0.0.1:{};transport=tcp", support::free_port());
    for (first, told) in [(bad.target(), "503"), (nobody, "unreachable")] {
        let site = Site::start(&first, &good.target(), ORDERED).await;
        let mut page = site.page("alice").await;
        let (reply, call) = page.call(NUMBER).await;
        assert_eq!(reply["ok"], true, "{reply}");
        page.state("active").await;
        let trace = site.trace(&call).await;
        let next = format!("attempt 1: {told}, the next is tried");
        let expected = ["attempt 1: trunk a", &next, "attempt 2: trunk b", "attempt 2: answered"];
        assert_eq!(attempts(&trace), expected);
        page.ask(json!({"type": "call.hangup", "call": call})).await;
        let record = site.record(&call);
        assert_eq!((&record["trunk"], &record["attempts"]), (&json!("b"), &json!(2)));
        assert_eq!(record["trace"], json!(trace), "the record keeps the trace");
        // What a call does is what is explained.
        let body = json!({"from": "alice", "dial": NUMBER}).to_string();
        let explained = site.http("POST", "/v1/dialplan/explain", "", &body).await.1;
        let lines: Vec<String> = serde_json::from_value(explained["trace"].clone()).unwrap();
        assert_eq!(trace[..lines.len()], lines);
        site.gateway.stop(Duration::from_secs(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_trunk_is_left_after_4_s_and_a_late_183_changes_nothing() {
    let good = Uas::start(Manner::Answers);
    let silent = Uas::start(Manner::Silent);
    let site = Site::start(&silent.target(), &good.target(), ORDERED).await;
    let mut page = site.page("alice").await;
    let start = Instant::now();
    let (_, call) = page.call(NUMBER).await;
    page.state("active").await;
    let waited = start.elapsed();
    assert!((3_900..9_000).contains(&waited.as_millis()), "{waited:?}");
    let expected = [
        "attempt 1: trunk a",
        "attempt 1: no answer, the next is tried",
        "attempt 2: trunk b",
        "attempt 2: answered",
    ];
    assert_eq!(attempts(&site.trace(&call).await), expected);
    site.gateway.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_called_partys_answer_and_early_media_are_final() {
    let good = Uas::start(Manner::Answers);
    for (manner, end) in [
        (Manner::Refuses(486), "486"),
        (Manner::Refuses(404), "404"),
        (Manner::EarlyMediaThen(503), "503"),
    ] {
        let first = Uas::start(manner);
        let site = Site::start(&first.target(), &good.target(), ORDERED).await;
        let mut page = site.page("alice").await;
        let (_, call) = page.call(NUMBER).await;
        page.event("call.ended").await;
        let trace: Vec<String> =
            serde_json::from_value(site.record(&call)["trace"].clone()).unwrap();
        let last = format!("attempt 1: {end}, final");
        assert_eq!(attempts(&trace), ["attempt 1: trunk a", &last]);
        site.gateway.stop(Duration::from_secs(1)).await;
    }
    assert_eq!(good.invites(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balanced_route_fills_the_emptier_trunk() {
    let (a, b) = (Uas::start(Manner::Answers), Uas::start(Manner::Answers));
    let site = Site::start(&a.target(), &b.target(), BALANCED).await;
    let mut page = site.page("alice").await;
    for _ in 0..2 {
        page.call(NUMBER).await;
        page.state("active").await;
    }
    assert_eq!((a.invites(), b.invites()), (1, 1));
    site.gateway.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_opens_after_three_failures_and_closes_when_the_trunk_answers() {
    let (a, b) = (Uas::start(Manner::Refuses(503)), Uas::start(Manner::Answers));
    let alice = User { max_per_minute: 99, ..User::default() };
    let site = Site::with(&a.target(), &b.target(), ORDERED, alice).await;
    let mut page = site.page("alice").await;
    for n in 0..4 {
        let (_, call) = page.call(NUMBER).await;
        page.state("active").await;
        page.ask(json!({"type": "call.hangup", "call": call})).await;
        if n == 3 {
            let trace: Vec<String> =
                serde_json::from_value(site.record(&call)["trace"].clone()).unwrap();
            assert!(trace.contains(&"pass  a is down".to_owned()), "{trace:?}");
        } else {
            site.record(&call);
        }
    }
    assert_eq!(site.health("a"), Health::Down);
    a.set(Manner::Answers);
    let deadline = Instant::now() + Duration::from_secs(12);
    while site.health("a") == Health::Down {
        assert!(Instant::now() < deadline, "the breaker stays open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.gateway.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_says_which_it_is_and_emergency_passes() {
    let good = Uas::start(Manner::Answers);
    let alice = User { max_concurrent: 1, max_per_minute: 2, ..User::default() };
    let site = Site::with(&good.target(), &good.target(), ORDERED, alice).await;
    let mut page = site.page("alice").await;
    let (_, first) = page.call(NUMBER).await;
    page.state("active").await;
    let error = page.call(NUMBER).await.0["error"].clone();
    assert_eq!(error["code"], "call/limit-reached", "{error}");
    assert_eq!(error["message"], "1 calls at once is the limit; hang one up first");
    assert_eq!(error["retry_after_ms"], Value::Null);
    let (reply, emergency) = page.call("112").await;
    assert_eq!(reply["ok"], true, "{reply}");
    page.state("active").await;
    for call in [first, emergency] {
        page.ask(json!({"type": "call.hangup", "call": call})).await;
        site.record(&call);
    }
    let error = page.call(NUMBER).await.0["error"].clone();
    assert!(error["message"].as_str().unwrap().starts_with("2 calls a minute"), "{error}");
    assert!(error["retry_after_ms"].as_u64().is_some_and(|ms| (1..=60_000).contains(&ms)));
    assert_eq!(page.call("110").await.0["ok"], true);
    site.gateway.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_group_hunts_over_pages_and_passes_over_who_is_away() {
    let trunk = Uas::start(Manner::Answers);
    let site = Site::start(&trunk.target(), &trunk.target(), ORDERED).await;
    let (mut alice, mut bob) = (site.page("alice").await, site.page("bob").await);
    let gateway: SocketAddr = site.gateway.sip_addr(Transport::Udp).unwrap();
    trunk.invite(gateway, "+493023125600");
    let call = alice.event("call.incoming").await["call"].as_str().unwrap().to_owned();
    // The page hears of the call before the trace is there to be read.
    let trace = eventually(async || {
        let trace = site.trace(&call).await;
        (!trace.is_empty()).then_some(trace)
    })
    .await;
    for line in [
        "pass user:nobody: nobody is signed in",
        "line voicemail:box",
        "ring ring:desk: alice",
        "ring ring:desk: bob",
    ] {
        assert!(trace.iter().any(|told| told == line), "{line} is not in {trace:?}");
    }
    assert!(bob.events.is_empty());
    assert_eq!(alice.event("call.cancelled").await["call"], call.as_str());
    assert_eq!(bob.event("call.incoming").await["call"], call.as_str());
    bob.event("call.cancelled").await;
    // Nobody took it: the mailbox does.
    assert_eq!(trunk.final_answer().await, 200);
    let warnings = site.gateway.plan().warnings.iter().map(ToString::to_string).collect::<String>();
    assert!(warnings.contains("v.wav: "), "{warnings}");
    site.gateway.stop(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_plan_takes_over_and_a_bad_one_does_not() {
    let good = Uas::start(Manner::Answers);
    let site = Site::start(&good.target(), &good.target(), ORDERED).await;
    let mut page = site.page("alice").await;
    let (_, call) = page.call(NUMBER).await;
    page.state("active").await;
    let first = site.http("GET", "/v1/dialplan", "", "").await.1;

    // A file that changes is read; one with mistakes changes nothing and is told.
    let path = site.dir.join("plan.toml");
    let bad =
        format!("{HEAD}{ORDERED}[[outbound]]\nname = \"x\"\nregoin = [\"FR\"]\nroute = [\"c\"]\n");
    std::fs::write(&path, &bad).unwrap();
    let ready = eventually(async || {
        let ready = site.http("GET", "/readyz", "", "").await;
        ready.1["dialplan"].is_string().then_some(ready)
    });
    assert_eq!(ready.await.0, 200);
    let plan = site.http("GET", "/v1/dialplan", "", "").await.1;
    assert_eq!(plan["hash"], first["hash"]);
    assert_eq!(plan["refused"]["findings"].as_array().unwrap().len(), 3, "{plan}");
    assert!(site.gateway.reload_plan().is_err(), "as SIGHUP does");
    let deny = "[[outbound]]\nname = \"none\"\nregion = \"any\"\ndeny = \"closed today\"\n";
    std::fs::write(&path, format!("{HEAD}{deny}")).unwrap();
    eventually(async || {
        let plan = site.http("GET", "/v1/dialplan", "", "").await.1;
        (plan["hash"] != first["hash"]).then_some(())
    })
    .await;
    assert_eq!(site.http("GET", "/readyz", "", "").await.1, json!({"status": "ready"}));
    assert_eq!(page.call(NUMBER).await.0["error"]["message"], "closed today");
    assert_eq!(
        site.http("GET", &format!("/v1/calls/{call}"), "", "").await.1["state"],
        "connected"
    );

    // The same over HTTP, on top of the right version only; the file follows.
    let text = first["text"].as_str().unwrap();
    let tag = |hash: &Value| format!("If-Match: \"{}\"\r\n", hash.as_str().unwrap());
    let now = site.http("GET", "/v1/dialplan", "", "").await.1;
    assert_eq!(site.http("PUT", "/v1/dialplan", &tag(&first["hash"]), text).await.0, 412);
    let refused = site.http("PUT", "/v1/dialplan", &tag(&now["hash"]), &bad).await;
    assert_eq!((refused.0, &refused.1["code"]), (422, &json!("request/bad-plan")));
    let put = site.http("PUT", "/v1/dialplan", &tag(&now["hash"]), text).await;
    assert_eq!((put.0, &put.1["hash"]), (200, &first["hash"]));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert_eq!(page.call(NUMBER).await.0["ok"], true);
    site.gateway.stop(Duration::from_secs(1)).await;
}

/// Asks until there is an answer.
async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
