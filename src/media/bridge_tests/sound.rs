//! Sound through the bridge: level, even clock, gaps that stay gaps, feeds that switch.

use super::lab::*;

#[test]
fn a_tone_keeps_its_frequency_and_its_level_both_ways() {
    for codec in [BrowserCodec::Opus, BrowserCodec::Pcmu, BrowserCodec::Pcma] {
        let mut lab = Lab::connected(codec);
        lab.talk(150);
        assert_tone(&lab.trunk_pcm(100), 1000.0, "the trunk");
        assert_tone(&lab.page_pcm(100), 700.0, "the page");
    }
}

/// RFC 3550 5.1: the trunk gets one evenly clocked stream, whatever the page's network does.
#[test]
fn the_trunks_stream_is_even() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(100);
    lab.wait(ms(300));
    lab.talk(20);
    assert!(lab.trunk[0].marker, "the first talk spurt");
    for pair in lab.trunk.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
        assert_eq!((pair[1].ssrc, pair[1].marker), (pair[0].ssrc, false));
        assert_eq!(pair[1].payload.len(), FRAME);
    }
}

/// Trunk to page: a packet goes out in the moment it comes in, on one row of numbers.
#[test]
fn the_trunks_sound_goes_out_as_it_comes() {
    for codec in [BrowserCodec::Opus, BrowserCodec::Pcmu] {
        let mut lab = Lab::connected(codec);
        let per_frame = codec.clock_rate() / 50;
        for _ in 0..50 {
            let before = lab.page.len();
            let datagram = lab.trunk_sound(FRAME);
            lab.trunk_sends(TRUNK, &datagram);
            assert_eq!((lab.page.len() - before, lab.page[before].at), (1, lab.now));
            lab.wait(ms(20));
        }
        assert!(lab.page[0].marker && lab.page[0].seq < 32_768);
        for pair in lab.page.windows(2) {
            assert_eq!(pair[1].seq, pair[0].seq + 1);
            assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(per_frame));
            assert!(!pair[1].marker);
        }
    }
}

#[test]
fn a_trunk_may_send_packets_of_any_length() {
    for samples in [80, 240, 320, 480] {
        let mut lab = Lab::connected(BrowserCodec::Opus);
        for _ in 0..(24_000 / samples) {
            let datagram = lab.trunk_sound(samples);
            lab.trunk_sends(TRUNK, &datagram);
            lab.wait(ms(samples as u64 / 8));
        }
        assert!(lab.page.len() >= 145, "{samples}: {}", lab.page.len());
        assert_tone(&lab.page_pcm(100), 700.0, "the page");
        for pair in lab.page.windows(2) {
            assert_eq!(pair[1].seq, pair[0].seq + 1, "{samples}");
            assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(960), "{samples}");
        }
    }
}

/// What the trunk's network loses is a gap that the browser can see and conceal.
#[test]
fn loss_from_the_trunk_stays_a_gap_and_late_packets_do_not_go_back() {
    for codec in [BrowserCodec::Opus, BrowserCodec::Pcmu] {
        let mut lab = Lab::connected(codec);
        let per_frame = codec.clock_rate() / 50;
        let datagrams: Vec<_> = (0..10).map(|_| lab.trunk_sound(FRAME)).collect();
        for n in [0, 1, 2, 5, 4, 6, 8] {
            lab.trunk_sends(TRUNK, &datagrams[n]);
            lab.wait(ms(20));
        }
        let steps: Vec<_> = lab
            .page
            .iter()
            .map(|p| {
                (
                    p.seq - lab.page[0].seq,
                    p.timestamp.wrapping_sub(lab.page[0].timestamp) / per_frame,
                )
            })
            .collect();
        assert_eq!(steps, [(0, 0), (1, 1), (2, 2), (5, 5), (6, 6), (8, 8)]);
        assert!(lab.page[1..].iter().all(|p| !p.marker), "loss is no talk spurt");
        assert_eq!(lab.bridge.stats().1.late, 1);
    }
}

/// RFC 3551 4.1: after silence that was not sent the next packet is marked, nothing was lost.
#[test]
fn a_pause_of_the_trunk_starts_a_talk_spurt() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(10);
    lab.trunk_timestamp = lab.trunk_timestamp.wrapping_add(8_000);
    lab.wait(ms(1000));
    let before = lab.page.len();
    lab.talk(5);
    let (last, next) = (&lab.page[before - 1], &lab.page[before]);
    assert_eq!((next.seq, next.marker), (last.seq + 1, true));
    assert_eq!(next.timestamp.wrapping_sub(last.timestamp), 960 + 48_000);
    assert!(!lab.page[before + 1].marker);
}

/// The page's network: 3 % lost, some overtaken, seeded. The tone is still the tone.
#[test]
fn loss_and_reordering_from_the_page_are_hidden() {
    for seed in 1..=4_u64 {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let mut lab = Lab::connected(BrowserCodec::Opus);
        let mut held: Option<RtpIn> = None;
        for _ in 0..400 {
            let packet = lab.page_sound();
            let draw = rng.next_u32() % 100;
            if draw < 3 {
                // Lost.
            } else if draw < 8 && held.is_none() {
                held = Some(packet);
            } else {
                lab.input(Input::BrowserRtp(&packet));
                if let Some(packet) = held.take() {
                    lab.input(Input::BrowserRtp(&packet));
                }
            }
            lab.wait(ms(20));
        }
        let pcm = lab.trunk_pcm(300);
        let found = dominant_frequency(&pcm[pcm.len() - SEARCHED..]);
        assert!(found.is_some_and(|f| (f - 1000.0).abs() < 5.0), "seed {seed}: {found:?}");
        let level = level_dbm0(&pcm);
        assert!((level + 10.0).abs() < 1.5, "seed {seed}: {level} dBm0");
        let quiet = pcm.chunks(FRAME).filter(|frame| level_dbm0(frame) < -25.0).count();
        assert!(quiet <= 3, "seed {seed}: {quiet} frames are gaps");
        let stats = lab.bridge.stats().0;
        assert!(stats.lost > 0 && stats.concealed + stats.recovered > 0, "seed {seed}: {stats:?}");
        let steps =
            lab.trunk.windows(2).all(|p| p[1].timestamp == p[0].timestamp.wrapping_add(160));
        assert!(steps, "seed {seed}: the trunk's stream stays even");
    }
}

/// Ringback, early media, another fork, the answer: one source, numbers and time without a jump.
#[test]
fn the_feed_switches_without_a_gap_or_a_jump() {
    let mut lab = Lab::new(BrowserCodec::Opus);
    lab.bridge.feed(Feed::Ringback { country: "GB".to_owned() });
    lab.talk(20);
    assert!(level_dbm0(&lab.page_pcm(15)) > -20.0);
    let ringback = lab.page.len();
    lab.bridge.feed(Feed::Trunk);
    lab.talk(20);
    assert_tone(&lab.page_pcm(15), 700.0, "the page");
    lab.bridge.feed(Feed::Silence);
    let silence = lab.page.len();
    lab.talk(20);
    assert_eq!(lab.page.len(), silence);
    lab.bridge.connect(lab.now);
    lab.talk(20);
    for (n, pair) in lab.page.windows(2).enumerate() {
        assert_eq!(pair[1].seq, pair[0].seq + 1);
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        let passed = (pair[1].at - pair[0].at).as_millis() as u32 * 48;
        // Never back, and with the wall clock to a frame.
        assert!(step >= 960 && step.abs_diff(passed) <= 960, "{n}: {step} in {passed}");
        let switched = [ringback, silence].contains(&(n + 1));
        assert_eq!(pair[1].marker, switched, "{n}");
    }
}

/// A page whose clock is 500 ppm off, for two minutes: 60 ms that must go somewhere, unheard.
#[test]
fn the_pages_clock_may_drift() {
    for ppm in [500_i64, -500] {
        let mut lab = Lab::connected(BrowserCodec::Pcmu);
        let interval = Duration::from_nanos((20_000_000 - 20 * ppm).unsigned_abs());
        let mut next = lab.now;
        for _ in 0..6_000 {
            let packet = lab.page_sound();
            while lab.bridge.timeout() < next {
                lab.now = lab.bridge.timeout();
                lab.input(Input::Timeout);
            }
            lab.now = next;
            lab.input(Input::BrowserRtp(&packet));
            next += interval;
        }
        let pcm = lab.trunk_pcm(5_900);
        let levels: Vec<f64> = pcm.chunks(FRAME).map(level_dbm0).collect();
        let odd = levels.iter().filter(|level| (*level + 10.0).abs() > 1.5).count();
        let stats = lab.bridge.stats().0;
        // A slow page runs the least of buffers dry once before the corrector starts.
        assert!(odd == 0 && stats.concealed <= 1, "{ppm} ppm: {odd} {stats:?}");
        // The levels are those of single frames: each slipped sample turns the tone's phase by 45
        // degrees, so that a longer sum would cancel itself.
        let found = dominant_frequency(&pcm[pcm.len() - SEARCHED..]);
        assert!(found.is_some_and(|hz| (hz - 1000.0).abs() < 5.0), "{ppm} ppm: {found:?}");
    }
}
