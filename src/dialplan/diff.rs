//! `crosspoint dialplan diff OLD NEW --cdrs FILE`: real calls asked of two plans.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::decision::{Decision, InboundRequest, OutboundRequest, Outcome};
use super::plan::Plan;
use super::report::{Format, Report};
use crate::base::{Party, TrunkId, UserId};

/// A call of the past, as the plan was asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PastCall {
    /// A user's call.
    Outbound {
        /// Who called.
        user: UserId,
        /// What was dialled.
        dialled: String,
        /// When it started.
        started_at: Timestamp,
    },
    /// A call from a trunk.
    Inbound {
        /// What was called.
        did: String,
        /// Who called, where known.
        from: Option<String>,
        /// The trunk it came by, where known.
        trunk: Option<TrunkId>,
        /// When it started.
        started_at: Timestamp,
    },
}

/// One line of `GET /v1/cdrs` as NDJSON, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Line {
    direction: String,
    from: Party,
    to: Party,
    #[serde(default)]
    trunk: Option<TrunkId>,
    started_at: Timestamp,
}

impl PastCall {
    /// `None` where no user and no number called decided: a menu or a flow sent the call on.
    fn of(line: Line) -> Result<Option<PastCall>, &'static str> {
        let Line { direction, from, to, trunk, started_at } = line;
        match (direction.as_str(), from.user.clone()) {
            // What a user dials may stay inside.
            ("outbound" | "internal", Some(user)) => {
                Ok(Some(PastCall::Outbound { user, dialled: address(&to), started_at }))
            }
            ("outbound" | "internal" | "transit", None) => Ok(None),
            ("inbound", _) => {
                let from = Some(address(&from)).filter(|from| !from.is_empty());
                Ok(Some(PastCall::Inbound { did: address(&to), from, trunk, started_at }))
            }
            _ => Err("direction is none of outbound, inbound, internal and transit"),
        }
    }
}

/// The number, else the user part of the URI, else what was dialled.
fn address(party: &Party) -> String {
    match &party.number {
        Some(number) => number.as_str().to_owned(),
        None => party.user_part().to_owned(),
    }
}

/// A call that would now go elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its line in the file of records, from 1.
    pub line: usize,
    /// Who called what.
    pub call: String,
    /// What the old plan does.
    pub old: String,
    /// What the new plan does.
    pub new: String,
}

/// Replays records (one JSON object a line) and lists those that would now go elsewhere.
/// Exit 0 where all stay, 1 where some change, 2 where a line is no record.
pub fn diff(old: &Plan, new: &Plan, records: &str, format: Format) -> Report {
    let (mut changes, mut unreadable) = (Vec::new(), Vec::new());
    let (mut calls, mut onward) = (0, 0);
    for (index, text) in records.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = index + 1;
        let read = serde_json::from_str::<Line>(text).map_err(|error| error.to_string());
        match read.and_then(|read| PastCall::of(read).map_err(str::to_owned)) {
            Err(error) => unreadable.push(format!("line {line}: no record: {error}")),
            Ok(None) => onward += 1,
            Ok(Some(call)) => {
                calls += 1;
                let (before, after) = (answer(old, &call), answer(new, &call));
                if before != after {
                    let call = name(&call);
                    changes.push(Change { line, call, old: before, new: after });
                }
            }
        }
    }
    let exit = match (unreadable.is_empty(), changes.is_empty()) {
        (false, _) => 2,
        (true, false) => 1,
        (true, true) => 0,
    };
    let text = match format {
        Format::Json => {
            let value = json!({
                "calls": calls, "onward": onward, "changed": changes, "unreadable": unreadable,
            });
            format!("{value:#}\n")
        }
        Format::Text | Format::Junit => {
            let mut text: String = unreadable.iter().map(|line| format!("{line}\n")).collect();
            for change in &changes {
                text += &format!(
                    "line {}: {}\n  - {}\n  + {}\n",
                    change.line, change.call, change.old, change.new
                );
            }
            if onward > 0 {
                text += &format!(
                    "{onward} calls left out: a menu or a flow sent them on, and its own call is there\n"
                );
            }
            text + &format!("{calls} calls, {} would go elsewhere\n", changes.len())
        }
    };
    Report { text, exit }
}

fn answer(plan: &Plan, call: &PastCall) -> String {
    let decision = match call.clone() {
        PastCall::Outbound { user, dialled, started_at } => {
            plan.evaluate_outbound(&OutboundRequest {
                user,
                country: None,
                dialled,
                caller_id: None,
                at: started_at,
            })
        }
        PastCall::Inbound { did, from, trunk, started_at } => {
            plan.evaluate_inbound(&InboundRequest { did, from, trunk, at: started_at })
        }
    };
    // Where it goes, not which rule sends it there: renaming a rule moves no call.
    where_to(plan, &decision)
}

fn where_to(plan: &Plan, decision: &Decision) -> String {
    let line = plan.explain(decision).pop().unwrap_or_default();
    match &decision.outcome {
        Outcome::Refuse(_) => "refused".to_owned(),
        _ => line.trim_start_matches("=> ").to_owned(),
    }
}

fn name(call: &PastCall) -> String {
    match call {
        PastCall::Outbound { user, dialled, .. } => format!("{user} dials {dialled}"),
        PastCall::Inbound { did, from: Some(from), .. } => format!("call to {did} from {from}"),
        PastCall::Inbound { did, .. } => format!("call to {did}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::{Known, NoFiles, load};

    #[test]
    fn only_calls_that_go_elsewhere_are_listed() {
        let text = include_str!("../../dialplans/europe.toml");
        let plan = |text: &str| load(text, "p", &Known::default(), &NoFiles).unwrap();
        let old = plan(text);
        let new = text
            .replace("name   = \"neighbours\"", "name   = \"others\"")
            .replace("rule = \"neighbours\"", "rule = \"others\"")
            .replace("flow = [\"user:anna\"]", "flow = [\"ring:london\"]")
            .replace("rings = [\"anna\"]", "rings = [\"charlie\", \"benoit\"]");
        let new = plan(&new);
        // As `GET /v1/cdrs` exports them.
        let records = concat!(
            r#"{"id":"x","direction":"outbound","from":{"user":"anna","number":"+493023125100","uri":"tel:+493023125100"},"to":{"number":"+4312345678","uri":"+4312345678"},"trunk":"west","rule":"neighbours","started_at":"2026-01-01T10:00:00Z"}"#,
            "\n",
            r#"{"id":"y","direction":"outbound","from":{"user":"anna","uri":"user:anna"},"to":{"uri":"112"},"trunk":null,"started_at":"2026-01-01T10:00:00Z"}"#,
            "\n",
            r#"{"id":"z","direction":"inbound","from":{"uri":"sip:anonymous@192.0.2.1"},"to":{"uri":"sip:+493023125100@192.0.2.2:5060"},"trunk":"west","started_at":"2026-01-01T10:00:00Z"}"#,
            "\n",
        );
        let report = diff(&old, &new, records, Format::Text);
        assert_eq!(
            report.text,
            "line 3: call to +493023125100 from anonymous\n  - user:anna\n  + ring:london\n\
             3 calls, 1 would go elsewhere\n"
        );
        assert_eq!(report.exit, 1);
        assert_eq!(diff(&old, &old, records, Format::Json).exit, 0);
        assert_eq!(diff(&old, &old, "nonsense\n", Format::Text).exit, 2);
    }
}
