//! Keys of a page's messages toward a line of the gateway's own, and what the line gives back.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::lab::*;
use crate::dtmf::parse_tones;
use crate::media::Line;

/// Tells the keys it hears and gives each back.
#[derive(Debug)]
struct Parrot {
    heard: Sender<DigitEvent>,
    back: Vec<DigitEvent>,
}

impl Line for Parrot {
    fn digit(&mut self, event: &DigitEvent) {
        self.heard.send(*event).unwrap();
        self.back.push(*event);
    }

    fn frame(&mut self, _: &[i16], out: &mut [i16]) {
        out.fill(0);
    }

    fn poll_digit(&mut self) -> Option<DigitEvent> {
        (!self.back.is_empty()).then(|| self.back.remove(0))
    }
}

fn lab() -> (Lab, Receiver<DigitEvent>) {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.bridge.close_trunk();
    let (heard, hears) = channel();
    lab.bridge.serve(lab.now, Box::new(Parrot { heard, back: Vec::new() }));
    lab.drain();
    lab.events.clear();
    (lab, hears)
}

fn send(lab: &mut Lab, tones: &str) {
    let items = parse_tones(tones, ms(100), ms(80)).unwrap();
    lab.bridge.send_digits(lab.now, LegSide::Trunk, &items);
    lab.drain();
}

#[test]
fn a_line_hears_keys_of_messages_at_their_pace_and_the_page_what_it_gives_back() {
    let (mut lab, hears) = lab();
    let start = lab.now;
    send(&mut lab, "4w2");
    lab.wait(ms(1200));
    let heard: Vec<_> = hears.try_iter().collect();
    let keys: String = heard.iter().map(|event| event.digit.as_char()).collect();
    assert_eq!(keys, "4422", "each goes down and comes up");
    let at = |n: usize| heard[n].started_at.duration_since(start);
    assert_eq!((at(0), at(2)), (ms(0), ms(680)), "100 ms, 80 ms, and 500 ms of `w`");
    assert_eq!(heard[1].duration, ms(100));
    let told = |leg| lab.digits(leg).iter().map(|event| event.digit.as_char()).collect::<String>();
    assert_eq!(told(LegSide::Browser), "4422");
    assert_eq!(told(LegSide::Trunk), "4422", "as of a phone");
    assert_eq!(lab.receipts().len(), 2);
}

#[test]
fn a_cancel_ends_the_key_that_is_down_and_forgets_the_rest() {
    let (mut lab, hears) = lab();
    send(&mut lab, "123");
    lab.wait(ms(40));
    lab.bridge.cancel_digits(lab.now, LegSide::Trunk);
    lab.wait(ms(1000));
    let heard: Vec<_> = hears.try_iter().collect();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[1].duration <= ms(60), "{:?}", heard[1]);
    // Beyond its room nothing is taken, and that is said.
    for _ in 0..3 {
        send(&mut lab, &"5".repeat(200));
    }
    assert!(lab.events.iter().any(|e| matches!(e, MediaEvent::DigitsUnavailable { .. })));
}
