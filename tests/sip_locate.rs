//! Trunks found by name (RFC 3263): a DNS server of the test's own, real sockets, failover by SRV.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc as channel};
use std::time::Duration;

use crosspoint::sip::{
    Body, Command, Destination, Dns, DriverConfig, Event, Handle, Invite, NameAddr, OfferIn,
    Reachable, Transport, Uri, Wanted, driver,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A name server that knows `_sip._udp.trunk.example` and the address of its hosts, 127.0.0.1.
struct NameServer {
    address: SocketAddr,
    dead: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    _stop: channel::Sender<()>,
}

impl NameServer {
    /// SRV records as priority and port, in any order; every answer holds for `ttl` seconds.
    fn start(hosts: Vec<(u16, u16)>, ttl: u32) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let address = socket.local_addr().unwrap();
        let (dead, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (stop, stopped) = channel::channel::<()>();
        let (is_dead, count) = (dead.clone(), asked.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while stopped.try_recv() != Err(channel::TryRecvError::Disconnected) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                if !is_dead.load(Ordering::Relaxed) {
                    let reply = reply(&buffer[..length], &hosts, ttl);
                    socket.send_to(&reply, from).unwrap();
                }
            }
        });
        NameServer { address, dead, asked, _stop: stop }
    }
}

/// RFC 1035 4: the question back, and the records of its type.
fn reply(query: &[u8], hosts: &[(u16, u16)], ttl: u32) -> Vec<u8> {
    let mut name = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let name = name.join(".");
    let records: Vec<Vec<u8>> = match (kind, name.as_str()) {
        (33, "_sip._udp.trunk.example") => hosts
            .iter()
            .map(|(priority, port)| {
                let mut data = [priority.to_be_bytes(), [0, 0], port.to_be_bytes()].concat();
                data.extend(b"\x01h\x05trunk\x07example\x00");
                data
            })
            .collect(),
        (1, "h.trunk.example") => vec![vec![127, 0, 0, 1]],
        _ => Vec::new(),
    };
    let mut reply = query[..2].to_vec();
    reply.extend([0x84, 0x00, 0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
    reply.extend(question);
    for data in records {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1]);
        reply.extend(ttl.to_be_bytes());
        reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        reply.extend(data);
    }
    reply
}

async fn agent() -> (Handle, mpsc::Receiver<Event>) {
    let listen = vec![(Transport::Udp, "127.0.0.1:0".parse().unwrap())];
    let mut config = DriverConfig { listen, ..DriverConfig::default() };
    config.endpoint.accept = vec!["127.0.0.1".parse().unwrap()];
    config.endpoint.timing.t1 = Duration::from_millis(50);
    config.endpoint.timing.next_destination = Duration::from_millis(400);
    driver::start(config).await.unwrap()
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
    timeout(Duration::from_secs(10), events.recv()).await.expect("an event").unwrap()
}

#[tokio::test]
async fn a_call_by_srv_goes_to_the_next_host_when_the_first_is_silent() {
    let (callee, mut called) = agent().await;
    let (caller, mut calling) = agent().await;
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (dead, live) = (silent.local_addr().unwrap(), callee.local_addr(Transport::Udp).unwrap());
    let names = NameServer::start(vec![(20, live.port()), (10, dead.port())], 1);
    let reachable = Reachable { transports: vec![Transport::Udp], ipv4: true, ipv6: false };
    let dns = Dns::start(&[names.address], reachable).unwrap();
    let wanted = Wanted { host: "trunk.example".to_owned(), port: None, transport: None };
    let found = dns.locate(wanted.clone()).await.unwrap();
    assert_eq!(found, [Destination::udp(dead), Destination::udp(live)]);

    let uri = || Uri::parse("sip:+4930123@trunk.example").unwrap();
    let invite = Invite {
        call_id: None,
        session: caller.new_session(),
        target: uri(),
        destination: found[0],
        alternatives: found[1..].to_vec(),
        from: NameAddr::new(Uri::parse("sip:alice@gateway.example").unwrap()),
        to: NameAddr::new(uri()),
        asserted_identity: None,
        replaces: None,
        referred_by: None,
        max_forwards: 70,
        headers: Vec::new(),
        body: Some(Body::sdp("offer")),
        credentials: None,
    };
    caller.send(Command::Invite(Box::new(invite))).await.unwrap();
    match next(&mut calling).await {
        Event::NextDestination { failed, .. } => {
            assert_eq!(failed, found[0]);
            dns.unreachable(failed).await;
        }
        other => panic!("{other:?}"),
    }
    let Event::Incoming(incoming) = next(&mut called).await else { panic!("no call") };
    let (session, body) = (incoming.session, Some(Body::sdp("answer")));
    callee.send(Command::Answer { session, headers: Vec::new(), body }).await.unwrap();
    let answered = next(&mut calling).await;
    assert!(matches!(answered, Event::Answered { offer: OfferIn::Invite, .. }), "{answered:?}");

    // The next call goes to the living host first, also when the DNS is dead and its answers are old.
    let living_first = [Destination::udp(live), Destination::udp(dead)];
    assert_eq!(dns.locate(wanted.clone()).await.unwrap(), living_first);
    names.dead.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let before = names.asked.load(Ordering::Relaxed);
    assert_eq!(dns.locate(wanted).await.unwrap(), living_first);
    assert!(names.asked.load(Ordering::Relaxed) > before, "old answers were not asked for again");
    caller.stop().await;
    callee.stop().await;
}

#[test]
fn the_gateway_finds_its_trunk_by_srv() {
    let trunk = UdpSocket::bind("127.0.0.1:0").unwrap();
    trunk.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let names = NameServer::start(vec![(1, trunk.local_addr().unwrap().port())], 60);
    let plan = "version = 1\nemergency = \"not-provided\"\n\
                [defaults]\ncountry = \"DE\"\ntimezone = \"Europe/Berlin\"\n";
    let servers = format!("dns_servers = [\"{}\"]", names.address);
    let _gateway = support::gateway::Gateway::serve_target("sip:trunk.example", plan, &servers);
    let mut buffer = [0; 1500];
    let (length, _) = trunk.recv_from(&mut buffer).expect("OPTIONS come to the host of the SRV");
    let text = String::from_utf8_lossy(&buffer[..length]);
    assert!(text.starts_with("OPTIONS sip:trunk.example SIP/2.0\r\n"), "{text}");
}
