//! One line of the gateway on one call: a menu, a mailbox or a test line. What the caller says and
//! presses goes in frame by frame, what the caller hears comes out, at 8 kHz or, as frames twice as long,
//! at 16. Pure: its clock is its frames.
//!
//! ```text
//! menu     prompt .......... first_digit ..... key . next_digit . key -> chosen
//!             '- a key stops it (barge_in)        nothing, or no choice -> invalid, prompt again
//!                                                 retries are over      -> failed -> on_fail
//! mailbox  greeting -> beep -> recording -> a key, 5 s of silence or `max` ends it -> hang up
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::play::{Player, Sound};
use super::script::Script;
use crate::base::Digit;
use crate::codec::{Rate, Tone, level_dbm0};
use crate::dialplan::{App, Destination, Menu, Pressed};

/// What a line wants of its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineEvent {
    /// It serves this now.
    Entered(Destination),
    /// Connect the caller to this; ringback sounds meanwhile. [`Line::refused`] where nobody takes it.
    Transfer(Destination),
    /// A message was left.
    Recorded(Recording),
    /// The line is done.
    HangUp,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The mailbox's name in the plan.
    pub mailbox: String,
    /// At `rate`.
    pub pcm: Vec<i16>,
    /// What its caller had when it began.
    pub rate: Rate,
    /// What ended it.
    pub stopped_by: StoppedBy,
}

/// What ended a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedBy {
    /// A key.
    Digit,
    /// Nothing more was said.
    Silence,
    /// The mailbox's longest message.
    Limit,
    /// The caller hung up.
    Caller,
}

/// A line that serves a flow of the plan.
#[derive(Debug)]
pub struct Line {
    script: Arc<Script>,
    /// Destinations that follow when nobody takes the present one.
    flow: VecDeque<Destination>,
    player: Player,
    state: State,
    events: VecDeque<LineEvent>,
    /// That of the last frame.
    rate: Rate,
    /// Menus entered without a frame between them.
    entered: usize,
}

#[derive(Debug)]
enum State {
    Menu(Asking),
    /// Says goodbye to a menu's caller; then there.
    Failing(Destination),
    Greeting(String),
    Recording(Message),
    Echo,
    Tone,
    ReadBack {
        digits: Vec<Digit>,
        quiet: Option<usize>,
    },
    /// Somebody is being called.
    Away,
    Done,
}

#[derive(Debug)]
struct Asking {
    name: String,
    keys: String,
    wrong: u32,
    /// Frames since the prompt ended or the last key came.
    waited: Option<usize>,
    /// Keys pressed while a prompt that is not to be interrupted was on.
    early: VecDeque<Digit>,
}

#[derive(Debug)]
struct Message {
    mailbox: String,
    pcm: Vec<i16>,
    rate: Rate,
    most: usize,
    /// Frames of silence up to now, and of sound.
    silent: usize,
    spoken: usize,
}

impl Line {
    /// A line that serves the first destination of a flow; the others follow where nobody takes a
    /// transfer.
    pub fn new(script: Arc<Script>, flow: &[Destination]) -> Line {
        let mut line = Line {
            script,
            flow: flow.iter().cloned().collect(),
            player: Player::new(),
            state: State::Done,
            events: VecDeque::new(),
            rate: Rate::Narrow,
            entered: 0,
        };
        line.next();
        line
    }

    /// A key went down at the caller's.
    pub fn digit(&mut self, digit: Digit) {
        match &mut self.state {
            State::Menu(asking) => {
                let Some(menu) = self.script.menus.get(&asking.name) else { return };
                if !menu.barge_in && !self.player.is_idle() {
                    if asking.early.len() < MOST_KEYS {
                        asking.early.push_back(digit);
                    }
                    return;
                }
                self.key(digit);
            }
            State::Greeting(_) => self.player.stop(),
            State::Recording(_) => self.stop_recording(StoppedBy::Digit),
            State::ReadBack { digits, quiet } => {
                self.player.stop();
                if digit.as_char() == '#' {
                    *quiet = Some(usize::MAX);
                } else {
                    if digits.len() < MOST_KEYS {
                        digits.push(digit);
                    }
                    *quiet = Some(0);
                }
            }
            State::Failing(_) | State::Echo | State::Tone | State::Away | State::Done => {}
        }
    }

    /// The next 20 ms: what the caller says, and over what `out` held what the caller hears, 160 samples
    /// or, at 16 kHz, 320.
    pub fn frame(&mut self, heard: &[i16], out: &mut [i16]) {
        self.entered = 0;
        if matches!(self.state, State::Echo) {
            let count = heard.len().min(out.len());
            out[..count].copy_from_slice(&heard[..count]);
            out[count..].fill(0);
            return;
        }
        self.rate = Rate::of_frame(out.len());
        self.player.fill(self.rate, out);
        let idle = self.player.is_idle();
        match &mut self.state {
            State::Menu(_) if idle => self.menu_waits(),
            State::Failing(to) if idle => {
                let to = to.clone();
                self.enter(to);
            }
            State::Greeting(mailbox) if idle => {
                let mailbox = std::mem::take(mailbox);
                self.record(mailbox);
            }
            State::Recording(_) if idle => self.recorded(heard),
            State::ReadBack { quiet, .. } if idle => {
                let waited = quiet.map_or(0, |quiet| quiet.saturating_add(1));
                *quiet = quiet.map(|_| waited);
                if waited >= frames(READ_BACK_AFTER) {
                    self.read_back();
                }
            }
            _ => {}
        }
    }

    /// What the owner is to do, once each.
    pub fn poll(&mut self) -> Option<LineEvent> {
        self.events.pop_front()
    }

    /// Whether it gives back what it hears, keys among it.
    pub fn echoes(&self) -> bool {
        matches!(self.state, State::Echo)
    }

    /// Whether the keys that it waits for now are its caller's secrets.
    pub fn collects_keys(&self) -> bool {
        matches!(self.state, State::Menu(_) | State::ReadBack { .. })
    }

    /// Nobody took the transfer: the flow goes on, and ends where it ends.
    pub fn refused(&mut self) {
        if matches!(self.state, State::Away) {
            self.player.stop();
            self.next();
        }
    }

    /// The caller hung up: a message that was being left is kept.
    pub fn hung_up(&mut self) {
        if matches!(self.state, State::Recording(_)) {
            self.stop_recording(StoppedBy::Caller);
        }
        self.player.stop();
        self.state = State::Done;
    }

    /// Where it is, in words for traces.
    pub fn place(&self) -> String {
        match &self.state {
            State::Menu(asking) => format!("menu:{}", asking.name),
            State::Failing(to) => format!("on the way to {to}"),
            State::Greeting(mailbox) => format!("voicemail:{mailbox}, greeting"),
            State::Recording(message) => format!("voicemail:{}, recording", message.mailbox),
            State::Echo => "app:echo".to_owned(),
            State::Tone => "app:milliwatt".to_owned(),
            State::ReadBack { .. } => "app:dtmf-readback".to_owned(),
            State::Away => "being connected".to_owned(),
            State::Done => "done".to_owned(),
        }
    }

    fn next(&mut self) {
        match self.flow.pop_front() {
            Some(destination) => self.enter(destination),
            None => self.enter(Destination::Hangup),
        }
    }

    fn enter(&mut self, to: Destination) {
        self.entered += 1;
        if self.entered > MOST_ENTERED {
            // Menus that lead to each other without a caller: the plan's check refuses them.
            self.state = State::Done;
            self.events.push_back(LineEvent::HangUp);
            return;
        }
        match &to {
            // No menu has a webhook: the plan's check refuses it.
            Destination::Hangup | Destination::Webhook(_) => {
                self.state = State::Done;
                self.events.push_back(LineEvent::HangUp);
                return;
            }
            Destination::User(_) | Destination::Ring(_) | Destination::Number(_) => {
                self.player.play(Sound::Ringback(self.script.country.clone()));
                self.state = State::Away;
                self.events.push_back(LineEvent::Transfer(to));
                return;
            }
            Destination::Menu(name) => {
                self.state = State::Menu(Asking {
                    name: name.clone(),
                    keys: String::new(),
                    wrong: 0,
                    waited: None,
                    early: VecDeque::new(),
                });
                self.ask();
            }
            Destination::Voicemail(name) => {
                let greeting = self.script.voicemails.get(name).map(|mailbox| &mailbox.greeting);
                self.say(greeting.cloned());
                self.state = State::Greeting(name.clone());
            }
            Destination::App(App::Echo) => self.state = State::Echo,
            Destination::App(App::Milliwatt) => {
                self.player.play(Sound::Endless(MILLIWATT));
                self.state = State::Tone;
            }
            Destination::App(App::DtmfReadback) => {
                self.state = State::ReadBack { digits: Vec::new(), quiet: None };
            }
        }
        self.events.push_back(LineEvent::Entered(to));
    }

    fn say(&mut self, file: Option<String>) {
        if let Some(sound) = file.and_then(|file| self.script.sound(&file)) {
            self.player.play(Sound::Recorded(sound));
        }
    }

    fn menu(&self) -> Option<&Menu> {
        let State::Menu(asking) = &self.state else { return None };
        self.script.menus.get(&asking.name)
    }

    /// The prompt of the menu, from its beginning.
    fn ask(&mut self) {
        let prompt = self.menu().map(|menu| menu.prompt.clone());
        self.say(prompt);
        if let State::Menu(asking) = &mut self.state {
            asking.keys.clear();
            asking.waited = None;
        }
    }

    fn key(&mut self, digit: Digit) {
        self.player.stop();
        let State::Menu(asking) = &mut self.state else { return };
        let Some(menu) = self.script.menus.get(&asking.name) else { return };
        asking.keys.push(digit.as_char());
        asking.waited = Some(0);
        match menu.press(&asking.keys) {
            Pressed::Chosen(to) => {
                let to = to.clone();
                self.choose(to);
            }
            Pressed::Unless(_) | Pressed::More => {}
            Pressed::Invalid => self.wrong(),
        }
    }

    fn menu_waits(&mut self) {
        let State::Menu(asking) = &mut self.state else { return };
        let Some(menu) = self.script.menus.get(&asking.name) else { return };
        if let Some(digit) = asking.early.pop_front() {
            return self.key(digit);
        }
        let waited = asking.waited.map_or(0, |waited| waited + 1);
        asking.waited = Some(waited);
        let patience = if asking.keys.is_empty() { menu.first_digit } else { menu.next_digit };
        if waited < frames(patience) {
            return;
        }
        match menu.press(&asking.keys) {
            Pressed::Chosen(to) | Pressed::Unless(to) if !asking.keys.is_empty() => {
                let to = to.clone();
                self.choose(to);
            }
            _ => self.wrong(),
        }
    }

    fn choose(&mut self, to: Destination) {
        let on_fail = self.menu().map(|menu| menu.on_fail.clone());
        if !matches!(to, Destination::Menu(_)) {
            // Where nobody takes the transfer, the menu's last resort follows.
            self.flow.clear();
            self.flow.extend(on_fail.filter(|fail| *fail != to));
        }
        self.enter(to);
    }

    /// A key that means nothing, or none at all.
    fn wrong(&mut self) {
        let State::Menu(asking) = &mut self.state else { return };
        let Some(menu) = self.script.menus.get(&asking.name) else { return };
        let pressed = !asking.keys.is_empty();
        asking.wrong += 1;
        asking.early.clear();
        if asking.wrong > menu.retries {
            let (failed, to) = (menu.failed.clone(), menu.on_fail.clone());
            self.say(failed);
            self.state = State::Failing(to);
            return;
        }
        let invalid = menu.invalid.clone().filter(|_| pressed);
        self.say(invalid);
        self.ask();
    }

    fn record(&mut self, mailbox: String) {
        let longest = self.script.voicemails.get(&mailbox).map_or(Duration::ZERO, |m| m.max);
        let rate = self.rate;
        let most = samples(longest.min(LONGEST_MESSAGE)) * rate.factor();
        self.player.play(Sound::Tone(BEEP, samples(BEEP_LENGTH)));
        // All of it now: the media path does not allocate later.
        let pcm = Vec::with_capacity(most);
        self.state = State::Recording(Message { mailbox, pcm, rate, most, silent: 0, spoken: 0 });
    }

    fn recorded(&mut self, heard: &[i16]) {
        let State::Recording(message) = &mut self.state else { return };
        let room = message.most - message.pcm.len();
        let pcm = &mut message.pcm;
        match (Rate::of_frame(heard.len()), message.rate) {
            (Rate::Wide, Rate::Narrow) => {
                pcm.extend(
                    heard.chunks_exact(2).take(room).map(|two| i16::midpoint(two[0], two[1])),
                );
            }
            (Rate::Narrow, Rate::Wide) => {
                pcm.extend(heard.iter().flat_map(|sample| [*sample; 2]).take(room));
            }
            _ => pcm.extend_from_slice(&heard[..heard.len().min(room)]),
        }
        if level_dbm0(heard) < SILENCE_DBM0 {
            message.silent += 1;
        } else {
            message.silent = 0;
            message.spoken += 1;
        }
        if message.silent >= frames(SILENCE_ENDS) {
            self.stop_recording(StoppedBy::Silence);
        } else if room <= message.rate.frame() {
            self.stop_recording(StoppedBy::Limit);
        }
    }

    fn stop_recording(&mut self, stopped_by: StoppedBy) {
        let State::Recording(message) = std::mem::replace(&mut self.state, State::Done) else {
            return;
        };
        let Message { mailbox, mut pcm, rate, silent, spoken, .. } = message;
        // A second of the silence at the end stays: words may fade.
        let tail = silent.saturating_sub(frames(Duration::from_secs(1))) * rate.frame();
        pcm.truncate(pcm.len().saturating_sub(tail));
        if spoken >= frames(SHORTEST_MESSAGE) {
            self.events.push_back(LineEvent::Recorded(Recording {
                mailbox,
                pcm,
                rate,
                stopped_by,
            }));
        }
        if stopped_by != StoppedBy::Caller {
            self.enter(Destination::Hangup);
        }
    }

    fn read_back(&mut self) {
        let State::ReadBack { digits, quiet } = &mut self.state else { return };
        *quiet = None;
        for digit in std::mem::take(digits) {
            if let Some(sound) = self.script.digit(digit) {
                self.player.play(Sound::Recorded(sound));
            }
        }
    }
}

fn frames(duration: Duration) -> usize {
    usize::try_from(duration.as_millis() / 20).unwrap_or(usize::MAX)
}

fn samples(duration: Duration) -> usize {
    usize::try_from(duration.as_millis()).unwrap_or(0).saturating_mul(8)
}

/// 1004 Hz at 0 dBm0: the digital milliwatt (ITU-T G.711, O.6 for the frequency).
const MILLIWATT: Tone = Tone { frequency: 1004.0, dbm0: 0.0 };
const BEEP: Tone = Tone { frequency: 1000.0, dbm0: -10.0 };
const BEEP_LENGTH: Duration = Duration::from_millis(400);
/// A quiet room through a telephone.
const SILENCE_DBM0: f64 = -45.0;
/// Silence that ends a message.
const SILENCE_ENDS: Duration = Duration::from_secs(5);
/// Less sound than this in all is nobody's message.
const SHORTEST_MESSAGE: Duration = Duration::from_millis(400);
/// Whatever a plan says: 20 MB of memory a call.
const LONGEST_MESSAGE: Duration = Duration::from_secs(600);
/// Digits are read back after this much quiet.
const READ_BACK_AFTER: Duration = Duration::from_secs(2);
/// Keys that wait, or are read back: a card number and more.
const MOST_KEYS: usize = 32;
const MOST_ENTERED: usize = 16;
