//! What the self-test's peer says and hears: generated frames, and a recording on the sender's
//! timeline with the moment each packet arrived.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the peer sends.
#[derive(Debug, Clone)]
pub enum Source {
    /// Digital silence.
    Silence,
    /// A sine.
    Tone {
        /// Frequency in Hz, below 3400.
        hz: f64,
        /// Level in dBm0 (full-scale sine = +3.17 dBm0, ITU-T G.711).
        dbm0: f64,
        /// Phase so far, in radians; start with 0.
        phase: f64,
    },
    /// A recording at 8 kHz, once; then silence.
    Recorded {
        /// The recording.
        pcm: Arc<[i16]>,
        /// The next sample.
        at: usize,
    },
    /// Silence with one click that starts at a moment.
    Click {
        /// When the first sample of the click is sent.
        at: Instant,
    },
}

impl Source {
    /// A sine of `hz` at `dbm0`.
    pub fn tone(hz: f64, dbm0: f64) -> Source {
        Source::Tone { hz, dbm0, phase: 0.0 }
    }

    /// A recording, from its beginning.
    pub fn recorded(pcm: Arc<[i16]>) -> Source {
        Source::Recorded { pcm, at: 0 }
    }

    /// Appends `samples` samples at 8 kHz; `now` is the moment the first of them is sent.
    pub(super) fn fill(&mut self, samples: usize, now: Instant, pcm: &mut Vec<i16>) {
        match self {
            Source::Silence => pcm.extend(std::iter::repeat_n(0, samples)),
            Source::Tone { hz, dbm0, phase } => {
                let peak = FULL_SCALE * 10_f64.powf((*dbm0 - FULL_SCALE_DBM0) / 20.0);
                for _ in 0..samples {
                    pcm.push((phase.sin() * peak) as i16);
                    *phase = (*phase + TAU * *hz / RATE) % TAU;
                }
            }
            Source::Recorded { pcm: recording, at } => {
                let part = &recording[(*at).min(recording.len())..];
                let part = &part[..samples.min(part.len())];
                pcm.extend_from_slice(part);
                pcm.extend(std::iter::repeat_n(0, samples - part.len()));
                *at += part.len();
            }
            Source::Click { at } => {
                for i in 0..samples {
                    let moment = now + Duration::from_secs_f64(i as f64 / RATE);
                    let into = moment.checked_duration_since(*at).map(|d| d.as_secs_f64());
                    pcm.push(match into {
                        Some(t) if t < CLICK_LENGTH => {
                            ((TAU * CLICK_HZ * t).sin() * CLICK_PEAK) as i16
                        }
                        _ => 0,
                    });
                }
            }
        }
    }
}

/// A recording: decoded frames on the sender's timeline.
#[derive(Debug, Default)]
pub struct Heard {
    frames: Vec<Frame>,
}

#[derive(Debug)]
struct Frame {
    arrived: Instant,
    timestamp: u32,
    pcm: Vec<i16>,
}

impl Frame {
    /// Its length at 48 kHz.
    fn ticks(&self) -> u32 {
        (self.pcm.len() * 6) as u32
    }
}

impl Heard {
    /// Adds a decoded packet; `timestamp` is its RTP timestamp at 48 kHz.
    pub(super) fn add(&mut self, arrived: Instant, timestamp: u32, pcm: &[i16]) {
        self.frames.push(Frame { arrived, timestamp, pcm: pcm.to_vec() });
    }

    /// Takes out what came since: packets as they arrived, with their RTP timestamps at 48 kHz.
    pub fn take(&mut self) -> Vec<(u32, Vec<i16>)> {
        self.frames.drain(..).map(|frame| (frame.timestamp, frame.pcm)).collect()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.frames.clear();
    }

    /// How much was heard, in seconds of sound.
    pub fn seconds(&self) -> f64 {
        self.frames.iter().map(|f| f.pcm.len()).sum::<usize>() as f64 / RATE
    }

    /// The level in dBm0 of the component at `hz`: the mean power over blocks of 100 ms, each
    /// coherent in itself, so that neither a lost packet nor a slipped sample breaks the sum.
    pub fn level_at(&self, hz: f64) -> f64 {
        let blocks: Vec<f64> = self.frames.chunks(5).map(|block| power_at(block, hz)).collect();
        let power = blocks.iter().sum::<f64>() / blocks.len().max(1) as f64;
        20.0 * (power.sqrt().max(0.1) / FULL_SCALE).log10() + FULL_SCALE_DBM0
    }

    /// The strongest frequency between 200 and 3400 Hz in steps of 2 Hz, over at most half a second.
    pub fn strongest(&self) -> f64 {
        let mut pcm: Vec<f64> = Vec::new();
        for frame in &self.frames {
            pcm.extend(frame.pcm.iter().map(|s| f64::from(*s)));
        }
        pcm.truncate(RATE as usize / 2);
        let power = |hz: f64| {
            let (re, im) = pcm.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, s)| {
                let angle = TAU * hz * i as f64 / RATE;
                (re + s * angle.cos(), im + s * angle.sin())
            });
            re.hypot(im)
        };
        (100..=1700)
            .map(|step| f64::from(step) * 2.0)
            .max_by(|a, b| power(*a).total_cmp(&power(*b)))
            .unwrap_or(0.0)
    }

    /// When the first click after `from` was there to be played: its packet's arrival plus its place
    /// in the packet.
    pub fn click_after(&self, from: Instant) -> Option<Instant> {
        let loud = CLICK_PEAK as i32 / 4;
        self.frames.iter().filter(|f| f.arrived >= from).find_map(|frame| {
            let place = frame.pcm.iter().position(|s| i32::from(*s).abs() > loud)?;
            Some(frame.arrived + Duration::from_secs_f64(place as f64 / RATE))
        })
    }

    /// From the first packet to the end of the last on the sender's timeline.
    pub fn span(&self) -> Duration {
        seconds(self.span_ticks())
    }

    /// How much of that has no sound, or has the component at `hz` below `dbm0`.
    pub fn gaps(&self, hz: f64, dbm0: f64) -> Duration {
        let least = (FULL_SCALE * 10_f64.powf((dbm0 - FULL_SCALE_DBM0) / 20.0)).powi(2);
        let sounds = |f: &&Frame| power_at(std::slice::from_ref(*f), hz) >= least;
        let full: u32 = self.frames.iter().filter(sounds).map(Frame::ticks).sum();
        seconds(self.span_ticks().saturating_sub(full))
    }

    fn span_ticks(&self) -> u32 {
        let Some(first) = self.frames.first() else { return 0 };
        let end = |f: &Frame| f.timestamp.wrapping_sub(first.timestamp).wrapping_add(f.ticks());
        // What was overtaken by the first is before it.
        let ends = self.frames.iter().map(end).filter(|end| *end < u32::MAX / 2);
        ends.max().unwrap_or(0)
    }

    /// The longest pause between two arrivals.
    pub fn longest_gap(&self) -> Duration {
        self.frames
            .windows(2)
            .map(|pair| pair[1].arrived.duration_since(pair[0].arrived))
            .max()
            .unwrap_or_default()
    }
}

fn seconds(ticks: u32) -> Duration {
    Duration::from_secs_f64(f64::from(ticks) / CLOCK)
}

/// The square of the amplitude at `hz`, in units of a sample.
fn power_at(block: &[Frame], hz: f64) -> f64 {
    let (mut re, mut im, mut n) = (0.0, 0.0, 0_usize);
    for frame in block {
        // Phase follows the sender's timeline.
        let start = f64::from(frame.timestamp.wrapping_sub(block[0].timestamp)) / 6.0;
        for (i, sample) in frame.pcm.iter().enumerate() {
            let angle = TAU * hz * (start + i as f64) / RATE;
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
            n += 1;
        }
    }
    (2.0 * re.hypot(im) / n.max(1) as f64).powi(2)
}

const RATE: f64 = 8000.0;
/// Ticks of RTP a second (RFC 7587 4.1).
const CLOCK: f64 = 48_000.0;
const FULL_SCALE: f64 = 32767.0;
/// The level of a full-scale sine (ITU-T G.711 table 1: mu-law overload point).
const FULL_SCALE_DBM0: f64 = 3.17;
const CLICK_HZ: f64 = 1000.0;
const CLICK_PEAK: f64 = 20000.0;
/// Seconds: long enough to survive Opus at 8 kHz, short enough to be one place.
const CLICK_LENGTH: f64 = 0.005;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_heard_at_its_level_and_frequency_even_with_a_lost_packet() {
        let mut source = Source::tone(700.0, -20.0);
        let mut heard = Heard::default();
        let start = crate::base::epoch();
        for i in 0..50_u32 {
            let mut pcm = Vec::new();
            source.fill(160, start, &mut pcm);
            if i != 20 {
                heard.add(start + Duration::from_millis(20) * i, i * 960, &pcm);
            }
        }
        assert!((heard.level_at(700.0) + 20.0).abs() < 0.1, "{}", heard.level_at(700.0));
        assert!(heard.level_at(900.0) < -50.0);
        assert!((heard.strongest() - 700.0).abs() <= 4.0);
    }

    /// 2 s of a tone, one packet of which is lost, one silent, and all from the 40th on are 3 s late.
    #[test]
    fn lateness_is_no_gap_and_a_lost_or_silent_packet_is_one() {
        let start = crate::base::epoch();
        let heard = |lost: u32, silent: u32| {
            let (mut source, mut heard) = (Source::tone(700.0, -20.0), Heard::default());
            for i in 0..100_u32 {
                let mut pcm = Vec::new();
                source.fill(160, start, &mut pcm);
                if i == silent {
                    pcm.fill(0);
                }
                let late = Duration::from_secs(if i >= 40 { 3 } else { 0 });
                if i != lost {
                    let at = start + Duration::from_millis(20) * i + late;
                    heard.add(at, (u32::MAX - 5_000).wrapping_add(i * 960), &pcm);
                }
            }
            (heard.span(), heard.gaps(700.0, -26.0), heard.longest_gap())
        };
        let (second, packet) = (Duration::from_secs(1), Duration::from_millis(20));
        assert_eq!(heard(200, 200), (2 * second, Duration::ZERO, 3 * second + packet));
        assert_eq!(heard(50, 200).1, packet);
        assert_eq!(heard(50, 60).1, 2 * packet);
    }

    #[test]
    fn a_click_is_found_at_its_sample() {
        let start = crate::base::epoch();
        let at = start + Duration::from_millis(45);
        let mut source = Source::Click { at };
        let mut heard = Heard::default();
        for i in 0..5_u32 {
            let now = start + Duration::from_millis(20) * i;
            let mut pcm = Vec::new();
            source.fill(160, now, &mut pcm);
            heard.add(now, i * 960, &pcm);
        }
        let found = heard.click_after(start).expect("a click was played");
        assert!(found.duration_since(at) < Duration::from_millis(1));
    }
}
