//! From the dial plan's decision to the call's: which targets, under whose number, in which words.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Inner;
use super::accounts::{Counted, frees_in};
use super::ringing::{Presence, Ringing};
use super::trunks::{Trunk, Trunks};
use crate::base::{Cause, DialString, DtmfMode, E164, Party, SessionId, TrunkId, UserId};
use crate::call::{Call, Decision, LegKind, Refusal, Route, Step, Target, Targets};
use crate::config::User;
use crate::dialplan::{
    self, CallerIdentity, Destination, DigitLog, InboundRequest, Law, OutboundRequest, Outcome,
    Plan, Recording,
};
use crate::signaling::{CallStart, Dialling};
use crate::trunk::Urgency;

/// A call's route with everything around it.
pub(super) struct Routed {
    pub decision: Decision,
    pub rule: Option<String>,
    /// The plan's explanation, one line a rule.
    pub trace: Vec<String>,
    pub dial: Option<Dial>,
    /// The call's place in its user's account.
    pub counted: Option<Counted>,
    /// Whether the plan wants it recorded.
    pub recording: Recording,
}

/// What the plan said about a call that goes out, or why it does not.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    /// What is dialled; `None` where nothing is.
    pub to: Option<dialplan::Target>,
    pub caller_id: Option<CallerIdentity>,
    /// Who calls where no number is shown.
    pub caller_name: String,
    pub urgency: Urgency,
    /// How digits are to go, where the rule says.
    pub dtmf: Option<DtmfMode>,
    /// The one codec of both sides, where the rule says.
    pub codec: Option<Law>,
    /// Whether the log names the digits that go out.
    pub digits: DigitLog,
    /// Why not, in the plan's words; for a user of this gateway.
    pub words: Option<String>,
    /// When it may be tried again, where that is known.
    pub retry_after: Option<Duration>,
    pub trace: Vec<String>,
}

/// The one codec that the plan wants for a call of a page, which is answered before its call is routed.
pub(super) fn wanted_codec(gateway: &Inner, user: &UserId, start: &CallStart) -> Option<Law> {
    let number = start.from.as_ref().map(|number| number.as_str().to_owned());
    let dialled = start.to.as_str().to_owned();
    let request = outbound_request(&gateway.users, user, dialled, number, Timestamp::now());
    match gateway.plans.in_force().plan.evaluate_outbound(&request).outcome {
        Outcome::Dial(call) => call.codec,
        Outcome::Flow(_) | Outcome::Refuse(_) => None,
    }
}

/// The route of a call that a page starts.
pub(super) fn from_page(gateway: &Arc<Inner>, session: SessionId, call: &Call) -> Routed {
    let record = call.record();
    let Some(live) = gateway.registry.page(session) else {
        return refused(Cause::Cancelled, None, Vec::new(), None);
    };
    let user = live.claims.sub.clone();
    let in_force = gateway.plans.in_force();
    let plan = &in_force.plan;
    let request = outbound_request(
        &gateway.users,
        &user,
        record.to.uri.clone(),
        record.from.number.as_ref().map(|n| n.as_str().to_owned()),
        Timestamp::now(),
    );
    let decision = plan.evaluate_outbound(&request);
    let mut trace = plan.explain(&decision);
    // What the plan refuses, and what stays inside, counts against no cap.
    let mut counted = None;
    if let Outcome::Dial(call) = &decision.outcome {
        let caps = gateway.users.get(&user).map(caps_of).unwrap_or_default();
        let region = decision.number().and_then(|number| number.region);
        let urgency = urgency(call);
        match gateway.accounts.start(Instant::now(), &user, &caps, region, urgency) {
            Ok(place) => counted = Some(place),
            Err(capped) => {
                let words = capped.to_string();
                trace.push(format!("=> deny {words:?}"));
                tracing::info!(user.id = %user, cap = %words, "a cap is reached");
                let rule = decision.rule().map(str::to_owned);
                let mut routed = refused(Cause::LimitReached, rule, trace, Some(words));
                if let Some(dial) = &mut routed.dial {
                    dial.retry_after = frees_in(&capped);
                }
                return routed;
            }
        }
    }
    let mut routed = match &decision.outcome {
        Outcome::Flow(flow) => {
            // Not the page that calls, where its own user is among them.
            let others = |user: &UserId| {
                let pages = gateway.registry.pages_of(user).into_iter();
                pages.filter(|page| *page != session).collect()
            };
            let presence = Presence { pages: &others, idle: &|user| gateway.idle.of(user) };
            to_pages(plan, flow, &presence, decision.rule().map(str::to_owned), trace)
        }
        _ => connect(&gateway.trunks, plan, &decision, trace, Caller::User(&user)),
    };
    // A token may allow less than the plan, never more; no limit cuts an emergency call.
    let emergency = matches!(&decision.outcome, Outcome::Dial(call) if call.emergency);
    if let (Decision::Connect(route), Some(seconds), false) =
        (&mut routed.decision, live.claims.max_call_s, emergency)
    {
        let most = Duration::from_secs(seconds);
        route.max_call = Some(route.max_call.map_or(most, |plan| plan.min(most)));
    }
    Routed { counted, recording: decision.recording, ..routed }
}

/// Why the plan does not let a call be handed over.
pub(super) struct NoTransfer {
    pub cause: Cause,
    pub words: String,
    pub rule: Option<String>,
    pub trace: Vec<String>,
}

/// What the plan says to the number that a user hands a call over to: the same as to a call of the
/// user's own, which it is in all but the sound.
pub(super) fn transfer(
    gateway: &Inner,
    user: &UserId,
    dialled: &str,
) -> Result<Dial, Box<NoTransfer>> {
    let in_force = gateway.plans.in_force();
    let plan = &in_force.plan;
    let request =
        outbound_request(&gateway.users, user, dialled.to_owned(), None, Timestamp::now());
    let decision = plan.evaluate_outbound(&request);
    let trace = plan.explain(&decision);
    let routed = connect(&gateway.trunks, plan, &decision, trace.clone(), Caller::User(user));
    let refused = |cause, words| {
        let rule = decision.rule().map(str::to_owned);
        Box::new(NoTransfer { cause, words, rule, trace })
    };
    match (routed.decision, routed.dial) {
        (Decision::Connect(_), Some(dial)) if dial.to.is_some() => Ok(dial),
        (Decision::Refuse(refusal), dial) => {
            let words = dial.and_then(|dial| dial.words);
            let cause = refusal.cause;
            Err(refused(cause, words.unwrap_or_else(|| cause.message().to_owned())))
        }
        _ => Err(refused(Cause::Unreachable, "nobody can be called there".to_owned())),
    }
}

impl NoTransfer {
    pub fn because(cause: Cause, words: &str) -> Box<NoTransfer> {
        let (rule, trace) = (None, Vec::new());
        Box::new(NoTransfer { cause, words: words.to_owned(), rule, trace })
    }
}

/// Where a party goes that wants another one in its place.
pub(super) struct HandOverRoute {
    pub targets: Targets,
    /// What goes out on a trunk; `None` where pages are rung.
    pub dial: Option<Dial>,
    /// The new call's place in its user's account.
    pub counted: Option<Counted>,
    /// The longest that the new party may talk.
    pub max_call: Option<Duration>,
}

/// Who asks for somebody else in a party's place.
#[derive(Clone, Copy)]
pub(super) enum Asks<'a> {
    /// A trunk's party, of the user that it talks to.
    Trunk,
    /// A page of the user's own.
    Page {
        /// The pages that are in the call: they do not ring.
        in_call: &'a [SessionId],
        /// The longest call of the page's token.
        most: Option<Duration>,
    },
}

/// What the plan says to what a user is handed over to, or hands somebody over to: a call of the user's
/// own, who pays for it, with the caps of one. Nobody outside calls for help in a user's name.
pub(super) fn handed_over(
    gateway: &Arc<Inner>,
    user: &UserId,
    dialled: &str,
    asks: Asks<'_>,
) -> Result<HandOverRoute, Box<NoTransfer>> {
    let in_force = gateway.plans.in_force();
    let plan = &in_force.plan;
    let request =
        outbound_request(&gateway.users, user, dialled.to_owned(), None, Timestamp::now());
    let decision = plan.evaluate_outbound(&request);
    let trace = plan.explain(&decision);
    let call = match (&decision.outcome, asks) {
        (Outcome::Dial(call), _) => call,
        (Outcome::Flow(flow), Asks::Page { in_call, most }) => {
            let rule = decision.rule().map(str::to_owned);
            return to_other_pages(gateway, plan, (flow, rule, trace), in_call, most);
        }
        _ => {
            return transfer(gateway, user, dialled).and_then(|_| {
                Err(NoTransfer::because(Cause::Unreachable, "nobody can be called there"))
            });
        }
    };
    let most = match asks {
        // No limit cuts an emergency call.
        Asks::Page { most, .. } if !call.emergency => most,
        _ => None,
    };
    if call.emergency && matches!(asks, Asks::Trunk) {
        return Err(NoTransfer::because(Cause::Declined, "an emergency call is nobody else's"));
    }
    let caps = gateway.users.get(user).map(caps_of).unwrap_or_default();
    let region = decision.number().and_then(|number| number.region);
    let counted = gateway.accounts.start(Instant::now(), user, &caps, region, urgency(call));
    let counted =
        counted.map_err(|capped| NoTransfer::because(Cause::LimitReached, &capped.to_string()))?;
    let routed = connect(&gateway.trunks, plan, &decision, trace, Caller::User(user));
    match (routed.decision, routed.dial) {
        (Decision::Connect(route), Some(dial)) => Ok(HandOverRoute {
            targets: route.targets,
            dial: Some(dial),
            counted: Some(counted),
            max_call: [route.max_call, most].into_iter().flatten().min(),
        }),
        (_, dial) => {
            let words = dial.and_then(|dial| dial.words).unwrap_or_default();
            Err(NoTransfer::because(Cause::Unreachable, &words))
        }
    }
}

/// The pages of a flow, apart from those that are in the call already. A line takes nobody's place: it is
/// passed over.
fn to_other_pages(
    gateway: &Inner,
    plan: &Plan,
    (flow, rule, trace): (&[Destination], Option<String>, Vec<String>),
    in_call: &[SessionId],
    max_call: Option<Duration>,
) -> Result<HandOverRoute, Box<NoTransfer>> {
    let others = |user: &UserId| {
        let pages = gateway.registry.pages_of(user).into_iter();
        pages.filter(|page| !in_call.contains(page)).collect()
    };
    let presence = Presence { pages: &others, idle: &|user| gateway.idle.of(user) };
    let mut ringing = Ringing::of(plan, flow, &presence);
    let rings_pages = |step: &Step| step.targets.iter().all(|t| t.kind() == LegKind::Page);
    let all = ringing.steps.len();
    ringing.steps.retain(rings_pages);
    if ringing.steps.is_empty() {
        let words = match all {
            0 => "nobody is signed in",
            _ => "a call is handed over to a number or to pages, not to a line",
        };
        let trace = trace.into_iter().chain(ringing.trace).collect();
        let (cause, words) = (Cause::Unreachable, words.to_owned());
        return Err(Box::new(NoTransfer { cause, words, rule, trace }));
    }
    let targets = Targets::Flow(ringing.steps);
    Ok(HandOverRoute { targets, dial: None, counted: None, max_call })
}

/// What the plan is asked about a call of a user: by a call and by `explain` alike.
pub(super) fn outbound_request(
    users: &BTreeMap<UserId, User>,
    user: &UserId,
    dialled: String,
    caller_id: Option<String>,
    at: Timestamp,
) -> OutboundRequest {
    let country = users.get(user).and_then(|user| user.country);
    OutboundRequest { country, user: user.clone(), dialled, caller_id, at }
}

/// What values mean that pages dial.
pub(super) struct Meaning(pub Weak<Inner>);

impl Meaning {
    fn ask<T>(&self, user: &UserId, dialled: &str, look: fn(&dialplan::Meant) -> T) -> Option<T> {
        let gateway = self.0.upgrade()?;
        let country = gateway.users.get(user).and_then(|user| user.country);
        let in_force = gateway.plans.in_force();
        Some(look(&in_force.plan.meant(dialled, country)))
    }
}

impl fmt::Debug for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meaning")
    }
}

impl Dialling for Meaning {
    fn meant(&self, user: &UserId, dialled: &str) -> String {
        self.ask(user, dialled, |meant| meant.value.clone()).unwrap_or_default()
    }

    fn is_emergency(&self, user: &UserId, dialled: &str) -> bool {
        self.ask(user, dialled, |meant| meant.emergency).unwrap_or(false)
    }

    fn echo(&self) -> Option<String> {
        self.0.upgrade()?.plans.in_force().plan.echo_line().map(str::to_owned)
    }
}

/// The route of a call that a trunk brings.
pub(super) fn from_trunk(gateway: &Arc<Inner>, trunk: &Trunk, call: &Call) -> Routed {
    let record = call.record();
    let text = |party: &Party| {
        party
            .number
            .as_ref()
            .map_or_else(|| party.user_part().to_owned(), |number| number.as_str().to_owned())
    };
    let in_force = gateway.plans.in_force();
    let plan = &in_force.plan;
    let request = InboundRequest {
        did: text(&record.to),
        from: Some(text(&record.from)).filter(|from| !from.is_empty()),
        trunk: Some(trunk.definition.id.clone()),
        at: Timestamp::now(),
    };
    let decision = plan.evaluate_inbound(&request);
    let trace = plan.explain(&decision);
    let presence = Presence {
        pages: &|user| gateway.registry.pages_of(user),
        idle: &|user| gateway.idle.of(user),
    };
    let routed = connect(&gateway.trunks, plan, &decision, trace, Caller::Outside(&presence));
    Routed { recording: decision.recording, ..routed }
}

/// The route of a call that a line sends on: to pages, or out by the rules of the plan's owner, under
/// the number that was called.
pub(super) fn from_line(gateway: &Arc<Inner>, to: &Destination, called: Option<&E164>) -> Routed {
    let in_force = gateway.plans.in_force();
    let plan = &in_force.plan;
    let presence = Presence {
        pages: &|user| gateway.registry.pages_of(user),
        idle: &|user| gateway.idle.of(user),
    };
    match to {
        Destination::Number(number) => {
            let decision = plan.evaluate_forward(number, called, Timestamp::now());
            let trace = plan.explain(&decision);
            let presence = Caller::Outside(&presence);
            let routed = connect(&gateway.trunks, plan, &decision, trace, presence);
            Routed { recording: decision.recording, ..routed }
        }
        to => to_pages(plan, std::slice::from_ref(to), &presence, None, Vec::new()),
    }
}

/// What the plan says to a call by which an operator tries a trunk: that of the plan's owner, or of the first
/// user who may call there by it. Emergency numbers are not for trying.
///
/// # Errors
/// Why not, in words for the operator.
pub(super) fn test_call(gateway: &Inner, trunk: &TrunkId, number: &E164) -> Result<Dial, String> {
    let in_force = gateway.plans.in_force();
    let plan = &in_force.plan;
    let now = Timestamp::now();
    let dialled = number.as_str();
    let digits: DialString = dialled.parse().map_err(|_| "this is no telephone number")?;
    let of_user = |user: &UserId| {
        let request = outbound_request(&gateway.users, user, dialled.to_owned(), None, now);
        plan.evaluate_outbound(&request)
    };
    let owner = plan.evaluate_forward(&digits, None, now);
    let mut words = None;
    for decision in std::iter::once(owner).chain(gateway.users.keys().map(of_user)) {
        match &decision.outcome {
            Outcome::Dial(call) if call.emergency => {
                return Err("this is an emergency number: it is not called for a test".to_owned());
            }
            Outcome::Dial(call) if call.route.trunks.contains(trunk) => {
                return Ok(Dial {
                    to: Some(call.to.clone()),
                    caller_id: call.caller_id.clone(),
                    caller_name: "crosspoint".to_owned(),
                    urgency: Urgency::Normal,
                    dtmf: call.dtmf,
                    codec: call.codec,
                    digits: call.digits,
                    words: None,
                    retry_after: None,
                    trace: Vec::new(),
                });
            }
            Outcome::Dial(_) => {
                let other = "its rule for this number names other trunks".to_owned();
                words = words.or(Some(other));
            }
            Outcome::Refuse(refusal) => words = words.or(Some(refusal.words.clone())),
            Outcome::Flow(_) => {
                words = words.or(Some("the number is one of its own".to_owned()));
            }
        }
    }
    let words = words.unwrap_or_default();
    Err(format!("the dial plan does not send this call out by this trunk: {words}"))
}

#[derive(Clone, Copy)]
enum Caller<'a> {
    User(&'a UserId),
    Outside(&'a Presence<'a>),
}

/// From the plan's decision to the call's. What is refused here is refused in words.
fn connect(
    all_trunks: &Trunks,
    plan: &Plan,
    decision: &dialplan::Decision,
    mut trace: Vec<String>,
    caller: Caller<'_>,
) -> Routed {
    let rule = decision.rule().map(str::to_owned);
    match &decision.outcome {
        Outcome::Dial(call) => {
            let urgency = urgency(call);
            let (trunks, passed_over) = all_trunks.order(&call.route, urgency);
            if trunks.is_empty() {
                let words = format!("no trunk can take the call: {}", passed_over.join(", "));
                trace.push(format!("=> deny {words:?}"));
                return refused(Cause::Unreachable, rule, trace, Some(words));
            }
            trace.extend(passed_over.into_iter().map(|line| format!("pass  {line}")));
            let (user, name) = match caller {
                Caller::User(user) => (Some(user.clone()), user.as_str()),
                Caller::Outside(_) => (None, "anonymous"),
            };
            // Who calls, as the far side sees it.
            let from = call.caller_id.as_ref().map(|identity| Party {
                user,
                number: Some(identity.number.clone()),
                uri: format!("tel:{}", identity.number.as_str()),
                display: identity.name.clone(),
            });
            let to = call.to.as_str().to_owned();
            let number = match &call.to {
                dialplan::Target::Number(number) => Some(number.e164.clone()),
                dialplan::Target::Short(_) => None,
            };
            let route = Route {
                targets: Targets::Hunt(trunks.into_iter().map(Target::Trunk).collect()),
                from,
                to: Some(Party { number, uri: to, ..Party::default() }),
                rule: rule.clone(),
                trace: trace.clone(),
                ring: None,
                max_call: Some(call.max_call),
            };
            let dial = Dial {
                to: Some(call.to.clone()),
                caller_id: call.caller_id.clone(),
                caller_name: name.to_owned(),
                urgency,
                dtmf: call.dtmf,
                codec: call.codec,
                digits: call.digits,
                words: None,
                retry_after: None,
                trace: trace.clone(),
            };
            let decision = Decision::Connect(Box::new(route));
            Routed {
                decision,
                rule,
                trace,
                dial: Some(dial),
                counted: None,
                recording: Recording::Off,
            }
        }
        Outcome::Flow(flow) => match caller {
            Caller::Outside(presence) => to_pages(plan, flow, presence, rule, trace),
            Caller::User(_) => {
                let words = "a call is handed over to a number, not to a page or a line".to_owned();
                trace.push(format!("=> deny {words:?}"));
                refused(Cause::Unreachable, rule, trace, Some(words))
            }
        },
        Outcome::Refuse(refusal) => {
            refused(refusal.cause, rule, trace, Some(refusal.words.clone()))
        }
    }
}

/// The pages of a flow, step by step.
fn to_pages(
    plan: &Plan,
    flow: &[Destination],
    presence: &Presence<'_>,
    rule: Option<String>,
    mut trace: Vec<String>,
) -> Routed {
    let ringing = Ringing::of(plan, flow, presence);
    trace.extend(ringing.trace);
    if ringing.steps.is_empty() {
        let (cause, words) = match flow.first() {
            Some(Destination::Hangup) => (Cause::Declined, "the plan hangs up".to_owned()),
            _ => (Cause::Unreachable, "nobody is signed in".to_owned()),
        };
        trace.push(format!("=> deny {words:?}"));
        return refused(cause, rule, trace, Some(words));
    }
    let decision = Decision::Connect(Box::new(route_of(ringing.steps, &rule, &trace)));
    Routed { decision, rule, trace, dial: None, counted: None, recording: Recording::Off }
}

fn route_of(steps: Vec<Step>, rule: &Option<String>, trace: &[String]) -> Route {
    Route {
        targets: Targets::Flow(steps),
        from: None,
        to: None,
        rule: rule.clone(),
        trace: trace.to_vec(),
        ring: None,
        max_call: None,
    }
}

fn urgency(call: &dialplan::TrunkCall) -> Urgency {
    if call.emergency { Urgency::Emergency } else { Urgency::Normal }
}

fn caps_of(user: &User) -> dialplan::Caps {
    dialplan::Caps {
        concurrent: user.max_concurrent,
        per_minute: user.max_per_minute,
        per_hour: user.max_per_hour,
        per_day: user.max_per_day,
    }
}

fn refused(
    cause: Cause,
    rule: Option<String>,
    trace: Vec<String>,
    words: Option<String>,
) -> Routed {
    let dial = Dial {
        to: None,
        caller_id: None,
        caller_name: String::new(),
        urgency: Urgency::Normal,
        dtmf: None,
        codec: None,
        digits: DigitLog::Masked,
        words,
        retry_after: None,
        trace: trace.clone(),
    };
    let refusal = Refusal { cause, sip: None, rule: rule.clone(), trace: trace.clone() };
    Routed {
        decision: Decision::Refuse(refusal),
        rule,
        trace,
        dial: Some(dial),
        counted: None,
        recording: Recording::Off,
    }
}
