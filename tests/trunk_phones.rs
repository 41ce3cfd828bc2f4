//! baresip and linphonec as trunks: over UDP, TCP and TLS, plain and with SRTP (SDES), called and
//! calling; baresip with tones measured in both directions, linphonec with its own.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crosspoint::selftest::{Call, Heard, Page, Source};
use support::certificates::Authority;
use support::gateway::Gateway;
use support::interop;
use support::kamailio::Kamailio;
use support::phones::{Baresip, By, Linphone, Media};
use support::plan::PHONE_AND_PAGE;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The tone that the phone plays, and the one that the page plays.
const PHONE_HZ: f64 = 880.0;
const PAGE_HZ: f64 = 620.0;

/// A gateway with a trunk to a phone at this address, which it believes by the authority.
fn gateway(media: Media, target: &str, authority: &Authority, plan: &str, more: &str) -> Gateway {
    let (cert, key) = authority.issue("gateway", "IP:127.0.0.1,DNS:127.0.0.1");
    let ca = authority.file();
    let srtp = match media {
        Media::Plain => "off",
        Media::Srtp => "sdes",
        Media::SrtpRequired => "sdes-required",
    };
    let sip = format!(
        "listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\", \"tls:127.0.0.1:0\"]\n\
         tls = {{ cert = {cert:?}, key = {key:?} }}\n"
    );
    // linphonec names the address of another interface in its offers.
    let trunk =
        format!("srtp = \"{srtp}\"\ntls = {{ ca = {ca:?} }}\nmedia_from = [\"127.0.0.1/32\"]");
    Gateway::serve_with(target, plan, &sip, &format!("{more}{trunk}"))
}

async fn both_ways(by: By, media: Media) {
    let authority = Authority::new();
    authority.issue("phone", "IP:127.0.0.1");
    let phone = Baresip::start_as(PHONE_HZ, -20.0, by, media, &authority);
    let target = match by {
        By::Udp => format!("sip:127.0.0.1:{}", phone.port),
        By::Tcp => format!("sip:127.0.0.1:{};transport=tcp", phone.port),
        By::Tls => format!("sip:127.0.0.1:{};transport=tls", phone.port + 1),
    };
    let gateway = gateway(media, &target, &authority, PHONE_AND_PAGE, "");
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();

    // Called.
    let call = Call::start(&page, LOOPBACK, "700").await.unwrap();
    call.peer.play(Source::tone(PAGE_HZ, -20.0)).await.unwrap();
    call.state(&mut page, "active").await.unwrap();
    hears(&call).await;
    call.hang_up(&mut page).await.unwrap();
    heard_by_phone(&phone.recording());

    // Calling.
    let port = match by {
        By::Udp => gateway.sip_udp,
        By::Tcp => gateway.sip_tcp,
        By::Tls => gateway.sip_tls,
    };
    phone.dial(&format!("sip:+493012345670@{};transport={}", port.unwrap(), by.word()));
    let call = Call::take(&mut page, LOOPBACK).await.unwrap();
    call.peer.play(Source::tone(PAGE_HZ, -20.0)).await.unwrap();
    call.state(&mut page, "active").await.unwrap();
    hears(&call).await;
    call.hang_up(&mut page).await.unwrap();
    heard_by_phone(&phone.recording());
    record("baresip", by, media);
}

fn record(peer: &str, by: By, media: Media) {
    match by {
        By::Udp => {}
        By::Tcp => interop::record(peer, "call by TCP"),
        By::Tls if peer == "linphonec" => interop::record_with(
            peer,
            "TLS",
            "calls; where it listens it has no certificate to show",
        ),
        By::Tls => interop::record(peer, "TLS"),
    }
    if media == Media::SrtpRequired {
        interop::record(peer, "SRTP (SDES)");
    }
}

/// linphonec, called and calling; it plays a file where it is told to, once the call is on.
async fn linphone_both_ways(by: By, media: Media) {
    let authority = Authority::new();
    authority.issue("phone", "IP:127.0.0.1");
    let phone = Linphone::start_as("700", by, media, Some(&authority));
    let target = format!("sip:127.0.0.1:{};transport={}", phone.port, by.word());
    let gateway = gateway(media, &target, &authority, PHONE_AND_PAGE, "");
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();

    // Called; not by TLS, for where it listens it has no certificate to show.
    if by != By::Tls {
        let call = Call::start(&page, LOOPBACK, "700").await.unwrap();
        call.peer.play(Source::tone(PAGE_HZ, -20.0)).await.unwrap();
        call.state(&mut page, "active").await.unwrap();
        call.peer.connected(Duration::from_secs(10)).await.expect("ICE and DTLS");
        phone.play(PHONE_HZ, 30.0);
        hears(&call).await;
        call.hang_up(&mut page).await.unwrap();
        phone.says("ended");
    }

    // Calling.
    let port = match by {
        By::Udp => gateway.sip_udp,
        By::Tcp => gateway.sip_tcp,
        By::Tls => gateway.sip_tls,
    };
    let to = format!("sip:+493012345670@{};transport={}", port.unwrap(), by.word());
    phone.command(&format!("call {to}"));
    let call = Call::take(&mut page, LOOPBACK).await.unwrap();
    call.state(&mut page, "active").await.unwrap();
    call.peer.connected(Duration::from_secs(10)).await.expect("ICE and DTLS");
    phone.says("connected");
    phone.play(PHONE_HZ, 30.0);
    hears(&call).await;
    call.hang_up(&mut page).await.unwrap();
    phone.says("ended");
    record("linphonec", by, media);
}

/// The page hears the phone, and nothing louder, for so long that the phone has heard the page, too.
async fn hears(call: &Call) {
    call.peer.connected(Duration::from_secs(10)).await.expect("ICE and DTLS");
    let alone = |heard: &Heard| {
        (heard.strongest() - PHONE_HZ).abs() < 6.0 && heard.level_at(PHONE_HZ) > -26.0
    };
    support::talk::hears_so(call, 1.5, alone).await;
}

/// The page's tone is in what the phone recorded of its last call, for half a second at least.
fn heard_by_phone(pcm: &[i16]) {
    let level = support::sound::best_level(pcm, PAGE_HZ);
    // Half of a half second may be lost on a busy machine.
    assert!(level > -26.0, "the phone hears {PAGE_HZ} Hz at {level} dBm0");
}

/// The carrier's proxy speaks TLS, its phone UDP; the keys of the sound go through it.
#[tokio::test(flavor = "multi_thread")]
async fn kamailio_by_tls_with_srtp_behind_it() {
    let authority = Authority::new();
    authority.issue("phone", "IP:127.0.0.1");
    let phone = Baresip::start_as(PHONE_HZ, -20.0, By::Udp, Media::SrtpRequired, &authority);
    let kamailio = Kamailio::proxy_by_tls(phone.port, &authority);
    let target = format!("sip:127.0.0.1:{};transport=tls", kamailio.tls_port.unwrap());
    let account = "username = \"acct\"\npassword = \"secret\"\nregister = true\n";
    let plan = support::bystander::PLAN;
    let gateway = gateway(Media::SrtpRequired, &target, &authority, plan, account);
    kamailio.process.line_with("REGISTERED", Duration::from_secs(20));
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();

    let call = Call::start(&page, LOOPBACK, "700").await.unwrap();
    call.peer.play(Source::tone(PAGE_HZ, -20.0)).await.unwrap();
    call.state(&mut page, "active").await.unwrap();
    hears(&call).await;
    call.hang_up(&mut page).await.unwrap();
    heard_by_phone(&phone.recording());

    phone.dial(&format!("sip:+493023125600@127.0.0.1:{}", kamailio.port));
    let call = Call::take(&mut page, LOOPBACK).await.unwrap();
    call.peer.play(Source::tone(PAGE_HZ, -20.0)).await.unwrap();
    call.state(&mut page, "active").await.unwrap();
    hears(&call).await;
    call.hang_up(&mut page).await.unwrap();
    heard_by_phone(&phone.recording());
    interop::record("kamailio", "TLS");
    interop::record("kamailio", "SRTP (SDES)");
}

macro_rules! linphone_cells {
    ($($name:ident: $by:ident $media:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            linphone_both_ways(By::$by, Media::$media).await;
        }
    )*};
}

linphone_cells! {
    linphone_by_tls: Tls Plain;
    linphone_by_udp_with_srtp_where_it_can: Udp Srtp;
    linphone_by_tls_with_srtp: Tls SrtpRequired;
}

macro_rules! cells {
    ($($name:ident: $by:ident $media:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            both_ways(By::$by, Media::$media).await;
        }
    )*};
}

cells! {
    baresip_by_udp: Udp Plain;
    baresip_by_tcp: Tcp Plain;
    baresip_by_tls: Tls Plain;
    baresip_by_udp_with_srtp_where_it_can: Udp Srtp;
    baresip_by_tcp_with_srtp: Tcp SrtpRequired;
    baresip_by_tls_with_srtp: Tls SrtpRequired;
}
