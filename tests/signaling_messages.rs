//! Every message of `crosspoint.v1` as it stands on the wire: `tests/data/signaling/`.
//!
//! What a page sends is decoded from the file and compared with the value; what the gateway sends is
//! encoded and compared with the file. A change that breaks one of them breaks somebody's page.
//! `CROSSPOINT_RENDER=1 cargo test --test signaling_messages` writes the gateway's files again.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use crosspoint::base::{CallId, Cause, Digit, EndedBy, Party, Secret, SessionId, SipStatus};
use crosspoint::signaling::*;
use serde_json::{Value, json};

#[test]
fn what_a_page_sends() {
    let call = call();
    let candidate = Candidate {
        candidate: "candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host".into(),
        sdp_mid: Some("0".into()),
        sdp_m_line_index: Some(0),
        username_fragment: Some("aBcD".into()),
    };
    let client = Client { name: "crosspoint-sdk".into(), version: "0.1.0".into() };
    let hello = Hello {
        token: Secret::new("cp1.e30.AAAA".into()),
        client,
        session: None,
        resume: None,
        last_seq: None,
        reason: None,
    };
    let start = CallStart {
        call,
        to: "+49 30 1234567".parse().unwrap(),
        from: Some("+493022222".parse().unwrap()),
        metadata: [("ticket".to_owned(), "4711".to_owned())].into(),
        sdp: SDP.into(),
    };
    let send =
        DtmfSend { call, tones: "1w4242#".parse().unwrap(), duration: Some(100), gap: Some(70) };
    let tone = Digit::from_char('5').unwrap();
    let number = TransferTo::Number("+49 40 7654321".parse().unwrap());
    let blind = CallTransfer { call, to: number };
    let attended = CallTransfer { call, to: TransferTo::Call(other_call()) };
    let table = [
        ("hello", Request::Hello(hello.clone())),
        (
            "hello.resume",
            Request::Hello(Hello {
                session: Some(SessionId::from_parts(1_700_000_000_000, 1)),
                resume: Some(Secret::new("cmVzdW1lIHRoaXMgb25l".into())),
                last_seq: Some(41),
                reason: Some(CameBack::Reload),
                ..hello
            }),
        ),
        ("token", Request::Token(TokenRefresh { token: Secret::new("cp1.e30.AAAA".into()) })),
        ("call.start", Request::CallStart(start)),
        ("call.answer", Request::CallAnswer(CallAnswer { call, sdp: SDP.into() })),
        ("call.reject", Request::CallReject(CallReject { call, reason: RejectReason::Busy })),
        ("call.hangup", Request::CallHangup(CallHangup { call })),
        ("ice", Request::Ice(Ice { call, candidate: Some(candidate) })),
        ("ice.end", Request::Ice(Ice { call, candidate: None })),
        ("dtmf.send", Request::DtmfSend(send)),
        ("dtmf.press", Request::DtmfPress(DtmfPress { call, tone })),
        ("dtmf.release", Request::DtmfRelease(DtmfRelease { call })),
        ("dtmf.cancel", Request::DtmfCancel(DtmfCancel { call })),
        (
            "call.media",
            Request::CallMedia(CallMedia { call, mode: MediaMode::NewPeer, sdp: SDP.into() }),
        ),
        ("call.hold", Request::CallHold(CallHold { call })),
        ("call.unhold", Request::CallUnhold(CallHold { call })),
        ("call.transfer", Request::CallTransfer(blind)),
        ("call.transfer.attended", Request::CallTransfer(attended)),
        (
            "call.stats",
            Request::CallStats(PageStats {
                call,
                stats: StatsSummary {
                    rtt: Some(12.0),
                    mos: Some(4.3),
                    inbound: LegSummary { packets: 500, lost: 5, loss_ratio: 0.01, jitter: 3.5 },
                    outbound: LegSummary::default(),
                },
            }),
        ),
        (
            "call.report",
            Request::CallReport(CallReport {
                call,
                rating: 2,
                problem: Some(Problem::OneWayAudio),
                note: None,
            }),
        ),
        (
            "call.message",
            Request::CallMessage(CallMessage {
                call,
                data: Words::try_from(json!({"ticket": 4711})).unwrap(),
            }),
        ),
        ("call.mute", Request::CallMute(CallMute { call, muted: true })),
        ("ping", Request::Ping(Ping { last_seq: Some(41) })),
    ];
    let mut named = BTreeSet::new();
    for (name, request) in table {
        let text = std::fs::read_to_string(path("page", name)).unwrap();
        assert_eq!(decode(&text), Ok((RequestId(7), request)), "{name}");
        named.insert(format!("{name}.json"));
    }
    assert_eq!(files("page"), named, "every file is in the table");
}

#[test]
fn what_the_gateway_sends() {
    let call = call();
    let party = |number: &str, uri: &str, display: Option<&str>| Party {
        user: None,
        number: number.parse().ok(),
        uri: uri.into(),
        display: display.map(str::to_owned),
    };
    let tone = Digit::from_char('5').unwrap();
    let status = |status, reason: &str| Some(SipStatus { status, reason: reason.into() });
    let state = |state, sip, codec: Option<&str>, early_media| Event::CallState {
        call,
        state,
        sip,
        codec: codec.map(str::to_owned),
        early_media,
    };
    let welcome = Welcome {
        kind: "welcome",
        session: SessionId::from_parts(1_700_000_000_000, 1),
        identity: "alice".into(),
        ice_servers: vec![IceServer {
            urls: vec!["turn:turn.example:3478".into()],
            username: Some("1700000600:alice".into()),
            credential: Some("c2VjcmV0".into()),
        }],
        expires_at: 1_700_000_600,
        grace: 60_000,
        calls: vec![CallView {
            call,
            direction: Direction::Outgoing,
            state: CallState::Active,
            from: party("+493022222", "", None),
            to: party("+49301234567", "+49 30 1234567", None),
            metadata: [("ticket".to_owned(), "4711".to_owned())].into(),
            verified: None,
            sdp: None,
            answered_at: Some(1_700_000_000_000),
            muted: false,
            held: true,
            held_by_remote: false,
            digits: "42".into(),
        }],
        features: vec![],
        echo: Some("610".into()),
        resume: "cmVzdW1lIHRoaXMgb25l".into(),
    };
    let incoming = CallIncoming {
        call,
        from: party("+4930123456", "sip:+4930123456@north.example", Some("Front desk")),
        to: party("", "sip:alice@crosspoint.example", None),
        metadata: [("X-Ticket".to_owned(), "4711".to_owned())].into(),
        sdp: SDP.into(),
        verified: Some(Verified::A),
    };
    let receipt = Receipt {
        mode: Some(Source::Rfc4733),
        from: "rtp",
        measured_ms: Some(101),
        tone_ms: Some(100),
        gap_ms: Some(80),
        clock: Some(8000),
        payload_type: Some(101),
        packets: Some(8),
        end_packets: Some(3),
        info_status: None,
        delay_ms: Some(0.5),
    };
    let page = LegReport {
        packets: 250,
        lost: 8,
        octets: 15_000,
        sent_packets: 258,
        sent_octets: 41_280,
        mos: 4.21,
        rating: 87.5,
        loss_percent: 3.0,
        concealed_percent: 0.25,
        jitter_ms: 12.5,
        buffer_ms: 45.0,
        round_trip_ms: Some(60.0),
        one_way_delay_ms: 95.0,
        remote_loss_percent: Some(1.5),
    };
    let trunk = LegReport { round_trip_ms: None, remote_loss_percent: None, ..page };
    let granted = |reply| encode_reply(RequestId(7), &Ok(reply));
    let event = |event| encode_event(4, &event);
    let refusal = Refusal::new(ErrorCode::CallBlocked)
        .saying("No rule allows this number.")
        .with_details(json!({"rule": "no premium or shared-cost", "sip": {"status": 403, "reason": "Forbidden"}}))
        .after_ms(5000);
    let table = [
        ("media", granted(Reply::Media { sdp: SDP.into() })),
        (
            "call.warning",
            event(Event::CallWarning {
                call,
                name: Warning::TrunkHighLoss,
                active: true,
                value: 0.04,
                threshold: 0.03,
            }),
        ),
        ("call.media", event(Event::CallMedia { call, sdp: SDP.into() })),
        ("welcome", granted(Reply::Welcome(Box::new(welcome)))),
        (
            "started",
            granted(Reply::Started {
                sdp: SDP.into(),
                to: "+49301234567".into(),
                rule: Some("national".into()),
            }),
        ),
        ("done", granted(Reply::Done {})),
        ("error", encode_reply(RequestId(7), &Err(refusal))),
        ("call.incoming", event(Event::CallIncoming(Box::new(incoming)))),
        (
            "call.state.ringing",
            event(state(CallState::Ringing, status(180, "Ringing"), None, false)),
        ),
        (
            "call.state.early-media",
            event(state(
                CallState::EarlyMedia,
                status(183, "Session Progress"),
                Some("PCMA"),
                true,
            )),
        ),
        (
            "call.state.active",
            event(state(CallState::Active, status(200, "OK"), Some("PCMA"), false)),
        ),
        (
            "call.cancelled",
            event(Event::CallCancelled { call, code: Cause::AnsweredElsewhere.end_code() }),
        ),
        (
            "call.ended",
            event(Event::ended(call, Cause::Busy, EndedBy::Remote, status(486, "Busy Here"), None)),
        ),
        (
            "call.ended.blocked",
            event(Event::ended(
                call,
                Cause::BlockedByDialplan,
                EndedBy::Gateway,
                Some(Cause::BlockedByDialplan.sip()),
                Some("no premium or shared-cost".into()),
            )),
        ),
        (
            "dtmf.start",
            event(Event::Dtmf {
                call,
                tone,
                phase: Phase::Start,
                duration: None,
                source: Source::Rfc4733,
                at: 12_345,
            }),
        ),
        (
            "dtmf.end",
            event(Event::Dtmf {
                call,
                tone,
                phase: Phase::End,
                duration: Some(120),
                source: Source::SipInfo,
                at: 12_465,
            }),
        ),
        ("transfer", granted(Reply::Transfer { status: TransferStatus::Accepted })),
        (
            "call.message",
            event(Event::CallMessage {
                call,
                data: Words::try_from(json!({"ticket": 4711})).unwrap(),
            }),
        ),
        ("call.held", event(Event::CallHeld { call, by: Some(HeldBy::Both) })),
        ("call.held.no-more", event(Event::CallHeld { call, by: None })),
        (
            "call.transfer",
            event(Event::CallTransfer { call, status: TransferStatus::Failed, sip: Some(486) }),
        ),
        ("dtmf.sent", event(Event::DtmfSent { call, tone, receipt })),
        (
            "dtmf.mode",
            event(Event::DtmfMode {
                call,
                mode: Some(Source::Inband),
                info_status: Some(405),
                error: None,
            }),
        ),
        (
            "dtmf.mode.none",
            event(Event::DtmfMode {
                call,
                mode: None,
                info_status: None,
                error: Some(ErrorCode::MediaNoDigits.into()),
            }),
        ),
        ("ice", event(Event::Ice { call, candidate: None })),
        (
            "call.stats",
            event(Event::CallStats { call, page: Box::new(page), trunk: Box::new(trunk) }),
        ),
        ("token.expiring", event(Event::TokenExpiring { expires_at: 1_700_000_600 })),
        (
            "closing",
            event(Event::Closing {
                reason: "The gateway is being stopped.".into(),
                reconnect_in_ms: 2500,
                url: None,
            }),
        ),
    ];
    let mut named = BTreeSet::new();
    for (name, text) in table {
        let value: Value = serde_json::from_str(&text).unwrap();
        let path = path("gateway", name);
        if std::env::var_os("CROSSPOINT_RENDER").is_some() {
            std::fs::write(&path, serde_json::to_string_pretty(&value).unwrap() + "\n").unwrap();
        }
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(value, golden, "{name}");
        named.insert(format!("{name}.json"));
    }
    assert_eq!(files("gateway"), named, "every file is in the table");
}

fn call() -> CallId {
    "call_01HF7YAT00000000000000002A".parse().unwrap()
}

fn other_call() -> CallId {
    "call_01HF7YAT00000000000000002B".parse().unwrap()
}

fn path(side: &str, name: &str) -> PathBuf {
    folder(side).join(format!("{name}.json"))
}

fn folder(side: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/signaling").join(side)
}

fn files(side: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder(side)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";
