//! Which sessions there are, and what brings a page back to one of them.
//!
//! Each session has one secret at a time. It is spent when it is used; the next one is in the
//! `welcome`. A secret whose successor never reached its page (the socket died under the `welcome`)
//! is good again: else a page that loses two sockets in a row would lose its calls.
//!
//! ```text
//! welcome(A) ... resume(A) -> welcome(B), the page is heard: A is spent for good
//! welcome(A) ... resume(A) -> welcome(B), socket lost unheard: A or B
//! ```
//!
//! Pure: secrets come from outside.

use std::collections::{HashMap, VecDeque};

use subtle::ConstantTimeEq;

use crate::base::{Secret, SessionId, UserId};

/// The sessions of a gateway that can be resumed.
#[derive(Debug, Default)]
pub struct Kept {
    sessions: HashMap<SessionId, Entry>,
    /// Of each user, the oldest first.
    users: HashMap<UserId, VecDeque<SessionId>>,
}

#[derive(Debug)]
struct Entry {
    user: UserId,
    secret: Secret<String>,
    /// The one before, until its page has shown that it has the present one.
    former: Option<Secret<String>>,
    socket: Socket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Socket {
    There,
    Gone,
}

impl Kept {
    /// A session begins. Gives the one that must end for it: the user's oldest without a socket, or
    /// the oldest of all, where the user has [`MAX_PER_USER`].
    pub fn enter(
        &mut self,
        id: SessionId,
        user: UserId,
        secret: Secret<String>,
    ) -> Option<SessionId> {
        let own = self.users.entry(user.clone()).or_default();
        let evicted = (own.len() >= MAX_PER_USER).then(|| {
            let gone = |id: &&SessionId| {
                self.sessions.get(id).is_some_and(|entry| entry.socket == Socket::Gone)
            };
            own.iter().find(gone).or(own.front()).copied()
        });
        own.push_back(id);
        let entry = Entry { user, secret, former: None, socket: Socket::There };
        self.sessions.insert(id, entry);
        let evicted = evicted.flatten();
        if let Some(id) = evicted {
            self.leave(id);
        }
        evicted
    }

    /// A page of `user` shows a secret; where it is the session's, it is spent and `next` follows.
    pub fn resume(
        &mut self,
        id: SessionId,
        user: &UserId,
        shown: &str,
        next: Secret<String>,
    ) -> bool {
        let Some(entry) = self.sessions.get_mut(&id).filter(|entry| entry.user == *user) else {
            return false;
        };
        let is = |secret: &Secret<String>| {
            bool::from(secret.expose().as_bytes().ct_eq(shown.as_bytes()))
        };
        if is(&entry.secret) {
            entry.former = Some(std::mem::replace(&mut entry.secret, next));
        } else if entry.socket == Socket::Gone && entry.former.as_ref().is_some_and(is) {
            entry.secret = next;
        } else {
            return false;
        }
        entry.socket = Socket::There;
        true
    }

    /// The page has sent something after its `welcome`: what it had before is of no use any more.
    pub fn heard(&mut self, id: SessionId) {
        if let Some(entry) = self.sessions.get_mut(&id) {
            entry.former = None;
        }
    }

    /// The session's socket is lost.
    pub fn lost(&mut self, id: SessionId) {
        if let Some(entry) = self.sessions.get_mut(&id) {
            entry.socket = Socket::Gone;
        }
    }

    /// The session is over.
    pub fn leave(&mut self, id: SessionId) {
        let Some(entry) = self.sessions.remove(&id) else { return };
        if let Some(own) = self.users.get_mut(&entry.user) {
            own.retain(|other| *other != id);
            if own.is_empty() {
                self.users.remove(&entry.user);
            }
        }
    }

    /// How many sessions there are: a gauge.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

/// Sessions of one user at once, with and without a socket: more tabs than anybody has.
pub const MAX_PER_USER: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> SessionId {
        SessionId::from_parts(n, 0)
    }

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn one() -> Kept {
        let mut kept = Kept::default();
        assert_eq!(kept.enter(id(1), user("alice"), secret("A")), None);
        kept
    }

    #[test]
    fn a_secret_is_good_once_and_for_its_user() {
        let mut kept = one();
        assert!(!kept.resume(id(1), &user("bob"), "A", secret("B")));
        assert!(!kept.resume(id(2), &user("alice"), "A", secret("B")));
        assert!(!kept.resume(id(1), &user("alice"), "", secret("B")));
        assert!(kept.resume(id(1), &user("alice"), "A", secret("B")));
        assert!(!kept.resume(id(1), &user("alice"), "A", secret("C")), "replayed");
        kept.heard(id(1));
        kept.lost(id(1));
        assert!(!kept.resume(id(1), &user("alice"), "A", secret("C")), "replayed after a loss");
        assert!(kept.resume(id(1), &user("alice"), "B", secret("C")));
        kept.leave(id(1));
        assert!(!kept.resume(id(1), &user("alice"), "C", secret("D")), "over");
        assert!(kept.is_empty() && kept.users.is_empty());
    }

    #[test]
    fn a_secret_whose_successor_was_lost_is_good_again() {
        let mut kept = one();
        kept.lost(id(1));
        for next in ["B", "C", "D"] {
            assert!(kept.resume(id(1), &user("alice"), "A", secret(next)), "{next}");
            kept.lost(id(1));
        }
        assert!(kept.resume(id(1), &user("alice"), "D", secret("E")));
        kept.heard(id(1));
        kept.lost(id(1));
        assert!(!kept.resume(id(1), &user("alice"), "A", secret("F")));
    }

    #[test]
    fn a_users_sessions_are_bounded_and_others_are_not_hurt() {
        let mut kept = Kept::default();
        kept.enter(id(1000), user("bob"), secret("A"));
        for n in 0..MAX_PER_USER as u64 {
            assert_eq!(kept.enter(id(n), user("alice"), secret("A")), None);
        }
        kept.lost(id(7));
        assert_eq!(kept.enter(id(500), user("alice"), secret("A")), Some(id(7)));
        assert_eq!(kept.enter(id(501), user("alice"), secret("A")), Some(id(0)));
        assert_eq!(kept.len(), MAX_PER_USER + 1);
        assert!(kept.resume(id(1000), &user("bob"), "A", secret("B")));
    }
}
