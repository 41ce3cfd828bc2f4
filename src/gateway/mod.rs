//! The composition root: takes a configuration, starts media, SIP, store and signalling, and runs
//! one task per call between them.

mod accounts;
mod call_task;
mod call_trace;
mod deliveries;
mod events;
mod health;
mod hep;
mod identity;
mod outgoing;
mod pages;
mod plans;
mod probes;
mod registrations;
mod registry;
mod requests;
mod ringing;
mod routing;
mod sip_events;
mod sip_trace;
mod sip_words;
mod start;
mod surface;
mod timeline;
mod timeline_view;
mod traces;
mod trunk_test;
mod trunks;
mod voicemail;
mod webhooks;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::base::{CallId, UserId};
use crate::config::{Drain, User};
use crate::recording::Recorder;
use crate::sip::{Command, Destination, Dns, Handle, Transport};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::{media, signaling};

pub use crate::media::Hold;
pub use crate::sip::Transport as SipTransport;
pub use call_task::{CallOrder, NotStarted, RecordingWish};
pub use deliveries::{Attempt, Delivery, DeliveryState};
pub use events::{Events, Happening, Since};
pub use plans::{PlanInForce, PlanRefused, PlanVersion, PutPlanError};
pub use sip_trace::SipMessage;
use start::features as features_of;
pub use start::{Gateway, StartError};
pub use surface::{CallView, NotExplained, NotPlayed, PlanQuestion, TrunkView, UserView};
pub use timeline::{Entry, Timeline};
pub use timeline_view::TimelineRow;
pub use trunk_test::{StepOutcome, TestStep, TrunkTest};
pub use voicemail::VoicemailView;
pub use webhooks::WebhookView;

/// What all tasks of one gateway share.
struct Inner {
    plans: plans::Plans,
    users: BTreeMap<UserId, User>,
    trunks: trunks::Trunks,
    /// What users may spend, and have spent.
    accounts: Arc<accounts::Accounts>,
    /// How long users have been without a call.
    idle: Arc<ringing::IdleUsers>,
    /// What calls have learnt about trunks.
    trunk_news: mpsc::Sender<health::News>,
    registry: registry::Registry,
    /// Requests outside of calls that wait for their answers.
    requests: requests::Requests,
    /// What happens, for those who follow it.
    events: Arc<Events>,
    /// What is said over SIP.
    sip_trace: Arc<sip_trace::SipTrace>,
    webhooks: Arc<webhooks::Webhooks>,
    /// Traces of calls to a collector, where one is configured.
    traces: Option<traces::Traces>,
    /// What is said to a collector, where one is configured.
    hep: Option<hep::Hep>,
    /// Test calls.
    probes: probes::Probes,
    pool: media::Pool,
    sip: Handle,
    dns: Dns,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    voicemails: Arc<voicemail::Voicemails>,
    recorder: Recorder,
    /// Our addresses by transport, as trunks are told.
    sip_addresses: Vec<(Transport, SocketAddr)>,
    token_key: signaling::TokenKey,
    draining: AtomicBool,
    /// How long calls may go on when it is stopped, and where pages go.
    drain: Drain,
}

impl Inner {
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A stream to this address is gone.
    fn flow_lost(&self, remote: SocketAddr) {
        self.trunks.flow_lost(remote);
    }

    /// The address of ours that goes with a destination.
    fn sip_address(&self, destination: &Destination) -> SocketAddr {
        let same = |(transport, _): &&(Transport, SocketAddr)| *transport == destination.transport;
        let address = self.sip_addresses.iter().find(same).or(self.sip_addresses.first());
        address.map_or(SocketAddr::from(([127, 0, 0, 1], 5060)), |(_, address)| *address)
    }

    /// Gives the SIP endpoint a command. One that has stopped takes none: the process is ending.
    async fn sip(&self, command: Command) {
        if self.sip.send(command).await.is_err() {
            tracing::debug!("SIP has stopped");
        }
    }

    /// The country whose ringback pages hear.
    fn ringback_country(&self) -> String {
        self.plans.in_force().plan.default_country().as_str().to_owned()
    }

    /// An id for a call that a trunk brings.
    fn new_call_id(&self) -> CallId {
        CallId::from_parts(unix_now().as_millis() as u64, u128::from(random_u64()) << 16)
    }
}

impl Inner {
    /// A Call-ID that no other has (RFC 3261 8.1.1.4).
    fn new_sip_call_id(&self) -> String {
        format!("{:016x}{:016x}", random_u64(), random_u64())
    }
}

/// Starts a task under a name; the name is in its logs.
fn spawn<F>(name: &'static str, task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(task.instrument(tracing::debug_span!("task", name)))
}

/// Wall time since 1970; zero for a clock before that.
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// 5 to 30 seconds, so that those who are refused together do not come back together.
fn retry_after() -> u32 {
    5 + (random_u64() % 26) as u32
}

fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    // Without entropy there is no DTLS either; these are names and pauses, not secrets.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
