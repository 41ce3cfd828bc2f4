//! Failover: after which failures the next trunk is tried.
//!
//! Never after an answer that the next trunk would give too (404, 484, 486, 600, 603), and never
//! after early media: the caller has heard something already.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long an INVITE may stay without any 1xx before the next trunk is tried.
pub const NO_PROGRESS: Duration = Duration::from_secs(4);

/// How an attempt over a trunk failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// A final status of 300 to 699.
    Status(u16),
    /// No answer in time.
    Timeout,
    /// Nothing to send it to, or the transport failed.
    Unreachable,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "{status}"),
            Failure::Timeout => f.write_str("timeout"),
            Failure::Unreachable => f.write_str("unreachable"),
        }
    }
}

impl FromStr for Failure {
    type Err = RetryOnError;

    fn from_str(text: &str) -> Result<Failure, RetryOnError> {
        match text {
            "timeout" => Ok(Failure::Timeout),
            "unreachable" => Ok(Failure::Unreachable),
            digits => match digits.parse() {
                Ok(status @ (404 | 484 | 486 | 600 | 603)) => Err(RetryOnError::Never(status)),
                Ok(status @ 300..=699) => Ok(Failure::Status(status)),
                _ => Err(RetryOnError::Unknown),
            },
        }
    }
}

/// Why a text is no failure that could be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryOnError {
    /// Neither a status nor a word.
    #[error("expected a status of 300 to 699, \"timeout\" or \"unreachable\"")]
    Unknown,
    /// A status that speaks of the called party.
    #[error("{0} is the called party's own answer; no other trunk would give another")]
    Never(u16),
}

/// What the caller has heard of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing of the far side's.
    Nothing,
    /// Early media.
    EarlyMedia,
}

/// The failures after which the next trunk is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOn(BTreeSet<Failure>);

impl RetryOn {
    /// Those of a configuration.
    pub fn new(failures: impl IntoIterator<Item = Failure>) -> RetryOn {
        RetryOn(failures.into_iter().collect())
    }

    /// Whether the next trunk is tried.
    pub fn allows(&self, failure: Failure, heard: Heard) -> bool {
        heard == Heard::Nothing && self.0.contains(&failure)
    }

    /// The words of the configuration.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl Default for RetryOn {
    fn default() -> RetryOn {
        let statuses = [408, 500, 502, 503, 504].map(Failure::Status);
        RetryOn::new(statuses.into_iter().chain([Failure::Timeout, Failure::Unreachable]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_called_partys_answers_are_final() {
        let retry = RetryOn::default();
        for status in [408, 500, 502, 503, 504] {
            assert!(retry.allows(Failure::Status(status), Heard::Nothing));
            assert!(!retry.allows(Failure::Status(status), Heard::EarlyMedia));
        }
        assert!(retry.allows(Failure::Timeout, Heard::Nothing));
        for status in [404, 484, 486, 600, 603] {
            assert!(!retry.allows(Failure::Status(status), Heard::Nothing));
            let error = status.to_string().parse::<Failure>();
            assert_eq!(error, Err(RetryOnError::Never(status)));
        }
        for bad in ["", "busy", "200", "700"] {
            assert_eq!(bad.parse::<Failure>(), Err(RetryOnError::Unknown));
        }
    }
}
