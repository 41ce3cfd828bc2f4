//! The lines over real SIP and RTP on loopback ports.

use std::time::Duration;

use super::test_phone::{Phone, Talk};
use super::{Carrier, CarrierConfig, Line, start};
use crate::codec::{Tone, Tones, dominant_frequency, level_dbm0};
use crate::sdp::{AudioCodec, Direction};
use crate::sip::{Body, Command, End, Event, Origin, RequestKey};

async fn both(codec: AudioCodec) -> (Carrier, Phone) {
    let config =
        CarrierConfig { callback_after: Duration::from_millis(50), ..CarrierConfig::default() };
    (start(config).await.unwrap(), Phone::new(codec).await)
}

/// The far side hung up.
async fn ended(phone: &mut Phone) {
    let event = phone.event().await;
    assert!(matches!(event, Event::Ended { end: End::ByPeer, .. }), "{event:?}");
}

/// Seconds of speech: frames of 20 ms well above silence.
fn spoken(talk: &Talk) -> f64 {
    let loud = talk.heard.chunks(160).filter(|frame| level_dbm0(frame) > -35.0).count();
    loud as f64 * 0.02
}

#[tokio::test]
async fn line_600_sends_back_sound_and_digits() {
    for codec in [AudioCodec::Pcmu, AudioCodec::Pcma] {
        let (carrier, mut phone) = both(codec).await;
        let mut talk = phone.call(carrier.sip_addr(), "600").await;
        let tone = Tones::new(&[Tone { frequency: 700.0, dbm0: -12.0 }]);
        phone.speak(&mut talk, 600, tone, "").await;
        assert!(talk.heard.len() > 3000, "{} samples", talk.heard.len());
        let middle = &talk.heard[800..2800];
        assert!((level_dbm0(middle) + 12.0).abs() < 0.5);
        assert!((dominant_frequency(middle).unwrap() - 700.0).abs() < 5.0);
        phone.listen(&mut talk, 1000, "5#D*").await;
        let keys: Vec<char> = talk.digits.iter().map(|d| d.0).collect();
        assert_eq!(keys, ['5', '#', 'D', '*']);
        assert!(talk.digits.iter().all(|d| (80..=160).contains(&d.1)), "{:?}", talk.digits);
        phone.hang_up(talk.session).await;
        assert!(matches!(phone.event().await, Event::Ended { end: End::ByUs, .. }));
        let seen = carrier.observations();
        assert_eq!((seen.calls, seen.answered, seen.digits.len()), (1, 1, 4));
        assert_eq!(seen.digits[1].line, Line::Echo);
        carrier.stop().await;
    }
}

#[tokio::test]
async fn line_601_speaks_and_hangs_up_after_9() {
    let (carrier, mut phone) = both(AudioCodec::Pcmu).await;
    let mut talk = phone.call(carrier.sip_addr(), "601").await;
    phone.listen(&mut talk, 1500, "").await;
    assert!(spoken(&talk) > 0.8, "{}", spoken(&talk));
    phone.listen(&mut talk, 3000, "9").await;
    ended(&mut phone).await;
    assert_eq!(carrier.observations().active, 0);
    carrier.stop().await;
}

#[tokio::test]
async fn line_602_is_1004_hz_at_minus_16_dbm0() {
    let (carrier, mut phone) = both(AudioCodec::Pcma).await;
    let mut talk = phone.call(carrier.sip_addr(), "602").await;
    phone.listen(&mut talk, 1100, "").await;
    assert!(talk.heard.len() >= 8000, "{}", talk.heard.len());
    assert!((level_dbm0(&talk.heard) + 16.0).abs() < 0.3);
    assert!((dominant_frequency(&talk.heard).unwrap() - 1004.0).abs() < 2.0);
    carrier.stop().await;
    ended(&mut phone).await;
}

#[tokio::test]
async fn line_603_reads_digits_back_and_sends_them() {
    let (carrier, mut phone) = both(AudioCodec::Pcmu).await;
    let mut talk = phone.call(carrier.sip_addr(), "603").await;
    phone.listen(&mut talk, 2600, "42A#").await;
    let digits: Vec<char> = talk.digits.iter().map(|d| d.0).collect();
    assert_eq!(digits, ['4', '2', 'A']);
    assert!(talk.digits.iter().all(|d| d.1 == 100), "{:?}", talk.digits);
    // The request gave way to the first digit; the rest of the sound is what was read back.
    phone.listen(&mut talk, 1500, "").await;
    assert!(spoken(&talk) > 1.2, "{}", spoken(&talk));
    phone.hang_up(talk.session).await;
    carrier.stop().await;
}

#[tokio::test]
async fn line_603_takes_digits_by_info_and_ends_them_by_silence() {
    let (carrier, mut phone) = both(AudioCodec::Pcmu).await;
    let mut talk = phone.call(carrier.sip_addr(), "603").await;
    let body = Body {
        content_type: "application/dtmf-relay".to_owned(),
        bytes: b"Signal=7\r\nDuration=120\r\n".to_vec(),
    };
    let (session, request) = (talk.session, RequestKey(1));
    phone.handle.send(Command::Info { session, request, body }).await.unwrap();
    phone.listen(&mut talk, 3500, "").await;
    assert_eq!(talk.digits, [('7', 100)]);
    assert_eq!(carrier.observations().digits[0].duration, Duration::from_millis(120));
    carrier.stop().await;
}

#[tokio::test]
async fn line_604_rings_until_the_caller_gives_up() {
    let (carrier, mut phone) = both(AudioCodec::Pcmu).await;
    let session = phone.dial(carrier.sip_addr(), "604").await;
    let event = phone.event().await;
    assert!(matches!(&event, Event::Provisional { answer, .. } if answer.status == 180));
    assert_eq!(carrier.observations().active, 1);
    phone.hang_up(session).await;
    let event = phone.event().await;
    assert!(matches!(&event, Event::Rejected { answer, .. } if answer.status == 487), "{event:?}");
    assert_eq!(carrier.observations().active, 0);
    carrier.stop().await;
}

#[tokio::test]
async fn line_605_is_busy_and_other_numbers_do_not_exist() {
    let (carrier, mut phone) = both(AudioCodec::Pcmu).await;
    for (number, expected) in [("605", 486), ("609", 404), ("6000", 404)] {
        phone.dial(carrier.sip_addr(), number).await;
        let event = phone.event().await;
        let Event::Rejected { answer, origin: Origin::Peer, .. } = event else {
            panic!("{event:?}")
        };
        assert_eq!(answer.status, expected, "{number}");
    }
    let seen = carrier.observations();
    assert_eq!((seen.calls, seen.refused, seen.active), (1, 2, 0));
    carrier.stop().await;
}

#[tokio::test]
async fn line_606_speaks_before_the_answer_and_ends_with_480() {
    let (carrier, mut phone) = both(AudioCodec::Pcmu).await;
    let session = phone.dial(carrier.sip_addr(), "606").await;
    let Event::Provisional { answer, .. } = phone.event().await else { panic!("no 183") };
    assert_eq!(answer.status, 183);
    let mut talk = phone.talk_with(session, &answer.body.unwrap());
    phone.listen(&mut talk, 5000, "").await;
    assert!(spoken(&talk) > 2.0, "{}", spoken(&talk));
    let Event::Rejected { answer, .. } = phone.event().await else { panic!("no 480") };
    assert_eq!(answer.status, 480);
    assert_eq!(carrier.observations().answered, 0);
    carrier.stop().await;
}

#[tokio::test]
async fn line_607_hangs_up_and_calls_back() {
    let (carrier, mut phone) = both(AudioCodec::Pcmu).await;
    carrier.set_gateway(phone.addr);
    let mut talk = phone.call(carrier.sip_addr(), "607").await;
    phone.listen(&mut talk, 3500, "").await;
    assert!(spoken(&talk) > 1.0, "{}", spoken(&talk));
    ended(&mut phone).await;
    let Event::Incoming(incoming) = phone.event().await else { panic!("no call") };
    assert_eq!(incoming.target.user(), Some("+12025550100"));
    assert_eq!(incoming.from.uri.user(), Some("+12025550107"));
    let mut talk = phone.answer(&incoming).await;
    phone.listen(&mut talk, 1500, "").await;
    assert!(spoken(&talk) > 0.8, "{}", spoken(&talk));
    assert_eq!(carrier.observations().answered, 2);
    carrier.stop().await;
}

#[tokio::test]
async fn line_608_clicks_at_whole_seconds() {
    let (carrier, mut phone) = both(AudioCodec::Pcmu).await;
    let mut talk = phone.call(carrier.sip_addr(), "608").await;
    phone.listen(&mut talk, 1300, "").await;
    let click = talk.heard.iter().position(|s| s.unsigned_abs() > 8000).expect("a click");
    let (start, arrived) = *talk.arrivals.iter().rev().find(|(at, _)| *at <= click).unwrap();
    // The packet carries the 20 ms before it left, so the click is 20 ms old at its own offset.
    let heard_at = arrived + (click - start) as u128 * 125;
    let delay = heard_at % 1_000_000;
    assert!((20_000..35_000).contains(&delay), "{delay} µs");
    carrier.stop().await;
}

#[tokio::test]
async fn calls_are_bounded_in_number_and_length() {
    let config = CarrierConfig {
        max_calls: 1,
        max_length: Duration::from_millis(300),
        ..CarrierConfig::default()
    };
    let carrier = start(config).await.unwrap();
    let mut phone = Phone::new(AudioCodec::Pcmu).await;
    let talk = phone.call(carrier.sip_addr(), "602").await;
    phone.dial(carrier.sip_addr(), "602").await;
    let Event::Rejected { answer, .. } = phone.event().await else { panic!("not refused") };
    assert_eq!(answer.status, 503);
    let event = phone.event().await;
    assert!(matches!(event, Event::Ended { session, .. } if session == talk.session));
    carrier.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_said() {
    let (carrier, _phone) = both(AudioCodec::Pcmu).await;
    let config = CarrierConfig { sip_listen: carrier.sip_addr(), ..CarrierConfig::default() };
    let error = start(config).await.unwrap_err();
    assert!(error.to_string().contains(&carrier.sip_addr().to_string()));
    carrier.stop().await;
}

#[tokio::test]
async fn a_call_without_an_offer_gets_one() {
    let (carrier, mut phone) = both(AudioCodec::Pcmu).await;
    let mut talk = phone.call_without_offer(carrier.sip_addr(), "602").await;
    phone.listen(&mut talk, 500, "").await;
    assert!((level_dbm0(&talk.heard) + 16.0).abs() < 0.3);
    carrier.stop().await;
}

#[tokio::test]
async fn a_line_that_is_held_is_silent_until_it_is_resumed() {
    let (carrier, mut phone) = both(AudioCodec::Pcmu).await;
    let mut talk = phone.call(carrier.sip_addr(), "602").await;
    for (direction, sounds) in [(Direction::SendOnly, false), (Direction::SendRecv, true)] {
        phone.reinvite(&talk, direction).await;
        // What was on its way is over.
        phone.listen(&mut talk, 60, "").await;
        talk.heard.clear();
        phone.listen(&mut talk, 300, "").await;
        assert_eq!(talk.heard.len() > 1600, sounds, "{direction:?}");
        assert_eq!(talk.heard.is_empty(), !sounds, "{direction:?}");
    }
    carrier.stop().await;
}

#[tokio::test]
async fn an_offer_that_cannot_be_met_is_refused_with_488() {
    let (carrier, mut phone) = both(AudioCodec::Opus).await;
    phone.dial(carrier.sip_addr(), "600").await;
    let event = phone.event().await;
    assert!(matches!(&event, Event::Rejected { answer, .. } if answer.status == 488), "{event:?}");
    assert_eq!(carrier.observations().active, 0);
    carrier.stop().await;
}
