//! The RTP leg: its offer and answer, its keys, its lock, the stream it sends, the stream it receives
//! and the reports about both (RFC 3550 6). No codec and no socket.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::source_lock::SourceLock;
use super::trunk_crypto::{KeySeeds, TrunkCrypto};
use super::{Error, LegStats, TrunkAudio, TrunkCodec, TrunkMedia};
use crate::rtp::{
    NtpTime, Packet, PayloadType, ReceiverStats, RtcpPacket, SenderStats, Seq, Ssrc, Timestamp,
    parse_rtcp, write_rtcp,
};
use crate::sdp;

/// What of a datagram concerns the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received<'a> {
    /// Sound in the negotiated codec.
    Audio(Packet<'a>),
    /// A telephone event.
    Event(Packet<'a>),
    /// A description of the noise of a pause.
    Noise(Packet<'a>),
    /// Nothing: foreign, broken, or a payload type nobody agreed on.
    Nothing,
}

/// The RTP leg of one call.
#[derive(Debug)]
pub(super) struct TrunkLeg {
    media: TrunkMedia,
    local: SocketAddr,
    session_id: u64,
    version: u64,
    negotiated: Option<sdp::Negotiated>,
    /// What we want: both ways, or only to send while the page holds.
    direction: sdp::Direction,
    /// What an open offer of ours wants in its place.
    offered: Option<sdp::Direction>,
    numbers: sdp::Numbers,
    lock: Option<SourceLock>,
    crypto: TrunkCrypto,
    ssrc: Ssrc,
    seq: Seq,
    /// The moment of the next frame on our media clock.
    timestamp: Timestamp,
    sender: SenderStats,
    receiver: ReceiverStats,
    sent: u64,
    unknown: u64,
}

/// Random numbers a leg begins with (RFC 3550 5.1: unpredictable).
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeds {
    pub(super) ssrc: u32,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) session_id: u64,
    pub(super) keys: KeySeeds,
}

/// The clock of the leg in Hz until a codec is agreed on.
const CLOCK: u32 = 8_000;

impl TrunkLeg {
    /// A leg that receives at `local` (as the trunk is told), nothing agreed yet.
    pub(super) fn new(local: SocketAddr, media: TrunkMedia, seeds: Seeds) -> Self {
        let ssrc = Ssrc(seeds.ssrc);
        Self {
            media,
            local,
            // RFC 8866 5.2: a number that fits 63 bits everywhere.
            session_id: seeds.session_id >> 2,
            version: 1,
            negotiated: None,
            direction: sdp::Direction::SendRecv,
            offered: None,
            numbers: sdp::Numbers::default(),
            lock: None,
            crypto: TrunkCrypto::new(&seeds.keys),
            ssrc,
            seq: Seq(seeds.seq),
            timestamp: Timestamp(seeds.timestamp),
            sender: SenderStats::new(ssrc, CLOCK),
            receiver: ReceiverStats::new(CLOCK),
            sent: 0,
            unknown: 0,
        }
    }

    /// Our offer.
    pub(super) fn offer(&mut self) -> String {
        sdp::offer(&self.audio()).to_string()
    }

    /// Our offer within the session, with what we want from now on (RFC 3264 8).
    pub(super) fn reoffer(&mut self, direction: sdp::Direction) -> String {
        self.version += 1;
        self.offered = Some(direction);
        let local = sdp::LocalAudio { direction, ..self.audio() };
        sdp::offer(&local).to_string()
    }

    /// Our offer was refused: all is as it was.
    pub(super) fn withdraw(&mut self) {
        self.offered = None;
    }

    /// The answer to our offer; may come again, changed or not.
    pub(super) fn accept(&mut self, now: Instant, answer: &str) -> Result<TrunkAudio, Error> {
        let remote =
            sdp::parse(answer.as_bytes()).map_err(|error| Error::BadSdp(error.to_string()))?;
        let direction = self.offered.unwrap_or(self.direction);
        let local = sdp::LocalAudio { direction, ..self.audio() };
        let negotiated = sdp::accept(&local, &remote).map_err(refused)?;
        let audio = self.settle(now, negotiated)?;
        self.direction = direction;
        self.offered = None;
        Ok(audio)
    }

    /// Their offer: our answer, and what both came to.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        offer: &str,
    ) -> Result<(String, TrunkAudio), Error> {
        let remote =
            sdp::parse(offer.as_bytes()).map_err(|error| Error::BadSdp(error.to_string()))?;
        if self.negotiated.is_some() {
            self.version += 1;
        }
        let (answer, negotiated) = sdp::answer(&self.audio(), &remote).map_err(refused)?;
        let audio = self.settle(now, negotiated)?;
        Ok((answer.to_string(), audio))
    }

    /// What was agreed, if anything was.
    pub(super) fn audio(&self) -> sdp::LocalAudio {
        sdp::LocalAudio {
            address: self.local.ip(),
            port: self.local.port(),
            codecs: self.media.codecs.iter().map(|codec| codec.in_sdp()).collect(),
            telephone_events: sdp::TelephoneEvents::Spoken,
            comfort_noise: self.media.comfort_noise,
            ptime_ms: 20,
            direction: self.direction,
            session_id: self.session_id,
            version: self.version,
            policy: self.media.addresses,
            protection: self.media.protection,
            crypto: self.crypto.lines(),
            numbers: self.numbers.clone(),
        }
    }

    /// Whether we may send: something was agreed and the trunk listens.
    pub(super) fn sends(&self) -> bool {
        self.negotiated.as_ref().is_some_and(|n| {
            matches!(n.direction, sdp::Direction::SendRecv | sdp::Direction::SendOnly)
        })
    }

    /// Whether the trunk holds us: it wants nothing of what we would send.
    pub(super) fn is_held(&self) -> bool {
        self.negotiated.is_some() && !self.sends()
    }

    /// Whether the trunk is to be heard: it said that it sends.
    pub(super) fn receives(&self) -> bool {
        self.negotiated.as_ref().is_some_and(|n| {
            matches!(n.direction, sdp::Direction::SendRecv | sdp::Direction::RecvOnly)
        })
    }

    pub(super) fn negotiated(&self) -> Option<&sdp::Negotiated> {
        self.negotiated.as_ref()
    }

    pub(super) fn media(&self) -> &TrunkMedia {
        &self.media
    }

    /// Where RTP goes now.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.lock.as_ref().map(SourceLock::destination)
    }

    /// Looks at a datagram of the RTP port.
    pub(super) fn on_rtp<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Received<'a> {
        let (Some(lock), Some(negotiated)) = (self.lock.as_mut(), self.negotiated.as_ref()) else {
            return Received::Nothing;
        };
        // Opened and parsed first: what is not the peer's RTP must not teach the lock an address.
        let Some(datagram) = self.crypto.open_rtp(datagram) else {
            self.unknown += 1;
            return Received::Nothing;
        };
        let Ok(packet) = Packet::parse(datagram) else {
            self.unknown += 1;
            return Received::Nothing;
        };
        let payload_type = packet.payload_type.get();
        let is_audio = payload_type == negotiated.codec.receive
            || negotiated.others.iter().any(|other| payload_type == other.receive);
        let is_event = negotiated.telephone_event.is_some_and(|e| payload_type == e.receive);
        let is_noise = !is_audio && !is_event && takes_noise(negotiated, &self.media, payload_type);
        if !is_audio && !is_event && !is_noise {
            self.unknown += 1;
            return Received::Nothing;
        }
        if !lock.accepts(now, source) || !lock.accepts_stream(now, packet.ssrc, packet.seq) {
            return Received::Nothing;
        }
        self.receiver.on_packet(now, &packet);
        match (is_audio, is_event) {
            (true, _) => Received::Audio(packet),
            (false, true) => Received::Event(packet),
            (false, false) => Received::Noise(packet),
        }
    }

    /// The payload type of the comfort noise that we send, where our pauses are to be sent so.
    pub(super) fn sends_noise(&self) -> Option<u8> {
        let offered = self.media.comfort_noise == sdp::ComfortNoise::Offered;
        let agreed = self.negotiated.as_ref()?.comfort_noise?;
        offered.then_some(agreed.send)
    }

    /// Looks at a datagram of the RTCP port.
    pub(super) fn on_rtcp(&mut self, now: Instant, source: SocketAddr, datagram: &mut [u8]) {
        let Some(lock) = self.lock.as_mut() else { return };
        if !lock.accepts_rtcp(source) {
            return;
        }
        let Some(datagram) = self.crypto.open_rtcp(datagram) else {
            self.unknown += 1;
            return;
        };
        let Ok(packets) = parse_rtcp(datagram) else {
            self.unknown += 1;
            return;
        };
        for packet in packets {
            let blocks = match packet {
                RtcpPacket::SenderReport { ssrc, info, blocks } => {
                    self.receiver.on_sender_report(now, ssrc, info.ntp);
                    blocks
                }
                RtcpPacket::ReceiverReport { blocks, .. } => blocks,
                _ => continue,
            };
            for block in &blocks {
                self.sender.on_report_block(now, block);
            }
        }
    }

    /// The timestamp of the frame that is next.
    pub(super) fn timestamp(&self) -> u32 {
        self.timestamp.0
    }

    /// The clock goes on by so many units, whether something was sent or not.
    pub(super) fn advance(&mut self, units: u32) {
        self.timestamp = self.timestamp.plus(units);
    }

    /// Numbers of packets that were lost on their way here stay free.
    pub(super) fn leave_out(&mut self, packets: u16) {
        self.seq = Seq(self.seq.0.wrapping_add(packets));
    }

    /// Writes one packet over what `out` held.
    pub(super) fn write(
        &mut self,
        now: Instant,
        marker: bool,
        payload_type: u8,
        timestamp: u32,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let packet = Packet {
            marker,
            payload_type: PayloadType::from_low_bits(payload_type),
            seq: self.seq,
            timestamp: Timestamp(timestamp),
            ssrc: self.ssrc,
            payload,
        };
        packet.write(out);
        if !self.crypto.seal_rtp(out) {
            // Never in the clear.
            out.clear();
        }
        self.seq = self.seq.next();
        self.sent += 1;
        self.sender.on_packet(now, Timestamp(timestamp), payload.len());
    }

    /// Writes the report that is due over what `out` held and says where it goes.
    pub(super) fn report(
        &mut self,
        now: Instant,
        wall: Duration,
        out: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        let destination = self.rtcp_destination()?;
        let ntp = NtpTime::from_unix(wall);
        let blocks: Vec<_> = self.receiver.report(now).into_iter().collect();
        let first = match self.sender.report(now, ntp) {
            Some(info) => RtcpPacket::SenderReport { ssrc: self.ssrc, info, blocks },
            None => RtcpPacket::ReceiverReport { ssrc: self.ssrc, blocks },
        };
        write_rtcp(&[first, self.description()], out);
        self.crypto.seal_rtcp(out).then_some(destination)
    }

    /// Writes the goodbye.
    pub(super) fn bye(&mut self, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let destination = self.rtcp_destination()?;
        let empty = RtcpPacket::ReceiverReport { ssrc: self.ssrc, blocks: Vec::new() };
        let bye = RtcpPacket::Bye { ssrcs: vec![self.ssrc] };
        write_rtcp(&[empty, self.description(), bye], out);
        self.crypto.seal_rtcp(out).then_some(destination)
    }

    /// The leg's numbers; what the bridge knows is added by it.
    pub(super) fn stats(&self) -> LegStats {
        LegStats {
            received: self.receiver.received(),
            sent: self.sent,
            octets: self.receiver.octets(),
            sent_octets: self.sender.octets().into(),
            lost: self.receiver.lost(),
            jitter_ms: self.receiver.jitter().as_secs_f32() * 1000.0,
            round_trip_ms: self.sender.round_trip().map(|t| t.as_secs_f32() * 1000.0),
            remote_loss: (self.sender.round_trip().is_some() || self.sender.fraction_lost() > 0)
                .then(|| f32::from(self.sender.fraction_lost()) / 256.0),
            foreign: self.lock.as_ref().map_or(0, SourceLock::foreign),
            malformed: self.unknown,
            ..LegStats::default()
        }
    }

    /// The codec of a payload type that was agreed on.
    pub(super) fn codec_of(&self, payload_type: u8) -> Option<TrunkCodec> {
        let n = self.negotiated.as_ref()?;
        let all = std::iter::once(&n.codec).chain(&n.others);
        let codec = all.into_iter().find(|codec| codec.receive == payload_type)?;
        Some(TrunkCodec::from_sdp(codec.codec))
    }

    /// What the other end said it lost in its last interval, 0 to 1.
    pub(super) fn remote_loss(&self) -> f32 {
        f32::from(self.sender.fraction_lost()) / 256.0
    }

    /// The name of the codec in force.
    pub(super) fn codec(&self) -> Option<TrunkCodec> {
        self.negotiated.as_ref().map(|n| TrunkCodec::from_sdp(n.codec.codec))
    }

    fn settle(&mut self, now: Instant, negotiated: sdp::Negotiated) -> Result<TrunkAudio, Error> {
        let codec = TrunkCodec::from_sdp(negotiated.codec.codec);
        let clock = negotiated.codec.codec.clock_rate();
        self.sender.set_clock_rate(clock);
        self.receiver.set_clock_rate(clock);
        match &mut self.lock {
            Some(lock) => lock.resignal(now, negotiated.remote),
            None => {
                let ranges = self.media.media_from.clone();
                self.lock = Some(SourceLock::new(now, negotiated.remote, ranges));
            }
        }
        let audio = TrunkAudio {
            codec,
            remote: negotiated.remote,
            telephone_event: negotiated.telephone_event.map(|e| e.clock_rate),
        };
        self.crypto.settle(negotiated.crypto.as_ref());
        self.numbers.keep(&negotiated);
        self.negotiated = Some(negotiated);
        Ok(audio)
    }

    /// The signalled RTCP address, at the address RTP really comes from.
    fn rtcp_destination(&self) -> Option<SocketAddr> {
        let signalled = self.negotiated.as_ref()?.remote_rtcp;
        let rtp = self.destination()?;
        let learned: IpAddr = rtp.ip();
        Some(if learned == signalled.ip() {
            signalled
        } else {
            SocketAddr::new(learned, rtp.port().wrapping_add(1))
        })
    }

    /// RFC 7022: a name that says nothing about the machine.
    fn description(&self) -> RtcpPacket {
        RtcpPacket::SourceDescription {
            ssrc: self.ssrc,
            cname: format!("{:016x}", self.session_id),
        }
    }
}

/// Whether a payload type is comfort noise. Some send the static one without a word about it.
fn takes_noise(negotiated: &sdp::Negotiated, media: &TrunkMedia, payload_type: u8) -> bool {
    match negotiated.comfort_noise {
        Some(noise) => payload_type == noise.receive,
        None => {
            media.comfort_noise != sdp::ComfortNoise::Off
                && payload_type == PayloadType::COMFORT_NOISE.get()
                && negotiated.codec.codec.clock_rate() == CLOCK
        }
    }
}

impl TrunkMedia {
    /// Whether an offer could be answered from an address of ours, before anything is kept for it.
    ///
    /// # Errors
    /// It is no session description, or has nothing that this trunk may speak.
    pub fn takes(&self, offer: &str, at: IpAddr) -> Result<(), Error> {
        let anywhere = SocketAddr::new(at, 0);
        let seeds = Seeds { ssrc: 0, seq: 0, timestamp: 0, session_id: 0, keys: [[0; 30]; 3] };
        let leg = TrunkLeg::new(anywhere, self.clone(), seeds);
        let remote =
            sdp::parse(offer.as_bytes()).map_err(|error| Error::BadSdp(error.to_string()))?;
        sdp::answer(&leg.audio(), &remote).map(|_| ()).map_err(refused)
    }
}

fn refused(refusal: sdp::Refusal) -> Error {
    match refusal {
        sdp::Refusal::NoCodec => Error::NoCommonCodec,
        sdp::Refusal::Address => Error::AddressRefused,
        other => Error::BadSdp(other.to_string()),
    }
}
