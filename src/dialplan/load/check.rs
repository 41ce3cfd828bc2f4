//! What only the whole plan can tell: codes that hide emergency numbers, menus without a way out,
//! rules that can never match.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use crate::base::document::{Field, Reader};
use crate::base::{DialString, Findings, UserId};
use crate::dialplan::decision::{Matched, Outcome};
use crate::dialplan::emergency as numbers;
use crate::dialplan::number::Region;
use crate::dialplan::plan::{Action, Choice, Destination, Emergency, OutboundRule, Plan};
use crate::dialplan::shadow::{self, Effort};

/// Checks a plan in which every name is resolved. Where `groups_are_whole` is false, a mistake has
/// taken members from a group, so nothing is claimed of the rules that ask for one.
pub(super) fn whole(plan: &Plan, groups_are_whole: bool, root: &Reader<'_>, findings: &Findings) {
    codes(plan, findings);
    emergency(plan, root, findings);
    menus(plan, root, findings);
    let effort = Effort::new();
    let outbound = shadow::outbound(
        &plan.outbound,
        &plan.outbound_index,
        groups_are_whole.then_some((&plan.groups, &plan.members)),
        &plan.schedules,
        &effort,
    );
    let inbound = shadow::inbound(&plan.inbound, &plan.inbound_index, &plan.schedules, &effort);
    for shadow in outbound.into_iter().chain(inbound) {
        findings.error(&shadow.at, shadow.message);
    }
    super::unreached::rules(plan, &effort, findings);
    if effort.is_spent() {
        let message = "the search for rules that can never match was cut: the plan has too many \
                       patterns, users and groups that overlap; some such rules may not be told";
        findings.warn(root.at(), message);
    }
    if groups_are_whole {
        identities(plan, findings);
    }
}

/// A `number:` destination goes through the plan's own rules, and these may not let it.
pub(super) fn forwards(plan: &Plan, numbers: &[Field<DialString>], findings: &Findings) {
    let own = plan.caller_ids.values().next().map(|identity| identity.number.clone());
    for number in numbers.iter().take(MOST_FORWARDS) {
        let text = number.value.as_str();
        let decision = plan.evaluate_forward(&number.value, own.as_ref(), Timestamp::UNIX_EPOCH);
        let Outcome::Refuse(refusal) = &decision.outcome else { continue };
        match decision.matched {
            Matched::Emergency | Matched::Extension | Matched::Feature => {
                findings.error(&number.at, format!("number:{}", refusal.words));
            }
            Matched::Rule(_) | Matched::Nothing if !decision.depends_on_time() => {
                let message = format!("number:{text} would be refused: {}", refusal.words);
                findings.warn(&number.at, message);
            }
            Matched::Rule(_) | Matched::Nothing => {}
        }
    }
}

/// Destinations that are tried, so that a plan of nothing else stays cheap.
const MOST_FORWARDS: usize = 1_000;

fn codes(plan: &Plan, findings: &Findings) {
    let users = plan.users.iter().flat_map(|users| users.values().flatten().copied());
    let countries: BTreeSet<Region> = users.chain([plan.country]).collect();
    let listed: HashSet<&str> = plan.emergency.numbers().collect();
    let place =
        |code: &DialString| plan.code_places.get(code).cloned().unwrap_or_else(|| plan.top());
    for code in plan.extensions.keys().chain(plan.features.keys()) {
        let text = code.as_str();
        let hides = listed.contains(text)
            || countries.iter().any(|country| match &plan.emergency {
                Emergency::Provided { .. } => numbers::is_national(text, *country),
                Emergency::NotProvided => numbers::is_expected(text, *country),
            });
        if hides {
            let message = format!("{text} is an emergency number and cannot be a code");
            findings.error(&place(code), message);
        }
    }
    for code in plan.features.keys().filter(|code| plan.extensions.contains_key(*code)) {
        let message = format!("{} is an extension and a feature code", code.as_str());
        findings.error(&place(code), message);
    }
}

fn emergency(plan: &Plan, root: &Reader<'_>, findings: &Findings) {
    let Emergency::Provided { route, .. } = &plan.emergency else { return };
    if route.is_empty() {
        let at = root.item("emergency").map_or_else(|| root.at(), |item| &item.at);
        findings.error(at, "[emergency] has no trunk to go out by");
    }
}

/// A caller who presses nothing takes `on_fail` each time; that way must end somewhere.
fn menus(plan: &Plan, root: &Reader<'_>, findings: &Findings) {
    // Whether the way from a menu ends; a menu that is on the way now is not known yet.
    let mut ends: HashMap<&str, Option<bool>> = HashMap::new();
    for (name, item) in root.entries("menu") {
        let mut way = Vec::new();
        let mut here = name.value.as_str();
        let out = loop {
            match ends.get(here) {
                Some(known) => break known.unwrap_or(false),
                None => {
                    ends.insert(here, None);
                    way.push(here);
                }
            }
            match plan.menus.get(here).map(|menu| &menu.on_fail) {
                Some(Destination::Menu(next)) => here = next,
                _ => break true,
            }
        };
        way.into_iter().for_each(|menu| {
            ends.insert(menu, Some(out));
        });
        if !out {
            let message = format!(
                "[menu.{}] has no way out: a caller who presses nothing stays in menus for ever",
                name.value
            );
            findings.error(&item.at, message);
        }
    }
}

/// Whoever can match a rule that routes and has no identity would be refused at every such call.
fn identities(plan: &Plan, findings: &Findings) {
    if plan.caller_id.is_some() {
        return;
    }
    let has = |user: &UserId| plan.memberships(user).any(|(_, group)| !group.caller_ids.is_empty());
    let known: Vec<&UserId> = plan.users.iter().flat_map(|users| users.keys()).collect();
    let members = plan.groups.iter().flat_map(|(_, group)| &group.users);
    let everybody: BTreeSet<&UserId> = known.into_iter().chain(members).collect();
    let lacking: BTreeSet<&UserId> = everybody.into_iter().filter(|user| !has(user)).collect();
    let by_group: HashMap<&str, Vec<&UserId>> = plan
        .groups
        .iter()
        .map(|(name, group)| {
            let users = group.users.iter().filter(|user| lacking.contains(user));
            (name.as_str(), users.collect())
        })
        .collect();
    let nobody_has = plan.groups.iter().all(|(_, group)| group.caller_ids.is_empty());
    let routes =
        |rule: &&OutboundRule| matches!(&rule.action, Action::Route { caller_id: None, .. });
    for rule in plan.outbound.iter().filter(routes) {
        let (first, others) = match (&rule.user, &rule.group) {
            (Some(Choice::OneOf(users)), group) => {
                let in_group = |user: &&UserId| match group {
                    Some(Choice::OneOf(names)) => plan.members.is_in(user, names),
                    _ => true,
                };
                let mut all = users.iter().filter(in_group).filter(|user| !has(user));
                (all.next(), all.count())
            }
            (_, Some(Choice::OneOf(names))) => {
                let all = || names.iter().filter_map(|name| by_group.get(name.as_str()));
                let count: usize = all().map(Vec::len).sum();
                (all().flatten().next().copied(), count.saturating_sub(1))
            }
            _ if nobody_has && lacking.is_empty() => {
                let message = format!(
                    "rule {:?} refuses every call: nobody has a caller identity; give \
                     [defaults] or a group a `caller_id`, or the rule",
                    rule.name
                );
                findings.warn(&rule.at, message);
                continue;
            }
            _ => (lacking.first().copied(), lacking.len().saturating_sub(1)),
        };
        let Some(first) = first else { continue };
        let others = match others {
            0 => String::new(),
            1 => " and one more".to_owned(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "rule {:?} refuses the calls of {first}{others}, who have no caller identity; give \
             [defaults] or a group a `caller_id`, or the rule",
            rule.name
        );
        findings.warn(&rule.at, message);
    }
}
