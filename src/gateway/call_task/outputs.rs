//! What the state machine wants done, one match arm each.

use std::time::Duration;

use super::CallInput;
use super::legs::{Began, Callee, Caller};
use super::machine::CallTask;
use crate::base::{Cause, EndedBy, mask_numbers};
use crate::call::{End, Feed, Input, Kept, Leg, LegEvent, Output, Progress, Record, Target};
use crate::gateway::timeline::{Entry, Speaker};
use crate::gateway::{routing, sip_words, spawn};
use crate::signaling::{CallState, ErrorCode, Event, Refusal};
use crate::sip::Command;
use crate::trunk;

impl CallTask {
    pub(super) async fn carry_out(&mut self, output: Output) {
        match output {
            Output::Route => self.route(),
            Output::Dial(leg, target) => self.dial(leg, target).await,
            Output::Progress(progress) => self.tell_progress(progress).await,
            Output::Feed(feed) => self.switch_feed(feed),
            Output::Write(kept, record) => self.write(kept, *record).await,
            Output::Answer => self.tell_answer(),
            Output::Connect(leg) => {
                self.connect(leg).await;
                self.refer_at_last().await;
            }
            Output::HandOver(step) => self.handing_over(step).await,
            Output::SendTones(leg, tones) => self.send_tones(leg, tones),
            Output::Cancel(leg, cause) => self.cancel(leg, cause).await,
            Output::HangUp(leg, end) => self.hang_up(leg, &end).await,
            Output::Ended(end) => self.ended(&end),
            Output::Timeout(_) => {}
        }
    }

    fn route(&mut self) {
        let routed = match &self.caller {
            Caller::Page(page) => routing::from_page(&self.gateway, page.session, &self.engine),
            Caller::Trunk(trunk) => {
                routing::from_trunk(&self.gateway, &trunk.channel.trunk, &self.engine)
            }
            Caller::Line(line) => routing::from_line(&self.gateway, &line.to, line.called.as_ref()),
        };
        // The trace of a refusal is for its page; the log masks every number in it.
        let trace: Vec<String> = routed.trace.iter().map(|line| mask_numbers(line)).collect();
        tracing::info!(call.id = %self.id, rule = ?routed.rule, ?trace, "routed");
        self.logged = routed.trace.len();
        self.counted = routed.counted;
        let is_ours = matches!(self.caller, Caller::Page(_)) && routed.dial.is_none();
        if (self.counted.is_some() || is_ours)
            && let Some(user) = self.engine.record().from.user.clone()
        {
            self.talking.push(self.gateway.idle.talks(user));
        }
        self.dial = routed.dial;
        self.recording.wanted = routed.recording;
        self.feed(Input::Routed(routed.decision));
    }

    async fn dial(&mut self, leg: Leg, target: Target) {
        let Leg::Callee(n) = leg else { return };
        debug_assert_eq!(usize::from(n), self.callees.len());
        let dialled = match target {
            Target::Trunk(trunk) => match self.media_for_line().await {
                Ok(()) => self.dial_trunk(&trunk).await,
                Err(rejection) => Err(rejection),
            },
            Target::Line(flow) => self.dial_line(n, &flow),
            Target::Page { session, .. } => self.dial_page(n, session).await,
        };
        match dialled {
            Ok(callee) => {
                let rings = matches!(callee, Callee::Page(_));
                if self.handing.is_some() {
                    self.far = Some(leg);
                }
                // One without a line waits for a number's call, or for a server that says where it goes.
                let answers = matches!(&callee, Callee::Line(line) if line.line.is_some());
                self.callees.push(callee);
                self.answer_start();
                if rings {
                    let ringing = LegEvent::Ringing(crate::call::Early::NoMedia);
                    self.feed(Input::Leg(leg, ringing));
                }
                if answers {
                    self.feed(Input::Leg(leg, LegEvent::Answered));
                }
            }
            Err(rejection) => {
                self.callees.push(Callee::Nothing);
                self.feed(Input::Leg(leg, LegEvent::Rejected(rejection)));
            }
        }
    }

    /// The reply to `call.start`, once the plan has decided to dial.
    fn answer_start(&mut self) {
        let record = self.engine.record();
        let number = record.to.number.as_ref().map(|number| number.as_str());
        let to = number.unwrap_or(&record.to.uri).to_owned();
        let rule = record.rule.clone();
        if let Caller::Page(page) = &mut self.caller
            && let Some(request) = page.start.take()
        {
            let reply = page.answer.clone();
            let reply = reply.map(|sdp| crate::signaling::Reply::Started { sdp, to, rule });
            page.page.reply(request, reply);
            self.signal(Speaker::Gateway, "call.start answered");
        }
    }

    async fn tell_progress(&mut self, progress: Progress) {
        match (&self.caller, progress) {
            (Caller::Page(_), Progress::Ringing) => self.tell_state(CallState::Ringing),
            (Caller::Page(_), Progress::EarlyMedia(_)) => self.tell_state(CallState::EarlyMedia),
            // A caller who has hung up meanwhile needs no news.
            (Caller::Line(line), _) => {
                let _ = line.parent.try_send(CallInput::Onward(line.n, super::Onward::Rings));
            }
            // Pages have no sound before they answer: a trunk that calls hears its own ringback.
            (Caller::Trunk(trunk), _) => {
                let ringing = Command::Progress {
                    session: trunk.sip,
                    status: 180,
                    phrase: None,
                    headers: Vec::new(),
                    body: None,
                };
                self.gateway.sip(ringing).await;
            }
        }
    }

    fn tell_state(&self, state: CallState) {
        let Some(page) = self.caller.page() else { return };
        if page.began == Began::ByProgram && state != CallState::Active {
            return;
        }
        self.signal(Speaker::Gateway, state_word(state));
        page.page.event(Event::state(self.id, state, self.engine.record().codec.clone()));
    }

    fn switch_feed(&mut self, feed: Feed) {
        let Some(media) = &self.media else { return };
        let feed = match feed {
            Feed::Ringback => {
                crate::media::Feed::Ringback { country: self.gateway.ringback_country() }
            }
            Feed::Leg(_) => crate::media::Feed::Trunk,
        };
        self.media_command(media.feed_browser(feed));
    }

    /// The caller hears of the answer. A trunk that calls is answered in [`CallTask::connect`], when
    /// it is known whose media the 200 names.
    fn tell_answer(&mut self) {
        self.gateway.metrics.call_answered(self.started.elapsed());
        self.tell_state(CallState::Active);
        tracing::info!(call.id = %self.id, "answered");
    }

    async fn connect(&mut self, leg: Leg) {
        self.record_answered(leg);
        match leg {
            Leg::Callee(n) if matches!(self.caller, Caller::Trunk(_)) => {
                self.answer_trunk_with(n).await;
            }
            Leg::Callee(n) if matches!(self.caller, Caller::Line(_)) => self.join(n).await,
            Leg::Callee(n) if matches!(self.callees.get(usize::from(n)), Some(Callee::Line(_))) => {
                self.serve_line(n);
            }
            Leg::Callee(n) if matches!(self.callees.get(usize::from(n)), Some(Callee::Page(_))) => {
                self.join_pages(n).await;
            }
            _ => {
                if let Some(media) = &self.media {
                    self.media_command(media.connect());
                }
            }
        }
    }

    /// The record goes to the store beside the call; only the answer's is waited for.
    async fn write(&mut self, kept: Kept, mut record: Record) {
        record.recording = self.recorded().or(record.recording);
        if kept == Kept::End {
            // Over for its users, though a leg may still have to say its last word.
            self.talking.clear();
            drop(self.counted_for_new_party());
            for counted in self.counted.take().into_iter().chain(self.more_counted.drain(..)) {
                counted.ended(Duration::from_millis(record.duration_ms));
            }
            self.tell_own_end(&record).await;
        }
        let store = self.gateway.store.clone();
        let inbox = self.inbox.clone();
        let id = self.id;
        let before = self.last_write.take();
        self.last_write = Some(spawn("record", async move {
            if let Some(before) = before {
                // The answer's record stands before the end's; a panic in it is no reason to wait.
                let _ = before.await;
            }
            if let Err(error) = store.append(&record).await {
                tracing::error!(call.id = %id, %error, "the record could not be kept");
            }
            if kept == Kept::Answer {
                // A call that is over needs no answer.
                let _ = inbox.send(CallInput::RecordKept).await;
            }
        }));
    }

    async fn cancel(&mut self, leg: Leg, cause: Cause) {
        let Leg::Callee(n) = leg else { return };
        match self.callees.get_mut(usize::from(n)) {
            Some(Callee::Trunk(trunk)) => {
                let session = trunk.sip;
                let silent = cause == Cause::Unreachable && !trunk.given_up;
                trunk.given_up = true;
                let id = trunk.trunk.definition.id.clone();
                if silent {
                    self.tell_trunk(&id, trunk::Input::Failed);
                }
                let reasons = sip_words::reasons(cause, cause.q850());
                self.gateway.sip(Command::HangUp { session, reasons }).await;
            }
            Some(Callee::Page(page)) if !page.told_end => {
                page.told_end = true;
                page.media.close();
                page.page.event(Event::CallCancelled { call: self.id, code: cause.end_code() });
            }
            Some(Callee::Line(line)) => line.close(cause).await,
            _ => {}
        }
    }

    async fn hang_up(&mut self, leg: Leg, end: &End) {
        match leg {
            // It knows already, or is in another call.
            Leg::Caller if self.caller_left => {}
            Leg::Caller => self.hang_up_caller(end).await,
            Leg::Callee(n) => match self.callees.get_mut(usize::from(n)) {
                Some(Callee::Trunk(trunk)) => {
                    let reasons = sip_words::reasons(end.cause, end.q850);
                    self.gateway.sip(Command::HangUp { session: trunk.sip, reasons }).await;
                }
                Some(Callee::Page(page)) if !page.told_end => {
                    page.told_end = true;
                    let is_caller = self.engine.talking().is_some_and(|(first, _)| first == leg);
                    let by = match is_caller {
                        true => end.by.seen_by_caller(),
                        false => end.by.seen_by_callee(),
                    };
                    page.page.event(ended_event(self.id, end, by));
                }
                Some(Callee::Line(line)) => line.close(Cause::Hangup).await,
                _ => {}
            },
        }
    }

    async fn hang_up_caller(&mut self, end: &End) {
        match &mut self.caller {
            Caller::Page(page) => {
                page.told_end = true;
                match page.start.take() {
                    Some(request) => {
                        let (page, media) = (page.page.clone(), page.answer.clone());
                        let refusal = media.err().unwrap_or_else(|| self.dial_refusal(end));
                        page.reply(request, Err(refusal));
                    }
                    None => page.page.event(ended_event(self.id, end, end.by.seen_by_caller())),
                }
            }
            // Told when the call is over.
            Caller::Line(_) => {}
            Caller::Trunk(trunk) if trunk.given => {}
            Caller::Trunk(trunk) if trunk.answered => {
                let reasons = sip_words::reasons(end.cause, end.q850);
                self.gateway.sip(Command::HangUp { session: trunk.sip, reasons }).await;
            }
            Caller::Trunk(trunk) => {
                // Nothing of the plan's trace goes to an outside caller.
                let told = end.sip.clone().filter(|own| sip_words::may_be_passed_on(own.status));
                let status = told.unwrap_or_else(|| end.cause.sip());
                let refusal = Command::Reject {
                    session: trunk.sip,
                    status: status.status,
                    phrase: Some(status.reason),
                    headers: sip_words::refusal_headers(end.cause, None),
                };
                self.gateway.sip(refusal).await;
            }
        }
    }

    /// Why a call that never began was refused: in the words of the plan where it was the plan.
    fn dial_refusal(&self, end: &End) -> Refusal {
        let code = ErrorCode::from(end.cause);
        let refusal = Refusal::new(code);
        let refusal = match self.dial.as_ref().and_then(|dial| dial.words.clone()) {
            Some(words) => refusal.saying(words),
            None => refusal,
        };
        let refusal = match self.dial.as_ref().and_then(|dial| dial.retry_after) {
            Some(wait) => refusal.after_ms(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            None => refusal,
        };
        refusal.with_details(serde_json::json!({
            "code": end.cause.end_code(),
            "sip": end.sip,
            "q850": end.q850,
            "rule": end.rule,
            "trace": self.dial.as_ref().map(|dial| &dial.trace),
        }))
    }

    /// A page that ended its call itself hears that it is over, too.
    async fn tell_own_end(&mut self, record: &Record) {
        let (Some(cause), Some(by)) = (record.cause, record.ended_by) else { return };
        let end = End {
            cause,
            by,
            sip: record.sip.clone(),
            q850: record.q850.unwrap_or_else(|| cause.q850()),
            rule: record.rule.clone(),
        };
        if by == crate::call::Who::Caller
            && let Caller::Page(page) = &mut self.caller
            && !page.told_end
        {
            self.hang_up_caller(&end).await;
        }
        // Everybody else has been told, whichever side this one was on.
        for callee in &mut self.callees {
            if by != crate::call::Who::Gateway
                && let Callee::Page(page) = callee
                && page.answered
                && !page.told_end
            {
                page.told_end = true;
                page.page.event(ended_event(self.id, &end, EndedBy::Local));
            }
        }
    }

    fn ended(&mut self, end: &End) {
        if self.caller.page().is_some_and(|page| page.told_end) {
            self.signal(Speaker::Gateway, "call.ended");
        }
        self.on_timeline(Entry::State(crate::call::State::Over));
        let record = self.engine.record();
        tracing::info!(
            call.id = %self.id,
            cause = ?end.cause,
            by = ?end.by,
            sip = end.sip.as_ref().map(|s| s.status),
            duration_ms = record.duration_ms,
            "call ended"
        );
        self.gateway.metrics.call_ended(record.direction.as_str(), cause_word(end.cause));
        let quality = record.quality;
        if record.duration_ms >= TALKED_MS {
            let sides = [("caller", self.silent.caller), ("callee", self.silent.callee)];
            for (side, _) in sides.into_iter().filter(|(_, is_silent)| *is_silent) {
                self.gateway.metrics.silent_side(side);
                tracing::warn!(call.id = %self.id, side, "not one packet of sound came from this side");
            }
        }
        for (side, leg) in [("caller", quality.caller), ("callee", quality.callee)] {
            if let Some(leg) = leg {
                self.gateway.metrics.call_mos(side, f64::from(leg.mos));
            }
        }
        if let Caller::Line(line) = &self.caller {
            // A caller who has hung up meanwhile needs no news.
            let _ = line.parent.try_send(CallInput::Onward(line.n, super::Onward::Over(end.cause)));
        }
        self.over = true;
    }
}

/// The message that tells a state.
fn state_word(state: CallState) -> &'static str {
    match state {
        CallState::Ringing => "call.state ringing",
        CallState::EarlyMedia => "call.state early-media",
        CallState::Active => "call.state active",
        _ => "call.state",
    }
}

/// The cause as metrics spell it.
fn cause_word(cause: Cause) -> &'static str {
    cause.end_code().as_str()
}

fn ended_event(call: crate::base::CallId, end: &End, by: EndedBy) -> Event {
    Event::ended(call, end.cause, by, end.sip.clone(), end.rule.clone())
}

/// Who talked so long was to be heard.
const TALKED_MS: u64 = 5_000;
