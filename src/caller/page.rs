//! Calls as a page makes them: signalling over a WebSocket, sound over WebRTC, by the self-test's peer.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::pace::{FRAME_TIME, Pace};
use super::playout::{DEPTH, Playout};
use super::stop::{STOPPED, Stop};
use crate::base::{Digit, DtmfMode};
use crate::codec::FRAME;
use crate::dtmf::ToneItem;
use crate::ivr::{Action, By, Case, CaseResult, Runner};
use crate::selftest::{self, Page, Source};

/// Pages of a gateway.
#[derive(Debug, Clone)]
pub struct Pages {
    /// `http://host:port` of the gateway.
    pub base: String,
    /// A token with `call:out`.
    pub token: String,
    /// Where the page's media binds.
    pub bind: IpAddr,
    /// Hangs all up.
    pub stop: Stop,
}

impl Pages {
    /// Runs a case in a call of a page of its own.
    pub async fn run(&self, case: Case) -> CaseResult {
        let mut runner = Runner::new(case);
        runner.set_delay(DEPTH);
        if let Err(error) = self.call(&mut runner).await {
            runner.fail(&format!("{error:#}"));
        }
        runner.into_result()
    }

    async fn call(&self, runner: &mut Runner) -> anyhow::Result<()> {
        if runner.case().dtmf.mode != DtmfMode::Rfc4733 {
            anyhow::bail!(
                "via: browser presses keys as browsers do; how they go on is the trunk's dtmf"
            );
        }
        if self.stop.is_stopped() {
            anyhow::bail!(STOPPED);
        }
        let mut page = Page::connect(&self.base, &self.token).await?;
        let target = runner.case().scenario.target.clone();
        runner.message(By::Local, "call.start");
        let call = match selftest::Call::start(&page, self.bind, &target).await {
            Ok(call) => call,
            Err(error) => {
                // A refusal is an answer; a connection that fails is none.
                let words = format!("{error:#}");
                runner.message(By::Remote, words.clone());
                runner.ended(By::Remote, &words);
                settle(runner);
                return Ok(());
            }
        };
        let mut playout = Playout::default();
        let mut ticks = interval(FRAME_TIME);
        let mut pace = Pace::default();
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let end = Instant::now() + runner.case().scenario.call_limit + SPARE;
        while !runner.is_over() && Instant::now() < end {
            ticks.tick().await;
            if self.stop.is_stopped() {
                let _ = call.hang_up(&mut page).await;
                anyhow::bail!(STOPPED);
            }
            pace.tick(Instant::now());
            runner.set_excuse(pace.words());
            while let Some(event) = page.next_now() {
                heard_of(runner, &call.id, &event);
            }
            let packets = call.peer.heard.lock().map(|mut heard| heard.take()).unwrap_or_default();
            for (timestamp, pcm) in packets {
                // 48 kHz, as Opus always counts (RFC 7587 4.1).
                playout.put(timestamp / 6, &pcm);
            }
            runner.frame(&playout.take(), &[0; FRAME]);
            while let Some(action) = runner.poll() {
                self.act(runner, &mut page, &call, action).await?;
            }
        }
        if !runner.is_over() {
            let _ = call.hang_up(&mut page).await;
            anyhow::bail!("the call was not over in its time");
        }
        Ok(())
    }

    async fn act(
        &self,
        runner: &mut Runner,
        page: &mut Page,
        call: &selftest::Call,
        action: Action,
    ) -> anyhow::Result<()> {
        match action {
            Action::Press(items) => press(call, &items).await?,
            Action::Say(pcm) => call.peer.play(Source::recorded(pcm)).await?,
            Action::HangUp => {
                runner.message(By::Local, "call.hangup");
                // One that is over by itself is over.
                let _ = call.hang_up(page).await;
                runner.ended(By::Local, "the test hung up");
            }
            Action::Hold(_) | Action::Transfer(_) => {
                runner.fail("hold and transfer need a call over a trunk: via: trunk");
            }
        }
        Ok(())
    }
}

/// The peer queues keys; a pause within them is kept by a task.
async fn press(call: &selftest::Call, items: &[ToneItem]) -> anyhow::Result<()> {
    let mut later = Duration::ZERO;
    let mut runs: Vec<(Duration, Vec<Digit>, Duration, Duration)> = Vec::new();
    for item in items {
        match item {
            ToneItem::Pause(pause) => {
                later += *pause;
                runs.push((later, Vec::new(), Duration::ZERO, Duration::ZERO));
            }
            ToneItem::Digit { digit, duration, gap } => {
                if runs.is_empty() {
                    runs.push((later, Vec::new(), *duration, *gap));
                }
                if let Some((_, digits, tone, pause)) = runs.last_mut() {
                    digits.push(*digit);
                    (*tone, *pause) = (*duration, *gap);
                }
                later += *duration + *gap;
            }
        }
    }
    for (at, digits, tone, gap) in runs {
        if digits.is_empty() {
            continue;
        }
        if at.is_zero() {
            call.peer.press_later(digits, tone, gap).await?;
        } else {
            let peer = call.peer.clone();
            tokio::spawn(async move {
                tokio::time::sleep(at).await;
                // A call that is over takes no keys.
                let _ = peer.press_later(digits, tone, gap).await;
            });
        }
    }
    Ok(())
}

fn heard_of(runner: &mut Runner, call: &str, event: &selftest::Event) {
    if event.text("call") != call {
        return;
    }
    let kind = event.text("type");
    let state = event.text("state");
    match kind {
        "call.state" => {
            runner.message(By::Remote, format!("call.state {state}"));
            match state {
                "ringing" => runner.response(180),
                "early-media" => runner.response(183),
                "active" => runner.response(200),
                _ => {}
            }
        }
        "call.ended" => {
            let code = event.text("code").to_owned();
            runner.message(By::Remote, format!("call.ended {code}"));
            match event.body["sip"]["status"].as_u64().and_then(|s| u16::try_from(s).ok()) {
                Some(status) if status >= 300 => runner.response(status),
                _ => runner.ended(By::Remote, "the far side hung up"),
            }
        }
        "dtmf" if event.text("phase") == "start" => {
            let key = event.text("tone").chars().next();
            if let Some(digit) = key.and_then(|key| Digit::from_char(key).ok()) {
                runner.digit(digit);
            }
        }
        _ => {}
    }
}

/// Lets the runner see the end that came before any sound.
fn settle(runner: &mut Runner) {
    for _ in 0..SETTLE {
        runner.frame(&[0; FRAME], &[0; FRAME]);
        while runner.poll().is_some() {}
        if runner.is_over() {
            return;
        }
    }
}

/// Ten seconds of frames: longer than any expectation of a call that is over.
const SETTLE: usize = 500;
const SPARE: Duration = Duration::from_secs(10);
