//! What a page's offer holds and which formats of it we take (RFC 8866, RFC 3264, RFC 7874).
//!
//! This reads only what decides the answer, before `str0m` sees the text: limits, the audio
//! formats, candidates we can use. It is no SDP model; trunks have one in `sdp`.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Error;

/// A codec of the page's leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BrowserCodec {
    /// Opus, clock 48 kHz (RFC 7587).
    Opus,
    /// G.711 mu-law, clock 8 kHz.
    Pcmu,
    /// G.711 A-law, clock 8 kHz.
    Pcma,
}

impl BrowserCodec {
    /// RTP clock in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            BrowserCodec::Opus => 48_000,
            BrowserCodec::Pcmu | BrowserCodec::Pcma => 8_000,
        }
    }

    /// Name as SDP writes it.
    pub fn name(self) -> &'static str {
        match self {
            BrowserCodec::Opus => "opus",
            BrowserCodec::Pcmu => "PCMU",
            BrowserCodec::Pcma => "PCMA",
        }
    }
}

/// A telephone-event format in force (RFC 4733).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFormat {
    /// Payload type.
    pub payload_type: u8,
    /// Clock in Hz that durations are counted in.
    pub clock_rate: u32,
}

/// What is taken of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) codec: BrowserCodec,
    pub(super) events: Option<EventFormat>,
}

/// An offer or answer that kept the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scanned {
    /// The text without candidates that cannot be used (mDNS names, TCP).
    pub(super) text: String,
    /// The first `a=fingerprint`, which names the peer connection.
    pub(super) fingerprint: Option<String>,
    formats: Vec<Format>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Format {
    payload_type: u8,
    name: String,
    clock_rate: u32,
}

/// Limits of one description; a browser's offer with audio, video and data is about 6 KiB.
const MAX_BYTES: usize = 16 * 1024;
const MAX_MEDIA: usize = 16;
const MAX_FORMATS: usize = 32;
const MAX_CANDIDATES: usize = 20;

impl Scanned {
    /// Reads a description from a page.
    pub(super) fn read(sdp: &str) -> Result<Self, Error> {
        if sdp.len() > MAX_BYTES {
            return Err(bad("longer than 16 KiB"));
        }
        let mut scanned =
            Self { text: String::with_capacity(sdp.len()), fingerprint: None, formats: Vec::new() };
        let mut media = 0;
        let mut candidates = 0;
        let mut in_first_audio = false;
        let mut audio_seen = false;
        let mut mapped: HashMap<u8, (String, u32)> = HashMap::new();
        let mut listed: Vec<u8> = Vec::new();
        for line in sdp.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
            if let Some(value) = line.strip_prefix("m=") {
                media += 1;
                in_first_audio = value.starts_with("audio ") && !audio_seen;
                if in_first_audio {
                    audio_seen = true;
                    listed = payload_types(value)?;
                }
            } else if let Some(value) = line.strip_prefix("a=candidate:") {
                candidates += 1;
                if candidates > MAX_CANDIDATES {
                    return Err(bad("more than 20 candidates"));
                }
                if !is_usable_candidate(value) {
                    continue;
                }
            } else if let Some(value) = line.strip_prefix("a=fingerprint:") {
                scanned.fingerprint.get_or_insert_with(|| value.to_ascii_lowercase());
            } else if let Some(value) = line.strip_prefix("a=rtpmap:").filter(|_| in_first_audio) {
                let (payload_type, name, clock_rate) =
                    rtpmap(value).ok_or_else(|| bad("an a=rtpmap that cannot be read"))?;
                if mapped.insert(payload_type, (name, clock_rate)).is_some() {
                    return Err(bad("a payload type mapped twice"));
                }
            }
            scanned.text.push_str(line);
            scanned.text.push_str("\r\n");
        }
        if media > MAX_MEDIA {
            return Err(bad("more than 16 media"));
        }
        if !audio_seen {
            return Err(bad("no audio"));
        }
        for payload_type in listed {
            let format = mapped.remove(&payload_type).or_else(|| match payload_type {
                0 => Some(("pcmu".to_owned(), 8_000)),
                8 => Some(("pcma".to_owned(), 8_000)),
                _ => None,
            });
            if let Some((name, clock_rate)) = format {
                scanned.formats.push(Format { payload_type, name, clock_rate });
            }
        }
        Ok(scanned)
    }

    /// The codec we like best of those offered, and the one telephone-event format that goes with
    /// it: at the codec's clock where there is one, or else at 8 kHz.
    ///
    /// Only one, because a page that is given two sends with the wrong one: measured, Chromium
    /// with Opus and 48000 and 8000 in the answer sends 3 end packets at 8000 and no more.
    pub(super) fn choose(&self, preference: &[BrowserCodec]) -> Option<Choice> {
        let codec = *preference.iter().find(|codec| {
            self.formats.iter().any(|format| {
                format.name.eq_ignore_ascii_case(codec.name())
                    && format.clock_rate == codec.clock_rate()
            })
        })?;
        Some(Choice { codec, events: self.events_for(codec) })
    }

    /// Of an answer: the first codec it lists that we know. It is what the page sends.
    pub(super) fn first(&self, known: &[BrowserCodec]) -> Option<Choice> {
        let codec = self.formats.iter().find_map(|format| {
            known.iter().copied().find(|codec| {
                format.name.eq_ignore_ascii_case(codec.name())
                    && format.clock_rate == codec.clock_rate()
            })
        })?;
        Some(Choice { codec, events: self.events_for(codec) })
    }

    fn events_for(&self, codec: BrowserCodec) -> Option<EventFormat> {
        let at = |clock_rate| {
            self.formats
                .iter()
                .find(|f| f.name == "telephone-event" && f.clock_rate == clock_rate)
                .map(|f| EventFormat { payload_type: f.payload_type, clock_rate })
        };
        at(codec.clock_rate()).or_else(|| at(8_000))
    }
}

/// Whether a candidate's address is an IP address and its transport UDP. Pages hide their host
/// addresses behind mDNS names; their checks reach us all the same.
pub(super) fn is_usable_candidate(value: &str) -> bool {
    let mut words = value.split_ascii_whitespace().skip(2);
    let udp = words.next().is_some_and(|transport| transport.eq_ignore_ascii_case("udp"));
    let address = words.nth(1).and_then(|address| address.parse::<IpAddr>().ok());
    udp && address.is_some_and(|address| !address.is_unspecified() && !address.is_multicast())
}

/// Writes what we ask of the page's Opus into our description (RFC 7587 6.1).
pub(super) fn with_opus_parameters(sdp: &str, payload_type: u8, parameters: &str) -> String {
    let parameters = format!("a=fmtp:{payload_type} {parameters}");
    let own = format!("a=fmtp:{payload_type} ");
    let map = format!("a=rtpmap:{payload_type} ");
    let mut text = String::with_capacity(sdp.len() + parameters.len());
    for line in sdp.lines().filter(|line| !line.starts_with(&own)) {
        text.push_str(line);
        text.push_str("\r\n");
        if line.starts_with(&map) {
            text.push_str(&parameters);
            text.push_str("\r\n");
        }
    }
    text
}

/// `audio 9 UDP/TLS/RTP/SAVPF 111 0 8`: the numbers at the end.
fn payload_types(media: &str) -> Result<Vec<u8>, Error> {
    let types: Vec<u8> = media
        .split_ascii_whitespace()
        .skip(3)
        .map(|word| word.parse::<u8>().ok().filter(|pt| *pt < 128))
        .collect::<Option<_>>()
        .ok_or_else(|| bad("a payload type that is no number below 128"))?;
    if types.len() > MAX_FORMATS {
        return Err(bad("more than 32 formats"));
    }
    Ok(types)
}

/// `111 opus/48000/2`.
fn rtpmap(value: &str) -> Option<(u8, String, u32)> {
    let (payload_type, encoding) = value.split_once(' ')?;
    let mut parts = encoding.trim().split('/');
    let name = parts.next()?.to_ascii_lowercase();
    let clock_rate = parts.next()?.parse().ok()?;
    let payload_type = payload_type.parse().ok().filter(|pt: &u8| *pt < 128)?;
    Some((payload_type, name, clock_rate))
}

fn bad(text: &str) -> Error {
    Error::BadSdp(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFERENCE: [BrowserCodec; 3] =
        [BrowserCodec::Opus, BrowserCodec::Pcmu, BrowserCodec::Pcma];

    fn offer(formats: &str, maps: &[&str]) -> String {
        let mut sdp = format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF {formats}\r\n"
        );
        for map in maps {
            sdp.push_str(&format!("a=rtpmap:{map}\r\n"));
        }
        sdp
    }

    /// RFC 7874, and the table of measured browsers: one telephone-event, at the codec's clock.
    #[test]
    fn takes_one_codec_and_the_events_at_its_clock() {
        let chromium = [
            "111 opus/48000/2",
            "63 red/48000/2",
            "110 telephone-event/48000",
            "126 telephone-event/8000",
        ];
        let firefox = ["109 opus/48000/2", "101 telephone-event/8000/1"];
        let g711 = ["110 telephone-event/48000", "126 telephone-event/8000"];
        type Taken = Option<(BrowserCodec, Option<(u8, u32)>)>;
        let cases: [(&str, &[&str], Taken); 5] = [
            ("111 63 9 0 8 13 110 126", &chromium, Some((BrowserCodec::Opus, Some((110, 48_000))))),
            ("109 9 0 8 101", &firefox, Some((BrowserCodec::Opus, Some((101, 8_000))))),
            ("0 8 110 126", &g711, Some((BrowserCodec::Pcmu, Some((126, 8_000))))),
            ("8", &[], Some((BrowserCodec::Pcma, None))),
            ("9 63", &["63 red/48000/2"], None),
        ];
        for (formats, maps, expected) in cases {
            let choice = Scanned::read(&offer(formats, maps)).unwrap().choose(&PREFERENCE);
            let found = choice.map(|c| (c.codec, c.events.map(|e| (e.payload_type, e.clock_rate))));
            assert_eq!(found, expected, "{formats}");
        }
    }

    #[test]
    fn the_preference_is_ours_not_the_offers_order() {
        let scanned = Scanned::read(&offer("0 111", &["111 opus/48000/2"])).unwrap();
        assert_eq!(scanned.choose(&PREFERENCE).unwrap().codec, BrowserCodec::Opus);
        assert_eq!(scanned.choose(&[BrowserCodec::Pcmu]).unwrap().codec, BrowserCodec::Pcmu);
    }

    #[test]
    fn refuses_what_breaks_a_limit_or_a_rule() {
        let many_formats = (96..128).map(|n| n.to_string()).collect::<Vec<_>>().join(" ") + " 0";
        let mut many_candidates = offer("0", &[]);
        for n in 0..21 {
            many_candidates
                .push_str(&format!("a=candidate:{n} 1 udp 1 192.0.2.1 {n} typ host\r\n"));
        }
        let many_media = offer("0", &[]) + &"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n".repeat(16);
        let cases = [
            ("too long", "a=x\r\n".repeat(4000)),
            ("no audio", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n".to_owned()),
            ("payload type 128", offer("128", &[])),
            ("payload type as text", offer("x", &[])),
            ("33 formats", offer(&many_formats, &[])),
            ("mapped twice", offer("111", &["111 opus/48000/2", "111 telephone-event/8000"])),
            ("rtpmap without clock", offer("111", &["111 opus"])),
            ("21 candidates", many_candidates),
            ("17 media", many_media),
        ];
        for (name, sdp) in cases {
            assert!(matches!(Scanned::read(&sdp), Err(Error::BadSdp(_))), "{name}");
        }
    }

    #[test]
    fn leaves_out_candidates_that_are_no_address() {
        let sdp = offer("0", &[])
            + "a=candidate:1 1 udp 2113937151 4f3f-aa.local 50000 typ host\r\n"
            + "a=candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n"
            + "a=candidate:3 1 udp 2113937151 192.0.2.1 50001 typ host\r\n";
        let text = Scanned::read(&sdp).unwrap().text;
        assert_eq!(text.matches("a=candidate").count(), 1);
        assert!(text.contains("a=candidate:3 "));
    }

    #[test]
    fn opus_parameters_replace_those_that_were_there() {
        let sdp =
            "m=audio 9 X 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\na=mid:0\r\n";
        assert_eq!(
            with_opus_parameters(sdp, 111, "maxplaybackrate=8000;useinbandfec=1"),
            "m=audio 9 X 111\r\na=rtpmap:111 opus/48000/2\r\n\
             a=fmtp:111 maxplaybackrate=8000;useinbandfec=1\r\na=mid:0\r\n"
        );
    }
}
