//! Ports and addresses: free or the gateway's own, and whether what is advertised can be reached. A wrong
//! advertised address is why sound goes one way only.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use super::report::Report;
use crate::config::Config;
use crate::trunk::Transport;

/// Whether a gateway with this configuration runs here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gateway {
    Runs,
    Stands,
}

/// What is listened on.
pub(super) fn ports(config: &Config, gateway: Gateway, report: &mut Report) {
    let http = config.http.listen;
    port("port: http", TcpListener::bind(http).map(drop), http, gateway, report);
    for listen in &config.sip.listen {
        let check = format!("port: sip {}", listen.transport.word());
        let address = listen.address;
        let bound = match listen.transport {
            Transport::Udp => UdpSocket::bind(address).map(drop),
            Transport::Tcp | Transport::Tls => TcpListener::bind(address).map(drop),
        };
        port(&check, bound, address, gateway, report);
    }
    webrtc(config, gateway, report);
    rtp(config, report);
}

fn port(
    check: &str,
    bound: std::io::Result<()>,
    address: SocketAddr,
    gateway: Gateway,
    report: &mut Report,
) {
    let number = address.port();
    match bound {
        Ok(()) if number == 0 => report.ok(check, format!("{address}: one that is free")),
        Ok(()) => report.ok(check, format!("{address} is free")),
        Err(error) => match (error.kind(), gateway) {
            (ErrorKind::AddrInUse, Gateway::Runs) => {
                report.ok(check, format!("{address} is taken, and a gateway runs here"));
            }
            (ErrorKind::AddrInUse, Gateway::Stands) => report.fail(
                check,
                format!("{address} is taken by another program"),
                format!("`ss -lptun 'sport = :{number}'` names it; stop it, or listen elsewhere"),
            ),
            (ErrorKind::AddrNotAvailable, _) => report.fail(
                check,
                format!("{} is no address of this machine", address.ip()),
                format!(
                    "listen on 0.0.0.0:{number}, or on one of its own: {}",
                    words(&own_addresses())
                ),
            ),
            (ErrorKind::PermissionDenied, _) => report.fail(
                check,
                format!("{address}: this user may not listen below 1024"),
                "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or a port above",
            ),
            _ => report.fail(check, format!("{address}: {error}"), "listen elsewhere"),
        },
    }
}

/// One port a worker, from `webrtc_port` on.
fn webrtc(config: &Config, gateway: Gateway, report: &mut Report) {
    let check = "ports: browsers' media";
    let first = config.media.webrtc_port;
    if first == 0 {
        return report.warn(
            check,
            "the system chooses them at each start: no firewall can let them through",
            "[media] webrtc_port = 40000",
        );
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = match config.media.workers {
        0 => u16::try_from(cores).unwrap_or(u16::MAX),
        workers => workers,
    };
    let last = first.saturating_add(workers - 1);
    let taken =
        (first..=last).find(|port| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, *port)).is_err());
    let rtp = config.media.rtp_ports;
    match (taken, gateway) {
        _ if first <= rtp.last && rtp.first <= last => report.fail(
            check,
            format!("{first}-{last} are also among rtp_ports = {rtp}"),
            "give them ranges of their own: [media] webrtc_port, rtp_ports",
        ),
        (Some(port), Gateway::Stands) => report.fail(
            check,
            format!("UDP {port} is taken by another program"),
            format!("`ss -lpun 'sport = :{port}'` names it; stop it, or move [media] webrtc_port"),
        ),
        _ => report.ok(
            check,
            format!("UDP {first}-{last}: let them through the firewall, from everywhere"),
        ),
    }
}

fn rtp(config: &Config, report: &mut Report) {
    let check = "ports: trunks' media";
    let range = config.media.rtp_ports;
    let room = u32::from(range.last - range.first).div_ceil(2);
    let calls: u32 = config.trunks.values().map(|trunk| trunk.channels).sum();
    let local =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let local: Vec<u16> = local.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if calls > room {
        report.warn(
            check,
            format!("{range} is room for {room} calls, the trunks' channels are {calls}"),
            "widen [media] rtp_ports: two a call",
        );
    } else if let [first, last] = local[..]
        && range.first <= last
        && first <= range.last
    {
        report.warn(
            check,
            format!("{range} overlaps {first}-{last}, which the system gives to any program"),
            "[media] rtp_ports below it: 20000-29999",
        );
    } else {
        report.ok(
            check,
            format!("UDP {range}, room for {room} calls: let the trunks' addresses through"),
        );
    }
}

/// Whether what is advertised is us; `seen` is where a STUN server saw us.
pub(super) fn advertised(config: &Config, seen: Option<IpAddr>, report: &mut Report) {
    for (key, address) in
        [("sip.address", config.sip.address), ("media.address", config.media.address)]
    {
        let check = format!("address: {key}");
        let own = own_address();
        match address {
            Some(address) if address.is_unspecified() => report.fail(
                check,
                format!("{address} is everybody's: nobody can send there"),
                format!("{key} is what others reach us at"),
            ),
            Some(address) if is_ours(address) => match seen {
                Some(seen) if is_private(address) && !is_private(seen) => report.warn(
                    check,
                    format!("{address} is private, and the world sees us at {seen}"),
                    format!("{key} = \"{seen}\", where peers are outside and the NAT forwards our ports 1:1"),
                ),
                _ => report.ok(check, format!("{address} is an address of this machine")),
            },
            Some(address) => match seen {
                Some(seen) if seen == address => {
                    report.ok(check, format!("{address} is not this machine's, and the world sees us there"));
                }
                Some(seen) => report.fail(
                    check,
                    format!("{address} is not this machine's, and the world sees us at {seen}"),
                    format!("{key} = \"{seen}\", or correct the NAT: sound would go one way only"),
                ),
                None => report.warn(
                    check,
                    format!("{address} is not among this machine's {}", words(&own_addresses())),
                    "fine behind a NAT that forwards our ports 1:1; otherwise sound goes one way only",
                ),
            },
            None => match (own, seen) {
                (Some(own), Some(seen)) if is_private(own) && !is_private(seen) => report.warn(
                    check,
                    format!("not set: {own} is told, and the world sees us at {seen}"),
                    format!("{key} = \"{seen}\", where peers are outside and the NAT forwards our ports 1:1"),
                ),
                (Some(own), _) => report.ok(check, format!("not set: {own} is told, this machine's own")),
                (None, _) => report.warn(
                    check,
                    "not set, and this machine has no address but loopback",
                    format!("connect it to a network, or set {key}"),
                ),
            },
        }
    }
}

/// The address that this machine has toward `peer`; nothing is sent.
pub(super) fn source_toward(peer: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = if peer.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect((peer, 9)).ok()?;
    socket.local_addr().ok().map(|own| own.ip())
}

/// The same toward the world; the address is of a range reserved for documentation (RFC 5737).
pub(super) fn own_address() -> Option<IpAddr> {
    source_toward(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))).filter(|own| !own.is_loopback())
}

pub(super) fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// RFC 1918, RFC 6598, RFC 4193, and what leaves no link.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let carriers = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || carriers
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.segments()[0] & 0xfe00 == 0xfc00
                || v6.segments()[0] & 0xffc0 == 0xfe80
        }
    }
}

/// The machine's IPv4 addresses but loopback, as the routing table has them.
fn own_addresses() -> Vec<IpAddr> {
    let table = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    of_table(&table)
}

fn of_table(table: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    let mut last = None;
    for line in table.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<IpAddr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last.filter(|own| !own.is_loopback() && !found.contains(own))
        {
            found.push(address);
        }
    }
    found
}

fn words(addresses: &[IpAddr]) -> String {
    match addresses {
        [] => "none but loopback".to_owned(),
        _ => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;
    use crate::base::Secret;

    fn config() -> Config {
        let secret = Secret::new("0123456789abcdef".to_owned());
        Config::demo("127.0.0.1:5060".parse().unwrap(), std::path::Path::new("x.db"), secret)
    }

    #[test]
    fn the_routing_table_names_our_addresses() {
        let table = "Main:\n  +-- 0.0.0.0/0\n     |-- 127.0.0.1\n        /32 host LOCAL\n     \
                     |-- 192.0.2.7\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n     \
                     |-- 192.0.2.7\n        /32 host LOCAL\n";
        assert_eq!(of_table(table), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn an_address_that_peers_cannot_reach_is_told() {
        let judged = |address: Option<&str>, seen: Option<&str>| {
            let mut config = config();
            config.media.address = address.map(|own| own.parse().unwrap());
            let mut report = Report::new();
            advertised(&config, seen.map(|own| own.parse().unwrap()), &mut report);
            report.lines[1].clone()
        };
        // 127.0.0.1 is ours everywhere, 198.51.100.0/24 nobody's (RFC 5737).
        assert_eq!(judged(Some("127.0.0.1"), None).verdict, Verdict::Ok);
        assert_eq!(judged(Some("127.0.0.1"), Some("198.51.100.9")).verdict, Verdict::Warn);
        assert_eq!(judged(Some("198.51.100.9"), None).verdict, Verdict::Warn);
        assert_eq!(judged(Some("198.51.100.9"), Some("198.51.100.9")).verdict, Verdict::Ok);
        let wrong = judged(Some("198.51.100.9"), Some("203.0.113.1"));
        assert_eq!(wrong.verdict, Verdict::Fail);
        assert!(wrong.fix.unwrap().contains("media.address = \"203.0.113.1\""));
        assert_eq!(judged(Some("0.0.0.0"), None).verdict, Verdict::Fail);
    }

    #[test]
    fn a_taken_port_is_the_gateways_own_or_somebody_elses() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = config();
        config.http.listen = holder.local_addr().unwrap();
        for (gateway, verdict) in [(Gateway::Stands, Verdict::Fail), (Gateway::Runs, Verdict::Ok)] {
            let mut report = Report::new();
            ports(&config, gateway, &mut report);
            assert_eq!(report.lines[0].verdict, verdict, "{:?}", report.lines[0]);
        }
        config.http.listen = "198.51.100.9:8080".parse().unwrap();
        config.media.webrtc_port = 20_002;
        let mut report = Report::new();
        ports(&config, Gateway::Stands, &mut report);
        assert!(report.lines[0].found.contains("no address of this machine"), "{:?}", report.lines);
        let overlap = report.lines.iter().find(|line| line.check.starts_with("ports: browsers"));
        assert_eq!(overlap.unwrap().verdict, Verdict::Fail, "{:?}", report.lines);
    }
}
