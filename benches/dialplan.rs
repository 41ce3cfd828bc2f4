//! What a decision costs in a small plan and in a big one, and what loading the big one costs others.
//!
//! `cargo bench --bench dialplan`. The limits of the specification are asserted: a decision in a plan
//! of 10,000 rules and 100,000 rate prefixes takes at most 10 times that in a plan of 10 rules and
//! under 20 µs, and while the big plan is loaded a media tick is never late by more than one tick.

#![allow(clippy::unwrap_used, reason = "a bench says what is wrong by stopping")]

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::Criterion;
use crosspoint::dialplan::{Files, InboundRequest, Known, OutboundRequest, Plan, load};
use jiff::Timestamp;

/// A table of prices beside the plan.
struct Rates(String);

impl Files for Rates {
    fn read(&self, name: &str) -> Result<String, String> {
        match name {
            "rates.csv" => Ok(self.0.clone()),
            other => Err(format!("{other} is not here")),
        }
    }

    fn exists(&self, _name: &str) -> Option<bool> {
        None
    }
}

fn main() {
    let small = (text(10), rates(10));
    let big = (text(10_000), rates(100_000));
    let loading = Instant::now();
    let plans = [("10 rules", plan(&small)), ("10,000 rules", plan(&big))];
    println!("both plans loaded in {} ms", loading.elapsed().as_millis());

    let mut criterion = Criterion::default().configure_from_args();
    for (name, plan) in &plans {
        for (kind, dialled) in DIALLED {
            let request = request(dialled);
            assert!(plan.evaluate_outbound(&request).rule().is_some(), "{dialled}");
            criterion.bench_function(&format!("{kind} in {name}"), |bench| {
                bench.iter(|| plan.evaluate_outbound(black_box(&request)));
            });
        }
        let inbound = InboundRequest {
            did: "+493012345670".to_owned(),
            from: Some("+491701234567".to_owned()),
            trunk: None,
            at: Timestamp::UNIX_EPOCH,
        };
        criterion.bench_function(&format!("inbound in {name}"), |bench| {
            bench.iter(|| plan.evaluate_inbound(black_box(&inbound)));
        });
    }
    criterion.final_summary();

    // The specification's limits, on medians of our own so that they hold without criterion's files.
    for (kind, dialled) in DIALLED {
        let [of_small, of_big] = [&plans[0].1, &plans[1].1].map(|plan| median(plan, dialled));
        let ratio = of_big.as_secs_f64() / of_small.as_secs_f64();
        println!("{kind}: {of_small:?} -> {of_big:?}, {ratio:.2} times");
        assert!(ratio <= 10.0, "{kind}: {ratio:.2} times");
        assert!(of_big < Duration::from_micros(20), "{kind}: {of_big:?}");
    }
    lateness(&big);
}

/// How late a 20 ms tick is on a thread of its own while the big plan is loaded three times beside it,
/// as a reload does.
fn lateness(big: &(String, String)) {
    let idle = ticks(|| thread::sleep(Duration::from_secs(2)));
    let mut loads = Vec::new();
    let busy = ticks(|| {
        for _ in 0..3 {
            let start = Instant::now();
            black_box(plan(big));
            loads.push(start.elapsed());
        }
    });
    println!("reload of 10,000 rules and 100,000 prefixes: {loads:?}");
    println!("latest tick: {idle:?} while nothing is loaded, {busy:?} during reloads");
    assert!(busy < TICK, "a reload delayed a media tick by {busy:?}");
}

/// Runs `work` on a thread beside one that ticks; the latest tick.
fn ticks(work: impl FnOnce() + Send) -> Duration {
    let done = Arc::new(AtomicBool::new(false));
    let ticking = {
        let done = done.clone();
        thread::spawn(move || {
            let mut latest = Duration::ZERO;
            let mut due = Instant::now();
            while !done.load(Ordering::Relaxed) {
                due += TICK;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                latest = latest.max(due.elapsed());
            }
            latest
        })
    };
    thread::scope(|scope| {
        scope.spawn(work);
    });
    done.store(true, Ordering::Relaxed);
    ticking.join().unwrap()
}

fn median(plan: &Plan, dialled: &str) -> Duration {
    let request = request(dialled);
    let mut times: Vec<Duration> = (0..2_001)
        .map(|_| {
            let start = Instant::now();
            black_box(plan.evaluate_outbound(black_box(&request)));
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn request(dialled: &str) -> OutboundRequest {
    OutboundRequest {
        user: "alice".parse().unwrap(),
        country: None,
        dialled: dialled.to_owned(),
        caller_id: None,
        at: Timestamp::UNIX_EPOCH,
    }
}

fn plan((text, rates): &(String, String)) -> Plan {
    let files = Rates(rates.clone());
    load(text, "plan.toml", &Known::default(), &files).unwrap_or_else(|findings| {
        panic!("{} findings, the first: {}", findings.len(), findings[0]);
    })
}

/// `count` rules, one in ten for a group, one in ten with hours, the last for every other country.
fn text(count: usize) -> String {
    let mut text = String::from(
        "version = 1\n[defaults]\ncountry = \"DE\"\ntimezone = \"Europe/Berlin\"\n\
         caller_id = \"office\"\n[caller_id.office]\nnumber = \"+493012345670\"\n\
         [group.staff]\nusers = [\"alice\", \"bob\"]\ncaller_id = [\"office\"]\n\
         [emergency]\nnumbers = { DE = [\"110\", \"112\"] }\nroute = [\"t1\"]\n\
         [extension]\n\"100\" = \"user:alice\"\n\
         [schedule.office]\nopen = [\"mon-fri 08:00-18:00\"]\n\
         [[inbound]]\nname = \"main\"\ndid = [\"+493012345670\"]\nflow = [\"user:alice\"]\n",
    );
    for n in 0..count - 1 {
        let _ = write!(text, "[[outbound]]\nname = \"rule {n}\"\nto = [\"+4930{n:05}X.\"]\n");
        match n % 10 {
            3 => text += "group = [\"staff\"]\n",
            7 => text += "when = \"office\"\n",
            _ => {}
        }
        let _ = writeln!(text, "route = [\"t{}\", \"t{}\"]", n % 5, n % 5 + 1);
    }
    text += "[[outbound]]\nname = \"the world, cheapest first\"\nregion = \"any\"\n\
             rates = \"rates.csv\"\nroute = [\"t1\", \"t2\", \"t3\", \"t4\", \"t5\"]\n";
    text
}

/// `count` prefixes of seven digits by five trunks, and one of two digits for each.
fn rates(count: usize) -> String {
    let mut text = String::from("prefix,trunk,price_per_min\n");
    for n in 0..count {
        let _ = writeln!(text, "{},t{},0.{:04}", 4_300_000 + n * 5, n % 5 + 1, n * 7 % 9_999 + 1);
    }
    text
}

/// An emergency, an extension, the first rule, one near the end of both, one that falls to the last
/// with prices, in the country and out of it.
const DIALLED: [(&str, &str); 5] = [
    ("emergency", "112"),
    ("extension", "100"),
    ("first rule", "030 00000 123"),
    ("last rule, prices", "+43 6641 234567"),
    ("last rule, no price", "+33 1 23 45 67 89"),
];

/// Of the media workers.
const TICK: Duration = Duration::from_millis(20);
