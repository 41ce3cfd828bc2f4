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
}
