//! CPU and memory of a call: the gateway against the floor, both on one core, the generator on another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crosspoint::codec::Discontinuous;

use super::gateway::{Gateway, Speech};
use super::generator::{Call, Generator};
use super::page::Page;
use super::process::Measured;
use super::render::Table;
use super::speech::{self, Coding};
use super::trunk::Trunk;

/// Before it is measured a call settles: the estimate of loss, the buffer.
const WARM_UP: Duration = Duration::from_secs(8);
const MEASURED: Duration = Duration::from_secs(12);

/// One way to run calls.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub calls: usize,
    pub complexity: u8,
    /// What the pages report lost, in percent: FEC toward them is on above 0.
    pub loss: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// CPU time a call and second.
    pub ms: f64,
    /// Packets a call and second that pages and the trunk got: 50 is all.
    pub to_page: f64,
    pub to_trunk: f64,
    /// Resident memory a further call, over that with one.
    pub kb: f64,
}

pub fn run() {
    // More at complexity 5 is more than a core of the machine that this was written on has, with the floor beside it.
    let loads = [
        (10, 10, 5, 5),
        (25, 25, 5, 5),
        (50, 10, 5, 5),
        (25, 25, 5, 0),
        (40, 40, 0, 0),
        (70, 10, 0, 0),
    ];
    let mut table = Table::new(
        "calls",
        &[
            "calls",
            "of the floor",
            "complexity",
            "FEC",
            "gateway, ms",
            "floor, ms",
            "ratio",
            "to pages / trunk, packets a second",
            "kB a call",
        ],
    );
    for (calls, beside, complexity, loss) in loads {
        let load = Load { calls, complexity, loss };
        let more = "opus_silence_suppression = false";
        let (gateway, floor) = side_by_side(load, beside, &talking(), more);
        let fec = if loss > 0 { "on" } else { "off" };
        table.row(&[
            calls.to_string(),
            beside.to_string(),
            complexity.to_string(),
            fec.to_owned(),
            format!("{:.2}", gateway.ms),
            format!("{:.2}", floor.ms),
            format!("{:.3}", gateway.ms / floor.ms),
            format!("{:.1} / {:.1}", gateway.to_page, gateway.to_trunk),
            // What few calls take is less than what the allocator keeps or gives back meanwhile.
            if calls < 40 { "-".to_owned() } else { format!("{:.0}", gateway.kb) },
        ]);
    }
    table.keep();
}

/// Both sides talk all the time.
pub fn talking() -> Speech {
    let coding = Coding { fec_for_loss: 5, silence: Discontinuous::Off };
    let all: Vec<_> = (0..2)
        .map(|n| {
            let pcm = speech::voice(n);
            (Arc::new(speech::opus(&pcm, coding)), Arc::new(speech::pcmu(&pcm)))
        })
        .collect();
    Arc::new(move |n| (all[n % 2].0.clone(), all[(n + 1) % 2].1.clone()))
}

/// The gateway and the floor with `beside` calls of both sides talking, on one core at the same time: what disturbs
/// the one disturbs the other, so their ratio holds on a machine that others use, too.
pub fn side_by_side(load: Load, beside: usize, speech: &Speech, more: &str) -> (Cost, Cost) {
    let c = load.complexity;
    let media = format!("opus_complexity = {c}\nopus_least_complexity = {c}\n{more}");
    let mut gateway = Gateway::with_calls(load.calls, &media, speech);
    let idle = gateway.idle_kb;
    gateway.generator.calls.iter_mut().for_each(|call| call.page.loses = load.loss);
    let (process, mut floor) = floor(Load { calls: beside, ..load }, &talking());
    let (mut cost, floor) = thread::scope(|scope| {
        let floor = scope.spawn(|| measure(beside, &mut floor, &process));
        (measure(load.calls, &mut gateway.generator, &gateway.process), floor.join().unwrap())
    });
    // What mimalloc has given back since is not counted against it.
    let more = gateway.process.resident_kb().saturating_sub(idle);
    cost.kb = more as f64 / (load.calls - 1) as f64;
    gateway.hang_up();
    (cost, floor)
}

/// The floor with calls on it.
pub fn floor(load: Load, speech: &Speech) -> (Measured, Generator) {
    let own = std::env::current_exe().unwrap();
    let [calls, complexity, loss] =
        [load.calls, usize::from(load.complexity), load.loss as usize].map(|n| n.to_string());
    let mut process = Measured::start(&own, &["floor", &calls, &complexity, &loss]);
    let line = process.line_with("ready");
    let mut addresses =
        line.split_whitespace().skip(1).map(|word| word.parse::<SocketAddr>().unwrap());
    let pages = addresses.next().unwrap();
    let mut trunk = Trunk::new();
    let mut all = Vec::new();
    for (number, address) in addresses.enumerate() {
        trunk.add(address);
        let (up, down) = speech(number);
        all.push(Call::new(Page::bare(pages, number as u32), up, down, number * 37));
    }
    let mut generator = Generator::new(all, trunk);
    generator.connect();
    (process, generator)
}

fn measure(calls: usize, generator: &mut Generator, process: &Measured) -> Cost {
    generator.run(WARM_UP);
    let (cpu, received, started) = (process.cpu(), generator.received(), Instant::now());
    generator.run(MEASURED);
    let seconds = started.elapsed().as_secs_f64() * calls as f64;
    let used = process.cpu() - cpu;
    let now = generator.received();
    Cost {
        ms: used.as_secs_f64() * 1e3 / seconds,
        to_page: (now.0 - received.0) as f64 / seconds,
        to_trunk: (now.1 - received.1) as f64 / seconds,
        kb: 0.0,
    }
}
