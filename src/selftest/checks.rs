//! The self-test's checks, in order. Every figure is measured in the run that reports it.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::calls::Call;
use super::digits as digit_table;
use super::far::FarSide;
use super::page::Page;
use super::report::{Outcome, Report};
use super::sound::{Heard, Source};
use crate::base::Digit;

/// Where the gateway is and who calls.
#[derive(Debug, Clone)]
pub struct Options {
    /// `http://host:port` of the gateway.
    pub base: String,
    /// A client token with `call:out` and `call:in`.
    pub token: String,
    /// The local address the client's media socket binds to.
    pub bind: IpAddr,
    /// Says what is going on, one line a check.
    pub progress: fn(&str),
}

/// Runs every check against a gateway that serves the demo's test lines.
/// `far` is the far side of its trunk where that can be asked.
pub async fn run(options: &Options, far: Option<&dyn FarSide>) -> Report {
    let mut report = Report::default();
    let Some(mut page) = signed_in(&mut report, options).await else { return report };
    let say = options.progress;
    say("echo line: set-up, tone, click, digits");
    echo(&mut report, &mut page, options.bind).await;
    say("digits: every way in, every way out, every key");
    digit_table::table(&mut report, &mut page, options.bind, far).await;
    say("tone line");
    report.add("tone-phone-to-page", tone_line(&mut page, options.bind).await);
    say("busy line");
    report.add("refusal-busy", refused(&mut page, options.bind, "605", "busy", 486).await);
    say("early media line");
    report.add("early-media-then-480", early_media(&mut page, options.bind).await);
    say("a line that never answers, cancelled");
    report.add("cancel-while-ringing", cancel(&mut page, options.bind).await);
    say("unknown number");
    report.add("refusal-unknown", unknown(&mut page, options.bind).await);
    say("the line that hangs up and calls back");
    call_back(&mut report, &mut page, options.bind).await;
    say("what is left over");
    report.add("nothing-left", nothing_left(&options.base).await);
    report
}

async fn signed_in(report: &mut Report, options: &Options) -> Option<Page> {
    match Page::connect(&options.base, &options.token).await {
        Ok(page) => Some(page),
        Err(error) => {
            report.add("connect", Err(error));
            None
        }
    }
}

/// One call to the echo line: set-up, a tone there and back, hang-up. Some four seconds.
pub async fn brief(options: &Options) -> Report {
    let mut report = Report::default();
    let Some(mut page) = signed_in(&mut report, options).await else { return report };
    match set_up(&mut page, options.bind).await {
        Ok((outcome, call)) => {
            report.add("set-up", Ok(outcome));
            report.add("tone", echo_tone(&call).await);
            report.add("hang-up", hang_up_by_page(&mut page, &call).await);
        }
        Err(error) => report.add("set-up", Err(error)),
    }
    report
}

/// Everything that one call to the echo line shows.
async fn echo(report: &mut Report, page: &mut Page, bind: IpAddr) {
    let call = match set_up(page, bind).await {
        Ok((outcome, call)) => {
            report.add("set-up", Ok(outcome));
            call
        }
        Err(error) => return report.add("set-up", Err(error)),
    };
    report.add("tone-page-to-phone", echo_tone(&call).await);
    report.add("click-delay", click(page, bind, &call).await);
    report.add("digits-both-ways", digits(page, &call).await);
    report.add("hang-up-by-page", hang_up_by_page(page, &call).await);
}

async fn set_up(page: &mut Page, bind: IpAddr) -> anyhow::Result<(Outcome, Call)> {
    let call = Call::start(page, bind, "600").await?;
    let active = call.state(page, "active").await?;
    let connected = call.peer.connected(LIMIT).await.context("ICE and DTLS did not come up")?;
    let answered = active.at.duration_since(call.started);
    let media = connected.duration_since(call.started);
    let outcome = Outcome::new(answered < SET_UP_LIMIT && media < SET_UP_LIMIT)
        .figure("answered_ms", ms(answered))
        .figure("media_ms", ms(media));
    Ok((outcome, call))
}

/// A tone of the page's own comes back from the echo line at its frequency and level.
async fn echo_tone(call: &Call) -> anyhow::Result<Outcome> {
    call.peer.play(Source::tone(ECHO_HZ, ECHO_DBM0)).await?;
    let outcome = listen(call, ECHO_HZ, ECHO_DBM0).await;
    call.peer.play(Source::Silence).await?;
    Ok(outcome)
}

/// The milliwatt line's tone is heard at its frequency and level.
async fn tone_line(page: &mut Page, bind: IpAddr) -> anyhow::Result<Outcome> {
    let call = Call::start(page, bind, "602").await?;
    call.state(page, "active").await?;
    call.peer.connected(LIMIT).await.context("ICE and DTLS did not come up")?;
    let outcome = listen(&call, 1004.0, -16.0).await;
    call.hang_up(page).await?;
    Ok(outcome)
}

/// Two seconds of a tone. What is judged is the sound on the sender's timeline, not when it came: a packet
/// that this machine delivers late is no gap. A gateway that a busy machine keeps waiting for 100 ms does
/// leave one, so it may try three times; one that loses sound by itself does so each time.
async fn listen(call: &Call, hz: f64, dbm0: f64) -> Outcome {
    // The first second is the buffers' and the codecs' to settle.
    sleep(Duration::from_secs(1)).await;
    for attempt in 1.. {
        clear(call);
        let from = Instant::now();
        while heard(call, Heard::span) < LISTENED && from.elapsed() < LIMIT {
            sleep(Duration::from_millis(20)).await;
        }
        let outcome = heard(call, |heard| judge_tone(heard, hz, dbm0));
        if outcome.is_ok() || attempt == ATTEMPTS {
            return outcome.fact("attempts", attempt);
        }
    }
    unreachable!("the last attempt returns")
}

fn heard<T>(call: &Call, of: impl Fn(&Heard) -> T) -> T {
    of(&call.peer.heard.lock().expect("no holder panics"))
}

fn judge_tone(heard: &Heard, hz: f64, dbm0: f64) -> Outcome {
    let (span, strongest, level) = (heard.span(), heard.strongest(), heard.level_at(hz));
    let gaps = heard.gaps(hz, dbm0 - GAP_DB);
    let ok = span >= LISTENED
        && gaps <= MOST_GAPS
        && (strongest - hz).abs() <= 4.0
        && (level - dbm0).abs() <= 1.0;
    Outcome::new(ok)
        .figure("sent_hz", hz)
        .figure("strongest_hz", strongest)
        .figure("sent_dbm0", dbm0)
        .figure("level_dbm0", level)
        .figure("gaps_ms", ms(gaps))
        .figure("latest_packet_ms", ms(heard.longest_gap()))
}

/// One-way delays: the clicking line clicks at each whole second of the system's clock, so the way
/// to the page is a subtraction; the echo line gives the round trip, and the difference is the way
/// to the phone. Both ends are on one machine's clock.
async fn click(page: &mut Page, bind: IpAddr, echo: &Call) -> anyhow::Result<Outcome> {
    let mut round_trips = Vec::new();
    for _ in 0..CLICKS {
        clear(echo);
        let at = Instant::now() + Duration::from_millis(200);
        echo.peer.play(Source::Click { at }).await?;
        sleep(Duration::from_millis(900)).await;
        let heard = echo.peer.heard.lock().expect("no holder panics");
        let back = heard.click_after(at).context("the click did not come back")?;
        round_trips.push(ms(back.duration_since(at)));
    }
    echo.peer.play(Source::Silence).await?;

    let call = Call::start(page, bind, "608").await?;
    call.state(page, "active").await?;
    call.peer.connected(LIMIT).await.context("ICE and DTLS did not come up")?;
    let mut to_page = Vec::new();
    for _ in 0..CLICKS {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let next = Duration::from_secs(wall.as_secs() + 1) - wall;
        let second = Instant::now() + next;
        sleep(next + Duration::from_millis(700)).await;
        let heard = call.peer.heard.lock().expect("no holder panics");
        // The clicks are a second apart: the one nearest after the second is its own.
        let from = second - Duration::from_millis(20);
        let click = heard.click_after(from).context("the line did not click")?;
        to_page.push(ms(click.saturating_duration_since(second)));
    }
    call.hang_up(page).await?;
    let (round_trip, to_page) = (median(round_trips), median(to_page));
    let to_phone = round_trip - to_page;
    Ok(Outcome::new(to_page < DELAY_LIMIT_MS && to_phone < DELAY_LIMIT_MS)
        .figure("round_trip_ms", round_trip)
        .figure("phone_to_page_ms", to_page)
        .figure("page_to_phone_ms", to_phone))
}

/// The echo line sends every digit back: what was pressed is what the `dtmf` events say. A stall of this
/// machine in a key may end it early (RFC 4733 2.5.2.2): then all are pressed again.
async fn digits(page: &mut Page, call: &Call) -> anyhow::Result<Outcome> {
    for attempt in 1.. {
        let outcome = pressed(page, call).await?;
        if outcome.is_ok() || attempt == ATTEMPTS {
            return Ok(outcome.fact("attempts", attempt));
        }
    }
    unreachable!("the last attempt returns")
}

async fn pressed(page: &mut Page, call: &Call) -> anyhow::Result<Outcome> {
    let sent: Vec<Digit> = Digit::ALL.to_vec();
    let tone = Duration::from_millis(100);
    call.peer.press(sent.clone(), tone, Duration::from_millis(80)).await?;
    let mut received = String::new();
    let (mut shortest, mut longest) = (f64::MAX, 0.0_f64);
    while received.len() < sent.len() {
        let event = page
            .event(Duration::from_secs(3), "a dtmf event", |e| {
                e.text("type") == "dtmf" && e.text("call") == call.id && e.text("phase") == "end"
            })
            .await;
        let Ok(event) = event else { break };
        received.push_str(event.text("tone"));
        let length = event.body["duration"].as_f64().unwrap_or(0.0);
        (shortest, longest) = (shortest.min(length), longest.max(length));
    }
    // A digit too many would come now.
    let extra = page.event(Duration::from_millis(500), "nothing", |e| {
        e.text("type") == "dtmf" && e.text("phase") == "end" && e.text("call") == call.id
    });
    if let Ok(event) = extra.await {
        received.push_str(event.text("tone"));
    }
    let pressed: String = sent.iter().map(|d| d.as_char()).collect();
    let right_length = shortest >= 80.0 && longest <= 140.0;
    Ok(Outcome::new(received == pressed && right_length)
        .fact("pressed", pressed)
        .fact("received", received)
        .figure("sent_ms", ms(tone))
        .figure("shortest_ms", shortest)
        .figure("longest_ms", longest))
}

async fn hang_up_by_page(page: &mut Page, call: &Call) -> anyhow::Result<Outcome> {
    let from = Instant::now();
    let ended = call.hang_up(page).await?;
    Ok(end_outcome(&ended.body, "hangup", "local").figure("took_ms", ms(ended.at - from)))
}

/// The call is refused with the right word and status.
async fn refused(
    page: &mut Page,
    bind: IpAddr,
    to: &str,
    code: &str,
    status: u16,
) -> anyhow::Result<Outcome> {
    let call = Call::start(page, bind, to).await?;
    let ended = call.ended(page, LIMIT).await?;
    ensure_status(&ended.body, status)?;
    Ok(end_outcome(&ended.body, code, "remote").fact("sip", status))
}

async fn early_media(page: &mut Page, bind: IpAddr) -> anyhow::Result<Outcome> {
    let call = Call::start(page, bind, "606").await?;
    call.state(page, "early-media").await?;
    let ended = call.ended(page, Duration::from_secs(30)).await?;
    ensure_status(&ended.body, 480)?;
    let heard = call.peer.heard.lock().expect("no holder panics").seconds();
    let fine = heard > 0.5;
    let outcome = end_outcome(&ended.body, "unreachable", "remote");
    Ok(if fine { outcome } else { Outcome::new(false) }.figure("early_media_s", heard))
}

async fn cancel(page: &mut Page, bind: IpAddr) -> anyhow::Result<Outcome> {
    let call = Call::start(page, bind, "604").await?;
    call.state(page, "ringing").await?;
    let from = Instant::now();
    let ended = call.hang_up(page).await?;
    Ok(end_outcome(&ended.body, "cancelled", "local").figure("took_ms", ms(ended.at - from)))
}

async fn unknown(page: &mut Page, bind: IpAddr) -> anyhow::Result<Outcome> {
    match Call::start(page, bind, "03023125000").await {
        // A refusal in the reply is as good as one in `call.ended`: both name the rule.
        Err(error) => {
            let text = format!("{error:#}");
            Ok(Outcome::new(text.contains("call/blocked-by-dialplan")).fact("refusal", text))
        }
        Ok(call) => {
            let ended = call.ended(page, LIMIT).await?;
            Ok(end_outcome(&ended.body, "blocked-by-dialplan", "gateway"))
        }
    }
}

/// The phone side hangs up, calls back, and is heard; then the page hangs up.
async fn call_back(report: &mut Report, page: &mut Page, bind: IpAddr) {
    report.add("hang-up-by-phone", hang_up_by_phone(page, bind).await);
    report.add("call-to-page", incoming(page, bind).await);
}

async fn hang_up_by_phone(page: &mut Page, bind: IpAddr) -> anyhow::Result<Outcome> {
    let call = Call::start(page, bind, "607").await?;
    call.state(page, "active").await?;
    let ended = call.ended(page, Duration::from_secs(30)).await?;
    Ok(end_outcome(&ended.body, "hangup", "remote"))
}

async fn incoming(page: &mut Page, bind: IpAddr) -> anyhow::Result<Outcome> {
    let call = Call::take(page, bind).await?;
    let active = call.state(page, "active").await?;
    call.peer.connected(LIMIT).await.context("ICE and DTLS did not come up")?;
    sleep(Duration::from_secs(1)).await;
    let heard = call.peer.heard.lock().expect("no holder panics").seconds();
    let ended = call.hang_up(page).await?;
    ensure!(heard > 0.3, "only {heard:.1} s of sound came");
    Ok(end_outcome(&ended.body, "hangup", "local")
        .figure("answered_ms", ms(active.at.duration_since(call.started)))
        .figure("heard_s", heard))
}

/// No call, dialog, transaction, media session or port is left once SIP's timers have run out.
async fn nothing_left(base: &str) -> anyhow::Result<Outcome> {
    let from = Instant::now();
    loop {
        let metrics = super::page::get(base, "/metrics").await?;
        let left: Vec<(&str, f64)> =
            LEFT_OVERS.iter().map(|name| (*name, gauge(&metrics, name))).collect();
        let none = left.iter().all(|(_, value)| *value == 0.0);
        if none || from.elapsed() > LEFT_LIMIT {
            let outcome = Outcome::new(none).figure("after_ms", ms(from.elapsed()));
            return Ok(left.iter().fold(outcome, |o, (name, value)| o.figure(name, *value)));
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// The sum of a gauge over its labels; NaN where the gateway does not have it.
fn gauge(metrics: &str, name: &str) -> f64 {
    let values: Vec<f64> = metrics
        .lines()
        .filter(|line| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']))
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    if values.is_empty() { f64::NAN } else { values.iter().sum() }
}

fn end_outcome(ended: &Value, code: &str, by: &str) -> Outcome {
    Outcome::new(ended["code"] == code && ended["by"] == by)
        .fact("code", ended["code"].clone())
        .fact("by", ended["by"].clone())
}

fn ensure_status(ended: &Value, status: u16) -> anyhow::Result<()> {
    let got = &ended["sip"]["status"];
    ensure!(*got == status, "the SIP status was {got}, not {status}");
    Ok(())
}

fn clear(call: &Call) {
    call.peer.heard.lock().expect("no holder panics").clear();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

const LIMIT: Duration = Duration::from_secs(10);
const SET_UP_LIMIT: Duration = Duration::from_secs(3);
/// ITU-T G.114: up to 150 ms one way goes unnoticed.
const DELAY_LIMIT_MS: f64 = 150.0;
const ECHO_HZ: f64 = 1400.0;
const ECHO_DBM0: f64 = -20.0;
const CLICKS: usize = 3;
/// Of a tone, on the sender's timeline.
const LISTENED: Duration = Duration::from_secs(2);
/// A packet in which a tone is this much weaker is a gap in it, in dB.
const GAP_DB: f64 = 6.0;
/// In two seconds: two packets.
const MOST_GAPS: Duration = Duration::from_millis(40);
const ATTEMPTS: u32 = 3;
/// SIP keeps a transaction for up to 64 * T1 = 32 s after its end (RFC 3261 17.1).
const LEFT_LIMIT: Duration = Duration::from_secs(45);
const LEFT_OVERS: &[&str] = &[
    "crosspoint_calls_active",
    "crosspoint_dialogs",
    "crosspoint_sip_transactions",
    "crosspoint_media_sessions",
    "crosspoint_rtp_ports_in_use",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_summed_over_labels_and_missing_is_not_zero() {
        let text = "# TYPE a gauge\na{x=\"1\"} 2\na{x=\"2\"} 3\nab 7\n";
        assert_eq!(gauge(text, "a"), 5.0);
        assert_eq!(gauge(text, "ab"), 7.0);
        assert!(gauge(text, "c").is_nan());
    }
}
