//! The tones of `dtmf.send`: keys, `,` (a pause of 2 s) and `w` (0.5 s). A secret: never printed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::dtmf::{ToneItem, parse_tones};

/// 1 to 256 of `0-9 * # A-D`, `,` and `w`. `Debug` shows the length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Tones(String);

impl Tones {
    /// The items to send, each key with this length and gap (brought into the limits of
    /// `insertDTMF`); at least one.
    pub fn items(&self, duration: Duration, gap: Duration) -> Vec<ToneItem> {
        parse_tones(&self.0, duration, gap).expect("parsed once when it was made")
    }
}

impl FromStr for Tones {
    type Err = TonesError;

    fn from_str(text: &str) -> Result<Tones, TonesError> {
        // The error of `parse_tones` names the character; ours must not.
        let items = parse_tones(text, Duration::ZERO, Duration::ZERO).map_err(|_| TonesError)?;
        if items.is_empty() { Err(TonesError) } else { Ok(Tones(text.to_owned())) }
    }
}

/// A text is no list of tones. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("tones are 1 to 256 of 0-9 * # A-D , and w")]
pub struct TonesError;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_pauses_and_nothing_else() {
        let tones: Tones = "1w,#d".parse().unwrap();
        let items = tones.items(Duration::from_millis(100), Duration::from_millis(70));
        assert_eq!(items.len(), 5);
        assert_eq!(items[1], ToneItem::Pause(Duration::from_millis(500)));
        assert_eq!(items[2], ToneItem::Pause(Duration::from_secs(2)));
        assert_eq!(format!("{tones:?}"), "Tones(5)");
        for bad in ["", "12 3", "x", &"1".repeat(257)] {
            assert_eq!(bad.parse::<Tones>(), Err(TonesError), "{bad}");
        }
        assert!("1".repeat(256).parse::<Tones>().is_ok());
    }
}
