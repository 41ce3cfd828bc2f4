//! Addresses: IPv6, and a gateway behind a 1:1 NAT, whose candidates name the public address.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

/// Carries packets through a NAT that has `public` outside and `own` inside, until both are connected.
async fn connect_through(lab: &mut Lab, public: IpAddr, own: IpAddr) {
    let at = |address: SocketAddr, from, to| match address.ip() == from {
        true => SocketAddr::new(to, address.port()),
        false => address,
    };
    let here = lab.browser_socket.local_addr().unwrap();
    let mut buffer = [0; 2000];
    for _ in 0..1000 {
        let now = Instant::now();
        lab.browser.timeout(now);
        for (_, destination, contents) in lab.browser.drain(now) {
            lab.browser_socket.send_to(&contents, at(destination, public, own)).unwrap();
        }
        while let Ok((length, source)) = lab.browser_socket.recv_from(&mut buffer) {
            lab.browser.datagram(now, at(source, own, public), here, &buffer[..length]);
        }
        while let Ok(event) = lab.events.try_recv() {
            lab.seen.push(event);
        }
        if lab.browser.connected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not connected: {:?}", lab.seen);
}

/// Full and lite: a lite agent checks nothing, so the page's checks alone must find it.
#[tokio::test]
async fn behind_a_nat_the_public_address_is_the_only_candidate() {
    let (public, own) = (IpAddr::from([203, 0, 113, 7]), IpAddr::V4(Ipv4Addr::LOCALHOST));
    for ice_lite in [false, true] {
        let interfaces = vec![Interface { bind: SocketAddr::new(own, 0), advertise: Some(public) }];
        let pool = Pool::start(PoolConfig { interfaces, ice_lite, ..config() }).unwrap();
        let (session, events) = pool.open(call_id(20)).unwrap();
        let mut lab = Lab::new(events, &[BrowserCodec::Opus]);
        let answer = session.browser_offer(lab.browser.offer()).await.unwrap();
        assert_eq!(answer.contains("a=ice-lite"), ice_lite, "{answer}");
        let candidates: Vec<&str> = answer.lines().filter(|l| l.contains("typ host")).collect();
        assert_eq!(candidates.len(), 1, "{answer}");
        assert!(candidates[0].contains(" 203.0.113.7 "), "{}", candidates[0]);
        lab.browser.accept(&answer);
        connect_through(&mut lab, public, own).await;
    }
}

#[tokio::test]
async fn a_page_that_has_only_ipv6_connects() {
    let v6 = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]);
    let interfaces = ["127.0.0.1:0", "[::1]:0"]
        .map(|bind| Interface { bind: bind.parse().unwrap(), advertise: None })
        .to_vec();
    let pool = Pool::start(PoolConfig { interfaces, ..config() }).unwrap();
    let (session, events) = pool.open(call_id(21)).unwrap();
    let mut lab = Lab::at(v6, events, &[BrowserCodec::Opus]);
    let answer = session.browser_offer(lab.browser.offer()).await.unwrap();
    assert!(answer.lines().any(|l| l.contains("candidate") && l.contains(" ::1 ")), "{answer}");
    lab.browser.accept(&answer);
    connect_through(&mut lab, v6, v6).await;
    assert!(lab.browser_socket.local_addr().unwrap().is_ipv6());
}
