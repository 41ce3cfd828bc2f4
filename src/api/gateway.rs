//! The gateway as the API's backend.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::backend::{
    Backend, DemoPhone, DigitsToSend, Hint, HoldWish, LiveCall, PlanVersionView, PlanView,
    PutRefused, Readiness, RefusedPlan, Registration, TestingTrunk, TrunkReport, TrunkState,
    TrunkStep, TrunkView, Unknown, UserView,
};
use crate::base::{CallId, E164, Finding, TrunkId, UserId};
use crate::dialplan::{Decision, Region};
use crate::gateway::{CallOrder, Delivery, Events, NotStarted, SipMessage, WebhookView};
use crate::gateway::{
    Gateway, Hold, NotExplained, NotPlayed, PlanQuestion, PlanVersion, PutPlanError, RecordingWish,
    StepOutcome, Timeline, VoicemailView,
};
use crate::recording::Folder;
use crate::signaling::{Claims, MintError, TransferTo, Words};
use crate::store::Cursor;
use crate::trunk::Health;

/// A running gateway behind the API.
pub struct GatewayBackend {
    gateway: Gateway,
    demo: Option<Demo>,
}

/// What makes a gateway a demo: its page signs itself in.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The demo's user.
    pub user: UserId,
    /// What to dial.
    pub hints: Vec<Hint>,
}

impl GatewayBackend {
    /// A gateway, with what its page starts with where it is a demo.
    pub fn new(gateway: Gateway, demo: Option<Demo>) -> GatewayBackend {
        GatewayBackend { gateway, demo }
    }
}

impl Backend for GatewayBackend {
    fn calls(&self, after: Option<Cursor>, limit: usize) -> (Vec<LiveCall>, Option<Cursor>) {
        let shown =
            |call: crate::gateway::CallView| LiveCall { state: call.state, record: call.record };
        let (calls, next) = self.gateway.calls(after, limit);
        (calls.into_iter().map(shown).collect(), next)
    }

    fn call(&self, id: CallId) -> Option<LiveCall> {
        let call = self.gateway.call(id)?;
        Some(LiveCall { state: call.state, record: call.record })
    }

    fn timeline(&self, id: CallId) -> Option<Timeline> {
        self.gateway.timeline(id)
    }

    fn signalling(&self, id: CallId) -> Vec<SipMessage> {
        self.gateway.signalling(id)
    }

    fn hang_up(&self, id: CallId) -> Result<(), Unknown> {
        if self.gateway.hang_up(id) { Ok(()) } else { Err(Unknown) }
    }

    fn hold(&self, id: CallId, wish: HoldWish) -> Result<(), Unknown> {
        let hold = match wish {
            HoldWish::Hold => Hold::On,
            HoldWish::Unhold => Hold::Off,
        };
        if self.gateway.hold(id, hold) { Ok(()) } else { Err(Unknown) }
    }

    fn transfer(&self, id: CallId, to: TransferTo) -> Result<(), Unknown> {
        if self.gateway.transfer(id, to) { Ok(()) } else { Err(Unknown) }
    }

    fn send_digits(&self, id: CallId, digits: &DigitsToSend) -> Result<(), Unknown> {
        let tones = digits.tones.items(digits.tone, digits.gap);
        if self.gateway.send_digits(id, tones) { Ok(()) } else { Err(Unknown) }
    }

    fn message(&self, id: CallId, data: Words) -> Result<(), Unknown> {
        if self.gateway.message(id, data) { Ok(()) } else { Err(Unknown) }
    }

    fn start_call(&self, order: CallOrder) -> Result<CallId, NotStarted> {
        self.gateway.start_call(order)
    }

    fn webhooks(&self) -> Vec<WebhookView> {
        self.gateway.webhooks()
    }

    fn deliveries(&self, webhook: &str) -> Option<Vec<Delivery>> {
        self.gateway.deliveries(webhook)
    }

    fn redeliver(&self, webhook: &str, id: &str) -> bool {
        self.gateway.redeliver(webhook, id)
    }

    fn events(&self) -> Arc<Events> {
        self.gateway.events()
    }

    fn users(&self) -> Vec<UserView> {
        let calls = self.gateway.calls_of_users();
        let shown = |user: crate::gateway::UserView| UserView {
            calls: calls.get(&user.id).copied().unwrap_or_default(),
            country: user.country.map(|country| country.to_string()),
            pages: user.pages,
            id: user.id,
        };
        self.gateway.users().into_iter().map(shown).collect()
    }

    fn trunks(&self) -> Vec<TrunkView> {
        let shown = |trunk: crate::gateway::TrunkView| TrunkView {
            id: trunk.id,
            state: match trunk.health {
                Health::Up => TrunkState::Up,
                Health::Down => TrunkState::Down,
            },
            calls: trunk.calls,
            channels: trunk.channels,
            registration: trunk.registration.map(|own| match own {
                Ok(left) => Registration::Registered {
                    expires_in_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
                },
                Err(reason) => Registration::NotRegistered { reason },
            }),
        };
        self.gateway.trunks().into_iter().map(shown).collect()
    }

    fn test_trunk(&self, id: &TrunkId, number: Option<E164>) -> TestingTrunk {
        let (gateway, id) = (self.gateway.clone(), id.clone());
        Box::pin(async move {
            let test = gateway.test_trunk(&id, number).await?;
            let steps: Vec<TrunkStep> = test.steps.into_iter().map(shown_step).collect();
            let passed = steps.iter().all(|step| step.outcome != "failed");
            Some(TrunkReport { trunk: test.trunk, passed, steps })
        })
    }

    fn knows_user(&self, user: &UserId) -> bool {
        self.gateway.knows_user(user)
    }

    fn mint(&self, claims: &Claims) -> Result<String, MintError> {
        self.gateway.mint(claims)
    }

    fn revoke_token(&self, token: &str) -> bool {
        self.gateway.revoke_token(token)
    }

    fn revoke_user(&self, user: &UserId) {
        self.gateway.revoke_user(user);
    }

    fn readiness(&self) -> Readiness {
        if self.gateway.is_draining() { Readiness::Draining } else { Readiness::Ready }
    }

    fn refresh_metrics(&self) {
        self.gateway.refresh_metrics();
    }

    fn plan(&self) -> PlanView {
        let plan = self.gateway.plan();
        let refused = self.gateway.refused_plan();
        PlanView {
            file: self.gateway.plan_path(),
            hash: plan.hash.clone(),
            loaded_at: plan.loaded_at,
            warnings: plan.warnings.clone(),
            refused: refused.map(|r| RefusedPlan { at: r.at, findings: r.findings.clone() }),
            text: plan.text.clone(),
        }
    }

    fn plan_versions(&self) -> Vec<PlanVersionView> {
        let view = |own: PlanVersion| PlanVersionView {
            hash: own.hash,
            loaded_at: own.loaded_at,
            text: own.text.to_string(),
        };
        self.gateway.plan_versions().into_iter().map(view).collect()
    }

    fn check_plan(&self, text: &str) -> Vec<Finding> {
        self.gateway.check_plan(text)
    }

    fn put_plan(&self, text: &str, made_from: Option<&str>) -> Result<(), PutRefused> {
        self.gateway.put_plan(text, made_from).map_err(|error| match error {
            PutPlanError::Findings(findings) => PutRefused::Findings(findings),
            PutPlanError::Unwritable(_) => PutRefused::Unwritable(error.to_string()),
            PutPlanError::Changed { .. } | PutPlanError::FileDiffers => {
                PutRefused::Changed(error.to_string())
            }
        })
    }

    fn explain(
        &self,
        question: &PlanQuestion,
        text: Option<&str>,
    ) -> Result<(Decision, Vec<String>), NotExplained> {
        self.gateway.explain(question, text)
    }

    fn release(&self, user: &UserId, region: Region) {
        self.gateway.release(user, region);
    }

    fn record(&self, id: CallId, wish: RecordingWish) -> Result<(), Unknown> {
        if self.gateway.record(id, wish) { Ok(()) } else { Err(Unknown) }
    }

    fn play(&self, id: CallId, file: Option<&str>) -> Result<(), NotPlayed> {
        self.gateway.play(id, file)
    }

    fn recordings(&self) -> Arc<Folder> {
        self.gateway.recordings()
    }

    fn voicemails(&self) -> Vec<VoicemailView> {
        self.gateway.voicemails()
    }

    fn voicemail_sound(&self, id: &str) -> Option<Vec<u8>> {
        self.gateway.voicemail_sound(id)
    }

    fn remove_voicemail(&self, id: &str) -> std::io::Result<bool> {
        self.gateway.remove_voicemail(id)
    }

    fn demo_phone(&self) -> Option<DemoPhone> {
        let demo = self.demo.as_ref()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = Claims::new(demo.user.clone(), (now + DEMO_TOKEN).as_secs());
        let token = self.gateway.mint(&claims).ok()?;
        Some(DemoPhone { token, user: demo.user.clone(), hints: demo.hints.clone() })
    }
}

fn shown_step(step: crate::gateway::TestStep) -> TrunkStep {
    TrunkStep {
        name: step.name,
        outcome: match step.outcome {
            StepOutcome::Fine => "fine",
            StepOutcome::Failed => "failed",
            StepOutcome::Skipped => "skipped",
        },
        found: step.found,
        took_ms: u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
    }
}

/// The page of a demo asks again at each connection.
const DEMO_TOKEN: Duration = Duration::from_secs(3600);
