//! What the far side hears of a browser through a bad network: PESQ by condition, beside it what it
//! would be without each part.

use std::sync::Arc;
use std::time::Duration;

use crosspoint::codec::{Discontinuous, FRAME};
use crosspoint::media::{Playout, PoolConfig, Repair};

use super::generator::Network;
use super::lab::{Lab, Plan, heard_by_trunk, pesq};
use super::render::Table;
use super::speech::{self, Coding};

const SEEDS: u64 = 4;

/// Networks at once: a core takes that many calls without being late, and a worker that is late refuses.
const AT_ONCE: usize = 4;

pub fn run() {
    let clean = Network::default();
    let conditions: [(&str, Network); 11] = [
        ("lossless", clean),
        ("1 % random loss", Network { loss: 1.0, ..clean }),
        ("3 % random loss", Network { loss: 3.0, ..clean }),
        ("5 % random loss", Network { loss: 5.0, ..clean }),
        ("10 % random loss", Network { loss: 10.0, ..clean }),
        ("5 % in bursts of 3", Network { loss: 5.0, burst: 3.0, ..clean }),
        ("jitter 0 to 30 ms", Network { jitter_ms: 30.0, ..clean }),
        ("jitter 0 to 60 ms", Network { jitter_ms: 60.0, ..clean }),
        ("jitter 30 ms, 5 % loss", Network { jitter_ms: 30.0, loss: 5.0, ..clean }),
        ("clock +200 ppm", Network { drift_ppm: 200.0, ..clean }),
        ("clock -200 ppm", Network { drift_ppm: -200.0, ..clean }),
    ];
    let adaptive = Playout::default();
    let fixed = Duration::from_millis(60);
    let variants = [
        ("all", adaptive),
        ("no-fec", Playout { repair: Repair::WithoutFec, ..adaptive }),
        ("nothing", Playout { repair: Repair::Nothing, ..adaptive }),
        ("fixed", Playout { delay: (fixed, fixed), ..adaptive }),
    ];
    let scores: Vec<Vec<(f64, f64)>> = variants
        .iter()
        .map(|(name, playout)| {
            let config = PoolConfig { playout: *playout, ..PoolConfig::default() };
            let networks = conditions.map(|(_, network)| network);
            networks.chunks(AT_ONCE).flat_map(|some| measure(name, &config, some)).collect()
        })
        .collect();
    let mut table = Table::new(
        "quality",
        &[
            "network",
            "PESQ",
            "below lossless",
            "buffer, ms",
            "without FEC",
            "without any repair",
            "fixed 60 ms",
        ],
    );
    let lossless = scores[0][0].0;
    for (n, (name, _)) in conditions.iter().enumerate() {
        table.row(&[
            (*name).to_owned(),
            format!("{:.2}", scores[0][n].0),
            format!("{:.2}", lossless - scores[0][n].0),
            format!("{:.0}", scores[0][n].1),
            format!("{:.2}", scores[1][n].0),
            format!("{:.2}", scores[2][n].0),
            format!("{:.2}", scores[3][n].0),
        ]);
    }
    table.keep();
}

/// The mean score and the mean target of the buffer, by network.
fn measure(name: &str, config: &PoolConfig, networks: &[Network]) -> Vec<(f64, f64)> {
    let coding = Coding { fec_for_loss: 10, silence: Discontinuous::Off };
    let voices: Vec<_> = (0..2)
        .map(|n| {
            let pcm = speech::voice(n);
            let up = Arc::new(speech::opus(&pcm, coding));
            (pcm, up)
        })
        .collect();
    let silence = Arc::new(speech::pcmu(&[0; FRAME]));
    let mut plans = Vec::new();
    for network in networks {
        for seed in 1..=SEEDS {
            let up = voices[seed as usize % 2].1.clone();
            let network = Network { seed, ..*network };
            plans.push(Plan { up, down: silence.clone(), network });
        }
    }
    let config = PoolConfig { stats_every: Duration::from_secs(1), ..config.clone() };
    let mut lab = Lab::new(config, plans);
    lab.generator.mute_trunk = true;
    // The buffer gets to know its network; then the same speech again is what counts.
    let length = voices.iter().map(|(pcm, _)| pcm.len()).max().unwrap_or(0) / 8;
    lab.generator.run(Duration::from_millis(2 * length as u64 + 500));
    let pairs: Vec<_> = lab
        .generator
        .trunk
        .got
        .iter()
        .enumerate()
        .map(|(call, got)| {
            let said = &voices[(call as u64 % SEEDS + 1) as usize % 2].0;
            let heard = heard_by_trunk(got);
            let from = said.len().min(heard.len());
            let to = (from + said.len() + 2400).min(heard.len());
            (said.clone(), heard[from..to].to_vec())
        })
        .collect();
    let targets: Vec<f64> = (0..pairs.len())
        .map(|call| lab.stats(call).map_or(0.0, |(browser, _)| f64::from(browser.playout_ms)))
        .collect();
    let late = lab.generator.latest;
    println!("{name}: the generator was at most {:.1} ms late", late.as_secs_f64() * 1e3);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let scores = pesq(name, &pairs);
    let each = SEEDS as usize;
    scores.chunks(each).zip(targets.chunks(each)).map(|(s, t)| (mean(s), mean(t))).collect()
}
