//! A call that is over, as spans: the call, its legs, ICE and DTLS, each SIP transaction; digits and steps of
//! signalling are events. Which digits, and whose numbers, are in none of it. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::sip_trace::{SipMessage, header};
use super::timeline::{Entry, Speaker, Timeline};
use crate::base::CallId;
use crate::call::Record;
use crate::media::LegSide;
use crate::telemetry::{Attribute, Span, SpanEvent, SpanKind, Trace};

/// The trace of a call; its id is the call's own, as octets.
pub(super) fn of(id: CallId, record: &Record, timeline: &Timeline, sip: &[SipMessage]) -> Trace {
    let begun = since_1970(record.started_at);
    let ended = record.ended_at.map_or(begun, since_1970);
    let mut spans = vec![root(id, record, begun, ended)];
    let began = since_1970(timeline.began());
    page_leg(timeline, began, &mut spans);
    trunk_legs(record, timeline, began, sip, &mut spans);
    // What SIP says after the end of the call (the answer to BYE) is within its trace.
    let last = spans.iter().map(|span| span.ended).max().unwrap_or(ended);
    spans[0].ended = last.max(ended);
    for (at, entry) in timeline.entries() {
        if let Entry::State(state) = entry {
            let state = format!("{state:?}").to_lowercase();
            let attributes = vec![("call.state", state.into())];
            spans[0].events.push(SpanEvent {
                name: "state".to_owned(),
                at: began + *at,
                attributes,
            });
        }
    }
    Trace { id: id.octets(), spans }
}

fn root(id: CallId, record: &Record, begun: Duration, ended: Duration) -> Span {
    let mut attributes: Vec<Attribute> = vec![
        ("call.id", id.to_string().into()),
        ("call.direction", record.direction.as_str().into()),
        ("call.duration_ms", record.duration_ms.into()),
        ("call.attempts", u64::from(record.attempts).into()),
        ("call.digits", u64::from(record.digits).into()),
    ];
    attributes.extend(record.trunk.as_ref().map(|own| ("trunk.id", own.to_string().into())));
    attributes.extend(record.rule.as_ref().map(|own| ("dialplan.rule", own.as_str().into())));
    attributes.extend(record.codec.as_ref().map(|own| ("call.codec", own.as_str().into())));
    attributes.extend(record.q850.map(|own| ("call.q850", u64::from(own).into())));
    attributes.extend(record.sip.as_ref().map(|own| ("sip.status", u64::from(own.status).into())));
    let code = record.cause.map(|cause| cause.end_code().as_str());
    attributes.extend(code.map(|own| ("call.cause", own.into())));
    let mut events = Vec::new();
    if let Some(at) = record.answered_at {
        events.push(SpanEvent {
            name: "answered".to_owned(),
            at: since_1970(at),
            attributes: Vec::new(),
        });
    }
    // Busy and the like are how calls end; what is not is the gateway's or the network's fault.
    let failed = code.filter(|code| FAULTS.contains(code)).map(str::to_owned);
    let name = format!("call {}", record.direction.as_str());
    let kind = SpanKind::Server;
    Span { name, parent: None, kind, begun, ended, attributes, events, failed }
}

/// The page's leg, with ICE and DTLS as a part of it; nothing where there was no page.
fn page_leg(timeline: &Timeline, began: Duration, spans: &mut Vec<Span>) {
    let mut events = Vec::new();
    let mut up = None;
    let mut failed = None;
    for (at, entry) in timeline.entries() {
        let at = began + *at;
        match entry {
            Entry::Signal { from, name } => {
                let from = match from {
                    Speaker::Page => "page",
                    Speaker::Gateway => "gateway",
                };
                let attributes = vec![("from", from.into())];
                events.push(SpanEvent { name: (*name).to_owned(), at, attributes });
            }
            Entry::Media { leg: LegSide::Browser, name } => {
                match *name {
                    CONNECTED => up = up.or(Some(at)),
                    "peer connection failed" | "peer connection lost" => failed = Some((at, *name)),
                    _ => {}
                }
                events.push(SpanEvent { name: (*name).to_owned(), at, attributes: Vec::new() });
            }
            _ => events.extend(digit(entry, LegSide::Browser, at)),
        }
    }
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return };
    if !events.iter().any(|event| event.attributes.iter().any(|(key, _)| *key == "from"))
        && up.is_none()
    {
        return;
    }
    let (begun, ended) = (first.at, last.at);
    let leg = spans.len();
    let why = failed.map(|(_, why)| why.to_owned());
    spans.push(Span {
        name: "leg page".to_owned(),
        parent: Some(0),
        kind: SpanKind::Server,
        begun,
        ended,
        attributes: vec![("leg.kind", "webrtc".into())],
        events,
        failed: why.clone().filter(|_| up.is_none()),
    });
    if let Some(ended) = up.or(failed.map(|(at, _)| at)) {
        spans.push(Span {
            name: "ICE and DTLS".to_owned(),
            parent: Some(leg),
            kind: SpanKind::Internal,
            begun,
            ended,
            attributes: Vec::new(),
            events: Vec::new(),
            failed: why.filter(|_| up.is_none()),
        });
    }
}

/// A leg for every dialog over SIP, with its transactions.
fn trunk_legs(
    record: &Record,
    timeline: &Timeline,
    began: Duration,
    sip: &[SipMessage],
    spans: &mut Vec<Span>,
) {
    let mut dialogs: Vec<(String, Vec<&SipMessage>)> = Vec::new();
    for message in sip {
        let id = header(&message.bytes, &["call-id", "i"]).unwrap_or_default();
        match dialogs.iter_mut().find(|(own, _)| *own == id) {
            Some((_, messages)) => messages.push(message),
            None => dialogs.push((id, vec![message])),
        }
    }
    let newest = dialogs.len().saturating_sub(1);
    for (n, (id, messages)) in dialogs.iter().enumerate() {
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { continue };
        let leg = spans.len();
        let mut events = Vec::new();
        // The others were tried and gave way: digits went to the one that answered.
        if n == newest {
            for (at, entry) in timeline.entries() {
                let at = began + *at;
                if let Entry::Media { leg: LegSide::Trunk, name } = entry {
                    events.push(SpanEvent { name: (*name).to_owned(), at, attributes: Vec::new() });
                }
                events.extend(digit(entry, LegSide::Trunk, at));
            }
        }
        let mut attributes: Vec<Attribute> = vec![
            ("leg.kind", "sip".into()),
            ("sip.call_id", id.as_str().into()),
            ("network.peer.address", first.remote.ip().to_string().into()),
            ("network.peer.port", u64::from(first.remote.port()).into()),
            ("network.transport", format!("{:?}", first.transport).to_lowercase().into()),
        ];
        attributes.extend(record.trunk.as_ref().map(|own| ("trunk.id", own.to_string().into())));
        spans.push(Span {
            name: "leg trunk".to_owned(),
            parent: Some(0),
            kind: if first.sent { SpanKind::Client } else { SpanKind::Server },
            begun: since_1970(first.at),
            ended: since_1970(last.at),
            attributes,
            events,
            failed: None,
        });
        transactions(messages, leg, spans);
    }
}

/// From a request to its final response (RFC 3261 17). ACK has none: it is an event of its INVITE.
fn transactions(messages: &[&SipMessage], leg: usize, spans: &mut Vec<Span>) {
    // By who asked and CSeq: a request of ours and one of theirs may have the same number.
    let mut open: BTreeMap<(bool, String), usize> = BTreeMap::new();
    for message in messages {
        let Some(cseq) = header(&message.bytes, &["cseq"]) else { continue };
        let Some((number, method)) = cseq.split_once(' ') else { continue };
        let (at, method) = (since_1970(message.at), method.trim().to_owned());
        let text = String::from_utf8_lossy(&message.bytes);
        let first = text.lines().next().unwrap_or_default();
        let status =
            first.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse::<u64>().ok());
        let asked = message.sent == status.is_none();
        let of_invite = if method == "ACK" { "INVITE" } else { &method };
        let key = (asked, format!("{number} {of_invite}"));
        match (open.get(&key).copied(), status) {
            (Some(place), Some(status)) => {
                let span: &mut Span = &mut spans[place];
                span.ended = at;
                if status >= 200 {
                    span.attributes.push(("sip.status", status.into()));
                    // A challenge is answered in the next one; the rest of them are refusals.
                    span.failed = (status >= 400 && ![401, 407].contains(&status))
                        .then(|| first[8..].to_owned());
                } else {
                    let name = first[8..].to_owned();
                    span.events.push(SpanEvent { name, at, attributes: Vec::new() });
                }
            }
            (Some(place), None) => {
                let name = if method == "ACK" { "ACK" } else { "retransmission" };
                spans[place].events.push(SpanEvent {
                    name: name.to_owned(),
                    at,
                    attributes: Vec::new(),
                });
            }
            (None, None) if method != "ACK" => {
                open.insert(key, spans.len());
                // Until one comes.
                let unanswered = message.sent && method == "INVITE";
                spans.push(Span {
                    name: format!("SIP {method}"),
                    parent: Some(leg),
                    kind: if message.sent { SpanKind::Client } else { SpanKind::Server },
                    begun: at,
                    ended: at,
                    attributes: vec![("sip.method", method.into()), ("sip.cseq", number.into())],
                    events: Vec::new(),
                    failed: unanswered.then(|| "no final response".to_owned()),
                });
            }
            (None, _) => {}
        }
    }
}

/// A digit on this leg: how it went and how long it was, never which it was.
fn digit(entry: &Entry, on: LegSide, at: Duration) -> Option<SpanEvent> {
    let ms = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let (direction, mode, length) = match entry {
        Entry::DigitHeard { from, mode, length } if *from == on => ("in", *mode, ms(*length)),
        Entry::DigitSent(receipt) if on == LegSide::Trunk => {
            ("out", receipt.mode, ms(receipt.tone))
        }
        _ => return None,
    };
    let mode = format!("{mode:?}").to_lowercase();
    let attributes = vec![
        ("direction", direction.into()),
        ("mode", mode.into()),
        ("duration_ms", length.into()),
    ];
    Some(SpanEvent { name: "digit".to_owned(), at, attributes })
}

fn since_1970(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default()
}

const CONNECTED: &str = "ICE and DTLS up";
/// Codes of ends that somebody should look at.
const FAULTS: [&str; 4] = ["internal", "media-failed", "trunk-failed", "unreachable"];
