//! A session without its socket, and its page's return.

use super::tests::{Bench, call, closed, ended, error_code, incoming, sent, start, started};
use super::*;
use crate::base::{Digit, EndCode};
use crate::signaling::{CallState, Phase, Source};
use serde_json::{Value, json};

fn resume(bench: &mut Bench, last_seq: Option<u64>) -> Vec<Output> {
    let claims = bench.claims(|_| ());
    let resume = Secret::new("R2".to_owned());
    bench.input(Input::Resumed(Resumed {
        request: RequestId(1),
        claims,
        token: TokenId([0; 16]),
        last_seq,
        resume,
    }))
}

fn dtmf(n: u128, key: char, phase: Phase) -> Event {
    Event::Dtmf {
        call: call(n),
        tone: Digit::from_char(key).unwrap(),
        phase,
        duration: None,
        source: Source::Rfc4733,
        at: 0,
    }
}

fn active(n: u128) -> Event {
    Event::CallState {
        call: call(n),
        state: CallState::Active,
        sip: None,
        codec: None,
        early_media: false,
    }
}

/// A session with one call of its own that is up: event 1.
fn talking() -> Bench {
    let mut bench = Bench::open();
    bench.page(start(2, 1, "600"));
    bench.input(Input::Reply(RequestId(2), Ok(started())));
    bench.input(Input::Event(active(1)));
    bench
}

/// The welcome and the events of an [`Output::Back`], without the ping that ends it.
fn back(out: &[Output]) -> (Value, Vec<Value>) {
    assert!(matches!(out.first(), Some(Output::Back(_))), "{out:?}");
    assert_eq!(out.last(), Some(&Output::Ping));
    (sent(&out[1]), out[2..out.len() - 1].iter().map(sent).collect())
}

#[test]
fn open_to_lost_to_away_to_resumed_with_what_was_missed() {
    let mut bench = talking();
    assert_eq!(bench.input(Input::Lost(Loss::Network)), vec![Output::Away]);
    for key in ['4', '2'] {
        assert_eq!(bench.input(Input::Event(dtmf(1, key, Phase::Start))), vec![]);
        assert_eq!(bench.input(Input::Event(dtmf(1, key, Phase::End))), vec![]);
    }
    bench.wait(Duration::from_secs(59));
    let (welcome, events) = back(&resume(&mut bench, Some(1)));
    assert_eq!((&welcome["re"], &welcome["resume"]), (&json!(1), &json!("R2")));
    assert_eq!(welcome["grace"], 60_000);
    assert_eq!(welcome["calls"][0]["state"], "active");
    assert_eq!(welcome["calls"][0]["digits"], "", "those are in the events");
    let seen: Vec<_> = events.iter().map(|e| (e["seq"].as_u64(), e["tone"].as_str())).collect();
    let of = |seq, tone| (Some(seq), Some(tone));
    assert_eq!(seen, [of(2, "4"), of(3, "4"), of(4, "2"), of(5, "2")]);
    assert_eq!(sent(&bench.input(Input::Event(ended(1)))[0])["seq"], 6);
}

#[test]
fn away_for_60_s_to_over_and_unloaded_for_20_s() {
    for (loss, seconds) in [(Loss::Network, 60), (Loss::Unloaded, 20)] {
        let mut bench = talking();
        bench.input(Input::Lost(loss));
        bench.wait(Duration::from_millis(seconds * 1000 - 1));
        assert!(bench.drain().1.is_some(), "{loss:?} is kept");
        assert_eq!(bench.wait(Duration::from_millis(2)), vec![], "nobody is there to be told");
        assert_eq!(bench.drain(), (vec![], None));
        assert_eq!(resume(&mut bench, None), vec![]);
    }
    let mut bench = talking();
    assert_eq!(bench.input(Input::Lost(Loss::Goodbye)), vec![]);
    assert_eq!(bench.drain(), (vec![], None));
}

#[test]
fn a_page_loaded_again_is_told_all_of_its_calls() {
    let mut bench = talking();
    bench.input(Input::Event(incoming(2)));
    bench.input(Input::Event(dtmf(1, '7', Phase::Start)));
    bench.input(Input::Event(dtmf(1, '7', Phase::End)));
    assert_eq!(
        bench.page(json!({"id": 3, "type": "call.mute", "call": call(1), "muted": true})).len(),
        1
    );
    bench.input(Input::Lost(Loss::Unloaded));
    bench.input(Input::Event(dtmf(1, '8', Phase::Start)));
    let (welcome, events) = back(&resume(&mut bench, Some(4)));
    let [own, rings] = welcome["calls"].as_array().unwrap().as_slice() else { panic!("{welcome}") };
    assert_eq!((&own["call"], &own["direction"]), (&json!(call(1)), &json!("outgoing")));
    assert_eq!((&own["muted"], &own["digits"]), (&json!(true), &json!("7")));
    assert_eq!(own["to"]["uri"], "600");
    assert_eq!(own["answered_at"], UNIX_MS);
    assert_eq!(own["sdp"], Value::Null);
    assert_eq!((&rings["direction"], &rings["state"]), (&json!("incoming"), &json!("ringing")));
    assert_eq!(rings["sdp"], "v=0");
    assert_eq!(events.len(), 1, "the 8");
    assert_eq!(events[0]["tone"], "8");
}

#[test]
fn an_end_while_away_is_told_and_hanging_up_then_is_granted() {
    let mut bench = talking();
    bench.input(Input::Lost(Loss::Network));
    bench.input(Input::Event(ended(1)));
    let (welcome, events) = back(&resume(&mut bench, Some(1)));
    assert_eq!(welcome["calls"], json!([]));
    assert_eq!(events[0]["type"], "call.ended");
    let media =
        json!({"id": 2, "type": "call.media", "call": call(1), "mode": "restart", "sdp": "v=0"});
    assert_eq!(error_code(&bench.page(media)), "call/ended");
    let out = bench.page(json!({"id": 3, "type": "call.hangup", "call": call(1)}));
    assert_eq!(sent(&out[0])["ok"], true);
}

#[test]
fn what_breaks_the_rules_loses_the_socket_and_not_the_session() {
    for (text, code) in [("{", CloseCode::BadMessage), ("[[[", CloseCode::BadMessage)] {
        let mut bench = talking();
        let out = bench.input(Input::Text(text));
        assert!(matches!(&out[0], Output::Drop(c, _) if *c == code), "{out:?}");
        assert_eq!(out[1], Output::Away);
        let (welcome, _) = back(&resume(&mut bench, Some(1)));
        assert_eq!(welcome["calls"][0]["call"], json!(call(1)));
    }
}

#[test]
fn a_reply_to_a_lost_socket_finds_nobody_and_the_retry_is_answered() {
    let mut bench = Bench::open();
    bench.page(start(2, 1, "600"));
    bench.input(Input::Lost(Loss::Network));
    assert_eq!(bench.input(Input::Reply(RequestId(2), Ok(started()))), vec![]);
    let (welcome, _) = back(&resume(&mut bench, Some(0)));
    assert_eq!(welcome["calls"][0]["state"], "connecting");
    let again = bench.page(start(2, 1, "600"));
    assert_eq!(sent(&again[0])["rule"], "echo");
    // Numbers of the new socket are not mistaken for those of the old one.
    let out = bench.page(json!({"id": 3, "type": "call.hangup", "call": call(1)}));
    let Output::Request(own, Request::CallHangup(_)) = &out[0] else { panic!("{out:?}") };
    assert_ne!(*own, RequestId(3));
    let out = bench.input(Input::Reply(*own, Ok(Reply::Done {})));
    assert_eq!(sent(&out[0]), json!({"re": 3, "ok": true}));
}

#[test]
fn another_socket_takes_the_place_of_one_that_seems_alive() {
    let mut bench = talking();
    bench.page(json!({"id": 4, "type": "dtmf.send", "call": call(1), "tones": "1"}));
    let (welcome, events) = back(&resume(&mut bench, None));
    assert_eq!((welcome["calls"].as_array().unwrap().len(), events.len()), (1, 0));
    // What the old one asked is answered to nobody.
    assert_eq!(bench.input(Input::Reply(RequestId(4), Ok(Reply::Done {}))), vec![]);
}

#[test]
fn a_hello_that_names_a_session_is_asked_about_and_may_fail() {
    let mut bench = Bench::new();
    let token = bench.token(|_| ());
    let hello = json!({"id": 1, "type": "hello", "token": token, "session": SessionId::from_parts(9, 9),
        "resume": "R1", "last_seq": 3, "reason": "reload"});
    let out = bench.page(hello);
    let [Output::Resume(RequestId(1), hello, claims)] = &out[..] else { panic!("{out:?}") };
    assert_eq!((hello.last_seq, claims.sub.as_str()), (Some(3), "alice"));
    let out = bench.input(Input::NotKept(RequestId(1)));
    assert_eq!(error_code(&out), "signal/stale-session");
    let out = bench.page(json!({"id": 2, "type": "hello", "token": token}));
    assert!(matches!(out[0], Output::Opened(_)));
    let bad = json!({"id": 1, "type": "hello", "token": "cp1.e30.AAAA", "session": SessionId::from_parts(9, 9), "resume": "R1"});
    assert_eq!(closed(&Bench::new().page(bad)), CloseCode::Unauthorized, "the token comes first");
}

#[test]
fn the_gateways_offer_is_answered_once_and_gives_way_to_the_pages() {
    let mut bench = talking();
    let answer = |id: u64| json!({"id": id, "type": "call.answer", "call": call(1), "sdp": "v=0"});
    assert_eq!(error_code(&bench.page(answer(3))), "signal/wrong-state");
    let offer = || Event::CallMedia { call: call(1), sdp: "v=0".into() };
    bench.input(Input::Event(offer()));
    assert!(matches!(bench.page(answer(4))[0], Output::Request(_, Request::CallAnswer(_))));
    assert_eq!(error_code(&bench.page(answer(5))), "signal/wrong-state");
    bench.input(Input::Event(offer()));
    let media =
        json!({"id": 6, "type": "call.media", "call": call(1), "mode": "restart", "sdp": "v=0"});
    assert!(matches!(bench.page(media)[0], Output::Request(_, Request::CallMedia(_))));
    assert_eq!(error_code(&bench.page(answer(7))), "signal/wrong-state", "it crossed the page's");
}

#[test]
fn a_ping_forgets_what_the_page_has() {
    let mut bench = talking();
    bench.input(Input::Event(dtmf(1, '1', Phase::Start)));
    bench.page(json!({"id": 8, "type": "ping", "last_seq": 2}));
    bench.input(Input::Lost(Loss::Network));
    bench.input(Input::Event(Event::CallCancelled { call: call(3), code: EndCode::Cancelled }));
    let (welcome, events) = back(&resume(&mut bench, Some(0)));
    assert_eq!(welcome["calls"][0]["digits"], "1");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["seq"], 3);
}

#[test]
fn events_of_a_live_call_are_copied_also_while_away() {
    let mut bench = talking();
    for loss in [None, Some(Loss::Network)] {
        if let Some(loss) = loss {
            bench.input(Input::Lost(loss));
        }
        bench.session.handle_input(bench.now, Input::Event(dtmf(1, '4', Phase::Start))).unwrap();
        match bench.session.poll_output() {
            Output::Copy(of, text) => {
                assert_eq!(of, call(1));
                assert!(text.contains("\"dtmf\""), "{text}");
            }
            other => panic!("{other:?}"),
        }
        bench.drain();
    }
    bench.session.handle_input(bench.now, Input::Event(ended(1))).unwrap();
    assert!(matches!(bench.session.poll_output(), Output::Timeout(_)), "its media is gone");
}

const UNIX_MS: u64 = 1_800_000_000_000;
