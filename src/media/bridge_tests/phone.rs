//! A telephone that takes digits in every mode at once, and a trunk and a page that send them.

use super::lab::*;
use crate::codec;
use crate::dtmf::{
    DecoderInput, EventBlock, InbandDetector, Output as DigitOutput, ReceivedEvent, Rfc4733Decoder,
    parse_info, write_info,
};

/// A digit as a side heard it: how, which, and its length in ms.
pub(super) type Heard = (Mode, char, u64);

/// Listens to what a trunk gets: events, tones and INFO, none merged with another.
pub(super) struct Phone {
    events: Rfc4733Decoder,
    tones: InbandDetector,
    law: Decoder,
    pcm: Vec<i16>,
    pub(super) heard: Vec<Heard>,
    /// Requests not answered yet, with the time of the answer.
    pending: Vec<(Instant, u64)>,
    /// What an INFO is answered with, and after how long; `None` never answers.
    pub(super) info: Option<(u16, Duration)>,
}

impl Phone {
    pub(super) fn new() -> Self {
        Self {
            events: Rfc4733Decoder::new(&[(101, 8_000), (96, 8_000)]),
            tones: InbandDetector::new(),
            law: Decoder::new(Codec::Pcmu).unwrap(),
            pcm: Vec::new(),
            heard: Vec::new(),
            pending: Vec::new(),
            info: Some((200, ms(30))),
        }
    }

    pub(super) fn on_packet(&mut self, now: Instant, packet: &Packet<'_>) {
        let payload_type = packet.payload_type.get();
        if payload_type == 0 {
            self.law.decode(packet.payload, &mut self.pcm).unwrap();
            self.tones.handle_input(now, &self.pcm);
        } else {
            let event = ReceivedEvent::from(packet);
            let _ = self.events.handle_input(now, DecoderInput::Packet(event));
        }
        self.collect();
    }

    pub(super) fn on_tick(&mut self, now: Instant) {
        let _ = self.events.handle_input(now, DecoderInput::Timeout);
        self.collect();
    }

    pub(super) fn on_info(&mut self, now: Instant, request: u64, key: Digit, length: Duration) {
        let body = write_info(key, length);
        let info = parse_info("application/dtmf-relay", body.as_bytes()).unwrap().unwrap();
        let [_, end] = info.events(now, DigitId(request)).unwrap();
        if let Some((status, after)) = self.info {
            // A refused INFO is no digit.
            if status == 200 {
                self.note(end);
            }
            self.pending.push((now + after, request));
        }
    }

    /// The answers that are due: request and status.
    pub(super) fn answers(&mut self, now: Instant) -> Vec<(u64, u16)> {
        let Some((status, _)) = self.info else { return Vec::new() };
        let due = |(at, _): &(Instant, u64)| *at <= now;
        self.pending.extract_if(.., |p| due(p)).map(|(_, request)| (request, status)).collect()
    }

    pub(super) fn keys(&self) -> String {
        self.heard.iter().map(|h| h.1).collect()
    }

    fn collect(&mut self) {
        while let DigitOutput::Digit(event) = self.events.poll_output() {
            self.note(event);
        }
        while let DigitOutput::Digit(event) = self.tones.poll_output() {
            self.note(event);
        }
    }

    fn note(&mut self, event: DigitEvent) {
        if let Phase::End(_) = event.phase {
            let length = event.duration.as_millis() as u64;
            self.heard.push((event.mode, event.digit.as_char(), length));
        }
    }
}

/// Which of a peer's packets are lost, doubled or late: `per_mille` of each.
pub(super) struct Network {
    rng: ChaCha12Rng,
    pub(super) lost: u32,
    pub(super) doubled: u32,
    pub(super) late: u32,
}

impl Network {
    pub(super) fn perfect() -> Self {
        Self { rng: ChaCha12Rng::seed_from_u64(0), lost: 0, doubled: 0, late: 0 }
    }

    pub(super) fn faulty(seed: u64, lost: u32, doubled: u32, late: u32) -> Self {
        Self { rng: ChaCha12Rng::seed_from_u64(seed), lost, doubled, late }
    }

    /// How many times a packet arrives, and whether after its successor.
    fn fate(&mut self) -> (u32, bool) {
        let mut happens = |per_mille: u32| self.rng.next_u32() % 1000 < per_mille;
        if happens(self.lost) {
            return (0, false);
        }
        (if happens(self.doubled) { 2 } else { 1 }, happens(self.late))
    }
}

impl Lab {
    /// The page's packet goes through its network.
    pub(super) fn page_sends(&mut self, packet: RtpIn) {
        let (times, late) = self.page_network.fate();
        if late && self.page_held.is_none() {
            self.page_held = Some(packet);
            return;
        }
        for _ in 0..times {
            self.input(Input::BrowserRtp(&packet));
        }
        if let Some(held) = self.page_held.take() {
            self.input(Input::BrowserRtp(&held));
        }
    }

    /// The trunk's datagram goes through its network; says whether it arrives, be it late.
    pub(super) fn trunk_sends_through(&mut self, datagram: Vec<u8>) -> bool {
        let (times, late) = self.trunk_network.fate();
        if late && self.trunk_held.is_none() {
            self.trunk_held = Some(datagram);
            return true;
        }
        for _ in 0..times {
            self.trunk_sends(TRUNK, &datagram);
        }
        if let Some(held) = self.trunk_held.take() {
            self.trunk_sends(TRUNK, &held);
        }
        times > 0
    }

    /// Both sides are silent packets for so long.
    pub(super) fn idle(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / 20 {
            let packet = self.page_sound();
            self.page_sends(packet);
            let datagram = self.trunk_sound(FRAME);
            self.trunk_sends_through(datagram);
            self.wait(ms(20));
        }
    }

    /// A page presses a key as Chromium does: start, updates, three ends, no sound meanwhile.
    pub(super) fn page_event(&mut self, key: char, length_ms: u64) {
        let (start, event) = (self.page_timestamp, digit(key).event());
        let per_ms = self.codec.clock_rate() / 1000;
        let send = |lab: &mut Lab, marker: bool, end: bool, until_ms: u64| {
            let mut ticks = until_ms as u32 * per_ms;
            let mut from = start;
            while ticks > 0xFFFF {
                (ticks, from) = (ticks - 0xFFFF, from.wrapping_add(0xFFFF));
            }
            let block = EventBlock { event, end, volume: 10, duration: ticks as u16 };
            let packet = lab.page_packet(110, from, marker, &block.to_bytes());
            lab.page_sends(packet);
        };
        let mut at = 20;
        while at < length_ms {
            send(self, at == 20, false, at);
            self.trunk_goes_on();
            self.wait(ms(20));
            at += 20;
        }
        for n in 0..3 {
            send(self, at == 20 && n == 0, true, length_ms);
        }
        self.trunk_goes_on();
        self.wait(ms(20));
        self.page_timestamp = start.wrapping_add(length_ms.next_multiple_of(20) as u32 * per_ms);
    }

    /// A page holds a key by its messages.
    pub(super) fn page_press(&mut self, key: char, length_ms: u64) {
        self.bridge.press(self.now, LegSide::Trunk, digit(key));
        self.drain();
        self.idle(ms(length_ms));
        self.bridge.release(self.now, LegSide::Trunk);
        self.drain();
    }

    /// A trunk sends a key in a mode, and is silent otherwise.
    pub(super) fn trunk_presses(&mut self, mode: Mode, key: char, length_ms: u64) {
        match mode {
            Mode::Rfc4733 => self.trunk_event(key, length_ms, false),
            Mode::Inband => self.trunk_tone(key, length_ms),
            Mode::Info | Mode::Client => {
                self.idle(ms(length_ms));
                let body = format!("signal = {key}\nduration={length_ms}");
                let info = parse_info("application/dtmf-relay", body.as_bytes()).unwrap();
                self.infos_in += 1;
                let events = info.unwrap().events(self.now, DigitId(self.infos_in)).unwrap();
                for event in events {
                    self.bridge.report_digit(self.now, LegSide::Trunk, event);
                }
                self.drain();
            }
        }
    }

    /// An event of the trunk, at 8 kHz; with its tone in the sound beside it where `beside`.
    pub(super) fn trunk_event(&mut self, key: char, length_ms: u64, beside: bool) {
        let (start, event) = (self.trunk_timestamp, digit(key).event());
        let mut tone = pair(key);
        let mut at = 20;
        loop {
            let end = at >= length_ms;
            let duration = (at.min(length_ms) * 8) as u16;
            let block = EventBlock { event, end, volume: 10, duration };
            for n in 0..if end { 3 } else { 1 } {
                let marker = at == 20 && n == 0;
                let datagram = self.trunk_packet(101, start, marker, &block.to_bytes());
                self.trunk_sends_through(datagram);
            }
            if beside {
                let mut pcm = [0; FRAME];
                tone.fill(&mut pcm);
                let timestamp = start.wrapping_add((at as u32 - 20) * 8);
                let mut payload = Vec::new();
                Encoder::Pcmu.encode(&pcm, &mut payload).unwrap();
                let datagram = self.trunk_packet(0, timestamp, false, &payload);
                self.trunk_sends_through(datagram);
            }
            self.page_goes_on();
            self.wait(ms(20));
            if end {
                break;
            }
            at += 20;
        }
        self.trunk_timestamp = start.wrapping_add(at as u32 * 8);
    }

    /// Row and column in the trunk's sound, silence to the end of the last packet. A digit is what has
    /// 40 ms in a row left of it, which are two packets.
    fn trunk_tone(&mut self, key: char, length_ms: u64) {
        let mut tone = pair_at(key, self.key_dbm0);
        let (mut in_a_row, mut is_digit) = (0, false);
        for from in (0..length_ms).step_by(20) {
            let mut pcm = [0; FRAME];
            let samples = (length_ms - from).min(20) as usize * 8;
            tone.fill(&mut pcm[..samples]);
            let datagram = self.trunk_pcm_packet(&pcm);
            let arrives = self.trunk_sends_through(datagram) && samples == FRAME;
            in_a_row = if arrives { in_a_row + 1 } else { 0 };
            is_digit |= in_a_row == 2;
            self.page_goes_on();
            self.wait(ms(20));
        }
        self.tones_kept.push(is_digit);
    }

    fn page_goes_on(&mut self) {
        let packet = self.page_sound();
        self.page_sends(packet);
    }

    pub(super) fn trunk_goes_on(&mut self) {
        let datagram = self.trunk_sound(FRAME);
        self.trunk_sends_through(datagram);
    }

    /// Digits that ended on a leg, as the bridge tells them.
    pub(super) fn told(&self, leg: LegSide) -> Vec<Heard> {
        let ended = |e: &DigitEvent| matches!(e.phase, Phase::End(_));
        let heard = |e: DigitEvent| (e.mode, e.digit.as_char(), e.duration.as_millis() as u64);
        self.digits(leg).into_iter().filter(ended).map(heard).collect()
    }

    pub(super) fn receipts(&self) -> Vec<crate::dtmf::Receipt> {
        self.events
            .iter()
            .filter_map(|event| match event {
                MediaEvent::DigitSent { to: LegSide::Trunk, receipt } => Some(*receipt),
                _ => None,
            })
            .collect()
    }
}

/// The tones of a key.
pub(super) fn pair(key: char) -> Tones {
    pair_at(key, -10.0)
}

/// The same, each tone at this level.
pub(super) fn pair_at(key: char, dbm0: f64) -> Tones {
    let place = "123A456B789C*0#D".find(key).unwrap();
    let tone = |frequency| Tone { frequency, dbm0 };
    Tones::new(&[
        tone([697.0, 770.0, 852.0, 941.0][place / 4]),
        tone([1209.0, 1336.0, 1477.0, 1633.0][place % 4]),
    ])
}

/// The tones of a key's level in a sound, the weaker of both, in dBm0.
pub(super) fn pair_level(pcm: &[i16], key: char) -> f64 {
    let place = "123A456B789C*0#D".find(key).unwrap();
    let row = codec::goertzel_dbm0(pcm, [697.0, 770.0, 852.0, 941.0][place / 4]);
    row.min(codec::goertzel_dbm0(pcm, [1209.0, 1336.0, 1477.0, 1633.0][place % 4]))
}
