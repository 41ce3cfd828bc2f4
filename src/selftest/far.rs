//! The far side of the gateway's trunk, where the self-test has one of its own: what reached it, measured
//! there and not by the gateway.

use std::fmt::Debug;
use std::time::Duration;

use crate::base::Digit;
use crate::dtmf::Mode;

/// A network of telephones behind the gateway's trunk that can be asked.
pub trait FarSide: Debug + Send + Sync {
    /// Takes out the digits that have reached it since the last call of this, those that it took from
    /// calls to it.
    fn take_digits(&self) -> Vec<FarDigit>;

    /// Calls a number of the gateway and presses each of the sixteen keys once in this way, for 100 ms
    /// each; then it hangs up.
    fn press_keys(&self, number: &str, mode: Mode);
}

/// A key as the far side heard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FarDigit {
    /// Which of the lines that listen took it: the last digit of their numbers, +49 30 23125614 to 616.
    pub listener: Option<u8>,
    /// The key.
    pub digit: Digit,
    /// How it came.
    pub mode: Mode,
    /// The last duration of the event, the `Duration` of the INFO, or the length of the tone.
    pub duration: Duration,
}
