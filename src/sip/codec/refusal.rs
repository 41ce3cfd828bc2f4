//! Why a message was not taken: a request that gets a final response without any state, or a
//! message that is dropped.

use rsip::{Header, Headers, Method};

use crate::sip::grammar::Malformed;
use crate::sip::header::{TypedHeader, Warning};
use crate::sip::message::{MessageExt, Request, Response};
use crate::sip::status;

/// What happens to a message that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseError {
    /// The request is answered with this, statelessly, and forgotten.
    Refused(Box<Refusal>),
    /// Nothing can or may be answered: a response, an ACK, a message without Via.
    Dropped(Malformed),
}

/// A request refused, and the response that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    method: Option<Method>,
    detail: &'static str,
    response: Response,
}

impl Refusal {
    /// Refuses a request that was parsed.
    pub fn of(request: &Request, status: u16, detail: &'static str) -> Refusal {
        let response = Response::to(request, status, status::phrase(status));
        Refusal { method: Some(request.method()), detail, response }.warned()
    }

    /// Refuses a request of which only these headers could be read.
    pub(super) fn of_headers(
        headers: &Headers,
        method: Option<Method>,
        status: u16,
        detail: &'static str,
    ) -> Refusal {
        let mut response = Response::new(status, status::phrase(status));
        let echoed = |header: &&Header| {
            matches!(
                header,
                Header::Via(_)
                    | Header::From(_)
                    | Header::To(_)
                    | Header::CallId(_)
                    | Header::CSeq(_)
            )
        };
        response.headers_mut().extend(headers.iter().filter(echoed).cloned().collect());
        Refusal { method, detail, response }.warned()
    }

    /// The status: 400, 405, 414, 415, 416, 420, 483, 501, 505 or 513.
    pub fn status(&self) -> u16 {
        self.response.status()
    }

    /// The rule that was broken, for the log.
    pub fn detail(&self) -> &'static str {
        self.detail
    }

    /// The request's method, where it is one we know.
    pub fn method(&self) -> Option<Method> {
        self.method
    }

    /// The response, with a To tag where To has none (RFC 3261 8.2.6.2). Via, From, To, Call-ID and
    /// CSeq are the request's own text.
    pub fn response(&self, to_tag: &str) -> Response {
        self.response.clone().with_to_tag(to_tag)
    }

    /// The same refusal with one more header.
    pub(super) fn with<H: TypedHeader>(mut self, header: &H) -> Refusal {
        self.response.push_header(header);
        self
    }

    /// 399: any text for people (RFC 3261 20.43).
    fn warned(self) -> Refusal {
        let (agent, text) = ("crosspoint".to_owned(), self.detail.to_owned());
        self.with(&Warning { code: 399, agent, text })
    }
}
