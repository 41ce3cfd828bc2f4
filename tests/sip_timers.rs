//! Sessions that somebody has to keep alive, and messages that are lost, between a page and real SIP
//! peers: straight and through kamailio as the carrier's proxy.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use support::bystander::PLAN;
use support::gateway::Gateway;
use support::interop;
use support::kamailio::{Kamailio, Ways};
use support::phones::{Baresip, Linphone, Sipp};
use support::sipp_script::{Script, plain};
use support::talk::{LIMIT, Talk, Way};

const BOTH: [Way; 2] = [Way::Direct, Way::Proxy];

/// RFC 4028 10: half of the four seconds are over twice.
#[tokio::test]
async fn the_gateway_refreshes_by_update() {
    for way in BOTH {
        let granted = "Session-Expires: 4;refresher=uac\nRequire: timer\n";
        let script = Script::callee().answer("200 OK", granted, Some(&plain(1))).ack();
        let refresh = |script: Script| {
            script
                .expect("UPDATE", &["Session-Expires: 4;refresher=uac"])
                .confirm("200 OK", granted, None)
        };
        let mut sipp = Sipp::script(&refresh(refresh(script)).until_bye());
        let mut talk = Talk::by(way, sipp.port).await;
        sipp.got("\nUPDATE sip:", 2).await;
        talk.hang_up().await;
        sipp.is_content();
        interop::record(way.peer(), "refreshed by the gateway");
        interop::record(way.peer(), "UPDATE by the gateway");
    }
}

/// The peer is to refresh, and does so in time; one that asks for too little is told (RFC 4028 9).
#[tokio::test]
async fn sipp_refreshes_and_asks_for_too_little() {
    for way in BOTH {
        let granted = "Session-Expires: 4;refresher=uas\nRequire: timer\n";
        let asked =
            |seconds| format!("Session-Expires: {seconds};refresher=uac\nSupported: timer\n");
        let script = Script::callee()
            .answer("200 OK", granted, Some(&plain(1)))
            .ack()
            .ask("UPDATE", 1, &asked(30), None)
            .response(422, &["Min-SE: 90"])
            .ask("UPDATE", 2, &asked(90), None)
            .response(200, &["Session-Expires: 90;refresher=uac"])
            // Longer than the session would have lived without it.
            .silent(4_000);
        let done = script.ask("UPDATE", 3, &asked(120), None).response(200, &["120;refresher=uac"]);
        let mut sipp = Sipp::script(&done.until_bye());
        let mut talk = Talk::by(way, sipp.port).await;
        sipp.got("Session-Expires: 120;refresher=uac", 2).await;
        talk.hang_up().await;
        sipp.is_content();
        interop::record(way.peer(), "refreshed by the peer");
        interop::record(way.peer(), "UPDATE by the peer");
    }
}

#[tokio::test]
async fn a_session_that_sipp_does_not_refresh_is_over() {
    for way in BOTH {
        let granted = "Session-Expires: 4;refresher=uas\nRequire: timer\n";
        let script = Script::callee()
            .answer("200 OK", granted, Some(&plain(1)))
            .ack()
            .expect("BYE", &["Reason: SIP;cause=408;text=.Session expired"])
            .confirm("200 OK", "", None);
        let mut sipp = Sipp::script(&script.end());
        let mut talk = Talk::by(way, sipp.port).await;
        assert_eq!(talk.ended().await, "trunk-failed");
        sipp.is_content();
        interop::record(way.peer(), "expiry");
    }
}

#[tokio::test]
async fn sipp_wants_longer_sessions() {
    for way in BOTH {
        let script = Script::callee()
            .answer("422 Session Interval Too Small", "Min-SE: 7200\n", None)
            .ack()
            .expect("INVITE", &["Session-Expires: 7200", "Min-SE: 7200"])
            .answer("200 OK", "Session-Expires: 7200;refresher=uac\n", Some(&plain(1)))
            .ack();
        let mut sipp = Sipp::script(&script.until_bye());
        let mut talk = Talk::by(way, sipp.port).await;
        talk.hang_up().await;
        sipp.is_content();
        interop::record(way.peer(), "422 with Min-SE");
    }
}

/// The proxy loses the first 200 and the first ACK of a call: both are sent again, and it is up.
async fn losses(peer: &str, port: u16, heard: Option<f64>) -> Talk {
    let ways = Ways { lose_ack: true, lose_answer: true, ..Ways::default() };
    let mut talk = Talk::through(Some(Kamailio::proxy(port, ways)), port).await;
    if let Some(hz) = heard {
        talk.hears(hz).await;
    }
    let kamailio = &talk.kamailio.as_ref().unwrap().process;
    kamailio.line_with("ANSWER LOST", LIMIT);
    kamailio.line_with("ACK LOST", LIMIT);
    kamailio.line_with("ACK PASSED", LIMIT);
    talk.hang_up().await;
    for feature in ["200 lost", "ACK lost", "record-routed"] {
        interop::record(peer, feature);
        interop::record("kamailio", feature);
    }
    interop::record("kamailio", "INVITE challenged");
    talk
}

#[tokio::test]
async fn a_200_and_an_ack_are_lost_on_the_way_from_sipp() {
    let script = Script::callee().answer("200 OK", "", Some(&plain(1))).ack();
    let mut sipp = Sipp::script(&script.until_bye());
    let _talk = losses("sipp", sipp.port, None).await;
    sipp.is_content();
}

#[tokio::test]
async fn a_200_and_an_ack_are_lost_on_the_way_from_baresip() {
    let phone = Baresip::start(880.0, -20.0);
    let _talk = losses("baresip", phone.port, Some(880.0)).await;
    phone.process.line_with("audio: destroyed", LIMIT);
}

#[tokio::test]
async fn a_200_and_an_ack_are_lost_on_the_way_from_linphone() {
    let phone = Linphone::start();
    let _talk = losses("linphonec", phone.port, None).await;
    phone.says("ended");
}

/// The carrier's first branch fails and the second one is taken: the gateway sees one call.
#[tokio::test]
async fn kamailio_forks_to_a_branch_that_fails() {
    let phone = Baresip::start(880.0, -20.0);
    let ways = Ways { dead_branch: true, ..Ways::default() };
    let kamailio = Kamailio::proxy(phone.port, ways);
    let mut talk = Talk::through(Some(kamailio), phone.port).await;
    talk.hears(880.0).await;
    talk.kamailio.as_ref().unwrap().process.line_with("NEXT BRANCH", LIMIT);
    talk.hang_up().await;
    interop::record_with("kamailio", "call from a page", "also where its first branch fails");
}

/// Both halves of RFC 3262, through the proxy: the phone's 183 and the gateway's 180.
#[tokio::test]
async fn reliable_provisional_responses_through_kamailio() {
    let script = Script::callee_behind_proxy()
        .answer("183 Session Progress", "Require: 100rel\nRSeq: 7\n", Some(&plain(1)))
        .expect("PRACK", &["RAck: 7 [0-9]+ INVITE"])
        .confirm("200 OK", "", None)
        .answer_at_last("200 OK", None)
        .ack();
    let mut sipp = Sipp::script(&script.until_bye());
    let mut talk = Talk::by(Way::Proxy, sipp.port).await;
    talk.hang_up().await;
    sipp.is_content();
    interop::record("kamailio", "100rel by the peer");
}

/// A caller that is known to the carrier only: its INVITE finds the gateway by its registration.
#[tokio::test]
async fn sipp_calls_the_page_through_kamailio() {
    for feature in ["100rel by the gateway", "INVITE without an offer"] {
        let number = "+493023125600";
        let script = match feature {
            "100rel by the gateway" => {
                let script = Script::caller(number, "Require: 100rel\n", &plain(1));
                script.rings_reliably().accepted()
            }
            _ => Script::caller_with(number, "", None).accepted_with(Some(&plain(1))),
        };
        let kamailio = Kamailio::proxy(support::free_port(), Ways::default());
        let settings = "options_interval = \"0s\"\nusername = \"acct\"\npassword = \"secret\"\n\
                        register = true\n";
        let gateway = Gateway::serve_trunk(kamailio.port, PLAN, settings);
        kamailio.process.line_with("REGISTERED", LIMIT);
        let mut sipp = None;
        let mut talk = Talk::taken(gateway, |_| {
            let to = format!("127.0.0.1:{}", kamailio.port);
            sipp = Some(Sipp::calling(&script.until_bye(), &to));
        })
        .await;
        talk.hang_up().await;
        sipp.unwrap().is_content();
        interop::record("kamailio", feature);
        interop::record("sipp", feature);
    }
}
