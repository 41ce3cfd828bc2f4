//! SIP messages: rsip's structs with a request URI of our own, and access to headers.
//!
//! `rsip::Request`, `Response`, `Headers`, `Header`, `Method` and `StatusCode` hold the data;
//! parsing and writing are `codec`'s. Content-Length is no part of a message: `parse` checks and
//! removes it, `write` writes the body's.
#![expect(clippy::disallowed_types, reason = "the one file that wraps rsip's structs")]

use std::fmt;

use rsip::{Header, Headers, Method, StatusCode};

use super::address::NameAddr;
use super::grammar::{self, Malformed};
use super::header::{CSeq, Contact, RecordRoute, TypedHeader, Via, name};
use super::method;
use super::uri::Uri;

/// A request or a response.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    uri: Uri,
    // Its own `uri` is unused and stays at the default: rsip's type loses what it does not know.
    inner: Box<rsip::Request>,
}

/// A response. Its status is always `StatusCode::Other`, since the named variants have no phrases
/// that could be written.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    inner: rsip::Response,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, uri: Uri) -> Request {
        let inner = rsip::Request {
            method,
            uri: rsip::Uri::default(),
            version: rsip::Version::V2,
            headers: Headers::default(),
            body: Vec::new(),
        };
        Request { uri, inner: Box::new(inner) }
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.inner.method
    }

    /// The request URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Replaces the request URI.
    pub fn set_uri(&mut self, uri: Uri) {
        self.uri = uri;
    }
}

impl Response {
    /// A response without headers and body. `status` is 100 to 699.
    pub fn new(status: u16, phrase: &str) -> Response {
        let inner = rsip::Response {
            status_code: StatusCode::Other(status, phrase.to_owned()),
            version: rsip::Version::V2,
            headers: Headers::default(),
            body: Vec::new(),
        };
        Response { inner }
    }

    /// The response to `request`: Via, From, To, Call-ID and CSeq are copied octet for octet
    /// (RFC 3261 8.2.6.2), and Timestamp into a 100 (8.2.6.1). The To tag is the caller's to add.
    pub fn to(request: &Request, status: u16, phrase: &str) -> Response {
        let mut response = Response::new(status, phrase);
        for header in request.headers().iter() {
            let copied = match header {
                Header::Via(_) | Header::From(_) | Header::To(_) => true,
                Header::CallId(_) | Header::CSeq(_) => true,
                Header::Timestamp(_) => status == 100,
                _ => false,
            };
            if copied {
                response.headers_mut().push(header.clone());
            }
        }
        response
    }

    /// The same response with `tag` at the end of To, unless To has one.
    pub fn with_to_tag(mut self, tag: &str) -> Response {
        if self.to_tag().is_none()
            && let Some(to) = self.get("To")
        {
            let tagged = format!("{to};tag={tag}");
            self.set("To", tagged);
        }
        self
    }

    /// The status, 100 to 699.
    pub fn status(&self) -> u16 {
        self.inner.status_code.code()
    }

    /// The reason phrase; it may be empty.
    pub fn phrase(&self) -> &str {
        match &self.inner.status_code {
            StatusCode::Other(_, phrase) => phrase,
            _ => "",
        }
    }
}

impl Message {
    /// The request, if it is one.
    pub fn request(&self) -> Option<&Request> {
        match self {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        }
    }

    /// The response, if it is one.
    pub fn response(&self) -> Option<&Response> {
        match self {
            Message::Response(response) => Some(response),
            Message::Request(_) => None,
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Message {
        Message::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Message {
        Message::Response(response)
    }
}

/// What requests and responses have in common: headers and a body.
///
/// Names are given in full or compact and compared without case.
#[allow(clippy::wrong_self_convention, reason = "From and To are the headers' names")]
pub trait MessageExt {
    /// The headers, in order.
    fn headers(&self) -> &Headers;

    /// The headers, to change.
    fn headers_mut(&mut self) -> &mut Headers;

    /// The body, as bytes.
    fn body(&self) -> &[u8];

    /// Replaces the body; Content-Type is not touched.
    fn set_body(&mut self, body: Vec<u8>);

    /// The value of the first header of this name.
    fn get(&self, name: &str) -> Option<&str> {
        let wanted = name::full_name(name);
        let mut parts = self.headers().iter().map(name::parts);
        parts.find(|(own, _)| own.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    }

    /// The values of all headers of this name.
    fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let wanted = name::full_name(name);
        self.headers()
            .iter()
            .map(name::parts)
            .filter(move |(own, _)| own.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value)
    }

    /// The elements of all headers of this name, lists taken apart at their commas.
    fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.get_all(name)
            .flat_map(|value| grammar::split(value, b','))
            .filter(|element| !element.is_empty())
    }

    /// Whether a list header has this token, compared without case, such as `Require: 100rel`.
    fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token))
    }

    /// Adds a header behind the others.
    fn push(&mut self, name: &str, value: impl Into<String>) {
        self.headers_mut().push(name::header(name, value.into()));
    }

    /// Adds a header before the first of its name, or before all others.
    fn push_front(&mut self, name: &str, value: impl Into<String>) {
        let mut headers: Vec<Header> = std::mem::take(self.headers_mut()).into();
        let wanted = name::full_name(name);
        let same = |header: &Header| name::parts(header).0.eq_ignore_ascii_case(wanted);
        let at = headers.iter().position(same).unwrap_or(0);
        headers.insert(at, name::header(name, value.into()));
        *self.headers_mut() = headers.into();
    }

    /// Gives the first header of this name a new value and removes the others, or adds it.
    fn set(&mut self, name: &str, value: impl Into<String>) {
        let header = name::header(name, value.into());
        let wanted = name::full_name(name);
        let mut kept = Some(header);
        let old: Vec<Header> = std::mem::take(self.headers_mut()).into();
        let mut headers = Vec::with_capacity(old.len() + 1);
        for own in old {
            if name::parts(&own).0.eq_ignore_ascii_case(wanted) {
                headers.extend(kept.take());
            } else {
                headers.push(own);
            }
        }
        headers.extend(kept);
        *self.headers_mut() = headers.into();
    }

    /// Removes every header of this name.
    fn remove(&mut self, name: &str) {
        let wanted = name::full_name(name);
        self.headers_mut().retain(|own| !name::parts(own).0.eq_ignore_ascii_case(wanted));
    }

    /// The first header of this type; `None` when it is missing.
    fn header<H: TypedHeader>(&self) -> Option<Result<H, Malformed>> {
        self.get(H::NAME).map(H::parse)
    }

    /// The first header of this type where it is there and well formed.
    fn header_ok<H: TypedHeader>(&self) -> Option<H> {
        self.header().and_then(Result::ok)
    }

    /// All elements of this type, lists taken apart at their commas.
    fn headers_of<H: TypedHeader>(&self) -> Result<Vec<H>, Malformed> {
        self.list(H::NAME).map(H::parse).collect()
    }

    /// Sets a typed header, as `set` does.
    fn set_header<H: TypedHeader>(&mut self, header: &H) {
        self.set(H::NAME, header.to_string());
    }

    /// Adds a typed header behind the others.
    fn push_header<H: TypedHeader>(&mut self, header: &H) {
        self.push(H::NAME, header.to_string());
    }

    /// The topmost Via.
    fn top_via(&self) -> Option<Via> {
        self.list(Via::NAME).next().and_then(|value| Via::parse(value).ok())
    }

    /// Replaces the topmost Via; the others are not touched, also on its line.
    fn set_top_via(&mut self, via: &Via) {
        for header in self.headers_mut().iter_mut() {
            let ("Via", value) = name::parts(header) else { continue };
            let end = grammar::find(value, b',').unwrap_or(value.len());
            let replaced = format!("{via}{}", &value[end..]);
            *header = name::header(Via::NAME, replaced);
            return;
        }
        self.push_front(Via::NAME, via.to_string());
    }

    /// Removes the topmost Via, also when it shares its line with others.
    fn pop_via(&mut self) {
        let rest: Vec<String> = self.list(Via::NAME).skip(1).map(str::to_owned).collect();
        self.remove(Via::NAME);
        for via in rest.into_iter().rev() {
            self.push_front(Via::NAME, via);
        }
    }

    /// Call-ID.
    fn call_id(&self) -> Option<&str> {
        self.get("Call-ID")
    }

    /// CSeq; `parse` has made sure of it.
    fn cseq(&self) -> Option<CSeq> {
        self.header_ok()
    }

    /// From; `parse` has made sure of it.
    fn from_address(&self) -> Option<NameAddr> {
        self.get("From").and_then(|value| NameAddr::parse(value).ok())
    }

    /// To; `parse` has made sure of it.
    fn to_address(&self) -> Option<NameAddr> {
        self.get("To").and_then(|value| NameAddr::parse(value).ok())
    }

    /// The tag of From.
    fn from_tag(&self) -> Option<String> {
        self.from_address().and_then(|from| from.tag().map(str::to_owned))
    }

    /// The tag of To.
    fn to_tag(&self) -> Option<String> {
        self.to_address().and_then(|to| to.tag().map(str::to_owned))
    }

    /// The first Contact; `None` for `*`.
    fn contact(&self) -> Option<NameAddr> {
        match self.list(Contact::NAME).next().map(Contact::parse) {
            Some(Ok(Contact::Address(address))) => Some(address),
            _ => None,
        }
    }

    /// The Record-Route entries from top to bottom.
    fn record_routes(&self) -> Result<Vec<NameAddr>, Malformed> {
        let routes = self.headers_of::<RecordRoute>()?;
        Ok(routes.into_iter().map(|route| route.0).collect())
    }
}

macro_rules! message_ext {
    ($type:ident) => {
        impl MessageExt for $type {
            fn headers(&self) -> &Headers {
                &self.inner.headers
            }

            fn headers_mut(&mut self) -> &mut Headers {
                &mut self.inner.headers
            }

            fn body(&self) -> &[u8] {
                &self.inner.body
            }

            fn set_body(&mut self, body: Vec<u8>) {
                self.inner.body = body;
            }
        }
    };
}

message_ext!(Request);
message_ext!(Response);

impl MessageExt for Message {
    fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => request.headers(),
            Message::Response(response) => response.headers(),
        }
    }

    fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Message::Request(request) => request.headers_mut(),
            Message::Response(response) => response.headers_mut(),
        }
    }

    fn body(&self) -> &[u8] {
        match self {
            Message::Request(request) => request.body(),
            Message::Response(response) => response.body(),
        }
    }

    fn set_body(&mut self, body: Vec<u8>) {
        match self {
            Message::Request(request) => request.set_body(body),
            Message::Response(response) => response.set_body(body),
        }
    }
}

impl fmt::Debug for Request {
    /// Method and host only: headers and body hold numbers, names and digests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = method::name(self.method());
        write!(f, "Request({method} {:?}, {} body bytes)", self.uri, self.body().len())
    }
}

impl fmt::Debug for Response {
    /// Status and phrase only: headers and body hold numbers, names and digests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({} {}, {} body bytes)", self.status(), self.phrase(), self.body().len())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Request(request) => request.fmt(f),
            Message::Response(response) => response.fmt(f),
        }
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
