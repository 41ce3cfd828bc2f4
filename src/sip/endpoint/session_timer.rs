//! Session timers (RFC 4028): both sides agree on an interval and on who says within it that the
//! session lives; where nobody does, it ends.
//!
//! ```text
//! 0                         interval/2                   interval - min(32 s, interval/3)   interval
//! |-- 2xx: timers start     |-- refresher: UPDATE, or    |-- the other side: BYE
//! |                         |   re-INVITE as before      |
//! ```
//!
//! We ask for it in every INVITE. Peers that do not speak it have no timer: nothing is sent to them
//! that they did not ask for.

use std::time::{Duration, Instant};

use super::session::{Deadline, Phase};
use super::{Endpoint, SessionTimer};
use crate::sip::command::{ExtraHeader, Session};
use crate::sip::event::{End, Event};
use crate::sip::header::{MinSe, Reason, Refresher, SessionExpires, TypedHeader};
use crate::sip::make::{Arrived, Reply};
use crate::sip::{MessageExt, Request, Response};

/// The option tag.
pub(super) const TAG: &str = "timer";

/// Which side refreshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Us,
    Peer,
}

/// What holds in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) seconds: u32,
    pub(super) refresher: Side,
}

/// What a request of the peer is granted in its 2xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Granted {
    timer: Timer,
    /// Whether the peer speaks the extension, so that it may be required of it.
    spoken: bool,
}

impl SessionTimer {
    fn seconds(duration: Duration) -> u32 {
        u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
    }
}

impl Endpoint {
    /// The headers of an INVITE that starts a session.
    pub(super) fn first_timer_headers(&self) -> Vec<ExtraHeader> {
        let own = self.config.session_timer;
        let expires = SessionTimer::seconds(own.interval.max(own.shortest));
        let shortest = SessionTimer::seconds(own.shortest);
        vec![
            ExtraHeader::own(SessionExpires::NAME, &expires.to_string()),
            ExtraHeader::own(MinSe::NAME, &shortest.to_string()),
        ]
    }

    /// The headers of a re-INVITE or UPDATE of ours: who refreshes stays as it is.
    pub(super) fn timer_headers(&self, key: Session) -> Vec<ExtraHeader> {
        let mut headers = vec![ExtraHeader::own("Supported", super::SUPPORTED)];
        if let Some(timer) = self.sessions.get(&key).and_then(|session| session.timer) {
            let refresher = match timer.refresher {
                Side::Us => Refresher::Uac,
                Side::Peer => Refresher::Uas,
            };
            let expires = SessionExpires { seconds: timer.seconds, refresher: Some(refresher) };
            headers.push(ExtraHeader::own(SessionExpires::NAME, &expires.to_string()));
        }
        headers
    }

    /// What a request of the peer asks for; an interval too short is refused (RFC 4028 9).
    pub(super) fn timer_of_request(
        &self,
        key: Session,
        request: &Request,
    ) -> Result<Option<Granted>, Reply> {
        let Some(asked) = request.header_ok::<SessionExpires>() else { return Ok(None) };
        let spoken = request.list("Supported").any(|tag| tag.eq_ignore_ascii_case(TAG));
        let shortest = SessionTimer::seconds(self.config.session_timer.shortest);
        if spoken && asked.seconds < shortest {
            return Err(Reply::with_own(422, MinSe::NAME, &shortest.to_string()));
        }
        let before = self.sessions.get(&key).and_then(|session| session.timer);
        let refresher = match (asked.refresher, before) {
            (Some(Refresher::Uas), _) => Side::Us,
            (Some(Refresher::Uac), _) => Side::Peer,
            (None, Some(timer)) => timer.refresher,
            (None, None) if spoken => Side::Peer,
            (None, None) => Side::Us,
        };
        let seconds = asked.seconds.max(shortest);
        Ok(Some(Granted { timer: Timer { seconds, refresher }, spoken }))
    }

    /// What was asked for begins: the headers of the 2xx.
    pub(super) fn grant_timer(&mut self, now: Instant, key: Session) -> Vec<ExtraHeader> {
        let mut headers = vec![ExtraHeader::own("Supported", super::SUPPORTED)];
        let Some(session) = self.sessions.get_mut(&key) else { return headers };
        let Some(granted) = session.granted.take() else {
            // RFC 4028 9: a refresh without the header ends the timer.
            self.set_timer(now, key, None);
            return headers;
        };
        let refresher = match granted.timer.refresher {
            Side::Us => Refresher::Uas,
            Side::Peer => Refresher::Uac,
        };
        let expires = SessionExpires { seconds: granted.timer.seconds, refresher: Some(refresher) };
        headers.push(ExtraHeader::own(SessionExpires::NAME, &expires.to_string()));
        if granted.spoken && refresher == Refresher::Uac {
            headers.push(ExtraHeader::own("Require", TAG));
        }
        self.set_timer(now, key, Some(granted.timer));
        headers
    }

    /// What a 2xx to a request of ours says.
    pub(super) fn timer_of_response(&mut self, now: Instant, key: Session, response: &Response) {
        let timer = response.header_ok::<SessionExpires>().map(|expires| Timer {
            // A shorter one than anybody may ask for would make refreshing a flood.
            seconds: expires.seconds.max(SHORTEST_S),
            refresher: match expires.refresher {
                Some(Refresher::Uas) => Side::Peer,
                Some(Refresher::Uac) | None => Side::Us,
            },
        });
        self.set_timer(now, key, timer);
    }

    fn set_timer(&mut self, now: Instant, key: Session, timer: Option<Timer>) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.timer = timer;
        session.stop_deadline(Deadline::Refresh);
        session.stop_deadline(Deadline::Expired);
        if let Some(timer) = timer {
            let interval = Duration::from_secs(timer.seconds.into());
            if timer.refresher == Side::Us {
                session.set_deadline(Deadline::Refresh, now + interval / 2);
            }
            let before = (interval / 3).min(Duration::from_secs(32));
            session.set_deadline(Deadline::Expired, now + interval - before);
        }
        self.schedule_session(key);
    }

    /// Half the interval is over and it is on us.
    pub(super) fn refresh(&mut self, now: Instant, key: Session) {
        let busy = self.offer_open(key);
        let Some(session) = self.sessions.get(&key) else { return };
        if session.phase != Phase::Confirmed {
            return;
        }
        let (update, described) = (session.takes_update, session.described.clone());
        let going = session.update_out != super::update::UpdateOut::No;
        // Whatever is on its way refreshes, too.
        let sent = if busy || going {
            Ok(())
        } else if update {
            self.send_update(now, key, None)
        } else {
            self.send_reinvite(now, key, described)
        };
        if busy || going || sent.is_err() {
            self.refresh_failed(now, key);
        }
    }

    /// The refresh was refused: another one while there is time.
    pub(super) fn refresh_failed(&mut self, now: Instant, key: Session) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(timer) = session.timer.filter(|timer| timer.refresher == Side::Us) else { return };
        let again = Duration::from_secs(timer.seconds.into()) / 10;
        session.set_deadline(Deadline::Refresh, now + again);
        self.schedule_session(key);
    }

    /// Nobody refreshed: BYE, with the reason (RFC 4028 10).
    pub(super) fn expired(&mut self, now: Instant, key: Session) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.phase != Phase::Confirmed {
            return;
        }
        let tag = session.main_fork().map(|fork| fork.dialog.remote_tag.clone());
        let reason = Reason {
            protocol: "SIP".to_owned(),
            cause: Some(408),
            text: Some("Session expired".to_owned()),
        };
        self.refuse_open_requests(now, key);
        if let Some(tag) = tag {
            self.send_bye(now, key, &tag, ExtraHeader::of(&reason).into_iter().collect());
        }
        self.emit(Event::Ended { session: key, end: End::Expired, reasons: Vec::new() });
        self.finish(key);
    }

    /// 422 to a request of ours: once more, with the interval that the peer takes (RFC 4028 7.4).
    /// `None` where it asks for nothing better than what it got.
    pub(super) fn longer_interval(&self, answer: &Arrived) -> Option<Vec<ExtraHeader>> {
        let least = answer.response.header_ok::<MinSe>()?.seconds;
        let own = SessionTimer::seconds(self.config.session_timer.interval);
        if !(SHORTEST_S..=LONGEST_S).contains(&least) {
            return None;
        }
        Some(vec![
            ExtraHeader::own(SessionExpires::NAME, &least.max(own).to_string()),
            ExtraHeader::own(MinSe::NAME, &least.to_string()),
        ])
    }
}

/// Refreshing is never done more often than every other second.
const SHORTEST_S: u32 = 4;

/// A day: who wants more wants none.
const LONGEST_S: u32 = 86_400;
