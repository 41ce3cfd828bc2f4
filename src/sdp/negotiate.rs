//! Offer and answer of one audio stream on a trunk leg (RFC 3264).
//!
//! Payload types belong to a leg and a direction: what we send carries the number the other side
//! gave, what we receive the number we gave, and only the newest description counts.

use std::net::{IpAddr, SocketAddr};

use super::parse::typed_address;
use super::{
    Address, AddressPolicy, Attribute, AudioCodec, Crypto, Direction, Media, NegotiatedCrypto,
    Numbers, Origin, ParseError, Protection, Receives, Session,
};

/// Our side of a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAudio {
    /// Where we receive, as written into `c=` and `o=`.
    pub address: IpAddr,
    /// Port for RTP; RTCP is one above (RFC 3550 section 11).
    pub port: u16,
    /// What we speak, best first.
    pub codecs: Vec<AudioCodec>,
    /// Whether we offer and take telephone events.
    pub telephone_events: TelephoneEvents,
    /// Whether comfort noise is spoken.
    pub comfort_noise: ComfortNoise,
    /// Milliseconds of sound in a packet: 10, 20, 30, 40 or 60.
    pub ptime_ms: u32,
    /// What we want.
    pub direction: Direction,
    /// `o=` session id; the same for the life of a leg.
    pub session_id: u64,
    /// `o=` version; one more with every change.
    pub version: u64,
    /// What their address may be.
    pub policy: AddressPolicy,
    /// Whether it is encrypted.
    pub protection: Protection,
    /// What we would send with: a line for each suite, with tags of their own, best first.
    pub crypto: Vec<Crypto>,
    /// The payload types that the session has used so far.
    pub numbers: Numbers,
}

/// Whether telephone events are spoken (RFC 4733).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TelephoneEvents {
    /// Offered and taken.
    Spoken,
    /// Neither.
    Off,
}

/// Whether comfort noise is spoken (RFC 3389), beside codecs of 8 kHz.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ComfortNoise {
    /// Neither offered nor taken.
    #[default]
    Off,
    /// Taken where it is offered.
    Accepted,
    /// Offered and taken.
    Offered,
}

/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Where our RTP goes. Unspecified (`0.0.0.0`) in a hold of the old style, where the
    /// direction never sends and RTCP must not go either (RFC 3264 section 8.4).
    pub remote: SocketAddr,
    /// Where our RTCP goes: `a=rtcp`, or the port above.
    pub remote_rtcp: SocketAddr,
    /// The audio codec we send and expect.
    pub codec: NegotiatedCodec,
    /// Other codecs their answer lets them send as well.
    pub others: Vec<NegotiatedCodec>,
    /// Telephone events, if both have them: at the codec's clock, or else at 8000 Hz.
    pub telephone_event: Option<TelephoneEvent>,
    /// Comfort noise, if both have it.
    pub comfort_noise: Option<NoiseType>,
    /// Milliseconds of sound in the packets we send.
    pub ptime_ms: u32,
    /// Seen from us.
    pub direction: Direction,
    /// What it is encrypted with; `None` is plain RTP.
    pub crypto: Option<NegotiatedCrypto>,
}

/// A codec and its payload types by direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NegotiatedCodec {
    /// Which.
    pub codec: AudioCodec,
    /// In packets we send: theirs.
    pub send: u8,
    /// In packets we receive: ours.
    pub receive: u8,
}

/// Telephone events and their payload types by direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// In packets we send: theirs.
    pub send: u8,
    /// In packets we receive: ours.
    pub receive: u8,
    /// Clock of durations and timestamps in Hz.
    pub clock_rate: u32,
}

/// The payload types of comfort noise by direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseType {
    /// In packets we send: theirs.
    pub send: u8,
    /// In packets we receive: ours.
    pub receive: u8,
}

/// Why no agreement came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text is no description: 400.
    #[error(transparent)]
    Syntax(#[from] ParseError),
    /// Keys that have to be there are not, or none that is spoken here: 488.
    #[error(
        "no encryption in common: keys are spoken of AES_CM_128_HMAC_SHA1_80, _32 and AEAD_AES_128_GCM, \
         without identifiers (MKI)"
    )]
    NoCrypto,
    /// No stream of theirs is RTP audio with a port: 488.
    #[error("no audio stream over RTP")]
    NoAudio,
    /// No codec in common: 488.
    #[error("no audio codec in common")]
    NoCodec,
    /// No address, a host name, or one we must not send to: 488.
    #[error("a media address that is not allowed")]
    Address,
    /// An answer that does not fit our offer: the peer broke RFC 3264.
    #[error("the answer does not fit the offer")]
    Mismatch,
}

/// Our offer: one audio stream with every codec of ours.
pub fn offer(local: &LocalAudio) -> Session {
    let codecs: Vec<(AudioCodec, u8)> =
        local.codecs.iter().map(|c| (*c, local.numbers.codec(*c))).collect();
    let mut clocks: Vec<u32> = codecs.iter().map(|(c, _)| c.clock_rate()).collect();
    clocks.dedup();
    // The clock of each codec has an event of its own (RFC 4733 section 2.1); usually that is one.
    let events: Vec<(u32, u8)> = match local.telephone_events {
        TelephoneEvents::Off => vec![],
        TelephoneEvents::Spoken => {
            let all = [8000, 48_000].into_iter().filter(|clock| clocks.contains(clock));
            all.map(|clock| (clock, local.numbers.event(clock))).collect()
        }
    };
    let protocol = match local.protection {
        Protection::None | Protection::Optional => "RTP/AVP",
        Protection::Required => "RTP/SAVP",
    };
    // What was agreed stays agreed, whoever offers next.
    let wanted = local.comfort_noise == ComfortNoise::Offered || local.numbers.has_noise();
    let noise = (wanted && clocks.contains(&NOISE_CLOCK)).then(|| local.numbers.noise());
    let mut media = audio(local, protocol, &codecs, &events, noise, local.direction);
    if local.protection != Protection::None {
        media.attributes.extend(local.crypto.iter().map(crypto_line));
    }
    describe(local, vec![media])
}

/// Our answer to their offer, and what it agrees on. Of their audio streams the first that can be
/// is taken, of ours the first codec they have too; every other stream is refused with port 0.
///
/// # Errors
/// [`Refusal`] says why there is none.
pub fn answer(local: &LocalAudio, remote: &Session) -> Result<(Session, Negotiated), Refusal> {
    // An encrypted stream before a plain one, where both are offered.
    let able = |wanted: bool| {
        remote.media.iter().enumerate().find_map(|(n, media)| {
            let crypto = is_audio(media).then(|| protection_of(local, media))?.ok()?;
            (crypto.is_some() == wanted).then_some((n, crypto))
        })
    };
    let refusal = match remote.media.iter().any(is_audio) {
        true => Refusal::NoCrypto,
        false => Refusal::NoAudio,
    };
    let (chosen, their_crypto) = able(true).or_else(|| able(false)).ok_or(refusal)?;
    let our_crypto = their_crypto.and_then(|theirs| {
        let ours = local.crypto.iter().find(|own| own.suite == theirs.suite)?;
        Some((Crypto { tag: theirs.tag, ..ours.clone() }, theirs))
    });
    let theirs = &remote.media[chosen];
    let codec = local
        .codecs
        .iter()
        .find_map(|ours| codecs_of(theirs).find(|(codec, _)| codec == ours))
        .map(|(codec, pt)| NegotiatedCodec { codec, send: pt, receive: pt })
        .ok_or(Refusal::NoCodec)?;
    // An answer uses the numbers of the offer in both directions (RFC 3264 section 6.1).
    let event = events_for(local, theirs, codec.codec).map(|(clock_rate, pt)| TelephoneEvent {
        send: pt,
        receive: pt,
        clock_rate,
    });
    let mut negotiated = agree(local, remote, theirs, codec, vec![], event)?;
    let noise = (local.comfort_noise != ComfortNoise::Off).then(|| noise_of(theirs, codec.codec));
    let noise = noise.flatten();
    negotiated.comfort_noise = noise.map(|pt| NoiseType { send: pt, receive: pt });
    negotiated.crypto = our_crypto.as_ref().map(|(ours, theirs)| NegotiatedCrypto {
        suite: ours.suite,
        send: ours.key.clone(),
        receive: theirs.key.clone(),
    });
    let events: Vec<(u32, u8)> = event.iter().map(|e| (e.clock_rate, e.receive)).collect();
    let mut ours = audio(
        local,
        &theirs.protocol,
        &[(codec.codec, codec.receive)],
        &events,
        noise,
        negotiated.direction,
    );
    ours.attributes.extend(our_crypto.iter().map(|(ours, _)| crypto_line(ours)));
    let media = remote
        .media
        .iter()
        .enumerate()
        .map(|(i, media)| if i == chosen { ours.clone() } else { refused(media) })
        .collect();
    Ok((describe(local, media), negotiated))
}

/// What their answer to our [`offer`] agrees on: the first codec of theirs that we offered.
///
/// # Errors
/// [`Refusal`] says why nothing.
pub fn accept(local: &LocalAudio, remote: &Session) -> Result<Negotiated, Refusal> {
    let theirs = remote.media.first().filter(|m| m.kind == "audio").ok_or(Refusal::Mismatch)?;
    if !is_audio(theirs) {
        return Err(Refusal::NoAudio);
    }
    // The tag says which of our lines was taken (RFC 4568 5.1.2).
    let crypto = protection_of(local, theirs)?.map(|theirs| {
        let ours = local.crypto.iter().find(|own| own.tag == theirs.tag);
        let ours = ours.filter(|own| own.suite == theirs.suite).ok_or(Refusal::Mismatch)?;
        let (send, receive) = (ours.key.clone(), theirs.key);
        Ok::<_, Refusal>(NegotiatedCrypto { suite: ours.suite, send, receive })
    });
    let crypto = crypto.transpose()?;
    let mut agreed =
        codecs_of(theirs).filter(|(codec, _)| local.codecs.contains(codec)).map(|(codec, pt)| {
            NegotiatedCodec { codec, send: pt, receive: local.numbers.codec(codec) }
        });
    let codec = agreed.next().ok_or(Refusal::NoCodec)?;
    let others = agreed.collect();
    let event = events_for(local, theirs, codec.codec).map(|(clock_rate, pt)| {
        let receive = local.numbers.event(clock_rate);
        TelephoneEvent { send: pt, receive, clock_rate }
    });
    let offered = local.comfort_noise == ComfortNoise::Offered || local.numbers.has_noise();
    let noise = noise_of(theirs, codec.codec).filter(|_| offered);
    let comfort_noise = noise.map(|pt| NoiseType { send: pt, receive: local.numbers.noise() });
    let negotiated = agree(local, remote, theirs, codec, others, event)?;
    Ok(Negotiated { crypto, comfort_noise, ..negotiated })
}

fn agree(
    local: &LocalAudio,
    remote: &Session,
    theirs: &Media,
    codec: NegotiatedCodec,
    others: Vec<NegotiatedCodec>,
    telephone_event: Option<TelephoneEvent>,
) -> Result<Negotiated, Refusal> {
    let Some(Address::Ip(ip)) = remote.connection_of(theirs) else {
        return Err(Refusal::Address);
    };
    let mut their_direction = remote.direction_of(theirs);
    if ip.is_unspecified() {
        their_direction = Direction::of(their_direction.sends(), Receives::No);
    } else if !local.policy.allows(*ip) {
        return Err(Refusal::Address);
    }
    // An address of the other IP version is taken, too: a phone on a machine that has both (linphonec) names
    // the one and sends from the other, and is answered where its packets come from.
    Ok(Negotiated {
        remote: SocketAddr::new(*ip, theirs.port),
        remote_rtcp: rtcp_address(local, theirs, *ip),
        codec,
        others,
        telephone_event,
        comfort_noise: None,
        ptime_ms: ptime(local, theirs),
        direction: their_direction.reversed().and(local.direction),
        crypto: None,
    })
}

/// RTP with a port; AVPF differs only in when RTCP is sent (RFC 4585).
fn is_audio(media: &Media) -> bool {
    let known = matches!(media.protocol.as_str(), "RTP/AVP" | "RTP/AVPF") || is_secure(media);
    media.kind == "audio" && media.port != 0 && known
}

fn is_secure(media: &Media) -> bool {
    matches!(media.protocol.as_str(), "RTP/SAVP" | "RTP/SAVPF")
}

/// Their key, of a suite that is ours too; `None` for a plain stream where that is allowed.
fn protection_of(local: &LocalAudio, media: &Media) -> Result<Option<Crypto>, Refusal> {
    let spoken = |own: &Crypto| local.crypto.iter().any(|ours| ours.suite == own.suite);
    let crypto = || media.values("crypto").filter_map(Crypto::parse).find(spoken);
    match (local.protection, is_secure(media)) {
        (Protection::None, true) => Err(Refusal::NoCrypto),
        (Protection::None, false) => Ok(None),
        (Protection::Optional, false) => Ok(crypto()),
        (Protection::Optional, true) | (Protection::Required, _) => {
            crypto().map(Some).ok_or(Refusal::NoCrypto)
        }
    }
}

fn crypto_line(crypto: &Crypto) -> Attribute {
    Attribute::with("crypto", crypto.to_string())
}

/// Their codecs that have a name here, with their payload types, in their order.
fn codecs_of(media: &Media) -> impl Iterator<Item = (AudioCodec, u8)> {
    media.payload_types().filter_map(|pt| {
        let codec = match media.rtpmap(pt) {
            Some((name, clock)) => AudioCodec::from_rtpmap(name, clock),
            None => AudioCodec::from_static(pt),
        };
        codec.map(|codec| (codec, pt))
    })
}

/// Their telephone event that goes with a codec: clock and payload type.
fn events_for(local: &LocalAudio, media: &Media, codec: AudioCodec) -> Option<(u32, u8)> {
    if local.telephone_events == TelephoneEvents::Off {
        return None;
    }
    let at = |wanted: u32| {
        media
            .payload_types()
            .find(|pt| {
                media.rtpmap(*pt).is_some_and(|(name, clock)| {
                    name.eq_ignore_ascii_case("telephone-event") && clock == wanted
                })
            })
            .map(|pt| (wanted, pt))
    };
    at(codec.clock_rate()).or_else(|| at(8000))
}

/// Their payload type of comfort noise that goes with a codec; 13 needs no `a=rtpmap` (RFC 3551 table 4).
fn noise_of(media: &Media, codec: AudioCodec) -> Option<u8> {
    let is_noise = |pt: &u8| match media.rtpmap(*pt) {
        Some((name, clock)) => name.eq_ignore_ascii_case(NOISE) && clock == NOISE_CLOCK,
        None => *pt == NOISE_TYPE,
    };
    media.payload_types().find(is_noise).filter(|_| codec.clock_rate() == NOISE_CLOCK)
}

/// `a=rtcp:port [IN IP4 address]` (RFC 3605) where it may be sent to, or the port above.
fn rtcp_address(local: &LocalAudio, media: &Media, ip: IpAddr) -> SocketAddr {
    let above = SocketAddr::new(ip, media.port.checked_add(1).unwrap_or(media.port));
    let Some(value) = media.value("rtcp") else { return above };
    let fields: Vec<&str> = value.split_ascii_whitespace().collect();
    let Some(port) = fields.first().and_then(|p| p.parse().ok()).filter(|p| *p != 0) else {
        return above;
    };
    match fields[1..] {
        [] => SocketAddr::new(ip, port),
        [network, family, host] => match typed_address(network, family, host) {
            Ok(Address::Ip(own)) if local.policy.allows(own) => SocketAddr::new(own, port),
            _ => above,
        },
        _ => above,
    }
}

/// Their wish where it is one of ours, held to their `a=maxptime`.
fn ptime(local: &LocalAudio, media: &Media) -> u32 {
    let read = |name| media.value(name).and_then(|v| v.trim().parse::<u32>().ok());
    let wished = match read("ptime") {
        Some(ms) if PTIMES_MS.contains(&ms) => ms,
        Some(_) => DEFAULT_PTIME_MS,
        None => local.ptime_ms,
    };
    match read("maxptime") {
        Some(most) if most < wished => {
            PTIMES_MS.into_iter().rev().find(|ms| *ms <= most).unwrap_or(DEFAULT_PTIME_MS)
        }
        _ => wished,
    }
}

fn describe(local: &LocalAudio, media: Vec<Media>) -> Session {
    Session {
        origin: Origin {
            username: "-".into(),
            session_id: local.session_id,
            version: local.version,
            address: Address::Ip(local.address),
        },
        name: "-".into(),
        connection: Some(Address::Ip(local.address)),
        attributes: vec![],
        media,
    }
}

fn audio(
    local: &LocalAudio,
    protocol: &str,
    codecs: &[(AudioCodec, u8)],
    events: &[(u32, u8)],
    noise: Option<u8>,
    direction: Direction,
) -> Media {
    let mut attributes = vec![];
    for (codec, pt) in codecs {
        let channels = codec.channels().map(|n| format!("/{n}")).unwrap_or_default();
        let map = format!("{pt} {}/{}{channels}", codec.name(), codec.clock_rate());
        attributes.push(Attribute::with("rtpmap", map));
        if *codec == AudioCodec::Opus {
            attributes.push(Attribute::with("fmtp", format!("{pt} {OPUS_PARAMETERS}")));
        }
    }
    if let Some(pt) = noise {
        attributes.push(Attribute::with("rtpmap", format!("{pt} {NOISE}/{NOISE_CLOCK}")));
    }
    for (clock, pt) in events {
        attributes.push(Attribute::with("rtpmap", format!("{pt} telephone-event/{clock}")));
        attributes.push(Attribute::with("fmtp", format!("{pt} 0-15")));
    }
    attributes.push(Attribute::with("ptime", local.ptime_ms.to_string()));
    attributes.push(Attribute::flag(direction.name()));
    let numbers = codecs.iter().map(|(_, pt)| pt).chain(&noise);
    let numbers = numbers.chain(events.iter().map(|(_, pt)| pt));
    Media {
        kind: "audio".into(),
        port: local.port,
        protocol: protocol.to_owned(),
        formats: numbers.map(u8::to_string).collect(),
        connection: None,
        attributes,
    }
}

/// A stream refused in an answer (RFC 3264 section 6).
fn refused(media: &Media) -> Media {
    Media { port: 0, connection: None, attributes: vec![], ..media.clone() }
}

const NOISE: &str = "CN";
const NOISE_CLOCK: u32 = 8000;
/// RFC 3389 4.
pub(super) const NOISE_TYPE: u8 = 13;
const PTIMES_MS: [u32; 5] = [10, 20, 30, 40, 60];
const DEFAULT_PTIME_MS: u32 = 20;
/// Mono, and no more than a page is asked for (RFC 7587 section 6.1).
const OPUS_PARAMETERS: &str =
    "maxplaybackrate=16000;sprop-maxcapturerate=16000;stereo=0;useinbandfec=1";

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
