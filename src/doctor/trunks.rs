//! The trunks: found in the DNS, reached, and told an address that they can send to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

use super::network::{is_private, own_address, source_toward};
use super::report::Report;
use crate::base::TrunkId;
use crate::config::Config;
use crate::sip::{
    self, Destination, Dns, DriverConfig, Reachable, TlsConfig, TlsIdentity, TlsPeer,
    TlsPeerConfig, Transport, Wanted,
};
use crate::trunk::{self, Definition, Registering};

/// Looks at every trunk, some at a time, and tells them in their order.
pub(super) async fn check(config: &Config, report: &mut Report) {
    if config.trunks.is_empty() {
        return report.warn(
            "trunks",
            "none: calls go between pages only",
            "[trunk.NAME] with target = \"sip:HOST\" (docs/trunks.md)",
        );
    }
    let transports: Vec<Transport> =
        [trunk::Transport::Udp, trunk::Transport::Tcp, trunk::Transport::Tls]
            .into_iter()
            .filter(|own| *own != trunk::Transport::Udp || listens_udp(config))
            .map(of_trunk)
            .collect();
    let reachable = Reachable { transports, ipv4: true, ipv6: source_toward(SOME_IPV6).is_some() };
    let dns = match Dns::start(&config.sip.dns_servers, reachable) {
        Ok(dns) => dns,
        Err(error) => {
            return report.fail(
                "dns",
                error.to_string(),
                "correct [sip] dns_servers or /etc/resolv.conf",
            );
        }
    };
    // Without a listener: it only opens streams.
    let (peers, places) = tls_peers(config);
    let tls = TlsConfig { server: None, peers };
    let driver = sip::driver::start(DriverConfig { tls, ..DriverConfig::default() }).await;
    let (handle, _events) = match driver {
        Ok(driver) => driver,
        Err(error) => {
            return report.fail(
                "trunks",
                error.to_string(),
                "correct the files of [trunk.NAME.tls]",
            );
        }
    };
    for own in config.trunks.values() {
        let tls = places.get(&own.id).copied().unwrap_or(TlsPeer::UNKNOWN);
        if let Some(found) = located(own, &dns, report).await {
            for destination in found.into_iter().take(MOST_DESTINATIONS) {
                let destination = Destination { tls, ..destination };
                reached(own, &destination, &handle, report).await;
                told(config, own, &destination, report);
            }
        }
        settings(own, report);
    }
    handle.stop().await;
}

fn listens_udp(config: &Config) -> bool {
    config.sip.listen.iter().any(|own| own.transport == trunk::Transport::Udp)
}

async fn located(own: &Definition, dns: &Dns, report: &mut Report) -> Option<Vec<Destination>> {
    let check = format!("trunk {}: name", own.id);
    let target = &own.target;
    let host = target.host().to_owned();
    let wanted = Wanted {
        host: host.clone(),
        port: target.port(),
        transport: target.written_transport().map(of_trunk),
    };
    match dns.locate(wanted).await {
        Ok(found) => {
            let list: Vec<String> = found.iter().map(name_of).collect();
            report.ok(check, format!("{host} is {}", list.join(", then ")));
            Some(found)
        }
        Err(error) => {
            report.fail(
                check,
                format!("{host}: {error}"),
                "correct the name in `target`, or name the DNS server that knows it: [sip] dns_servers",
            );
            None
        }
    }
}

async fn reached(
    own: &Definition,
    destination: &Destination,
    handle: &sip::Handle,
    report: &mut Report,
) {
    let place = name_of(destination);
    let check = format!("trunk {}: {place}", own.id);
    if destination.transport != Transport::Udp {
        return match handle.reach(destination).await {
            Ok(()) => report.ok(check, "takes the connection"),
            Err(why) => report.fail(
                check,
                format!("is not reached: {why}"),
                format!("crosspoint trunk test {}", own.id),
            ),
        };
    }
    match options(destination.address).await {
        Some(status @ (500..=599 | 408)) => report.warn(
            check,
            format!("answers OPTIONS with {status}: it takes no calls at the moment"),
            "ask whoever runs it",
        ),
        Some(status) => report.ok(check, format!("answers OPTIONS with {status}")),
        // It may know the gateway's own port only.
        None => report.warn(
            check,
            "says nothing to OPTIONS from here; many trunks are silent to ports that they do not know",
            format!(
                "with the gateway running: crosspoint trunk test {}; does a firewall let UDP through, and \
                 does the trunk know our address?",
                own.id
            ),
        ),
    }
}

/// The status that a peer answers OPTIONS with, by UDP from a port of our own (RFC 3261 11).
async fn options(peer: SocketAddr) -> Option<u16> {
    let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(peer).await.ok()?;
    let local = socket.local_addr().ok()?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    let id = u64::from_be_bytes(random);
    let request = format!(
        "OPTIONS sip:{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{id:016x};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:doctor@{local}>;tag={id:x}\r\nTo: <sip:{peer}>\r\n\
         Call-ID: {id:016x}\r\nCSeq: 1 OPTIONS\r\nContact: <sip:{local}>\r\nContent-Length: 0\r\n\r\n"
    );
    let mut buffer = [0; 4096];
    // RFC 3261 17.1.2.2: T1, then twice that.
    for wait in TRIES {
        socket.send(request.as_bytes()).await.ok()?;
        // Cancel safe: what is not received yet is received in the next round.
        if let Ok(Ok(n)) = tokio::time::timeout(wait, socket.recv(&mut buffer)).await {
            let text = String::from_utf8_lossy(&buffer[..n]);
            return text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok();
        }
    }
    None
}

/// Whether the trunk can send to what it is told.
fn told(config: &Config, own: &Definition, destination: &Destination, report: &mut Report) {
    let peer = destination.address.ip();
    let check = format!("trunk {}: our address", own.id);
    let source = source_toward(peer);
    for (key, address) in
        [("sip.address", config.sip.address), ("media.address", config.media.address)]
    {
        let Some(address) = address.or(source).or_else(own_address) else { continue };
        let fix = match source {
            Some(source) if !is_private(source) => format!("{key} = \"{source}\""),
            _ => format!("{key} = the address that {} reaches us at", own.id),
        };
        if unreachable_from(address, peer) {
            return report.fail(
                check,
                format!("{key} is {address}, which {peer} cannot send to: no sound from the trunk"),
                fix,
            );
        }
    }
    let from = source.map_or("an address that is not known".to_owned(), |own| own.to_string());
    report.ok(check, format!("requests leave from {from}; the addresses told can be sent to"));
}

/// Loopback from elsewhere, private addresses from the public net.
fn unreachable_from(told: IpAddr, peer: IpAddr) -> bool {
    (told.is_loopback() && !peer.is_loopback()) || (is_private(told) && !is_private(peer))
}

/// What is asked for, where it seldom is meant so.
fn settings(own: &Definition, report: &mut Report) {
    let check = format!("trunk {}: settings", own.id);
    let registers = own.register == Registering::Register;
    if registers && (own.username.is_none() || own.password.is_none()) {
        return report.fail(
            check,
            "registers without username and password",
            "username and password_file, or register = false",
        );
    }
    let codecs: Vec<&str> = own.codecs.iter().map(|codec| codec.word()).collect();
    if !codecs.iter().any(|codec| ["pcma", "pcmu"].contains(codec)) {
        return report.warn(
            check,
            format!(
                "codecs are {}: a trunk to the telephone network may speak none of them",
                codecs.join(", ")
            ),
            "add \"pcma\" and \"pcmu\"",
        );
    }
    if own.accept_from.is_empty() && !registers && own.target.address().is_none() {
        return report.warn(
            check,
            "accept_from is empty: calls come in from the addresses of its name only",
            "accept_from = [\"NETWORK/BITS\"], every address that the trunk calls from",
        );
    }
    report.ok(
        check,
        format!("codecs {}, digits {}, {} channels", codecs.join(", "), own.dtmf, own.channels),
    );
}

fn tls_peers(config: &Config) -> (Vec<TlsPeerConfig>, BTreeMap<TrunkId, TlsPeer>) {
    let mut peers = Vec::new();
    let mut places = BTreeMap::new();
    for (own, place) in config.trunks.values().zip(0..) {
        let file = |name: &String| config.directory.join(name);
        peers.push(TlsPeerConfig {
            name: own.tls.name.clone().unwrap_or_else(|| own.target.host().to_owned()),
            ca: own.tls.ca.as_ref().map(file),
            identity: own
                .tls
                .identity
                .as_ref()
                .map(|(cert, key)| TlsIdentity { cert: file(cert), key: file(key) }),
            networks: Vec::new(),
        });
        places.insert(own.id.clone(), TlsPeer(place));
    }
    (peers, places)
}

fn of_trunk(transport: trunk::Transport) -> Transport {
    match transport {
        trunk::Transport::Udp => Transport::Udp,
        trunk::Transport::Tcp => Transport::Tcp,
        trunk::Transport::Tls => Transport::Tls,
    }
}

fn name_of(destination: &Destination) -> String {
    let transport = match destination.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    };
    format!("{transport}:{}", destination.address)
}

/// A carrier names more only to spread its load.
const MOST_DESTINATIONS: usize = 4;
const TRIES: [Duration; 2] = [Duration::from_millis(700), Duration::from_millis(1_300)];
/// Of the range for documentation (RFC 3849).
const SOME_IPV6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_send_where() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (told, peer, cannot) in [
            ("127.0.0.1", "127.0.0.1", false),
            ("127.0.0.1", "10.0.0.2", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "198.51.100.7", true),
            ("203.0.113.9", "198.51.100.7", false),
        ] {
            assert_eq!(unreachable_from(ip(told), ip(peer)), cannot, "{told} {peer}");
        }
    }
}
