//! What the API and the operator see of a running gateway, and what they may do to it.

use std::sync::Arc;

use super::call_task::CallInput;
use super::{Gateway, Timeline};
use crate::base::{CallId, Cause, TrunkId, UserId};
use crate::call::{Record, State};
use crate::signaling::{self, Claims, MintError};
use crate::store::Store;
use crate::telemetry::{Gauges, Metrics};
use crate::trunk::Health;

/// A call in progress: where it is and its record so far.
#[derive(Debug, Clone, PartialEq)]
pub struct CallView {
    /// Where it is.
    pub state: State,
    /// What is known of it.
    pub record: Record,
    /// What became of its digits.
    pub timeline: Timeline,
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
}

impl Gateway {
    /// The calls in progress, in no order.
    pub fn calls(&self) -> Vec<CallView> {
        self.inner.registry.calls().iter().map(|call| call.view()).collect()
    }

    /// One call in progress.
    pub fn call(&self, id: CallId) -> Option<CallView> {
        self.inner.registry.call(id).map(|call| call.view())
    }

    /// Ends a call; `false` where no such call is in progress.
    pub fn hang_up(&self, id: CallId) -> bool {
        let call = self.inner.registry.call(id);
        if let Some(call) = &call {
            call.tell(CallInput::End(Cause::Hangup));
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
        let media = self.inner.pool.gauges();
        let sip = self.inner.sip.counts();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
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
            spool_bytes: self.inner.store.spool_bytes(),
        });
    }
}
