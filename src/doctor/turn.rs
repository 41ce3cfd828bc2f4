//! Whether the STUN and TURN servers that pages are told of answer, and take the credentials that the
//! gateway makes. What they see of our address is what the world sees.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

use super::report::Report;
use super::stun::{self, Answer, Credential, Request};
use crate::base::UserId;
use crate::config::{Config, IceServer};
use crate::host;
use crate::signaling::IceSource;

/// Asks every server; gives the address that the first of them saw us come from.
pub(super) async fn check(config: &Config, now_unix_s: u64, report: &mut Report) -> Option<IpAddr> {
    let mut seen = None;
    for server in &config.ice.servers {
        for url in &server.urls {
            let check = format!("ice {url}");
            let asked = tokio::time::timeout(PATIENCE, ask(server, url, now_unix_s));
            match asked.await.unwrap_or(Err(Fault::Silent)) {
                Ok(Found { mapped, relayed }) => {
                    let mapped_words = mapped.map_or("it sees us somewhere".to_owned(), |own| {
                        format!("it sees us at {}", own.ip())
                    });
                    let relayed_words = relayed.map_or(String::new(), |own| {
                        format!(", took the secret, relays by {}", own.ip())
                    });
                    report.ok(check, format!("answers; {mapped_words}{relayed_words}"));
                    seen = seen.or(mapped.map(|own| own.ip()));
                }
                Err(fault @ (Fault::NotReached(_) | Fault::Silent))
                    if own_machine(url) && super::host::in_container() =>
                {
                    report.warn(
                        check,
                        format!("{}, for it is not in this container", fault.found()),
                        "good for pages on the machine that publishes its port; for others write \
                         that machine's name",
                    );
                }
                Err(fault) => report.fail(check, fault.found(), fault.fix()),
            }
        }
    }
    seen
}

struct Found {
    mapped: Option<SocketAddr>,
    relayed: Option<SocketAddr>,
}

enum Fault {
    /// No URL that could be asked.
    Url,
    NoName(String),
    NotReached(String),
    Silent,
    /// It wants a credential, and none can be made.
    NoSecret,
    /// It does not take the credential.
    Refused(u16),
    Error(u16),
}

impl Fault {
    fn found(&self) -> String {
        match self {
            Fault::Url => "is no URL of a server".to_owned(),
            Fault::NoName(error) => format!("its name is not found: {error}"),
            Fault::NotReached(error) => format!("is not reached: {error}"),
            Fault::Silent => "does not answer".to_owned(),
            Fault::NoSecret => "wants a password, and the configuration has no secret".to_owned(),
            Fault::Refused(code) => format!("does not take our credentials ({code})"),
            Fault::Error(code) => format!("answers with error {code}"),
        }
    }

    fn fix(&self) -> &'static str {
        match self {
            Fault::Url => "write turn:HOST[:PORT][?transport=tcp] in [ice] servers",
            Fault::NoName(_) => "correct the name in [ice] servers, or the DNS",
            Fault::NotReached(_) | Fault::Silent => {
                "start the server, or let its port through the firewall (3478 UDP and TCP, 5349 TLS)"
            }
            Fault::NoSecret => {
                "set secret_file beside its urls: the static-auth-secret of the server"
            }
            Fault::Refused(_) => {
                "secret_file must hold what the server has as static-auth-secret (with \
                 use-auth-secret), and both clocks must be right"
            }
            Fault::Error(_) => "its log says why",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Udp,
    Tcp,
    Tls,
}

async fn ask(server: &IceServer, url: &str, now_unix_s: u64) -> Result<Found, Fault> {
    let (turn, way, host, port) = parts(url).ok_or(Fault::Url)?;
    let found = tokio::net::lookup_host((host, port)).await;
    let found = found.map_err(|error| Fault::NoName(error.to_string()))?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let address = *addresses.first().ok_or_else(|| Fault::NoName("no address".to_owned()))?;
    let not_reached = |error: std::io::Error| Fault::NotReached(error.to_string());
    match way {
        Way::Udp => {
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).await.map_err(not_reached)?;
            socket.connect(address).await.map_err(not_reached)?;
            talk(&mut Datagrams(socket), server, turn, now_unix_s).await
        }
        Way::Tcp => {
            let stream = TcpStream::connect(address).await.map_err(not_reached)?;
            talk(&mut Stream(stream), server, turn, now_unix_s).await
        }
        Way::Tls => {
            let stream = TcpStream::connect(address).await.map_err(not_reached)?;
            let name = ServerName::try_from(host.to_owned()).map_err(|_| Fault::Url)?;
            let stream = connector().connect(name, stream).await.map_err(not_reached)?;
            talk(&mut Stream(stream), server, turn, now_unix_s).await
        }
    }
}

/// Whether the URL leads everybody to a machine of their own.
fn own_machine(url: &str) -> bool {
    parts(url).is_some_and(|(_, _, host, _)| {
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|own| own.is_loopback())
    })
}

/// Whether it is TURN, how it is reached, host and port (RFC 7064, 7065).
fn parts(url: &str) -> Option<(bool, Way, &str, u16)> {
    let (scheme, rest) = url.split_once(':')?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (turn, way) = match (scheme, query) {
        ("stun", "") => (false, Way::Udp),
        ("turn", "" | "transport=udp") => (true, Way::Udp),
        ("turn", "transport=tcp") => (true, Way::Tcp),
        ("turns", "" | "transport=tcp") => (true, Way::Tls),
        _ => return None,
    };
    let default = if way == Way::Tls { 5349 } else { 3478 };
    if let Some(inside) = rest.strip_prefix('[') {
        let (host, after) = inside.split_once(']')?;
        let port = after.strip_prefix(':').map_or(Some(default), |port| port.parse().ok())?;
        return Some((turn, way, host, port));
    }
    match rest.split_once(':') {
        Some((host, port)) => Some((turn, way, host, port.parse().ok()?)),
        None if !rest.is_empty() => Some((turn, way, rest, default)),
        None => None,
    }
}

async fn talk(
    line: &mut impl Exchange,
    server: &IceServer,
    turn: bool,
    now_unix_s: u64,
) -> Result<Found, Fault> {
    if !turn {
        let answer = line.exchange(&Request::Binding).await?;
        return match answer.error {
            None => Ok(Found { mapped: answer.mapped, relayed: None }),
            Some(code) => Err(Fault::Error(code)),
        };
    }
    let first = line.exchange(&Request::Allocate(None)).await?;
    if first.success {
        // It relays for anybody.
        return Ok(Found { mapped: first.mapped, relayed: first.relayed });
    }
    let (Some(401), Some(realm), Some(nonce)) = (first.error, first.realm, first.nonce) else {
        return Err(Fault::Error(first.error.unwrap_or(0)));
    };
    let source = IceSource { urls: server.urls.clone(), secret: server.secret.clone() };
    let user: UserId = "doctor".parse().map_err(|_| Fault::Url)?;
    let own = source.for_page(&user, now_unix_s);
    let (Some(username), Some(password)) = (own.username, own.credential) else {
        return Err(Fault::NoSecret);
    };
    let credential = Credential { username, password, realm, nonce };
    let answer = line.exchange(&Request::Allocate(Some(&credential))).await?;
    if !answer.success {
        return Err(match answer.error {
            Some(code @ (401 | 403 | 438 | 441)) => Fault::Refused(code),
            code => Fault::Error(code.unwrap_or(0)),
        });
    }
    // It would end by itself in ten minutes: nothing hangs on the answer.
    let _ = line.exchange(&Request::Release(&credential)).await;
    Ok(Found { mapped: answer.mapped, relayed: answer.relayed })
}

/// A request and its answer.
trait Exchange {
    async fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Fault>;
}

struct Datagrams(UdpSocket);

impl Exchange for Datagrams {
    async fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Fault> {
        let transaction = transaction();
        let bytes = stun::write(request, transaction);
        let mut buffer = [0; 2048];
        // RFC 8489 6.2.1: the same again, where it may have been lost.
        for wait in TRIES {
            let sent = self.0.send(&bytes).await;
            sent.map_err(|error| Fault::NotReached(error.to_string()))?;
            let answered = async {
                loop {
                    let n = self.0.recv(&mut buffer).await?;
                    if let Some(answer) = stun::read(&buffer[..n], transaction) {
                        return Ok::<_, std::io::Error>(answer);
                    }
                }
            };
            // Cancel safe: what is not received yet is received in the next round.
            match tokio::time::timeout(wait, answered).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => return Err(Fault::NotReached(error.to_string())),
                Err(_) => {}
            }
        }
        Err(Fault::Silent)
    }
}

struct Stream<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange for Stream<S> {
    async fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Fault> {
        let transaction = transaction();
        let exchange = async {
            self.0.write_all(&stun::write(request, transaction)).await?;
            self.0.flush().await?;
            loop {
                let mut message = vec![0; 20];
                self.0.read_exact(&mut message).await?;
                message.resize(stun::whole_length(&message).unwrap_or(20), 0);
                self.0.read_exact(&mut message[20..]).await?;
                if let Some(answer) = stun::read(&message, transaction) {
                    return Ok::<_, std::io::Error>(answer);
                }
            }
        };
        exchange.await.map_err(|error| Fault::NotReached(error.to_string()))
    }
}

fn connector() -> TlsConnector {
    let config = host::client_trusting(host::authorities()).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

fn transaction() -> [u8; 12] {
    let mut bytes = [0; 12];
    // It only has to differ from the one before; without randomness nothing else works either.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

const PATIENCE: Duration = Duration::from_secs(8);
const TRIES: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_millis(1500)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        assert_eq!(parts("stun:s.example"), Some((false, Way::Udp, "s.example", 3478)));
        assert_eq!(parts("turn:t.example:99"), Some((true, Way::Udp, "t.example", 99)));
        assert_eq!(parts("turn:t?transport=tcp"), Some((true, Way::Tcp, "t", 3478)));
        assert_eq!(parts("turns:t.example"), Some((true, Way::Tls, "t.example", 5349)));
        assert_eq!(parts("turn:[::1]:7"), Some((true, Way::Udp, "::1", 7)));
        for wrong in
            ["stun:", "turn:t:x", "turn:t?transport=sctp", "http://t", "turns:t?transport=udp"]
        {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_own_machine_is_known_by_its_names() {
        for own in ["turn:localhost:3478", "turn:127.0.0.1?transport=tcp", "stun:[::1]"] {
            assert!(own_machine(own), "{own}");
        }
        for other in ["turn:turn.example", "turn:192.0.2.1", "turn:[2001:db8::1]", "turn:"] {
            assert!(!own_machine(other), "{other}");
        }
    }
}
