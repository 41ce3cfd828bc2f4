//! What the API needs of the gateway, and the shapes in which it shows it.

use serde::Serialize;

use crate::base::{CallId, TrunkId, UserId};
use crate::call::{Record, State};
use crate::signaling::{Claims, MintError};

/// The gateway as the API sees it. None of it waits: a gateway answers from what it has in memory.
pub trait Backend: Send + Sync + 'static {
    /// The calls in progress, in no order.
    fn calls(&self) -> Vec<LiveCall>;

    /// One call in progress.
    fn call(&self, id: CallId) -> Option<LiveCall>;

    /// Asks a call to end (cause `hangup`, by the gateway); [`Unknown`] where there is none.
    ///
    /// # Errors
    /// No such call is in progress.
    fn hang_up(&self, id: CallId) -> Result<(), Unknown>;

    /// The trunks of the configuration, in its order.
    fn trunks(&self) -> Vec<TrunkView>;

    /// Whether a user may have tokens: it is in the configuration.
    fn knows_user(&self, user: &UserId) -> bool;

    /// Signs a token.
    ///
    /// # Errors
    /// The claims ask for more than a token may say.
    fn mint(&self, claims: &Claims) -> Result<String, MintError>;

    /// Whether new calls are taken.
    fn readiness(&self) -> Readiness;

    /// Brings the gauges up to date, just before the metrics are rendered.
    fn refresh_metrics(&self);

    /// What the web phone of a demo starts with; `None` when this is no demo.
    fn demo_phone(&self) -> Option<DemoPhone>;
}

/// No such call is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

/// A call in progress: its state and its record so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveCall {
    /// Where it is.
    pub state: State,
    /// What is known of it.
    #[serde(flatten)]
    pub record: Record,
}

/// A trunk as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrunkView {
    /// Its name.
    pub id: TrunkId,
    /// Whether it answers.
    pub state: TrunkState,
    /// Calls on it now.
    pub calls: u32,
    /// Calls that it may carry.
    pub channels: u32,
}

/// Whether a trunk answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrunkState {
    /// It answers.
    Up,
    /// It does not, and is not chosen.
    Down,
    /// It was not asked yet.
    Unknown,
}

/// A token and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MintedToken {
    /// The token, for the first message of a page.
    pub token: String,
    /// The user.
    pub sub: UserId,
    /// When it ends (RFC 3339 UTC).
    pub expires_at: jiff::Timestamp,
}

/// Whether new calls are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// They are.
    Ready,
    /// They are not: the gateway is being stopped.
    Draining,
    /// They are not, for this reason.
    NotReady(String),
}

/// What the web phone of a demo starts with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DemoPhone {
    /// A token of the demo's user.
    pub token: String,
    /// The demo's user.
    pub user: UserId,
    /// What to dial.
    pub hints: Vec<Hint>,
}

/// One thing to dial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// What to dial.
    pub dial: String,
    /// What it is, in a word or two.
    pub name: String,
    /// What happens, in a sentence.
    pub about: String,
}
