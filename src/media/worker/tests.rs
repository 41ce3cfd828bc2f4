//! The pool with real sockets on loopback: a page (a second WebRTC engine) and a trunk (plain RTP)
//! play tones at each other.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::base::{CallId, Digit};
use crate::codec::{Codec, Decoder, Encoder, FRAME, Tone, Tones, dominant_frequency, level_dbm0};
use crate::dtmf::{Mode, Phase as DigitPhase, ToneItem};
use crate::media::{
    AddressPolicy, Error, Feed, Interface, LegSide, MediaEvent, Phase, Pool, PoolConfig, Session,
    TrunkCodec, TrunkMedia,
};
use crate::rtp::{Packet, PayloadType, Seq, Ssrc, Timestamp};
use crate::webrtc::{BrowserCodec, RtpOut, TestBrowser};

mod ice;

/// A page and a trunk in one place, driven in real time.
struct Lab {
    browser: TestBrowser,
    browser_socket: UdpSocket,
    trunk_socket: UdpSocket,
    /// Where our side receives the trunk's RTP.
    gateway: Option<SocketAddr>,
    encoder: Encoder,
    talk: Tones,
    trunk_talk: Tones,
    frames: u32,
    /// What the trunk received: packets in their order.
    heard: Vec<Heard>,
    events: mpsc::Receiver<MediaEvent>,
    seen: Vec<MediaEvent>,
}

#[derive(Debug, Clone)]
struct Heard {
    marker: bool,
    payload_type: u8,
    seq: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

fn call_id(n: u128) -> CallId {
    CallId::from_parts(1_700_000_000_000, n)
}

fn config() -> PoolConfig {
    PoolConfig { workers: 1, stats_every: Duration::from_millis(500), ..PoolConfig::default() }
}

fn laboratory() -> TrunkMedia {
    TrunkMedia { addresses: AddressPolicy::Any, ..TrunkMedia::default() }
}

fn sine(frequency: f64) -> Tones {
    Tones::new(&[Tone { frequency, dbm0: -10.0 }])
}

impl Lab {
    fn new(events: mpsc::Receiver<MediaEvent>, codecs: &[BrowserCodec]) -> Self {
        Self::at([127, 0, 0, 1].into(), events, codecs)
    }

    /// With a page at this address of the machine.
    fn at(page: IpAddr, events: mpsc::Receiver<MediaEvent>, codecs: &[BrowserCodec]) -> Self {
        let socket = |address: IpAddr| {
            let socket = UdpSocket::bind((address, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let browser_socket = socket(page);
        let address = browser_socket.local_addr().unwrap();
        let events_offered = [(110, 48_000), (126, 8_000)];
        Self {
            browser: TestBrowser::new(Instant::now(), address, codecs, &events_offered),
            browser_socket,
            trunk_socket: socket([127, 0, 0, 1].into()),
            gateway: None,
            encoder: Encoder::new(Codec::Opus).unwrap(),
            talk: sine(1000.0),
            trunk_talk: sine(700.0),
            frames: 0,
            heard: Vec::new(),
            events,
            seen: Vec::new(),
        }
    }

    /// The trunk's answer in mu-law with events on 101.
    fn trunk_sdp(&self) -> String {
        let port = self.trunk_socket.local_addr().unwrap().port();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
        )
    }

    fn learn_gateway(&mut self, sdp: &str) {
        let port = sdp.lines().find_map(|l| l.strip_prefix("m=audio ")).unwrap();
        let port: u16 = port.split(' ').next().unwrap().parse().unwrap();
        self.gateway = Some(SocketAddr::from(([127, 0, 0, 1], port)));
    }

    async fn connect(&mut self, session: &Session) {
        let answer = session.browser_offer(self.browser.offer()).await.unwrap();
        self.browser.accept(&answer);
        for _ in 0..300 {
            self.turn();
            let connected =
                self.seen.iter().any(|event| matches!(event, MediaEvent::PeerConnected { .. }));
            if self.browser.connected && connected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not connected: {:?}", self.seen);
    }

    /// Carries what is there now.
    fn turn(&mut self) {
        let now = Instant::now();
        let own = self.browser_socket.local_addr().unwrap();
        let mut buffer = [0; 2000];
        self.browser.timeout(now);
        loop {
            for (_, destination, contents) in self.browser.drain(now) {
                self.browser_socket.send_to(&contents, destination).unwrap();
            }
            let Ok((length, source)) = self.browser_socket.recv_from(&mut buffer) else { break };
            self.browser.datagram(now, source, own, &buffer[..length]);
        }
        while let Ok((length, _)) = self.trunk_socket.recv_from(&mut buffer) {
            let packet = Packet::parse(&buffer[..length]).unwrap();
            self.heard.push(Heard {
                marker: packet.marker,
                payload_type: packet.payload_type.get(),
                seq: packet.seq.0,
                timestamp: packet.timestamp.0,
                payload: packet.payload.to_vec(),
            });
        }
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
    }

    /// Both sides talk for so many frames of 20 ms, in real time.
    async fn talk(&mut self, frames: u32) {
        let mut ticker = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..frames {
            ticker.tick().await;
            self.frames += 1;
            let mut pcm = [0; FRAME];
            let mut payload = Vec::new();
            self.talk.fill(&mut pcm);
            self.encoder.encode(&pcm, &mut payload).unwrap();
            let timestamp = self.frames * 960;
            let packet =
                RtpOut { payload_type: 111, seq: 0, timestamp, marker: false, payload: &payload };
            self.browser.send(Instant::now(), packet);
            if let Some(gateway) = self.gateway {
                self.trunk_talk.fill(&mut pcm);
                let mut payload = Vec::new();
                Encoder::Pcmu.encode(&pcm, &mut payload).unwrap();
                let mut datagram = Vec::new();
                Packet {
                    marker: false,
                    payload_type: PayloadType::PCMU,
                    seq: Seq(self.frames as u16),
                    timestamp: Timestamp(self.frames * 160),
                    ssrc: Ssrc(77),
                    payload: &payload,
                }
                .write(&mut datagram);
                self.trunk_socket.send_to(&datagram, gateway).unwrap();
            }
            self.turn();
        }
    }

    /// What the trunk heard of the last `frames` packets of sound.
    fn trunk_pcm(&self, frames: usize) -> Vec<i16> {
        let sound: Vec<_> = self.heard.iter().filter(|p| p.payload_type == 0).collect();
        let mut decoder = Decoder::new(Codec::Pcmu).unwrap();
        let mut pcm = Vec::new();
        for packet in &sound[sound.len().saturating_sub(frames)..] {
            let mut frame = Vec::new();
            decoder.decode(&packet.payload, &mut frame).unwrap();
            pcm.extend(frame);
        }
        pcm
    }

    /// What the page heard of the last `frames` packets.
    fn browser_pcm(&self, codec: Codec, frames: usize) -> Vec<i16> {
        let mut decoder = Decoder::new(codec).unwrap();
        let mut pcm = Vec::new();
        for (_, packet) in &self.browser.received {
            let mut frame = Vec::new();
            decoder.decode(&packet.payload, &mut frame).unwrap();
            pcm.extend(frame);
        }
        pcm.split_off(pcm.len().saturating_sub(frames * FRAME))
    }
}

fn assert_tone(pcm: &[i16], frequency: f64, whose: &str) {
    let found = dominant_frequency(pcm).unwrap_or_else(|| panic!("{whose}: {}", level_dbm0(pcm)));
    assert!((found - frequency).abs() < 5.0, "{whose} hears {found} Hz");
    // Of all that is heard: a slipped sample turns the tone's phase, and a sum over one frequency
    // would cancel itself.
    let level = level_dbm0(pcm);
    assert!((level + 10.0).abs() < 1.0, "{whose} hears {level} dBm0");
}

#[tokio::test]
async fn a_page_and_a_trunk_hear_each_other_through_real_sockets() {
    let pool = Pool::start(config()).unwrap();
    let (session, events) = pool.open(call_id(1)).unwrap();
    let mut lab = Lab::new(events, &[BrowserCodec::Opus, BrowserCodec::Pcmu]);
    lab.connect(&session).await;
    let offer = session.trunk_offer(laboratory()).await.unwrap();
    lab.learn_gateway(&offer);
    assert_eq!(pool.gauges().ports, 2);
    let audio = session.trunk_answer(lab.trunk_sdp(), Phase::Final).await.unwrap();
    assert_eq!(audio.codec, TrunkCodec::Pcmu);
    assert_eq!(audio.telephone_event, Some(8_000));
    session.connect().unwrap();
    lab.talk(75).await;
    assert_tone(&lab.trunk_pcm(25), 1000.0, "the trunk");
    assert_tone(&lab.browser_pcm(Codec::Opus, 25), 700.0, "the page");
    // Evenly clocked, one row of numbers, no gap (RFC 3550 5.1).
    for pair in lab.heard.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
        assert!(!pair[1].marker);
    }
    assert!(lab.seen.iter().any(|e| matches!(e, MediaEvent::MediaStarted { leg: LegSide::Trunk })));
    drop(session);
    for _ in 0..100 {
        lab.turn();
        if pool.gauges().sessions == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let gauges = pool.gauges();
    assert_eq!((gauges.sessions, gauges.ports, gauges.panics), (0, 0, 0));
    lab.turn();
    assert_eq!(lab.seen.last(), Some(&MediaEvent::Closed { error: None }));
}

#[tokio::test]
async fn digits_go_out_as_telephone_events_and_give_receipts() {
    let pool = Pool::start(config()).unwrap();
    let (session, events) = pool.open(call_id(2)).unwrap();
    let mut lab = Lab::new(events, &[BrowserCodec::Opus]);
    lab.connect(&session).await;
    let media = laboratory();
    let digit = Digit::from_char('5').unwrap();
    let item = ToneItem::Digit { digit, duration: Duration::from_millis(100), gap: Duration::ZERO };
    session.send_digits(LegSide::Trunk, vec![item]).unwrap();
    let offer = session.trunk_offer(media).await.unwrap();
    lab.learn_gateway(&offer);
    session.trunk_answer(lab.trunk_sdp(), Phase::Early).await.unwrap();
    session.send_digits(LegSide::Trunk, vec![item]).unwrap();
    lab.talk(30).await;
    let refused = MediaEvent::DigitsUnavailable { to: LegSide::Trunk };
    assert!(!lab.seen.contains(&refused), "what comes before the leg waits for it");
    let ends: Vec<_> = lab
        .heard
        .iter()
        .filter(|p| p.payload_type == 101 && p.payload[1] & 0x80 != 0)
        .map(|p| (p.payload[0], u16::from_be_bytes([p.payload[2], p.payload[3]])))
        .collect();
    assert_eq!(ends, [(5, 800); 6]);
    let receipt = lab.seen.iter().find_map(|event| match event {
        MediaEvent::DigitSent { to: LegSide::Trunk, receipt } => Some(*receipt),
        _ => None,
    });
    assert_eq!(receipt.map(|r| (r.digit, r.source)), Some((digit, Mode::Client)));
    // A key of the page, down and up.
    session.press(LegSide::Trunk, digit).unwrap();
    lab.talk(6).await;
    session.release(LegSide::Trunk).unwrap();
    lab.talk(10).await;
    let phases: Vec<_> = lab
        .seen
        .iter()
        .filter_map(|event| match event {
            MediaEvent::Digit { from: LegSide::Browser, event } => Some(event.phase),
            _ => None,
        })
        .collect();
    assert!(matches!(phases[..], [DigitPhase::Start, DigitPhase::End(_)]), "{phases:?}");
}

#[tokio::test]
async fn early_media_of_forks_then_the_answer() {
    let pool = Pool::start(config()).unwrap();
    let (session, events) = pool.open(call_id(3)).unwrap();
    let mut lab = Lab::new(events, &[BrowserCodec::Opus]);
    lab.connect(&session).await;
    session.feed_browser(Feed::Ringback { country: "DE".to_owned() }).unwrap();
    lab.talk(30).await;
    assert_eq!(dominant_frequency(&lab.browser_pcm(Codec::Opus, 15)).map(f64::round), Some(425.0));
    let offer = session.trunk_offer(laboratory()).await.unwrap();
    lab.learn_gateway(&offer);
    session.trunk_answer(lab.trunk_sdp(), Phase::Early).await.unwrap();
    session.feed_browser(Feed::Trunk).unwrap();
    lab.talk(40).await;
    assert_tone(&lab.browser_pcm(Codec::Opus, 20), 700.0, "the page");
    // Another fork answers, from a socket of its own.
    let first = std::mem::replace(&mut lab.trunk_socket, UdpSocket::bind("127.0.0.1:0").unwrap());
    lab.trunk_socket.set_nonblocking(true).unwrap();
    lab.trunk_talk = sine(400.0);
    session.trunk_answer(lab.trunk_sdp(), Phase::Final).await.unwrap();
    session.connect().unwrap();
    lab.talk(50).await;
    assert_tone(&lab.browser_pcm(Codec::Opus, 20), 400.0, "the page");
    drop(first);
    // One source, and numbers that only rise by one: nothing was lost on loopback.
    let packets: Vec<_> = lab.browser.received.iter().map(|(_, p)| p.clone()).collect();
    for pair in packets.windows(2) {
        assert_eq!((pair[0].ssrc, pair[1].seq), (pair[1].ssrc, pair[0].seq.wrapping_add(1)));
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((960..48_000).contains(&step), "a step of {step}");
    }
}

#[tokio::test]
async fn a_trunk_calls_and_the_page_is_offered() {
    let pool = Pool::start(config()).unwrap();
    let (session, events) = pool.open(call_id(4)).unwrap();
    let mut lab = Lab::new(events, &[BrowserCodec::Opus]);
    let offer = session.offer_browser().await.unwrap();
    let answer = lab.browser.answer(&offer);
    session.browser_answer(answer).await.unwrap();
    session.browser_candidate(Some("candidate:nonsense".to_owned())).unwrap();
    session.browser_candidate(None).unwrap();
    let answer = session.answer_trunk(lab.trunk_sdp(), laboratory()).await.unwrap();
    lab.learn_gateway(&answer);
    for _ in 0..200 {
        lab.turn();
        if lab.browser.connected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    session.connect().unwrap();
    lab.talk(50).await;
    assert_tone(&lab.browser_pcm(Codec::Opus, 20), 700.0, "the page");
    assert_tone(&lab.trunk_pcm(20), 1000.0, "the trunk");
    // The trunk offers again: the same leg, the same ports.
    let again = session.answer_trunk(lab.trunk_sdp(), laboratory()).await.unwrap();
    let port = |sdp: &str| sdp.lines().find(|l| l.starts_with("m=audio")).unwrap().to_owned();
    assert_eq!(port(&again), port(&answer));
    assert_eq!(pool.gauges().ports, 2);
}

#[tokio::test]
async fn what_does_not_fit_gives_typed_errors_and_leaves_the_call() {
    let pool = Pool::start(config()).unwrap();
    let (session, _events) = pool.open(call_id(5)).unwrap();
    let refused = session.browser_offer("v=0\r\n".to_owned()).await;
    assert!(matches!(refused, Err(Error::BadSdp(_))), "{refused:?}");
    let refused = session.trunk_answer("v=0\r\n".to_owned(), Phase::Final).await;
    assert!(matches!(refused, Err(Error::OutOfOrder(_))), "{refused:?}");
    session.trunk_offer(laboratory()).await.unwrap();
    let sdp = |formats: &str, ip: &str| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP {formats}\r\n"
        )
    };
    let refused = session.trunk_answer(sdp("18", "127.0.0.1"), Phase::Final).await;
    assert_eq!(refused, Err(Error::NoCommonCodec));
    session.trunk_offer(TrunkMedia::default()).await.unwrap();
    let refused = session.trunk_answer(sdp("0", "127.0.0.1"), Phase::Final).await;
    assert_eq!(refused, Err(Error::AddressRefused));
    let refused = session.browser_answer("v=0\r\n".to_owned()).await;
    assert!(matches!(refused, Err(Error::OutOfOrder(_))), "{refused:?}");
    assert_eq!((pool.gauges().sessions, pool.gauges().panics), (1, 0));
}

#[tokio::test]
async fn a_full_pool_refuses_and_a_place_comes_back() {
    let pool = Pool::start(PoolConfig { calls_per_worker: 2, ..config() }).unwrap();
    let first = pool.open(call_id(6)).unwrap();
    let second = pool.open(call_id(7)).unwrap();
    assert_eq!(pool.open(call_id(8)).map(|_| ()), Err(Error::Overloaded));
    // Closed at once after it was opened: the place is not lost.
    drop(first);
    second.0.close();
    for _ in 0..200 {
        if pool.gauges().sessions == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(pool.open(call_id(9)).is_ok());
    let closed = second.0.trunk_offer(laboratory()).await;
    assert_eq!(closed, Err(Error::Closed));
}

/// The worker that is expected to do least may be the full one: a call gets the place of another.
#[tokio::test]
async fn no_call_is_refused_while_a_worker_has_a_place() {
    let pool = Pool::start(PoolConfig { workers: 2, calls_per_worker: 2, ..config() }).unwrap();
    let open = |n| pool.open(call_id(n)).unwrap();
    // In turn, then two on the first worker go: it has had more calls since it was last measured.
    let (a, _b, c) = (open(11), open(12), open(13));
    drop((a, c));
    for _ in 0..500 {
        if pool.gauges().sessions == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let _rest = [open(14), open(15), open(16)];
    assert_eq!(pool.open(call_id(17)).map(|_| ()), Err(Error::Overloaded));
    assert_eq!(pool.gauges().sessions, pool.gauges().capacity);
}

/// Every interface is a candidate, and a page that reaches only the second one connects.
#[tokio::test]
async fn every_interface_is_a_candidate() {
    let interface =
        |ip: &str| Interface { bind: SocketAddr::new(ip.parse().unwrap(), 0), advertise: None };
    let interfaces = vec![interface("127.0.0.2"), interface("127.0.0.1")];
    let pool = Pool::start(PoolConfig { interfaces, ..config() }).unwrap();
    let (session, events) = pool.open(call_id(10)).unwrap();
    let mut lab = Lab::new(events, &[BrowserCodec::Opus]);
    let answer = session.browser_offer(lab.browser.offer()).await.unwrap();
    assert_eq!(answer.matches("typ host").count(), 2);
    let second: String = answer
        .lines()
        .filter(|line| !line.contains("127.0.0.2"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    lab.browser.accept(&second);
    for _ in 0..300 {
        lab.turn();
        if lab.browser.connected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(lab.browser.connected, "{:?}", lab.seen);
    let wildcard = Interface { bind: "0.0.0.0:0".parse().unwrap(), advertise: None };
    let refused = Pool::start(PoolConfig { interfaces: vec![wildcard], ..config() });
    assert!(matches!(refused, Err(Error::System(_))));
}
