//! Digits between a page, a trunk and the call's machine.

use std::time::{Duration, Instant};

use super::legs::{Callee, Caller};
use super::machine::CallTask;
use crate::call::{Input, Leg, LegEvent};
use crate::dtmf::{self, DigitEvent, ToneItem};
use crate::media::LegSide;
use crate::signaling::socket::Page;
use crate::signaling::{ErrorCode, Event, Phase, Receipt, Refusal, Source};
use crate::sip::{Body, Command, RequestKey};

impl CallTask {
    /// Hands tones of a page to the machine, which sends them to the other side.
    pub(super) fn engine_tones(&mut self, leg: Leg, tones: Vec<ToneItem>) -> Result<(), Refusal> {
        let input = Input::Leg(leg, LegEvent::Tones(tones));
        self.engine
            .handle_input(Instant::now(), input)
            .map_err(|error| Refusal::new(ErrorCode::SignalWrongState).saying(error.to_string()))
    }

    /// Sends tones on a trunk's leg: as telephone events where it takes them, else as SIP INFO.
    pub(super) async fn send_tones(&mut self, leg: Leg, tones: Vec<ToneItem>) {
        if !self.trunk_takes_events {
            return self.send_info(leg, &tones).await;
        }
        if let Some(media) = self.media_of_trunk(leg) {
            self.media_command(media.send_digits(LegSide::Trunk, tones));
        }
    }

    /// One INFO a digit; the trunk paces itself by answering each.
    async fn send_info(&mut self, leg: Leg, tones: &[ToneItem]) {
        let Some(session) = self.sip_of(leg) else { return };
        for item in tones {
            let ToneItem::Digit { digit, duration, .. } = item else { continue };
            let bytes = dtmf::write_info(*digit, *duration).into_bytes();
            let body = Body { content_type: "application/dtmf-relay".to_owned(), bytes };
            let request = RequestKey(self.next_request());
            self.gateway.sip(Command::Info { session, request, body }).await;
        }
    }

    /// A digit that a trunk sent as SIP INFO: media's arbiter makes one of it and of the same key
    /// as a telephone event, and tells it like any other.
    pub(super) fn digit_from_trunk(&mut self, leg: Leg, info: &dtmf::InfoDigit) {
        let id = dtmf::DigitId(self.next_request());
        let Some(events) = info.events(Instant::now(), id) else { return };
        let Some(media) = self.media_of_trunk(leg) else { return };
        for event in events {
            self.media_command(media.report_digit(LegSide::Trunk, event));
        }
    }

    /// A digit that came in the trunk's media: counted, and told to the page of the other side.
    pub(super) fn digit_event(&mut self, trunk_leg: Leg, event: &DigitEvent) {
        let page = match trunk_leg {
            Leg::Callee(_) => self.page_of(Leg::Caller),
            Leg::Caller => self.answered_page(),
        };
        let Some(page) = page else { return };
        let (phase, duration) = match event.phase {
            dtmf::Phase::Start => (Phase::Start, None),
            dtmf::Phase::Update => return,
            dtmf::Phase::End(_) => (Phase::End, Some(millis(event.duration))),
        };
        let source = source(event.mode);
        page.event(Event::Dtmf {
            call: self.id,
            tone: event.digit,
            phase,
            duration,
            source,
            at: self.since_start(),
        });
    }

    /// A digit of the page is out on the trunk: what was measured of it.
    pub(super) fn tell_receipt(&self, page: &Page, receipt: &dtmf::Receipt) {
        let from = match receipt.source {
            dtmf::Mode::Client => "message",
            _ => "rtp",
        };
        page.event(Event::DtmfSent {
            call: self.id,
            tone: receipt.digit,
            receipt: Receipt {
                mode: Some(source(receipt.mode)),
                from,
                measured_ms: receipt.source_duration.map(millis),
                tone_ms: Some(millis(receipt.tone)),
                gap_ms: Some(millis(receipt.gap)),
                clock: Some(receipt.clock_rate).filter(|rate| *rate > 0),
                payload_type: Some(receipt.payload_type).filter(|_| receipt.clock_rate > 0),
                packets: Some(receipt.packets),
                end_packets: Some(receipt.end_copies),
                info_status: receipt.info_status,
                delay_ms: Some(receipt.delay.as_secs_f64() * 1000.0),
            },
        });
    }

    pub(super) fn page_of(&self, leg: Leg) -> Option<Page> {
        match (leg, &self.caller) {
            (Leg::Caller, Caller::Page(page)) => Some(page.page.clone()),
            (Leg::Caller, Caller::Trunk(_)) => None,
            (Leg::Callee(n), _) => match self.callees.get(usize::from(n)) {
                Some(Callee::Page(page)) => Some(page.page.clone()),
                _ => None,
            },
        }
    }

    fn answered_page(&self) -> Option<Page> {
        self.callees.iter().find_map(|callee| match callee {
            Callee::Page(page) if page.answered => Some(page.page.clone()),
            _ => None,
        })
    }

    fn since_start(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// How a digit came or went, as pages read it.
fn source(mode: dtmf::Mode) -> Source {
    match mode {
        dtmf::Mode::Rfc4733 | dtmf::Mode::Client => Source::Rfc4733,
        dtmf::Mode::Info => Source::SipInfo,
        dtmf::Mode::Inband => Source::Inband,
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
