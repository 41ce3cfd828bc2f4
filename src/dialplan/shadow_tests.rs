//! "Can never match" against brute force: every request of a small world asked of both rules.
//!
//! The world has a witness for everything a rule can leave open: a digit, a region, a type and a
//! caller that no rule names, numbers one digit longer than any pattern has sets.

use jiff::Timestamp;
use proptest::prelude::*;

use super::decision::{Dialled, Facts, Who};
use super::index::Index;
use super::load::{Known, NoFiles, load};
use super::number::{Number, NumberType, Region};
use super::plan::{Action, Choice, OutboundRule, Plan, Route, Spread};
use super::shadow;
use crate::base::{Place, UserId};

fn base() -> Plan {
    let text = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                timezone = \"UTC\"\ncaller_id = \"c\"\n[caller_id.c]\nnumber = \"+4930123456\"\n\
                [group.g]\nusers = [\"a\"]\n[group.h]\nusers = [\"a\", \"b\"]\n\
                [schedule.office]\nopen = [\"mon-fri 08:00-18:00\"]\n\
                [schedule.lunch]\nopen = [\"wed 12:00-13:00\"]\n\
                [schedule.weekend]\nopen = [\"sat,sun 10:00-16:00\"]\n";
    load(text, "p", &Known::default(), &NoFiles).unwrap()
}

fn values() -> Vec<Dialled> {
    let mut tails = vec![String::new()];
    let mut all = Vec::new();
    for _ in 0..3 {
        tails = tails.iter().flat_map(|t| "0189".chars().map(move |c| format!("{t}{c}"))).collect();
        all.extend(tails.clone());
    }
    let regions = ["DE", "US", "001", "FR"].map(|r| r.parse::<Region>().ok());
    let kinds = [
        NumberType::Mobile,
        NumberType::PremiumRate,
        NumberType::SharedCost,
        NumberType::FixedLine,
    ];
    let mut values = Vec::new();
    for tail in all.iter().map(String::as_str).chain([ELSEWHERE]) {
        if tail != ELSEWHERE {
            values.push(Dialled::Short(format!("6{tail}").parse().unwrap()));
        }
        let number = if tail == ELSEWHERE { tail.to_owned() } else { format!("+493012{tail}") };
        for region in regions.into_iter().chain([None]) {
            for kind in kinds {
                let e164 = number.parse().unwrap();
                values.push(Dialled::Number(Number {
                    e164,
                    national: String::new(),
                    region,
                    kind,
                }));
            }
        }
    }
    values
}

/// A number that no pattern of the world speaks of.
const ELSEWHERE: &str = "+4412345678";

fn callers() -> Vec<Who> {
    let user = |name: &str| Who::User(name.parse().unwrap());
    vec![user("a"), user("b"), user("c"), Who::Owner]
}

/// A moment for each way in which the schedules are open together: office, office and lunch, weekend,
/// none.
static MOMENTS: std::sync::LazyLock<[Timestamp; 4]> = std::sync::LazyLock::new(|| {
    ["2026-11-23T09:00:00Z", "2026-11-25T12:30:00Z", "2026-11-28T11:00:00Z", "2026-11-23T23:00:00Z"]
        .map(|at| at.parse().unwrap())
});

fn matches(plan: &Plan, rule: &OutboundRule, value: &Dialled, who: &Who, at: Timestamp) -> bool {
    let mut facts = Facts {
        raw: String::new(),
        country: plan.country,
        value: value.clone(),
        who: who.clone(),
        at,
        timed: false,
    };
    plan.outbound_skip(rule, &mut facts).is_none()
}

fn some_of<T: Clone + std::fmt::Debug + 'static>(
    all: Vec<T>,
) -> impl Strategy<Value = Option<Choice<T>>> {
    let count = all.len();
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Choice::Any)),
        3 => proptest::sample::subsequence(all, 1..=count).prop_map(|l| Some(Choice::OneOf(l))),
    ]
}

fn rule(name: &'static str) -> impl Strategy<Value = OutboundRule> {
    let pattern =
        prop_oneof!["\\+493012([01X]|Z|\\[01\\]){1,2}\\.?", "6([01X]|Z|\\[01\\]){1,2}\\.?",];
    let patterns = proptest::collection::vec(pattern, 1..4);
    let regions = ["DE", "US", "001"].map(|r| r.parse::<Region>().unwrap());
    let kinds = vec![NumberType::Mobile, NumberType::PremiumRate, NumberType::SharedCost];
    let users = ["a", "b"].map(|u| u.parse::<UserId>().unwrap());
    let groups = ["g", "h"].map(str::to_owned);
    (
        proptest::option::of(patterns),
        some_of(regions.into()),
        some_of(kinds),
        some_of(groups.into()),
        some_of(users.into()),
        proptest::option::of(proptest::sample::select(vec!["office", "lunch", "weekend"])),
        any::<bool>(),
    )
        .prop_map(move |(to, region, kind, group, user, when, deny)| {
            let route = Route { trunks: vec!["t".parse().unwrap()], spread: Spread::Ordered };
            let action = if deny {
                Action::Deny("x".to_owned())
            } else {
                let recording = crate::dialplan::Recording::Off;
                Action::Route {
                    route,
                    rates: None,
                    dtmf: None,
                    codec: None,
                    max_call: None,
                    caller_id: None,
                    digits: crate::dialplan::DigitLog::Masked,
                    recording,
                }
            };
            let to = to.map(|list| list.iter().map(|p| p.parse().unwrap()).collect());
            let at = Place { file: "p".into(), line: 1, column: 1 };
            OutboundRule {
                name: name.to_owned(),
                at,
                to,
                region,
                kind,
                group,
                user,
                when: when.map(str::to_owned),
                action,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn can_never_match_is_exact_for_one_rule_against_one(a in rule("a"), b in rule("b")) {
        static PLAN: std::sync::LazyLock<Plan> = std::sync::LazyLock::new(base);
        static WORLD: std::sync::LazyLock<Vec<Dialled>> = std::sync::LazyLock::new(values);
        let plan = &*PLAN;
        let rules = [a, b];
        let index = Index::of_outbound(&rules, &plan.members);
        let found = shadow::outbound(
            &rules,
            &index,
            Some((&plan.groups, &plan.members)),
            &plan.schedules,
            &shadow::Effort::new(),
        );
        let said = found.iter().any(|shadow| shadow.message.starts_with("rule \"b\""));
        let [a, b] = &rules;
        let reached = callers().iter().any(|who| {
            WORLD.iter().any(|value| {
                MOMENTS.iter().any(|at| {
                    matches(plan, b, value, who, *at) && !matches(plan, a, value, who, *at)
                })
            })
        });
        prop_assert_eq!(said, !reached, "{:#?}\n{:#?}", a, b);
    }
}
