//! Any text is a plan or has findings; a plan decides about every value exactly once.
//! `make fuzz`

#![no_main]

use crosspoint::dialplan::{Known, NoFiles, OutboundRequest, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let plan = match load(text, "plan.toml", &Known::default(), &NoFiles) {
        Ok(plan) => plan,
        Err(findings) => {
            assert!(!findings.is_empty(), "a refusal without a reason");
            return;
        }
    };
    for dialled in ["112", "100", "030 1234567", "+18765551234", ""] {
        let decision = plan.evaluate_outbound(&OutboundRequest {
            user: "alice".parse().expect("a name"),
            country: None,
            dialled: dialled.to_owned(),
            caller_id: None,
            at: jiff::Timestamp::UNIX_EPOCH,
        });
        let trace = plan.explain(&decision);
        let decided = trace.iter().filter(|line| line.starts_with("=> ")).count();
        assert_eq!(decided, 1, "{trace:?}");
    }
});
