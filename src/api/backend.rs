//! What the API needs of the gateway, and the shapes in which it shows it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::base::{CallId, E164, Finding, TrunkId, UserId};
use crate::call::{Record, State};
use crate::dialplan::{Decision, Region};
use crate::gateway::{
    CallOrder, Delivery, Events, NotExplained, NotPlayed, NotStarted, PlanQuestion, RecordingWish,
    SipMessage, Timeline, VoicemailView, WebhookView,
};
use crate::recording::Folder;
use crate::signaling::{Claims, MintError, Tones, TransferTo, Words};
use crate::store::Cursor;

/// The gateway as the API sees it. It answers from what it has in memory and does not wait, but for
/// `check_plan` and `put_plan`, which load a plan.
pub trait Backend: Send + Sync + 'static {
    /// At most so many calls in progress that began after a place, oldest first; where there are more,
    /// with the place where they go on. Without their traces.
    fn calls(&self, after: Option<Cursor>, limit: usize) -> (Vec<LiveCall>, Option<Cursor>);

    /// One call in progress.
    fn call(&self, id: CallId) -> Option<LiveCall>;

    /// What became of the digits of a call in progress or one that ended not long ago.
    fn timeline(&self, id: CallId) -> Option<Timeline>;

    /// What was said over SIP in a call, oldest first; kept for a while after its end.
    fn signalling(&self, id: CallId) -> Vec<SipMessage>;

    /// Asks a call to end (cause `hangup`, by the gateway); [`Unknown`] where there is none.
    ///
    /// # Errors
    /// No such call is in progress.
    fn hang_up(&self, id: CallId) -> Result<(), Unknown>;

    /// Asks for a call to be held for its page, or let go.
    ///
    /// # Errors
    /// No such call is in progress.
    fn hold(&self, id: CallId, on: HoldWish) -> Result<(), Unknown>;

    /// Asks for the far side of a call to be handed over; the plan of its user decides.
    ///
    /// # Errors
    /// No such call is in progress.
    fn transfer(&self, id: CallId, to: TransferTo) -> Result<(), Unknown>;

    /// Asks for digits to be sent to the far side of a call, as its page would.
    ///
    /// # Errors
    /// No such call is in progress.
    fn send_digits(&self, id: CallId, digits: &DigitsToSend) -> Result<(), Unknown>;

    /// Says something to the pages of a call.
    ///
    /// # Errors
    /// No such call is in progress.
    fn message(&self, id: CallId, data: Words) -> Result<(), Unknown>;

    /// Starts a call: the user's pages ring, then the number is called by the user's rules.
    ///
    /// # Errors
    /// See [`NotStarted`].
    fn start_call(&self, order: CallOrder) -> Result<CallId, NotStarted>;

    /// The webhooks of the configuration.
    fn webhooks(&self) -> Vec<WebhookView>;

    /// The deliveries of a webhook, newest first; `None` where there is no such webhook.
    fn deliveries(&self, webhook: &str) -> Option<Vec<Delivery>>;

    /// Sends a delivery again; `false` where it is not in the log.
    fn redeliver(&self, webhook: &str, id: &str) -> bool;

    /// What happens, for those who follow it.
    fn events(&self) -> Arc<Events>;

    /// The users of the configuration by name.
    fn users(&self) -> Vec<UserView>;

    /// The trunks of the configuration, in its order.
    fn trunks(&self) -> Vec<TrunkView>;

    /// Tests a trunk, with a call where a number is given; `None` where there is no such trunk.
    fn test_trunk(&self, id: &TrunkId, number: Option<E164>) -> TestingTrunk;

    /// Whether a user may have tokens: it is in the configuration.
    fn knows_user(&self, user: &UserId) -> bool;

    /// Signs a token.
    ///
    /// # Errors
    /// The claims ask for more than a token may say.
    fn mint(&self, claims: &Claims) -> Result<String, MintError>;

    /// Takes back one token; `false` where it is not ours.
    fn revoke_token(&self, token: &str) -> bool;

    /// Takes back all tokens of a user that were made up to now.
    fn revoke_user(&self, user: &UserId);

    /// Whether new calls are taken.
    fn readiness(&self) -> Readiness;

    /// Brings the gauges up to date, just before the metrics are rendered.
    fn refresh_metrics(&self);

    /// The dial plan in force.
    fn plan(&self) -> PlanView;

    /// The plans that were in force, as many as are kept, the newest first.
    fn plan_versions(&self) -> Vec<PlanVersionView>;

    /// The findings of a text as a plan of this gateway. Computes for a while.
    fn check_plan(&self, text: &str) -> Vec<Finding>;

    /// Makes a text the plan; `made_from` is the hash of the plan that it was made from. Waits for
    /// the disk and computes for a while.
    ///
    /// # Errors
    /// See [`PutRefused`]; the old plan stays.
    fn put_plan(&self, text: &str, made_from: Option<&str>) -> Result<(), PutRefused>;

    /// What a plan says to a call, with its trace: that of a text, or the one in force.
    ///
    /// # Errors
    /// See [`NotExplained`].
    fn explain(
        &self,
        question: &PlanQuestion,
        text: Option<&str>,
    ) -> Result<(Decision, Vec<String>), NotExplained>;

    /// Lets a user call a country again that the fraud brake holds.
    fn release(&self, user: &UserId, region: Region);

    /// Asks for a call to be recorded, or not.
    ///
    /// # Errors
    /// No such call is in progress.
    fn record(&self, id: CallId, wish: RecordingWish) -> Result<(), Unknown>;

    /// Has everybody in a call hear a file, or no more. Waits for the disk.
    ///
    /// # Errors
    /// No such call is in progress, or the file cannot be played.
    fn play(&self, id: CallId, file: Option<&str>) -> Result<(), NotPlayed>;

    /// The recordings on the disk.
    fn recordings(&self) -> Arc<Folder>;

    /// Messages that callers left, the newest first. Waits for the disk.
    fn voicemails(&self) -> Vec<VoicemailView>;

    /// The WAV file of a message. Waits for the disk.
    fn voicemail_sound(&self, id: &str) -> Option<Vec<u8>>;

    /// Takes a message away; `false` where there is none. Waits for the disk.
    ///
    /// # Errors
    /// The system's.
    fn remove_voicemail(&self, id: &str) -> std::io::Result<bool>;

    /// What the web phone of a demo starts with; `None` when this is no demo.
    fn demo_phone(&self) -> Option<DemoPhone>;
}

/// Digits to send.
#[derive(Debug, Clone)]
pub struct DigitsToSend {
    /// The keys and pauses.
    pub tones: Tones,
    /// How long each tone is.
    pub tone: Duration,
    /// The silence after each.
    pub gap: Duration,
}

/// A user of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UserView {
    /// The name.
    pub id: UserId,
    /// The country (ISO 3166), where it is not the plan's.
    pub country: Option<String>,
    /// Pages that are signed in and may take calls.
    pub pages: usize,
    /// Calls of the user that are on.
    pub calls: usize,
}

/// No such call is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

/// What is wanted of a call's hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldWish {
    /// Neither side hears the other.
    Hold,
    /// They do again.
    Unhold,
}

/// A call in progress: its state and its record so far.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct LiveCall {
    /// Where it is.
    pub state: State,
    /// What is known of it.
    #[serde(flatten)]
    pub record: Record,
}

/// A dial plan in force.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct PlanView {
    /// Its file; `None` where it has none.
    pub file: Option<String>,
    /// SHA-256 of its text, in hexadecimal.
    pub hash: String,
    /// Since when it is in force (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    pub loaded_at: jiff::Timestamp,
    /// What somebody should look at.
    pub warnings: Vec<Finding>,
    /// The last plan that was not taken, where none was taken since.
    pub refused: Option<RefusedPlan>,
    /// Its text.
    pub text: String,
}

/// A dial plan that is or was in force.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct PlanVersionView {
    /// SHA-256 of its text, in hexadecimal.
    pub hash: String,
    /// Since when it was in force (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    pub loaded_at: jiff::Timestamp,
    /// Its text.
    pub text: String,
}

/// A plan that was not taken.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RefusedPlan {
    /// When (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: jiff::Timestamp,
    /// Every mistake in it.
    pub findings: Vec<Finding>,
}

/// Why a text did not become the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutRefused {
    /// It was made from another plan than the one in force, or its file was edited; in words.
    Changed(String),
    /// Mistakes in it.
    Findings(Vec<Finding>),
    /// Its file cannot be written; in words.
    Unwritable(String),
}

/// A trunk as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TrunkView {
    /// Its name.
    pub id: TrunkId,
    /// Whether it answers.
    pub state: TrunkState,
    /// Calls on it now.
    pub calls: u32,
    /// Calls that it may carry.
    pub channels: u32,
    /// Where it registers: how that stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

/// A test of a trunk that is on its way.
pub type TestingTrunk = Pin<Box<dyn Future<Output = Option<TrunkReport>> + Send>>;

/// What a test of a trunk found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TrunkReport {
    /// Its name.
    pub trunk: TrunkId,
    /// No step failed.
    pub passed: bool,
    /// Each step in its order.
    pub steps: Vec<TrunkStep>,
}

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TrunkStep {
    /// `locate`, `options`, `register` or `call`.
    pub name: &'static str,
    /// `fine`, `failed` or `skipped`.
    pub outcome: &'static str,
    /// What was found, in a sentence.
    pub found: String,
    /// How long it took.
    pub took_ms: u64,
}

/// How the registration of a trunk stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Registration {
    /// It holds.
    Registered {
        /// Without a refresh it ends then.
        expires_in_ms: u64,
    },
    /// There is none.
    NotRegistered {
        /// Why, in a sentence.
        reason: String,
    },
}

/// Whether a trunk answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MintedToken {
    /// The token, for the first message of a page.
    pub token: String,
    /// The user.
    pub sub: UserId,
    /// When it ends (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
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
