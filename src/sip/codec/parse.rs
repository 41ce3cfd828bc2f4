//! Parses one message: a datagram, a WebSocket message, or what the framer cut from a stream.
//!
//! The whole head is read even when something in it is wrong, so that the refusal can echo what the
//! peer needs to match it: Via, From, To, Call-ID and CSeq.

use rsip::{Headers, Method};

use super::octets;
use super::refusal::{ParseError, Refusal};
use super::scan::{self, Length, Limits};
use crate::sip::address::NameAddr;
use crate::sip::grammar::{self, Malformed};
use crate::sip::header::{CSeq, Contact, RecordRoute, Route, TypedHeader, Via, name};
use crate::sip::message::{Message, MessageExt, Request, Response};
use crate::sip::method;
use crate::sip::uri::Uri;

/// Parses one message. Empty lines before it are skipped (RFC 3261 7.5), and bytes behind the body
/// are ignored (RFC 3261 18.3, RFC 4475 3.1.1.8).
pub fn parse(mut bytes: &[u8], limits: &Limits) -> Result<Message, ParseError> {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    parse_with(bytes, limits, Faults::default())
}

/// The refusal of a message that the framer could not cut out; `bytes` is what there is of it.
pub(in crate::sip) fn refuse(
    bytes: &[u8],
    limits: &Limits,
    status: u16,
    detail: &'static str,
) -> ParseError {
    let faults = Faults(Some((status, detail)));
    match parse_with(bytes, limits, faults) {
        Err(error) => error,
        Ok(_) => ParseError::Dropped(Malformed(detail)),
    }
}

/// The first thing that is wrong with a request, and its status.
#[derive(Default)]
struct Faults(Option<(u16, &'static str)>);

impl Faults {
    fn note(&mut self, status: u16, detail: &'static str) {
        self.0.get_or_insert((status, detail));
    }

    fn check<T>(&mut self, result: Result<T, Malformed>) -> Option<T> {
        result.map_err(|Malformed(detail)| self.note(400, detail)).ok()
    }
}

/// The start line as far as it could be read.
enum Start {
    Request { name: String, uri: Option<Uri> },
    Response { status: u16, phrase: String },
}

fn parse_with(bytes: &[u8], limits: &Limits, mut faults: Faults) -> Result<Message, ParseError> {
    if bytes.len() > limits.message {
        faults.note(513, "the message is larger than 64 KiB or the limit set");
    }
    let readable = &bytes[..bytes.len().min(limits.message)];
    let head_end = scan::head_end(readable, 0).unwrap_or_else(|| {
        faults.note(400, "the headers end with an empty line");
        readable.len()
    });
    let (head, rest) = readable.split_at(head_end);
    let mut lines = scan::lines(head);
    let start = parse_start(lines.next().unwrap_or_default(), limits, &mut faults)?;
    let headers = parse_headers(lines, limits, &mut faults);
    let body = cut_body(head, rest, limits, &mut faults);
    check_headers(&headers, &start, &mut faults);
    finish(start, headers, body, faults)
}

fn finish(
    start: Start,
    headers: Headers,
    body: &[u8],
    faults: Faults,
) -> Result<Message, ParseError> {
    match (start, faults.0) {
        (Start::Response { .. }, Some((_, detail))) => Err(ParseError::Dropped(Malformed(detail))),
        (Start::Response { status, phrase }, None) => {
            let mut response = Response::new(status, &phrase);
            *response.headers_mut() = headers;
            response.set_body(body.to_vec());
            Ok(Message::Response(response))
        }
        (Start::Request { name, uri }, fault) => {
            let (status, detail) = match (fault, method::parse(&name), uri) {
                (None, Some(method), Some(uri)) => {
                    let mut request = Request::new(method, uri);
                    *request.headers_mut() = headers;
                    request.set_body(body.to_vec());
                    return Ok(Message::Request(request));
                }
                (Some(fault), _, _) => fault,
                (None, None, _) => (501, "the method is not known"),
                (None, Some(_), None) => (400, "the request URI is malformed"),
            };
            let method = method::parse(&name);
            let answerable = method != Some(Method::Ack)
                && headers.iter().any(|header| matches!(header, rsip::Header::Via(_)));
            if !answerable {
                return Err(ParseError::Dropped(Malformed(detail)));
            }
            let refusal = Refusal::of_headers(&headers, method, status, detail);
            Err(ParseError::Refused(Box::new(refusal)))
        }
    }
}

/// Request-Line = Method SP Request-URI SP SIP-Version; Status-Line = SIP-Version SP Code SP Phrase
/// (RFC 3261 7.1, 7.2): single blanks. A status line without phrase may lack the blank too.
fn parse_start(line: &[u8], limits: &Limits, faults: &mut Faults) -> Result<Start, ParseError> {
    if line.len() > limits.header {
        faults.note(414, "the start line is too long");
    }
    let line = octets::decode(&line[..line.len().min(limits.header)]);
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return parse_status_line(&line).map_err(ParseError::Dropped);
    }
    let name = line.split(' ').next().unwrap_or_default().to_owned();
    if !grammar::is_token(&name) || name.len() > MAX_METHOD {
        faults.note(400, "a request starts with a method of at most 32 letters");
    }
    let words = (line.len() - name.len() > 1).then(|| line[name.len() + 1..].rsplit_once(' '));
    let Some((uri, version)) = words.flatten() else {
        faults.note(400, "a request line is a method, a URI and a version");
        return Ok(Start::Request { name, uri: None });
    };
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let sip = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
        let known = if sip { 505 } else { 400 };
        faults.note(known, "the version is SIP/2.0");
    }
    let uri = faults.check(Uri::parse(uri));
    if uri.as_ref().is_some_and(|uri| uri.headers().next().is_some()) {
        faults.note(400, "a request URI has no headers (RFC 3261 19.1.1)");
    }
    Ok(Start::Request { name, uri })
}

fn parse_status_line(line: &str) -> Result<Start, Malformed> {
    let wrong = Malformed("a status line is SIP/2.0, a status of 100 to 699 and a phrase");
    if line.bytes().any(grammar::is_control) {
        return Err(wrong);
    }
    let (version, rest) = line.split_once(' ').ok_or(wrong)?;
    let (code, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = grammar::number(code).filter(|status| (100..700).contains(status));
    match status {
        Some(status) if code.len() == 3 && version.eq_ignore_ascii_case("SIP/2.0") => {
            Ok(Start::Response { status, phrase: phrase.to_owned() })
        }
        _ => Err(wrong),
    }
}

/// Reads every header line up to the limits; one that breaks a rule is noted and left out.
fn parse_headers<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    limits: &Limits,
    faults: &mut Faults,
) -> Headers {
    let mut headers = Vec::new();
    for (index, line) in lines.enumerate() {
        if index >= limits.headers {
            faults.note(513, "the message has too many headers");
            break;
        }
        if line.len() > limits.header {
            faults.note(513, "a header is too long");
            continue;
        }
        let Some((name, value)) = scan::field(line) else {
            faults.note(400, "a header line has a colon");
            continue;
        };
        let value = scan::unfold(value);
        if value.iter().copied().any(grammar::is_control) {
            faults.note(400, "a header has no control bytes");
            continue;
        }
        let Some(name) = std::str::from_utf8(name).ok().filter(|name| grammar::is_token(name))
        else {
            faults.note(400, "the name of a header is a token");
            continue;
        };
        if scan::is_content_length(name.as_bytes()) {
            continue;
        }
        let header = name::header(name, octets::decode(&value));
        let full = name::parts(&header).0;
        let again = |other| name::parts(other).0.eq_ignore_ascii_case(full);
        if name::is_single(full) && headers.iter().any(again) {
            faults.note(400, "a header that is no list stands there twice");
            continue;
        }
        headers.push(header);
    }
    headers.into()
}

/// The body: Content-Length bytes of what follows the head, or all of it (RFC 3261 18.3).
fn cut_body<'a>(head: &[u8], rest: &'a [u8], limits: &Limits, faults: &mut Faults) -> &'a [u8] {
    match faults.check(scan::content_length(head)) {
        None | Some(Length::Missing) => rest,
        Some(Length::Bytes(length)) if length <= rest.len() => &rest[..length],
        Some(Length::Bytes(length)) if length > limits.message => {
            faults.note(513, "Content-Length is over the limit");
            &[]
        }
        Some(Length::Bytes(_)) => {
            faults.note(400, "Content-Length says more than there is");
            &[]
        }
    }
}

/// The headers that every message has (RFC 3261 8.1.1), and those that routing and dialogs live by.
/// Max-Forwards may be missing, as RFC 2543 had it optional.
fn check_headers(headers: &Headers, start: &Start, faults: &mut Faults) {
    let all = |wanted: &'static str| {
        let parts = headers.iter().map(name::parts);
        parts.filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    let elements = |wanted| {
        let list = all(wanted).flat_map(|value| grammar::split(value, b','));
        list.filter(|element| !element.is_empty())
    };
    if elements("Via").next().is_none() {
        faults.note(400, "Via is missing");
    }
    for via in elements("Via") {
        faults.check(Via::parse(via));
    }
    for (name, missing) in [("From", "From is missing"), ("To", "To is missing")] {
        faults.check(all(name).next().ok_or(Malformed(missing)).and_then(NameAddr::parse));
    }
    match all("Call-ID").next() {
        None | Some("") => faults.note(400, "Call-ID is missing"),
        Some(id) if id.contains([' ', '\t']) => faults.note(400, "a Call-ID has no blanks"),
        Some(_) => {}
    }
    check_cseq(all("CSeq").next(), start, faults);
    if let Some(hops) = all("Max-Forwards").next()
        && grammar::number::<u8>(hops).is_none()
    {
        faults.note(400, "Max-Forwards is a number of 0 to 255");
    }
    elements("Contact").for_each(|value| drop(faults.check(Contact::parse(value))));
    elements("Route").for_each(|value| drop(faults.check(Route::parse(value))));
    elements("Record-Route").for_each(|value| drop(faults.check(RecordRoute::parse(value))));
}

/// A request's CSeq names its method (RFC 3261 8.1.1.5); a response's may name any that we sent.
fn check_cseq(value: Option<&str>, start: &Start, faults: &mut Faults) {
    let split = value.ok_or(Malformed("CSeq is missing")).and_then(CSeq::split);
    let Some((_, own)) = faults.check(split) else { return };
    match start {
        Start::Request { name, .. } if method::parse(name).is_none() => {
            faults.note(501, "the method is not known");
        }
        Start::Request { name, .. } if name != own => {
            faults.note(400, "the method of CSeq is the request's");
        }
        Start::Response { .. } if method::parse(own).is_none() => {
            faults.note(400, "the method of CSeq is not known");
        }
        _ => {}
    }
}

/// The longest method there is has 9 letters.
const MAX_METHOD: usize = 32;
