//! Many pages: what a logged-in page costs, how fast all of them come back after a cut, and what a call's
//! set-up with ICE and DTLS costs. Measurements, run alone: `make bench-pages`. `LOAD_PAGES` and
//! `LOAD_SETUPS` make them smaller or larger; the bounds are those of the full size.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crosspoint::selftest::{Call, Page};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::TempDir;
use support::gateway::Gateway;
use support::http;
use support::uas::{Manner, Uas};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PAGES: usize = 2_000;
/// A user has at most 64 sessions, and those of a cut are kept beside the new ones.
const USERS: usize = 40;
const PAGE_BYTES: u64 = 20_000;
const STORM: Duration = Duration::from_secs(30);
const SETUPS: usize = 300;
const AT_ONCE: usize = 8;
/// 100 set-ups a second on one core.
const SETUP_CPU: Duration = Duration::from_millis(10);

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
[caller_id.web]
number = "+493012345670"
[group.all]
users = [USERS]
caller_id = ["web"]
[[outbound]]
name = "the phone"
to = ["7XX"]
route = ["phone"]
"#;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A page that is there until this is dropped: it answers the gateway's pings, and its socket breaks
/// without a word.
struct Idle {
    welcome: Value,
    reads: JoinHandle<()>,
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.reads.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement that wants the machine alone"]
async fn two_thousand_pages_are_small_and_come_back_within_30_s() {
    let count = size("LOAD_PAGES", PAGES);
    let gateway = gateway(&format!("sip:127.0.0.1:{}", support::free_port()));
    let tokens = tokens(&gateway);
    // What the first page brings with it (tables, threads) is not the pages'.
    let warm = hello(&gateway.base, json!({"token": tokens[0]})).await.unwrap();
    let before = resident(&gateway);
    let start = Instant::now();
    let pages = all(&gateway, count, |n| json!({"token": tokens[n % USERS]})).await;
    let came = start.elapsed();
    assert_eq!(sessions(&pages).len(), count, "each has a session of its own");
    let each = (resident(&gateway).saturating_sub(before)) / count as u64;
    println!("{count} pages: {each} bytes each, all there after {} ms", came.as_millis());
    assert!(each <= PAGE_BYTES, "{each} bytes a page");

    // All sockets break without a word; everybody comes back with what its welcome said.
    let welcomes: Vec<Value> = pages.iter().map(|page| page.welcome.clone()).collect();
    let before = sessions(&pages);
    let start = Instant::now();
    drop(pages);
    let back = all(&gateway, count, |n| {
        let welcome = &welcomes[n];
        json!({"token": token_of(&tokens, welcome), "session": welcome["session"],
            "resume": welcome["resume"], "last_seq": 0})
    })
    .await;
    let took = start.elapsed();
    assert_eq!(sessions(&back), before, "each in its own session");
    println!("{count} pages came back in {} ms", took.as_millis());
    assert!(took < STORM, "{took:?}");
    drop(warm);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement that wants the machine alone"]
async fn a_set_up_with_dtls_costs_less_than_10_ms_of_a_core() {
    let phone = Uas::start(Manner::Answers);
    let gateway = gateway(&phone.target());
    let count = size("LOAD_SETUPS", SETUPS);
    let tokens = tokens(&gateway);
    let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (cpu, start) = (cpu(&gateway), Instant::now());
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let refused = Arc::new(AtomicUsize::new(0));
    let mut calls = JoinSet::new();
    for n in 0..count {
        let (token, base) = (tokens[n % USERS].clone(), gateway.base.clone());
        let (place, refused) = (room.clone().acquire_owned().await.unwrap(), refused.clone());
        calls.spawn(async move {
            let mut page = Page::connect(&base, &token).await.unwrap();
            let call = loop {
                match Call::start(&page, bind, "700").await {
                    Ok(call) => break call,
                    // A worker that is late takes no more until it is in time again.
                    Err(error) => {
                        assert!(error.to_string().contains("server/overloaded"), "{error}")
                    }
                }
                refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            assert!(call.peer.connected(Duration::from_secs(10)).await.is_some(), "ICE and DTLS");
            call.hang_up(&mut page).await.unwrap();
            drop(place);
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    let each = (self::cpu(&gateway) - cpu) / u32::try_from(count).unwrap();
    let rate = count as f64 / start.elapsed().as_secs_f64();
    println!(
        "{count} set-ups: {} us of a core each, {rate:.0} a second with both ends here, {} refused for load",
        each.as_micros(),
        refused.load(Ordering::Relaxed)
    );
    assert!(each <= SETUP_CPU, "{each:?} of a core each");
}

fn gateway(target: &str) -> Gateway {
    let dir = TempDir::new("load-pages");
    let here = dir.path().display();
    let mut config = format!(
        "dialplan = \"{here}/plan.toml\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n\
         [media]\nworkers = 1\nwebrtc_port = 0\naddress = \"127.0.0.1\"\n\
         [store]\nurl = \"sqlite:{here}/crosspoint.db\"\n\
         [auth]\ntoken_secret_file = \"{here}/token.key\"\n\
         [trunk.phone]\ntarget = \"{target}\"\naccept_from = [\"127.0.0.1/32\"]\n\
         channels = 500\ncps = 500\noptions_interval = \"0s\"\n"
    );
    for n in 0..USERS {
        config.push_str(&format!(
            "[user.user{n}]\nmax_concurrent = 1000\nmax_per_minute = 100000\n\
             max_per_hour = 100000\nmax_per_day = 100000\n"
        ));
    }
    let users: Vec<String> = (0..USERS).map(|n| format!("\"user{n}\"")).collect();
    let plan = PLAN.replace("USERS", &users.join(", "));
    Gateway::of_files(dir, &config, &plan, "warn,crosspoint::cli=info")
}

/// How many, where the environment does not say.
fn size(name: &str, full: usize) -> usize {
    std::env::var(name).map_or(full, |text| text.parse().expect(name))
}

fn sessions(pages: &[Idle]) -> BTreeSet<String> {
    pages.iter().map(|page| page.welcome["session"].as_str().unwrap().to_owned()).collect()
}

fn tokens(gateway: &Gateway) -> Vec<String> {
    let token = |n: usize| {
        let body = json!({"sub": format!("user{n}")}).to_string();
        let headers = ["content-type: application/json"];
        let answer = http::request(&gateway.base, "POST", "/v1/client-tokens", &headers, &body);
        answer.json()["token"].as_str().unwrap().to_owned()
    };
    (0..USERS).map(token).collect()
}

fn token_of(tokens: &[String], welcome: &Value) -> String {
    let user: usize = welcome["identity"].as_str().unwrap()["user".len()..].parse().unwrap();
    tokens[user].clone()
}

/// Says hello on as many sockets, 64 at once; gives those that are open.
async fn all(gateway: &Gateway, count: usize, hello_of: impl Fn(usize) -> Value) -> Vec<Idle> {
    let room = Arc::new(Semaphore::new(64));
    let mut pages = JoinSet::new();
    for n in 0..count {
        let (base, body) = (gateway.base.clone(), hello_of(n));
        let place = room.clone().acquire_owned().await.unwrap();
        pages.spawn(async move {
            let (mut socket, welcome) = hello(&base, body).await?;
            drop(place);
            // Reading answers pings, too.
            let reads = tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} });
            Ok::<_, String>(Idle { welcome, reads })
        });
    }
    let mut open = Vec::with_capacity(count);
    while let Some(page) = pages.join_next().await {
        open.push(page.unwrap().unwrap());
    }
    assert!(open.iter().all(|page| !page.reads.is_finished()), "all are still there");
    open
}

async fn hello(base: &str, mut body: Value) -> Result<(Socket, Value), String> {
    let url = format!("{}/v1/rtc", base.replacen("http", "ws", 1));
    let mut request = url.as_str().into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "crosspoint.v1".parse().unwrap());
    headers.insert("origin", base.parse().unwrap());
    let (mut socket, _) = connect_async(request).await.map_err(|error| error.to_string())?;
    body["id"] = json!(1);
    body["type"] = json!("hello");
    socket.send(Message::text(body.to_string())).await.map_err(|error| error.to_string())?;
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let welcome: Value = serde_json::from_str(&text).unwrap();
                return match welcome["type"].as_str() {
                    Some("welcome") => Ok((socket, welcome)),
                    _ => Err(welcome.to_string()),
                };
            }
            Some(Ok(_)) => {}
            other => return Err(format!("{other:?}")),
        }
    }
}

/// The gateway's resident memory in bytes.
fn resident(gateway: &Gateway) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", gateway.process.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// The processor time that the gateway has used.
fn cpu(gateway: &Gateway) -> Duration {
    let text = fs::read_to_string(format!("/proc/{}/stat", gateway.process.id())).unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).map(|t| t.parse().unwrap()).collect();
    // USER_HZ is 100 on Linux.
    Duration::from_millis(ticks.iter().sum::<u64>() * 10)
}
