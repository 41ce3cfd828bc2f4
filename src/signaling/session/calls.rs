//! The calls of a session: what may be asked about each, and what a page is told that comes back.

use std::collections::{BTreeMap, VecDeque};

use crate::base::{CallId, DialString, Digit, E164, Party};
use crate::signaling::{
    CallIncoming, CallStart, CallState, CallView, Direction, ErrorCode, Event, HeldBy,
    Phase as Key, Refusal, Reply, RequestId, Verified,
};

/// The calls of one session, ended ones among them: a retry must find its call.
#[derive(Debug, Default)]
pub(super) struct Calls(VecDeque<PageCall>);

/// One of them.
#[derive(Debug)]
pub(super) struct PageCall {
    pub(super) id: CallId,
    pub(super) phase: Phase,
    /// What was dialled, of a call of the page's own.
    pub(super) dialled: Option<(DialString, Option<E164>)>,
    /// Further requests that wait for the same answer.
    pub(super) waiting: Vec<RequestId>,
    pub(super) outcome: Option<Result<Reply, Refusal>>,
    /// Whether an offer of the gateway waits for the page's answer.
    pub(super) offered: bool,
    pub(super) muted: bool,
    held: Option<HeldBy>,
    state: CallState,
    from: Party,
    to: Party,
    metadata: BTreeMap<String, String>,
    verified: Option<Verified>,
    /// The gateway's offer of a call that rings.
    sdp: Option<String>,
    answered_at: Option<u64>,
    /// What the phone side pressed, with the number of the event.
    digits: VecDeque<(u64, Digit)>,
    /// The key that is down.
    down: Option<Digit>,
}

/// How far a call is, for what may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Incoming,
    Live,
    Ended,
}

impl Calls {
    pub(super) fn find(&self, id: CallId) -> Result<&PageCall, Refusal> {
        let call = self.0.iter().find(|call| call.id == id);
        call.ok_or_else(|| Refusal::new(ErrorCode::SignalUnknownCall))
    }

    pub(super) fn find_mut(&mut self, id: CallId) -> Option<&mut PageCall> {
        self.0.iter_mut().find(|call| call.id == id)
    }

    /// A call of the page's own.
    pub(super) fn start(&mut self, start: &CallStart, dialled: (DialString, Option<E164>)) {
        let mut call = PageCall::new(start.call, Phase::Starting, CallState::Connecting);
        call.from.number.clone_from(&start.from);
        call.to.uri = start.to.as_str().to_owned();
        call.metadata.clone_from(&start.metadata);
        call.dialled = Some(dialled);
        self.remember(call);
    }

    /// The gateway answered `call.start`; gives the other requests that wait for it.
    pub(super) fn started(
        &mut self,
        id: CallId,
        outcome: &Result<Reply, Refusal>,
    ) -> Vec<RequestId> {
        let Some(call) = self.find_mut(id) else { return Vec::new() };
        if call.phase == Phase::Starting {
            call.phase = if outcome.is_ok() { Phase::Live } else { Phase::Ended };
        }
        if let Ok(Reply::Started { to, .. }) = outcome {
            call.to.number = to.parse().ok();
        }
        call.outcome = Some(outcome.clone());
        std::mem::take(&mut call.waiting)
    }

    /// Takes an event that goes to the page as number `seq`, at `unix_ms`.
    pub(super) fn note(&mut self, event: &Event, seq: u64, unix_ms: u64) {
        match event {
            Event::CallIncoming(incoming) => self.remember(PageCall::incoming(incoming)),
            Event::CallState { call, state, .. } => {
                let Some(call) = self.find_mut(*call).filter(|c| c.phase != Phase::Ended) else {
                    return;
                };
                call.state = *state;
                if *state == CallState::Active {
                    call.phase = Phase::Live;
                    call.sdp = None;
                    call.answered_at.get_or_insert(unix_ms);
                }
            }
            Event::CallEnded { call, .. } | Event::CallCancelled { call, .. } => {
                if let Some(call) = self.find_mut(*call) {
                    call.end();
                }
            }
            Event::CallHeld { call, by } => {
                if let Some(call) = self.find_mut(*call) {
                    call.held = *by;
                }
            }
            Event::CallMedia { call, .. } => {
                if let Some(call) = self.find_mut(*call) {
                    call.offered = true;
                }
            }
            Event::Dtmf { call, tone, phase, .. } => {
                if let Some(call) = self.find_mut(*call) {
                    call.pressed(seq, *tone, *phase);
                }
            }
            _ => {}
        }
    }

    /// The call whose peer connection can carry an event, too: one that goes on.
    pub(super) fn copied(&self, event: &Event) -> Option<CallId> {
        let call = event.of_call_in_progress()?;
        self.0.iter().any(|own| own.id == call && own.phase == Phase::Live).then_some(call)
    }

    /// How many have not ended.
    pub(super) fn live(&self) -> usize {
        self.0.iter().filter(|call| call.phase != Phase::Ended).count()
    }

    /// The live ones, with the digits of the events before `seq`.
    pub(super) fn views(&self, seq: u64) -> Vec<CallView> {
        self.0.iter().filter(|call| call.phase != Phase::Ended).map(|call| call.view(seq)).collect()
    }

    /// The page has another socket: what the old one asked is not answered any more.
    pub(super) fn forget_waiting(&mut self) {
        for call in &mut self.0 {
            call.waiting.clear();
        }
    }

    /// Keeps a call; the oldest ended one is forgotten when there are too many.
    fn remember(&mut self, call: PageCall) {
        if self.0.iter().any(|known| known.id == call.id) {
            return;
        }
        if self.0.len() >= MAX_REMEMBERED
            && let Some(at) = self.0.iter().position(|c| c.phase == Phase::Ended)
        {
            self.0.remove(at);
        }
        self.0.push_back(call);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl PageCall {
    fn new(id: CallId, phase: Phase, state: CallState) -> PageCall {
        PageCall {
            id,
            phase,
            dialled: None,
            waiting: Vec::new(),
            outcome: None,
            offered: false,
            muted: false,
            held: None,
            state,
            from: Party::default(),
            to: Party::default(),
            metadata: BTreeMap::new(),
            verified: None,
            sdp: None,
            answered_at: None,
            digits: VecDeque::new(),
            down: None,
        }
    }

    fn incoming(incoming: &CallIncoming) -> PageCall {
        let mut call = PageCall::new(incoming.call, Phase::Incoming, CallState::Ringing);
        call.from.clone_from(&incoming.from);
        call.to.clone_from(&incoming.to);
        call.metadata.clone_from(&incoming.metadata);
        call.verified = incoming.verified;
        call.sdp = Some(incoming.sdp.clone());
        call
    }

    /// What is needed of an ended call is its answer.
    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.sdp = None;
        self.digits = VecDeque::new();
        self.metadata = BTreeMap::new();
    }

    fn pressed(&mut self, seq: u64, tone: Digit, phase: Key) {
        // An end without its start is a digit, too.
        if phase == Key::Start || self.down != Some(tone) {
            self.digits.push_back((seq, tone));
            if self.digits.len() > MAX_DIGITS {
                self.digits.pop_front();
            }
        }
        self.down = (phase == Key::Start).then_some(tone);
    }

    fn view(&self, seq: u64) -> CallView {
        let before = self.digits.iter().filter(|(at, _)| *at < seq);
        CallView {
            call: self.id,
            direction: match self.dialled {
                Some(_) => Direction::Outgoing,
                None => Direction::Incoming,
            },
            state: self.state,
            from: self.from.clone(),
            to: self.to.clone(),
            metadata: self.metadata.clone(),
            verified: self.verified,
            sdp: self.sdp.clone().filter(|_| self.phase == Phase::Incoming),
            answered_at: self.answered_at,
            muted: self.muted,
            held: matches!(self.held, Some(HeldBy::Local | HeldBy::Both)),
            held_by_remote: matches!(self.held, Some(HeldBy::Remote | HeldBy::Both)),
            digits: before.map(|(_, digit)| digit.as_char()).collect(),
        }
    }
}

/// Ended calls stay known for retries; with this many a retry finds its call for minutes.
pub(super) const MAX_REMEMBERED: usize = 64;
/// Digits told to a page that was loaded again.
const MAX_DIGITS: usize = 256;
