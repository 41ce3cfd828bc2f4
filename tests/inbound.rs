//! Calls that come in from a trunk, placed by sipp and by baresip: what the page is told of the caller,
//! and who rings: all at once, in order, who has been idle longest.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crosspoint::selftest::{Call, Page};
use serde_json::json;
use support::browser::Browser;
use support::gateway::Gateway;
use support::phones::{Baresip, Sipp};

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
[[inbound]]
name = "to the page"
did = ["+493012345670"]
flow = ["user:web"]
[[inbound]]
name = "all at once"
did = ["+493012345671"]
flow = ["user:nobody", "ring:all"]
[[inbound]]
name = "in order"
did = ["+493012345672"]
flow = ["ring:order"]
[[inbound]]
name = "longest idle"
did = ["+493012345673"]
flow = ["ring:idle"]
[ring.all]
users = ["alice", "bob", "carol"]
strategy = "all"
timeout = "60s"
[ring.order]
users = ["alice", "bob"]
strategy = "in-order"
timeout = "60s"
[ring.idle]
users = ["alice", "bob", "carol"]
strategy = "longest-idle"
timeout = "60s"
"#;

const USERS: &str = "[user.nobody]\n[user.alice]\n[user.bob]\n[user.carol]\n";

/// A caller whose network vouches for its number, and who sends two headers of its own.
#[test]
fn a_page_is_told_what_the_trunk_lets_through_and_how_far_the_caller_was_verified() {
    let trunk = format!("page_headers = [\"X-Ticket\", \"X-Other\"]\n{USERS}");
    let gateway = Gateway::serve_trunk(support::free_port(), PLAN, &trunk);
    let steps = json!([{"do": "answer"}, {"do": "active"}, {"do": "hangup"}, {"do": "ended"}]);
    let mut page = Browser::start(&gateway.base, Some(&gateway.token()), "", steps);
    gateway.process.line_with("page signed in", Duration::from_secs(60));
    let scenario = include_str!("sipp/uac_headers.xml").replace("[service]", "+493012345670");
    let mut caller = Sipp::calling(&scenario, &gateway.sip_udp.unwrap().to_string());
    let saw = page.finish();
    assert_eq!(saw[0]["caller"], "+49301234567", "{}", saw[0]);
    assert_eq!(saw[0]["metadata"], json!({"X-Ticket": "4711 <b>"}), "{}", saw[0]);
    assert_eq!(saw[0]["verified"], "B", "{}", saw[0]);
    assert_eq!(saw[3]["code"], "hangup", "{}", saw[3]);
    caller.is_content();
}

/// Three users, one page each.
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_rings_all_at_once_in_order_or_who_is_idle_longest() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = Gateway::serve_at(phone.port, PLAN, "127.0.0.1", USERS);
    let page =
        async |user: &str| Page::connect(&gateway.base, &gateway.token_of(user)).await.unwrap();
    let (mut alice, mut bob, mut carol) =
        (page("alice").await, page("bob").await, page("carol").await);
    let sip = gateway.sip_udp.unwrap().port();
    let dial = |last: u8| phone.dial(&format!("sip:+49301234567{last}@127.0.0.1:{sip}"));
    let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);

    // All: the first answer wins.
    dial(1);
    for page in [&mut alice, &mut carol] {
        rings(page).await;
    }
    let call = Call::take(&mut bob, bind).await.unwrap();
    for page in [&mut alice, &mut carol] {
        let told = event(page, "call.cancelled").await;
        assert_eq!(told["code"], "answered-elsewhere", "{told}");
    }
    call.state(&mut bob, "active").await.unwrap();
    call.hang_up(&mut bob).await.unwrap();

    // In order: the next one rings when the one before does not want the call.
    dial(2);
    let id = rings(&mut alice).await;
    alice.ask(json!({"type": "call.reject", "call": id, "reason": "busy"})).await.unwrap();
    let call = Call::take(&mut bob, bind).await.unwrap();
    call.state(&mut bob, "active").await.unwrap();
    call.hang_up(&mut bob).await.unwrap();

    // Longest idle: bob has talked, alice and carol never have; the plan's order decides between them.
    dial(3);
    let id = rings(&mut alice).await;
    alice.ask(json!({"type": "call.reject", "call": id, "reason": "declined"})).await.unwrap();
    let call = Call::take(&mut carol, bind).await.unwrap();
    call.state(&mut carol, "active").await.unwrap();
    call.hang_up(&mut carol).await.unwrap();
    dial(3);
    let id = rings(&mut alice).await;
    alice.ask(json!({"type": "call.reject", "call": id, "reason": "declined"})).await.unwrap();
    let id = rings(&mut bob).await;
    bob.ask(json!({"type": "call.reject", "call": id, "reason": "declined"})).await.unwrap();
    let call = Call::take(&mut carol, bind).await.unwrap();
    call.hang_up(&mut carol).await.unwrap();
}

/// Waits until a page rings; gives the call.
async fn rings(page: &mut Page) -> String {
    event(page, "call.incoming").await["call"].as_str().unwrap().to_owned()
}

async fn event(page: &mut Page, kind: &str) -> serde_json::Value {
    let event = page.event(LIMIT, kind, |event| event.text("type") == kind);
    event.await.unwrap().body
}

const LIMIT: Duration = Duration::from_secs(30);
