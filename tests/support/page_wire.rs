//! What a browser itself put on the wire, by a capture of the loopback interface: its media is
//! encrypted, its RTP headers are not, and they say how long each of its events was.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::TempDir;
use super::browser::Engine;
use super::process::Process;
use super::wire::read_capture_with_ports;

/// A running capture.
pub struct PageWire {
    process: Process,
    dir: TempDir,
}

/// One event of the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageEvent {
    /// Its length as the browser counted it.
    pub ms: u32,
    /// From its first packet to its last on the wire.
    pub on_the_wire_ms: u32,
    /// The longest silence between two of its packets.
    pub stall_ms: u32,
}

impl PageWire {
    pub fn start() -> PageWire {
        let dir = TempDir::new("capture");
        let file = dir.join("page.pcap");
        // Made here, and open to all: the capture may run as another user.
        fs::write(&file, []).unwrap();
        let mut command = Command::new("dumpcap");
        command.args(["-i", "lo", "-f", "ip and udp", "-P", "-q", "-w"]).arg(file);
        let process = Process::start("dumpcap", &mut command);
        process.line_with("File:", Duration::from_secs(20));
        PageWire { process, dir }
    }

    /// Ends the capture when it has the end of the call, BYE and its answer, that a gateway with SIP at this port
    /// has hung up, and gives the file, which lives as long as the value: what has just been sent comes into it a
    /// moment later.
    pub fn end_with_bye(&mut self, sip: u16) -> std::path::PathBuf {
        let deadline = Instant::now() + Duration::from_secs(20);
        let via = format!("Via: SIP/2.0/UDP 127.0.0.1:{sip};");
        let has = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.split(&via).skip(1).filter(|own| own.contains(" BYE\r\n")).count() >= 2
        };
        while !has(&fs::read(self.dir.join("page.pcap")).unwrap()) {
            assert!(Instant::now() < deadline, "the BYE was not captured");
            std::thread::park_timeout(Duration::from_millis(50));
        }
        self.process.signal("INT");
        self.process.wait(Duration::from_secs(20));
        self.dir.join("page.pcap")
    }

    /// Ends the capture and gives how long each telephone event was, in ms, of those that a phone sent
    /// in the clear to these ports: the last duration under each timestamp, in ticks of 8 kHz.
    pub fn plain_events(mut self, payload_type: u8, gateway: &[u16]) -> Vec<u64> {
        self.process.signal("INT");
        self.process.wait(Duration::from_secs(20));
        let mut found: Vec<(u32, u64)> = Vec::new();
        for (at, port, bytes) in
            read_capture_with_ports(&self.dir.join("page.pcap").display().to_string())
        {
            let Some(header) = Header::read(at, &bytes) else { continue };
            if !gateway.contains(&port) || header.payload_type != payload_type || bytes.len() != 16
            {
                continue;
            }
            let ms = u64::from(u16::from_be_bytes([bytes[14], bytes[15]])) / 8;
            match found.last_mut().filter(|(timestamp, _)| *timestamp == header.timestamp) {
                Some((_, longest)) => *longest = ms.max(*longest),
                None => found.push((header.timestamp, ms)),
            }
        }
        found.into_iter().map(|(_, ms)| ms).collect()
    }

    /// Ends the capture and reads the browser's events out of what went to the gateway's ports (other
    /// tests may be on the same interface), those of each call one after the other. An event has a
    /// payload type of its own beside that of the sound, in the sound's stream; no sound is sent
    /// meanwhile, and its timestamps go on: the event is as long as the timestamps from its own to
    /// that of the interval before the next sound. Two events with no sound between them count as one.
    pub fn events(mut self, engine: Engine, gateway: &[u16]) -> Vec<Vec<PageEvent>> {
        self.process.signal("INT");
        self.process.wait(Duration::from_secs(20));
        let (sound, ticks_per_ms) = match engine {
            // `telephone-event/48000` beside Opus.
            Engine::Chromium => (111, 48),
            // Only `/8000`, counted by the clock of Opus.
            Engine::Firefox => (109, 8),
        };
        let packets = read_capture_with_ports(&self.dir.join("page.pcap").display().to_string());
        let own = packets.iter().filter(|(_, port, _)| gateway.contains(port));
        let rtp: Vec<Header> = own.filter_map(|(at, _, bytes)| Header::read(*at, bytes)).collect();
        let mut sources: Vec<u32> = Vec::new();
        for header in &rtp {
            if header.payload_type == sound && !sources.contains(&header.ssrc) {
                sources.push(header.ssrc);
            }
        }
        let of = |ssrc: u32| -> Vec<PageEvent> {
            let mut own: Vec<&Header> = rtp.iter().filter(|h| h.ssrc == ssrc).collect();
            own.sort_by_key(|h| h.seq.wrapping_sub(own_first(&rtp, ssrc)));
            events(&own, sound, ticks_per_ms)
        };
        sources.into_iter().map(of).filter(|events| !events.is_empty()).collect()
    }
}

struct Header {
    at: Duration,
    payload_type: u8,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
}

impl Header {
    fn read(at: Duration, bytes: &[u8]) -> Option<Header> {
        let payload_type = bytes.get(1)? & 0x7f;
        // RFC 5761 4: 64 to 95 are RTCP.
        if bytes.len() < 12 || bytes[0] & 0xc0 != 0x80 || (64..96).contains(&payload_type) {
            return None;
        }
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let seq = u16::from_be_bytes([bytes[2], bytes[3]]);
        Some(Header { at, payload_type, seq, timestamp: word(4), ssrc: word(8) })
    }
}

fn own_first(rtp: &[Header], ssrc: u32) -> u16 {
    rtp.iter().find(|h| h.ssrc == ssrc).map_or(0, |h| h.seq)
}

fn events(own: &[&Header], sound: u8, ticks_per_ms: u32) -> Vec<PageEvent> {
    const FRAME: u32 = 960;
    let mut found = Vec::new();
    let mut rest = own;
    while let Some(first) = rest.iter().position(|h| h.payload_type != sound) {
        rest = &rest[first..];
        let length = rest.iter().position(|h| h.payload_type == sound).unwrap_or(rest.len());
        let (event, after) = rest.split_at(length);
        // A call that ends in a tone does not say how long it was.
        let Some(back) = after.first() else { break };
        let ticks = back.timestamp.wrapping_sub(FRAME).wrapping_sub(event[0].timestamp);
        let ms = |time: Duration| time.as_millis() as u32;
        let silence = |pair: &[&Header]| pair[1].at.saturating_sub(pair[0].at);
        found.push(PageEvent {
            ms: ticks / ticks_per_ms,
            on_the_wire_ms: ms(event[event.len() - 1].at.saturating_sub(event[0].at)),
            stall_ms: ms(event.windows(2).map(silence).max().unwrap_or_default()),
        });
        rest = after;
    }
    found
}
