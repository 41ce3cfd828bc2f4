//! What baresip and linphonec do in calls with pages beyond placing and taking them, and what they
//! have not got at all, as their own messages say.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use crosspoint::selftest::{Page, Source};
use serde_json::json;
use support::bystander::{PLAN, place};
use support::gateway::Gateway;
use support::interop;
use support::kamailio::{Kamailio, Ways};
use support::phones::{Baresip, By, Linphone, Media};
use support::talk::{LIMIT, Talk, Way};

fn linphone(settings: &str) -> Linphone {
    Linphone::start_with("700", By::Udp, Media::Plain, None, settings)
}

/// A gateway whose trunk is at `port`, with further settings of it.
fn gateway(port: u16, settings: &str) -> Gateway {
    Gateway::serve_trunk(port, PLAN, &format!("options_interval = \"0s\"\n{settings}"))
}

#[tokio::test]
async fn baresip_is_heard_before_it_answers() {
    let account = "<sip:700@127.0.0.1>;regint=0;answermode=early;audio_codecs=pcmu\n";
    let phone = Baresip::start_with(880.0, -20.0, "", account);
    let gateway = gateway(phone.port, "");
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = place(&page, "700").await;
    call.state(&mut page, "early-media").await.unwrap();
    call.peer.connected(LIMIT).await.expect("ICE and DTLS");
    let mut talk = Talk { gateway, page, call, kamailio: None };
    phone.command("accept", "");
    talk.call.state(&mut talk.page, "active").await.unwrap();
    talk.hears(880.0).await;
    talk.hang_up().await;
    interop::record_with(
        "baresip",
        "early media",
        "takes it; its own sound begins with its answer",
    );
}

#[tokio::test]
async fn linphone_is_heard_before_it_answers() {
    let phone = linphone("incoming_calls_early_media=1");
    let gateway = gateway(phone.port, "");
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = place(&page, "700").await;
    call.state(&mut page, "early-media").await.unwrap();
    phone.command("answer");
    call.state(&mut page, "active").await.unwrap();
    call.peer.connected(LIMIT).await.expect("ICE and DTLS");
    let mut talk = Talk { gateway, page, call, kamailio: None };
    talk.hang_up().await;
    interop::record("linphonec", "early media");
}

#[tokio::test]
async fn phones_that_call_show_a_password() {
    let asked = "caller_username = \"carrier\"\ncaller_password = \"let me in\"\n\
                 caller_digest = \"md5\"\n";
    let account = "<sip:carrier@127.0.0.1>;regint=0;answermode=auto;audio_codecs=pcmu;\
                   auth_user=carrier;auth_pass=\"let me in\"\n";
    let phone = Baresip::start_with(880.0, -20.0, "", account);
    let mut talk = Talk::taken(gateway(phone.port, asked), |gateway| {
        phone.dial(&format!("sip:+493023125600@{}", gateway.sip_udp.unwrap()));
    })
    .await;
    talk.hears(880.0).await;
    talk.hang_up().await;
    for feature in ["INVITE challenged", "call to a page"] {
        interop::record_with("baresip", feature, PASSWORD);
    }

    let account = "[auth_info_0]\nusername=carrier\nuserid=carrier\npasswd=let me in\n\
                   realm=crosspoint\n";
    let phone = Linphone::start_with("carrier", By::Udp, Media::Plain, None, account);
    let mut talk = Talk::taken(gateway(phone.port, asked), |gateway| {
        phone.command(&format!("call sip:+493023125600@{}", gateway.sip_udp.unwrap()));
    })
    .await;
    talk.hang_up().await;
    for feature in ["INVITE challenged", "call to a page"] {
        interop::record_with("linphonec", feature, PASSWORD);
    }
}

const PASSWORD: &str = "by the gateway, which is called";

#[tokio::test]
async fn linphone_calls_without_an_offer() {
    let phone = linphone("sdp_200_ack=1");
    let mut talk = Talk::taken(gateway(phone.port, ""), |gateway| {
        phone.command(&format!("call sip:+493023125600@{}", gateway.sip_udp.unwrap()));
    })
    .await;
    phone.says("connected");
    talk.hang_up().await;
    interop::record("linphonec", "INVITE without an offer");
}

#[tokio::test]
async fn linphone_is_held_and_handed_over() {
    let (phone, south) = (linphone(""), Baresip::start_for("701", 660.0, -20.0));
    let mut talk = Talk::with(phone.port).await;
    talk.ask("call.hold").await;
    assert_eq!(talk.held().await.as_deref(), Some("local"));
    talk.trunk_knows(1).await;
    talk.ask("call.unhold").await;
    assert_eq!(talk.held().await, None);
    talk.trunk_knows(2).await;
    interop::record("linphonec", "hold by the gateway");
    drop(south);
    let request = json!({"type": "call.transfer", "call": talk.call.id, "to": "700"});
    talk.page.ask(request).await.unwrap();
    assert_eq!(talk.event("call.transfer").await.text("status"), "accepted");
    phone.says("Establishing call id");
    interop::record("linphonec", "blind, from the page");
}

async fn digit(talk: &mut Talk) -> serde_json::Value {
    let id = talk.call.id.clone();
    let request =
        json!({"type": "dtmf.send", "call": id, "tones": "7", "duration": 120, "gap": 80});
    talk.page.ask(request).await.unwrap();
    talk.event("dtmf.sent").await.body["receipt"].clone()
}

/// Digits of the page at phones behind the carrier's proxy, as each of them takes them.
#[tokio::test]
async fn digits_go_through_the_proxy() {
    let phone = Baresip::start(880.0, -20.0);
    let mut talk = Talk::by(Way::Proxy, phone.port).await;
    talk.hears(880.0).await;
    assert_eq!(digit(&mut talk).await["mode"], "rfc4733");
    phone.process.line_with("received event: '7", LIMIT);
    talk.hang_up().await;
    interop::record("kamailio", "telephone events");
    interop::record("baresip", "telephone events");

    let phone = linphone("");
    let mut talk = Talk::by(Way::Proxy, phone.port).await;
    let receipt = digit(&mut talk).await;
    assert_eq!((&receipt["mode"], &receipt["info_status"]), (&json!("sip-info"), &json!(200)));
    talk.hang_up().await;
    interop::record("kamailio", "SIP INFO");
    interop::record("linphonec", "SIP INFO");
}

/// linphonec sends and takes telephone events where it is set to.
#[tokio::test]
async fn linphone_takes_telephone_events() {
    let phone = linphone("use_rfc2833=1\nuse_info=0");
    let mut talk = Talk::with(phone.port).await;
    assert_eq!(digit(&mut talk).await["mode"], "rfc4733");
    phone.press("5");
    let told = talk.event("dtmf").await;
    assert_eq!((told.text("tone"), told.text("source")), ("5", "rfc4733"));
    talk.hang_up().await;
    interop::record("linphonec", "telephone events");
}

/// linphonec rings and is rung reliably (RFC 3262) where it is set to.
#[tokio::test]
async fn linphone_and_the_gateway_ring_reliably() {
    let phone = linphone("100rel_support_level=2");
    let kamailio = Kamailio::proxy(phone.port, Ways::default());
    let settings = format!("{QUIET}username = \"acct\"\npassword = \"secret\"\nregister = true\n");
    let gateway = Gateway::serve_trunk(kamailio.port, PLAN, &settings);
    kamailio.process.line_with("REGISTERED", LIMIT);
    let mut talk = placed(gateway).await;
    kamailio.process.line_with("WITHIN PRACK", LIMIT);
    talk.hang_up().await;
    interop::record("linphonec", "100rel by the peer");
    phone.says("ended");
    let Talk { gateway, .. } = talk;
    let to = format!("call sip:+493023125600@127.0.0.1:{}", kamailio.port);
    let mut talk = Talk::taken(gateway, |_| phone.command(&to)).await;
    kamailio.process.line_with("WITHIN PRACK", LIMIT);
    talk.hang_up().await;
    interop::record("linphonec", "100rel by the gateway");
}

/// Where the trunk is set to INFO, baresip takes it as a key.
#[tokio::test]
async fn baresip_takes_info() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = gateway(phone.port, "dtmf = \"info\"\n");
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = place(&page, "700").await;
    call.state(&mut page, "active").await.unwrap();
    call.peer.connected(LIMIT).await.expect("ICE and DTLS");
    let mut talk = Talk { gateway, page, call, kamailio: None };
    assert_eq!(digit(&mut talk).await["info_status"], 200);
    talk.hang_up().await;
    assert_eq!(phone.infos()[0].0, '7');
    interop::record("baresip", "SIP INFO");
}

/// By TCP straight and through the proxy; a page is called through the proxy that it is known to.
#[tokio::test]
async fn calls_by_tcp_and_through_the_registrar() {
    let phone = Linphone::start_with("700", By::Tcp, Media::Plain, None, "");
    let target = format!("sip:127.0.0.1:{};transport=tcp", phone.port);
    let mut talk = placed(Gateway::serve_with(&target, PLAN, "", QUIET)).await;
    talk.hang_up().await;
    interop::record("linphonec", "call by TCP");

    let phone = Baresip::start(880.0, -20.0);
    let kamailio = Kamailio::proxy(phone.port, Ways::default());
    let target = format!("sip:127.0.0.1:{};transport=tcp", kamailio.port);
    let settings = format!("{QUIET}username = \"acct\"\npassword = \"secret\"\nregister = true\n");
    let gateway = Gateway::serve_with(&target, PLAN, "", &settings);
    kamailio.process.line_with("REGISTERED", LIMIT);
    let mut talk = placed(gateway).await;
    talk.hears(880.0).await;
    talk.hang_up().await;
    interop::record("kamailio", "call by TCP");
    phone.process.line_with("audio: destroyed", LIMIT);
    let Talk { gateway, .. } = talk;
    let mut talk = Talk::taken(gateway, |_| {
        phone.dial(&format!("sip:+493023125600@127.0.0.1:{}", kamailio.port));
    })
    .await;
    talk.hears(880.0).await;
    talk.hang_up().await;
    interop::record("kamailio", "call to a page");
}

const QUIET: &str = "options_interval = \"0s\"\n";

async fn placed(gateway: Gateway) -> Talk {
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = place(&page, "700").await;
    call.state(&mut page, "active").await.unwrap();
    call.peer.connected(LIMIT).await.expect("ICE and DTLS");
    Talk { gateway, page, call, kamailio: None }
}

/// Each codec that a trunk may name, and packets of every length that SDP may ask for.
#[tokio::test]
async fn baresip_speaks_each_codec_in_packets_of_its_own_length() {
    // Opus is recorded in two channels.
    for (codec, name, rate, samples, ptime) in [
        ("pcma", "PCMA", 8_000, 8_000.0, 10),
        ("pcmu", "PCMU", 8_000, 8_000.0, 30),
        ("pcma", "PCMA", 8_000, 8_000.0, 40),
        ("pcmu", "PCMU", 8_000, 8_000.0, 60),
        ("g722", "G722", 16_000, 16_000.0, 20),
        ("opus", "opus", 48_000, 96_000.0, 20),
    ] {
        let phone = Baresip::start_with_codecs(rate, 880.0, codec, ptime);
        let other = if codec == "pcma" { "pcmu" } else { "pcma" };
        let codecs = format!("codecs = [\"{codec}\", \"{other}\"]\n");
        let gateway = gateway(phone.port, &codecs);
        let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
        let call = place(&page, "700").await;
        call.state(&mut page, "active").await.unwrap();
        call.peer.connected(LIMIT).await.expect("ICE and DTLS");
        call.peer.play(Source::tone(620.0, -20.0)).await.unwrap();
        let mut talk = Talk { gateway, page, call, kamailio: None };
        for _ in 0..4 {
            talk.hears(880.0).await;
        }
        talk.codec_becomes(name).await;
        talk.hang_up().await;
        let level = support::sound::best_level(&phone.recording(), 620.0 * 8_000.0 / samples);
        // A busy machine leaves gaps in it.
        assert!(level > -38.0, "the phone hears {level} dBm0 in {codec} of {ptime} ms");
    }
    interop::record("baresip", "packets of 10 to 60 ms");
}

/// The carrier says in the phone's 200 that the gateway is to refresh every two seconds.
#[tokio::test]
async fn phones_take_what_keeps_the_session_alive() {
    let ways = || Ways { session: Some("4;refresher=uac"), ..Ways::default() };
    let phone = linphone("");
    let mut talk = Talk::through(Some(Kamailio::proxy(phone.port, ways())), phone.port).await;
    let kamailio = &talk.kamailio.as_ref().unwrap().process;
    let said = kamailio.line_with("REFRESHED", LIMIT);
    assert!(said.contains("UPDATE 200"), "{said}");
    kamailio.line_with("REFRESHED", LIMIT);
    talk.hang_up().await;
    for feature in ["refreshed by the gateway", "UPDATE by the gateway"] {
        interop::record("linphonec", feature);
    }

    let phone = Baresip::start(880.0, -20.0);
    let mut talk = Talk::through(Some(Kamailio::proxy(phone.port, ways())), phone.port).await;
    let kamailio = &talk.kamailio.as_ref().unwrap().process;
    let said = kamailio.line_with("REFRESHED", LIMIT);
    assert!(said.contains("INVITE 200"), "{said}");
    kamailio.line_with("REFRESHED", LIMIT);
    talk.hears(880.0).await;
    talk.hang_up().await;
    interop::record_with(
        "baresip",
        "refreshed by the gateway",
        "by re-INVITE, as it has no UPDATE",
    );
}

/// The carrier says that the phone is to refresh, who knows nothing of it: the session is over.
#[tokio::test]
async fn phones_that_do_not_refresh_are_hung_up() {
    for peer in ["baresip", "linphonec"] {
        let (baresip, phone) = match peer {
            "baresip" => (Some(Baresip::start(880.0, -20.0)), None),
            _ => (None, Some(linphone(""))),
        };
        let port = baresip.as_ref().map(|own| own.port).or(phone.as_ref().map(|own| own.port));
        let ways = Ways { session: Some("4;refresher=uas"), ..Ways::default() };
        let port = port.unwrap();
        let mut talk = Talk::through(Some(Kamailio::proxy(port, ways)), port).await;
        assert_eq!(talk.ended().await, "trunk-failed");
        interop::record(peer, "expiry");
    }
}

/// What the phones do not speak stands in nothing that they say: see `CANNOT` of the interop table.
#[test]
fn what_the_phones_have_not_got() {
    let (baresip, linphone) = (Baresip::start(880.0, -20.0), linphone(""));
    let said = options(baresip.port);
    assert!(said.contains("m=audio"), "its description is in it: {said}");
    for lacks in ["UPDATE", "PRACK", "100rel", "timer", "replaces", "CN/8000"] {
        assert!(!said.contains(lacks), "baresip has {lacks}: {said}");
    }
    let built = Command::new("sipp").arg("-v").output().unwrap();
    let built = String::from_utf8_lossy(&built.stdout).into_owned();
    assert!(built.contains("SIPp v") && !built.contains("TLS"), "sipp has TLS: {built}");
    // It says so in what it asks only.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    linphone.command(&format!("call sip:701@{}", socket.local_addr().unwrap()));
    let mut buffer = [0; 8192];
    let length = socket.recv(&mut buffer).unwrap();
    let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(said.contains("Supported:") && said.contains("Allow:"), "{said}");
    assert!(!said.contains("timer"), "linphonec has session timers: {said}");
}

/// The answer to OPTIONS: `Allow` and `Supported` are in it.
fn options(port: u16) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let own = socket.local_addr().unwrap();
    let text = format!(
        "OPTIONS sip:700@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKo;rport\r\n\
         From: <sip:a@{own}>;tag=1\r\nTo: <sip:700@127.0.0.1:{port}>\r\nCall-ID: options\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
    );
    let mut buffer = [0; 8192];
    for _ in 0..20 {
        socket.send_to(text.as_bytes(), ("127.0.0.1", port)).unwrap();
        if let Ok((length, _)) = socket.recv_from(&mut buffer) {
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            assert!(answer.contains("Allow:") || answer.contains("Supported:"), "{answer}");
            return answer;
        }
    }
    panic!("no answer to OPTIONS");
}
