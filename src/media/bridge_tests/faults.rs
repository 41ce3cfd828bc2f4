//! What must not move the bridge: sprays, stalls, garbage, silence; and what may.

use super::lab::*;

/// CVE-2017-14099, CVE-2025-53399: a spray hears nothing, is not heard and moves nothing.
#[test]
fn a_spray_from_elsewhere_is_counted_and_never_followed() {
    let mut lab = Lab::new(BrowserCodec::Opus);
    lab.bridge.connect(lab.now);
    let mut noise = sine(2000.0);
    let mut spray = |lab: &mut Lab, n: u32| {
        let mut pcm = [0; FRAME];
        noise.fill(&mut pcm);
        let mut payload = Vec::new();
        Encoder::Pcmu.encode(&pcm, &mut payload).unwrap();
        let mut datagram = Vec::new();
        let packet = Packet {
            marker: false,
            payload_type: PayloadType::PCMU,
            seq: Seq(n as u16),
            timestamp: Timestamp(n * 160),
            ssrc: Ssrc(666),
            payload: &payload,
        };
        packet.write(&mut datagram);
        lab.trunk_sends("203.0.113.9:4000", &datagram);
        lab.trunk_sends("192.0.2.1:4666", &datagram);
        if n > 0 {
            // A spoofed address with a source of its own.
            lab.trunk_sends(TRUNK, &datagram);
        }
    };
    lab.talk(1);
    for n in 0..200 {
        spray(&mut lab, n);
        lab.talk(1);
    }
    assert_tone(&lab.page_pcm(150), 700.0, "the page");
    assert!(goertzel_dbm0(&lab.page_pcm(150), 2000.0) < -45.0);
    assert!(lab.destinations.iter().all(|d| *d == address(TRUNK)));
    assert_eq!(lab.bridge.stats().1.foreign, 200 + 200 + 199);
    assert_eq!(lab.page.len(), 201, "one packet for one");
}

#[test]
fn a_new_answer_moves_the_leg_and_the_old_place_is_not_heard() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(10);
    let fork = "198.51.100.4:7000";
    lab.bridge.trunk_accept(lab.now, &answer(address(fork), "8 101")).unwrap();
    let before = (lab.page.len(), lab.trunk.len());
    let old = lab.trunk_sound(FRAME);
    lab.trunk_sends(TRUNK, &old);
    lab.wait(ms(40));
    assert_eq!(lab.page.len(), before.0);
    assert!(lab.trunk[before.1..].iter().all(|p| p.payload_type == 8), "A-law now");
    assert_eq!(lab.destinations.last(), Some(&address(fork)));
    let ssrcs: std::collections::HashSet<u32> = lab.trunk.iter().map(|p| p.ssrc).collect();
    assert_eq!(ssrcs.len(), 1);
}

#[test]
fn hold_stops_what_we_send_and_resume_starts_it_again() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(10);
    let offer = answer(address(TRUNK), "0 101").replace("sendrecv", "inactive");
    let (held, _) = lab.bridge.trunk_answer(lab.now, &offer).unwrap();
    assert!(held.contains("a=inactive"));
    let before = (lab.page.len(), lab.trunk.len());
    lab.talk(20);
    assert_eq!((lab.page.len(), lab.trunk.len()), before);
    lab.bridge.trunk_answer(lab.now, &answer(address(TRUNK), "0 101")).unwrap();
    lab.talk(20);
    let (last, next) = (&lab.trunk[before.1 - 1], &lab.trunk[before.1]);
    assert!(next.marker && next.seq == last.seq.wrapping_add(1));
    assert_eq!(next.timestamp.wrapping_sub(last.timestamp), 160 * 21, "the clock went on");
}

#[test]
fn lost_media_is_said_once_and_its_return_too() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(10);
    lab.wait(Duration::from_secs(25));
    let count = |lab: &Lab, wanted: &MediaEvent| lab.events.iter().filter(|e| *e == wanted).count();
    for leg in [LegSide::Browser, LegSide::Trunk] {
        assert_eq!(count(&lab, &MediaEvent::MediaStarted { leg }), 1);
        assert_eq!(count(&lab, &MediaEvent::MediaLost { leg }), 1);
    }
    lab.talk(5);
    assert_eq!(count(&lab, &MediaEvent::MediaResumed { leg: LegSide::Trunk }), 1);
    assert!(lab.events.iter().filter(|e| matches!(e, MediaEvent::Stats { .. })).count() >= 5);
}

/// RFC 3550 6.4: reports of what was sent and received, and a goodbye.
#[test]
fn reports_say_what_was_sent_and_received() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(500);
    let report = lab.reports.iter().rev().find_map(|packet| match packet {
        RtcpPacket::SenderReport { info, blocks, .. } => Some((*info, blocks.clone())),
        _ => None,
    });
    let (info, blocks) = report.unwrap();
    assert!(info.packets > 100 && info.octets == info.packets * 160);
    assert_eq!((blocks[0].ssrc, blocks[0].cumulative_lost), (Ssrc(77), 0));
    lab.bridge.close_trunk();
    lab.drain();
    assert!(matches!(lab.reports.last(), Some(RtcpPacket::Bye { .. })));
}

/// After a stall the clock goes on where it should be; what was missed is not sent in a burst.
#[test]
fn a_stall_makes_no_burst() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(10);
    let before = lab.trunk.len();
    lab.now += Duration::from_secs(3);
    lab.input(Input::Timeout);
    assert!(lab.trunk.len() - before <= 5);
    lab.talk(5);
    let passed = lab.trunk.last().unwrap().timestamp.wrapping_sub(lab.trunk[before - 1].timestamp);
    assert!((24_000..=24_000 + 160 * 7).contains(&passed), "{passed}");
}

/// Nothing from the network may panic: seeded garbage on every input.
#[test]
fn garbage_changes_nothing() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    let mut rng = ChaCha12Rng::seed_from_u64(99);
    lab.talk(10);
    for _ in 0..5_000 {
        let length = (rng.next_u32() % 60) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| rng.next_u32() as u8).collect();
        if let [first, second, ..] = &mut bytes[..] {
            *first = 0x80 | (*first & 0x3F);
            *second = [0, 101, 200, 201, 203, *second][(rng.next_u32() % 6) as usize];
        }
        let source = address(TRUNK);
        let port = if rng.next_u32().is_multiple_of(2) { TrunkPort::Rtp } else { TrunkPort::Rtcp };
        lab.input(Input::TrunkDatagram { port, source, contents: &mut bytes.to_vec() });
        let packet = RtpIn {
            payload_type: [110, 111, 3][(rng.next_u32() % 3) as usize],
            seq: rng.next_u32() as u16,
            timestamp: rng.next_u32(),
            marker: rng.next_u32().is_multiple_of(2),
            ssrc: 5,
            payload: bytes.into(),
        };
        lab.input(Input::BrowserRtp(&packet));
        if rng.next_u32().is_multiple_of(8) {
            lab.wait(ms(20));
        }
    }
    // Some of it was digits, which wait for their turn.
    lab.bridge.cancel_digits(lab.now, LegSide::Trunk);
    lab.wait(Duration::from_secs(1));
    lab.page_seq = 1;
    lab.talk(100);
    assert_tone(&lab.trunk_pcm(50), 1000.0, "the trunk");
    assert_tone(&lab.page_pcm(50), 700.0, "the page");
}

/// A transfer that came to nothing: another leg was tried, and the first one goes on where it was.
#[test]
fn a_leg_that_was_put_aside_goes_on() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(10);
    let held = answer(address(TRUNK), "0 101").replace("sendrecv", "sendonly");
    lab.bridge.trunk_answer(lab.now, &held).unwrap();
    let before = lab.trunk.last().unwrap().clone();
    lab.bridge.park_trunk();
    lab.drain();
    let media = TrunkMedia { addresses: AddressPolicy::Any, ..TrunkMedia::default() };
    lab.bridge.open_trunk(address("192.0.2.9:7000"), media);
    lab.bridge.trunk_offer().unwrap();
    let other = "192.0.2.7:5000";
    lab.bridge.trunk_accept(lab.now, &answer(address(other), "0 101")).unwrap();
    lab.talk(10);
    assert_eq!(lab.destinations.last(), Some(&address(other)));
    let page = lab.page.len();
    lab.bridge.restore_trunk(lab.now).unwrap();
    lab.drain();
    assert_eq!(
        lab.bridge.restore_trunk(lab.now),
        Err(crate::media::Error::OutOfOrder("no trunk leg was put aside"))
    );
    let told = |held| lab.events.iter().filter(|e| **e == MediaEvent::HeldByTrunk { held }).count();
    assert_eq!((told(true), told(false)), (2, 1), "held, put aside, back and held");
    lab.bridge.trunk_answer(lab.now, &answer(address(TRUNK), "0 101")).unwrap();
    lab.talk(20);
    assert_eq!(lab.destinations.last(), Some(&address(TRUNK)));
    let next = lab.trunk.iter().rposition(|p| p.ssrc != before.ssrc).unwrap() + 1;
    assert_eq!(lab.trunk[next].ssrc, before.ssrc);
    assert_eq!(lab.trunk[next].seq, before.seq.wrapping_add(1));
    assert!(lab.page.len() >= page + 20, "the trunk is heard again");
}
