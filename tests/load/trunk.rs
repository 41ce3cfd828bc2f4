//! The trunk's side: a SIP user agent that answers everything, and one socket for the RTP of all
//! calls.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use super::srtp::rtp;

/// A packet that the trunk got.
#[derive(Debug, Clone)]
pub struct Got {
    pub at: Instant,
    pub payload: Vec<u8>,
}

/// The RTP of all calls.
pub struct Trunk {
    pub socket: mio::net::UdpSocket,
    /// Where the gateway receives each call's, in the order of the calls.
    pub calls: Vec<SocketAddr>,
    by_address: HashMap<SocketAddr, usize>,
    pub received: u64,
    /// Of the calls from this number on everything is kept.
    pub keeps: bool,
    pub got: Vec<Vec<Got>>,
}

impl Trunk {
    pub fn new() -> Trunk {
        let socket = mio::net::UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(1 << 21);
        Trunk {
            socket,
            calls: Vec::new(),
            by_address: HashMap::new(),
            received: 0,
            keeps: false,
            got: Vec::new(),
        }
    }

    pub fn add(&mut self, address: SocketAddr) {
        self.by_address.insert(address, self.calls.len());
        self.calls.push(address);
        self.got.push(Vec::new());
    }

    pub fn send(&mut self, call: usize, seq: u16, timestamp: u32, payload: &[u8]) {
        let packet = rtp(0, seq, timestamp, 1000 + call as u32, payload);
        let _ = self.socket.send_to(&packet, self.calls[call]);
    }

    pub fn receive(&mut self, buffer: &mut [u8]) {
        while let Ok((length, source)) = self.socket.recv_from(buffer) {
            self.received += 1;
            if let Some(call) = self.by_address.get(&source).filter(|_| self.keeps) {
                self.got[*call]
                    .push(Got { at: Instant::now(), payload: buffer[12..length].to_vec() });
            }
        }
    }

    /// Its answer to any offer.
    pub fn sdp(&self) -> String {
        let port = self.socket.local_addr().unwrap().port();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
        )
    }
}

/// Where RTP is received, as SDP says it.
pub fn media_address(sdp: &str) -> SocketAddr {
    let value = |start: &str| sdp.lines().find_map(|line| line.strip_prefix(start)).unwrap();
    let address = value("c=IN IP4 ").trim();
    let port = value("m=audio ").split(' ').next().unwrap();
    format!("{address}:{port}").parse().unwrap()
}

/// Answers every call with `sdp`; tells where the media of each goes.
pub struct UserAgent {
    pub address: SocketAddr,
    pub offers: Receiver<SocketAddr>,
}

impl UserAgent {
    pub fn start(sdp: String) -> UserAgent {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (told, offers) = channel();
        thread::spawn(move || answer_all(&socket, &sdp, &told));
        UserAgent { address, offers }
    }
}

fn answer_all(socket: &UdpSocket, sdp: &str, told: &Sender<SocketAddr>) {
    let mut buffer = vec![0; 65_536];
    let mut seen = Vec::new();
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let method = text.split(' ').next().unwrap_or_default();
        if method.starts_with("SIP/") || method == "ACK" {
            continue;
        }
        let header = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.map(|line| format!("{line}\r\n")).unwrap_or_default()
        };
        let invite = method == "INVITE";
        let id = header("Call-ID:");
        if invite && !seen.contains(&id) {
            seen.push(id.clone());
            let _ = told.send(media_address(&text));
        }
        let to = header("To:");
        let tag = if to.contains("tag=") { "" } else { ";tag=t" };
        let to = format!("{}{tag}\r\n", to.trim_end());
        let vias: String =
            text.lines().filter(|l| l.starts_with("Via:")).map(|l| format!("{l}\r\n")).collect();
        let body = if invite { sdp } else { "" };
        let kind = if invite { "Content-Type: application/sdp\r\n" } else { "" };
        let reply = format!(
            "SIP/2.0 200 OK\r\n{vias}{}{to}{id}{}Contact: <sip:t@{}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            header("From:"),
            header("CSeq:"),
            socket.local_addr().unwrap(),
            body.len()
        );
        let _ = socket.send_to(reply.as_bytes(), from);
    }
}
