//! A telephone's sound alone: a tone in mu-law for whoever sends RTP here, from the port that it came to.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub struct Beacon {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Beacon {
    /// At a port of this address that the system chooses.
    pub fn start(ip: &str, hz: f64) -> Beacon {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = Some(thread::spawn(move || run(&socket, hz, &stopped)));
        Beacon { address, stop, thread }
    }

    /// A description with this as the place of the sound.
    pub fn sdp(&self, version: u32) -> String {
        let SocketAddr::V4(address) = self.address else { panic!("IPv4") };
        format!(
            "v=0\no=sipp 1 {version} IN IP4 127.0.0.1\ns=-\nc=IN IP4 {}\nt=0 0\n\
             m=audio {} RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=sendrecv\n",
            address.ip(),
            address.port()
        )
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(socket: &UdpSocket, hz: f64, stop: &AtomicBool) {
    let mut far = None;
    let (mut seq, mut sample) = (0_u16, 0_u32);
    let mut next = Instant::now();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((_, from)) = socket.recv_from(&mut buffer) {
            far = Some(from);
        }
        let Some(far) = far else { continue };
        while Instant::now() >= next {
            next = next.max(Instant::now() - PTIME) + PTIME;
            let mut packet = vec![0x80, 0];
            packet.extend(seq.to_be_bytes());
            packet.extend(sample.to_be_bytes());
            packet.extend(u32::from(socket.local_addr().unwrap().port()).to_be_bytes());
            packet.extend((0..160).map(|n| tone(hz, sample.wrapping_add(n))));
            let _ = socket.send_to(&packet, far);
            (seq, sample) = (seq.wrapping_add(1), sample.wrapping_add(160));
        }
    }
}

/// A sample of some -12 dBm0.
fn tone(hz: f64, n: u32) -> u8 {
    let value = (f64::from(n) * hz / 8000.0 * std::f64::consts::TAU).sin() * 8000.0;
    // ITU-T G.711: sign, segment, step.
    let magnitude = (value.abs() as u32 + 132).min(32_767);
    let segment = (31 - magnitude.leading_zeros()).saturating_sub(7);
    let step = (magnitude >> (segment + 3)) & 0x0f;
    let sign = if value < 0.0 { 0x80 } else { 0 };
    !(sign | u8::try_from(segment << 4 | step).unwrap())
}

const PTIME: Duration = Duration::from_millis(20);
