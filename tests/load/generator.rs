//! The clock of the generator: when each call's packets go out, what the network does to those of the
//! pages, and who reads which socket.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::page::Page;
use super::speech::Payloads;
use super::trunk::Trunk;

/// What the network between a page and the gateway does, from a seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Network {
    /// Share of packets that are lost, in percent.
    pub loss: f64,
    /// Mean length of a loss in packets; 0 and 1 lose each by itself.
    pub burst: f64,
    /// Delay beside that of an empty path, 0 to this, in ms.
    pub jitter_ms: f64,
    /// The page's clock against ours.
    pub drift_ppm: f64,
    pub seed: u64,
}

/// One call.
pub struct Call {
    pub page: Page,
    pub up: Arc<Payloads>,
    pub down: Arc<Payloads>,
    pub network: Network,
    /// Frame of `up` and `down` that is sent first.
    pub first_frame: usize,
    random: u64,
    losing: bool,
    up_seq: u64,
    /// When each packet of the trunk left, by its number.
    pub down_sent: Vec<Instant>,
}

impl Call {
    pub fn new(page: Page, up: Arc<Payloads>, down: Arc<Payloads>, first_frame: usize) -> Call {
        Call {
            page,
            up,
            down,
            network: Network::default(),
            first_frame,
            random: 0,
            losing: false,
            up_seq: 0,
            down_sent: Vec::new(),
        }
    }

    pub fn over(mut self, network: Network) -> Call {
        self.network = network;
        self.random = network.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        self
    }

    fn uniform(&mut self) -> f64 {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Gilbert's two states: the share and the mean length of losses are those asked for.
    fn is_lost(&mut self) -> bool {
        let loss = self.network.loss / 100.0;
        let burst = self.network.burst.max(1.0);
        let chance = self.uniform();
        self.losing = if self.network.burst <= 1.0 {
            chance < loss
        } else if self.losing {
            chance < 1.0 - 1.0 / burst
        } else {
            chance < loss / (1.0 - loss) / burst
        };
        self.losing
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A page's packet arrives: number, frame of its speech, timestamp.
    Arrival {
        call: usize,
        seq: u64,
        frame: usize,
        timestamp: u32,
    },
    Page {
        call: usize,
        frame: u64,
    },
    Trunk {
        call: usize,
        frame: u64,
    },
    Look,
}

/// All calls and what is due.
pub struct Generator {
    pub calls: Vec<Call>,
    pub trunk: Trunk,
    poll: Poll,
    events: Events,
    due: BinaryHeap<Reverse<(Instant, Due)>>,
    started: Instant,
    buffer: Vec<u8>,
    /// The calls of the trunk send nothing.
    pub mute_trunk: bool,
    /// Lateness of the generator itself.
    pub latest: Duration,
}

const FRAME: Duration = Duration::from_millis(20);

impl Generator {
    pub fn new(mut calls: Vec<Call>, mut trunk: Trunk) -> Generator {
        let poll = Poll::new().unwrap();
        for (n, call) in calls.iter_mut().enumerate() {
            let registry = poll.registry();
            registry.register(&mut call.page.socket, Token(n), Interest::READABLE).unwrap();
        }
        let all = Token(calls.len());
        poll.registry().register(&mut trunk.socket, all, Interest::READABLE).unwrap();
        Generator {
            calls,
            trunk,
            poll,
            events: Events::with_capacity(256),
            due: BinaryHeap::new(),
            started: Instant::now(),
            buffer: vec![0; 2000],
            mute_trunk: false,
            latest: Duration::ZERO,
        }
    }

    /// Until every page is connected.
    pub fn connect(&mut self) {
        let limit = Instant::now() + Duration::from_secs(20);
        self.due.push(Reverse((Instant::now(), Due::Look)));
        while !self.calls.iter().all(|call| call.page.is_connected()) {
            assert!(Instant::now() < limit, "a page did not connect");
            self.step();
        }
        self.started = Instant::now() + FRAME;
        let count = self.calls.len() as u32;
        for call in 0..self.calls.len() {
            let at = self.started + FRAME * call as u32 / count;
            self.due.push(Reverse((at, Due::Page { call, frame: 0 })));
            self.due.push(Reverse((at + FRAME / 2, Due::Trunk { call, frame: 0 })));
        }
    }

    pub fn run(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step();
        }
    }

    /// When a call's page sent its first frame.
    pub fn began(&self, call: usize) -> Instant {
        self.started + FRAME * call as u32 / self.calls.len() as u32
    }

    /// Packets that pages and the trunk have received so far.
    pub fn received(&self) -> (u64, u64) {
        (self.calls.iter().map(|call| call.page.received).sum(), self.trunk.received)
    }

    fn step(&mut self) {
        let next = self
            .due
            .peek()
            .map_or(FRAME, |Reverse((at, _))| at.saturating_duration_since(Instant::now()));
        self.poll.poll(&mut self.events, Some(next)).unwrap();
        for event in &self.events {
            match self.calls.get_mut(event.token().0) {
                Some(call) => call.page.receive(&mut self.buffer),
                None => self.trunk.receive(&mut self.buffer),
            }
        }
        let now = Instant::now();
        while let Some(Reverse((at, _))) = self.due.peek() {
            if *at > now {
                break;
            }
            let Some(Reverse((at, due))) = self.due.pop() else { break };
            self.latest = self.latest.max(now - at);
            self.act(at, due);
        }
    }

    fn act(&mut self, at: Instant, due: Due) {
        match due {
            Due::Look => {
                let now = Instant::now();
                self.calls.iter_mut().for_each(|call| call.page.on_time(now));
                self.due.push(Reverse((now + FRAME / 2, Due::Look)));
            }
            Due::Page { call: number, frame } => {
                let call = &mut self.calls[number];
                let interval = FRAME.mul_f64(1.0 + call.network.drift_ppm / 1e6);
                self.due
                    .push(Reverse((at + interval, Due::Page { call: number, frame: frame + 1 })));
                let index = (frame as usize + call.first_frame) % call.up.len();
                if call.up[index].is_none() {
                    return;
                }
                let seq = call.up_seq;
                call.up_seq += 1;
                if call.is_lost() {
                    return;
                }
                let delay = Duration::from_secs_f64(call.uniform() * call.network.jitter_ms / 1e3);
                let timestamp = (frame as u32).wrapping_mul(960);
                let arrival = Due::Arrival { call: number, seq, frame: index, timestamp };
                if delay.is_zero() {
                    self.act(at, arrival);
                } else {
                    self.due.push(Reverse((at + delay, arrival)));
                }
            }
            Due::Arrival { call, seq, frame, timestamp } => {
                let call = &mut self.calls[call];
                if let Some(payload) = &call.up[frame] {
                    call.page.send(Instant::now(), seq, timestamp, payload);
                }
            }
            Due::Trunk { call: number, frame } => {
                self.due.push(Reverse((at + FRAME, Due::Trunk { call: number, frame: frame + 1 })));
                let call = &mut self.calls[number];
                let index = (frame as usize + call.first_frame) % call.down.len();
                if let Some(payload) = call.down[index].as_ref().filter(|_| !self.mute_trunk) {
                    call.down_sent.push(Instant::now());
                    let timestamp = (frame as u32).wrapping_mul(160);
                    self.trunk.send(number, frame as u16, timestamp, payload);
                }
            }
        }
    }
}
