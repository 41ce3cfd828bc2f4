//! Delay that the gateway adds, packet by packet against the floor's, and how late its ticks are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crosspoint::codec::Discontinuous;
use crosspoint::media::PoolConfig;

use super::calls::{self, Load};
use super::gateway::{Gateway, late_p99};
use super::generator::{Generator, Network};
use super::lab::{Lab, Plan, heard_by_trunk};
use super::page::Keeps;
use super::process::Measured;
use super::render::Table;
use super::speech::{self, Coding};
use super::trunk;

const CALLS: usize = 10;
const MEASURED: Duration = Duration::from_secs(12);

pub fn run() {
    let mut table = Table::new("delay", &["what", "gateway", "floor", "added"]);
    let load = Load { calls: CALLS, complexity: 5, loss: 0 };
    let (process, mut floor) = calls::floor(load, &calls::talking());
    let base = downlink(&mut floor);
    floor.trunk.keeps = true;
    floor.run(Duration::from_secs(10));
    let codec = uplink(&floor, 0);
    drop(process);
    let media = "opus_silence_suppression = false\n";
    let mut gateway = Gateway::with_calls(CALLS, media, &calls::talking());
    let before = gateway.lateness();
    let own = downlink(&mut gateway.generator);
    let late = late_p99(&before, &gateway.lateness());
    gateway.hang_up();
    let own_timer = std::env::current_exe().unwrap();
    let mut timer = Measured::start(&own_timer, &["timer"]);
    let bare = timer.line_with("p99").trim().trim_start_matches("p99 ").parse::<f64>().unwrap();
    for (name, own, base) in [("median", own.0, base.0), ("p99", own.1, base.1)] {
        table.row(&[
            format!("trunk to browser, {name}, ms"),
            format!("{own:.2}"),
            format!("{base:.2}"),
            format!("{:.2}", own - base),
        ]);
    }
    for jitter_ms in [0.0, 30.0] {
        let (delay, target) = through_the_buffer(jitter_ms);
        table.row(&[
            format!(
                "browser to trunk, jitter {jitter_ms:.0} ms, ms (the buffer aims at {target:.0})"
            ),
            format!("{delay:.1}"),
            format!("{codec:.1}"),
            format!("{:.1}", delay - codec),
        ]);
    }
    table.row(&[
        "lateness of a tick, p99, ms".to_owned(),
        format!("at most {late}"),
        format!("{bare:.2} (a bare timer)"),
        String::new(),
    ]);
    table.keep();
}

/// Says how late a loop is that waits for every 20th millisecond and does nothing else: the machine's own share.
pub fn timer() {
    let tick = Duration::from_millis(20);
    let mut due = Instant::now();
    let mut late: Vec<Duration> = (0..600)
        .map(|_| {
            due += tick;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            Instant::now().saturating_duration_since(due)
        })
        .collect();
    late.sort();
    println!("p99 {}", late[late.len() * 99 / 100].as_secs_f64() * 1e3);
}

/// Median and 99th percentile from the trunk's packet to the page's, in ms.
fn downlink(generator: &mut Generator) -> (f64, f64) {
    generator.run(Duration::from_secs(4));
    for call in &mut generator.calls {
        call.page.keeps = Keeps::All;
        call.page.got.clear();
    }
    generator.run(MEASURED);
    let mut delays = Vec::new();
    for call in &generator.calls {
        let Some(first) = call.page.got.first() else { continue };
        // Of which packet the first one was made is what the least delay says: below a frame.
        let newest = call.down_sent.iter().rposition(|at| *at <= first.at).unwrap_or(0);
        for got in &call.page.got {
            let index = newest + usize::from(got.seq.wrapping_sub(first.seq));
            if let Some(delay) =
                call.down_sent.get(index).and_then(|at| got.at.checked_duration_since(*at))
            {
                delays.push(delay.as_secs_f64() * 1e3);
            }
        }
        assert!(call.page.got.len() > 500, "{} packets", call.page.got.len());
    }
    delays.sort_by(f64::total_cmp);
    (delays[delays.len() / 2], delays[delays.len() * 99 / 100])
}

/// Delay through the playout buffer in ms, and what the buffer aims at.
fn through_the_buffer(jitter_ms: f64) -> (f64, f64) {
    let coding = Coding { fec_for_loss: 5, silence: Discontinuous::Off };
    let pcm = speech::voice(0);
    let (up, down) = (Arc::new(speech::opus(&pcm, coding)), Arc::new(speech::pcmu(&pcm)));
    let plans = (0..CALLS as u64)
        .map(|seed| {
            let network = Network { jitter_ms, seed: seed + 1, ..Network::default() };
            Plan { up: up.clone(), down: down.clone(), network }
        })
        .collect();
    let config = PoolConfig { stats_every: Duration::from_secs(1), ..PoolConfig::default() };
    let mut lab = Lab::new(config, plans);
    // Long enough for the target to settle.
    lab.generator.run(Duration::from_secs(15));
    lab.generator.trunk.got.iter_mut().for_each(Vec::clear);
    lab.generator.run(Duration::from_secs(8));
    let delays: Vec<f64> = (0..CALLS).map(|call| uplink(&lab.generator, call)).collect();
    let targets: Vec<f64> = (0..CALLS)
        .filter_map(|call| lab.stats(call).map(|(browser, _)| f64::from(browser.playout_ms)))
        .collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    (mean(&delays), mean(&targets))
}

/// From a page's packet to the trunk's packet with the same sound, in ms, by correlation.
fn uplink(generator: &Generator, call: usize) -> f64 {
    let got: &[trunk::Got] = &generator.trunk.got[call];
    let first = got.first().expect("the trunk got sound");
    let heard = heard_by_trunk(got);
    let said = speech::voice(call_voice(generator, call));
    let first_frame = generator.calls[call].first_frame;
    let began = generator.began(call);
    // Where in the speech the page was when the first packet kept came in.
    let at = first.at.duration_since(began).as_secs_f64() * 8000.0 + first_frame as f64 * 160.0;
    let window = &heard[4000..heard.len().min(4000 + 24_000)];
    let likeness = |lag: i64| -> f64 {
        let start = at as i64 + 4000 - lag;
        window
            .iter()
            .enumerate()
            .step_by(2)
            .map(|(n, sample)| {
                let index = (start + n as i64).rem_euclid(said.len() as i64) as usize;
                f64::from(*sample) * f64::from(said[index])
            })
            .sum()
    };
    let best = (-400..3200).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap_or(0);
    best as f64 / 8.0
}

/// Which voice a call's page speaks.
fn call_voice(generator: &Generator, call: usize) -> usize {
    if generator.calls[call].first_frame == 0 { 0 } else { call % 2 }
}
