//! Whatever comes in whatever order: one end, one final record, no leg left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Give(Input),
    Wait(u64),
}

/// What the outside world still has open on a leg.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outside {
    Dialed,
    Answered,
    Cancelled,
    Gone,
}

fn leg_event() -> impl Strategy<Value = LegEvent> {
    let early = prop_oneof![Just(Early::Media), Just(Early::NoMedia)];
    let status = prop_oneof![Just(404), Just(486), Just(487), Just(503), Just(603)];
    let retry = prop_oneof![Just(Retry::Next), Just(Retry::Never)];
    prop_oneof![
        1 => Just(LegEvent::Trying),
        1 => early.clone().prop_map(LegEvent::Ringing),
        1 => early.prop_map(LegEvent::Progress),
        3 => Just(LegEvent::Answered),
        2 => (status, retry).prop_map(|(s, r)| rejected(s, "No", r)),
        1 => Just(LegEvent::Ended(Cause::Hangup)),
        1 => Just(LegEvent::MediaReady),
        1 => Just(LegEvent::MediaFailed),
        1 => Just(LegEvent::MediaLost),
        1 => Just(LegEvent::Tones(Vec::new())),
        1 => Just(LegEvent::DigitHeard),
    ]
}

fn targets() -> impl Strategy<Value = Targets> {
    let target = prop_oneof![
        Just(Target::Trunk(trunk_id("north"))),
        (0..3u128).prop_map(|n| page("alice", n)),
        (3..5u128).prop_map(|n| page("bob", n)),
    ];
    (proptest::collection::vec(target, 0..4), any::<bool>())
        .prop_map(|(list, hunt)| if hunt { Targets::Hunt(list) } else { Targets::Ring(list) })
}

fn step() -> impl Strategy<Value = Step> {
    let leg = prop_oneof![1 => Just(Leg::Caller), 3 => (0..4u8).prop_map(Leg::Callee)];
    prop_oneof![
        12 => (leg, leg_event()).prop_map(|(leg, event)| Step::Give(Input::Leg(leg, event))),
        3 => targets().prop_map(|targets| Step::Give(routed(targets))),
        1 => (trunk_side(), targets()).prop_map(|(old, targets)| {
            Step::Give(Input::HandOver { old, targets, max_call: Some(seconds(5)) })
        }),
        1 => trunk_side().prop_map(|leg| {
            Step::Give(Input::Replaced(leg, Target::Trunk(trunk_id("south")), None))
        }),
        2 => Just(Step::Give(Input::RecordKept)),
        1 => Just(Step::Give(Input::End(Cause::ServerShutdown))),
        2 => (0..20_000u64).prop_map(Step::Wait),
    ]
}

/// A leg that may be replaced.
fn trunk_side() -> impl Strategy<Value = Leg> {
    prop_oneof![1 => Just(Leg::Caller), 2 => (0..4u8).prop_map(Leg::Callee)]
}

/// Drains the call and checks every output against what the outside has open.
fn drain(
    call: &mut Call,
    legs: &mut BTreeMap<Leg, Outside>,
    pages: &mut BTreeSet<Leg>,
    ends: &mut Vec<End>,
    records: &mut Vec<(Kept, Record)>,
) -> Option<Instant> {
    loop {
        let output = call.poll_output();
        if !matches!(output, Output::Timeout(_)) {
            assert!(ends.is_empty(), "{output:?} after the end");
        }
        match output {
            Output::Timeout(at) => return at,
            Output::Dial(leg, target) => {
                if target.kind() == LegKind::Page {
                    pages.insert(leg);
                }
                assert_eq!(legs.insert(leg, Outside::Dialed), None, "{leg:?} dialled twice");
            }
            Output::Cancel(leg, _) => {
                assert_eq!(legs.insert(leg, Outside::Cancelled), Some(Outside::Dialed));
            }
            Output::HangUp(leg, _) => {
                let before = legs.insert(leg, Outside::Gone).unwrap();
                assert_ne!(before, Outside::Gone, "{leg:?} hung up twice");
            }
            Output::Connect(leg) => assert_eq!(legs[&leg], Outside::Answered),
            Output::Answer => {
                assert_eq!(legs[&Leg::Caller], Outside::Dialed, "the caller is there, once");
                legs.insert(Leg::Caller, Outside::Answered);
            }
            Output::SendTones(leg, _) => assert_ne!(legs[&leg], Outside::Gone),
            Output::Write(kept, record) => records.push((kept, *record)),
            Output::Ended(end) => ends.push(end),
            Output::HandOver(HandOver::Done { new, .. }) => {
                assert_eq!(legs[&new], Outside::Answered)
            }
            Output::HandOver(_) => {}
            Output::Route | Output::Progress(_) | Output::Feed(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_sequence_ends_once_with_all_legs_gone_and_one_record(
        from_page in any::<bool>(),
        first in targets(),
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let caller = if from_page { LegKind::Page } else { LegKind::Trunk };
        let mut call = Flow::start(caller).call;
        let mut now = epoch();
        let (mut ends, mut records) = (Vec::new(), Vec::new());
        let mut legs = BTreeMap::from([(Leg::Caller, Outside::Dialed)]);
        let mut pages = BTreeSet::new();
        let steps = std::iter::once(Step::Give(routed(first))).chain(steps);
        for step in steps {
            match step {
                Step::Wait(ms) => {
                    now += Duration::from_millis(ms);
                    let _ = call.handle_input(now, Input::Timeout);
                }
                Step::Give(input) => {
                    // The outside only says what a real leg could say: nothing after its end.
                    if let Input::Leg(leg, event) = &input {
                        let Some(state) = legs.get_mut(leg) else { continue };
                        match (event, *state) {
                            (_, Outside::Gone) => continue,
                            (LegEvent::Ended(_), _) => *state = Outside::Gone,
                            (LegEvent::Rejected(_), Outside::Dialed | Outside::Cancelled)
                                if *leg != Leg::Caller => *state = Outside::Gone,
                            (LegEvent::Answered, Outside::Dialed) if *leg != Leg::Caller => {
                                *state = Outside::Answered;
                            }
                            _ => {}
                        }
                    }
                    let replaced = matches!(input, Input::Replaced(..));
                    let done = call.handle_input(now, input);
                    if replaced && done.is_ok() {
                        // The new party's call is there, and answered.
                        let dialled = legs.keys().filter(|leg| **leg != Leg::Caller).count();
                        let new = Leg::Callee(u8::try_from(dialled).unwrap());
                        prop_assert_eq!(legs.insert(new, Outside::Answered), None);
                    }
                }
            }
            let mut timeout = drain(&mut call, &mut legs, &mut pages, &mut ends, &mut records);
            prop_assert_eq!(timeout.is_none(), !ends.is_empty(), "a timer runs until the end");
            while let Some(at) = timeout.filter(|at| *at <= now) {
                let _ = call.handle_input(at.max(now), Input::Timeout);
                timeout = drain(&mut call, &mut legs, &mut pages, &mut ends, &mut records);
            }
        }
        // Left alone, every call ends by its timers.
        let mut guard = 0;
        while ends.is_empty() {
            now = call_timeout(&mut call).expect("a timer runs until the end");
            let _ = call.handle_input(now, Input::Timeout);
            drain(&mut call, &mut legs, &mut pages, &mut ends, &mut records);
            guard += 1;
            prop_assert!(guard < 100, "no end in sight");
        }
        prop_assert_eq!(call.state(), State::Over);
        prop_assert_eq!(ends.len(), 1);
        let finals: Vec<_> = records.iter().filter(|(kept, _)| *kept == Kept::End).collect();
        prop_assert_eq!(finals.len(), 1);
        prop_assert!(records.len() <= 2);
        prop_assert_eq!(finals[0].1.cause, Some(ends[0].cause));
        prop_assert_eq!(finals[0].1.answered_at.is_some(), records.len() == 2);
        for (leg, state) in legs {
            let page = pages.contains(&leg);
            let gone = state == Outside::Gone || (page && state == Outside::Cancelled);
            prop_assert!(gone, "{:?} is left {:?}", leg, state);
        }
    }
}

fn call_timeout(call: &mut Call) -> Option<Instant> {
    match call.poll_output() {
        Output::Timeout(at) => at,
        other => panic!("not drained: {other:?}"),
    }
}
