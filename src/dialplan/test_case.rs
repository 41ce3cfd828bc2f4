//! `[[test]]`: what a plan is expected to do, written in the plan and run at every load.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::decision::{Decision, InboundRequest, Matched, OutboundRequest, Outcome};
use super::explain::list;
use super::flow::Caller;
use super::load::{Known, region};
use super::number::Region;
use super::plan::{Destination, Plan};
use super::schedule::Zone;
use crate::base::document::{Reader, Value, duration};
use crate::base::{Cause, E164, Finding, Findings, Place, TrunkId, UserId};

/// A test of a plan.
#[derive(Debug, Clone)]
pub(super) struct TestCase {
    name: String,
    at: Place,
    ask: Ask,
    when: Option<Timestamp>,
    expect: Expect,
}

#[derive(Debug, Clone)]
enum Ask {
    Dial { from: UserId, number: String, country: Option<Region>, caller_id: Option<String> },
    Call { did: String, from: Option<String>, trunk: Option<String>, press: Option<String> },
}

impl TestCase {
    /// The country that a test dials in, where it says one.
    pub fn country(&self) -> Option<Region> {
        match &self.ask {
            Ask::Dial { country, .. } => *country,
            Ask::Call { .. } => None,
        }
    }
}

/// Only what is written is compared.
#[derive(Debug, Clone, Default)]
struct Expect {
    to: Option<String>,
    rule: Option<String>,
    route: Option<Vec<String>>,
    caller_id: Option<String>,
    emergency: Option<bool>,
    deny: Option<String>,
    dtmf: Option<String>,
    max_call: Option<String>,
    flow: Option<Vec<String>>,
    rings: Option<Vec<String>>,
    ends_at: Option<String>,
}

/// How one test went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestResult {
    /// Its name, or what it asks.
    pub name: String,
    /// The file.
    pub file: String,
    /// Where it is written.
    pub line: u32,
    /// What was not as expected; empty is passed.
    pub failures: Vec<String>,
    /// The trace of the decision.
    pub trace: Vec<String>,
    #[serde(skip)]
    column: u32,
    /// Whether the rule is an inbound one, and its name.
    #[serde(skip)]
    rule: Option<(Direction, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Outbound,
    Inbound,
}

impl TestResult {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Each failure as an error at its test's place.
pub(super) fn failures(results: &[TestResult]) -> Vec<Finding> {
    let findings = Findings::default();
    for result in results {
        let at =
            Place { file: result.file.as_str().into(), line: result.line, column: result.column };
        for failure in &result.failures {
            findings.error(&at, format!("test {:?}: {failure}", result.name));
        }
    }
    findings.into_sorted()
}

/// Reads every `[[test]]`.
pub(super) fn read(
    root: &Reader<'_>,
    zone: &Zone,
    known: &Known,
    findings: &Findings,
) -> Vec<TestCase> {
    root.tables("test").iter().filter_map(|table| case(table, zone, known, findings)).collect()
}

/// Runs every test of a plan.
pub(super) fn run(plan: &Plan) -> Vec<TestResult> {
    plan.tests.iter().map(|test| one(plan, test)).collect()
}

/// A warning for each rule that no test reaches; `results` are those of all tests.
pub(super) fn uncovered(plan: &Plan, results: &[TestResult]) -> Vec<Finding> {
    let reached: HashSet<(Direction, &str)> = results
        .iter()
        .filter_map(|r| r.rule.as_ref())
        .map(|(d, name)| (*d, name.as_str()))
        .collect();
    let outbound = plan.outbound.iter().map(|r| (Direction::Outbound, &r.name, &r.at));
    let inbound = plan.inbound.iter().map(|r| (Direction::Inbound, &r.name, &r.at));
    let findings = Findings::default();
    for (direction, name, at) in outbound.chain(inbound) {
        if !reached.contains(&(direction, name.as_str())) {
            findings.warn(at, format!("no test reaches rule {name:?}"));
        }
    }
    findings.into_sorted()
}

/// How many rules the tests reach, and how many there are.
pub(super) fn coverage(plan: &Plan, results: &[TestResult]) -> (usize, usize) {
    let reached: HashSet<_> = results.iter().filter_map(|result| result.rule.as_ref()).collect();
    (reached.len(), plan.outbound.len() + plan.inbound.len())
}

fn case(table: &Reader<'_>, zone: &Zone, known: &Known, findings: &Findings) -> Option<TestCase> {
    let name = table.text("name").map(|field| field.value.to_owned());
    let (dial, call) = (table.table("dial"), table.table("call"));
    let expect = table.table("expect").map(|expect| expectations(&expect));
    if expect.is_none() && !table.has("expect") {
        findings.error(table.at(), "a test needs `expect`");
    }
    let (ask, when) = match (dial, call) {
        (Some(dial), None) => {
            dial.required("from");
            if !dial.has("number") {
                findings.error(dial.at(), format!("{} needs `number`", dial.name()));
            }
            let from = dial.parsed::<UserId>("from");
            if let (Some(from), Some(users)) = (&from, &known.users)
                && !users.contains_key(&from.value)
            {
                let near = findings.suggest(from.value.as_str(), users.keys().map(UserId::as_str));
                findings
                    .error(&from.at, format!("there is no user {:?}{near}", from.value.as_str()));
            }
            let number = dial.text("number").map(|field| field.value.to_owned());
            let country = dial.text("country");
            let country = country.and_then(|field| region(field, "country", findings));
            let country = country.map(|field| field.value);
            let caller_id = dial.text("caller_id").map(|field| field.value.to_owned());
            let when = moment(&dial, zone, findings);
            dial.finish();
            let (from, number) = (from?.value, number?);
            (Ask::Dial { from, number, country, caller_id }, when)
        }
        (None, Some(call)) => {
            let did = call.required("did").map(|field| field.value.to_owned());
            let from = call.text("from").map(|field| field.value.to_owned());
            let trunk = call.text("trunk");
            if let (Some(trunk), Some(trunks)) = (&trunk, &known.trunks)
                && !trunks.iter().any(|known| known.as_str() == trunk.value)
            {
                let near = findings.suggest(trunk.value, trunks.iter().map(TrunkId::as_str));
                findings.error(&trunk.at, format!("there is no trunk {:?}{near}", trunk.value));
            }
            let trunk = trunk.map(|field| field.value.to_owned());
            let press = keys(&call, findings);
            let when = moment(&call, zone, findings);
            call.finish();
            (Ask::Call { did: did?, from, trunk, press }, when)
        }
        _ => {
            findings.error(table.at(), "a test has either `dial` or `call`");
            return None;
        }
    };
    table.finish();
    let name = name.unwrap_or_else(|| match &ask {
        Ask::Dial { from, number, .. } => format!("{from} dials {number}"),
        Ask::Call { did, .. } => format!("call to {did}"),
    });
    Some(TestCase { name, at: table.at().clone(), ask, when, expect: expect? })
}

fn expectations(table: &Reader<'_>) -> Expect {
    let text = |key| table.text(key).map(|field| field.value.to_owned());
    let list = |key| {
        let list = table.texts(key)?;
        Some(list.into_iter().map(|field| field.value.to_owned()).collect())
    };
    let expect = Expect {
        to: text("to"),
        rule: text("rule"),
        route: list("route"),
        caller_id: text("caller_id"),
        emergency: table.boolean("emergency").map(|field| field.value),
        deny: text("deny"),
        dtmf: text("dtmf"),
        max_call: table.duration("max_call").and_then(|_| text("max_call")),
        flow: list("flow"),
        rings: list("rings"),
        ends_at: text("ends_at"),
    };
    if table.keys().count() == 0 {
        table.findings().error(table.at(), "`expect` expects nothing");
    }
    table.finish();
    expect
}

/// `press`: keys, or `""` for somebody who presses nothing.
fn keys(call: &Reader<'_>, findings: &Findings) -> Option<String> {
    let item = call.item("press")?;
    match &item.value {
        Value::Text(keys) if keys.chars().all(|key| "0123456789*#ABCD".contains(key)) => {
            Some(keys.clone())
        }
        Value::Text(keys) => {
            let message = format!("`press` = {keys:?} is not keys of 0-9, *, #, A-D");
            findings.error(&item.at, message);
            None
        }
        _ => {
            findings.error(&item.at, "`press` is a string of keys: press = \"12\"");
            None
        }
    }
}

/// `at`, as `explain --at` reads it.
fn moment(table: &Reader<'_>, zone: &Zone, findings: &Findings) -> Option<Timestamp> {
    let field = table.text("at")?;
    let moment = zone.read(field.value);
    if moment.is_none() {
        let message = format!(
            "`at` = {:?} is no time like \"2026-11-23T10:00\" (of the plan's zone) or \
             \"2026-11-23T10:00:00+01:00\"",
            field.value
        );
        findings.error(&field.at, message);
    }
    moment
}

fn one(plan: &Plan, test: &TestCase) -> TestResult {
    let noon = Date::constant(2026, 1, 7).at(12, 0, 0, 0);
    let at = test.when.or_else(|| plan.zone.moment(noon)).unwrap_or(Timestamp::UNIX_EPOCH);
    let (decision, direction, caller) = match &test.ask {
        Ask::Dial { from, number, country, caller_id } => {
            let request = OutboundRequest {
                user: from.clone(),
                country: *country,
                dialled: number.clone(),
                caller_id: caller_id.clone(),
                at,
            };
            (plan.evaluate_outbound(&request), Direction::Outbound, Caller::Waits)
        }
        Ask::Call { did, from, trunk, press } => {
            let trunk = trunk.as_ref().and_then(|name| name.parse().ok());
            let request = InboundRequest { did: did.clone(), from: from.clone(), trunk, at };
            let caller = match press.as_deref() {
                None => Caller::Waits,
                Some("") => Caller::IsSilent,
                Some(keys) => Caller::Presses(keys),
            };
            (plan.evaluate_inbound(&request), Direction::Inbound, caller)
        }
    };
    let mut failures = compare(plan, &test.expect, &decision, caller);
    if test.when.is_none() && decision.depends_on_time() {
        failures.push("the answer depends on the time: say when with `at`".to_owned());
    }
    let rule = match &decision.matched {
        Matched::Rule(name) => Some((direction, name.clone())),
        _ => None,
    };
    TestResult {
        name: test.name.clone(),
        file: test.at.file.to_string(),
        line: test.at.line,
        column: test.at.column,
        failures,
        trace: plan.explain(&decision),
        rule,
    }
}

fn compare(plan: &Plan, expect: &Expect, decision: &Decision, caller: Caller<'_>) -> Vec<String> {
    let mut failures = Vec::new();
    let call = match &decision.outcome {
        Outcome::Dial(call) => Some(call.as_ref()),
        _ => None,
    };
    let flow = match &decision.outcome {
        Outcome::Flow(flow) => Some(flow),
        _ => None,
    };
    let denied = match &decision.outcome {
        Outcome::Refuse(refusal) => Some(refusal.words.clone()),
        _ => None,
    };
    let walk = flow.map(|flow| plan.walk(flow, caller));
    let ends_at = walk.as_ref().map(|walk| walk.ends_at.clone());
    let mut check = |what: &str, expected: &Option<String>, found: Option<String>| {
        if let Some(expected) = expected
            && found.as_ref() != Some(expected)
        {
            let found = found.map_or_else(|| "none".to_owned(), |f| format!("{f:?}"));
            failures.push(format!("expected {what} {expected:?}, found {found}"));
        }
    };
    check("deny", &expect.deny, denied.clone());
    check("rule", &expect.rule, decision.rule().map(str::to_owned));
    check("to", &expect.to, call.map(|call| call.to.as_str().to_owned()));
    let identity = call.and_then(|call| call.caller_id.as_ref());
    check("caller_id", &expect.caller_id, identity.map(|i| i.number.as_str().to_owned()));
    let emergency = expect.emergency.map(|yes| yes.to_string());
    check("emergency", &emergency, Some(decision.is_emergency().to_string()));
    check("dtmf", &expect.dtmf, call.and_then(|call| call.dtmf).map(|mode| mode.to_string()));
    check("ends_at", &expect.ends_at, ends_at.as_ref().map(ToString::to_string));
    let mut check = |what: &str, expected: &Option<Vec<String>>, found: Option<Vec<String>>| {
        if let Some(expected) = expected
            && found.as_ref() != Some(expected)
        {
            let found = found.map_or_else(|| "none".to_owned(), list);
            failures.push(format!("expected {what} {}, found {found}", list(expected)));
        }
    };
    let trunks = call.map(|call| call.route.trunks.iter().map(ToString::to_string).collect());
    check("route", &expect.route, trunks);
    check("flow", &expect.flow, flow.map(|flow| flow.iter().map(ToString::to_string).collect()));
    let rings = walk.map(|walk| walk.rings.iter().map(ToString::to_string).collect());
    check("rings", &expect.rings, rings);
    if let Some(text) = &expect.max_call {
        let found = call.map(|call| call.max_call);
        if found != duration(text) {
            failures.push(format!("expected max_call {text:?}, found {found:?}"));
        }
    }
    // A test that says where a call goes means that it goes: a refusal is never what it wants, unless
    // it says so or the rule that it names is there to refuse.
    let denies = match (&decision.matched, &decision.outcome) {
        (Matched::Rule(_), Outcome::Refuse(refusal)) => refusal.cause == Cause::BlockedByDialplan,
        _ => false,
    };
    let goes = expect.emergency == Some(true)
        || expect.to.is_some()
        || expect.ends_at.is_some()
        || (expect.rule.is_some() && expect.rule.as_deref() == decision.rule() && !denies);
    if goes
        && expect.deny.is_none()
        && let Some(words) = denied
    {
        failures.push(format!("the call was refused: {words}"));
    }
    if let (Some(_), Some(Destination::Number(number))) = (&expect.ends_at, ends_at) {
        let called: Option<E164> = decision.number().map(|number| number.e164.clone());
        let onward = plan.evaluate_forward(&number, called.as_ref(), decision.facts.at);
        if let Outcome::Refuse(refusal) = onward.outcome {
            let number = number.as_str();
            failures.push(format!("the call to {number} was refused: {}", refusal.words));
        }
    }
    failures
}
