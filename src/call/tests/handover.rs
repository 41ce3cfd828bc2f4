//! A party of a connected call is replaced by another one.

use super::*;

/// A page that talks to trunk north as callee 0.
fn talking() -> Flow {
    let mut flow = Flow::hunting(&["north"]);
    flow.callee(0, LegEvent::Answered);
    flow.push(Input::RecordKept);
    flow.caller(LegEvent::MediaReady);
    flow
}

/// A trunk that called alice's page, which is callee 0.
fn called() -> Flow {
    let mut flow = Flow::ringing(&["alice"]);
    flow.callee(0, LegEvent::Answered);
    flow.push(Input::RecordKept);
    flow.callee(0, LegEvent::MediaReady);
    flow
}

fn hand_over(old: Leg, targets: Vec<Target>) -> Input {
    Input::HandOver { old, targets: Targets::Hunt(targets), max_call: None }
}

fn south() -> Vec<Target> {
    vec![Target::Trunk(trunk_id("south"))]
}

#[test]
fn handover_answered_the_old_party_says_goodbye() {
    let mut flow = talking();
    assert_eq!(flow.push(hand_over(Leg::Callee(0), south())), ["dial 1 south"]);
    assert_eq!(flow.callee(1, LegEvent::Ringing(Early::NoMedia)), ["1 rings NoMedia"]);
    assert_eq!(flow.callee(1, LegEvent::Answered), ["1 in place of 0"]);
    assert!(flow.callee(0, LegEvent::Ended(Cause::Hangup)).is_empty());
    assert!(flow.pass(seconds(10)).is_empty());
    let told = flow.callee(1, LegEvent::Ended(Cause::Hangup));
    assert_eq!(told.last().unwrap(), "ended hangup by callee");
    assert_eq!(flow.record().attempts, 2);
}

#[test]
fn handover_answered_the_old_party_stays_and_is_hung_up() {
    let mut flow = talking();
    flow.push(hand_over(Leg::Callee(0), south()));
    flow.callee(1, LegEvent::Answered);
    assert_eq!(flow.pass(seconds(4)), ["hang up 0 hangup by gateway"]);
    assert!(flow.callee(0, LegEvent::Ended(Cause::Hangup)).is_empty());
    let told = flow.caller(LegEvent::Ended(Cause::Hangup));
    assert_eq!(told[0], "hang up 1 hangup by caller");
}

#[test]
fn handover_refused_the_call_goes_on() {
    let mut flow = talking();
    let two = vec![Target::Trunk(trunk_id("south")), Target::Trunk(trunk_id("west"))];
    flow.push(hand_over(Leg::Callee(0), two));
    assert_eq!(flow.callee(1, rejected(503, "No", Retry::Next)), ["dial 2 west"]);
    assert_eq!(flow.callee(2, rejected(486, "Busy", Retry::Never)), ["stays 486"]);
    // Once more, and this time nobody says anything.
    assert_eq!(flow.push(hand_over(Leg::Callee(0), south())), ["dial 3 south"]);
    assert_eq!(flow.pass(seconds(185)), ["cancel 3 no-answer", "stays no-answer"]);
    assert!(flow.callee(3, rejected(487, "Cancelled", Retry::Never)).is_empty());
    let told = flow.callee(0, LegEvent::Ended(Cause::Hangup));
    assert_eq!(told.last().unwrap(), "ended hangup by callee");
}

#[test]
fn the_old_party_leaves_before_the_new_one_answers() {
    let mut flow = talking();
    flow.push(hand_over(Leg::Callee(0), south()));
    assert!(flow.callee(0, LegEvent::Ended(Cause::Hangup)).is_empty());
    assert_eq!(flow.callee(1, LegEvent::Answered), ["1 in place of 0"]);
    flow.caller(LegEvent::Ended(Cause::Hangup));
    let mut flow = talking();
    flow.push(hand_over(Leg::Callee(0), south()));
    flow.callee(0, LegEvent::Ended(Cause::Hangup));
    let told = flow.callee(1, rejected(486, "Busy", Retry::Never));
    assert_eq!(told[0], "hang up caller busy by callee");
}

#[test]
fn the_caller_is_replaced_and_digits_go_to_the_new_one() {
    let mut flow = called();
    assert_eq!(flow.push(hand_over(Leg::Caller, south())), ["dial 1 south"]);
    assert_eq!(flow.callee(1, LegEvent::Answered), ["1 in place of caller"]);
    assert!(flow.caller(LegEvent::Ended(Cause::Hangup)).is_empty());
    let told = flow.callee(0, LegEvent::Tones(Vec::new()));
    assert_eq!(told, ["send 0 tones to 1"]);
    assert_eq!(flow.callee(1, LegEvent::Tones(Vec::new())), ["send 0 tones to 0"]);
    let told = flow.callee(1, LegEvent::Ended(Cause::Hangup));
    assert_eq!(told[0], "hang up 0 hangup by caller");
}

#[test]
fn a_call_that_replaces_takes_the_place_at_once() {
    for (mut flow, old, text) in
        [(talking(), Leg::Callee(0), "0"), (called(), Leg::Caller, "caller")]
    {
        let told = flow.push(Input::Replaced(old, south().remove(0), None));
        assert_eq!(told, [format!("hang up {text} hangup by gateway")]);
        let told = flow.callee(1, LegEvent::Ended(Cause::Hangup));
        assert!(told.last().unwrap().starts_with("ended hangup"), "{told:?}");
    }
}

#[test]
fn only_a_party_that_talks_is_replaced() {
    let mut flow = talking();
    let (now, out) = (flow.now, Error::NoPeer);
    let mut input = |input| flow.call.handle_input(now, input);
    assert_eq!(input(hand_over(Leg::Callee(9), south())), Err(out));
    assert_eq!(input(hand_over(Leg::Callee(0), Vec::new())), Err(out));
    assert_eq!(input(hand_over(Leg::Callee(0), south())), Ok(()));
    assert_eq!(input(hand_over(Leg::Callee(0), south())), Err(out));
}

/// Alice's page that called bob's, callee 0.
fn between_pages() -> Flow {
    let mut flow = Flow::start(LegKind::Page);
    flow.push(routed(Targets::Ring(vec![page("bob", 0)])));
    flow.callee(0, LegEvent::Answered);
    flow.push(Input::RecordKept);
    flow.callee(0, LegEvent::MediaReady);
    flow.caller(LegEvent::MediaReady);
    flow
}

fn carols() -> Input {
    let pages = vec![page("carol", 1), page("carol", 2)];
    let targets = Targets::Flow(vec![
        Step { targets: pages, ring: Some(seconds(20)) },
        Step { targets: vec![page("dave", 3)], ring: None },
    ]);
    Input::HandOver { old: Leg::Caller, targets, max_call: Some(seconds(600)) }
}

#[test]
fn pages_ring_at_once_and_the_first_answer_takes_the_callers_place() {
    let mut flow = between_pages();
    assert_eq!(flow.push(carols()), ["dial 1 carol", "dial 2 carol"]);
    assert_eq!(flow.callee(1, LegEvent::Ringing(Early::NoMedia)), ["1 rings NoMedia"]);
    assert!(flow.callee(2, LegEvent::Ringing(Early::NoMedia)).is_empty(), "told already");
    let told = flow.callee(2, LegEvent::Answered);
    assert_eq!(told, ["cancel 1 answered-elsewhere", "2 in place of caller"]);
    assert!(flow.caller(LegEvent::Ended(Cause::Hangup)).is_empty());
    assert_eq!(flow.call.talking(), Some((Leg::Callee(2), Leg::Callee(0))));
    assert!(flow.callee(2, LegEvent::MediaReady).is_empty());
    assert!(flow.pass(seconds(599)).is_empty(), "nobody waits for media that is there");
    let told = flow.pass(seconds(1));
    assert_eq!(told.last().unwrap(), "ended max-duration by gateway");
}

#[test]
fn a_page_in_place_of_the_caller_whose_media_never_comes_ends_the_call() {
    let mut flow = between_pages();
    flow.push(carols());
    flow.callee(1, LegEvent::Answered);
    flow.caller(LegEvent::Ended(Cause::Hangup));
    let told = flow.pass(seconds(15));
    assert_eq!(told.last().unwrap(), "ended media-failed by gateway");
}

#[test]
fn nobody_of_a_step_takes_it_and_the_next_one_rings() {
    let mut flow = between_pages();
    flow.push(carols());
    assert_eq!(flow.pass(seconds(20)), ["cancel 1 no-answer", "cancel 2 no-answer", "dial 3 dave"]);
    let declined = LegEvent::Rejected(Rejection::plain(Cause::Declined));
    assert_eq!(flow.callee(3, declined.clone()), ["stays declined"]);
    // One who declines on one page declines on the other.
    flow.push(carols());
    assert_eq!(flow.callee(4, declined), ["cancel 5 declined", "dial 6 dave"]);
    assert_eq!(flow.call.talking(), Some((Leg::Caller, Leg::Callee(0))));
}
