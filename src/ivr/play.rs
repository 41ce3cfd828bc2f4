//! A queue of sounds that a line plays frame by frame.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::codec::{Cadence, Tone, Tones, ringback};

/// One sound.
#[derive(Debug, Clone)]
pub(super) enum Sound {
    /// Recorded sound at 8 kHz.
    Recorded(Arc<[i16]>),
    /// A sine for so many samples.
    Tone(Tone, usize),
    /// A country's ringback, until it is stopped.
    Ringback(String),
    /// A sine without end.
    Endless(Tone),
}

/// Plays one sound after the other, silence after the last.
#[derive(Debug, Default)]
pub(super) struct Player {
    queue: VecDeque<Sound>,
    now: Option<Playing>,
}

#[derive(Debug)]
enum Playing {
    Recorded(Arc<[i16]>, usize),
    Tones(Tones, Option<usize>),
    Cadence(Cadence),
}

impl Player {
    /// Plays after what is queued.
    pub fn play(&mut self, sound: Sound) {
        self.queue.push_back(sound);
    }

    /// Forgets what is on and queued.
    pub fn stop(&mut self) {
        self.queue.clear();
        self.now = None;
    }

    /// Nothing is on or queued.
    pub fn is_idle(&self) -> bool {
        self.now.is_none() && self.queue.is_empty()
    }

    /// The next samples, over what `out` held.
    pub fn fill(&mut self, out: &mut [i16]) {
        let mut rest = out;
        while !rest.is_empty() {
            let Some(playing) = &mut self.now else {
                let Some(sound) = self.queue.pop_front() else { return rest.fill(0) };
                self.now = Some(start(sound));
                continue;
            };
            let (count, over) = match playing {
                Playing::Recorded(pcm, at) => {
                    let count = rest.len().min(pcm.len() - *at);
                    rest[..count].copy_from_slice(&pcm[*at..*at + count]);
                    *at += count;
                    (count, *at == pcm.len())
                }
                Playing::Tones(tones, None) => {
                    tones.fill(rest);
                    (rest.len(), false)
                }
                Playing::Tones(tones, Some(left)) => {
                    let count = rest.len().min(*left);
                    tones.fill(&mut rest[..count]);
                    *left -= count;
                    (count, *left == 0)
                }
                Playing::Cadence(cadence) => {
                    cadence.fill(rest);
                    (rest.len(), false)
                }
            };
            if over {
                self.now = None;
            }
            rest = &mut rest[count..];
        }
    }
}

fn start(sound: Sound) -> Playing {
    match sound {
        Sound::Recorded(pcm) => Playing::Recorded(pcm, 0),
        Sound::Tone(tone, samples) => Playing::Tones(Tones::new(&[tone]), Some(samples)),
        Sound::Ringback(country) => Playing::Cadence(ringback(&country)),
        Sound::Endless(tone) => Playing::Tones(Tones::new(&[tone]), None),
    }
}
