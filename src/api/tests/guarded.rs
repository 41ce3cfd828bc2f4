//! Who is let in, what every answer carries, and slow or oversized peers over real sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::places::Bounds;
use super::super::serve::{Limits, Served, run};
use super::*;

const LOCAL: &str = "127.0.0.1:9";
const ADMIN: [&str; 18] = [
    "GET /metrics",
    "GET /v1/calls",
    "GET /v1/cdrs",
    "GET /v1/trunks",
    "POST /v1/client-tokens",
    "POST /v1/client-tokens/actions/revoke",
    "GET /v1/dialplan",
    "GET /v1/dialplan/versions",
    "PUT /v1/dialplan",
    "POST /v1/dialplan/check",
    "POST /v1/dialplan/explain",
    "POST /v1/users/alice/actions/release",
    "GET /v1/users",
    "GET /v1/ivr-runs",
    "POST /v1/ivr-runs",
    "GET /v1/events",
    "POST /v1/calls",
    "POST /v1/session",
];

#[tokio::test]
async fn administration_is_for_this_machine_only() {
    let site = Site::new().await;
    let host = ("host", "localhost:8080");
    for line in ADMIN.into_iter().chain(["GET /phone.json"]) {
        for (peer, headers) in [
            // From elsewhere.
            ("203.0.113.9:9", vec![host]),
            ("[::ffff:203.0.113.9]:9", vec![host]),
            // A name that was bound to this machine's address.
            (LOCAL, vec![("host", "evil.example")]),
            (LOCAL, vec![("host", "localhost.evil.example")]),
            (LOCAL, vec![]),
            // Through a proxy on this machine.
            (LOCAL, vec![host, ("x-forwarded-for", "203.0.113.9")]),
            (LOCAL, vec![host, ("forwarded", "for=203.0.113.9")]),
        ] {
            let response = site.send(line, peer, &headers, "").await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{line} {peer} {headers:?}");
            assert_eq!(json(response).await["code"], "request/local-only");
        }
        for (peer, host) in
            [(LOCAL, "localhost"), ("[::1]:9", "[::1]:8080"), ("[::ffff:127.0.0.1]:9", "127.0.0.1")]
        {
            let response = site.send(line, peer, &[("host", host)], "").await;
            assert_ne!(response.status(), StatusCode::FORBIDDEN, "{line} {peer} {host}");
        }
    }
    for open in ["GET /", "GET /sdk.js", "GET /healthz", "GET /v1/rtc"] {
        let response = site.send(open, "203.0.113.9:9", &[("host", "pbx.example")], "").await;
        assert_eq!(response.status(), StatusCode::OK, "{open}");
    }
}

#[tokio::test]
async fn the_danger_has_a_name_and_never_opens_the_demo() {
    let access = Access { admin: Admin::DangerouslyAnybody, ..Access::default() };
    let site = Site::open(access, Readiness::Ready).await;
    let host = [("host", "pbx.example")];
    let from = "203.0.113.9:9";
    assert_eq!(site.send("GET /v1/calls", from, &host, "").await.status(), StatusCode::OK);
    assert_eq!(site.send("GET /phone.json", from, &host, "").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_change_from_another_origin_is_refused() {
    // Without the login that a browser needs: what is asked here is where it comes from.
    let access = Access {
        admin: Admin::DangerouslyAnybody,
        allowed_origins: vec!["https://desk.example".into()],
        ..Access::default()
    };
    let site = Site::open(access, Readiness::Ready).await;
    let line = format!("POST /v1/calls/{}/actions/hangup", record(1).id);
    for (name, value, status) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://localhost:8081", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("origin", "http://localhost:8080", 202),
        ("origin", "https://desk.example", 202),
        ("sec-fetch-site", "same-origin", 202),
        ("accept", "*/*", 202),
    ] {
        let headers = [("host", "localhost:8080"), (name, value)];
        let response = site.send(&line, LOCAL, &headers, "").await;
        assert_eq!(response.status().as_u16(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let site = Site::new().await;
    for line in ["GET /", "GET /nothing", "GET /v1/calls", "GET /v1/rtc"] {
        let response = site.ask(line).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            header("content-security-policy"),
            "default-src 'self'; connect-src 'self' ws://localhost:8080 wss://localhost:8080; \
             media-src 'self' blob:; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
            "{line}"
        );
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        let caching = if line == "GET /" { "no-cache" } else { "no-store" };
        assert_eq!(header("cache-control"), caching, "{line}");
    }
    // A host that would write into the policy is left out of it.
    let response = site.send("GET /", LOCAL, &[("host", "x; script-src *")], "").await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(!policy.contains("script-src"), "{policy}");
}

#[tokio::test]
async fn headers_over_8_kib_are_refused() {
    let site = Site::new().await;
    let long = "x".repeat(8 * 1024);
    let headers = [("host", "localhost"), ("x-long", long.as_str())];
    let response = site.send("GET /healthz", LOCAL, &headers, "").await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_peer_that_sends_no_headers_in_time_is_closed_and_others_are_served() {
    let site = Site::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or_default() };
    let patience = Duration::from_secs(1);
    let served = Served { router: site.router.clone(), metrics: Arc::default() };
    let limits = Limits { headers: Duration::from_millis(700), ..Limits::default() };
    let server = tokio::spawn(run(listener, None, served, stopped, patience, limits));

    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET / HT").await.unwrap();
    let mut quick = TcpStream::connect(address).await.unwrap();
    quick
        .write_all(b"GET /v1/trunks HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    quick.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "the peer's address is known: {answer}");

    let before = tokio::time::Instant::now();
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest).await;
    let waited = before.elapsed();
    assert!(waited < Duration::from_secs(5), "closed after {waited:?}");

    let mut big = TcpStream::connect(address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(40_000));
    let _ = big.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    big.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");

    stop.send(()).unwrap();
    server.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "the port is free again");
}

/// Slow peers as in the wild: half of a request's headers, answers that are never read, and both from the
/// very address that others ask from.
#[tokio::test]
async fn peers_that_take_no_answer_are_closed_and_make_room_for_those_who_ask() {
    let router = Router::new()
        .route("/big", get(async || vec![b'x'; 64 << 20]))
        .route("/events", get(async || Body::from_stream(first_and_nothing_more())))
        .route("/ok", get(async || "ok"));
    let metrics = Arc::new(Metrics::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = Served { router, metrics: Arc::clone(&metrics) };
    let limits = Limits {
        headers: Duration::from_secs(600),
        writing: Duration::from_millis(500),
        places: Bounds { connections: 8, per_address: 3, own_machine: 1 },
    };
    let never = std::future::pending();
    let server = tokio::spawn(run(listener, None, served, never, Duration::ZERO, limits));
    let ask = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    let answers = async |stream: &mut TcpStream| {
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    };
    // Until the metrics say so; the test's own limit is the runner's.
    let counted = async |line: &str| {
        while !metrics.render().lines().any(|own| own == line) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };

    let mut events = ask("/events").await;
    answers(&mut events).await;
    let mut deaf = ask("/big").await;
    counted("crosspoint_drops_total{reason=\"http-stalled\"} 1").await;
    let mut taken = Vec::new();
    assert!(deaf.read_to_end(&mut taken).await.is_err() || taken.len() < 64 << 20, "it was cut");

    // Two silent peers take what is left; each who asks is served in the place of one of them.
    let mut silent = [(); 2].map(|()| None);
    for own in &mut silent {
        *own = Some(TcpStream::connect(address).await.unwrap());
    }
    let mut asked = Vec::new();
    for own in silent.iter_mut().flatten() {
        let mut stream = ask("/ok").await;
        answers(&mut stream).await;
        asked.push(stream);
        assert!(!matches!(own.read(&mut [0; 1]).await, Ok(1..)), "it made room");
    }
    counted("crosspoint_drops_total{reason=\"http-displaced\"} 2").await;

    // Who reads all that comes keeps its place (those who were answered make room for the second and
    // third of them), and three who do leave none.
    let mut more = [ask("/events").await, ask("/events").await];
    for own in &mut more {
        answers(own).await;
    }
    let mut refused = TcpStream::connect(address).await.unwrap();
    assert!(!matches!(refused.read(&mut [0; 1]).await, Ok(1..)), "closed at once");
    counted("crosspoint_drops_total{reason=\"http-address\"} 1").await;
    drop((asked, more));
    server.abort();
}

fn first_and_nothing_more() -> impl futures_util::Stream<Item = Result<&'static str, std::io::Error>>
{
    use futures_util::StreamExt;
    futures_util::stream::once(async { Ok(": here\n\n") }).chain(futures_util::stream::pending())
}
