//! Header text that is not UTF-8: kept so that it is written again octet for octet, and read by
//! people as Latin-1.
//!
//! A byte that is no part of a UTF-8 character stands in a `String` as the private character
//! U+F700 + byte. A private character that came as valid UTF-8 is taken byte by byte too, so
//! decoding and encoding are exact inverses for any bytes.

use std::borrow::Cow;

/// The text of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(is_escape) => text.to_owned(),
        _ => decode_slowly(bytes),
    }
}

/// Writes `text` with the bytes it came from. A control character, which only a mistake of our own
/// can have brought in, becomes a blank: nobody can smuggle a header line out.
pub(super) fn encode_into(text: &str, out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend(text.bytes().map(without_control));
        return;
    }
    let mut buffer = [0; 4];
    for character in text.chars() {
        match escaped_byte(character) {
            Some(byte) => out.push(byte),
            None => out.extend(character.encode_utf8(&mut buffer).bytes().map(without_control)),
        }
    }
}

/// `text` for people: what was not UTF-8 is read as Latin-1.
pub fn readable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_escape) {
        return Cow::Borrowed(text);
    }
    let latin = |character| escaped_byte(character).map_or(character, char::from);
    Cow::Owned(text.chars().map(latin).collect())
}

fn decode_slowly(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_escape(character) {
                let mut buffer = [0; 4];
                text.extend(character.encode_utf8(&mut buffer).bytes().map(escape));
            } else {
                text.push(character);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(escape));
    }
    text
}

/// Only bytes of 0x80 and more come here: a byte below is UTF-8 by itself.
fn escape(byte: u8) -> char {
    char::from_u32(ESCAPE + u32::from(byte)).expect("U+F700 to U+F7FF are characters")
}

fn is_escape(character: char) -> bool {
    escaped_byte(character).is_some()
}

fn escaped_byte(character: char) -> Option<u8> {
    let byte = u32::from(character).checked_sub(ESCAPE).and_then(|byte| u8::try_from(byte).ok());
    byte.filter(|byte| *byte >= 0x80)
}

fn without_control(byte: u8) -> u8 {
    if crate::sip::grammar::is_control(byte) { b' ' } else { byte }
}

const ESCAPE: u32 = 0xf700;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        encode_into(text, &mut out);
        out
    }

    #[test]
    fn latin_1_is_readable_and_written_as_it_came() {
        let text = decode(b"J\xfcrgen");
        assert_eq!(readable(&text), "J\u{fc}rgen");
        assert_eq!(encode(&text), b"J\xfcrgen");
        let utf8 = "J\u{fc}rgen \u{1f600}";
        assert_eq!(decode(utf8.as_bytes()), utf8);
        assert_eq!(readable(utf8), utf8);
    }

    #[test]
    fn controls_never_leave() {
        assert_eq!(encode("a\r\nX: y\0\t"), b"a  X: y \t");
        assert_eq!(encode("\u{fc}\r\n"), "\u{fc}  ".as_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let expected: Vec<u8> = bytes.iter().copied().map(without_control).collect();
            prop_assert_eq!(encode(&decode(&bytes)), expected);
        }

        #[test]
        fn private_characters_come_back(text in "[\u{f770}-\u{f810}a]{0,8}") {
            prop_assert_eq!(encode(&decode(text.as_bytes())), text.as_bytes());
        }
    }
}
