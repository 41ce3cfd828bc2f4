//! Calls between two SIP drivers over real sockets on loopback, by UDP and TCP.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

use std::time::Duration;

use crosspoint::sip::{
    Body, Command, Destination, DriverConfig, End, Event, Handle, Invite, LongRequests, NameAddr,
    OfferIn, Origin, RequestKey, Session, TlsPeer, Transport, Uri, driver,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

struct Agent {
    handle: Handle,
    events: mpsc::Receiver<Event>,
}

impl Agent {
    async fn start() -> Agent {
        let loopback = "127.0.0.1:0".parse().unwrap();
        let mut config = DriverConfig {
            listen: vec![(Transport::Udp, loopback), (Transport::Tcp, loopback)],
            ..DriverConfig::default()
        };
        config.endpoint.accept = vec!["127.0.0.0/8".parse().unwrap()];
        let (handle, events) = driver::start(config).await.unwrap();
        Agent { handle, events }
    }

    async fn event(&mut self) -> Event {
        loop {
            let event = timeout(Duration::from_secs(10), self.events.recv()).await;
            match event.expect("an event").unwrap() {
                // Streams come and go beside what a test is about.
                Event::FlowLost { .. } => {}
                event => return event,
            }
        }
    }

    async fn send(&self, command: Command) {
        self.handle.send(command).await.unwrap();
    }

    fn destination(&self, transport: Transport) -> Destination {
        let address = self.handle.local_addr(transport).unwrap();
        let (tls, long_requests) = (TlsPeer::UNKNOWN, LongRequests::ByUdp);
        Destination { transport, tls, address, long_requests }
    }

    /// Calls `peer`.
    async fn call(&self, peer: &Agent, transport: Transport, body: Option<Body>) -> Session {
        let session = self.handle.new_session();
        let destination = peer.destination(transport);
        let address = |text: &str| NameAddr::new(Uri::parse(text).unwrap());
        let invite = Invite {
            call_id: None,
            session,
            target: Uri::parse(&format!("sip:+4930123@{}", destination.address)).unwrap(),
            destination,
            alternatives: Vec::new(),
            from: address("sip:alice@gateway.example"),
            to: address("sip:+4930123@trunk.example"),
            asserted_identity: Some(address("sip:+4940555@gateway.example")),
            replaces: None,
            referred_by: None,
            max_forwards: 70,
            headers: Vec::new(),
            body,
            credentials: None,
        };
        self.send(Command::Invite(Box::new(invite))).await;
        session
    }
}

macro_rules! expect {
    ($agent:expr, $pattern:pat => $value:expr) => {
        match $agent.event().await {
            $pattern => $value,
            other => panic!("not {}: {other:?}", stringify!($pattern)),
        }
    };
}

#[tokio::test]
async fn ringing_answered_digits_and_hung_up_by_the_callee() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut caller = Agent::start().await;
        let mut callee = Agent::start().await;
        let call = caller.call(&callee, transport, Some(Body::sdp("offer"))).await;

        let incoming = expect!(callee, Event::Incoming(incoming) => incoming);
        assert_eq!(incoming.transport, transport);
        assert_eq!(incoming.target.user(), Some("+4930123"));
        assert_eq!(incoming.asserted_identities[0].uri.user(), Some("+4940555"));
        assert_eq!(incoming.body, Some(Body::sdp("offer")));
        let called = incoming.session;
        let headers = Vec::new();
        let (status, phrase) = (183, Some("Sound comes".to_owned()));
        let body = Some(Body::sdp("early"));
        callee.send(Command::Progress { session: called, status, phrase, headers, body }).await;

        let answer = expect!(caller, Event::Provisional { answer, .. } => answer);
        assert_eq!((answer.status, answer.phrase.as_str()), (183, "Sound comes"));
        assert_eq!(answer.body, Some(Body::sdp("early")));
        let body = Some(Body::sdp("answer"));
        callee.send(Command::Answer { session: called, headers: Vec::new(), body }).await;
        let answer = expect!(caller, Event::Answered { session, answer, offer: OfferIn::Invite } => {
            assert_eq!(session, call);
            answer
        });
        assert_eq!(answer.body, Some(Body::sdp("answer")));
        expect!(callee, Event::Acked { body: None, .. } => ());

        let digit = Body {
            content_type: "application/dtmf-relay".to_owned(),
            bytes: b"Signal=5\r\nDuration=160\r\n".to_vec(),
        };
        let request = RequestKey(7);
        caller.send(Command::Info { session: call, request, body: digit.clone() }).await;
        let body = expect!(callee, Event::Info { body, .. } => body);
        assert_eq!(body, digit);
        expect!(caller, Event::RequestDone { request: RequestKey(7), answer, origin: Origin::Peer, .. } =>
            assert_eq!(answer.status, 200));

        callee.send(Command::HangUp { session: called, reasons: Vec::new() }).await;
        expect!(callee, Event::Ended { end: End::ByUs, .. } => ());
        expect!(caller, Event::Ended { end: End::ByPeer, .. } => ());
        caller.handle.stop().await;
        callee.handle.stop().await;
    }
}

#[tokio::test]
async fn no_answer_from_a_port_where_nobody_listens_by_tcp() {
    let mut caller = Agent::start().await;
    let gone = Agent::start().await;
    gone.handle.stop().await;
    caller.call(&gone, Transport::Tcp, Some(Body::sdp("offer"))).await;
    expect!(caller, Event::Rejected { answer, origin: Origin::Transport, .. } =>
        assert_eq!(answer.status, 503));
    timeout(Duration::from_secs(5), caller.handle.idle()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_long_request_goes_by_tcp_where_the_peer_takes_it() {
    let caller = Agent::start().await;
    let loopback = "127.0.0.1:0".parse().unwrap();
    let mut config =
        DriverConfig { listen: vec![(Transport::Udp, loopback)], ..DriverConfig::default() };
    config.endpoint.accept = vec!["127.0.0.1".parse().unwrap()];
    // The same port number for both transports, as a trunk has it.
    let (handle, mut events) = loop {
        let (first, _) = driver::start(config.clone()).await.unwrap();
        let address = first.local_addr(Transport::Udp).unwrap();
        first.stop().await;
        let listen = vec![(Transport::Udp, address), (Transport::Tcp, address)];
        if let Ok(both) = driver::start(DriverConfig { listen, ..config.clone() }).await {
            break both;
        }
    };
    let address = handle.local_addr(Transport::Udp).unwrap();
    for (length, expected) in [(100, Transport::Udp), (2000, Transport::Tcp)] {
        let user = |text: &str| NameAddr::new(Uri::parse(text).unwrap());
        let invite = Invite {
            call_id: None,
            alternatives: Vec::new(),
            session: caller.handle.new_session(),
            target: Uri::parse(&format!("sip:1@{address}")).unwrap(),
            destination: Destination {
                tls: TlsPeer::UNKNOWN,
                transport: Transport::Udp,
                address,
                long_requests: LongRequests::ByTcp,
            },
            from: user("sip:a@h"),
            to: user("sip:1@h"),
            asserted_identity: None,
            replaces: None,
            referred_by: None,
            max_forwards: 70,
            headers: Vec::new(),
            body: Some(Body::sdp("x".repeat(length))),
            credentials: None,
        };
        caller.send(Command::Invite(Box::new(invite))).await;
        match timeout(Duration::from_secs(10), events.recv()).await.unwrap() {
            Some(Event::Incoming(incoming)) => assert_eq!(incoming.transport, expected),
            other => panic!("{other:?}"),
        }
    }
}
