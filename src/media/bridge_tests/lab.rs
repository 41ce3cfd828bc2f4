//! A bridge between a page and a trunk on a virtual clock: what both send, and what they got.

pub(super) use std::net::SocketAddr;
pub(super) use std::sync::Arc;
pub(super) use std::time::{Duration, Instant};

pub(super) use rand::rngs::ChaCha12Rng;
pub(super) use rand::{Rng, SeedableRng};

pub(super) use super::phone::{Network, Phone};
pub(super) use crate::base::{Digit, DigitPacing, epoch};
pub(super) use crate::codec::{
    Codec, Decoder, Encoder, FRAME, Tone, Tones, dominant_frequency, goertzel_dbm0, level_dbm0,
};
pub(super) use crate::dtmf::{DigitEvent, DigitId, EndReason, Mode, Phase};
pub(super) use crate::media::DtmfMode;
pub(super) use crate::media::bridge::{Bridge, BridgeConfig, Input, Output};
pub(super) use crate::media::outbox::TrunkPort;
pub(super) use crate::media::{
    AddressPolicy, Feed, LegSide, MediaEvent, OpusSettings, Playout, Silence, ToneItem, TrunkMedia,
};
pub(super) use crate::rtp::{Packet, PayloadType, RtcpPacket, Seq, Ssrc, Timestamp, parse_rtcp};
pub(super) use crate::webrtc::{BrowserCodec, EventFormat, Negotiated, RtpIn};

/// What the search for a frequency looks at: 0.3 s.
pub(super) const SEARCHED: usize = 2_400;
pub(super) const TRUNK: &str = "192.0.2.1:4000";
pub(super) const LOCAL: &str = "192.0.2.9:6000";

/// A packet that the page got.
#[derive(Debug, Clone)]
pub(super) struct ToPage {
    pub(super) at: Instant,
    pub(super) payload_type: u8,
    pub(super) seq: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload: Vec<u8>,
}

/// A packet that the trunk got.
#[derive(Debug, Clone)]
pub(super) struct ToTrunk {
    pub(super) at: Instant,
    pub(super) payload_type: u8,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    pub(super) marker: bool,
    pub(super) payload: Vec<u8>,
}

/// A bridge, what both sides send, and what they got.
pub(super) struct Lab {
    pub(super) now: Instant,
    pub(super) bridge: Bridge,
    pub(super) codec: Codec,
    pub(super) page_encoder: Encoder,
    pub(super) page_tone: Tones,
    pub(super) page_seq: u16,
    pub(super) page_timestamp: u32,
    pub(super) trunk_tone: Tones,
    pub(super) trunk_seq: u16,
    pub(super) trunk_timestamp: u32,
    pub(super) page: Vec<ToPage>,
    pub(super) trunk: Vec<ToTrunk>,
    pub(super) reports: Vec<RtcpPacket>,
    pub(super) destinations: Vec<SocketAddr>,
    pub(super) events: Vec<MediaEvent>,
    /// The steps of the trunk's digits with their moments.
    pub(super) told_at: Vec<(Instant, DigitEvent)>,
    /// Takes what the trunk gets for digits.
    pub(super) phone: Phone,
    pub(super) page_network: Network,
    pub(super) trunk_network: Network,
    pub(super) page_held: Option<RtpIn>,
    pub(super) trunk_held: Option<Vec<u8>>,
    pub(super) infos_in: u64,
    /// Of each tone of the trunk whether so much of it arrived that it is a digit.
    pub(super) tones_kept: Vec<bool>,
    /// The level of the trunk's keys as tones, each of both.
    pub(super) key_dbm0: f64,
    /// The call that this one's trunk goes on to: its time is this one's.
    pub(super) onward: Option<Box<Lab>>,
}

pub(super) fn config() -> BridgeConfig {
    BridgeConfig {
        opus: OpusSettings {
            bitrate: 24_000,
            complexity: 5,
            least_complexity: 0,
            silence: Silence::Sent,
        },
        playout: Playout::default(),
        lost_after: Duration::from_secs(10),
        stats_every: Duration::from_secs(5),
        seed: [7; 32],
        wall: Duration::from_secs(1_700_000_000),
        first_tick: ms(20),
    }
}

fn negotiated(codec: BrowserCodec) -> Negotiated {
    let clock_rate = codec.clock_rate();
    let events = vec![EventFormat { payload_type: 110, clock_rate }];
    Negotiated { codec, payload_type: 111, events }
}

pub(super) fn sine(frequency: f64) -> Tones {
    Tones::new(&[Tone { frequency, dbm0: -10.0 }])
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn digit(key: char) -> Digit {
    Digit::from_char(key).unwrap()
}

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn answer(address: SocketAddr, formats: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP {formats}\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n",
        address.ip(),
        address.port()
    )
}

impl Lab {
    /// A bridge between a page and a trunk that has answered in mu-law.
    pub(super) fn new(codec: BrowserCodec) -> Self {
        Self::with(codec, DtmfMode::Auto, "0 101")
    }

    /// The same with a trunk that wants its digits so and answers with these formats.
    pub(super) fn with(codec: BrowserCodec, wish: DtmfMode, formats: &str) -> Self {
        let mut lab = Self::unanswered(codec, wish);
        lab.bridge.trunk_accept(lab.now, &answer(address(TRUNK), formats)).unwrap();
        lab.drain();
        lab
    }

    /// A bridge between a page and a trunk that has not answered yet.
    pub(super) fn unanswered(codec: BrowserCodec, wish: DtmfMode) -> Self {
        Self::toward(codec, TrunkMedia { dtmf: wish, ..TrunkMedia::default() })
    }

    /// The same toward a trunk of any kind.
    pub(super) fn toward(codec: BrowserCodec, media: TrunkMedia) -> Self {
        Self::set(codec, media, config())
    }

    /// The same of a bridge that is set in this way.
    pub(super) fn set(codec: BrowserCodec, media: TrunkMedia, config: BridgeConfig) -> Self {
        let now = epoch();
        let mut bridge = Bridge::new(now, config);
        bridge.set_browser(now, &negotiated(codec)).unwrap();
        bridge.handle_input(now, Input::BrowserUp);
        let media = TrunkMedia { addresses: AddressPolicy::Any, ..media };
        bridge.open_trunk(address(LOCAL), media);
        bridge.trunk_offer().unwrap();
        Self::around(now, bridge, crate::media::uplink::coding(codec))
    }

    /// Two trunks and nobody else: the one's call goes on to the other through a pipe, as that of a flow or
    /// of a menu does. The first is the caller's, the second, in `onward`, the callee's.
    pub(super) fn trunk_to_trunk(caller: (DtmfMode, &str), callee: (DtmfMode, &str)) -> Self {
        let now = epoch();
        let (near, far) = crate::media::pipe();
        let side = |(wish, formats): (DtmfMode, &str), end: crate::media::PipeEnd| {
            let mut bridge = Bridge::new(now, config());
            let media =
                TrunkMedia { dtmf: wish, addresses: AddressPolicy::Any, ..Default::default() };
            bridge.open_trunk(address(LOCAL), media);
            bridge.trunk_offer().unwrap();
            bridge.trunk_accept(now, &answer(address(TRUNK), formats)).unwrap();
            bridge.serve(now, Box::new(end));
            let mut lab = Self::around(now, bridge, Codec::Pcmu);
            lab.drain();
            lab
        };
        Self { onward: Some(Box::new(side(callee, far))), ..side(caller, near) }
    }

    /// The callee's side of [`Lab::trunk_to_trunk`].
    pub(super) fn far(&self) -> &Lab {
        self.onward.as_ref().unwrap()
    }

    fn around(now: Instant, bridge: Bridge, codec: Codec) -> Self {
        Self {
            now,
            bridge,
            codec,
            page_encoder: Encoder::new(codec).unwrap(),
            page_tone: sine(1000.0),
            page_seq: 65_500,
            page_timestamp: u32::MAX - 9_600,
            trunk_tone: sine(700.0),
            trunk_seq: 65_500,
            trunk_timestamp: u32::MAX - 1_600,
            page: Vec::new(),
            trunk: Vec::new(),
            reports: Vec::new(),
            destinations: Vec::new(),
            events: Vec::new(),
            told_at: Vec::new(),
            phone: Phone::new(),
            page_network: Network::perfect(),
            trunk_network: Network::perfect(),
            page_held: None,
            trunk_held: None,
            infos_in: 0,
            tones_kept: Vec::new(),
            key_dbm0: -10.0,
            onward: None,
        }
    }

    /// Both sides send silence from now on.
    pub(super) fn hush(&mut self) {
        self.page_tone = Tones::new(&[]);
        self.trunk_tone = Tones::new(&[]);
    }

    /// The page connects anew, as another peer.
    pub(super) fn renew_page(&mut self) {
        let codec = match self.codec {
            Codec::Opus => BrowserCodec::Opus,
            Codec::Pcmu => BrowserCodec::Pcmu,
            Codec::Pcma => BrowserCodec::Pcma,
            other => panic!("no page speaks {other:?}"),
        };
        self.input(Input::BrowserDown);
        self.bridge.set_browser(self.now, &negotiated(codec)).unwrap();
        self.input(Input::BrowserUp);
    }

    pub(super) fn connected(codec: BrowserCodec) -> Self {
        let mut lab = Self::new(codec);
        lab.bridge.connect(lab.now);
        lab
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.bridge.poll_output() {
            match output {
                Output::ToBrowser(p) => self.page.push(ToPage {
                    at: self.now,
                    payload_type: p.payload_type,
                    seq: p.seq,
                    timestamp: p.timestamp,
                    marker: p.marker,
                    payload: p.payload.to_vec(),
                }),
                Output::ToTrunk { port: TrunkPort::Rtp, destination, contents } => {
                    let p = Packet::parse(contents).unwrap();
                    self.phone.on_packet(self.now, &p);
                    self.destinations.push(destination);
                    self.trunk.push(ToTrunk {
                        at: self.now,
                        payload_type: p.payload_type.get(),
                        seq: p.seq.0,
                        timestamp: p.timestamp.0,
                        ssrc: p.ssrc.0,
                        marker: p.marker,
                        payload: p.payload.to_vec(),
                    });
                }
                Output::ToTrunk { port: TrunkPort::Rtcp, contents, .. } => {
                    self.reports.extend(parse_rtcp(contents).unwrap());
                }
                Output::Event(event) => {
                    match event {
                        MediaEvent::InfoWanted { request, digit, duration } => {
                            self.phone.on_info(self.now, request, digit, duration);
                        }
                        MediaEvent::Digit { from: LegSide::Trunk, event } => {
                            self.told_at.push((self.now, event));
                        }
                        _ => {}
                    }
                    self.events.push(event);
                }
            }
        }
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        self.bridge.handle_input(self.now, input);
        self.drain();
    }

    /// 5 ms at a time, timeouts when they are due.
    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += ms(5);
            if self.bridge.timeout() <= self.now {
                self.input(Input::Timeout);
            }
            self.phone.on_tick(self.now);
            for (request, status) in self.phone.answers(self.now) {
                self.bridge.info_done(self.now, request, status);
                self.drain();
            }
            if let Some(onward) = &mut self.onward {
                // Its phone speaks in between.
                if onward.now.duration_since(epoch()).as_millis() % 20 == 10 {
                    onward.trunk_goes_on();
                }
                onward.wait(ms(5));
            }
        }
    }

    pub(super) fn page_packet(
        &mut self,
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> RtpIn {
        self.page_seq = self.page_seq.wrapping_add(1);
        RtpIn {
            payload_type,
            seq: self.page_seq,
            timestamp,
            marker,
            ssrc: 5,
            payload: Arc::from(payload),
        }
    }

    /// The page's next 20 ms of sound.
    pub(super) fn page_sound(&mut self) -> RtpIn {
        let mut pcm = [0; FRAME];
        self.page_tone.fill(&mut pcm);
        let mut payload = Vec::new();
        self.page_encoder.encode(&pcm, &mut payload).unwrap();
        let timestamp = self.page_timestamp;
        self.page_timestamp = timestamp.wrapping_add(self.codec.clock_rate() / 50);
        self.page_packet(111, timestamp, false, &payload)
    }

    pub(super) fn trunk_packet(
        &mut self,
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Vec<u8> {
        self.trunk_seq = self.trunk_seq.wrapping_add(1);
        let mut datagram = Vec::new();
        Packet {
            marker,
            payload_type: PayloadType::new(payload_type).unwrap(),
            seq: Seq(self.trunk_seq),
            timestamp: Timestamp(timestamp),
            ssrc: Ssrc(77),
            payload,
        }
        .write(&mut datagram);
        datagram
    }

    /// The trunk's next frame of this many samples.
    pub(super) fn trunk_sound(&mut self, samples: usize) -> Vec<u8> {
        let mut pcm = vec![0; samples];
        self.trunk_tone.fill(&mut pcm);
        self.trunk_pcm_packet(&pcm)
    }

    /// The trunk's next frame.
    pub(super) fn trunk_pcm_packet(&mut self, pcm: &[i16]) -> Vec<u8> {
        let mut payload = Vec::new();
        Encoder::Pcmu.encode(pcm, &mut payload).unwrap();
        let timestamp = self.trunk_timestamp;
        self.trunk_timestamp = timestamp.wrapping_add(pcm.len() as u32);
        self.trunk_packet(0, timestamp, false, &payload)
    }

    pub(super) fn trunk_sends(&mut self, source: &str, contents: &[u8]) {
        let source = address(source);
        let contents = &mut contents.to_vec();
        self.input(Input::TrunkDatagram { port: TrunkPort::Rtp, source, contents });
    }

    /// Both sides talk for so many frames.
    pub(super) fn talk(&mut self, frames: u32) {
        for _ in 0..frames {
            let packet = self.page_sound();
            self.input(Input::BrowserRtp(&packet));
            let datagram = self.trunk_sound(FRAME);
            self.trunk_sends(TRUNK, &datagram);
            self.wait(ms(20));
        }
    }

    /// What the trunk heard of its last packets of sound.
    pub(super) fn trunk_pcm(&self, packets: usize) -> Vec<i16> {
        let sound: Vec<_> = self.trunk.iter().filter(|p| p.payload_type == 0).collect();
        decode(Codec::Pcmu, sound[sound.len() - packets..].iter().map(|p| &p.payload[..]))
    }

    /// What the page heard of its last packets.
    pub(super) fn page_pcm(&self, packets: usize) -> Vec<i16> {
        let sound = self.page.iter().filter(|p| p.payload_type == 111).map(|p| &p.payload[..]);
        let pcm = decode(self.codec, sound);
        pcm[pcm.len() - packets * FRAME..].to_vec()
    }

    pub(super) fn digits(&self, leg: LegSide) -> Vec<DigitEvent> {
        self.events
            .iter()
            .filter_map(|event| match event {
                MediaEvent::Digit { from, event } if *from == leg => Some(*event),
                _ => None,
            })
            .collect()
    }
}

pub(super) fn decode<'a>(codec: Codec, payloads: impl Iterator<Item = &'a [u8]>) -> Vec<i16> {
    let mut decoder = Decoder::new(codec).unwrap();
    let (mut pcm, mut frame) = (Vec::new(), Vec::new());
    for payload in payloads {
        decoder.decode(payload, &mut frame).unwrap();
        pcm.extend_from_slice(&frame);
    }
    pcm
}

pub(super) fn assert_tone(pcm: &[i16], frequency: f64, whose: &str) {
    let found = dominant_frequency(&pcm[pcm.len() - SEARCHED..])
        .unwrap_or_else(|| panic!("{whose}: {}", level_dbm0(pcm)));
    assert!((found - frequency).abs() < 3.0, "{whose} hears {found} Hz");
    let level = goertzel_dbm0(pcm, frequency);
    assert!((level + 10.0).abs() < 1.0, "{whose} hears {level} dBm0");
}
