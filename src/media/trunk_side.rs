//! All of the trunk's side: the RTP leg, the codec of its sound, the digits it sends and takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::digits::Listener;
use super::digits_out::{DigitsOut, Interval};
use super::outbox::{Outbox, TrunkPort};
use super::trunk_leg::{Received, Seeds, TrunkLeg};
use super::trunk_sound::TrunkSound;
use super::{Error, TrunkAudio, TrunkMedia};
use crate::codec::{Decoder, Encoder, FRAME};
use crate::dtmf::{
    EventPacket, EventSupport, InfoSupport, Plan, PlanInput, ReceivedEvent, ToneSupport,
};
use crate::rtp::Packet;

/// The trunk's side of a bridge.
#[derive(Debug)]
pub(super) struct TrunkSide {
    pub(super) leg: TrunkLeg,
    pub(super) listener: Listener,
    pub(super) digits: DigitsOut,
    coding: Option<Coding>,
    sound: TrunkSound,
    info: InfoSupport,
    /// Encoded sound that has not filled a packet, one byte a sample, and where it starts.
    pending: Vec<u8>,
    pending_from: u32,
    encoded: Vec<u8>,
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
            info,
            pending: Vec::with_capacity(4 * FRAME),
            pending_from: 0,
            encoded: Vec::with_capacity(FRAME),
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
            let event = ReceivedEvent {
                payload_type: packet.payload_type.get(),
                ssrc: packet.ssrc.0,
                seq: packet.seq.0,
                timestamp: packet.timestamp.0,
                marker: packet.marker,
                payload: packet.payload,
            };
            self.listener.on_packet(now, event);
            self.sound.on_event(packet);
        }
        received
    }

    /// Listens to a packet of the trunk's sound for tones; says whether it may be heard.
    pub(super) fn hear(&mut self, now: Instant, packet: &Packet<'_>) -> Hearing {
        if self.listener.wants_sound()
            && let Some(coding) = &mut self.coding
        {
            self.sound.on_audio(now, packet, &mut coding.decoder, &mut self.listener);
        }
        if self.listener.tone_is_on(now) { Hearing::Muted } else { Hearing::Heard }
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
            self.leg.advance(FRAME as u32);
            return;
        };
        match self.digit(now, frame, destination, outbox) {
            Interval::Event => {
                self.flush(now, destination, outbox);
                self.marker = true;
            }
            Interval::Sound => self.speak(now, frame, destination, outbox),
        }
        self.leg.advance(FRAME as u32);
    }

    /// Intervals that were missed: the clock goes on without them.
    pub(super) fn skip(&mut self, frames: u32) {
        self.pending.clear();
        self.marker = true;
        self.leg.advance(frames.wrapping_mul(FRAME as u32));
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
            let failed = |_| Error::Internal;
            self.coding = Some(Coding {
                encoder: Encoder::new(codec).map_err(failed)?,
                decoder: Decoder::new(codec).map_err(failed)?,
            });
        }
        let events = self.leg.negotiated().and_then(|n| n.telephone_event);
        let types: Vec<(u8, u32)> = events.iter().map(|e| (e.receive, e.clock_rate)).collect();
        self.listener.set_types(&types);
        let plan = Plan::new(PlanInput {
            wish: self.leg.media().dtmf,
            events: if events.is_some() { EventSupport::Negotiated } else { EventSupport::Absent },
            info: self.info,
            // Both codecs of a trunk are G.711.
            tones: ToneSupport::Kept,
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
        let (leg, datagram) = (&mut self.leg, &mut self.datagram);
        self.digits.interval(now, leg.timestamp(), frame, |packet| {
            let EventPacket { payload_type, marker, timestamp, payload } = packet;
            leg.write(now, marker, payload_type, timestamp, &payload, datagram);
            outbox.send_trunk(TrunkPort::Rtp, destination, datagram);
        })
    }

    fn speak(&mut self, now: Instant, frame: &[i16], destination: SocketAddr, outbox: &mut Outbox) {
        let Some(coding) = self.coding.as_mut() else { return };
        if coding.encoder.encode(frame, &mut self.encoded).is_err() {
            return;
        }
        if self.pending.is_empty() {
            self.pending_from = self.leg.timestamp();
        }
        self.pending.extend_from_slice(&self.encoded);
        let samples = self.leg.negotiated().map_or(20, |n| n.ptime_ms.clamp(10, 60)) as usize * 8;
        while self.pending.len() >= samples {
            self.packet(now, samples, destination, outbox);
        }
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
        let Some(n) = self.leg.negotiated() else { return };
        let payload_type = n.codec.send;
        let marker = std::mem::take(&mut self.marker);
        let payload = &self.pending[..samples];
        self.leg.write(now, marker, payload_type, self.pending_from, payload, &mut self.datagram);
        outbox.send_trunk(TrunkPort::Rtp, destination, &self.datagram);
        self.pending.drain(..samples);
        self.pending_from = self.pending_from.wrapping_add(samples as u32);
    }
}
