//! The digits that one leg sends: its telephone events and what is reported of it from elsewhere
//! (SIP INFO, the page's JSON), made one digit by the leg's arbiter.

use std::time::Instant;

use crate::dtmf::{Arbiter, DecoderInput, DigitEvent, Output, ReceivedEvent, Rfc4733Decoder};

/// The listener of one leg.
#[derive(Debug)]
pub(super) struct Listener {
    decoder: Rfc4733Decoder,
    arbiter: Arbiter,
}

impl Listener {
    /// Takes events of these payload types, each with its clock in Hz.
    pub(super) fn new(types: &[(u8, u32)]) -> Self {
        Self { decoder: Rfc4733Decoder::new(types), arbiter: Arbiter::new() }
    }

    /// What a new offer and answer allow.
    pub(super) fn set_types(&mut self, types: &[(u8, u32)]) {
        self.decoder.set_types(types);
    }

    /// Whether packets of this type are events.
    pub(super) fn takes(&self, payload_type: u8) -> bool {
        self.decoder.takes(payload_type)
    }

    /// Takes a packet of a type that it takes. One that is no event is counted by the decoder.
    pub(super) fn on_packet(&mut self, now: Instant, packet: ReceivedEvent<'_>) {
        let _ = self.decoder.handle_input(now, DecoderInput::Packet(packet));
        self.carry(now);
    }

    /// Takes what came another way.
    pub(super) fn report(&mut self, now: Instant, event: DigitEvent) {
        self.arbiter.handle_input(now, event);
    }

    /// Ends digits whose updates stopped.
    pub(super) fn on_tick(&mut self, now: Instant) {
        let _ = self.decoder.handle_input(now, DecoderInput::Timeout);
        self.carry(now);
    }

    /// The next step of a digit.
    pub(super) fn poll(&mut self) -> Option<DigitEvent> {
        match self.arbiter.poll_output() {
            Output::Digit(event) => Some(event),
            Output::Timeout(_) => None,
        }
    }

    fn carry(&mut self, now: Instant) {
        while let Output::Digit(event) = self.decoder.poll_output() {
            self.arbiter.handle_input(now, event);
        }
    }
}
