//! Recognises call progress tones by their frequencies and their cadence (ITU-T E.180, E.182), and the
//! tones of fax machines and modems.
//!
//! Sound is cut into runs: something that is a tone of one place in the spectrum, anything else, and
//! silence. A run's frequencies are measured over its first 200 ms; a tone is told when its runs fit the
//! table and no other kind of that country fits as many of them.

use std::collections::VecDeque;

use super::tone_table::{CountryTone, TONES, ToneKind};
use crate::codec::FRAME;

/// A tone that was recognised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// What it tells.
    pub kind: ToneKind,
    /// When its first sound began, in milliseconds of the recogniser's time.
    pub start_ms: u64,
    /// When it was certain.
    pub at_ms: u64,
}

/// Listens to sound at 8 kHz.
#[derive(Clone)]
pub struct Recogniser {
    frames: u64,
    past: [i16; LOOK],
    run: Run,
    runs: VecDeque<Run>,
    sound: Vec<i16>,
}

/// A stretch of one sort of sound.
#[derive(Debug, Clone, PartialEq)]
struct Run {
    sort: Sort,
    start: u64,
    frames: u64,
    /// Measured when it was long enough.
    hz: Vec<f64>,
    /// Whether it was on when listening began: it may have begun before.
    cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sort {
    Silence,
    /// Around this frequency.
    Tone(f64),
    Other,
}

impl std::fmt::Debug for Recogniser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recogniser").field("runs", &self.runs).field("run", &self.run).finish()
    }
}

impl Default for Recogniser {
    fn default() -> Recogniser {
        let run = Run { sort: Sort::Silence, start: 0, frames: 0, hz: Vec::new(), cut: true };
        Recogniser { frames: 0, past: [0; LOOK], run, runs: VecDeque::new(), sound: Vec::new() }
    }
}

impl Recogniser {
    /// Takes the next 20 ms.
    pub fn hear(&mut self, pcm: &[i16]) {
        self.past.copy_within(FRAME.., 0);
        let fresh = &mut self.past[LOOK - FRAME..];
        fresh.fill(0);
        let count = pcm.len().min(FRAME);
        fresh[..count].copy_from_slice(&pcm[..count]);
        let sort = sort_of(&self.past[LOOK - FRAME..], &self.past);
        self.frames += 1;
        let same = match (self.run.sort, sort) {
            (Sort::Tone(a), Sort::Tone(b)) => (a - b).abs() < SAME_PLACE,
            (Sort::Silence, Sort::Silence) | (Sort::Other, Sort::Other) => true,
            // The frame in which a tone begins or ends is half of each: it belongs to the tone.
            (Sort::Tone(_), Sort::Other) => self.run.frames < 2,
            _ => false,
        };
        if !same {
            let cut = self.frames == 1;
            let fresh = Run { sort, start: self.frames - 1, frames: 0, hz: Vec::new(), cut };
            let before = std::mem::replace(&mut self.run, fresh);
            self.close(before);
            self.sound.clear();
        }
        self.run.frames += 1;
        if let Sort::Tone(_) = self.run.sort
            && self.sound.len() < LONGEST_LOOK
        {
            self.sound.extend_from_slice(&self.past[LOOK - FRAME..]);
            if self.sound.len() <= MEASURED {
                self.run.hz = frequencies(&self.sound);
            }
        }
    }

    /// The tone that is on or was last, by the table of a country (`None`: of any); `kind` is what is
    /// asked for.
    pub fn find(&self, kind: ToneKind, country: Option<&str>) -> Option<Heard> {
        match kind {
            ToneKind::FaxCed | ToneKind::Modem => return self.answer_tone(kind),
            ToneKind::Sit => return self.special(),
            _ => {}
        }
        let wanted = |tone: &&CountryTone| {
            tone.kind == kind
                && (tone.countries.is_empty()
                    || country.is_none_or(|c| {
                        tone.countries.iter().any(|own| own.eq_ignore_ascii_case(c))
                    }))
        };
        TONES.iter().filter(wanted).find_map(|tone| {
            let fit = self.fit(tone)?;
            let rivals = TONES.iter().filter(|other| {
                let kin = other.countries.iter().any(|c| tone.countries.contains(c))
                    || tone.countries.is_empty() != other.countries.is_empty();
                kin && other.kind != tone.kind && other.cadence != tone.cadence
            });
            let rivalled = rivals.filter_map(|other| self.fit(other)).any(|o| o.runs >= fit.runs);
            (!rivalled).then_some(Heard { kind, start_ms: fit.start * 20, at_ms: self.frames * 20 })
        })
    }

    /// Every kind that is recognised now, for those who did not ask for one.
    pub fn any(&self, country: Option<&str>) -> Option<Heard> {
        ToneKind::WORDS.iter().find_map(|(_, kind)| self.find(*kind, country))
    }

    /// How many of the newest runs are this tone's: at least one whole run of sound.
    fn fit(&self, tone: &CountryTone) -> Option<Fit> {
        let all: Vec<&Run> = self.runs.iter().chain(std::iter::once(&self.run)).collect();
        let open = all.len() - 1;
        let mut best: Option<Fit> = None;
        for phase in 0..tone.cadence.len() {
            // The newest run is the cadence's step `phase`; the ones before it are the steps before.
            let (mut runs, mut sounds, mut start) = (0, 0, self.run.start);
            for (back, run) in all.iter().rev().enumerate() {
                let step = (phase + tone.cadence.len() * 8 - back) % tone.cadence.len();
                let is_on = step.is_multiple_of(2);
                let right = match run.sort {
                    Sort::Tone(_) => is_on && same_tones(&run.hz, tone.hz),
                    Sort::Silence => !is_on,
                    Sort::Other => false,
                };
                let (ms, wanted) = (run.frames * 20, u64::from(tone.cadence[step]));
                let slack = wanted / 7 + 30;
                let index = all.len() - 1 - back;
                let long_enough = ms + slack >= wanted || (run.cut && is_on);
                let fits = right && ms <= wanted + slack && (index == open || long_enough);
                if !fits {
                    break;
                }
                if index != open || ms + slack / 2 >= wanted {
                    runs += 1;
                    sounds += usize::from(is_on && index != open);
                }
                if is_on {
                    start = run.start;
                }
                if back + 1 >= 4 * tone.cadence.len() {
                    break;
                }
            }
            if sounds > 0 && best.as_ref().is_none_or(|fit| fit.runs < runs) {
                best = Some(Fit { runs, start });
            }
        }
        best
    }

    /// Three rising tones without a pause (E.180 5): 950, 1400 and 1800 Hz of a third of a second each;
    /// North America's variants are up to 5 % lower and as short as 274 ms.
    fn special(&self) -> Option<Heard> {
        let all: Vec<&Run> = self
            .runs
            .iter()
            .chain(std::iter::once(&self.run))
            .filter(|run| run.frames > 1 || run.sort == Sort::Silence)
            .collect();
        let near = |run: &Run, hz: f64| {
            let long = (200..=450).contains(&(run.frames * 20));
            let tone = run.hz.first().is_some_and(|own| (own - hz).abs() <= 55.0);
            long && tone && run.hz.len() == 1
        };
        let found = all.windows(3).rev().find(|three| {
            near(three[0], 950.0) && near(three[1], 1400.0) && near(three[2], 1800.0)
        })?;
        Some(Heard {
            kind: ToneKind::Sit,
            start_ms: found[0].start * 20,
            at_ms: (found[2].start + found[2].frames) * 20,
        })
    }

    /// A steady tone of a second or more that an answering machine sends.
    fn answer_tone(&self, kind: ToneKind) -> Option<Heard> {
        let run = &self.run;
        if run.frames * 20 < ANSWER_MS || self.sound.len() < LONGEST_LOOK / 2 {
            return None;
        }
        let is = |hz: f64| run.hz.first().is_some_and(|own| (own - hz).abs() <= 20.0);
        let found = if is(2225.0) {
            ToneKind::Modem
        } else if is(2100.0) {
            if swells(&self.sound) || reverses(&self.sound) {
                ToneKind::Modem
            } else {
                ToneKind::FaxCed
            }
        } else {
            return None;
        };
        (found == kind).then_some(Heard { kind, start_ms: run.start * 20, at_ms: self.frames * 20 })
    }

    fn close(&mut self, run: Run) {
        if run.frames == 0 {
            return;
        }
        // One odd frame is a click or the edge of a tone: it goes to what was before.
        if run.frames == 1
            && !matches!(run.sort, Sort::Tone(_))
            && let Some(last) = self.runs.back_mut()
        {
            last.frames += 1;
            return;
        }
        let merge = self.runs.back_mut().filter(|last| match (last.sort, run.sort) {
            (Sort::Tone(a), Sort::Tone(b)) => (a - b).abs() < SAME_PLACE,
            (a, b) => a == b,
        });
        if let Some(last) = merge {
            last.frames += run.frames;
            return;
        }
        if self.runs.len() == MOST_RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(run);
    }
}

struct Fit {
    /// Runs that are complete or nearly.
    runs: usize,
    /// The frame of the first sound.
    start: u64,
}

fn sort_of(frame: &[i16], look: &[i16]) -> Sort {
    let power = |pcm: &[i16]| pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    let level = (power(frame) / frame.len() as f64).sqrt();
    if level < QUIET_RMS {
        return Sort::Silence;
    }
    // 40 ms with a Hann window, at steps of 25 Hz where call progress tones and machines are.
    let windowed: Vec<f64> = look
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let turn = std::f64::consts::TAU * (i as f64 + 0.5) / look.len() as f64;
            f64::from(*s) * (0.5 - 0.5 * turn.cos())
        })
        .collect();
    let all: f64 = windowed.iter().map(|s| s * s).sum();
    let spectrum: Vec<f64> = (0..STEPS).map(|k| at(&windowed, LOWEST + k as f64 * STEP)).collect();
    let top = (0..STEPS).max_by(|a, b| spectrum[*a].total_cmp(&spectrum[*b])).unwrap_or(0);
    // All of a pair's power lies within 200 Hz of its stronger half.
    let reach = (200.0 / STEP) as usize;
    let near: f64 = spectrum[top.saturating_sub(reach)..(top + reach).min(STEPS)].iter().sum();
    // By Parseval: steps of 25 Hz in 8000 Hz, both sides.
    let share = near * 2.0 * STEP / 8000.0 / all.max(1.0);
    if share < TONAL { Sort::Other } else { Sort::Tone(LOWEST + top as f64 * STEP) }
}

/// Power at a frequency.
fn at(pcm: &[f64], hz: f64) -> f64 {
    let c = 2.0 * (std::f64::consts::TAU * hz / 8000.0).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in pcm {
        let value = sample + c * last - before;
        (before, last) = (last, value);
    }
    last * last + before * before - c * last * before
}

/// The one or two frequencies of a tone, lowest first, to a few Hz.
fn frequencies(pcm: &[i16]) -> Vec<f64> {
    // The first 20 ms hold the tone's edge.
    let pcm = &pcm[FRAME.min(pcm.len() / 4)..];
    let windowed: Vec<f64> = pcm
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let turn = std::f64::consts::TAU * (i as f64 + 0.5) / pcm.len() as f64;
            f64::from(*s) * (0.5 - 0.5 * turn.cos())
        })
        .collect();
    let step = 5.0;
    let count = ((HIGHEST - LOWEST) / step) as usize;
    // Where the power is not, nothing is looked at closely.
    let coarse: Vec<f64> =
        (0..=count / 2).map(|k| at(&windowed, LOWEST + k as f64 * step * 2.0)).collect();
    let peak = coarse.iter().copied().fold(0.0, f64::max);
    let fine: Vec<f64> = (0..count)
        .map(|k| {
            let near = (k / 2).saturating_sub(2)..(k / 2 + 3).min(coarse.len());
            if coarse[near].iter().all(|power| *power < peak * 0.003) {
                return 0.0;
            }
            at(&windowed, LOWEST + k as f64 * step)
        })
        .collect();
    let top = fine.iter().copied().fold(0.0, f64::max);
    let mut peaks: Vec<(f64, f64)> = (1..count - 1)
        .filter(|k| fine[*k] > fine[k - 1] && fine[*k] >= fine[k + 1] && fine[*k] > top * 0.05)
        .map(|k| {
            let (a, b, c) = (fine[k - 1].max(1.0), fine[k], fine[k + 1].max(1.0));
            let (a, b, c) = (a.ln(), b.ln(), c.ln());
            let bend = a - 2.0 * b + c;
            let shift = if bend < 0.0 { (0.5 * (a - c) / bend).clamp(-1.0, 1.0) } else { 0.0 };
            (LOWEST + (k as f64 + shift) * step, fine[k])
        })
        .collect();
    peaks.sort_by(|a, b| b.1.total_cmp(&a.1));
    peaks.truncate(2);
    peaks.sort_by(|a, b| a.0.total_cmp(&b.0));
    peaks.into_iter().map(|(hz, _)| hz).collect()
}

/// Whether the tones that were measured are those of the table. A pair that is too close to be
/// taken apart in its time is one tone between them.
fn same_tones(own: &[f64], table: &[f64]) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 12.0;
    match (own, table) {
        ([a], [b]) => near(*a, *b),
        ([a, b], [c, d]) => near(*a, *c) && near(*b, *d),
        ([a], [c, d]) => d - c < 40.0 && (c - 6.0..=d + 6.0).contains(a),
        _ => false,
    }
}

/// V.8: the level swings by a fifth, fifteen times a second.
fn swells(pcm: &[i16]) -> bool {
    let levels: Vec<f64> = pcm[FRAME..]
        .chunks_exact(80)
        .map(|part| (part.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 80.0).sqrt())
        .collect();
    let mean = levels.iter().sum::<f64>() / levels.len().max(1) as f64;
    let (mut c, mut s) = (0.0, 0.0);
    for (i, level) in levels.iter().enumerate() {
        let turn = std::f64::consts::TAU * 15.0 * i as f64 / 100.0;
        c += (level - mean) * turn.cos();
        s += (level - mean) * turn.sin();
    }
    let depth = 2.0 * (c * c + s * s).sqrt() / levels.len().max(1) as f64 / mean.max(1.0);
    depth > 0.1
}

/// V.25: the phase turns by half a circle every 450 ms.
fn reverses(pcm: &[i16]) -> bool {
    let phases: Vec<f64> = pcm
        .chunks_exact(FRAME)
        .enumerate()
        .map(|(index, part)| {
            let (mut c, mut s) = (0.0, 0.0);
            for (i, sample) in part.iter().enumerate() {
                let n = (index * FRAME + i) as f64;
                let turn = std::f64::consts::TAU * 2100.0 * n / 8000.0;
                c += f64::from(*sample) * turn.cos();
                s -= f64::from(*sample) * turn.sin();
            }
            s.atan2(c)
        })
        .collect();
    let turn = |a: f64, b: f64| {
        let d = (a - b).rem_euclid(std::f64::consts::TAU);
        d.min(std::f64::consts::TAU - d)
    };
    phases.windows(3).any(|three| turn(three[2], three[0]) > 2.5)
}

const LOOK: usize = 2 * FRAME;
const LOWEST: f64 = 300.0;
const HIGHEST: f64 = 2400.0;
const STEP: f64 = 25.0;
const STEPS: usize = ((HIGHEST - LOWEST) / STEP) as usize + 1;
/// Tones move less than this within one run: a beating pair's stronger half is now the one, now the other.
const SAME_PLACE: f64 = 200.0;
/// -45 dBm0 (0 dBm0 is 3.17 dB below a full-scale sine).
const QUIET_RMS: f64 = 90.0;
/// Share of the power that lies at a tone.
const TONAL: f64 = 0.8;
/// Sound of a run that is measured: 600 ms, a reversal of V.25 and nine swells of V.8.
const LONGEST_LOOK: usize = 4800;
/// Sound that frequencies are measured over: 200 ms tell 400 from 425 Hz.
const MEASURED: usize = 11 * FRAME;
/// Longer than any step of a cadence at these frequencies.
const ANSWER_MS: u64 = 1000;
const MOST_RUNS: usize = 32;
