//! RFC 3261 table 4 and RFC 6026 to the millisecond, in virtual time: one table per machine.

use std::time::Duration;

use super::*;
use crate::base::epoch;

use Reliability::{Reliable, Unreliable};

/// Every timer that fires until the machine is silent, as (milliseconds after the start, step).
macro_rules! run {
    ($machine:expr) => {{
        let mut fired = Vec::new();
        while let Some(due) = $machine.next_timeout() {
            let step = $machine.on_timeout(due);
            fired.push(((due - epoch()).as_millis() as u64, step));
        }
        fired
    }};
}

fn at(ms: u64) -> std::time::Instant {
    epoch() + Duration::from_millis(ms)
}

fn resends(at_ms: &[u64], last: (u64, Step)) -> Vec<(u64, Step)> {
    at_ms.iter().map(|ms| (*ms, Step::Resend)).chain([last]).collect()
}

#[test]
fn timers_a_b_of_an_unanswered_invite() {
    let mut udp = ClientInvite::start(epoch(), &Timing::default(), Unreliable);
    let a = [500, 1500, 3500, 7500, 15_500, 31_500];
    assert_eq!(run!(udp), resends(&a, (32_000, Step::TimedOut)));
    let mut tcp = ClientInvite::start(epoch(), &Timing::default(), Reliable);
    assert_eq!(run!(tcp), [(32_000, Step::TimedOut)]);
}

#[test]
fn timer_d_after_a_refused_invite() {
    for (reliability, ends_ms) in [(Unreliable, 33_000), (Reliable, 1000)] {
        let mut invite = ClientInvite::start(epoch(), &Timing::default(), reliability);
        assert_eq!(invite.on_response(at(100), 180), Step::Deliver);
        assert_eq!(invite.next_timeout(), None, "no timer runs while it rings");
        assert_eq!(invite.on_response(at(1000), 486), Step::AckAndDeliver);
        assert_eq!(invite.on_response(at(1000), 486), Step::AckAgain);
        assert_eq!(invite.on_response(at(1000), 180), Step::Nothing, "late provisional");
        assert_eq!(invite.on_response(at(1000), 200), Step::Nothing, "a 2xx after a refusal");
        assert_eq!(run!(invite), [(ends_ms, Step::Ended)]);
        assert_eq!(invite.on_response(at(40_000), 486), Step::Nothing);
    }
}

#[test]
fn timer_m_after_an_answered_invite() {
    for reliability in [Unreliable, Reliable] {
        let mut invite = ClientInvite::start(epoch(), &Timing::default(), reliability);
        assert_eq!(invite.on_response(at(250), 200), Step::Deliver);
        assert_eq!(invite.on_response(at(750), 200), Step::Deliver, "Accepted -> 2xx -> Accepted");
        assert_eq!(invite.on_response(at(750), 486), Step::Nothing);
        assert_eq!(run!(invite), [(32_250, Step::Ended)]);
    }
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut invite = ClientInvite::start(epoch(), &Timing::default(), Unreliable);
    assert!(!invite.may_cancel());
    invite.on_response(at(1), 100);
    assert!(invite.may_cancel());
    invite.on_response(at(2), 200);
    assert!(!invite.may_cancel());
}

#[test]
fn timers_e_f_of_an_unanswered_request() {
    let mut udp = ClientNonInvite::start(epoch(), &Timing::default(), Unreliable);
    let e = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(run!(udp), resends(&e, (32_000, Step::TimedOut)));
    let mut tcp = ClientNonInvite::start(epoch(), &Timing::default(), Reliable);
    assert_eq!(run!(tcp), [(32_000, Step::TimedOut)]);
}

#[test]
fn timer_e_is_t2_after_a_provisional_response() {
    let mut udp = ClientNonInvite::start(epoch(), &Timing::default(), Unreliable);
    assert_eq!(udp.on_response(at(10), 100), Step::Deliver);
    let e = [500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500];
    assert_eq!(run!(udp), resends(&e, (32_000, Step::TimedOut)));
}

#[test]
fn timer_k_after_a_final_response() {
    for (reliability, ends_ms) in [(Unreliable, 5100), (Reliable, 100)] {
        let mut request = ClientNonInvite::start(epoch(), &Timing::default(), reliability);
        assert_eq!(request.on_response(at(100), 200), Step::Deliver);
        assert_eq!(request.on_response(at(100), 200), Step::Nothing);
        assert_eq!(run!(request), [(ends_ms, Step::Ended)]);
    }
}

#[test]
fn trying_after_200_ms_of_silence() {
    let mut invite = ServerInvite::start(epoch(), &Timing::default(), Unreliable);
    assert_eq!(invite.on_request(), Step::Nothing);
    assert_eq!(run!(invite), [(200, Step::SendTrying)]);
    assert_eq!(invite.on_request(), Step::Resend);

    let mut quick = ServerInvite::start(epoch(), &Timing::default(), Unreliable);
    assert_eq!(quick.on_user_response(at(199), 180), Step::Respond);
    assert_eq!(quick.next_timeout(), None, "a 180 in time makes the 100 needless");
}

#[test]
fn timers_g_h_without_an_ack() {
    let mut udp = ServerInvite::start(epoch(), &Timing::default(), Unreliable);
    assert_eq!(udp.on_user_response(epoch(), 486), Step::Respond);
    assert_eq!(udp.on_request(), Step::Resend);
    let g = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(run!(udp), resends(&g, (32_000, Step::TimedOut)));

    let mut tcp = ServerInvite::start(epoch(), &Timing::default(), Reliable);
    assert_eq!(tcp.on_user_response(epoch(), 486), Step::Respond);
    assert_eq!(run!(tcp), [(32_000, Step::TimedOut)]);
}

#[test]
fn timer_i_after_the_ack() {
    for (reliability, ends_ms) in [(Unreliable, 5600), (Reliable, 600)] {
        let mut invite = ServerInvite::start(epoch(), &Timing::default(), reliability);
        invite.on_user_response(epoch(), 486);
        assert_eq!(invite.on_ack(at(600)), Step::Nothing);
        assert_eq!(invite.on_request(), Step::Nothing, "Confirmed absorbs");
        assert_eq!(run!(invite), [(ends_ms, Step::Ended)]);
    }
}

#[test]
fn timer_l_after_a_2xx() {
    for reliability in [Unreliable, Reliable] {
        let mut invite = ServerInvite::start(epoch(), &Timing::default(), reliability);
        assert!(invite.is_open());
        assert_eq!(invite.on_user_response(at(100), 200), Step::Respond);
        assert!(!invite.is_open());
        assert_eq!(invite.on_request(), Step::Nothing, "Accepted absorbs the INVITE");
        assert_eq!(invite.on_user_response(at(600), 200), Step::Respond);
        assert_eq!(invite.on_user_response(at(600), 486), Step::Nothing);
        assert_eq!(run!(invite), [(32_100, Step::Ended)]);
    }
}

#[test]
fn timer_j_after_a_final_response() {
    for (reliability, ends_ms) in [(Unreliable, 32_100), (Reliable, 100)] {
        let mut request = ServerNonInvite::start(epoch(), &Timing::default(), reliability);
        assert_eq!(request.on_request(), Step::Nothing, "Trying absorbs");
        assert_eq!(request.on_user_response(at(100), 200), Step::Respond);
        assert_eq!(request.on_request(), Step::Resend);
        assert_eq!(request.on_user_response(at(101), 500), Step::Nothing);
        assert_eq!(run!(request), [(ends_ms, Step::Ended)]);
    }
}

#[test]
fn a_request_that_the_user_never_answers_ends() {
    let mut request = ServerNonInvite::start(epoch(), &Timing::default(), Unreliable);
    assert_eq!(run!(request), [(32_000, Step::Ended)]);
}
