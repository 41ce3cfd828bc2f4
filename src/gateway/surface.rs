//! What the API and the operator see of a running gateway, and what they may do to it.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::call_task::{self, CallInput, CallOrder, NotStarted, RecordingWish};
use super::plans::{PlanInForce, PlanRefused, PlanVersion, PutPlanError};
use super::{
    Delivery, Events, Gateway, SipMessage, Timeline, VoicemailView, WebhookView, features_of,
    routing,
};
use crate::base::{CallId, Cause, Finding, Party, TrunkId, UserId};
use crate::call::{Call, Direction, Record, State};
use crate::codec::Prompt;
use crate::config::read_bytes;
use crate::dialplan::{Decision, InboundRequest, Plan, Region};
use crate::dtmf::ToneItem;
use crate::media::{self, Hold};
use crate::recording::Folder;
use crate::signaling::{self, Claims, MintError, TransferTo, Words};
use crate::sip::TlsError;
use crate::store::{Cursor, Store};
use crate::telemetry::{Gauges, Metrics, TickLateness};
use crate::trunk::Health;

/// Why nothing is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotPlayed {
    /// No such call is in progress.
    NoCall,
    /// The file cannot be played, in words for people.
    Unusable(String),
}

/// A call in progress: where it is and its record so far.
#[derive(Debug, Clone, PartialEq)]
pub struct CallView {
    /// Where it is.
    pub state: State,
    /// What is known of it.
    pub record: Record,
}

/// What is told of a call when it moves.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CallNews {
    id: CallId,
    state: State,
    direction: Direction,
    from: Party,
    to: Party,
    trunk: Option<TrunkId>,
    started_at: Timestamp,
    answered_at: Option<Timestamp>,
}

impl CallNews {
    pub(super) fn of(call: &Call) -> CallNews {
        let record = call.record();
        CallNews {
            id: record.id,
            state: call.state(),
            direction: record.direction,
            from: record.from.clone(),
            to: record.to.clone(),
            trunk: record.trunk.clone(),
            started_at: record.started_at,
            answered_at: record.answered_at,
        }
    }
}

/// A user of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// The name.
    pub id: UserId,
    /// The country, where the user has one of its own.
    pub country: Option<Region>,
    /// Pages that are signed in and may take calls.
    pub pages: usize,
}

/// A trunk as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkView {
    /// Its name.
    pub id: TrunkId,
    /// Whether it is sent calls.
    pub health: Health,
    /// Calls on it now.
    pub calls: u32,
    /// Calls that it may carry.
    pub channels: u32,
    /// Where it registers: how long the registration holds, or why there is none.
    pub registration: Option<Result<Duration, String>>,
}

/// Why a plan says nothing to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotExplained {
    /// The time of the question is no time.
    Time,
    /// The text is no plan that could be in force.
    Plan(Vec<Finding>),
}

/// What a plan is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanQuestion {
    /// A call of a user.
    Outbound {
        /// Who calls.
        user: UserId,
        /// What is dialled.
        dialled: String,
        /// The number the caller wants to show, where it asks for one.
        caller_id: Option<String>,
        /// When; a time of the plan's zone or RFC 3339, `None` is now.
        at: Option<String>,
    },
    /// A call from a trunk.
    Inbound {
        /// What is called.
        did: String,
        /// Who calls, where known.
        from: Option<String>,
        /// The trunk it comes by, where that matters.
        trunk: Option<TrunkId>,
        /// When, as above.
        at: Option<String>,
    },
}

impl Gateway {
    /// The plan that decides now.
    pub fn plan(&self) -> Arc<PlanInForce> {
        arc_swap::Guard::into_inner(self.inner.plans.in_force())
    }

    /// The plans that were in force, as many as are kept, the newest first.
    pub fn plan_versions(&self) -> Vec<PlanVersion> {
        self.inner.plans.versions()
    }

    /// The last plan that was not taken, where none was taken since.
    pub fn refused_plan(&self) -> Option<Arc<PlanRefused>> {
        self.inner.plans.refused()
    }

    /// Messages that callers left, the newest first. Waits for the disk.
    pub fn voicemails(&self) -> Vec<VoicemailView> {
        self.inner.voicemails.list()
    }

    /// The WAV file of a message. Waits for the disk.
    pub fn voicemail_sound(&self, id: &str) -> Option<Vec<u8>> {
        self.inner.voicemails.sound(id)
    }

    /// Takes a message away; `false` where there is none. Waits for the disk.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_voicemail(&self, id: &str) -> std::io::Result<bool> {
        self.inner.voicemails.remove(id)
    }

    /// The plan's file; `None` where it has none.
    pub fn plan_path(&self) -> Option<String> {
        self.inner.plans.path().map(|path| path.display().to_string())
    }

    /// Reads the plan's file again. Waits for the disk and computes: not on a runtime's thread.
    ///
    /// # Errors
    /// The findings, which are in the log, too; the old plan stays.
    pub fn reload_plan(&self) -> Result<(), Arc<PlanRefused>> {
        let outcome = self.inner.plans.reload();
        self.tell_features();
        outcome
    }

    /// Reads the certificates of SIP again. Waits for the disk: not on a runtime's thread.
    ///
    /// # Errors
    /// One of them cannot be used; the old ones serve.
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        self.inner.sip.reload_tls()
    }

    /// The findings of a text as a plan of this gateway. Computes: not on a runtime's thread.
    pub fn check_plan(&self, text: &str) -> Vec<Finding> {
        self.inner.plans.check(text)
    }

    /// Makes a text the plan. Waits for the disk and computes: not on a runtime's thread.
    ///
    /// # Errors
    /// See [`PutPlanError`]; the old plan stays.
    pub fn put_plan(&self, text: &str, made_from: Option<&str>) -> Result<(), PutPlanError> {
        let outcome = self.inner.plans.put(text, made_from);
        self.tell_features();
        outcome
    }

    /// What a plan says to a call, with its trace: the same evaluation that a call gets. The plan is
    /// that of a text, or the one in force. A text is loaded: not on a runtime's thread.
    ///
    /// # Errors
    /// See [`NotExplained`].
    pub fn explain(
        &self,
        question: &PlanQuestion,
        text: Option<&str>,
    ) -> Result<(Decision, Vec<String>), NotExplained> {
        let explained = match text {
            Some(text) => {
                let plan = self.inner.plans.read(text).map_err(NotExplained::Plan)?;
                self.explained_by(&plan, question)
            }
            None => self.explained_by(&self.inner.plans.in_force().plan, question),
        };
        explained.ok_or(NotExplained::Time)
    }

    fn explained_by(
        &self,
        plan: &Plan,
        question: &PlanQuestion,
    ) -> Option<(Decision, Vec<String>)> {
        let moment = |at: &Option<String>| match at {
            Some(text) => plan.moment(text),
            None => Some(Timestamp::now()),
        };
        let decision = match question {
            PlanQuestion::Outbound { user, dialled, caller_id, at } => {
                let at = moment(at)?;
                let (dialled, caller_id) = (dialled.clone(), caller_id.clone());
                let users = &self.inner.users;
                let request = routing::outbound_request(users, user, dialled, caller_id, at);
                plan.evaluate_outbound(&request)
            }
            PlanQuestion::Inbound { did, from, trunk, at } => {
                let (did, from, trunk) = (did.clone(), from.clone(), trunk.clone());
                plan.evaluate_inbound(&InboundRequest { did, from, trunk, at: moment(at)? })
            }
        };
        let trace = plan.explain(&decision);
        Some((decision, trace))
    }

    /// Lets a user call a country again that the fraud brake holds.
    pub fn release(&self, user: &UserId, region: Region) {
        self.inner.accounts.release(user, region);
        tracing::info!(user.id = %user, %region, "the operator lets calls go again");
    }

    fn tell_features(&self) {
        self.server.set_features(features_of(&self.inner.plans.in_force().plan));
    }

    /// At most so many calls in progress that began after a place, oldest first; where there are more,
    /// with the place where they go on. Without their traces.
    pub fn calls(&self, after: Option<Cursor>, limit: usize) -> (Vec<CallView>, Option<Cursor>) {
        let (calls, more) = self.inner.registry.calls_after(after, limit);
        let next = calls.last().filter(|_| more).map(|last| last.place);
        let brief = |view: &CallView| CallView { state: view.state, record: view.record.brief() };
        (calls.iter().map(|call| call.look(brief)).collect(), next)
    }

    /// How many calls in progress each user is in.
    pub fn calls_of_users(&self) -> HashMap<UserId, usize> {
        let mut found = HashMap::new();
        for call in self.inner.registry.calls() {
            let parties =
                |view: &CallView| (view.record.from.user.clone(), view.record.to.user.clone());
            let (from, to) = call.look(parties);
            // Who calls a page of their own is in one call.
            for user in [to.filter(|to| Some(to) != from.as_ref()), from].into_iter().flatten() {
                *found.entry(user).or_default() += 1;
            }
        }
        found
    }

    /// One call in progress.
    pub fn call(&self, id: CallId) -> Option<CallView> {
        self.inner.registry.call(id).map(|call| call.view())
    }

    /// What was said over SIP in a call, oldest first; kept for a while.
    pub fn signalling(&self, id: CallId) -> Vec<SipMessage> {
        self.inner.sip_trace.of(id)
    }

    /// What happened in a call in progress, or in one that ended not long ago.
    pub fn timeline(&self, id: CallId) -> Option<Timeline> {
        self.inner.registry.timeline(id)
    }

    /// Ends a call; `false` where no such call is in progress.
    pub fn hang_up(&self, id: CallId) -> bool {
        let call = self.inner.registry.call(id);
        if let Some(call) = &call {
            call.tell(CallInput::End(Cause::Hangup));
        }
        call.is_some()
    }

    /// Holds a call for its page, or lets it go; `false` where no such call is in progress.
    pub fn hold(&self, id: CallId, hold: Hold) -> bool {
        let call = self.inner.registry.call(id);
        if let Some(call) = &call {
            call.tell(CallInput::Hold(hold));
        }
        call.is_some()
    }

    /// Sends digits to a call's far side, as its page would; `false` where no such call is in progress.
    pub fn send_digits(&self, id: CallId, tones: Vec<ToneItem>) -> bool {
        let call = self.inner.registry.call(id);
        if let Some(call) = &call {
            call.tell(CallInput::Tones(tones));
        }
        call.is_some()
    }

    /// Says something to the pages of a call; `false` where no such call is in progress.
    pub fn message(&self, id: CallId, data: Words) -> bool {
        let call = self.inner.registry.call(id);
        if let Some(call) = &call {
            call.tell(CallInput::Message(data));
        }
        call.is_some()
    }

    /// Records a call, or not; `false` where no such call is in progress.
    pub fn record(&self, id: CallId, wish: RecordingWish) -> bool {
        let call = self.inner.registry.call(id);
        if let Some(call) = &call {
            call.tell(CallInput::Record(wish));
        }
        call.is_some()
    }

    /// Everybody in an answered call hears a WAV file below the dial plan's folder in the place of each
    /// other; without one, what plays ends. Waits for the disk: not on a runtime's thread.
    ///
    /// # Errors
    /// See [`NotPlayed`].
    pub fn play(&self, id: CallId, file: Option<&str>) -> Result<(), NotPlayed> {
        let call = self.inner.registry.call(id).ok_or(NotPlayed::NoCall)?;
        let sound = file.map(|file| self.sound(file)).transpose()?.map(Arc::new);
        call.tell(CallInput::Play(sound));
        Ok(())
    }

    fn sound(&self, file: &str) -> Result<Prompt, NotPlayed> {
        let inside = |part| matches!(part, Component::Normal(_));
        if file.is_empty() || !Path::new(file).components().all(inside) {
            let words = "`file` is a name below the dial plan's folder, as prompts/closed.wav";
            return Err(NotPlayed::Unusable(words.to_owned()));
        }
        let folder = self.inner.plans.path().and_then(Path::parent).unwrap_or(Path::new(""));
        let unusable = |error: &dyn Display| NotPlayed::Unusable(format!("{file}: {error}"));
        let bytes = read_bytes(&folder.join(file)).map_err(|error| unusable(&error))?;
        Prompt::read(&bytes).map_err(|error| unusable(&error))
    }

    /// The recordings on the disk.
    pub fn recordings(&self) -> Arc<Folder> {
        self.inner.recorder.folder().clone()
    }

    /// Starts a call for a user: the user's pages ring, then the number is called.
    ///
    /// # Errors
    /// See [`NotStarted`].
    pub fn start_call(&self, order: CallOrder) -> Result<CallId, NotStarted> {
        call_task::spawn_order(&self.inner, order)
    }

    /// The webhooks of the configuration.
    pub fn webhooks(&self) -> Vec<WebhookView> {
        self.inner.webhooks.views()
    }

    /// The deliveries of a webhook, newest first; `None` where there is no such webhook.
    pub fn deliveries(&self, webhook: &str) -> Option<Vec<Delivery>> {
        self.inner.webhooks.deliveries(webhook)
    }

    /// Sends a delivery again; `false` where it is not in the log.
    pub fn redeliver(&self, webhook: &str, id: &str) -> bool {
        self.inner.webhooks.redeliver(webhook, id)
    }

    /// What happens, for those who follow it.
    pub fn events(&self) -> Arc<Events> {
        self.inner.events.clone()
    }

    /// The users of the configuration by name.
    pub fn users(&self) -> Vec<UserView> {
        let view = |(id, user): (&UserId, &crate::config::User)| UserView {
            id: id.clone(),
            country: user.country,
            pages: self.inner.registry.pages_of(id).len(),
        };
        self.inner.users.iter().map(view).collect()
    }

    /// Hands a call's far side over; `false` where no such call is in progress.
    pub fn transfer(&self, id: CallId, to: TransferTo) -> bool {
        let call = self.inner.registry.call(id);
        if let Some(call) = &call {
            call.tell(CallInput::Transfer(to));
        }
        call.is_some()
    }

    /// The trunks by name.
    pub fn trunks(&self) -> Vec<TrunkView> {
        let view = |trunk: &Arc<super::trunks::Trunk>| TrunkView {
            id: trunk.definition.id.clone(),
            health: trunk.health(),
            calls: trunk.calls(),
            channels: trunk.definition.channels,
            registration: trunk.registration().map(|own| match own {
                Ok(own) => Ok(own.until.saturating_duration_since(Instant::now())),
                Err(why) => Err(why.to_string()),
            }),
        };
        self.inner.trunks.all().map(view).collect()
    }

    /// Whether a user is in the configuration.
    pub fn knows_user(&self, user: &UserId) -> bool {
        self.inner.users.contains_key(user)
    }

    /// Signs a client token.
    ///
    /// # Errors
    /// The claims ask for more than a token may say.
    pub fn mint(&self, claims: &Claims) -> Result<String, MintError> {
        signaling::mint(&self.inner.token_key, claims, super::unix_now().as_secs())
    }

    /// Takes back one token, which need not be alive any more; `false` where it is not ours.
    pub fn revoke_token(&self, token: &str) -> bool {
        let now = super::unix_now().as_secs();
        match signaling::verify(&self.inner.token_key, token, now) {
            Ok(claims) => {
                let id = signaling::TokenId::of(token);
                self.server.revoke(|revoked| revoked.token(id, claims.exp, now));
                tracing::info!(user.id = %claims.sub, "a token was revoked");
                true
            }
            Err(signaling::TokenError::Expired | signaling::TokenError::Revoked) => true,
            Err(signaling::TokenError::Invalid) => false,
        }
    }

    /// Takes back all tokens of a user that were made up to now; the user's pages are closed.
    pub fn revoke_user(&self, user: &UserId) {
        let now = super::unix_now().as_secs();
        self.server.revoke(|revoked| revoked.user(user.clone(), now));
        tracing::info!(user.id = %user, "all tokens of a user were revoked");
    }

    /// Whether it is being stopped.
    pub fn is_draining(&self) -> bool {
        self.inner.is_draining()
    }

    /// The records.
    pub fn store(&self) -> Arc<Store> {
        self.inner.store.clone()
    }

    /// The metrics.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.inner.metrics.clone()
    }

    /// Brings the gauges that are counted elsewhere up to date.
    pub fn refresh_metrics(&self) {
        for trunk in self.inner.trunks.all() {
            let id = trunk.definition.id.as_str();
            let registered = trunk.registration().map(|own| own.is_ok());
            self.inner.metrics.trunk(id, trunk.health() == Health::Up, registered);
        }
        let media: media::Gauges = self.inner.pool.gauges();
        let sip = self.inner.sip.counts();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let spool = self.inner.store.spool_state();
        self.inner.metrics.set(&Gauges {
            rtp_ports_in_use: count(media.ports),
            sip_transactions: [
                ("client", count(sip.client_transactions)),
                ("server", count(sip.server_transactions)),
                ("", 0),
                ("", 0),
                ("", 0),
            ],
            dialogs: count(sip.dialogs),
            media_sessions: count(media.sessions),
            media_busy: u64::from(media.busy),
            opus_complexity: u64::from(media.complexity),
            media_tick_late: TickLateness {
                upper_us: media::Gauges::LATE_US,
                counts: media.late,
                sum_us: media.late_sum_us,
            },
            spool_bytes: spool.bytes,
            spool_unwritten_bytes: spool.unwritten_bytes,
            spool_behind_s: spool.behind.as_secs(),
            spool_damaged: spool.damaged,
            records_lost: spool.lost,
            recordings: count(self.inner.recorder.active()),
            recordings_kept: self.inner.recorder.counts().kept(),
            recordings_failed: self.inner.recorder.counts().failed(),
            recording_lost_ms: self.inner.recorder.counts().lost_ms(),
        });
    }
}
