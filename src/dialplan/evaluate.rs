//! Evaluation: the emergency table, extensions and feature codes, then the rules in file order.
//!
//! Total: every request gets one decision, whatever was dialled. Nothing here allocates a trace;
//! `explain` asks the same functions again.

use std::fmt;

use jiff::Timestamp;

use super::decision::{
    Decision, Dialled, Facts, InboundRequest, Matched, OutboundRequest, Outcome, Refusal, Target,
    TrunkCall, Who,
};
use super::emergency;
use super::number::{Number, NumberType, Region};
use super::plan::{
    Action, CallerIdentity, Choice, DigitLog, Emergency, InboundAction, InboundRule, OutboundRule,
    Plan, Presentation, Recording, Route, Spread,
};
use crate::base::{Cause, DialString, DialStringError, E164};

impl Plan {
    /// Where a call of one of our users goes.
    pub fn evaluate_outbound(&self, request: &OutboundRequest) -> Decision {
        let own = self.users.as_ref().and_then(|users| users.get(&request.user).copied().flatten());
        let country = request.country.or(own).unwrap_or(self.country);
        let who = Who::User(request.user.clone());
        self.outbound_decision(
            &request.dialled,
            country,
            who,
            request.caller_id.as_deref(),
            request.at,
        )
    }

    /// What a value means that a user of `country` dials (`None`: the plan's country), before any rule
    /// is asked.
    pub fn meant(&self, dialled: &str, country: Option<Region>) -> Meant {
        let country = country.unwrap_or(self.country);
        let Ok(digits) = dialled.parse::<DialString>() else {
            return Meant { value: String::new(), emergency: false };
        };
        let emergency = match &self.emergency {
            Emergency::Provided { .. } => self.is_emergency(&digits, country),
            Emergency::NotProvided => emergency::is_expected(digits.as_str(), country),
        };
        let is_code = self.extensions.contains_key(&digits) || self.features.contains_key(&digits);
        let number = (!emergency && !is_code).then(|| Number::read(&digits, country)).flatten();
        let value = number.map_or(digits.as_str().to_owned(), |n| n.e164.as_str().to_owned());
        Meant { value, emergency }
    }

    /// Whether a plan that provides emergency calls takes this for one. A country without numbers of
    /// its own has those of the plan's country: load requires them. Those that a country is known for
    /// reach help whatever the plan lists.
    pub(super) fn is_emergency(&self, digits: &DialString, country: Region) -> bool {
        let Emergency::Provided { numbers, .. } = &self.emergency else { return false };
        let numbers = numbers.get(&country).or_else(|| numbers.get(&self.country));
        numbers.is_some_and(|numbers| numbers.contains(digits))
            || emergency::is_national(digits.as_str(), country)
    }

    /// Where a `number:` destination of a flow or a menu goes: the outbound rules of the plan's
    /// owner, who is in no group. `presented` is the number shown, usually the one that was called.
    /// Never to help, nor to a code: whoever calls from outside, or answers a webhook, has none.
    pub fn evaluate_forward(
        &self,
        number: &DialString,
        presented: Option<&E164>,
        at: Timestamp,
    ) -> Decision {
        let presented = presented.map(E164::as_str);
        let decision =
            self.outbound_decision(number.as_str(), self.country, Who::Owner, presented, at);
        let text = number.as_str();
        match (&decision.matched, &decision.outcome) {
            (Matched::Emergency, _) => {
                let words = format!(
                    "{text} is an emergency call, and nobody outside calls for help from here"
                );
                refused(decision.facts, Matched::Emergency, Cause::Declined, words)
            }
            (_, Outcome::Flow(flow)) => {
                let to = flow.first().map(ToString::to_string).unwrap_or_default();
                let words = format!("{text} is a code of this plan: write {to:?} itself");
                refused(decision.facts, decision.matched, Cause::Unreachable, words)
            }
            (_, Outcome::Dial(_) | Outcome::Refuse(_)) => decision,
        }
    }

    /// Where a call from a trunk goes.
    pub fn evaluate_inbound(&self, request: &InboundRequest) -> Decision {
        let value = match request.did.parse::<DialString>() {
            Err(error) => Dialled::Unreadable(error.to_string()),
            Ok(digits) => self.called(digits),
        };
        let from = request.from.as_ref().and_then(|from| from.parse::<DialString>().ok());
        let from = from.map(|digits| match self.called(digits) {
            Dialled::Number(number) => number.e164.as_str().to_owned(),
            Dialled::Short(digits) => digits.as_str().to_owned(),
            Dialled::Unreadable(text) => text,
        });
        let facts = Facts {
            raw: request.did.clone(),
            country: self.country,
            value,
            who: Who::Outside { from, trunk: request.trunk.clone() },
            at: request.at,
            timed: false,
        };
        self.inbound_rules(facts)
    }

    fn called(&self, digits: DialString) -> Dialled {
        match Number::read(&digits, self.country) {
            Some(number) => Dialled::Number(number),
            None => Dialled::Short(digits),
        }
    }

    fn outbound_decision(
        &self,
        raw: &str,
        country: Region,
        who: Who,
        wanted: Option<&str>,
        at: Timestamp,
    ) -> Decision {
        let mut facts = Facts {
            raw: raw.to_owned(),
            country,
            value: Dialled::Unreadable(DialStringError::Empty.to_string()),
            who,
            at,
            timed: false,
        };
        let digits = match raw.parse::<DialString>() {
            Ok(digits) => digits,
            Err(error) => {
                facts.value = Dialled::Unreadable(error.to_string());
                return refused(facts, Matched::Nothing, Cause::InvalidNumber, error.to_string());
            }
        };
        facts.value = Dialled::Short(digits.clone());
        if let Some(outcome) = self.emergency_outcome(&digits, country, &facts.who, wanted) {
            return Decision {
                outcome,
                matched: Matched::Emergency,
                recording: Recording::Off,
                facts,
            };
        }
        if let Some(to) = self.extensions.get(&digits) {
            let outcome = Outcome::Flow(vec![to.clone()]);
            return Decision {
                outcome,
                matched: Matched::Extension,
                recording: Recording::Off,
                facts,
            };
        }
        if let Some(to) = self.features.get(&digits) {
            let outcome = Outcome::Flow(vec![to.clone()]);
            return Decision {
                outcome,
                matched: Matched::Feature,
                recording: Recording::Off,
                facts,
            };
        }
        if let Some(number) = Number::read(&digits, country) {
            facts.value = Dialled::Number(number);
        }
        self.outbound_rules(facts, wanted)
    }

    fn emergency_outcome(
        &self,
        digits: &DialString,
        country: Region,
        who: &Who,
        wanted: Option<&str>,
    ) -> Option<Outcome> {
        let (route, shown) = match &self.emergency {
            Emergency::Provided { route, caller_id, .. } => (route, caller_id),
            Emergency::NotProvided => {
                let refusal =
                    Refusal { cause: Cause::BlockedByDialplan, words: NOT_PROVIDED.to_owned() };
                let expected = emergency::is_expected(digits.as_str(), country);
                return expected.then_some(Outcome::Refuse(refusal));
            }
        };
        if !self.is_emergency(digits, country) {
            return None;
        }
        let identity = shown.as_ref().and_then(|name| self.caller_ids.get(name)).cloned();
        let own = || self.identity(who, wanted, None).or_else(|_| self.identity(who, None, None));
        Some(Outcome::Dial(Box::new(TrunkCall {
            to: Target::Short(digits.clone()),
            route: Route { trunks: route.clone(), spread: Spread::Ordered },
            caller_id: identity.or_else(|| own().ok()),
            dtmf: None,
            codec: None,
            digits: DigitLog::Masked,
            max_call: EMERGENCY_MAX_CALL,
            emergency: true,
        })))
    }

    fn outbound_rules(&self, mut facts: Facts, wanted: Option<&str>) -> Decision {
        let (text, region) = match &facts.value {
            Dialled::Number(number) => (number.e164.as_str(), number.region),
            Dialled::Short(digits) => (digits.as_str(), None),
            Dialled::Unreadable(_) => ("", None),
        };
        let user = match &facts.who {
            Who::User(user) => Some(user),
            Who::Owner | Who::Outside { .. } => None,
        };
        let groups = user.map_or(&[][..], |user| self.members.of_user(user));
        for index in self.outbound_index.candidates(user, groups, text, region) {
            let rule = &self.outbound[index];
            if self.outbound_skip(rule, &mut facts).is_some() {
                continue;
            }
            let matched = Matched::Rule(rule.name.clone());
            return match &rule.action {
                Action::Deny(words) => {
                    refused(facts, matched, Cause::BlockedByDialplan, words.clone())
                }
                Action::Route { caller_id, recording, .. } => {
                    match self.identity(&facts.who, wanted, caller_id.as_deref()) {
                        Ok(identity) => {
                            let outcome = self.dial(rule, &facts, identity);
                            Decision { outcome, matched, recording: *recording, facts }
                        }
                        Err(words) => refused(facts, matched, Cause::CallerIdNotAllowed, words),
                    }
                }
            };
        }
        if let Dialled::Short(digits) = &facts.value
            && !self.outbound_index.knows_code(digits.as_str())
        {
            let words = format!("{} is no complete number in {}", digits.as_str(), facts.country);
            return refused(facts, Matched::Nothing, Cause::InvalidNumber, words);
        }
        refused(facts, Matched::Nothing, Cause::BlockedByDialplan, NO_RULE.to_owned())
    }

    fn dial(&self, rule: &OutboundRule, facts: &Facts, caller_id: CallerIdentity) -> Outcome {
        let Action::Route { route, rates, dtmf, codec, max_call, digits, .. } = &rule.action else {
            return Outcome::Refuse(Refusal {
                cause: Cause::Internal,
                words: "a rule without a route".to_owned(),
            });
        };
        let mut route = route.clone();
        let to = match &facts.value {
            Dialled::Number(number) => {
                if let Some(rates) = rates {
                    rates.sort(number.e164.digits(), &mut route.trunks);
                }
                Target::Number(number.clone())
            }
            Dialled::Short(digits) => Target::Short(digits.clone()),
            Dialled::Unreadable(words) => {
                let words = words.clone();
                return Outcome::Refuse(Refusal { cause: Cause::InvalidNumber, words });
            }
        };
        Outcome::Dial(Box::new(TrunkCall {
            to,
            route,
            caller_id: Some(caller_id),
            dtmf: *dtmf,
            codec: *codec,
            digits: *digits,
            max_call: max_call.unwrap_or(self.max_call),
            emergency: false,
        }))
    }

    /// The identity that the far side is shown: the rule's, the one asked for where it is the
    /// caller's own, else the first of the caller's groups, else the plan's.
    fn identity(
        &self,
        who: &Who,
        wanted: Option<&str>,
        of_rule: Option<&str>,
    ) -> Result<CallerIdentity, String> {
        if let Some(identity) = of_rule.and_then(|name| self.caller_ids.get(name)) {
            return Ok(identity.clone());
        }
        let user = match who {
            Who::User(user) => user,
            Who::Owner | Who::Outside { .. } => {
                // A call that is passed on shows the number that was called: it is the plan's own.
                if let Some(number) = wanted.and_then(|w| w.parse::<E164>().ok()) {
                    let present = Presentation::Identity;
                    return Ok(CallerIdentity { number, name: None, present });
                }
                let own = self.caller_id.as_ref().and_then(|name| self.caller_ids.get(name));
                return own.cloned().ok_or_else(|| {
                    "a call that is passed on needs [defaults] caller_id".to_owned()
                });
            }
        };
        let groups = self.memberships(user);
        let names = groups.flat_map(|(_, group)| &group.caller_ids).chain(&self.caller_id);
        let own: Vec<(&String, &CallerIdentity)> =
            names.filter_map(|name| Some((name, self.caller_ids.get(name)?))).collect();
        match wanted {
            None => own
                .first()
                .map(|(_, identity)| (*identity).clone())
                .ok_or_else(|| format!("{user} has no caller identity")),
            Some(wanted) => {
                let number = wanted.parse::<DialString>().ok();
                let number = number.and_then(|digits| Number::read(&digits, self.country));
                own.iter()
                    .find(|(name, identity)| {
                        *name == wanted
                            || number.as_ref().is_some_and(|n| n.e164 == identity.number)
                    })
                    .map(|(_, identity)| (*identity).clone())
                    .ok_or_else(|| format!("{user} may not show {}", shown(wanted)))
            }
        }
    }

    fn inbound_rules(&self, mut facts: Facts) -> Decision {
        if matches!(facts.value, Dialled::Unreadable(_)) {
            let words = "the number called cannot be read".to_owned();
            return refused(facts, Matched::Nothing, Cause::InvalidNumber, words);
        }
        let did = match &facts.value {
            Dialled::Number(number) => number.e164.as_str(),
            Dialled::Short(digits) => digits.as_str(),
            Dialled::Unreadable(_) => "",
        };
        for index in self.inbound_index.inbound(facts.who.caller(), did) {
            let rule = &self.inbound[index];
            if self.inbound_skip(rule, &mut facts).is_some() {
                continue;
            }
            let matched = Matched::Rule(rule.name.clone());
            return match &rule.action {
                InboundAction::Deny(words) => {
                    refused(facts, matched, Cause::BlockedByDialplan, words.clone())
                }
                InboundAction::Flow(flow, recording) => {
                    let outcome = Outcome::Flow(flow.clone());
                    Decision { outcome, matched, recording: *recording, facts }
                }
            };
        }
        refused(facts, Matched::Nothing, Cause::Unallocated, NO_INBOUND_RULE.to_owned())
    }

    /// Why an outbound rule does not match, `None` where it does.
    pub(super) fn outbound_skip(&self, rule: &OutboundRule, facts: &mut Facts) -> Option<Skip> {
        if let Some(patterns) = &rule.to {
            let hit = match &facts.value {
                Dialled::Number(n) => {
                    patterns.iter().any(|p| p.is_international() && p.matches(n.e164.as_str()))
                }
                Dialled::Short(d) => {
                    patterns.iter().any(|p| !p.is_international() && p.matches(d.as_str()))
                }
                Dialled::Unreadable(_) => false,
            };
            if !hit {
                return Some(Skip::To);
            }
        }
        let number = match &facts.value {
            Dialled::Number(number) => Some(number),
            _ if rule.to.is_none() || rule.region.is_some() || rule.kind.is_some() => {
                return Some(Skip::NoNumber);
            }
            _ => None,
        };
        if let Some(number) = number {
            let allows = matches!(rule.action, Action::Route { .. });
            match &rule.kind {
                Some(kinds) if !kinds.allows(&number.kind) => return Some(Skip::Type),
                kinds => {
                    let named = kinds.as_ref().is_some_and(|kinds| kinds.names(&number.kind));
                    if allows && number.kind.must_be_named() && !named {
                        return Some(Skip::TypeNotNamed(number.kind));
                    }
                }
            }
            match &rule.region {
                Some(regions) if !number.region.is_some_and(|r| regions.allows(&r)) => {
                    let any = *regions == Choice::Any;
                    if !any || number.region.is_some() {
                        return Some(Skip::Region);
                    }
                }
                regions => {
                    let named = regions.as_ref().is_some_and(|r| r.names(&Region::WORLD));
                    if allows && number.region == Some(Region::WORLD) && !named {
                        return Some(Skip::WorldNotNamed);
                    }
                }
            }
        }
        let user = match &facts.who {
            Who::User(user) => Some(user),
            Who::Owner | Who::Outside { .. } => None,
        };
        if let Some(Choice::OneOf(groups)) = &rule.group
            && !user.is_some_and(|user| self.members.is_in(user, groups))
        {
            return Some(Skip::Group);
        }
        if let Some(Choice::OneOf(users)) = &rule.user
            && !user.is_some_and(|user| users.contains(user))
        {
            return Some(Skip::User);
        }
        self.closed(rule.when.as_deref(), facts).then_some(Skip::When)
    }

    /// Why an inbound rule does not match, `None` where it does.
    pub(super) fn inbound_skip(&self, rule: &InboundRule, facts: &mut Facts) -> Option<Skip> {
        let did = match &facts.value {
            Dialled::Number(number) => number.e164.as_str(),
            Dialled::Short(digits) => digits.as_str(),
            Dialled::Unreadable(_) => return Some(Skip::Did),
        };
        if rule.did.as_ref().is_some_and(|patterns| !patterns.iter().any(|p| p.matches(did))) {
            return Some(Skip::Did);
        }
        let Who::Outside { from, trunk } = &facts.who else {
            return Some(Skip::From);
        };
        if let Some(patterns) = &rule.from
            && !from.as_ref().is_some_and(|from| patterns.iter().any(|p| p.matches(from)))
        {
            return Some(Skip::From);
        }
        if let (Some(trunks), Some(trunk)) = (&rule.trunk, trunk)
            && !trunks.allows(trunk)
        {
            return Some(Skip::Trunk);
        }
        self.closed(rule.when.as_deref(), facts).then_some(Skip::When)
    }

    fn closed(&self, when: Option<&str>, facts: &mut Facts) -> bool {
        let Some(schedule) = when.and_then(|name| self.schedules.get(name)) else {
            return false;
        };
        facts.timed = true;
        !schedule.is_open(facts.at)
    }
}

/// What a dialled value means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// The number in E.164, or the digits of a code; empty where nothing can be dialled by it.
    pub value: String,
    /// Whether it calls for help.
    pub emergency: bool,
}

/// Why a rule did not match: the first condition that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    To,
    /// The rule speaks of numbers and this is none.
    NoNumber,
    Type,
    TypeNotNamed(NumberType),
    Region,
    WorldNotNamed,
    Group,
    User,
    When,
    Did,
    From,
    Trunk,
}

/// Text from outside for people: no control characters, not longer than a line.
pub(super) struct Shown<'a>(&'a str);

/// See [`Shown`].
pub(super) fn shown(text: &str) -> Shown<'_> {
    Shown(text)
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, c) in self.0.chars().enumerate() {
            if index == 64 {
                return f.write_str("...");
            }
            match c {
                ' '..='~' => write!(f, "{c}")?,
                other => write!(f, "{}", other.escape_unicode())?,
            }
        }
        Ok(())
    }
}

fn refused(facts: Facts, matched: Matched, cause: Cause, words: String) -> Decision {
    let outcome = Outcome::Refuse(Refusal { cause, words });
    Decision { outcome, matched, recording: Recording::Off, facts }
}

pub(super) const NO_RULE: &str = "no rule allows this";
const NO_INBOUND_RULE: &str = "no rule takes this number";
const NOT_PROVIDED: &str =
    "emergency calls are not provided here; use another telephone to reach help";
/// An emergency call is not cut by a plan's limit; a day bounds what a stuck leg can hold.
const EMERGENCY_MAX_CALL: std::time::Duration = std::time::Duration::from_secs(86_400);
