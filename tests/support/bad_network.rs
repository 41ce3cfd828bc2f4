//! A network between a browser and a TURN server that loses, delays, overtakes and doubles sound: this
//! kernel has no netem. Seeded; checks, handshakes and the TURN server's own requests pass unharmed.

use std::collections::{BinaryHeap, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// What happens to packets of sound, both ways.
#[derive(Clone, Copy)]
pub struct Faults {
    /// Of a thousand.
    pub lost: u64,
    /// Of a thousand.
    pub doubled: u64,
    /// Each is late by anything up to this: above 20 ms they overtake each other.
    pub jitter: Duration,
    pub seed: u64,
}

pub struct BadNetwork {
    /// Whom the browser takes for the server.
    pub port: u16,
    counts: Arc<[AtomicU64; 3]>,
}

impl BadNetwork {
    /// In front of the server at `port` of this machine.
    pub fn before(port: u16, faults: Faults) -> BadNetwork {
        println!("bad network: seed {}", faults.seed);
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let own = front.local_addr().unwrap().port();
        let counts = Arc::new([const { AtomicU64::new(0) }; 3]);
        let (later, late) = mpsc::channel();
        thread::spawn(move || deliver(&late));
        let told = counts.clone();
        // Threads end with the process: a socket that is read has no other way to be woken.
        thread::spawn(move || {
            let mut dice =
                Dice { faults, state: faults.seed | 1, counts: told.clone(), later: later.clone() };
            let mut ways: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = front.recv_from(&mut buffer) {
                let back = ways.entry(from).or_insert_with(|| {
                    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
                    back.connect(("127.0.0.1", port)).unwrap();
                    let (front, answers) = (front.clone(), back.clone());
                    let state = faults.seed.rotate_left(32) | 1;
                    let mut dice =
                        Dice { faults, state, counts: told.clone(), later: later.clone() };
                    thread::spawn(move || {
                        let mut buffer = [0; 2048];
                        while let Ok(length) = answers.recv(&mut buffer) {
                            dice.pass(&buffer[..length], &front, Some(from));
                        }
                    });
                    back
                });
                dice.pass(&buffer[..length], back, None);
            }
        });
        BadNetwork { port: own, counts }
    }

    /// Packets of sound: all, lost, doubled.
    pub fn counts(&self) -> [u64; 3] {
        std::array::from_fn(|n| self.counts[n].load(Ordering::Relaxed))
    }
}

struct Dice {
    faults: Faults,
    state: u64,
    counts: Arc<[AtomicU64; 3]>,
    later: Sender<Late>,
}

impl Dice {
    fn next(&mut self) -> u64 {
        // Xorshift (Marsaglia): which packets suffer is a matter of the seed alone.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn pass(&mut self, packet: &[u8], by: &Arc<UdpSocket>, to: Option<SocketAddr>) {
        let now = Instant::now();
        let mut copies = vec![now];
        if is_sound(packet) {
            self.counts[0].fetch_add(1, Ordering::Relaxed);
            let fate = self.next() % 1000;
            let jitter = self.faults.jitter.as_micros() as u64;
            copies[0] = now + Duration::from_micros(self.next() % jitter.max(1));
            if fate < self.faults.lost {
                self.counts[1].fetch_add(1, Ordering::Relaxed);
                return;
            }
            if fate < self.faults.lost + self.faults.doubled {
                self.counts[2].fetch_add(1, Ordering::Relaxed);
                copies.push(now + Duration::from_micros(self.next() % jitter.max(1)));
            }
        }
        for due in copies {
            let _ = self.later.send(Late { due, packet: packet.to_vec(), by: by.clone(), to });
        }
    }
}

/// Whether it is RTP or RTCP (RFC 7983) in a channel of TURN (RFC 8656 12.4).
fn is_sound(packet: &[u8]) -> bool {
    matches!(packet, [0x40..=0x4f, _, _, _, 0x80..=0xbf, ..])
}

struct Late {
    due: Instant,
    packet: Vec<u8>,
    by: Arc<UdpSocket>,
    to: Option<SocketAddr>,
}

impl PartialEq for Late {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Late {}

impl PartialOrd for Late {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Late {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.due.cmp(&self.due)
    }
}

/// Sends each when it is due.
fn deliver(late: &mpsc::Receiver<Late>) {
    let mut waiting: BinaryHeap<Late> = BinaryHeap::new();
    loop {
        let pause = waiting.peek().map_or(Duration::from_secs(1), |next| {
            next.due.saturating_duration_since(Instant::now())
        });
        match late.recv_timeout(pause) {
            Ok(packet) => waiting.push(packet),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while waiting.peek().is_some_and(|next| next.due <= Instant::now()) {
            let Some(Late { packet, by, to, .. }) = waiting.pop() else { break };
            let _ = match to {
                Some(to) => by.send_to(&packet, to),
                None => by.send(&packet),
            };
        }
    }
}
