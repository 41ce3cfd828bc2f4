//! A page calls out over trunks.

use std::time::Duration;

use super::*;
use crate::base::Digit;
use crate::dtmf::ToneItem;

#[test]
fn routing_connect_dialing_early_answered_connected_ended() {
    let mut flow = Flow::start(LegKind::Page);
    let targets = Targets::Hunt(vec![Target::Trunk(trunk_id("north"))]);
    assert_eq!(flow.push(routed(targets)), ["dial 0 north"]);
    assert!(flow.callee(0, LegEvent::Trying).is_empty());
    assert_eq!(flow.callee(0, LegEvent::Ringing(Early::NoMedia)), ["ringing", "feed ringback"]);
    assert!(flow.callee(0, LegEvent::Ringing(Early::NoMedia)).is_empty(), "told once");
    assert_eq!(flow.callee(0, LegEvent::Progress(Early::Media)), ["early 0", "feed 0"]);
    assert_eq!(flow.call.state(), State::Early);
    flow.callee(0, LegEvent::Codec("PCMA".into()));
    flow.caller(LegEvent::MediaReady);
    flow.pass(Duration::from_millis(1500));
    assert_eq!(flow.callee(0, LegEvent::Answered), ["write answer"]);
    assert_eq!(flow.call.state(), State::Answering, "not before the record is on disk");
    assert_eq!(flow.push(Input::RecordKept), ["answer", "connect 0"]);
    assert!(flow.pass(seconds(61)).is_empty());
    flow.callee(0, LegEvent::DigitHeard);
    assert_eq!(
        flow.callee(0, LegEvent::Ended(Cause::Hangup)),
        ["hang up caller hangup by callee", "write end", "ended hangup by callee"]
    );
    assert_eq!(flow.timeout, None);

    let answered = &flow.records[0].1;
    assert_eq!(answered.answered_at.unwrap().to_string(), "2026-11-21T08:00:01.623Z");
    assert_eq!((answered.ended_at, answered.cause), (None, None));
    let golden = serde_json::json!({
        "id": "call_01HF7YAT000000000000000007", "direction": "outbound",
        "from": {"uri": "alice"}, "to": {"uri": "+49301234567"},
        "trunk": "north", "rule": "national",
        "started_at": "2026-11-21T08:00:00.123Z",
        "answered_at": "2026-11-21T08:00:01.623Z",
        "ended_at": "2026-11-21T08:01:02.623Z",
        "duration_ms": 61_000, "cause": "hangup", "sip": null, "q850": 16,
        "ended_by": "callee", "attempts": 1, "digits": 1, "codec": "PCMA", "quality": {},
        "trace": ["attempt 1: trunk north", "attempt 1: answered after 1500 ms"],
    });
    assert_eq!(serde_json::to_value(flow.record()).unwrap(), golden);
}

#[test]
fn dialing_rejected_503_dialing_next_trunk() {
    let mut flow = Flow::hunting(&["north", "south"]);
    assert_eq!(flow.callee(0, rejected(503, "Service Unavailable", Retry::Next)), ["dial 1 south"]);
    assert_eq!(flow.callee(1, LegEvent::Answered), ["write answer"]);
    flow.push(Input::RecordKept);
    flow.caller(LegEvent::Ended(Cause::Hangup));
    let record = flow.record();
    assert_eq!((record.trunk.as_ref().unwrap().as_str(), record.attempts), ("south", 2));
    assert_eq!(
        record.trace,
        [
            "attempt 1: trunk north",
            "attempt 1: 503 after 0 ms, the next is tried",
            "attempt 2: trunk south",
            "attempt 2: answered after 0 ms",
        ]
    );
}

#[test]
fn dialing_rejected_final_status_is_never_retried() {
    // Even where a configuration lists it (dial plan, Failover).
    for (status, cause) in [
        (404, "unallocated"),
        (484, "invalid-number"),
        (486, "busy"),
        (600, "busy"),
        (603, "declined"),
    ] {
        let mut flow = Flow::hunting(&["north", "south"]);
        let end = format!("{cause} by callee ({status} No)");
        assert_eq!(
            flow.callee(0, rejected(status, "No", Retry::Next)),
            [format!("hang up caller {end}"), "write end".into(), format!("ended {end}")],
        );
        assert_eq!(flow.record().sip.as_ref().unwrap().status, status);
    }
}

#[test]
fn dialing_rejected_outside_retry_on_ending() {
    let mut flow = Flow::hunting(&["north", "south"]);
    let told = flow.callee(0, rejected(480, "Temporarily Unavailable", Retry::Never));
    assert_eq!(told.last().unwrap(), "ended unreachable by callee (480 Temporarily Unavailable)");
}

#[test]
fn early_rejected_503_ending_without_failover() {
    let mut flow = Flow::hunting(&["north", "south"]);
    flow.callee(0, LegEvent::Ringing(Early::Media));
    let told = flow.callee(0, rejected(503, "Service Unavailable", Retry::Next));
    assert_eq!(told.last().unwrap(), "ended trunk-failed by callee (503 Service Unavailable)");
}

#[test]
fn dialing_no_1xx_in_4s_dialing_next_trunk() {
    let mut flow = Flow::hunting(&["north", "south"]);
    assert!(flow.pass(Duration::from_millis(3999)).is_empty());
    let told = flow.pass(Duration::from_millis(1));
    assert_eq!(told, ["cancel 0 unreachable", "dial 1 south"]);
    // The last trunk has no next: it keeps the time that SIP gives it.
    assert!(flow.pass(seconds(10)).is_empty());
}

#[test]
fn dialing_trying_keeps_the_trunk_past_4s() {
    let mut flow = Flow::hunting(&["north", "south"]);
    flow.callee(0, LegEvent::Trying);
    assert!(flow.pass(seconds(10)).is_empty());
}

#[test]
fn dialing_ring_timeout_ending() {
    let mut flow = Flow::hunting(&["north", "south"]);
    flow.caller(LegEvent::MediaReady);
    flow.callee(0, LegEvent::Ringing(Early::NoMedia));
    assert!(flow.pass(Duration::from_millis(59_999)).is_empty());
    assert_eq!(
        flow.pass(Duration::from_millis(1)),
        [
            "hang up caller no-answer by gateway (480 Temporarily Unavailable)",
            "cancel 0 no-answer",
            "write end"
        ]
    );
    assert_eq!(
        flow.callee(0, rejected(487, "Request Terminated", Retry::Never)),
        ["ended no-answer by gateway (480 Temporarily Unavailable)"]
    );
}

#[test]
fn early_answer_timeout_ending() {
    let mut flow = Flow::hunting(&["north"]);
    flow.caller(LegEvent::MediaReady);
    flow.callee(0, LegEvent::Ringing(Early::NoMedia));
    flow.callee(0, LegEvent::Progress(Early::Media));
    assert!(flow.pass(seconds(184)).is_empty(), "an announcement may outlast the ringing");
    let told = flow.pass(seconds(1));
    assert_eq!(told[1], "cancel 0 no-answer");
}

#[test]
fn routing_refused_ending() {
    let mut flow = Flow::start(LegKind::Page);
    let refusal = Refusal {
        cause: Cause::BlockedByDialplan,
        sip: None,
        rule: Some("no premium or shared-cost".into()),
        trace: Vec::new(),
    };
    let told = flow.push(Input::Routed(Decision::Refuse(refusal)));
    assert_eq!(told.last().unwrap(), "ended blocked-by-dialplan by gateway (403 Forbidden)");
    assert_eq!(flow.record().rule.as_deref(), Some("no premium or shared-cost"));
}

#[test]
fn routing_timeout_ending() {
    let mut flow = Flow::start(LegKind::Page);
    let told = flow.pass(seconds(5));
    assert_eq!(told.last().unwrap(), "ended internal by gateway (500 Server Internal Error)");
}

#[test]
fn routing_empty_targets_ending() {
    for targets in [Targets::Hunt(vec![]), Targets::Ring(vec![])] {
        let mut flow = Flow::start(LegKind::Page);
        let told = flow.push(routed(targets));
        assert!(told.last().unwrap().starts_with("ended unreachable by gateway"));
    }
}

#[test]
fn a_second_route_is_misuse() {
    let mut flow = Flow::hunting(&["north"]);
    let again = routed(Targets::Ring(vec![page("bob", 1)]));
    assert_eq!(flow.call.handle_input(flow.now, again), Err(Error::AlreadyRouted));
}

#[test]
fn connected_max_duration_ending() {
    let mut flow = Flow::hunting(&["north"]);
    flow.caller(LegEvent::MediaReady);
    flow.callee(0, LegEvent::Answered);
    flow.push(Input::RecordKept);
    assert!(flow.pass(seconds(7199)).is_empty());
    let told = flow.pass(seconds(1));
    assert_eq!(
        told,
        [
            "hang up caller max-duration by gateway",
            "hang up 0 max-duration by gateway",
            "write end",
            "ended max-duration by gateway"
        ]
    );
    assert_eq!(flow.record().duration_ms, 7_200_000);
}

#[test]
fn the_route_shortens_ringing_and_call() {
    let mut flow = Flow::start(LegKind::Page);
    let Input::Routed(Decision::Connect(mut route)) =
        routed(Targets::Hunt(vec![Target::Trunk(trunk_id("north"))]))
    else {
        unreachable!()
    };
    route.ring = Some(seconds(5));
    route.max_call = Some(seconds(20));
    flow.push(Input::Routed(Decision::Connect(route)));
    flow.caller(LegEvent::MediaReady);
    flow.callee(0, LegEvent::Ringing(Early::NoMedia));
    assert!(flow.pass(Duration::from_millis(4999)).is_empty());
    flow.callee(0, LegEvent::Answered);
    flow.push(Input::RecordKept);
    assert!(flow.pass(Duration::from_millis(19_999)).is_empty());
    assert!(!flow.pass(Duration::from_millis(1)).is_empty());
}

#[test]
fn the_page_has_15s_to_connect_its_media() {
    let mut flow = Flow::hunting(&["north"]);
    flow.callee(0, LegEvent::Ringing(Early::NoMedia));
    let told = flow.pass(seconds(15));
    assert_eq!(told[0], "hang up caller media-failed by gateway (488 Not Acceptable Here)");
}

#[test]
fn connected_media_lost_and_back_connected() {
    let mut flow = Flow::hunting(&["north"]);
    flow.caller(LegEvent::MediaReady);
    flow.callee(0, LegEvent::Answered);
    flow.push(Input::RecordKept);
    for event in [LegEvent::MediaLost, LegEvent::MediaReady] {
        flow.caller(event.clone());
        flow.callee(0, event);
        assert!(flow.pass(seconds(29)).is_empty());
    }
    assert!(flow.pass(seconds(3600)).is_empty());
    flow.callee(0, LegEvent::MediaLost);
    let told = flow.pass(seconds(30));
    assert_eq!(told.last().unwrap(), "ended media-timeout by gateway");
}

#[test]
fn dialing_media_failed_ending() {
    let mut flow = Flow::hunting(&["north"]);
    let told = flow.callee(0, LegEvent::MediaFailed);
    assert_eq!(
        told[..2],
        [
            "cancel 0 media-failed",
            "hang up caller media-failed by callee (488 Not Acceptable Here)"
        ]
    );
}

#[test]
fn connected_digits_go_to_the_other_side_and_only_their_count_is_kept() {
    let tone = |c| ToneItem::Digit {
        digit: Digit::from_char(c).unwrap(),
        duration: Duration::from_millis(100),
        gap: Duration::from_millis(70),
    };
    let mut flow = Flow::start(LegKind::Page);
    let early = Input::Leg(Leg::Caller, LegEvent::Tones(vec![tone('1')]));
    assert_eq!(flow.call.handle_input(flow.now, early), Err(Error::NoPeer));
    flow.push(routed(Targets::Hunt(vec![Target::Trunk(trunk_id("north"))])));
    let told = flow.caller(LegEvent::Tones(vec![tone('4'), ToneItem::Pause(seconds(2))]));
    assert_eq!(told, ["send 2 tones to 0"], "before the answer too");
    flow.callee(0, LegEvent::Answered);
    flow.push(Input::RecordKept);
    assert_eq!(flow.callee(0, LegEvent::Tones(vec![tone('9')])), ["send 1 tones to caller"]);
    flow.push(Input::End(Cause::ServerShutdown));
    assert_eq!(flow.record().digits, 2, "a pause is none");
}
