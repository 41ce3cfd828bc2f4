//! What is on without being asked for: each row of the security defaults that exists in this
//! version, against the real binary with as little configuration as it starts with.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crosspoint::base::{CallId, Digit};
use crosspoint::selftest::{Page, Peer};
use serde_json::json;
use support::TempDir;
use support::bystander::{Bystander, LOOPBACK, PLAN, place, refusal};
use support::gateway::Gateway;
use support::http;
use support::process::run;
use support::raw_phone::{Manner, RawPhone, packet};
use support::sip_wire::SipSocket;
use support::socket::Socket;

/// The least that starts: ports that nobody else has, one user, a plan without a rule.
fn least(further: &str) -> Gateway {
    let config = format!("{LEAST}{further}");
    Gateway::of_files(TempDir::new("least"), &config, EMPTY_PLAN, "info")
}

async fn refused(page: &Page, to: &str) -> String {
    let sdp = Peer::start(LOOPBACK).await.unwrap().offer().await.unwrap();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let call = CallId::from_parts(NEXT.fetch_add(1, Ordering::Relaxed), 1);
    let request = json!({"type": "call.start", "call": call, "to": to, "metadata": {}, "sdp": sdp});
    refusal(page, &request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_out_without_a_trunk_and_a_rule() {
    let phone = RawPhone::start(Manner::Answers);
    let trunk = format!("[trunk.phone]\ntarget = \"sip:127.0.0.1:{}\"\n", phone.port);
    for (gateway, what) in [(least(""), "no trunk"), (least(&trunk), "no rule")] {
        let page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
        for to in ["700", "+49 30 23125 789", "+1 202 555 0100", "112", "*99"] {
            let words = refused(&page, to).await;
            assert!(words.contains("call/"), "{what}: {to}: {words}");
        }
        http::no_call_is_on(&gateway.base);
    }
    assert_eq!(phone.invites.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dear_ranges_are_refused_inside_an_allowed_country() {
    let phone = RawPhone::start(Manner::Answers);
    let gateway = Gateway::serve(phone.port, PLAN);
    let page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    for (to, word) in [
        ("0900 1234567", "premium"),
        ("0180 5123456", "shared"),
        ("+870 773 123456", "satellite"),
        ("+881 6 1234 5678", "satellite"),
        ("+1 202 555 0100", "region"),
    ] {
        let words = refused(&page, to).await;
        assert!(words.contains("call/blocked-by-dialplan"), "{to}: {words}");
        println!("{to} ({word}): {words}");
    }
    assert_eq!(phone.invites.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_of_a_user_are_said_in_words() {
    let mut bystander = Bystander::start().await;
    let second = place(&bystander.page, "701").await;
    second.state(&mut bystander.page, "active").await.unwrap();
    let third = refused(&bystander.page, "702").await;
    assert!(third.contains("call/limit-reached") && third.contains("2 calls at once"), "{third}");
    second.hang_up(&mut bystander.page).await.unwrap();
    bystander.hears().await;
    bystander.ends_clean().await;

    let busy = RawPhone::start(Manner::IsBusy);
    let gateway = Gateway::serve_trunk(busy.port, PLAN, "cps = 100");
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    for _ in 0..10 {
        let call = place(&page, "700").await;
        let ended = call.ended(&mut page, Duration::from_secs(10)).await.unwrap();
        assert_eq!(ended.text("code"), "busy", "{ended:?}");
    }
    let eleventh = refused(&page, "700").await;
    assert!(eleventh.contains("10 calls a minute"), "{eleventh}");
    assert_eq!(busy.invites.load(Ordering::SeqCst), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn sip_listens_for_configured_trunks_only() {
    let gateway = least("");
    let anybody = SipSocket::new("127.0.0.1", gateway.sip_udp.unwrap());
    for method in ["OPTIONS", "INVITE", "REGISTER"] {
        anybody.send(anybody.request(method, "web", None));
    }
    for _ in 0..3 {
        let mut stream = TcpStream::connect(gateway.sip_tcp.unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let _ = stream.write_all(&anybody.request("OPTIONS", "web", None));
        let mut answer = Vec::new();
        // Closed without a word, by an end or by a reset.
        let ended = stream.read_to_end(&mut answer);
        let timed_out = ended.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock);
        assert!(answer.is_empty() && !timed_out);
    }
    assert!(anybody.is_silent(), "a stranger was answered");
    assert!(http::calls(&gateway.base).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn administration_is_for_this_machine_and_every_answer_is_armoured() {
    let gateway = least("");
    let base = &gateway.base;
    let port = base.rsplit(':').next().unwrap();
    let paths = ["/metrics", "/v1/calls", "/v1/cdrs", "/v1/trunks"];
    for path in paths {
        assert_eq!(http::get(base, path, &[]).status, 200, "{path}");
        for headers in [
            &[&*format!("Host: evil.example:{port}")][..],
            &["Host: 127.0.0.1.evil.example"],
            &["X-Forwarded-For: 203.0.113.5"],
            &["Forwarded: for=203.0.113.5"],
            &["Via: 1.1 proxy"],
            &["Host:"],
        ] {
            let answer = http::get(base, path, headers);
            assert!(matches!(answer.status, 400 | 403), "{path} {headers:?}: {}", answer.status);
            assert!(!answer.body.contains("items") && !answer.body.contains("# TYPE"));
        }
    }
    let mint = json!({"sub": "web"}).to_string();
    let minted = |headers: &[&str], body: &str| {
        let kind = ["Content-Type: application/json"];
        http::request(base, "POST", "/v1/client-tokens", &[&kind, headers].concat(), body)
    };
    assert!(matches!(minted(&["Origin: http://evil.example"], &mint).status, 403));
    assert!(matches!(minted(&["Sec-Fetch-Site: cross-site"], &mint).status, 403));
    assert!(matches!(minted(&["Host: evil.example"], &mint).status, 403));
    let large = minted(&[], &"x".repeat(70_000));
    assert!(matches!(large.status, 400 | 413), "{}", large.status);

    assert_eq!(http::get(base, "/phone.json", &[]).status, 404, "only a demo gives tokens away");
    for path in ["/", "/v1/calls", "/nowhere"] {
        let answer = http::get(base, path, &[]);
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'self';"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("*"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
    }
    let page = http::get(base, "/", &[]).body;
    assert!(!page.contains("https://") && !page.contains("src=\"http"), "something from elsewhere");

    let mut show = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    std::fs::write(gateway.dir.join("bare.toml"), "dialplan = \"plan.toml\"\n").unwrap();
    let shown = run(show.args(["config", "show"]).arg(gateway.dir.join("bare.toml"))).stdout;
    assert!(shown.contains("http.listen = \"127.0.0.1:8080\""), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_live_an_hour_at_most_and_only_for_users() {
    let gateway = least("");
    let base = &gateway.base;
    let mint = |body: serde_json::Value| {
        let kind = ["Content-Type: application/json"];
        http::request(base, "POST", "/v1/client-tokens", &kind, &body.to_string())
    };
    for wrong in
        [json!({"sub": "nobody"}), json!({"sub": "web", "ttl_s": 7200}), json!({}), json!([])]
    {
        let answer = mint(wrong.clone());
        assert!((400..500).contains(&answer.status), "{wrong}: {} {}", answer.status, answer.body);
        assert!(!answer.body.contains("cp1."), "{}", answer.body);
    }
    let good = gateway.token();
    let (claims, mac) = good.strip_prefix("cp1.").unwrap().split_once('.').unwrap();
    for token in [
        String::new(),
        "cp1".to_owned(),
        format!("cp1.{claims}"),
        format!("cp1.{claims}."),
        format!("cp1.{claims}.{}", mac.to_uppercase()),
        format!("cp1.{}.{mac}", &claims[1..]),
        format!("cp2.{claims}.{mac}"),
        "x".repeat(10_000),
    ] {
        let mut socket = Socket::connect(base, base).await;
        socket.push(&json!({"id": 1, "type": "hello", "token": token}).to_string()).await;
        assert_eq!(socket.close_code().await, 4401, "{token}");
    }
    Socket::signed_in(base, &good).await;
    let log = gateway.process.output();
    assert!(!log.contains(mac) && !log.contains(claims), "a token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_and_numbers_are_in_no_log() {
    let mut bystander = Bystander::logging("trace").await;
    let call = bystander.call.id.clone();
    // From the page as a request and as events; from the phone as events and as INFO.
    let tones =
        json!({"type": "dtmf.send", "call": call, "tones": "73915284A", "duration": 50, "gap": 50});
    bystander.page.ask(tones).await.unwrap();
    for _ in 0..9 {
        let sent = bystander
            .page
            .event(Duration::from_secs(10), "dtmf.sent", |event| event.text("type") == "dtmf.sent");
        sent.await.unwrap();
    }
    let keys = Digit::ALL.into_iter().filter(|digit| "46D".contains(digit.as_char())).collect();
    let (tone, gap) = (Duration::from_millis(80), Duration::from_millis(80));
    bystander.call.peer.press(keys, tone, gap).await.unwrap();
    // The key 5 for 100 ms (RFC 4733 2.5), three ends.
    for (n, (end, duration)) in [(0, 400), (0x80, 800), (0x80, 800), (0x80, 800)].iter().enumerate()
    {
        let event = [5, *end | 10, (duration >> 8) as u8, *duration as u8];
        let datagram = packet(0x5EED_0001, 60_000 + n as u16, 1_000_000, 101, &event);
        bystander.phone.rtp.send_to(&datagram, bystander.dialog.rtp).unwrap();
    }
    let trunk = SipSocket::new("127.0.0.1", bystander.gateway.sip_udp.unwrap());
    for (n, body) in ["Signal=8\r\nDuration=160\r\n", "Signal=99887766\r\n", "nonsense 99887766"]
        .iter()
        .enumerate()
    {
        let dialog = &bystander.dialog;
        trunk.send(format!(
            "INFO sip:crosspoint@127.0.0.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKinfo{n}\r\nMax-Forwards: 70\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} INFO\r\n\
             Content-Type: application/dtmf-relay\r\nContent-Length: {}\r\n\r\n{body}",
            dialog.phone,
            dialog.gateway,
            dialog.call_id,
            n + 10,
            body.len()
        ));
    }
    let answers = trunk.answers();
    assert_eq!(answers.len(), 3, "{answers:?}");
    let heard = bystander.page.event(Duration::from_secs(10), "a digit of INFO", |event| {
        event.text("type") == "dtmf" && event.text("tone") == "8"
    });
    heard.await.unwrap();
    let refusal = refused(&bystander.page, "+1 202 555 0147").await;
    assert!(refusal.contains("call/blocked-by-dialplan"), "{refusal}");
    let ended = bystander.call.hang_up(&mut bystander.page).await.unwrap();
    assert_eq!(ended.text("code"), "hangup");
    bystander.gateway.process.line_with("call ended", Duration::from_secs(10));

    let log = bystander.gateway.process.output();
    assert!(log.contains("\"level\":\"DEBUG\""), "nothing was logged at debug");
    for secret in
        ["73915284", "99887766", "3023125789", "23125789", "2025550147", "5550147", "23125600"]
    {
        let found: Vec<&str> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{secret} is in the log: {found:#?}");
    }
    // One digit alone: as a field of that name, or in a value's debugging form. `Digit(_)` is how a
    // digit shows itself.
    for line in log.lines() {
        let line = line.replace("Digit(_)", "hidden");
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        for (name, value) in event.as_object().into_iter().flatten() {
            let last = name.rsplit('.').next().unwrap();
            let names_digits = ["tone", "tones", "digit", "digits", "key", "keys", "signal"];
            assert!(!names_digits.contains(&last) || value == "hidden", "{line}");
        }
        for form in ["Digit(", "digit: ", "Signal=", "tone: ", "Press(", "One,", "Seven"] {
            assert!(!line.contains(form) || line.contains("digit: hidden"), "{form} is in {line}");
        }
    }
    let record = http::closed_record(&bystander.gateway.base, call.as_str());
    assert!(record["digits"].as_u64().is_some_and(|count| count > 0), "a count is kept: {record}");
    assert!(!record.to_string().contains("73915284"), "{record}");
}

const EMPTY_PLAN: &str = "\
version = 1
emergency = \"not-provided\"
[defaults]
timezone = \"Europe/Berlin\"
country = \"DE\"
";
const LEAST: &str = "\
dialplan = \"plan.toml\"
[http]
listen = \"127.0.0.1:0\"
[sip]
listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]
[media]
webrtc_port = 0
[auth]
token_secret_file = \"token.key\"
[user.web]
";
