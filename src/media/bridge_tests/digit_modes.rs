//! The plan of the trunk leg at work: which mode is in force, what happens when it fails or changes,
//! and what bounds there are.

use super::lab::*;
use crate::dtmf::{InfoSupport, parse_tones};
use crate::media::DigitWay;

fn lab(wish: DtmfMode, formats: &str) -> Lab {
    let mut lab = Lab::with(BrowserCodec::Pcmu, wish, formats);
    lab.bridge.connect(lab.now);
    lab.hush();
    lab.idle(ms(100));
    lab
}

fn ways(lab: &Lab) -> Vec<DigitWay> {
    lab.events
        .iter()
        .filter_map(|event| match event {
            MediaEvent::DigitWay { to: LegSide::Trunk, way } => Some(*way),
            _ => None,
        })
        .collect()
}

fn send(lab: &mut Lab, tones: &str) {
    let items = parse_tones(tones, ms(100), ms(80)).unwrap();
    lab.bridge.send_digits(lab.now, LegSide::Trunk, &items);
    lab.drain();
}

fn modes(lab: &Lab) -> Vec<Mode> {
    lab.phone.heard.iter().map(|h| h.0).collect()
}

#[test]
fn the_plan_is_made_again_at_every_answer_and_what_waits_goes_the_new_way() {
    let mut lab = lab(DtmfMode::Auto, "0");
    assert_eq!(ways(&lab), [DigitWay::Negotiated(Some(Mode::Inband))]);
    send(&mut lab, "123456789*0#");
    lab.idle(ms(480));
    lab.bridge.peer_info(InfoSupport::Allowed);
    lab.bridge.trunk_accept(lab.now, &answer(address(TRUNK), "0")).unwrap();
    lab.idle(ms(480));
    lab.bridge.trunk_accept(lab.now, &answer(address(TRUNK), "0 101")).unwrap();
    lab.idle(ms(480));
    lab.bridge.peer_info(InfoSupport::Unknown);
    lab.bridge.trunk_accept(lab.now, &answer(address(TRUNK), "0")).unwrap();
    lab.idle(ms(2000));
    let made = [Mode::Inband, Mode::Info, Mode::Rfc4733, Mode::Inband];
    assert_eq!(ways(&lab), made.map(|mode| DigitWay::Negotiated(Some(mode))));
    assert_eq!(lab.phone.keys(), "123456789*0#", "{:?}", lab.phone.heard);
    let mut used = modes(&lab);
    used.dedup();
    assert_eq!(used, made);
    assert_eq!(lab.receipts().len(), 12);
}

#[test]
fn a_refused_info_goes_the_next_way_and_so_do_all_after_it() {
    for (answer, status) in [(Some(405), 405), (Some(415), 415), (Some(500), 500), (None, 408)] {
        for (formats, next) in [("0", Mode::Inband), ("0 101", Mode::Rfc4733)] {
            let mut lab = lab(DtmfMode::Info, formats);
            lab.phone.info = answer.map(|status| (status, ms(30)));
            send(&mut lab, "12");
            lab.page_event('3', 100);
            lab.idle(ms(6500));
            assert_eq!(lab.phone.keys(), "123", "{status} {next:?}");
            assert_eq!(modes(&lab), [next; 3]);
            let receipts: Vec<_> = lab.receipts().iter().map(|r| r.info_status).collect();
            assert_eq!(receipts, [Some(status), None, None]);
            assert_eq!(ways(&lab)[1..], [DigitWay::InfoRefused { status, next: Some(next) }]);
        }
    }
}

#[test]
fn a_key_held_for_longer_than_five_seconds_is_one_info() {
    let mut lab = lab(DtmfMode::Info, "0 101");
    lab.page_press('7', 6000);
    lab.idle(ms(500));
    assert_eq!(lab.phone.heard, [(Mode::Info, '7', 5000)]);
}

#[test]
fn without_a_way_the_owner_is_told() {
    let mut lab = lab(DtmfMode::Rfc4733, "0");
    assert_eq!(ways(&lab), [DigitWay::Negotiated(None)]);
    let unavailable = MediaEvent::DigitsUnavailable { to: LegSide::Trunk };
    send(&mut lab, "12");
    assert_eq!(lab.events.last(), Some(&unavailable));
    lab.events.clear();
    lab.page_event('3', 100);
    assert_eq!(lab.events.iter().filter(|e| **e == unavailable).count(), 1);
    assert_eq!(lab.bridge.stats().0.digits_dropped, 3);
}

#[test]
fn what_is_cancelled_is_not_sent_in_any_mode() {
    for wish in [DtmfMode::Rfc4733, DtmfMode::Info, DtmfMode::Inband] {
        let mut lab = lab(wish, "0 101");
        send(&mut lab, "1,23");
        lab.idle(ms(600));
        lab.bridge.cancel_digits(lab.now, LegSide::Trunk);
        lab.idle(ms(4000));
        assert_eq!(lab.phone.keys(), "1", "{wish}");
    }
}

/// 10,000 presses in a second, from either side: what is told and what waits is bounded, the rest
/// is counted, and digits work again afterwards.
#[test]
fn a_flood_of_events_is_bounded_and_counted() {
    let mut lab = lab(DtmfMode::Rfc4733, "0 101");
    for n in 0..10_000_u32 {
        let block = [(n % 16) as u8, 0x8A, 3, 32];
        let packet = lab.page_packet(110, n.wrapping_mul(7_000), true, &block);
        lab.input(Input::BrowserRtp(&packet));
        let datagram = lab.trunk_packet(101, n.wrapping_mul(7_000), true, &block);
        lab.trunk_sends(TRUNK, &datagram);
        if n % 50 == 0 {
            lab.wait(ms(5));
        }
    }
    let told = lab.events.len();
    assert!(told < 2 * 2 * 120, "{told} events");
    let (browser, trunk) = lab.bridge.stats();
    assert!(browser.digits_dropped > 9_800 && trunk.digits_dropped > 9_800, "{browser:?}");
    lab.bridge.cancel_digits(lab.now, LegSide::Trunk);
    lab.idle(ms(4000));
    let before = (lab.phone.heard.len(), lab.told(LegSide::Trunk).len());
    lab.page_event('5', 100);
    lab.trunk_event('6', 100, false);
    lab.idle(ms(500));
    assert_eq!(lab.phone.heard[before.0..], [(Mode::Rfc4733, '5', 100)]);
    assert_eq!(lab.told(LegSide::Trunk)[before.1..], [(Mode::Rfc4733, '6', 100)]);
}

/// A page that connects anew in the middle of a press has let the key go.
#[test]
fn a_press_ends_with_the_peer_it_came_from() {
    let mut lab = lab(DtmfMode::Rfc4733, "0 101");
    lab.bridge.press(lab.now, LegSide::Trunk, digit('4'));
    lab.idle(ms(200));
    lab.renew_page();
    lab.idle(ms(500));
    assert_eq!(lab.phone.keys(), "4");
    lab.page_event('5', 100);
    lab.idle(ms(300));
    assert_eq!(lab.phone.keys(), "45");
}

/// The first trunk is refused after the page has sent digits to it, one of them not yet released; the
/// next trunk gets them all, once, in the way of its own.
#[test]
fn digits_that_wait_move_on_with_the_hunt() {
    for (formats, mode) in [("0 101", Mode::Rfc4733), ("0", Mode::Inband)] {
        let mut lab = Lab::unanswered(BrowserCodec::Opus, DtmfMode::Auto);
        lab.hush();
        let items = crate::dtmf::parse_tones("12", ms(100), ms(80)).unwrap();
        lab.bridge.send_digits(lab.now, LegSide::Trunk, &items);
        lab.idle(ms(100));
        lab.bridge.press(lab.now, LegSide::Trunk, digit('3'));
        // Between two trunks there is none for a while.
        lab.bridge.close_trunk();
        lab.idle(ms(120));
        lab.bridge.release(lab.now, LegSide::Trunk);
        lab.page_event('4', 100);
        lab.drain();
        let media = TrunkMedia { addresses: AddressPolicy::Any, ..TrunkMedia::default() };
        lab.bridge.open_trunk(address(LOCAL), media);
        lab.bridge.trunk_offer().unwrap();
        lab.idle(ms(60));
        lab.bridge.trunk_accept(lab.now, &answer(address(TRUNK), formats)).unwrap();
        lab.bridge.connect(lab.now);
        lab.drain();
        lab.idle(ms(2000));
        assert_eq!(lab.phone.keys(), "1234", "{mode:?}");
        assert!(lab.phone.heard.iter().all(|(by, ..)| *by == mode), "{:?}", lab.phone.heard);
        assert!(!lab.events.iter().any(|e| matches!(e, MediaEvent::DigitsUnavailable { .. })));
    }
}
