//! Branches, tags and Call-IDs from a seed (RFC 3261 8.1.1.7, 19.3, 8.1.1.4): the driver draws the
//! seed, so that a whole run repeats in a test.

use std::time::Duration;

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

/// The source of all that must be unguessable.
#[derive(Debug)]
pub(super) struct Random(ChaCha12Rng);

impl Random {
    /// The same seed gives the same values.
    pub(super) fn new(seed: [u8; 32]) -> Random {
        Random(ChaCha12Rng::from_seed(seed))
    }

    /// A Via branch with the magic cookie.
    pub(super) fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.token())
    }

    /// A tag: 80 bits (RFC 3261 19.3 asks for 32).
    pub(super) fn token(&mut self) -> String {
        let mut bits = u128::from(self.0.next_u64()) << 64 | u128::from(self.0.next_u64());
        let mut text = String::with_capacity(16);
        for _ in 0..16 {
            text.push(char::from(ALPHABET[(bits & 31) as usize]));
            bits >>= 5;
        }
        text
    }

    /// A key of 256 bits.
    pub(super) fn key(&mut self) -> [u8; 32] {
        let mut key = [0; 32];
        self.0.fill_bytes(&mut key);
        key
    }

    /// 64 bits that make a nonce unlike all others.
    pub(super) fn salt(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A Call-ID that tells nothing of this host.
    pub(super) fn call_id(&mut self) -> String {
        self.token() + &self.token()
    }

    /// A first CSeq number, well below 2^31 (RFC 3261 8.1.1.5).
    pub(super) fn cseq(&mut self) -> u32 {
        1 + self.0.next_u32() % 10_000
    }

    /// A number from 0 to `most`, both included (RFC 2782 draws among weights so).
    pub(super) fn up_to(&mut self, most: u32) -> u32 {
        // 64 bits over at most 32: the bias is below one in four billion.
        (self.0.next_u64() % (u64::from(most) + 1)) as u32
    }

    /// `Retry-After` of an overload answer: 5 to 30 s, so that not all come back at once.
    pub(super) fn retry_after(&mut self) -> Duration {
        Duration::from_secs(5 + u64::from(self.0.next_u32() % 26))
    }

    /// `Retry-After` of a 500 to an early re-INVITE: 0 to 10 s (RFC 3261 14.2).
    pub(super) fn retry_reinvite(&mut self) -> Duration {
        Duration::from_secs(u64::from(self.0.next_u32() % 11))
    }

    /// How long to wait after a 491 before the next re-INVITE, in steps of 10 ms: 2.1 to 4 s for the
    /// side that made the Call-ID, 0 to 2 s for the other (RFC 3261 14.1).
    pub(super) fn glare(&mut self, made_call_id: bool) -> Duration {
        let steps = u64::from(if made_call_id {
            210 + self.0.next_u32() % 191
        } else {
            self.0.next_u32() % 201
        });
        Duration::from_millis(10 * steps)
    }
}

/// 32 letters and digits, so that five bits choose one.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_repeat_with_the_seed_and_not_within_it() {
        let mut one = Random::new([7; 32]);
        let mut two = Random::new([7; 32]);
        let first = one.branch();
        assert_eq!(first, two.branch());
        assert_ne!(first, one.branch());
        assert!(first.starts_with("z9hG4bK"));
        for _ in 0..100 {
            assert!((5..=30).contains(&one.retry_after().as_secs()));
        }
    }
}
