//! The media part alone, in this process, its worker on the measured core: for settings that the
//! gateway's configuration does not have, and for its own words about a call.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use crosspoint::base::CallId;
use crosspoint::codec::{Codec, Decoder, FRAME};
use crosspoint::media::{
    AddressPolicy, LegStats, MediaEvent, Phase, Pool, PoolConfig, Session, TrunkMedia,
};
use tokio::sync::mpsc::Receiver;

use super::MEASURED_CORE;
use super::generator::{Call, Generator, Network};
use super::page::{self, Page};
use super::speech::{self, Payloads};
use super::trunk::{self, Trunk, media_address};

/// A pool with calls on it.
pub struct Lab {
    pub generator: Generator,
    events: Vec<Receiver<MediaEvent>>,
    _sessions: Vec<Session>,
    _pool: Pool,
}

/// What one call sends, over which network.
pub struct Plan {
    pub up: Arc<Payloads>,
    pub down: Arc<Payloads>,
    pub network: Network,
}

impl Lab {
    pub fn new(config: PoolConfig, plans: Vec<Plan>) -> Lab {
        let pool = Pool::start(PoolConfig { workers: 1, ..config }).unwrap();
        pin_workers();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut trunk = Trunk::new();
        trunk.keeps = true;
        let (mut calls, mut sessions, mut all_events) = (Vec::new(), Vec::new(), Vec::new());
        for (number, plan) in plans.into_iter().enumerate() {
            let id = CallId::from_parts(1_700_000_000_000, number as u128);
            let (session, events) = pool.open(id).unwrap();
            let (mut own, sdp) = Page::offering();
            runtime.block_on(async {
                own.accept(&session.browser_offer(sdp).await.unwrap());
                let media = TrunkMedia { addresses: AddressPolicy::Any, ..TrunkMedia::default() };
                let offer = session.trunk_offer(media).await.unwrap();
                trunk.add(media_address(&offer));
                session.trunk_answer(trunk.sdp(), Phase::Final).await.unwrap();
            });
            session.connect().unwrap();
            own.keeps = page::Keeps::All;
            calls.push(Call::new(own, plan.up, plan.down, 0).over(plan.network));
            sessions.push(session);
            all_events.push(events);
        }
        let mut generator = Generator::new(calls, trunk);
        generator.connect();
        generator.trunk.got.iter_mut().for_each(Vec::clear);
        Lab { generator, events: all_events, _sessions: sessions, _pool: pool }
    }

    /// The newest numbers of a call's legs.
    pub fn stats(&mut self, call: usize) -> Option<(LegStats, LegStats)> {
        let mut newest = None;
        while let Ok(event) = self.events[call].try_recv() {
            if let MediaEvent::Stats { browser, trunk } = event {
                newest = Some((browser, trunk));
            }
        }
        newest
    }
}

/// What a trunk heard, in the order of its timestamps.
pub fn heard_by_trunk(got: &[trunk::Got]) -> Vec<i16> {
    let mut decoder = Decoder::new(Codec::Pcmu).unwrap();
    let (mut pcm, mut all) = (Vec::new(), Vec::new());
    for packet in got {
        decoder.decode(&packet.payload, &mut pcm).unwrap();
        all.extend_from_slice(&pcm);
    }
    all
}

/// What a page heard: by timestamps, and noise where nothing was sent, as its decoder makes it.
pub fn heard_by_page(got: &[page::Got]) -> Vec<i16> {
    let mut decoder = Decoder::new(Codec::Opus).unwrap();
    let (mut pcm, mut all) = (Vec::new(), Vec::<i16>::new());
    let Some(first) = got.first() else { return all };
    for packet in got {
        let at = (packet.timestamp.wrapping_sub(first.timestamp) / 6) as usize;
        while all.len() + FRAME <= at {
            decoder.comfort_noise(FRAME, &mut pcm);
            all.extend_from_slice(&pcm);
        }
        if packet.payload.len() <= 2 {
            decoder.comfort_noise(FRAME, &mut pcm);
        } else {
            decoder.decode(&packet.payload, &mut pcm).unwrap();
        }
        all.extend_from_slice(&pcm);
    }
    all
}

/// PESQ of pairs of what was said and what was heard, by the `pesq` package.
pub fn pesq(name: &str, pairs: &[(Vec<i16>, Vec<i16>)]) -> Vec<f64> {
    let folder = speech::folder().join("pesq").join(name);
    fs::create_dir_all(&folder).unwrap();
    let mut list = String::new();
    for (n, (said, heard)) in pairs.iter().enumerate() {
        let [a, b] = ["said", "heard"].map(|word| folder.join(format!("{n}-{word}.wav")));
        speech::write_wav(&a, said);
        speech::write_wav(&b, heard);
        list.push_str(&format!("{}\t{}\n", a.display(), b.display()));
    }
    let file = folder.join("list.tsv");
    fs::write(&file, list).unwrap();
    let python = std::env::var("LOAD_PYTHON")
        .unwrap_or_else(|_| speech::folder().join("venv/bin/python").display().to_string());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/load/pesq_of.py");
    let output = Command::new(python).arg(script).arg(&file).output().expect("python");
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let scores: Vec<f64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(scores.len(), pairs.len(), "{error}");
    scores
}

/// The threads of the pool leave the generator's core.
fn pin_workers() {
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if name.starts_with("media-") {
            let id = path.file_name().unwrap().to_string_lossy().into_owned();
            let pinned =
                Command::new("taskset").args(["-cp", MEASURED_CORE, &id]).output().unwrap();
            assert!(pinned.status.success());
        }
    }
}
