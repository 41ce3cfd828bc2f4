//! A line's leg: a menu, a mailbox or a test line of the gateway's own, and the way from it onward.
//! A number in a flow is the way onward without the line: its caller hears ringing until it is answered.
//!
//! ```text
//! caller --- call (answered) --- line      the line transfers:      caller --- call --- pipe
//!                                                                                        |
//!                                                      page or trunk --- onward call --- pipe
//! ```
//!
//! The line lives on the media worker and tells the call what it wants. Where it sends its caller on, a
//! call of its own dials and is recorded; when that is answered the line gives way to a pipe.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::sync::mpsc;

use super::legs::{Callee, CalleeLine, Caller, CallerLine};
use super::machine::CallTask;
use super::spawn::spawn_onward;
use super::trunk_leg::media_rejection;
use super::{CallInput, MediaOf, Onward};
use crate::base::{CallId, Cause};
use crate::call::{Early, Input, Leg, LegEvent, Rejection, State};
use crate::dialplan::Destination;
use crate::dtmf::{DigitEvent, Phase};
use crate::gateway::voicemail::{Left, Voicemails};
use crate::gateway::{Inner, spawn};
use crate::ivr::{Line, LineEvent, Script};
use crate::media;
use crate::recording::{Pause, Pauses};
use crate::signaling::{CallState, Event};

impl CallTask {
    /// A line that waits to be served: it answers at once. A number has no line, it answers when its
    /// call is answered; a webhook has what its server says.
    pub(super) fn dial_line(&mut self, n: u8, flow: &[Destination]) -> Result<Callee, Rejection> {
        let media = match &self.caller {
            Caller::Page(_) => None,
            Caller::Trunk(_) => {
                let (media, events) = self.gateway.pool.open(self.id).map_err(media_rejection)?;
                self.follow_media(MediaOf::Callee(n), events);
                Some(media)
            }
            // Nothing sends a caller from line to line.
            Caller::Line(_) => return Err(Rejection::plain(Cause::Internal)),
        };
        let (refuse, refused) = std::sync::mpsc::channel();
        let mut callee = CalleeLine { media, line: None, refuse, onward: None, joined: false };
        match flow.first() {
            Some(to @ Destination::Number(_)) => {
                let onward = self.start_onward(n, to.clone());
                callee.onward = Some(onward.ok_or_else(|| Rejection::plain(Cause::LimitReached))?);
            }
            Some(Destination::Webhook(name)) => self.ask(n, name.clone()),
            _ => callee.line = Some(Box::new(self.served(n, flow, refused))),
        }
        Ok(Callee::Line(callee))
    }

    fn served(&self, n: u8, flow: &[Destination], refused: Receiver<()>) -> Served {
        let record = self.engine.record();
        let from = record.from.number.as_ref().map(|number| number.as_str().to_owned());
        let of = Of { call: self.id, from, pauses: self.recording.pauses.clone() };
        Served::new(&self.gateway, (self.inbox.clone(), n), of, flow, refused)
    }

    /// The callee of a call that nobody calls from hears and is heard by this from now on.
    pub(super) fn serve_callee(&mut self, line: Box<dyn media::Line>) {
        let Some(Leg::Callee(n)) = self.answered_callee() else { return };
        let media = match self.callees.get(usize::from(n)) {
            Some(Callee::Page(page)) => Some(&page.media),
            _ => self.media.as_ref(),
        };
        if let Some(media) = media.filter(|_| matches!(self.caller, Caller::Line(_))) {
            self.media_command(media.serve(line));
        }
    }

    /// Asks a server of the operator where the call goes; the answer is an input of the call.
    fn ask(&self, n: u8, name: String) {
        let record = self.engine.record();
        let data = serde_json::json!({
            "call": self.id,
            "direction": record.direction,
            "from": record.from,
            "to": record.to,
            "trunk": record.trunk,
            "rule": record.rule,
        });
        let (webhooks, inbox) = (self.gateway.webhooks.clone(), self.inbox.clone());
        spawn("webhook decides", async move {
            let decided = webhooks.ask(&name, &data).await;
            // A caller who has hung up meanwhile needs no answer.
            let _ = inbox.send(CallInput::Decided(n, decided)).await;
        });
    }

    /// What the server said.
    pub(super) fn decided(&mut self, n: u8, decided: Result<String, String>) {
        let waits = matches!(self.engine.state(), State::Dialing | State::Early);
        let Some(Callee::Line(_)) = self.callees.get(usize::from(n)).filter(|_| waits) else {
            return;
        };
        let to = decided.and_then(|text| {
            let to = self.gateway.plans.in_force().plan.destination(&text);
            to.ok_or_else(|| "it names nothing that the plan has".to_owned())
        });
        let leg = Leg::Callee(n);
        let rejected = |cause| Input::Leg(leg, LegEvent::Rejected(Rejection::plain(cause)));
        match to {
            Err(error) => {
                tracing::warn!(call.id = %self.id, error, "a webhook decided nothing");
                self.feed(rejected(Cause::Unreachable));
            }
            Ok(Destination::Hangup | Destination::Webhook(_)) => {
                self.feed(Input::End(Cause::Declined));
            }
            Ok(to @ (Destination::User(_) | Destination::Ring(_) | Destination::Number(_))) => {
                tracing::info!(call.id = %self.id, kind = kind_of(&to), "a webhook decided");
                match (self.start_onward(n, to), self.callees.get_mut(usize::from(n))) {
                    (Some(onward), Some(Callee::Line(line))) => line.onward = Some(onward),
                    _ => self.feed(rejected(Cause::LimitReached)),
                }
            }
            Ok(to @ (Destination::Voicemail(_) | Destination::Menu(_) | Destination::App(_))) => {
                tracing::info!(call.id = %self.id, %to, "a webhook decided");
                let (refuse, refused) = std::sync::mpsc::channel();
                let served = Box::new(self.served(n, &[to], refused));
                if let Some(Callee::Line(line)) = self.callees.get_mut(usize::from(n)) {
                    line.refuse = refuse;
                    line.line = Some(served);
                    self.feed(Input::Leg(leg, LegEvent::Answered));
                }
            }
        }
    }

    /// The caller hears the line from now on.
    pub(super) fn serve_line(&mut self, n: u8) {
        let Some(Callee::Line(callee)) = self.callees.get_mut(usize::from(n)) else { return };
        let Some(line) = callee.line.take() else { return };
        self.to_line_media(n, line);
    }

    fn to_line_media(&self, n: u8, line: Box<dyn media::Line>) {
        let Some(Callee::Line(callee)) = self.callees.get(usize::from(n)) else { return };
        if let Some(media) = callee.media.as_ref().or(self.media.as_ref()) {
            self.media_command(media.serve(line));
        }
    }

    /// What a line wants.
    pub(super) async fn line_event(&mut self, n: u8, event: LineEvent) {
        let leg = Leg::Callee(n);
        match event {
            LineEvent::Entered(to) => tracing::info!(call.id = %self.id, %to, "line"),
            LineEvent::HangUp => self.feed(Input::Leg(leg, LegEvent::Ended(Cause::Hangup))),
            LineEvent::Transfer(to) => {
                tracing::info!(call.id = %self.id, kind = kind_of(&to), "line transfers");
                let started = self.start_onward(n, to);
                let Some(Callee::Line(line)) = self.callees.get_mut(usize::from(n)) else { return };
                match started {
                    Some(onward) => line.onward = Some(onward),
                    // Its other end is gone only with the line.
                    None => drop(line.refuse.send(())),
                }
            }
            // Kept where it is made.
            LineEvent::Recorded(_) => {}
        }
    }

    fn start_onward(&self, n: u8, to: Destination) -> Option<mpsc::Sender<CallInput>> {
        let record = self.engine.record();
        let (from, called) = (record.from.clone(), record.to.number.clone());
        // One conversation: what is not to be kept of it is kept in neither recording.
        let (max_forwards, pauses) = (self.caller.max_forwards(), self.recording.pauses.clone());
        let parent = self.inbox.clone();
        let caller = CallerLine { parent, n, to, called, max_forwards, pauses };
        spawn_onward(&self.gateway, caller, from).map(|(_, inbox)| inbox)
    }

    /// News of the call that a line has started, or of that to a number of the flow.
    pub(super) fn onward(&mut self, n: u8, news: Onward) {
        let Some(Callee::Line(line)) = self.callees.get_mut(usize::from(n)) else { return };
        let leg = Leg::Callee(n);
        let is_answered = matches!(self.engine.state(), State::Answering | State::Connected);
        match news {
            Onward::Rings if is_answered => {}
            Onward::Rings => self.feed(Input::Leg(leg, LegEvent::Ringing(Early::NoMedia))),
            Onward::Joined(pipe) if is_answered => {
                line.joined = true;
                self.to_line_media(n, Box::new(pipe));
            }
            Onward::Joined(pipe) => {
                line.joined = true;
                line.line = Some(Box::new(pipe));
                self.feed(Input::Leg(leg, LegEvent::Answered));
            }
            Onward::Over(_) if line.joined => {
                line.onward = None;
                self.feed(Input::Leg(leg, LegEvent::Ended(Cause::Hangup)));
            }
            Onward::Over(_) if is_answered => {
                line.onward = None;
                let _ = line.refuse.send(());
            }
            Onward::Over(cause) => {
                line.onward = None;
                self.feed(Input::Leg(leg, LegEvent::Rejected(Rejection::plain(cause))));
            }
        }
    }

    /// A call that a line has started holds its trunk leg in a session of its own.
    pub(super) async fn media_for_line(&mut self) -> Result<(), Rejection> {
        if self.media.is_none() && matches!(self.caller, Caller::Line(_)) {
            let (media, events) = self.gateway.pool.open(self.id).map_err(media_rejection)?;
            self.follow_media(MediaOf::Caller, events);
            self.media = Some(media);
        }
        Ok(())
    }

    /// The callee of a call that a line has started is joined with the line's caller.
    pub(super) async fn join(&mut self, n: u8) {
        let Caller::Line(line) = &self.caller else { return };
        let (near, far) = media::pipe();
        let callee = self.callees.get(usize::from(n));
        let media = match callee {
            Some(Callee::Page(page)) => Some(&page.media),
            _ => self.media.as_ref(),
        };
        if let Some(media) = media {
            self.media_command(media.serve(Box::new(near)));
        }
        if let Some(Callee::Page(page)) = callee {
            page.page.event(Event::state(self.id, CallState::Active, None));
        }
        if line.parent.send(CallInput::Onward(line.n, Onward::Joined(far))).await.is_err() {
            self.feed(Input::End(Cause::Hangup));
        }
    }
}

/// For the log: a destination without the number in it.
fn kind_of(to: &Destination) -> String {
    match to {
        Destination::Number(_) => "number".to_owned(),
        other => other.to_string(),
    }
}

/// Whose call a line serves.
#[derive(Debug)]
pub(super) struct Of {
    pub call: CallId,
    pub from: Option<String>,
    pub pauses: Arc<Pauses>,
}

/// A line on the media worker.
#[derive(Debug)]
pub(super) struct Served {
    line: Line,
    refused: Receiver<()>,
    inbox: mpsc::Sender<CallInput>,
    n: u8,
    voicemails: Arc<Voicemails>,
    call: CallId,
    from: Option<String>,
    /// Steps of keys that an echo gives back.
    echoed: VecDeque<DigitEvent>,
    /// Nothing is recorded while a menu collects keys.
    pauses: Arc<Pauses>,
}

impl Served {
    /// A line that serves a flow and tells `owner` what it wants.
    pub(super) fn new(
        gateway: &Inner,
        (inbox, n): (mpsc::Sender<CallInput>, u8),
        Of { call, from, pauses }: Of,
        flow: &[Destination],
        refused: Receiver<()>,
    ) -> Served {
        let script: Arc<Script> = gateway.plans.in_force().script.clone();
        let line = Line::new(script, flow);
        if line.collects_keys() {
            // Before its first frame.
            pauses.pause(Pause::Menu);
        }
        Served {
            line,
            refused,
            inbox,
            n,
            voicemails: gateway.voicemails.clone(),
            call,
            from,
            echoed: VecDeque::with_capacity(MOST_ECHOED),
            pauses,
        }
    }

    /// Hands on what the line wants. Nothing here waits: a full inbox is that of a call that is ending.
    fn tell(&mut self) {
        while let Some(event) = self.line.poll() {
            match event {
                LineEvent::Recorded(recording) => {
                    let (call, from) = (self.call, self.from.clone());
                    self.voicemails.leave(Left { recording, call, from });
                }
                event => {
                    if self.inbox.try_send(CallInput::Line(self.n, event)).is_err() {
                        tracing::debug!(call.id = %self.call, "a line's wish came too late");
                    }
                }
            }
        }
    }
}

impl media::Line for Served {
    fn digit(&mut self, event: &DigitEvent) {
        if self.line.echoes() && self.echoed.len() < MOST_ECHOED {
            self.echoed.push_back(*event);
        }
        if event.phase == Phase::Start {
            self.line.digit(event.digit);
            self.tell();
        }
    }

    fn is_wide(&self) -> bool {
        true
    }

    fn frame(&mut self, heard: &[i16], out: &mut [i16]) {
        while self.refused.try_recv().is_ok() {
            self.line.refused();
        }
        self.line.frame(heard, out);
        match self.line.collects_keys() {
            true => self.pauses.pause(Pause::Menu),
            false => self.pauses.resume(Pause::Menu),
        }
        self.tell();
    }

    fn poll_digit(&mut self) -> Option<DigitEvent> {
        self.echoed.pop_front()
    }
}

/// Taken every 20 ms: a key has some steps in that time.
const MOST_ECHOED: usize = 32;

impl Drop for Served {
    fn drop(&mut self) {
        // The caller has hung up, or is with somebody else: what was said until now is kept.
        self.line.hung_up();
        self.pauses.resume(Pause::Menu);
        self.tell();
    }
}
