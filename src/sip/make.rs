//! Messages made from typed fields, and the facts of messages that arrived. Nothing of a received
//! message goes into one of ours but what RFC 3261 says is echoed.

use super::codec::write;
use super::command::{Body, ExtraHeader, MAX_FORWARDS, Session};
use super::dialog::NameAddrText;
use super::digest;
use super::endpoint::Path;
use super::event::{Answer, Incoming, OfferIn, Origin, Privacy};
use super::header::{Allow, PAssertedIdentity, Reason, RetryAfter, TypedHeader, Warning};
use super::multipart;
use super::registration::{self, RegisterAsk};
use super::status::phrase;
use super::{MessageExt, Method, NameAddr, Request, Response, Uri};
use crate::base::Cause;

/// Whether a message tells where we are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WithContact {
    /// INVITE, its responses, UPDATE and the like.
    Yes,
    /// Requests that make and refresh no dialog.
    No,
    /// REGISTER: the address that is to be bound.
    Binding(RegisterAsk),
}

/// A request without what its transaction adds: Via and credentials.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) routes: Vec<String>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) max_forwards: u8,
    pub(super) contact: WithContact,
    pub(super) asserted_identity: Option<NameAddr>,
    pub(super) extra: Vec<ExtraHeader>,
    /// Name and value of each answer to a challenge.
    pub(super) authorization: Vec<(&'static str, String)>,
    pub(super) body: Option<Body>,
    /// Whether a 422 has been heeded already.
    pub(super) asked_longer: bool,
}

impl Draft {
    pub(super) fn write(&self, via: &str, contact: &str, product: &str) -> Vec<u8> {
        write(&self.request(via, contact, product).into())
    }

    /// Puts credentials for the nonces at hand into the request.
    pub(super) fn authorize(&mut self, client: &mut digest::Client, cnonce: &str) {
        let mut request = self.request("", "", "");
        client.authorize(&mut request, cnonce);
        self.authorization = ["Authorization", "Proxy-Authorization"]
            .into_iter()
            .filter_map(|name| Some((name, request.get(name)?.to_owned())))
            .collect();
    }

    pub(super) fn request(&self, via: &str, contact: &str, product: &str) -> Request {
        let mut request = Request::new(self.method, self.uri.clone());
        request.push("Via", via);
        for route in &self.routes {
            request.push("Route", route.as_str());
        }
        request.push("Max-Forwards", self.max_forwards.to_string());
        request.push("From", self.from.as_str());
        request.push("To", self.to.as_str());
        request.push("Call-ID", self.call_id.as_str());
        request.push("CSeq", format!("{} {}", self.cseq, super::method::name(self.method)));
        if self.contact == WithContact::Yes {
            request.push("Contact", contact);
            request.push("Allow", ALLOW);
        }
        if let WithContact::Binding(ask) = &self.contact {
            let here = NameAddr::parse(contact).ok();
            let bound = here.and_then(|here| registration::contact(ask, &here.uri));
            if let Some(bound) = bound {
                let seconds = ask.expires;
                request.push("Contact", format!("<{}>;expires={seconds}", bound.as_str()));
                request.push("Expires", seconds.to_string());
                request.push("Allow", ALLOW);
            }
        }
        if let Some(identity) = &self.asserted_identity {
            request.push("P-Asserted-Identity", identity.to_string());
        }
        if !product.is_empty() {
            request.push("User-Agent", product);
        }
        for (name, value) in &self.authorization {
            request.push(name, value.as_str());
        }
        finish(&mut request, &self.extra, self.body.clone());
        request
    }

    /// The ACK of a 300-699: it goes where the INVITE went and with its Via (RFC 3261 17.1.1.3).
    pub(super) fn ack_of_refusal(&self, to: &str) -> Draft {
        Draft { to: to.to_owned(), ..self.beside(Method::Ack) }
    }

    /// The CANCEL of this INVITE (RFC 3261 9.1).
    pub(super) fn cancel(&self, reasons: Vec<ExtraHeader>) -> Draft {
        Draft { extra: reasons, ..self.beside(Method::Cancel) }
    }

    fn beside(&self, method: Method) -> Draft {
        Draft {
            method,
            contact: WithContact::No,
            asserted_identity: None,
            extra: Vec::new(),
            authorization: Vec::new(),
            body: None,
            asked_longer: false,
            ..self.clone()
        }
    }
}

/// What the endpoint answers OPTIONS and 405 with, and writes into INVITE.
pub(super) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY";

/// One response to make.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) phrase: Option<String>,
    pub(super) headers: Vec<ExtraHeader>,
    pub(super) body: Option<Body>,
}

impl Reply {
    pub(super) fn status(status: u16) -> Reply {
        Reply { status, phrase: None, headers: Vec::new(), body: None }
    }

    /// With a header that the endpoint makes itself.
    pub(super) fn with_own(status: u16, name: &str, value: &str) -> Reply {
        Reply { headers: vec![ExtraHeader::own(name, value)], ..Reply::status(status) }
    }

    pub(super) fn with(status: u16, name: &str, value: &str) -> Reply {
        Reply {
            headers: ExtraHeader::new(name, value).into_iter().collect(),
            ..Reply::status(status)
        }
    }
}

/// What is kept of a request to answer it: its headers, with the top Via stamped.
#[derive(Debug)]
pub(super) struct Echo {
    pub(super) branch: String,
    pub(super) sent_by: String,
    pub(super) method: Method,
    request: Request,
    tag: String,
}

impl Echo {
    /// `request` has its top Via stamped with the source.
    pub(super) fn new(request: &Request, branch: String, sent_by: String) -> Echo {
        let mut request = request.clone();
        request.set_body(Vec::new());
        Echo { branch, sent_by, method: request.method(), request, tag: String::new() }
    }

    /// The To tag of all responses above 100.
    pub(super) fn set_tag(&mut self, tag: &str) {
        self.tag = tag.to_owned();
    }

    /// The final response is made: nothing of the request is needed any more.
    pub(super) fn forget_request(&mut self) {
        *self.request.headers_mut() = Default::default();
        self.tag = String::new();
    }

    pub(super) fn trying(&self, product: &str) -> Vec<u8> {
        let mut response = Response::to(&self.request, 100, phrase(100));
        if !product.is_empty() {
            response.push("Server", product);
        }
        write(&response.into())
    }

    pub(super) fn write(&self, reply: Reply, contact: &str, product: &str) -> Vec<u8> {
        let words = match reply.phrase {
            Some(words) if !words.chars().any(char::is_control) => words,
            _ => phrase(reply.status).to_owned(),
        };
        let response = Response::to(&self.request, reply.status, &words);
        let mut response = response.with_to_tag(&self.tag);
        let makes_dialog = self.method == Method::Invite && reply.status < 300;
        if makes_dialog {
            let routes: Vec<String> =
                self.request.get_all("Record-Route").map(str::to_owned).collect();
            for route in routes {
                response.push("Record-Route", route);
            }
            response.push("Contact", contact);
        }
        let refreshes = self.method == Method::Update && reply.status < 300;
        if refreshes {
            response.push("Contact", contact);
        }
        if makes_dialog || refreshes || reply.status == 405 || self.method == Method::Options {
            response.push("Allow", ALLOW);
        }
        if self.method == Method::Options && reply.status < 300 {
            response.push("Accept", "application/sdp");
            response.push("Supported", "100rel, timer, replaces, norefersub");
        }
        if !product.is_empty() {
            response.push("Server", product);
        }
        finish(&mut response, &reply.headers, reply.body);
        if reply.status >= 300 && !matches!(reply.status, 401 | 407) {
            explain(&mut response, reply.status, &words);
        }
        write(&response.into())
    }
}

/// Why a request is refused, where nobody has said more: its cause in Q.850's terms (RFC 6432) and in
/// words. A challenge is no refusal.
pub(super) fn explain(response: &mut Response, status: u16, words: &str) {
    if response.get(Reason::NAME).is_none() {
        response.push_header(&Reason::q850(Cause::from_sip(status).q850(), words));
    }
    if response.get(Warning::NAME).is_none() {
        let (agent, text) = ("crosspoint".to_owned(), words.to_owned());
        response.push_header(&Warning { code: 399, agent, text });
    }
}

fn finish(message: &mut impl MessageExt, extra: &[ExtraHeader], body: Option<Body>) {
    for (name, value) in extra.iter().map(ExtraHeader::parts) {
        message.push(name, value);
    }
    if let Some(body) = body {
        if !body.content_type.chars().any(char::is_control) {
            message.push("Content-Type", body.content_type);
        }
        message.set_body(body.bytes);
    }
}

/// More diversions than any call goes through.
const MOST_VALUES: usize = 20;

/// The identity of a message.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) call_id: String,
    pub(super) from: NameAddrText,
    pub(super) to: NameAddrText,
    pub(super) cseq: u32,
    pub(super) method: Method,
    pub(super) contact: Option<Uri>,
    pub(super) record_routes: Vec<NameAddr>,
}

impl Facts {
    /// `None` where the message lacks what the codec makes sure of.
    pub(super) fn of(message: &impl MessageExt) -> Option<Facts> {
        let address = |name: &str| {
            let text = message.get(name)?;
            let tag = NameAddr::parse(text).ok()?.tag().unwrap_or_default().to_owned();
            Some(NameAddrText { text: text.to_owned(), tag })
        };
        let cseq = message.cseq()?;
        Some(Facts {
            call_id: message.call_id()?.to_owned(),
            from: address("From")?,
            to: address("To")?,
            cseq: cseq.number,
            method: cseq.method,
            contact: message.contact().map(|contact| contact.uri),
            record_routes: message.record_routes().unwrap_or_default(),
        })
    }
}

/// A response that arrived, or one made here in place of one that did not.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) status: u16,
    pub(super) facts: Option<Facts>,
    pub(super) response: Response,
    pub(super) origin: Origin,
}

impl Arrived {
    pub(super) fn made_here(origin: Origin) -> Arrived {
        let status = match origin {
            Origin::Timeout => 408,
            _ => 503,
        };
        let response = Response::new(status, phrase(status));
        Arrived { status, facts: None, response, origin }
    }

    /// 491 made here: another offer is open.
    pub(super) fn pending() -> Arrived {
        let response = Response::new(491, phrase(491));
        Arrived { status: 491, facts: None, response, origin: Origin::Local }
    }

    /// The To tag; empty where there is none.
    pub(super) fn fork(&self) -> &str {
        self.facts.as_ref().map_or("", |facts| facts.to.tag.as_str())
    }

    /// As the owner gets it.
    pub(super) fn answer(mut self) -> Box<Answer> {
        Box::new(Answer {
            status: self.status,
            phrase: self.response.phrase().to_owned(),
            fork: self.fork().to_owned(),
            allow: allow(&self.response),
            reasons: reasons(&self.response),
            retry_after: self.response.header_ok::<RetryAfter>().map(|after| after.seconds),
            body: take_body(&mut self.response),
            response: (self.origin == Origin::Peer).then_some(self.response),
        })
    }
}

/// The facts of an INVITE that starts a session.
pub(super) fn incoming(
    mut request: Request,
    path: Path,
    key: Session,
    replaces: Option<Session>,
) -> Option<Incoming> {
    let withheld =
        |request: &Request| ["id", "user", "header"].iter().any(|word| privacy(request, word));
    Some(Incoming {
        session: key,
        source: path.remote,
        user: None,
        max_forwards: request
            .get("Max-Forwards")
            .and_then(super::grammar::number)
            .unwrap_or(MAX_FORWARDS),
        transport: path.transport,
        local: path.local,
        target: request.uri().clone(),
        from: request.from_address()?,
        to: request.to_address()?,
        asserted_identities: request
            .list(PAssertedIdentity::NAME)
            .filter_map(|value| NameAddr::parse(value).ok())
            .collect(),
        privacy: if withheld(&request) { Privacy::Withheld } else { Privacy::Open },
        call_id: request.call_id()?.to_owned(),
        replaces,
        diversions: parsed(&request),
        history: parsed(&request),
        allow: allow(&request),
        body: take_body(&mut request),
        request,
    })
}

/// Which side makes the offer of this INVITE.
pub(super) fn offer_in(request: &Request) -> OfferIn {
    if request.body().is_empty() { OfferIn::Response } else { OfferIn::Invite }
}

/// All headers of a name; those that cannot be read are left out.
fn parsed<H: TypedHeader>(request: &Request) -> Vec<H> {
    request.list(H::NAME).filter_map(|value| H::parse(value).ok()).take(MOST_VALUES).collect()
}

fn privacy(request: &Request, word: &str) -> bool {
    request
        .get_all("Privacy")
        .flat_map(|value| value.split(';'))
        .any(|own| own.trim().eq_ignore_ascii_case(word))
}

/// `Reason` headers; those that cannot be read are left out.
pub(super) fn reasons(message: &impl MessageExt) -> Vec<Reason> {
    message.list(Reason::NAME).filter_map(|value| Reason::parse(value).ok()).collect()
}

pub(super) fn allow(message: &impl MessageExt) -> Vec<Method> {
    let lists = message.get_all(Allow::NAME).filter_map(|value| Allow::parse(value).ok());
    lists.flat_map(|list| list.0).collect()
}

/// Moves the body out of a message.
pub(super) fn take_body(message: &mut impl MessageExt) -> Option<Body> {
    if message.body().is_empty() {
        return None;
    }
    let bytes = message.body().to_vec();
    message.set_body(Vec::new());
    let content_type = message.get("Content-Type").unwrap_or("application/sdp").to_owned();
    Some(multipart::description(Body { content_type, bytes }))
}
