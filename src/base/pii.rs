//! Wrappers that redact themselves: [`Pii`] shows the last three characters, [`Secret`] nothing.

use std::fmt;

use serde::Deserialize;

/// Personal data (a number, an address): `Debug` and `Display` show the last three characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pii<T>(pub T);

/// A secret (a password, a token, a key): `Debug` and `Display` show nothing of it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub fn new(value: T) -> Secret<T> {
        Secret(value)
    }

    /// The secret itself; call it only where it is used.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: AsRef<str>> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(self.0.as_ref()))
    }
}

impl<T: AsRef<str>> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A text with every number in it masked: of five or more digits in a row, with the separators that
/// people write between them, the last three are shown. Shorter ones are extensions, ports, years.
pub fn mask_numbers(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let length = if chars[at].is_ascii_digit() { number_length(&chars[at..]) } else { 0 };
        let number = &chars[at..at + length];
        let digits = number.iter().filter(|c| c.is_ascii_digit()).count();
        let mut hidden = if digits < 5 { 0 } else { digits - 3 };
        for c in number {
            let hide = c.is_ascii_digit() && hidden > 0;
            hidden -= usize::from(hide);
            masked.push(if hide { '*' } else { *c });
        }
        at += length;
        if length == 0 {
            masked.push(chars[at]);
            at += 1;
        }
    }
    masked
}

/// How long the number is that `chars` starts with: digits with at most two separators in a row.
fn number_length(chars: &[char]) -> usize {
    let mut length = 0;
    for (i, c) in chars.iter().enumerate() {
        match c {
            '0'..='9' => length = i + 1,
            ' ' | '-' | '.' | '(' | ')' | '/' if i < length + 2 => {}
            _ => break,
        }
    }
    length
}

/// `text` with all but its last three characters as `*`; texts of up to three are all `*`.
pub(super) fn mask(text: &str) -> String {
    let count = text.chars().count();
    let hidden = if count <= 3 { count } else { count - 3 };
    "*".repeat(hidden) + &text.chars().skip(hidden).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_three_characters_or_none() {
        assert_eq!(Pii("+4930123").to_string(), "*****123");
        assert_eq!(Pii("112").to_string(), "***");
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[secret]");
    }

    #[test]
    fn numbers_within_words_are_masked_and_the_words_stay() {
        for (text, masked) in [
            ("+4930123 + country DE -> +4930123", "+****123 + country DE -> +****123"),
            ("=> deny \"609 is no number\"", "=> deny \"609 is no number\""),
            ("030 (231) 25-600: x", "*** (***) **-600: x"),
            ("not +4930123XXX", "not +****123XXX"),
            ("12345", "**345"),
            ("1234", "1234"),
            ("", ""),
            ("a 1  23456", "a *  **456"),
        ] {
            assert_eq!(mask_numbers(text), masked, "{text}");
        }
    }
}
