//! What every plan keeps, whatever is asked of it: one decision, a trace that agrees, emergency
//! always reached, nothing by default.

use jiff::Timestamp;
use proptest::prelude::*;

use super::load::{Known, NoFiles, load};
use super::plan::Plan;
use super::{Decision, Files, InboundRequest, OutboundRequest, Outcome};
use crate::base::Cause;

struct Rates;

impl Files for Rates {
    fn read(&self, _name: &str) -> Result<String, String> {
        Ok(include_str!("../../dialplans/rates.csv").to_owned())
    }

    fn exists(&self, _name: &str) -> Option<bool> {
        Some(true)
    }
}

fn office() -> Plan {
    load(include_str!("../../dialplans/office.toml"), "office.toml", &Known::default(), &Rates)
        .unwrap()
}

fn dial(plan: &Plan, user: &str, dialled: &str, at: &str) -> Decision {
    plan.evaluate_outbound(&OutboundRequest {
        user: user.parse().unwrap(),
        country: None,
        dialled: dialled.to_owned(),
        caller_id: None,
        at: at.parse().unwrap(),
    })
}

#[test]
fn explain_prints_the_trace_of_the_specification() {
    let plan = office();
    let decision = dial(&plan, "dave", "+1 876 555 1234", "2026-11-22T09:00:00Z");
    let expected = r#"+1 876 555 1234 + country DE -> +18765551234 region JM type mobile
skip  "no premium or shared-cost": type mobile not in ["premium-rate", "shared-cost"]
skip  "satellite and other world codes": region JM not in ["001"]
skip  "one customer's short range": +18765551234 does not match +49301234XX at digit 1
skip  "national": region JM not in ["DE"]
skip  "neighbours, cheapest first": region JM not in ["AT", "CH", "FR", "GB", "NL", "PL"]
skip  "sales may call the US in office hours": region JM not in ["US", "CA"]
=> deny "no rule allows this""#;
    assert_eq!(plan.explain(&decision).join("\n"), expected);
}

#[test]
fn the_trace_ends_with_the_rule_that_matched() {
    let plan = office();
    let at = "2026-11-22T09:00:00Z";
    let lines = |user: &str, dialled: &str| plan.explain(&dial(&plan, user, dialled, at));
    assert_eq!(
        lines("alice", "030 1234567")[4..],
        [
            "match \"national\"",
            "=> route [\"north\", \"south\"] to +49301234567 caller_id +493012345670"
        ]
    );
    assert_eq!(
        lines("alice", "112"),
        [
            "112 is an emergency number in DE",
            "=> emergency route [\"north\", \"south\"] to 112 caller_id +493012345670"
        ]
    );
    assert_eq!(lines("alice", "600"), ["600 is an extension", "=> app:echo"]);
    assert_eq!(
        lines("dave", "+1 202 555 0100")[6],
        "skip  \"sales may call the US in office hours\": 2026-11-22 10:00 Sunday is outside \
         schedule \"office\""
    );
    assert_eq!(
        lines("alice", "100&SIP/x"),
        [
            "\"100&SIP/x\": '&' cannot be dialled (only 0-9, A-D, *, # and +)",
            "=> deny \"'&' cannot be dialled (only 0-9, A-D, *, # and +)\""
        ]
    );
    // What was dialled cannot be taken for the decision.
    let spoof = lines("alice", "=> route [\"north\"]");
    assert_eq!(spoof.iter().filter(|line| line.starts_with("=> ")).count(), 1, "{spoof:?}");
}

#[test]
fn refusals_carry_their_cause() {
    let plan = office();
    for (user, dialled, cause) in [
        ("alice", "", Cause::InvalidNumber),
        ("alice", "+1@evil", Cause::InvalidNumber),
        ("alice", "12", Cause::InvalidNumber),
        ("alice", "0180 3 123456", Cause::BlockedByDialplan),
        ("alice", "+1 876 555 1234", Cause::BlockedByDialplan),
        ("nobody", "030 1234567", Cause::CallerIdNotAllowed),
    ] {
        let decision = dial(&plan, user, dialled, "2026-11-22T09:00:00Z");
        let Outcome::Refuse(refusal) = &decision.outcome else { panic!("{dialled}") };
        assert_eq!(refusal.cause, cause, "{user} {dialled}: {}", refusal.words);
    }
    let unknown = plan.evaluate_inbound(&InboundRequest {
        did: "+493099999999".to_owned(),
        from: None,
        trunk: None,
        at: Timestamp::UNIX_EPOCH,
    });
    let Outcome::Refuse(refusal) = &unknown.outcome else { panic!() };
    assert_eq!(refusal.cause.sip().status, 404);
}

#[test]
fn what_costs_extra_passes_only_where_a_rule_names_it() {
    let text = "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
                timezone = \"UTC\"\ncaller_id = \"c\"\n[caller_id.c]\nnumber = \"+4930123456\"\n\
                [[outbound]]\nname = \"all\"\nregion = \"any\"\nroute = \"t\"\n";
    let plan = load(text, "p", &Known::default(), &NoFiles).unwrap();
    for (dialled, why) in [
        ("0180 3 123456", "type shared-cost passes only where a rule names it"),
        ("+979 1 2345 6789", "type premium-rate passes only where a rule names it"),
        ("+882 13 300655", "region 001 passes only where a rule names it"),
    ] {
        let decision = dial(&plan, "alice", dialled, "2026-11-22T09:00:00Z");
        assert!(matches!(decision.outcome, Outcome::Refuse(_)), "{dialled}");
        assert_eq!(plan.explain(&decision)[1], format!("skip  \"all\": {why}"));
    }
    let decision = dial(&plan, "alice", "030 1234567", "2026-11-22T09:00:00Z");
    assert!(matches!(decision.outcome, Outcome::Dial(_)));
}

#[test]
fn a_menus_number_goes_through_the_owners_rules() {
    let plan = office();
    let number = "+493012345699".parse().unwrap();
    let presented = "+493012345670".parse().unwrap();
    let decision = plan.evaluate_forward(&number, Some(&presented), Timestamp::UNIX_EPOCH);
    let Outcome::Dial(call) = &decision.outcome else { panic!() };
    assert_eq!(call.caller_id.as_ref().unwrap().number, presented);
    assert_eq!(decision.rule(), Some("national"));
    // What a webhook answers was not looked at when the plan was loaded.
    for (number, words) in [
        ("112", "112 is an emergency call, and nobody outside calls for help from here"),
        ("600", "600 is a code of this plan: write \"app:echo\" itself"),
    ] {
        let decision = plan.evaluate_forward(&number.parse().unwrap(), None, Timestamp::UNIX_EPOCH);
        let Outcome::Refuse(refusal) = &decision.outcome else { panic!("{decision:?}") };
        assert_eq!(refusal.words, words);
        assert_eq!(plan.explain(&decision).last().unwrap(), &format!("=> deny {words:?}"));
    }
}

fn dialled() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,40}", "[0-9A-D*#+ ]{0,34}", "(\\+|00|0)?[0-9]{2,14}", "112|110|\\*97|600"]
}

proptest! {
    #[test]
    fn every_request_has_one_decision_and_its_trace_agrees(
        dialled in dialled(),
        user in "alice|dave|nobody",
        seconds in 0i64..4_000_000_000,
        wanted in proptest::option::of("office|\\+493012345670|\\PC{0,10}"),
    ) {
        static PLAN: std::sync::LazyLock<Plan> = std::sync::LazyLock::new(office);
        let plan = &*PLAN;
        let decision = plan.evaluate_outbound(&OutboundRequest {
            user: user.parse().unwrap(),
            country: None,
            dialled: dialled.clone(),
            caller_id: wanted,
            at: Timestamp::from_second(seconds).unwrap(),
        });
        let trace = plan.explain(&decision);
        let last = trace.last().unwrap();
        match &decision.outcome {
            Outcome::Refuse(refusal) => {
                prop_assert_eq!(last, &format!("=> deny {:?}", refusal.words));
            }
            Outcome::Flow(_) => prop_assert!(last.starts_with("=> ")),
            Outcome::Dial(call) => {
                prop_assert!(!call.route.trunks.is_empty());
                prop_assert!(call.caller_id.is_some());
                prop_assert!(last.contains(call.to.as_str()));
            }
        }
        // The rule in the decision is the one that the trace shows to match, and it is the only one.
        let matched: Vec<String> =
            trace.iter().filter(|l| l.starts_with("match ")).cloned().collect();
        match &decision.matched {
            super::Matched::Rule(name) => {
                prop_assert_eq!(matched, vec![format!("match {name:?}")]);
            }
            _ => prop_assert!(matched.is_empty()),
        }
        for line in &trace {
            prop_assert!(line.chars().all(|c| !c.is_control()), "{:?}", line);
        }
    }

    #[test]
    fn emergency_is_always_reachable(
        user in "[a-z]{1,8}",
        country in "DE|US|GB|FR|JP",
        digits in "110|112|1 1 0",
        seconds in 0i64..4_000_000_000,
    ) {
        static PLAN: std::sync::LazyLock<Plan> = std::sync::LazyLock::new(office);
        let country: super::Region = country.parse().unwrap();
        let decision = PLAN.evaluate_outbound(&OutboundRequest {
            user: user.parse().unwrap(),
            country: Some(country),
            dialled: digits.clone(),
            caller_id: Some("+1 anything".to_owned()),
            at: Timestamp::from_second(seconds).unwrap(),
        });
        // The US and GB have numbers of their own in the plan; every other country has Germany's.
        let of_country = match country.as_str() {
            "US" => false,
            "GB" => digits == "112",
            _ => true,
        };
        prop_assert_eq!(decision.is_emergency(), of_country);
    }
}
