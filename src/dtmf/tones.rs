//! Requests to send digits, in the manner of `insertDTMF` (W3C WebRTC section 7.2): a string of
//! keys with `,` as a pause of two seconds and `w` as one of half a second (the client library's own),
//! a tone length and a gap.

use std::time::Duration;

use crate::base::Digit;

/// One step of a request to send digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToneItem {
    /// A key, its tone's length, and the silence after it.
    Digit {
        /// The key.
        digit: Digit,
        /// Length of the tone.
        duration: Duration,
        /// Silence between this tone and the next.
        gap: Duration,
    },
    /// Silence without a key.
    Pause(Duration),
}

/// Why a request to send digits is refused; the caller's misuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ToneError {
    /// A character that is neither a key nor a pause.
    #[error(
        "{character:?} at position {position} is not a DTMF key (0-9, *, #, A-D), a comma or w"
    )]
    IllegalCharacter {
        /// The character.
        character: char,
        /// Where it stands, counted in characters from 1.
        position: usize,
    },
    /// More than 256 characters.
    #[error("{0} tones are more than 256")]
    TooMany(usize),
}

/// Splits `tones` into items. `duration` is brought into 40..=6000 ms and `gap` to at least 30 ms,
/// as `insertDTMF` does.
///
/// # Errors
/// [`ToneError::IllegalCharacter`] names the first character that is no key; nothing is sent then.
pub fn parse_tones(
    tones: &str,
    duration: Duration,
    gap: Duration,
) -> Result<Vec<ToneItem>, ToneError> {
    let count = tones.chars().count();
    if count > MAX_TONES {
        return Err(ToneError::TooMany(count));
    }
    let duration = duration.clamp(MIN_DURATION, MAX_DURATION);
    let gap = gap.clamp(MIN_GAP, MAX_DURATION);
    tones
        .chars()
        .enumerate()
        .map(|(index, character)| match character {
            ',' => Ok(ToneItem::Pause(COMMA)),
            'w' | 'W' => Ok(ToneItem::Pause(HALF_SECOND)),
            _ => Digit::from_char(character)
                .map(|digit| ToneItem::Digit { digit, duration, gap })
                .map_err(|_| ToneError::IllegalCharacter { character, position: index + 1 }),
        })
        .collect()
}

/// Longest request: far above any card number and PIN, far below what would fill memory.
const MAX_TONES: usize = 256;
/// W3C WebRTC 7.2: the shortest tone.
const MIN_DURATION: Duration = Duration::from_millis(40);
/// W3C WebRTC 7.2: the longest tone.
const MAX_DURATION: Duration = Duration::from_millis(6000);
/// W3C WebRTC 7.2: the shortest gap.
const MIN_GAP: Duration = Duration::from_millis(30);
/// W3C WebRTC 7.2: what a comma means.
const COMMA: Duration = Duration::from_secs(2);
/// What modems' dial strings mean by `w`.
const HALF_SECOND: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn keys_and_commas_become_items_in_order() {
        let items = parse_tones("1,d", MS(100), MS(70)).unwrap();
        let item = |c| ToneItem::Digit {
            digit: Digit::from_char(c).unwrap(),
            duration: MS(100),
            gap: MS(70),
        };
        assert_eq!(items, [item('1'), ToneItem::Pause(MS(2000)), item('D')]);
    }

    #[test]
    fn an_illegal_character_is_named() {
        let error = parse_tones("12x4", MS(100), MS(70)).unwrap_err();
        assert_eq!(error, ToneError::IllegalCharacter { character: 'x', position: 3 });
        assert!(error.to_string().starts_with("'x' at position 3"));
    }

    #[test]
    fn lengths_are_brought_into_the_range_of_insert_dtmf() {
        let short = parse_tones("1", MS(1), MS(0)).unwrap();
        let long = parse_tones("1", MS(9000), MS(70)).unwrap();
        assert!(
            matches!(short[0], ToneItem::Digit { duration, gap, .. } if duration == MS(40) && gap == MS(30))
        );
        assert!(matches!(long[0], ToneItem::Digit { duration, .. } if duration == MS(6000)));
        assert_eq!(parse_tones(&"1".repeat(257), MS(100), MS(70)), Err(ToneError::TooMany(257)));
    }
}
