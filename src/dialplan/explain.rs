//! The trace of a decision in words. It asks the rules again with the facts that the decision
//! kept, through the same functions, so it cannot tell another story.

use std::fmt::Display;

use super::decision::{Decision, Dialled, Facts, Matched, Outcome, Who};
use super::evaluate::{Skip, shown};
use super::flow;
use super::plan::{Choice, DigitLog, Emergency, Plan, Recording, Spread};

impl Plan {
    /// What was dialled, each rule that was asked and why it did not match, the decision: one line
    /// each, in the order they were asked. Numbers are in the open; mask them before logging.
    pub fn explain(&self, decision: &Decision) -> Vec<String> {
        let facts = &decision.facts;
        let outside = matches!(facts.who, Who::Outside { .. });
        let mut lines = vec![if outside { called(facts) } else { self.dialled(decision) }];
        let winner = match &decision.matched {
            Matched::Rule(name) => Some(name.as_str()),
            Matched::Nothing => None,
            _ => {
                lines.push(conclusion(decision));
                return lines;
            }
        };
        if !matches!(facts.value, Dialled::Unreadable(_)) {
            self.steps(facts, outside, winner, &mut lines);
        }
        lines.push(conclusion(decision));
        lines
    }

    fn steps(&self, facts: &Facts, outside: bool, winner: Option<&str>, lines: &mut Vec<String>) {
        let mut facts = facts.clone();
        let user = match &facts.who {
            Who::User(user) => Some(user.clone()),
            Who::Owner | Who::Outside { .. } => None,
        };
        let region_of_number = match &facts.value {
            Dialled::Number(number) if !outside => number.region,
            _ => None,
        };
        let (index, rules) = match outside {
            true => (&self.inbound_index, self.inbound.len()),
            false => (&self.outbound_index, self.outbound.len()),
        };
        let asked: Vec<usize> = match rules <= TOLD_ONE_BY_ONE {
            true => (0..rules).collect(),
            false if outside => index.inbound(facts.who.caller(), value(&facts)).collect(),
            false => {
                let groups = user.as_ref().map_or(&[][..], |user| self.members.of_user(user));
                index.candidates(user.as_ref(), groups, value(&facts), region_of_number).collect()
            }
        };
        if asked.len() < rules {
            let others = rules - asked.len();
            lines.push(format!("skip  {others} rules: for other numbers, countries or users"));
        }
        let mut step = |name: &str, why: Option<String>| {
            let matched = Some(name) == winner;
            lines.push(match why {
                Some(why) => format!("skip  {name:?}: {why}"),
                None => format!("match {name:?}"),
            });
            matched
        };
        if outside {
            for rule in asked.into_iter().map(|index| &self.inbound[index]) {
                let why = self.inbound_skip(rule, &mut facts).map(|skip| match skip {
                    Skip::Did => match &rule.did {
                        Some(patterns) => format!("{} is not {}", value(&facts), one_of(patterns)),
                        None => "the number called cannot be read".to_owned(),
                    },
                    Skip::From => {
                        let patterns = rule.from.as_deref().unwrap_or_default();
                        format!("the caller is not {}", one_of(patterns))
                    }
                    Skip::Trunk => {
                        format!("came by another trunk than {}", choice(rule.trunk.as_ref()))
                    }
                    _ => self.outside_hours(rule.when.as_deref(), &facts),
                });
                if step(&rule.name, why) {
                    return;
                }
            }
            return;
        }
        for rule in asked.into_iter().map(|index| &self.outbound[index]) {
            let why = self.outbound_skip(rule, &mut facts).map(|skip| match skip {
                Skip::To => mismatch(&facts, rule.to.as_deref().unwrap_or_default()),
                Skip::NoNumber => format!("{} is no complete number", value(&facts)),
                Skip::Type => {
                    format!("type {} not in {}", kind(&facts), types(rule.kind.as_ref()))
                }
                Skip::TypeNotNamed(kind) => {
                    format!("type {} passes only where a rule names it", kind.word())
                }
                Skip::Region => {
                    format!("region {} not in {}", region(&facts), choice(rule.region.as_ref()))
                }
                Skip::WorldNotNamed => "region 001 passes only where a rule names it".to_owned(),
                Skip::Group => {
                    format!("{} is not in {}", who(&facts), choice(rule.group.as_ref()))
                }
                Skip::User => format!("{} is not {}", who(&facts), choice(rule.user.as_ref())),
                _ => self.outside_hours(rule.when.as_deref(), &facts),
            });
            if step(&rule.name, why) {
                return;
            }
        }
    }

    fn dialled(&self, decision: &Decision) -> String {
        let facts = &decision.facts;
        let raw = shown(&facts.raw);
        match (&decision.matched, &facts.value) {
            (Matched::Emergency, _) => match self.emergency {
                Emergency::Provided { .. } => {
                    format!("{raw} is an emergency number in {}", facts.country)
                }
                Emergency::NotProvided => {
                    format!("{raw} is an emergency number; this plan does not provide them")
                }
            },
            (Matched::Extension, _) => format!("{raw} is an extension"),
            (Matched::Feature, _) => format!("{raw} is a feature code"),
            (_, Dialled::Number(number)) => format!(
                "{raw} + country {} -> {} region {} type {}",
                facts.country,
                number.e164.as_str(),
                region(facts),
                number.kind.word()
            ),
            (_, Dialled::Short(digits)) => format!(
                "{raw} + country {} -> {}, no complete number",
                facts.country,
                digits.as_str()
            ),
            // In quotes: what was dialled must not read like a line of ours.
            (_, Dialled::Unreadable(why)) => format!("\"{raw}\": {why}"),
        }
    }

    fn outside_hours(&self, when: Option<&str>, facts: &Facts) -> String {
        let name = when.unwrap_or_default();
        let zone = self.schedules.get(name).map_or(&self.zone, |schedule| &schedule.zone);
        let local = zone.local(facts.at).strftime("%Y-%m-%d %H:%M %A");
        format!("{local} is outside schedule {name:?}")
    }
}

/// In a bigger plan only the rules are told that the index could not leave out.
/// A call's trace goes into its record and its log: ten thousand lines would be no explanation.
const TOLD_ONE_BY_ONE: usize = 200;

fn conclusion(decision: &Decision) -> String {
    let recorded = match decision.recording {
        Recording::On => " recorded",
        Recording::Off => "",
    };
    match &decision.outcome {
        Outcome::Refuse(refusal) => format!("=> deny {:?}", refusal.words),
        Outcome::Flow(flow) => format!("=> {}{recorded}", flow::words(flow)),
        Outcome::Dial(call) => {
            let word = match (call.emergency, call.route.spread) {
                (true, _) => "emergency route",
                (false, Spread::Ordered) => "route",
                (false, Spread::Balanced) => "balance",
            };
            let trunks = list(call.route.trunks.iter().map(|t| t.as_str()));
            let mut text = format!("=> {word} {trunks} to {}", call.to.as_str());
            if let Some(identity) = &call.caller_id {
                text += &format!(" caller_id {}", identity.number.as_str());
            }
            if let Some(dtmf) = call.dtmf {
                text += &format!(" dtmf {dtmf}");
            }
            if let Some(law) = call.codec {
                text += &format!(" codec {}", law.word());
            }
            if call.digits == DigitLog::Named {
                text += " digits in the log";
            }
            text + recorded
        }
    }
}

fn called(facts: &Facts) -> String {
    let raw = shown(&facts.raw);
    let from = match &facts.who {
        Who::Outside { from: Some(from), .. } => format!(" from {}", shown(from)),
        _ => String::new(),
    };
    match &facts.value {
        Dialled::Number(number) => format!("call to {raw} -> {}{from}", number.e164.as_str()),
        Dialled::Short(digits) => format!("call to {raw} -> {}{from}", digits.as_str()),
        Dialled::Unreadable(why) => format!("call to {raw}{from}: {why}"),
    }
}

fn value(facts: &Facts) -> &str {
    match &facts.value {
        Dialled::Number(number) => number.e164.as_str(),
        Dialled::Short(digits) => digits.as_str(),
        Dialled::Unreadable(why) => why,
    }
}

fn region(facts: &Facts) -> String {
    match &facts.value {
        Dialled::Number(number) => {
            number.region.map_or_else(|| "unknown".to_owned(), |region| region.to_string())
        }
        _ => "unknown".to_owned(),
    }
}

fn kind(facts: &Facts) -> &'static str {
    match &facts.value {
        Dialled::Number(number) => number.kind.word(),
        _ => "unknown",
    }
}

fn who(facts: &Facts) -> String {
    match &facts.who {
        Who::User(user) => user.to_string(),
        Who::Owner | Who::Outside { .. } => "the plan's owner".to_owned(),
    }
}

fn mismatch(facts: &Facts, patterns: &[super::Pattern]) -> String {
    let text = value(facts);
    match patterns {
        [pattern] => match pattern.mismatch(text) {
            Some(digit) => format!("{text} does not match {pattern} at digit {digit}"),
            None => format!("{text} is no number of the kind that {pattern} is for"),
        },
        several => format!("{text} does not match {}", one_of(several)),
    }
}

fn one_of(patterns: &[super::Pattern]) -> String {
    match patterns {
        [pattern] => pattern.to_string(),
        several => format!("any of {}", list(several.iter().map(super::Pattern::as_str))),
    }
}

fn types(types: Option<&Choice<super::NumberType>>) -> String {
    match types {
        Some(Choice::OneOf(types)) => list(types.iter().map(|t| t.word())),
        _ => "\"any\"".to_owned(),
    }
}

fn choice<T: Display>(choice: Option<&Choice<T>>) -> String {
    match choice {
        Some(Choice::OneOf(values)) => list(values.iter().map(ToString::to_string)),
        _ => "\"any\"".to_owned(),
    }
}

/// `["a", "b"]`, as it is written in a plan.
pub(super) fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| format!("{:?}", item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}
