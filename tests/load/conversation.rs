//! A conversation instead of two that talk all the time: what discontinuous transmission saves, and
//! that it costs no quality.

use std::sync::Arc;
use std::time::Duration;

use crosspoint::codec::{Discontinuous, FRAME};
use crosspoint::media::{OpusSettings, PoolConfig, Silence};

use super::calls::{self, Load};
use super::gateway::Speech;
use super::generator::Network;
use super::lab::{Lab, Plan, heard_by_page, heard_by_trunk, pesq};
use super::render::Table;
use super::speech::{self, Coding};

const SECONDS: usize = 20;

pub fn run() {
    let mut table = Table::new("conversation", &["what", "value", "goal"]);
    let load = Load { calls: 25, complexity: 5, loss: 5 };
    let (gateway, floor) = calls::side_by_side(load, load.calls, &speech(Discontinuous::On), "");
    let ratio = gateway.ms / floor.ms;
    for (what, value, goal) in [
        (
            "floor that codes every frame, ms of CPU a call and second",
            format!("{:.2}", floor.ms),
            "",
        ),
        ("gateway with silence suppression, ms", format!("{:.2}", gateway.ms), ""),
        ("ratio", format!("{ratio:.3}"), "0.65"),
        (
            "packets a call and second to pages / trunk",
            format!("{:.1} / {:.1}", gateway.to_page, gateway.to_trunk),
            "",
        ),
    ] {
        table.row(&[what.to_owned(), value, goal.to_owned()]);
    }
    for (room, level) in
        [("noise of -62 dBm0", speech::ROOM_DBM0), ("a silent room", speech::STUDIO_DBM0)]
    {
        let on = scores("dtx-on", level, Silence::Suppressed, Discontinuous::On);
        let off = scores("dtx-off", level, Silence::Sent, Discontinuous::Off);
        for (n, way) in ["to the browser", "to the trunk"].iter().enumerate() {
            table.row(&[
                format!("{room}: PESQ {way}, suppressed / every frame sent / difference"),
                format!("{:.2} / {:.2} / {:.2}", on[n], off[n], off[n] - on[n]),
                "0.05".to_owned(),
            ]);
        }
    }
    table.keep();
}

/// Conversations in turn, coded as pages and trunks do.
fn speech(silence: Discontinuous) -> Speech {
    let coding = Coding { fec_for_loss: 5, silence };
    let all: Vec<_> = (0..8)
        .map(|n| {
            let pcm = speech::conversation(n, 30, speech::ROOM_DBM0);
            (Arc::new(speech::opus(&pcm, coding)), Arc::new(speech::pcmu(&pcm)))
        })
        .collect();
    Arc::new(move |n| (all[n % 8].0.clone(), all[(n + 1) % 8].1.clone()))
}

/// Mean PESQ to the browser and to the trunk.
fn scores(name: &str, room: f64, silence: Silence, page: Discontinuous) -> [f64; 2] {
    let coding = Coding { fec_for_loss: 0, silence: page };
    let spoken: Vec<Vec<i16>> = (0..8).map(|n| speech::conversation(n, SECONDS, room)).collect();
    let plans = spoken
        .iter()
        .enumerate()
        .map(|(n, pcm)| Plan {
            up: Arc::new(speech::opus(pcm, coding)),
            down: Arc::new(speech::pcmu(&spoken[(n + 1) % spoken.len()])),
            network: Network::default(),
        })
        .collect();
    let opus = OpusSettings { silence, ..PoolConfig::default().opus };
    let mut lab = Lab::new(PoolConfig { opus, ..PoolConfig::default() }, plans);
    lab.generator.run(Duration::from_secs(SECONDS as u64) + Duration::from_millis(300));
    let down: Vec<_> = lab
        .generator
        .calls
        .iter()
        .enumerate()
        .map(|(n, call)| {
            let said = spoken[(n + 1) % spoken.len()].clone();
            (said, heard_by_page(&call.page.got))
        })
        .collect();
    let up: Vec<_> = spoken
        .iter()
        .zip(&lab.generator.trunk.got)
        .map(|(said, got)| (said.clone(), heard_by_trunk(got)))
        .collect();
    let pairs: Vec<_> = down.into_iter().chain(up).map(halves).collect();
    let all = pesq(name, &pairs);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    [mean(&all[..8]), mean(&all[8..])]
}

/// PESQ is made for some 10 s.
fn halves((mut said, mut heard): (Vec<i16>, Vec<i16>)) -> (Vec<i16>, Vec<i16>) {
    said.truncate(12 * 50 * FRAME);
    heard.truncate(12 * 50 * FRAME + 1600);
    (said, heard)
}
