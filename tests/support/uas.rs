//! A trunk of bytes over UDP: refuses, stays silent, speaks early or answers, and can call.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How it takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Answers,
    /// Every INVITE and OPTIONS with this status.
    Refuses(u16),
    Silent,
    /// 183 with SDP, then this status.
    EarlyMediaThen(u16),
}

pub struct Uas {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    socket: UdpSocket,
    manner: Mutex<Manner>,
    invites: AtomicU32,
    /// The final status of an INVITE of its own.
    answered: AtomicU32,
    stop: AtomicBool,
}

impl Uas {
    pub fn start(manner: Manner) -> Uas {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            socket,
            manner: Mutex::new(manner),
            invites: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            stop: AtomicBool::new(false),
        });
        let runs = shared.clone();
        let thread = Some(thread::spawn(move || runs.run()));
        Uas { port, shared, thread }
    }

    pub fn target(&self) -> String {
        format!("sip:127.0.0.1:{}", self.port)
    }

    pub fn set(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// INVITEs that came, each counted once.
    pub fn invites(&self) -> u32 {
        self.shared.invites.load(Ordering::Relaxed)
    }

    /// Calls a number of the gateway's.
    pub fn invite(&self, gateway: SocketAddr, number: &str) {
        let (port, sdp) = (self.port, sdp());
        let text = format!(
            "INVITE sip:{number}@{gateway} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKuas{port}\r\nMax-Forwards: 70\r\n\
             From: <sip:+493055512345@127.0.0.1>;tag=uas\r\nTo: <sip:{number}@{gateway}>\r\n\
             Call-ID: uas-{port}\r\nCSeq: 1 INVITE\r\nContact: <sip:uas@127.0.0.1:{port}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        self.shared.socket.send_to(text.as_bytes(), gateway).unwrap();
    }

    /// The status that ended the call it made.
    pub async fn final_answer(&self) -> u32 {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            match self.shared.answered.load(Ordering::Relaxed) {
                0 => assert!(Instant::now() < deadline, "no final answer"),
                status => return status,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Uas {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut buffer = vec![0; 65_536];
        let mut seen: Vec<String> = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { continue };
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if let Some(rest) = message.strip_prefix("SIP/2.0 ") {
                let status: u32 = rest[..3].parse().unwrap();
                if status >= 200 && header(&message, "CSeq").ends_with("INVITE") {
                    self.answered.store(status, Ordering::Relaxed);
                }
                continue;
            }
            let method = message.split(' ').next().unwrap_or_default();
            let id = format!("{}{}", header(&message, "Call-ID"), header(&message, "CSeq"));
            let manner = *self.manner.lock().unwrap();
            match (method, manner) {
                (_, Manner::Silent) | ("ACK", _) => {}
                ("INVITE", manner) => {
                    if !seen.contains(&id) {
                        seen.push(id);
                        self.invites.fetch_add(1, Ordering::Relaxed);
                    }
                    match manner {
                        Manner::Answers => self.answer(&message, from, 200, &sdp()),
                        Manner::Refuses(status) => self.answer(&message, from, status, ""),
                        Manner::EarlyMediaThen(status) => {
                            self.answer(&message, from, 183, &sdp());
                            thread::park_timeout(Duration::from_millis(200));
                            self.answer(&message, from, status, "");
                        }
                        Manner::Silent => {}
                    }
                }
                ("OPTIONS", Manner::Refuses(status)) => self.answer(&message, from, status, ""),
                _ => self.answer(&message, from, 200, ""),
            }
        }
    }

    fn answer(&self, request: &str, to: SocketAddr, status: u16, body: &str) {
        let own = self.socket.local_addr().unwrap();
        let tag = if header(request, "To").contains("tag=") { "" } else { ";tag=uas" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "SIP/2.0 {status} -\r\nVia: {}\r\nFrom: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\n\
             CSeq: {}\r\nContact: <sip:uas@{own}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            header(request, "Via"),
            header(request, "From"),
            header(request, "To"),
            header(request, "Call-ID"),
            header(request, "CSeq"),
            body.len(),
        );
        let _ = self.socket.send_to(text.as_bytes(), to);
    }
}

fn sdp() -> String {
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
     m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        .to_owned()
}

/// The value of the first header of this name; empty where there is none.
fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim()).unwrap_or_default()
}
