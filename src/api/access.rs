//! Who may ask for what: the gateway's own machine, pages of its own origin, everybody.
//!
//! A peer on loopback alone proves little: a page of any site can be sent to `localhost` by its name
//! server (DNS rebinding), and a proxy on this machine carries strangers. So the `Host` must be a
//! loopback name, no proxy may have left its mark, and a request that changes something must not
//! come from another origin.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Problem;
use super::attempts::{Attempts, Way};
use super::keys::{Keys, Who};
use super::serve::Wire;
use crate::base::Permission;
use crate::signaling::ErrorCode;

/// The rules of access.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Who may administer and read metrics.
    pub admin: Admin,
    /// The keys of programs and of the operator.
    pub keys: Arc<Keys>,
    /// Other origins whose pages may change something; empty = only the gateway's own.
    pub allowed_origins: Vec<String>,
}

/// Who may administer and read metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Admin {
    /// Programs on the gateway's own machine; its browsers after a login. A key that is shown counts
    /// there, too.
    #[default]
    LoopbackOnly,
    /// Whoever shows a key, from anywhere.
    WithKey,
    /// Everybody who reaches the port: only behind a proxy that authenticates.
    DangerouslyAnybody,
}

/// The rules, and who broke them lately.
#[derive(Debug, Default)]
pub(super) struct Door {
    pub(super) access: Access,
    pub(super) attempts: Attempts,
}

/// Lets pass who may do this; the handler finds a [`Who`] in the request.
pub(super) async fn authorize(
    State((door, permission)): State<(Arc<Door>, Permission)>,
    mut request: Request,
    next: Next,
) -> Response {
    match who(&door, &request) {
        Ok(who) if who.may(permission) => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Ok(_) => {
            let words = format!("The key lacks the permission {permission}.");
            Problem::saying(ErrorCode::AuthPermission, words).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Lets pass who may log in: the pages' own files and the login itself.
pub(super) async fn near_enough(
    State(door): State<Arc<Door>>,
    request: Request,
    next: Next,
) -> Response {
    if door.access.admin == Admin::LoopbackOnly && !is_local(&request) {
        return Problem::new(ErrorCode::RequestLocalOnly).into_response();
    }
    next.run(request).await
}

fn who(door: &Door, request: &Request) -> Result<Who, Problem> {
    let access = &door.access;
    if access.admin == Admin::LoopbackOnly && !is_local(request) {
        return Err(Problem::new(ErrorCode::RequestLocalOnly));
    }
    let headers = request.headers();
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        let key = authorization.to_str().ok().and_then(|text| text.split_once(' '));
        let key = key.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if let Some(who) = key.and_then(|(_, key)| access.keys.of(key.trim())) {
            // Whatever others show from the same address: nobody can lock a program out, and a key of 128
            // bits is not found by trying.
            return Ok(who);
        }
        let (now, peer) = (Instant::now(), asker(request));
        if !is_local(request) || is_of_browser(headers) {
            door.attempts.may_try(now, peer)?;
        }
        door.attempts.failed(now, peer, Way::Bearer);
        return Err(Problem::new(ErrorCode::AuthKeyInvalid));
    }
    if let Some(cookie) = session_cookie(headers)
        && let Some(who) = access.keys.of_session(Instant::now(), cookie)
    {
        return Ok(who);
    }
    match access.admin {
        Admin::DangerouslyAnybody => Ok(Who::this_machine()),
        // A browser runs what strangers wrote; a program on this machine is its owner's.
        Admin::LoopbackOnly if !is_of_browser(headers) => Ok(Who::this_machine()),
        Admin::LoopbackOnly | Admin::WithKey => Err(Problem::new(ErrorCode::AuthKeyRequired)),
    }
}

/// Browsers say where a request comes from (Fetch Metadata), and no page can keep them from it.
fn is_of_browser(headers: &HeaderMap) -> bool {
    headers.contains_key("sec-fetch-site") || headers.contains_key(header::ORIGIN)
}

/// The cookie of a login.
pub(super) fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|text| text.to_str().ok());
    let mut pairs =
        all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// The name of the cookie.
pub(super) const COOKIE: &str = "crosspoint_session";

/// The demo's token is for this machine whatever the rules say.
pub(super) async fn always_local(request: Request, next: Next) -> Response {
    if is_local(&request) {
        next.run(request).await
    } else {
        Problem::new(ErrorCode::RequestLocalOnly).into_response()
    }
}

/// Oversized headers and changes from other origins are refused; every answer gets its headers.
pub(super) async fn guard(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).cloned();
    let wire = request.extensions().get::<Wire>().copied();
    let mut response = if header_bytes(request.headers()) > MAX_HEADER_BYTES {
        Problem::new(ErrorCode::RequestTooLarge).into_response()
    } else if changes(request.method()) && !origin_may_change(request.headers(), &door.access) {
        Problem::new(ErrorCode::AuthOrigin).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy(host.as_ref()));
    if wire == Some(Wire::Tls) {
        // RFC 6797: half a year, so that no later visit starts in the clear.
        let half_a_year = HeaderValue::from_static("max-age=15768000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, half_a_year);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whose address it is. Of a proxy on this machine what it says itself: the last of
/// `X-Forwarded-For`, the one that it has put there.
pub(super) fn asker(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip());
    let said = request.headers().get_all("x-forwarded-for").iter().next_back();
    let said = said.and_then(|text| text.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    said.filter(|_| peer.to_canonical().is_loopback()).unwrap_or(peer)
}

fn is_local(request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let loopback = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    let headers = request.headers();
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name));
    loopback && !proxied && host_is_loopback(headers)
}

fn host_is_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A browser says where a changing request comes from; a program says nothing and may pass.
fn origin_may_change(headers: &HeaderMap, access: &Access) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    match text(header::ORIGIN) {
        Some(origin) => {
            let own = text(header::HOST).is_some_and(|host| {
                origin == format!("http://{host}") || origin == format!("https://{host}")
            });
            own || access.allowed_origins.iter().any(|allowed| allowed == origin)
        }
        None => !matches!(
            headers.get("sec-fetch-site").and_then(|site| site.to_str().ok()),
            Some("cross-site" | "same-site")
        ),
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// Nothing from elsewhere. `connect-src` names the socket of this very host, because not every
/// browser takes `'self'` for `ws:`; `blob:` is the page's own recorded or played sound.
fn policy(host: Option<&HeaderValue>) -> HeaderValue {
    let host = host
        .and_then(|host| host.to_str().ok())
        .filter(|host| host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b)));
    let sockets = host.map_or(String::new(), |host| format!(" ws://{host} wss://{host}"));
    let text = format!(
        "default-src 'self'; connect-src 'self'{sockets}; media-src 'self' blob:; \
         img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'self'"))
}

const ALWAYS: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(self)"),
];

/// All header lines of a request together (security defaults).
const MAX_HEADER_BYTES: usize = 8 * 1024;
