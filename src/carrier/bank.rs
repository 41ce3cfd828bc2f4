//! The bank of 620, and the same bank with a fault of each kind on 621 to 626: what tests of menus are
//! tried on. Pure.

use std::time::{Duration, Instant};

use super::player::{Player, Sound};
use super::prompt::Prompt;
use crate::base::Digit;

/// What is wrong with a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// 620: nothing.
    None,
    /// 621: the balance is answered with other words.
    WrongPrompt,
    /// 622: the balance is answered with nothing.
    SilentBranch,
    /// 623: the third key of an amount is lost.
    LostDigit,
    /// 624: the second key of an amount counts twice.
    DoubleDigit,
    /// 625: it takes seconds to answer the call.
    LateAnswer,
    /// 626: the balance leads to a queue that nothing leads out of.
    DeadEnd,
}

/// A caller in the bank.
#[derive(Debug)]
pub(super) struct Bank {
    fault: Fault,
    place: Place,
    keys: String,
    pressed: usize,
    /// Since when nothing is said and nothing pressed.
    quiet: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Pin,
    Main,
    Amount,
    Queue,
    Nowhere,
    Leaving,
}

impl Bank {
    /// A bank that begins to speak.
    pub fn new(fault: Fault, player: &mut Player) -> Bank {
        player.play([Sound::Pause(200), Sound::Say(Prompt::BankPin)]);
        Bank { fault, place: Place::Pin, keys: String::new(), pressed: 0, quiet: None }
    }

    /// A key went down.
    pub fn digit(&mut self, digit: Digit, player: &mut Player) {
        self.quiet = None;
        match self.place {
            Place::Queue | Place::Nowhere | Place::Leaving => return,
            Place::Pin | Place::Main | Place::Amount => player.stop(),
        }
        match (self.place, digit.as_char()) {
            (Place::Pin | Place::Amount, '#') => self.entered(player),
            (Place::Pin | Place::Amount, key) => self.collect(key),
            (Place::Main, '1') => self.balance(player),
            (Place::Main, '2') => self.go(Place::Amount, player, &[Sound::Say(Prompt::BankAmount)]),
            (Place::Main, '9') => self.go(Place::Leaving, player, &[Sound::Say(Prompt::Goodbye)]),
            (Place::Main, _) => {
                self.go(Place::Main, player, &[Sound::Say(Prompt::Invalid), MAIN[0], MAIN[1]]);
            }
            (Place::Queue | Place::Nowhere | Place::Leaving, _) => {}
        }
    }

    /// All that was to be said has been said; `true` when the call is over.
    pub fn said(&mut self, now: Instant, player: &mut Player) -> bool {
        match self.place {
            Place::Leaving => return true,
            Place::Nowhere => return false,
            Place::Queue => {
                player.play([Sound::Pause(1500), Sound::Say(Prompt::BankHold)]);
                return false;
            }
            Place::Pin | Place::Main | Place::Amount => {}
        }
        let since = *self.quiet.get_or_insert(now);
        if now.saturating_duration_since(since) >= PATIENCE {
            self.quiet = None;
            if self.keys.is_empty() {
                let again = match self.place {
                    Place::Pin => Prompt::BankPin,
                    Place::Amount => Prompt::BankAmount,
                    _ => Prompt::BankMain,
                };
                player.play([Sound::Say(again)]);
            } else {
                self.entered(player);
            }
        }
        false
    }

    fn collect(&mut self, key: char) {
        self.pressed += 1;
        if self.keys.len() >= MOST_KEYS {
            return;
        }
        let amount = self.place == Place::Amount;
        match (self.fault, self.pressed) {
            (Fault::LostDigit, 3) if amount => {}
            (Fault::DoubleDigit, 2) if amount => self.keys.extend([key, key]),
            _ => self.keys.push(key),
        }
    }

    fn entered(&mut self, player: &mut Player) {
        let keys = std::mem::take(&mut self.keys);
        if self.place == Place::Pin {
            if keys == PIN {
                return self.go(Place::Main, player, &MAIN);
            }
            let again = [Sound::Say(Prompt::BankWrongPin), Sound::Say(Prompt::BankPin)];
            return self.go(Place::Pin, player, &again);
        }
        let digits = keys.chars().filter_map(|key| Digit::from_char(key).ok());
        let mut words = vec![Sound::Say(Prompt::Pressed)];
        words.extend(digits.map(|digit| Sound::Say(Prompt::Key(digit))));
        words.extend([Sound::Pause(1800), Sound::Say(Prompt::BankThanks)]);
        words.extend(MAIN);
        self.go(Place::Main, player, &words);
    }

    fn balance(&mut self, player: &mut Player) {
        let say = |prompt| [Sound::Say(prompt), MAIN[0], MAIN[1]];
        match self.fault {
            Fault::WrongPrompt => self.go(Place::Main, player, &say(Prompt::BankBlocked)),
            Fault::SilentBranch => self.go(Place::Nowhere, player, &[]),
            Fault::DeadEnd => self.go(Place::Queue, player, &[Sound::Say(Prompt::BankHold)]),
            _ => self.go(Place::Main, player, &say(Prompt::BankBalance)),
        }
    }

    fn go(&mut self, place: Place, player: &mut Player, words: &[Sound]) {
        self.place = place;
        self.pressed = 0;
        self.keys.clear();
        self.quiet = None;
        player.play(words.iter().copied());
    }
}

const MAIN: [Sound; 2] = [Sound::Pause(300), Sound::Say(Prompt::BankMain)];
/// The bank is an example, and so is its customer.
const PIN: &str = "4711";
/// Without a key for so long the bank asks again, or takes what it has.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST_KEYS: usize = 16;
