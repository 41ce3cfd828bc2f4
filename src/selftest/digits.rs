//! The table of digits: each way in, each way out, each key, every cell measured. The echo line sends a
//! digit back in the way it came, so one call proves both directions of a way.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde_json::json;

use super::calls::Call;
use super::page::Page;
use super::report::{Outcome, Report};
use crate::base::Digit;

/// One cell: a key from one way to another.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// How it came: `page-rtp`, `page-message`, or of the trunk `rfc4733`, `sip-info`, `inband`.
    pub source: &'static str,
    /// How it went on: to the trunk as `rfc4733`, `sip-info` or `inband`, or to the `page`.
    pub destination: &'static str,
    /// The key.
    pub digit: char,
    /// It arrived once, in its place, this way, at its length.
    pub ok: bool,
    /// How long it was pressed.
    pub pressed_ms: f64,
    /// How long it was where it arrived; `None` where it did not.
    pub measured_ms: Option<f64>,
    /// From its arrival at the gateway to its first packet out, where it went to a trunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<f64>,
}

/// The echo lines of the demo, and the way in which the plan sends digits to each.
const LINES: [(&str, &str); 3] = [("611", "rfc4733"), ("612", "sip-info"), ("613", "inband")];

/// Fills the table, and adds what it comes to as a check.
pub(super) async fn table(report: &mut Report, page: &mut Page, bind: IpAddr) {
    let mut calls = 0;
    for (line, way) in LINES {
        // A machine that keeps one of the three programs waiting for 100 ms in a key makes a receiver
        // end that key (RFC 4733 2.5.2.2): such a call is placed again, and counted.
        let begun = report.digits.len();
        for _ in 0..ATTEMPTS {
            calls += 1;
            report.digits.truncate(begun);
            if let Err(error) = ways(report, page, bind, line, way).await {
                return report.add("digit-table", Err(error.context(format!("digits as {way}"))));
            }
            if report.digits[begun..].iter().all(|cell| cell.ok) {
                break;
            }
        }
    }
    let cells = report.digits.len();
    let good = report.digits.iter().filter(|cell| cell.ok).count();
    let outcome = Outcome::new(cells == CELLS && good == cells);
    let outcome = outcome.fact("cells", cells).fact("true", good).fact("calls", calls);
    report.add("digit-table", Ok(outcome));
}

async fn ways(
    report: &mut Report,
    page: &mut Page,
    bind: IpAddr,
    line: &str,
    way: &'static str,
) -> anyhow::Result<()> {
    let call = Call::start(page, bind, line).await?;
    call.state(page, "active").await?;
    call.peer.connected(LIMIT).await.context("ICE and DTLS did not come up")?;
    tokio::time::sleep(SETTLED).await;
    for source in ["page-rtp", "page-message"] {
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
        let once = (sent.len(), came.len()) == (Digit::ALL.len(), Digit::ALL.len());
        for digit in Digit::ALL.iter().map(|digit| digit.as_char()) {
            let back = came.pop_front().filter(|came| came.way == way && came.digit == digit);
            // The receipt is the gateway's own word: it counts where the far side heard the same key.
            let out = sent.pop_front().filter(|sent| sent.way == way && back.is_some());
            report.digits.push(cell(source, way, digit, out, once));
            if source == "page-rtp" {
                report.digits.push(cell(way, "page", digit, back, once));
            }
        }
    }
    call.hang_up(page).await?;
    Ok(())
}

/// A digit as an event of the gateway tells it.
struct Told {
    digit: char,
    way: String,
    ms: f64,
    delay_ms: Option<f64>,
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

fn cell(
    source: &'static str,
    destination: &'static str,
    digit: char,
    told: Option<Told>,
    once: bool,
) -> Cell {
    let told = told.filter(|told| told.digit == digit);
    let pressed_ms = TONE.as_secs_f64() * 1000.0;
    let length = |ms: f64| (pressed_ms - SHORTER_MS..=pressed_ms + LONGER_MS).contains(&ms);
    Cell {
        source,
        destination,
        digit,
        ok: once && told.as_ref().is_some_and(|told| length(told.ms)),
        pressed_ms,
        measured_ms: told.as_ref().map(|told| told.ms),
        delay_ms: told.and_then(|told| told.delay_ms),
    }
}

/// Two ways of the page to three of the trunk, and three of the trunk to the page.
const CELLS: usize = (2 * 3 + 3) * Digit::ALL.len();
/// Calls for one way of the trunk at most.
const ATTEMPTS: usize = 3;
const TONE: Duration = Duration::from_millis(100);
const GAP: Duration = Duration::from_millis(100);
/// The detector of tones measures in steps of 8 ms, and leaves out a tone's soft edges.
const SHORTER_MS: f64 = 25.0;
/// Sound goes on while a busy machine keeps a packet waiting.
const LONGER_MS: f64 = 60.0;
const LIMIT: Duration = Duration::from_secs(10);
/// The first sound is the buffers' and the codecs' to settle.
const SETTLED: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(3);
const EXTRA: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_true_only_for_the_right_key_once_and_at_its_length() {
        let told = |digit, ms| Some(Told { digit, way: "inband".into(), ms, delay_ms: None });
        for (told, once, ok) in [
            (told('5', 98.0), true, true),
            (told('5', 98.0), false, false),
            (told('6', 98.0), true, false),
            (told('5', 40.0), true, false),
            (told('5', 200.0), true, false),
            (None, true, false),
        ] {
            assert_eq!(cell("page-rtp", "inband", '5', told, once).ok, ok);
        }
    }
}
