//! One peer connection: ICE, DTLS and SRTP through `str0m`, RTP packets in and out.
//!
//! An engine: `handle_input`, then `poll_output` until [`Output::Timeout`]. It depacketises nothing:
//! RTP mode hands every packet over as it comes, since the jitter buffer is ours and frame mode
//! waits for packets that are lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::format::{Codec, CodecConfig, FormatParams};
use str0m::media::{Direction, Frequency, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, RtpWrite};
use str0m::{Candidate, Event, IceConnectionState, Rtc};

use super::offer::{Scanned, is_usable_candidate, with_opus_parameters};
use super::{BrowserCodec, Error, EventFormat, LostReason};

/// What a peer is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Our host candidates, as browsers see them. Datagrams name one of them as destination.
    pub candidates: Vec<SocketAddr>,
    /// ICE-lite (RFC 8445 2.5).
    pub ice_lite: bool,
    /// Codecs we take, best first.
    pub codecs: Vec<BrowserCodec>,
    /// What our descriptions ask of the page's Opus (RFC 7587 6.1), without `a=fmtp:111 `.
    pub opus_parameters: Arc<str>,
}

/// What happened to the peer.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram from the browser's side.
    Datagram {
        /// Where it came from.
        source: SocketAddr,
        /// The local candidate it came to, as advertised.
        destination: SocketAddr,
        /// All of it.
        contents: &'a [u8],
    },
    /// A text for the page's data channel; without one it is dropped.
    Text(&'a str),
    /// A packet for the page. Before the connection is up it is dropped.
    Rtp(RtpOut<'a>),
    /// The time asked for has come.
    Timeout,
}

/// A packet for the page.
#[derive(Debug, Clone, Copy)]
pub struct RtpOut<'a> {
    /// Payload type, of those negotiated.
    pub payload_type: u8,
    /// Sequence number with its rollovers counted in. A peer's first must be below 65,536, for the
    /// page starts its count of rollovers at 0 (RFC 3711 3.3.1).
    pub seq: u64,
    /// RTP timestamp in the codec's clock.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// What follows the RTP header.
    pub payload: &'a [u8],
}

/// A packet from the page, its tag verified.
#[derive(Debug, Clone)]
pub struct RtpIn {
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number as on the wire.
    pub seq: u16,
    /// RTP timestamp as on the wire.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// Synchronisation source.
    pub ssrc: u32,
    /// What follows the RTP header.
    pub payload: Arc<[u8]>,
}

/// What the peer wants done.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram.
    Transmit {
        /// From this local candidate.
        source: SocketAddr,
        /// To this address.
        destination: SocketAddr,
        /// All of it.
        contents: Vec<u8>,
    },
    /// A packet came in.
    Rtp(RtpIn),
    /// ICE and DTLS are up (again).
    Connected,
    /// What the page reports of what we send it (RTCP RR).
    Reception {
        /// Fraction lost, 0 to 1.
        loss: Option<f32>,
        /// Round trip.
        round_trip: Option<Duration>,
    },
    /// The connection is lost. After [`LostReason::Ice`] it may come back by an ICE restart.
    Failed(LostReason),
    /// Nothing more now; call again with [`Input::Timeout`] at this time, if there is one.
    Timeout(Option<Instant>),
}

/// What the last offer and answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The codec in both directions.
    pub codec: BrowserCodec,
    /// Its payload type in both directions.
    pub payload_type: u8,
    /// Telephone-event formats the page may send; the first is the one we would send.
    pub events: Vec<EventFormat>,
}

/// One peer connection.
pub struct Peer {
    rtc: Rtc,
    codecs: Vec<BrowserCodec>,
    opus_parameters: Arc<str>,
    fingerprint: Option<String>,
    pending: Option<SdpPendingOffer>,
    negotiated: Option<Negotiated>,
    mid: Option<Mid>,
    /// The page's data channel of our name.
    channel: Option<ChannelId>,
    state: State,
    /// When setting up is given up.
    deadline: Option<Instant>,
    /// Datagrams and packets `str0m` refused: counted, never a reason to end a call.
    refused: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Connected,
    /// Lost; what is left to say is said.
    Failing(LostReason),
    Failed,
}

/// A page whose checks have not come through after this time has no working path to us.
const SETUP_LIMIT: Duration = Duration::from_secs(30);
/// RTCP reports decide on FEC; the default of `str0m` is every 5 s.
const REPORT_EVERY: Duration = Duration::from_secs(2);
/// Largest datagram taken: an Ethernet's worth.
const MAX_DATAGRAM: usize = 1500;
const MAX_STUN: usize = 1280;
/// The label of the data channel that a page may open for its call's events.
const CHANNEL: &str = "crosspoint";

impl Peer {
    /// Takes a page's offer: a new peer and the answer with our candidates in it.
    pub fn answer(config: &PeerConfig, now: Instant, offer: &str) -> Result<(Self, String), Error> {
        let scanned = Scanned::read(offer)?;
        let choice = scanned.choose(&config.codecs).ok_or(Error::NoCommonCodec)?;
        let mut peer = Self::new(config, now, &[choice.codec], choice.events.as_slice());
        let answer = peer.take_offer(now, &scanned)?;
        Ok((peer, answer))
    }

    /// Makes an offer to a page (a call that comes in): a new peer, and the offer with our
    /// candidates in it.
    pub fn offer(config: &PeerConfig, now: Instant) -> Result<(Self, String), Error> {
        // Both rates, for it is not known whose browser answers: the decoder copes with Chromium's
        // choice of 8000 beside Opus (it sends end packets only).
        let events = [
            EventFormat { payload_type: 110, clock_rate: 48_000 },
            EventFormat { payload_type: 126, clock_rate: 8_000 },
        ];
        let mut peer = Self::new(config, now, &config.codecs, &events);
        let mut changes = peer.rtc.sdp_api();
        let mid = changes.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = changes.apply().expect("audio was added, so there is an offer");
        peer.mid = Some(mid);
        peer.pending = Some(pending);
        let offer = peer.with_parameters(&offer.to_sdp_string());
        Ok((peer, offer))
    }

    /// Takes the page's answer to [`Peer::offer`].
    pub fn accept_answer(&mut self, now: Instant, answer: &str) -> Result<(), Error> {
        let scanned = Scanned::read(answer)?;
        let parsed = SdpAnswer::from_sdp_string(&scanned.text)
            .map_err(|error| Error::BadSdp(error.to_string()))?;
        let choice = scanned.first(&self.codecs).ok_or(Error::NoCommonCodec)?;
        let pending = self.pending.take().ok_or(Error::NoOfferPending)?;
        self.rtc
            .sdp_api()
            .accept_answer(pending, parsed)
            .map_err(|error| Error::BadSdp(error.to_string()))?;
        self.fingerprint = scanned.fingerprint;
        self.settle(choice.codec);
        self.deadline.get_or_insert(now + SETUP_LIMIT);
        Ok(())
    }

    /// Takes another offer of the same peer connection (an ICE restart, a changed direction).
    pub fn reanswer(&mut self, now: Instant, offer: &str) -> Result<String, Error> {
        let scanned = Scanned::read(offer)?;
        scanned.choose(&self.codecs).ok_or(Error::NoCommonCodec)?;
        self.take_offer(now, &scanned)
    }

    /// Offers new ICE credentials (RFC 8445 9); [`Peer::accept_answer`] takes the answer. An offer
    /// of the page that comes first takes its place.
    pub fn restart_offer(&mut self) -> Result<String, Error> {
        let mut changes = self.rtc.sdp_api();
        changes.ice_restart(true);
        let (offer, pending) = changes.apply().ok_or(Error::NoOfferPending)?;
        self.pending = Some(pending);
        Ok(self.with_parameters(&offer.to_sdp_string()))
    }

    /// Whether an offer is from the peer connection that this peer is connected to: the same
    /// certificate. Another one is another peer (a page that was loaded again).
    pub fn is_offered_by(&self, offer: &str) -> bool {
        Scanned::read(offer)
            .is_ok_and(|s| s.fingerprint.is_some() && s.fingerprint == self.fingerprint)
    }

    /// Adds a candidate the page trickled, with or without `a=` or `candidate:` before it.
    pub fn add_candidate(&mut self, candidate: &str) -> Result<(), Error> {
        let line = candidate.trim();
        let line = line.strip_prefix("a=").unwrap_or(line);
        let line = line.strip_prefix("candidate:").unwrap_or(line);
        if line.is_empty() {
            return Ok(());
        }
        if line.len() > 512 || !is_usable_candidate(line) {
            return Err(Error::BadCandidate("neither UDP nor an address".to_owned()));
        }
        let candidate = Candidate::from_sdp_string(&format!("candidate:{line}"))
            .map_err(|error| Error::BadCandidate(error.to_string()))?;
        self.rtc.add_remote_candidate(candidate);
        Ok(())
    }

    /// What was negotiated, if an offer has been answered.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.as_ref()
    }

    /// Whether packets can be sent now.
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// Datagrams and packets refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether a datagram is for this peer: from its nominated address, or a check that knows our
    /// user fragment and password, or from an address that a check has validated.
    pub fn accepts(
        &self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
    ) -> bool {
        receive(source, destination, contents)
            .is_some_and(|receive| self.rtc.accepts(&str0m::Input::Receive(now, receive)))
    }

    /// Takes one input. Nothing in it can fail in a way the owner could act on: what is lost is
    /// said by [`Output::Failed`].
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if matches!(self.state, State::Failing(_) | State::Failed) {
            return;
        }
        let taken = match input {
            Input::Datagram { source, destination, contents } => {
                let Some(receive) = receive(source, destination, contents) else {
                    self.refused += 1;
                    return;
                };
                self.rtc.handle_input(str0m::Input::Receive(now, receive))
            }
            Input::Text(text) => {
                let channel = self.channel.and_then(|id| self.rtc.channel(id));
                if let Some(mut channel) = channel {
                    // A full buffer or a closed channel: the text comes by the socket all the same.
                    let _ = channel.write(false, text.as_bytes());
                }
                self.rtc.handle_input(str0m::Input::Timeout(now))
            }
            Input::Rtp(packet) => {
                self.write(now, packet);
                self.rtc.handle_input(str0m::Input::Timeout(now))
            }
            Input::Timeout => {
                if self.deadline.is_some_and(|deadline| deadline <= now) {
                    self.deadline = None;
                    if self.state == State::Connecting {
                        self.state = State::Failing(LostReason::Ice);
                        return;
                    }
                }
                self.rtc.handle_input(str0m::Input::Timeout(now))
            }
        };
        if taken.is_err() {
            self.refused += 1;
            self.check_alive();
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Output {
        loop {
            if let State::Failing(reason) = self.state {
                self.state = State::Failed;
                return Output::Failed(reason);
            }
            if self.state == State::Failed && !self.rtc.is_alive() {
                return Output::Timeout(None);
            }
            let output = match self.rtc.poll_output() {
                Ok(output) => output,
                Err(_) => {
                    self.refused += 1;
                    self.rtc.disconnect();
                    self.check_alive();
                    continue;
                }
            };
            match output {
                str0m::Output::Timeout(at) => {
                    // `str0m` says "never" with a moment far away.
                    let at = self.deadline.map_or(at, |deadline| deadline.min(at));
                    return Output::Timeout(Some(at));
                }
                str0m::Output::Transmit(t) => {
                    return Output::Transmit {
                        source: t.source,
                        destination: t.destination,
                        contents: t.contents.into(),
                    };
                }
                str0m::Output::Event(event) => {
                    if let Some(output) = self.on_event(event) {
                        return output;
                    }
                }
            }
        }
    }

    /// Says goodbye (RTCP BYE, DTLS close_notify); the outputs that follow carry it.
    pub fn close(&mut self) {
        let _ = self.rtc.close();
        self.state = State::Failed;
    }

    fn new(
        config: &PeerConfig,
        now: Instant,
        codecs: &[BrowserCodec],
        events: &[EventFormat],
    ) -> Self {
        let mut extensions = ExtensionMap::empty();
        // The only one that routing needs; levels and send times are not used on a telephone call.
        extensions.set(4, Extension::RtpMid);
        let mut rtc_config = Rtc::builder()
            .clear_codecs()
            .set_rtp_mode(true)
            .set_ice_lite(config.ice_lite)
            .set_extension_map(extensions)
            .set_rtcp_report_interval_audio(REPORT_EVERY)
            .set_stats_interval(Some(REPORT_EVERY));
        add_formats(rtc_config.codec_config(), codecs, events);
        let mut rtc = rtc_config.build(now);
        for address in &config.candidates {
            if let Ok(candidate) = Candidate::host(*address, Protocol::Udp) {
                rtc.add_local_candidate(candidate);
            }
        }
        Self {
            rtc,
            codecs: codecs.to_vec(),
            opus_parameters: Arc::clone(&config.opus_parameters),
            fingerprint: None,
            pending: None,
            negotiated: None,
            mid: None,
            channel: None,
            state: State::Connecting,
            deadline: None,
            refused: 0,
        }
    }

    fn take_offer(&mut self, now: Instant, scanned: &Scanned) -> Result<String, Error> {
        let offer = SdpOffer::from_sdp_string(&scanned.text)
            .map_err(|error| Error::BadSdp(error.to_string()))?;
        let answer = self
            .rtc
            .sdp_api()
            .accept_offer(offer)
            .map_err(|error| Error::BadSdp(error.to_string()))?;
        self.pending = None;
        self.fingerprint.clone_from(&scanned.fingerprint);
        let codec = self.codecs[0];
        self.settle(codec);
        if self.state != State::Connected {
            self.deadline = Some(now + SETUP_LIMIT);
            self.state = State::Connecting;
        }
        Ok(self.with_parameters(&answer.to_sdp_string()))
    }

    /// Reads the payload types in force out of the session.
    fn settle(&mut self, codec: BrowserCodec) {
        let config = self.rtc.codec_config();
        let Some(audio) = config.params().iter().find(|p| p.spec().codec == codec_of(codec)) else {
            return;
        };
        let mut events: Vec<EventFormat> = config
            .params()
            .iter()
            .filter(|p| p.spec().codec == Codec::Tele)
            .map(|p| EventFormat { payload_type: *p.pt(), clock_rate: p.spec().clock_rate.get() })
            .collect();
        events.sort_by_key(|e| e.clock_rate != codec.clock_rate());
        self.negotiated = Some(Negotiated { codec, payload_type: *audio.pt(), events });
    }

    fn with_parameters(&self, sdp: &str) -> String {
        let opus = self.rtc.codec_config().params().iter().find(|p| p.spec().codec == Codec::Opus);
        match opus {
            Some(opus) => with_opus_parameters(sdp, *opus.pt(), &self.opus_parameters),
            None => sdp.to_owned(),
        }
    }

    fn write(&mut self, now: Instant, packet: RtpOut<'_>) {
        let Some(mid) = self.mid.filter(|_| self.state == State::Connected) else {
            return;
        };
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(mid, None) else {
            // The page does not receive (its own hold): nothing to send to.
            return;
        };
        let write = RtpWrite::new(
            packet.payload_type.into(),
            packet.seq.into(),
            packet.timestamp,
            now,
            packet.payload,
        );
        stream.write_rtp(write.marker(packet.marker));
    }

    fn on_event(&mut self, event: Event) -> Option<Output> {
        match event {
            Event::Connected => {
                self.state = State::Connected;
                Some(Output::Connected)
            }
            Event::MediaAdded(added) if added.kind == MediaKind::Audio && self.mid.is_none() => {
                self.mid = Some(added.mid);
                None
            }
            Event::RtpPacket(packet) => Some(Output::Rtp(RtpIn {
                payload_type: *packet.header.payload_type,
                seq: packet.header.sequence_number,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
                ssrc: *packet.header.ssrc,
                payload: packet.payload,
            })),
            Event::MediaEgressStats(stats) => {
                let loss = stats.loss;
                (loss.is_some() || stats.rtt.is_some())
                    .then_some(Output::Reception { loss, round_trip: stats.rtt })
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.state = State::Connecting;
                Some(Output::Failed(LostReason::Ice))
            }
            Event::IceConnectionStateChange(state)
                if state.is_connected() && self.rtc.is_connected() && !self.is_connected() =>
            {
                self.state = State::Connected;
                Some(Output::Connected)
            }
            Event::ChannelOpen(id, label) if label == CHANNEL => {
                self.channel = Some(id);
                None
            }
            Event::ChannelClose(id) => {
                self.channel = self.channel.filter(|own| *own != id);
                None
            }
            Event::Closed => {
                self.state = State::Failing(LostReason::ClosedByPeer);
                None
            }
            _ => None,
        }
    }

    fn check_alive(&mut self) {
        if !self.rtc.is_alive() && self.state != State::Failed {
            self.state = State::Failing(LostReason::Dtls);
        }
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("state", &self.state)
            .field("negotiated", &self.negotiated)
            .finish_non_exhaustive()
    }
}

fn add_formats(config: &mut CodecConfig, codecs: &[BrowserCodec], events: &[EventFormat]) {
    for codec in codecs {
        match codec {
            BrowserCodec::Opus => config.enable_opus(true, false),
            BrowserCodec::Pcmu => config.enable_pcmu(true, false),
            BrowserCodec::Pcma => config.enable_pcma(true, false),
        }
    }
    for event in events {
        if let Some(clock) = Frequency::new(event.clock_rate) {
            let any = FormatParams::default();
            config.add_config(event.payload_type.into(), None, Codec::Tele, clock, None, any);
        }
    }
    // No feedback for congestion control: a telephone call has one rate.
    for params in config.iter_mut() {
        params.set_fb_transport_cc(false);
    }
}

fn codec_of(codec: BrowserCodec) -> Codec {
    match codec {
        BrowserCodec::Opus => Codec::Opus,
        BrowserCodec::Pcmu => Codec::PCMU,
        BrowserCodec::Pcma => Codec::PCMA,
    }
}

/// A datagram as `str0m` takes it, if it is STUN, DTLS, RTP or RTCP at all (RFC 7983).
fn receive(source: SocketAddr, destination: SocketAddr, contents: &[u8]) -> Option<Receive<'_>> {
    let first = *contents.first()?;
    let limit = if first < 2 { MAX_STUN } else { MAX_DATAGRAM };
    if contents.len() > limit {
        return None;
    }
    Receive::new(Protocol::Udp, source, destination, contents).ok()
}
