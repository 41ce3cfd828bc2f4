//! A WebRTC peer that is not the gateway's: str0m driven here in its own right, playing the part of
//! a browser. Sends Opus every 20 ms from a [`Source`], sends digits as RFC 4733 events the way
//! `RTCDTMFSender` does, and keeps what it hears with the moment each packet arrived.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::{Codec, FormatParams, PayloadParams};
use str0m::media::{Direction, Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};

use super::sound::{Heard, Source};
use crate::base::Digit;
use crate::codec::{Codec as Sound, Decoder, Encoder};

/// A handle to the peer's task, which ends with its last handle.
#[derive(Clone)]
pub struct Peer {
    commands: mpsc::Sender<Command>,
    /// What was heard so far.
    pub heard: Arc<Mutex<Heard>>,
    connected: watch::Receiver<Option<Instant>>,
}

enum Command {
    Offer(oneshot::Sender<anyhow::Result<String>>),
    Answer(String, oneshot::Sender<anyhow::Result<()>>),
    AcceptOffer(String, oneshot::Sender<anyhow::Result<String>>),
    Play(Source),
    Press { digits: Vec<Digit>, tone: Duration, gap: Duration, done: oneshot::Sender<()> },
}

impl Peer {
    /// A peer on a UDP port of its own at `address`.
    ///
    /// # Errors
    /// The socket cannot be bound.
    pub async fn start(address: IpAddr) -> anyhow::Result<Peer> {
        let socket = UdpSocket::bind((address, 0)).await.context("binding the peer's UDP port")?;
        let local = socket.local_addr()?;
        let (commands, inbox) = mpsc::channel(16);
        let (connected_tx, connected) = watch::channel(None);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let task = Task::new(local, heard.clone(), connected_tx)?;
        tokio::spawn(task.run(socket, inbox));
        Ok(Peer { commands, heard, connected })
    }

    /// The peer's offer with its host candidate.
    ///
    /// # Errors
    /// The peer ended.
    pub async fn offer(&self) -> anyhow::Result<String> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Offer(reply)).await?;
        answer.await?
    }

    /// Takes the gateway's answer to [`Peer::offer`].
    ///
    /// # Errors
    /// The answer is no SDP or does not fit the offer.
    pub async fn answer(&self, sdp: String) -> anyhow::Result<()> {
        let (reply, done) = oneshot::channel();
        self.tell(Command::Answer(sdp, reply)).await?;
        done.await?
    }

    /// Answers an offer of the gateway.
    ///
    /// # Errors
    /// The offer is no SDP or cannot be answered.
    pub async fn accept_offer(&self, sdp: String) -> anyhow::Result<String> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::AcceptOffer(sdp, reply)).await?;
        answer.await?
    }

    /// Sends `source` from the next frame on.
    ///
    /// # Errors
    /// The peer ended.
    pub async fn play(&self, source: Source) -> anyhow::Result<()> {
        self.tell(Command::Play(source)).await
    }

    /// Presses `digits` one after the other; returns when the last end packet is out.
    ///
    /// # Errors
    /// The peer ended.
    pub async fn press(
        &self,
        digits: Vec<Digit>,
        tone: Duration,
        gap: Duration,
    ) -> anyhow::Result<()> {
        let (done, finished) = oneshot::channel();
        self.tell(Command::Press { digits, tone, gap, done }).await?;
        Ok(finished.await?)
    }

    /// Presses `digits` one after the other, and does not wait for them.
    ///
    /// # Errors
    /// The peer ended.
    pub async fn press_later(
        &self,
        digits: Vec<Digit>,
        tone: Duration,
        gap: Duration,
    ) -> anyhow::Result<()> {
        let (done, _) = oneshot::channel();
        self.tell(Command::Press { digits, tone, gap, done }).await
    }

    /// When ICE and DTLS were up, or `None` after `limit`.
    pub async fn connected(&self, limit: Duration) -> Option<Instant> {
        let mut connected = self.connected.clone();
        let up = connected.wait_for(Option::is_some);
        tokio::time::timeout(limit, up).await.ok()?.ok().and_then(|at| *at)
    }

    async fn tell(&self, command: Command) -> anyhow::Result<()> {
        self.commands.send(command).await.map_err(|_| anyhow!("the WebRTC peer ended"))
    }
}

struct Task {
    rtc: Rtc,
    local: SocketAddr,
    pending: Option<SdpPendingOffer>,
    mid: Option<Mid>,
    heard: Arc<Mutex<Heard>>,
    connected: watch::Sender<Option<Instant>>,
    encoder: Encoder,
    decoder: Decoder,
    source: Source,
    seq: u64,
    /// Zero of the RTP timestamps.
    started: Instant,
    presses: VecDeque<Press>,
    /// Packets of the current step that wait for their turn: str0m wants to be drained after each.
    outbox: VecDeque<Outgoing>,
    pcm: Vec<i16>,
}

struct Outgoing {
    pt: Pt,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

/// One step of the event sender: a key for `left` frames more, or a gap.
struct Press {
    digit: Option<Digit>,
    frames: u32,
    sent: u32,
    /// RTP timestamp of the key's first packet.
    start: u32,
    done: Option<oneshot::Sender<()>>,
}

impl Task {
    fn new(
        local: SocketAddr,
        heard: Arc<Mutex<Heard>>,
        connected: watch::Sender<Option<Instant>>,
    ) -> anyhow::Result<Task> {
        let mut config = Rtc::builder().clear_codecs().enable_opus(true, false).set_rtp_mode(true);
        // What Chromium offers: events at the clock of Opus (110) and of G.711 (126).
        for (pt, rate) in [(EVENT_PT, Frequency::FORTY_EIGHT_KHZ), (126, Frequency::EIGHT_KHZ)] {
            config.codec_config().add_config(
                pt.into(),
                None,
                Codec::Tele,
                rate,
                None,
                FormatParams::parse_line("0-16"),
            );
        }
        let mut rtc = config.build(Instant::now());
        let candidate = Candidate::host(local, "udp").context("host candidate")?;
        rtc.add_local_candidate(candidate);
        Ok(Task {
            rtc,
            local,
            pending: None,
            mid: None,
            heard,
            connected,
            encoder: Encoder::new(Sound::Opus)?,
            decoder: Decoder::new(Sound::Opus)?,
            source: Source::Silence,
            seq: 1,
            started: Instant::now(),
            presses: VecDeque::new(),
            outbox: VecDeque::new(),
            pcm: Vec::new(),
        })
    }

    /// Ends when every handle is gone or the peer connection closes.
    async fn run(mut self, socket: UdpSocket, mut inbox: mpsc::Receiver<Command>) {
        let mut datagram = vec![0; 2000];
        let mut tick = tokio::time::interval(FRAME);
        // A microphone does not wait: what was missed is gone, and the timestamps say so.
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let Ok(deadline) = self.drain(&socket).await else { return };
            if let Some(packet) = self.outbox.pop_front() {
                self.write(packet);
                continue;
            }
            // Every branch is cancellation safe: recv_from, recv, tick and sleep_until lose nothing.
            tokio::select! {
                received = socket.recv_from(&mut datagram) => {
                    if let Ok((length, source)) = received {
                        self.datagram(source, &datagram[..length]);
                    }
                }
                command = inbox.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                _ = tick.tick() => self.frame(),
                () = tokio::time::sleep_until(deadline.into()) => {
                    let _ = self.rtc.handle_input(Input::Timeout(Instant::now()));
                }
            }
        }
    }

    async fn drain(&mut self, socket: &UdpSocket) -> anyhow::Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(t) => {
                    let _ = socket.send_to(&t.contents, t.destination).await;
                }
                Output::Event(Event::Connected) => {
                    self.connected.send_replace(Some(Instant::now()));
                }
                Output::Event(Event::MediaAdded(media)) => self.mid = Some(media.mid),
                Output::Event(Event::RtpPacket(packet)) => {
                    if self.payload_type(Codec::Opus) == Some(packet.header.payload_type) {
                        self.pcm.clear();
                        self.decoder.decode(&packet.payload, &mut self.pcm)?;
                        let mut heard = self.heard.lock().expect("no holder panics");
                        heard.add(packet.timestamp, packet.header.timestamp, &self.pcm);
                    }
                }
                Output::Event(_) => {}
            }
        }
    }

    fn datagram(&mut self, source: SocketAddr, bytes: &[u8]) {
        let Ok(contents) = bytes.try_into() else { return };
        let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
        let _ = self.rtc.handle_input(Input::Receive(Instant::now(), receive));
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Offer(reply) => {
                let _ = reply.send(self.offer());
            }
            Command::Answer(sdp, reply) => {
                let _ = reply.send(self.answer(&sdp));
            }
            Command::AcceptOffer(sdp, reply) => {
                let _ = reply.send(self.accept_offer(&sdp));
            }
            Command::Play(source) => self.source = source,
            Command::Press { digits, tone, gap, done } => self.press(&digits, tone, gap, done),
        }
    }

    fn offer(&mut self) -> anyhow::Result<String> {
        let mut api = self.rtc.sdp_api();
        self.mid = Some(api.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None));
        let (offer, pending) = api.apply().context("nothing to offer")?;
        self.pending = Some(pending);
        Ok(offer.to_sdp_string())
    }

    fn answer(&mut self, sdp: &str) -> anyhow::Result<()> {
        let answer = SdpAnswer::from_sdp_string(sdp).context("reading the answer")?;
        let Some(pending) = self.pending.take() else { bail!("an answer without an offer") };
        self.rtc.sdp_api().accept_answer(pending, answer).context("accepting the answer")
    }

    fn accept_offer(&mut self, sdp: &str) -> anyhow::Result<String> {
        let offer = SdpOffer::from_sdp_string(sdp).context("reading the offer")?;
        let answer = self.rtc.sdp_api().accept_offer(offer).context("answering the offer")?;
        Ok(answer.to_sdp_string())
    }

    fn press(
        &mut self,
        digits: &[Digit],
        tone: Duration,
        gap: Duration,
        done: oneshot::Sender<()>,
    ) {
        for digit in digits {
            let step = |digit, length: Duration| Press {
                digit,
                frames: (length.as_millis() / FRAME.as_millis()) as u32,
                sent: 0,
                start: 0,
                done: None,
            };
            self.presses.push_back(step(Some(*digit), tone));
            self.presses.push_back(step(None, gap));
        }
        if let Some(last) = self.presses.back_mut() {
            last.done = Some(done);
        }
    }

    /// One 20 ms step: a packet of the current key, or one of audio.
    fn frame(&mut self) {
        if self.connected.borrow().is_none() {
            return;
        }
        let frames = self.started.elapsed().as_millis() / FRAME.as_millis();
        let timestamp = (frames as u32).wrapping_mul(TICKS_PER_FRAME);
        self.pcm.clear();
        self.source.fill(SAMPLES_PER_FRAME, Instant::now(), &mut self.pcm);
        let Some(press) = self.presses.front_mut() else { return self.audio(timestamp) };
        let Some(digit) = press.digit else {
            press.sent += 1;
            if press.sent >= press.frames
                && let Some(ended) = self.presses.pop_front()
                && let Some(done) = ended.done
            {
                let _ = done.send(());
            }
            return self.audio(timestamp);
        };
        if press.sent == 0 {
            press.start = timestamp;
        }
        press.sent += 1;
        let (start, first, last) = (press.start, press.sent == 1, press.sent >= press.frames);
        let duration = (press.sent * TICKS_PER_FRAME).min(u32::from(u16::MAX)) as u16;
        if last {
            self.presses.pop_front();
        }
        let Some(pt) = self.payload_type(Codec::Tele) else { return };
        let [high, low] = duration.to_be_bytes();
        let flags = if last { END | VOLUME } else { VOLUME };
        let payload = vec![digit.event(), flags, high, low];
        // RFC 4733 2.5.1.4: the last packet goes out three times in all.
        for _ in 0..if last { 3 } else { 1 } {
            let payload = payload.clone();
            self.outbox.push_back(Outgoing { pt, timestamp: start, marker: first, payload });
        }
    }

    fn audio(&mut self, timestamp: u32) {
        let mut payload = Vec::new();
        let Some(pt) = self.payload_type(Codec::Opus) else { return };
        if self.encoder.encode(&self.pcm, &mut payload).is_ok() {
            self.outbox.push_back(Outgoing { pt, timestamp, marker: false, payload });
        }
    }

    /// The payload type in force of a codec at 48 kHz.
    fn payload_type(&self, codec: Codec) -> Option<Pt> {
        let at_48k = |p: &PayloadParams| {
            p.spec().codec == codec && p.spec().clock_rate == Frequency::FORTY_EIGHT_KHZ
        };
        self.rtc.codec_config().params().iter().find(|p| at_48k(p)).map(PayloadParams::pt)
    }

    fn write(&mut self, packet: Outgoing) {
        let Some(mid) = self.mid else { return };
        let seq: SeqNo = self.seq.into();
        self.seq += 1;
        let mut api = self.rtc.direct_api();
        if let Some(stream) = api.stream_tx_by_mid(mid, None) {
            let now = Instant::now();
            let write = RtpWrite::new(packet.pt, seq, packet.timestamp, now, packet.payload);
            stream.write_rtp(write.marker(packet.marker));
        }
    }
}

const SAMPLES_PER_FRAME: usize = 160;
const FRAME: Duration = Duration::from_millis(20);
/// 20 ms at the 48 kHz clock that Opus always has (RFC 7587 section 4.1).
const TICKS_PER_FRAME: u32 = 960;
const EVENT_PT: u8 = 110;
/// The end bit (RFC 4733 section 2.3.2).
const END: u8 = 0x80;
/// -10 dBm0 (RFC 4733 section 2.3.3).
const VOLUME: u8 = 10;
