//! One call's media: the page's peer connection and the bridge, each an engine, and the carrying
//! between them. Still pure: a [`Wire`] takes what goes out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bridge::{Bridge, BridgeConfig, Input, Output};
use super::outbox::TrunkPort;
use super::{
    Error, Feed, Hold, LegSide, Line, MediaEvent, Recorder, ToneItem, TrunkAudio, TrunkMedia,
};
use crate::base::Digit;
use crate::codec::Prompt;
use crate::dtmf::{DigitEvent, InfoSupport};
use crate::webrtc::{self, BrowserCodec, Peer, PeerConfig};

/// Where a call's datagrams and events go.
pub(super) trait Wire {
    /// From a local candidate to the page.
    fn send_browser(&mut self, source: SocketAddr, destination: SocketAddr, contents: &[u8]);
    /// From a port of the RTP leg.
    fn send_trunk(&mut self, port: TrunkPort, destination: SocketAddr, contents: &[u8]);
    /// To the owner.
    fn event(&mut self, event: MediaEvent);
}

/// One call's media.
#[derive(Debug)]
pub(super) struct MediaCall {
    peer_config: PeerConfig,
    peer: Option<Peer>,
    /// Whether the page has been connected at all.
    was_up: bool,
    /// When the page's connection was asked for.
    asked_at: Instant,
    peer_timeout: Option<Instant>,
    bridge: Bridge,
}

impl MediaCall {
    pub(super) fn new(now: Instant, peer_config: PeerConfig, config: BridgeConfig) -> Self {
        Self {
            peer_config,
            peer: None,
            was_up: false,
            asked_at: now,
            peer_timeout: None,
            bridge: Bridge::new(now, config),
        }
    }

    /// The codec that is taken where the page offers it, also of a page that comes back.
    pub(super) fn prefer(&mut self, codec: BrowserCodec) {
        let rest = self.peer_config.codecs.iter().copied().filter(|other| *other != codec);
        self.peer_config.codecs = std::iter::once(codec).chain(rest).collect();
    }

    pub(super) fn browser_offer(&mut self, now: Instant, sdp: &str) -> Result<String, Error> {
        if let Some(peer) = self.peer.as_mut().filter(|peer| peer.is_offered_by(sdp)) {
            return Ok(peer.reanswer(now, sdp)?);
        }
        let (peer, answer) = Peer::answer(&self.peer_config, now, sdp)?;
        self.set_peer(now, peer)?;
        Ok(answer)
    }

    /// The page offers new ICE credentials for the peer connection that it has.
    pub(super) fn browser_restart(&mut self, now: Instant, sdp: &str) -> Result<String, Error> {
        match self.peer.as_mut().filter(|peer| peer.is_offered_by(sdp)) {
            Some(peer) => Ok(peer.reanswer(now, sdp)?),
            None => Err(Error::OutOfOrder("this is not the peer connection of the call")),
        }
    }

    /// We offer new ICE credentials; the page's answer is [`MediaCall::browser_answer`].
    pub(super) fn restart_offer(&mut self) -> Result<String, Error> {
        let peer = self.peer.as_mut().ok_or(Error::OutOfOrder("no peer connection"))?;
        Ok(peer.restart_offer()?)
    }

    pub(super) fn offer_browser(&mut self, now: Instant) -> Result<String, Error> {
        let (peer, offer) = Peer::offer(&self.peer_config, now)?;
        self.set_peer(now, peer)?;
        Ok(offer)
    }

    pub(super) fn browser_answer(&mut self, now: Instant, sdp: &str) -> Result<(), Error> {
        let peer = self.peer.as_mut().ok_or(Error::OutOfOrder("no offer was made"))?;
        let renewed = peer.negotiated().is_some();
        peer.accept_answer(now, sdp)?;
        // What a renewal agrees on is what was agreed on: the row of numbers goes on.
        if let Some(negotiated) = peer.negotiated().filter(|_| !renewed) {
            self.bridge.set_browser(now, negotiated)?;
        }
        Ok(())
    }

    /// A text for the page's data channel.
    pub(super) fn say(&mut self, now: Instant, text: &str) {
        if let Some(peer) = &mut self.peer {
            peer.handle_input(now, webrtc::Input::Text(text));
        }
    }

    pub(super) fn browser_candidate(&mut self, candidate: &str) -> Result<(), Error> {
        let peer = self.peer.as_mut().ok_or(Error::OutOfOrder("no peer connection"))?;
        Ok(peer.add_candidate(candidate)?)
    }

    /// Opens a new RTP leg that receives at `local` and gives the offer for it.
    pub(super) fn trunk_offer(
        &mut self,
        local: SocketAddr,
        media: TrunkMedia,
    ) -> Result<String, Error> {
        self.bridge.open_trunk(local, media);
        self.bridge.trunk_offer()
    }

    pub(super) fn trunk_accept(&mut self, now: Instant, sdp: &str) -> Result<TrunkAudio, Error> {
        self.bridge.trunk_accept(now, sdp)
    }

    /// Opens a new RTP leg, if a place for it is given, and answers the trunk's offer.
    pub(super) fn answer_trunk(
        &mut self,
        now: Instant,
        opened: Option<(SocketAddr, TrunkMedia)>,
        sdp: &str,
    ) -> Result<String, Error> {
        if let Some((local, media)) = opened {
            self.bridge.open_trunk(local, media);
        }
        Ok(self.bridge.trunk_answer(now, sdp)?.0)
    }

    pub(super) fn trunk_reoffer(&mut self, hold: Hold) -> Result<String, Error> {
        self.bridge.trunk_reoffer(hold)
    }

    pub(super) fn trunk_withdraw(&mut self) {
        self.bridge.trunk_withdraw();
    }

    pub(super) fn park_trunk(&mut self) {
        self.bridge.park_trunk();
    }

    pub(super) fn restore_trunk(&mut self, now: Instant) -> Result<(), Error> {
        self.bridge.restore_trunk(now)
    }

    pub(super) fn forget_parked(&mut self) {
        self.bridge.forget_parked();
    }

    pub(super) fn has_trunk(&self) -> bool {
        self.bridge.has_trunk()
    }

    pub(super) fn close_trunk(&mut self) {
        self.bridge.close_trunk();
    }

    pub(super) fn feed(&mut self, feed: Feed) {
        self.bridge.feed(feed);
    }

    pub(super) fn connect(&mut self, now: Instant) {
        self.bridge.connect(now);
    }

    pub(super) fn serve(&mut self, now: Instant, line: Box<dyn Line>) {
        self.bridge.serve(now, line);
    }

    pub(super) fn record(&mut self, recorder: Option<Box<dyn Recorder>>) {
        self.bridge.record(recorder);
    }

    pub(super) fn play(&mut self, sound: Option<Arc<Prompt>>) {
        self.bridge.play(sound);
    }

    pub(super) fn send_digits(&mut self, now: Instant, to: LegSide, digits: &[ToneItem]) {
        self.bridge.send_digits(now, to, digits);
    }

    pub(super) fn cancel_digits(&mut self, now: Instant, to: LegSide) {
        self.bridge.cancel_digits(now, to);
    }

    pub(super) fn peer_info(&mut self, info: InfoSupport) {
        self.bridge.peer_info(info);
    }

    pub(super) fn info_done(&mut self, now: Instant, request: u64, status: u16) {
        self.bridge.info_done(now, request, status);
    }

    pub(super) fn press(&mut self, now: Instant, to: LegSide, digit: Digit) {
        self.bridge.press(now, to, digit);
    }

    pub(super) fn release(&mut self, now: Instant, to: LegSide) {
        self.bridge.release(now, to);
    }

    pub(super) fn report_digit(&mut self, now: Instant, from: LegSide, event: DigitEvent) {
        self.bridge.report_digit(now, from, event);
    }

    /// Whether a datagram of the shared socket is for this call's peer.
    pub(super) fn accepts(
        &self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
    ) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.accepts(now, source, destination, contents))
    }

    pub(super) fn on_browser_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
    ) {
        if let Some(peer) = &mut self.peer {
            peer.handle_input(now, webrtc::Input::Datagram { source, destination, contents });
        }
    }

    pub(super) fn on_trunk_datagram(
        &mut self,
        now: Instant,
        port: TrunkPort,
        source: SocketAddr,
        contents: &mut [u8],
    ) {
        self.bridge.handle_input(now, Input::TrunkDatagram { port, source, contents });
    }

    /// The time of [`MediaCall::timeout`] has come, or another one.
    pub(super) fn on_timeout(&mut self, now: Instant, wire: &mut impl Wire) {
        if self.peer_timeout.is_some_and(|at| at <= now)
            && let Some(peer) = &mut self.peer
        {
            peer.handle_input(now, webrtc::Input::Timeout);
            self.drain(now, wire);
        }
        if self.bridge.timeout() <= now {
            self.bridge.handle_input(now, Input::Timeout);
            self.drain(now, wire);
        }
    }

    /// How late the tick is that is due; `None` where none is.
    pub(super) fn tick_late(&self, now: Instant) -> Option<Duration> {
        now.checked_duration_since(self.bridge.timeout())
    }

    /// The complexity of Opus toward the page from now on.
    pub(super) fn set_complexity(&mut self, complexity: u8) {
        self.bridge.set_complexity(complexity);
    }

    /// When to call again at the latest.
    pub(super) fn timeout(&self) -> Instant {
        let bridge = self.bridge.timeout();
        self.peer_timeout.map_or(bridge, |peer| peer.min(bridge))
    }

    /// Carries all outputs to where they belong. To be called after every input: `str0m` wants its
    /// outputs taken before the next one.
    pub(super) fn drain(&mut self, now: Instant, wire: &mut impl Wire) {
        self.drain_peer(now, wire);
        while let Some(output) = self.bridge.poll_output() {
            match output {
                Output::ToBrowser(packet) => {
                    if let Some(peer) = &mut self.peer {
                        peer.handle_input(now, webrtc::Input::Rtp(packet));
                        self.drain_peer(now, wire);
                    }
                }
                Output::ToTrunk { port, destination, contents } => {
                    wire.send_trunk(port, destination, contents);
                }
                Output::Event(event) => wire.event(event),
            }
        }
    }

    /// Says goodbye on both legs and gives the last numbers.
    pub(super) fn close(&mut self, now: Instant, wire: &mut impl Wire) {
        let (browser, trunk) = self.bridge.stats();
        wire.event(MediaEvent::Stats { browser, trunk });
        self.bridge.close_trunk();
        if let Some(peer) = &mut self.peer {
            peer.close();
        }
        self.drain(now, wire);
    }

    fn set_peer(&mut self, now: Instant, peer: Peer) -> Result<(), Error> {
        self.asked_at = now;
        self.bridge.handle_input(now, Input::BrowserDown);
        if let Some(negotiated) = peer.negotiated() {
            self.bridge.set_browser(now, negotiated)?;
        }
        self.peer = Some(peer);
        Ok(())
    }

    fn drain_peer(&mut self, now: Instant, wire: &mut impl Wire) {
        let Some(peer) = &mut self.peer else { return };
        loop {
            match peer.poll_output() {
                webrtc::Output::Transmit { source, destination, contents } => {
                    wire.send_browser(source, destination, &contents);
                }
                webrtc::Output::Rtp(packet) => {
                    self.bridge.handle_input(now, Input::BrowserRtp(&packet));
                }
                webrtc::Output::Reception { loss, round_trip } => {
                    self.bridge.handle_input(now, Input::BrowserReception { loss, round_trip });
                }
                webrtc::Output::Connected => {
                    self.was_up = true;
                    self.bridge.handle_input(now, Input::BrowserUp);
                    let after: Duration = now.saturating_duration_since(self.asked_at);
                    if let Some(negotiated) = peer.negotiated() {
                        wire.event(MediaEvent::PeerConnected { after, codec: negotiated.codec });
                    }
                }
                webrtc::Output::Failed(reason) => {
                    self.bridge.handle_input(now, Input::BrowserDown);
                    wire.event(match self.was_up {
                        true => MediaEvent::PeerLost { reason },
                        false => MediaEvent::PeerFailed { reason },
                    });
                }
                webrtc::Output::Timeout(at) => {
                    self.peer_timeout = at;
                    return;
                }
            }
        }
    }
}

impl From<webrtc::Error> for Error {
    fn from(error: webrtc::Error) -> Self {
        match error {
            webrtc::Error::BadSdp(text) => Error::BadSdp(text),
            webrtc::Error::NoCommonCodec => Error::NoCommonCodec,
            webrtc::Error::BadCandidate(text) => Error::BadCandidate(text),
            webrtc::Error::NoOfferPending => Error::OutOfOrder("no offer is pending"),
        }
    }
}
