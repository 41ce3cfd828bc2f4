//! The SIP driver against a real peer, `sipp` (Debian sip-tester), over UDP and TCP: its built-in
//! scenarios and those of `tests/sipp/`. The peer judges our messages and says so by its exit code.
//! Where `sipp` is missing every test fails and names the package; `make test` installs it.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

#[path = "support/interop.rs"]
#[allow(dead_code, reason = "the table's own half of it")]
mod interop;

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crosspoint::base::Secret;
use crosspoint::sip::{
    Body, Command, Credentials, Destination, DriverConfig, End, Event, Handle, Invite,
    LongRequests, NameAddr, Origin, RequestKey, Session, TlsPeer, Transport, Uri, driver,
};
use tokio::net::TcpStream;
use tokio::process::{Child, Command as Process};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 40000 RTP/AVP 0\r\n";
const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// One `sipp` process with a directory of its own; killed by its handle if it outlives the test.
struct Sipp {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Sipp {
    /// `scenario` is a name of `-sn` or a file of `tests/sipp/`.
    async fn start(scenario: &str, transport: Transport, arguments: &[&str]) -> Sipp {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory =
            std::env::temp_dir().join(format!("crosspoint-sipp-{port}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/sipp/{scenario}.xml"));
        let mut process = Process::new("sipp");
        if file.exists() {
            process.arg("-sf").arg(file);
        } else {
            process.args(["-sn", scenario]);
        }
        let by = if transport == Transport::Udp { "u1" } else { "t1" };
        process
            .args(["-i", "127.0.0.1", "-p", &port.to_string(), "-t", by, "-nostdin"])
            .args(["-timeout", "30s", "-timeout_error", "-trace_err", "-deadcall_wait", "0"])
            .args(arguments)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let child = process.spawn().unwrap_or_else(|error| {
            panic!("sipp does not start: {error} (Debian: sip-tester; make test installs it)")
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let own = Sipp { child, address, directory };
        if transport == Transport::Tcp && !arguments.iter().any(|word| word.contains(':')) {
            own.listens().await;
        }
        own
    }

    /// Waits until the peer takes connections; by UDP retransmission waits for it.
    async fn listens(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).await.is_err() {
            assert!(Instant::now() < deadline, "sipp does not listen");
            tokio::task::yield_now().await;
        }
    }

    /// The peer is content with everything that it got.
    async fn succeeds(mut self) {
        let status = timeout(Duration::from_secs(40), self.child.wait()).await.unwrap().unwrap();
        let files = std::fs::read_dir(&self.directory).unwrap();
        let errors: String =
            files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        std::fs::remove_dir_all(&self.directory).unwrap();
        assert!(status.success(), "{status}: {errors}");
    }
}

struct Agent {
    handle: Handle,
    events: mpsc::Receiver<Event>,
}

impl Agent {
    async fn start() -> Agent {
        let loopback = "127.0.0.1:0".parse().unwrap();
        let listen = vec![(Transport::Udp, loopback), (Transport::Tcp, loopback)];
        let mut config = DriverConfig { listen, ..DriverConfig::default() };
        config.endpoint.accept = vec!["127.0.0.1".parse().unwrap()];
        // Short timers, so that "all state is gone" is soon to be seen.
        config.endpoint.timing.t1 = Duration::from_millis(100);
        config.endpoint.timing.t4 = Duration::from_millis(500);
        config.endpoint.timing.d = Duration::from_secs(4);
        let (handle, events) = driver::start(config).await.unwrap();
        Agent { handle, events }
    }

    async fn event(&mut self) -> Event {
        loop {
            let event = timeout(Duration::from_secs(20), self.events.recv()).await;
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

    async fn call(&self, peer: &Sipp, transport: Transport) -> Session {
        let session = self.handle.new_session();
        let address = |text: &str| NameAddr::new(Uri::parse(text).unwrap());
        let long_requests = LongRequests::ByUdp;
        let invite = Invite {
            call_id: None,
            session,
            target: Uri::parse(&format!("sip:+4930123@{}", peer.address)).unwrap(),
            destination: Destination {
                transport,
                tls: TlsPeer::UNKNOWN,
                address: peer.address,
                long_requests,
            },
            alternatives: Vec::new(),
            from: address("sip:+49301234567@gateway.example"),
            to: address("sip:+4930123@trunk.example"),
            asserted_identity: Some(address("sip:+49301234567@gateway.example")),
            replaces: None,
            referred_by: None,
            max_forwards: 70,
            headers: Vec::new(),
            body: Some(Body::sdp(SDP)),
            credentials: Some(Credentials {
                username: "alice".to_owned(),
                password: Secret::new("open sesame".to_owned()),
                realm: Some("trunk.example".to_owned()),
            }),
        };
        self.send(Command::Invite(Box::new(invite))).await;
        session
    }

    /// The peer's target, as `sipp` takes it.
    fn target(&self, transport: Transport) -> String {
        self.handle.local_addr(transport).unwrap().to_string()
    }

    async fn answer(&self, session: Session) {
        let body = Some(Body::sdp(SDP));
        self.send(Command::Answer { session, headers: Vec::new(), body }).await;
    }

    async fn hang_up(&self, session: Session) {
        self.send(Command::HangUp { session, reasons: Vec::new() }).await;
    }

    /// Every timer runs out and nothing is left.
    async fn ends_empty(self) {
        timeout(Duration::from_secs(30), self.handle.idle()).await.unwrap().unwrap();
        self.handle.stop().await;
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
async fn twenty_calls_of_the_built_in_caller() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let target = agent.target(transport);
        let sipp = Sipp::start("uac", transport, &[&target, "-m", "20", "-r", "100"]).await;
        let mut open = 20;
        while open > 0 {
            match agent.event().await {
                Event::Incoming(incoming) => {
                    assert_eq!(incoming.target.user(), Some("service"));
                    let (session, status) = (incoming.session, 180);
                    let (phrase, headers, body) = (None, Vec::new(), None);
                    agent.send(Command::Progress { session, status, phrase, headers, body }).await;
                    agent.answer(session).await;
                }
                Event::Ended { end: End::ByPeer, .. } => open -= 1,
                Event::Acked { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
}

#[tokio::test]
async fn a_call_to_the_built_in_callee() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let sipp = Sipp::start("uas", transport, &["-m", "1"]).await;
        let session = agent.call(&sipp, transport).await;
        expect!(agent, Event::Provisional { answer, .. } => assert_eq!(answer.status, 180));
        expect!(agent, Event::Answered { answer, .. } => assert!(answer.body.is_some()));
        agent.hang_up(session).await;
        expect!(agent, Event::Ended { end: End::ByUs, .. } => ());
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
    interop::record("sipp", "call by TCP");
}

#[tokio::test]
async fn early_183_then_486() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let sipp = Sipp::start("uas_early_busy", transport, &["-m", "1"]).await;
        agent.call(&sipp, transport).await;
        expect!(agent, Event::Provisional { answer, .. } => assert!(answer.body.is_some()));
        expect!(agent, Event::Rejected { answer, origin: Origin::Peer, .. } => {
            assert_eq!((answer.status, answer.phrase.as_str()), (486, "Busy Here"));
            assert_eq!(answer.reasons[0].as_q850(), Some(17));
        });
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
}

#[tokio::test]
async fn cancelling_200_crossing_ack_bye() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let sipp = Sipp::start("uas_answer_despite_cancel", transport, &["-m", "1"]).await;
        let session = agent.call(&sipp, transport).await;
        expect!(agent, Event::Provisional { .. } => ());
        agent.hang_up(session).await;
        expect!(agent, Event::Ended { end: End::ByUs, .. } => ());
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
}

#[tokio::test]
async fn a_digit_by_info_and_bye_of_the_callee() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let sipp = Sipp::start("uas_info_bye", transport, &["-m", "1"]).await;
        let session = agent.call(&sipp, transport).await;
        expect!(agent, Event::Provisional { .. } => ());
        expect!(agent, Event::Answered { .. } => ());
        let body = Body {
            content_type: "application/dtmf-relay".to_owned(),
            bytes: b"Signal=5\r\nDuration=160\r\n".to_vec(),
        };
        agent.send(Command::Info { session, request: RequestKey(1), body }).await;
        expect!(agent, Event::RequestDone { answer, .. } => assert_eq!(answer.status, 200));
        expect!(agent, Event::Ended { end: End::ByPeer, reasons, .. } =>
            assert_eq!(reasons[0].as_q850(), Some(16)));
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
    interop::record("sipp", "SIP INFO");
}

#[tokio::test]
async fn credentials_that_the_peer_verifies() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let sipp = Sipp::start("uas_digest", transport, &["-m", "1"]).await;
        let session = agent.call(&sipp, transport).await;
        expect!(agent, Event::Answered { .. } => ());
        agent.hang_up(session).await;
        expect!(agent, Event::Ended { .. } => ());
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
    interop::record("sipp", "INVITE challenged");
}

#[tokio::test]
async fn ringing_cancel_487() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let target = agent.target(transport);
        let sipp = Sipp::start("uac_cancel", transport, &[&target, "-m", "1"]).await;
        let session = expect!(agent, Event::Incoming(incoming) => incoming.session);
        let (status, phrase, headers, body) = (180, None, Vec::new(), None);
        agent.send(Command::Progress { session, status, phrase, headers, body }).await;
        expect!(agent, Event::Cancelled { .. } => ());
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
}

#[tokio::test]
async fn reinvite_of_the_peer_answered() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let target = agent.target(transport);
        let sipp = Sipp::start("uac_reinvite", transport, &[&target, "-m", "1"]).await;
        let session = expect!(agent, Event::Incoming(incoming) => incoming.session);
        agent.answer(session).await;
        expect!(agent, Event::Acked { .. } => ());
        expect!(agent, Event::Reinvite { body, .. } => assert!(body.is_some()));
        agent.answer(session).await;
        expect!(agent, Event::Acked { .. } => ());
        expect!(agent, Event::Ended { end: End::ByPeer, .. } => ());
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
}

#[tokio::test]
async fn invite_without_offer_answered_by_ack() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let target = agent.target(transport);
        let sipp = Sipp::start("uac_without_offer", transport, &[&target, "-m", "1"]).await;
        let incoming = expect!(agent, Event::Incoming(incoming) => incoming);
        assert_eq!(incoming.body, None);
        agent.answer(incoming.session).await;
        expect!(agent, Event::Acked { body, .. } => assert!(body.is_some()));
        expect!(agent, Event::Ended { end: End::ByPeer, .. } => ());
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
    interop::record("sipp", "INVITE without an offer");
}

#[tokio::test]
async fn reliable_180_to_a_caller_that_requires_it() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let target = agent.target(transport);
        let sipp = Sipp::start("uac_100rel", transport, &[&target, "-m", "1"]).await;
        let session = expect!(agent, Event::Incoming(incoming) => incoming.session);
        let (status, phrase, headers, body) = (180, None, Vec::new(), None);
        agent.send(Command::Progress { session, status, phrase, headers, body }).await;
        // Held until PRACK: the peer wants PRACK answered first.
        agent.answer(session).await;
        expect!(agent, Event::Acked { .. } => ());
        expect!(agent, Event::Ended { end: End::ByPeer, .. } => ());
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
    interop::record("sipp", "100rel by the gateway");
}

#[tokio::test]
async fn reliable_183_of_the_callee_acknowledged() {
    for transport in BOTH {
        let mut agent = Agent::start().await;
        let sipp = Sipp::start("uas_100rel", transport, &["-m", "1"]).await;
        let session = agent.call(&sipp, transport).await;
        expect!(agent, Event::Provisional { answer, .. } => assert!(answer.body.is_some()));
        expect!(agent, Event::Answered { .. } => ());
        agent.hang_up(session).await;
        expect!(agent, Event::Ended { end: End::ByUs, .. } => ());
        sipp.succeeds().await;
        agent.ends_empty().await;
    }
    interop::record("sipp", "100rel by the peer");
}
