//! One call of the carrier: a task with the sockets, the line's program and the stream, and the
//! SIP session it belongs to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval_at, sleep_until};

use super::bank::Fault;
use super::line::Line;
use super::observed::{Observer, ReceivedDigit};
use super::port::PortPair;
use super::program::{Action, Frame, Program};
use super::prompt::Prompts;
use super::stream::{Agreed, Beginnings, Ears, EventTypes, Returns, Stream, StreamOutput};
use crate::base::Digit;
use crate::codec::{Codec, FRAME};
use crate::dtmf::{DigitId, InfoDigit, Mode, Phase, write_info};
use crate::sdp::{
    AddressPolicy, AudioCodec, ComfortNoise, Direction, LocalAudio, Negotiated, Numbers,
    TelephoneEvents, accept, answer, offer, parse,
};
use crate::sip::{Body, Command, Handle, Invite, RequestKey, Session};

/// What the driver tells a call.
#[derive(Debug)]
pub(super) enum CallInput {
    /// The caller pressed a key by SIP INFO.
    Info(InfoDigit),
    /// A re-INVITE: the new offer, or the wish for ours.
    Reinvite(Option<Body>),
    /// The answer to our offer came: in the 2xx of a call that we made, or in an ACK.
    Answer(Option<Body>),
    /// The session is over.
    Over,
}

/// How a call begins.
#[derive(Debug)]
pub(super) enum Beginning {
    /// Called with an offer.
    Offered(Body),
    /// Called without one.
    Unoffered,
    /// Calling.
    Calling(Box<Invite>),
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The line came to its end by itself.
    Finished,
    /// The other side, a limit or a fault ended it.
    Broken,
}

/// What a call needs.
pub(super) struct Call {
    pub session: Session,
    pub line: Line,
    pub address: IpAddr,
    pub max_length: Duration,
    pub handle: Handle,
    pub prompts: Arc<Prompts>,
    pub observer: Observer,
    pub inputs: mpsc::Receiver<CallInput>,
}

impl Call {
    /// Sets the call up, runs its line and ends it.
    pub async fn run(mut self, beginning: Beginning) -> Outcome {
        let ports = match PortPair::bind(self.address).await {
            Ok(ports) => ports,
            Err(error) => {
                tracing::warn!(%error, "the demo carrier has no port for a call");
                self.refuse(503).await;
                return Outcome::Broken;
            }
        };
        match self.agree(beginning, &ports).await {
            Some(mut media) => {
                let outcome = self.talk(&mut media, &ports).await;
                let packets = media.stream.received();
                self.observer.note(|seen| seen.audio_packets += packets);
                outcome
            }
            None => Outcome::Broken,
        }
    }

    /// Offer and answer, up to the first sound.
    async fn agree(&mut self, beginning: Beginning, ports: &PortPair) -> Option<Media> {
        let port = ports.rtp.local_addr().ok()?.port();
        let local = LocalAudio {
            protection: crate::sdp::Protection::None,
            crypto: Vec::new(),
            address: self.address,
            port,
            codecs: vec![AudioCodec::Pcmu, AudioCodec::Pcma],
            telephone_events: match self.line {
                // What is not offered is not used by mistake.
                Line::Presses(Mode::Info | Mode::Inband) => TelephoneEvents::Off,
                _ => TelephoneEvents::Spoken,
            },
            comfort_noise: ComfortNoise::Off,
            ptime_ms: 20,
            direction: Direction::SendRecv,
            session_id: u64::from(random_u32()),
            version: 1,
            policy: AddressPolicy::Any,
            numbers: Numbers::default(),
        };
        let negotiated = match beginning {
            Beginning::Offered(body) => {
                let Some((ours, negotiated)) = answer_to(&local, &body) else {
                    self.refuse(488).await;
                    return None;
                };
                self.take_call(ours).await;
                negotiated
            }
            Beginning::Unoffered => {
                self.take_call(Body::sdp(offer(&local).to_string())).await;
                self.await_answer(&local).await?
            }
            Beginning::Calling(mut invite) => {
                invite.body = Some(Body::sdp(offer(&local).to_string()));
                self.send(Command::Invite(invite)).await;
                let negotiated = self.await_answer(&local).await?;
                self.observer.note(|seen| seen.answered += 1);
                negotiated
            }
        };
        let beginnings =
            Beginnings { ssrc: random_u32(), seq: random_u32() as u16, timestamp: random_u32() };
        let ears = if self.line.hears_all() { Ears::Always } else { Ears::WithoutEvents };
        let stream = agreed(&negotiated);
        let stream = stream.and_then(|agreed| Stream::new(agreed, beginnings, ears).ok());
        match stream {
            Some(stream) => Some(Media { local, negotiated, stream }),
            None => {
                self.hang_up().await;
                None
            }
        }
    }

    /// 200, or 183 for the line that only speaks before the answer.
    async fn take_call(&mut self, body: Body) {
        let session = self.session;
        let body = Some(body);
        if self.line == Line::EarlyMedia {
            let progress =
                Command::Progress { session, status: 183, phrase: None, headers: vec![], body };
            return self.send(progress).await;
        }
        if self.line == Line::Bank(Fault::LateAnswer) {
            let (status, phrase, headers) = (180, None, vec![]);
            self.send(Command::Progress { session, status, phrase, headers, body: None }).await;
            // Who gives up meanwhile is found in the inbox afterwards.
            tokio::time::sleep(LATE).await;
        }
        self.observer.note(|seen| seen.answered += 1);
        self.send(Command::Answer { session, headers: vec![], body }).await;
    }

    async fn await_answer(&mut self, local: &LocalAudio) -> Option<Negotiated> {
        let patience = tokio::time::sleep(RING);
        tokio::pin!(patience);
        loop {
            // Both are cancel safe: a receive that loses loses no message.
            let input = tokio::select! {
                input = self.inputs.recv() => input,
                () = &mut patience => None,
            };
            match input {
                Some(CallInput::Answer(body)) => {
                    let negotiated = body
                        .and_then(|body| parse(&body.bytes).ok())
                        .and_then(|remote| accept(local, &remote).ok());
                    if negotiated.is_none() {
                        self.hang_up().await;
                    }
                    return negotiated;
                }
                Some(CallInput::Info(_) | CallInput::Reinvite(_)) => {}
                Some(CallInput::Over) => return None,
                None => {
                    self.hang_up().await;
                    return None;
                }
            }
        }
    }

    /// The call is up: packets, ticks and digits until it ends.
    async fn talk(&mut self, media: &mut Media, ports: &PortPair) -> Outcome {
        let start = tokio::time::Instant::now();
        let clock_start = samples_since_1970();
        let mut ticks = interval_at(start + FRAME_TIME, FRAME_TIME);
        // A late tick is made up for: the stream's clock is the wall clock.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let end = start + self.max_length;
        let mut program = Program::new(self.line, self.prompts.clone());
        let mut infos = 0;
        let mut infos_back = 0;
        let mut frames = 0;
        let mut datagram = [0; 1500];
        loop {
            // All four are cancel safe: a branch that loses has taken nothing.
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(CallInput::Info(info)) => {
                        let now = Instant::now();
                        let returns = media.returns(&program);
                        for event in info.events(now, DigitId(infos)).into_iter().flatten() {
                            media.stream.press(now, event, returns);
                        }
                        infos += 1;
                    }
                    Some(CallInput::Reinvite(body)) => self.reinvited(media, body).await,
                    Some(CallInput::Answer(body)) => media.accept(body),
                    Some(CallInput::Over) | None => return Outcome::Broken,
                },
                received = ports.rtp.recv_from(&mut datagram) => {
                    // An error is the echo of an ICMP message about a packet of ours.
                    if let Ok((length, from)) = received
                        && from.ip() == media.negotiated.remote.ip()
                    {
                        let returns = media.returns(&program);
                        media.stream.receive(Instant::now(), &datagram[..length], returns);
                    }
                }
                _ = ticks.tick() => {
                    let now = Instant::now();
                    // What leaves now is the sound of the last 20 ms, as from any telephone.
                    let clock = clock_start + frames * FRAME as u64;
                    frames += 1;
                    media.tick(now, clock, &mut program);
                }
                () = sleep_until(end) => {
                    self.finish().await;
                    return Outcome::Broken;
                }
            }
            let now = Instant::now();
            while let Some(output) = media.stream.poll_output() {
                match output {
                    StreamOutput::Transmit(packet) => {
                        send_packet(ports, &packet, &media.negotiated).await;
                    }
                    StreamOutput::Digit(event) => match event.phase {
                        Phase::Start => program.digit(now, event.digit),
                        Phase::Update => {}
                        Phase::End(_) => {
                            self.observer.digit(ReceivedDigit {
                                line: self.line,
                                digit: event.digit,
                                mode: event.mode,
                                duration: event.duration,
                            });
                            if event.mode == Mode::Info && program.is_echo() {
                                infos_back += 1;
                                self.send_info(infos_back, event.digit, event.duration).await;
                            }
                        }
                    },
                }
            }
            match program.poll_action() {
                Some(Action::SendDigits(digits)) => media.stream.send_digits(now, &digits),
                Some(Action::SendInfo(digit)) => {
                    infos_back += 1;
                    self.send_info(infos_back, digit, PRESSED).await;
                }
                Some(Action::Finish) => {
                    self.finish().await;
                    return Outcome::Finished;
                }
                None => {}
            }
        }
    }

    async fn send_info(&mut self, request: u64, digit: Digit, duration: Duration) {
        let body = Body {
            content_type: "application/dtmf-relay".to_owned(),
            bytes: write_info(digit, duration).into_bytes(),
        };
        let (session, request) = (self.session, RequestKey(request));
        self.send(Command::Info { session, request, body }).await;
    }

    async fn reinvited(&mut self, media: &mut Media, body: Option<Body>) {
        let session = self.session;
        media.local.version += 1;
        let Some(body) = body else {
            let ours = Body::sdp(offer(&media.local).to_string());
            self.send(Command::Answer { session, headers: vec![], body: Some(ours) }).await;
            return;
        };
        match answer_to(&media.local, &body) {
            Some((ours, negotiated)) => {
                media.agree(negotiated);
                self.send(Command::Answer { session, headers: vec![], body: Some(ours) }).await;
            }
            None => self.refuse(488).await,
        }
    }

    /// Ends what the line has done: BYE, or 480 where it was never answered.
    async fn finish(&mut self) {
        match self.line {
            Line::EarlyMedia => self.refuse(480).await,
            _ => self.hang_up().await,
        }
    }

    async fn refuse(&mut self, status: u16) {
        let session = self.session;
        self.send(Command::Reject { session, status, phrase: None, headers: vec![] }).await;
    }

    async fn hang_up(&mut self) {
        self.send(Command::HangUp { session: self.session, reasons: vec![] }).await;
    }

    async fn send(&mut self, command: Command) {
        if self.handle.send(command).await.is_err() {
            tracing::debug!("the demo carrier's SIP endpoint is gone");
        }
    }
}

/// The media of a call that is up.
struct Media {
    local: LocalAudio,
    negotiated: Negotiated,
    stream: Stream,
}

impl Media {
    fn returns(&self, program: &Program) -> Returns {
        if program.is_echo() && self.sends() { Returns::Echoed } else { Returns::Kept }
    }

    /// We may send: the other side does not hold us.
    fn sends(&self) -> bool {
        matches!(self.negotiated.direction, Direction::SendRecv | Direction::SendOnly)
    }

    fn tick(&mut self, now: Instant, clock: u64, program: &mut Program) {
        let mut pcm = [0; FRAME];
        // The line waits while digits go out, so that its words are not cut.
        let asked = !self.stream.is_sending_digits() || program.is_echo();
        let sound = asked && program.frame(now, clock, &mut pcm) == Frame::Sound && self.sends();
        let returns = self.returns(program);
        self.stream.tick(now, sound.then_some(&pcm), returns);
    }

    fn agree(&mut self, negotiated: Negotiated) {
        if let Some(agreed) = agreed(&negotiated)
            && self.stream.agree(Instant::now(), agreed).is_ok()
        {
            self.negotiated = negotiated;
        }
    }

    /// The answer to an offer that we made in a 200.
    fn accept(&mut self, body: Option<Body>) {
        let remote = body.and_then(|body| parse(&body.bytes).ok());
        if let Some(negotiated) = remote.and_then(|remote| accept(&self.local, &remote).ok()) {
            self.agree(negotiated);
        }
    }
}

fn answer_to(local: &LocalAudio, body: &Body) -> Option<(Body, Negotiated)> {
    let remote = parse(&body.bytes).ok()?;
    let (ours, negotiated) = answer(local, &remote).ok()?;
    Some((Body::sdp(ours.to_string()), negotiated))
}

fn agreed(negotiated: &Negotiated) -> Option<Agreed> {
    let codec = match negotiated.codec.codec {
        AudioCodec::Pcmu => Codec::Pcmu,
        AudioCodec::Pcma => Codec::Pcma,
        _ => return None,
    };
    let events = negotiated.telephone_event.filter(|event| event.clock_rate == 8000);
    Some(Agreed {
        codec,
        send: negotiated.codec.send,
        receive: negotiated.codec.receive,
        events: events.map(|event| EventTypes { send: event.send, receive: event.receive }),
    })
}

async fn send_packet(ports: &PortPair, packet: &[u8], negotiated: &Negotiated) {
    let remote: SocketAddr = negotiated.remote;
    if let Err(error) = ports.rtp.send_to(packet, remote).await
        && error.kind() != io::ErrorKind::ConnectionRefused
    {
        tracing::trace!(%error, "a packet of the demo carrier was not sent");
    }
}

fn samples_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // 8 samples a millisecond.
    (since.as_nanos() * 8 / 1_000_000) as u64
}

/// Real entropy: RTP's beginnings shall not be guessed (RFC 3550 section 5.1).
fn random_u32() -> u32 {
    getrandom::u32().unwrap_or(0x5EED)
}

const FRAME_TIME: Duration = Duration::from_millis(20);
/// The length in an INFO of our own.
const PRESSED: Duration = Duration::from_millis(100);
/// How long a call of ours may ring, and an ACK take.
const RING: Duration = Duration::from_secs(30);
/// How late 625 answers.
const LATE: Duration = Duration::from_secs(6);
