//! Property tests of the codec: no bytes make it panic, and writing is the inverse of parsing.

use proptest::prelude::*;
use rsip::Method;

use super::{Limits, ParseError, check, corpus, parse, write};
use crate::sip::header::{AuthParams, name};
use crate::sip::message::{Message, MessageExt, Request, Response};
use crate::sip::{NameAddr, Uri};

/// Runs everything that reads a message from the wire.
fn read_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    let limits = Limits::default();
    match parse(bytes, &limits) {
        Ok(message) => {
            let again = parse(&write(&message), &limits);
            prop_assert_eq!(again.as_ref(), Ok(&message));
            if let Message::Request(request) = &message {
                if let Err(refusal) = check(request, &corpus::policy()) {
                    write(&refusal.response("t").into());
                }
                let answer = Message::from(Response::to(request, 200, "OK").with_to_tag("t"));
                prop_assert!(parse(&write(&answer), &limits).is_ok());
            }
            let _ = (message.top_via(), message.contact(), message.record_routes());
            let _ = message.get_all("WWW-Authenticate").map(AuthParams::parse_list).count();
        }
        Err(ParseError::Refused(refusal)) => {
            let written = write(&refusal.response("t").into());
            let head_only = !written.contains(&0) && refusal.status() >= 400;
            prop_assert!(head_only);
        }
        Err(ParseError::Dropped(_)) => {}
    }
    Ok(())
}

#[derive(Debug, Clone)]
enum Mutation {
    Replace(u8),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let signs = || prop::sample::select(b" \t\r\n:;,<>\"\\@=?/[]%\x00\x7f\xff0z".to_vec());
    prop_oneof![
        signs().prop_map(Mutation::Replace),
        any::<u8>().prop_map(Mutation::Replace),
        prop::collection::vec(signs(), 1..5).prop_map(Mutation::Insert),
        (1..40usize).prop_map(Mutation::Remove),
        (1..200usize).prop_map(Mutation::Repeat),
    ]
}

fn mutate(bytes: &mut Vec<u8>, at: usize, mutation: &Mutation) {
    match mutation {
        Mutation::Replace(byte) => bytes[at] = *byte,
        Mutation::Insert(some) => drop(bytes.splice(at..at, some.iter().copied())),
        Mutation::Remove(count) => drop(bytes.drain(at..bytes.len().min(at + count))),
        Mutation::Repeat(count) => {
            let again = bytes[at..bytes.len().min(at + count)].to_vec();
            drop(bytes.splice(at..at, again));
        }
    }
}

/// A message as our own code would build it.
fn message() -> impl Strategy<Value = Message> {
    let text = "[ -~\u{e0}-\u{ff}\u{2603}]{0,20}";
    let headers = prop::collection::vec(("X-[A-Za-z-]{1,8}", text), 0..6);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let method = prop::sample::select(Method::all());
    let names = (text, "[a-z0-9 @%]{1,8}", "[a-z]{1,8}");
    (method, names, headers, body, prop::option::of((100..700u16, text))).prop_map(
        |(method, (display, user, token), headers, body, status)| {
            let host = crate::sip::Host::parse("gw.example").unwrap();
            let uri = Uri::sip(Some(&user), &host, Some(5060)).unwrap();
            let mut request = Request::new(method, uri.clone());
            request.push("Via", format!("SIP/2.0/UDP h;branch=z9hG4bK{token}"));
            let from = NameAddr::new(uri.clone()).with_display(&display).with_tag(&token);
            request.push("From", from.to_string());
            request.push("To", NameAddr::new(uri).to_string());
            request.push("Call-ID", token);
            request.push("CSeq", format!("1 {}", crate::sip::method::name(method)));
            headers.iter().for_each(|(name, value)| request.push(name, value.trim()));
            request.set_body(body);
            match status {
                None => request.into(),
                Some((status, phrase)) => Response::to(&request, status, &phrase).into(),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes)?;
    }

    #[test]
    fn changed_messages(
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), mutation()), 1..6),
    ) {
        static CORPUS: std::sync::LazyLock<Vec<(&str, Vec<u8>)>> =
            std::sync::LazyLock::new(corpus::all);
        let mut bytes = CORPUS[file.index(CORPUS.len())].1.clone();
        for (at, change) in &changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                mutate(&mut bytes, at, change);
            }
        }
        read_all(&bytes)?;
    }

    #[test]
    fn a_written_message_is_parsed_to_itself(message in message()) {
        let parsed = parse(&write(&message), &Limits::default());
        prop_assert_eq!(parsed.as_ref(), Ok(&message));
        let parts = |message: &Message| -> Vec<(String, String)> {
            let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            message.headers().iter().map(name::parts).map(own).collect()
        };
        prop_assert_eq!(parsed.as_ref().map(parts), Ok(parts(&message)));
    }

    #[test]
    fn any_text_as_uri_address_or_credentials(text in "\\PC{0,40}") {
        let _ = (Uri::parse(&text), NameAddr::parse(&text), AuthParams::parse_list(&text));
        let wrapped = format!("\"{text}\" <sip:{text}@h>;{text}");
        if let Ok(address) = NameAddr::parse(&wrapped) {
            prop_assert_eq!(NameAddr::parse(&address.to_string()), Ok(address));
        }
    }
}
