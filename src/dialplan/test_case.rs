//! `[[test]]`: what a plan is expected to do, written in the plan and run at every load.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use serde::Serialize;

use super::decision::{Decision, InboundRequest, OutboundRequest, Outcome};
use super::load::Known;
use super::number::Region;
use super::plan::Plan;
use super::schedule::Zone;
use crate::base::document::{Field, Reader, duration};
use crate::base::{Finding, Findings, Place, Severity, TrunkId, UserId, suggestion};

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
    Call { did: String, from: Option<String>, trunk: Option<String>, press: String },
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Outbound,
    Inbound,
}

impl TestResult {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// Each failure as an error at the test's place.
    pub fn findings(&self) -> Vec<Finding> {
        let error = |failure: &String| Finding {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            severity: Severity::Error,
            message: format!("test {:?}: {failure}", self.name),
        };
        self.failures.iter().map(error).collect()
    }
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

/// Reports a name that the configuration does not have.
fn known_name<'a>(
    kind: &str,
    name: &str,
    at: &Place,
    all: impl Iterator<Item = &'a str> + Clone,
    findings: &Findings,
) {
    if !all.clone().any(|known| known == name) {
        findings.error(at, format!("there is no {kind} {name:?}{}", suggestion(name, all)));
    }
}

/// Runs every test of a plan.
pub(super) fn run(plan: &Plan) -> Vec<TestResult> {
    plan.tests.iter().map(|test| one(plan, test)).collect()
}

/// A warning for each rule that no test reaches.
pub(super) fn uncovered(plan: &Plan) -> Vec<Finding> {
    let results = run(plan);
    let reached = |direction: Direction, name: &str| {
        results.iter().any(|r| r.rule.as_ref().is_some_and(|(d, n)| *d == direction && n == name))
    };
    let outbound = plan.outbound.iter().map(|r| (Direction::Outbound, &r.name, &r.at));
    let inbound = plan.inbound.iter().map(|r| (Direction::Inbound, &r.name, &r.at));
    outbound
        .chain(inbound)
        .filter(|(direction, name, _)| !reached(*direction, name))
        .map(|(_, name, at)| Finding {
            file: at.file.to_string(),
            line: at.line,
            column: at.column,
            severity: Severity::Warning,
            message: format!("no test reaches rule {name:?}"),
        })
        .collect()
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
            dial.required("number");
            let from = dial.parsed::<UserId>("from");
            if let (Some(from), Some(users)) = (&from, &known.users) {
                let names = users.keys().map(UserId::as_str);
                known_name("user", from.value.as_str(), &from.at, names, findings);
            }
            // Anything may be dialled, and an empty value is a test worth having.
            let number = dial.item("number").and_then(|item| match &item.value {
                crate::base::document::Value::Text(text) => Some(text.clone()),
                _ => None,
            });
            let country = dial.parsed::<Region>("country").map(|field| field.value);
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
            if let (Some(trunk), Some(trunks)) = (&trunk, &known.trunks) {
                let names = trunks.iter().map(TrunkId::as_str);
                known_name("trunk", trunk.value, &trunk.at, names, findings);
            }
            let trunk = trunk.map(|field| field.value.to_owned());
            let press = call.text("press").map(|f| f.value.to_owned()).unwrap_or_default();
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

/// `at`, a local time of the plan's zone.
fn moment(table: &Reader<'_>, zone: &Zone, findings: &Findings) -> Option<Timestamp> {
    let field = table.text("at")?;
    let moment = local(&field, zone);
    if moment.is_none() {
        let message = format!("`at` = {:?} is no time like \"2026-11-23T10:00\"", field.value);
        findings.error(&field.at, message);
    }
    moment
}

fn local(field: &Field<&str>, zone: &Zone) -> Option<Timestamp> {
    zone.moment(field.value.parse::<DateTime>().ok()?)
}

fn one(plan: &Plan, test: &TestCase) -> TestResult {
    let noon = Date::constant(2026, 1, 7).at(12, 0, 0, 0);
    let at = test.when.or_else(|| plan.zone.moment(noon)).unwrap_or(Timestamp::UNIX_EPOCH);
    let (decision, direction, press) = match &test.ask {
        Ask::Dial { from, number, country, caller_id } => {
            let request = OutboundRequest {
                user: from.clone(),
                country: *country,
                dialled: number.clone(),
                caller_id: caller_id.clone(),
                at,
            };
            (plan.evaluate_outbound(&request), Direction::Outbound, "")
        }
        Ask::Call { did, from, trunk, press } => {
            let trunk = trunk.as_ref().and_then(|name| name.parse().ok());
            let request = InboundRequest { did: did.clone(), from: from.clone(), trunk, at };
            (plan.evaluate_inbound(&request), Direction::Inbound, press.as_str())
        }
    };
    let mut failures = compare(plan, &test.expect, &decision, press);
    if test.when.is_none() && decision.depends_on_time() {
        failures.push("the answer depends on the time: say when with `at`".to_owned());
    }
    let rule = match &decision.matched {
        super::decision::Matched::Rule(name) => Some((direction, name.clone())),
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

fn compare(plan: &Plan, expect: &Expect, decision: &Decision, press: &str) -> Vec<String> {
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
    let walk = flow.map(|flow| plan.walk(flow, press));
    let mut check = |what: &str, expected: &Option<String>, found: Option<String>| {
        if let Some(expected) = expected
            && found.as_ref() != Some(expected)
        {
            let found = found.map_or_else(|| "none".to_owned(), |f| format!("{f:?}"));
            failures.push(format!("expected {what} {expected:?}, found {found}"));
        }
    };
    let join = |list: &Option<Vec<String>>| list.as_ref().map(|list| list.join(", "));
    check("deny", &expect.deny, denied.clone());
    check("rule", &expect.rule, decision.rule().map(str::to_owned));
    check("to", &expect.to, call.map(|call| call.to.as_str().to_owned()));
    let trunks = |call: &super::TrunkCall| {
        call.route.trunks.iter().map(|t| t.as_str()).collect::<Vec<_>>().join(", ")
    };
    check("route", &join(&expect.route), call.map(trunks));
    let identity = call.and_then(|call| call.caller_id.as_ref());
    check("caller_id", &expect.caller_id, identity.map(|i| i.number.as_str().to_owned()));
    let emergency = expect.emergency.map(|yes| yes.to_string());
    check("emergency", &emergency, Some(decision.is_emergency().to_string()));
    check("dtmf", &expect.dtmf, call.and_then(|call| call.dtmf).map(|mode| mode.to_string()));
    let flow = flow.map(|f| f.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    check("flow", &join(&expect.flow), flow);
    let rings = walk
        .as_ref()
        .map(|walk| walk.rings.iter().map(|user| user.as_str()).collect::<Vec<_>>().join(", "));
    check("rings", &join(&expect.rings), rings);
    check("ends_at", &expect.ends_at, walk.map(|walk| walk.ends_at.to_string()));
    if let Some(text) = &expect.max_call {
        let found = call.map(|call| call.max_call);
        if found != duration(text) {
            failures.push(format!("expected max_call {text:?}, found {found:?}"));
        }
    }
    // A test that says where a call goes means that it goes: a refusal is never what it wants.
    let goes = expect.emergency == Some(true) || expect.to.is_some() || expect.ends_at.is_some();
    if goes
        && expect.deny.is_none()
        && let Some(words) = denied
    {
        failures.push(format!("the call was refused: {words}"));
    }
    failures
}
