//! Digits between a page, a trunk and the call's machine.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::MediaOf;
use super::legs::{Callee, Caller};
use super::machine::CallTask;
use crate::base::{Digit, DigitPacing};
use crate::call::{Input, Leg, LegEvent};
use crate::dialplan::DigitLog;
use crate::dtmf::{self, DigitEvent, ToneItem};
use crate::gateway::timeline::{Entry, Speaker, Timeline};
use crate::media::{DigitWay, LegSide};
use crate::signaling::socket::Page;
use crate::signaling::{ErrorCode, Event, Phase, Receipt, Refusal, Source};
use crate::sip::{Body, Command, RequestKey, Session};

impl CallTask {
    /// Hands tones of a page to the machine, which sends them to the other side.
    pub(super) fn engine_tones(&mut self, leg: Leg, tones: Vec<ToneItem>) -> Result<(), Refusal> {
        self.digits_can_go()?;
        let input = Input::Leg(leg, LegEvent::Tones(tones));
        self.engine
            .handle_input(Instant::now(), input)
            .map_err(|error| Refusal::new(ErrorCode::SignalWrongState).saying(error.to_string()))
    }

    /// How long digits of no given length are on the call's trunk.
    pub(super) fn digit_pacing(&self) -> DigitPacing {
        let dialled = self.callees.iter().rev().find_map(|callee| match callee {
            Callee::Trunk(trunk) if trunk.alive => Some(&trunk.trunk),
            _ => None,
        });
        let trunk = match &self.caller {
            Caller::Trunk(caller) => Some(&caller.channel.trunk),
            _ => dialled,
        };
        trunk.map(|trunk| trunk.definition.digits).unwrap_or_default()
    }

    /// Sends tones on a trunk's leg, in the mode that media's plan says.
    pub(super) fn send_tones(&mut self, leg: Leg, tones: Vec<ToneItem>) {
        if let Some(media) = self.media_of_trunk(leg) {
            self.media_command(media.send_digits(LegSide::Trunk, tones));
        }
    }

    /// Refuses digits of a page where it is known that there is no way for them.
    pub(super) fn digits_can_go(&self) -> Result<(), Refusal> {
        match self.digit_way {
            Some(DigitWay::Negotiated(None) | DigitWay::InfoRefused { next: None, .. }) => {
                Err(Refusal::new(ErrorCode::MediaNoDigits))
            }
            _ => Ok(()),
        }
    }

    /// A digit that goes as SIP INFO.
    pub(super) async fn send_info(
        &mut self,
        of: MediaOf,
        request: u64,
        digit: Digit,
        duration: Duration,
    ) {
        let leg = self.leg_of_media(of, LegSide::Trunk);
        let Some(session) = leg.and_then(|leg| self.sip_of(leg)) else {
            if let Some(media) = leg.and_then(|leg| self.media_of_trunk(leg)) {
                self.media_command(media.info_done(request, NO_DIALOG));
            }
            return;
        };
        let bytes = dtmf::write_info(digit, duration).into_bytes();
        let body = Body { content_type: "application/dtmf-relay".to_owned(), bytes };
        let info = Command::Info { session, request: RequestKey(request), body };
        self.gateway.sip(info).await;
    }

    /// What became of an INFO.
    pub(super) fn info_done(&mut self, session: Session, request: RequestKey, status: u16) {
        let media = self.leg_of_sip(session).and_then(|leg| self.media_of_trunk(leg));
        if let Some(media) = media {
            self.media_command(media.info_done(request.0, status));
        }
    }

    /// How digits go to the trunk from now on.
    pub(super) fn digit_way(&mut self, of: MediaOf, way: DigitWay) {
        match way {
            DigitWay::Negotiated(mode) => {
                tracing::info!(call.id = %self.id, ?mode, "digits to the trunk");
            }
            DigitWay::InfoRefused { status, next } => {
                tracing::warn!(call.id = %self.id, status, ?next, "INFO refused: digits go on");
            }
        }
        self.digit_way = Some(way);
        self.on_timeline(Entry::DigitWay(way));
        let (mode, info_status) = match way {
            DigitWay::Negotiated(mode) => (mode, None),
            DigitWay::InfoRefused { status, next } => (next, Some(status)),
        };
        if let Some(page) = self.page_of_media(of) {
            let error = mode.is_none().then(|| Refusal::new(ErrorCode::MediaNoDigits));
            let mode = mode.map(source);
            page.event(Event::DtmfMode { call: self.id, mode, info_status, error });
        }
    }

    /// Digits that no sender took: there is no way for them, or hundreds wait.
    pub(super) fn digits_lost(&mut self, of: MediaOf) {
        tracing::warn!(call.id = %self.id, "the leg took no digits");
        self.on_timeline(Entry::DigitsLost);
        let no_way = self.digits_can_go().err();
        if let (Some(error), Some(page)) = (no_way, self.page_of_media(of)) {
            let error = Some(error);
            page.event(Event::DtmfMode { call: self.id, mode: None, info_status: None, error });
        }
    }

    /// Another trunk is dialled: nothing is known of its ways yet.
    pub(super) fn forget_digit_way(&mut self) {
        self.digit_way = None;
    }

    /// A leg sends a digit: counted, kept, and told to the page of the other side where it came
    /// from a trunk.
    pub(super) fn digit_heard(&mut self, of: MediaOf, from: LegSide, event: &DigitEvent) {
        if let dtmf::Phase::End(_) = event.phase {
            self.gateway.metrics.dtmf_tone(side_word(from), "in", mode_word(event.mode));
            self.on_timeline(Entry::DigitHeard { from, mode: event.mode, length: event.duration });
            self.on_leg(of, from, LegEvent::DigitHeard);
        }
        if from == LegSide::Trunk {
            self.digit_event(of, event);
        }
    }

    /// A digit is out on the trunk: told to the page, kept, and logged without the key, unless the rule has
    /// `log_digits`.
    pub(super) fn digit_sent(&mut self, of: MediaOf, receipt: &dtmf::Receipt) {
        self.gateway.metrics.dtmf_tone("trunk", "out", mode_word(receipt.mode));
        let named = self.dial.as_ref().is_some_and(|dial| dial.digits == DigitLog::Named);
        let key = named.then(|| receipt.digit.as_char().to_string());
        tracing::info!(
            call.id = %self.id,
            digit = key.as_deref().unwrap_or("Digit(_)"),
            source = mode_word(receipt.source),
            mode = mode_word(receipt.mode),
            tone_ms = millis(receipt.tone),
            gap_ms = millis(receipt.gap),
            delay_ms = millis(receipt.delay),
            packets = receipt.packets,
            info_status = receipt.info_status,
            "digit sent"
        );
        self.on_timeline(Entry::DigitSent(*receipt));
        if let Some(page) = self.page_of_media(of) {
            self.tell_receipt(&page, receipt);
        }
    }

    /// A message between the call's page and the gateway.
    pub(super) fn signal(&self, from: Speaker, name: &'static str) {
        self.on_timeline(Entry::Signal { from, name });
        if let Some(hep) = &self.gateway.hep {
            hep.page(self.id, from, name);
        }
    }

    pub(super) fn on_timeline(&self, entry: Entry) {
        self.with_timeline(|timeline, at| timeline.push(at, entry));
    }

    pub(super) fn with_timeline(&self, act: impl FnOnce(&mut Timeline, Duration)) {
        let mut timeline = self.timeline.lock().unwrap_or_else(PoisonError::into_inner);
        // Counted from the call's very beginning, also where its machine began later.
        let since = Timestamp::now().duration_since(timeline.began());
        act(&mut timeline, Duration::try_from(since).unwrap_or_default());
    }

    /// A digit that a trunk sent as SIP INFO: media's arbiter makes one of it and of the same key
    /// as a telephone event, and tells it like any other.
    pub(super) fn digit_from_trunk(&mut self, leg: Leg, info: &dtmf::InfoDigit) {
        self.infos += 1;
        let id = dtmf::DigitId(self.infos);
        let Some(events) = info.events(Instant::now(), id) else { return };
        let Some(media) = self.media_of_trunk(leg) else { return };
        for event in events {
            self.media_command(media.report_digit(LegSide::Trunk, event));
        }
    }

    /// A digit that came from the far side of a page's media is told to that page.
    fn digit_event(&mut self, of: MediaOf, event: &DigitEvent) {
        let Some(page) = self.page_of_media(of) else { return };
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
    fn tell_receipt(&self, page: &Page, receipt: &dtmf::Receipt) {
        let from = match receipt.source {
            dtmf::Mode::Client => "message",
            _ => "rtp",
        };
        page.event(Event::DtmfSent {
            call: self.id,
            tone: receipt.digit,
            receipt: Receipt {
                // To a line of the gateway's own a message goes no way at all.
                mode: Some(source(receipt.mode)).filter(|_| receipt.mode != dtmf::Mode::Client),
                from,
                measured_ms: receipt.source_duration.map(millis),
                tone_ms: Some(millis(receipt.tone)),
                gap_ms: Some(millis(receipt.gap)),
                clock: Some(receipt.clock_rate).filter(|rate| *rate > 0),
                payload_type: Some(receipt.payload_type).filter(|_| receipt.clock_rate > 0),
                packets: Some(receipt.packets).filter(|_| receipt.clock_rate > 0),
                end_packets: Some(receipt.end_copies).filter(|_| receipt.clock_rate > 0),
                info_status: receipt.info_status,
                delay_ms: Some(receipt.delay.as_secs_f64() * 1000.0),
            },
        });
    }

    pub(super) fn page_of(&self, leg: Leg) -> Option<Page> {
        match (leg, &self.caller) {
            (Leg::Caller, Caller::Page(page)) => Some(page.page.clone()),
            (Leg::Caller, Caller::Trunk(_) | Caller::Line(_)) => None,
            (Leg::Callee(n), _) => match self.callees.get(usize::from(n)) {
                Some(Callee::Page(page)) => Some(page.page.clone()),
                _ => None,
            },
        }
    }

    /// The leg of the page that took the call.
    pub(super) fn answered_page_leg(&self) -> Option<Leg> {
        let answered = |callee: &Callee| matches!(callee, Callee::Page(page) if page.answered && !page.told_end);
        let n = self.callees.iter().position(answered)?;
        u8::try_from(n).ok().map(Leg::Callee)
    }

    pub(super) fn answered_page(&self) -> Option<Page> {
        self.callees.iter().find_map(|callee| match callee {
            Callee::Page(page) if page.answered && !page.told_end => Some(page.page.clone()),
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

/// The mode as metrics and logs spell it.
fn mode_word(mode: dtmf::Mode) -> &'static str {
    match mode {
        dtmf::Mode::Rfc4733 => "rfc4733",
        dtmf::Mode::Info => "info",
        dtmf::Mode::Inband => "inband",
        dtmf::Mode::Client => "message",
    }
}

fn side_word(side: LegSide) -> &'static str {
    match side {
        LegSide::Browser => "browser",
        LegSide::Trunk => "trunk",
    }
}

/// RFC 3261 12.2.1.2: there is no dialog that an INFO could go in.
const NO_DIALOG: u16 = 481;

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
