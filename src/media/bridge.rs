//! The bridge of one call: the page's leg on one side, the trunk's on the other, sound and digits
//! between them. Pure: packets and time come in, packets and events go out.
//!
//! Toward the trunk everything happens on the tick, every 20 ms. Toward the page sound of the trunk
//! goes out as it comes, ringback on the tick.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

use super::browser_side::{BrowserSide, Way};
use super::outbox::{Outbox, TrunkPort};
use super::trunk_hearing::TrunkHearing;
use super::trunk_leg::{Received, Seeds};
use super::trunk_side::{Hearing, Heeded, TrunkSide};
use super::uplink::packet_of;
use super::watch::Watch;
use super::{
    Error, Feed, Hold, LegSide, LegStats, Line, MediaEvent, OpusSettings, Playout, Recorder,
    TrunkMedia,
};
use crate::codec::{Cadence, ComfortNoise, FRAME, Rate, ringback};
use crate::dtmf::{DigitEvent, DigitQueue};
use crate::webrtc::{Negotiated, RtpIn};

pub(super) use super::outbox::Output;

mod digits;
mod line;
mod negotiation;
mod parking;
mod play;
mod recording;

/// What a bridge is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct BridgeConfig {
    pub(super) opus: OpusSettings,
    pub(super) playout: Playout,
    pub(super) lost_after: Duration,
    pub(super) stats_every: Duration,
    /// For all numbers that must not be guessed.
    pub(super) seed: [u8; 32],
    /// Wall clock since 1970 at the bridge's start, for RTCP.
    pub(super) wall: Duration,
    /// From the start to the first tick, so that calls of one worker tick at different moments.
    pub(super) first_tick: Duration,
}

/// What happens to a bridge beside commands.
#[derive(Debug)]
pub(super) enum Input<'a> {
    /// A packet of the page.
    BrowserRtp(&'a RtpIn),
    /// What the page says about our packets.
    BrowserReception { loss: Option<f32>, round_trip: Option<Duration> },
    /// The page can be sent to.
    BrowserUp,
    /// It cannot any more.
    BrowserDown,
    /// A datagram on a port of the RTP leg.
    TrunkDatagram { port: TrunkPort, source: SocketAddr, contents: &'a mut [u8] },
    /// The time of the last timeout has come.
    Timeout,
}

/// One call's bridge.
#[derive(Debug)]
pub(super) struct Bridge {
    config: BridgeConfig,
    started: Instant,
    rng: ChaCha12Rng,
    browser: Option<BrowserSide>,
    trunk: Option<TrunkSide>,
    /// Put aside while another one is tried in its place.
    parked: Option<TrunkSide>,
    feed: Feed,
    ringback: Option<Cadence>,
    /// Whether the page holds the trunk.
    hold: Hold,
    comfort: ComfortNoise,
    connected: bool,
    /// Presses of the page's JSON, so that the end finds its start.
    pressed: Option<DigitEvent>,
    presses: u64,
    browser_watch: Watch,
    trunk_watch: Watch,
    next_tick: Instant,
    next_stats: Instant,
    next_report: Instant,
    frame: Vec<i16>,
    /// What stands in the place of the other leg.
    line: Option<Box<dyn Line>>,
    /// Keys of the page's messages for it.
    line_keys: line::LineKeys,
    /// What the line says.
    spoken: [i16; Rate::Wide.frame()],
    /// That of the sound through the bridge.
    rate: Rate,
    /// The trunk's sound, for a line or a recorder.
    hearing: Option<TrunkHearing>,
    recorder: Option<Box<dyn Recorder>>,
    /// What both sides hear in the place of each other.
    playing: Option<play::Playing>,
    /// What the trunk says in this interval, for the recorder.
    heard: Vec<i16>,
    /// Digits that no sender took.
    digits_dropped: u64,
    /// Digits that wait while there is no trunk: it was refused and the next is not dialled yet.
    waiting: DigitQueue,
    outbox: Outbox,
}

/// The packet interval (RFC 3551 4.2).
const TICK: Duration = Duration::from_millis(20);
/// Ticks made up for after a stall; beyond it the time is let go.
const MAX_LATE_TICKS: u32 = 5;
/// RFC 3550 6.2: five seconds, spread by half of it either way.
const REPORT_EVERY_MS: u64 = 5_000;

impl Bridge {
    pub(super) fn new(now: Instant, config: BridgeConfig) -> Self {
        Self {
            config,
            started: now,
            rng: ChaCha12Rng::from_seed(config.seed),
            browser: None,
            trunk: None,
            parked: None,
            feed: Feed::Silence,
            ringback: None,
            hold: Hold::Off,
            comfort: ComfortNoise::new(),
            connected: false,
            pressed: None,
            presses: 0,
            browser_watch: Watch::new(LegSide::Browser, config.lost_after),
            trunk_watch: Watch::new(LegSide::Trunk, config.lost_after),
            next_tick: now + config.first_tick,
            next_stats: now + config.stats_every,
            next_report: now + Duration::from_millis(REPORT_EVERY_MS / 2),
            frame: Vec::with_capacity(Rate::Wide.frame()),
            line: None,
            line_keys: line::LineKeys::default(),
            spoken: [0; Rate::Wide.frame()],
            rate: Rate::Narrow,
            hearing: None,
            recorder: None,
            playing: None,
            heard: Vec::with_capacity(Rate::Wide.frame()),
            digits_dropped: 0,
            waiting: DigitQueue::new(),
            outbox: Outbox::default(),
        }
    }

    /// The page's leg as negotiated: of a new peer, whose row of numbers begins anew.
    pub(super) fn set_browser(
        &mut self,
        now: Instant,
        negotiated: &Negotiated,
    ) -> Result<(), Error> {
        if let Some(before) = &mut self.browser {
            before.listener.close(now);
            self.pressed = None;
            self.carry_digits(now);
        }
        let (seq, timestamp) = (self.rng.next_u32() as u16, self.rng.next_u32());
        let mut side = BrowserSide::new(now, negotiated, &self.config, seq, timestamp)?;
        if let Some(before) = self.browser.take() {
            side.follow(before);
        }
        self.browser = Some(side);
        self.settle_rate()
    }

    /// Opens a leg that receives at `local`; one that was open is gone. Its reports end with a
    /// goodbye.
    pub(super) fn open_trunk(&mut self, local: SocketAddr, media: TrunkMedia) {
        self.close_trunk();
        let mut keys = [[0; 30]; 3];
        keys.iter_mut().for_each(|key| self.rng.fill_bytes(key));
        let seeds = Seeds {
            ssrc: self.rng.next_u32(),
            seq: self.rng.next_u32() as u16,
            timestamp: self.rng.next_u32(),
            session_id: self.rng.next_u64(),
            keys,
        };
        let mut trunk = TrunkSide::new(local, media, seeds);
        trunk.digits.put_waiting(std::mem::take(&mut self.waiting));
        self.trunk = Some(trunk);
        self.trunk_watch = Watch::new(LegSide::Trunk, self.config.lost_after);
        if let Some(browser) = &mut self.browser {
            browser.downlink.switch();
        }
    }

    /// Ends the trunk's leg, with an RTCP BYE.
    pub(super) fn close_trunk(&mut self) {
        if let Some(mut trunk) = self.trunk.take() {
            let waiting = trunk.digits.take_waiting();
            self.waiting.take_over(waiting);
            trunk.bye(&mut self.outbox);
        }
    }

    /// The complexity of Opus toward the page from now on.
    pub(super) fn set_complexity(&mut self, complexity: u8) {
        self.config.opus.complexity = complexity;
        if let Some(browser) = &mut self.browser {
            browser.downlink.set_complexity(complexity);
        }
    }

    pub(super) fn has_trunk(&self) -> bool {
        self.trunk.is_some()
    }

    /// What the page hears from now on.
    pub(super) fn feed(&mut self, feed: Feed) {
        if feed == self.feed {
            return;
        }
        self.ringback = match &feed {
            Feed::Ringback { country } => Some(ringback(country)),
            Feed::Silence | Feed::Trunk => None,
        };
        self.feed = feed;
        if let Some(browser) = &mut self.browser {
            browser.downlink.switch();
        }
    }

    /// The call is answered.
    pub(super) fn connect(&mut self, now: Instant) {
        self.feed(Feed::Trunk);
        self.connected = true;
        self.browser_watch.start(now);
        self.trunk_watch.start(now);
    }

    pub(super) fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::BrowserRtp(packet) => self.on_browser_rtp(now, packet),
            Input::BrowserReception { loss, round_trip } => {
                if let Some(browser) = &mut self.browser {
                    browser.on_reception(loss, round_trip);
                }
            }
            Input::BrowserUp => {
                if let Some(browser) = &mut self.browser {
                    browser.up = true;
                    browser.downlink.switch();
                }
                if self.connected {
                    self.browser_watch.start(now);
                }
            }
            Input::BrowserDown => {
                if let Some(browser) = &mut self.browser {
                    browser.up = false;
                }
                self.browser_watch.stop();
            }
            Input::TrunkDatagram { port: TrunkPort::Rtp, source, contents } => {
                self.on_trunk_rtp(now, source, contents);
            }
            Input::TrunkDatagram { port: TrunkPort::Rtcp, source, contents } => {
                if let Some(trunk) = &mut self.trunk {
                    trunk.on_rtcp(now, source, contents);
                }
            }
            Input::Timeout => self.on_timeout(now),
        }
    }

    /// The next thing to do; `None` when there is nothing more until [`Bridge::timeout`].
    pub(super) fn poll_output(&mut self) -> Option<Output<'_>> {
        self.outbox.pop()
    }

    /// When to call again at the latest.
    pub(super) fn timeout(&self) -> Instant {
        self.next_tick
    }

    /// The numbers of both legs, page first.
    pub(super) fn stats(&self) -> (LegStats, LegStats) {
        let mut browser = self.browser.as_ref().map_or_else(LegStats::default, BrowserSide::stats);
        browser.digits_dropped += self.digits_dropped;
        let mut trunk = self.trunk.as_ref().map_or_else(LegStats::default, |t| t.leg.stats());
        trunk.digits_dropped = self.trunk.as_ref().map_or(0, |t| t.listener.dropped());
        trunk.late = self.browser.as_ref().map_or(0, |b| b.downlink.late());
        browser.late += self.trunk.as_ref().map_or(0, TrunkSide::late);
        trunk.codec = self.trunk.as_ref().and_then(|t| t.leg.codec());
        (browser, trunk)
    }

    fn on_browser_rtp(&mut self, now: Instant, packet: &RtpIn) {
        let Some(browser) = &mut self.browser else { return };
        // What is recorded is decoded.
        let held = self.hold == Hold::On || self.recorder.is_some() || self.playing.is_some();
        let relay = self.trunk.as_mut().filter(|t| !held && t.relays(browser.uplink.codec()));
        let way = if relay.is_some() { Way::Relayed } else { Way::Played };
        if !browser.on_rtp(now, packet, way) {
            return;
        }
        if let Some(trunk) = relay.filter(|_| browser.is_sound(packet)) {
            trunk.relay(now, &packet_of(packet), &mut self.outbox);
        }
        self.browser_watch.heard(now, &mut self.outbox);
        self.carry_digits(now);
    }

    fn on_trunk_rtp(&mut self, now: Instant, source: SocketAddr, datagram: &mut [u8]) {
        let Some(trunk) = &mut self.trunk else { return };
        let received = trunk.on_rtp(now, source, datagram);
        if let Received::Audio(packet) = &received
            && trunk.listen_to(packet.payload_type.get()) == Heeded::Changed
            && self.settle_rate().is_err()
        {
            return;
        }
        let goes_to_page = self.trunk_goes_to_page();
        let Some(trunk) = &mut self.trunk else { return };
        match received {
            Received::Nothing => return,
            Received::Event(packet) => {
                if let Some(hearing) = &mut self.hearing {
                    hearing.on_event(now, &packet);
                }
                if let Some(browser) = &mut self.browser {
                    browser.downlink.on_trunk_event(&packet);
                }
            }
            Received::Noise(packet) => {
                let heard = goes_to_page && trunk.leg.receives();
                if let Some(hearing) = &mut self.hearing {
                    hearing.on_noise(now, &packet);
                }
                let codec = trunk.decoder().map(|decoder| decoder.codec());
                let browser = self.browser.as_mut().filter(|b| heard && b.is_open());
                if let (Some(browser), Some(codec)) = (browser, codec) {
                    browser.downlink.on_trunk_noise(now, &packet, codec, &mut self.outbox);
                }
                self.trunk_watch.pauses(now, &mut self.outbox);
                return self.carry_digits(now);
            }
            Received::Audio(packet) => {
                let receives = trunk.leg.receives();
                let hearing = if receives { trunk.hear(now, &packet) } else { Hearing::Muted };
                if (self.line.is_some() || self.recorder.is_some()) && receives {
                    let codec = trunk.decoder().map(|decoder| decoder.codec());
                    let (heard, codec) = ((&packet, hearing), (codec, self.rate));
                    line::hear(&mut self.hearing, now, heard, codec, self.config.playout);
                    if let Some(of_line) = &mut self.hearing {
                        of_line.keep_tones_back(trunk.listener.takes_tones());
                    }
                }
                let heard = goes_to_page && receives;
                let browser = self.browser.as_mut().filter(|b| heard && b.is_open());
                if let (Some(browser), Some(decoder)) = (browser, trunk.decoder()) {
                    let out = &mut self.outbox;
                    browser.downlink.on_trunk_audio(now, &packet, decoder, hearing, out);
                }
            }
        }
        self.trunk_watch.heard(now, &mut self.outbox);
        self.carry_digits(now);
    }

    fn on_timeout(&mut self, now: Instant) {
        let mut ticks = 0;
        while self.next_tick <= now {
            if ticks == MAX_LATE_TICKS {
                let missed = now.saturating_duration_since(self.next_tick).as_millis()
                    / TICK.as_millis()
                    + 1;
                let missed = u32::try_from(missed).unwrap_or(u32::MAX);
                if let Some(trunk) = &mut self.trunk {
                    trunk.skip(missed);
                }
                self.next_tick += TICK * missed;
                break;
            }
            self.tick(now);
            self.next_tick += TICK;
            ticks += 1;
        }
        self.browser_watch.check(now, &mut self.outbox);
        if self.trunk.as_ref().is_some_and(|trunk| trunk.leg.receives()) {
            self.trunk_watch.check(now, &mut self.outbox);
        }
        if self.next_report <= now {
            self.report(now);
        }
        if self.next_stats <= now {
            let (browser, trunk) = self.stats();
            self.outbox.event(MediaEvent::Stats { browser, trunk });
            self.next_stats = now + self.config.stats_every;
        }
    }

    fn tick(&mut self, now: Instant) {
        if let Some(browser) = &mut self.browser {
            browser.listener.on_tick(now);
            browser.digit_tick(now, &mut self.outbox);
            if let Some(cadence) = self.ringback.as_mut().filter(|_| browser.is_open()) {
                self.frame.resize(FRAME, 0);
                cadence.fill(&mut self.frame);
                browser.downlink.local_frame(now, &self.frame, &mut self.outbox);
            }
        }
        let goes_to_page = self.trunk_goes_to_page();
        if let Some(trunk) = &mut self.trunk {
            trunk.listener.on_tick(now);
            let heard = goes_to_page && trunk.leg.receives();
            if let Some(browser) = self.browser.as_mut().filter(|b| heard && b.is_open()) {
                browser.downlink.noise_tick(&mut self.outbox);
            }
        }
        self.carry_digits(now);
        let announced = self.play_tick(now);
        if self.line.is_some() {
            return self.line_tick(now);
        }
        let Some(trunk) = &mut self.trunk else {
            // Nobody hears the page; its buffer goes on, so that it is not behind later.
            if let Some(browser) = &mut self.browser {
                browser.uplink.frame(now, &mut self.frame);
            }
            return self.record_frame(now);
        };
        match &mut self.browser {
            Some(browser)
                if self.hold == Hold::Off
                    && self.recorder.is_none()
                    && !announced
                    && trunk.relays(browser.uplink.codec()) =>
            {
                trunk.relay_tick(now, &mut self.outbox);
                trunk.tell_digits(&mut self.outbox);
                return;
            }
            Some(browser) => browser.uplink.frame(now, &mut self.frame),
            None => {
                self.frame.clear();
                self.frame.resize(trunk.rate().unwrap_or_default().frame(), 0);
            }
        }
        if self.hold == Hold::On {
            self.comfort.fill(&mut self.frame);
        }
        self.record_frame(now);
        if let Some(playing) = self.playing.as_ref().filter(|_| announced) {
            let rate = Rate::of_frame(self.frame.len());
            self.frame.clear();
            self.frame.extend_from_slice(playing.at(rate));
        }
        if let Some(trunk) = &mut self.trunk {
            trunk.tick(now, &mut self.frame, &mut self.outbox);
            trunk.tell_digits(&mut self.outbox);
        }
    }

    /// Whether what the trunk says is for the page: neither side holds, nothing else is fed or played.
    fn trunk_goes_to_page(&self) -> bool {
        self.feed == Feed::Trunk && self.hold == Hold::Off && self.playing.is_none()
    }

    /// Whether the trunk's sound may be heard now.
    fn hearing_of_trunk(&self, now: Instant) -> Hearing {
        self.trunk.as_ref().map_or(Hearing::Heard, |trunk| trunk.hearing(now))
    }

    fn report(&mut self, now: Instant) {
        let wall = self.config.wall + now.saturating_duration_since(self.started);
        if let Some(trunk) = &mut self.trunk {
            trunk.report(now, wall, &mut self.outbox);
        }
        let spread = u64::from(self.rng.next_u32()) % REPORT_EVERY_MS;
        self.next_report = now + Duration::from_millis(REPORT_EVERY_MS / 2 + spread);
    }
}
