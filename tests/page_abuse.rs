//! Pages that break the rules of a call, with good and bad tokens and secrets: each gets the code that the
//! protocol names, and nobody else's call notices.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::time::SystemTime;

use crosspoint::base::CallId;
use crosspoint::selftest::Peer;
use crosspoint::signaling::{Claims, Scope, TokenKey, mint};
use serde_json::{Value, json};
use support::bystander::{Bystander, LOOPBACK};
use support::sip_wire::{SipSocket, header, status};
use support::socket::Socket;

/// Signs a token that ends `ends_in` seconds from now.
fn token(secret: &str, user: &str, ends_in: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let exp = now.checked_add_signed(ends_in).unwrap();
    let scopes = vec![Scope::CallOut, Scope::CallIn];
    let claims = Claims { scopes, ..Claims::new(user.parse().unwrap(), exp) };
    // As one that was good once.
    mint(&TokenKey::new(secret.as_bytes()).unwrap(), &claims, exp - 60).unwrap()
}

fn code(reply: &Value) -> &str {
    reply["error"]["code"].as_str().unwrap_or_default()
}

const SECRET: &str = "a secret of the tests, long enough to be one";

#[tokio::test(flavor = "multi_thread")]
async fn expired_and_foreign_tokens_are_4401_and_change_no_session() {
    let bystander = Bystander::start().await;
    let base = &bystander.gateway.base;
    let hello = |token: &str| json!({"id": 1, "type": "hello", "token": token});
    for (token, wanted) in [
        (token(SECRET, "web", -1), "auth/expired"),
        (token("another gateway's secret, just as long", "web", 60), "auth/invalid"),
        (token(SECRET, "web", 60).replace("cp1.", "cp2."), "auth/invalid"),
        ("cp1.eyJzdWIiOiJ3ZWIifQ.".to_owned(), "auth/invalid"),
        (String::new(), "auth/invalid"),
    ] {
        let mut socket = Socket::connect(base, base).await;
        let reply = socket.ask(hello(&token)).await;
        assert_eq!(code(&reply), wanted, "{reply}");
        assert_eq!(socket.close_code().await, 4401, "{wanted}");
    }
    // A session that is open refuses them in words and goes on with its own.
    let mut socket = Socket::signed_in(base, &token(SECRET, "web", 60)).await;
    for (token, wanted) in [
        (token(SECRET, "web", -1), "auth/expired"),
        (token("another gateway's secret, just as long", "web", 60), "auth/invalid"),
        (token(SECRET, "somebody-else", 60), "auth/forbidden"),
    ] {
        let reply = socket.ask(json!({"id": 2, "type": "token", "token": token})).await;
        assert_eq!(code(&reply), wanted, "{reply}");
    }
    assert_eq!(socket.ask(json!({"id": 3, "type": "ping"})).await["ok"], true);
    let fresh = json!({"id": 4, "type": "token", "token": token(SECRET, "web", 60)});
    assert_eq!(socket.ask(fresh).await["ok"], true);
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_answers_twice_is_told_and_its_call_goes_on() {
    let bystander = Bystander::start().await;
    let (base, token) = (&bystander.gateway.base, bystander.gateway.token());
    let mut first = Socket::signed_in(base, &token).await;
    let mut second = Socket::signed_in(base, &token).await;
    let trunk = SipSocket::new("127.0.0.1", bystander.gateway.sip_udp.unwrap());
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 4000 RTP/AVP 0\r\n";
    let body = ("application/sdp", sdp.as_bytes());
    let invite = trunk.request("INVITE", "+493023125600", Some(body));
    trunk.send(&invite);
    let offered = first.event("call.incoming").await;
    let call = offered["call"].clone();
    second.event("call.incoming").await;
    let peer = Peer::start(LOOPBACK).await.unwrap();
    let sdp = peer.accept_offer(offered["sdp"].as_str().unwrap().to_owned()).await.unwrap();
    let answer = |id| json!({"id": id, "type": "call.answer", "call": call, "sdp": sdp});
    // Both at once, before there is any reply.
    first.push(&answer(2).to_string()).await;
    let again = first.ask(answer(3)).await;
    assert_eq!(code(&again), "signal/wrong-state", "{again}");
    let said = String::from_utf8_lossy(&invite).into_owned();
    let taken = trunk.final_answer(header(&said, "Call-ID"));
    assert_eq!(status(&taken), 200, "{taken}");
    trunk.ack(&invite, &taken);
    let later = first.ask(answer(4)).await;
    assert_eq!(code(&later), "signal/wrong-state", "{later}");

    let told = second.event("call.cancelled").await;
    assert_eq!(told["code"], "answered-elsewhere", "{told}");
    let late = second.ask(answer(2)).await;
    assert_eq!(code(&late), "call/ended", "{late}");
    let hold = second.ask(json!({"id": 3, "type": "call.hold", "call": call})).await;
    assert_eq!(code(&hold), "call/ended", "{hold}");

    assert_eq!(first.ask(json!({"id": 5, "type": "call.hangup", "call": call})).await["ok"], true);
    trunk.takes_bye();
    let late = first.ask(answer(6)).await;
    assert_eq!(code(&late), "call/ended", "{late}");
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_secret_is_stale_and_the_call_of_its_session_goes_on() {
    let bystander = Bystander::start().await;
    let (base, token) = (&bystander.gateway.base, bystander.gateway.token());
    let mut first = Socket::connect(base, base).await;
    let welcome = first.ask(json!({"id": 1, "type": "hello", "token": token})).await;
    let peer = Peer::start(LOOPBACK).await.unwrap();
    let sdp = peer.offer().await.unwrap();
    let mut n = 1;
    // A machine that is busy with other tests makes the gateway refuse some at first.
    let (call, reply) = loop {
        n += 1;
        let call = CallId::from_parts(n, 1);
        let start = json!({"id": n, "type": "call.start", "call": call, "to": "+49 30 23125 789",
            "sdp": sdp});
        let reply = first.ask(start).await;
        if code(&reply) != "server/overloaded" {
            break (call, reply);
        }
    };
    assert_eq!(reply["ok"], true, "{reply}");
    peer.answer(reply["sdp"].as_str().unwrap().to_owned()).await.unwrap();

    let again = |welcome: &Value, token: &str| {
        json!({"id": 1, "type": "hello", "token": token, "session": welcome["session"],
            "resume": welcome["resume"], "last_seq": 0})
    };
    let mut own = Socket::connect(base, base).await;
    let renewed = own.ask(again(&welcome, &token)).await;
    assert_eq!(renewed["session"], welcome["session"]);
    assert_eq!(renewed["calls"][0]["call"], json!(call), "{renewed}");
    assert_eq!(first.close_code().await, 4409);

    // With the spent secret, and with a good one and no good token.
    let mut thief = Socket::connect(base, base).await;
    let stale = thief.ask(again(&welcome, &token)).await;
    assert_eq!(code(&stale), "signal/stale-session", "{stale}");
    let mut expired = Socket::connect(base, base).await;
    let refused = expired.ask(again(&renewed, &self::token(SECRET, "web", -1))).await;
    assert_eq!(code(&refused), "auth/expired", "{refused}");
    assert_eq!(expired.close_code().await, 4401);

    // Another session of the same user knows nothing of the call.
    let mut other = Socket::signed_in(base, &token).await;
    for (id, kind) in (2..).zip(["call.hangup", "call.hold", "call.message"]) {
        let ask = json!({"id": id, "type": kind, "call": call, "data": "x"});
        let refused = other.ask(ask).await;
        assert_eq!(code(&refused), "signal/unknown-call", "{kind}: {refused}");
    }
    let ask = json!({"id": 9, "type": "call.hangup", "call": bystander.call.id});
    let refused = own.ask(ask).await;
    assert_eq!(code(&refused), "signal/unknown-call", "{refused}");

    // More words than an application says: refused in words, the session goes on.
    let words =
        |id: u64| json!({"id": id, "type": "call.message", "call": call, "data": {"n": id}});
    let mut refused = 0;
    for id in 10..20 {
        let reply = own.ask(words(id)).await;
        refused += usize::from(code(&reply) == "protocol/too-many-messages");
    }
    assert!(refused > 0, "ten at once are five too many");
    assert_eq!(own.ask(json!({"id": 30, "type": "call.hangup", "call": call})).await["ok"], true);
    let ended = own.event("call.ended").await;
    assert_eq!((&ended["call"], &ended["code"]), (&json!(call), &json!("hangup")), "{ended}");
    bystander.hears().await;
    bystander.ends_clean().await;
}
