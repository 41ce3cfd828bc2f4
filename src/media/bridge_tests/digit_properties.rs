//! Digits over faulty networks, drawn at random: none is ever added or doubled; up to 10 % of random
//! loss none is lost.

use super::lab::*;
use super::phone::Heard;

/// One draw: who sends how to whom over what, and which keys.
#[derive(Debug)]
struct Draw {
    seed: u64,
    codec: BrowserCodec,
    source: Source,
    wish: DtmfMode,
    /// Whether the trunk that digits go to has events.
    events: bool,
    per_mille: u32,
    presses: Vec<(char, u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    PageEvents,
    PageMessages,
    /// A trunk to the page.
    Trunk(Mode),
    /// A trunk to another trunk.
    Onward(Mode),
    /// The same with events that have their tones beside them.
    OnwardBoth,
}

impl Source {
    fn is_sound(self) -> bool {
        matches!(self, Source::Trunk(Mode::Inband) | Source::Onward(Mode::Inband))
    }
}

impl Draw {
    fn new(seed: u64, most: u32) -> Draw {
        const MODES: [Mode; 3] = [Mode::Rfc4733, Mode::Info, Mode::Inband];
        const WISHES: [DtmfMode; 4] =
            [DtmfMode::Auto, DtmfMode::Rfc4733, DtmfMode::Info, DtmfMode::Inband];
        const ALL: [char; 16] =
            ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let mut below = |n: u32| rng.next_u32() % n;
        let codec = [BrowserCodec::Opus, BrowserCodec::Pcmu][below(2) as usize];
        let source = match below(8) {
            0..=2 => Source::PageEvents,
            3 => Source::PageMessages,
            4 | 5 => Source::Trunk(MODES[below(3) as usize]),
            _ if below(4) == 0 => Source::OnwardBoth,
            _ => Source::Onward(MODES[below(3) as usize]),
        };
        let wish = WISHES[below(4) as usize];
        // Without events `auto` is tones; `rfc4733` alone has no way then.
        let events = wish == DtmfMode::Rfc4733 || below(3) > 0;
        let per_mille = below(most + 1);
        let mut last = '1';
        let presses = (0..8)
            .map(|_| {
                // The same key often comes twice in a row.
                last = if below(3) == 0 { last } else { ALL[below(16) as usize] };
                let length = match below(8) {
                    0..=2 => 40 + below(60),
                    3..=5 => 80 + below(400),
                    6 => 480 + below(1000),
                    _ => 1000 + below(2001),
                };
                (last, u64::from(length), u64::from(80 + 20 * below(10)))
            })
            .collect();
        Draw { seed, codec, source, wish, events, per_mille, presses }
    }

    /// What was heard, and of each press whether it had to be.
    fn heard(&self) -> (Vec<Heard>, Vec<bool>) {
        let formats = if self.events { "0 101" } else { "0" };
        let of_source = if self.source.is_sound() { "0" } else { "0 101" };
        let mut lab = match self.source {
            Source::Onward(_) | Source::OnwardBoth => {
                Lab::trunk_to_trunk((DtmfMode::Auto, of_source), (self.wish, formats))
            }
            Source::Trunk(_) => Lab::with(self.codec, self.wish, of_source),
            Source::PageEvents | Source::PageMessages => Lab::with(self.codec, self.wish, formats),
        };
        if lab.onward.is_none() {
            lab.bridge.connect(lab.now);
        }
        lab.hush();
        if let Some(onward) = &mut lab.onward {
            onward.hush();
        }
        lab.idle(ms(200));
        if matches!(self.source, Source::OnwardBoth) {
            // After its first digit the peer is known for one that sends both.
            lab.trunk_event('0', 200, true);
            lab.idle(ms(200));
        }
        let third = self.per_mille / 3;
        lab.page_network = Network::faulty(self.seed, self.per_mille, third, third);
        lab.trunk_network = Network::faulty(!self.seed, self.per_mille, third, third);
        for (key, length, gap) in &self.presses {
            match self.source {
                Source::PageEvents => lab.page_event(*key, *length),
                Source::PageMessages => lab.page_press(*key, *length),
                Source::Trunk(mode) | Source::Onward(mode) => {
                    lab.trunk_presses(mode, *key, *length);
                }
                Source::OnwardBoth => lab.trunk_event(*key, *length, true),
            }
            lab.idle(ms(*gap));
        }
        lab.idle(ms(4000));
        let wanted = match self.source.is_sound() {
            true => std::mem::take(&mut lab.tones_kept),
            false => vec![self.per_mille <= 100; self.presses.len()],
        };
        let heard = match self.source {
            Source::Trunk(_) => lab.told(LegSide::Trunk),
            Source::Onward(_) | Source::OnwardBoth => {
                self.assert_silence(lab.far());
                let first = usize::from(matches!(self.source, Source::OnwardBoth));
                lab.far().phone.heard[first..].to_vec()
            }
            Source::PageEvents | Source::PageMessages => lab.phone.heard,
        };
        (heard, wanted)
    }

    /// Nobody speaks. What the callee hears, where digits come another way than as tones, is what is left
    /// of the caller's: never as much of one as may be a digit (ITU-T Q.24).
    fn assert_silence(&self, far: &Lab) {
        if !self.events || self.wish == DtmfMode::Inband {
            return;
        }
        let pcm = far.trunk_pcm(far.trunk.iter().filter(|p| p.payload_type == 0).count());
        let (mut row, mut longest) = (0, 0);
        for part in pcm.chunks(40) {
            row = if level_dbm0(part) > -40.0 { row + 5 } else { 0 };
            longest = longest.max(row);
        }
        assert!(longest <= 30, "{longest} ms of a tone are left in the sound\n{self:?}");
    }

    fn check(&self) {
        let (heard, wanted) = self.heard();
        let heard: Vec<char> = heard.iter().map(|h| h.1).collect();
        let pressed: Vec<(char, bool)> =
            self.presses.iter().map(|p| p.0).zip(wanted.iter().copied()).collect();
        let free: Vec<(char, bool)> = pressed.iter().map(|p| (p.0, false)).collect();
        assert!(are(&heard, &free), "a digit was added or doubled: {heard:?}\n{self:?}");
        assert!(are(&heard, &pressed), "a digit was lost: {heard:?}\n{pressed:?}\n{self:?}");
    }
}

/// Whether these are the presses, in order, but for some that need not be heard.
fn are(heard: &[char], pressed: &[(char, bool)]) -> bool {
    let Some(((key, wanted), rest)) = pressed.split_first() else { return heard.is_empty() };
    heard.split_first().is_some_and(|(first, after)| first == key && are(after, rest))
        || !wanted && are(heard, rest)
}

#[test]
fn no_digit_is_added_or_doubled_and_up_to_10_percent_loss_none_is_lost() {
    // A failure prints its seed: to see it again, draw that one alone.
    (0..40).for_each(|seed| Draw::new(seed, 200).check());
}

/// More of the same: `cargo test --lib -- --ignored two_thousand_draws`.
#[test]
#[ignore = "minutes"]
fn two_thousand_draws_over_faulty_networks() {
    (1_000..3_000).for_each(|seed| Draw::new(seed, 200).check());
}

/// Tones from trunk to trunk are the pair that is hardest: a callee who takes tones beside all else hears
/// none that is left in the sound, and none that conceals a loss.
#[test]
fn tones_and_events_with_tones_from_trunk_to_trunk_are_never_doubled() {
    let both = [Source::Onward(Mode::Inband), Source::OnwardBoth];
    for (seed, source) in (0..10).chain([1_036]).flat_map(|seed| both.map(|source| (seed, source)))
    {
        Draw { source, ..Draw::new(seed, 200) }.check();
    }
}
