//! A queue of sounds that a line plays frame by frame, at the rate that its caller has.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::codec::{Cadence, Doubler, FRAME, Prompt, Rate, Tone, Tones, ringback};

/// One sound.
#[derive(Debug, Clone)]
pub(super) enum Sound {
    /// Recorded sound.
    Recorded(Arc<Prompt>),
    /// A sine for so many samples of 8 kHz.
    Tone(Tone, usize),
    /// A country's ringback, until it is stopped.
    Ringback(String),
    /// A sine without end.
    Endless(Tone),
}

/// Plays one sound after the other, silence after the last.
#[derive(Debug)]
pub(super) struct Player {
    queue: VecDeque<Sound>,
    now: Option<Playing>,
    /// What there is at 8 kHz only, for a caller of 16 kHz.
    doubler: Doubler,
    doubled: Vec<i16>,
}

/// Places are counted in samples of 8 kHz, so that a caller's rate may change meanwhile.
#[derive(Debug)]
enum Playing {
    Recorded(Arc<Prompt>, usize),
    Tones(Tones, Option<usize>),
    Cadence(Cadence),
}

impl Player {
    /// One that is silent.
    pub fn new() -> Player {
        Player {
            queue: VecDeque::new(),
            now: None,
            doubler: Doubler::new(),
            // The media path does not allocate later.
            doubled: Vec::with_capacity(Rate::Wide.frame()),
        }
    }

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

    /// The next samples at this rate, over what `out` held: at 16 kHz an even number.
    pub fn fill(&mut self, rate: Rate, out: &mut [i16]) {
        let mut rest = out;
        while !rest.is_empty() {
            let Some(playing) = &mut self.now else {
                let Some(sound) = self.queue.pop_front() else { return rest.fill(0) };
                self.now = Some(start(sound));
                continue;
            };
            let mut narrow = [0; FRAME];
            let room = (rest.len() / rate.factor()).min(FRAME);
            let (count, over) = match playing {
                Playing::Recorded(prompt, at) => {
                    let from = *at;
                    let count = room.min(prompt.pcm().len() - from);
                    *at += count;
                    let over = *at == prompt.pcm().len();
                    if let Some(wide) = prompt.wide().filter(|_| rate == Rate::Wide) {
                        let (now, later) = rest.split_at_mut(2 * count);
                        now.copy_from_slice(&wide[2 * from..2 * (from + count)]);
                        rest = later;
                        if over {
                            self.now = None;
                        }
                        continue;
                    }
                    narrow[..count].copy_from_slice(&prompt.pcm()[from..from + count]);
                    (count, over)
                }
                Playing::Tones(tones, left) => {
                    let count = room.min(left.unwrap_or(room));
                    tones.fill(&mut narrow[..count]);
                    *left = left.map(|left| left - count);
                    (count, *left == Some(0))
                }
                Playing::Cadence(cadence) => {
                    cadence.fill(&mut narrow[..room]);
                    (room, false)
                }
            };
            if over {
                self.now = None;
            }
            let (now, later) = rest.split_at_mut(count * rate.factor());
            match rate {
                Rate::Narrow => now.copy_from_slice(&narrow[..count]),
                Rate::Wide => {
                    self.doubler.double(&narrow[..count], &mut self.doubled);
                    now.copy_from_slice(&self.doubled);
                }
            }
            rest = later;
        }
    }
}

fn start(sound: Sound) -> Playing {
    match sound {
        Sound::Recorded(prompt) => Playing::Recorded(prompt, 0),
        Sound::Tone(tone, samples) => Playing::Tones(Tones::new(&[tone]), Some(samples)),
        Sound::Ringback(country) => Playing::Cadence(ringback(&country)),
        Sound::Endless(tone) => Playing::Tones(Tones::new(&[tone]), None),
    }
}
