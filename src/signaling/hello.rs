//! The first messages of a connection: `hello` and `welcome`, for a new session and for one that is
//! resumed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CallState, Verified};
use crate::base::{CallId, Party, Secret, SessionId};

/// `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Hello {
    /// The client token.
    pub token: Secret<String>,
    /// Who is speaking.
    #[serde(default)]
    pub client: Client,
    /// The session to resume.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// The secret of that session, from its last `welcome`.
    #[serde(default)]
    pub resume: Option<Secret<String>>,
    /// The last event that the page has got of that session.
    #[serde(default)]
    pub last_seq: Option<u64>,
    /// Why the page comes back.
    #[serde(default)]
    pub reason: Option<CameBack>,
}

/// Why a page comes back to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CameBack {
    /// The page was loaded again: it knows nothing of its calls.
    Reload,
    /// Its connection was lost.
    #[serde(other)]
    Lost,
}

/// The program on the page's side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// `token`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenRefresh {
    /// The new token.
    pub token: Secret<String>,
}

/// `welcome`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Welcome {
    /// Always `welcome`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The session.
    pub session: SessionId,
    /// The secret that resumes it, once; the next `welcome` has another.
    pub resume: String,
    /// The user.
    pub identity: String,
    /// For the page's `RTCPeerConnection`.
    pub ice_servers: Vec<IceServer>,
    /// When the token ends, in seconds since 1970.
    pub expires_at: u64,
    /// How long a session is kept without its socket, in ms.
    pub grace: u64,
    /// The session's live calls as they stood at the first event that is replayed after this.
    pub calls: Vec<CallView>,
    /// What this gateway can do beyond the least.
    pub features: Vec<String>,
    /// What to dial to hear oneself, for a test before the first call; where there is such a line and the
    /// token lets the page dial it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<String>,
}

/// A live call of a session, for a page that may know nothing of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallView {
    /// The call.
    pub call: CallId,
    /// Whose it is.
    pub direction: Direction,
    /// Where it is.
    pub state: CallState,
    /// Who calls.
    pub from: Party,
    /// Who is called.
    pub to: Party,
    /// The application's words, or the headers that the trunk's rules let through.
    pub metadata: BTreeMap<String, String>,
    /// How far the caller's number was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// The gateway's offer of a call that rings and can still be answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdp: Option<String>,
    /// When it was answered, in ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<u64>,
    /// Whether the page has muted it.
    pub muted: bool,
    /// Whether the page holds it.
    pub held: bool,
    /// Whether the far side holds it.
    pub held_by_remote: bool,
    /// What the phone side has pressed before the first event that is replayed; the last 256 keys.
    pub digits: String,
}

/// Whose call it is, as the page sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Somebody calls the page.
    Incoming,
    /// The page calls.
    Outgoing,
}

/// One entry of `RTCConfiguration.iceServers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IceServer {
    /// `stun:` and `turn:` addresses.
    pub urls: Vec<String>,
    /// For `turn:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For `turn:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}
