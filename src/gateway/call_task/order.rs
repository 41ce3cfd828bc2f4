//! A call between a number and something else, which a program starts: the number is called first, by the
//! rules of the plan's owner; when it answers it is served by a line, as somebody who has called would be,
//! and the line sends it on.
//!
//! ```text
//! order --(1)--> call to the number --> trunk        answered: the number hears a line (a menu, ringback)
//!       --(2)--> call to a page or a number          answered: its pipe takes the line's place
//! ```
//!
//! Both are calls of their own with a record each; when one ends, so does the other.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::legs::CallerLine;
use super::line_leg::{Of, Served};
use super::originate::{CallOrder, NotStarted, ring_user};
use super::spawn::spawn_onward;
use super::{CallInput, Onward};
use crate::base::{CallId, Cause, DialString, Party};
use crate::dialplan::{Destination, Outcome};
use crate::gateway::{Inner, spawn};
use crate::ivr::LineEvent;
use crate::recording::Pauses;
use crate::sip::MAX_FORWARDS;

/// Starts what a program asks for.
pub(in crate::gateway) fn spawn_order(
    gateway: &Arc<Inner>,
    order: CallOrder,
) -> Result<CallId, NotStarted> {
    if gateway.is_draining() {
        return Err(NotStarted::Draining);
    }
    match order {
        CallOrder::User { user, to, caller_id } => ring_user(gateway, (user, to, caller_id)),
        CallOrder::Number { from, to } => call_number(gateway, from, &to),
    }
}

fn call_number(gateway: &Arc<Inner>, from: DialString, to: &str) -> Result<CallId, NotStarted> {
    let in_force = gateway.plans.in_force();
    let plan = &in_force.plan;
    let to = plan.destination(to).ok_or(NotStarted::NoDestination)?;
    if matches!(to, Destination::Hangup | Destination::Webhook(_)) {
        return Err(NotStarted::NoDestination);
    }
    // Said at once where the plan does not let either of them be called.
    let first = Destination::Number(from);
    let mut shown = Party { uri: "order".to_owned(), ..Party::default() };
    for (number, is_first) in [(&first, true), (&to, false)] {
        let Destination::Number(number) = number else { continue };
        let decision = plan.evaluate_forward(number, None, Timestamp::now());
        match decision.outcome {
            // Nobody but a person calls for help.
            Outcome::Dial(ref call) if call.emergency => {
                let words = "no program calls an emergency number".to_owned();
                return Err(NotStarted::Refused(Cause::BlockedByDialplan, words));
            }
            Outcome::Dial(_) => {}
            Outcome::Flow(_) => return Err(NotStarted::NoDestination),
            Outcome::Refuse(refusal) => {
                return Err(NotStarted::Refused(refusal.cause, refusal.words));
            }
        }
        if let Some(number) = decision.number().filter(|_| is_first) {
            let (number, uri) = (number.e164.clone(), format!("tel:{}", number.e164.as_str()));
            shown = Party { number: Some(number), uri, ..Party::default() };
        }
    }
    if let Destination::User(user) = &to
        && gateway.registry.pages_of(user).is_empty()
    {
        return Err(NotStarted::NobodyThere);
    }
    let (inbox, news) = mpsc::channel(INBOX);
    let pauses = Arc::<Pauses>::default();
    let caller = CallerLine {
        parent: inbox.clone(),
        n: FIRST,
        to: first,
        called: None,
        max_forwards: MAX_FORWARDS,
        pauses: pauses.clone(),
    };
    let owner = Party { uri: "order".to_owned(), ..Party::default() };
    let (id, call) = spawn_onward(gateway, caller, owner).ok_or(NotStarted::Overloaded)?;
    tracing::info!(call.id = %id, "a program's call to a number");
    let order = Order { gateway: gateway.clone(), id, first: call, second: None, to, shown, inbox };
    spawn("call order", order.run(news, pauses));
    Ok(id)
}

struct Order {
    gateway: Arc<Inner>,
    id: CallId,
    first: mpsc::Sender<CallInput>,
    /// The call that it is connected with, and whether that is answered.
    second: Option<(mpsc::Sender<CallInput>, bool)>,
    to: Destination,
    /// Who the second is called by, as a page sees it.
    shown: Party,
    inbox: mpsc::Sender<CallInput>,
}

impl Order {
    async fn run(mut self, mut news: mpsc::Receiver<CallInput>, pauses: Arc<Pauses>) {
        let (refuse, refused) = std::sync::mpsc::channel();
        let from = self.shown.number.as_ref().map(|number| number.as_str().to_owned());
        let of = Of { call: self.id, from, pauses: pauses.clone() };
        let owner = (self.inbox.clone(), FIRST);
        let flow = std::slice::from_ref(&self.to);
        let mut line = Some(Served::new(&self.gateway, owner, of, flow, refused));
        // Cancellation safe: `recv` loses nothing.
        while let Some(input) = news.recv().await {
            match input {
                CallInput::Onward(FIRST, Onward::Joined(_)) => {
                    if let Some(line) = line.take() {
                        self.serve(Box::new(line)).await;
                    }
                }
                CallInput::Onward(FIRST, Onward::Over(cause)) => {
                    if let Some((second, _)) = &self.second {
                        // One that is over by itself is over.
                        let _ = second.send(CallInput::End(cause)).await;
                    }
                    return;
                }
                CallInput::Onward(_, Onward::Joined(pipe)) => {
                    if let Some((_, joined)) = &mut self.second {
                        *joined = true;
                    }
                    self.serve(Box::new(pipe)).await;
                }
                CallInput::Onward(_, Onward::Over(_)) => match self.second.take() {
                    Some((_, true)) => self.end().await,
                    // The line goes on, and hangs up where nothing follows.
                    _ => drop(refuse.send(())),
                },
                CallInput::Onward(_, Onward::Rings) => {}
                CallInput::Line(_, LineEvent::Entered(to)) => {
                    tracing::info!(call.id = %self.id, %to, "line");
                }
                CallInput::Line(_, LineEvent::HangUp) => self.end().await,
                CallInput::Line(_, LineEvent::Transfer(to)) => {
                    let parent = self.inbox.clone();
                    let pauses = pauses.clone();
                    let caller = CallerLine {
                        parent,
                        n: SECOND,
                        to,
                        called: None,
                        max_forwards: MAX_FORWARDS,
                        pauses,
                    };
                    match spawn_onward(&self.gateway, caller, self.shown.clone()) {
                        Some((_, second)) => self.second = Some((second, false)),
                        None => drop(refuse.send(())),
                    }
                }
                _ => {}
            }
        }
    }

    async fn serve(&self, line: Box<dyn crate::media::Line>) {
        // A call that is over says so itself.
        let _ = self.first.send(CallInput::Serve(line)).await;
    }

    async fn end(&self) {
        let _ = self.first.send(CallInput::End(Cause::Hangup)).await;
    }
}

const FIRST: u8 = 0;
const SECOND: u8 = 1;
const INBOX: usize = 64;
