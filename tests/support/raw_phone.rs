//! A phone of bytes: answers every INVITE and plays the digital milliwatt (1000 Hz, 0 dBm0, ITU-T
//! G.711 table 5) to whoever called. Its dialog is in the open, for tests that forge.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::sip_wire::header;

/// How it takes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Answers,
    /// The same, and says nothing.
    AnswersMute,
    IsBusy,
}

pub struct RawPhone {
    pub port: u16,
    pub sip: Arc<UdpSocket>,
    pub rtp: Arc<UdpSocket>,
    /// How many INVITEs came, repeated ones too.
    pub invites: Arc<AtomicU64>,
    dialogs: Mutex<Receiver<Dialog>>,
    listeners: Listeners,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A dialog that the gateway has opened and acknowledged.
#[derive(Debug, Clone)]
pub struct Dialog {
    pub call_id: String,
    /// The gateway, with its tag.
    pub gateway: String,
    /// The phone, with its tag.
    pub phone: String,
    /// Where the gateway takes RTP.
    pub rtp: SocketAddr,
    /// The request URI of the INVITE.
    pub dialled: String,
}

impl RawPhone {
    pub fn start(manner: Manner) -> RawPhone {
        let sip = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let rtp = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let invites = Arc::new(AtomicU64::new(0));
        let (found, dialogs) = channel();
        let listeners = Listeners::default();
        let to = listeners.clone();
        let signalling = Signalling {
            sip: sip.clone(),
            rtp_port: rtp.local_addr().unwrap().port(),
            manner,
            found,
            to: to.clone(),
            invites: invites.clone(),
        };
        sip.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (a, b) = (stop.clone(), stop.clone());
        let sound = rtp.clone();
        let mut threads = vec![thread::spawn(move || signalling.run(&a))];
        if manner != Manner::AnswersMute {
            threads.push(thread::spawn(move || play(&sound, &to, &b)));
        }
        let port = sip.local_addr().unwrap().port();
        RawPhone { port, sip, rtp, invites, dialogs: Mutex::new(dialogs), listeners, stop, threads }
    }

    /// The next call that was acknowledged.
    pub fn dialog(&self) -> Dialog {
        let dialogs = self.dialogs.lock().unwrap();
        dialogs.recv_timeout(Duration::from_secs(10)).expect("a call for the phone")
    }

    /// Plays to nobody any more: whoever called is gone without a BYE.
    pub fn forget(&self) {
        self.listeners.lock().unwrap().clear();
    }
}

impl Drop for RawPhone {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Who is played to: the Call-ID and where.
type Listeners = Arc<Mutex<Vec<(String, SocketAddr)>>>;

struct Signalling {
    sip: Arc<UdpSocket>,
    rtp_port: u16,
    manner: Manner,
    found: Sender<Dialog>,
    to: Listeners,
    invites: Arc<AtomicU64>,
}

impl Signalling {
    fn run(&self, stop: &AtomicBool) {
        let mut buffer = vec![0; 65_536];
        let mut invite = String::new();
        while !stop.load(Ordering::Relaxed) {
            let Ok((length, from)) = self.sip.recv_from(&mut buffer) else { continue };
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let method = message.split(' ').next().unwrap_or_default();
            self.invites.fetch_add(u64::from(method == "INVITE"), Ordering::Relaxed);
            match (method, self.manner) {
                ("INVITE", Manner::Answers | Manner::AnswersMute) => {
                    self.answer(&message, from, 200, &self.sdp());
                    invite.clone_from(&message);
                }
                ("INVITE", Manner::IsBusy) => self.answer(&message, from, 486, ""),
                ("ACK", Manner::Answers | Manner::AnswersMute) => {
                    let Some(rtp) = rtp_of(&invite) else { continue };
                    let call = (header(&invite, "Call-ID").to_owned(), rtp);
                    let mut to = self.to.lock().unwrap();
                    if to.contains(&call) {
                        continue;
                    }
                    to.push(call);
                    drop(to);
                    let dialog = Dialog {
                        call_id: header(&invite, "Call-ID").to_owned(),
                        gateway: header(&invite, "From").to_owned(),
                        phone: header(&message, "To").to_owned(),
                        rtp,
                        dialled: invite.split(' ').nth(1).unwrap().to_owned(),
                    };
                    let _ = self.found.send(dialog);
                }
                ("ACK" | "SIP/2.0", _) => {}
                ("BYE", _) => {
                    let id = header(&message, "Call-ID");
                    self.to.lock().unwrap().retain(|(call, _)| call != id);
                    self.answer(&message, from, 200, "");
                }
                _ => self.answer(&message, from, 200, ""),
            }
        }
    }

    fn answer(&self, request: &str, to: SocketAddr, status: u16, body: &str) {
        let own = self.sip.local_addr().unwrap();
        let tag = if header(request, "To").contains("tag=") { "" } else { ";tag=phone" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "SIP/2.0 {status} -\r\nVia: {}\r\nFrom: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\n\
             CSeq: {}\r\nContact: <sip:phone@{own}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            header(request, "Via"),
            header(request, "From"),
            header(request, "To"),
            header(request, "Call-ID"),
            header(request, "CSeq"),
            body.len(),
        );
        let _ = self.sip.send_to(text.as_bytes(), to);
    }

    fn sdp(&self) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n",
            self.rtp_port
        )
    }
}

fn rtp_of(invite: &str) -> Option<SocketAddr> {
    let value = |key: &str| invite.lines().find_map(|line| line.strip_prefix(key));
    let ip = value("c=IN IP4 ")?.trim();
    let port = value("m=audio ")?.split(' ').next()?;
    format!("{ip}:{port}").parse().ok()
}

/// Every 20 ms a packet to everybody who calls; late ones are made up for.
fn play(rtp: &UdpSocket, to: &Mutex<Vec<(String, SocketAddr)>>, stop: &AtomicBool) {
    let start = Instant::now();
    for n in 0_u32.. {
        let due = start + FRAME * n;
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let packet = packet(0x5EED_0001, n as u16, n.wrapping_mul(160), 0, &milliwatt());
        for (_, address) in to.lock().unwrap().iter() {
            let _ = rtp.send_to(&packet, address);
        }
    }
}

/// An RTP packet (RFC 3550 5.1).
pub fn packet(ssrc: u32, seq: u16, timestamp: u32, pt: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, pt];
    packet.extend_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// 20 ms of it in mu-law.
pub fn milliwatt() -> Vec<u8> {
    [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e].repeat(20)
}

const FRAME: Duration = Duration::from_millis(20);
