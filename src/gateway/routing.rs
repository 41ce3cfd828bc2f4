//! From the dial plan's decision to the call's: which targets, under whose number, in which words.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Inner;
use super::trunks::Trunk;
use crate::base::{Cause, DtmfMode, Party, SessionId, UserId};
use crate::call::{Call, Decision, Refusal, Route, Target, Targets};
use crate::dialplan::{
    self, CallerIdentity, Destination, InboundRequest, OutboundRequest, Outcome, Plan,
};
use crate::trunk::Urgency;

/// A call's route with everything around it.
pub(super) struct Routed {
    pub decision: Decision,
    pub rule: Option<String>,
    /// The plan's explanation, one line a rule.
    pub trace: Vec<String>,
    pub dial: Option<Dial>,
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
    /// Why not, in the plan's words; for a user of this gateway.
    pub words: Option<String>,
    /// When it may be tried again, where that is known.
    pub retry_after: Option<Duration>,
    pub trace: Vec<String>,
}

/// The route of a call that a page starts.
pub(super) fn from_page(gateway: &Arc<Inner>, session: SessionId, call: &Call) -> Routed {
    let record = call.record();
    let Some(live) = gateway.registry.page(session) else {
        return refused(Cause::Cancelled, None, Vec::new(), None);
    };
    let user = live.claims.sub;
    let plan = gateway.plan.load();
    let request = OutboundRequest {
        country: gateway.users.get(&user).and_then(|user| user.country),
        user: user.clone(),
        dialled: record.to.uri.clone(),
        caller_id: record.from.number.as_ref().map(|n| n.as_str().to_owned()),
        at: Timestamp::now(),
    };
    let decision = plan.evaluate_outbound(&request);
    let mut trace = plan.explain(&decision);
    // Emergency calls pass every cap; what the plan refuses counts against none.
    if matches!(decision.outcome, Outcome::Dial(_))
        && !decision.is_emergency()
        && let Err(reached) = gateway.limits.admit_user(&user, &gateway.registry)
    {
        trace.push(format!("cap: {}", reached.words));
        let mut routed = refused(Cause::LimitReached, None, trace, Some(reached.words));
        if let Some(dial) = &mut routed.dial {
            dial.retry_after = reached.free_in;
        }
        return routed;
    }
    routed(gateway, &plan, &decision, trace, Caller::User(&user))
}

/// The route of a call that a trunk brings.
pub(super) fn from_trunk(gateway: &Arc<Inner>, trunk: &Trunk, call: &Call) -> Routed {
    let record = call.record();
    let text = |party: &Party| {
        party
            .number
            .as_ref()
            .map_or_else(|| user_part(&party.uri).to_owned(), |number| number.as_str().to_owned())
    };
    let plan = gateway.plan.load();
    let request = InboundRequest {
        did: text(&record.to),
        from: Some(text(&record.from)).filter(|from| !from.is_empty()),
        trunk: Some(trunk.definition.id.clone()),
        at: Timestamp::now(),
    };
    let decision = plan.evaluate_inbound(&request);
    let trace = plan.explain(&decision);
    routed(gateway, &plan, &decision, trace, Caller::Outside)
}

enum Caller<'a> {
    User(&'a UserId),
    Outside,
}

fn routed(
    gateway: &Arc<Inner>,
    plan: &Plan,
    decision: &dialplan::Decision,
    mut trace: Vec<String>,
    caller: Caller<'_>,
) -> Routed {
    let rule = decision.rule().map(str::to_owned);
    match &decision.outcome {
        Outcome::Dial(call) => {
            let urgency = match call.emergency {
                true => Urgency::Emergency,
                false => Urgency::Normal,
            };
            let (trunks, passed_over) = gateway.trunks.order(&call.route, urgency);
            trace.extend(passed_over);
            let (user, name) = match caller {
                Caller::User(user) => (Some(user.clone()), user.as_str()),
                Caller::Outside => (None, "anonymous"),
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
                ring: None,
                max_call: Some(call.max_call),
            };
            let dial = Dial {
                to: Some(call.to.clone()),
                caller_id: call.caller_id.clone(),
                caller_name: name.to_owned(),
                urgency,
                dtmf: call.dtmf,
                words: None,
                retry_after: None,
                trace: trace.clone(),
            };
            Routed { decision: Decision::Connect(Box::new(route)), rule, trace, dial: Some(dial) }
        }
        Outcome::Flow(flow) => match caller {
            Caller::Outside => to_pages(gateway, plan, flow, rule, trace),
            Caller::User(_) => {
                let words = "calls from one page to another are not built yet".to_owned();
                refused(Cause::Unreachable, rule, trace, Some(words))
            }
        },
        Outcome::Refuse(refusal) => {
            refused(refusal.cause, rule, trace, Some(refusal.words.clone()))
        }
    }
}

/// The first destination of a flow that pages can be.
fn to_pages(
    gateway: &Arc<Inner>,
    plan: &Plan,
    flow: &[Destination],
    rule: Option<String>,
    trace: Vec<String>,
) -> Routed {
    for destination in flow {
        let (users, timeout) = match destination {
            Destination::User(user) => (vec![user.clone()], None),
            Destination::Ring(name) => match plan.ring(name) {
                Some(ring) => (ring.users.clone(), Some(ring.timeout)),
                None => continue,
            },
            other => {
                tracing::warn!(destination = %other, "not built yet, passed over");
                continue;
            }
        };
        let targets: Vec<Target> = users
            .iter()
            .flat_map(|user| {
                let pages = gateway.registry.pages_of(user);
                pages.into_iter().map(|session| Target::Page { user: user.clone(), session })
            })
            .take(MAX_RINGING)
            .collect();
        if targets.is_empty() {
            continue;
        }
        let route = Route {
            targets: Targets::Ring(targets),
            from: None,
            to: None,
            rule: rule.clone(),
            ring: timeout,
            max_call: None,
        };
        let decision = Decision::Connect(Box::new(route));
        return Routed { decision, rule, trace, dial: None };
    }
    refused(Cause::Unreachable, rule, trace, None)
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
        words,
        retry_after: None,
        trace: trace.clone(),
    };
    let decision = Decision::Refuse(Refusal { cause, sip: None, rule: rule.clone() });
    Routed { decision, rule, trace, dial: Some(dial) }
}

/// The user part of a `sip:` or `tel:` URI.
fn user_part(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split(['@', ';', '?']).next().unwrap_or_default()
}

/// Pages that ring at once: each holds a peer connection of its own.
const MAX_RINGING: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_part_is_what_was_called() {
        for (uri, user) in [
            ("sip:+4930123@192.0.2.1;user=phone", "+4930123"),
            ("tel:+4930123;phone-context=x", "+4930123"),
            ("sip:600@127.0.0.1:5060", "600"),
            ("", ""),
        ] {
            assert_eq!(user_part(uri), user, "{uri}");
        }
    }
}
