//! The one scanner of message heads (RFC 3261 7.3.1): where a head ends, its lines with foldings,
//! names and values, Content-Length. Framing and parsing both use it, so they can never disagree.

use std::borrow::Cow;

use crate::sip::grammar::{self, Malformed};

/// What is refused before it is parsed. All in bytes, but `headers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A whole message.
    pub message: usize,
    /// Header lines in a message.
    pub headers: usize,
    /// One header line with its foldings, and the start line.
    pub header: usize,
}

impl Default for Limits {
    /// 64 KiB, which is more than a UDP datagram holds; 128 headers; 8 KiB a header.
    fn default() -> Limits {
        Limits { message: 64 * 1024, headers: 128, header: 8 * 1024 }
    }
}

/// What Content-Length says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// There is none.
    Missing,
    /// So many bytes.
    Bytes(usize),
}

/// Where the head ends, just behind its empty line. Bytes before `from` are known not to hold the
/// end, so a stream is not searched twice.
pub fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let start = from.saturating_sub(END.len() - 1);
    let found = bytes.get(start..)?.windows(END.len()).position(|window| window == END)?;
    Some(start + found + END.len())
}

/// The lines of a head without their line ends; a folded line is one. The first is the start line.
pub fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        if rest.is_empty() || rest.starts_with(CRLF) {
            return None;
        }
        let end = line_end(rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + CRLF.len()..).unwrap_or_default();
        Some(line)
    })
}

/// The name and the value of a header line, blanks around both removed, foldings kept.
pub fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii()))
}

/// `value` with each folding replaced by one blank.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.windows(CRLF.len()).any(|window| window == CRLF) {
        return Cow::Borrowed(value);
    }
    let mut plain = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < value.len() {
        if is_folding(&value[at..]) {
            while plain.last().is_some_and(is_blank) {
                plain.pop();
            }
            at += CRLF.len();
            while value.get(at).is_some_and(is_blank) || is_folding(&value[at..]) {
                at += if value[at] == b'\r' { CRLF.len() } else { 1 };
            }
            plain.push(b' ');
        } else {
            plain.push(value[at]);
            at += 1;
        }
    }
    Cow::Owned(plain)
}

/// The Content-Length of a head: at most one, digits only.
pub fn content_length(head: &[u8]) -> Result<Length, Malformed> {
    let mut length = Length::Missing;
    for (name, value) in lines(head).skip(1).filter_map(field) {
        if !is_content_length(name) {
            continue;
        }
        if length != Length::Missing {
            return Err(Malformed("Content-Length stands there once"));
        }
        length = Length::Bytes(parse_length(value)?);
    }
    Ok(length)
}

/// Whether a header of this name is Content-Length.
pub fn is_content_length(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l")
}

/// A length in digits only.
fn parse_length(value: &[u8]) -> Result<usize, Malformed> {
    let value = unfold(value);
    let digits = std::str::from_utf8(&value).ok().and_then(grammar::number);
    digits.ok_or(Malformed("Content-Length is a number in digits only"))
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.windows(CRLF.len()).position(|window| window == CRLF)?;
        if !is_folding(&bytes[at..]) {
            return Some(at);
        }
        at += CRLF.len();
    }
}

fn is_folding(bytes: &[u8]) -> bool {
    bytes.starts_with(CRLF) && bytes.get(CRLF.len()).is_some_and(is_blank)
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

const CRLF: &[u8] = b"\r\n";
const END: &[u8] = b"\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_its_empty_line_only() {
        assert_eq!(head_end(b"a\r\n\r\nb", 0), Some(5));
        assert_eq!(head_end(b"a\r\n\r\nb", 4), Some(5), "found from its middle");
        assert_eq!(head_end(b"a\r\n \r\nb", 0), None, "a folding is no end");
        assert_eq!(head_end(b"a\n\nb", 0), None);
        assert_eq!(head_end(b"", 9), None);
    }

    #[test]
    fn lines_keep_their_foldings() {
        let head = b"start\r\na: 1\r\n  2\r\n\t3\r\nb:\r\n\r\n";
        let found: Vec<&[u8]> = lines(head).collect();
        assert_eq!(found, [&b"start"[..], b"a: 1\r\n  2\r\n\t3", b"b:"]);
        assert_eq!(field(b"Name \t:  v: w "), Some((&b"Name"[..], &b"v: w"[..])));
        assert_eq!(field(b"no colon"), None);
    }

    #[test]
    fn foldings_become_one_blank() {
        let table: [(&[u8], &[u8]); 5] = [
            (b"1 \r\n  2", b"1 2"),
            (b"1\r\n\t2\r\n 3", b"1 2 3"),
            (b"1\r\n \r\n 2", b"1 2"),
            (b"plain", b"plain"),
            (b"a\r\nb", b"a\r\nb"),
        ];
        for (folded, plain) in table {
            assert_eq!(unfold(folded).as_ref(), plain);
        }
    }

    #[test]
    fn content_length_is_one_number() {
        let length = |lines: &str| content_length(format!("S\r\n{lines}\r\n\r\n").as_bytes());
        assert_eq!(length("a: b"), Ok(Length::Missing));
        assert_eq!(length("content-length : 0012"), Ok(Length::Bytes(12)));
        assert_eq!(length("L:\r\n  7"), Ok(Length::Bytes(7)));
        for wrong in ["l: 0x10", "l: -1", "l: +1", "l:", "l: 1 2", "l: 1\r\nContent-Length: 1"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
        assert!(length("l: 99999999999999999999999").is_err());
    }
}
