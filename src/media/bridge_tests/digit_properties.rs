//! Digits over faulty networks, drawn at random: none is ever added or doubled; up to 10 % of random
//! loss none is lost.

use super::lab::*;
use super::phone::Heard;

/// One draw: who sends how to whom over what, and which keys.
#[derive(Debug)]
struct Draw {
    seed: u64,
    codec: BrowserCodec,
    /// `None` for the page by messages, else an event or a tone.
    source: Source,
    wish: DtmfMode,
    per_mille: u32,
    presses: Vec<(char, u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    PageEvents,
    PageMessages,
    Trunk(Mode),
}

impl Draw {
    fn new(seed: u64, most: u32) -> Draw {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let mut below = |n: u32| rng.next_u32() % n;
        let codec = [BrowserCodec::Opus, BrowserCodec::Pcmu][below(2) as usize];
        let source = match below(6) {
            0..=2 => Source::PageEvents,
            3 => Source::PageMessages,
            4 => Source::Trunk(Mode::Rfc4733),
            _ => Source::Trunk([Mode::Info, Mode::Inband][below(2) as usize]),
        };
        let wish = [DtmfMode::Rfc4733, DtmfMode::Info, DtmfMode::Inband][below(3) as usize];
        let per_mille = below(most + 1);
        let presses = (0..10)
            .map(|_| {
                // Few keys, so that the same comes twice in a row.
                let key = ['1', '1', '5', '#'][below(4) as usize];
                (key, u64::from(80 + below(400)), u64::from(80 + 20 * below(10)))
            })
            .collect();
        Draw { seed, codec, source, wish, per_mille, presses }
    }

    fn heard(&self) -> Vec<Heard> {
        let inband = matches!(self.source, Source::Trunk(Mode::Inband));
        let mut lab = Lab::with(self.codec, self.wish, if inband { "0" } else { "0 101" });
        lab.bridge.connect(lab.now);
        lab.hush();
        lab.idle(ms(200));
        let third = self.per_mille / 3;
        lab.page_network = Network::faulty(self.seed, self.per_mille, third, third);
        lab.trunk_network = Network::faulty(!self.seed, self.per_mille, third, third);
        for (key, length, gap) in &self.presses {
            match self.source {
                Source::PageEvents => lab.page_event(*key, *length),
                Source::PageMessages => lab.page_press(*key, *length),
                Source::Trunk(mode) => lab.trunk_presses(mode, *key, *length),
            }
            lab.idle(ms(*gap));
        }
        lab.idle(ms(4000));
        match self.source {
            Source::Trunk(_) => lab.told(LegSide::Trunk),
            Source::PageEvents | Source::PageMessages => lab.phone.heard,
        }
    }

    fn check(&self) {
        let heard: Vec<char> = self.heard().iter().map(|h| h.1).collect();
        let pressed: Vec<char> = self.presses.iter().map(|p| p.0).collect();
        let mut left = pressed.iter();
        let in_order = heard.iter().all(|key| left.any(|pressed| pressed == key));
        assert!(in_order, "a digit was added or doubled: {heard:?}\n{self:#?}");
        if self.per_mille <= 100 {
            assert_eq!(heard, pressed, "a digit was lost\n{self:#?}");
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
        Draw::new(seed, 200).check();
    }
}
