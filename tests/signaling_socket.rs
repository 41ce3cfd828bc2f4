//! The WebSocket driver with real sockets: who gets in, what closes it, what reaches the gateway.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{ConnectInfo, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::routing::get;
use crosspoint::base::CallId;
use crosspoint::signaling::socket::{FromPage, Server};
use crosspoint::signaling::*;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message, http};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Gateway {
    at: SocketAddr,
    server: Server,
    pages: mpsc::Receiver<FromPage>,
}

async fn gateway(origins: &[&str]) -> Gateway {
    let (tx, pages) = mpsc::channel(16);
    let config = Config {
        key: key(),
        revoked: Default::default(),
        ice: vec![],
        features: vec![],
        dialling: std::sync::Arc::new(AsDialled),
    };
    let server = Server::new(config, origins.iter().map(|o| (*o).to_owned()).collect(), tx);
    let shared = server.clone();
    let app = Router::new().route(
        "/v1/rtc",
        get(
            async move |upgrade: WebSocketUpgrade,
                        headers: HeaderMap,
                        peer: ConnectInfo<SocketAddr>| {
                shared.upgrade(upgrade, &headers, peer.0)
            },
        ),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
    });
    Gateway { at, server, pages }
}

fn key() -> TokenKey {
    TokenKey::new([3; 32]).unwrap()
}

fn token() -> String {
    token_of("alice")
}

fn token_of(user: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims =
        Claims { scopes: vec![Scope::CallOut], ..Claims::new(user.parse().unwrap(), now + 600) };
    mint(&key(), &claims, now).unwrap()
}

async fn connect(at: SocketAddr, origin: Option<&str>) -> Result<Socket, Error> {
    let mut request = format!("ws://{at}/v1/rtc").into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", http::HeaderValue::from_static("crosspoint.v1"));
    if let Some(origin) = origin {
        headers.insert("origin", origin.parse().unwrap());
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

async fn say(socket: &mut Socket, body: Value) {
    socket.send(Message::text(body.to_string())).await.unwrap();
}

async fn hear(socket: &mut Socket) -> Value {
    loop {
        match tokio::time::timeout(Duration::from_secs(3), socket.next()).await.unwrap() {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn close_code(socket: &mut Socket) -> u16 {
    let closed = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(8), closed).await.unwrap()
}

async fn next(gateway: &mut Gateway) -> FromPage {
    tokio::time::timeout(Duration::from_secs(3), gateway.pages.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_page_says_hello_asks_is_answered_and_leaves() {
    let mut gateway = gateway(&[]).await;
    let mut socket = connect(gateway.at, None).await.unwrap();
    say(&mut socket, json!({"id": 1, "type": "hello", "token": token()})).await;
    assert_eq!(hear(&mut socket).await["type"], "welcome");
    let FromPage::Opened { page, claims, .. } = next(&mut gateway).await else { panic!("opened") };
    assert_eq!(claims.sub.as_str(), "alice");
    assert_eq!(gateway.server.strangers(), 0);

    let call = CallId::from_parts(1, 1);
    let start = json!({"id": 2, "type": "call.start", "call": call, "to": "600", "sdp": "v=0"});
    say(&mut socket, start).await;
    let FromPage::Asked { request, body: Request::CallStart(body), .. } = next(&mut gateway).await
    else {
        panic!("call.start")
    };
    assert_eq!(body.to.as_str(), "600");
    page.reply(request, Err(ErrorCode::CallBlocked.into()));
    assert_eq!(hear(&mut socket).await["error"]["code"], "call/blocked-by-dialplan");

    page.event(Event::TokenExpiring { expires_at: 1 });
    assert_eq!(hear(&mut socket).await["seq"], 1);
    socket.close(None).await.unwrap();
    assert!(matches!(next(&mut gateway).await, FromPage::Closed { .. }));
}

#[tokio::test]
async fn a_foreign_origin_is_4403_and_the_same_one_is_let_in() {
    let strict = gateway(&[]).await;
    let own = format!("http://{}", strict.at);
    let mut same = connect(strict.at, Some(&own)).await.unwrap();
    say(&mut same, json!({"id": 1, "type": "hello", "token": token()})).await;
    assert_eq!(hear(&mut same).await["ok"], true);
    for origin in ["http://evil.example", "null", &format!("{own}.evil.example")] {
        let mut foreign = connect(strict.at, Some(origin)).await.unwrap();
        assert_eq!(close_code(&mut foreign).await, 4403, "{origin}");
    }
    let listed = gateway(&["https://phone.example"]).await;
    let mut page = connect(listed.at, Some("https://phone.example")).await.unwrap();
    say(&mut page, json!({"id": 1, "type": "hello", "token": token()})).await;
    assert_eq!(hear(&mut page).await["ok"], true);
    let mut own = connect(listed.at, Some(&format!("http://{}", listed.at))).await.unwrap();
    assert_eq!(close_code(&mut own).await, 4403);
}

#[tokio::test]
async fn another_subprotocol_is_a_400() {
    let gateway = gateway(&[]).await;
    let request = format!("ws://{}/v1/rtc", gateway.at).into_client_request().unwrap();
    match connect_async(request).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 400),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_message_is_4400_and_no_token_is_4401() {
    let gateway = gateway(&[]).await;
    for (first, code) in [
        (Message::text("["), 4400),
        (Message::text("[".repeat(60_000)), 4400),
        (Message::text("x".repeat(70_000)), 4400),
        (Message::binary(vec![0]), 4400),
        (Message::text(r#"{"id":1,"type":"ping"}"#), 4401),
        (Message::text(r#"{"id":1,"type":"hello","token":"cp1.e30.AAAA"}"#), 4401),
    ] {
        let mut socket = connect(gateway.at, None).await.unwrap();
        socket.send(first).await.unwrap();
        assert_eq!(close_code(&mut socket).await, code);
    }
    let mut silent = connect(gateway.at, None).await.unwrap();
    assert_eq!(close_code(&mut silent).await, 4401, "after 5 s");
}

#[tokio::test]
async fn a_flood_is_4429_and_the_gateway_hears_that_the_page_is_away() {
    let mut gateway = gateway(&[]).await;
    let mut socket = connect(gateway.at, None).await.unwrap();
    say(&mut socket, json!({"id": 1, "type": "hello", "token": token()})).await;
    for n in 2..200 {
        say(&mut socket, json!({"id": n, "type": "ping"})).await;
    }
    assert_eq!(close_code(&mut socket).await, 4429);
    assert!(matches!(next(&mut gateway).await, FromPage::Opened { .. }));
    assert!(matches!(next(&mut gateway).await, FromPage::Away { .. }));
}

/// A hello that wants the session of `welcome` back.
fn again(welcome: &Value, token: &str) -> Value {
    json!({"id": 1, "type": "hello", "token": token, "session": welcome["session"],
        "resume": welcome["resume"], "last_seq": 1})
}

#[tokio::test]
async fn a_cut_page_comes_back_to_its_session_and_hears_what_it_missed() {
    let mut gateway = gateway(&[]).await;
    let mut socket = connect(gateway.at, None).await.unwrap();
    say(&mut socket, json!({"id": 1, "type": "hello", "token": token()})).await;
    let welcome = hear(&mut socket).await;
    let FromPage::Opened { page, session, .. } = next(&mut gateway).await else { panic!("opened") };
    page.event(Event::TokenExpiring { expires_at: 1 });
    assert_eq!(hear(&mut socket).await["seq"], 1);
    drop(socket);
    assert!(matches!(next(&mut gateway).await, FromPage::Away { .. }));
    page.event(Event::TokenExpiring { expires_at: 2 });
    assert_eq!(gateway.server.sessions(), 1);

    let mut back = connect(gateway.at, None).await.unwrap();
    say(&mut back, again(&welcome, &token())).await;
    let second = hear(&mut back).await;
    assert_eq!(second["session"], welcome["session"]);
    assert_ne!(second["resume"], welcome["resume"]);
    let missed = hear(&mut back).await;
    assert_eq!((&missed["seq"], &missed["expires_at"]), (&json!(2), &json!(2)));
    match next(&mut gateway).await {
        FromPage::Back { session: same, .. } => assert_eq!(same, session),
        other => panic!("{other:?}"),
    }
    assert_eq!(gateway.server.strangers(), 0, "its task is not a second one");

    // The way to the page that the gateway has had all along leads to the new socket.
    page.event(Event::TokenExpiring { expires_at: 3 });
    assert_eq!(hear(&mut back).await["seq"], 3);
    back.close(None).await.unwrap();
    assert!(matches!(next(&mut gateway).await, FromPage::Closed { .. }));
    assert_eq!(gateway.server.sessions(), 0);
}

#[tokio::test]
async fn the_older_socket_is_4409_and_a_replayed_secret_changes_nothing() {
    let mut gateway = gateway(&[]).await;
    let mut first = connect(gateway.at, None).await.unwrap();
    say(&mut first, json!({"id": 1, "type": "hello", "token": token()})).await;
    let welcome = hear(&mut first).await;
    let mut second = connect(gateway.at, None).await.unwrap();
    say(&mut second, again(&welcome, &token())).await;
    assert_eq!(hear(&mut second).await["session"], welcome["session"]);
    assert_eq!(close_code(&mut first).await, 4409);
    assert!(matches!(next(&mut gateway).await, FromPage::Opened { .. }));
    assert!(matches!(next(&mut gateway).await, FromPage::Back { .. }));

    // Whoever has the spent secret and a good token, and whoever has a good secret of another user.
    let mut thief = connect(gateway.at, None).await.unwrap();
    say(&mut thief, again(&welcome, &token())).await;
    assert_eq!(hear(&mut thief).await["error"]["code"], "signal/stale-session");
    say(&mut second, json!({"id": 2, "type": "ping"})).await;
    assert_eq!(hear(&mut second).await["ok"], true, "the session is unhurt");
    say(&mut thief, json!({"id": 2, "type": "hello", "token": token()})).await;
    assert_eq!(hear(&mut thief).await["type"], "welcome", "as a session of its own");
}

#[tokio::test]
async fn a_good_secret_of_another_user_is_refused() {
    let gateway = gateway(&[]).await;
    let mut socket = connect(gateway.at, None).await.unwrap();
    say(&mut socket, json!({"id": 1, "type": "hello", "token": token()})).await;
    let welcome = hear(&mut socket).await;
    let mut other = connect(gateway.at, None).await.unwrap();
    say(&mut other, again(&welcome, &token_of("bob"))).await;
    assert_eq!(hear(&mut other).await["error"]["code"], "signal/stale-session");
    say(&mut socket, json!({"id": 2, "type": "ping"})).await;
    assert_eq!(hear(&mut socket).await["ok"], true);
}

#[tokio::test]
async fn a_bad_frame_is_4400_and_the_session_is_kept() {
    for bad in ["{".to_owned(), "[".repeat(60_000), "x".repeat(70_000)] {
        let mut gateway = gateway(&[]).await;
        let mut socket = connect(gateway.at, None).await.unwrap();
        say(&mut socket, json!({"id": 1, "type": "hello", "token": token()})).await;
        let welcome = hear(&mut socket).await;
        let _ = socket.send(Message::text(bad)).await;
        assert_eq!(close_code(&mut socket).await, 4400);
        let mut back = connect(gateway.at, None).await.unwrap();
        say(&mut back, again(&welcome, &token())).await;
        assert_eq!(hear(&mut back).await["session"], welcome["session"]);
        assert!(matches!(next(&mut gateway).await, FromPage::Opened { .. }));
        assert!(matches!(next(&mut gateway).await, FromPage::Away { .. }));
        assert!(matches!(next(&mut gateway).await, FromPage::Back { .. }));
    }
}

#[tokio::test]
async fn a_revoked_token_closes_its_page_and_no_other() {
    let gateway = gateway(&[]).await;
    let mut sockets = Vec::new();
    for user in ["alice", "bob"] {
        let mut socket = connect(gateway.at, None).await.unwrap();
        say(&mut socket, json!({"id": 1, "type": "hello", "token": token_of(user)})).await;
        assert_eq!(hear(&mut socket).await["type"], "welcome");
        sockets.push(socket);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    gateway.server.revoke(|revoked| revoked.user("alice".parse().unwrap(), now));
    assert_eq!(close_code(&mut sockets[0]).await, 4401);
    say(&mut sockets[1], json!({"id": 2, "type": "ping"})).await;
    assert_eq!(hear(&mut sockets[1]).await["ok"], true);
}

#[tokio::test]
async fn idle_peers_make_room_and_a_user_comes_in() {
    let gateway = gateway(&[]).await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(connect(gateway.at, None).await.unwrap());
    }
    let mut user = connect(gateway.at, None).await.unwrap();
    say(&mut user, json!({"id": 1, "type": "hello", "token": token()})).await;
    assert_eq!(hear(&mut user).await["ok"], true);
    assert!(gateway.server.strangers() <= 256);
    assert_eq!(close_code(&mut idle[0]).await, 4429, "the oldest left first");
}
