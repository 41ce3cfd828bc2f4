//! The tones of `dtmf.send`: keys, `,` (a pause of 2 s) and `w` (0.5 s). A secret: never printed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::base::Digit;

/// 1 to 255 of `0-9 * # A-D`, `,` and `w`. `Debug` shows the length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Tones(Vec<ToneItem>);

/// One element of [`Tones`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToneItem {
    /// A key to press.
    Key(Digit),
    /// Silence.
    Pause(Duration),
}

impl Tones {
    /// Longest list.
    pub const MAX_LEN: usize = 255;

    /// The elements in order; at least one.
    pub fn items(&self) -> &[ToneItem] {
        &self.0
    }
}

impl FromStr for Tones {
    type Err = TonesError;

    fn from_str(text: &str) -> Result<Tones, TonesError> {
        let items = text.chars().take(Self::MAX_LEN + 1).map(|c| match c {
            ',' => Ok(ToneItem::Pause(COMMA)),
            'w' | 'W' => Ok(ToneItem::Pause(W)),
            key => Digit::from_char(key).map(ToneItem::Key).map_err(|_| TonesError::Illegal),
        });
        let items: Vec<ToneItem> = items.collect::<Result<_, _>>()?;
        match items.len() {
            0 => Err(TonesError::Empty),
            1..=Self::MAX_LEN => Ok(Tones(items)),
            _ => Err(TonesError::TooLong),
        }
    }
}

/// Why a text is no list of tones. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TonesError {
    /// No tone at all.
    #[error("no tones")]
    Empty,
    /// More than [`Tones::MAX_LEN`].
    #[error("more than 255 tones")]
    TooLong,
    /// Something that is no tone.
    #[error("tones are 0-9 * # A-D , and w")]
    Illegal,
}

impl fmt::Debug for Tones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tones({})", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Tones {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Tones, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// W3C webrtc-pc 7.3.1: a comma is a delay of 2 seconds.
const COMMA: Duration = Duration::from_secs(2);
const W: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_pauses_and_nothing_else() {
        let tones: Tones = "1w,#d".parse().unwrap();
        assert_eq!(tones.items().len(), 5);
        assert_eq!(tones.items()[1], ToneItem::Pause(Duration::from_millis(500)));
        assert_eq!(tones.items()[2], ToneItem::Pause(Duration::from_secs(2)));
        assert_eq!(tones.items()[4], ToneItem::Key(Digit::from_char('D').unwrap()));
        assert_eq!(format!("{tones:?}"), "Tones(5)");
        assert_eq!("".parse::<Tones>(), Err(TonesError::Empty));
        assert_eq!("12 3".parse::<Tones>(), Err(TonesError::Illegal));
        assert_eq!("1".repeat(256).parse::<Tones>(), Err(TonesError::TooLong));
        assert!("1".repeat(255).parse::<Tones>().is_ok());
    }
}
