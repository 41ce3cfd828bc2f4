//! Tokens that are not good any more before their time: single ones, and all of a user.
//!
//! A token lives for an hour at most, and so does what is kept here. Pure.

use std::collections::HashMap;

use super::{Claims, MAX_TTL_S, TokenId};
use crate::base::UserId;

/// The tokens that were taken back.
#[derive(Debug, Default)]
pub struct Revoked {
    /// By token, until when it would have been good.
    tokens: HashMap<TokenId, u64>,
    /// By user, the moment up to which all tokens are taken back.
    users: HashMap<UserId, u64>,
}

impl Revoked {
    /// Takes back one token, which ends at `exp`.
    pub fn token(&mut self, id: TokenId, exp: u64, now_unix_s: u64) {
        self.tokens.retain(|_, exp| *exp > now_unix_s);
        if exp > now_unix_s && self.tokens.len() < MAX_TOKENS {
            self.tokens.insert(id, exp);
        }
    }

    /// Takes back all tokens of a user that were made up to now.
    pub fn user(&mut self, user: UserId, now_unix_s: u64) {
        self.users.retain(|_, at| *at + MAX_TTL_S > now_unix_s);
        self.users.insert(user, now_unix_s);
    }

    /// Whether a token was taken back. One without the moment of its making counts as old.
    pub fn has(&self, id: TokenId, claims: &Claims) -> bool {
        let user = self.users.get(&claims.sub);
        self.tokens.contains_key(&id) || user.is_some_and(|until| claims.iat <= *until)
    }
}

/// Single tokens kept at once. Who takes back more than that takes back users.
const MAX_TOKENS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(sub: &str, iat: u64) -> Claims {
        Claims { iat, ..Claims::new(sub.parse().unwrap(), iat + 600) }
    }

    #[test]
    fn a_token_or_a_user_is_taken_back_and_others_are_not() {
        let mut revoked = Revoked::default();
        let (one, other) = (TokenId([1; 16]), TokenId([2; 16]));
        revoked.token(one, 700, 100);
        assert!(revoked.has(one, &claims("alice", 50)));
        assert!(!revoked.has(other, &claims("alice", 50)));
        revoked.user("alice".parse().unwrap(), 100);
        assert!(revoked.has(other, &claims("alice", 100)));
        assert!(!revoked.has(other, &claims("alice", 101)), "a new one is good");
        assert!(!revoked.has(other, &claims("bob", 50)));
    }

    #[test]
    fn what_would_have_ended_by_itself_is_forgotten() {
        let mut revoked = Revoked::default();
        revoked.token(TokenId([1; 16]), 700, 100);
        revoked.user("alice".parse().unwrap(), 100);
        revoked.token(TokenId([2; 16]), 9_000, 8_000);
        revoked.user("bob".parse().unwrap(), 8_000);
        assert_eq!((revoked.tokens.len(), revoked.users.len()), (1, 1));
    }
}
