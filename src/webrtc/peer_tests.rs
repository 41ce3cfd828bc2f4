//! A peer and a browser on a virtual clock: negotiation, ICE, DTLS, packets both ways.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::test_browser::TestBrowser;
use super::{BrowserCodec, Error, Input, LostReason, Output, Peer, PeerConfig, RtpIn, RtpOut};
use crate::base::epoch;

const OURS: &str = "127.0.0.1:4000";
const THEIRS: &str = "127.0.0.1:5000";
const CODECS: [BrowserCodec; 3] = [BrowserCodec::Opus, BrowserCodec::Pcmu, BrowserCodec::Pcma];

fn config() -> PeerConfig {
    PeerConfig {
        candidates: vec![OURS.parse().unwrap()],
        ice_lite: false,
        codecs: CODECS.to_vec(),
        opus_parameters: "maxplaybackrate=8000;useinbandfec=1".into(),
    }
}

fn chromium(now: Instant) -> TestBrowser {
    TestBrowser::new(now, THEIRS.parse().unwrap(), &CODECS, &[(110, 48_000), (126, 8_000)])
}

fn packet(payload_type: u8, seq: u64, payload: &[u8]) -> RtpOut<'_> {
    let timestamp = u32::try_from(seq).unwrap().wrapping_mul(960);
    RtpOut { payload_type, seq, timestamp, marker: false, payload }
}

/// Both ends and the time between them; datagrams take no time.
struct Pair {
    now: Instant,
    peer: Peer,
    browser: TestBrowser,
    received: Vec<RtpIn>,
    happened: Vec<String>,
    /// What of the browser's does not arrive.
    withheld: Withheld,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Withheld {
    Nothing,
    /// Its answers to our checks, and its own checks (RFC 8489 5: two zero bits begin a STUN message).
    Stun,
    Everything,
}

impl Withheld {
    fn has(self, contents: &[u8]) -> bool {
        match self {
            Withheld::Nothing => false,
            Withheld::Stun => contents.first().is_some_and(|first| *first < 4),
            Withheld::Everything => true,
        }
    }
}

impl Pair {
    fn new(peer: Peer, browser: TestBrowser) -> Self {
        Self {
            now: epoch(),
            peer,
            browser,
            received: Vec::new(),
            happened: Vec::new(),
            withheld: Withheld::Nothing,
        }
    }

    fn offered_by_page(config: &PeerConfig) -> Self {
        let mut browser = chromium(epoch());
        let (peer, answer) = Peer::answer(config, epoch(), &browser.offer()).unwrap();
        browser.accept(&answer);
        Self::new(peer, browser)
    }

    fn settle(&mut self) {
        for _ in 0..50 {
            let mut quiet = true;
            for (source, destination, contents) in self.browser.drain(self.now) {
                quiet = false;
                if self.withheld.has(&contents) {
                    continue;
                }
                let input = Input::Datagram { source, destination, contents: &contents };
                if self.peer.accepts(self.now, source, destination, &contents) {
                    self.peer.handle_input(self.now, input);
                }
            }
            loop {
                match self.peer.poll_output() {
                    Output::Timeout(_) => break,
                    Output::Transmit { source, destination, contents } => {
                        quiet = false;
                        self.browser.datagram(self.now, source, destination, &contents);
                        // `str0m` wants its outputs drained after every input.
                        for (source, destination, contents) in self.browser.drain(self.now) {
                            if self.withheld.has(&contents) {
                                continue;
                            }
                            let input =
                                Input::Datagram { source, destination, contents: &contents };
                            self.peer.handle_input(self.now, input);
                        }
                    }
                    Output::Rtp(packet) => self.received.push(packet),
                    Output::Connected => self.happened.push("connected".to_owned()),
                    Output::Failed(reason) => self.happened.push(format!("failed {reason:?}")),
                    Output::Reception { .. } => {}
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.settle();
            self.now += Duration::from_millis(5);
            self.peer.handle_input(self.now, Input::Timeout);
            self.settle();
            self.browser.timeout(self.now);
            self.settle();
        }
    }

    fn connect(&mut self) {
        self.run(Duration::from_secs(2));
        assert!(self.browser.connected && self.peer.is_connected(), "{:?}", self.happened);
    }

    /// Sends 10 packets each way and counts those that come.
    fn exchange(&mut self, payload_type: u8, base: u64) -> (usize, usize) {
        let before = (self.received.len(), self.browser.received.len());
        for n in 0..10 {
            self.peer
                .handle_input(self.now, Input::Rtp(packet(payload_type, base + n, &[1, 2, 3])));
            self.settle();
            self.browser.send(self.now, packet(payload_type, base + n, &[4, 5, 6, 7]));
            self.run(Duration::from_millis(20));
        }
        (self.received.len() - before.0, self.browser.received.len() - before.1)
    }
}

/// RFC 7874, RFC 7587: one codec, its events, narrowband, no redundancy.
#[test]
fn the_answer_holds_opus_its_events_and_nothing_else() {
    let mut browser = chromium(epoch());
    let offer = browser.offer();
    assert!(offer.contains("red/48000"), "the offer is like a browser's");
    let (peer, answer) = Peer::answer(&config(), epoch(), &offer).unwrap();
    let maps: Vec<&str> = answer.lines().filter(|l| l.starts_with("a=rtpmap")).collect();
    assert_eq!(maps, ["a=rtpmap:111 opus/48000/2", "a=rtpmap:110 telephone-event/48000"]);
    assert!(answer.contains("a=fmtp:111 maxplaybackrate=8000;useinbandfec=1\r\n"));
    assert!(answer.contains(" 127.0.0.1 4000 typ host"), "{answer}");
    assert!(answer.contains("a=sendrecv"));
    let negotiated = peer.negotiated().unwrap();
    assert_eq!((negotiated.codec, negotiated.payload_type), (BrowserCodec::Opus, 111));
    assert_eq!(negotiated.events[0].payload_type, 110);
}

#[test]
fn page_offers_and_packets_go_both_ways() {
    for ice_lite in [false, true] {
        let mut pair = Pair::offered_by_page(&PeerConfig { ice_lite, ..config() });
        pair.connect();
        assert_eq!(pair.happened, ["connected"]);
        assert_eq!(pair.exchange(111, 1), (10, 10), "ice_lite {ice_lite}");
        assert_eq!(&pair.received[0].payload[..], [4, 5, 6, 7]);
        assert_eq!(&pair.browser.received[0].1.payload[..], [1, 2, 3]);
    }
}

#[test]
fn telephone_events_come_through_as_they_are() {
    let mut pair = Pair::offered_by_page(&config());
    pair.connect();
    // Digit 5, then its end, on the timestamp of its start (RFC 4733 2.2.1).
    for (marker, payload) in [(true, [5, 10, 3, 192]), (false, [5, 0x8A, 7, 128])] {
        let seq = if marker { 1 } else { 2 };
        let event = RtpOut { payload_type: 110, seq, timestamp: 9600, marker, payload: &payload };
        pair.browser.send(pair.now, event);
        pair.run(Duration::from_millis(20));
    }
    let seen: Vec<_> =
        pair.received.iter().map(|p| (p.payload_type, p.timestamp, p.marker, p.seq)).collect();
    assert_eq!(seen, [(110, 9600, true, 1), (110, 9600, false, 2)]);
}

#[test]
fn we_offer_and_the_page_answers() {
    let mut browser = chromium(epoch());
    let (mut peer, offer) = Peer::offer(&config(), epoch()).unwrap();
    assert!(offer.contains("telephone-event/48000") && offer.contains("opus/48000/2"));
    let answer = browser.answer(&offer);
    peer.accept_answer(epoch(), &answer).unwrap();
    let mut pair = Pair::new(peer, browser);
    pair.connect();
    let negotiated = pair.peer.negotiated().unwrap().clone();
    assert_eq!(negotiated.codec, BrowserCodec::Opus);
    assert_eq!(negotiated.events[0].clock_rate, 48_000);
    assert_eq!(pair.exchange(negotiated.payload_type, 1), (10, 10));
    let again = pair.peer.accept_answer(epoch(), &answer);
    assert_eq!(again, Err(Error::NoOfferPending));
}

/// RFC 8445 9: new credentials, same connection, packets go on.
#[test]
fn an_ice_restart_keeps_the_connection() {
    let mut pair = Pair::offered_by_page(&config());
    pair.connect();
    assert_eq!(pair.exchange(111, 1), (10, 10));
    let offer = pair.browser.ice_restart_offer();
    assert!(pair.peer.is_offered_by(&offer));
    let answer = pair.peer.reanswer(pair.now, &offer).unwrap();
    pair.browser.accept(&answer);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.exchange(111, 100), (10, 10), "{:?}", pair.happened);
    assert!(!pair.peer.is_offered_by(&chromium(epoch()).offer()), "another page is another peer");
}

/// RFC 7675 5.1: consent expires after 30 s without an answer, and nothing is sent without it. What comes
/// of sound does not count: anybody could send that.
#[test]
fn a_page_that_answers_no_consent_check_is_lost_and_sent_nothing() {
    for ice_lite in [false, true] {
        for withheld in [Withheld::Stun, Withheld::Everything] {
            let mut pair = Pair::offered_by_page(&PeerConfig { ice_lite, ..config() });
            pair.connect();
            assert_eq!(pair.exchange(111, 1), (10, 10));
            // Consent that is given goes on for longer than it lasts.
            pair.run(Duration::from_secs(40));
            assert_eq!(pair.happened, ["connected"], "ice_lite {ice_lite}");
            pair.withheld = withheld;
            let since = pair.now;
            while pair.happened.len() < 2 && pair.now - since < Duration::from_secs(60) {
                pair.browser.send(pair.now, packet(111, 0, &[4, 5, 6, 7]));
                pair.run(Duration::from_millis(100));
            }
            let (after, case) = (pair.now - since, format!("ice_lite {ice_lite}, {withheld:?}"));
            assert_eq!(pair.happened[1], format!("failed {:?}", LostReason::Ice), "{case}");
            let bounds = Duration::from_secs(4)..=Duration::from_secs(30);
            assert!(bounds.contains(&after), "{case}: noticed after {after:?}");
            let heard = pair.browser.received.len();
            pair.exchange(111, 1000);
            assert_eq!(pair.browser.received.len(), heard, "{case}: sound without consent");
            // New credentials, and all is as before: the resume path.
            pair.withheld = Withheld::Nothing;
            let offer = pair.browser.ice_restart_offer();
            let answer = pair.peer.reanswer(pair.now, &offer).unwrap();
            pair.browser.accept(&answer);
            pair.run(Duration::from_secs(2));
            assert_eq!(pair.happened.last().unwrap(), "connected", "{case}");
            let before = (pair.received.len(), pair.browser.received.len());
            pair.exchange(111, 2000);
            let more = (pair.received.len() - before.0, pair.browser.received.len() - before.1);
            assert!(more.0 >= 10 && more.1 >= 10, "{case}: {more:?}");
        }
    }
}

#[test]
fn a_page_that_closes_is_noticed() {
    let mut pair = Pair::offered_by_page(&config());
    pair.connect();
    pair.browser.close();
    pair.run(Duration::from_secs(1));
    assert!(
        pair.happened.contains(&format!("failed {:?}", LostReason::ClosedByPeer)),
        "{:?}",
        pair.happened
    );
}

#[test]
fn a_page_that_never_comes_fails_after_half_a_minute() {
    let (mut peer, _) = Peer::answer(&config(), epoch(), &chromium(epoch()).offer()).unwrap();
    let mut failed_after = None;
    for ms in (0..40_000).step_by(50) {
        let now = epoch() + Duration::from_millis(ms);
        peer.handle_input(now, Input::Timeout);
        loop {
            match peer.poll_output() {
                Output::Timeout(_) => break,
                Output::Failed(reason) => {
                    failed_after.get_or_insert((reason, ms));
                }
                _ => {}
            }
        }
    }
    let (reason, ms) = failed_after.unwrap();
    assert_eq!(reason, LostReason::Ice);
    assert!((5_000..=30_050).contains(&ms), "{ms}");
}

#[test]
fn what_is_no_datagram_of_ours_is_refused_and_changes_nothing() {
    let mut pair = Pair::offered_by_page(&config());
    pair.connect();
    let (ours, theirs): (SocketAddr, SocketAddr) = (OURS.parse().unwrap(), THEIRS.parse().unwrap());
    let foreign = "127.0.0.1:6666".parse().unwrap();
    let rtp = [0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    assert!(!pair.peer.accepts(pair.now, foreign, ours, &rtp));
    assert!(pair.peer.accepts(pair.now, theirs, ours, &rtp), "the nominated address");
    // Unauthenticated on the live pair (CVE-2021-41105): dropped, and the call goes on.
    let flood: [&[u8]; 5] = [&rtp, &[], &[0xFF; 40], &[22; 60], &[0x80, 200, 0, 1, 0, 0, 0, 0]];
    for contents in flood {
        let input = Input::Datagram { source: theirs, destination: ours, contents };
        pair.peer.handle_input(pair.now, input);
        pair.settle();
    }
    assert!(pair.received.is_empty());
    assert_eq!(pair.exchange(111, 1), (10, 10));
}

#[test]
fn offers_that_cannot_be_answered_say_why() {
    let offer = chromium(epoch()).offer();
    let only_video = offer.replace("m=audio", "m=video");
    let no_fingerprint: String =
        offer.lines().filter(|l| !l.contains("fingerprint")).map(|l| format!("{l}\r\n")).collect();
    let mut g722 = TestBrowser::new(epoch(), THEIRS.parse().unwrap(), &[], &[(126, 8_000)]);
    for (name, sdp) in
        [("video", only_video), ("fingerprint", no_fingerprint), ("empty", String::new())]
    {
        let refused = Peer::answer(&config(), epoch(), &sdp);
        assert!(matches!(refused, Err(Error::BadSdp(_))), "{name}");
    }
    let refused = Peer::answer(&config(), epoch(), &g722.offer());
    assert_eq!(refused.map(|_| ()), Err(Error::NoCommonCodec));
}

#[test]
fn candidates_are_taken_with_and_without_their_prefix() {
    let (mut peer, _) = Peer::answer(&config(), epoch(), &chromium(epoch()).offer()).unwrap();
    let line = "1 1 udp 2113937151 192.0.2.1 50001 typ host";
    for good in [format!("candidate:{line}"), format!("a=candidate:{line}"), String::new()] {
        assert_eq!(peer.add_candidate(&good), Ok(()), "{good}");
    }
    for bad in [
        "candidate:1 1 udp 1 4f3f.local 9 typ host",
        "candidate:x",
        "candidate:1 1 tcp 1 192.0.2.1 9 typ host",
    ] {
        assert!(matches!(peer.add_candidate(bad), Err(Error::BadCandidate(_))), "{bad}");
    }
}
