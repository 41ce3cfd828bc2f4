//! Runs a case: frames, responses and digits of the call in, keys, sounds and hanging up out. Its
//! owner makes the call; the clock is the frames, the first of which is sent when the call is dialled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::ear::{Ear, Namer, SECRET};
use super::result::{CaseResult, Message, Outcome, Pressed, Span, StepResult};
use super::scenario::{Act, By, Case, Expect, Key, Step, keys};
use super::tone::Recogniser;
use super::watch::{Verdict, View, Watch, rows};
use super::words::secs;
use crate::base::Digit;
use crate::codec::FRAME;
use crate::dtmf::ToneItem;

/// What the owner of a runner is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Press these.
    Press(Vec<ToneItem>),
    /// Play this to the far side.
    Say(Arc<[i16]>),
    /// Hang up, then tell [`Runner::ended`].
    HangUp,
    /// Hold the far side, or take it back.
    Hold(bool),
    /// Send the far side there.
    Transfer(String),
}

/// What a call has shown so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Row and status.
    pub responses: Vec<(usize, u16)>,
    pub answered: Option<usize>,
    pub digits: Vec<(usize, char)>,
    pub ended: Option<Ended>,
    /// The recording that was being said last, and the row of its beginning.
    pub playing: Option<(String, usize)>,
    /// The same when the step began.
    pub was_playing: Option<(String, usize)>,
}

#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub by: By,
    pub words: String,
    pub row: usize,
}

/// One case on its way.
#[derive(Debug)]
pub struct Runner {
    case: Case,
    ear: Ear,
    tones: Option<Recogniser>,
    facts: Facts,
    step: usize,
    began: usize,
    first_key: usize,
    last_key: usize,
    /// The row at which the step's keys are out.
    busy_until: usize,
    watches: Vec<Watch>,
    notes: Vec<String>,
    windows: Vec<(Duration, Duration)>,
    started: bool,
    /// From here on recordings are looked for.
    from: usize,
    results: Vec<StepResult>,
    spans: Vec<Span>,
    before: Vec<String>,
    presses: Vec<Pressed>,
    ladder: Vec<Message>,
    sent: Vec<i16>,
    /// When secret keys were pressed: rows.
    secrets: Vec<(usize, usize)>,
    /// When what is heard may repeat such keys: from a secret key to the next that is none.
    hushed: Vec<(usize, usize)>,
    hides: bool,
    /// Rows by which sound comes later than messages.
    delay: usize,
    /// What is odd about what comes from the far side.
    oddity: Option<String>,
    /// Why a failure may be no fault of the far side at all.
    excuse: Option<String>,
    actions: VecDeque<Action>,
    outcome: Option<Outcome>,
}

impl Runner {
    /// A case before its call.
    pub fn new(case: Case) -> Runner {
        let expects = case.scenario.steps.iter().flat_map(|step| &step.expect);
        let tones = expects.filter(|e| matches!(e, Expect::Tone { .. })).count() > 0;
        Runner {
            case,
            ear: Ear::default(),
            tones: tones.then(Recogniser::default),
            facts: Facts::default(),
            step: 0,
            began: 0,
            first_key: 0,
            last_key: 0,
            busy_until: 0,
            watches: Vec::new(),
            notes: Vec::new(),
            windows: Vec::new(),
            started: false,
            from: 0,
            results: Vec::new(),
            spans: Vec::new(),
            before: Vec::new(),
            presses: Vec::new(),
            ladder: Vec::new(),
            sent: Vec::new(),
            secrets: Vec::new(),
            hushed: Vec::new(),
            hides: false,
            delay: 0,
            oddity: None,
            excuse: None,
            actions: VecDeque::new(),
            outcome: None,
        }
    }

    /// The case.
    pub fn case(&self) -> &Case {
        &self.case
    }

    /// By how many frames of 20 ms what is heard comes later than messages do: the depth of a buffer.
    pub fn set_delay(&mut self, frames: usize) {
        self.delay = frames;
    }

    /// What is odd about what comes, for the sentence of a step that fails.
    pub fn set_oddity(&mut self, oddity: Option<String>) {
        self.oddity = oddity;
    }

    /// Why a failure may be this machine's own: it comes first in the sentence of a step that fails.
    pub fn set_excuse(&mut self, excuse: Option<String>) {
        self.excuse = excuse;
    }

    /// The step fails: what the far side did makes no test possible.
    pub fn refuse(&mut self, words: &str) {
        if self.outcome.is_none() {
            self.fail_step(words.to_owned());
        }
    }

    /// A message went by, for the picture.
    pub fn message(&mut self, by: By, text: impl Into<String>) {
        if self.ladder.len() < MOST_MESSAGES {
            self.ladder.push(Message { at: self.now(), by, text: text.into() });
        }
    }

    /// A response to the INVITE, or what stands for it (a page's `ringing` is 180, `active` 200).
    pub fn response(&mut self, status: u16) {
        self.facts.responses.push((self.ear.len(), status));
        if (200..300).contains(&status) {
            self.facts.answered.get_or_insert(self.ear.len());
        } else if status >= 300 {
            self.ended(By::Remote, &format!("the call was refused with {status}"));
        }
    }

    /// The far side sent a digit.
    pub fn digit(&mut self, digit: Digit) {
        self.facts.digits.push((self.ear.len(), digit.as_char()));
    }

    /// The call is over.
    pub fn ended(&mut self, by: By, words: &str) {
        if self.facts.ended.is_none() {
            self.facts.ended = Some(Ended { by, words: words.to_owned(), row: self.ear.len() });
        }
    }

    /// The next 20 ms: what was heard (silence before there is sound) and what was sent.
    pub fn frame(&mut self, heard: &[i16], sent: &[i16]) {
        self.ear.hear(heard);
        if let Some(tones) = &mut self.tones {
            tones.hear(heard);
        }
        self.sent.extend_from_slice(sent);
        self.sent.resize(self.ear.len() * FRAME, 0);
        if self.outcome.is_none() {
            self.go_on();
        }
    }

    /// What to do, once each.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The case is decided; the call may still be on.
    pub fn is_decided(&self) -> bool {
        self.outcome.is_some()
    }

    /// Nothing more is to be done.
    pub fn is_over(&self) -> bool {
        self.outcome.is_some() && self.facts.ended.is_some() && self.actions.is_empty()
    }

    /// The call cannot be made or gone on with: nobody's fault but ours or the network's.
    pub fn fail(&mut self, words: &str) {
        if self.outcome.is_none() {
            self.close_step(Some(words.to_owned()));
            self.outcome = Some(Outcome::Error(words.to_owned()));
        }
        self.ended(By::Local, "the test gave up");
    }

    /// What came of it.
    pub fn into_result(mut self) -> CaseResult {
        if self.outcome.is_none() {
            self.fail("the test was stopped before its end");
        }
        // What else was recognised, where it failed, is part of the picture.
        if self.outcome != Some(Outcome::Passed) {
            let from = self.results.last().map_or(0, |step| rows(step.start));
            for known in self.ear.known(&self.case.library, from) {
                let time = |row: usize| Duration::from_millis(row as u64 * 20);
                let (start, end) = (time(known.found.start), time(known.found.end));
                let seen =
                    |span: &Span| span.file == known.file && span.start.abs_diff(start) < AS_ONE;
                if !self.spans.iter().any(seen) {
                    let (whole, window) = (known.found.whole, known.found.window);
                    let file = known.file;
                    self.spans.push(Span { file, start, end, whole, window, expected: false });
                }
            }
        }
        self.hush();
        // Secret keys' tones are in no recording, nor what an echo makes of them.
        for (from, to) in &self.secrets {
            for lane in [&mut self.sent, &mut self.ear.pcm] {
                let most = lane.len();
                lane[(from * FRAME).min(most)..(to * FRAME).min(most)].fill(0);
            }
        }
        let scenario = &self.case.scenario;
        CaseResult {
            file: scenario.file.clone(),
            name: scenario.name.clone(),
            variant: self.case.variant.clone(),
            via: self.case.via.word(),
            target: scenario.target.clone(),
            outcome: self.outcome.unwrap_or(Outcome::Passed),
            steps: self.results,
            call: Duration::from_millis(self.ear.len() as u64 * 20),
            retries: 0,
            ladder: self.ladder,
            presses: self.presses,
            spans: self.spans,
            sent: self.sent,
            heard: self.ear.pcm,
            record: scenario.record,
        }
    }

    /// A voice that repeats secret keys is in no recording and has no name: all that is heard after them
    /// is silent, but recordings that are too long to be a digit.
    fn hush(&mut self) {
        let namer = Namer { library: &self.case.library, hides: true };
        let most = self.ear.pcm.len();
        for (from, to) in &self.hushed {
            let mut kept = vec![0; (*to * FRAME).min(most).saturating_sub(from * FRAME)];
            for span in &mut self.spans {
                let (start, end) = (rows(span.start), rows(span.end));
                if end <= *from || start >= *to {
                    continue;
                }
                if span.file == SECRET || namer.is_hidden(&span.file) {
                    SECRET.clone_into(&mut span.file);
                    continue;
                }
                let (start, end) = (start.max(*from), end.min(*to));
                let place = (start - from) * FRAME..((end - from) * FRAME).min(kept.len());
                if let Some(kept) = kept.get_mut(place.clone()) {
                    let start = from * FRAME;
                    kept.copy_from_slice(&self.ear.pcm[start + place.start..start + place.end]);
                }
            }
            self.ear.pcm[from * FRAME..from * FRAME + kept.len()].copy_from_slice(&kept);
        }
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.ear.len() as u64 * 20)
    }

    fn go_on(&mut self) {
        let scenario = self.case.scenario.clone();
        if self.ear.len() > rows(scenario.call_limit) {
            let words = format!("the call is longer than {}", secs(rows(scenario.call_limit)));
            return self.fail_step(words);
        }
        // Several steps may be done with at once.
        while self.outcome.is_none() {
            let Some(step) = scenario.steps.get(self.step) else { return self.pass() };
            if !self.started {
                self.start(step);
            }
            match self.look(step) {
                Some(Ok(())) => {
                    self.close_step(None);
                    self.step += 1;
                    self.started = false;
                }
                Some(Err(words)) => return self.fail_step(words),
                None => return,
            }
        }
    }

    fn start(&mut self, step: &Step) {
        self.started = true;
        self.facts.was_playing = self.facts.playing.clone();
        let now = self.ear.len();
        (self.began, self.first_key, self.last_key, self.busy_until) = (now, now, now, now);
        self.notes.clear();
        self.windows.clear();
        match &step.act {
            Some(Act::Press(press)) => {
                self.press(step, press);
                self.from = now;
            }
            Some(Act::Say(pcm)) => {
                self.actions.push_back(Action::Say(pcm.clone()));
                self.busy_until = now + pcm.len() / FRAME + 1;
                self.from = now;
            }
            Some(Act::Wait(wait)) => self.busy_until = now + rows(*wait),
            Some(Act::HangUp) => self.actions.push_back(Action::HangUp),
            Some(Act::Hold(on)) => self.actions.push_back(Action::Hold(*on)),
            Some(Act::Transfer(to)) => self.actions.push_back(Action::Transfer(to.clone())),
            None => {}
        }
        self.watches = step.expect.iter().map(|expect| Watch::new(expect, self.from)).collect();
        let time = |row: usize| Duration::from_millis(row as u64 * 20);
        let keys = self.last_key + self.delay;
        let windows = self.watches.iter().filter_map(|w| w.window(self.began, keys));
        self.windows = windows.map(|(a, b)| (time(a), time(b))).collect();
    }

    fn press(&mut self, step: &Step, press: &str) {
        let dtmf = self.case.dtmf;
        let now = self.ear.len();
        match (step.secret, self.hides) {
            (true, false) => self.hushed.push((now, usize::MAX / FRAME)),
            // What was being said when the key went down is heard a moment longer.
            (false, true) => {
                self.hushed.iter_mut().skip_while(|(_, to)| *to <= now).for_each(|h| h.1 = now + 50)
            }
            _ => {}
        }
        self.hides = step.secret;
        let mut items = Vec::new();
        let mut at = Duration::from_millis(self.ear.len() as u64 * 20);
        for key in keys(press) {
            match key {
                Key::Pause(pause) => {
                    items.push(ToneItem::Pause(pause));
                    at += pause;
                }
                Key::Digit(digit) => {
                    let (duration, gap) = (dtmf.duration, dtmf.gap);
                    items.push(ToneItem::Digit { digit, duration, gap });
                    let shown = if step.secret { HIDDEN } else { digit.as_char() };
                    self.presses.push(Pressed { at, length: duration, shown });
                    self.last_key = rows(at);
                    at += duration + gap;
                }
            }
        }
        self.busy_until = rows(at);
        if step.secret {
            // The tones of these keys are in no recording; a buffer's length later they are over.
            self.secrets.push((self.ear.len(), self.busy_until + 50));
        }
        self.actions.push_back(Action::Press(items));
    }

    /// Where the step stands: done, failed, or neither.
    fn look(&mut self, step: &Step) -> Option<Result<(), String>> {
        let shown = match &step.act {
            Some(Act::Press(_)) if step.secret => Some("the secret keys".to_owned()),
            Some(Act::Press(keys)) if keys.chars().count() == 1 => Some(format!("the key {keys}")),
            Some(Act::Press(keys)) => Some(format!("the keys {keys}")),
            _ => None,
        };
        let view = View {
            ear: &self.ear,
            tones: self.tones.as_ref(),
            library: &self.case.library,
            facts: &self.facts,
            began: self.began,
            step: self.first_key,
            first_key: self.first_key + self.delay,
            last_key: self.last_key + self.delay,
            delay: self.delay,
            pressed: shown.as_deref(),
            before: &self.before,
            hides: self.hides,
        };
        let known = self.spans.len();
        let (mut pending, mut resting) = (false, Vec::new());
        for (index, watch) in self.watches.iter_mut().enumerate() {
            if watch.is_met() {
                continue;
            }
            match watch.look(&view, false, &mut self.spans) {
                Verdict::Pending => pending = true,
                Verdict::Rests => resting.push(index),
                Verdict::Met(note) => self.notes.push(note),
                Verdict::Failed(words) => return Some(Err(words)),
            }
        }
        if !pending && self.ear.len() >= self.busy_until {
            for index in resting {
                match self.watches[index].look(&view, true, &mut self.spans) {
                    Verdict::Met(note) => self.notes.push(note),
                    Verdict::Failed(words) => return Some(Err(words)),
                    Verdict::Pending | Verdict::Rests => pending = true,
                }
            }
        }
        for span in &self.spans[known..] {
            self.from = self.from.max(rows(span.end).saturating_sub(3));
            self.facts.playing = Some((span.file.clone(), rows(span.start)));
            self.before.push(span.file.clone());
        }
        // Keys that cannot arrive any more are no step that passed.
        if let Some(ended) = &self.facts.ended
            && self.ear.len() < self.busy_until
        {
            // One that ends with the last key is one that the key ended.
            let pressed = matches!(step.act, Some(Act::Press(_))) && ended.row >= self.last_key;
            if !pressed {
                return Some(Err(format!(
                    "the call was over before the step was: {}",
                    ended.words
                )));
            }
            self.busy_until = self.ear.len();
        }
        (!pending && self.ear.len() >= self.busy_until).then_some(Ok(()))
    }

    fn close_step(&mut self, failure: Option<String>) {
        let Some(step) = self.case.scenario.steps.get(self.step) else { return };
        self.results.push(StepResult {
            name: step.name.clone(),
            line: step.line,
            start: Duration::from_millis(self.began as u64 * 20),
            end: self.now(),
            failure,
            notes: std::mem::take(&mut self.notes),
            windows: std::mem::take(&mut self.windows),
        });
    }

    fn fail_step(&mut self, words: String) {
        let words = match &self.oddity {
            Some(oddity) => format!("{words}; {oddity}"),
            None => words,
        };
        let words = match &self.excuse {
            Some(excuse) => format!("{excuse}; {words}"),
            None => words,
        };
        let name = self.case.scenario.steps.get(self.step).map(|step| step.name.clone());
        self.close_step(Some(words.clone()));
        let words = match name {
            Some(name) => format!("step {} \"{name}\": {words}", self.step + 1),
            None => words,
        };
        self.outcome = Some(Outcome::Failed(words));
        self.leave();
    }

    fn pass(&mut self) {
        self.outcome = Some(Outcome::Passed);
        self.leave();
    }

    fn leave(&mut self) {
        if self.facts.ended.is_none() && !self.actions.contains(&Action::HangUp) {
            self.actions.push_back(Action::HangUp);
        }
    }
}

/// Stands for a key that is secret.
const HIDDEN: char = '•';
/// The same recording found twice.
const AS_ONE: Duration = Duration::from_millis(200);
/// A call of hours is no test.
const MOST_MESSAGES: usize = 500;
