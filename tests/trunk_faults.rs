//! Trunks that break the rules: each costs its own call, with the reason in the record, and a call
//! beside it goes on.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::net::UdpSocket;
use std::thread;

use crosspoint::selftest::Page;
use support::bystander::{PLAN, place};
use support::gateway::Gateway;
use support::http;
use support::phones::Sipp;
use support::raw_phone::{Manner, RawPhone};
use support::sip_wire::header;
use support::sipp_script::{Script, plain, sdp};
use support::talk::LIMIT;

/// How a broken trunk behaves, and what becomes of its call.
struct Fault {
    name: &'static str,
    script: String,
    /// The code that the page and the record have.
    code: &'static str,
}

fn fault(name: &'static str, code: &'static str, script: String) -> Fault {
    Fault { name, script, code }
}

/// Answers with this description, gets ACK and at once a BYE that says why.
fn answers_with(name: &'static str, body: Option<&str>) -> Fault {
    let script = Script::callee().answer("200 OK", "", body).ack();
    fault(
        name,
        "media-failed",
        script.expect("BYE", &["Reason: "]).confirm("200 OK", "", None).end(),
    )
}

fn faults() -> Vec<Fault> {
    let session = |connection: &str, media: &str| {
        format!("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc={connection}\nt=0 0\n{media}")
    };
    let local = "IN IP4 127.0.0.1";
    let many = (0..200).fold(String::new(), |all, n| format!("{all} {n}"));
    let mut storm = Script::callee();
    for n in 0..80 {
        let status = ["180 Ringing", "181 Call Is Being Forwarded", "199 Gone"][n % 3];
        storm = storm.answer_as(&format!("fork{}", n % 40), status, "", None);
    }
    vec![
        answers_with("words", Some("hello there\n")),
        answers_with("nothing at all", None),
        answers_with(
            "a codec that nobody offered",
            Some(&sdp(1, "4000", "3", "a=rtpmap:3 GSM/8000\n")),
        ),
        answers_with("the stream refused", Some(&sdp(1, "0", "0", ""))),
        answers_with(
            "a group's address",
            Some(&session("IN IP4 224.0.0.1", "m=audio 4000 RTP/AVP 0\n")),
        ),
        answers_with(
            "a name for an address",
            Some(&session("IN IP4 a.example", "m=audio 4000 RTP/AVP 0\n")),
        ),
        answers_with("a picture", Some(&session(local, "m=video 4000 RTP/AVP 96\n"))),
        answers_with(
            "keys that nobody offered",
            Some(&session(local, "m=audio 4000 RTP/SAVP 0\n")),
        ),
        answers_with(
            "formats without end",
            Some(&session(local, &format!("m=audio 4000 RTP/AVP{many}\n"))),
        ),
        // Nobody is followed to where the plan has not allowed it.
        fault(
            "moves the call elsewhere",
            "trunk-failed",
            Script::callee().answer("302 Moved Temporarily", "", None).ack().end(),
        ),
        fault(
            "several choices",
            "trunk-failed",
            Script::callee().answer("300 Multiple Choices", "", None).ack().end(),
        ),
        fault(
            "a storm of 18x from forty forks",
            "busy",
            storm.answer("486 Busy Here", "", None).ack().end(),
        ),
        fault(
            "a status that nobody has heard of",
            "trunk-failed",
            Script::callee().answer("499 Whatever", "", None).ack().end(),
        ),
        fault(
            "wants a password that nobody has",
            "trunk-failed",
            Script::callee()
                .answer(
                    "401 Unauthorized",
                    "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\", algorithm=MD5\n",
                    None,
                )
                .ack()
                .end(),
        ),
        fault(
            "hangs up as soon as it has answered",
            "hangup",
            Script::callee()
                .answer("200 OK", "", Some(&plain(1)))
                .ack()
                .ask("BYE", 1, "", None)
                .response(200, &[])
                .end(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_trunk_costs_its_own_call_and_says_why() {
    let phone = RawPhone::start(Manner::Answers);
    for Fault { name, script, code } in faults() {
        let mut sipp = Sipp::script(&script);
        let plan = PLAN.replace(
            "[[outbound]]\nname = \"the phone\"",
            "[[outbound]]\nname = \"the broken one\"\nto = [\"701\"]\nroute = [\"broken\"]\n\
             [[outbound]]\nname = \"the phone\"",
        );
        let trunks = format!(
            "options_interval = \"0s\"\n[trunk.broken]\ntarget = \"sip:127.0.0.1:{}\"\n\
             options_interval = \"0s\"\n",
            sipp.port
        );
        let gateway = Gateway::serve_trunk(phone.port, &plan, &trunks);
        let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
        let beside = place(&page, "700").await;
        beside.state(&mut page, "active").await.unwrap();
        let call = place(&page, "701").await;
        let id = call.id.clone();
        let ended = { call }.ended(&mut page, LIMIT).await.unwrap();
        assert_eq!(ended.text("code"), code, "{name}: {}", ended.body);
        sipp.is_content();
        let record = http::closed_record(&gateway.base, id.as_str()).to_string();
        assert!(record.contains(&format!("\"{code}\"")), "{name}: {record}");
        // Why, in the trunk's own words.
        if name == "wants a password that nobody has" {
            assert!(record.contains("401"), "{record}");
        }
        // The call beside it was not touched.
        let on: Vec<_> = http::calls(&gateway.base);
        assert!(on.iter().any(|own| own["id"] == beside.id.as_str()), "{name}: {on:?}");
        let ended = { beside }.hang_up(&mut page).await.unwrap();
        assert_eq!(ended.text("code"), "hangup", "{name}");
        assert_eq!(http::metric(&gateway.base, "crosspoint_panics_caught_total"), 0.0, "{name}");
    }
}

/// What a trunk may offer that cannot be answered is refused with the reason, before anybody is rung; what is
/// wrapped in several parts is understood.
#[tokio::test(flavor = "multi_thread")]
async fn offers_that_cannot_be_answered_are_refused_with_the_reason() {
    let trunk = "options_interval = \"0s\"\nsrtp = \"sdes-required\"\n";
    let plain_trunk =
        Gateway::serve_trunk(support::free_port(), PLAN, "options_interval = \"0s\"\n");
    let secret = Gateway::serve_trunk(support::free_port(), PLAN, trunk);
    let key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    let keys = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20|1:4\n");
    let parts = format!(
        "--b\nContent-Type: application/isup;version=itu-t92+\n\n1\n--b\nContent-Type: application/sdp\n\n{}\
         --b--\n",
        plain(1)
    );
    let session = |connection: &str, media: &str| {
        format!("v=0\no=- 1 1 {connection}\ns=-\nc={connection}\nt=0 0\n{media}")
    };
    let gzip = Script::caller("+493023125600", "Content-Encoding: gzip\n", &plain(1)).refused(415);
    let mki = session("IN IP4 127.0.0.1", &format!("m=audio 4000 RTP/SAVP 0\n{keys}"));
    let mki = Script::caller("+493023125600", "", &mki).refused(488);
    let mixed = Script::caller("+493023125600", "", &parts).refused(480);
    let mixed = mixed
        .replace("application/sdp\nContent-Length", "multipart/mixed;boundary=b\nContent-Length");
    for (gateway, script, words) in [
        (&plain_trunk, gzip, "Accept-Encoding: identity"),
        (&secret, mki, "without identifiers (MKI)"),
        (&plain_trunk, mixed, "Reason: Q.850"),
    ] {
        let mut sipp = Sipp::calling(&script, &gateway.sip_udp.unwrap().to_string());
        sipp.is_content();
        assert!(sipp.messages().contains(words), "{words}: {}", sipp.messages());
    }
}

/// Responses with another number, another method, another branch or no tag are no answer; the right one is.
#[tokio::test(flavor = "multi_thread")]
async fn responses_that_do_not_fit_are_no_answer() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let trunk = thread::spawn(move || {
        let mut buffer = [0; 8192];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        let invite = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(invite.starts_with("INVITE "), "{invite}");
        let via = header(&invite, "Via").to_owned();
        let foreign = via.replace("branch=z9hG4bK", "branch=z9hG4bKx");
        let answer = |status: &str, via: &str, cseq: &str, tag: &str| {
            let text = format!(
                "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\n\
                 CSeq: {cseq}\r\nContact: <sip:a@127.0.0.1:{port}>\r\nContent-Length: 0\r\n\r\n",
                header(&invite, "From"),
                header(&invite, "To"),
                header(&invite, "Call-ID"),
            );
            socket.send_to(text.as_bytes(), from).unwrap();
        };
        let own = header(&invite, "CSeq");
        answer("603 Decline", &foreign, own, ";tag=a");
        answer("603 Decline", &via, "1 BYE", ";tag=a");
        answer("603 Decline", &via, "x INVITE", ";tag=a");
        answer("999 Whatever", &via, own, ";tag=a");
        answer("180 Ringing", &via, own, ";tag=a");
        answer("486 Busy Here", &via, own, ";tag=a");
    });
    let gateway = Gateway::serve_trunk(port, PLAN, "options_interval = \"0s\"\n");
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = place(&page, "700").await;
    let ended = { call }.ended(&mut page, LIMIT).await.unwrap();
    assert_eq!(ended.text("code"), "busy", "{}", ended.body);
    trunk.join().unwrap();
}
