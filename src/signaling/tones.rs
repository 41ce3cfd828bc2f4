//! The tones of `dtmf.send`: keys, `,` (a pause of 2 s) and `w` (0.5 s). A secret: never printed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::DtmfSend;
use crate::base::DigitPacing;
use crate::dtmf::{ToneError, ToneItem, parse_tones};

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

impl DtmfSend {
    /// The items to send; with these lengths where the page named none.
    pub fn items(&self, usual: DigitPacing) -> Vec<ToneItem> {
        let ms = |value: Option<u32>| value.map(|ms| Duration::from_millis(ms.into()));
        let (tone, gap) = (ms(self.duration), ms(self.gap));
        self.tones.items(tone.unwrap_or(usual.tone), gap.unwrap_or(usual.gap))
    }
}

impl FromStr for Tones {
    type Err = TonesError;

    fn from_str(text: &str) -> Result<Tones, TonesError> {
        let items = parse_tones(text, Duration::ZERO, Duration::ZERO)?;
        if items.is_empty() { Err(TonesError::Empty) } else { Ok(Tones(text.to_owned())) }
    }
}

/// A text is no list of tones. The words name the first character that is no key, and no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TonesError {
    /// There is nothing in it.
    #[error("tones are 1 to 256 of 0-9 * # A-D , and w")]
    Empty,
    /// A character that is no tone, or too many.
    #[error(transparent)]
    Bad(#[from] ToneError),
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
        assert_eq!("".parse::<Tones>(), Err(TonesError::Empty));
        for bad in ["12 3", "x", &"1".repeat(257)] {
            assert!(matches!(bad.parse::<Tones>(), Err(TonesError::Bad(_))), "{bad}");
        }
        let words = "12x4".parse::<Tones>().unwrap_err().to_string();
        assert!(words.contains("'x' at position 3") && !words.contains('4'), "{words}");
        assert!("1".repeat(256).parse::<Tones>().is_ok());
    }
}
