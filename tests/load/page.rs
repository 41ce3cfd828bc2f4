//! The page's side of a call: a WebRTC engine with a socket of its own, or for the floor a bare
//! stream of SRTP. It sends what was coded before, so that a generator costs little.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::srtp::{Srtp, rtp};

/// A packet that the page got.
#[derive(Debug, Clone)]
pub struct Got {
    pub at: Instant,
    pub seq: u16,
    pub timestamp: u32,
    pub payload: Vec<u8>,
}

pub struct Page {
    pub socket: UdpSocket,
    local: SocketAddr,
    engine: Engine,
    seq: u64,
    /// Of what comes in this share is thrown away, in percent, as if the network had.
    pub loses: u32,
    random: u32,
    pub received: u64,
    /// Kept where asked for.
    pub keeps: Keeps,
    pub got: Vec<Got>,
}

/// What of the received packets is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    Nothing,
    All,
}

enum Engine {
    WebRtc(Box<WebRtc>),
    Bare { to: SocketAddr, ssrc: u32, out: Srtp, back: Srtp },
}

struct WebRtc {
    rtc: Rtc,
    pending: Option<SdpPendingOffer>,
    mid: Mid,
    pt: Option<Pt>,
    connected: bool,
    timeout: Instant,
}

impl Page {
    /// A page and its offer.
    pub fn offering() -> (Page, String) {
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let local = socket.local_addr().unwrap();
        let now = Instant::now();
        let mut rtc =
            Rtc::builder().clear_codecs().enable_opus(true, false).set_rtp_mode(true).build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp").unwrap());
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let engine =
            WebRtc { rtc, pending: Some(pending), mid, pt: None, connected: false, timeout: now };
        let page = Page::new(socket, local, Engine::WebRtc(Box::new(engine)));
        (page, offer.to_sdp_string())
    }

    /// A page toward the floor.
    pub fn bare(to: SocketAddr, ssrc: u32) -> Page {
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let local = socket.local_addr().unwrap();
        Page::new(socket, local, Engine::Bare { to, ssrc, out: Srtp::new(), back: Srtp::new() })
    }

    fn new(socket: UdpSocket, local: SocketAddr, engine: Engine) -> Page {
        Page {
            socket,
            local,
            engine,
            seq: 1,
            loses: 0,
            random: u32::from(local.port()) | 1,
            received: 0,
            keeps: Keeps::Nothing,
            got: Vec::new(),
        }
    }

    pub fn accept(&mut self, answer: &str) {
        let Engine::WebRtc(engine) = &mut self.engine else { return };
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        engine.rtc.sdp_api().accept_answer(engine.pending.take().unwrap(), answer).unwrap();
        let params = engine.rtc.codec_config().params();
        engine.pt = params.iter().find(|p| p.spec().codec == Codec::Opus).map(|p| p.pt());
        self.drain(Instant::now());
    }

    pub fn is_connected(&self) -> bool {
        match &self.engine {
            Engine::WebRtc(engine) => engine.connected,
            Engine::Bare { .. } => true,
        }
    }

    /// Sends a payload; `skipped` sequence numbers before it are lost on the way.
    pub fn send(&mut self, now: Instant, seq: u64, timestamp: u32, payload: &[u8]) {
        self.seq = seq + 1;
        match &mut self.engine {
            Engine::WebRtc(engine) => {
                let (Some(pt), true) = (engine.pt, engine.connected) else { return };
                let mut api = engine.rtc.direct_api();
                let Some(stream) = api.stream_tx_by_mid(engine.mid, None) else { return };
                stream.write_rtp(RtpWrite::new(pt, self.seq.into(), timestamp, now, payload));
                let _ = engine.rtc.handle_input(Input::Timeout(now));
                self.drain(now);
            }
            Engine::Bare { to, ssrc, out, .. } => {
                let mut packet = rtp(111, self.seq as u16, timestamp, *ssrc, payload);
                out.protect(&mut packet);
                let _ = self.socket.send_to(&packet, *to);
            }
        }
    }

    /// Reads all there is.
    pub fn receive(&mut self, buffer: &mut [u8]) {
        while let Ok((length, source)) = self.socket.recv_from(buffer) {
            let now = Instant::now();
            let is_media = buffer[0] >= 128 && buffer[1] & 0x7f < 64 || buffer[1] & 0x7f > 95;
            if is_media && buffer[0] >= 128 && self.is_lost() {
                continue;
            }
            match &mut self.engine {
                Engine::WebRtc(engine) => {
                    let Ok(contents) = buffer[..length].try_into() else { continue };
                    let destination = self.local;
                    let receive = Receive { proto: Protocol::Udp, source, destination, contents };
                    let _ = engine.rtc.handle_input(Input::Receive(now, receive));
                    self.drain(now);
                }
                Engine::Bare { back, .. } => {
                    let header: [u8; 12] = buffer[..12].try_into().unwrap();
                    let payload = back.unprotect(&mut buffer[..length]).expect("the tag verifies");
                    self.received += 1;
                    if self.keeps == Keeps::All {
                        self.got.push(Got {
                            at: now,
                            seq: u16::from_be_bytes([header[2], header[3]]),
                            timestamp: u32::from_be_bytes(header[4..8].try_into().unwrap()),
                            payload: payload.to_vec(),
                        });
                    }
                }
            }
        }
    }

    /// What is due by time.
    pub fn on_time(&mut self, now: Instant) {
        if let Engine::WebRtc(engine) = &mut self.engine
            && engine.timeout <= now
        {
            let _ = engine.rtc.handle_input(Input::Timeout(now));
            self.drain(now);
        }
    }

    fn drain(&mut self, now: Instant) {
        let Engine::WebRtc(engine) = &mut self.engine else { return };
        loop {
            match engine.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    engine.timeout = at.max(now + Duration::from_millis(1));
                    return;
                }
                Ok(Output::Transmit(t)) => {
                    let _ = self.socket.send_to(&t.contents, t.destination);
                }
                Ok(Output::Event(Event::Connected)) => engine.connected = true,
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    self.received += 1;
                    if self.keeps == Keeps::All {
                        self.got.push(Got {
                            at: now,
                            seq: packet.header.sequence_number,
                            timestamp: packet.header.timestamp,
                            payload: packet.payload.to_vec(),
                        });
                    }
                }
                Ok(Output::Event(_)) => {}
                Err(error) => panic!("a page: {error}"),
            }
        }
    }

    fn is_lost(&mut self) -> bool {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.random >> 8) % 100 < self.loses
    }
}
