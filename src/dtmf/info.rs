//! DTMF in SIP INFO bodies: `application/dtmf-relay` (`Signal=`, `Duration=` lines) and
//! `application/dtmf` (the bare key). Neither was ever standardised; this reads what peers send.

use std::time::{Duration, Instant};

use super::{DigitEvent, DigitId, EndReason, Mode, Phase};
use crate::base::Digit;

/// What an INFO body signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// One of the sixteen keys.
    Digit(Digit),
    /// A hook flash (`16`).
    Flash,
}

/// The content of an INFO body that signals something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfoDigit {
    /// The key, or a flash.
    pub signal: Signal,
    /// Its length; 100 ms where the body does not say.
    pub duration: Duration,
}

impl InfoDigit {
    /// The whole press as the two steps of the internal model; `None` for a flash. The key was
    /// released when the INFO came.
    pub fn events(&self, now: Instant, id: DigitId) -> Option<[DigitEvent; 2]> {
        let Signal::Digit(digit) = self.signal else { return None };
        let start = DigitEvent {
            id,
            digit,
            mode: Mode::Info,
            started_at: now.checked_sub(self.duration).unwrap_or(now),
            duration: Duration::ZERO,
            phase: Phase::Start,
            wrong_clock: false,
        };
        let end =
            DigitEvent { duration: self.duration, phase: Phase::End(EndReason::Released), ..start };
        Some([start, end])
    }
}

/// Why an INFO is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// Answer 415 with [`InfoError::ACCEPT`].
    #[error("the content type of the INFO is not one of {}", InfoError::ACCEPT)]
    UnsupportedType,
    /// Answer 400: a DTMF body that names no key.
    #[error("the INFO body names no DTMF key")]
    BadBody,
}

impl InfoError {
    /// The value of `Accept` in a 415.
    pub const ACCEPT: &'static str = "application/dtmf-relay, application/dtmf";
}

/// Reads an INFO body. `content_type` may carry parameters. `Ok(None)` is an empty body: 200 and
/// no digit.
///
/// # Errors
/// [`InfoError`] says which status refuses the INFO.
pub fn parse_info(content_type: &str, body: &[u8]) -> Result<Option<InfoDigit>, InfoError> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let relay = media_type.eq_ignore_ascii_case("application/dtmf-relay");
    if !relay && !media_type.eq_ignore_ascii_case("application/dtmf") {
        return Err(InfoError::UnsupportedType);
    }
    let text = std::str::from_utf8(body).map_err(|_| InfoError::BadBody)?;
    let lines = text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
    let mut signal = None;
    let mut duration = DEFAULT_DURATION;
    let mut empty = true;
    for line in lines {
        empty = false;
        match line.split_once('=') {
            Some((name, value)) => {
                let (name, value) = (name.trim(), value.trim());
                if name.eq_ignore_ascii_case("signal") && signal.is_none() {
                    signal = Some(parse_signal(value)?);
                } else if name.eq_ignore_ascii_case("duration") {
                    // A length that is no number is as good as none.
                    duration = value.parse().map_or(DEFAULT_DURATION, |ms: u64| {
                        Duration::from_millis(ms).min(MAX_DURATION)
                    });
                }
            }
            // `application/dtmf` is the bare key.
            None if !relay && signal.is_none() => signal = Some(parse_signal(line)?),
            None => {}
        }
    }
    match signal {
        Some(signal) => Ok(Some(InfoDigit { signal, duration })),
        None if empty => Ok(None),
        None => Err(InfoError::BadBody),
    }
}

/// The `application/dtmf-relay` body of one digit.
pub fn write_info(digit: Digit, duration: Duration) -> String {
    format!("Signal={}\r\nDuration={}\r\n", digit.as_char(), duration.as_millis())
}

fn parse_signal(value: &str) -> Result<Signal, InfoError> {
    let mut chars = value.chars();
    if let (Some(only), None) = (chars.next(), chars.next()) {
        return match only {
            '!' => Ok(Signal::Flash),
            _ => Digit::from_char(only).map(Signal::Digit).map_err(|_| InfoError::BadBody),
        };
    }
    // Event codes of RFC 4733 in decimal; one-figure codes are the keys themselves.
    match value.parse::<u8>() {
        Ok(FLASH) => Ok(Signal::Flash),
        Ok(code) => Digit::from_event(code).map(Signal::Digit).ok_or(InfoError::BadBody),
        Err(_) => Err(InfoError::BadBody),
    }
}

const DEFAULT_DURATION: Duration = Duration::from_millis(100);
/// A press longer than this is a fault of the sender.
const MAX_DURATION: Duration = Duration::from_secs(60);
/// RFC 4733 section 3.2 and RFC 4734: the code of a hook flash.
const FLASH: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: &str = "application/dtmf-relay";

    type Parsed = Result<Option<InfoDigit>, InfoError>;

    fn digit(c: char, ms: u64) -> Parsed {
        let signal = Signal::Digit(Digit::from_char(c).unwrap());
        Ok(Some(InfoDigit { signal, duration: Duration::from_millis(ms) }))
    }

    #[test]
    fn v24_info_bodies_signal_lf_only_no_duration_extra_lines_empty() {
        let flash =
            Ok(Some(InfoDigit { signal: Signal::Flash, duration: Duration::from_millis(100) }));
        #[rustfmt::skip]
        let table: &[(&str, &str, Parsed)] = &[
            (RELAY, "Signal= 5\r\nDuration=160\r\n", digit('5', 160)),
            (RELAY, "Signal=5\r\nDuration=160\r\n", digit('5', 160)),
            (RELAY, "signal=11", digit('#', 100)),
            (RELAY, "SIGNAL = 10\nduration = 250", digit('*', 250)),
            (RELAY, "Signal=12\n", digit('A', 100)),
            (RELAY, "Signal=15\n", digit('D', 100)),
            (RELAY, "Signal=b\nDuration=90\n", digit('B', 90)),
            (RELAY, "Signal=16\n", flash),
            (RELAY, "X-Volume: 3\r\nSignal=*\r\nfoo=bar\r\nDuration=80\r\nend", digit('*', 80)),
            (RELAY, "Signal=1\rDuration=70\r", digit('1', 70)),
            (RELAY, "Signal=7\nDuration=soon\n", digit('7', 100)),
            (RELAY, "", Ok(None)),
            (RELAY, "\r\n", Ok(None)),
            ("Application/DTMF-Relay; charset=utf-8", "Signal=3", digit('3', 100)),
            ("application/dtmf", "9", digit('9', 100)),
            ("application/dtmf", "#\r\n", digit('#', 100)),
            ("application/dtmf", "Signal=4\nDuration=120", digit('4', 120)),
            (RELAY, "Signal=17", Err(InfoError::BadBody)),
            (RELAY, "Signal=x", Err(InfoError::BadBody)),
            (RELAY, "Duration=100", Err(InfoError::BadBody)),
            ("text/plain", "Signal=5", Err(InfoError::UnsupportedType)),
        ];
        for (content_type, body, expected) in table {
            assert_eq!(parse_info(content_type, body.as_bytes()), *expected, "{body:?}");
        }
        assert_eq!(parse_info(RELAY, b"Signal=\xff"), Err(InfoError::BadBody));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for key in Digit::ALL {
            let body = write_info(key, Duration::from_millis(120));
            assert_eq!(parse_info(RELAY, body.as_bytes()), digit(key.as_char(), 120));
        }
        let five = Digit::from_char('5').unwrap();
        assert_eq!(write_info(five, Duration::from_millis(120)), "Signal=5\r\nDuration=120\r\n");
    }

    #[test]
    fn a_body_becomes_a_start_and_an_end() {
        let now = crate::base::epoch() + Duration::from_secs(1);
        let info = parse_info(RELAY, b"Signal=5\nDuration=160").unwrap().unwrap();
        let [start, end] = info.events(now, DigitId(3)).unwrap();
        assert_eq!((start.phase, start.id), (Phase::Start, DigitId(3)));
        assert_eq!(end.phase, Phase::End(EndReason::Released));
        assert_eq!(end.duration, Duration::from_millis(160));
        assert_eq!(end.started_at, now - Duration::from_millis(160));
    }
}
