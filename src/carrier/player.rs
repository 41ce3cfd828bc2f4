//! A queue of sounds that is played frame by frame.

use std::collections::VecDeque;
use std::sync::Arc;

use super::prompt::{Prompt, Prompts};
use crate::codec::{SAMPLE_RATE, Tone, Tones};

/// One sound to play.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sound {
    /// Speech.
    Say(Prompt),
    /// A sine for so many milliseconds.
    Tone(Tone, u32),
    /// Silence for so many milliseconds.
    Pause(u32),
}

/// Plays sounds one after the other, silence after the last.
#[derive(Debug)]
pub(super) struct Player {
    prompts: Arc<Prompts>,
    queue: VecDeque<Sound>,
    now: Option<Playing>,
}

#[derive(Debug)]
struct Playing {
    source: Source,
    at: usize,
    length: usize,
}

#[derive(Debug)]
enum Source {
    Prompt(Prompt),
    Tones(Tones),
    Silence,
}

impl Player {
    pub fn new(prompts: Arc<Prompts>) -> Player {
        Player { prompts, queue: VecDeque::new(), now: None }
    }

    /// Plays after what is queued.
    pub fn play(&mut self, sounds: impl IntoIterator<Item = Sound>) {
        self.queue.extend(sounds);
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

    /// The next samples, over what `pcm` held.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        let mut rest = pcm;
        while !rest.is_empty() {
            let Some(playing) = &mut self.now else {
                let Some(sound) = self.queue.pop_front() else { return rest.fill(0) };
                self.now = Some(self.start(sound));
                continue;
            };
            let count = rest.len().min(playing.length - playing.at);
            let (out, after) = rest.split_at_mut(count);
            match &mut playing.source {
                Source::Prompt(prompt) => {
                    let from = &self.prompts.pcm(*prompt)[playing.at..playing.at + count];
                    out.copy_from_slice(from);
                }
                Source::Tones(tones) => tones.fill(out),
                Source::Silence => out.fill(0),
            }
            playing.at += count;
            if playing.at == playing.length {
                self.now = None;
            }
            rest = after;
        }
    }

    fn start(&self, sound: Sound) -> Playing {
        let samples = |ms: u32| (ms * (SAMPLE_RATE / 1000)) as usize;
        let (source, length) = match sound {
            Sound::Say(prompt) => (Source::Prompt(prompt), self.prompts.pcm(prompt).len()),
            Sound::Tone(tone, ms) => (Source::Tones(Tones::new(&[tone])), samples(ms)),
            Sound::Pause(ms) => (Source::Silence, samples(ms)),
        };
        Playing { source, at: 0, length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_follow_each_other_without_a_gap_and_then_there_is_silence() {
        let prompts = Arc::new(Prompts::load().unwrap());
        let spoken = prompts.pcm(Prompt::Pressed).to_vec();
        let mut player = Player::new(prompts);
        let tone = Tone { frequency: 1000.0, dbm0: -10.0 };
        player.play([Sound::Pause(10), Sound::Say(Prompt::Pressed), Sound::Tone(tone, 10)]);
        let mut pcm = vec![1; 80 + spoken.len() + 80 + 100];
        for frame in pcm.chunks_mut(160) {
            player.fill(frame);
        }
        assert!(player.is_idle());
        assert!(pcm[..80].iter().all(|s| *s == 0));
        assert_eq!(pcm[80..80 + spoken.len()], spoken);
        assert!(pcm[80 + spoken.len()..][..80].iter().any(|s| *s > 7000));
        assert!(pcm[160 + spoken.len()..].iter().all(|s| *s == 0));
    }
}
