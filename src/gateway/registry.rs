//! Who and what is live: calls, the SIP sessions that belong to them, pages.
//!
//! One lock, held for a lookup and never across an `await`. Every entry has an owner that takes it
//! out again: a call's supervisor, a page's `Closed`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, watch};

use super::Timeline;
use super::call_task::CallInput;
use super::surface::CallView;
use crate::base::{CallId, SessionId, UserId};
use crate::signaling::Claims;
use crate::signaling::socket::Page;
use crate::sip;
use crate::store::Cursor;

/// The live calls, sessions and pages of one gateway.
pub(super) struct Registry {
    inner: Mutex<Inner>,
    /// How many calls are live.
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    calls: HashMap<CallId, LiveCall>,
    sip: HashMap<sip::Session, CallId>,
    /// Calls that have become part of another one, by the ids that their pages go on to use.
    joined: HashMap<CallId, CallId>,
    pages: HashMap<SessionId, LivePage>,
    /// What happened in the calls that ended last.
    ended: VecDeque<(CallId, Timeline)>,
}

/// A call from outside its task.
#[derive(Clone)]
pub(super) struct LiveCall {
    /// The way to its task; bounded.
    pub inbox: mpsc::Sender<CallInput>,
    /// Rung when the inbox was full: the call ends rather than miss something.
    pub overrun: Arc<Notify>,
    /// What it is at the moment.
    pub view: Arc<Mutex<CallView>>,
    /// What has happened in it.
    pub timeline: Arc<Mutex<Timeline>>,
    /// Its place in the list of calls.
    pub place: Cursor,
}

/// A page whose token was good.
#[derive(Clone)]
pub(super) struct LivePage {
    pub claims: Claims,
    pub page: Page,
    /// Whether it has a connection; without one it keeps its calls and is not rung.
    pub there: bool,
}

impl LiveCall {
    /// Hands the call something, never waiting.
    pub fn tell(&self, input: CallInput) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.inbox.try_send(input) {
            self.overrun.notify_one();
        }
    }

    /// What the call is at the moment.
    pub fn view(&self) -> CallView {
        self.look(CallView::clone)
    }

    /// Something of what the call is at the moment.
    pub fn look<T>(&self, of: impl FnOnce(&CallView) -> T) -> T {
        of(&self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What has happened in it so far.
    pub fn timeline(&self) -> Timeline {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Registry {
    pub fn new() -> Registry {
        Registry { inner: Mutex::default(), count: watch::Sender::new(0) }
    }

    /// Enters a call; `false` where the id is taken.
    pub fn add_call(&self, id: CallId, call: LiveCall) -> bool {
        let mut inner = self.lock();
        if inner.calls.contains_key(&id) || inner.joined.contains_key(&id) {
            return false;
        }
        inner.calls.insert(id, call);
        self.count.send_replace(inner.calls.len());
        true
    }

    /// Takes a call out, with the SIP sessions that still point to it.
    pub fn remove_call(&self, id: CallId) -> Vec<sip::Session> {
        let mut inner = self.lock();
        inner.joined.retain(|_, call| *call != id);
        if let Some(call) = inner.calls.remove(&id) {
            if inner.ended.len() == ENDED {
                inner.ended.pop_front();
            }
            inner.ended.push_back((id, call.timeline()));
        }
        let sessions: Vec<sip::Session> =
            inner.sip.iter().filter(|(_, call)| **call == id).map(|(s, _)| *s).collect();
        for session in &sessions {
            inner.sip.remove(session);
        }
        self.count.send_replace(inner.calls.len());
        sessions
    }

    pub fn call(&self, id: CallId) -> Option<LiveCall> {
        self.lock().calls.get(&id).cloned()
    }

    /// The call that a page knows by this id: another one, where it was joined with that.
    pub fn call_of_page(&self, id: CallId) -> Option<LiveCall> {
        let inner = self.lock();
        inner.calls.get(inner.joined.get(&id).unwrap_or(&id)).cloned()
    }

    /// A page goes on to know the call `to` by this id, if that is still on.
    pub fn go_by(&self, known: CallId, to: CallId) {
        let mut inner = self.lock();
        if inner.calls.contains_key(&to) {
            inner.joined.insert(known, to);
        }
    }

    pub fn calls(&self) -> Vec<LiveCall> {
        self.lock().calls.values().cloned().collect()
    }

    /// At most so many calls from a place on, oldest first, and whether there are more. Only what it
    /// gives is copied.
    pub fn calls_after(&self, after: Option<Cursor>, limit: usize) -> (Vec<LiveCall>, bool) {
        let inner = self.lock();
        let fits = |call: &&LiveCall| after.is_none_or(|after| call.place > after);
        let mut found: Vec<&LiveCall> = inner.calls.values().filter(fits).collect();
        found.sort_unstable_by_key(|call| call.place);
        let more = found.len() > limit;
        (found.into_iter().take(limit).cloned().collect(), more)
    }

    /// The timeline of a call that is live or ended a while ago.
    pub fn timeline(&self, id: CallId) -> Option<Timeline> {
        let inner = self.lock();
        match inner.calls.get(&id) {
            Some(call) => Some(call.timeline()),
            None => inner.ended.iter().rev().find(|(call, _)| *call == id).map(|(_, t)| t.clone()),
        }
    }

    /// Follows the number of live calls.
    pub fn watch_count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    pub fn add_sip(&self, session: sip::Session, call: CallId) {
        self.lock().sip.insert(session, call);
    }

    /// A SIP session goes into another call, if that is still on.
    pub fn move_sip(&self, session: sip::Session, to: CallId) {
        let mut inner = self.lock();
        if inner.calls.contains_key(&to) {
            inner.sip.insert(session, to);
        }
    }

    pub fn remove_sip(&self, session: sip::Session) {
        self.lock().sip.remove(&session);
    }

    /// The SIP sessions of a call that are alive.
    pub fn sips_of(&self, call: CallId) -> Vec<sip::Session> {
        let inner = self.lock();
        inner.sip.iter().filter(|(_, own)| **own == call).map(|(session, _)| *session).collect()
    }

    pub fn call_of_sip(&self, session: sip::Session) -> Option<LiveCall> {
        let inner = self.lock();
        inner.sip.get(&session).and_then(|call| inner.calls.get(call)).cloned()
    }

    pub fn add_page(&self, session: SessionId, page: LivePage) {
        self.lock().pages.insert(session, page);
    }

    /// The page's new rights.
    pub fn renew_page(&self, session: SessionId, claims: Claims) {
        if let Some(page) = self.lock().pages.get_mut(&session) {
            page.claims = claims;
        }
    }

    /// The page has lost its connection.
    pub fn set_away(&self, session: SessionId) {
        if let Some(page) = self.lock().pages.get_mut(&session) {
            page.there = false;
        }
    }

    /// The page is here again, with these rights.
    pub fn set_back(&self, session: SessionId, claims: Claims) {
        if let Some(page) = self.lock().pages.get_mut(&session) {
            page.there = true;
            page.claims = claims;
        }
    }

    pub fn remove_page(&self, session: SessionId) {
        self.lock().pages.remove(&session);
    }

    pub fn page(&self, session: SessionId) -> Option<LivePage> {
        self.lock().pages.get(&session).cloned()
    }

    pub fn pages(&self) -> Vec<LivePage> {
        self.lock().pages.values().cloned().collect()
    }

    /// The pages of a user that are there and may take calls, the newest first.
    pub fn pages_of(&self, user: &UserId) -> Vec<SessionId> {
        let inner = self.lock();
        let mut sessions: Vec<SessionId> = inner
            .pages
            .iter()
            .filter(|(_, p)| {
                p.there && p.claims.sub == *user && p.claims.allows(crate::signaling::Scope::CallIn)
            })
            .map(|(session, _)| *session)
            .collect();
        sessions.sort_by(|a, b| b.cmp(a));
        sessions
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held; were it so, the tables are still whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ended calls whose timelines are kept: a minute or two of a busy gateway, all day of a quiet one.
const ENDED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Party, epoch};
    use crate::call::{Call, LegKind, Limits, Setup};

    fn call(n: u128, second: i64) -> (CallId, LiveCall) {
        let id = CallId::from_parts(1_700_000_000_000, n);
        let started_at = jiff::Timestamp::from_second(second).unwrap();
        let (from, to) = (Party::default(), Party::default());
        let setup = Setup { id, caller: LegKind::Page, trunk: None, from, to, started_at };
        let engine = Call::new(epoch(), setup, Limits::default());
        let view = CallView { state: engine.state(), record: engine.record().clone() };
        let live = LiveCall {
            inbox: mpsc::channel(1).0,
            overrun: Arc::default(),
            view: Arc::new(Mutex::new(view)),
            timeline: Arc::new(Mutex::new(Timeline::new(started_at))),
            place: Cursor::of(engine.record()),
        };
        (id, live)
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended_oldest_first() {
        let registry = Registry::new();
        // Pages make the ids of their calls: the order is that of the starts.
        let calls = [call(3, 100), call(1, 101), call(2, 101), call(9, 99), call(4, 102)];
        let wanted = [3, 0, 1, 2, 4].map(|n| calls[n].0);
        for (id, call) in calls {
            assert!(registry.add_call(id, call));
        }
        let ids = |page: &[LiveCall]| page.iter().map(|c| c.view().record.id).collect::<Vec<_>>();
        let (first, more) = registry.calls_after(None, 2);
        assert_eq!((ids(&first), more), (wanted[..2].to_vec(), true));
        // What ends meanwhile moves nothing.
        registry.remove_call(wanted[1]);
        let (second, more) = registry.calls_after(Some(first[1].place), 3);
        assert_eq!((ids(&second), more), (wanted[2..].to_vec(), false));
        assert!(registry.calls_after(Some(second[2].place), 1).0.is_empty());
    }
}
