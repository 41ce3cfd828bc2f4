//! What was heard on the sender's timeline, a fixed time after it came: nothing is stretched or
//! skipped, as a listener's buffer would. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::codec::FRAME;

/// A buffer of fixed depth at 8 kHz.
#[derive(Debug, Default)]
pub(super) struct Playout {
    sound: VecDeque<i16>,
    /// The sender's timestamp of the buffer's first sample, in samples.
    start: Option<u32>,
    /// What was played last, for what is missing.
    last: Vec<i16>,
    missing: u32,
    /// How far packets that came after their time outweigh those in time.
    late: u32,
}

/// Frames from the first packet to its playing: what the network and a busy machine may hold back.
pub(super) const DEPTH: usize = 20;

/// By how much longer than its usual answer takes a key's effect is heard: the buffer, less what a key
/// of usual length and the pause after it take.
pub const LATER: Duration = Duration::from_millis(DEPTH as u64 * 20 - 120);

impl Playout {
    /// Sound that starts at a timestamp of 8 kHz.
    pub fn put(&mut self, timestamp: u32, pcm: &[i16]) {
        let Some(start) = self.start else { return self.anchor(timestamp, pcm) };
        let offset = timestamp.wrapping_sub(start).cast_signed();
        if !(-FAR..FAR).contains(&offset) {
            return self.anchor(timestamp, pcm);
        }
        // A sender whose clock stood still is behind for good: its new time is taken.
        if offset.unsigned_abs() as usize >= pcm.len() && offset < 0 {
            self.late += LATE;
            if self.late >= PATIENCE * LATE {
                self.anchor(timestamp, pcm);
            }
            return;
        }
        self.late = self.late.saturating_sub(1);
        // What is partly too late is partly heard.
        let skipped = usize::try_from(-offset).unwrap_or(0).min(pcm.len());
        let from = usize::try_from(offset).unwrap_or(0);
        let pcm = &pcm[skipped..];
        if self.sound.len() < from {
            self.sound.resize(from, GAP);
        }
        for (index, sample) in pcm.iter().enumerate() {
            match self.sound.get_mut(from + index) {
                Some(slot) => *slot = *sample,
                None => self.sound.push_back(*sample),
            }
        }
    }

    /// The next 20 ms.
    pub fn take(&mut self) -> [i16; FRAME] {
        let mut frame = [0; FRAME];
        let Some(start) = &mut self.start else { return frame };
        *start = start.wrapping_add(FRAME as u32);
        let mut gaps = 0;
        for slot in &mut frame {
            match self.sound.pop_front() {
                Some(GAP) | None => gaps += 1,
                Some(sample) => *slot = sample,
            }
        }
        if gaps == FRAME {
            // A lost packet sounds like the one before it, fading; a silent sender is silent.
            self.missing += 1;
            let share = match self.missing {
                1 => 2,
                2 => 4,
                _ => return frame,
            };
            for (slot, sample) in frame.iter_mut().zip(&self.last) {
                *slot = sample / share;
            }
            return frame;
        }
        self.missing = 0;
        self.last.clear();
        self.last.extend_from_slice(&frame);
        frame
    }

    fn anchor(&mut self, timestamp: u32, pcm: &[i16]) {
        let depth = DEPTH * FRAME;
        self.late = 0;
        self.start = Some(timestamp.wrapping_sub(depth as u32));
        self.sound.clear();
        self.sound.resize(depth, 0);
        self.sound.extend(pcm);
    }
}

/// Half a minute: a jump beyond is a new stream. Less may be this process's own stall, whose ticks are
/// made up for.
const FAR: i32 = 240_000;
/// As many late packets are no burst of the network.
const PATIENCE: u32 = 3;
/// As many packets in time make up for a late one: jitter about a time that is behind is followed too.
const LATE: u32 = 6;
/// No codec gives this sample.
const GAP: i16 = i16::MIN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_comes_out_in_order_a_fixed_time_later() {
        let mut playout = Playout::default();
        assert_eq!(playout.take(), [0; FRAME]);
        for packet in [0u32, 2, 1, 3, 5] {
            playout.put(1000 + packet * 160, &[packet as i16 + 1; FRAME]);
        }
        for _ in 0..DEPTH {
            assert_eq!(playout.take(), [0; FRAME]);
        }
        // The fifth was lost: half of the one before it.
        for value in [1, 2, 3, 4, 2, 6] {
            assert_eq!(playout.take(), [value; FRAME]);
        }
        // Too late is not heard at all.
        playout.put(1000, &[9; FRAME]);
        assert!(playout.take().iter().all(|sample| *sample != 9));
        // A sender that is behind for good is followed.
        for packet in 3..12u32 {
            playout.put(1000 + packet * 160, &[4; FRAME]);
        }
        assert!((0..=DEPTH).any(|_| playout.take() == [4; FRAME]));
        // So is one behind whose every other packet comes in time.
        let mut playout = Playout::default();
        playout.put(0, &[1; FRAME]);
        for _ in 0..=DEPTH {
            playout.take();
        }
        let (mut heard, mut packet) = (0, 0u32);
        for round in 0..120u32 {
            packet += if round % 2 == 0 { 0 } else { 2 };
            // Two at once, every second tick: the first of them is behind.
            if round % 2 == 1 {
                playout.put((packet - 1) * 160, &[5; FRAME]);
                playout.put(packet * 160, &[5; FRAME]);
            }
            heard += u32::from(playout.take() == [5; FRAME]);
        }
        assert!(heard > 80, "{heard}");
        let mut playout = Playout::default();
        playout.put(0, &[1; FRAME]);
        // Another stream starts anew.
        playout.put(900_000, &[7; FRAME]);
        let heard: Vec<i16> = (0..=DEPTH).flat_map(|_| playout.take()).collect();
        assert_eq!(heard[DEPTH * FRAME..], [7; FRAME]);
    }
}
