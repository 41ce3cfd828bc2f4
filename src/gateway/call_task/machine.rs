//! The task's loop: inputs in, the state machine's outputs carried out, until the call is over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, mpsc};

use super::handover::Handing;
use super::joining::{Arriving, Joining};
use super::legs::{Began, Callee, Caller};
use super::media_side::{Dropped, Followed, Silent};
use super::recording::Taped;
use super::renegotiate::Holding;
use super::transfer::Transfer;
use super::{CallInput, MediaOf, PageAsk};
use crate::base::{CallId, Cause, SessionId};
use crate::call::{Call, Input, Leg, LegEvent, Output, State};
use crate::gateway::Inner;
use crate::gateway::accounts::Counted;
use crate::gateway::ringing::Talking;
use crate::gateway::surface::{CallNews, CallView};
use crate::gateway::timeline::{Entry, Speaker, Timeline};
use crate::media::{self, DigitWay};
use crate::signaling::socket::Page;
use crate::signaling::{ErrorCode, LossWatch, Refusal, RequestId};
use crate::sip;

/// One call and everything it holds; dropping it frees its media.
pub(super) struct CallTask {
    pub gateway: Arc<Inner>,
    pub id: CallId,
    pub engine: Call,
    pub view: Arc<Mutex<CallView>>,
    pub timeline: Arc<Mutex<Timeline>>,
    /// A way to its own inbox, for what it starts.
    pub inbox: mpsc::Sender<CallInput>,
    pub started: Instant,
    pub caller: Caller,
    /// By the number of [`Leg::Callee`].
    pub callees: Vec<Callee>,
    /// Media of the calling page and of the trunk leg, where a page calls.
    pub media: Option<media::Session>,
    /// What is dialled, as the plan said.
    pub dial: Option<super::super::routing::Dial>,
    /// Its place in its user's account, until it ends.
    pub counted: Option<Counted>,
    /// The users of this gateway who are in it.
    pub talking: Vec<Talking>,
    /// How much of its trace is in the log.
    pub logged: usize,
    /// The record on its way to the disk.
    pub last_write: Option<tokio::task::JoinHandle<()>>,
    /// How digits go to the trunk, once its SDP has said.
    pub digit_way: Option<DigitWay>,
    /// Digits that media has dropped, as counted so far.
    pub digits_dropped: u64,
    pub silent: Silent,
    /// Numbers the digits that came as SIP INFO.
    pub infos: u64,
    /// Who holds whom.
    pub holding: Holding,
    /// The trunk's party that talks, where one has taken another's place.
    pub far: Option<Leg>,
    /// In a call between pages, the one whose other side is, or has been, handed over.
    pub stays: Option<Leg>,
    /// The far side of another call is awaited.
    pub joining: Option<Joining>,
    /// It has come, a phone that has not answered yet.
    pub arriving: Option<Arriving>,
    /// Where the events of its media go.
    pub routes: Vec<(MediaOf, Followed)>,
    /// The calling page has handed its place over.
    pub caller_left: bool,
    /// A party wants another one in its place.
    pub handing: Option<Handing>,
    /// The same, before the call is connected.
    pub refer_waits: Option<(sip::Session, Box<sip::Refer>)>,
    /// Calls that were placed for that, in the user's account until the end.
    pub more_counted: Vec<Counted>,
    /// The far side is being handed over.
    pub transfer: Option<Transfer>,
    /// Whether the telephone side loses too much.
    pub trunk_loss: LossWatch,
    /// Packets of the trunk's side that metrics have counted already.
    pub dropped: Dropped,
    /// What is recorded of it.
    pub recording: Taped,
    pub over: bool,
}

impl CallTask {
    /// Runs the call to its end.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<CallInput>, overrun: Arc<Notify>) {
        if self.caller.page().is_some_and(|page| page.began == Began::ByPage) {
            self.signal(Speaker::Page, "call.start");
        }
        loop {
            let deadline = self.drain().await;
            if self.over {
                inbox.close();
                while let Ok(input) = inbox.try_recv() {
                    self.came_too_late(input).await;
                }
                return;
            }
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            // Cancellation safe: a channel, a notification and a timer lose nothing.
            tokio::select! {
                input = inbox.recv() => match input {
                    Some(input) => self.take(input).await,
                    None => self.feed(Input::End(Cause::Internal)),
                },
                () = overrun.notified() => self.feed(Input::End(Cause::Internal)),
                () = timer => self.feed(Input::Timeout),
            }
        }
    }

    /// Carries out what the machine wants; returns when it wants to be woken.
    async fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.engine.poll_output() {
                Output::Timeout(at) => {
                    self.show();
                    return at;
                }
                output => self.carry_out(output).await,
            }
        }
    }

    async fn take(&mut self, input: CallInput) {
        match input {
            CallInput::Page { session, ask, reply } => self.page_asks(session, ask, reply).await,
            CallInput::Say(session, text) => {
                let leg = self.leg_of_page(session);
                if let Some(media) = leg.and_then(|leg| self.media_of_page(leg)) {
                    self.media_command(media.say(text));
                }
            }
            CallInput::PageGone(session) => {
                if let Some(leg) = self.leg_of_page(session) {
                    self.mark_told(leg);
                    match self.is_handing_over(leg) {
                        true => self.page_leaves(leg),
                        false => self.feed(Input::Leg(leg, LegEvent::Ended(Cause::Hangup))),
                    }
                }
            }
            CallInput::TakeOver(incoming, old, channel, offer) => {
                self.taken_over(&incoming, old, channel, offer).await;
            }
            CallInput::Give { asking, to, reply } => {
                // Where nobody waits any more, nobody is there to be joined with either.
                if let Err(Ok(given)) = reply.send(self.give(asking, to)) {
                    given.send_away(&self.gateway, self.id).await;
                }
            }
            CallInput::Given(given) => self.given(given).await,
            CallInput::Join { asking, other, told } => self.join_asked(asking, other, told),
            CallInput::Sip(event) => self.sip_event(*event).await,
            CallInput::Media(of, event) => self.media_event(of, event).await,
            CallInput::Line(n, event) => self.line_event(n, event).await,
            CallInput::Play(sound) => self.play(sound.as_ref()),
            CallInput::Record(wish) => self.recording_wish(wish),
            CallInput::Decided(n, decided) => self.decided(n, decided),
            CallInput::Onward(n, news) => self.onward(n, news),
            CallInput::Serve(line) => self.serve_callee(line),
            CallInput::RecordKept => self.feed(Input::RecordKept),
            CallInput::Transfer(to) => {
                if let Err(refusal) = self.transfer(self.operators_leg(), to).await {
                    tracing::info!(call.id = %self.id, ?refusal, "transfer refused");
                }
            }
            CallInput::Message(data) => self.tell_pages(&data),
            CallInput::Tones(tones) => {
                if let Err(refusal) = self.engine_tones(self.operators_leg(), tones) {
                    tracing::info!(call.id = %self.id, ?refusal, "digits refused");
                }
            }
            CallInput::Hold(hold) => {
                if let Err(refusal) = self.hold(self.operators_leg(), hold).await {
                    tracing::info!(call.id = %self.id, ?refusal, "hold refused");
                }
            }
            CallInput::End(cause) => self.feed(Input::End(cause)),
        }
    }

    async fn page_asks(
        &mut self,
        session: SessionId,
        ask: PageAsk,
        reply: Option<(Page, RequestId)>,
    ) {
        self.signal(Speaker::Page, ask.name());
        let outcome = match self.leg_of_page(session) {
            Some(leg) => self.page_leg_asks(leg, ask).await,
            None => Err(Refusal::new(ErrorCode::SignalUnknownCall)),
        };
        if let Some((page, request)) = reply {
            page.reply(request, outcome);
        }
    }

    /// Gives the machine an input; one that changes nothing is no fault (legs cross each other).
    pub(super) fn feed(&mut self, input: Input) {
        if let Err(error) = self.engine.handle_input(Instant::now(), input) {
            tracing::debug!(call.id = %self.id, %error, "input without effect");
        }
    }

    /// The leg that a page's session is.
    pub(super) fn leg_of_page(&self, session: SessionId) -> Option<Leg> {
        let is_caller = self.caller.page().is_some_and(|page| page.session == session);
        if is_caller && !self.caller_left {
            return Some(Leg::Caller);
        }
        let own =
            |callee: &&Callee| matches!(callee, Callee::Page(page) if page.session == session);
        let live = |callee: &Callee| matches!(callee, Callee::Page(page) if page.session == session && !page.told_end);
        // A page that was in the call before may be called into it again.
        let mut all = self.callees.iter();
        let at = all.position(live).or_else(|| self.callees.iter().position(|callee| own(&callee)));
        at.and_then(|n| u8::try_from(n).ok()).map(Leg::Callee)
    }

    /// Brings what others see of the call up to date.
    fn show(&mut self) {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if view.state != self.engine.state() && self.engine.state() != State::Over {
            self.gateway.events.tell("call.state", &CallNews::of(&self.engine));
            self.on_timeline(Entry::State(self.engine.state()));
        }
        view.state = self.engine.state();
        view.record.clone_from(self.engine.record());
        // The plan's part is logged where it is made. No attempt's line holds a number.
        for line in self.engine.record().trace.iter().skip(self.logged) {
            tracing::info!(call.id = %self.id, %line, "attempt");
        }
        self.logged = self.logged.max(self.engine.record().trace.len());
    }
}
