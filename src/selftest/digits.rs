//! The table of digits: each way in, each way out, each key, every cell measured. The echo line sends a
//! digit back in the way it came, so one call proves both directions of a way.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use serde_json::json;

use super::calls::Call;
use super::far::{FarDigit, FarSide};
use super::page::Page;
use super::report::{Outcome, Report};
use crate::base::Digit;
use crate::dtmf::Mode;

/// One cell: a key from one way to another.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// How it came: `page-rtp`, `page-message`, or of a trunk `rfc4733`, `sip-info`, `inband`.
    pub source: &'static str,
    /// How it went on: to a trunk as `rfc4733`, `sip-info` or `inband`, or to the `page`.
    pub destination: &'static str,
    /// The key.
    pub digit: char,
    /// It arrived once, in its place, this way, at its length.
    pub ok: bool,
    /// How long it was pressed.
    pub pressed_ms: f64,
    /// How long it was where it arrived, measured there: the last duration of the event, the `Duration` of
    /// the INFO, the length of the tone. `None` where it did not arrive.
    pub measured_ms: Option<f64>,
    /// From its arrival at the gateway to its first packet out, where it went from a page to a trunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<f64>,
}

/// A way of digits on a trunk, and where the demo sends them in it.
struct Way {
    word: &'static str,
    mode: Mode,
    /// The echo line to which the plan sends digits in this way.
    echo: &'static str,
    /// The gateway's number whose calls go on, in this way, to a line of the far side that listens.
    onward: &'static str,
    /// That line's last digit.
    listener: u8,
}

const WAYS: [Way; 3] = [
    Way { word: "rfc4733", mode: Mode::Rfc4733, echo: "611", onward: "+493023125611", listener: 4 },
    Way { word: "sip-info", mode: Mode::Info, echo: "612", onward: "+493023125612", listener: 5 },
    Way { word: "inband", mode: Mode::Inband, echo: "613", onward: "+493023125613", listener: 6 },
];

/// Fills the table, and adds what it comes to as a check. Where the far side can be asked, lengths toward
/// a trunk are those measured there, and the table has the ways from trunk to trunk; otherwise the lengths
/// are those of what the echo line sent back.
pub(super) async fn table(
    report: &mut Report,
    page: &mut Page,
    bind: IpAddr,
    far: Option<&dyn FarSide>,
) {
    let mut calls = 0;
    for way in &WAYS {
        // A machine that keeps one of the three programs waiting for 100 ms in a key makes a receiver
        // end that key (RFC 4733 2.5.2.2): such a call is placed again, and counted.
        let begun = report.digits.len();
        for _ in 0..ATTEMPTS {
            calls += 1;
            report.digits.truncate(begun);
            if let Err(error) = through_page(report, page, bind, way, far).await {
                let error = error.context(format!("digits as {}", way.word));
                return report.add("digit-table", Err(error));
            }
            if report.digits[begun..].iter().all(|cell| cell.ok) {
                break;
            }
        }
    }
    if let Some(far) = far {
        for source in &WAYS {
            let begun = report.digits.len();
            for _ in 0..ATTEMPTS {
                calls += WAYS.len();
                report.digits.truncate(begun);
                from_trunk_to_trunk(report, source, far).await;
                if report.digits[begun..].iter().all(|cell| cell.ok) {
                    break;
                }
            }
        }
    }
    let cells = report.digits.len();
    let expected = if far.is_some() { PAGE_CELLS + TRUNK_CELLS } else { PAGE_CELLS };
    let good = report.digits.iter().filter(|cell| cell.ok).count();
    let outcome = Outcome::new(cells == expected && good == cells);
    let outcome = outcome.fact("cells", cells).fact("true", good).fact("calls", calls);
    report.add("digit-table", Ok(outcome));
}

async fn through_page(
    report: &mut Report,
    page: &mut Page,
    bind: IpAddr,
    way: &Way,
    far: Option<&dyn FarSide>,
) -> anyhow::Result<()> {
    let call = Call::start(page, bind, way.echo).await?;
    call.state(page, "active").await?;
    call.peer.connected(LIMIT).await.context("ICE and DTLS did not come up")?;
    tokio::time::sleep(SETTLED).await;
    for source in ["page-rtp", "page-message"] {
        if let Some(far) = far {
            far.take_digits();
        }
        if source == "page-rtp" {
            call.peer.press(Digit::ALL.to_vec(), TONE, GAP).await?;
        } else {
            let tones: String = Digit::ALL.iter().map(|digit| digit.as_char()).collect();
            let (duration, gap) = (TONE.as_millis() as u64, GAP.as_millis() as u64);
            let send = json!({"type": "dtmf.send", "call": call.id, "tones": tones,
                "duration": duration, "gap": gap});
            page.ask(send).await?;
        }
        let (mut sent, mut came) = collect(page, &call).await;
        let all = Digit::ALL.len();
        let once = (sent.len(), came.len()) == (all, all);
        let mut heard = far.map(|far| VecDeque::from_iter(far.take_digits()));
        let once_there = once && heard.as_ref().is_none_or(|heard| heard.len() == all);
        for digit in Digit::ALL {
            let back = came.pop_front().filter(|back| back.is(way, digit));
            let sent = sent.pop_front().filter(|sent| sent.is(way, digit));
            let there = match &mut heard {
                Some(heard) => heard.pop_front().map(Told::of).filter(|far| far.is(way, digit)),
                None => back.clone(),
            };
            // The receipt is the gateway's own word: it says when, the far side how long.
            let delay_ms = sent.as_ref().and_then(|sent| sent.delay_ms);
            let out = there.filter(|_| sent.is_some()).map(|there| Told { delay_ms, ..there });
            report.digits.push(cell((source, way.word), digit, out, once_there));
            if source == "page-rtp" {
                report.digits.push(cell((way.word, "page"), digit, back, once));
            }
        }
    }
    call.hang_up(page).await?;
    Ok(())
}

/// A call of the far side in the one way goes on to it in each of the three, all at once.
async fn from_trunk_to_trunk(report: &mut Report, source: &Way, far: &dyn FarSide) {
    far.take_digits();
    for way in &WAYS {
        far.press_keys(way.onward, source.mode);
    }
    let all = Digit::ALL.len();
    let mut heard: Vec<FarDigit> = Vec::new();
    let mut last = Instant::now();
    // A digit too many would come soon after the last.
    while last.elapsed() < if heard.len() >= WAYS.len() * all { EXTRA } else { LIMIT } {
        tokio::time::sleep(STEP).await;
        let more = far.take_digits();
        if !more.is_empty() {
            last = Instant::now();
        }
        heard.extend(more);
    }
    for way in &WAYS {
        let of_way = |far: &&FarDigit| far.listener == Some(way.listener);
        let mut came: VecDeque<FarDigit> = heard.iter().filter(of_way).copied().collect();
        let once = came.len() == all;
        for digit in Digit::ALL {
            let told = came.pop_front().map(Told::of).filter(|told| told.is(way, digit));
            report.digits.push(cell((source.word, way.word), digit, told, once));
        }
    }
}

/// A digit as an event of the gateway tells it, or the far side.
#[derive(Debug, Clone)]
struct Told {
    digit: char,
    way: String,
    ms: f64,
    delay_ms: Option<f64>,
}

impl Told {
    fn of(far: FarDigit) -> Told {
        let way = WAYS.iter().find(|way| way.mode == far.mode).map_or("", |way| way.word);
        Told {
            digit: far.digit.as_char(),
            way: way.to_owned(),
            ms: far.duration.as_secs_f64() * 1000.0,
            delay_ms: None,
        }
    }

    fn is(&self, way: &Way, digit: Digit) -> bool {
        self.way == way.word && self.digit == digit.as_char()
    }
}

/// Takes receipts and digits of the call until all have come, or nothing comes any more.
async fn collect(page: &mut Page, call: &Call) -> (VecDeque<Told>, VecDeque<Told>) {
    let (mut sent, mut came) = (VecDeque::new(), VecDeque::new());
    loop {
        let all = sent.len() >= Digit::ALL.len() && came.len() >= Digit::ALL.len();
        // A digit too many would come soon after the last.
        let limit = if all { EXTRA } else { PATIENCE };
        let event = page.event(limit, "a digit", |e| {
            let end = e.text("type") == "dtmf" && e.text("phase") == "end";
            e.text("call") == call.id && (end || e.text("type") == "dtmf.sent")
        });
        let Ok(event) = event.await else { return (sent, came) };
        let digit = event.text("tone").chars().next().unwrap_or('?');
        let body = &event.body;
        if event.text("type") == "dtmf" {
            let ms = body["duration"].as_f64().unwrap_or(0.0);
            came.push_back(Told { digit, way: event.text("source").into(), ms, delay_ms: None });
        } else {
            let receipt = &body["receipt"];
            sent.push_back(Told {
                digit,
                way: receipt["mode"].as_str().unwrap_or_default().into(),
                ms: receipt["tone_ms"].as_f64().unwrap_or(0.0),
                delay_ms: receipt["delay_ms"].as_f64(),
            });
        }
    }
}

/// A cell of what was told of a key where it arrived: `None` where it did not.
fn cell(
    (source, destination): (&'static str, &'static str),
    digit: Digit,
    told: Option<Told>,
    once: bool,
) -> Cell {
    let pressed_ms = TONE.as_secs_f64() * 1000.0;
    let sound = source == "inband" || destination == "inband";
    let (shorter, longer) = if sound { SOUND_MS } else { COUNTED_MS };
    let length = |ms: f64| (pressed_ms - shorter..=pressed_ms + longer).contains(&ms);
    Cell {
        source,
        destination,
        digit: digit.as_char(),
        ok: once && told.as_ref().is_some_and(|told| length(told.ms)),
        pressed_ms,
        measured_ms: told.as_ref().map(|told| (told.ms * 10.0).round() / 10.0),
        delay_ms: told.and_then(|told| told.delay_ms),
    }
}

/// Two ways of the page to three of the trunk, and three of the trunk to the page.
const PAGE_CELLS: usize = (2 * 3 + 3) * Digit::ALL.len();
/// Three ways of a trunk to three of another.
const TRUNK_CELLS: usize = 3 * 3 * Digit::ALL.len();
/// Calls for one way of the trunk at most.
const ATTEMPTS: usize = 3;
const TONE: Duration = Duration::from_millis(100);
const GAP: Duration = Duration::from_millis(100);
/// How much shorter and longer what is counted in packets may arrive, in ms: a far side that misses the
/// last updates hears the ends, and a stall of this machine is one tick an update.
const COUNTED_MS: (f64, f64) = (1.0, 20.0);
/// The detector of tones measures in steps of 8 ms and leaves out a tone's soft edges, twice from trunk to
/// trunk; sound goes on while a busy machine keeps a packet waiting.
const SOUND_MS: (f64, f64) = (25.0, 60.0);
const LIMIT: Duration = Duration::from_secs(10);
/// The first sound is the buffers' and the codecs' to settle.
const SETTLED: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(3);
const EXTRA: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_true_only_for_the_right_key_once_and_at_its_length() {
        let five = Digit::from_char('5').unwrap();
        let told = |ms| Some(Told { digit: '5', way: "inband".into(), ms, delay_ms: None });
        let sound = ("page-rtp", "inband");
        let counted = ("rfc4733", "sip-info");
        for (pair, told, once, ok) in [
            (sound, told(98.0), true, true),
            (sound, told(80.0), true, true),
            (sound, told(98.0), false, false),
            (sound, told(40.0), true, false),
            (sound, told(200.0), true, false),
            (sound, None, true, false),
            (counted, told(100.0), true, true),
            (counted, told(80.0), true, false),
            (counted, told(140.0), true, false),
        ] {
            assert_eq!(cell(pair, five, told, once).ok, ok);
        }
    }

    #[test]
    fn what_the_far_side_heard_counts_in_its_own_way_only() {
        let far = |key, mode| FarDigit {
            listener: Some(4),
            digit: Digit::from_char(key).unwrap(),
            mode,
            duration: TONE,
        };
        let five = Digit::from_char('5').unwrap();
        let is = |key, mode| Told::of(far(key, mode)).is(&WAYS[0], five);
        assert!(is('5', Mode::Rfc4733));
        assert!(!is('6', Mode::Rfc4733));
        assert!(!is('5', Mode::Info));
    }
}
