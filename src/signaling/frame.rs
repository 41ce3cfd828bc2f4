//! Text to [`Request`]: the limits first (bytes, depth), then the envelope, then the body.
//!
//! A text that is no envelope closes the session (4400); a body that is wrong in a good envelope
//! gets an error reply, since its request can be named.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{CallStart, Candidate, ErrorCode, Ice, Refusal, Request, RequestId};
use crate::base::{CallId, DialString, DialStringError, E164};

/// Parses one text from a page.
///
/// # Errors
/// [`FrameError`]: whether the session ends or the request is refused.
pub fn decode(text: &str) -> Result<(RequestId, Request), FrameError> {
    if text.len() > MAX_FRAME_BYTES {
        return Err(FrameError::Broken("a message has at most 64 KiB"));
    }
    if !depth_within(text, MAX_DEPTH) {
        return Err(FrameError::Broken("a message is at most 32 levels deep"));
    }
    let body: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| FrameError::Broken("not a JSON object"))?;
    let id = body
        .get("id")
        .and_then(Value::as_u64)
        .filter(|id| *id <= MAX_ID)
        .map(RequestId)
        .ok_or(FrameError::Broken("`id` must be a number from 0 to 2^53"))?;
    let kind = body
        .get("type")
        .and_then(Value::as_str)
        .ok_or(FrameError::Broken("`type` must be a string"))?
        .to_owned();
    request(&kind, body)
        .map(|request| (id, request))
        .map_err(|refusal| FrameError::Refused(id, refusal))
}

/// Whether `text` opens at most `limit` arrays and objects within each other. Brackets in strings
/// do not count. It looks at every byte once and does not recurse.
pub fn depth_within(text: &str, limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// Why a text is no request.
#[derive(Debug, Clone, PartialEq)]
pub enum FrameError {
    /// No envelope: nothing to reply to. The words are for the close reason.
    Broken(&'static str),
    /// The request is named and refused.
    Refused(RequestId, Refusal),
}

fn request(kind: &str, body: Map<String, Value>) -> Result<Request, Refusal> {
    Ok(match kind {
        "hello" => Request::Hello(of(body)?),
        "token" => Request::Token(of(body)?),
        "call.start" => Request::CallStart(call_start(of(body)?)?),
        "call.answer" => {
            let answer: super::CallAnswer = of(body)?;
            checked_sdp(&answer.sdp)?;
            Request::CallAnswer(answer)
        }
        "call.reject" => Request::CallReject(of(body)?),
        "call.hangup" => Request::CallHangup(of(body)?),
        "call.media" => {
            let media: super::CallMedia = of(body)?;
            checked_sdp(&media.sdp)?;
            Request::CallMedia(media)
        }
        "call.hold" => Request::CallHold(of(body)?),
        "call.unhold" => Request::CallUnhold(of(body)?),
        "call.transfer" => Request::CallTransfer(call_transfer(of(body)?)?),
        "call.message" => Request::CallMessage(of(body)?),
        "call.mute" => Request::CallMute(of(body)?),
        "call.stats" => Request::CallStats(of(body)?),
        "call.report" => {
            let report: super::CallReport = of(body)?;
            if !(1..=5).contains(&report.rating) {
                return Err(bad("`rating` must be from 1 to 5"));
            }
            if report.note.as_ref().is_some_and(|note| note.chars().count() > 500) {
                return Err(bad("`note` has at most 500 characters"));
            }
            Request::CallReport(report)
        }
        "ice" => Request::Ice(ice(of(body)?)?),
        "dtmf.send" => {
            let send: super::DtmfSend = of(body)?;
            within("duration", send.duration, 40, 6000)?;
            within("gap", send.gap, 30, 6000)?;
            Request::DtmfSend(send)
        }
        "dtmf.press" => Request::DtmfPress(of(body)?),
        "dtmf.release" => Request::DtmfRelease(of(body)?),
        "dtmf.cancel" => Request::DtmfCancel(of(body)?),
        "ping" => Request::Ping(of(body)?),
        _ => return Err(ErrorCode::ProtocolUnknown.into()),
    })
}

fn of<T: DeserializeOwned>(body: Map<String, Value>) -> Result<T, Refusal> {
    // serde's words name the field and what was expected; they can repeat a value, which went to
    // the same page that sent it.
    serde_json::from_value(Value::Object(body)).map_err(|e| bad(e.to_string()))
}

fn bad(words: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::ProtocolBadMessage).saying(words)
}

fn within(name: &str, value: Option<u32>, least: u32, most: u32) -> Result<(), Refusal> {
    match value {
        Some(ms) if !(least..=most).contains(&ms) => {
            Err(bad(format!("`{name}` must be from {least} to {most} ms")))
        }
        _ => Ok(()),
    }
}

fn checked_sdp(sdp: &str) -> Result<(), Refusal> {
    if sdp.len() > MAX_SDP_BYTES {
        Err(Refusal::new(ErrorCode::MediaBadSdp)
            .saying("A session description has at most 16 KiB."))
    } else {
        Ok(())
    }
}

#[derive(Deserialize)]
struct RawCallTransfer {
    call: CallId,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    other_call: Option<CallId>,
}

fn call_transfer(raw: RawCallTransfer) -> Result<super::CallTransfer, Refusal> {
    let to = match (raw.to, raw.other_call) {
        (Some(to), None) => {
            let number = to.parse().map_err(|_| Refusal::new(ErrorCode::CallInvalidNumber))?;
            super::TransferTo::Number(number)
        }
        (None, Some(other)) if other != raw.call => super::TransferTo::Call(other),
        _ => return Err(bad("either `to` or `other_call`, which is another call")),
    };
    Ok(super::CallTransfer { call: raw.call, to })
}

#[derive(Deserialize)]
struct RawCallStart {
    call: CallId,
    to: String,
    #[serde(default)]
    from: Option<E164>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    sdp: String,
}

fn call_start(raw: RawCallStart) -> Result<CallStart, Refusal> {
    checked_sdp(&raw.sdp)?;
    let metadata = raw.metadata.unwrap_or_default();
    let plain = |text: &str, most: usize| {
        text.chars().count() <= most && !text.chars().any(char::is_control)
    };
    if metadata.len() > 32 || !metadata.iter().all(|(k, v)| plain(k, 64) && plain(v, 256)) {
        return Err(bad("`metadata`: at most 32, keys to 64 and values to 256 plain characters"));
    }
    let to: DialString = raw.to.parse().map_err(|e: DialStringError| {
        Refusal::new(ErrorCode::CallInvalidNumber).saying(format!("This cannot be dialled: {e}."))
    })?;
    Ok(CallStart { call: raw.call, to, from: raw.from, metadata, sdp: raw.sdp })
}

#[derive(Deserialize)]
struct RawIce {
    call: CallId,
    /// Must be there: a forgotten field is not "no more candidates".
    candidate: Value,
}

fn ice(raw: RawIce) -> Result<Ice, Refusal> {
    let candidate: Option<Candidate> =
        serde_json::from_value(raw.candidate).map_err(|e| bad(format!("`candidate`: {e}")))?;
    if candidate.as_ref().is_some_and(|c| c.candidate.len() > 512) {
        return Err(bad("`candidate` has at most 512 characters"));
    }
    // An empty candidate is the end of one generation (W3C webrtc-pc 4.4.1.1): the same to us.
    Ok(Ice { call: raw.call, candidate: candidate.filter(|c| !c.candidate.is_empty()) })
}

/// Longest text, in bytes.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;
/// Most arrays and objects within each other.
pub const MAX_DEPTH: usize = 32;
/// Longest session description, in bytes.
pub const MAX_SDP_BYTES: usize = 16 * 1024;
/// The largest whole number that every JSON reader keeps (RFC 8259 6).
const MAX_ID: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> Refusal {
        match decode(text) {
            Err(FrameError::Refused(_, refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert!(depth_within(&"[".repeat(32), 32));
        assert!(!depth_within(&"[".repeat(33), 32));
        assert!(depth_within(&format!("\"{}\\\"{}\"", "[".repeat(99), "{".repeat(99)), 1));
        assert!(depth_within(&"[]".repeat(1000), 1));
        assert!(!depth_within(&"[".repeat(100_000), 32));
    }

    #[test]
    fn no_envelope_is_broken() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"id":1}"#,
            r#"{"id":-1,"type":"ping"}"#,
            r#"{"id":"1","type":"ping"}"#,
        ] {
            assert!(matches!(decode(text), Err(FrameError::Broken(_))), "{text}");
        }
        let deep = format!(r#"{{"id":1,"type":"ping","x":{}{}}}"#, "[".repeat(32), "]".repeat(32));
        assert!(matches!(decode(&deep), Err(FrameError::Broken(_))));
        let long = format!(r#"{{"id":1,"type":"ping","x":"{}"}}"#, "x".repeat(MAX_FRAME_BYTES));
        assert!(matches!(decode(&long), Err(FrameError::Broken(_))));
    }

    #[test]
    fn a_later_version_gets_an_error_reply() {
        let refusal = refused(r#"{"id":4,"type":"call.park","call":"x"}"#);
        assert_eq!(refusal.code, ErrorCode::ProtocolUnknown);
    }

    #[test]
    fn what_cannot_be_dialled_is_named() {
        let start = |to: &str| {
            let body = serde_json::json!({"id": 1, "type": "call.start",
                "call": CallId::from_parts(1, 1), "to": to, "sdp": "v=0"});
            decode(&body.to_string())
        };
        assert!(start("+49 (30) 1234567").is_ok());
        let long = "1".repeat(10_000);
        for to in ["100&SIP/x", "+1@evil", "1\r\n2", "١٢٣", "", " ", "sip:a@b", &long] {
            match start(to) {
                Err(FrameError::Refused(_, r)) => assert_eq!(r.code, ErrorCode::CallInvalidNumber),
                other => panic!("{to:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn limits_within_a_body_are_refusals() {
        let call = CallId::from_parts(1, 1);
        let sdp = "x".repeat(MAX_SDP_BYTES + 1);
        let text =
            format!(r#"{{"id":1,"type":"call.start","call":"{call}","to":"1","sdp":"{sdp}"}}"#);
        assert_eq!(refused(&text).code, ErrorCode::MediaBadSdp);
        for body in [
            format!(r#""type":"ice","call":"{call}""#),
            format!(r#""type":"ice","call":"{call}","candidate":7"#),
            format!(r#""type":"dtmf.press","call":"{call}","tone":"12""#),
            format!(r#""type":"dtmf.send","call":"{call}","tones":"1","duration":20"#),
            format!(
                r#""type":"call.start","call":"{call}","to":"1","sdp":"","metadata":{{"a":"\n"}}"#
            ),
            r#""type":"call.hangup","call":"call_1""#.to_owned(),
            r#""type":"hello""#.to_owned(),
        ] {
            assert_eq!(
                refused(&format!(r#"{{"id":1,{body}}}"#)).code,
                ErrorCode::ProtocolBadMessage
            );
        }
    }

    #[test]
    fn null_and_the_empty_candidate_end_the_candidates() {
        let call = CallId::from_parts(1, 1);
        for candidate in ["null", r#"{"candidate":""}"#] {
            let text =
                format!(r#"{{"id":1,"type":"ice","call":"{call}","candidate":{candidate}}}"#);
            let (_, request) = decode(&text).unwrap();
            assert_eq!(request, Request::Ice(Ice { call, candidate: None }));
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            Just(Value::from(CallId::from_parts(1, 1).to_string())),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec((field(), inner), 0..8)
                    .prop_map(|kv| Value::Object(kv.into_iter().collect())),
            ]
        })
    }

    fn field() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "id",
                "type",
                "call",
                "to",
                "from",
                "sdp",
                "token",
                "tones",
                "tone",
                "candidate",
                "metadata",
                "data",
                "client",
                "duration",
                "reason",
            ])
            .prop_map(str::to_owned),
            ".{0,8}",
        ]
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(text in ".{0,400}") {
            let _ = decode(&text);
        }

        #[test]
        fn any_object_of_a_known_type_has_an_answer(
            fields in prop::collection::vec((field(), json()), 0..10),
            kind in prop::sample::select(vec![
                "hello", "token", "call.start", "call.answer", "call.reject", "call.hangup", "ice",
                "dtmf.send", "dtmf.press", "dtmf.release", "dtmf.cancel", "ping", "call.hold",
                "call.message",
            ]),
        ) {
            let mut body: Map<String, Value> = fields.into_iter().collect();
            body.insert("id".into(), 7.into());
            body.insert("type".into(), kind.into());
            match decode(&Value::Object(body).to_string()) {
                Ok((id, _)) | Err(FrameError::Refused(id, _)) => prop_assert_eq!(id, RequestId(7)),
                Err(FrameError::Broken(words)) => prop_assert!(false, "{}", words),
            }
        }

        #[test]
        fn depth_agrees_with_a_count(text in "[\\[\\]{}a]{0,80}", limit in 0usize..40) {
            let mut most = 0usize;
            let mut depth = 0usize;
            for c in text.chars() {
                match c {
                    '[' | '{' => { depth += 1; most = most.max(depth); }
                    ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            prop_assert_eq!(depth_within(&text, limit), most <= limit);
        }
    }
}
