//! Transfers within a call between two pages: to a number on the trunk and to other pages, by the rules
//! of the user who asks, in the gateway's own binary with live pages and baresip.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::time::Duration;

use crosspoint::base::Digit;
use crosspoint::selftest::{Call, Event, Page, Source};
use serde_json::{Value, json};
use support::bystander::LOOPBACK;
use support::gateway::Gateway;
use support::http;
use support::phones::Baresip;
use support::sound::best_level;
use support::talk::{LIMIT, hears};

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
[caller_id.web]
number = "+493012345670"
[group.all]
users = ["web", "bob", "carol"]
caller_id = ["web"]
[[outbound]]
name = "no service numbers"
to = ["79X"]
deny = "no service numbers"
[[outbound]]
name = "the phone"
user = ["web", "bob"]
to = ["7XX"]
route = ["phone"]
max_call = "2m"
[[inbound]]
name = "to the page"
did = ["+493012345670"]
flow = ["user:web"]
[extension]
"101" = "user:web"
"102" = "user:bob"
"103" = "user:carol"
"104" = "user:nobody"
"105" = "app:echo"
"#;

const USERS: &str = "[user.bob]\ncountry = \"DE\"\n[user.carol]\ncountry = \"DE\"\n\
    [user.nobody]\ncountry = \"DE\"\n";

fn gateway(phone: u16) -> Gateway {
    Gateway::serve_at(phone, PLAN, "127.0.0.1", USERS)
}

async fn page(gateway: &Gateway, user: &str) -> Page {
    Page::connect(&gateway.base, &gateway.token_of(user)).await.unwrap()
}

async fn event(page: &mut Page, call: &Call, kind: &str) -> Event {
    let wanted = |e: &Event| e.text("type") == kind && e.text("call") == call.id;
    page.event(LIMIT, kind, wanted).await.unwrap()
}

/// The next word about a transfer and its status.
async fn receipt(page: &mut Page, call: &Call) -> (String, u64) {
    let told = event(page, call, "call.transfer").await;
    (told.text("status").to_owned(), told.body["sip"].as_u64().unwrap())
}

async fn receipts(page: &mut Page, call: &Call, wanted: &[(&str, u64)]) {
    for (status, sip) in wanted {
        assert_eq!(receipt(page, call).await, ((*status).to_owned(), *sip));
    }
}

async fn transfer(page: &Page, call: &Call, to: &str) -> anyhow::Result<Value> {
    page.ask(json!({"type": "call.transfer", "call": call.id, "to": to})).await
}

async fn take(page: &mut Page, hz: f64) -> Call {
    let call = Call::take(page, LOOPBACK).await.unwrap();
    call.peer.play(Source::tone(hz, -20.0)).await.unwrap();
    call
}

/// `page` calls bob and they hear each other: its tone is 620 Hz, bob's 1010 Hz.
async fn talk(page: &mut Page, bob: &mut Page) -> (Call, Call) {
    let call = Call::start(page, LOOPBACK, "102").await.unwrap();
    call.peer.play(Source::tone(620.0, -20.0)).await.unwrap();
    let bobs = take(bob, 1010.0).await;
    call.state(page, "active").await.unwrap();
    let active = bobs.state(bob, "active").await.unwrap();
    assert_eq!(active.text("codec"), "opus", "passed on as it comes");
    hears(&call, 1010.0).await;
    hears(&bobs, 620.0).await;
    (call, bobs)
}

async fn ended(page: &mut Page, call: &Call) -> (String, String) {
    let ended = call.ended(page, LIMIT).await.unwrap();
    (ended.text("code").to_owned(), ended.text("by").to_owned())
}

fn says(code: &str, by: &str) -> (String, String) {
    (code.to_owned(), by.to_owned())
}

/// The caller hands the callee over to the trunk's phone: it keeps its call, its digits go to the phone.
#[tokio::test]
async fn a_page_hands_the_page_it_called_over_to_a_number() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = gateway(phone.port);
    let (mut alice, mut bob) = (page(&gateway, "web").await, page(&gateway, "bob").await);
    let (call, bobs) = talk(&mut alice, &mut bob).await;
    let reply = transfer(&alice, &call, "700").await.unwrap();
    assert_eq!(reply["status"], "accepted");
    receipts(&mut alice, &call, &[("accepted", 202), ("ringing", 180), ("answered", 200)]).await;
    assert_eq!(ended(&mut alice, &call).await, says("hangup", "local"));
    hears(&bobs, 880.0).await;
    bobs.peer
        .press(
            vec![Digit::from_char('5').unwrap()],
            Duration::from_millis(120),
            Duration::from_millis(100),
        )
        .await
        .unwrap();
    assert_eq!(event(&mut bob, &bobs, "dtmf.sent").await.text("tone"), "5");
    assert_eq!(phone.telephone_events(), [('5', false), ('5', true)]);
    // For her it is over: she asks nothing of it any more.
    let refused = transfer(&alice, &call, "700").await.unwrap_err().to_string();
    assert!(refused.contains("call/ended"), "{refused}");
    // Long enough for the phone's own recording.
    for _ in 0..4 {
        hears(&bobs, 880.0).await;
    }
    phone.command("hangup", "");
    assert_eq!(ended(&mut bob, &bobs).await, says("hangup", "remote"));
    let heard = phone.recording();
    let level = best_level(&heard, 1010.0);
    assert!(level > -40.0, "the phone hears bob at {level} dBm0 in {} samples", heard.len());
    let record = http::closed_record(&gateway.base, call.id.as_str());
    assert_eq!((&record["direction"], &record["trunk"]), (&json!("internal"), &json!("phone")));
    assert_eq!(record["ended_by"], "caller", "the phone sits in the caller's place: {record:#}");
    assert!(record["trace"].to_string().contains("trunk phone is to take the call over"));
}

/// The callee hands the caller over to another user's pages; she is handed on to the phone by the new one,
/// who may not call it, and by herself, who may.
#[tokio::test]
async fn a_page_hands_the_page_that_called_over_to_a_user() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = gateway(phone.port);
    let (mut alice, mut bob) = (page(&gateway, "web").await, page(&gateway, "bob").await);
    let (mut carol, mut other) = (page(&gateway, "carol").await, page(&gateway, "carol").await);
    let (call, bobs) = talk(&mut alice, &mut bob).await;
    transfer(&bob, &bobs, "103").await.unwrap();
    receipts(&mut bob, &bobs, &[("accepted", 202), ("ringing", 180)]).await;
    let rung = other.event(LIMIT, "a call", |e| e.text("type") == "call.incoming").await.unwrap();
    assert_eq!(rung.body["from"]["uri"], "user:web");
    assert_eq!(rung.body["to"]["uri"], "103");
    assert_eq!(rung.body["metadata"], json!({"transferred_by": "user:bob"}));
    let carols = take(&mut carol, 1300.0).await;
    carols.state(&mut carol, "active").await.unwrap();
    assert_eq!(receipt(&mut bob, &bobs).await, ("answered".to_owned(), 200));
    assert_eq!(ended(&mut bob, &bobs).await, says("hangup", "local"));
    let gone = other.event(LIMIT, "the end", |e| e.text("type") == "call.cancelled").await.unwrap();
    assert_eq!(gone.text("code"), "answered-elsewhere");
    hears(&call, 1300.0).await;
    hears(&carols, 620.0).await;

    // Hold and digits work between the two as between any others.
    carol.ask(json!({"type": "call.hold", "call": carols.id})).await.unwrap();
    let held = async |page: &mut Page, call: &Call| {
        event(page, call, "call.held").await.body["by"].clone()
    };
    loop {
        // The handing over has told that nobody holds anybody.
        match held(&mut alice, &call).await {
            Value::Null => {}
            by => break assert_eq!(by, "remote"),
        }
    }
    carol.ask(json!({"type": "call.unhold", "call": carols.id})).await.unwrap();
    assert_eq!(held(&mut alice, &call).await, Value::Null);
    let keys =
        json!({"type": "dtmf.send", "call": carols.id, "tones": "7", "duration": 100, "gap": 100});
    carol.ask(keys).await.unwrap();
    assert_eq!(event(&mut alice, &call, "dtmf").await.text("tone"), "7");

    let refused = transfer(&carol, &carols, "700").await.unwrap_err().to_string();
    assert!(refused.contains("call/blocked-by-dialplan"), "{refused}");
    transfer(&alice, &call, "700").await.unwrap();
    let told = [("accepted", 202), ("ringing", 180), ("answered", 200)];
    receipts(&mut alice, &call, &told).await;
    assert_eq!(ended(&mut alice, &call).await, says("hangup", "local"));
    hears(&carols, 880.0).await;
    let over = carols.hang_up(&mut carol).await.unwrap();
    assert_eq!((over.text("code"), over.text("by")), ("hangup", "local"));
    phone.process.line_with("session closed", LIMIT);
}

async fn join(page: &Page, call: &Call, other: &Call) -> anyhow::Result<Value> {
    page.ask(json!({"type": "call.transfer", "call": call.id, "other_call": other.id})).await
}

/// The far sides of two calls of one page are joined, and it is out of both: a page and a phone that it called or
/// that called it, asked in either call, and two pages.
#[tokio::test]
async fn a_page_joins_the_far_sides_of_its_two_calls() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = gateway(phone.port);
    let (mut alice, mut bob) = (page(&gateway, "web").await, page(&gateway, "bob").await);
    let mut carol = page(&gateway, "carol").await;
    for asked_in_the_phones in [false, true] {
        let (first, bobs) = talk(&mut alice, &mut bob).await;
        alice.ask(json!({"type": "call.hold", "call": first.id})).await.unwrap();
        let second = if asked_in_the_phones {
            let sip = gateway.sip_udp.unwrap();
            phone.dial(&format!("sip:+493012345670@{sip}"));
            take(&mut alice, 620.0).await
        } else {
            Call::start(&alice, LOOPBACK, "700").await.unwrap()
        };
        second.state(&mut alice, "active").await.unwrap();
        hears(&second, 880.0).await;
        let (asked, other) =
            if asked_in_the_phones { (&second, &first) } else { (&first, &second) };
        assert_eq!(join(&alice, asked, other).await.unwrap()["status"], "accepted");
        receipts(&mut alice, asked, &[("accepted", 202), ("answered", 200)]).await;
        for call in [&first, &second] {
            assert_eq!(ended(&mut alice, call).await, says("hangup", "local"));
        }
        hears(&bobs, 880.0).await;
        // Nobody holds anybody any more; digits go to the phone, its own come to the page.
        bobs.peer
            .press(
                vec![Digit::from_char('6').unwrap()],
                Duration::from_millis(120),
                Duration::from_millis(100),
            )
            .await
            .unwrap();
        assert_eq!(event(&mut bob, &bobs, "dtmf.sent").await.text("tone"), "6");
        phone.press('3');
        phone.release();
        assert_eq!(event(&mut bob, &bobs, "dtmf").await.text("tone"), "3");
        // Long enough for the phone's own recording.
        for _ in 0..3 {
            hears(&bobs, 880.0).await;
        }
        if asked_in_the_phones {
            let over = bobs.hang_up(&mut bob).await.unwrap();
            assert_eq!((over.text("code"), over.text("by")), ("hangup", "local"));
            phone.process.line_with("session closed", LIMIT);
        } else {
            phone.command("hangup", "");
            assert_eq!(ended(&mut bob, &bobs).await, says("hangup", "remote"));
            let level = best_level(&phone.recording(), 1010.0);
            assert!(level > -40.0, "the phone hears bob at {level} dBm0");
        }
    }
    let (first, bobs) = talk(&mut alice, &mut bob).await;
    let second = Call::start(&alice, LOOPBACK, "103").await.unwrap();
    let carols = take(&mut carol, 1300.0).await;
    carols.state(&mut carol, "active").await.unwrap();
    let refused = join(&alice, &first, &first).await.unwrap_err().to_string();
    assert!(refused.contains("another call"), "{refused}");
    let foreign = join(&bob, &bobs, &second).await.unwrap_err().to_string();
    assert!(foreign.contains("signal/unknown-call"), "{foreign}");
    join(&alice, &first, &second).await.unwrap();
    receipts(&mut alice, &first, &[("accepted", 202), ("answered", 200)]).await;
    for call in [&first, &second] {
        assert_eq!(ended(&mut alice, call).await, says("hangup", "local"));
    }
    hears(&bobs, 1300.0).await;
    hears(&carols, 1010.0).await;
    // Each goes on under the id that it has for the call: hold, digits, the end.
    carol.ask(json!({"type": "call.hold", "call": carols.id})).await.unwrap();
    while event(&mut bob, &bobs, "call.held").await.body["by"] != "remote" {}
    carol.ask(json!({"type": "call.unhold", "call": carols.id})).await.unwrap();
    let keys =
        json!({"type": "dtmf.send", "call": bobs.id, "tones": "8", "duration": 100, "gap": 100});
    bob.ask(keys).await.unwrap();
    assert_eq!(event(&mut carol, &carols, "dtmf").await.text("tone"), "8");
    carols.hang_up(&mut carol).await.unwrap();
    assert_eq!(ended(&mut bob, &bobs).await, says("hangup", "remote"));
    http::no_call_is_on(&gateway.base);
}

/// What cannot be leaves the call as it was, and each page is told why.
#[tokio::test]
async fn a_transfer_between_pages_that_fails_leaves_the_call_as_it_was() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = gateway(phone.port);
    let (mut alice, mut bob) = (page(&gateway, "web").await, page(&gateway, "bob").await);
    let mut carol = page(&gateway, "carol").await;
    let (call, bobs) = talk(&mut alice, &mut bob).await;
    for (to, code, words) in [
        ("790", "call/blocked-by-dialplan", "no service numbers"),
        ("104", "call/unreachable", "nobody is signed in"),
        ("105", "call/unreachable", "not to a line"),
        ("101", "call/unreachable", "nobody is signed in"),
    ] {
        let refused = transfer(&bob, &bobs, to).await.unwrap_err().to_string();
        assert!(refused.contains(code) && refused.contains(words), "{to}: {refused}");
    }
    // Declined, and they hear each other again.
    transfer(&bob, &bobs, "103").await.unwrap();
    let rung = carol.event(LIMIT, "a call", |e| e.text("type") == "call.incoming").await.unwrap();
    let again = transfer(&alice, &call, "700").await.unwrap_err().to_string();
    assert!(again.contains("signal/wrong-state"), "one at a time: {again}");
    carol
        .ask(json!({"type": "call.reject", "call": rung.text("call"), "reason": "declined"}))
        .await
        .unwrap();
    let told = [("accepted", 202), ("ringing", 180), ("failed", 603)];
    receipts(&mut bob, &bobs, &told).await;
    hears(&call, 1010.0).await;
    hears(&bobs, 620.0).await;
    // The one that asked leaves before anybody answers: the call is the new party's.
    transfer(&bob, &bobs, "103").await.unwrap();
    receipts(&mut bob, &bobs, &[("accepted", 202), ("ringing", 180)]).await;
    bob.ask(json!({"type": "call.hangup", "call": bobs.id})).await.unwrap();
    assert_eq!(ended(&mut bob, &bobs).await, says("hangup", "local"));
    let carols = take(&mut carol, 1300.0).await;
    hears(&call, 1300.0).await;
    hears(&carols, 620.0).await;
    // The one that stays does not wait: nobody rings any more.
    transfer(&carol, &carols, "102").await.unwrap();
    bob.event(LIMIT, "a call", |e| e.text("type") == "call.incoming").await.unwrap();
    call.hang_up(&mut alice).await.unwrap();
    let gone = bob.event(LIMIT, "the end", |e| e.text("type") == "call.cancelled").await.unwrap();
    assert_eq!(gone.text("code"), "hangup");
    assert_eq!(ended(&mut carol, &carols).await, says("hangup", "remote"));
}

/// The longest call of a token ends what is placed with it, and what is handed over with it.
#[tokio::test]
async fn a_token_with_a_longest_call_ends_its_calls_and_those_it_hands_over() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = gateway(phone.port);
    let short = |user: &str| {
        let body = json!({"sub": user, "max_call_s": 1}).to_string();
        let headers = ["content-type: application/json"];
        let answer = http::request(&gateway.base, "POST", "/v1/client-tokens", &headers, &body);
        answer.json()["token"].as_str().unwrap().to_owned()
    };
    let mut brief = Page::connect(&gateway.base, &short("carol")).await.unwrap();
    let mut bob = Page::connect(&gateway.base, &short("bob")).await.unwrap();
    let call = Call::start(&brief, LOOPBACK, "102").await.unwrap();
    let bobs = take(&mut bob, 1010.0).await;
    assert_eq!(ended(&mut brief, &call).await, says("max-duration", "gateway"));
    assert_eq!(ended(&mut bob, &bobs).await, says("max-duration", "gateway"));
    // A call that somebody else placed has no such end, until the one with the token hands it over.
    let mut alice = page(&gateway, "web").await;
    let (call, bobs) = talk(&mut alice, &mut bob).await;
    for _ in 0..3 {
        hears(&call, 1010.0).await;
    }
    transfer(&bob, &bobs, "700").await.unwrap();
    assert_eq!(ended(&mut bob, &bobs).await, says("hangup", "local"));
    assert_eq!(ended(&mut alice, &call).await, says("max-duration", "gateway"));
    phone.process.line_with("session closed", LIMIT);
}
