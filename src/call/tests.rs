//! Flows of a call, named by their transitions. A flow is told in short lines: what goes in on the
//! left, what must come out as text on the right.

mod flow;
mod handover;
mod inbound;
mod outbound;
mod races;
mod sequences;

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::*;
use crate::base::{CallId, Cause, Party, SessionId, SipStatus, TrunkId, UserId, epoch};

/// A call on a virtual clock and everything that it asked for.
pub(super) struct Flow {
    pub(super) call: Call,
    pub(super) now: Instant,
    pub(super) timeout: Option<Instant>,
    pub(super) records: Vec<(Kept, Record)>,
}

impl Flow {
    pub(super) fn start(caller: LegKind) -> Flow {
        let setup = Setup {
            id: CallId::from_parts(1_700_000_000_000, 7),
            caller,
            trunk: (caller == LegKind::Trunk).then(|| trunk_id("north")),
            from: Party { uri: "alice".into(), ..Party::default() },
            to: Party { uri: "600".into(), ..Party::default() },
            started_at: "2026-11-21T08:00:00.123456Z".parse::<Timestamp>().unwrap(),
        };
        let call = Call::new(epoch(), setup, Limits::default());
        let mut flow = Flow { call, now: epoch(), timeout: None, records: Vec::new() };
        assert_eq!(flow.drain(), ["route"]);
        flow
    }

    /// A page's call that is routed to trunks, one after the other.
    pub(super) fn hunting(trunks: &[&str]) -> Flow {
        let mut flow = Flow::start(LegKind::Page);
        let targets = trunks.iter().map(|t| Target::Trunk(trunk_id(t))).collect();
        flow.push(routed(Targets::Hunt(targets)));
        flow
    }

    /// A trunk's call that rings pages (`user/page`), all at once.
    pub(super) fn ringing(pages: &[&str]) -> Flow {
        let mut flow = Flow::start(LegKind::Trunk);
        let targets = pages.iter().enumerate().map(|(n, user)| page(user, n as u128)).collect();
        let _ = flow.push(routed(Targets::Ring(targets)));
        flow
    }

    /// Gives one input and tells the outputs.
    pub(super) fn push(&mut self, input: Input) -> Vec<String> {
        self.call.handle_input(self.now, input).unwrap();
        self.drain()
    }

    pub(super) fn caller(&mut self, event: LegEvent) -> Vec<String> {
        self.push(Input::Leg(Leg::Caller, event))
    }

    pub(super) fn callee(&mut self, n: u8, event: LegEvent) -> Vec<String> {
        self.push(Input::Leg(Leg::Callee(n), event))
    }

    /// Lets time pass and gives the timeouts that fall into it.
    pub(super) fn pass(&mut self, span: Duration) -> Vec<String> {
        let until = self.now + span;
        let mut told = Vec::new();
        while let Some(at) = self.timeout.filter(|at| *at <= until) {
            self.now = at;
            told.extend(self.push(Input::Timeout));
        }
        self.now = until;
        told
    }

    pub(super) fn drain(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            match self.call.poll_output() {
                Output::Timeout(at) => {
                    self.timeout = at;
                    return told;
                }
                Output::Write(kept, record) => {
                    told.push(format!("write {kept:?}").to_lowercase());
                    self.records.push((kept, *record));
                }
                output => told.push(text(&output)),
            }
        }
    }

    /// The last record that was written, which must be the one of the end.
    pub(super) fn record(&self) -> &Record {
        let (kept, record) = self.records.last().unwrap();
        assert_eq!(*kept, Kept::End);
        record
    }
}

pub(super) fn text(output: &Output) -> String {
    let leg = |leg: &Leg| match leg {
        Leg::Caller => "caller".to_owned(),
        Leg::Callee(n) => n.to_string(),
    };
    let name = |cause: &Cause| serde_json::to_value(cause).unwrap().as_str().unwrap().to_owned();
    let end = |end: &End| {
        let by = format!("{:?}", end.by).to_lowercase();
        let sip = end.sip.as_ref().map_or(String::new(), |sip| format!(" ({sip})"));
        format!("{} by {by}{sip}", name(&end.cause))
    };
    match output {
        Output::Route => "route".into(),
        Output::Dial(l, Target::Trunk(t)) => format!("dial {} {t}", leg(l)),
        Output::Dial(l, Target::Page { user, .. }) => format!("dial {} {user}", leg(l)),
        Output::Dial(l, line @ Target::Line(_)) => format!("dial {} {line}", leg(l)),
        Output::Progress(Progress::Ringing) => "ringing".into(),
        Output::Progress(Progress::EarlyMedia(l)) => format!("early {}", leg(l)),
        Output::Feed(Feed::Ringback) => "feed ringback".into(),
        Output::Feed(Feed::Leg(l)) => format!("feed {}", leg(l)),
        Output::Answer => "answer".into(),
        Output::Connect(l) => format!("connect {}", leg(l)),
        Output::SendTones(l, tones) => format!("send {} tones to {}", tones.len(), leg(l)),
        Output::Cancel(l, cause) => format!("cancel {} {}", leg(l), name(cause)),
        Output::HandOver(HandOver::Rings(l, early)) => format!("{} rings {early:?}", leg(l)),
        Output::HandOver(HandOver::Done { old, new }) => {
            format!("{} in place of {}", leg(new), leg(old))
        }
        Output::HandOver(HandOver::Failed(rejection)) => format!("stays {}", rejection.words()),
        Output::HangUp(l, e) => format!("hang up {} {}", leg(l), end(e)),
        Output::Ended(e) => format!("ended {}", end(e)),
        Output::Write(..) | Output::Timeout(_) => unreachable!("told by drain"),
    }
}

pub(super) fn trunk_id(name: &str) -> TrunkId {
    name.parse().unwrap()
}

pub(super) fn page(user: &str, n: u128) -> Target {
    let user: UserId = user.parse().unwrap();
    Target::Page { user, session: SessionId::from_parts(1, n) }
}

pub(super) fn routed(targets: Targets) -> Input {
    Input::Routed(Decision::Connect(Box::new(Route {
        targets,
        from: None,
        to: Some(Party { uri: "+49301234567".into(), ..Party::default() }),
        rule: Some("national".into()),
        trace: Vec::new(),
        ring: None,
        max_call: None,
    })))
}

/// A refusal by a status that the trunk's `retry_on` does or does not name.
pub(super) fn rejected(status: u16, reason: &str, retry: Retry) -> LegEvent {
    LegEvent::Rejected(Rejection {
        cause: Cause::from_sip(status),
        sip: Some(SipStatus { status, reason: reason.into() }),
        q850: None,
        retry,
    })
}

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
