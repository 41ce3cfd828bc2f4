//! What the newest 25.6 ms of a leg's sound hold: the power of the eight fundamentals, and Goertzel filters
//! on what was found and its second harmonics (ITU-T Q.24 for what is to be accepted).

use std::f64::consts::TAU;
use std::sync::LazyLock;

use super::{COLUMNS, EVENTS, RATE, ROWS};
use crate::base::Digit;

/// The newest samples.
#[derive(Debug)]
pub(super) struct Analysis {
    samples: [f32; WINDOW],
    /// Energy of the newest window, as a mean square.
    total: f64,
}

/// What a window holds when it is a hit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) digit: Digit,
    /// Mean square of both tones.
    pub(super) power: f64,
}

/// A tone of a group as it was measured.
#[derive(Debug, Clone, Copy)]
struct Measured {
    index: usize,
    frequency: f64,
    /// Mean square.
    power: f64,
    /// The strongest other tone of the group.
    second: f64,
}

/// A window about its middle: what is the same on both sides of it, and what has the other sign. The
/// first meets only the cosine of a tone, the second only its sine, so that half the products do.
struct Folded {
    even: Half,
    odd: Half,
    /// Sum of the squares of all samples.
    energy: f64,
}

/// What measures: the same for all legs.
struct Tables {
    window: [f32; WINDOW],
    /// The window of the two stretches whose phases are compared.
    short: [f64; WINDOW - STEP],
    /// Cosine and sine of rows and columns, from the end to the middle.
    rows: [[Half; 2]; 4],
    columns: [[Half; 2]; 4],
}

/// From the window's end to its middle; what is behind that is 0.
type Half = [f32; HALF];

impl Analysis {
    /// Silence.
    pub(super) fn new() -> Analysis {
        Analysis { samples: [0.0; WINDOW], total: 0.0 }
    }

    /// The window moves on by this sound at 8 kHz, less than a window of it.
    pub(super) fn slide(&mut self, newest: &[i16]) {
        let kept = WINDOW - newest.len();
        self.samples.copy_within(newest.len().., 0);
        for (sample, new) in self.samples[kept..].iter_mut().zip(newest) {
            *sample = f32::from(*new);
        }
    }

    /// Energy of the window that was looked at last, as a mean square.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// Whether the newest window holds one digit and nothing else.
    pub(super) fn hit(&mut self) -> Option<Hit> {
        let folded = self.fold();
        let total = folded.energy / WEIGHT;
        self.total = total;
        if total < QUIETEST {
            return None;
        }
        let most = |powers: &[f64; 4]| powers.iter().copied().fold(0.0, f64::max);
        // Most of speech ends here, before the columns are looked at.
        let rows = folded.powers(&TABLES.rows);
        if most(&rows) < total * LEAST_ROW {
            return None;
        }
        let columns = folded.powers(&TABLES.columns);
        // A tone at the edge of what is accepted loses 2 dB here; nearly all of speech ends here.
        if most(&rows) + most(&columns) < total * PURE / 2.0 {
            return None;
        }
        let row = self.strongest(&ROWS, rows)?;
        let column = self.strongest(&COLUMNS, columns)?;
        let twist = decibels(row.power / column.power);
        let alone = [&row, &column].iter().all(|t| t.second < t.power * ALONE);
        let pure = row.power + column.power >= total * PURE;
        if row.power < QUIETEST
            || column.power < QUIETEST
            || !(-REVERSE_TWIST..=TWIST).contains(&twist)
            || !alone
            || !pure
        {
            return None;
        }
        let digit = Digit::from_event(EVENTS[row.index][column.index])?;
        let overtone = |tone: &Measured, other: f64| {
            let frequency = 2.0 * tone.frequency;
            // The second harmonic of a row may fall on the column itself.
            (frequency - other).abs() > APART && self.power(frequency) > tone.power * OVERTONE
        };
        if overtone(&row, column.frequency) || overtone(&column, row.frequency) {
            return None;
        }
        Some(Hit { digit, power: row.power + column.power })
    }

    /// The samples under the window, folded.
    fn fold(&self) -> Folded {
        // Plain loops over arrays in single precision, here and below: this runs for every 8 ms of
        // every leg, and a processor does four of these at once.
        let mut folded = Folded { even: [0.0; HALF], odd: [0.0; HALF], energy: 0.0 };
        let (early, late) = (&self.samples[..MIDDLE], &self.samples[MIDDLE + 1..]);
        let both = early.iter().zip(late.iter().rev()).zip(&TABLES.window);
        let halves = folded.even.iter_mut().zip(&mut folded.odd);
        for (((early, late), weight), (even, odd)) in both.zip(halves) {
            let (early, late) = (early * weight, late * weight);
            (*even, *odd) = (early + late, early - late);
        }
        let middle = self.samples[MIDDLE] * TABLES.window[MIDDLE];
        let twice = product(&folded.even, &folded.even) + product(&folded.odd, &folded.odd);
        folded.energy = twice / 2.0 + f64::from(middle * middle);
        folded.even[MIDDLE] = middle;
        folded
    }

    /// The strongest tone of a group with its real frequency; `None` when that is too far off.
    fn strongest(&self, group: &[f64; 4], powers: [f64; 4]) -> Option<Measured> {
        let index = (0..4).max_by(|a, b| powers[*a].total_cmp(&powers[*b]))?;
        let second = (0..4).filter(|i| *i != index).map(|i| powers[i]).fold(0.0, f64::max);
        let nominal = group[index];
        let frequency = nominal + self.offset(nominal);
        if ((frequency - nominal) / nominal).abs() > OFF_FREQUENCY {
            return None;
        }
        let power = self.power(frequency);
        Some(Measured { index, frequency, power, second })
    }

    /// How far the tone near `frequency` is off, in Hz, from the phase it gains between two windows
    /// that are `STEP` samples apart. Unambiguous up to 80 Hz; 3.5 % of 1633 Hz is 57.
    fn offset(&self, frequency: f64) -> f64 {
        let part = |from: usize| {
            let mut stretch = [0.0; WINDOW - STEP];
            for (i, weighted) in stretch.iter_mut().enumerate() {
                *weighted = f64::from(self.samples[from + i]) * TABLES.short[i];
            }
            goertzel(&stretch, frequency).1
        };
        let expected = TAU * frequency * STEP as f64 / RATE;
        let mut gained = part(STEP) - part(0) - expected;
        gained -= TAU * (gained / TAU).round();
        gained * RATE / (TAU * STEP as f64)
    }

    /// Mean square of the tone at `frequency`.
    fn power(&self, frequency: f64) -> f64 {
        let weighted: [f64; WINDOW] =
            std::array::from_fn(|i| f64::from(self.samples[i] * TABLES.window[i]));
        2.0 * goertzel(&weighted, frequency).0 / (SUM * SUM)
    }
}

impl Folded {
    /// Mean squares of the tones of a group.
    fn powers(&self, group: &[[Half; 2]; 4]) -> [f64; 4] {
        std::array::from_fn(|k| {
            let [cosine, sine] = &group[k];
            let (real, imaginary) = (product(&self.even, cosine), product(&self.odd, sine));
            2.0 * (real * real + imaginary * imaginary) / (SUM * SUM)
        })
    }
}

/// What two halves have in common: the sum of their products.
fn product(a: &Half, b: &Half) -> f64 {
    let mut sums = [0.0_f32; 4];
    for (a, b) in a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    f64::from((sums[0] + sums[1]) + (sums[2] + sums[3]))
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    // How far a sample is from the middle: what lies behind that meets zeros.
    let wave = |frequency: f64| {
        let angle = |i: usize| TAU * frequency / RATE * (MIDDLE as f64 - i as f64);
        [
            std::array::from_fn(|i| angle(i).cos() as f32),
            std::array::from_fn(|i| angle(i).sin() as f32),
        ]
    };
    Tables {
        window: hann().map(|weight| weight as f32),
        short: hann(),
        rows: ROWS.map(wave),
        columns: COLUMNS.map(wave),
    }
});

/// Squared magnitude and phase at the start of `samples` at one frequency.
fn goertzel(samples: &[f64], frequency: f64) -> (f64, f64) {
    let omega = TAU * frequency / RATE;
    let coefficient = 2.0 * omega.cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    let mut i = 0;
    while i < samples.len() {
        (s1, s2) = (samples[i] + coefficient * s1 - s2, s1);
        i += 1;
    }
    let (real, imaginary) = (s1 - s2 * omega.cos(), s2 * omega.sin());
    // The filter's phase is that at its last sample.
    let phase = imaginary.atan2(real) - omega * (samples.len() as f64 - 1.0);
    (real * real + imaginary * imaginary, phase)
}

fn hann<const LENGTH: usize>() -> [f64; LENGTH] {
    std::array::from_fn(|i| 0.5 - 0.5 * (TAU * (i as f64 + 0.5) / LENGTH as f64).cos())
}

fn decibels(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

/// Samples in a window, 25.6 ms: long enough to tell 697 from 770 Hz, short enough to lie within a
/// tone of 40 ms.
pub(super) const WINDOW: usize = 205;
/// The sample in its middle.
const MIDDLE: usize = WINDOW / 2;
/// Samples from its end to its middle, and one to make a multiple of four.
const HALF: usize = MIDDLE + 2;
/// Sum of a Hann window's weights, and of their squares.
const SUM: f64 = WINDOW as f64 / 2.0;
const WEIGHT: f64 = WINDOW as f64 * 0.375;
/// Samples between the two windows whose phases are compared, 6.25 ms.
const STEP: usize = 50;
/// Mean square of a tone of -37 dBm0, a decibel below the quietest to be heard (full scale of a
/// sine is 3.17 dBm0: ITU-T G.711).
const QUIETEST: f64 = 5.16e4;
/// The row may be this much louder, in dB: 8, and a margin.
const TWIST: f64 = 9.0;
/// The column may be this much louder, in dB: 4, and a margin.
const REVERSE_TWIST: f64 = 5.0;
/// Other tones of a group are at least 8 dB weaker.
const ALONE: f64 = 0.16;
/// Share of all energy that is in the two tones; at 15 dB of noise it is 0.97.
const PURE: f64 = 0.8;
/// Share of all energy that a row has at least: 0.19 at the edge of the twist, less 2 dB at the edge of
/// its frequency, and a margin.
const LEAST_ROW: f64 = 0.1;
/// Second harmonics are at least 10 dB weaker.
const OVERTONE: f64 = 0.1;
/// Frequencies within so many Hz cannot be told apart in one window.
const APART: f64 = 100.0;
/// Half way between what is to be accepted (1.5 %) and refused (3.5 %).
const OFF_FREQUENCY: f64 = 0.025;
