//! The digits that one leg sends: its telephone events, tones in its sound, and what is reported of
//! it from elsewhere (SIP INFO, the page's JSON), made one digit by the leg's arbiter.

use std::time::{Duration, Instant};

use crate::dtmf::{
    Arbiter, DecoderInput, Detection, DigitEvent, DigitId, EventBlock, InbandDetector, Output,
    Phase, ReceivedEvent, Rfc4733Decoder,
};

/// The listener of one leg.
#[derive(Debug)]
pub(super) struct Listener {
    decoder: Rfc4733Decoder,
    detector: Option<Box<InbandDetector>>,
    /// When the detector last got sound.
    heard_at: Option<Instant>,
    arbiter: Arbiter,
    /// The telephone event that is on, and until when the sound beside it is that of its tone.
    event: Option<DigitId>,
    tone_until: Option<Instant>,
    /// Packets of sound that came while an event was on.
    beside: u32,
    flood: Flood,
}

impl Listener {
    /// Takes events of these payload types, each with its clock in Hz.
    pub(super) fn new(types: &[(u8, u32)]) -> Self {
        Self {
            decoder: Rfc4733Decoder::new(types),
            detector: None,
            heard_at: None,
            arbiter: Arbiter::new(),
            event: None,
            tone_until: None,
            beside: 0,
            flood: Flood::default(),
        }
    }

    /// The same for a browser's leg.
    pub(super) fn of_browser(types: &[(u8, u32)]) -> Self {
        Self { decoder: Rfc4733Decoder::of_browser(types), ..Self::new(types) }
    }

    /// What a new offer and answer allow.
    pub(super) fn set_types(&mut self, types: &[(u8, u32)]) {
        self.decoder.set_types(types);
    }

    /// Whether tones are listened for from now on.
    pub(super) fn set_detection(&mut self, detection: Detection) {
        match detection {
            Detection::On => {
                self.detector.get_or_insert_default();
            }
            Detection::Off => self.detector = None,
        }
    }

    /// Whether [`Listener::hear`] wants the leg's sound.
    pub(super) fn wants_sound(&self) -> bool {
        self.detector.is_some()
    }

    /// A packet of sound came from a peer that may have an event on.
    pub(super) fn on_sound_beside(&mut self) {
        self.beside = self.beside.saturating_add(u32::from(self.event.is_some()));
    }

    /// Whether what the leg's sound has of tones goes on as digits: they are listened for, or the peer
    /// sends events and its sound beside them, in which their tones may be.
    pub(super) fn takes_tones(&self) -> bool {
        self.detector.is_some() || self.beside >= MOST_BESIDE
    }

    /// Whether packets of this type are events.
    pub(super) fn takes(&self, payload_type: u8) -> bool {
        self.decoder.takes(payload_type)
    }

    /// Takes a packet of a type that it takes. One that is no event is counted by the decoder.
    pub(super) fn on_packet(&mut self, now: Instant, packet: ReceivedEvent<'_>) {
        let last = packet.payload.last_chunk().copied().map(EventBlock::from_bytes);
        let key = |block: &EventBlock| block.event < 16 && self.takes(packet.payload_type);
        if let Some(block) = last.filter(key) {
            // Also where too many updates were lost, so that the digit counts as ended.
            let tail = if block.end { TONE_TAIL } else { TONE_BETWEEN };
            self.tone_until = Some(now + tail);
        }
        let _ = self.decoder.handle_input(now, DecoderInput::Packet(packet));
        self.carry(now);
    }

    /// A packet of sound came beside the events.
    pub(super) fn on_sound(&mut self, now: Instant, ssrc: u32, seq: u16) {
        // Sound is never refused.
        let _ = self.decoder.handle_input(now, DecoderInput::Sound { ssrc, seq });
        self.carry(now);
    }

    /// Takes the leg's sound at 8 kHz, in order.
    pub(super) fn hear(&mut self, now: Instant, pcm: &[i16]) {
        if let Some(detector) = &mut self.detector {
            detector.handle_input(now, pcm);
            self.heard_at = Some(now);
            self.carry(now);
        }
    }

    /// So many samples of the leg's sound were lost.
    pub(super) fn lost(&mut self, samples: usize) {
        if let Some(detector) = &mut self.detector {
            detector.lost(samples);
        }
    }

    /// Whether the leg's sound is that of a digit, which goes another way and shall not go twice.
    pub(super) fn tone_is_on(&self, now: Instant) -> bool {
        self.event.is_some()
            || self.tone_until.is_some_and(|until| now < until)
            || self.detector.as_ref().is_some_and(|detector| detector.is_on())
    }

    /// Takes what came another way.
    pub(super) fn report(&mut self, now: Instant, event: DigitEvent) {
        self.arbitrate(now, event);
    }

    /// Ends digits whose updates stopped, and tones whose sound did.
    pub(super) fn on_tick(&mut self, now: Instant) {
        let _ = self.decoder.handle_input(now, DecoderInput::Timeout);
        if let Some(detector) = &mut self.detector
            && detector.is_on()
            && self.heard_at.is_some_and(|at| now.saturating_duration_since(at) > NO_SOUND)
        {
            detector.handle_input(now, &SILENCE);
        }
        self.carry(now);
    }

    /// The peer is gone: what it held down is let go.
    pub(super) fn close(&mut self, now: Instant) {
        self.arbiter.close(now);
    }

    /// The next step of a digit.
    pub(super) fn poll(&mut self) -> Option<DigitEvent> {
        match self.arbiter.poll_output() {
            Output::Digit(event) => Some(event),
            Output::Timeout(_) => None,
        }
    }

    /// Presses that were more than a leg can have meant.
    pub(super) fn dropped(&self) -> u64 {
        self.flood.dropped
    }

    fn carry(&mut self, now: Instant) {
        while let Output::Digit(event) = self.decoder.poll_output() {
            match event.phase {
                Phase::Start => self.event = Some(event.id),
                Phase::Update => {}
                Phase::End(_) if self.event == Some(event.id) => {
                    self.event = None;
                    self.tone_until = Some(now + TONE_TAIL);
                }
                Phase::End(_) => {}
            }
            self.arbitrate(now, event);
        }
        while let Some(Output::Digit(event)) = self.detector.as_mut().map(|d| d.poll_output()) {
            self.arbitrate(now, event);
        }
    }

    fn arbitrate(&mut self, now: Instant, event: DigitEvent) {
        // Without its start the arbiter knows nothing of a press: the rest of it ends there.
        if event.phase != Phase::Start || self.flood.lets_through(now) {
            self.arbiter.handle_input(now, event);
        }
    }
}

/// A bound on presses: a bucket of `BURST` that fills at `PER_SECOND`.
#[derive(Debug, Default)]
struct Flood {
    /// Presses taken and not yet forgotten, and when that was counted.
    level: f64,
    at: Option<Instant>,
    dropped: u64,
}

impl Flood {
    fn lets_through(&mut self, now: Instant) -> bool {
        let passed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.level = (self.level - passed * PER_SECOND).max(0.0);
        if self.level + 1.0 > BURST {
            self.dropped += 1;
            return false;
        }
        self.level += 1.0;
        true
    }
}

/// Sound that stopped for so long has ended its tone; less is the network's jitter.
const NO_SOUND: Duration = Duration::from_millis(300);
/// Sound of the tone may come a packet after the event's end.
const TONE_TAIL: Duration = Duration::from_millis(20);
/// As much of it after an update: three intervals, as long as an event goes on without one (RFC 4733 2.5.2.2).
const TONE_BETWEEN: Duration = Duration::from_millis(100);
/// Of a peer that sends no sound beside its events one packet may have been overtaken.
const MOST_BESIDE: u32 = 4;
/// 20 ms, as an interval.
const SILENCE: [i16; 160] = [0; 160];
/// Presses a second for any length of time: twice what the fastest dialler sends.
const PER_SECOND: f64 = 40.0;
/// Presses at once: the longest number that can be dialled, sent without pauses.
const BURST: f64 = 64.0;
