//! The tap of one call, on its media worker: collects both sides and hands them on, 200 ms at a time.
//!
//! ```text
//! frames --> held back 100 ms --> a buffer of 200 ms --try_send--> the writer
//!                 ^ a tone of a digit is blanked here     '<-- empty buffers come back --'
//! ```
//!
//! Nothing here waits or allocates after its beginning. Where no buffer is empty, or the queue is full, the
//! sound is lost: it is counted, and silence in the file.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use super::metrics::Counts;
use super::writer::Message;
use crate::base::RecordingId;
use crate::codec::{Doubler, Halver, Rate};
use crate::media::{self, LegSide};

/// Why nothing is kept of what is said; silence stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// A menu collects digits: they may be a PIN, and be said as well as pressed.
    Menu,
    /// A person or a program has asked for it.
    Wish,
}

/// Why nothing of a call is kept now, in all its recordings.
#[derive(Debug, Default)]
pub struct Pauses(AtomicU8);

impl Pauses {
    /// Keeps nothing from now on, for this reason.
    pub fn pause(&self, why: Pause) {
        self.0.fetch_or(bit(why), Ordering::Relaxed);
    }

    /// This reason holds no more.
    pub fn resume(&self, why: Pause) {
        self.0.fetch_and(!bit(why), Ordering::Relaxed);
    }

    /// Whether nothing is kept now.
    pub fn is_paused(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }
}

/// What the tap, the writer and the call know of a recording.
#[derive(Debug, Default)]
pub struct Control {
    pauses: Arc<Pauses>,
    /// Of all recordings.
    counts: Arc<Counts>,
    lost_ms: AtomicU64,
    failed: AtomicBool,
    ended: AtomicBool,
}

impl Control {
    pub(super) fn new(pauses: Arc<Pauses>, counts: Arc<Counts>) -> Control {
        Control { pauses, counts, ..Control::default() }
    }

    /// What could not be kept, in ms.
    pub fn lost_ms(&self) -> u64 {
        self.lost_ms.load(Ordering::Relaxed)
    }

    /// Whether its file could not be written.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Counted at once: a disk that hangs is seen while it does.
    pub(super) fn lose(&self, ms: u64) {
        self.lost_ms.fetch_add(ms, Ordering::Relaxed);
        self.counts.lose(ms);
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

fn bit(why: Pause) -> u8 {
    match why {
        Pause::Menu => 1,
        Pause::Wish => 2,
    }
}

/// The tap.
pub struct Tap {
    id: RecordingId,
    /// Where the caller is.
    caller: LegSide,
    control: Arc<Control>,
    out: SyncSender<Message>,
    empty: Receiver<Vec<i16>>,
    /// One that the queue did not take.
    spare: Option<Vec<i16>>,
    /// Left and right by turns, the oldest first.
    held: Vec<i16>,
    /// That of the file: what its first frame had.
    rate: Option<Rate>,
    /// Frames that were lost since the last block.
    missing: u64,
    doublers: [Doubler; 2],
    halvers: [Halver; 2],
    sides: [Vec<i16>; 2],
}

/// Frames of a block.
pub(super) const BLOCK: usize = 10;
/// Frames held back: a detector of tones is sure of one after 40 ms.
const HELD: usize = 5;
/// Buffers of a tap: 3.2 s.
pub(super) const BUFFERS: usize = 16;
/// Samples of the widest block.
pub(super) const LARGEST: usize = 2 * BLOCK * Rate::Wide.frame();
const FRAME_MS: u64 = 20;

impl Tap {
    pub(super) fn new(
        id: RecordingId,
        caller: LegSide,
        control: Arc<Control>,
        out: SyncSender<Message>,
        empty: Receiver<Vec<i16>>,
    ) -> Tap {
        let side = || Vec::with_capacity(Rate::Wide.frame());
        Tap {
            id,
            caller,
            control,
            out,
            empty,
            spare: None,
            held: Vec::with_capacity(2 * (BLOCK + HELD) * Rate::Wide.frame()),
            rate: None,
            missing: 0,
            doublers: Default::default(),
            halvers: Default::default(),
            sides: [side(), side()],
        }
    }

    /// Hands on the oldest frames.
    fn hand_on(&mut self, rate: Rate, frames: usize) {
        let samples = 2 * frames * rate.frame();
        let buffer = self.spare.take().or_else(|| self.empty.try_recv().ok());
        let sent = buffer.is_some_and(|mut buffer| {
            buffer.clear();
            buffer.extend_from_slice(&self.held[..samples]);
            let missing = self.missing;
            let block = Message::Sound { id: self.id, rate, missing, samples: buffer };
            match self.out.try_send(block) {
                Ok(()) => true,
                Err(TrySendError::Full(block) | TrySendError::Disconnected(block)) => {
                    if let Message::Sound { samples, .. } = block {
                        self.spare = Some(samples);
                    }
                    false
                }
            }
        });
        match sent {
            true => self.missing = 0,
            false => {
                self.missing += frames as u64;
                self.control.lose(frames as u64 * FRAME_MS);
            }
        }
        self.held.copy_within(samples.., 0);
        self.held.truncate(self.held.len() - samples);
    }
}

impl media::Recorder for Tap {
    fn frame(&mut self, browser: &[i16], trunk: &[i16]) {
        let sides = match self.caller {
            LegSide::Browser => [browser, trunk],
            LegSide::Trunk => [trunk, browser],
        };
        let rate = *self.rate.get_or_insert_with(|| Rate::of_frame(browser.len()));
        for (n, pcm) in sides.into_iter().enumerate() {
            let side = &mut self.sides[n];
            match (Rate::of_frame(pcm.len()), rate) {
                (Rate::Narrow, Rate::Wide) => self.doublers[n].double(pcm, side),
                (Rate::Wide, Rate::Narrow) => self.halvers[n].halve(pcm, side),
                _ => {
                    side.clear();
                    side.extend_from_slice(pcm);
                }
            }
            side.resize(rate.frame(), 0);
            if self.control.pauses.is_paused() {
                side.fill(0);
            }
        }
        let [left, right] = &self.sides;
        let begin = self.held.len();
        self.held.resize(begin + 2 * rate.frame(), 0);
        let pairs = self.held[begin..].as_chunks_mut().0.iter_mut();
        for (pair, (left, right)) in pairs.zip(left.iter().zip(right)) {
            *pair = [*left, *right];
        }
        if self.held.len() >= 2 * (BLOCK + HELD) * rate.frame() {
            self.hand_on(rate, BLOCK);
        }
    }

    fn tone(&mut self, from: LegSide) {
        let Some(rate) = self.rate else { return };
        let side = usize::from(from != self.caller);
        let begin = self.held.len().saturating_sub(2 * HELD * rate.frame());
        self.held[begin..].iter_mut().skip(side).step_by(2).for_each(|sample| *sample = 0);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(rate) = self.rate {
            while !self.held.is_empty() {
                let frames = self.held.len() / (2 * rate.frame());
                self.hand_on(rate, frames.min(BLOCK));
            }
        }
        // Where the queue is full the writer finds it so by itself.
        self.control.ended.store(true, Ordering::Release);
        let _ = self.out.try_send(Message::End { id: self.id });
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::media::Recorder as _;

    fn tap(caller: LegSide, queue: usize) -> (Tap, Receiver<Message>, SyncSender<Vec<i16>>) {
        let (out, blocks) = sync_channel(queue);
        let (back, empty) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            back.try_send(Vec::with_capacity(LARGEST)).unwrap();
        }
        let id = RecordingId::from_parts(1, 1);
        (Tap::new(id, caller, Arc::default(), out, empty), blocks, back)
    }

    fn sound(blocks: &Receiver<Message>) -> (Vec<i16>, u64) {
        let mut all = (Vec::new(), 0);
        for message in blocks.try_iter() {
            if let Message::Sound { samples, missing, .. } = message {
                all.0.extend(samples);
                all.1 += missing;
            }
        }
        all
    }

    #[test]
    fn the_caller_is_left_and_the_callee_right_whichever_leg_they_have() {
        for (caller, expected) in [(LegSide::Browser, [1, 2]), (LegSide::Trunk, [2, 1])] {
            let (mut tap, blocks, _back) = tap(caller, 64);
            (0..25).for_each(|_| tap.frame(&[1; 160], &[2; 160]));
            drop(tap);
            let (all, missing) = sound(&blocks);
            assert_eq!((all.len(), missing), (25 * 320, 0));
            assert!(all.chunks(2).all(|pair| pair == expected));
        }
    }

    #[test]
    fn a_pause_is_silence_and_a_tone_is_blanked_on_its_side_alone() {
        let (mut tap, blocks, _back) = tap(LegSide::Browser, 64);
        let control = tap.control.pauses.clone();
        (0..5).for_each(|_| tap.frame(&[1; 160], &[2; 160]));
        control.pause(Pause::Menu);
        control.pause(Pause::Wish);
        control.resume(Pause::Menu);
        (0..5).for_each(|_| tap.frame(&[1; 160], &[2; 160]));
        control.resume(Pause::Wish);
        (0..10).for_each(|_| tap.frame(&[1; 160], &[2; 160]));
        tap.tone(LegSide::Trunk);
        drop(tap);
        let (all, _) = sound(&blocks);
        let frame = |n: usize| &all[n * 320..(n + 1) * 320];
        let is = |n, pair: [i16; 2]| frame(n).chunks(2).all(|own| own == pair);
        assert!((0..5).all(|n| is(n, [1, 2])) && (5..10).all(|n| is(n, [0, 0])));
        assert!((10..15).all(|n| is(n, [1, 2])) && (15..20).all(|n| is(n, [1, 0])));
    }

    #[test]
    fn a_queue_that_is_full_costs_sound_that_is_counted_and_never_waits() {
        let (mut tap, blocks, _back) = tap(LegSide::Browser, 2);
        let control = tap.control.clone();
        (0..65).for_each(|_| tap.frame(&[1; 160], &[2; 160]));
        // Two of six blocks.
        assert_eq!(control.lost_ms(), 800);
        let (all, missing) = sound(&blocks);
        assert_eq!((all.len(), missing), (20 * 320, 0));
        drop(tap);
        // What comes next says how much is missing before it.
        let (all, missing) = sound(&blocks);
        assert_eq!((all.len(), missing), (5 * 320, 40));
    }

    /// A disk that takes nothing for an hour: what is held of the call stays what it was, and each frame that
    /// is not kept is counted when it goes, for the recording and for the gateway.
    #[test]
    fn a_writer_that_stands_still_for_an_hour_holds_no_more_than_the_buffers() {
        let (mut tap, blocks, _back) = tap(LegSide::Browser, 8192);
        let control = tap.control.clone();
        let kept = BUFFERS * BLOCK;
        for second in 1..=3600 {
            (0..50).for_each(|_| tap.frame(&[1; 160], &[2; 160]));
            let over = (second * 50_usize).saturating_sub(kept + BLOCK + HELD) as u64 * FRAME_MS;
            assert!((over..=over + 400).contains(&control.lost_ms()), "{}", control.lost_ms());
            assert_eq!(control.counts.lost_ms(), control.lost_ms());
        }
        let held = tap.held.capacity();
        assert_eq!(held, 2 * (BLOCK + HELD) * Rate::Wide.frame());
        let (all, missing) = sound(&blocks);
        assert_eq!((all.len(), missing), (kept * 320, 0), "sixteen blocks wait, and no more");
    }

    #[test]
    fn a_rate_that_changes_does_not_change_that_of_the_file() {
        for (first, then) in [(160, 320), (320, 160)] {
            let (mut tap, blocks, _back) = tap(LegSide::Browser, 64);
            tap.frame(&vec![100; first], &vec![200; first]);
            (0..20).for_each(|_| tap.frame(&vec![100; then], &vec![200; then]));
            drop(tap);
            let (all, _) = sound(&blocks);
            assert_eq!(all.len(), 21 * 2 * first);
            let [left, right] = [all[all.len() - 2], all[all.len() - 1]];
            assert!((left - 100).abs() < 4 && (right - 200).abs() < 4, "{left} {right}");
        }
    }
}
