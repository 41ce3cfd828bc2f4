//! From the click on "answer" to sound both ways, in the page and at the caller's: the media of a page that
//! rings is up already. Measurements, run alone.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use support::TempDir;
use support::browser::{Browser, Engine};
use support::gateway::Gateway;
use support::raw_phone::{milliwatt, packet};
use support::sip_wire::{SipSocket, status};
use support::sound::write_tone;

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
"#;

/// Sound both ways follows the click within this.
const BOUND_MS: f64 = 300.0;
const TIMES: usize = 3;

#[test]
#[ignore = "a length that wants the machine alone"]
fn sound_both_ways_follows_the_click_within_300_ms_in_chromium() {
    is_quick(Engine::Chromium);
}

#[test]
#[ignore = "a length that wants the machine alone"]
fn sound_both_ways_follows_the_click_within_300_ms_in_firefox() {
    is_quick(Engine::Firefox);
}

/// Several calls one after the other: each one counts.
fn is_quick(engine: Engine) {
    let gateway = Gateway::serve(support::free_port(), PLAN);
    let dir = TempDir::new("pick-up");
    let microphone = dir.join("microphone.wav");
    write_tone(&microphone, 48_000, 620.0, -12.0, 120.0);
    let call = [
        json!({"do": "rings"}),
        // A user takes a moment: by then ICE and DTLS are done.
        json!({"do": "wait", "seconds": 1.5}),
        json!({"do": "pickup"}),
        json!({"do": "wait", "seconds": 0.5}),
        json!({"do": "hangup"}),
        json!({"do": "ended"}),
    ];
    let steps: Vec<_> = (0..TIMES).flat_map(|_| call.clone()).collect();
    let (token, path) = (gateway.token(), microphone.to_str().unwrap());
    let mut browser = Browser::start_in(engine, &gateway.base, Some(&token), path, json!(steps));
    gateway.process.line_with("page signed in", Duration::from_secs(60));
    let mut heard = Vec::new();
    for _ in 0..TIMES {
        heard.push(call_the_page(gateway.sip_udp.unwrap()));
        browser.has_done("ended");
    }
    let saw = browser.finish();
    for (n, heard) in heard.iter().enumerate() {
        let page = &saw[n * call.len() + 2];
        let clicked = page["clicked"].as_f64().unwrap();
        let (answer, phone) = (heard.answered - clicked, heard.sound - clicked);
        let at_page = page["sound"].as_f64().unwrap();
        println!(
            "{engine:?}: after the click 200 OK {answer:.0} ms, the phone hears {phone:.0} ms, the page \
             hears {at_page:.0} ms (microphone open {}, first packet {})",
            page["microphone"], page["packet"]
        );
        assert!(at_page <= BOUND_MS && phone <= BOUND_MS, "{page} {phone:.0}");
    }
}

/// Moments in ms since 1970, as a page counts.
struct Heard {
    answered: f64,
    sound: f64,
}

/// Calls the page, plays to it from the answer on, listens for it, and stays until it hangs up.
fn call_the_page(gateway: SocketAddr) -> Heard {
    let sip = SipSocket::new("127.0.0.1", gateway);
    let rtp = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {} RTP/AVP 0\r\n",
        rtp.local_addr().unwrap().port()
    );
    let body = ("application/sdp", sdp.as_bytes());
    let invite = sip.request("INVITE", "+493012345670", Some(body));
    sip.send(&invite);
    let answer = loop {
        let said = sip.next(Duration::from_secs(60)).expect("an answer");
        if said.starts_with("SIP/2.0") && status(&said) >= 200 {
            break said;
        }
    };
    let answered = now_ms();
    assert_eq!(status(&answer), 200, "{answer}");
    sip.ack(&invite, &answer);
    let port = answer.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
    let port: u16 = port.split(' ').next().unwrap().parse().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let playing = thread::spawn({
        let (rtp, stop) = (rtp.clone(), stop.clone());
        move || play(&rtp, ([127, 0, 0, 1], port).into(), &stop)
    });
    let sound = listen(&rtp);
    sip.takes_bye();
    stop.store(true, Ordering::Relaxed);
    playing.join().unwrap();
    Heard { answered, sound }
}

fn play(rtp: &UdpSocket, to: SocketAddr, stop: &AtomicBool) {
    let start = Instant::now();
    for n in 0_u32.. {
        let due = start + Duration::from_millis(20) * n;
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let sound = packet(0x5EED_0002, n as u16, n.wrapping_mul(160), 0, &milliwatt());
        rtp.send_to(&sound, to).unwrap();
    }
}

/// When the first packet with sound in it came.
fn listen(rtp: &UdpSocket) -> f64 {
    rtp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut buffer = [0; 2000];
    loop {
        let (length, _) = rtp.recv_from(&mut buffer).expect("sound of the page");
        // G.711 mu-law: the larger the seven bits, inverted, the louder; 0x30 is some 30 dB below full.
        let loud = |byte: &u8| !byte & 0x7f >= 0x30;
        if length > 12 && buffer[12..length].iter().any(loud) {
            return now_ms();
        }
    }
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}
