//! Answer, cancel, refusal and hang-up that cross each other.

use std::time::Duration;

use super::*;

#[test]
fn dialing_cancel_ending_answered_late_hung_up() {
    let mut flow = Flow::hunting(&["north"]);
    flow.callee(0, LegEvent::Ringing(Early::NoMedia));
    assert_eq!(flow.caller(LegEvent::Ended(Cause::Hangup)), ["cancel 0 cancelled", "write end"]);
    assert_eq!(flow.call.state(), State::Ending);
    assert_eq!(
        flow.callee(0, LegEvent::Answered),
        ["hang up 0 cancelled by gateway", "ended cancelled by caller"]
    );
    assert_eq!(flow.records.len(), 1);
    assert_eq!(flow.record().answered_at, None);
}

#[test]
fn dialing_cancel_ending_487_over() {
    let mut flow = Flow::hunting(&["north"]);
    flow.caller(LegEvent::Ended(Cause::Hangup));
    assert_eq!(
        flow.callee(0, rejected(487, "Request Terminated", Retry::Never)),
        ["ended cancelled by caller"]
    );
    let late = Input::Leg(Leg::Callee(0), LegEvent::Answered);
    assert_eq!(flow.call.handle_input(flow.now, late), Err(Error::Over));
}

#[test]
fn dialing_cancel_ending_silence_hung_up_after_35s() {
    let mut flow = Flow::hunting(&["north"]);
    flow.caller(LegEvent::Ended(Cause::Hangup));
    assert_eq!(
        flow.pass(seconds(35)),
        ["hang up 0 cancelled by gateway", "ended cancelled by caller"]
    );
}

#[test]
fn dialing_next_trunk_first_answers_late_is_hung_up() {
    let mut flow = Flow::hunting(&["north", "south"]);
    flow.pass(seconds(4));
    assert_eq!(flow.callee(0, LegEvent::Answered), ["hang up 0 unreachable by gateway"]);
    assert_eq!(flow.callee(1, LegEvent::Answered), ["write answer"], "the call goes on");
}

#[test]
fn dialing_next_trunk_first_refuses_late_is_ignored() {
    let mut flow = Flow::hunting(&["north", "south"]);
    flow.pass(seconds(4));
    assert!(flow.callee(0, rejected(486, "Busy Here", Retry::Never)).is_empty());
    assert_eq!(flow.call.state(), State::Dialing);
}

#[test]
fn connected_cancelled_leg_rings_or_speaks_late_is_ignored() {
    let mut flow = Flow::hunting(&["north", "south"]);
    flow.pass(seconds(4));
    flow.callee(1, LegEvent::Answered);
    flow.push(Input::RecordKept);
    assert!(flow.callee(0, LegEvent::Ringing(Early::NoMedia)).is_empty());
    assert!(flow.callee(0, LegEvent::Progress(Early::Media)).is_empty());
    assert!(flow.callee(0, LegEvent::MediaFailed).is_empty());
    assert!(flow.callee(1, LegEvent::Ringing(Early::NoMedia)).is_empty());
    assert_eq!(flow.call.state(), State::Connected);
}

#[test]
fn connected_ending_waits_for_a_leg_that_was_cancelled_before() {
    let mut flow = Flow::hunting(&["north", "south"]);
    flow.pass(seconds(4));
    flow.callee(1, LegEvent::Answered);
    flow.push(Input::RecordKept);
    let told = flow.caller(LegEvent::Ended(Cause::Hangup));
    assert_eq!(told, ["hang up 1 hangup by caller", "write end"]);
    assert_eq!(
        flow.callee(0, LegEvent::Answered),
        ["hang up 0 unreachable by gateway", "ended hangup by caller"]
    );
}

#[test]
fn answering_caller_hangs_up_ending() {
    // The page gives up while the answer is on its way to the disk: the trunk is hung up.
    let mut flow = Flow::hunting(&["north"]);
    flow.callee(0, LegEvent::Answered);
    assert_eq!(
        flow.caller(LegEvent::Ended(Cause::Hangup)),
        ["hang up 0 hangup by caller", "write end", "ended hangup by caller"]
    );
    assert_eq!(flow.call.handle_input(flow.now, Input::RecordKept), Err(Error::Over));
}

#[test]
fn answering_callee_hangs_up_ending() {
    let mut flow = Flow::hunting(&["north"]);
    flow.callee(0, LegEvent::Answered);
    let told = flow.callee(0, LegEvent::Ended(Cause::Hangup));
    assert_eq!(told[0], "hang up caller hangup by callee");
    assert_eq!(flow.records.len(), 2);
}

#[test]
fn answering_disk_is_slow_connected_after_1s() {
    let mut flow = Flow::hunting(&["north"]);
    flow.callee(0, LegEvent::Answered);
    assert!(flow.pass(Duration::from_millis(999)).is_empty());
    assert_eq!(flow.pass(Duration::from_millis(1)), ["answer", "connect 0"]);
    assert!(flow.push(Input::RecordKept).is_empty(), "a late word of the disk changes nothing");
}

#[test]
fn two_trunks_answer_at_once_the_second_is_hung_up() {
    let mut flow = Flow::start(LegKind::Page);
    let fork = ["north", "south"].map(|t| Target::Trunk(trunk_id(t))).to_vec();
    flow.push(routed(Targets::Ring(fork)));
    assert_eq!(flow.callee(0, LegEvent::Answered), ["cancel 1 answered-elsewhere", "write answer"]);
    assert_eq!(flow.callee(1, LegEvent::Answered), ["hang up 1 answered-elsewhere by gateway"]);
    assert_eq!(flow.push(Input::RecordKept), ["answer", "connect 0"]);
}

#[test]
fn two_pages_answer_at_once_the_second_was_told() {
    let mut flow = Flow::ringing(&["alice", "bob"]);
    flow.callee(0, LegEvent::Answered);
    assert!(flow.callee(1, LegEvent::Answered).is_empty());
    assert_eq!(flow.push(Input::RecordKept), ["answer", "connect 0"]);
}

#[test]
fn both_sides_hang_up_at_once() {
    let mut flow = Flow::hunting(&["north"]);
    flow.callee(0, LegEvent::Answered);
    flow.push(Input::RecordKept);
    let told = flow.caller(LegEvent::Ended(Cause::Hangup));
    assert_eq!(told.last().unwrap(), "ended hangup by caller");
    let bye = Input::Leg(Leg::Callee(0), LegEvent::Ended(Cause::Hangup));
    assert_eq!(flow.call.handle_input(flow.now, bye), Err(Error::Over));
    assert_eq!(flow.records.iter().filter(|(kept, _)| *kept == Kept::End).count(), 1);
}

#[test]
fn routing_cancel_ending_route_comes_late() {
    let mut flow = Flow::start(LegKind::Page);
    let told = flow.caller(LegEvent::Ended(Cause::Hangup));
    assert_eq!(told, ["write end", "ended cancelled by caller"]);
    let late = routed(Targets::Hunt(vec![Target::Trunk(trunk_id("north"))]));
    assert_eq!(flow.call.handle_input(flow.now, late), Err(Error::Over));
}

#[test]
fn any_state_server_shutdown_ending() {
    let mut dialing = Flow::hunting(&["north"]);
    let told = dialing.push(Input::End(Cause::ServerShutdown));
    assert_eq!(
        told,
        [
            "hang up caller server-shutdown by gateway (503 Service Unavailable)",
            "cancel 0 server-shutdown",
            "write end"
        ]
    );
    assert!(dialing.push(Input::End(Cause::Internal)).is_empty(), "the first cause stays");
    assert_eq!(dialing.record().cause, Some(Cause::ServerShutdown));
}
