//! Tests of playout decisions, as tables of arrivals and what is played at each tick of 20 ms.

use proptest::prelude::*;

use super::*;
use crate::base::epoch;
use crate::rtp::PayloadType;

/// One packet: when it arrives in ms, its number, what it holds.
type Arrival = (u64, u16, Kind);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// 20 ms of audio, its timestamp that of its number.
    Audio,
    /// Audio after a pause: so many frames later than its number says.
    After(u32),
    /// Silence of discontinuous transmission.
    Silence,
    /// A telephone event that started with this number.
    Event(u16),
}

struct Player {
    buffer: PlayoutBuffer,
    arrivals: Vec<Arrival>,
    ssrc: u32,
    activity: Activity,
}

/// Numbers start here, so that every test crosses the end of the sequence and of the timestamps.
const FIRST_SEQ: u16 = 65_534;
const FIRST_TIMESTAMP: u32 = u32::MAX - 400;

fn packet(ssrc: u32, number: u16, kind: Kind, payload: &[u8]) -> (Packet<'_>, Content) {
    let (frames, content) = match kind {
        Kind::Audio => (u32::from(number), Content::Audio { duration: 160 }),
        Kind::After(more) => (u32::from(number) + more, Content::Audio { duration: 160 }),
        Kind::Silence => (u32::from(number), Content::Silence { duration: 160 }),
        Kind::Event(start) => (u32::from(start), Content::Event),
    };
    let packet = Packet {
        marker: false,
        payload_type: PayloadType::PCMU,
        seq: Seq(FIRST_SEQ).plus(number),
        timestamp: Timestamp(FIRST_TIMESTAMP).plus(frames * 160),
        ssrc: Ssrc(ssrc),
        payload,
    };
    (packet, content)
}

impl Player {
    fn new(mut arrivals: Vec<Arrival>) -> Player {
        arrivals.sort_by_key(|a| a.0);
        let buffer = PlayoutBuffer::new(Config::new(8000));
        Player { buffer, arrivals, ssrc: 1, activity: Activity::Speech }
    }

    /// Plays ticks at 10, 30, 50... ms and writes what is decided: `0` decode, `f` FEC, `c`
    /// conceal, `n` noise, `e` event, `s` skip, `.` nothing, a number for the packet.
    fn play(&mut self, ticks: u64) -> String {
        (0..ticks).map(|t| self.tick(10 + t * 20)).collect::<Vec<_>>().join(" ")
    }

    fn tick(&mut self, ms: u64) -> String {
        while let Some((at, number, kind)) = self.arrivals.first().copied() {
            if at > ms {
                break;
            }
            self.arrivals.remove(0);
            let payload = number.to_be_bytes();
            let (packet, content) = packet(self.ssrc, number, kind, &payload);
            self.buffer.insert(epoch() + Duration::from_millis(at), &packet, content);
        }
        let number = |payload: &[u8]| u16::from_be_bytes([payload[0], payload[1]]);
        let mut written = String::new();
        loop {
            let now = epoch() + Duration::from_millis(ms);
            match self.buffer.pull(now, self.activity) {
                Decision::Skip { payload } => written += &format!("s{}", number(payload)),
                Decision::Decode { payload, duration: 160 } => {
                    return written + &number(payload).to_string();
                }
                Decision::Fec { next, duration: 160 } => {
                    return written + &format!("f{}", number(next));
                }
                Decision::Conceal { duration: 160 } => return written + "c",
                Decision::ComfortNoise { duration: 160 } => return written + "n",
                Decision::Event { duration: 160 } => return written + "e",
                Decision::Nothing { duration: 160 } => return written + ".",
                other => panic!("a length nobody sent: {other:?}"),
            }
        }
    }
}

/// Packets `numbers`, each arriving when it was sent.
fn steady(numbers: std::ops::Range<u16>) -> Vec<Arrival> {
    numbers.map(|n| (u64::from(n) * 20, n, Kind::Audio)).collect()
}

/// The steady packets 0 to 8, changed by `edit`.
fn nine(edit: impl Fn(&mut Vec<Arrival>)) -> Vec<Arrival> {
    let mut arrivals = steady(0..9);
    edit(&mut arrivals);
    arrivals
}

#[test]
fn decisions_by_what_arrives() {
    use Kind::{After, Audio, Event, Silence};
    let rows: [(&str, Vec<Arrival>, &str); 12] = [
        ("in order", nine(|_| {}), ". 0 1 2 3 4 5 6 7 8"),
        ("nothing ever", vec![], ". . ."),
        ("two overtake", nine(|a| a[4].0 = 105), ". 0 1 2 3 4 5 6 7 8"),
        ("the first two overtake", nine(|a| a[0].0 = 22), ". 0 1 2 3 4 5 6 7 8"),
        (
            "one lost, its successor is here",
            nine(|a| a.retain(|p| p.1 != 4)),
            ". 0 1 2 3 f5 5 6 7 8",
        ),
        ("two lost", nine(|a| a.retain(|p| p.1 != 4 && p.1 != 5)), ". 0 1 2 3 c f6 6 7 8"),
        ("one comes too late", nine(|a| a[4].0 = 125), ". 0 1 2 3 f5 5 6 7 8"),
        (
            "all from 4 on come 45 ms later: the delay grows by what was concealed",
            nine(|a| a[4..].iter_mut().for_each(|p| p.0 += 45)),
            ". 0 1 2 3 c 4 5 6 7 8",
        ),
        ("one comes twice", nine(|a| a.push((81, 4, Audio))), ". 0 1 2 3 4 5 6 7 8"),
        (
            "silence, a pause of 5 frames, then a new spurt waits its delay",
            vec![
                (0, 0, Audio),
                (20, 1, Audio),
                (40, 2, Silence),
                (160, 3, After(5)),
                (180, 4, After(5)),
                (200, 5, After(5)),
            ],
            ". 0 1 2 n n n n n 3 4 5",
        ),
        (
            "a pause without discontinuous transmission's mark",
            vec![(0, 0, Audio), (20, 1, Audio), (200, 2, After(8)), (220, 3, After(8))],
            ". 0 1 c c c c c c c n 2 3",
        ),
        (
            "a telephone event between audio is not concealed",
            vec![
                (0, 0, Audio),
                (20, 1, Audio),
                (40, 2, Event(2)),
                (60, 3, Event(2)),
                (80, 4, Event(2)),
                (100, 5, Event(2)),
                (100, 6, Event(2)),
                (140, 7, After(0)),
                (160, 8, After(0)),
                (180, 9, After(0)),
            ],
            ". 0 1 e e e e e 7 8 9",
        ),
    ];
    for (name, arrivals, expected) in rows {
        let ticks = expected.split(' ').count() as u64;
        assert_eq!(Player::new(arrivals).play(ticks), expected, "{name}");
    }
}

#[test]
fn a_lost_event_packet_is_not_concealed() {
    use Kind::{Audio, Event};
    let arrivals = vec![
        (0, 0, Audio),
        (20, 1, Audio),
        (40, 2, Event(2)),
        (80, 4, Event(2)),
        (120, 6, Audio),
        (140, 7, Audio),
    ];
    let mut player = Player::new(arrivals);
    assert_eq!(player.play(9), ". 0 1 e e e e 6 7");
    let counts = player.buffer.counts();
    assert_eq!((counts.concealed, counts.fec, counts.underruns), (0, 0, 0));
}

#[test]
fn every_decision_is_counted() {
    let mut arrivals = steady(0..20);
    arrivals.retain(|a| !matches!(a.1, 4 | 8 | 9));
    arrivals.push((101, 5, Kind::Audio));
    arrivals.push((190, 4, Kind::Audio));
    let mut player = Player::new(arrivals);
    assert_eq!(player.play(22), ". 0 1 2 3 f5 5 6 7 c f10 10 11 12 13 14 15 16 17 18 19 c");
    let expected =
        Counts { decoded: 17, fec: 2, underruns: 2, late: 1, duplicates: 1, ..Counts::default() };
    assert_eq!(player.buffer.counts(), expected);
}

#[test]
fn a_spike_never_empties_it_for_good() {
    // Nothing for 400 ms, then all at once, then steady again.
    let mut arrivals = steady(0..400);
    arrivals.iter_mut().filter(|a| (20..40).contains(&a.1)).for_each(|a| a.0 = 800);
    let mut player = Player::new(arrivals);
    let played = player.play(60);
    assert!(played.contains("s20"), "what is older than the longest delay goes: {played}");
    let counts = player.buffer.counts();
    assert!((9..=22).contains(&counts.underruns), "{counts:?}");
    let delay = player.buffer.playing_delay();
    assert!(delay <= Duration::from_millis(220), "{delay:?}");
    player.activity = Activity::Silence;
    let after = (60..400).map(|t| player.tick(10 + t * 20)).collect::<Vec<_>>();
    assert!(!after.iter().any(|d| d == "c" || d == "n"), "{after:?}");
    assert_eq!(player.buffer.counts().underruns, counts.underruns);
}

#[test]
fn silence_brings_the_delay_back_to_its_target_and_speech_does_not() {
    for (activity, back) in [(Activity::Speech, false), (Activity::Silence, true)] {
        // Packets 20 to 24 come together, the first 100 ms late; once.
        let mut arrivals = steady(0..1200);
        arrivals.iter_mut().filter(|a| (20..25).contains(&a.1)).for_each(|a| a.0 = 500);
        let mut player = Player::new(arrivals);
        player.activity = activity;
        player.play(1150);
        let delay = player.buffer.playing_delay();
        assert_eq!(delay <= Duration::from_millis(45), back, "{activity:?} {delay:?}");
        assert_eq!(player.buffer.target_delay(), Duration::from_millis(20));
        assert_eq!(player.buffer.excess() > 160, !back, "{activity:?}");
        assert_eq!(player.buffer.counts().skipped > 0, back);
    }
}

#[test]
fn silence_lengthens_a_delay_that_is_too_short() {
    // Every third packet comes 70 ms late from packet 50 on.
    let mut arrivals = steady(0..300);
    arrivals.iter_mut().filter(|a| a.1 >= 50 && a.1 % 3 == 0).for_each(|a| a.0 += 70);
    let mut player = Player::new(arrivals);
    player.activity = Activity::Silence;
    player.play(150);
    let before = player.buffer.counts();
    assert!(before.stretched > 0, "{before:?}");
    for t in 150..290 {
        player.tick(10 + t * 20);
    }
    let after = player.buffer.counts();
    assert_eq!(after.late - before.late + after.underruns - before.underruns, 0, "{after:?}");
}

#[test]
fn a_sender_clock_that_runs_fast_shows_as_excess_beyond_a_frame() {
    // 1000 ppm, so that it takes 50 s instead of minutes.
    let arrivals = (0..2500u16).map(|n| (u64::from(n) * 19_980 / 1000, n, Kind::Audio)).collect();
    let mut player = Player::new(arrivals);
    player.play(2400);
    assert!(player.buffer.excess() > 160, "{}", player.buffer.excess());
    assert_eq!(player.buffer.counts().underruns, 0);
}

#[test]
fn a_new_source_or_a_jump_starts_again() {
    let mut player = Player::new(steady(0..10));
    player.play(8);
    let insert = |player: &mut Player, ssrc: u32, number: u16| {
        let (packet, content) = packet(ssrc, number, Kind::Audio, &[0, 7]);
        player.buffer.insert(epoch() + Duration::from_millis(200), &packet, content)
    };
    assert_eq!(insert(&mut player, 1, 9), Inserted::Kept);
    assert_eq!(insert(&mut player, 1, 9), Inserted::Duplicate);
    assert_eq!(insert(&mut player, 1, 2), Inserted::Late);
    assert_eq!(insert(&mut player, 1, 3000), Inserted::Jump);
    assert_eq!(insert(&mut player, 1, 10), Inserted::Kept, "a stray one changes nothing");
    assert_eq!(insert(&mut player, 1, 3000), Inserted::Jump);
    assert_eq!(insert(&mut player, 1, 3001), Inserted::Started);
    assert_eq!(insert(&mut player, 2, 3002), Inserted::Started);
    assert_eq!(player.buffer.counts().restarts, 2);
}

#[test]
fn without_anybody_playing_the_newest_packets_stay() {
    let mut player = Player::new(vec![]);
    for n in 0..1000u16 {
        let payload = n.to_be_bytes();
        let (packet, content) = packet(1, n, Kind::Audio, &payload);
        let at = epoch() + Duration::from_millis(u64::from(n) * 20);
        player.buffer.insert(at, &packet, content);
    }
    let first = player.tick(20_000);
    let played: u16 =
        first.rsplit('s').next().unwrap().trim_start_matches("990").parse().unwrap_or(0);
    assert!(first.contains("s988") && played < 1000, "{first}");
    assert!(player.buffer.playing_delay() <= Duration::from_millis(220));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_arrives_it_answers_and_never_plays_backwards(
        packets in proptest::collection::vec((0u64..60, any::<u16>(), 0u32..3, 0u32..4), 1..200)
    ) {
        let mut buffer = PlayoutBuffer::new(Config::new(48_000));
        let mut ms = 0;
        for (n, (wait, noise, ssrc, kind)) in packets.into_iter().enumerate() {
            ms += wait;
            let seq = if kind == 3 { noise } else { n as u16 };
            let timestamp = if kind == 2 { u32::from(noise) << 16 } else { n as u32 * 960 };
            let packet = Packet {
                marker: false,
                payload_type: PayloadType::PCMU,
                seq: Seq(seq),
                timestamp: Timestamp(timestamp),
                ssrc: Ssrc(ssrc / 2),
                payload: &[1],
            };
            let content = match noise % 4 {
                0 => Content::Event,
                1 => Content::Silence { duration: 960 },
                _ => Content::Audio { duration: u32::from(noise % 7) * 480 + 120 },
            };
            let now = epoch() + Duration::from_millis(ms);
            buffer.insert(now, &packet, content);
            // Skips end: there are at most as many as slots.
            let ended = (0..=SLOTS).any(|_| {
                !matches!(buffer.pull(now, Activity::Speech), Decision::Skip { .. })
            });
            prop_assert!(ended);
            prop_assert!(buffer.target_delay() <= Duration::from_millis(200));
        }
    }
}
