//! Example plans with random damage: each is a plan that decides, or has findings with their place.
//! A short run of what `make fuzz` does for as long as one likes.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

use std::fs;
use std::path::Path;

use crosspoint::dialplan::{Files, InboundRequest, Known, OutboundRequest, Plan, load};

struct Given;

impl Files for Given {
    fn read(&self, _name: &str) -> Result<String, String> {
        Ok("prefix,trunk,price_per_min\n43,north,0.01\n44,south,0.02\n".to_owned())
    }

    fn exists(&self, _name: &str) -> Option<bool> {
        Some(true)
    }
}

/// Numbers from a seed: SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).unwrap()
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// The plan with one to four pieces of damage.
fn damaged(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=random.below(4) {
        let at = random.below(lines.len());
        match random.below(6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[random.below(lines.len())].clone()),
            2 => {
                let other = random.below(lines.len());
                lines.swap(at, other);
            }
            3 => lines[at] = lines[at].replacen(random.of(FROM), random.of(TO), 1),
            4 => {
                let cut = random.below(lines[at].len() + 1);
                let cut = (0..=cut).rev().find(|at_| lines[at].is_char_boundary(*at_)).unwrap();
                lines[at].truncate(cut);
            }
            _ => lines[at].push_str(random.of(TO)),
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.join("\n")
}

fn decides(plan: &Plan, dialled: &str, seed: u64) {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let decisions = [
        plan.evaluate_outbound(&OutboundRequest {
            user: "alice".parse().unwrap(),
            country: None,
            dialled: dialled.to_owned(),
            caller_id: None,
            at,
        }),
        plan.evaluate_inbound(&InboundRequest {
            did: dialled.to_owned(),
            from: None,
            trunk: None,
            at,
        }),
    ];
    for decision in decisions {
        let trace = plan.explain(&decision);
        let ends = trace.iter().filter(|line| line.starts_with("=> ")).count();
        assert_eq!(ends, 1, "seed {seed}, {dialled:?}: {trace:?}");
    }
}

#[test]
fn damaged_plans_are_plans_or_have_findings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialplans");
    let names = ["office", "call-center", "click-to-call", "europe", "north-america", "demo"];
    let (mut loaded, mut refused) = (0, 0);
    for name in names {
        let text = fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap();
        for seed in 0..60_u64 {
            let mut random = Random(seed);
            let damaged = damaged(&text, &mut random);
            match load(&damaged, name, &Known::default(), &Given) {
                Ok(plan) => {
                    loaded += 1;
                    for dialled in ["112", "100", "+49 30 1234567", "0", "100&SIP/x", "\u{661}\n"] {
                        decides(&plan, dialled, seed);
                    }
                }
                Err(findings) => {
                    refused += 1;
                    assert!(!findings.is_empty(), "{name}, seed {seed}: refused without a word");
                    for finding in findings {
                        let words = finding.to_string();
                        assert!(!finding.message.is_empty(), "{name}, seed {seed}: {words}");
                        assert!(finding.line >= 1 && finding.column >= 1, "seed {seed}: {words}");
                    }
                }
            }
        }
    }
    // The damage is neither too small nor too great to say anything.
    assert!(loaded > 15 && refused > 100, "{loaded} loaded, {refused} refused");
}

const FROM: &[&str] = &["\"", "[", "]", "=", "any", "route", "user", "X", ".", "+", "0", "-", ":"];
const TO: &[&str] = &[
    "",
    "\"",
    "[",
    "]]",
    "=",
    "any",
    "\u{0}",
    "\u{feff}",
    "\u{661}",
    "99999999999999999999",
    "X.X",
    "[9-0]",
    "+",
    "-",
    "{ a = 1 }",
    "\t",
    "\\u0000",
    "menu:night",
    "#",
];
