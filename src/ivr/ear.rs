//! All that was heard in a call, as sound and as rows, and what can be asked of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::bands::{Analyser, Row};
use super::prompt::{Match, QUIET, Reference, WHOLE, WINDOW};
use super::scenario::Library;
use crate::codec::FRAME;

/// Everything heard since dialling; row n is of the n-th 20 ms.
#[derive(Debug, Clone, Default)]
pub(super) struct Ear {
    analyser: Analyser,
    pub rows: Vec<Row>,
    pub pcm: Vec<i16>,
}

/// A recording of the library that was heard.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub file: String,
    pub found: Match,
}

impl Ear {
    /// The next 20 ms.
    pub fn hear(&mut self, pcm: &[i16]) {
        self.rows.push(self.analyser.row(pcm));
        let count = pcm.len().min(FRAME);
        self.pcm.extend_from_slice(&pcm[..count]);
        self.pcm.resize(self.rows.len() * FRAME, 0);
    }

    /// Rows heard so far.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_silent(&self, row: usize) -> bool {
        self.rows.get(row).is_none_or(|row| row.total < QUIET)
    }

    /// The first row from `from` on in which something is heard.
    pub fn first_sound(&self, from: usize) -> Option<usize> {
        (from..self.len()).find(|row| !self.is_silent(*row))
    }

    /// Rows of silence up to now, back to `from` at most.
    pub fn silent_for(&self, from: usize) -> usize {
        (from.min(self.len())..self.len()).rev().take_while(|row| self.is_silent(*row)).count()
    }

    /// Level of what is said in `from..to`, in dBFS; `None` where nothing is. Pauses do not count.
    pub fn level(&self, from: usize, to: usize) -> Option<f64> {
        let powers: Vec<f64> = (from..to.min(self.len()))
            .filter(|row| !self.is_silent(*row))
            .map(|row| {
                let frame = &self.pcm[row * FRAME..(row + 1) * FRAME];
                frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / FRAME as f64
            })
            .collect();
        let loudest = powers.iter().copied().fold(0.0, f64::max);
        let active: Vec<f64> = powers.into_iter().filter(|p| *p > loudest / 100.0).collect();
        if active.is_empty() {
            return None;
        }
        let mean = active.iter().sum::<f64>() / active.len() as f64;
        // A full-scale sine is 0 dBFS: its power is half of its peak's square.
        Some(10.0 * (mean / (32_768.0 * 32_768.0 / 2.0)).log10())
    }

    /// The recordings of the library that were heard from `from` on, in order. Where two fit the same
    /// sound, the better one.
    pub fn known(&self, library: &Library, from: usize) -> Vec<Known> {
        self.known_among(library.iter(), from)
    }

    /// The same for some recordings only.
    pub fn known_among<'a>(
        &self,
        recordings: impl Iterator<Item = (&'a String, &'a Arc<Reference>)>,
        from: usize,
    ) -> Vec<Known> {
        let rows = &self.rows[from.min(self.len())..];
        let mut all: Vec<Known> = Vec::new();
        for (file, reference) in recordings {
            let mut start = 0;
            while let Some(found) = next(reference, rows, start) {
                start = found.end.max(start + 1);
                let shifted = Match { start: found.start + from, end: found.end + from, ..found };
                all.push(Known { file: file.clone(), found: shifted });
            }
        }
        all.sort_by(|a, b| b.found.whole.total_cmp(&a.found.whole));
        let mut taken: Vec<Known> = Vec::new();
        for known in all {
            let overlaps = |other: &Known| {
                known.found.start + 3 < other.found.end && other.found.start + 3 < known.found.end
            };
            if !taken.iter().any(overlaps) {
                taken.push(known);
            }
        }
        taken.sort_by_key(|known| known.found.start);
        taken
    }
}

/// The first place from `start` on where a recording passes, at its best alignment. Of one that is
/// still being said the first 1.2 s are enough.
fn next(reference: &Reference, rows: &[Row], start: usize) -> Option<Match> {
    let length = |at: usize| reference.rows().min((rows.len() - at).max(BEGINNING));
    let last = rows.len().checked_sub(reference.rows().min(BEGINNING))?;
    let first = (start..=last).find_map(|at| {
        let found = reference.at(rows, at, length(at))?;
        found.passes(WHOLE, WINDOW).then_some(at)
    })?;
    (first..=(first + 4).min(last))
        .filter_map(|at| reference.at(rows, at, length(at)))
        .max_by(|a, b| a.whole.total_cmp(&b.whole))
}

/// 1.2 s.
const BEGINNING: usize = 60;

/// The stem of a file's name: what people call the recording.
pub(super) fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// How recordings may be called in words: in backticks, or, where they may tell keys that are secret,
/// not at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Namer<'a> {
    pub library: &'a Library,
    /// Secret keys were pressed, and none since that is not.
    pub hides: bool,
}

impl Namer<'_> {
    /// Whether a recording may repeat a key: it is as short as a spoken digit, or has one in its name.
    pub fn is_hidden(&self, file: &str) -> bool {
        let short = || self.library.get(file).is_none_or(|r| r.rows() < LONGEST_DIGIT);
        self.hides && (short() || stem(file).contains(|c: char| c.is_numeric()))
    }

    /// One recording.
    pub fn name(&self, file: &str) -> String {
        if self.is_hidden(file) { SECRET.to_owned() } else { format!("`{}`", stem(file)) }
    }

    /// A row of recordings; of those that are hidden not even how many there are.
    pub fn row<'f>(&self, files: impl Iterator<Item = &'f String>) -> String {
        let mut all: Vec<&str> =
            files.map(|file| if self.is_hidden(file) { SECRET } else { stem(file) }).collect();
        all.dedup_by(|a, b| a == b && *a == SECRET);
        all.join(" ")
    }

    /// What was heard, each once, and the verb that follows.
    pub fn were(&self, known: &[Known]) -> String {
        let all: BTreeSet<String> = known.iter().map(|k| self.name(&k.file)).collect();
        let verb = if all.len() > 1 { "were" } else { "was" };
        format!("{} {verb}", all.into_iter().collect::<Vec<_>>().join(", "))
    }
}

/// What is said in place of a recording that may tell secret keys.
pub(super) const SECRET: &str = "(a secret)";
/// 1.2 s: no spoken digit is longer.
const LONGEST_DIGIT: usize = 60;
