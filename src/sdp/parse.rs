//! Text to model (RFC 8866 section 9), within bounds. Lenient where it does no harm: bare LF, lines
//! out of order, missing `s=` and `t=`; strict about what is used.

use std::net::IpAddr;

use super::{Address, AddressFamily, Attribute, Media, Origin, Session};

/// Longest description that is read, in bytes.
pub const MAX_SDP: usize = 16 * 1024;
/// Most `m=` lines.
pub const MAX_MEDIA: usize = 16;
/// Most formats of one `m=` line.
pub const MAX_FORMATS: usize = 32;

/// Why a text is not a session description, or not one that is read; the peer's fault. Lines
/// count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Longer than [`MAX_SDP`].
    #[error("longer than 16 KiB")]
    TooLong,
    /// More than [`MAX_MEDIA`] streams.
    #[error("more than 16 m= lines")]
    TooManyMedia,
    /// The first line is not `v=0`.
    #[error("does not start with v=0")]
    Version,
    /// No `o=` line.
    #[error("has no o= line")]
    NoOrigin,
    /// A line is broken.
    #[error("line {line}: {fault}")]
    Line {
        /// Which.
        line: usize,
        /// How.
        fault: Fault,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not a letter and `=`.
    #[error("not a letter and =")]
    Form,
    /// A control byte.
    #[error("a control byte")]
    Control,
    /// Not six fields, or numbers that are none.
    #[error("o= needs a user, two numbers and an address")]
    Origin,
    /// Neither an address nor a host name.
    #[error("not an address")]
    Address,
    /// A stream without kind, port, protocol and format.
    #[error("m= needs a kind, a port, a protocol and formats")]
    Media,
    /// A port above 65535.
    #[error("not a port")]
    Port,
    /// More than [`MAX_FORMATS`].
    #[error("more than 32 formats")]
    Formats,
    /// A payload type that is not 0 to 127.
    #[error("a payload type is not 0 to 127")]
    PayloadType,
    /// An attribute without a name.
    #[error("an attribute without a name")]
    Attribute,
}

/// Reads a description.
///
/// # Errors
/// [`ParseError`] names the line and the rule.
pub fn parse(text: &[u8]) -> Result<Session, ParseError> {
    if text.len() > MAX_SDP {
        return Err(ParseError::TooLong);
    }
    // Only s= and comments may hold other character sets; what is not UTF-8 is replaced there.
    let text = String::from_utf8_lossy(text);
    let mut lines = (1..)
        .zip(text.split('\n'))
        .map(|(number, line)| (number, line.trim_end_matches('\r')))
        .filter(|(_, line)| !line.is_empty());
    if lines.next().is_none_or(|(_, line)| line.trim_end() != "v=0") {
        return Err(ParseError::Version);
    }
    let mut draft = Draft::default();
    for (line, text) in lines {
        draft.take(text).map_err(|refused| match refused {
            Refused::Fault(fault) => ParseError::Line { line, fault },
            Refused::TooManyMedia => ParseError::TooManyMedia,
        })?;
    }
    Ok(Session {
        origin: draft.origin.ok_or(ParseError::NoOrigin)?,
        name: draft.name,
        connection: draft.connection,
        attributes: draft.attributes,
        media: draft.media,
    })
}

/// A session of which some lines were read.
#[derive(Default)]
struct Draft {
    origin: Option<Origin>,
    name: String,
    connection: Option<Address>,
    attributes: Vec<Attribute>,
    media: Vec<Media>,
}

enum Refused {
    Fault(Fault),
    TooManyMedia,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        Refused::Fault(fault)
    }
}

impl Draft {
    fn take(&mut self, line: &str) -> Result<(), Refused> {
        if line.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
            return Err(Fault::Control.into());
        }
        let (letter, value) = line.split_once('=').ok_or(Fault::Form)?;
        match letter {
            "o" => self.origin = Some(origin(value)?),
            "s" => self.name = value.to_owned(),
            "c" => {
                let address = address(value)?;
                match self.media.last_mut() {
                    // Several c= of one stream are layers of multicast: the first is enough.
                    Some(media) => media.connection.get_or_insert(address),
                    None => self.connection.get_or_insert(address),
                };
            }
            "a" => {
                let attribute = attribute(value)?;
                match self.media.last_mut() {
                    Some(media) => media.attributes.push(attribute),
                    None => self.attributes.push(attribute),
                }
            }
            "m" if self.media.len() == MAX_MEDIA => return Err(Refused::TooManyMedia),
            "m" => self.media.push(media(value)?),
            other if other.len() == 1 && other.as_bytes()[0].is_ascii_lowercase() => {}
            _ => return Err(Fault::Form.into()),
        }
        Ok(())
    }
}

fn origin(value: &str) -> Result<Origin, Fault> {
    let fields: Vec<&str> = value.split_ascii_whitespace().collect();
    let [username, session_id, version, network, family, host] = fields[..] else {
        return Err(Fault::Origin);
    };
    Ok(Origin {
        username: username.to_owned(),
        session_id: number(session_id)?,
        version: number(version)?,
        address: typed_address(network, family, host)?,
    })
}

/// Digits of any count; what does not fit is held at the largest (only equality matters).
fn number(digits: &str) -> Result<u64, Fault> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Origin);
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}

fn address(value: &str) -> Result<Address, Fault> {
    let fields: Vec<&str> = value.split_ascii_whitespace().collect();
    let [network, family, host] = fields[..] else {
        return Err(Fault::Address);
    };
    typed_address(network, family, host)
}

/// `IN IP4 host` in fields; also the end of `a=rtcp` (RFC 3605).
pub(super) fn typed_address(network: &str, family: &str, host: &str) -> Result<Address, Fault> {
    let family = match (network, family) {
        ("IN", "IP4") => AddressFamily::Ip4,
        ("IN", "IP6") => AddressFamily::Ip6,
        _ => return Err(Fault::Address),
    };
    // Time to live and count of a multicast address follow a slash.
    let host = host.split('/').next().unwrap_or(host);
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Address::Ip(ip));
    }
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    if host.is_empty() || host.len() > 255 || !host.bytes().all(is_name) {
        return Err(Fault::Address);
    }
    Ok(Address::Name { family, name: host.to_owned() })
}

fn attribute(value: &str) -> Result<Attribute, Fault> {
    let (name, value) = match value.split_once(':') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (value.trim_end(), None),
    };
    if name.is_empty() || name.bytes().any(|b| b.is_ascii_whitespace()) {
        return Err(Fault::Attribute);
    }
    Ok(Attribute { name: name.to_owned(), value })
}

fn media(value: &str) -> Result<Media, Fault> {
    let mut fields = value.split_ascii_whitespace();
    let (Some(kind), Some(port), Some(protocol)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err(Fault::Media);
    };
    // A count of ports may follow a slash; one is all that is used.
    let port = port.split('/').next().unwrap_or(port);
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Port);
    }
    let port = port.parse().map_err(|_| Fault::Port)?;
    let formats: Vec<String> = fields.by_ref().take(MAX_FORMATS).map(str::to_owned).collect();
    if formats.is_empty() {
        return Err(Fault::Media);
    }
    if fields.next().is_some() {
        return Err(Fault::Formats);
    }
    let is_rtp = protocol.split('/').any(|part| part == "RTP");
    if is_rtp && !formats.iter().all(|f| f.parse::<u8>().is_ok_and(|pt| pt < 128)) {
        return Err(Fault::PayloadType);
    }
    Ok(Media {
        kind: kind.to_owned(),
        port,
        protocol: protocol.to_owned(),
        formats,
        connection: None,
        attributes: vec![],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\n";

    fn parse_after_head(lines: &str) -> Result<Session, ParseError> {
        parse(format!("{HEAD}{lines}").as_bytes())
    }

    #[test]
    fn what_was_read_is_what_was_written() {
        let text = "v=0\r\no=root 18446744073709551616 7 IN IP6 ::1\r\ns=a b\r\n\
                    c=IN IP4 media.example\r\nt=0 0\r\na=sendonly\r\n\
                    m=audio 4000 RTP/AVP 0 101\r\nc=IN IP4 192.0.2.7\r\n\
                    a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n\
                    m=image 0 udptl t38\r\n";
        let session = parse(text.as_bytes()).unwrap();
        assert_eq!(session.origin.session_id, u64::MAX, "more digits than fit");
        assert_eq!(session.media[0].rtpmap(101), Some(("telephone-event", 8000)));
        assert_eq!(session.media[1].formats, ["t38"]);
        let expected = text.replace("18446744073709551616", "18446744073709551615");
        assert_eq!(session.to_string(), expected);
        let bare_lf = text.replace('\r', "");
        assert_eq!(parse(bare_lf.as_bytes()), Ok(session));
    }

    #[test]
    fn broken_lines_are_named() {
        let many = |n: usize| format!("m=audio 1 RTP/AVP{}\r\n", " 0".repeat(n));
        let cases = [
            ("hello\r\n", Fault::Form),
            ("=x\r\n", Fault::Form),
            ("ab=x\r\n", Fault::Form),
            ("a=x\0y\r\n", Fault::Control),
            ("a=x\ry\r\n", Fault::Control),
            ("o=- 1 2 IN IP4\r\n", Fault::Origin),
            ("o=- -1 2 IN IP4 a\r\n", Fault::Origin),
            ("c=IN IP4\r\n", Fault::Address),
            ("c=IN IP4 a_b\r\n", Fault::Address),
            ("c=ATM NSAP x\r\n", Fault::Address),
            ("m=audio\r\n", Fault::Media),
            ("m=audio 1 RTP/AVP\r\n", Fault::Media),
            ("m=audio 65536 RTP/AVP 0\r\n", Fault::Port),
            ("m=audio -1 RTP/AVP 0\r\n", Fault::Port),
            ("m=audio +1 RTP/AVP 0\r\n", Fault::Port),
            ("m=audio / RTP/AVP 0\r\n", Fault::Port),
            ("m=audio 1 RTP/AVP 128\r\n", Fault::PayloadType),
            ("m=audio 1 RTP/AVP x\r\n", Fault::PayloadType),
            ("m=audio 1 RTP/SAVP 999\r\n", Fault::PayloadType),
            ("a=\r\n", Fault::Attribute),
            ("a=:x\r\n", Fault::Attribute),
            (&many(33), Fault::Formats),
        ];
        for (line, fault) in cases {
            assert_eq!(
                parse_after_head(line),
                Err(ParseError::Line { line: 4, fault }),
                "{line:?}"
            );
        }
        assert!(parse_after_head(&many(32)).is_ok());
    }

    #[test]
    fn bounds_hold() {
        let sixteen = "m=audio 1 RTP/AVP 0\r\n".repeat(16);
        assert_eq!(parse_after_head(&sixteen).unwrap().media.len(), 16);
        let seventeen = "m=audio 1 RTP/AVP 0\r\n".repeat(17);
        assert_eq!(parse_after_head(&seventeen), Err(ParseError::TooManyMedia));
        assert_eq!(parse(&vec![b'v'; MAX_SDP + 1]), Err(ParseError::TooLong));
        assert_eq!(parse(b""), Err(ParseError::Version));
        assert_eq!(parse(b"v=1\r\n"), Err(ParseError::Version));
        assert_eq!(parse(b"v=0\r\ns=-\r\n"), Err(ParseError::NoOrigin));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            let mut text = HEAD.as_bytes().to_vec();
            text.extend_from_slice(&bytes);
            if let Ok(session) = parse(&text) {
                let written = session.to_string();
                prop_assert_eq!(parse(written.as_bytes()).unwrap().to_string(), written);
            }
        }

        #[test]
        fn writing_what_was_parsed_is_stable(
            lines in proptest::collection::vec("[ocsatmbi]=[ -~\\t]{0,30}|a=[a-z]{1,9}:[ -~]{0,20}\
                |m=(audio|video) [0-9/]{1,6} (RTP/AVP|udptl) [0-9 ]{1,20}\
                |c=IN IP[46] [0-9a-f.:/]{1,20}", 0..12)
        ) {
            let text = format!("{HEAD}{}\r\n", lines.join("\r\n"));
            if let Ok(session) = parse(text.as_bytes()) {
                let written = session.to_string();
                let again = parse(written.as_bytes());
                prop_assert_eq!(again.map(|s| s.to_string()), Ok(written));
            }
        }
    }
}
