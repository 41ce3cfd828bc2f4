//! One expectation being watched, 20 ms at a time.

use std::time::Duration;

use super::ear::{Ear, Namer};
use super::prompt::Match;
use super::result::Span;
use super::runner::Facts;
use super::scenario::{By, Expect, Library};
use super::tone::Recogniser;
use super::words::{Scene, secs};

/// An expectation and how far it is.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    expect: Expect,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Waiting,
    /// Recordings: the next place to look at, and how many of a row were found.
    Looking {
        next: usize,
        found: usize,
        first: usize,
        last: usize,
    },
    Met,
}

/// What is known of an expectation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// Not yet.
    Pending,
    /// Fine as long as nothing happens: decided when all others are met.
    Rests,
    /// Met, with what was measured.
    Met(String),
    /// Not met, in a sentence.
    Failed(String),
}

/// What a watch looks at.
pub(super) struct View<'a> {
    pub ear: &'a Ear,
    pub tones: Option<&'a Recogniser>,
    pub library: &'a Library,
    pub facts: &'a Facts,
    /// The row of the step's beginning by messages, and of its first and last key by sound.
    pub began: usize,
    pub step: usize,
    pub delay: usize,
    pub first_key: usize,
    pub last_key: usize,
    /// Keys of the step as they may be shown.
    pub pressed: Option<&'a str>,
    /// Recordings recognised before the step.
    pub before: &'a [String],
    /// Secret keys were pressed, and none since that is not.
    pub hides: bool,
}

impl View<'_> {
    fn namer(&self) -> Namer<'_> {
        Namer { library: self.library, hides: self.hides }
    }

    /// The call is over, and all that was on its way has been heard.
    fn is_over(&self) -> bool {
        let ended = self.facts.ended.as_ref();
        ended.is_some_and(|end| self.ear.len() >= end.row + self.delay + LAST_WORDS)
    }
}

impl Watch {
    /// `from` is the row from which on recordings are looked for.
    pub fn new(expect: &Expect, from: usize) -> Watch {
        let state = match expect {
            Expect::Prompt { .. } | Expect::Sequence { .. } => {
                State::Looking { next: from, found: 0, first: from, last: from }
            }
            _ => State::Waiting,
        };
        Watch { expect: expect.clone(), state }
    }

    /// Whether it was met before.
    pub fn is_met(&self) -> bool {
        matches!(self.state, State::Met)
    }

    /// When it must have begun, for the picture.
    pub fn window(&self, began: usize, last_key: usize) -> Option<(usize, usize)> {
        let (from, within) = match &self.expect {
            Expect::Sip { within, .. } => (0, within),
            Expect::Prompt { within, .. }
            | Expect::Sequence { within, .. }
            | Expect::Tone { within, .. }
            | Expect::Digits { within, .. }
            | Expect::PromptStops { within } => (last_key, within),
            Expect::End { within, .. } => (began, within),
            Expect::Level { .. } | Expect::Silence { .. } => return None,
        };
        Some((from, from + rows(*within)))
    }

    /// Looks at what there is now. `spans` takes what was recognised; `rest` says that all others are met.
    pub fn look(&mut self, view: &View<'_>, rest: bool, spans: &mut Vec<Span>) -> Verdict {
        let verdict = match &self.expect {
            Expect::Sip { status, within } => sip(view, *status, rows(*within)),
            Expect::Prompt { .. } => self.prompt(view, spans),
            Expect::Sequence { .. } => self.sequence(view, spans),
            Expect::PromptStops { within } => stops(view, rows(*within)),
            Expect::Tone { .. } => self.tone(view),
            Expect::Level { min, max } => level(view, *min, *max, rest),
            Expect::Silence { max } => silence(view, rows(*max), rest),
            Expect::Digits { keys, within } => digits(view, keys, rows(*within)),
            Expect::End { by, within } => end(view, *by, rows(*within)),
        };
        if matches!(verdict, Verdict::Met(_)) {
            self.state = State::Met;
        }
        verdict
    }

    fn prompt(&mut self, view: &View<'_>, spans: &mut Vec<Span>) -> Verdict {
        let Expect::Prompt { file, whole, window, within, complete } = &self.expect else {
            return Verdict::Pending;
        };
        let State::Looking { next, .. } = &mut self.state else { return Verdict::Pending };
        let Some(reference) = view.library.get(file) else {
            return Verdict::Failed(format!("there is no recording `{file}`"));
        };
        let within = rows(*within);
        let needed = if *complete { reference.rows() } else { reference.rows().min(BEGINNING) };
        // Two rows more: the best place is looked for around the first that fits.
        while *next + needed + 2 <= view.ear.len() {
            let at = *next;
            *next += 1;
            let Some(found) = reference.at(&view.ear.rows, at, needed) else { continue };
            if !found.passes(*whole, *window) || *complete && rivalled(view, file, &found) {
                continue;
            }
            let better = (at..=at + 2).filter_map(|at| reference.at(&view.ear.rows, at, needed));
            let found = better.max_by(|a, b| a.whole.total_cmp(&b.whole)).unwrap_or(found);
            spans.push(span(file, &found));
            let took = found.start.saturating_sub(view.last_key);
            let words = format!(
                "{} after {}: {:.2} as a whole, {:.2} in its worst 0.6 s",
                view.namer().name(file),
                secs(took),
                found.whole,
                found.window
            );
            if took > within {
                let late = "; that is too late";
                let allowed = secs(within);
                return Verdict::Failed(format!(
                    "{} began {} after {}, {allowed} were allowed{late}",
                    view.namer().name(file),
                    secs(took),
                    since(view)
                ));
            }
            return Verdict::Met(words);
        }
        let deadline = view.last_key + within + needed + SLACK + LATE;
        if view.ear.len() < deadline && !view.is_over() {
            return Verdict::Pending;
        }
        let from = view.last_key.min(view.ear.len());
        Verdict::Failed(scene(view, from).no_prompt(Some(reference), file))
    }

    fn sequence(&mut self, view: &View<'_>, spans: &mut Vec<Span>) -> Verdict {
        let Expect::Sequence { files, within } = &self.expect else { return Verdict::Pending };
        let State::Looking { next, found, first, last } = &mut self.state else {
            return Verdict::Pending;
        };
        let mut wait = if *found == 0 { view.last_key + rows(*within) } else { *last + BETWEEN };
        while let Some(file) = files.get(*found) {
            let Some(reference) = view.library.get(file) else {
                return Verdict::Failed(format!("there is no recording `{file}`"));
            };
            let needed = reference.rows();
            if *next + needed + 2 > view.ear.len() || *next > wait {
                break;
            }
            let at = *next;
            *next += 1;
            let Some(hit) = reference.at(&view.ear.rows, at, needed) else { continue };
            if hit.passes(super::WHOLE, super::WINDOW) && !rivalled(view, file, &hit) {
                spans.push(span(file, &hit));
                *found += 1;
                if *found == 1 {
                    *first = hit.start;
                }
                *next = hit.end.saturating_sub(4);
                *last = hit.end;
                wait = *last + BETWEEN;
            }
        }
        if *found < files.len() {
            let longest = files.iter().filter_map(|file| view.library.get(file));
            let longest = longest.map(|reference| reference.rows()).max().unwrap_or(0);
            let deadline = wait + longest + SLACK + files.len().min(8) * 25;
            if view.ear.len() < deadline && !view.is_over() {
                return Verdict::Pending;
            }
            let from = view.last_key.min(view.ear.len());
            // Over a bad network the best places are found when all has been heard.
            let known = view.ear.known(view.library, from);
            if known.iter().map(|known| &known.file).eq(files) {
                return Verdict::Met(format!("{} recordings", files.len()));
            }
            return Verdict::Failed(scene(view, from).no_sequence(files));
        }
        // What follows at once belongs to it: a digit too many.
        if view.ear.len() < *last + AFTERMATH && !view.is_over() {
            return Verdict::Pending;
        }
        // Only what belongs to the row can be there too often.
        let own = view.library.iter().filter(|(file, _)| files.contains(file));
        let known = view.ear.known_among(own, first.saturating_sub(2));
        let within = known.iter().filter(|known| known.found.start + 4 < *last).count();
        let again = known.iter().find(|known| known.found.start + 4 >= *last);
        if within > files.len() || again.is_some_and(|known| files.last() == Some(&known.file)) {
            let from = view.last_key.min(view.ear.len());
            return Verdict::Failed(scene(view, from).no_sequence(files));
        }
        Verdict::Met(format!("\"{}\"", view.namer().row(files.iter())))
    }

    fn tone(&self, view: &View<'_>) -> Verdict {
        let Expect::Tone { kind, country, within } = &self.expect else { return Verdict::Pending };
        let Some(tones) = view.tones else { return Verdict::Pending };
        let allowed = view.last_key + rows(*within);
        let place = country.as_ref().map(|c| format!(" of {c}")).unwrap_or_default();
        let from = view.last_key as u64 * 20;
        if let Some(heard) = tones.find(*kind, country.as_deref()).filter(|h| h.at_ms >= from) {
            let start = usize::try_from(heard.start_ms / 20).unwrap_or(0);
            let took = secs(start.saturating_sub(view.last_key));
            if start > allowed {
                let words = format!("{}{place} began {took} after {}", kind.word(), since(view));
                let words = format!("{words}, {} were allowed", secs(rows(*within)));
                return Verdict::Failed(words);
            }
            return Verdict::Met(format!("{}{place} after {took}", kind.word()));
        }
        // A cadence takes its time to be certain.
        if view.ear.len() < (allowed + CADENCE).max(view.last_key + 1) && !view.is_over() {
            return Verdict::Pending;
        }
        let instead = tones.any(country.as_deref()).or_else(|| tones.any(None));
        let seen = match instead {
            Some(other) => format!("{} was heard instead", other.kind.word()),
            None if view.ear.silent_for(view.last_key) + SLACK + view.last_key
                >= view.ear.len() =>
            {
                "there was silence".to_owned()
            }
            None => "something else was heard".to_owned(),
        };
        Verdict::Failed(format!("{}{place} was expected, {seen}", kind.word()))
    }
}

/// Whether another recording of the row's kind fits this place better.
fn rivalled(view: &View<'_>, file: &str, hit: &Match) -> bool {
    view.library.iter().any(|(name, other)| {
        name != file
            && other.rows().abs_diff(hit.end - hit.start) < 15
            && other
                .at(&view.ear.rows, hit.start, other.rows())
                .is_some_and(|rival| rival.whole > hit.whole + 0.02)
    })
}

fn sip(view: &View<'_>, status: u16, within: usize) -> Verdict {
    let facts = view.facts;
    if let Some((row, _)) = facts.responses.iter().find(|(_, s)| *s == status) {
        return if *row > within {
            Verdict::Failed(format!(
                "{} came {} after dialling, {} were allowed: a late answer",
                status_words(status),
                secs(*row),
                secs(within)
            ))
        } else {
            Verdict::Met(format!("{} after {}", status_words(status), secs(*row)))
        };
    }
    let last = facts.responses.last();
    let over = facts.ended.as_ref().filter(|_| view.is_over());
    if let Some((row, other)) = last.filter(|(_, s)| *s >= 200) {
        let (wanted, came) = (status_words(status), status_words(*other));
        return Verdict::Failed(format!("{wanted} was expected, {came} came after {}", secs(*row)));
    }
    // An answer that is late is told from one that never comes.
    if view.ear.len() < within + LATE_ANSWER && over.is_none() {
        return Verdict::Pending;
    }
    let seen = match (last, over) {
        (_, Some(end)) => end.words.clone(),
        (Some((_, status)), None) => format!("nothing came after {}", status_words(*status)),
        (None, None) => "there was no response at all".to_owned(),
    };
    let late = secs(view.ear.len());
    Verdict::Failed(format!("{} was expected, {seen} within {late}", status_words(status)))
}

fn status_words(status: u16) -> String {
    let words = match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        480 => "Temporarily Unavailable",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => return status.to_string(),
    };
    format!("{status} {words}")
}

/// Whether what was being said when the first key went down goes on: by the recording that is known to
/// have been on, else by the first silence.
fn stops(view: &View<'_>, within: usize) -> Verdict {
    let key = view.first_key;
    // All that belongs to it is heard first: a pause between two words is no end.
    if view.ear.len() < key + within + STILL && !view.is_over() {
        return Verdict::Pending;
    }
    let was_on = (key.saturating_sub(10)..key).any(|row| !view.ear.is_silent(row));
    if !was_on {
        return Verdict::Failed("nothing was being said when the key was pressed".to_owned());
    }
    let known = view.facts.was_playing.as_ref().and_then(|(file, start)| {
        let reference = view.library.get(file)?;
        let end = start + reference.rows();
        // Of one that is over, or has hardly begun, nothing can be told.
        (start + STILL..end).contains(&key).then_some((reference, *start, end))
    });
    let stopped = match known {
        Some((reference, start, end)) => {
            let (until, against) = reference.heard_until(&view.ear.rows, start, key);
            let latest = end.min(key + within + LONGEST_PAUSE);
            let certain =
                until > key + within + UNSEEN || against >= STILL || view.ear.len() >= latest;
            if !certain && !view.is_over() {
                return Verdict::Pending;
            }
            Some(if until <= key + within + UNSEEN { until.min(key + within) } else { until })
        }
        None => {
            (key..view.ear.len()).find(|row| (*row..row + 4).all(|row| view.ear.is_silent(row)))
        }
    };
    match stopped.map(|row| row.saturating_sub(key)) {
        Some(took) if took <= within => {
            Verdict::Met(format!("it stopped {} ms after the key", took * 20))
        }
        _ => Verdict::Failed(format!(
            "what was being said did not stop within {} ms of the key",
            within * 20
        )),
    }
}

fn level(view: &View<'_>, min: f64, max: f64, rest: bool) -> Verdict {
    if !rest {
        return Verdict::Rests;
    }
    match view.ear.level(view.began, view.ear.len()) {
        None => Verdict::Failed("there is no level: nothing was said".to_owned()),
        Some(level) if (min..=max).contains(&level) => {
            Verdict::Met(format!("the level is {level:.1} dBFS"))
        }
        Some(level) => Verdict::Failed(format!(
            "the level is {level:.1} dBFS, {min:.0} to {max:.0} dBFS were allowed"
        )),
    }
}

fn silence(view: &View<'_>, max: usize, rest: bool) -> Verdict {
    let answered = view.facts.answered.unwrap_or(view.began);
    let from = view.began.max(answered) + view.delay;
    let silent = view.ear.silent_for(from);
    if silent > max {
        return Verdict::Failed(format!(
            "it has been silent for more than the {} that were allowed",
            secs(max)
        ));
    }
    if rest { Verdict::Met("no silence was too long".to_owned()) } else { Verdict::Rests }
}

fn digits(view: &View<'_>, keys: &str, within: usize) -> Verdict {
    let came: String =
        view.facts.digits.iter().filter(|(row, _)| *row >= view.step).map(|d| d.1).collect();
    let deadline = view.last_key + within;
    if view.ear.len() < deadline && !view.is_over() && came.len() <= keys.len() {
        // All of them may be there and one too many still come.
        let last = view.facts.digits.last().map_or(0, |(row, _)| *row);
        if came != keys || view.ear.len() < last + BETWEEN / 2 {
            return Verdict::Pending;
        }
    }
    if came == keys {
        return Verdict::Met(format!("{} digits came back", came.len()));
    }
    let kind = match came.len().cmp(&keys.len()) {
        std::cmp::Ordering::Less => ": a digit was lost",
        std::cmp::Ordering::Greater => ": a digit was doubled",
        std::cmp::Ordering::Equal => "",
    };
    Verdict::Failed(format!("{} digits were expected, {} came{kind}", keys.len(), came.len()))
}

fn end(view: &View<'_>, by: By, within: usize) -> Verdict {
    match &view.facts.ended {
        Some(end) if end.by == by => Verdict::Met(end.words.clone()),
        Some(end) => Verdict::Failed(format!("{}, not as expected", end.words)),
        None if view.ear.len() < view.last_key.max(view.began) + within + SLACK => Verdict::Pending,
        None => Verdict::Failed(format!("the call has not ended within {}", secs(within))),
    }
}

fn scene<'a>(view: &'a View<'_>, from: usize) -> Scene<'a> {
    Scene {
        ear: view.ear,
        library: view.library,
        namer: view.namer(),
        from,
        pressed: view.pressed,
        before: view.before,
        ended: view.facts.ended.as_ref().map(|end| end.words.as_str()),
    }
}

fn since(view: &View<'_>) -> String {
    view.pressed.map_or_else(|| "the step began".to_owned(), str::to_owned)
}

fn span(file: &str, found: &Match) -> Span {
    let time = |row: usize| Duration::from_millis(row as u64 * 20);
    Span {
        file: file.to_owned(),
        start: time(found.start),
        end: time(found.end),
        whole: found.whole,
        window: found.window,
        expected: true,
    }
}

pub(super) fn rows(duration: Duration) -> usize {
    usize::try_from(duration.as_millis() / 20).unwrap_or(usize::MAX / 4).min(usize::MAX / 4)
}

/// Sound that was on its way when the call ended: half a second, for a machine that was busy meanwhile.
const LAST_WORDS: usize = 25;
/// 1.2 s of a prompt are enough where its end is not waited for.
const BEGINNING: usize = 60;
/// For delays of network and buffers.
const SLACK: usize = 15;
/// What comes up to this much too late is told as late.
const LATE: usize = 250;
/// An answer that is up to this late is told as late: 10 s.
const LATE_ANSWER: usize = 500;
/// From one recording of a row to the next: 2 s.
const BETWEEN: usize = 100;
/// Longer than a spoken digit.
const AFTERMATH: usize = 75;
/// 200 ms: as much of a prompt as shows that it goes on.
const STILL: usize = 10;
/// 300 ms: in a pause of the speaker an end is not seen to the frame, and nobody is blamed for that.
const UNSEEN: usize = 15;
/// 2 s: a speaker who says nothing for longer may have stopped.
const LONGEST_PAUSE: usize = 100;
/// The longest period of a tone: 6 s.
const CADENCE: usize = 310;
