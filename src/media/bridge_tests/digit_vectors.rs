//! The vectors of DTMF interworking that need more than a decoder: a call's life around the digit.
//! (Those of one decoder or sender alone are beside it, under the same names.)

use super::lab::*;
use crate::media::call::{MediaCall, Wire};
use crate::webrtc::{PeerConfig, RtpOut, TestBrowser};

fn quiet(wish: DtmfMode, formats: &str) -> Lab {
    let mut lab = Lab::with(BrowserCodec::Opus, wish, formats);
    lab.hush();
    lab.idle(ms(100));
    lab
}

const WISHES: [DtmfMode; 3] = [DtmfMode::Rfc4733, DtmfMode::Info, DtmfMode::Inband];

#[test]
fn v25_20_digits_in_one_second_through_the_bridge() {
    const KEYS: &str = "01234567890123456789";
    for wish in WISHES {
        let mut lab = quiet(wish, "0 101");
        lab.bridge.connect(lab.now);
        for (n, key) in KEYS.chars().enumerate() {
            // 40 ms of tone in three packets, 10 ms later the next.
            let start = lab.page_timestamp.wrapping_add(2_400 * n as u32);
            for ticks in [960_u16, 1920, 1920, 1920] {
                let flags = if ticks == 1920 { 0x8A } else { 10 };
                let [high, low] = ticks.to_be_bytes();
                let block = [digit(key).event(), flags, high, low];
                let packet = lab.page_packet(110, start, ticks == 960, &block);
                lab.input(Input::BrowserRtp(&packet));
            }
            lab.wait(ms(50));
        }
        lab.idle(ms(5000));
        assert_eq!(lab.phone.keys(), KEYS, "{wish}");
    }
}

#[test]
fn v26_during_183_early_media() {
    for wish in WISHES {
        // Sound before the answer.
        let mut lab = quiet(wish, "0 101");
        lab.bridge.feed(Feed::Trunk);
        lab.page_event('1', 100);
        lab.idle(ms(400));
        assert_eq!(lab.phone.keys(), "1", "{wish}");
        lab.trunk_presses(Mode::Rfc4733, '2', 100);
        lab.idle(ms(200));
        assert_eq!(lab.told(LegSide::Trunk), [(Mode::Rfc4733, '2', 100)]);
        lab.bridge.connect(lab.now);
        lab.page_event('3', 100);
        lab.idle(ms(400));
        assert_eq!(lab.phone.keys(), "13", "{wish}");

        // Before any SDP of the trunk: they wait for it.
        let mut lab = Lab::unanswered(BrowserCodec::Opus, wish);
        lab.hush();
        lab.idle(ms(100));
        lab.page_event('4', 100);
        lab.idle(ms(100));
        lab.page_event('5', 100);
        lab.idle(ms(300));
        assert!(lab.phone.heard.is_empty() && lab.trunk.is_empty());
        lab.bridge.trunk_accept(lab.now, &answer(address(TRUNK), "0 101")).unwrap();
        lab.idle(ms(1000));
        assert_eq!(lab.phone.keys(), "45", "{wish}");
    }
}

#[test]
fn v27_during_hold() {
    for wish in WISHES {
        let mut lab = quiet(wish, "0 101");
        lab.bridge.connect(lab.now);
        let offer = answer(address(TRUNK), "0 101");
        lab.bridge.trunk_answer(lab.now, &offer.replace("sendrecv", "inactive")).unwrap();
        lab.page_event('6', 100);
        lab.idle(ms(100));
        lab.page_press('7', 200);
        lab.idle(ms(1000));
        // RFC 3264 8.4: nothing may be sent; INFO is no media and does not wait.
        let at_once = if wish == DtmfMode::Info { "67" } else { "" };
        assert_eq!(lab.phone.keys(), at_once, "{wish}");
        lab.bridge.trunk_answer(lab.now, &offer).unwrap();
        lab.idle(ms(1500));
        assert_eq!(lab.phone.keys(), "67", "{wish}");
        let lengths: Vec<u64> = lab.phone.heard.iter().map(|h| h.2).collect();
        assert!(lengths[0].abs_diff(100) <= 16 && lengths[1].abs_diff(200) <= 16, "{lengths:?}");
    }
}

#[test]
fn v28_across_a_re_invite_that_changes_the_payload_type_through_the_bridge() {
    let mut lab = quiet(DtmfMode::Auto, "0 101");
    lab.bridge.connect(lab.now);
    lab.bridge.press(lab.now, LegSide::Trunk, digit('8'));
    lab.idle(ms(200));
    let other = answer(address(TRUNK), "0 96").replace("rtpmap:101", "rtpmap:96");
    lab.bridge.trunk_answer(lab.now, &other).unwrap();
    lab.idle(ms(200));
    lab.bridge.release(lab.now, LegSide::Trunk);
    lab.idle(ms(300));
    lab.page_event('9', 100);
    lab.idle(ms(300));
    assert_eq!(lab.phone.heard, [(Mode::Rfc4733, '8', 400), (Mode::Rfc4733, '9', 100)]);
    let mut types: Vec<u8> = lab.trunk.iter().map(|p| p.payload_type).collect();
    types.retain(|pt| *pt != 0);
    types.dedup();
    assert_eq!(types, [101, 96]);
}

const PAGE: &str = "127.0.0.1:5000";
const GATEWAY: &str = "127.0.0.1:4000";

/// A page with real ICE, DTLS and SRTP, and a call's media; datagrams take no time.
struct Connection {
    now: Instant,
    call: MediaCall,
    page: TestBrowser,
    wire: Collected,
    phone: super::phone::Phone,
    timestamp: u32,
    /// In 20 ms of the page's clock.
    ticks: u16,
}

#[derive(Default)]
struct Collected {
    to_page: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    to_trunk: Vec<Vec<u8>>,
    events: Vec<MediaEvent>,
}

impl Wire for Collected {
    fn send_browser(&mut self, source: SocketAddr, destination: SocketAddr, contents: &[u8]) {
        self.to_page.push((source, destination, contents.to_vec()));
    }

    fn send_trunk(&mut self, port: TrunkPort, _: SocketAddr, contents: &[u8]) {
        if port == TrunkPort::Rtp {
            self.to_trunk.push(contents.to_vec());
        }
    }

    fn event(&mut self, event: MediaEvent) {
        self.events.push(event);
    }
}

impl Connection {
    fn new() -> Self {
        Self::with(config(), BrowserCodec::Opus)
    }

    fn with(config: BridgeConfig, codec: BrowserCodec) -> Self {
        let now = epoch();
        let peer = PeerConfig {
            candidates: vec![address(GATEWAY)],
            ice_lite: false,
            codecs: vec![codec],
            opus_parameters: "useinbandfec=1".into(),
        };
        let clock = codec.clock_rate();
        let mut page = TestBrowser::new(now, address(PAGE), &[codec], &[(110, clock)]);
        let mut call = MediaCall::new(now, peer, config);
        let offer = page.offer();
        page.accept(&call.browser_offer(now, &offer).unwrap());
        let media = TrunkMedia { addresses: AddressPolicy::Any, ..TrunkMedia::default() };
        call.trunk_offer(address(LOCAL), media).unwrap();
        call.trunk_accept(now, &answer(address(TRUNK), "0 101")).unwrap();
        call.connect(now);
        let phone = super::phone::Phone::new();
        let wire = Collected::default();
        let ticks = (clock / 50) as u16;
        let mut connection = Self { now, call, page, wire, phone, timestamp: 0, ticks };
        connection.run(ms(2000), ms(5));
        assert!(connection.page.connected);
        connection
    }

    fn settle(&mut self) {
        loop {
            self.call.drain(self.now, &mut self.wire);
            let (to_page, to_us) =
                (std::mem::take(&mut self.wire.to_page), self.page.drain(self.now));
            for datagram in self.wire.to_trunk.drain(..) {
                self.phone.on_packet(self.now, &Packet::parse(&datagram).unwrap());
            }
            if to_page.is_empty() && to_us.is_empty() {
                return;
            }
            for (source, destination, contents) in to_us {
                self.call.on_browser_datagram(self.now, source, destination, &contents);
                self.call.drain(self.now, &mut self.wire);
            }
            for (source, destination, contents) in to_page {
                self.page.datagram(self.now, source, destination, &contents);
                for (source, destination, contents) in self.page.drain(self.now) {
                    self.call.on_browser_datagram(self.now, source, destination, &contents);
                    self.call.drain(self.now, &mut self.wire);
                }
            }
        }
    }

    fn run(&mut self, time: Duration, step: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.settle();
            self.now += step;
            self.call.on_timeout(self.now, &mut self.wire);
            self.settle();
            self.page.timeout(self.now);
            self.settle();
            self.phone.on_tick(self.now);
        }
    }

    /// One step of a key: a packet of its event, after so many intervals of 20 ms.
    fn event(&mut self, key: char, intervals: u16, end: bool) {
        let [high, low] = (intervals * self.ticks).to_be_bytes();
        let payload = [digit(key).event(), if end { 0x8A } else { 10 }, high, low];
        let (timestamp, marker) = (self.timestamp, intervals == 1);
        let packet = RtpOut { payload_type: 110, seq: 0, timestamp, marker, payload: &payload };
        self.page.send(self.now, packet);
        self.run(ms(20), ms(5));
    }

    fn press(&mut self, key: char) {
        self.timestamp = self.timestamp.wrapping_add(48_000);
        for n in 1..5 {
            self.event(key, n, false);
        }
        for _ in 0..3 {
            self.event(key, 5, true);
        }
        self.run(ms(200), ms(5));
    }
}

#[test]
fn v29_across_an_ice_restart() {
    let mut connection = Connection::new();
    connection.press('1');
    connection.timestamp += 48_000;
    connection.event('2', 1, false);
    // New credentials in the middle of a press.
    let offer = connection.page.ice_restart_offer();
    let answer = connection.call.browser_offer(connection.now, &offer).unwrap();
    connection.page.accept(&answer);
    for n in 2..10 {
        connection.event('2', n, false);
    }
    for _ in 0..3 {
        connection.event('2', 10, true);
    }
    connection.run(ms(1000), ms(5));
    connection.press('3');
    let heard = &connection.phone.heard;
    assert_eq!(connection.phone.keys(), "123", "{heard:?}");
    assert_eq!(heard[1].2, 200, "{heard:?}");
}

/// SRTP counts the wraps of the sequence numbers beside them (RFC 3711 3.3.1), for each direction on its
/// own; who loses count can open nothing more. The page stands short of a wrap, is silent for fifteen
/// minutes and wraps in the middle of the next key. The trunk's sound goes on meanwhile: 45,000 packets
/// toward the page, over a wrap of theirs.
#[test]
fn v30_after_15_minutes_of_silence_srtp_index() {
    // The first sequence number toward the page is the first number drawn, below 32,768.
    let seed = |n: u8| [n; 32];
    let late = |seed: &[u8; 32]| ChaCha12Rng::from_seed(*seed).next_u32() as u16 & 0x7FFF > 31_000;
    let seed = (0..=255).map(seed).find(late).unwrap();
    let mut connection = Connection::with(BridgeConfig { seed, ..config() }, BrowserCodec::Pcmu);
    connection.page.set_next_seq(65_536 - 10);
    // Seven packets of the page's ten.
    connection.press('1');
    let (mut seq, mut timestamp) = (65_500_u16, 0_u32);
    for _ in 0..15 * 60 * 50 {
        let mut datagram = Vec::new();
        Packet {
            marker: false,
            payload_type: PayloadType::PCMU,
            seq: Seq(seq),
            timestamp: Timestamp(timestamp),
            ssrc: Ssrc(77),
            payload: &[0xFF; 160],
        }
        .write(&mut datagram);
        (seq, timestamp) = (seq.wrapping_add(1), timestamp.wrapping_add(160));
        let (now, from) = (connection.now, address(TRUNK));
        connection.call.on_trunk_datagram(now, TrunkPort::Rtp, from, &mut datagram);
        connection.run(ms(20), ms(20));
    }
    let heard = &connection.page.received;
    assert!(heard.len() > 44_900, "{} packets reached the page", heard.len());
    let seqs: Vec<u16> = heard.iter().map(|(_, packet)| packet.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "one row of numbers");
    assert!(seqs.windows(2).any(|pair| pair[1] < pair[0]), "its numbers wrapped");
    connection.press('2');
    connection.press('3');
    assert_eq!(connection.phone.keys(), "123");
    assert_eq!(connection.page.next_seq(), 65_536 + 11, "so did the page's, in the second key");
}
