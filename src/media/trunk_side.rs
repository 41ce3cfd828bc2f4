//! All of the trunk's side: the RTP leg, the codec of its sound, the digits it sends and takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::digits::Listener;
use super::digits_out::{DigitsOut, Interval};
use super::loss_control::LossControl;
use super::outbox::{Outbox, TrunkPort};
use super::relay::Relay;
use super::trunk_leg::{Received, Seeds, TrunkLeg};
use super::trunk_pause::{self, TrunkPauses};
use super::trunk_sound::TrunkSound;
use super::{Error, RelayPolicy, TrunkAudio, TrunkCodec, TrunkMedia};
use crate::codec::{Codec, Decoder, Doubler, Encoded, Encoder, FRAME, Rate};
use crate::dtmf::{
    EventPacket, EventSupport, InfoSupport, Plan, PlanInput, ReceivedEvent, ToneSupport,
};
use crate::rtp::Packet;
use crate::sdp::AudioCodec;

/// The trunk's side of a bridge.
#[derive(Debug)]
pub(super) struct TrunkSide {
    pub(super) leg: TrunkLeg,
    pub(super) listener: Listener,
    pub(super) digits: DigitsOut,
    coding: Option<Coding>,
    sound: TrunkSound,
    loss_control: LossControl,
    info: InfoSupport,
    /// The page's pauses, where they are sent as comfort noise.
    pauses: Option<TrunkPauses>,
    /// Sound that has not filled a packet, and where it starts.
    pending: Vec<i16>,
    pending_from: u32,
    encoded: Vec<u8>,
    /// Packets of the page that go on as they are.
    relay: Relay,
    /// Tones are made at 8 kHz.
    tone: Vec<i16>,
    doubled: Vec<i16>,
    doubler: Doubler,
    datagram: Vec<u8>,
    /// The next packet of sound starts a talk spurt.
    marker: bool,
}

/// Both directions of the codec in force.
#[derive(Debug)]
struct Coding {
    encoder: Encoder,
    decoder: Decoder,
}

impl Coding {
    fn new(codec: Codec, rate: Rate) -> Result<Self, Error> {
        let failed = |_| Error::Internal;
        Ok(Self {
            encoder: Encoder::at(codec, rate).map_err(failed)?,
            decoder: Decoder::at(codec, rate).map_err(failed)?,
        })
    }
}

/// Whether a packet's codec is another than that of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heeded {
    AsBefore,
    Changed,
}

/// Whether a packet of the trunk's sound goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearing {
    Heard,
    /// Silence goes in its place: a digit is on, which goes another way.
    Muted,
}

impl TrunkSide {
    pub(super) fn new(local: SocketAddr, media: TrunkMedia, seeds: Seeds) -> Self {
        let (pacing, info) = (media.pacing, media.info);
        Self {
            leg: TrunkLeg::new(local, media, seeds),
            listener: Listener::new(&[]),
            digits: DigitsOut::new(pacing),
            coding: None,
            sound: TrunkSound::new(),
            loss_control: LossControl::default(),
            info,
            pauses: None,
            pending: Vec::with_capacity(4 * Rate::Wide.frame()),
            pending_from: 0,
            encoded: Vec::with_capacity(1500),
            relay: Relay::default(),
            tone: Vec::new(),
            doubled: Vec::new(),
            doubler: Doubler::new(),
            datagram: Vec::with_capacity(1500),
            marker: true,
        }
    }

    pub(super) fn accept(&mut self, now: Instant, answer: &str) -> Result<TrunkAudio, Error> {
        let audio = self.leg.accept(now, answer)?;
        self.settle(now, audio)?;
        Ok(audio)
    }

    pub(super) fn answer(
        &mut self,
        now: Instant,
        offer: &str,
    ) -> Result<(String, TrunkAudio), Error> {
        let (answer, audio) = self.leg.answer(now, offer)?;
        self.settle(now, audio)?;
        Ok((answer, audio))
    }

    /// What the peer's `Allow` says, from the next offer and answer on.
    pub(super) fn set_info(&mut self, info: InfoSupport) {
        self.info = info;
    }

    /// The codec in force.
    pub(super) fn codec(&self) -> Option<Codec> {
        self.coding.as_ref().map(|coding| coding.encoder.codec())
    }

    /// The rate of the sound it takes; `None` before the first offer and answer.
    pub(super) fn rate(&self) -> Option<Rate> {
        self.coding.as_ref().map(|coding| coding.encoder.rate())
    }

    /// The codec of a payload type that was agreed on is heard from now on.
    pub(super) fn listen_to(&mut self, payload_type: u8) -> Heeded {
        let Some(coding) = &mut self.coding else { return Heeded::AsBefore };
        let codec = self.leg.codec_of(payload_type).map(TrunkCodec::coding);
        let codec = codec.filter(|codec| *codec != coding.decoder.codec());
        match codec.map(Decoder::new) {
            Some(Ok(decoder)) => {
                coding.decoder = decoder;
                Heeded::Changed
            }
            Some(Err(_)) | None => Heeded::AsBefore,
        }
    }

    /// Whether both codecs in force, that of either direction, have 16 kHz.
    pub(super) fn is_wide(&self) -> bool {
        self.coding
            .as_ref()
            .is_some_and(|c| c.encoder.codec().is_wide() && c.decoder.codec().is_wide())
    }

    /// The rate from now on, one that the codecs in force have.
    pub(super) fn set_rate(&mut self, rate: Rate) -> Result<(), Error> {
        let failed = |_| Error::Internal;
        let Some(coding) = &mut self.coding else { return Ok(()) };
        if coding.encoder.rate() != rate {
            coding.encoder = Encoder::at(coding.encoder.codec(), rate).map_err(failed)?;
            self.pending.clear();
        }
        if coding.decoder.rate() != rate {
            coding.decoder = Decoder::at(coding.decoder.codec(), rate).map_err(failed)?;
        }
        Ok(())
    }

    /// Units of the leg's clock in 20 ms.
    fn units_a_tick(&self) -> u32 {
        self.codec().map_or(160, |codec| codec.clock_rate() / 50)
    }

    /// The decoder of the trunk's sound.
    pub(super) fn decoder(&mut self) -> Option<&mut Decoder> {
        self.coding.as_mut().map(|coding| &mut coding.decoder)
    }

    /// Looks at a datagram of the RTP port. Events are heard by the listener at once.
    pub(super) fn on_rtp<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Received<'a> {
        let received = self.leg.on_rtp(now, source, datagram);
        if let Received::Event(packet) = &received {
            let event = ReceivedEvent::from(packet);
            self.listener.on_packet(now, event);
            self.sound.on_event(packet);
        }
        if let Received::Noise(packet) = &received {
            self.sound.on_event(packet);
        }
        received
    }

    /// Listens to a packet of the trunk's sound for tones; says whether it may be heard.
    pub(super) fn hear(&mut self, now: Instant, packet: &Packet<'_>) -> Hearing {
        self.listener.on_sound_beside();
        if self.listener.wants_sound()
            && let Some(codec) = self.coding.as_ref().map(|coding| coding.decoder.codec())
        {
            self.sound.on_audio(now, packet, codec, &mut self.listener);
        }
        self.hearing(now)
    }

    /// Whether the trunk's sound may be heard now.
    pub(super) fn hearing(&self, now: Instant) -> Hearing {
        if self.listener.tone_is_on(now) { Hearing::Muted } else { Hearing::Heard }
    }

    /// Looks at a datagram of the RTCP port: an encoder of Opus heeds what is reported lost.
    pub(super) fn on_rtcp(&mut self, now: Instant, source: SocketAddr, datagram: &mut [u8]) {
        self.leg.on_rtcp(now, source, datagram);
        let Some(coding) = &mut self.coding else { return };
        if let Some(settings) = coding.encoder.opus_settings() {
            let loss = self.leg.remote_loss();
            let course = self.loss_control.on_report(loss, settings.bit_rate);
            if course.expected_loss != settings.expected_loss_percent {
                // An encoder that refuses keeps what it had.
                let _ = coding.encoder.set_expected_loss(course.expected_loss);
            }
        }
    }

    /// Hands over what the digits toward the trunk have to say.
    pub(super) fn tell_digits(&mut self, outbox: &mut Outbox) {
        while let Some(event) = self.digits.poll() {
            outbox.event(event);
        }
    }

    /// One interval of 20 ms toward the trunk: a digit, or else this sound. While a digit is on
    /// the sound is kept back; the clock goes on either way.
    pub(super) fn tick(&mut self, now: Instant, frame: &mut [i16], outbox: &mut Outbox) {
        self.digits.on_tick(now);
        let destination = self.leg.destination().filter(|_| self.leg.sends());
        let Some(destination) = destination else {
            self.pending.clear();
            self.marker = true;
            self.leg.advance(self.units_a_tick());
            return;
        };
        match self.digit(now, frame, destination, outbox) {
            Interval::Event => {
                self.flush(now, destination, outbox);
                self.marker = true;
            }
            Interval::Sound | Interval::Tone => self.speak(now, frame, destination, outbox),
        }
        self.leg.advance(self.units_a_tick());
    }

    /// Whether the page's packets of this codec go on as they are.
    pub(super) fn relays(&self, codec: Codec) -> bool {
        let allowed = match self.leg.media().relay {
            RelayPolicy::Opus => codec == Codec::Opus,
            RelayPolicy::SameCodec => true,
            RelayPolicy::Never => false,
        };
        allowed && self.codec() == Some(codec) && !self.digits.are_tones()
    }

    /// One interval of 20 ms while packets are relayed: only digits are sent here.
    pub(super) fn relay_tick(&mut self, now: Instant, outbox: &mut Outbox) {
        self.digits.on_tick(now);
        if let Some(destination) = self.leg.destination().filter(|_| self.leg.sends())
            && self.digit(now, &mut [], destination, outbox) == Interval::Event
        {
            self.relay.interrupt();
        }
        self.leg.advance(self.units_a_tick());
    }

    /// A packet of the page on its way through; not while a digit is on.
    pub(super) fn relay(&mut self, now: Instant, packet: &Packet<'_>, outbox: &mut Outbox) {
        let destination = self.leg.destination().filter(|_| self.leg.sends());
        let (Some(destination), Some(codec)) = (destination, self.codec()) else { return };
        let Some(n) = self.leg.negotiated().filter(|_| !self.digits.is_on()) else { return };
        let payload_type = n.codec.send;
        let place = self.relay.place(packet, codec.clock_rate(), self.leg.timestamp());
        let Some(place) = place else { return };
        self.leg.leave_out(place.lost);
        let marker = place.marker || std::mem::take(&mut self.marker);
        let payload = packet.payload;
        self.leg.write(now, marker, payload_type, place.timestamp, payload, &mut self.datagram);
        outbox.send_trunk(TrunkPort::Rtp, destination, &self.datagram);
    }

    /// Packets of the page that were not relayed, for they came after their successors.
    pub(super) fn late(&self) -> u64 {
        self.relay.late()
    }

    /// Intervals that were missed: the clock goes on without them.
    pub(super) fn skip(&mut self, frames: u32) {
        self.pending.clear();
        self.marker = true;
        self.leg.advance(frames.wrapping_mul(self.units_a_tick()));
    }

    /// The report that is due.
    pub(super) fn report(&mut self, now: Instant, wall: Duration, outbox: &mut Outbox) {
        if let Some(destination) = self.leg.report(now, wall, &mut self.datagram) {
            outbox.send_trunk(TrunkPort::Rtcp, destination, &self.datagram);
        }
    }

    /// The goodbye.
    pub(super) fn bye(&mut self, outbox: &mut Outbox) {
        if let Some(destination) = self.leg.bye(&mut self.datagram) {
            outbox.send_trunk(TrunkPort::Rtcp, destination, &self.datagram);
        }
    }

    fn settle(&mut self, now: Instant, audio: TrunkAudio) -> Result<(), Error> {
        let codec = audio.codec.coding();
        if self.coding.as_ref().is_none_or(|coding| coding.encoder.codec() != codec) {
            self.coding = Some(Coding::new(codec, Rate::Narrow)?);
            self.pending.clear();
        }
        self.pauses = self.leg.sends_noise().map(|_| self.pauses.take().unwrap_or_default());
        let events = self.leg.negotiated().and_then(|n| n.telephone_event);
        let types: Vec<(u8, u32)> = events.iter().map(|e| (e.receive, e.clock_rate)).collect();
        self.listener.set_types(&types);
        let plan = Plan::new(PlanInput {
            wish: self.leg.media().dtmf,
            events: if events.is_some() { EventSupport::Negotiated } else { EventSupport::Absent },
            info: self.info,
            tones: if codec == Codec::Opus { ToneSupport::Spoilt } else { ToneSupport::Kept },
        });
        self.listener.set_detection(plan.detection());
        self.digits.set_plan(now, plan, events.map(|e| (e.send, e.clock_rate)));
        Ok(())
    }

    /// Sends what the digits have for this interval; says whether it takes the place of the sound.
    fn digit(
        &mut self,
        now: Instant,
        frame: &mut [i16],
        destination: SocketAddr,
        outbox: &mut Outbox,
    ) -> Interval {
        let wide = self.rate() == Some(Rate::Wide) && self.digits.are_tones();
        if wide {
            self.tone.clear();
            self.tone.resize(FRAME, 0);
        }
        let sound = if wide { &mut self.tone[..] } else { &mut *frame };
        let (leg, datagram) = (&mut self.leg, &mut self.datagram);
        let interval = self.digits.interval(now, leg.timestamp(), sound, |packet| {
            let EventPacket { payload_type, marker, timestamp, payload } = packet;
            leg.write(now, marker, payload_type, timestamp, &payload, datagram);
            outbox.send_trunk(TrunkPort::Rtp, destination, datagram);
        });
        if wide && interval == Interval::Tone {
            self.doubler.double(&self.tone, &mut self.doubled);
            frame.copy_from_slice(&self.doubled[..frame.len()]);
        }
        interval
    }

    fn speak(&mut self, now: Instant, frame: &[i16], destination: SocketAddr, outbox: &mut Outbox) {
        let Some(rate) = self.rate() else { return };
        if self.is_pause(now, frame, destination, outbox) {
            return;
        }
        if self.pending.is_empty() {
            self.pending_from = self.leg.timestamp();
        }
        self.pending.extend_from_slice(frame);
        let ms = self.leg.negotiated().map_or(20, |n| match (n.codec.codec, n.ptime_ms) {
            // Opus has no frame of 30 ms (RFC 6716 2.1.4).
            (AudioCodec::Opus, 30) => 20,
            (_, ms) => ms.clamp(10, 60),
        });
        let samples = ms as usize * 8 * rate.factor();
        while self.pending.len() >= samples {
            self.packet(now, samples, destination, outbox);
        }
    }

    /// Whether a frame is of a pause, in which a description of the noise goes out now and then.
    fn is_pause(
        &mut self,
        now: Instant,
        frame: &[i16],
        destination: SocketAddr,
        outbox: &mut Outbox,
    ) -> bool {
        let Some(payload_type) = self.leg.sends_noise() else { return false };
        let Some(pauses) = &mut self.pauses else { return false };
        let sending = pauses.sending(frame);
        if sending == trunk_pause::Sending::Sound {
            return false;
        }
        self.flush(now, destination, outbox);
        // What comes after it starts a talk spurt (RFC 3389 4).
        self.marker = true;
        if let (trunk_pause::Sending::Description, Some(pauses)) = (sending, &self.pauses) {
            pauses.describe(&mut self.encoded);
            let at = self.leg.timestamp();
            self.leg.write(now, false, payload_type, at, &self.encoded, &mut self.datagram);
            outbox.send_trunk(TrunkPort::Rtp, destination, &self.datagram);
        }
        true
    }

    /// Sends what is pending as a short packet.
    fn flush(&mut self, now: Instant, destination: SocketAddr, outbox: &mut Outbox) {
        if !self.pending.is_empty() {
            self.packet(now, self.pending.len(), destination, outbox);
        }
    }

    fn packet(
        &mut self,
        now: Instant,
        samples: usize,
        destination: SocketAddr,
        outbox: &mut Outbox,
    ) {
        let units =
            samples as u32 * self.units_a_tick() / self.rate().unwrap_or_default().frame() as u32;
        let (Some(n), Some(coding)) = (self.leg.negotiated(), &mut self.coding) else { return };
        let payload_type = n.codec.send;
        let encoded = coding.encoder.encode(&self.pending[..samples], &mut self.encoded);
        if encoded == Ok(Encoded::Frame) {
            let marker = std::mem::take(&mut self.marker);
            let (at, payload) = (self.pending_from, &self.encoded[..]);
            self.leg.write(now, marker, payload_type, at, payload, &mut self.datagram);
            outbox.send_trunk(TrunkPort::Rtp, destination, &self.datagram);
        } else {
            self.marker = true;
        }
        self.pending.drain(..samples);
        self.pending_from = self.pending_from.wrapping_add(units);
    }
}
