//! Bodies of several parts (RFC 2046 5.1, RFC 5621): the session description among them. Carriers put the
//! signalling of their own network (ISUP, RFC 3204), locations and receipts beside it.

use super::command::Body;
use super::params::Params;

/// The part that is a session description, where a body has several parts and one of them is; else the
/// body as it is.
pub(super) fn description(body: Body) -> Body {
    match find(&body.content_type, &body.bytes, DEEPEST) {
        Some(bytes) => Body::sdp(bytes.to_vec()),
        None => body,
    }
}

fn find<'a>(content_type: &str, bytes: &'a [u8], deeper: u32) -> Option<&'a [u8]> {
    let (kind, params) = content_type.split_once(';')?;
    let multipart = kind.trim().get(..10).is_some_and(|own| own.eq_ignore_ascii_case("multipart/"));
    if !multipart || deeper == 0 {
        return None;
    }
    let params = Params::parse(&format!(";{params}")).ok()?;
    let boundary = params.get("boundary")?;
    let boundary = boundary.trim_matches('"');
    if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY {
        return None;
    }
    parts(bytes, boundary).take(MOST_PARTS).find_map(|part| {
        let (headers, content) = split(part);
        let own = content_type_of(headers);
        let own = own.as_deref().unwrap_or("text/plain");
        match Body::sdp([]).is(own.split(';').next().unwrap_or_default().trim()) {
            true => Some(content),
            false => find(own, content, deeper - 1),
        }
    })
}

/// What stands between the delimiter lines (RFC 2046 5.1.1): the line end before a delimiter is its own.
fn parts<'a>(bytes: &'a [u8], boundary: &str) -> impl Iterator<Item = &'a [u8]> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut marks = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|octet| *octet == b'\n') {
        if let Some(rest) = line.strip_prefix(delimiter.as_slice()) {
            let rest = rest.trim_ascii_end();
            if rest.is_empty() || rest == b"--" {
                marks.push((at, at + line.len()));
            }
        }
        at += line.len();
    }
    let pairs: Vec<_> =
        marks.windows(2).filter_map(|pair| Some((pair.first()?.1, pair.get(1)?.0))).collect();
    pairs.into_iter().filter_map(move |(from, to)| {
        let part = bytes.get(from..to)?;
        let part = part.strip_suffix(b"\n").unwrap_or(part);
        Some(part.strip_suffix(b"\r").unwrap_or(part))
    })
}

/// Headers and content; a part may have no headers at all, then it begins with an empty line.
fn split(part: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for line in part.split_inclusive(|octet| *octet == b'\n') {
        let end = at + line.len();
        if line.trim_ascii().is_empty() {
            return (part.get(..at).unwrap_or_default(), part.get(end..).unwrap_or_default());
        }
        at = end;
    }
    (part, &[])
}

fn content_type_of(headers: &[u8]) -> Option<String> {
    let headers = String::from_utf8_lossy(headers);
    headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim();
        let own = name.eq_ignore_ascii_case("content-type") || name.eq_ignore_ascii_case("c");
        own.then(|| value.trim().to_owned())
    })
}

/// A description in an alternative in a mixed body.
const DEEPEST: u32 = 3;
/// RFC 2046 5.1.1.
const LONGEST_BOUNDARY: usize = 70;
const MOST_PARTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str, text: &str) -> Body {
        let bytes = text.replace('\n', "\r\n").into_bytes();
        description(Body { content_type: content_type.to_owned(), bytes })
    }

    #[test]
    fn the_description_is_found_beside_isup() {
        let text = "preamble\n--b1\nContent-Type: application/isup;version=itu-t92+\n\
                    Content-Disposition: signal;handling=optional\n\n\u{1}\u{2}--b1 not here\n--b1\n\
                    c: Application/SDP ; charset=utf-8\n\nv=0\no=- 1 1 IN IP4 192.0.2.1\n--b1--\nepilogue";
        for content_type in ["multipart/mixed;boundary=b1", "Multipart/Mixed ; boundary=\"b1\""] {
            let body = of(content_type, text);
            assert!(body.is("application/sdp"), "{content_type}");
            assert_eq!(body.bytes, b"v=0\r\no=- 1 1 IN IP4 192.0.2.1", "{content_type}");
        }
    }

    #[test]
    fn the_description_is_found_in_an_alternative() {
        let text = "--a\nContent-Type: multipart/alternative; boundary=i\n\n--i\n\nwords\n--i\n\
                    Content-Type: application/sdp\n\nv=0\n--i--\n--a--\n";
        let body = of("multipart/mixed; boundary=a", text);
        assert_eq!(body.bytes, b"v=0");
    }

    #[test]
    fn what_has_no_description_stays_as_it_is() {
        for (content_type, text) in [
            ("multipart/mixed;boundary=b", "--b\nContent-Type: application/isup\n\nx\n--b--"),
            ("multipart/mixed", "--b\nContent-Type: application/sdp\n\nv=0\n--b--"),
            ("multipart/mixed;boundary=\"\"", "--\nContent-Type: application/sdp\n\nv=0\n----"),
            // Never ended: what came is not known to be all.
            ("multipart/mixed;boundary=b", "--b\nContent-Type: application/sdp\n\nv=0\n"),
            ("application/dtmf-relay", "Signal=1\n"),
            ("multipart/mixed;boundary=b", ""),
        ] {
            assert_eq!(of(content_type, text).content_type, content_type, "{text}");
        }
        let deep = (0..9).fold("Content-Type: application/sdp\n\nv=0".to_owned(), |inner, n| {
            format!("Content-Type: multipart/mixed;boundary=x{n}\n\n--x{n}\n{inner}\n--x{n}--")
        });
        let body = of("multipart/mixed;boundary=b", &format!("--b\n{deep}\n--b--"));
        assert!(!body.is("application/sdp"), "nested without end");
    }
}
