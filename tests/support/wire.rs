//! A phone's sound on the wire: an RTP endpoint that sends silence or a given train of packets, keeps
//! every packet it gets, and reads them octet by octet. It shares no code with the gateway.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PTIME: Duration = Duration::from_millis(20);

/// One RTP packet as it came in.
#[derive(Clone)]
pub struct Heard {
    pub at: Instant,
    bytes: Vec<u8>,
}

impl Heard {
    pub fn payload_type(&self) -> u8 {
        self.bytes[1] & 0x7f
    }

    pub fn marker(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    pub fn seq(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }

    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]])
    }

    pub fn payload(&self) -> &[u8] {
        &self.bytes[12..]
    }
}

/// A key as the wire says it was pressed.
#[derive(Debug, Clone, PartialEq)]
pub struct Press {
    pub key: char,
    pub ms: u32,
}

/// The endpoint; its port is the system's choice.
pub struct Wire {
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Vec<Heard>>,
    /// Packets to send and how long after the first of them.
    train: Mutex<Vec<(Duration, Vec<u8>)>>,
    stop: AtomicBool,
}

impl Wire {
    /// `silence`: whether it sends silence when it has nothing else to send.
    pub fn start(silence: bool) -> Wire {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread = std::thread::spawn(move || run(&socket, &of_thread, silence));
        Wire { port, shared, thread: Some(thread) }
    }

    /// Sends these packets at these times from now on.
    pub fn send(&self, packets: Vec<(Duration, Vec<u8>)>) {
        self.shared.train.lock().unwrap().extend(packets);
    }

    /// Waits until a packet came in.
    pub fn connected(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.shared.heard.lock().unwrap().is_empty() {
            assert!(Instant::now() < deadline, "no RTP reaches the phone");
            std::thread::park_timeout(PTIME);
        }
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// The keys of the telephone events of payload type `of`, each proved to follow RFC 4733: one
    /// timestamp, the marker on the first packet only, durations that grow, three equal ends, no
    /// sound before them, 50 ms or more between two; one source and no hole in the numbers.
    pub fn telephone_events(&self, of: u8) -> Vec<Press> {
        let heard = self.heard();
        for pair in heard.windows(2) {
            assert_eq!(pair[0].ssrc(), pair[1].ssrc(), "one source for the whole call");
            assert_eq!(pair[0].seq().wrapping_add(1), pair[1].seq(), "no hole in the numbers");
        }
        let mut presses: Vec<Press> = Vec::new();
        let mut over: Option<u32> = None;
        let mut rest = heard.as_slice();
        while let Some(first) = rest.iter().position(|packet| packet.payload_type() == of) {
            rest = &rest[first..];
            let timestamp = rest[0].timestamp();
            let is_event = |p: &Heard| p.payload_type() == of;
            let next = rest.iter().position(|p| is_event(p) && p.timestamp() != timestamp);
            let (train, after) = rest.split_at(next.unwrap_or(rest.len()));
            // Sound may go on between the copies of the end, not before.
            let ended = train.iter().position(|p| is_event(p) && event(p).1).unwrap();
            assert!(train[..ended].iter().all(is_event), "sound under key {}", presses.len());
            if let Some(over) = over {
                let gap = timestamp.wrapping_sub(over);
                assert!((400..1 << 31).contains(&gap), "{gap} ticks before key {}", presses.len());
            }
            let packets: Vec<&Heard> = train.iter().filter(|p| is_event(p)).collect();
            let press = one_press(&packets);
            over = Some(timestamp.wrapping_add(press.ms * 8));
            presses.push(press);
            rest = after;
        }
        presses
    }

    /// Waits until so many events of payload type `of` have ended, at most a minute.
    pub fn event_ended(&self, of: u8, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let heard = self.heard();
            let ends = heard.iter().filter(|p| p.payload_type() == of && event(p).1);
            // RFC 4733 2.5.1.4: each end is sent three times.
            if ends.count() >= 3 * count || Instant::now() > deadline {
                break;
            }
            std::thread::park_timeout(PTIME);
        }
    }

    /// Whether intervals of sound are missing though no event takes their place: the machine did not
    /// let the gateway run for so long that it gave them up.
    pub fn has_holes(&self) -> bool {
        let heard = self.heard();
        heard.windows(2).any(|pair| {
            let step = pair[1].timestamp().wrapping_sub(pair[0].timestamp()) as usize;
            pair[0].payload_type() == 0 && step > pair[0].payload().len()
        })
    }

    /// What it heard as samples at 8 kHz, put together by the timestamps; mu-law only.
    pub fn sound(&self) -> Vec<i16> {
        let heard = self.heard();
        let mut pcm = Vec::new();
        let Some(first) = heard.iter().find(|packet| packet.payload_type() == 0) else {
            return pcm;
        };
        for packet in heard.iter().filter(|packet| packet.payload_type() == 0) {
            let at = packet.timestamp().wrapping_sub(first.timestamp()) as usize;
            assert!(at < 8000 * 600, "the timestamps jump");
            pcm.resize(pcm.len().max(at + packet.payload().len()), 0);
            for (sample, law) in pcm[at..].iter_mut().zip(packet.payload()) {
                *sample = mu_law(*law);
            }
        }
        pcm
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn one_press(packets: &[&Heard]) -> Press {
    let (key, _, _) = event(packets[0]);
    let train: Vec<_> = packets
        .iter()
        .map(|packet| (packet.at - packets[0].at, packet.marker(), packet.seq(), event(packet)))
        .collect();
    let mut last = 0;
    for (n, packet) in packets.iter().enumerate() {
        let (this, end, ticks) = event(packet);
        assert_eq!(this, key, "one key per timestamp");
        assert_eq!(packet.marker(), n == 0, "{key}: the marker is on the first packet only");
        assert_eq!(end, n + 3 >= packets.len(), "{key}: exactly three ends: {train:#?}");
        assert!(ticks > last || (end && n > 0 && ticks == last), "{key}: {ticks} after {last}");
        last = ticks;
    }
    assert!(packets.len() >= 4, "{key}: no start before its ends");
    Press { key, ms: u32::from(last) / 8 }
}

/// Key, end bit and duration in ticks.
fn event(packet: &Heard) -> (char, bool, u16) {
    let payload = packet.payload();
    assert_eq!(payload.len(), 4, "one event block");
    assert_eq!(payload[1] & 0x40, 0, "the reserved bit is 0");
    let key = b"0123456789*#ABCD"[usize::from(payload[0])];
    (char::from(key), payload[1] & 0x80 != 0, u16::from_be_bytes([payload[2], payload[3]]))
}

/// ITU-T G.711.
fn mu_law(octet: u8) -> i16 {
    let octet = !octet;
    let magnitude = ((i16::from(octet & 0x0f) << 3) + 0x84) << ((octet & 0x70) >> 4);
    if octet & 0x80 != 0 { 0x84 - magnitude } else { magnitude - 0x84 }
}

fn run(socket: &UdpSocket, shared: &Shared, silence: bool) {
    let mut far: Option<SocketAddr> = None;
    let mut next = Instant::now() + PTIME;
    let mut begun: Option<Instant> = None;
    let (mut seq, mut timestamp) = (1000_u16, 160_000_u32);
    let mut buffer = [0; 2048];
    while !shared.stop.load(Ordering::Relaxed) {
        let left = next.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(left.min(Duration::from_millis(5)))).unwrap();
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            far = Some(from);
            if length >= 12 && buffer[0] & 0xc0 == 0x80 {
                let packet = Heard { at: Instant::now(), bytes: buffer[..length].to_vec() };
                shared.heard.lock().unwrap().push(packet);
            }
        }
        let Some(far) = far else { continue };
        let mut train = shared.train.lock().unwrap();
        if !train.is_empty() {
            let begun = *begun.get_or_insert_with(Instant::now);
            let due = train.iter().take_while(|(after, _)| begun.elapsed() >= *after).count();
            for (_, packet) in train.drain(..due) {
                let _ = socket.send_to(&packet, far);
            }
            next = Instant::now() + PTIME;
            continue;
        }
        begun = None;
        if silence && Instant::now() >= next {
            let mut packet = vec![0x80, 0];
            packet.extend(seq.to_be_bytes());
            packet.extend(timestamp.to_be_bytes());
            packet.extend([0x5e, 0xed, 0, 1]);
            packet.extend([0xff; 160]);
            let _ = socket.send_to(&packet, far);
            (seq, timestamp) = (seq.wrapping_add(1), timestamp.wrapping_add(160));
            next += PTIME;
        }
    }
}

/// The packets of a capture (pcap, Ethernet, IPv4, UDP) and when each came after the first.
pub fn read_capture(path: &str) -> Vec<(Duration, Vec<u8>)> {
    read_capture_with_ports(path).into_iter().map(|(at, _, packet)| (at, packet)).collect()
}

/// The same with the port that each went to.
pub fn read_capture_with_ports(path: &str) -> Vec<(Duration, u16, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e} (package sip-tester)"));
    assert_eq!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1], "a little-endian pcap");
    assert_eq!(bytes[20], 1, "Ethernet");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut packets = Vec::new();
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let time = Duration::new(word(at).into(), word(at + 4) * 1000);
        let length = word(at + 8) as usize;
        let frame = &bytes[at + 16..at + 16 + length];
        let header = usize::from(frame[14] & 0x0f) * 4;
        let udp = &frame[14 + header..];
        let octets = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
        let port = u16::from_be_bytes([udp[2], udp[3]]);
        packets.push((time, port, udp[8..octets].to_vec()));
        at += 16 + length;
    }
    let first = packets[0].0;
    packets.into_iter().map(|(time, port, packet)| (time - first, port, packet)).collect()
}
