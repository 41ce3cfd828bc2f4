//! All of the trunk's side: the RTP leg, the codec of its sound, the digits it sends and takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::digits::Listener;
use super::outbox::{Outbox, TrunkPort};
use super::trunk_leg::{Received, Seeds, TrunkLeg};
use super::{Error, LegSide, MediaEvent, TrunkAudio, TrunkMedia};
use crate::codec::{Decoder, Encoder, FRAME};
use crate::dtmf::{EncoderConfig, EncoderInput, EncoderOutput, ReceivedEvent, Rfc4733Encoder};

/// The trunk's side of a bridge.
#[derive(Debug)]
pub(super) struct TrunkSide {
    pub(super) leg: TrunkLeg,
    pub(super) listener: Listener,
    coding: Option<Coding>,
    digits: Option<Rfc4733Encoder>,
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

impl TrunkSide {
    pub(super) fn new(local: SocketAddr, media: TrunkMedia, seeds: Seeds) -> Self {
        Self {
            leg: TrunkLeg::new(local, media, seeds),
            listener: Listener::new(&[]),
            coding: None,
            digits: None,
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

    /// Where digits for the trunk go in, if it takes telephone events.
    pub(super) fn digits(&mut self) -> Option<&mut Rfc4733Encoder> {
        self.digits.as_mut()
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
        datagram: &'a [u8],
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
        }
        received
    }

    /// One interval of 20 ms toward the trunk: a digit, or else this sound. While a digit is on
    /// the sound is kept back; the clock goes on either way.
    pub(super) fn tick(&mut self, now: Instant, frame: &[i16], outbox: &mut Outbox) {
        let destination = self.leg.destination().filter(|_| self.leg.sends());
        let Some(destination) = destination else {
            self.pending.clear();
            self.marker = true;
            self.leg.advance(FRAME as u32);
            return;
        };
        if self.digit(now, destination, outbox) {
            self.flush(now, destination, outbox);
            self.marker = true;
        } else {
            self.sound(now, frame, destination, outbox);
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
        let pacing = self.leg.media().pacing;
        match (events, &mut self.digits) {
            (Some(events), Some(digits)) => {
                // Digits that wait or are on go on under the new number; that is never refused.
                let _ = digits.handle_input(now, EncoderInput::PayloadType(events.send));
            }
            (Some(events), none) => {
                let mut config = EncoderConfig::new(events.send, events.clock_rate);
                config.min_tone = pacing.min_tone;
                config.min_gap = pacing.min_gap;
                *none = Some(Rfc4733Encoder::new(config));
            }
            (None, digits) => *digits = None,
        }
        Ok(())
    }

    /// Sends what the digit encoder has for this interval; says whether it takes the place of the
    /// sound.
    fn digit(&mut self, now: Instant, destination: SocketAddr, outbox: &mut Outbox) -> bool {
        let Some(digits) = self.digits.as_mut() else { return false };
        let _ = digits.handle_input(now, EncoderInput::Tick { timestamp: self.leg.timestamp() });
        loop {
            match digits.poll_output() {
                EncoderOutput::Packet(packet) => {
                    self.leg.write(
                        now,
                        packet.marker,
                        packet.payload_type,
                        packet.timestamp,
                        &packet.payload,
                        &mut self.datagram,
                    );
                    outbox.send_trunk(TrunkPort::Rtp, destination, &self.datagram);
                }
                EncoderOutput::Sent(receipt) => {
                    outbox.event(MediaEvent::DigitSent { to: LegSide::Trunk, receipt });
                }
                EncoderOutput::Timeout => break,
            }
        }
        // The copies of an end go out beside the sound that is back.
        digits.is_on()
    }

    fn sound(&mut self, now: Instant, frame: &[i16], destination: SocketAddr, outbox: &mut Outbox) {
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
