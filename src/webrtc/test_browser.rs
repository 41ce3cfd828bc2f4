//! A browser for tests: a second `str0m::Rtc` with the formats that real browsers offer.

use std::net::SocketAddr;
use std::time::Instant;

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::{Codec, FormatParams};
use str0m::media::{Direction, Frequency, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Rtc};

use super::{BrowserCodec, RtpIn, RtpOut};

/// The test's end of a peer connection.
pub(crate) struct TestBrowser {
    rtc: Rtc,
    mid: Option<Mid>,
    pending: Option<SdpPendingOffer>,
    /// Whether ICE and DTLS are up.
    pub(crate) connected: bool,
    /// Every packet received, in order, with its arrival.
    pub(crate) received: Vec<(Instant, RtpIn)>,
    seq: u64,
}

impl TestBrowser {
    /// With the codecs and telephone-event clocks it offers, at an address of its own.
    pub(crate) fn new(
        now: Instant,
        address: SocketAddr,
        codecs: &[BrowserCodec],
        event_clocks: &[(u8, u32)],
    ) -> Self {
        let mut config = Rtc::builder().clear_codecs().set_rtp_mode(true);
        let formats = config.codec_config();
        for codec in codecs {
            match codec {
                BrowserCodec::Opus => formats.enable_opus(true, true),
                BrowserCodec::Pcmu => formats.enable_pcmu(true, false),
                BrowserCodec::Pcma => formats.enable_pcma(true, false),
            }
        }
        for (payload_type, clock_rate) in event_clocks {
            let clock = Frequency::new(*clock_rate).unwrap();
            let any = FormatParams::default();
            formats.add_config((*payload_type).into(), None, Codec::Tele, clock, None, any);
        }
        let mut rtc = config.build(now);
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp).unwrap());
        Self { rtc, mid: None, pending: None, connected: false, received: Vec::new(), seq: 1000 }
    }

    pub(crate) fn offer(&mut self) -> String {
        let mut changes = self.rtc.sdp_api();
        let mid = changes.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = changes.apply().unwrap();
        self.mid = Some(mid);
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    pub(crate) fn ice_restart_offer(&mut self) -> String {
        let mut changes = self.rtc.sdp_api();
        changes.ice_restart(true);
        let (offer, pending) = changes.apply().unwrap();
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    pub(crate) fn accept(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        self.rtc.sdp_api().accept_answer(self.pending.take().unwrap(), answer).unwrap();
    }

    pub(crate) fn answer(&mut self, offer: &str) -> String {
        let offer = SdpOffer::from_sdp_string(offer).unwrap();
        self.rtc.sdp_api().accept_offer(offer).unwrap().to_sdp_string()
    }

    pub(crate) fn close(&mut self) {
        self.rtc.close().unwrap();
    }

    /// The index of the next packet: its sequence number, wraps counted in.
    pub(crate) fn next_seq(&self) -> u64 {
        self.seq + 1
    }

    /// Sets it. The first packet's must be below 65,536.
    pub(crate) fn set_next_seq(&mut self, next: u64) {
        self.seq = next - 1;
    }

    /// Sends one packet with the next sequence number.
    pub(crate) fn send(&mut self, now: Instant, packet: RtpOut<'_>) {
        self.seq += 1;
        let seq = if packet.seq == 0 { self.seq } else { packet.seq };
        let Some(mid) = self.mid else { return };
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(mid, None).unwrap();
        let write = RtpWrite::new(
            packet.payload_type.into(),
            seq.into(),
            packet.timestamp,
            now,
            packet.payload,
        );
        stream.write_rtp(write.marker(packet.marker));
        self.rtc.handle_input(str0m::Input::Timeout(now)).unwrap();
    }

    pub(crate) fn datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
    ) {
        let Ok(receive) = Receive::new(Protocol::Udp, source, destination, contents) else {
            return;
        };
        let _ = self.rtc.handle_input(str0m::Input::Receive(now, receive));
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.rtc.handle_input(str0m::Input::Timeout(now)).unwrap();
    }

    /// Drains what it wants sent: `(source, destination, contents)`.
    pub(crate) fn drain(&mut self, now: Instant) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut sent = Vec::new();
        loop {
            match self.rtc.poll_output().unwrap() {
                str0m::Output::Timeout(_) => return sent,
                str0m::Output::Transmit(t) => {
                    sent.push((t.source, t.destination, t.contents.into()));
                }
                str0m::Output::Event(Event::Connected) => self.connected = true,
                str0m::Output::Event(Event::MediaAdded(added)) => {
                    self.mid.get_or_insert(added.mid);
                }
                str0m::Output::Event(Event::RtpPacket(p)) => self.received.push((
                    now,
                    RtpIn {
                        payload_type: *p.header.payload_type,
                        seq: p.header.sequence_number,
                        timestamp: p.header.timestamp,
                        marker: p.header.marker,
                        ssrc: *p.header.ssrc,
                        payload: p.payload,
                    },
                )),
                str0m::Output::Event(_) => {}
            }
        }
    }
}
