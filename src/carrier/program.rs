//! What a line does while a call is on it: digits and time in, sound and actions out. Pure: the
//! moment of every frame is an argument.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bank::Bank;
use super::keypad::Keypad;
use super::line::Line;
use super::player::{Player, Sound};
use super::prompt::{Prompt, Prompts};
use crate::base::Digit;
use crate::codec::{FRAME, SAMPLE_RATE, Tone, Tones};

/// What the call has to do for its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Send these as telephone events; no frame is asked for meanwhile.
    SendDigits(Vec<Digit>),
    /// Send this key as SIP INFO.
    SendInfo(Digit),
    /// The line is done: hang up, or refuse where it was never answered.
    Finish,
}

/// What the next packet holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// The samples that were asked for.
    Sound,
    /// Nothing: the caller's own packets go back.
    Echo,
}

/// One line on one call.
#[derive(Debug)]
pub(super) struct Program {
    player: Player,
    state: State,
    action: Option<Action>,
}

#[derive(Debug)]
enum State {
    Echo,
    Tone(Tones),
    Clicks,
    /// Nothing is said.
    Quiet,
    Keypad(Box<Keypad>),
    Menu(Menu),
    Bank(Bank),
    ReadBack {
        digits: Vec<Digit>,
        deadline: Deadline,
    },
    /// Says its words and goes on to that.
    Announcement(After),
    Done,
}

#[derive(Debug, Clone, Copy)]
enum After {
    Finish,
    Echo,
}

#[derive(Debug, Clone, Copy)]
enum Menu {
    /// Speaking or waiting for a key since then.
    Asking { quiet_since: Option<Instant> },
    /// Doing what was chosen; then it asks again.
    Serving,
    /// Saying goodbye.
    Leaving,
}

#[derive(Debug, Clone, Copy)]
enum Deadline {
    /// The words have not been said yet, or digits are being sent and read back.
    None,
    /// Read back what came until then.
    At(Instant),
}

impl Program {
    /// `line` from its beginning. Lines without sound of their own ([`Line::NoAnswer`],
    /// [`Line::Busy`]) are done at once.
    pub fn new(line: Line, prompts: Arc<Prompts>) -> Program {
        let mut player = Player::new(prompts);
        player.play(line.announcement().iter().map(|prompt| Sound::Say(*prompt)));
        let state = match line {
            Line::Echo => State::Echo,
            Line::Tone => State::Tone(Tones::new(&[MILLIWATT])),
            Line::Clicks => State::Clicks,
            Line::Listens(_) => State::Quiet,
            Line::Presses(mode) => State::Keypad(Box::new(Keypad::new(mode))),
            Line::Menu => {
                player.play([Sound::Say(Prompt::Menu)]);
                State::Menu(Menu::Asking { quiet_since: None })
            }
            Line::Bank(fault) => State::Bank(Bank::new(fault, &mut player)),
            Line::ReadBack => {
                player.play([Sound::Say(Prompt::EnterDigits)]);
                State::ReadBack { digits: Vec::new(), deadline: Deadline::None }
            }
            Line::EarlyMedia | Line::CallBack => State::Announcement(After::Finish),
            Line::Greeting => State::Announcement(After::Echo),
            Line::NoAnswer | Line::Busy => State::Done,
        };
        Program { player, state, action: None }
    }

    /// The caller's packets and digits go back to it at the moment.
    pub fn is_echo(&self) -> bool {
        matches!(self.state, State::Echo)
    }

    /// A key went down.
    pub fn digit(&mut self, now: Instant, digit: Digit) {
        match &mut self.state {
            State::Menu(menu @ (Menu::Asking { .. } | Menu::Serving)) => {
                self.player.stop();
                *menu = choose(&mut self.player, digit);
            }
            State::ReadBack { digits, deadline } => {
                // What is being said gives way to the caller.
                self.player.stop();
                if digit == POUND {
                    read_back(&mut self.player, digits, deadline, &mut self.action);
                } else {
                    if digits.len() < MAX_DIGITS {
                        digits.push(digit);
                    }
                    *deadline = Deadline::At(now + SILENCE);
                }
            }
            State::Bank(bank) => bank.digit(digit, &mut self.player),
            State::Menu(Menu::Leaving)
            | State::Echo
            | State::Tone(_)
            | State::Clicks
            | State::Quiet
            | State::Keypad(_)
            | State::Announcement(_)
            | State::Done => {}
        }
    }

    /// The next 20 ms. `clock_samples` is the first sample's time on the system clock, in samples
    /// since 1970.
    pub fn frame(&mut self, now: Instant, clock_samples: u64, pcm: &mut [i16; FRAME]) -> Frame {
        match &mut self.state {
            State::Echo => return Frame::Echo,
            State::Tone(tones) => {
                tones.fill(pcm);
                return Frame::Sound;
            }
            State::Clicks => {
                for (at, sample) in (clock_samples..).zip(pcm.iter_mut()) {
                    *sample = click(at);
                }
                return Frame::Sound;
            }
            State::Keypad(keypad) => {
                self.action = keypad.frame(now, pcm);
                return Frame::Sound;
            }
            State::Menu(_)
            | State::Bank(_)
            | State::ReadBack { .. }
            | State::Announcement(_)
            | State::Quiet
            | State::Done => {}
        }
        self.player.fill(pcm);
        if self.player.is_idle() {
            self.said(now);
        }
        Frame::Sound
    }

    /// What is to be done, once each.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.action.take()
    }

    /// All that was to be said has been said.
    fn said(&mut self, now: Instant) {
        match &mut self.state {
            State::Menu(menu) => match menu {
                Menu::Asking { quiet_since: None } => {
                    *menu = Menu::Asking { quiet_since: Some(now) };
                }
                Menu::Asking { quiet_since: Some(since) } => {
                    if now.saturating_duration_since(*since) >= PATIENCE {
                        *menu = ask(&mut self.player);
                    }
                }
                Menu::Serving => *menu = ask(&mut self.player),
                Menu::Leaving => self.finish(),
            },
            State::Bank(bank) => {
                if bank.said(now, &mut self.player) {
                    self.finish();
                }
            }
            State::ReadBack { digits, deadline } => match *deadline {
                Deadline::None => *deadline = Deadline::At(now + PATIENCE),
                Deadline::At(at) if now >= at => {
                    read_back(&mut self.player, digits, deadline, &mut self.action);
                }
                Deadline::At(_) => {}
            },
            State::Announcement(After::Echo) => self.state = State::Echo,
            State::Announcement(After::Finish) => self.finish(),
            State::Echo
            | State::Tone(_)
            | State::Clicks
            | State::Quiet
            | State::Keypad(_)
            | State::Done => {}
        }
    }

    fn finish(&mut self) {
        self.state = State::Done;
        self.action = Some(Action::Finish);
    }
}

fn ask(player: &mut Player) -> Menu {
    player.play([Sound::Pause(300), Sound::Say(Prompt::Menu)]);
    Menu::Asking { quiet_since: None }
}

fn choose(player: &mut Player, digit: Digit) -> Menu {
    player.play([Sound::Say(Prompt::Pressed), Sound::Say(Prompt::Key(digit)), Sound::Pause(200)]);
    match digit.as_char() {
        '1' => player.play([Sound::Tone(MILLIWATT, 1000)]),
        '2' => player.play(Digit::ALL[1..=5].iter().map(|key| Sound::Say(Prompt::Key(*key)))),
        '3' => player.play([Sound::Say(Prompt::About)]),
        '*' => return ask(player),
        '#' | '9' => {
            player.play([Sound::Say(Prompt::Goodbye)]);
            return Menu::Leaving;
        }
        _ => player.play([Sound::Say(Prompt::Invalid)]),
    }
    Menu::Serving
}

/// Says what came and sends it back; then it listens again.
fn read_back(
    player: &mut Player,
    digits: &mut Vec<Digit>,
    deadline: &mut Deadline,
    action: &mut Option<Action>,
) {
    *deadline = Deadline::None;
    let digits = std::mem::take(digits);
    if digits.is_empty() {
        return player.play([Sound::Say(Prompt::NoDigits)]);
    }
    player.play([Sound::Say(Prompt::Pressed)]);
    player.play(digits.iter().map(|digit| Sound::Say(Prompt::Key(*digit))));
    *action = Some(Action::SendDigits(digits));
}

/// Five milliseconds of a 1 kHz square wave at the start of every second.
fn click(at: u64) -> i16 {
    let rate = u64::from(SAMPLE_RATE);
    let into = at % rate;
    match into * 1000 / rate {
        0..5 if into % 8 < 4 => CLICK_PEAK,
        0..5 => -CLICK_PEAK,
        _ => 0,
    }
}

/// 1004 Hz, not 1000: at 8 kHz a tone that divides the rate repeats the same few samples and hides
/// faults of a codec (ITU-T O.6). -16 dBm0 is about the level of speech.
const MILLIWATT: Tone = Tone { frequency: 1004.0, dbm0: -16.0 };
/// RFC 4733 section 3.2: event 11.
const POUND: Digit = Digit::ALL[11];
/// 603 takes this silence after a digit as the end.
const SILENCE: Duration = Duration::from_secs(3);
/// How long a line waits for the first digit before it speaks again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Digits that 603 keeps; a card number and more.
const MAX_DIGITS: usize = 32;
/// Half of full scale: far above any noise, with room for what a codec adds.
const CLICK_PEAK: i16 = 16_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;
    use crate::codec::{dominant_frequency, level_dbm0};

    struct Call {
        program: Program,
        prompts: Arc<Prompts>,
        frames: u64,
        heard: Vec<i16>,
        actions: Vec<Action>,
    }

    impl Call {
        fn new(line: Line) -> Call {
            let prompts = Arc::new(Prompts::load().unwrap());
            let program = Program::new(line, prompts.clone());
            Call { program, prompts, frames: 0, heard: Vec::new(), actions: Vec::new() }
        }

        fn now(&self) -> Instant {
            epoch() + Duration::from_millis(self.frames * 20)
        }

        fn run(&mut self, ms: u64) {
            for _ in 0..ms / 20 {
                let mut pcm = [0; FRAME];
                let now = self.now();
                if self.program.frame(now, self.frames * 160 + 100, &mut pcm) == Frame::Sound {
                    self.heard.extend(pcm);
                }
                self.actions.extend(self.program.poll_action());
                self.frames += 1;
            }
        }

        fn press(&mut self, keys: &str) {
            for key in keys.chars() {
                let now = self.now();
                self.program.digit(now, Digit::from_char(key).unwrap());
                self.actions.extend(self.program.poll_action());
            }
        }

        /// The prompts in the order they were heard since the last call of this.
        fn said(&mut self) -> Vec<Prompt> {
            let words = [
                Prompt::Menu,
                Prompt::About,
                Prompt::Pressed,
                Prompt::Invalid,
                Prompt::Goodbye,
                Prompt::EnterDigits,
                Prompt::NoDigits,
                Prompt::Unavailable,
                Prompt::CallBack,
                Prompt::Greeting,
            ];
            let all = Digit::ALL.iter().map(|key| Prompt::Key(*key)).chain(words);
            let mut found: Vec<(usize, Prompt)> = all
                .flat_map(|prompt| {
                    // A stretch of 500 samples out of its middle is like no other.
                    let pcm = self.prompts.pcm(prompt);
                    let part = &pcm[pcm.len() / 2..][..500];
                    let heard = self.heard.windows(500).enumerate();
                    heard
                        .filter(|(_, w)| *w == part)
                        .map(|(at, _)| (at, prompt))
                        .collect::<Vec<_>>()
                })
                .collect();
            found.sort_by_key(|(at, _)| *at);
            self.heard.clear();
            found.into_iter().map(|(_, prompt)| prompt).collect()
        }
    }

    fn key(c: char) -> Prompt {
        Prompt::Key(Digit::from_char(c).unwrap())
    }

    #[test]
    fn the_menu_speaks_serves_repeats_and_ends() {
        let mut call = Call::new(Line::Menu);
        call.run(12_000);
        assert_eq!(call.said(), [Prompt::Menu]);
        call.press("3");
        call.run(20_000);
        assert_eq!(call.said(), [Prompt::Pressed, key('3'), Prompt::About, Prompt::Menu]);
        call.press("0");
        call.run(3_000);
        assert_eq!(call.said(), [Prompt::Pressed, key('0'), Prompt::Invalid]);
        call.press("*");
        call.run(12_000);
        assert_eq!(call.said(), [Prompt::Pressed, key('*'), Prompt::Menu]);
        assert_eq!(call.actions, []);
        call.press("#");
        call.run(3_000);
        assert_eq!(call.said(), [Prompt::Pressed, key('#'), Prompt::Goodbye]);
        assert_eq!(call.actions, [Action::Finish]);
    }

    #[test]
    fn the_first_choice_of_the_menu_is_a_tone_of_one_second() {
        let mut call = Call::new(Line::Menu);
        call.press("1");
        call.run(4_000);
        let tone_at =
            call.prompts.pcm(Prompt::Pressed).len() + call.prompts.pcm(key('1')).len() + 200 * 8;
        let tone = &call.heard[tone_at..tone_at + 8000];
        assert!((level_dbm0(tone) + 16.0).abs() < 0.2);
        assert!((dominant_frequency(tone).unwrap() - 1004.0).abs() < 2.0);
    }

    #[test]
    fn the_menu_asks_again_when_nobody_presses() {
        let mut call = Call::new(Line::Menu);
        call.run(32_000);
        assert_eq!(call.said(), [Prompt::Menu, Prompt::Menu]);
    }

    #[test]
    fn read_back_after_pound() {
        let mut call = Call::new(Line::ReadBack);
        call.run(4_000);
        assert_eq!(call.said(), [Prompt::EnterDigits]);
        call.press("42*A#");
        call.run(5_000);
        let words = [Prompt::Pressed, key('4'), key('2'), key('*'), key('A')];
        assert_eq!(call.said(), words);
        let sent = "42*A".chars().map(|c| Digit::from_char(c).unwrap()).collect();
        assert_eq!(call.actions, [Action::SendDigits(sent)]);
    }

    #[test]
    fn read_back_after_three_seconds_of_silence_and_again() {
        let mut call = Call::new(Line::ReadBack);
        for round in 1..=2 {
            call.press("7");
            call.run(2_980);
            assert_eq!(call.actions.len(), round - 1);
            call.run(3_000);
            assert_eq!(call.said(), [Prompt::Pressed, key('7')]);
            assert_eq!(call.actions.len(), round);
        }
        call.press("#");
        call.run(3_000);
        assert_eq!(call.said(), [Prompt::NoDigits]);
    }

    #[test]
    fn announcements_end_or_turn_into_an_echo() {
        for (line, words) in
            [(Line::EarlyMedia, Prompt::Unavailable), (Line::CallBack, Prompt::CallBack)]
        {
            let mut call = Call::new(line);
            call.run(8_000);
            assert_eq!(call.said(), [words]);
            assert_eq!(call.actions, [Action::Finish]);
        }
        let mut call = Call::new(Line::Greeting);
        call.run(8_000);
        assert_eq!(call.said(), [Prompt::Greeting]);
        assert!(call.program.is_echo());
        assert_eq!(call.actions, []);
    }

    #[test]
    fn the_tone_is_1004_hz_at_minus_16_dbm0() {
        let mut call = Call::new(Line::Tone);
        call.run(2_000);
        assert!((level_dbm0(&call.heard) + 16.0).abs() < 0.1);
        assert!((dominant_frequency(&call.heard).unwrap() - 1004.0).abs() < 1.0);
    }

    #[test]
    fn clicks_come_at_whole_seconds_of_the_system_clock() {
        let mut call = Call::new(Line::Clicks);
        call.run(3_000);
        // The first sample is the 100th of a second.
        let onsets: Vec<usize> = (1..call.heard.len())
            .filter(|i| {
                call.heard[*i] != 0 && call.heard[i.saturating_sub(100)..*i].iter().all(|s| *s == 0)
            })
            .collect();
        assert_eq!(onsets, [7_900, 15_900, 23_900]);
    }
}
