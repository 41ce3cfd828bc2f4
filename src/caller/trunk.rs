//! Calls over SIP and RTP: one endpoint for all calls of a run, a task and two sockets for each.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::offered::offered;
use super::pace::{FRAME_TIME, Pace};
use super::playout::DEPTH;
use super::sockets::Sockets;
use super::stop::{STOPPED, Stop};
use super::stream::Stream;
use crate::base::{DtmfMode, Network};
use crate::codec::FRAME;
use crate::dtmf::{ToneItem, parse_info, write_info};
use crate::ivr::{Action, By, Case, CaseResult, Runner};
use crate::sdp::{
    AddressPolicy, AudioCodec, ComfortNoise, Direction, LocalAudio, TelephoneEvents, accept,
    answer, offer, parse,
};
use crate::sip::driver::{self, DriverConfig};
use crate::sip::header::ReferTo;
use crate::sip::{
    Body, Command, Destination, EndpointConfig, Event, Handle, Host, Invite, NameAddr, ReferTarget,
    RequestKey, Session, Transport, Uri,
};

/// The telephones of a run.
#[derive(Debug)]
pub struct Phones {
    handle: Handle,
    address: IpAddr,
    /// Where numbers are dialled through.
    gateway: Option<SocketAddr>,
    calls: Calls,
    /// Whom it calls: they may open streams of their own to hang up.
    called: Mutex<Vec<Network>>,
    stop: Stop,
    task: JoinHandle<()>,
}

type Calls = Arc<Mutex<HashMap<Session, mpsc::Sender<Event>>>>;

/// Why there are no telephones.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The SIP socket.
    #[error("the test's telephone cannot listen on {0}: {1}")]
    Listen(IpAddr, String),
}

impl Phones {
    /// Telephones at an address of this machine; numbers are dialled through `gateway`. `stop` hangs all up.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        address: IpAddr,
        gateway: Option<SocketAddr>,
        stop: Stop,
    ) -> Result<Phones, StartError> {
        let endpoint =
            EndpointConfig { product: "crosspoint-ivr".to_owned(), ..EndpointConfig::default() };
        let at = SocketAddr::new(address, 0);
        let listen = vec![(Transport::Udp, at), (Transport::Tcp, at)];
        let (handle, mut events) =
            driver::start(DriverConfig { listen, endpoint, ..DriverConfig::default() })
                .await
                .map_err(|error| StartError::Listen(address, error.to_string()))?;
        let calls = Calls::default();
        let known = calls.clone();
        let task = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let Some(session) = session_of(&event) else { continue };
                let call = lock(&known).get(&session).cloned();
                if let Some(call) = call {
                    // A call that listens no more is over.
                    let _ = call.send(event).await;
                }
            }
        });
        Ok(Phones { handle, address, gateway, calls, called: Mutex::default(), stop, task })
    }

    /// Runs a case in a call of its own.
    pub async fn run(&self, case: Case) -> CaseResult {
        let mut runner = Runner::new(case);
        runner.set_delay(DEPTH);
        if let Err(words) = self.call(&mut runner).await {
            runner.fail(&words);
        }
        runner.into_result()
    }

    /// Ends.
    pub async fn stop(self) {
        self.handle.stop().await;
        self.task.abort();
    }

    async fn call(&self, runner: &mut Runner) -> Result<(), String> {
        if self.stop.is_stopped() {
            return Err(STOPPED.to_owned());
        }
        let invite = self.invite(runner.case()).await?;
        let session = invite.session;
        self.listen_to(invite.destination.address.ip()).await?;
        let (sender, events) = mpsc::channel(64);
        lock(&self.calls).insert(session, sender);
        let result = match Sockets::bind(self.address).await {
            Ok(sockets) => {
                let call = Call::new(self, invite, sockets, events);
                call.run(runner).await
            }
            Err(error) => Err(format!("no port for sound: {error}")),
        };
        lock(&self.calls).remove(&session);
        result
    }

    /// A stream from there is taken from now on (RFC 3261 18.1.1: requests within a dialog may come on a
    /// new one).
    async fn listen_to(&self, address: IpAddr) -> Result<(), String> {
        let networks = {
            let mut called = lock(&self.called);
            if called.iter().any(|network| network.contains(address)) {
                return Ok(());
            }
            called.push(Network::host(address));
            called.clone()
        };
        self.handle.accept(networks, Vec::new()).await.map_err(|error| error.to_string())
    }

    async fn invite(&self, case: &Case) -> Result<Invite, String> {
        let scenario = &case.scenario;
        let written = &scenario.target;
        let (target, destination) = if written.starts_with("sip:") {
            let target = Uri::parse(written).map_err(|e| format!("{written}: {e}"))?;
            let host = target.host().ok_or_else(|| format!("{written} has no host"))?;
            let port = target.port().unwrap_or(5060);
            let address = match host.ip() {
                Some(ip) => SocketAddr::new(ip, port),
                None => resolve(&host.to_string(), port).await?,
            };
            let tcp = target.param("transport").is_some_and(|t| t.eq_ignore_ascii_case("tcp"));
            let to = if tcp { Destination::tcp(address) } else { Destination::udp(address) };
            (target, to)
        } else {
            let gateway = self.gateway.ok_or_else(|| {
                format!("{written} is dialled through a gateway: say --sip ADDRESS:PORT of it")
            })?;
            let number = written.strip_prefix("did:").unwrap_or(written);
            let host = Host::from(gateway.ip());
            let target = Uri::sip(Some(number), &host, Some(gateway.port()));
            (target.map_err(|e| format!("{number}: {e}"))?, Destination::udp(gateway))
        };
        let own = self.handle.local_addr(destination.transport).unwrap_or(destination.address);
        let from = scenario.from.as_deref().unwrap_or("crosspoint-ivr");
        let from = Uri::sip(Some(from), &Host::from(self.address), Some(own.port()))
            .map_err(|e| format!("`from` {from}: {e}"))?;
        Ok(Invite {
            call_id: None,
            session: self.handle.new_session(),
            to: NameAddr::new(target.clone()),
            target,
            destination,
            alternatives: Vec::new(),
            asserted_identity: Some(NameAddr::new(from.clone())),
            from: NameAddr::new(from),
            headers: Vec::new(),
            replaces: None,
            referred_by: None,
            max_forwards: crate::sip::MAX_FORWARDS,
            body: None,
            credentials: None,
        })
    }
}

/// One call.
struct Call<'a> {
    phones: &'a Phones,
    session: Session,
    invite: Option<Invite>,
    sockets: Sockets,
    events: mpsc::Receiver<Event>,
    local: LocalAudio,
    stream: Option<Stream>,
    remote: Option<SocketAddr>,
    saying: Option<(Arc<[i16]>, usize)>,
    /// Keys that go as INFO, and when.
    infos: Vec<(Instant, crate::base::Digit, Duration)>,
    requests: u64,
    pace: Pace,
    /// INFO without an answer.
    unanswered: u64,
    over: bool,
}

impl<'a> Call<'a> {
    fn new(
        phones: &'a Phones,
        invite: Invite,
        sockets: Sockets,
        events: mpsc::Receiver<Event>,
    ) -> Call<'a> {
        let local = LocalAudio {
            address: phones.address,
            port: sockets.port,
            codecs: vec![AudioCodec::Pcma, AudioCodec::Pcmu],
            telephone_events: TelephoneEvents::Spoken,
            comfort_noise: ComfortNoise::Off,
            ptime_ms: 20,
            direction: Direction::SendRecv,
            session_id: random() >> 2,
            version: 1,
            policy: AddressPolicy::Any,
            protection: crate::sdp::Protection::None,
            crypto: Vec::new(),
            numbers: crate::sdp::Numbers::default(),
        };
        let session = invite.session;
        Call {
            phones,
            session,
            invite: Some(invite),
            sockets,
            events,
            local,
            stream: None,
            remote: None,
            saying: None,
            infos: Vec::new(),
            requests: 0,
            pace: Pace::default(),
            unanswered: 0,
            over: false,
        }
    }

    async fn run(mut self, runner: &mut Runner) -> Result<(), String> {
        if runner.case().dtmf.mode != DtmfMode::Rfc4733 {
            // What is not offered is not used by mistake.
            self.local.telephone_events = TelephoneEvents::Off;
        }
        let mut invite = self.invite.take().ok_or("called twice")?;
        invite.body = Some(Body::sdp(offer(&self.local).to_string()));
        runner.message(By::Local, "INVITE");
        self.send(Command::Invite(Box::new(invite))).await?;
        let mut ticks = interval(FRAME_TIME);
        // A late tick is made up for: the runner's clock is the wall clock.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let limit = runner.case().scenario.call_limit + SPARE;
        let end = Instant::now() + limit;
        let mut datagram = [0; 1500];
        while !runner.is_over() {
            // All are cancel safe: a branch that loses has taken nothing.
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.event(runner, event).await?,
                    None => return Err("the test's telephone has stopped".to_owned()),
                },
                received = self.sockets.rtp.recv_from(&mut datagram) => {
                    // An error is the echo of an ICMP message about a packet of ours.
                    if let Ok((length, from)) = received
                        && self.remote.is_some_and(|remote| remote.ip() == from.ip())
                        && let Some(stream) = &mut self.stream
                    {
                        stream.receive(Instant::now(), &datagram[..length]);
                    }
                }
                _ = ticks.tick() => self.tick(runner).await?,
                () = self.phones.stop.stopped() => {
                    runner.message(By::Local, "BYE");
                    runner.fail(STOPPED);
                    self.hang_up().await?;
                }
            }
            if Instant::now() > end {
                self.hang_up().await?;
                return Err(format!("the call was not over after {} s", limit.as_secs()));
            }
        }
        // BYE goes its way; its answer is waited for a little.
        let goodbye = tokio::time::sleep(GOODBYE);
        tokio::pin!(goodbye);
        while !self.over {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.over = ends(&event),
                    None => break,
                },
                () = &mut goodbye => break,
            }
        }
        Ok(())
    }

    async fn tick(&mut self, runner: &mut Runner) -> Result<(), String> {
        let now = Instant::now();
        self.pace.tick(now);
        let mut pcm = [0; FRAME];
        if let Some((said, at)) = &mut self.saying {
            let part = &said[*at..(*at + FRAME).min(said.len())];
            pcm[..part.len()].copy_from_slice(part);
            *at += FRAME;
            if *at >= said.len() {
                self.saying = None;
            }
        }
        let mut heard = [0; FRAME];
        if let (Some(stream), Some(remote)) = (&mut self.stream, self.remote) {
            // What came while this task was held up comes before the ticks that it makes up for.
            let mut datagram = [0; 1500];
            for _ in 0..MOST_AT_ONCE {
                let Ok((length, from)) = self.sockets.rtp.try_recv_from(&mut datagram) else {
                    break;
                };
                if from.ip() == remote.ip() {
                    stream.receive(now, &datagram[..length]);
                }
            }
            let mut packets = Vec::new();
            stream.send(now, &mut pcm, &mut packets);
            for packet in packets {
                self.sockets.send(&packet, remote).await;
            }
            heard = stream.heard(now);
            for digit in stream.digits(now) {
                runner.digit(digit);
            }
            let (stream, silent) = (stream.oddity(now), self.unanswered);
            let unanswered = (silent > 0).then(|| format!("{silent} INFO were never answered"));
            runner.set_oddity(stream.or(unanswered));
            runner.set_excuse(self.pace.words());
        }
        runner.frame(&heard, &pcm);
        while let Some(action) = runner.poll() {
            self.act(runner, now, action).await?;
        }
        let due: Vec<_> = self.infos.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, digit, length) in due {
            self.requests += 1;
            let bytes = write_info(digit, length).into_bytes();
            let body = Body { content_type: "application/dtmf-relay".to_owned(), bytes };
            let request = RequestKey(self.requests);
            runner.message(By::Local, "INFO");
            self.unanswered += 1;
            self.send(Command::Info { session: self.session, request, body }).await?;
        }
        Ok(())
    }

    async fn act(
        &mut self,
        runner: &mut Runner,
        now: Instant,
        action: Action,
    ) -> Result<(), String> {
        match action {
            Action::Press(items) if runner.case().dtmf.mode == DtmfMode::Info => {
                let mut at = now;
                for item in items {
                    match item {
                        ToneItem::Pause(pause) => at += pause,
                        ToneItem::Digit { digit, duration, gap } => {
                            self.infos.push((at, digit, duration));
                            at += duration + gap;
                        }
                    }
                }
            }
            Action::Press(items) => {
                let taken = self.stream.as_mut().is_some_and(|s| s.press(now, &items));
                if !taken {
                    runner.fail("keys cannot be pressed: there is no call, or it takes no events");
                }
            }
            Action::Say(pcm) => self.saying = Some((pcm, 0)),
            Action::HangUp => {
                runner.message(By::Local, "BYE");
                self.hang_up().await?;
                runner.ended(By::Local, "the test hung up");
            }
            Action::Hold(on) => {
                self.local.direction = if on { Direction::SendOnly } else { Direction::SendRecv };
                self.local.version += 1;
                let body = Some(Body::sdp(offer(&self.local).to_string()));
                runner.message(By::Local, if on { "INVITE (hold)" } else { "INVITE (resume)" });
                self.send(Command::Reinvite { session: self.session, body }).await?;
            }
            Action::Transfer(to) => {
                let uri = match Uri::parse(&to) {
                    Ok(uri) => uri,
                    Err(error) => {
                        runner.fail(&format!("`transfer` {to}: {error}; write sip:…"));
                        return Ok(());
                    }
                };
                runner.message(By::Local, "REFER");
                let session = self.session;
                let target = Box::new(ReferTarget::Uri(ReferTo(NameAddr::new(uri))));
                let refer = Command::Refer { session, request: REFER, target, referred_by: None };
                self.send(refer).await?;
            }
        }
        Ok(())
    }

    async fn event(&mut self, runner: &mut Runner, event: Event) -> Result<(), String> {
        match event {
            Event::Provisional { answer, .. } => {
                runner.message(By::Remote, format!("{} {}", answer.status, answer.phrase));
                runner.response(answer.status);
                self.agree(runner, answer.body.as_ref());
            }
            Event::Answered { answer, .. } => {
                runner.message(By::Remote, format!("{} {}", answer.status, answer.phrase));
                runner.response(answer.status);
                self.agree(runner, answer.body.as_ref());
                if self.stream.is_none() {
                    let body = answer.body.as_ref().map(|body| &body.bytes[..]);
                    let offered = offered(body);
                    runner.refuse(&format!(
                        "the answer has no sound that this telephone speaks (G.711): {offered}"
                    ));
                }
            }
            Event::Rejected { answer, .. } => {
                runner.message(By::Remote, format!("{} {}", answer.status, answer.phrase));
                runner.response(answer.status);
                self.over = true;
            }
            Event::Reinvite { session, body } => {
                runner.message(By::Remote, "INVITE (again)");
                let ours = match body {
                    None => Some(offer(&self.local).to_string()),
                    Some(body) => parse(&body.bytes)
                        .ok()
                        .and_then(|remote| answer(&self.local, &remote).ok())
                        .map(|(ours, _)| ours.to_string()),
                };
                let command = match ours {
                    Some(ours) => {
                        let body = Some(Body::sdp(ours));
                        Command::Answer { session, headers: Vec::new(), body }
                    }
                    None => {
                        let headers = Vec::new();
                        Command::Reject { session, status: 488, phrase: None, headers }
                    }
                };
                self.send(command).await?;
            }
            Event::ReinviteDone { answer, .. } => {
                runner.message(By::Remote, format!("{} {}", answer.status, answer.phrase));
            }
            Event::Info { body, .. } => {
                runner.message(By::Remote, "INFO");
                if let Ok(Some(info)) = parse_info(&body.content_type, &body.bytes)
                    && let Some([start, _]) = info.events(Instant::now(), crate::dtmf::DigitId(0))
                {
                    runner.digit(start.digit);
                }
            }
            Event::RequestDone { request, answer, .. } => {
                let method = if request == REFER { "REFER" } else { "INFO" };
                runner.message(By::Remote, format!("{} ({method})", answer.status));
                self.unanswered -= u64::from(request != REFER && self.unanswered > 0);
                if answer.status >= 300 {
                    runner.refuse(&format!("{method} was refused with {}", answer.status));
                }
            }
            Event::Cancelled { .. } | Event::Ended { .. } => {
                runner.message(By::Remote, "BYE");
                runner.ended(By::Remote, "the far side hung up");
                self.over = true;
            }
            Event::Update { session, body, .. } => {
                runner.message(By::Remote, "UPDATE");
                let remote = parse(&body.bytes).ok();
                let ours = remote.and_then(|remote| answer(&self.local, &remote).ok());
                let command = match ours {
                    Some((ours, _)) => {
                        let body = Body::sdp(ours.to_string());
                        Command::AnswerUpdate { session, body }
                    }
                    None => Command::RejectUpdate { session, status: 488, headers: Vec::new() },
                };
                self.send(command).await?;
            }
            Event::Refer { session, .. } => {
                runner.message(By::Remote, "REFER");
                let headers = Vec::new();
                self.send(Command::RejectRefer { session, status: 603, headers }).await?;
            }
            Event::ReferProgress { status, .. } => {
                runner.message(By::Remote, format!("NOTIFY ({status})"));
            }
            Event::Incoming(_)
            | Event::Acked { .. }
            | Event::NextDestination { .. }
            | Event::Reoffer { .. }
            | Event::FlowLost { .. }
            | Event::UpdateDone { .. } => {}
        }
        Ok(())
    }

    fn agree(&mut self, runner: &mut Runner, body: Option<&Body>) {
        let Some(body) = body else { return };
        let agreed = match parse(&body.bytes).map(|remote| accept(&self.local, &remote)) {
            Ok(Ok(agreed)) => agreed,
            Ok(Err(error)) => {
                return runner.set_oddity(Some(format!("its answer cannot be used: {error}")));
            }
            Err(error) => {
                return runner.set_oddity(Some(format!("its SDP cannot be read: {error}")));
            }
        };
        self.remote = Some(agreed.remote);
        if self.stream.is_none() {
            let case = runner.case();
            self.stream = Stream::new(&agreed, case.dtmf.mode, case.network, random()).ok();
        }
    }

    async fn hang_up(&mut self) -> Result<(), String> {
        self.send(Command::HangUp { session: self.session, reasons: Vec::new() }).await
    }

    async fn send(&mut self, command: Command) -> Result<(), String> {
        let sent = self.phones.handle.send(command).await;
        sent.map_err(|_| "the test's telephone has stopped".to_owned())
    }
}

fn session_of(event: &Event) -> Option<Session> {
    match event {
        Event::Provisional { session, .. }
        | Event::Answered { session, .. }
        | Event::Rejected { session, .. }
        | Event::Reinvite { session, .. }
        | Event::ReinviteDone { session, .. }
        | Event::Info { session, .. }
        | Event::Cancelled { session, .. }
        | Event::Ended { session, .. } => Some(*session),
        Event::RequestDone { session, .. } => *session,
        Event::Update { session, .. }
        | Event::UpdateDone { session, .. }
        | Event::Refer { session, .. }
        | Event::ReferProgress { session, .. }
        | Event::Reoffer { session } => Some(*session),
        Event::Incoming(_) | Event::Acked { .. } | Event::NextDestination { .. } => None,
        Event::FlowLost { .. } => None,
    }
}

fn ends(event: &Event) -> bool {
    matches!(event, Event::Rejected { .. } | Event::Cancelled { .. } | Event::Ended { .. })
}

/// A flood is not to keep a tick from its end: a second of sound.
const MOST_AT_ONCE: usize = 50;

async fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = lookup_host((host, port)).await.map_err(|error| format!("{host}: {error}"))?;
    found.into_iter().next().ok_or_else(|| format!("{host} has no address"))
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while it is held.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// RTP's beginnings shall not be guessed (RFC 3550 5.1).
fn random() -> u64 {
    getrandom::u64().unwrap_or(0x5EED)
}

/// No INFO has this number.
const REFER: RequestKey = RequestKey(u64::MAX);
/// Beyond the scenario's own limit, which its runner keeps.
const SPARE: Duration = Duration::from_secs(10);
/// For the answer to our BYE.
const GOODBYE: Duration = Duration::from_secs(2);
