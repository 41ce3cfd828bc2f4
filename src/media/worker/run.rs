//! One worker: a thread that polls its sockets and its heap of deadlines and runs the calls it owns.
//!
//! Both legs of a call live here for life, so nothing is locked and nothing moves. A defect in one
//! call is caught, ends that call with an internal error, and leaves the others alone.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Interest, Poll, Token};
use tokio::sync::mpsc;
use tracing::{debug, error, info};

use super::command::{CallKey, Command, Mailbox, Message};
use super::load::{Load, Meter};
use super::sockets::{BrowserSocket, CallWire, TrunkSockets};
use crate::base::CallId;
use crate::media::bridge::BridgeConfig;
use crate::media::call::MediaCall;
use crate::media::outbox::TrunkPort;
use crate::media::ports::Ports;
use crate::media::{Error, Interface, MediaEvent, OpusSettings, Playout, TrunkMedia};
use crate::webrtc::{BrowserCodec, PeerConfig};

/// What a worker is made with.
#[derive(Debug, Clone)]
pub(in crate::media) struct WorkerConfig {
    pub(in crate::media) number: usize,
    pub(in crate::media) interfaces: Vec<Interface>,
    pub(in crate::media) ice_lite: bool,
    pub(in crate::media) ports: Ports,
    pub(in crate::media) rtp_advertise: Option<IpAddr>,
    pub(in crate::media) opus: OpusSettings,
    pub(in crate::media) opus_parameters: Arc<str>,
    pub(in crate::media) playout: Playout,
    pub(in crate::media) lost_after: Duration,
    pub(in crate::media) stats_every: Duration,
}

/// One worker.
pub(in crate::media) struct Worker {
    config: WorkerConfig,
    poll: Poll,
    mailbox: Mailbox,
    load: Arc<Load>,
    browsers: Vec<BrowserSocket>,
    peer_config: PeerConfig,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    keys: HashMap<CallKey, usize>,
    /// Which call a browser's address belongs to.
    addresses: HashMap<SocketAddr, usize>,
    deadlines: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Sockets that had more than one turn's worth of datagrams.
    again: Vec<Token>,
    /// Sockets of this turn; kept for its room.
    ready: Vec<Token>,
    meter: Meter,
    buffer: Vec<u8>,
    opened: u64,
}

pub(super) struct Slot {
    key: CallKey,
    id: CallId,
    pub(super) call: MediaCall,
    events: mpsc::Sender<MediaEvent>,
    pub(super) trunk: Option<TrunkSockets>,
    /// Those of a leg that is put aside.
    pub(super) parked: Option<TrunkSockets>,
    /// Its entry in the heap.
    scheduled: Instant,
    dropped: u64,
}

/// Taken by the pool's waker.
const WAKER: Token = Token(0);
/// Datagrams read from one socket before the others have their turn.
const TURN: usize = 128;
/// With nothing to do the worker still looks around.
const IDLE: Duration = Duration::from_secs(1);
/// A datagram longer than an Ethernet frame is none of ours; one byte more shows it.
const DATAGRAM: usize = 1501;
const LEAST_WAIT: Duration = Duration::from_millis(1);
/// Addresses remembered a call: candidate pairs that were checked.
const ADDRESSES_A_CALL: usize = 16;

impl Worker {
    /// Binds the browsers' sockets. The waker of `poll` has token 0.
    pub(in crate::media) fn new(
        config: WorkerConfig,
        poll: Poll,
        mailbox: Mailbox,
        load: Arc<Load>,
    ) -> Result<Self, Error> {
        let mut browsers = Vec::new();
        for (n, interface) in config.interfaces.iter().enumerate() {
            let mut browser = BrowserSocket::bind(interface, config.number)?;
            poll.registry()
                .register(&mut browser.socket, Token(1 + n), Interest::READABLE)
                .map_err(|error| Error::System(error.to_string()))?;
            browsers.push(browser);
        }
        let (complexity, least) = (config.opus.complexity, config.opus.least_complexity);
        let peer_config = PeerConfig {
            candidates: browsers.iter().map(|b| b.candidate).collect(),
            ice_lite: config.ice_lite,
            codecs: vec![BrowserCodec::Opus, BrowserCodec::Pcmu, BrowserCodec::Pcma],
            opus_parameters: Arc::clone(&config.opus_parameters),
        };
        Ok(Self {
            config,
            poll,
            mailbox,
            browsers,
            peer_config,
            slots: Vec::new(),
            free: Vec::new(),
            keys: HashMap::new(),
            addresses: HashMap::new(),
            deadlines: BinaryHeap::new(),
            again: Vec::new(),
            ready: Vec::new(),
            meter: Meter::new(Instant::now(), complexity, least, &load),
            load,
            buffer: vec![0; DATAGRAM],
            opened: 0,
        })
    }

    /// Runs until it is stopped; then every call is ended.
    pub(in crate::media) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.mailbox.is_stopped() {
            let wait = self.wait();
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                error!(error = %error, worker = self.config.number, "media worker cannot poll");
                break;
            }
            self.turn(&events);
        }
        for index in 0..self.slots.len() {
            self.close(index, None);
        }
    }

    /// Everything there is to do now.
    fn turn(&mut self, events: &Events) {
        self.meter.wake(Instant::now());
        let mut ready = std::mem::take(&mut self.ready);
        ready.append(&mut self.again);
        ready.extend(events.iter().map(|event| event.token()).filter(|t| *t != WAKER));
        for token in ready.drain(..) {
            self.on_readable(token);
        }
        self.ready = ready;
        self.on_deadlines();
        self.on_messages();
        if let Some(complexity) = self.meter.rest(Instant::now(), &self.load) {
            info!(worker = self.config.number, complexity, "the load changes Opus' complexity");
            for slot in self.slots.iter_mut().flatten() {
                slot.call.set_complexity(complexity);
            }
        }
    }

    fn wait(&self) -> Duration {
        if !self.again.is_empty() {
            return Duration::ZERO;
        }
        self.deadlines
            .peek()
            .map_or(IDLE, |Reverse((at, _))| at.saturating_duration_since(Instant::now()).min(IDLE))
    }

    fn on_messages(&mut self) {
        let closing = self.mailbox.closing();
        while let Some(message) = self.mailbox.next() {
            match message {
                Message::Open { key, call, events } => self.open(key, call, events),
                Message::Command { key, command } => {
                    if let Some(index) = self.keys.get(&key).copied() {
                        self.command(index, command);
                    }
                }
            }
        }
        for key in closing {
            if let Some(index) = self.keys.get(&key).copied() {
                self.close(index, None);
            }
        }
    }

    fn on_deadlines(&mut self) {
        let mut now = Instant::now();
        while let Some(Reverse((at, index))) = self.deadlines.peek().copied() {
            if at > now {
                now = Instant::now();
                if at > now {
                    break;
                }
            }
            self.deadlines.pop();
            let due = self.slots[index].as_ref().filter(|slot| slot.scheduled == at);
            if let Some(slot) = due {
                now = Instant::now();
                if let Some(late) = slot.call.tick_late(now) {
                    self.load.tick(late);
                }
                self.guard(index, |slot, browsers, _| {
                    let Slot { call, trunk, events, dropped, .. } = slot;
                    let mut wire = CallWire { browsers, trunk: trunk.as_ref(), events, dropped };
                    call.on_timeout(now, &mut wire);
                });
                self.schedule(index, Schedule::Again(now));
            }
        }
    }

    fn on_readable(&mut self, token: Token) {
        let first_trunk = 1 + self.browsers.len();
        if token.0 < first_trunk {
            self.read_browsers(token);
        } else {
            let port = if (token.0 - first_trunk).is_multiple_of(2) {
                TrunkPort::Rtp
            } else {
                TrunkPort::Rtcp
            };
            self.read_trunk(token, (token.0 - first_trunk) / 2, port);
        }
    }

    fn read_browsers(&mut self, token: Token) {
        let number = token.0 - 1;
        let mut buffer = std::mem::take(&mut self.buffer);
        let now = Instant::now();
        for _ in 0..TURN {
            match self.browsers[number].socket.recv_from(&mut buffer) {
                Ok((length, source)) => self.on_browser(now, number, source, &buffer[..length]),
                Err(error) if is_over(&error) => {
                    self.buffer = buffer;
                    return;
                }
                // An ICMP error of an earlier datagram: says nothing about the next one.
                Err(_) => {}
            }
        }
        self.buffer = buffer;
        self.again.push(token);
    }

    fn on_browser(&mut self, now: Instant, number: usize, source: SocketAddr, contents: &[u8]) {
        let destination = self.browsers[number].candidate;
        let known = self.addresses.get(&source).copied();
        let Some(index) = self.owner(now, known, source, destination, contents) else { return };
        if known != Some(index) && self.addresses.len() < ADDRESSES_A_CALL * self.keys.len() {
            self.addresses.insert(source, index);
        }
        self.guard(index, |slot, browsers, _| {
            let Slot { call, trunk, events, dropped, .. } = slot;
            let mut wire = CallWire { browsers, trunk: trunk.as_ref(), events, dropped };
            call.on_browser_datagram(now, source, destination, contents);
            call.drain(now, &mut wire);
        });
        self.schedule(index, Schedule::Earlier);
    }

    /// Whose datagram it is: first by address, then by asking all.
    fn owner(
        &mut self,
        now: Instant,
        known: Option<usize>,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
    ) -> Option<usize> {
        let slots = &self.slots;
        let found = catch_unwind(AssertUnwindSafe(|| {
            let accepts = |index: usize| {
                slots[index]
                    .as_ref()
                    .is_some_and(|slot| slot.call.accepts(now, source, destination, contents))
            };
            known
                .filter(|index| accepts(*index))
                .or_else(|| (0..slots.len()).find(|index| accepts(*index)))
        }));
        found.unwrap_or_else(|_| {
            self.load.panicked();
            None
        })
    }

    fn read_trunk(&mut self, token: Token, index: usize, port: TrunkPort) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let now = Instant::now();
        let mut turns = 0;
        while turns < TURN {
            turns += 1;
            let slot = self.slots.get(index).and_then(Option::as_ref);
            let Some(sockets) = slot.and_then(|slot| slot.trunk.as_ref()) else { break };
            match sockets.socket(port).recv_from(&mut buffer) {
                Ok((length, source)) => {
                    let contents = &mut buffer[..length];
                    self.guard(index, |slot, browsers, _| {
                        let Slot { call, trunk, events, dropped, .. } = slot;
                        let mut wire =
                            CallWire { browsers, trunk: trunk.as_ref(), events, dropped };
                        call.on_trunk_datagram(now, port, source, contents);
                        call.drain(now, &mut wire);
                    });
                }
                Err(error) if is_over(&error) => break,
                Err(_) => {}
            }
        }
        self.buffer = buffer;
        if turns == TURN {
            self.again.push(token);
        }
        self.schedule(index, Schedule::Earlier);
    }

    fn open(&mut self, key: CallKey, id: CallId, events: mpsc::Sender<MediaEvent>) {
        let now = Instant::now();
        let mut seed = [0; 32];
        if let Err(error) = getrandom::fill(&mut seed) {
            error!(error = %error, "no random numbers for a call's media");
            let _ = events.try_send(MediaEvent::Closed { error: Some(Error::Internal) });
            self.mailbox.closed();
            return;
        }
        // 7.3 ms steps visit all of the 20 ms before they meet again.
        let first_tick = Duration::from_micros(self.opened.wrapping_mul(7_300) % 20_000);
        self.opened += 1;
        let opus = OpusSettings { complexity: self.load.complexity(), ..self.config.opus };
        let config = BridgeConfig {
            opus,
            playout: self.config.playout,
            lost_after: self.config.lost_after,
            stats_every: self.config.stats_every,
            seed,
            wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            first_tick,
        };
        let call = MediaCall::new(now, self.peer_config.clone(), config);
        let scheduled = call.timeout();
        let slot = Slot { key, id, call, events, trunk: None, parked: None, scheduled, dropped: 0 };
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index] = Some(slot);
                index
            }
            None => {
                self.slots.push(Some(slot));
                self.slots.len() - 1
            }
        };
        self.keys.insert(key, index);
        self.deadlines.push(Reverse((scheduled, index)));
        debug!(call.id = %id, worker = self.config.number, "media opened");
    }

    fn command(&mut self, index: usize, command: Command) {
        let now = Instant::now();
        self.guard(index, |slot, browsers, worker| slot.command(now, command, browsers, worker));
        self.schedule(index, Schedule::Earlier);
    }

    /// Runs something on a call; if it panics the call is over, and only it.
    fn guard<T>(
        &mut self,
        index: usize,
        run: impl FnOnce(&mut Slot, &[BrowserSocket], &Surroundings<'_>) -> T,
    ) {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else { return };
        let surroundings = Surroundings {
            poll: &self.poll,
            ports: &self.config.ports,
            rtp_advertise: self.config.rtp_advertise,
            first: Token(1 + self.browsers.len() + 2 * index),
        };
        let browsers = &self.browsers;
        let done = catch_unwind(AssertUnwindSafe(|| run(slot, browsers, &surroundings)));
        if done.is_err() {
            error!(call.id = %slot.id, "a defect ended the media of a call");
            self.load.panicked();
            self.close(index, Some(Error::Internal));
        }
    }

    fn close(&mut self, index: usize, fault: Option<Error>) {
        let Some(mut slot) = self.slots.get_mut(index).and_then(Option::take) else { return };
        let now = Instant::now();
        let browsers = &self.browsers;
        if fault.is_none() {
            // A call in an unknown state says no goodbye.
            let goodbye = catch_unwind(AssertUnwindSafe(|| {
                let Slot { call, trunk, events, dropped, .. } = &mut slot;
                let mut wire = CallWire { browsers, trunk: trunk.as_ref(), events, dropped };
                call.close(now, &mut wire);
            }));
            if goodbye.is_err() {
                self.load.panicked();
            }
        }
        if let Some(trunk) = slot.trunk.take() {
            trunk.deregister(self.poll.registry());
        }
        let _ = slot.events.try_send(MediaEvent::Closed { error: fault });
        self.load.drop_more(slot.dropped);
        self.keys.remove(&slot.key);
        self.addresses.retain(|_, owner| *owner != index);
        self.free.push(index);
        self.mailbox.closed();
        if self.keys.is_empty() {
            self.load.rest();
        }
        info!(call.id = %slot.id, dropped = slot.dropped, "media closed");
    }

    /// Puts a call's next deadline into the heap. Entries that are no longer true stay and are
    /// passed over when their time comes.
    fn schedule(&mut self, index: usize, when: Schedule) {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else { return };
        let mut at = slot.call.timeout();
        if let Schedule::Again(now) = when {
            // An engine that asks for a moment that is over shall not stop the others.
            at = at.max(now + LEAST_WAIT);
        }
        if when != Schedule::Earlier || at < slot.scheduled {
            slot.scheduled = at;
            self.deadlines.push(Reverse((at, index)));
        }
    }
}

/// When a deadline is put into the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Schedule {
    /// The one before has been taken out, at this moment.
    Again(Instant),
    /// Only if it is before the one that is in.
    Earlier,
}

/// What a command may need of its worker.
pub(super) struct Surroundings<'a> {
    pub(super) poll: &'a Poll,
    ports: &'a Ports,
    rtp_advertise: Option<IpAddr>,
    /// The token of the call's RTP socket; that of RTCP is the next.
    pub(super) first: Token,
}

impl Slot {
    fn command(
        &mut self,
        now: Instant,
        command: Command,
        browsers: &[BrowserSocket],
        worker: &Surroundings<'_>,
    ) {
        // An owner that does not wait for its answer any more loses nothing.
        match command {
            Command::Prefer(codec) => self.call.prefer(codec),
            Command::BrowserOffer { sdp, reply } => {
                let _ = reply.send(self.call.browser_offer(now, &sdp));
            }
            Command::BrowserRestart { sdp, reply } => {
                let _ = reply.send(self.call.browser_restart(now, &sdp));
            }
            Command::RestartOffer { reply } => {
                let _ = reply.send(self.call.restart_offer());
            }
            Command::OfferBrowser { reply } => {
                let _ = reply.send(self.call.offer_browser(now));
            }
            Command::BrowserAnswer { sdp, reply } => {
                let _ = reply.send(self.call.browser_answer(now, &sdp));
            }
            Command::Say { text } => self.call.say(now, &text),
            Command::BrowserCandidate { candidate } => {
                if let Some(Err(error)) = candidate.map(|c| self.call.browser_candidate(&c)) {
                    debug!(call.id = %self.id, error = %error, "candidate ignored");
                }
            }
            Command::TrunkOffer { media, reply } => {
                let offer = self
                    .open_trunk(now, browsers, worker)
                    .and_then(|local| self.call.trunk_offer(local, media));
                let _ = reply.send(offer);
            }
            Command::TrunkAnswer { sdp, phase, reply } => {
                debug!(call.id = %self.id, phase = ?phase, "trunk answered");
                let _ = reply.send(self.call.trunk_accept(now, &sdp));
            }
            Command::ReofferTrunk { hold, reply } => {
                let _ = reply.send(self.call.trunk_reoffer(hold));
            }
            Command::WithdrawTrunkOffer => self.call.trunk_withdraw(),
            Command::AnswerTrunk { sdp, media, reply } => {
                let answer = self.answer_trunk(now, &sdp, media, browsers, worker);
                let _ = reply.send(answer);
            }
            Command::ParkTrunk => self.park_trunk(worker),
            Command::RestoreTrunk { reply } => {
                let _ = reply.send(self.restore_trunk(now, browsers, worker));
            }
            Command::ForgetParked => self.forget_parked(),
            Command::Feed(feed) => self.call.feed(feed),
            Command::Connect => self.call.connect(now),
            Command::Serve(line) => self.call.serve(now, line),
            Command::Record(recorder) => self.call.record(recorder),
            Command::Play(sound) => self.call.play(sound),
            Command::SendDigits { to, digits } => self.call.send_digits(now, to, &digits),
            Command::CancelDigits { to } => self.call.cancel_digits(now, to),
            Command::Press { to, digit } => self.call.press(now, to, digit),
            Command::Release { to } => self.call.release(now, to),
            Command::PeerInfo(info) => self.call.peer_info(info),
            Command::InfoDone { request, status } => self.call.info_done(now, request, status),
            Command::ReportDigit { from, event } => self.call.report_digit(now, from, event),
        }
        self.drain(now, browsers);
    }

    fn answer_trunk(
        &mut self,
        now: Instant,
        sdp: &str,
        media: TrunkMedia,
        browsers: &[BrowserSocket],
        worker: &Surroundings<'_>,
    ) -> Result<String, Error> {
        let opened = if self.call.has_trunk() {
            None
        } else {
            Some((self.open_trunk(now, browsers, worker)?, media))
        };
        self.call.answer_trunk(now, opened, sdp)
    }

    /// Binds a new pair in place of the old one, whose leg says goodbye first. Gives the address
    /// the trunk is told.
    fn open_trunk(
        &mut self,
        now: Instant,
        browsers: &[BrowserSocket],
        worker: &Surroundings<'_>,
    ) -> Result<SocketAddr, Error> {
        let pair = worker.ports.open()?;
        self.call.close_trunk();
        self.drain(now, browsers);
        let registry = worker.poll.registry();
        if let Some(old) = self.trunk.take() {
            old.deregister(registry);
        }
        let bound = pair.address;
        let rtcp = Token(worker.first.0 + 1);
        self.trunk = Some(TrunkSockets::register(pair, registry, worker.first, rtcp)?);
        Ok(SocketAddr::new(worker.rtp_advertise.unwrap_or(bound.ip()), bound.port()))
    }

    pub(super) fn drain(&mut self, now: Instant, browsers: &[BrowserSocket]) {
        let Slot { call, trunk, events, dropped, .. } = self;
        let mut wire = CallWire { browsers, trunk: trunk.as_ref(), events, dropped };
        call.drain(now, &mut wire);
    }
}

/// Whether reading is over: nothing is left, or the socket is unusable.
fn is_over(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
