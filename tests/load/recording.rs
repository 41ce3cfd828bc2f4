//! What recording costs: 50 calls with nothing recorded, with WAV and with encrypted WAV.
//!
//! The limit of the specification, at most 5 % more CPU, is that of WAV. Opus costs what two encoders a call do:
//! 50 of them beside their calls are more than the core that is measured.

use super::calls::{Load, side_by_side, talking};
use super::render::Table;
use super::speech;

const LOAD: Load = Load { calls: 50, complexity: 5, loss: 0 };
/// Calls of the floor at the same time: its cost is the measure of the machine's mood.
const BESIDE: usize = 10;
/// Medians of as many rounds, each way by turns: what else the machine does hits all alike.
const ROUNDS: usize = 3;
const LIMIT: f64 = 1.05;

pub fn run() {
    let folder = speech::folder().join("recordings");
    let here = folder.display();
    let sealed = "key = \"0123456789abcdef0123456789abcdef\"";
    let ways = [
        ("nothing", String::new()),
        ("WAV", format!("[recording]\nfolder = \"{here}\"")),
        ("WAV, encrypted", format!("[recording]\nfolder = \"{here}\"\n{sealed}")),
    ];
    let mut costs = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for (cost, (_, tables)) in costs.iter_mut().zip(&ways) {
            let settings = format!("opus_silence_suppression = false\n{tables}");
            let (gateway, floor) = side_by_side(LOAD, BESIDE, &talking(), &settings);
            assert!(gateway.to_page > 49.0 && gateway.to_trunk > 49.0, "{gateway:?}");
            cost.push(gateway.ms / floor.ms);
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
    let medians: Vec<f64> = costs.iter().map(|cost| median(cost)).collect();
    let mut table =
        Table::new("recording", &["50 calls, recorded as", "of a call of the floor", "ratio"]);
    for ((name, _), cost) in ways.iter().zip(&medians) {
        let ratio = cost / medians[0];
        table.row(&[(*name).to_owned(), format!("{cost:.3}"), format!("{ratio:.3}")]);
    }
    table.keep();
    let ratio = medians[1] / medians[0];
    assert!(ratio <= LIMIT, "recording costs {ratio:.3} of a call, at most {LIMIT} is wanted");
}

fn median(all: &[f64]) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
