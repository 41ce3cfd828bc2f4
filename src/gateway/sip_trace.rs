//! What was said over SIP, kept a while for the operator: the ladder of a call and its pcap file.
//!
//! Messages are kept by their Call-ID from the moment they pass a socket; a call says later which are its
//! own. Whatever is secret in them is not kept: digits of INFO, answers to challenges, keys of media.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::base::CallId;
use crate::sip::{Passed, Transport};

/// One message as it passed a socket of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipMessage {
    /// When.
    pub at: Timestamp,
    /// From us, or to us.
    pub sent: bool,
    /// How it travelled.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The other.
    pub remote: SocketAddr,
    /// The message; what is secret in it is `x`, of the same length.
    pub bytes: Arc<[u8]>,
}

impl SipMessage {
    /// `INVITE`, or `200 OK (INVITE)`.
    pub fn summary(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let first = text.lines().next().unwrap_or_default();
        match first.strip_prefix("SIP/2.0 ") {
            Some(status) => {
                let cseq = header(&self.bytes, &["cseq"]).unwrap_or_default();
                let method = cseq.split_ascii_whitespace().nth(1).unwrap_or_default();
                format!("{status} ({method})")
            }
            None => first.split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

/// All messages that are kept.
#[derive(Default)]
pub(super) struct SipTrace(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    dialogs: HashMap<Arc<str>, Vec<SipMessage>>,
    /// Oldest first.
    order: VecDeque<Arc<str>>,
    of_calls: HashMap<CallId, Vec<Arc<str>>>,
    /// The other way round.
    calls: HashMap<Arc<str>, CallId>,
    bytes: usize,
}

impl SipTrace {
    /// Keeps a message of a call; others (OPTIONS, REGISTER) are not the operator's ladder.
    pub fn passed(&self, at: Timestamp, passed: &Passed<'_>) -> Option<SipMessage> {
        let method = header(passed.bytes, &["cseq"])?;
        let method = method.split_ascii_whitespace().nth(1)?;
        if matches!(method, "OPTIONS" | "REGISTER") {
            return None;
        }
        let id = header(passed.bytes, &["call-id", "i"])?;
        let message = SipMessage {
            at,
            sent: passed.sent,
            transport: passed.transport,
            local: passed.local,
            remote: passed.remote,
            bytes: without_secrets(passed.bytes).into(),
        };
        self.lock().keep(&id, message.clone());
        Some(message)
    }

    /// The messages of this Call-ID are of that call.
    pub fn belongs(&self, sip: &str, call: CallId) {
        let mut inner = self.lock();
        let id: Arc<str> = sip.into();
        let known = inner.dialogs.get_key_value(&id).map(|(own, _)| own.clone());
        let id = match known {
            Some(id) => id,
            None => {
                inner.room();
                inner.order.push_back(id.clone());
                inner.dialogs.insert(id.clone(), Vec::new());
                id
            }
        };
        inner.calls.insert(id.clone(), call);
        inner.of_calls.entry(call).or_default().push(id);
    }

    /// The call that this Call-ID is of, as far as is known.
    pub fn call_of(&self, sip: &str) -> Option<CallId> {
        self.lock().calls.get(sip).copied()
    }

    /// The messages of a call, oldest first.
    pub fn of(&self, call: CallId) -> Vec<SipMessage> {
        let inner = self.lock();
        let ids = inner.of_calls.get(&call).map(Vec::as_slice).unwrap_or_default();
        let mut messages: Vec<SipMessage> =
            ids.iter().filter_map(|id| inner.dialogs.get(id)).flatten().cloned().collect();
        messages.sort_by_key(|message| message.at);
        messages
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held; were it so, a message is missing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn keep(&mut self, id: &str, message: SipMessage) {
        while self.bytes + message.bytes.len() > MOST_BYTES && !self.order.is_empty() {
            self.forget_oldest();
        }
        if !self.dialogs.contains_key(id) {
            self.room();
            let id: Arc<str> = id.into();
            self.order.push_back(id.clone());
            self.dialogs.insert(id, Vec::new());
        }
        let Some(messages) = self.dialogs.get_mut(id) else { return };
        // A peer that repeats itself for ever does not push others out.
        if messages.len() < MOST_OF_ONE {
            self.bytes += message.bytes.len();
            messages.push(message);
        }
    }

    fn room(&mut self) {
        while self.order.len() >= MOST_DIALOGS {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(id) = self.order.pop_front() else { return };
        self.calls.remove(&id);
        for message in self.dialogs.remove(&id).unwrap_or_default() {
            self.bytes -= message.bytes.len();
        }
        self.of_calls.retain(|_, own| {
            own.retain(|other| *other != id);
            !own.is_empty()
        });
    }
}

/// The value of the first header of one of these names, small letters.
pub(super) fn header(message: &[u8], names: &[&str]) -> Option<String> {
    let head = head_of(message);
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = line[..colon].trim_ascii();
        if names.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes())) {
            return Some(String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned());
        }
    }
    None
}

fn head_of(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(message, |end| &message[..end])
}

/// The same message with `x` in place of each secret octet, so that its lengths stay true.
fn without_secrets(message: &[u8]) -> Vec<u8> {
    let mut out = message.to_vec();
    let head = head_of(message).len();
    let mut at = 0;
    let mut digits = false;
    while at < head {
        let end = message[at..head].iter().position(|b| *b == b'\n').map_or(head, |n| at + n);
        let line = message[at..end].to_ascii_lowercase();
        if (line.starts_with(b"authorization:") || line.starts_with(b"proxy-authorization:"))
            && let Some(from) = find(&line, b"response=\"")
        {
            let from = at + from + b"response=\"".len();
            for byte in out[from..end].iter_mut().take_while(|byte| **byte != b'"') {
                *byte = b'x';
            }
        }
        digits |= line.starts_with(b"content-type:") && find(&line, b"dtmf").is_some();
        at = end + 1;
    }
    let body = (head + 4).min(message.len());
    if digits {
        hide_digits(&mut out[body..]);
    } else {
        hide_keys(&mut out[body..]);
    }
    out
}

/// `Signal=5` of `application/dtmf-relay`, or the one key of `application/dtmf`.
fn hide_digits(body: &mut [u8]) {
    let lower = body.to_ascii_lowercase();
    let from = find(&lower, b"signal").and_then(|at| {
        let equals = lower[at..].iter().position(|byte| *byte == b'=')?;
        Some(at + equals + 1)
    });
    for byte in body[from.unwrap_or(0)..].iter_mut().take_while(|byte| !b"\r\n".contains(byte)) {
        if !byte.is_ascii_whitespace() {
            *byte = b'x';
        }
    }
}

/// The keys of SDES (RFC 4568 6.1): what follows `inline:`.
fn hide_keys(body: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = find(&body[at..], b"inline:") {
        at += found + b"inline:".len();
        while at < body.len() && !b"|; \r\n".contains(&body[at]) {
            body[at] = b'x';
            at += 1;
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|own| own == part)
}

/// Dialogs that are kept: an hour of a gateway with one call a second.
const MOST_DIALOGS: usize = 4096;
/// A call with an hour of session timers has dozens.
const MOST_OF_ONE: usize = 200;
const MOST_BYTES: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(text: &str) -> Passed<'_> {
        let address = "127.0.0.1:5060".parse().unwrap();
        let transport = Transport::Udp;
        Passed { sent: true, transport, local: address, remote: address, bytes: text.as_bytes() }
    }

    fn keep(trace: &SipTrace, text: &str) -> Option<String> {
        let text = text.replace('\n', "\r\n");
        let kept = trace.passed(Timestamp::UNIX_EPOCH, &passed(&text))?;
        assert_eq!(kept.bytes.len(), text.len());
        Some(String::from_utf8_lossy(&kept.bytes).into_owned())
    }

    #[test]
    fn a_calls_messages_are_found_whichever_came_first() {
        let trace = SipTrace::default();
        let (one, two) = (CallId::from_parts(1, 1), CallId::from_parts(2, 2));
        keep(&trace, "INVITE sip:a SIP/2.0\nCall-ID: a@b\nCSeq: 1 INVITE\n\n").unwrap();
        trace.belongs("a@b", one);
        trace.belongs("c", two);
        keep(&trace, "SIP/2.0 180 Ringing\ni: a@b\nCSeq: 1 INVITE\n\n").unwrap();
        keep(&trace, "BYE sip:a SIP/2.0\nCall-ID:c\nCSeq: 2 BYE\n\n").unwrap();
        let words = |id| trace.of(id).iter().map(SipMessage::summary).collect::<Vec<_>>();
        assert_eq!(words(one), ["INVITE", "180 Ringing (INVITE)"]);
        assert_eq!(words(two), ["BYE"]);
        assert_eq!(keep(&trace, "OPTIONS sip:a SIP/2.0\nCall-ID: d\nCSeq: 1 OPTIONS\n\n"), None);
        assert_eq!(keep(&trace, "no SIP at all"), None);
    }

    #[test]
    fn no_secret_is_kept() {
        let trace = SipTrace::default();
        let info = "INFO sip:a SIP/2.0\nCall-ID: a\nCSeq: 2 INFO\nContent-Type: application/dtmf-relay\n\nSignal= 7\nDuration=160\n";
        let kept = keep(&trace, info).unwrap();
        assert!(kept.contains("Signal= x\r\nDuration=160"), "{kept}");
        let one =
            "INFO sip:a SIP/2.0\nCall-ID: a\nCSeq: 2 INFO\nContent-Type: application/dtmf\n\n7";
        assert!(keep(&trace, one).unwrap().ends_with("\r\n\r\nx"));
        let answer = "INVITE sip:a SIP/2.0\nCall-ID: a\nAuthorization: Digest username=\"u\", response=\"0123abc\", nc=1\nCSeq: 1 INVITE\n\nv=0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^31\n";
        let kept = keep(&trace, answer).unwrap();
        assert!(kept.contains("response=\"xxxxxxx\", nc=1"), "{kept}");
        assert!(kept.contains("inline:xxxxxxxx|2^31"), "{kept}");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let trace = SipTrace::default();
        for n in 0..MOST_DIALOGS + 10 {
            let id = CallId::from_parts(1, n as u128);
            trace.belongs(&n.to_string(), id);
            keep(&trace, &format!("INVITE sip:a SIP/2.0\nCall-ID: {n}\nCSeq: 1 INVITE\n\n"))
                .unwrap();
        }
        let inner = trace.lock();
        assert_eq!((inner.dialogs.len(), inner.of_calls.len()), (MOST_DIALOGS, MOST_DIALOGS));
        drop(inner);
        for _ in 0..MOST_OF_ONE + 10 {
            keep(&trace, "ACK sip:a SIP/2.0\nCall-ID: z\nCSeq: 1 ACK\n\n").unwrap();
        }
        assert_eq!(trace.lock().dialogs["z"].len(), MOST_OF_ONE);
    }
}
