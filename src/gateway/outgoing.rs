//! A request to somebody else's server, as it must be made where an address comes from a configuration
//! that strangers may have had a hand in: the address that is connected to is checked, redirects are not
//! followed, the answer is read to a bound, and everything together has a time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::host;

/// Where a request goes and what it may reach.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// `http://` or `https://`.
    pub uri: Uri,
    /// Whether it may be on this machine or in a private network.
    pub private: Private,
}

/// Whether private addresses may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Private {
    Refused,
    Allowed,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub status: u16,
    /// Where one was wanted.
    pub body: Vec<u8>,
}

/// Why there is no answer; the words are for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the address is not usable: {0}")]
    Address(&'static str),
    #[error("the name cannot be looked up")]
    Name,
    #[error("{0} is a private address, and `allow_private` is not set")]
    PrivateAddress(IpAddr),
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("the connection broke: {0}")]
    Broke(String),
    #[error("no answer within {} s", .0.as_secs())]
    Time(Duration),
}

/// Sends a POST. Headers are names and values of ours. Of the answer's body at most `wanted` octets
/// are read; a longer one is a fault where any is wanted.
pub(super) async fn post(
    target: &Target,
    headers: &[(&'static str, String)],
    body: Vec<u8>,
    within: Duration,
    wanted: usize,
) -> Result<Answered, Fault> {
    tokio::time::timeout(within, exchange(target, headers, body, wanted))
        .await
        .unwrap_or(Err(Fault::Time(within)))
}

async fn exchange(
    target: &Target,
    headers: &[(&'static str, String)],
    body: Vec<u8>,
    wanted: usize,
) -> Result<Answered, Fault> {
    let uri = &target.uri;
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(Fault::Address("it starts with neither http:// nor https://")),
    };
    let host = uri.host().ok_or(Fault::Address("it has no host"))?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let found = tokio::net::lookup_host((bare, port)).await.map_err(|_| Fault::Name)?;
    let address = allowed(found, target.private)?;
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| Fault::Connect(error.to_string()))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header(header::HOST, uri.authority().map_or(host, |authority| authority.as_str()))
        .header(header::USER_AGENT, concat!("crosspoint/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_LENGTH, body.len());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Body::from(body));
    let request = request.map_err(|_| Fault::Address("it is no part of a request"))?;
    if secure {
        let name = ServerName::try_from(bare.to_owned());
        let name = name.map_err(|_| Fault::Address("its host is no name for a certificate"))?;
        let stream = TlsConnector::from(TLS.clone()).connect(name, stream).await;
        talk(stream.map_err(|error| Fault::Connect(error.to_string()))?, request, wanted).await
    } else {
        talk(stream, request, wanted).await
    }
}

async fn talk<S>(stream: S, request: Request<Body>, wanted: usize) -> Result<Answered, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broke = |error: hyper::Error| Fault::Broke(error.to_string());
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_BUFFER).max_headers(MAX_HEADERS);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broke)?;
    tokio::pin!(connection);
    let asked = sender.send_request(request);
    tokio::pin!(asked);
    let mut closed = false;
    let response = loop {
        // Cancellation safe: both are polled again until the answer is there, or cannot come any more.
        tokio::select! {
            response = &mut asked => break response.map_err(broke)?,
            ended = &mut connection, if !closed => {
                ended.map_err(broke)?;
                closed = true;
            }
        }
    };
    let status = response.status().as_u16();
    if wanted == 0 {
        // The status is what counts, however much comes after it.
        return Ok(Answered { status, body: Vec::new() });
    }
    let whole = axum::body::to_bytes(Body::new(response.into_body()), wanted);
    tokio::pin!(whole);
    let body = loop {
        // Cancellation safe, as above.
        tokio::select! {
            body = &mut whole => break body.map_err(|error| Fault::Broke(error.to_string()))?,
            _ = &mut connection, if !closed => closed = true,
        }
    };
    Ok(Answered { status, body: body.to_vec() })
}

/// The first address that may be connected to. The check is of the address itself, so that a name
/// which points elsewhere at the next look-up changes nothing.
fn allowed(found: impl Iterator<Item = SocketAddr>, private: Private) -> Result<SocketAddr, Fault> {
    let mut refused = None;
    for address in found {
        if private == Private::Allowed || is_public(address.ip()) {
            return Ok(address);
        }
        refused = Some(address.ip());
    }
    Err(refused.map_or(Fault::Name, Fault::PrivateAddress))
}

/// Whether an address is of the public internet (IANA special-purpose registries, RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (b == 18 || b == 19);
    let special = a == 192 && b == 0 && c == 0;
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || shared
        || benchmark
        || special)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let parts = ip.segments();
    // Only 2000::/3 is given out; of it 6to4 and NAT64 carry an IPv4 address that may be private.
    let global = parts[0] & 0xe000 == 0x2000;
    let documentation = parts[0] == 0x2001 && parts[1] == 0x0db8;
    let teredo = parts[0] == 0x2001 && parts[1] == 0;
    global && !documentation && !teredo && parts[0] != 0x2002
}

static TLS: LazyLock<Arc<rustls::ClientConfig>> =
    LazyLock::new(|| Arc::new(host::client_trusting(host::authorities()).with_no_client_auth()));

const MAX_BUFFER: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_every_dress() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "9.255.255.255", "172.32.0.1", "2606:4700::1111"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_name_with_one_public_address_is_connected_to_there() {
        let of =
            |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let both = of(&["127.0.0.1:80", "1.1.1.1:80"]);
        let one = allowed(both.clone().into_iter(), Private::Refused).unwrap();
        assert_eq!(one.to_string(), "1.1.1.1:80");
        let first = allowed(both.into_iter(), Private::Allowed).unwrap();
        assert_eq!(first.to_string(), "127.0.0.1:80");
        let refused = allowed(of(&["[::1]:80"]).into_iter(), Private::Refused).unwrap_err();
        assert!(refused.to_string().contains("allow_private"));
        assert_eq!(allowed(std::iter::empty(), Private::Refused), Err(Fault::Name));
    }
}
