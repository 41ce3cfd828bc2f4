//! Properties over generated plans and dialled values: one decision each, the explanation is the
//! decision's own, emergency calls always go out.

use proptest::prelude::*;

use super::*;

/// A rule as text; the parts are conditions that may contradict each other.
fn rule() -> impl Strategy<Value = String> {
    let to = prop_oneof![
        Just(String::new()),
        "[0-9]{1,4}".prop_map(|digits| format!("to = [\"+49{digits}.\"]\n")),
        Just("to = [\"6XX\", \"+4930[2-4]X.\"]\n".to_owned()),
    ];
    let region = prop_oneof![
        Just(""),
        Just("region = [\"DE\"]\n"),
        Just("region = [\"US\", \"JM\"]\n"),
        Just("region = \"any\"\n"),
    ];
    let kind = prop_oneof![Just(""), Just("type = [\"mobile\", \"premium-rate\"]\n")];
    let who = prop_oneof![Just(""), Just("group = [\"sales\"]\n"), Just("user = \"alice\"\n")];
    let when = prop_oneof![Just(""), Just("when = \"office\"\n")];
    let action = prop_oneof![
        Just("deny = \"no\"\n"),
        Just("route = [\"a\", \"b\"]\n"),
        Just("route = { balance = [\"a\", \"b\"] }\n"),
    ];
    (to, region, kind, who, when, action).prop_map(|(to, region, kind, who, when, action)| {
        let condition = [&to, region, kind, who, when].concat();
        let condition = if condition.is_empty() { "region = \"any\"\n" } else { &condition };
        format!("{condition}{action}")
    })
}

/// A plan; rules that could never match make it no plan, and those are left out one by one.
fn plan() -> impl Strategy<Value = Plan> {
    prop::collection::vec(rule(), 0..8).prop_map(|rules| {
        let mut text = String::from(
            "version = 1\n[defaults]\ncountry = \"DE\"\ntimezone = \"UTC\"\ncaller_id = \"o\"\n\
             [caller_id.o]\nnumber = \"+493012345670\"\n[group.sales]\nusers = [\"bob\"]\n\
             [emergency]\nnumbers = { DE = [\"110\", \"112\"], US = [\"911\"] }\n\
             route = [\"north\", \"south\"]\n[extension]\n\"600\" = \"app:echo\"\n\
             [schedule.office]\nopen = [\"mon-fri 08:00-17:00\"]\n",
        );
        for (n, rule) in rules.iter().enumerate() {
            let longer = format!("{text}[[outbound]]\nname = \"r{n}\"\n{rule}");
            if load(&longer, "p", &Known::default(), &NoFiles).is_ok() {
                text = longer;
            }
        }
        load(&text, "p", &Known::default(), &NoFiles).unwrap()
    })
}

fn dialled() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9*#+]{0,12}",
        "\\+49(30|151|900)[0-9]{4,8}",
        "\\+1(876|212|900)[2-9][0-9]{6}",
        Just("600".to_owned()),
        "6[0-9]{2}",
        "\\PC{0,40}",
    ]
}

fn request(user: &str, dialled: &str, at_s: i64) -> OutboundRequest {
    OutboundRequest {
        user: user.parse().unwrap(),
        country: None,
        dialled: dialled.to_owned(),
        caller_id: None,
        at: jiff::Timestamp::from_second(at_s).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_explanation_is_the_decisions_own(
        plan in plan(),
        dialled in dialled(),
        user in prop_oneof![Just("alice"), Just("bob"), Just("carol")],
        at_s in 0_i64..2_000_000_000,
    ) {
        let request = request(user, &dialled, at_s);
        let decision = plan.evaluate_outbound(&request);
        prop_assert_eq!(&decision, &plan.evaluate_outbound(&request));
        let trace = plan.explain(&decision);
        // One decision, last.
        let ends: Vec<usize> = (0..trace.len()).filter(|n| trace[*n].starts_with("=> ")).collect();
        prop_assert_eq!(&ends, &[trace.len() - 1]);
        // Every rule up to the one that decided is told, and none after it.
        let rules: Vec<&String> =
            trace.iter().filter(|l| l.starts_with("skip ") || l.starts_with("match ")).collect();
        match &decision.matched {
            Matched::Rule(name) => {
                let place = plan.outbound().iter().position(|rule| rule.name == *name).unwrap();
                prop_assert_eq!(rules.len(), place + 1);
                prop_assert_eq!(rules[place], &format!("match {name:?}"));
                prop_assert!(rules[..place].iter().all(|line| line.starts_with("skip ")));
            }
            Matched::Nothing if decision.outcome == Outcome::Refuse(invalid(&decision)) => {}
            Matched::Nothing => {
                prop_assert_eq!(rules.len(), plan.outbound().len());
                prop_assert!(rules.iter().all(|line| line.starts_with("skip ")));
            }
            _ => prop_assert!(rules.is_empty()),
        }
        let word = match &decision.outcome {
            Outcome::Dial(call) if call.emergency => "=> emergency route",
            Outcome::Dial(call) if call.route.spread == Spread::Balanced => "=> balance",
            Outcome::Dial(_) => "=> route",
            Outcome::Flow(_) => "=> app:echo",
            Outcome::Refuse(_) => "=> deny",
        };
        prop_assert!(trace[trace.len() - 1].starts_with(word), "{:?}", trace);
        // What `explain` prints is what a call is told.
        let printed = explain_outbound(&plan, &request, Format::Text).text;
        let lines: Vec<String> = trace.iter().map(|line| format!("  {line}\n")).collect();
        prop_assert_eq!(printed, lines.concat());
    }

    #[test]
    fn emergency_is_always_reachable(
        plan in plan(),
        (country, number) in prop_oneof![
            Just(("DE", "112")), Just(("DE", "110")), Just(("US", "911")), Just(("FR", "112")),
        ],
        user in prop_oneof![Just("alice"), Just("bob"), Just("stranger")],
        at_s in 0_i64..2_000_000_000,
    ) {
        let request = OutboundRequest {
            country: country.parse().ok(),
            ..request(user, number, at_s)
        };
        let decision = plan.evaluate_outbound(&request);
        prop_assert!(decision.is_emergency());
        let Outcome::Dial(call) = &decision.outcome else { unreachable!() };
        let route: Vec<&str> = call.route.trunks.iter().map(|trunk| trunk.as_str()).collect();
        prop_assert_eq!(route, ["north", "south"]);
        prop_assert_eq!(call.to.as_str(), number);
    }
}

/// The refusal of a value that is no number, which no rule is asked about where it cannot be read.
fn invalid(decision: &Decision) -> Refusal {
    match &decision.outcome {
        Outcome::Refuse(refusal) if refusal.cause == crate::base::Cause::InvalidNumber => {
            refusal.clone()
        }
        _ => Refusal { cause: crate::base::Cause::Internal, words: String::new() },
    }
}
