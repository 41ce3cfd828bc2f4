//! The dial plan: where a call goes, decided by total functions of the plan and the request.
//!
//! Load (`load`), check, evaluate (`Plan::evaluate_outbound`, `Plan::evaluate_inbound`), explain
//! (`Plan::explain`), test. Pure: files and the time come as arguments.

mod caps;
mod decision;
mod diff;
mod emergency;
mod evaluate;
#[cfg(test)]
mod evaluate_tests;
mod explain;
mod flow;
mod index;
mod load;
mod number;
mod pattern;
mod plan;
#[cfg(test)]
mod properties_tests;
mod rates;
mod report;
mod schedule;
mod shadow;
#[cfg(test)]
mod shadow_tests;
mod test_case;
#[cfg(test)]
mod test_case_tests;
mod usage;

pub use caps::{Alarm, Capped, Caps, Ledger, SHORT as SHORT_CALL, Window};
pub use decision::{
    Decision, InboundRequest, Matched, OutboundRequest, Outcome, Refusal, Target, TrunkCall,
};
pub use diff::{Change, PastCall, diff};
pub use emergency::emergency_countries;
pub use evaluate::Meant;
pub use flow::{Caller, Pressed, Walk};
pub use load::{Files, Known, NoFiles, load, load_untested};
pub use number::{Number, NumberType, Region, RegionError};
pub use pattern::{Pattern, PatternError};
pub use plan::{
    App, CallerIdentity, Destination, DigitLog, InboundRule, Law, Menu, OutboundRule, Plan,
    Presentation, Recording, Ring, RingStrategy, Route, Spread, Voicemail,
};
pub use report::{
    Format, Report, check, decision_json, explain_inbound, explain_outbound, failing_tests, test,
};
pub use schedule::Schedule;
pub use test_case::TestResult;
