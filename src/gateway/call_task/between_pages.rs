//! A call from one page to another: each has a media session, and the two are joined by an RTP leg
//! between them on this machine. Both speak Opus, so packets are passed on as they come; what makes a
//! trunk's call whole (digits, hold, other peer connections on either side) works here the same way.

use std::net::IpAddr;

use super::legs::{Callee, Caller};
use super::machine::CallTask;
use crate::base::Cause;
use crate::call::{Input, Leg, LegEvent, State};
use crate::media::{self, Hold, Phase, RelayPolicy, TrunkCodec, TrunkMedia};
use crate::sdp::AddressPolicy;
use crate::signaling::{CallState, ErrorCode, Event, HeldBy, Refusal};

impl CallTask {
    /// The page that took the call and the page that placed it hear each other.
    pub(super) async fn join_pages(&mut self, n: u8) {
        let Some(Callee::Page(page)) = self.callees.get(usize::from(n)) else { return };
        let Some(caller) = &self.media else { return };
        match join(caller, &page.media, self.gateway.pool.own_address()).await {
            Ok(codec) => {
                let codec = codec.to_owned();
                page.page.event(Event::state(self.id, CallState::Active, Some(codec.clone())));
                self.feed(Input::Leg(Leg::Callee(n), LegEvent::Codec(codec)));
            }
            Err(error) => {
                tracing::warn!(call.id = %self.id, %error, "two pages cannot be joined");
                self.feed(Input::End(Cause::MediaFailed));
            }
        }
    }

    /// Whether an answered call has a page at either end.
    pub(super) fn is_between_pages(&self) -> bool {
        match self.engine.talking() {
            Some((caller, callee)) => {
                self.page_of(caller).is_some() && self.page_of(callee).is_some()
            }
            None => matches!(self.caller, Caller::Page(_)) && self.answered_page().is_some(),
        }
    }

    /// The two pages that hear each other, the caller's side first.
    pub(super) fn pages_that_talk(&self) -> Option<(Leg, Leg)> {
        let pair = self.engine.talking().filter(|_| self.engine.state() == State::Connected)?;
        let both = self.page_of(pair.0).is_some() && self.page_of(pair.1).is_some();
        both.then_some(pair)
    }

    /// One page holds the other, or lets it go.
    pub(super) async fn hold_page(&mut self, leg: Leg, wanted: Hold) -> Result<(), Refusal> {
        let wrong_state = || Refusal::new(ErrorCode::SignalWrongState);
        let (caller, callee) = self.pages_that_talk().ok_or_else(wrong_state)?;
        if self.handing.is_some() || (leg != caller && leg != callee) {
            return Err(wrong_state());
        }
        let other = if leg == caller { callee } else { caller };
        let (Some(own), Some(far)) = (self.media_of_page(leg), self.media_of_page(other)) else {
            return Err(wrong_state());
        };
        hold(own, far, wanted, self.gateway.pool.own_address()).await.map_err(|error| {
            tracing::warn!(call.id = %self.id, %error, "one page cannot hold the other");
            super::page_leg::media_refusal(error)
        })?;
        match leg == caller {
            true => self.holding.wanted = wanted,
            false => self.holding.callee_wants = wanted,
        }
        let (caller_wants, callee_wants) = (self.holding.wanted, self.holding.callee_wants);
        for (leg, own, far) in
            [(caller, caller_wants, callee_wants), (callee, callee_wants, caller_wants)]
        {
            if let Some(page) = self.page_of(leg) {
                page.event(Event::CallHeld { call: self.id, by: held_by(own, far) });
            }
        }
        Ok(())
    }
}

/// Opens an RTP leg from one session to the other; gives the name of the codec.
pub(super) async fn join(
    caller: &media::Session,
    callee: &media::Session,
    address: IpAddr,
) -> Result<&'static str, media::Error> {
    let offer = at(&caller.trunk_offer(inside()).await?, address);
    let answer = at(&callee.answer_trunk(offer, inside()).await?, address);
    let audio = caller.trunk_answer(answer, Phase::Final).await?;
    callee.connect()?;
    caller.connect()?;
    Ok(audio.codec.name())
}

async fn hold(
    own: &media::Session,
    far: &media::Session,
    wanted: Hold,
    address: IpAddr,
) -> Result<(), media::Error> {
    let offer = at(&own.reoffer_trunk(wanted).await?, address);
    let answer = at(&far.answer_trunk(offer, inside()).await?, address);
    own.trunk_answer(answer, Phase::Final).await?;
    Ok(())
}

/// The leg between two pages: what browsers speak, on this machine.
fn inside() -> TrunkMedia {
    TrunkMedia {
        codecs: vec![TrunkCodec::Opus, TrunkCodec::Pcma, TrunkCodec::Pcmu],
        addresses: AddressPolicy::Any,
        relay: RelayPolicy::Opus,
        ..TrunkMedia::default()
    }
}

/// A description with this address in the place of the one that the world is told, which behind a NAT
/// does not lead back here.
fn at(sdp: &str, address: IpAddr) -> String {
    let kind = if address.is_ipv4() { "IP4" } else { "IP6" };
    let connection = format!("c=IN {kind} {address}");
    let lines = sdp.lines().map(|line| match line.starts_with("c=") {
        true => connection.as_str(),
        false => line,
    });
    lines.flat_map(|line| [line, "\r\n"]).collect()
}

fn held_by(own: Hold, far: Hold) -> Option<HeldBy> {
    match (own, far) {
        (Hold::Off, Hold::Off) => None,
        (Hold::On, Hold::Off) => Some(HeldBy::Local),
        (Hold::Off, Hold::On) => Some(HeldBy::Remote),
        (Hold::On, Hold::On) => Some(HeldBy::Both),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leg_between_pages_stays_on_this_machine() {
        let told = "v=0\r\no=- 1 1 IN IP4 203.0.113.7\r\nc=IN IP4 203.0.113.7\r\nm=audio 4000 RTP/AVP 96\r\n";
        let own = at(told, IpAddr::from([127, 0, 0, 1]));
        assert!(own.contains("\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 "), "{own}");
        assert!(at(told, "::1".parse().unwrap()).contains("c=IN IP6 ::1\r\n"));
    }
}
