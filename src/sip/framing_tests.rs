//! Tests of `framing`: whatever the reads, the frames are the same.

use proptest::prelude::*;

use super::*;
use crate::sip::codec::{corpus, parse};

/// The frames of `stream` when it comes in pieces that end at `cuts`.
fn frames(stream: &[u8], cuts: &[usize]) -> Vec<Frame> {
    let mut framer = Framer::new(Limits::default());
    let mut frames = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        framer.push(&stream[from..cut]);
        from = cut;
        while let Some(frame) = framer.next_frame() {
            frames.push(frame);
        }
    }
    frames
}

fn message(body: &str, length: &str) -> Vec<u8> {
    let head = "OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\
                From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n";
    format!("{head}{length}\r\n\r\n{body}").into_bytes()
}

/// The corpus's messages whose end can be known, good and bad ones, with pings before them.
fn framed() -> Vec<Vec<u8>> {
    let cut = |(index, (_, bytes)): (usize, (&str, Vec<u8>))| {
        let end = scan::head_end(&bytes, 0)?;
        let Ok(Length::Bytes(body)) = scan::content_length(&bytes[..end]) else { return None };
        let message = bytes.get(..end + body)?;
        Some([&b"\r\n\r\n\r\n"[..2 * (index % 4)], message].concat())
    };
    corpus::all().into_iter().enumerate().filter_map(cut).collect()
}

#[test]
fn every_division_in_two_gives_the_same_frames() {
    let messages = framed();
    assert!(messages.len() > 50);
    for pair in messages.windows(2) {
        let stream = pair.concat();
        let whole = frames(&stream, &[]);
        let found = whole.iter().filter(|frame| matches!(frame, Frame::Message(_))).count();
        assert_eq!(found, 2);
        // Every byte of the short ones, that is, of nearly all.
        let step = if stream.len() < 2000 { 1 } else { 31 };
        for cut in (0..stream.len()).step_by(step) {
            assert_eq!(frames(&stream, &[cut]), whole, "cut at {cut}");
        }
    }
}

#[test]
fn single_bytes_give_the_same_frames() {
    let stream = framed().concat();
    let cuts: Vec<usize> = (1..stream.len()).collect();
    assert_eq!(frames(&stream, &cuts), frames(&stream, &[]));
}

#[test]
fn crlf_in_pairs_are_pings_rfc_5626_3_5_1() {
    use Frame::{Ping, Pong};
    let good = message("", "Content-Length: 0");
    let mut stream = b"\r\n\r\n\r\n".to_vec();
    stream.extend_from_slice(&good);
    stream.extend_from_slice(b"\r\n");
    let expected = [Pong, Ping, Pong, Frame::Message(good), Pong];
    assert_eq!(frames(&stream, &[]), expected);
    assert_eq!(frames(&stream, &[1, 3]), expected);
}

#[test]
fn a_bad_message_that_is_well_framed_does_not_break_the_stream() {
    let bad = message("", "Content-Length: 0\r\nX-\x01: y");
    let good = message("v=0", "l: 3");
    let both = [bad.clone(), good.clone()].concat();
    assert_eq!(frames(&both, &[]), [Frame::Message(bad.clone()), Frame::Message(good)]);
    assert!(matches!(parse(&bad, &Limits::default()), Err(ParseError::Refused(_))));
}

#[test]
fn a_message_without_an_end_is_refused_and_nothing_follows() {
    let table = [
        ("Content-Length: 2147483648", 513),
        ("Content-Length: 65536", 513),
        ("Content-Length: -1", 400),
        ("Content-Length: 0x10", 400),
        ("Content-Length: 0\r\nl: 0", 400),
        ("Content-Length: ", 400),
        ("X-A: no length", 400),
    ];
    for (length, status) in table {
        let stream = [message("", length), message("", "l: 0")].concat();
        let all = frames(&stream, &[]);
        let [Frame::Broken(ParseError::Refused(refusal))] = &all[..] else {
            panic!("{length}: {all:?}")
        };
        assert_eq!(refusal.status(), status, "{length}");
        let cuts: Vec<usize> = (1..stream.len()).collect();
        assert_eq!(frames(&stream, &cuts), all, "{length}");
    }
}

#[test]
fn a_head_without_an_end_is_cut_at_the_limit() {
    let endless = message("", &"A: b\r\n".repeat(12_000));
    for cuts in [vec![], vec![10, 65_535, 65_536, 65_537], (1..600).map(|n| n * 100).collect()] {
        let all = frames(&endless, &cuts);
        let [Frame::Broken(ParseError::Refused(refusal))] = &all[..] else { panic!("{all:?}") };
        assert_eq!(refusal.status(), 513);
    }
    let rubbish = vec![b'x'; 70_000];
    let all = frames(&rubbish, &[]);
    assert!(matches!(&all[..], [Frame::Broken(ParseError::Dropped(_))]), "{all:?}");
}

#[test]
fn it_is_known_whether_a_message_is_under_way() {
    let mut framer = Framer::new(Limits::default());
    assert!(framer.is_between_messages());
    for bytes in [&b"\r"[..], b"\nOPT"] {
        framer.push(bytes);
        while framer.next_frame().is_some() {}
        assert!(!framer.is_between_messages());
    }
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_give_the_same_frames(
        stream in prop::collection::vec(
            prop_oneof![
                3 => Just(b"\r\n".to_vec()),
                1 => Just(b"\r".to_vec()),
                2 => Just(message("ab", "l: 2")),
                1 => Just(b"A b SIP/2.0\r\nl: 1\r\n\r\n".to_vec()),
                1 => prop::collection::vec(any::<u8>(), 0..6),
            ],
            0..12,
        ),
        seeds in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let stream = stream.concat();
        let mut cuts: Vec<usize> = seeds.iter().map(|seed| seed.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(frames(&stream, &cuts), frames(&stream, &[]));
    }
}
