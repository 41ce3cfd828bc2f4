//! Finds a prompt in what is heard, without understanding speech: rows of band energies of the
//! reference are correlated with those of the sound.
//!
//! ```text
//! reference   |--- window 0.6 s ---|
//!                       |--- next, 0.3 s later ---|      ...      |--- last ---|
//! heard    ...|--------------------|---------------------------------------------|...
//! ```
//!
//! Every window is aligned anew by up to 40 ms from where the one before it was, which follows a clock
//! that drifts and a jitter buffer that stretches. Two scores count: the **whole** (all windows
//! together) and the **worst window**. The whole alone would pass a prompt with one wrong word.
//! The thresholds are calibrated: docs/ivr-testing.md.

use super::bands::{BANDS, Row, rows};
use crate::codec::FRAME;

/// A whole at least this like the reference is the prompt.
pub const WHOLE: f32 = 0.75;
/// And no 0.6 s of it less than this.
pub const WINDOW: f32 = 0.60;

/// A recorded prompt, ready to be searched for.
#[derive(Debug, Clone)]
pub struct Reference {
    /// What people call it: the file's name.
    pub name: String,
    /// Rows at four starts, 5 ms apart, without the silence at both ends.
    phases: [Vec<Row>; PHASES],
    /// The same as what is compared.
    shapes: [Vec<[f32; BANDS]>; PHASES],
    /// By band, over the active rows.
    mean: [f32; BANDS],
    /// Rows quieter than this are pauses of the speaker.
    pause: f32,
    /// Energies below this count as this.
    floor: f32,
    /// Silence cut off at the beginning, in rows.
    lead: usize,
    /// Of the whole file, in samples.
    samples: usize,
}

/// Why a recording cannot be a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing to be heard in it.
    #[error("it is silent: nothing in it is louder than -60 dBFS")]
    Silent,
    /// Too short to tell from other sounds.
    #[error("{0} ms of sound are too short to be told from others; 200 ms are the least")]
    TooShort(usize),
}

/// Where a prompt was heard, and how well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// The row of the sound where the prompt's first sound is.
    pub start: usize,
    /// The row after its last sound.
    pub end: usize,
    /// Likeness of the whole, at most 1.
    pub whole: f32,
    /// Likeness of its worst 0.6 s.
    pub window: f32,
}

impl Match {
    /// Whether both scores reach their thresholds.
    pub fn passes(&self, whole: f32, window: f32) -> bool {
        self.whole >= whole && self.window >= window
    }
}

impl Reference {
    /// The reference of a recording at 8 kHz.
    ///
    /// # Errors
    /// [`ReferenceError`] where it holds too little sound.
    pub fn new(name: &str, pcm: &[i16]) -> Result<Reference, ReferenceError> {
        let whole = rows(pcm, 0);
        let peak = whole.iter().map(|row| row.total).fold(f32::MIN, f32::max);
        if peak <= -60.0 {
            return Err(ReferenceError::Silent);
        }
        let active = |row: &Row| row.total > peak - ACTIVE;
        let lead = whole.iter().position(active).unwrap_or(0);
        let last = whole.iter().rposition(active).unwrap_or(0);
        let length = last + 1 - lead;
        if length < SHORTEST {
            return Err(ReferenceError::TooShort(length * 20));
        }
        let phases: [Vec<Row>; PHASES] = std::array::from_fn(|phase| {
            let mut rows = rows(pcm, phase * FRAME / PHASES);
            rows.drain(..lead.min(rows.len()));
            rows.truncate(length);
            let last = rows.last().copied().unwrap_or(whole[last]);
            rows.resize(length, last);
            rows
        });
        let floor = peak - RANGE;
        let mut mean = [0f32; BANDS];
        let spoken: Vec<&Row> = phases[0].iter().filter(|row| active(row)).collect();
        for row in &spoken {
            for (sum, band) in mean.iter_mut().zip(row.bands) {
                *sum += band.max(floor) / spoken.len() as f32;
            }
        }
        let pause = peak - PAUSE;
        let shapes = std::array::from_fn(|phase| {
            phases[phase].iter().map(|row| shape(row, 0.0, floor, &mean)).collect()
        });
        let (name, samples) = (name.to_owned(), pcm.len());
        Ok(Reference { name, phases, shapes, mean, pause, floor, lead, samples })
    }

    /// Rows from its first sound to its last.
    pub fn rows(&self) -> usize {
        self.phases[0].len()
    }

    /// Rows of silence before its first sound.
    pub fn lead(&self) -> usize {
        self.lead
    }

    /// Length of the recording in milliseconds.
    pub fn millis(&self) -> usize {
        self.samples / 8
    }

    /// How well the prompt is heard beginning at row `start`, or up to 20 ms later; `None` where the
    /// first window shows that it is not, or where less than `rows` of it was heard. `rows` is how much
    /// of the prompt is looked at, from its beginning.
    pub fn at(&self, heard: &[Row], start: usize, rows: usize) -> Option<Match> {
        let rows = rows.min(self.rows());
        if start + rows > heard.len() {
            return None;
        }
        let first = rows.min(WINDOW_ROWS);
        let quick = [0, 2].map(|phase| self.window(heard, start as isize * 4 - phase, 0, first));
        let quick = quick[0].score().max(quick[1].score());
        if quick < WORTH_A_LOOK {
            return None;
        }
        // In quarters of a row; phase p of the reference begins p quarters later in it.
        let mut place = start as isize * 4;
        let (mut sums, mut worst) = (Sums::default(), f32::MAX);
        let mut reach = 3;
        let mut at = 0;
        let mut counted = 0;
        let mut begin = start;
        loop {
            let length = first.min(rows - at);
            let (best, sum) = (-reach..=reach)
                .map(|shift| (place + shift, self.window(heard, place + shift, at, length)))
                .max_by(|a, b| a.1.score().total_cmp(&b.1.score()))?;
            if at == 0 {
                begin = best.div_euclid(4).max(0) as usize;
            }
            place = best;
            reach = REACH;
            worst = worst.min(sum.score());
            // Overlapping windows count once in the whole.
            if at >= counted {
                sums.add(&sum);
                counted = at + length;
            }
            if at + length >= rows {
                break;
            }
            at = (at + STEP_ROWS).min(rows - first);
        }
        let end = (place.div_euclid(4).max(0) as usize + rows).min(heard.len());
        Some(Match { start: begin, end, whole: sums.score(), window: worst })
    }

    /// The best place of the whole prompt in `heard`, whether it passes or not.
    pub fn best(&self, heard: &[Row]) -> Option<Match> {
        let last = heard.len().checked_sub(self.rows())?;
        (0..=last)
            .filter_map(|start| self.at(heard, start, self.rows()))
            .max_by(|a, b| a.whole.min(a.window + 0.15).total_cmp(&b.whole.min(b.window + 0.15)))
    }

    /// Up to which row this recording is heard that began at row `start`, and was on before row `from`:
    /// the place before which most is like it and after which most is not. And how many rows after it
    /// speak against it: in the others the speaker pauses, too.
    pub fn heard_until(&self, heard: &[Row], start: usize, from: usize) -> (usize, usize) {
        let from = from.min(heard.len());
        // Clocks drift: the place is looked for anew in the second before.
        let back = from.saturating_sub(50).max(start);
        let place = (-REACH..=REACH)
            .map(|shift| start as isize * 4 + shift)
            .max_by(|a, b| {
                let score = |place| self.window(heard, place, back - start, from - back).score();
                score(*a).total_cmp(&score(*b))
            })
            .unwrap_or(start as isize * 4);
        let own = |row: usize| self.phases[0][row - start].total;
        let loudest =
            |energy: &dyn Fn(usize) -> f32| (back..from).map(energy).fold(f32::MIN, f32::max);
        let gain = loudest(&|row| heard[row].total) - loudest(&own);
        let quiet = (self.pause + gain).max(QUIET) + 6.0;
        let end = heard.len().min(start + self.rows());
        let (mut sum, mut most, mut until, mut against) = (0.0, CHANCE, from, 0);
        for row in from.saturating_sub(STILL_ON).max(start + 1)..end.saturating_sub(1) {
            // Where both are silent nothing is said about either.
            if own(row) < self.pause && heard[row].total < quiet {
                continue;
            }
            sum += self.window(heard, place, row - 1 - start, 3).score() - LIKE;
            against += 1;
            if sum > most {
                (most, until, against) = (sum, row + 1, 0);
            }
        }
        (until.max(from), against)
    }

    /// How like the reference's rows from `at` the sound is, `length` rows of both; `place` is where
    /// the reference's row 0 is in `heard`, in quarters of a row.
    pub(super) fn window(&self, heard: &[Row], place: isize, at: usize, length: usize) -> Sums {
        // Heard row h is the reference's row h - place; what is left of a quarter is the phase.
        let row = place.div_euclid(4) + isize::from(place.rem_euclid(4) != 0);
        let phase = (-place).rem_euclid(4) as usize;
        let from = row + at as isize;
        let Ok(from) = usize::try_from(from) else { return Sums::default() };
        let (Some(heard), Some(own)) =
            (heard.get(from..from + length), self.phases[phase].get(at..at + length))
        else {
            return Sums::default();
        };
        let loudest = |rows: &[Row]| rows.iter().map(|row| row.total).fold(f32::MIN, f32::max);
        let (own_peak, heard_peak) = (loudest(own), loudest(heard));
        if own_peak < self.pause {
            // A pause of the speaker: alike where nothing is heard either.
            return if heard_peak < QUIET { Sums::alike() } else { Sums::default() };
        }
        if heard_peak < QUIET {
            return Sums::default();
        }
        let gain = heard_peak - own_peak;
        let mut sums = Sums::default();
        for (own, heard) in self.shapes[phase][at..at + length].iter().zip(heard) {
            let heard = shape(heard, gain, self.floor, &self.mean);
            for (a, b) in own.iter().copied().zip(heard) {
                sums.a += a;
                sums.b += b;
                sums.aa += a * a;
                sums.bb += b * b;
                sums.ab += a * b;
            }
        }
        sums.count = (length * BANDS) as f32;
        sums.center()
    }
}

/// What is compared of a row: each band against the recording's usual, and less of how loud the row is
/// than of where in the spectrum it is: vowels tell words apart, and every word is loud in its middle.
fn shape(row: &Row, gain: f32, floor: f32, mean: &[f32; BANDS]) -> [f32; BANDS] {
    let mut bands: [f32; BANDS] =
        std::array::from_fn(|b| (row.bands[b] - gain).max(floor) - mean[b]);
    let loudness = LESS_LOUDNESS * bands.iter().sum::<f32>() / BANDS as f32;
    bands.iter_mut().for_each(|band| *band -= loudness);
    bands
}

/// Sums of products, about their means.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    a: f32,
    b: f32,
    aa: f32,
    bb: f32,
    ab: f32,
    count: f32,
}

impl Sums {
    /// Two pauses.
    fn alike() -> Sums {
        Sums { aa: 1.0, bb: 1.0, ab: 1.0, ..Sums::default() }
    }

    /// About the means of this window: a level that changes from window to window is no difference.
    fn center(self) -> Sums {
        let n = self.count.max(1.0);
        Sums {
            aa: self.aa - self.a * self.a / n,
            bb: self.bb - self.b * self.b / n,
            ab: self.ab - self.a * self.b / n,
            ..Sums::default()
        }
    }

    fn add(&mut self, other: &Sums) {
        self.aa += other.aa;
        self.bb += other.bb;
        self.ab += other.ab;
    }

    /// The correlation: 1 alike, 0 strangers.
    pub(super) fn score(&self) -> f32 {
        let power = (self.aa.max(0.0) * self.bb.max(0.0)).sqrt();
        if power <= f32::EPSILON { 0.0 } else { (self.ab / power).clamp(-1.0, 1.0) }
    }
}

const PHASES: usize = 4;
/// 0.6 s.
const WINDOW_ROWS: usize = 30;
/// 0.3 s from window to window.
const STEP_ROWS: usize = 15;
/// Quarters of a row (5 ms) that a window may lie off from the one before it: 40 ms.
const REACH: isize = 8;
/// 200 ms before a key.
const STILL_ON: usize = 10;
/// Rows of a stranger may be like it by chance, in sum by this.
const CHANCE: f32 = 2.0;
/// Of three rows: half way between the same and a stranger.
const LIKE: f32 = 0.5;
/// 200 ms.
const SHORTEST: usize = 10;
/// A first window below this is another prompt: the thresholds are far above.
const WORTH_A_LOOK: f32 = 0.45;
/// Speech is within this of its loudest row, in dB.
const ACTIVE: f32 = 35.0;
/// Rows further below the loudest are pauses of the speaker, in dB.
const PAUSE: f32 = 30.0;
/// Energies further below the loudest row are not compared: noise and codec are there, in dB.
const RANGE: f32 = 30.0;
/// Share of a row's loudness that is left out.
const LESS_LOUDNESS: f32 = 0.7;
/// What is quieter is silence on any line, in dB.
pub(super) const QUIET: f32 = -52.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Tone, Tones, read_wav};

    fn speech(name: &str) -> Vec<i16> {
        let path = format!("{}/src/carrier/prompts/{name}.wav", env!("CARGO_MANIFEST_DIR"));
        let file: &[u8] = match name {
            "menu" => include_bytes!("../carrier/prompts/menu.wav"),
            "about" => include_bytes!("../carrier/prompts/about.wav"),
            "digit-5" => include_bytes!("../carrier/prompts/digit-5.wav"),
            "digit-9" => include_bytes!("../carrier/prompts/digit-9.wav"),
            _ => panic!("{path}"),
        };
        read_wav(file).unwrap()
    }

    #[test]
    fn a_prompt_is_found_where_it_is_at_another_level_and_between_frames() {
        let menu = speech("menu");
        let reference = Reference::new("menu", &menu).unwrap();
        for offset in [0usize, 37, 80, 133] {
            let mut heard = vec![0i16; 4000 + offset];
            heard.extend(menu.iter().map(|s| s / 4));
            heard.extend([0; 8000]);
            let found = reference.best(&rows(&heard, 0)).unwrap();
            assert!(found.whole > 0.95 && found.window > 0.9, "{offset}: {found:?}");
            let begins = (4000 + offset) / FRAME + reference.lead();
            assert!(found.start.abs_diff(begins) <= 1, "{offset}: {found:?} {begins}");
        }
    }

    #[test]
    fn another_prompt_is_not_found_and_one_with_a_wrong_word_fails_by_its_window() {
        let (menu, about) = (speech("menu"), speech("about"));
        let reference = Reference::new("menu", &menu).unwrap();
        let mut heard = about.clone();
        heard.resize(menu.len() + 16_000, 0);
        let best = reference.best(&rows(&heard, 0));
        assert!(best.is_none_or(|m| !m.passes(WHOLE, WINDOW)), "{best:?}");

        let mut wrong = menu.clone();
        let at = menu.len() / 2;
        let other = &about[8000..8000 + 5600];
        wrong[at..at + other.len()].copy_from_slice(other);
        let found = reference.best(&rows(&wrong, 0)).unwrap();
        assert!(found.whole > WHOLE, "the whole alone would pass it: {found:?}");
        assert!(found.window < WINDOW, "{found:?}");
    }

    #[test]
    fn words_with_the_same_vowel_are_alike_and_the_right_one_is_clearly_more_so() {
        // "five" and "nine" differ by two consonants: no threshold tells them apart, their rank does.
        let reference = Reference::new("5", &speech("digit-5")).unwrap();
        let good = reference.best(&rows(&speech("digit-5"), 0)).unwrap();
        let mut other = speech("digit-9");
        other.resize(16_000, 0);
        let rival = reference.best(&rows(&other, 0)).unwrap();
        assert!(good.whole > 0.99 && rival.whole < 0.85, "{good:?} {rival:?}");
    }

    #[test]
    fn silence_and_clicks_are_no_references() {
        assert_eq!(Reference::new("x", &[0; 8000]).unwrap_err(), ReferenceError::Silent);
        let mut click = vec![0; 8000];
        Tones::new(&[Tone { frequency: 800.0, dbm0: -10.0 }]).fill(&mut click[..400]);
        assert!(matches!(Reference::new("x", &click), Err(ReferenceError::TooShort(_))));
    }
}
