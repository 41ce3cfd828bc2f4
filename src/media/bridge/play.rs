//! A sound that each leg hears in the place of the other side for as long as it is: an announcement.

use std::sync::Arc;
use std::time::Instant;

use super::Bridge;
use crate::codec::{Doubler, FRAME, Prompt, Rate};

/// A sound on its way.
#[derive(Debug)]
pub(super) struct Playing {
    sound: Arc<Prompt>,
    /// Frames of it that are over.
    frames: usize,
    doubler: Doubler,
    /// These 20 ms of it at both rates.
    narrow: Vec<i16>,
    wide: Vec<i16>,
}

impl Bridge {
    /// Each leg of an answered call hears this from now on, and then the other side again; `None` ends it.
    /// What the sides say meanwhile reaches nobody but the recorder; digits go on.
    pub(in crate::media) fn play(&mut self, sound: Option<Arc<Prompt>>) {
        if !self.connected {
            return;
        }
        self.playing = sound.map(Playing::new);
        if let Some(browser) = &mut self.browser {
            browser.downlink.switch();
        }
    }

    /// Goes on by 20 ms; whether there is sound now. A page without a line hears it here.
    pub(super) fn play_tick(&mut self, now: Instant) -> bool {
        let Some(playing) = &mut self.playing else { return false };
        if !playing.step() {
            self.play(None);
            return false;
        }
        if self.line.is_none()
            && let Some(browser) = self.browser.as_mut().filter(|browser| browser.is_open())
        {
            browser.downlink.local_frame(now, playing.at(self.rate), &mut self.outbox);
        }
        true
    }
}

impl Playing {
    fn new(sound: Arc<Prompt>) -> Playing {
        let [narrow, wide] =
            [Rate::Narrow, Rate::Wide].map(|rate| Vec::with_capacity(rate.frame()));
        Playing { sound, frames: 0, doubler: Doubler::new(), narrow, wide }
    }

    /// Its 20 ms at a rate.
    pub(super) fn at(&self, rate: Rate) -> &[i16] {
        match rate {
            Rate::Narrow => &self.narrow,
            Rate::Wide => &self.wide,
        }
    }

    /// The next 20 ms; `false` at its end.
    fn step(&mut self) -> bool {
        let begin = self.frames * FRAME;
        if begin >= self.sound.pcm().len() {
            return false;
        }
        copy(self.sound.pcm(), begin, FRAME, &mut self.narrow);
        match self.sound.wide() {
            Some(wide) => copy(wide, 2 * begin, Rate::Wide.frame(), &mut self.wide),
            None => self.doubler.double(&self.narrow, &mut self.wide),
        }
        self.frames += 1;
        true
    }
}

/// So many samples from `begin` on, silence behind the end.
fn copy(from: &[i16], begin: usize, count: usize, into: &mut Vec<i16>) {
    let rest = from.get(begin..).unwrap_or_default();
    into.clear();
    into.extend_from_slice(&rest[..rest.len().min(count)]);
    into.resize(count, 0);
}
