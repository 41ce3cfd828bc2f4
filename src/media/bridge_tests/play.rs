//! An announcement in a call: both sides hear it instead of each other, and then each other again.

use super::lab::*;
use crate::codec::Prompt;

#[test]
fn both_sides_hear_an_announcement_and_then_each_other_again() {
    let mut pcm = vec![0; 80 * FRAME];
    sine(1900.0).fill(&mut pcm);
    let sound = Arc::new(Prompt::narrow(pcm));
    for codec in [BrowserCodec::Opus, BrowserCodec::Pcmu] {
        let mut lab = Lab::connected(codec);
        lab.talk(100);
        lab.bridge.play(Some(sound.clone()));
        lab.talk(75);
        assert_tone(&lab.trunk_pcm(40), 1900.0, "the trunk");
        assert_tone(&lab.page_pcm(40), 1900.0, "the page");
        lab.talk(105);
        assert_tone(&lab.trunk_pcm(60), 1000.0, "the trunk");
        assert_tone(&lab.page_pcm(60), 700.0, "the page");
        // One is ended before it is over.
        lab.bridge.play(Some(sound.clone()));
        lab.talk(20);
        lab.bridge.play(None);
        lab.talk(100);
        assert_tone(&lab.trunk_pcm(60), 1000.0, "the trunk");
        assert_tone(&lab.page_pcm(60), 700.0, "the page");
    }
}

#[test]
fn a_call_that_is_not_answered_hears_none() {
    let mut lab = Lab::new(BrowserCodec::Opus);
    lab.bridge.play(Some(Arc::new(Prompt::narrow(vec![9_000; 80 * FRAME]))));
    lab.wait(ms(500));
    assert!(lab.page.is_empty(), "{} packets", lab.page.len());
}
