//! The few rules of RFC 3261 section 25.1 that every header shares: tokens, quoted strings, escapes,
//! and lists whose separators do not count inside quotes or angle brackets.

use std::borrow::Cow;

/// A text from the wire, or for it, breaks a rule of the standard. It names the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Whether `text` is a token (RFC 3261 25.1), that is, not empty and without separators.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether a token may contain `byte`.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Whether `byte` may not stand in a header: every control but the tab (RFC 3261 25.1, TEXT-UTF8).
pub fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// `text` without the blanks around it.
pub fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The pieces of `text` between `separator`s that stand outside quotes and angle brackets, trimmed.
/// Empty pieces are kept, so that the caller decides whether they are a fault.
pub fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, after) = match find(text, separator) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(trim(piece))
    })
}

/// Where `wanted` first stands outside quotes and angle brackets.
pub fn find(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut bracket = false;
    while at < bytes.len() {
        match bytes[at] {
            byte if byte == wanted && !bracket => return Some(at),
            b'"' if !bracket => at += quoted_len(&text[at..])?.saturating_sub(1),
            b'<' => bracket = true,
            b'>' => bracket = false,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The length in bytes of the quoted string that `text` starts with, both quotes included.
pub fn quoted_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// The content of a quoted string with its escapes undone; any other text as it is.
pub fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(character) = chars.next() {
        plain.push(if character == '\\' { chars.next().unwrap_or('\\') } else { character });
    }
    Cow::Owned(plain)
}

/// `text` as a quoted string. Control characters, which a quoted string must not carry, become
/// blanks.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push(' '),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// `text` with `%XX` undone. An escape that is none stays as it is, and so does the whole text when
/// the bytes are not UTF-8.
pub fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| Some((hex_digit(hex[0])? << 4) | hex_digit(hex[1])?));
        match escaped {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A decimal number of digits only: no sign, no blank, no `0x`.
pub fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_do_not_count_inside_quotes_and_brackets() {
        let table: &[(&str, &[&str])] = &[
            ("a, b ,c", &["a", "b", "c"]),
            ("\"a,b\" <sip:x,y@h>, c", &["\"a,b\" <sip:x,y@h>", "c"]),
            (r#""a\",b", c"#, &[r#""a\",b""#, "c"]),
            (",", &["", ""]),
            ("\"open, c", &["\"open, c"]),
            ("", &[""]),
        ];
        for (text, pieces) in table {
            assert_eq!(split(text, b',').collect::<Vec<_>>(), *pieces, "{text}");
        }
    }

    #[test]
    fn quoted_strings_lose_and_get_their_escapes() {
        for plain in ["", "Alice", r#"a "b" \c"#, "J\u{fc}rgen"] {
            assert_eq!(unquote(&quote(plain)), plain);
        }
        assert_eq!(quote("a\r\nb"), "\"a  b\"");
        assert_eq!(unquote("token"), "token");
    }

    #[test]
    fn percent_escapes_are_undone_where_they_are_escapes() {
        let table = [("%61lice", "alice"), ("100%", "100%"), ("%zz", "%zz"), ("%C3%BC", "\u{fc}")];
        for (text, plain) in table {
            assert_eq!(percent_decode(text), plain);
        }
        assert_eq!(percent_decode("%ff"), "%ff", "not UTF-8");
    }

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(number::<u32>("0068"), Some(68));
        for text in ["", "+1", "-1", " 1", "0x10", "4294967296"] {
            assert_eq!(number::<u32>(text), None, "{text}");
        }
    }
}
