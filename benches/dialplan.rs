//! What a decision costs in a small plan and in a big one.
//!
//! `cargo bench --bench dialplan`. The limits of the specification are asserted: a decision in a plan
//! of 10,000 rules and 100,000 rate prefixes takes at most 10 times that in a plan of 10 rules and
//! under 20 µs, outbound and inbound. What a reload of the big plan costs calls in progress is measured
//! by a call: `tests/reload_cost.rs`.

#![allow(clippy::unwrap_used, reason = "a bench says what is wrong by stopping")]

use std::fmt::Write;
use std::hint::black_box;
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
        let inbound = called(INBOUND);
        assert!(plan.evaluate_inbound(&inbound).rule().is_some());
        criterion.bench_function(&format!("inbound in {name}"), |bench| {
            bench.iter(|| plan.evaluate_inbound(black_box(&inbound)));
        });
    }
    criterion.final_summary();

    // The specification's limits, on medians of our own so that they hold without criterion's files.
    let within = |kind: &str, of_small: Duration, of_big: Duration| {
        let ratio = of_big.as_secs_f64() / of_small.as_secs_f64();
        println!("{kind}: {of_small:?} -> {of_big:?}, {ratio:.2} times");
        assert!(ratio <= 10.0, "{kind}: {ratio:.2} times");
        assert!(of_big < Duration::from_micros(20), "{kind}: {of_big:?}");
    };
    let [(_, small), (_, big)] = &plans;
    for (kind, dialled) in DIALLED {
        let request = request(dialled);
        let median_in = |plan: &Plan| median(|| plan.evaluate_outbound(black_box(&request)));
        within(kind, median_in(small), median_in(big));
    }
    let inbound = called(INBOUND);
    let median_in = |plan: &Plan| median(|| plan.evaluate_inbound(black_box(&inbound)));
    within("inbound", median_in(small), median_in(big));
    groups();
}

/// A decision for one user among 3,000 groups and as many rules that name one each, and for a user
/// who is in none of them.
fn groups() {
    let count = 3_000;
    let mut text = String::from(HEAD);
    for n in 0..count {
        let _ = write!(
            text,
            "[group.g{n}]\nusers = [\"u{n}\"]\n[[outbound]]\nname = \"rule {n}\"\nregion = \"DE\"\n\
             group = \"g{n}\"\nroute = \"t1\"\n"
        );
    }
    let big = plan(&(text, String::new()));
    for user in ["u0", "u2999", "alice"] {
        let request = OutboundRequest { user: user.parse().unwrap(), ..request("030 1234567") };
        assert_eq!(big.evaluate_outbound(&request).rule().is_some(), user != "alice");
        let time = median(|| big.evaluate_outbound(black_box(&request)));
        println!("{user} among {count} groups: {time:?}");
        assert!(time < Duration::from_micros(20), "{user}: {time:?}");
    }
}

fn median<T>(mut work: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..2_001)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn called(did: &str) -> InboundRequest {
    InboundRequest {
        did: did.to_owned(),
        from: Some("+491701234567".to_owned()),
        trunk: None,
        at: Timestamp::UNIX_EPOCH,
    }
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

/// `count` outbound rules and as many numbers of our own; one outbound rule in ten is for a group, one
/// in ten has hours, and the last is for every other country.
fn text(count: usize) -> String {
    let mut text = String::from(
        "version = 1\n[defaults]\ncountry = \"DE\"\ntimezone = \"Europe/Berlin\"\n\
         caller_id = \"office\"\n[caller_id.office]\nnumber = \"+493012345670\"\n\
         [group.staff]\nusers = [\"alice\", \"bob\"]\ncaller_id = [\"office\"]\n\
         [emergency]\nnumbers = { DE = [\"110\", \"112\"] }\nroute = [\"t1\"]\n\
         [extension]\n\"100\" = \"user:alice\"\n\
         [schedule.office]\nopen = [\"mon-fri 08:00-18:00\"]\n",
    );
    for n in 0..count {
        let did = n + 10_000;
        let _ = write!(
            text,
            "[[inbound]]\nname = \"number {n}\"\ndid = [\"+493012{did}\"]\nflow = [\"user:alice\"]\n"
        );
    }
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

const HEAD: &str = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
    timezone = \"Europe/Berlin\"\ncaller_id = \"office\"\n[caller_id.office]\n\
    number = \"+493012345670\"\n";

/// The first number of ours, which both plans have.
const INBOUND: &str = "+49301210000";
