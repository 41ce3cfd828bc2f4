//! A trunk calls pages.

use std::time::Duration;

use super::*;

#[test]
fn dialing_answered_first_wins_connected() {
    let mut flow = Flow::ringing(&["alice", "bob"]);
    assert_eq!(flow.callee(0, LegEvent::Ringing(Early::NoMedia)), ["ringing"], "no feed");
    assert!(flow.callee(1, LegEvent::Ringing(Early::NoMedia)).is_empty());
    assert_eq!(flow.callee(1, LegEvent::Answered), ["cancel 0 answered-elsewhere", "write answer"]);
    assert_eq!(flow.push(Input::RecordKept), ["answer", "connect 1"]);
    flow.callee(1, LegEvent::MediaReady);
    assert_eq!(
        flow.caller(LegEvent::Ended(Cause::Hangup)),
        ["hang up 1 hangup by caller", "write end", "ended hangup by caller"]
    );
    let record = flow.record();
    assert_eq!(record.direction, Direction::Inbound);
    assert_eq!(record.trunk.as_ref().unwrap().as_str(), "north");
    assert_eq!(record.attempts, 2);
}

#[test]
fn dialing_rejected_one_other_page_rings_on() {
    let mut flow = Flow::ringing(&["alice", "bob"]);
    let declined = || LegEvent::Rejected(Rejection::plain(Cause::Declined));
    assert!(flow.callee(0, declined()).is_empty());
    let told = flow.callee(1, LegEvent::Rejected(Rejection::plain(Cause::Unreachable)));
    assert_eq!(told.last().unwrap(), "ended declined by callee (603 Decline)");
}

#[test]
fn dialing_declined_on_one_page_silences_the_users_other_pages() {
    let mut flow = Flow::ringing(&["alice", "alice", "bob"]);
    let told = flow.callee(0, LegEvent::Rejected(Rejection::plain(Cause::Declined)));
    assert_eq!(told, ["cancel 1 declined"]);
    assert_eq!(flow.call.state(), State::Dialing, "bob rings on");
}

#[test]
fn dialing_cancel_ending() {
    let mut flow = Flow::ringing(&["alice", "bob"]);
    assert_eq!(
        flow.caller(LegEvent::Ended(Cause::Hangup)),
        ["cancel 0 cancelled", "cancel 1 cancelled", "write end", "ended cancelled by caller"]
    );
    assert_eq!(flow.record().sip, None);
}

#[test]
fn dialing_no_answer_ending() {
    let mut flow = Flow::ringing(&["alice"]);
    flow.callee(0, LegEvent::Ringing(Early::NoMedia));
    let told = flow.pass(seconds(60));
    assert_eq!(told[0], "hang up caller no-answer by gateway (480 Temporarily Unavailable)");
    assert_eq!(told.last().unwrap().split(' ').nth(1), Some("no-answer"));
}

#[test]
fn answered_page_without_media_ends_after_15s() {
    let mut flow = Flow::ringing(&["alice"]);
    flow.callee(0, LegEvent::Answered);
    flow.push(Input::RecordKept);
    assert!(flow.pass(Duration::from_millis(14_999)).is_empty());
    let told = flow.pass(Duration::from_millis(1));
    assert_eq!(told.last().unwrap(), "ended media-failed by gateway");
}

#[test]
fn dialing_page_is_gone_ending() {
    // The page that rings closes: nobody is left.
    let mut flow = Flow::ringing(&["alice"]);
    let told = flow.callee(0, LegEvent::Ended(Cause::Unreachable));
    assert!(told.last().unwrap().starts_with("ended unreachable by callee (480"));
}

#[test]
fn pages_in_order_next_after_ring_timeout() {
    let mut flow = Flow::start(LegKind::Trunk);
    let told = flow.push(routed(Targets::Hunt(vec![page("alice", 1), page("bob", 2)])));
    assert_eq!(told, ["dial 0 alice"]);
    flow.callee(0, LegEvent::Ringing(Early::NoMedia));
    assert_eq!(flow.pass(seconds(60)), ["cancel 0 no-answer", "dial 1 bob"]);
    let told = flow.callee(1, LegEvent::Rejected(Rejection::plain(Cause::Declined)));
    assert!(told.last().unwrap().starts_with("ended declined"));
}

#[test]
fn page_to_page_is_internal() {
    let mut flow = Flow::start(LegKind::Page);
    assert_eq!(flow.push(routed(Targets::Ring(vec![page("bob", 1)]))), ["dial 0 bob"]);
    assert_eq!(flow.callee(0, LegEvent::Ringing(Early::NoMedia)), ["ringing", "feed ringback"]);
    flow.callee(0, LegEvent::Answered);
    assert_eq!(flow.records[0].1.direction, Direction::Internal);
}
