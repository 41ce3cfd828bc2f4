//! The session machine in virtual time. Each test is named by its transition.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::base::{Cause, EndedBy, epoch};
use crate::signaling::{CallState, Scope, mint};

const UNIX: u64 = 1_800_000_000;

pub(super) struct Bench {
    pub(super) session: Session,
    pub(super) now: Instant,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let key = TokenKey::new([7; 32]).unwrap();
        let config = Config {
            key,
            revoked: Arc::default(),
            ice: vec![],
            features: vec!["demo".into(), "emergency".into()],
            dialling: Arc::new(super::scope_tests::Germany),
        };
        let id = SessionId::from_parts(1, 1);
        Bench {
            session: Session::new(
                epoch(),
                UNIX,
                id,
                Secret::new("R1".to_owned()),
                Arc::new(config),
            ),
            now: epoch(),
        }
    }

    pub(super) fn open() -> Bench {
        Bench::open_with(|_| ())
    }

    pub(super) fn open_with(change: impl FnOnce(&mut Claims)) -> Bench {
        let mut bench = Bench::new();
        let token = bench.token(change);
        let out = bench.page(json!({"id": 1, "type": "hello", "token": token}));
        assert!(matches!(out[0], Output::Opened(_)), "{out:?}");
        bench
    }

    pub(super) fn token(&self, change: impl FnOnce(&mut Claims)) -> String {
        let claims = self.claims(change);
        mint(&TokenKey::new([7; 32]).unwrap(), &claims, UNIX.min(claims.exp - 1)).unwrap()
    }

    pub(super) fn claims(&self, change: impl FnOnce(&mut Claims)) -> Claims {
        let mut claims = Claims::new("alice".parse().unwrap(), UNIX + 600);
        change(&mut claims);
        claims
    }

    pub(super) fn page(&mut self, body: Value) -> Vec<Output> {
        self.input(Input::Text(&body.to_string()))
    }

    pub(super) fn input(&mut self, input: Input<'_>) -> Vec<Output> {
        self.session.handle_input(self.now, input).unwrap();
        self.drain().0
    }

    pub(super) fn drain(&mut self) -> (Vec<Output>, Option<Instant>) {
        let mut all = Vec::new();
        loop {
            match self.session.poll_output() {
                Output::Timeout(deadline) => return (all, deadline),
                // Beside the sends.
                Output::Copy(..) => {}
                output => all.push(output),
            }
        }
    }

    /// Lets the engine's own timers run, each at its deadline, for `by`.
    pub(super) fn wait(&mut self, by: Duration) -> Vec<(Duration, Output)> {
        let until = self.now + by;
        let mut all = Vec::new();
        for round in 0.. {
            assert!(round < 1000, "timers that do not move on");
            let (_, Some(deadline)) = self.drain() else { break };
            if deadline > until {
                break;
            }
            self.now = self.now.max(deadline);
            let at = self.now - epoch();
            all.extend(self.input(Input::Timeout).into_iter().map(|output| (at, output)));
        }
        self.now = until;
        all
    }
}

pub(super) fn call(n: u128) -> CallId {
    CallId::from_parts(1, n)
}

pub(super) fn start(id: u64, n: u128, to: &str) -> Value {
    json!({"id": id, "type": "call.start", "call": call(n), "to": to, "sdp": "v=0"})
}

pub(super) fn sent(output: &Output) -> Value {
    match output {
        Output::Send(text) => serde_json::from_str(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn error_code(out: &[Output]) -> String {
    assert_eq!(out.len(), 1, "{out:?}");
    sent(&out[0])["error"]["code"].as_str().unwrap().to_owned()
}

pub(super) fn closed(out: &[Output]) -> CloseCode {
    match out.last() {
        Some(Output::Close(code, _)) => *code,
        // The session is kept for its page.
        Some(Output::Away) => match &out[out.len() - 2] {
            Output::Drop(code, _) => *code,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

pub(super) fn started() -> Reply {
    Reply::Started { sdp: "v=0 answer".into(), to: "600".into(), rule: Some("echo".into()) }
}

pub(super) fn ended(n: u128) -> Event {
    Event::ended(call(n), Cause::Busy, EndedBy::Remote, None, None)
}

#[test]
fn new_to_hello_to_open() {
    let mut bench = Bench::new();
    let token = bench.token(|_| ());
    let out = bench.page(json!({"id": 1, "type": "hello", "token": token}));
    let welcome = sent(&out[1]);
    assert_eq!(welcome["re"], 1);
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(welcome["identity"], "alice");
    assert_eq!(welcome["expires_at"], UNIX + 600);
    assert_eq!(
        error_code(&bench.page(json!({"id": 2, "type": "hello", "token": token}))),
        "signal/wrong-state"
    );
}

#[test]
fn new_to_no_hello_within_5_s_to_close_4401() {
    let mut bench = Bench::new();
    let out = bench.wait(Duration::from_secs(60));
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].0, Duration::from_secs(5));
    assert!(matches!(out[0].1, Output::Close(CloseCode::Unauthorized, _)));
    assert_eq!(bench.drain(), (vec![], None));
}

#[test]
fn new_to_anything_but_hello_to_close_4401() {
    for body in
        [json!({"id": 1, "type": "ping"}), json!({"id": 1, "type": "hello"}), start(1, 1, "1")]
    {
        let out = Bench::new().page(body);
        assert_eq!(closed(&out), CloseCode::Unauthorized);
        assert_eq!(out.len(), 1);
    }
}

#[test]
fn new_to_bad_token_to_reply_and_close_4401() {
    let bench = Bench::new();
    let expired = bench.token(|claims| claims.exp = UNIX);
    for (token, code) in [("cp1.e30.AAAA", "auth/invalid"), (expired.as_str(), "auth/expired")] {
        let out = Bench::new().page(json!({"id": 1, "type": "hello", "token": token}));
        assert_eq!(sent(&out[0])["error"]["code"], code);
        assert_eq!(out[1], Output::Close(CloseCode::Unauthorized, code.into()));
    }
}

#[test]
fn open_to_silence_to_ping_at_15_s_to_close_4408_at_30_s() {
    let out = Bench::open().wait(Duration::from_secs(100));
    assert_eq!(out.len(), 3, "{out:?}");
    assert_eq!(out[0], (Duration::from_secs(15), Output::Ping));
    assert_eq!(out[1].0, Duration::from_secs(30));
    assert!(matches!(out[1].1, Output::Drop(CloseCode::Idle, _)));
    assert_eq!(out[2].1, Output::Away);
}

#[test]
fn open_to_pongs_to_open() {
    let mut bench = Bench::open();
    for n in 1..=20 {
        let out = bench.wait(Duration::from_secs(15));
        assert_eq!(out, vec![(Duration::from_secs(15 * n), Output::Ping)]);
        bench.input(Input::Pong);
    }
}

#[test]
fn open_to_51_messages_in_a_second_to_close_4429() {
    let mut bench = Bench::open();
    for n in 2..51 {
        let out = bench.page(json!({"id": n, "type": "ping"}));
        assert_eq!(sent(&out[0]), json!({"re": n, "ok": true}));
    }
    assert_eq!(closed(&bench.page(json!({"id": 51, "type": "ping"}))), CloseCode::Rate);
}

#[test]
fn open_to_50_messages_a_second_for_a_minute_to_open() {
    let mut bench = Bench::open();
    for n in 0..3000u64 {
        bench.now += Duration::from_millis(20);
        assert_eq!(bench.page(json!({"id": n, "type": "ping"})).len(), 1);
    }
}

#[test]
fn open_to_broken_text_to_close_4400() {
    for text in ["{", "null", &"[".repeat(100_000), &" ".repeat(65_537)] {
        assert_eq!(closed(&Bench::open().input(Input::Text(text))), CloseCode::BadMessage);
    }
    assert_eq!(closed(&Bench::open().input(Input::Binary)), CloseCode::BadMessage);
}

#[test]
fn open_to_unknown_type_to_error_and_open() {
    let mut bench = Bench::open();
    let out = bench.page(json!({"id": 9, "type": "call.park", "call": call(1)}));
    assert_eq!(error_code(&out), "protocol/unknown-type");
    assert_eq!(bench.page(json!({"id": 10, "type": "ping"})).len(), 1);
}

#[test]
fn start_to_granted_to_state_to_ended_with_rising_seq() {
    let mut bench = Bench::open();
    let out = bench.page(start(2, 1, "600"));
    assert!(matches!(&out[..], [Output::Request(RequestId(2), Request::CallStart(_))]));
    let reply = bench.input(Input::Reply(RequestId(2), Ok(started())));
    assert_eq!(sent(&reply[0])["rule"], "echo");
    let active = Event::CallState {
        call: call(1),
        state: CallState::Active,
        sip: None,
        codec: Some("PCMA".into()),
        early_media: false,
    };
    assert_eq!(sent(&bench.input(Input::Event(active))[0])["seq"], 1);
    let last = sent(&bench.input(Input::Event(ended(1)))[0]);
    assert_eq!((&last["seq"], &last["code"]), (&json!(2), &json!("busy")));
    assert_eq!(
        sent(&bench.page(json!({"id": 3, "type": "call.hangup", "call": call(1)}))[0])["ok"],
        true
    );
}

#[test]
fn start_again_while_starting_to_one_request_and_two_replies() {
    let mut bench = Bench::open();
    assert_eq!(bench.page(start(2, 1, "600")).len(), 1);
    assert_eq!(bench.page(start(3, 1, "600")), vec![]);
    let out = bench.input(Input::Reply(RequestId(2), Ok(started())));
    let mut to: Vec<Value> = out.iter().map(|o| sent(o)["re"].clone()).collect();
    to.sort_by_key(Value::as_u64);
    assert_eq!(to, vec![json!(2), json!(3)]);
}

#[test]
fn start_again_after_the_reply_to_the_same_reply() {
    for outcome in [Ok(started()), Err(Refusal::new(ErrorCode::CallBlocked))] {
        let mut bench = Bench::open();
        bench.page(start(2, 1, "600"));
        let first = sent(&bench.input(Input::Reply(RequestId(2), outcome))[0]);
        bench.input(Input::Event(ended(1)));
        let mut again = sent(&bench.page(start(3, 1, "600"))[0]);
        again["re"] = json!(2);
        assert_eq!(again, first);
    }
}

#[test]
fn start_again_to_another_number_to_call_id_taken() {
    let mut bench = Bench::open();
    bench.page(start(2, 1, "600"));
    assert_eq!(error_code(&bench.page(start(3, 1, "601"))), "signal/call-id-taken");
}

#[test]
fn start_without_scope_to_forbidden() {
    let mut inbound_only = Bench::open_with(|claims| claims.scopes = vec![Scope::CallIn]);
    assert_eq!(error_code(&inbound_only.page(start(2, 1, "600"))), "auth/forbidden");
    let mut scoped = Bench::open_with(|claims| claims.destinations = vec!["600".into()]);
    assert_eq!(error_code(&scoped.page(start(2, 1, "601"))), "auth/forbidden");
    assert!(matches!(scoped.page(start(3, 2, "6-0-0"))[0], Output::Request(..)));
}

#[test]
fn start_from_a_number_not_in_the_token_to_caller_id_not_allowed() {
    let mut bench = Bench::open_with(|claims| claims.callers = vec!["+4930111111".into()]);
    let mut other = start(2, 1, "600");
    other["from"] = json!("+4930222222");
    assert_eq!(error_code(&bench.page(other)), "call/caller-id-not-allowed");
    match &bench.page(start(3, 2, "600"))[0] {
        Output::Request(_, Request::CallStart(body)) => {
            assert_eq!(body.from.as_ref().unwrap().as_str(), "+4930111111");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn start_of_a_17th_call_to_limit_reached() {
    let mut bench = Bench::open();
    for n in 0..16 {
        assert!(matches!(bench.page(start(n + 2, n.into(), "600"))[0], Output::Request(..)));
    }
    assert_eq!(error_code(&bench.page(start(90, 90, "600"))), "call/limit-reached");
    bench.input(Input::Event(ended(3)));
    assert!(matches!(bench.page(start(91, 91, "600"))[0], Output::Request(..)));
}

#[test]
fn a_thousand_calls_to_bounded_memory() {
    let mut bench = Bench::open();
    for n in 0..1000u64 {
        bench.now += Duration::from_millis(100);
        bench.page(start(n + 2, n.into(), "600"));
        bench.input(Input::Reply(RequestId(n + 2), Ok(started())));
        bench.input(Input::Event(ended(n.into())));
        assert!(
            bench.session.calls.len() <= calls::MAX_REMEMBERED && bench.session.pending.is_empty()
        );
    }
}

#[test]
fn unknown_call_to_unknown_call() {
    let mut bench = Bench::open();
    for (n, kind) in
        ["call.hangup", "call.answer", "call.reject", "ice", "dtmf.press"].iter().enumerate()
    {
        let body = json!({"id": n + 2, "type": kind, "call": call(1), "sdp": "v=0", "candidate": null, "tone": "1"});
        assert_eq!(error_code(&bench.page(body)), "signal/unknown-call", "{kind}");
    }
}

#[test]
fn starting_to_ice_and_dtmf_to_the_gateway_in_order() {
    let mut bench = Bench::open();
    bench.page(start(2, 1, "600"));
    let out = bench.page(json!({"id": 3, "type": "ice", "call": call(1), "candidate": null}));
    assert!(matches!(&out[0], Output::Request(RequestId(3), Request::Ice(_))));
    assert_eq!(sent(&out[1]), json!({"re": 3, "ok": true}));
    let out = bench.page(json!({"id": 4, "type": "dtmf.send", "call": call(1), "tones": "12"}));
    assert!(matches!(&out[..], [Output::Request(RequestId(4), Request::DtmfSend(_))]));
}

#[test]
fn ended_to_late_ice_to_ok_and_dtmf_to_call_ended() {
    let mut bench = Bench::open();
    bench.page(start(2, 1, "600"));
    bench.input(Input::Event(ended(1)));
    let out = bench.page(json!({"id": 3, "type": "ice", "call": call(1), "candidate": null}));
    assert_eq!(out.iter().map(sent).collect::<Vec<_>>(), vec![json!({"re": 3, "ok": true})]);
    let out = bench.page(json!({"id": 4, "type": "dtmf.press", "call": call(1), "tone": "5"}));
    assert_eq!(error_code(&out), "call/ended");
    // The reply to call.start may come after the end; the call stays ended.
    bench.input(Input::Reply(RequestId(2), Ok(started())));
    assert_eq!(bench.session.calls.live(), 0);
}

#[test]
fn incoming_to_answer_to_active_and_a_second_answer_to_wrong_state() {
    let mut bench = Bench::open();
    bench.input(Input::Event(incoming(1)));
    let answer = |id: u64| json!({"id": id, "type": "call.answer", "call": call(1), "sdp": "v=0"});
    assert!(matches!(bench.page(answer(2))[0], Output::Request(_, Request::CallAnswer(_))));
    bench.input(Input::Reply(RequestId(2), Ok(Reply::Done {})));
    bench.input(Input::Event(Event::CallState {
        call: call(1),
        state: CallState::Active,
        sip: None,
        codec: None,
        early_media: false,
    }));
    assert_eq!(error_code(&bench.page(answer(3))), "signal/wrong-state");
}

#[test]
fn incoming_to_cancelled_to_answer_to_call_ended() {
    let mut bench = Bench::open();
    bench.input(Input::Event(incoming(1)));
    let code = Cause::AnsweredElsewhere.end_code();
    bench.input(Input::Event(Event::CallCancelled { call: call(1), code }));
    let answer = json!({"id": 2, "type": "call.answer", "call": call(1), "sdp": "v=0"});
    assert_eq!(error_code(&bench.page(answer)), "call/ended");
}

#[test]
fn token_about_to_end_to_expiring_to_renewed() {
    let mut bench = Bench::open_with(|claims| claims.exp = UNIX + 70);
    let out = bench.wait(Duration::from_secs(12));
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].0, Duration::from_secs(10));
    assert_eq!(sent(&out[0].1)["type"], "token.expiring");
    let foreign = bench.token(|claims| claims.sub = "bob".parse().unwrap());
    let out = bench.page(json!({"id": 2, "type": "token", "token": foreign}));
    assert_eq!(error_code(&out), "auth/forbidden");
    let fresh = bench.token(|_| ());
    let out = bench.page(json!({"id": 3, "type": "token", "token": fresh}));
    assert!(matches!(out[0], Output::Renewed(_)));
    assert_eq!(sent(&out[1])["ok"], true);
}

#[test]
fn token_over_to_close_4401_when_no_call_is_left() {
    let mut bench = Bench::open_with(|claims| claims.exp = UNIX + 20);
    bench.page(start(2, 1, "600"));
    bench.wait(Duration::from_secs(14));
    bench.input(Input::Pong);
    let out = bench.wait(Duration::from_secs(10));
    assert!(out.iter().all(|(_, output)| *output == Output::Ping), "{out:?}");
    assert_eq!(error_code(&bench.page(start(3, 2, "600"))), "auth/expired");
    bench.input(Input::Event(ended(1)));
    let out = bench.wait(Duration::from_millis(1));
    assert!(matches!(out[0].1, Output::Close(CloseCode::Unauthorized, _)), "{out:?}");
}

#[test]
fn open_to_revoked_to_close_4401_and_a_new_token_is_good() {
    let mut bench = Bench::open();
    bench.page(start(2, 1, "600"));
    let revoked = bench.session.config.revoked.clone();
    revoked.write().unwrap().user("bob".parse().unwrap(), UNIX);
    assert_eq!(bench.input(Input::TokensRevoked), vec![]);
    revoked.write().unwrap().user("alice".parse().unwrap(), UNIX);
    let out = bench.input(Input::TokensRevoked);
    assert_eq!(out, vec![Output::Close(CloseCode::Unauthorized, "auth/revoked".into())]);
    let mut again = Bench::new();
    again.session.config = bench.session.config.clone();
    let old = again.token(|_| ());
    let out = again.page(json!({"id": 1, "type": "hello", "token": old}));
    assert_eq!(sent(&out[0])["error"]["code"], "auth/revoked");
}

#[test]
fn a_second_reply_is_the_gateways_fault() {
    let mut bench = Bench::open();
    bench.page(start(2, 1, "600"));
    bench.input(Input::Reply(RequestId(2), Ok(started())));
    let again = Input::Reply(RequestId(2), Ok(started()));
    assert_eq!(bench.session.handle_input(bench.now, again), Err(Error::NotAsked(RequestId(2))));
}

#[test]
fn closed_to_anything_to_nothing() {
    let mut bench = Bench::open();
    assert_eq!(closed(&bench.input(Input::Close(CloseCode::Draining))), CloseCode::Draining);
    assert_eq!(bench.page(start(2, 1, "600")), vec![]);
    assert_eq!(bench.input(Input::Event(ended(1))), vec![]);
    assert_eq!(bench.drain(), (vec![], None));
}

pub(super) fn incoming(n: u128) -> Event {
    Event::CallIncoming(Box::new(crate::signaling::CallIncoming {
        call: call(n),
        from: Default::default(),
        to: Default::default(),
        metadata: Default::default(),
        sdp: "v=0".into(),
        verified: None,
    }))
}

#[derive(Debug, Clone)]
enum Step {
    Text(String),
    Start(u64, u8),
    About(u64, u8, &'static str),
    Reply(u64, bool),
    Event(u8, u8),
    Wait(u16),
    Pong,
}

fn step() -> impl Strategy<Value = Step> {
    let kind =
        prop::sample::select(vec!["call.hangup", "call.answer", "ice", "dtmf.press", "ping"]);
    prop_oneof![
        1 => ".{0,30}".prop_map(Step::Text),
        8 => (0..30u64, 0..6u8).prop_map(|(id, n)| Step::Start(id, n)),
        8 => (0..30u64, 0..6u8, kind).prop_map(|(id, n, kind)| Step::About(id, n, kind)),
        8 => (0..30u64, any::<bool>()).prop_map(|(id, ok)| Step::Reply(id, ok)),
        8 => (0..6u8, 0..3u8).prop_map(|(n, which)| Step::Event(n, which)),
        4 => (0..20_000u16).prop_map(Step::Wait),
        4 => Just(Step::Pong),
    ]
}

proptest! {
    /// Whatever comes in which order: `seq` rises by one, each call starts once, timers move on, and
    /// a close is the last output.
    #[test]
    fn any_order_of_inputs_keeps_the_rules(steps in prop::collection::vec(step(), 0..120)) {
        let mut bench = Bench::open();
        let (mut seq, mut over) = (0, false);
        let mut begun = std::collections::HashSet::new();
        for step in steps {
            let outputs = match step {
                Step::Text(text) => bench.input(Input::Text(&text)),
                Step::Start(id, n) => bench.page(start(id, n.into(), "600")),
                Step::About(id, n, kind) => bench.page(json!({"id": id, "type": kind,
                    "call": call(n.into()), "sdp": "v=0", "candidate": null, "tone": "1"})),
                Step::Reply(id, ok) => {
                    let outcome = if ok { Ok(started()) } else { Err(ErrorCode::CallBlocked.into()) };
                    let _ = bench.session.handle_input(bench.now, Input::Reply(RequestId(id), outcome));
                    bench.drain().0
                }
                Step::Event(n, 0) => bench.input(Input::Event(incoming(n.into()))),
                Step::Event(n, _) => bench.input(Input::Event(ended(n.into()))),
                Step::Wait(ms) => {
                    bench.wait(Duration::from_millis(ms.into())).into_iter().map(|(_, o)| o).collect()
                }
                Step::Pong => bench.input(Input::Pong),
            };
            for output in outputs {
                prop_assert!(!over, "something after the close: {output:?}");
                match output {
                    Output::Send(text) => {
                        let body: Value = serde_json::from_str(&text).unwrap();
                        if let Some(number) = body["seq"].as_u64() {
                            seq += 1;
                            prop_assert_eq!(number, seq);
                        }
                    }
                    Output::Request(_, Request::CallStart(body)) => {
                        prop_assert!(begun.insert(body.call), "started twice");
                    }
                    Output::Close(..) | Output::Away => over = true,
                    _ => {}
                }
            }
        }
    }
}
