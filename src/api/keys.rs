//! Keys of the API and the sessions of browsers that have shown one. Of a key only its digest is
//! kept, of a session's cookie as well.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::base::{Permission, Secret};

/// The keys of a gateway, and who is logged in.
#[derive(Debug, Default)]
pub struct Keys {
    keys: ArcSwap<Vec<Key>>,
    sessions: Mutex<HashMap<[u8; 32], Session>>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The key's name; `this-machine` for a program that needs none.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

/// Whose keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Those that the configuration names.
    Program,
    /// The operator's own.
    Operator,
}

/// A key's name, itself, and what it may do.
type Named = (String, Secret<String>, Vec<Permission>);

#[derive(Debug, Clone)]
struct Key {
    holder: Holder,
    who: Who,
    digest: [u8; 32],
}

#[derive(Debug)]
struct Session {
    /// The digest of the key that opened it; it lives no longer than that.
    key: [u8; 32],
    until: Instant,
}

impl Keys {
    /// These keys of programs, by name, with what each may do.
    pub fn new(keys: impl IntoIterator<Item = Named>) -> Keys {
        let own = Keys::default();
        own.replace(Holder::Program, keys);
        own
    }

    /// These keys in the place of those that the holder had. Logins with a key that is gone are over.
    pub fn replace(&self, holder: Holder, keys: impl IntoIterator<Item = Named>) {
        let new = keys.into_iter().map(|(name, secret, permissions)| Key {
            holder,
            who: Who { name, permissions },
            digest: digest(secret.expose()),
        });
        let before = self.keys.load();
        let others = before.iter().filter(|own| own.holder != holder).cloned();
        let keys: Vec<Key> = others.chain(new).collect();
        // While it is held nobody logs in, with a key of before least of all.
        let mut sessions = self.sessions();
        sessions.retain(|_, session| keys.iter().any(|own| own.digest == session.key));
        self.keys.store(keys.into());
    }

    /// Whose key this is.
    pub(super) fn of(&self, key: &str) -> Option<Who> {
        self.find(digest(key))
    }

    /// Logs a browser in: its cookie.
    pub(super) fn log_in(&self, now: Instant, key: &str) -> Option<(String, Who)> {
        let key = digest(key);
        let cookie = random_text()?;
        let mut sessions = self.sessions();
        let who = self.find(key)?;
        sessions.retain(|_, session| session.until > now);
        if sessions.len() >= MOST_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.until);
            let oldest = oldest.map(|(digest, _)| *digest);
            oldest.and_then(|digest| sessions.remove(&digest));
        }
        sessions.insert(digest(&cookie), Session { key, until: now + SESSION });
        Some((cookie, who))
    }

    /// Who is logged in with this cookie.
    pub(super) fn of_session(&self, now: Instant, cookie: &str) -> Option<Who> {
        let sessions = self.sessions();
        let session = sessions.get(&digest(cookie)).filter(|session| session.until > now)?;
        self.find(session.key)
    }

    /// Logs out.
    pub(super) fn log_out(&self, cookie: &str) {
        self.sessions().remove(&digest(cookie));
    }

    fn find(&self, digest: [u8; 32]) -> Option<Who> {
        let keys = self.keys.load();
        keys.iter().find(|own| own.digest.ct_eq(&digest).into()).map(|own| own.who.clone())
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        // Nothing panics while it is held.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Who {
    /// A program on the gateway's own machine.
    pub(super) fn this_machine() -> Who {
        Who { name: "this-machine".to_owned(), permissions: Permission::ALL.to_vec() }
    }

    /// Whether it may do this.
    pub(super) fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// Whether the operator's key was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorKey {
    /// It was.
    Found,
    /// It was made now.
    Made,
}

/// The operator's key: read from its file, which is made where it is missing, readable by its owner
/// only. Waits for the disk.
///
/// # Errors
/// The system's; there is no such key then.
pub fn operator_key(file: &Path) -> io::Result<(Secret<String>, OperatorKey)> {
    match read_operator_key(file) {
        Ok(key) => Ok((key, OperatorKey::Found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let random = random_text().ok_or_else(|| io::Error::other("no randomness"))?;
            let key = format!("cpk_{random}");
            let mut own = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
            writeln!(own, "{key}")?;
            own.sync_all()?;
            Ok((Secret::new(key), OperatorKey::Made))
        }
        Err(error) => Err(error),
    }
}

/// The operator's key as it is in its file. Waits for the disk.
///
/// # Errors
/// The system's, or the file holds no key.
pub fn read_operator_key(file: &Path) -> io::Result<Secret<String>> {
    let text = fs::read_to_string(file)?;
    let key = text.lines().next().unwrap_or_default().trim();
    if key.len() < SHORTEST {
        let words = "the file holds no key; remove it, and a new one is made at the next start";
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    Ok(Secret::new(key.to_owned()))
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// 256 bits.
fn random_text() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// A working day.
pub(super) const SESSION: Duration = Duration::from_secs(12 * 3600);
/// Operators at once; beyond it the oldest login is over.
const MOST_SESSIONS: usize = 256;
const SHORTEST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_a_session_and_a_session_ends() {
        let key = Secret::new("k".repeat(32));
        let keys = Keys::new([("one".to_owned(), key, vec![Permission::CallsRead])]);
        let now = Instant::now();
        assert!(keys.log_in(now, "guess").is_none());
        let (cookie, who) = keys.log_in(now, &"k".repeat(32)).unwrap();
        assert!(who.may(Permission::CallsRead) && !who.may(Permission::CallsWrite));
        assert_eq!(keys.of_session(now, &cookie), Some(who));
        assert_eq!(keys.of_session(now + SESSION, &cookie), None);
        assert_eq!(keys.of_session(now, "guess"), None);
        let first = cookie;
        for n in 0..MOST_SESSIONS as u64 {
            keys.log_in(now + Duration::from_millis(n + 1), &"k".repeat(32)).unwrap();
        }
        assert_eq!(keys.of_session(now, &first), None, "the oldest makes room");
        let (cookie, _) = keys.log_in(now, &"k".repeat(32)).unwrap();
        keys.log_out(&cookie);
        assert_eq!(keys.of_session(now, &cookie), None);
    }

    #[test]
    fn a_key_that_is_gone_takes_its_sessions_along_and_no_others() {
        let [old, new, other] = ["o", "n", "p"].map(|letter| letter.repeat(32));
        let named = |name: &str, key: &str| {
            (name.to_owned(), Secret::new(key.to_owned()), vec![Permission::CallsRead])
        };
        let keys = Keys::new([named("one", &old)]);
        keys.replace(Holder::Operator, [named("operator", &other)]);
        let now = Instant::now();
        let [first, second] = [&old, &other].map(|key| keys.log_in(now, key).unwrap().0);
        keys.replace(Holder::Program, [named("one", &new)]);
        assert_eq!(keys.of(&old), None);
        assert_eq!(keys.of(&new).unwrap().name, "one");
        assert_eq!(keys.of_session(now, &first), None, "its key is gone");
        assert_eq!(keys.of_session(now, &second).unwrap().name, "operator");
        // The old key comes back; the login of before does not.
        keys.replace(Holder::Program, [named("one", &old)]);
        assert_eq!(keys.of_session(now, &first), None);
        let weaker = (String::from("operator"), Secret::new(other), Vec::new());
        keys.replace(Holder::Operator, [weaker]);
        let who = keys.of_session(now, &second).unwrap();
        assert!(!who.may(Permission::CallsRead), "permissions are those of now");
    }

    #[test]
    fn the_operators_key_is_made_once_and_for_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("operator.key");
        let (made, how) = operator_key(&file).unwrap();
        assert_eq!(how, OperatorKey::Made);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let (found, how) = operator_key(&file).unwrap();
        assert_eq!((found.expose(), how), (made.expose(), OperatorKey::Found));
        fs::write(&file, "\n").unwrap();
        assert!(operator_key(&file).is_err());
    }
}
