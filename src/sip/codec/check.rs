//! What a user agent refuses in a well-formed request before it looks any closer
//! (RFC 3261 8.2.1, 8.2.2): method, scheme, required extensions, hops.

use rsip::Method;

use super::Refusal;
use crate::sip::header::{AcceptEncoding, Allow, Unsupported};
use crate::sip::message::{MessageExt, Request};
use crate::sip::uri::Scheme;

/// What this user agent takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The methods it takes; ACK is taken always.
    pub methods: Vec<Method>,
    /// The option tags it knows.
    pub extensions: Vec<String>,
}

/// Refuses `request` with 405 (and Allow), 415 (and Accept-Encoding) for a body that is compressed, 416, 420
/// (and Unsupported) or 483.
///
/// ACK is never answered, and CANCEL only follows its INVITE, so neither is refused
/// (RFC 3261 8.2.2.3). 483 is for requests that would go further: new ones, other than OPTIONS,
/// which asks the last hop (RFC 3261 11, RFC 7332 4).
pub fn check(request: &Request, policy: &Policy) -> Result<(), Refusal> {
    let method = request.method();
    if matches!(method, Method::Ack | Method::Cancel) {
        return Ok(());
    }
    if !policy.methods.contains(&method) {
        let refusal = Refusal::of(request, 405, "the method is not allowed here");
        return Err(refusal.with(&Allow(policy.methods.clone())));
    }
    if request.uri().scheme() == Scheme::Other {
        return Err(Refusal::of(request, 416, "the scheme is neither sip, sips nor tel"));
    }
    let known = |tag: &str| policy.extensions.iter().any(|own| own.eq_ignore_ascii_case(tag));
    let unknown: Vec<String> =
        request.list("Require").filter(|tag| !known(tag)).map(str::to_owned).collect();
    if !unknown.is_empty() {
        let refusal = Refusal::of(request, 420, "a required extension is not known");
        return Err(refusal.with(&Unsupported(unknown)));
    }
    let plain = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    if !request.body().is_empty() && !request.list("Content-Encoding").all(plain) {
        let refusal = Refusal::of(request, 415, "bodies are not decompressed here");
        return Err(refusal.with(&AcceptEncoding(vec!["identity".to_owned()])));
    }
    let last_hop = request.get("Max-Forwards").is_some_and(|hops| hops.bytes().all(|d| d == b'0'));
    if last_hop && method != Method::Options && request.to_tag().is_none() {
        return Err(Refusal::of(request, 483, "no hop is left for this request"));
    }
    Ok(())
}
