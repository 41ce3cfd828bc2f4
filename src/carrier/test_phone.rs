//! A telephone for the carrier's tests: SIP through the real driver, RTP over a real socket, and an
//! ear that keeps what it hears.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::port::PortPair;
use super::stream::{Agreed, Beginnings, Ears, EventTypes, Returns, Stream, StreamOutput};
use crate::base::{Digit, Network};
use crate::codec::{Codec, Decoder, FRAME, Tones};
use crate::dtmf::Phase;
use crate::rtp::Packet;
use crate::sdp::{
    AddressPolicy, AudioCodec, ComfortNoise, Direction, LocalAudio, Negotiated, TelephoneEvents,
    accept, answer, offer, parse,
};
use crate::sip::driver::{self, DriverConfig};
use crate::sip::{
    Body, Command, Destination, EndpointConfig, Event, Handle, Host, Incoming, Invite, NameAddr,
    OfferIn, Session, Transport, Uri,
};

pub(super) struct Phone {
    pub handle: Handle,
    pub events: mpsc::Receiver<Event>,
    pub addr: SocketAddr,
    ports: PortPair,
    local: LocalAudio,
}

/// A call that is up, and what was heard.
pub(super) struct Talk {
    pub session: Session,
    stream: Stream,
    remote: SocketAddr,
    /// Decoded sound in the order of arrival.
    pub heard: Vec<i16>,
    /// When the first sample of the packet with this offset in `heard` arrived, in µs since 1970.
    pub arrivals: Vec<(usize, u128)>,
    /// Keys and lengths in ms.
    pub digits: Vec<(char, u64)>,
}

impl Phone {
    pub async fn new(codec: AudioCodec) -> Phone {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint =
            EndpointConfig { accept: vec![Network::host(local.ip())], ..EndpointConfig::default() };
        let listen = vec![(Transport::Udp, local)];
        let config = DriverConfig { listen, endpoint, ..DriverConfig::default() };
        let (handle, events) = driver::start(config).await.unwrap();
        let ports = PortPair::bind(local.ip()).await.unwrap();
        let local = LocalAudio {
            protection: crate::sdp::Protection::None,
            crypto: Vec::new(),
            address: local.ip(),
            port: ports.rtp.local_addr().unwrap().port(),
            codecs: vec![codec],
            telephone_events: TelephoneEvents::Spoken,
            comfort_noise: ComfortNoise::Off,
            ptime_ms: 20,
            direction: Direction::SendRecv,
            session_id: 1,
            version: 1,
            policy: AddressPolicy::Any,
            numbers: Default::default(),
        };
        let addr = handle.local_addr(Transport::Udp).unwrap();
        Phone { handle, events, addr, ports, local }
    }

    /// Sends the INVITE with an offer.
    pub async fn dial(&mut self, carrier: SocketAddr, number: &str) -> Session {
        let body = Some(Body::sdp(offer(&self.local).to_string()));
        self.invite(carrier, number, body).await
    }

    async fn invite(&mut self, carrier: SocketAddr, number: &str, body: Option<Body>) -> Session {
        let uri = |user, address: SocketAddr| {
            Uri::sip(Some(user), &Host::from(address.ip()), Some(address.port())).unwrap()
        };
        let session = self.handle.new_session();
        let target = uri(number, carrier);
        let invite = Invite {
            call_id: None,
            alternatives: Vec::new(),
            session,
            target: target.clone(),
            destination: Destination::udp(carrier),
            from: NameAddr::new(uri("tester", self.addr)),
            to: NameAddr::new(target),
            asserted_identity: None,
            replaces: None,
            referred_by: None,
            max_forwards: 70,
            headers: vec![],
            body,
            credentials: None,
        };
        self.handle.send(Command::Invite(Box::new(invite))).await.unwrap();
        session
    }

    /// The next event within five seconds.
    pub async fn event(&mut self) -> Event {
        timeout(Duration::from_secs(5), self.events.recv()).await.expect("an event").unwrap()
    }

    /// Dials a line that answers.
    pub async fn call(&mut self, carrier: SocketAddr, number: &str) -> Talk {
        let session = self.dial(carrier, number).await;
        loop {
            match self.event().await {
                Event::Answered { answer, .. } => {
                    return self.talk_with(session, &answer.body.unwrap());
                }
                Event::Provisional { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Dials a line that answers without telling it anything of our media.
    pub async fn call_without_offer(&mut self, carrier: SocketAddr, number: &str) -> Talk {
        let session = self.invite(carrier, number, None).await;
        let Event::Answered { answer: response, offer: OfferIn::Response, .. } = self.event().await
        else {
            panic!("no offer in the answer")
        };
        let remote = parse(&response.body.unwrap().bytes).unwrap();
        let (ours, negotiated) = answer(&self.local, &remote).unwrap();
        let body = Some(Body::sdp(ours.to_string()));
        self.handle.send(Command::Ack { session, body }).await.unwrap();
        self.talk(session, &negotiated)
    }

    /// Changes the direction of a call.
    pub async fn reinvite(&mut self, talk: &Talk, direction: Direction) {
        self.local.direction = direction;
        self.local.version += 1;
        let body = Some(Body::sdp(offer(&self.local).to_string()));
        self.handle.send(Command::Reinvite { session: talk.session, body }).await.unwrap();
        let event = self.event().await;
        assert!(matches!(&event, Event::ReinviteDone { answer, .. } if answer.status == 200));
    }

    /// The talk that an answer to our offer makes.
    pub fn talk_with(&self, session: Session, body: &Body) -> Talk {
        let remote = parse(&body.bytes).unwrap();
        self.talk(session, &accept(&self.local, &remote).unwrap())
    }

    /// Answers a call that came in.
    pub async fn answer(&self, incoming: &Incoming) -> Talk {
        let session = incoming.session;
        let remote = parse(&incoming.body.as_ref().unwrap().bytes).unwrap();
        let (ours, negotiated) = answer(&self.local, &remote).unwrap();
        let body = Some(Body::sdp(ours.to_string()));
        self.handle.send(Command::Answer { session, headers: vec![], body }).await.unwrap();
        self.talk(session, &negotiated)
    }

    fn talk(&self, session: Session, negotiated: &Negotiated) -> Talk {
        let events = negotiated.telephone_event.unwrap();
        let agreed = Agreed {
            codec: self.codec(),
            send: negotiated.codec.send,
            receive: negotiated.codec.receive,
            events: Some(EventTypes { send: events.send, receive: events.receive }),
        };
        let beginnings = Beginnings { ssrc: 0xABCD, seq: 1, timestamp: 1 };
        Talk {
            session,
            stream: Stream::new(agreed, beginnings, Ears::WithoutEvents).unwrap(),
            remote: negotiated.remote,
            heard: Vec::new(),
            arrivals: Vec::new(),
            digits: Vec::new(),
        }
    }

    fn codec(&self) -> Codec {
        if self.local.codecs[0] == AudioCodec::Pcma { Codec::Pcma } else { Codec::Pcmu }
    }

    pub async fn hang_up(&self, session: Session) {
        let command = Command::HangUp { session, reasons: vec![] };
        self.handle.send(command).await.unwrap();
    }

    /// Speaks `tones` (or silence) and presses `keys` for so long, and listens.
    pub async fn speak(&self, talk: &mut Talk, ms: u64, mut tones: Tones, keys: &str) {
        let digits: Vec<Digit> = keys.chars().map(|c| Digit::from_char(c).unwrap()).collect();
        talk.stream.send_digits(Instant::now(), &digits);
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let end = tokio::time::sleep(Duration::from_millis(ms));
        tokio::pin!(end);
        let mut decoder = Decoder::new(self.codec()).unwrap();
        let mut datagram = [0; 1500];
        loop {
            tokio::select! {
                received = self.ports.rtp.recv_from(&mut datagram) => {
                    let Ok((length, _)) = received else { continue };
                    let datagram = &datagram[..length];
                    talk.stream.receive(Instant::now(), datagram, Returns::Kept);
                    let packet = Packet::parse(datagram).unwrap();
                    if packet.payload.len() == FRAME {
                        let mut pcm = Vec::new();
                        decoder.decode(packet.payload, &mut pcm).unwrap();
                        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                        talk.arrivals.push((talk.heard.len(), now.as_micros()));
                        talk.heard.extend(pcm);
                    }
                }
                _ = ticks.tick() => {
                    let mut pcm = [0; FRAME];
                    tones.fill(&mut pcm);
                    talk.stream.tick(Instant::now(), Some(&pcm), Returns::Kept);
                }
                () = &mut end => return,
            }
            while let Some(output) = talk.stream.poll_output() {
                match output {
                    StreamOutput::Transmit(p) => {
                        self.ports.rtp.send_to(&p, talk.remote).await.unwrap();
                    }
                    StreamOutput::Digit(event) => {
                        if let Phase::End(_) = event.phase {
                            let ms = event.duration.as_millis() as u64;
                            talk.digits.push((event.digit.as_char(), ms));
                        }
                    }
                }
            }
        }
    }

    pub async fn listen(&self, talk: &mut Talk, ms: u64, keys: &str) {
        self.speak(talk, ms, Tones::default(), keys).await;
    }
}
