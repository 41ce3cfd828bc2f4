//! What only the whole plan can tell: codes that hide emergency numbers, menus without a way out,
//! rules that can never match.

use crate::base::document::Reader;
use crate::base::{Findings, Place};
use crate::dialplan::plan::{Destination, Emergency, Plan};
use crate::dialplan::shadow::{self, Effort};

use super::tables::hides_emergency;

/// Checks a plan in which every name is resolved. Where `groups_are_whole` is false, a mistake has
/// taken members from a group, so nothing is claimed of the rules that ask for one.
pub(super) fn whole(plan: &Plan, groups_are_whole: bool, root: &Reader<'_>, findings: &Findings) {
    codes(plan, root, findings);
    emergency(plan, root, findings);
    menus(plan, root, findings);
    let effort = Effort::new();
    let outbound = shadow::outbound(
        &plan.outbound,
        &plan.outbound_index,
        groups_are_whole.then_some(&plan.groups),
        &plan.schedules,
        &effort,
    );
    let inbound = shadow::inbound(&plan.inbound, &plan.inbound_index, &plan.schedules, &effort);
    for shadow in outbound.into_iter().chain(inbound) {
        findings.error(&shadow.at, shadow.message);
    }
    if effort.is_spent() {
        let message = "the patterns overlap in too many ways to look for every rule that can never \
                       match; some may not be told";
        findings.warn(root.at(), message);
    }
    identities(plan, root, findings);
}

fn codes(plan: &Plan, root: &Reader<'_>, findings: &Findings) {
    let countries = || {
        let own = plan.users.iter().flat_map(|users| users.values().flatten().copied());
        own.chain([plan.country])
    };
    let features: Vec<(String, Place)> = root
        .tables("feature")
        .iter()
        .filter_map(|table| table.text("code"))
        .map(|field| (field.value.to_owned(), field.at))
        .collect();
    let place = |code: &str| -> Place {
        let entry = root.entries("extension").iter().find(|(key, _)| key.value == code);
        let feature = || features.iter().find(|(key, _)| key == code).map(|(_, at)| at.clone());
        entry.map(|(key, _)| key.at.clone()).or_else(feature).unwrap_or_else(|| root.at().clone())
    };
    for code in plan.extensions.keys().chain(plan.features.keys()) {
        if countries().any(|country| hides_emergency(code.as_str(), &plan.emergency, country)) {
            let message = format!("{} is an emergency number and cannot be a code", code.as_str());
            findings.error(&place(code.as_str()), message);
        }
    }
    for code in plan.features.keys().filter(|code| plan.extensions.contains_key(*code)) {
        let message = format!("{} is an extension and a feature code", code.as_str());
        findings.error(&place(code.as_str()), message);
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
    for (name, item) in root.entries("menu") {
        let mut here = name.value.as_str();
        for _ in 0..=plan.menus.len() {
            match plan.menus.get(here).map(|menu| &menu.on_fail) {
                Some(Destination::Menu(next)) => here = next,
                _ => {
                    here = "";
                    break;
                }
            }
        }
        if !here.is_empty() {
            let message = format!(
                "[menu.{}] has no way out: a caller who presses nothing stays in menus for ever",
                name.value
            );
            findings.error(&item.at, message);
        }
    }
}

/// A user who can match a rule but has no identity would be refused at every call.
fn identities(plan: &Plan, root: &Reader<'_>, findings: &Findings) {
    let routes = |rule: &crate::dialplan::OutboundRule| {
        matches!(&rule.action, crate::dialplan::plan::Action::Route { caller_id: None, .. })
    };
    if plan.caller_id.is_some() || !plan.outbound.iter().any(routes) {
        return;
    }
    for (name, group) in &plan.groups {
        if group.caller_ids.is_empty() {
            let entry = root.entries("group").iter().find(|(key, _)| key.value == *name);
            let at = entry.map_or_else(|| root.at().clone(), |(key, _)| key.at.clone());
            let message = format!(
                "[group.{name}] has no `caller_id`, nor has [defaults]: it cannot call out"
            );
            findings.warn(&at, message);
        }
    }
}
