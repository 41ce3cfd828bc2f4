//! Calls that change while they are on, between a page and real SIP peers through the gateway's own
//! binary: hold and resume from either side, other codecs and addresses, late offers, UPDATE, transfer.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use crosspoint::selftest::{Event, Page};
use serde_json::json;
use support::beacon::Beacon;
use support::bystander::PLAN;
use support::gateway::Gateway;
use support::interop;
use support::phones::{Baresip, Sipp};
use support::sipp_script::{Script, plain, sdp};
use support::talk::{LIMIT, Talk, Way};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn the_page_holds_and_resumes_sipp(way: Way) {
    let held = sdp(2, "[media_port]", "0", "a=recvonly\n");
    let scenario = Script::callee()
        .answer("200 OK", "", Some(&plain(1)))
        .ack()
        .expect("INVITE", &["a=sendonly", "Contact:", "o=- [0-9]+ 2 "])
        .confirm("200 OK", "", Some(&held))
        .ack()
        .expect("INVITE", &["a=sendrecv", "o=- [0-9]+ 3 "])
        .confirm("200 OK", "", Some(&plain(3)))
        .ack()
        .until_bye();
    let mut sipp = Sipp::script(&scenario);
    let mut talk = Talk::by(way, sipp.port).await;
    talk.ask("call.hold").await;
    assert_eq!(talk.held().await, some("local"));
    talk.ask("call.unhold").await;
    assert_eq!(talk.held().await, None);
    talk.trunk_knows(2).await;
    talk.hang_up().await;
    sipp.is_content();
    interop::record(way.peer(), "hold by the gateway");
}

async fn sipp_holds_in_every_way_and_resumes(way: Way) {
    let mut script = Script::callee().answer("200 OK", "", Some(&plain(1))).ack();
    let old_style = plain(9).replace("c=IN IP4 [media_ip]", "c=IN IP4 0.0.0.0");
    let ways = [
        (sdp(2, "[media_port]", "0", "a=sendonly\n"), "a=recvonly"),
        (plain(3), "a=sendrecv"),
        (sdp(4, "[media_port]", "0", "a=inactive\n"), "a=inactive"),
        (plain(5), "a=sendrecv"),
        (old_style, "a=recvonly"),
        (plain(10), "a=sendrecv"),
    ];
    for (cseq, (offer, answer)) in (1..).zip(&ways) {
        script = script
            .ask("INVITE", cseq, "", Some(offer))
            .response(200, &[answer])
            .ask("ACK", cseq, "", None);
    }
    let mut sipp = Sipp::script(&script.until_bye());
    let mut talk = Talk::by(way, sipp.port).await;
    for _ in 0..3 {
        assert_eq!(talk.held().await, some("remote"));
        assert_eq!(talk.held().await, None);
    }
    talk.hang_up().await;
    sipp.is_content();
    interop::record_with(way.peer(), "hold by the peer", "`sendonly`, `inactive` and 0.0.0.0");
}

async fn sipp_changes_the_codec_the_address_and_the_events(way: Way) {
    let events = "a=rtpmap:8 PCMA/8000\na=rtpmap:97 telephone-event/8000\n";
    let scenario = Script::callee()
        .answer("200 OK", "", Some(&plain(1)))
        .ack()
        .ask("INVITE", 1, "", Some(&sdp(2, "[auto_media_port]", "8 97", events)))
        .response(200, &["RTP/AVP 8 97", "a=rtpmap:97 telephone-event/8000"])
        .ask("ACK", 1, "", None)
        // Without an offer: ours is to keep the numbers.
        .ask("INVITE", 2, "", None)
        .response(200, &["RTP/AVP [0-9 ]*97", "a=sendrecv"])
        .ask("ACK", 2, "", Some(&sdp(3, "[media_port]", "0", "")))
        .ask("UPDATE", 3, "", Some(&sdp(4, "[media_port]", "8", "")))
        .response(200, &["RTP/AVP 8"])
        .ask("UPDATE", 4, "", None)
        .response(200, &["Contact:"])
        .ask("INVITE", 5, "", Some(&sdp(5, "[media_port]", "3", "a=rtpmap:3 GSM/8000\n")))
        .response(488, &["Warning: 399", "Reason: Q.850"])
        .ask("ACK", 5, "", None)
        .until_bye();
    let mut sipp = Sipp::script(&scenario);
    let mut talk = Talk::by(way, sipp.port).await;
    talk.codec_becomes("PCMA").await;
    talk.gateway_says("re-INVITE refused").await;
    talk.hang_up().await;
    sipp.is_content();
    for feature in ["codec change", "re-INVITE without an offer", "UPDATE by the peer"] {
        interop::record(way.peer(), feature);
    }
}

/// Both sides offer at once: each refuses the other's INVITE, and the gateway, whose call it is, comes back.
async fn glare_with_sipp_is_tried_again(way: Way) {
    let held = sdp(2, "[media_port]", "0", "a=recvonly\n");
    let servers = match way {
        Way::Direct => 1,
        Way::Proxy => 2,
    };
    let scenario = Script::callee()
        .answer("200 OK", "", Some(&plain(1)))
        .ack()
        .expect_kept("INVITE", &["a=sendonly"], servers)
        .ask("INVITE", 1, "", Some(&plain(2)))
        .response(491, &["Reason: Q.850"])
        .ack_refusal(1)
        .confirm_kept("491 Request Pending", servers)
        .ack()
        // After 2.1 to 4 s (RFC 3261 14.1).
        .expect("INVITE", &["a=sendonly"])
        .confirm("200 OK", "", Some(&held))
        .ack()
        .until_bye();
    let mut sipp = Sipp::script(&scenario);
    let mut talk = Talk::by(way, sipp.port).await;
    talk.ask("call.hold").await;
    assert_eq!(talk.held().await, some("local"));
    talk.trunk_knows(1).await;
    talk.hang_up().await;
    sipp.is_content();
    interop::record(way.peer(), "glare");
}

/// The sound moves to another address of the other side, and the page hears it from there.
async fn sipp_moves_its_sound_to_another_address(way: Way) {
    let (here, there) = (Beacon::start("127.0.0.1", 440.0), Beacon::start("127.0.0.2", 700.0));
    let scenario = Script::callee()
        .answer("200 OK", "", Some(&here.sdp(1)))
        .ack()
        .expect_only("MESSAGE")
        .ask("INVITE", 1, "", Some(&there.sdp(2)))
        .response(200, &["a=sendrecv"])
        .ask("ACK", 1, "", None)
        .until_bye();
    let mut sipp = Sipp::script(&scenario);
    let mut talk = Talk::by(way, sipp.port).await;
    talk.hears(440.0).await;
    sipp.go_on();
    talk.hears(700.0).await;
    talk.hang_up().await;
    sipp.is_content();
    interop::record(way.peer(), "new media address");
}

#[tokio::test]
async fn baresip_is_held_and_holds() {
    let phone = Baresip::start(880.0, -20.0);
    let mut talk = Talk::with(phone.port).await;
    talk.hears(880.0).await;
    talk.ask("call.hold").await;
    assert_eq!(talk.held().await, some("local"));
    talk.ask("call.unhold").await;
    assert_eq!(talk.held().await, None);
    talk.hears(880.0).await;
    interop::record("baresip", "hold by the gateway");
    phone.command("hold", "");
    assert_eq!(talk.held().await, some("remote"));
    phone.command("resume", "");
    assert_eq!(talk.held().await, None);
    talk.hears(880.0).await;
    talk.hang_up().await;
    interop::record("baresip", "hold by the peer");
    interop::record("baresip", "call from a page");
}

async fn the_page_hands_sipp_over(way: Way) {
    let sipfrag = |state: &str, line: &str| {
        format!(
            "Event: refer\nSubscription-State: {state}\nContent-Type: message/sipfrag\n\
             Content-Length: [len]\n\n{line}\n"
        )
    };
    let notify = |script: Script, cseq, state: &str, line: &str| {
        script.ask_with("NOTIFY", cseq, &sipfrag(state, line)).response(200, &[])
    };
    let script = Script::callee()
        .answer("200 OK", "", Some(&plain(1)))
        .ack()
        .expect("REFER", &["Refer-To: .sip:.4930[0-9]*@127.0.0.1", "Referred-By: "])
        .confirm("202 Accepted", "", None);
    let script = notify(script, 1, "active;expires=60", "SIP/2.0 100 Trying");
    let script = notify(script, 2, "active;expires=60", "SIP/2.0 180 Ringing");
    let script = notify(script, 3, "terminated;reason=noresource", "SIP/2.0 486 Busy Here")
        .expect("REFER", &["Refer-To: .sip:.4930"])
        .confirm("202 Accepted", "", None);
    let script = notify(script, 4, "terminated;reason=noresource", "SIP/2.0 200 OK");
    let mut sipp = Sipp::script(&script.until_bye());
    let mut talk = Talk::by(way, sipp.port).await;
    let transfer = |to: &str| json!({"type": "call.transfer", "call": talk.call.id, "to": to});
    let refused = talk.page.ask(transfer("+1 900 555 1234")).await.unwrap_err().to_string();
    assert!(refused.contains("call/blocked-by-dialplan"), "{refused}");
    for told in [&["accepted", "ringing", "failed"][..], &["accepted", "answered"]] {
        let request =
            json!({"type": "call.transfer", "call": talk.call.id, "to": "+49 30 23125 111"});
        let reply = talk.page.ask(request).await.unwrap();
        assert_eq!(reply["status"], "accepted");
        for status in told {
            assert_eq!(talk.event("call.transfer").await.text("status"), *status);
        }
    }
    let ended = talk.call.ended(&mut talk.page, LIMIT).await.unwrap();
    assert_eq!(ended.text("code"), "hangup");
    sipp.is_content();
    interop::record(way.peer(), "blind, from the page");
}

#[tokio::test]
async fn the_page_hands_baresip_over_to_itself() {
    let phone = Baresip::start(880.0, -20.0);
    let mut talk = Talk::with(phone.port).await;
    talk.hears(880.0).await;
    let request = json!({"type": "call.transfer", "call": talk.call.id, "to": "700"});
    talk.page.ask(request).await.unwrap();
    assert_eq!(talk.event("call.transfer").await.text("status"), "accepted");
    phone.process.line_with("transferring call", LIMIT);
    let last = loop {
        let event = talk.event("call.transfer").await;
        if !matches!(event.text("status"), "accepted" | "ringing") {
            break event;
        }
    };
    assert_eq!(last.text("status"), "answered");
    talk.call.ended(&mut talk.page, LIMIT).await.unwrap();
    interop::record("baresip", "blind, from the page");
}

/// Two branches are heard before the answer, one after the other, with thirty 18x in between; the first one answers.
async fn sipp_forks_with_early_media_and_an_18x_storm(way: Way) {
    let (first, second) = (Beacon::start("127.0.0.1", 440.0), Beacon::start("127.0.0.1", 700.0));
    let mut script = Script::callee()
        .answer_as("forkA", "183 Session Progress", "", Some(&first.sdp(1)))
        .expect_only("MESSAGE")
        .answer_as("forkB", "183 Session Progress", "", Some(&second.sdp(1)));
    for _ in 0..30 {
        script = script.answer_as("forkB", "180 Ringing", "", None);
    }
    let scenario = script
        .expect_only("MESSAGE")
        .answer_as("forkA", "200 OK", "", Some(&first.sdp(1)))
        .expect("ACK", &["tag=forkA"])
        .until_bye();
    let mut sipp = Sipp::script(&scenario);
    let mut talk = Talk::early(way, sipp.port).await;
    talk.hears(440.0).await;
    sipp.go_on();
    talk.hears(700.0).await;
    sipp.go_on();
    talk.call.state(&mut talk.page, "active").await.unwrap();
    talk.hears(440.0).await;
    talk.hang_up().await;
    sipp.is_content();
    for feature in ["call from a page", "early media", "several early dialogs", "18x storm"] {
        interop::record(way.peer(), feature);
    }
}

/// Who calls, how far the network has verified that, and whose call it was before.
#[tokio::test]
async fn sipp_says_who_calls_and_whose_call_it_was() {
    let lines = "P-Asserted-Identity: <sip:+4940555;verstat=TN-Validation-Passed@carrier.example>\n\
                 P-Attestation-Indicator: A\n\
                 Diversion: <sip:+4930999@carrier.example>;reason=no-answer\n";
    let script = Script::caller("+493023125600", lines, &plain(1)).refused(603);
    let gateway = Gateway::serve_trunk(support::free_port(), PLAN, "options_interval = \"0s\"\n");
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let mut sipp = Sipp::calling(&script, &gateway.sip_udp.unwrap().to_string());
    let wanted = |e: &Event| e.text("type") == "call.incoming";
    let told = page.event(LIMIT, "a call", wanted).await.unwrap();
    assert_eq!(told.body["verified"], "A", "{}", told.body);
    assert_eq!(told.body["from"]["number"], "+4940555");
    let metadata = json!({"diverted_from": "+4930999", "diverted_because": "no-answer"});
    assert_eq!(told.body["metadata"], metadata);
    let request = json!({"type": "call.reject", "call": told.text("call"), "reason": "declined"});
    page.ask(request).await.unwrap();
    sipp.is_content();
    assert!(sipp.messages().contains("Reason: Q.850;cause=21"), "{}", sipp.messages());
    interop::record("sipp", "call to a page");
}

/// Each of them straight and through the carrier's proxy.
macro_rules! both_ways {
    ($($name:ident)*) => {$(
        mod $name {
            use super::support::talk::Way;

            #[tokio::test]
            async fn direct() {
                super::$name(Way::Direct).await;
            }

            #[tokio::test]
            async fn through_kamailio() {
                super::$name(Way::Proxy).await;
            }
        }
    )*};
}

both_ways! {
    the_page_holds_and_resumes_sipp
    sipp_holds_in_every_way_and_resumes
    sipp_changes_the_codec_the_address_and_the_events
    sipp_moves_its_sound_to_another_address
    glare_with_sipp_is_tried_again
    the_page_hands_sipp_over
    sipp_forks_with_early_media_and_an_18x_storm
}
