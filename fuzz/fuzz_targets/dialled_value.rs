//! Any dialled or called value gets one decision and one explanation, by user or from outside.
//! `make fuzz`

#![no_main]

use std::sync::LazyLock;

use crosspoint::dialplan::{InboundRequest, Known, NoFiles, OutboundRequest, Plan, load};
use libfuzzer_sys::fuzz_target;

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let text = include_str!("../../dialplans/call-center.toml");
    load(text, "call-center.toml", &Known::default(), &NoFiles).expect("an example of ours")
});

fuzz_target!(|values: (&str, &str)| {
    let (value, other) = values;
    let at = jiff::Timestamp::UNIX_EPOCH;
    let outbound = PLAN.evaluate_outbound(&OutboundRequest {
        user: "alice".parse().expect("a name"),
        country: None,
        dialled: value.to_owned(),
        caller_id: (!other.is_empty()).then(|| other.to_owned()),
        at,
    });
    let inbound = PLAN.evaluate_inbound(&InboundRequest {
        did: value.to_owned(),
        from: Some(other.to_owned()),
        trunk: None,
        at,
    });
    for decision in [outbound, inbound] {
        let trace = PLAN.explain(&decision);
        assert_eq!(trace.iter().filter(|line| line.starts_with("=> ")).count(), 1, "{trace:?}");
        for line in &trace {
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
});
