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
}

impl Source {
    fn is_sound(self) -> bool {
        matches!(self, Source::Trunk(Mode::Inband) | Source::Onward(Mode::Inband))
    }
}

/// Sound that is lost is lost: a tone shorter than this may be.
const SHORTEST_TONE: u64 = 80;

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
            _ => Source::Onward(MODES[below(3) as usize]),
        };
        let wish = WISHES[below(4) as usize];
        // Without events `auto` is tones; `rfc4733` alone has no way then.
        let events = wish == DtmfMode::Rfc4733 || below(3) > 0;
        let per_mille = below(most + 1);
        let shortest = if source.is_sound() { SHORTEST_TONE } else { 40 };
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
                (last, u64::from(length).max(shortest), u64::from(80 + 20 * below(10)))
            })
            .collect();
        Draw { seed, codec, source, wish, events, per_mille, presses }
    }

    fn heard(&self) -> Vec<Heard> {
        let formats = if self.events { "0 101" } else { "0" };
        let of_source = if self.source.is_sound() { "0" } else { "0 101" };
        let mut lab = match self.source {
            Source::Onward(_) => {
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
            }
            lab.idle(ms(*gap));
        }
        lab.idle(ms(4000));
        match self.source {
            Source::Trunk(_) => lab.told(LegSide::Trunk),
            Source::Onward(_) => lab.far().phone.heard.clone(),
            Source::PageEvents | Source::PageMessages => lab.phone.heard,
        }
    }

    fn check(&self) {
        let heard: Vec<char> = self.heard().iter().map(|h| h.1).collect();
        let pressed: Vec<char> = self.presses.iter().map(|p| p.0).collect();
        let mut left = pressed.iter();
        let in_order = heard.iter().all(|key| left.any(|pressed| pressed == key));
        assert!(in_order, "a digit was added or doubled: {heard:?}\n{self:?}");
        if self.per_mille <= 100 {
            assert_eq!(heard, pressed, "a digit was lost\n{self:?}");
        }
    }
}

#[test]
fn no_digit_is_added_or_doubled_and_up_to_10_percent_loss_none_is_lost() {
    // A failure prints its seed: to see it again, draw that one alone.
    (0..40).for_each(|seed| Draw::new(seed, 200).check());
}

/// More of the same: `cargo test -- --ignored thousand_draws`.
#[test]
#[ignore = "minutes"]
fn a_thousand_draws_over_faulty_networks() {
    for seed in 1_000..2_000 {
        let draw = Draw::new(seed, 200);
        // With losses in its first 40 ms a tone is known late, and so much of it goes on as sound that a
        // callee who listens for tones beside events may hear a digit in it (docs/decisions/0026).
        let late = matches!(draw.source, Source::Onward(Mode::Inband)) && draw.per_mille > 0;
        if !late {
            draw.check();
        }
    }
}
