//! Flows of a plan: steps of pages, one after the other.

use super::*;
use crate::call::{Direction, Step};
use crate::dialplan::Destination;

fn step(targets: Vec<Target>, ring: u64) -> Step {
    Step { targets, ring: Some(seconds(ring)) }
}

#[test]
fn a_step_that_rings_in_vain_gives_way_to_the_next() {
    let mut flow = Flow::start(LegKind::Trunk);
    let steps = vec![
        step(vec![page("alice", 1), page("bob", 2)], 25),
        step(Vec::new(), 9),
        step(vec![page("carol", 3)], 10),
    ];
    flow.push(routed(Targets::Flow(steps)));
    flow.callee(0, LegEvent::Ringing(Early::NoMedia));
    flow.callee(1, LegEvent::Ringing(Early::NoMedia));
    assert!(flow.pass(seconds(24)).is_empty());
    let told = flow.pass(seconds(1));
    assert_eq!(told, ["cancel 0 no-answer", "cancel 1 no-answer", "dial 2 carol"]);
    flow.callee(2, LegEvent::Ringing(Early::NoMedia));
    let told = flow.pass(seconds(10));
    assert_eq!(told[0], "hang up caller no-answer by gateway (480 Temporarily Unavailable)");
    assert!(told.contains(&"cancel 2 no-answer".to_owned()), "{told:?}");
    assert_eq!(flow.record().attempts, 3);
}

#[test]
fn a_step_that_is_refused_by_all_gives_way_at_once() {
    let mut flow = Flow::start(LegKind::Trunk);
    let steps =
        vec![step(vec![page("alice", 1), page("bob", 2)], 25), step(vec![page("carol", 3)], 10)];
    flow.push(routed(Targets::Flow(steps)));
    let declined = || LegEvent::Rejected(Rejection::plain(Cause::Declined));
    assert!(flow.callee(0, declined()).is_empty(), "bob still rings");
    assert_eq!(flow.callee(1, declined()), ["dial 2 carol"]);
    let told = flow.callee(2, LegEvent::Answered);
    assert_eq!(told, ["write answer"]);
    flow.push(Input::RecordKept);
    flow.caller(LegEvent::Ended(Cause::Hangup));
    let trace = flow.record().trace.join("\n");
    assert!(trace.contains("attempt 1: declined after 0 ms, others ring"), "{trace}");
    assert!(trace.contains("attempt 2: declined after 0 ms, the next is tried"), "{trace}");
}

#[test]
fn a_line_follows_when_nobody_answers_and_takes_the_call_at_once() {
    let mut flow = Flow::start(LegKind::Trunk);
    let line = Target::Line(vec![Destination::Voicemail("box".to_owned())]);
    let steps = vec![step(vec![page("alice", 1)], 25), Step { targets: vec![line], ring: None }];
    flow.push(routed(Targets::Flow(steps)));
    flow.callee(0, LegEvent::Ringing(Early::NoMedia));
    let told = flow.pass(seconds(25));
    assert_eq!(told, ["cancel 0 no-answer", "dial 1 line voicemail:box"]);
    assert_eq!(flow.callee(1, LegEvent::Answered), ["write answer"]);
    assert_eq!(flow.push(Input::RecordKept), ["answer", "connect 1"]);
    let told = flow.callee(1, LegEvent::Ended(Cause::Hangup));
    assert!(told.iter().any(|line| line.starts_with("hang up caller")), "{told:?}");
    assert_eq!(flow.record().direction, Direction::Inbound);
}
