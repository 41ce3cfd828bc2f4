//! All of the page's side: sound up and down, the digits it sends, what it reports.

use std::time::{Duration, Instant};

use super::bridge::BridgeConfig;
use super::digits::Listener;
use super::downlink::Downlink;
use super::outbox::Outbox;
use super::uplink::{Uplink, packet_of};
use super::{Error, LegSide, LegStats, MediaEvent};
use crate::codec::Rate;
use crate::dtmf::{EncoderConfig, EncoderInput, EncoderOutput, ReceivedEvent, Rfc4733Encoder};
use crate::rtp::ReceiverStats;
use crate::webrtc::{Negotiated, RtpIn};

/// What becomes of the page's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It goes through the playout buffer.
    Played,
    /// It goes on as it comes.
    Relayed,
}

/// The page's side of a bridge.
#[derive(Debug)]
pub(super) struct BrowserSide {
    payload_type: u8,
    pub(super) uplink: Uplink,
    pub(super) downlink: Downlink,
    pub(super) listener: Listener,
    /// Digits toward the page, where it takes events at its codec's clock.
    pub(super) digits: Option<Rfc4733Encoder>,
    /// Whether it can be sent to.
    pub(super) up: bool,
    receiver: ReceiverStats,
    loss: Option<f32>,
    round_trip: Option<Duration>,
}

impl BrowserSide {
    pub(super) fn new(
        now: Instant,
        negotiated: &Negotiated,
        config: &BridgeConfig,
        seq: u16,
        timestamp: u32,
    ) -> Result<Self, Error> {
        let types: Vec<(u8, u32)> =
            negotiated.events.iter().map(|e| (e.payload_type, e.clock_rate)).collect();
        let clock = negotiated.codec.clock_rate();
        let own = negotiated.events.iter().find(|e| e.clock_rate == clock);
        Ok(Self {
            payload_type: negotiated.payload_type,
            uplink: Uplink::new(negotiated, config.playout)?,
            downlink: Downlink::new(now, negotiated, config.opus, seq, timestamp)?,
            listener: Listener::of_browser(&types),
            digits: own.map(|e| Rfc4733Encoder::new(EncoderConfig::new(e.payload_type, clock))),
            up: false,
            receiver: ReceiverStats::new(clock),
            loss: None,
            round_trip: None,
        })
    }

    /// Takes the place of the side of another peer: until its sound comes, the far side hears the
    /// pause of the one before (comfort noise), not a dead line.
    pub(super) fn follow(&mut self, before: BrowserSide) {
        if before.uplink.codec() == self.uplink.codec() {
            self.uplink = before.uplink;
        }
    }

    /// The rate of the sound both ways from now on.
    pub(super) fn set_rate(&mut self, rate: Rate) -> Result<(), Error> {
        self.uplink.set_rate(rate)?;
        self.downlink.set_rate(rate)
    }

    /// Whether a packet is sound.
    pub(super) fn is_sound(&self, packet: &RtpIn) -> bool {
        packet.payload_type == self.payload_type
    }

    /// Takes a packet; says whether it was sound or a digit. Sound that is relayed is only counted.
    pub(super) fn on_rtp(&mut self, now: Instant, packet: &RtpIn, way: Way) -> bool {
        if self.is_sound(packet) {
            if way == Way::Played {
                self.uplink.on_audio(now, packet);
            }
            self.listener.on_sound(now, packet.ssrc, packet.seq);
        } else if self.listener.takes(packet.payload_type) {
            self.uplink.on_event(now, packet);
            let event = ReceivedEvent::from(&packet_of(packet));
            self.listener.on_packet(now, event);
        } else {
            return false;
        }
        self.receiver.on_packet(now, &packet_of(packet));
        true
    }

    /// Takes what the page says about our packets.
    pub(super) fn on_reception(&mut self, loss: Option<f32>, round_trip: Option<Duration>) {
        if let Some(loss) = loss {
            self.loss = Some(loss);
            self.downlink.on_reception(loss);
        }
        self.round_trip = round_trip.or(self.round_trip);
    }

    /// Whether sound may go to the page: it can be sent to and no digit is on.
    pub(super) fn is_open(&self) -> bool {
        self.up && self.digits.as_ref().is_none_or(|digits| !digits.is_on())
    }

    /// One interval of the digits toward the page.
    pub(super) fn digit_tick(&mut self, now: Instant, outbox: &mut Outbox) {
        let Some(digits) = self.digits.as_mut().filter(|digits| self.up && !digits.is_idle())
        else {
            return;
        };
        let timestamp = self.downlink.timestamp_at(now);
        let _ = digits.handle_input(now, EncoderInput::Tick { timestamp });
        loop {
            match digits.poll_output() {
                EncoderOutput::Packet(packet) => {
                    if packet.marker {
                        // The sound after it starts where it then is.
                        self.downlink.switch();
                    }
                    self.downlink.send_event(
                        packet.payload_type,
                        packet.timestamp,
                        packet.marker,
                        &packet.payload,
                        outbox,
                    );
                }
                EncoderOutput::Sent(receipt) => {
                    outbox.event(MediaEvent::DigitSent { to: LegSide::Browser, receipt });
                }
                EncoderOutput::Timeout => return,
            }
        }
    }

    pub(super) fn stats(&self) -> LegStats {
        let counts = self.uplink.counts();
        LegStats {
            received: self.receiver.received(),
            sent: self.downlink.sent(),
            octets: self.receiver.octets(),
            sent_octets: 0,
            lost: self.receiver.lost(),
            jitter_ms: self.receiver.jitter().as_secs_f32() * 1000.0,
            round_trip_ms: self.round_trip.map(|t| t.as_secs_f32() * 1000.0),
            remote_loss: self.loss,
            foreign: 0,
            malformed: 0,
            concealed: counts.concealed + counts.underruns,
            recovered: counts.fec,
            late: counts.late,
            playout_ms: self.uplink.playout_ms(),
            digits_dropped: self.listener.dropped(),
            codec: None,
        }
    }
}
