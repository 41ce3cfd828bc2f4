//! Tests of the codec on `tests/data/sip/`: messages in the spirit of RFC 4475 and RFC 5118, one a
//! file, named by the section whose rule they try. Every file has its outcome in the table.

use rsip::Method;

use super::{Limits, ParseError, Policy, Refusal, check, parse, write};
use crate::sip::header::{Authorization, Contact, SessionExpires};
use crate::sip::message::{Message, MessageExt, Request};

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Request(Method),
    Response(u16),
    /// Refused by `parse`.
    Refused(u16),
    /// Parsed, and refused by `check`.
    Checked(u16),
    Dropped,
}

use Outcome::{Checked, Dropped, Refused, Response};

/// Rows of name and outcome; the file of each is part of the test.
macro_rules! corpus {
    ($(($name:literal, $outcome:expr),)*) => {
        const TABLE: &[(&str, &[u8], Outcome)] = &[$((
            $name,
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/data/sip/",
                $name,
                ".sip"
            )),
            $outcome,
        ),)*];
    };
}

#[rustfmt::skip]
corpus! {
    ("rfc3261-17.1.1.3-broken-ack", Dropped),
    ("rfc3261-20-empty-call-id", Refused(400)),
    ("rfc3261-20-line-without-colon", Refused(400)),
    ("rfc3261-20-no-via", Dropped),
    ("rfc3261-20.14-hex-length", Refused(400)),
    ("rfc3261-20.14-length-over-limit", Refused(513)),
    ("rfc3261-25.1-control-in-header-name", Refused(400)),
    ("rfc3261-25.1-control-in-header-value", Refused(400)),
    ("rfc3261-25.1-digest-with-commas", Outcome::Request(Method::Options)),
    ("rfc3261-25.1-latin-1-name", Outcome::Request(Method::Options)),
    ("rfc3261-25.1-lone-line-feed-in-header", Refused(400)),
    ("rfc3261-25.1-utf-8-name", Outcome::Request(Method::Options)),
    ("rfc3261-7.1-method-of-700-letters", Refused(400)),
    ("rfc3261-7.1-no-method", Refused(400)),
    ("rfc3261-7.1-other-protocol", Refused(400)),
    ("rfc3261-7.2-no-blank-behind-status", Response(200)),
    ("rfc3261-7.3.1-blank-before-colon", Outcome::Request(Method::Options)),
    ("rfc3261-7.3.3-compact-names", Outcome::Request(Method::Invite)),
    ("rfc3261-7.5-empty-lines-first", Outcome::Request(Method::Options)),
    ("rfc3261-7.5-line-feeds-only", Dropped),
    ("rfc3261-7.5-no-empty-line", Refused(400)),
    ("rfc3261-8.2.1-method-not-allowed", Checked(405)),
    ("rfc3261-8.2.2.3-ack-with-require", Outcome::Request(Method::Ack)),
    ("rfc3966-tel-request-uri", Outcome::Request(Method::Invite)),
    ("rfc4475-3.1.1.1-tortuous", Outcome::Request(Method::Invite)),
    ("rfc4475-3.1.1.10-unusual-transports", Outcome::Request(Method::Options)),
    ("rfc4475-3.1.1.11-binary-body", Outcome::Request(Method::Message)),
    ("rfc4475-3.1.1.12-unusual-phrase", Response(200)),
    ("rfc4475-3.1.1.13-empty-phrase", Response(100)),
    ("rfc4475-3.1.1.2-wide-characters", Refused(501)),
    ("rfc4475-3.1.1.3-escapes", Outcome::Request(Method::Invite)),
    ("rfc4475-3.1.1.4-escaped-null", Outcome::Request(Method::Register)),
    ("rfc4475-3.1.1.5-escaped-method", Refused(501)),
    ("rfc4475-3.1.1.6-no-blank-before-bracket", Outcome::Request(Method::Options)),
    ("rfc4475-3.1.1.7-long-values", Outcome::Request(Method::Invite)),
    ("rfc4475-3.1.1.8-extra-octets", Outcome::Request(Method::Register)),
    ("rfc4475-3.1.1.9-semicolon-in-user", Outcome::Request(Method::Options)),
    ("rfc4475-3.1.2.1-extra-separators", Refused(400)),
    ("rfc4475-3.1.2.10-blanks-behind-version", Refused(400)),
    ("rfc4475-3.1.2.11-headers-in-request-uri", Refused(400)),
    // Nothing of ours depends on Date, so a wrong one does no harm (RFC 4475 3.1.2.12 allows it).
    ("rfc4475-3.1.2.12-bad-date", Outcome::Request(Method::Invite)),
    ("rfc4475-3.1.2.13-contact-without-brackets", Refused(400)),
    ("rfc4475-3.1.2.14-blanks-in-brackets", Refused(400)),
    ("rfc4475-3.1.2.15-comma-in-bare-name", Refused(400)),
    ("rfc4475-3.1.2.16-unknown-version", Refused(505)),
    ("rfc4475-3.1.2.17-cseq-of-other-method", Refused(400)),
    ("rfc4475-3.1.2.18-unknown-method-and-cseq", Refused(501)),
    ("rfc4475-3.1.2.19-status-over-699", Dropped),
    ("rfc4475-3.1.2.2-length-over-datagram", Refused(400)),
    ("rfc4475-3.1.2.3-negative-length", Refused(400)),
    ("rfc4475-3.1.2.4-overlarge-numbers", Refused(400)),
    ("rfc4475-3.1.2.5-overlarge-numbers-in-response", Dropped),
    ("rfc4475-3.1.2.6-open-quote", Refused(400)),
    ("rfc4475-3.1.2.7-brackets-in-request-uri", Refused(400)),
    ("rfc4475-3.1.2.8-blank-in-request-uri", Refused(400)),
    ("rfc4475-3.1.2.9-many-blanks-in-request-line", Refused(400)),
    // The transaction layer must not match by such a branch: `Via::rfc3261_branch` is `None`.
    ("rfc4475-3.2.1-branch-is-only-the-cookie", Outcome::Request(Method::Options)),
    ("rfc4475-3.3.1-headers-missing", Refused(400)),
    ("rfc4475-3.3.10-response-by-broadcast", Response(200)),
    ("rfc4475-3.3.11-no-hops-left-invite", Checked(483)),
    ("rfc4475-3.3.11-no-hops-left-options", Outcome::Request(Method::Options)),
    ("rfc4475-3.3.12-parameters-of-contact", Outcome::Request(Method::Register)),
    ("rfc4475-3.3.13-parameters-of-contact-uri", Outcome::Request(Method::Register)),
    ("rfc4475-3.3.14-headers-in-contact", Outcome::Request(Method::Register)),
    ("rfc4475-3.3.15-accept-without-sdp", Outcome::Request(Method::Invite)),
    ("rfc4475-3.3.2-unknown-scheme", Checked(416)),
    ("rfc4475-3.3.3-known-but-strange-scheme", Checked(416)),
    ("rfc4475-3.3.4-unknown-schemes-in-headers", Outcome::Request(Method::Register)),
    ("rfc4475-3.3.5-unknown-extensions", Checked(420)),
    ("rfc4475-3.3.6-unknown-content-type", Outcome::Request(Method::Invite)),
    ("rfc4475-3.3.7-unknown-auth-scheme", Outcome::Request(Method::Register)),
    ("rfc4475-3.3.8-single-headers-twice", Refused(400)),
    ("rfc4475-3.3.9-two-lengths", Refused(400)),
    ("rfc4475-3.4.1-rfc2543-invite", Outcome::Request(Method::Invite)),
    ("rfc5118-4.1-ipv6", Outcome::Request(Method::Register)),
    ("rfc5118-4.10-ipv4-mapped", Outcome::Request(Method::Invite)),
    ("rfc5118-4.2-ipv6-without-brackets", Refused(400)),
    // `[2001:db8::10:5070]` is an address of its own; only its sender meant a port.
    ("rfc5118-4.3-port-inside-brackets", Outcome::Request(Method::Register)),
    ("rfc5118-4.4-port-outside-brackets", Outcome::Request(Method::Register)),
    ("rfc5118-4.5-received-with-and-without-brackets", Outcome::Request(Method::Bye)),
    ("rfc5626-4.1-instance-id", Outcome::Request(Method::Register)),
}

fn bytes(name: &str) -> &'static [u8] {
    let row = TABLE.iter().find(|(row, _, _)| *row == name);
    row.unwrap_or_else(|| panic!("{name} is not in the table")).1
}

/// All messages of the corpus, for the tests of others.
pub(in crate::sip) fn all() -> Vec<(&'static str, Vec<u8>)> {
    TABLE.iter().map(|(name, bytes, _)| (*name, bytes.to_vec())).collect()
}

pub(in crate::sip) fn policy() -> Policy {
    let methods = Method::all().into_iter().filter(|method| *method != Method::Publish).collect();
    Policy { methods, extensions: vec!["100rel".to_owned(), "timer".to_owned()] }
}

fn request(name: &str) -> Request {
    match parse(bytes(name), &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_message_has_its_outcome() {
    for (name, bytes, expected) in TABLE {
        let outcome = match parse(bytes, &Limits::default()) {
            Ok(Message::Request(request)) => match check(&request, &policy()) {
                Ok(()) => Outcome::Request(request.method()),
                Err(refusal) => Checked(refusal.status()),
            },
            Ok(Message::Response(response)) => Response(response.status()),
            Err(ParseError::Refused(refusal)) => Refused(refusal.status()),
            Err(ParseError::Dropped(_)) => Dropped,
        };
        assert_eq!(outcome, *expected, "{name}");
    }
}

/// What is written again is the same message, and a second writing the same bytes.
#[test]
fn what_is_parsed_is_written_and_parsed_again() {
    for (name, bytes) in all() {
        let Ok(message) = parse(&bytes, &Limits::default()) else { continue };
        let written = write(&message);
        let again = parse(&written, &Limits::default());
        assert_eq!(again.as_ref(), Ok(&message), "{name}");
        assert_eq!(write(&again.unwrap()), written, "{name}");
    }
}

/// Each line of the peer's that a refusal echoes is the peer's own, octet for octet.
#[test]
fn a_refusal_echoes_what_the_peer_matches_by() {
    let mut refused = 0;
    for (name, bytes) in all() {
        let refusal: Refusal = match parse(&bytes, &Limits::default()) {
            Err(ParseError::Refused(refusal)) => *refusal,
            Ok(Message::Request(request)) => match check(&request, &policy()) {
                Err(refusal) => refusal,
                Ok(()) => continue,
            },
            _ => continue,
        };
        refused += 1;
        let response = write(&Message::Response(refusal.response("gw")));
        let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
            let head = bytes.split(|byte| *byte == b'\n').map(|line| line.trim_ascii().to_vec());
            head.take_while(|line| !line.is_empty()).skip(1).collect()
        };
        let (ours, theirs) = (lines(&response), lines(&bytes));
        for header in [&b"Via:"[..], b"From:", b"To:", b"Call-ID:", b"CSeq:"] {
            let of = |lines: &[Vec<u8>]| -> Vec<Vec<u8>> {
                lines.iter().filter(|line| line.starts_with(header)).cloned().collect()
            };
            for (index, line) in of(&ours).iter().enumerate() {
                let line = line.strip_suffix(b";tag=gw").unwrap_or(line);
                assert_eq!(line, of(&theirs)[index].trim_ascii(), "{name}");
            }
            let missing = of(&theirs).len() > of(&ours).len();
            assert!(!missing || name.contains("3.3.8"), "{name}: {header:?} is not echoed");
        }
        assert!(response.windows(8).any(|window| window == b"Warning:"), "{name} says why");
    }
    assert!(refused > 25);
}

#[test]
fn the_tortuous_invite_is_read_right_rfc_4475_3_1_1_1() {
    let request = request("rfc4475-3.1.1.1-tortuous");
    assert_eq!(request.uri().param("unknown-flag"), Some(""));
    assert_eq!(request.from_address().unwrap().display.as_deref(), Some("A \"quoted\" Name"));
    assert_eq!(request.from_tag().as_deref(), Some("f99"));
    assert_eq!(request.to_tag().as_deref(), Some("t17"));
    assert_eq!(request.cseq().unwrap().number, 9);
    assert_eq!(request.get("X-New-Header"), Some("something ; parts folded over;; two, lines"));
    assert_eq!(request.get("Subject"), Some(""));
    assert_eq!(request.top_via().unwrap().branch(), Some("390skdjuw"));
    let vias: Vec<_> = request.list("Via").collect();
    assert_eq!(vias.len(), 3);
    assert_eq!(vias[2], "SIP  /    2.0   / UDP  192.168.255.111   ; branch= z9hG4bK30239");
    let contact = request.contact().unwrap();
    assert_eq!(contact.params.get("q"), Some("0.33"));
    assert!(request.body().starts_with(b"v=0\r\n") && request.body().ends_with(b"AVP 0\r\n"));
}

#[test]
fn the_single_headers_keep_their_first_value_in_a_refusal() {
    let Err(ParseError::Refused(refusal)) =
        parse(bytes("rfc4475-3.3.8-single-headers-twice"), &Limits::default())
    else {
        panic!("not refused")
    };
    let response = refusal.response("gw");
    assert_eq!(response.get_all("Call-ID").collect::<Vec<_>>(), ["c1@far.example"]);
    assert_eq!(response.get_all("To").collect::<Vec<_>>(), ["<sip:desk@gw.example>;tag=gw"]);
}

#[test]
fn compact_names_and_the_rest_are_found() {
    let compact = request("rfc3261-7.3.3-compact-names");
    let expires = compact.header_ok::<SessionExpires>().unwrap();
    assert_eq!(expires.seconds, 1800);
    assert!(compact.has_token("Supported", "100rel"));
    assert_eq!(compact.get("Content-Type"), Some("application/sdp"));
    assert_eq!(compact.get("Content-Length"), None, "it is no part of the message");

    let instance = request("rfc5626-4.1-instance-id");
    let contact = instance.header_ok::<Contact>().unwrap();
    assert!(
        contact
            .to_string()
            .ends_with(";+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"")
    );

    let digest = request("rfc3261-25.1-digest-with-commas").header_ok::<Authorization>().unwrap();
    assert_eq!(digest.0.get("username").as_deref(), Some("a,b"));
    assert_eq!(digest.0.get("realm").as_deref(), Some("r\"s"));

    let latin = request("rfc3261-25.1-latin-1-name");
    assert_eq!(latin.from_address().unwrap().display.as_deref(), Some("J\u{fc}rgen"));
    let written = write(&latin.into());
    assert!(written.windows(6).any(|window| window == b"J\xfcrgen"), "the octet stays");

    let received = request("rfc5118-4.5-received-with-and-without-brackets");
    let vias = received.headers_of::<crate::sip::header::Via>().unwrap();
    assert_eq!(vias[0].received(), vias[1].received());
    assert!(vias[0].received().is_some());
}

#[test]
fn refusals_by_policy_say_what_would_do() {
    let refusal = |name| check(&request(name), &policy()).unwrap_err().response("t");
    let bad_extension = refusal("rfc4475-3.3.5-unknown-extensions");
    let unsupported = "nothingSupportsThis, nothingSupportsThisEither";
    assert_eq!(bad_extension.get("Unsupported"), Some(unsupported));
    assert!(refusal("rfc3261-8.2.1-method-not-allowed").has_token("Allow", "INVITE"));
}

#[test]
fn limits_are_checked_before_anything_is_built() {
    let limits = Limits::default();
    let message = |extra: &str| {
        format!(
            "OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n{extra}\r\n"
        )
    };
    let long = "x".repeat(9 * 1024);
    let table = [
        (message(&"A-B: y\r\n".repeat(122)), None),
        (message(&"A-B: y\r\n".repeat(124)), Some(513)),
        (message(&"A-B: y\r\n".repeat(5000)), Some(513)),
        (message(&format!("A-B: {long}\r\n")), Some(513)),
        (message(&"A-B: y\r\n".repeat(12_000)), Some(513)),
        (message("").replacen("sip:a@h", &format!("sip:{long}@h"), 1), Some(414)),
    ];
    for (text, status) in table {
        let refused = match parse(text.as_bytes(), &limits) {
            Ok(_) => None,
            Err(ParseError::Refused(refusal)) => {
                assert_eq!(refusal.response("t").call_id(), Some("c"));
                Some(refusal.status())
            }
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(refused, status, "{} bytes", text.len());
    }
}
