//! Transfers that the trunk's phone asks for, and those that a page asks for with a second call: REFER
//! and Replaces through the gateway's own binary, always through the dial plan of the page's user.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::time::Duration;

use crosspoint::selftest::{Call, Event, Page};
use serde_json::json;
use support::bystander::{PLAN, place};
use support::gateway::Gateway;
use support::interop;
use support::kamailio::{Kamailio, Ways};
use support::phones::{Baresip, By, Linphone, Media, Sipp};
use support::sipp_script::{Script, plain};
use support::talk::{Way, hears};
use support::uas::{Manner, Uas};

const LIMIT: Duration = Duration::from_secs(20);

/// The phone is reached in this way, 701 and 702 are at the trunk `south`.
fn gateway_by(way: Way, phone: u16, south: u16) -> (Gateway, Option<Kamailio>) {
    match way {
        Way::Direct => (gateway(phone, south), None),
        Way::Proxy => {
            let kamailio = Kamailio::proxy(phone, Ways::default());
            let password = "username = \"acct\"\npassword = \"secret\"\n";
            (gateway_with(kamailio.port, south, password), Some(kamailio))
        }
    }
}

fn gateway(phone: u16, south: u16) -> Gateway {
    gateway_with(phone, south, "")
}

fn gateway_with(phone: u16, south: u16, password: &str) -> Gateway {
    let plan = PLAN.replace(
        "[[outbound]]\nname = \"the phone\"",
        "[[outbound]]\nname = \"the south\"\nto = [\"701\", \"702\"]\nroute = [\"south\"]\n\
         [[outbound]]\nname = \"the phone\"",
    );
    let trunks = format!(
        "options_interval = \"0s\"\n{password}[trunk.south]\ntarget = \"sip:127.0.0.1:{south}\"\n\
         options_interval = \"0s\"\ncodecs = [\"pcmu\", \"pcma\"]\n"
    );
    Gateway::serve_trunk(phone, &plan, &trunks)
}

async fn talk(page: &mut Page, to: &str) -> Call {
    let call = place(page, to).await;
    call.state(page, "active").await.unwrap();
    call.peer.connected(LIMIT).await.expect("ICE and DTLS");
    call
}

async fn event(page: &mut Page, call: &Call, kind: &str) -> Event {
    let id = call.id.clone();
    let wanted = |e: &Event| e.text("type") == kind && e.text("call") == id;
    page.event(LIMIT, kind, wanted).await.unwrap()
}

/// A phone with a tone that answers once, for `user`.
fn answering() -> Sipp {
    let script = Script::callee()
        .answer("180 Ringing", "", None)
        .answer("200 OK", "", Some(&plain(1)))
        .ack();
    Sipp::script(&script.until_bye())
}

#[tokio::test]
async fn baresip_hands_the_page_over() {
    let (phone, south) = (Baresip::start(880.0, -20.0), Baresip::start_for("701", 660.0, -20.0));
    let gateway = gateway(phone.port, south.port);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = talk(&mut page, "700").await;
    hears(&call, 880.0).await;
    phone.command("transfer", "sip:701@127.0.0.1");
    gateway.process.line_with("handed over", LIMIT);
    hears(&call, 660.0).await;
    let ended = { call }.hang_up(&mut page).await.unwrap();
    assert_eq!(ended.text("code"), "hangup");
    south.process.line_with("session closed", LIMIT);
    interop::record("baresip", "blind, from the peer");
}

/// The same for a call that the trunk placed: its leg is the caller's.
#[tokio::test]
async fn baresip_that_called_hands_the_page_over() {
    let (phone, south) = (Baresip::start(880.0, -20.0), Baresip::start_for("701", 660.0, -20.0));
    let gateway = gateway(phone.port, south.port);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    phone.dial(&format!("sip:+493023125600@{}", gateway.sip_udp.unwrap()));
    let call = Call::take(&mut page, support::bystander::LOOPBACK).await.unwrap();
    call.state(&mut page, "active").await.unwrap();
    hears(&call, 880.0).await;
    interop::record("baresip", "call to a page");
    phone.command("transfer", "sip:701@127.0.0.1");
    hears(&call, 660.0).await;
    // The new party hangs up: the call is over.
    south.command("hangup", "");
    let ended = { call }.ended(&mut page, LIMIT).await.unwrap();
    assert_eq!(ended.text("code"), "hangup");
}

#[tokio::test]
async fn sipp_asks_for_what_the_plan_refuses_and_for_what_it_allows() {
    for way in [Way::Direct, Way::Proxy] {
        sipp_asks(way).await;
    }
}

async fn sipp_asks(way: Way) {
    let refer = |script: Script, cseq, to: &str| {
        let lines = format!("Refer-To: <sip:{to}@127.0.0.1>\nContent-Length: 0\n");
        script.ask_with("REFER", cseq, &lines)
    };
    let script = Script::callee().answer("200 OK", "", Some(&plain(1))).ack();
    let script = refer(script, 1, "+19005551234").response(403, &["Reason: Q.850", "Warning: 399"]);
    let script = refer(script, 2, "112").response(403, &["Reason: Q.850", "Warning: 399"]);
    let notify = |script: Script, state: &str, line: &str| {
        script
            .expect("NOTIFY", &["Event: refer", state, line, "message/sipfrag"])
            .confirm("200 OK", "", None)
    };
    let script = refer(script, 3, "701").response(202, &["CSeq: 3 REFER"]);
    let script = notify(script, "active;expires", "SIP/2.0 100");
    let script = notify(script, "active;expires", "SIP/2.0 180");
    let script = notify(script, "terminated;reason=noresource", "SIP/2.0 200");
    // It stays where it is: the gateway says goodbye.
    let mut sipp = Sipp::script(&script.until_bye());
    let mut south = answering();
    let (gateway, _kamailio) = gateway_by(way, sipp.port, south.port);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = talk(&mut page, "700").await;
    gateway.process.line_with("handed over", LIMIT);
    sipp.is_content();
    { call }.hang_up(&mut page).await.unwrap();
    south.is_content();
    let record = &support::http::closed_records(&gateway.base, 1)[0];
    assert!(
        record["trace"].to_string().contains("trunk south is to take the call over"),
        "{record}"
    );
    interop::record(way.peer(), "blind, from the peer");
}

/// A trunk that may not hand pages over is told so, and its call goes on.
#[tokio::test]
async fn sipp_may_not_ask_where_the_trunk_says_so() {
    let lines = "Refer-To: <sip:701@127.0.0.1>\nContent-Length: 0\n";
    let script = Script::callee()
        .answer("200 OK", "", Some(&plain(1)))
        .ack()
        .ask_with("REFER", 1, lines)
        .response(603, &["Reason: Q.850;cause=21"]);
    let mut sipp = Sipp::script(&script.until_bye());
    let gateway = gateway_with(sipp.port, support::free_port(), "refer = \"refuse\"\n");
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = talk(&mut page, "700").await;
    gateway.process.line_with("REFER of the trunk refused", LIMIT);
    { call }.hang_up(&mut page).await.unwrap();
    sipp.is_content();
}

/// Nobody takes it: the phone that asked is told why, and its call goes on as it was.
#[tokio::test]
async fn sipp_hands_the_page_to_a_phone_that_is_busy() {
    let busy = Sipp::answer("uas_early_busy.xml");
    let notify = |script: Script, line: &str| {
        script.expect("NOTIFY", &["Event: refer", line]).confirm("200 OK", "", None)
    };
    let script = Script::callee().answer("200 OK", "", Some(&plain(1))).ack();
    let lines = "Refer-To: <sip:702@127.0.0.1>\nContent-Length: 0\n";
    let script = script.ask_with("REFER", 1, lines).response(202, &[]);
    let script = notify(script, "SIP/2.0 100");
    let script = notify(script, "SIP/2.0 183");
    let script = notify(script, "SIP/2.0 486 Busy Here")
        .ask("INVITE", 2, "", Some(&plain(2)))
        .response(200, &["a=sendrecv", "o=- [0-9]+ 2 IN"])
        .ask("ACK", 2, "", None);
    let mut sipp = Sipp::script(&script.until_bye());
    let gateway = gateway(sipp.port, busy.port);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = talk(&mut page, "700").await;
    gateway.process.line_with("not handed over", LIMIT);
    loop {
        // The ACK of the re-INVITE: the scenario waits for BYE.
        if sipp.messages().matches("\nACK sip:").count() == 2 {
            break;
        }
        tokio::task::yield_now().await;
    }
    { call }.hang_up(&mut page).await.unwrap();
    sipp.is_content();
}

/// What a REFER that failed had taken of the caps of the page's user is given back: two calls at once are
/// this one and the next REFER's.
#[tokio::test]
async fn a_refer_that_failed_keeps_no_place() {
    let busy = Uas::start(Manner::Refuses(486));
    let notify = |script: Script, line: &str| {
        script.expect("NOTIFY", &["Event: refer", line]).confirm("200 OK", "", None)
    };
    let mut script = Script::callee().answer("200 OK", "", Some(&plain(1))).ack();
    let lines = "Refer-To: <sip:702@127.0.0.1>\nContent-Length: 0\n";
    for cseq in 1..=3 {
        script = script.ask_with("REFER", cseq, lines).response(202, &[]);
        script = notify(notify(script, "SIP/2.0 100"), "SIP/2.0 486");
    }
    let mut sipp = Sipp::script(&script.until_bye());
    let (_, south) =
        busy.target().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.parse())).unwrap();
    let gateway = gateway(sipp.port, south.unwrap());
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = talk(&mut page, "700").await;
    sipp.got("\nSIP/2.0 486", 3).await;
    { call }.hang_up(&mut page).await.unwrap();
    sipp.is_content();
    assert_eq!(busy.invites(), 3);
}

/// RFC 3891: a third phone of the trunk takes the call over.
#[tokio::test]
async fn sipp_calls_with_replaces_and_takes_the_place() {
    for way in [Way::Direct, Way::Proxy] {
        sipp_takes_the_place(way).await;
    }
}

async fn sipp_takes_the_place(way: Way) {
    let mut sipp =
        Sipp::script(&Script::callee().answer("200 OK", "", Some(&plain(1))).ack().until_bye());
    let south = answering();
    let (gateway, _kamailio) = gateway_by(way, sipp.port, south.port);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = talk(&mut page, "700").await;
    let ack = loop {
        let messages = sipp.messages();
        if let Some(at) = messages.find("\nACK sip:")
            && messages[at..].contains("User-Agent")
        {
            break messages[at..].to_owned();
        }
        tokio::task::yield_now().await;
    };
    let header = |name: &str| {
        let line = ack.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap().trim().to_owned()
    };
    let tag = |name| header(name).split_once(";tag=").unwrap().1.to_owned();
    let (call_id, ours, theirs) = (header("Call-ID"), tag("From"), tag("To"));
    let replaces = |ours: &str| format!("Replaces: {call_id};to-tag={ours};from-tag={theirs}\n");
    let sip = gateway.sip_udp.unwrap().to_string();
    // A tag that is not the one of the dialog changes nothing.
    let wrong = Script::caller("+493023125600", &replaces("nonsense"), &plain(1)).refused(481);
    Sipp::calling(&wrong, &sip).is_content();
    let right = Script::caller("+493023125600", &replaces(&ours), &plain(1)).accepted().until_bye();
    let mut other = Sipp::calling(&right, &sip);
    gateway.process.line_with("taken over", LIMIT);
    sipp.is_content();
    { call }.hang_up(&mut page).await.unwrap();
    other.is_content();
    interop::record_with(way.peer(), "attended, from the peer", "an INVITE with `Replaces`");
}

/// A page with two calls joins their far sides: REFER with Replaces.
#[tokio::test]
async fn the_page_joins_two_phones_of_sipp() {
    for way in [Way::Direct, Way::Proxy] {
        the_page_joins(way).await;
    }
}

async fn the_page_joins(way: Way) {
    let sipfrag = "Event: refer\nSubscription-State: terminated;reason=noresource\n\
                   Content-Type: message/sipfrag\nContent-Length: [len]\n\nSIP/2.0 200 OK\n";
    let script = Script::callee()
        .answer("200 OK", "", Some(&plain(1)))
        .ack()
        .expect("REFER", &["Refer-To: .sip:.*Replaces=.*to-tag.*from-tag"])
        .confirm("202 Accepted", "", None)
        .ask_with("NOTIFY", 1, sipfrag)
        .response(200, &[]);
    let mut sipp = Sipp::script(&script.until_bye());
    let mut south = answering();
    let (gateway, _kamailio) = gateway_by(way, sipp.port, south.port);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let first = talk(&mut page, "700").await;
    let second = talk(&mut page, "701").await;
    let request = json!({"type": "call.transfer", "call": first.id, "other_call": second.id});
    page.ask(request).await.unwrap();
    for told in ["accepted", "answered"] {
        assert_eq!(event(&mut page, &first, "call.transfer").await.text("status"), told);
    }
    sipp.is_content();
    { second }.hang_up(&mut page).await.unwrap();
    south.is_content();
    interop::record(way.peer(), "attended, from the page");
}

/// linphonec has both halves of it: it calls with Replaces when it is asked to, and takes such a call.
#[tokio::test]
async fn the_page_joins_two_phones_of_linphone() {
    let phone = Linphone::start();
    let south = Linphone::start_as("701", By::Udp, Media::Plain, None);
    let gateway = gateway(phone.port, south.port);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let first = talk(&mut page, "700").await;
    let second = talk(&mut page, "701").await;
    let request = json!({"type": "call.transfer", "call": first.id, "other_call": second.id});
    page.ask(request).await.unwrap();
    for call in [&first, &second] {
        let ended = call.ended(&mut page, LIMIT).await.unwrap();
        assert_eq!(ended.text("code"), "hangup");
    }
    interop::record("linphonec", "attended, from the page");
    interop::record("linphonec", "call from a page");
}

#[tokio::test]
async fn linphone_hands_the_page_over() {
    let (phone, south) = (Linphone::start(), Baresip::start_for("701", 660.0, -20.0));
    let gateway = gateway(phone.port, south.port);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = talk(&mut page, "700").await;
    phone.command("transfer sip:701@127.0.0.1");
    hears(&call, 660.0).await;
    { call }.hang_up(&mut page).await.unwrap();
    interop::record("linphonec", "blind, from the peer");
}

/// The phone talks to the page and to another phone, and joins the two.
#[tokio::test]
async fn linphone_joins_the_page_and_another_phone() {
    let phone = Linphone::start();
    let south = Linphone::start_as("701", By::Udp, Media::Plain, None);
    let gateway = gateway(phone.port, south.port);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = talk(&mut page, "700").await;
    phone.process.line_with("Call 1 with", LIMIT);
    phone.command("pause");
    assert_eq!(event(&mut page, &call, "call.held").await.body["by"], "remote");
    interop::record("linphonec", "hold by the peer");
    phone.command(&format!("call sip:701@127.0.0.1:{}", south.port));
    phone.process.line_with("connected", LIMIT);
    phone.command("transfer 1 --to-call 2");
    gateway.process.line_with("handed over", LIMIT);
    { call }.hang_up(&mut page).await.unwrap();
    interop::record("linphonec", "attended, from the peer");
}
