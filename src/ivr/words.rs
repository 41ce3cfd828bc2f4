//! Sentences about what went wrong: what was expected, what was seen, and what kind of fault it is.

use super::ear::{Ear, Known, Namer};
use super::scenario::Library;
use crate::ivr::Reference;

/// What a sentence is made of.
pub(super) struct Scene<'a> {
    pub ear: &'a Ear,
    pub library: &'a Library,
    /// What may be named.
    pub namer: Namer<'a>,
    /// From where on the expected was looked for.
    pub from: usize,
    /// The keys of the step, as they may be shown.
    pub pressed: Option<&'a str>,
    /// Recordings recognised before this step.
    pub before: &'a [String],
    /// Why nothing more comes, where the call is over.
    pub ended: Option<&'a str>,
}

impl Scene<'_> {
    /// Why a recording was not recognised.
    pub fn no_prompt(&self, reference: Option<&Reference>, file: &str) -> String {
        let after = self.after();
        let expected = format!("{} was expected{after}", self.namer.name(file));
        let over = self.ended.map(|why| format!("; then {why}")).unwrap_or_default();
        if let Some(silence) = self.silence() {
            return format!("{expected}, {silence}{over}: a silent branch");
        }
        let known = self.ear.known(self.library, self.from);
        if !known.is_empty() {
            let again =
                self.pressed.is_some() && known.iter().all(|k| self.before.contains(&k.file));
            if again {
                return format!(
                    "{expected}, but the key changed nothing: {} heard again{over}: a dead end",
                    self.namer.were(&known)
                );
            }
            let scores = known.first().map_or(String::new(), scores);
            if let [only] = &known[..]
                && only.file == file
            {
                return format!(
                    "{expected}; what was heard of it began at {}{scores}{over}: cut, disturbed or too late",
                    secs(only.found.start)
                );
            }
            return format!(
                "{expected}, {} heard instead{scores}{over}: the wrong prompt",
                self.namer.were(&known)
            );
        }
        let rows = &self.ear.rows[self.from.min(self.ear.len())..];
        let best = reference.and_then(|reference| reference.best(rows));
        match best {
            Some(best) => format!(
                "{expected}; the most like it is {:.2} as a whole and {:.2} in its worst 0.6 s, at {}{over}",
                best.whole.max(0.0),
                best.window.max(0.0),
                secs(best.start)
            ),
            None => {
                format!("{expected}; something unknown was heard from {} on{over}", self.first())
            }
        }
    }

    /// Why a row of recordings was not recognised as expected.
    pub fn no_sequence(&self, files: &[String]) -> String {
        let wanted: Vec<&str> = files.iter().map(String::as_str).collect();
        let name = |file: &str| self.namer.name(file);
        let expected = format!("\"{}\" was expected{}", self.namer.row(files.iter()), self.after());
        let over = self.ended.map(|why| format!("; then {why}")).unwrap_or_default();
        if let Some(silence) = self.silence() {
            return format!("{expected}, {silence}{over}: a silent branch");
        }
        let known = self.ear.known(self.library, self.from);
        let heard: Vec<&str> = known.iter().map(|k| k.file.as_str()).collect();
        let row = self.namer.row(known.iter().map(|k| &k.file));
        let seen = format!("{expected}, \"{row}\" was heard{over}");
        let same = wanted.iter().zip(&heard).take_while(|(a, b)| a == b).count();
        if same < wanted.len() {
            // What was wanted next, and what came in its place and after it.
            let (came, then) = (heard.get(same), heard.get(same + 1));
            let twice = same > 0 && came == wanted.get(same - 1);
            if twice && then.is_none_or(|then| *then == wanted[same]) {
                return format!(
                    "{seen}: {} came twice, a digit was doubled",
                    name(wanted[same - 1])
                );
            }
            // What is much longer than the word is none in its place, but what follows all of them.
            let rows = |file: Option<&String>| {
                file.and_then(|file| self.library.get(file)).map_or(0, |reference| reference.rows())
            };
            let longer = rows(known.get(same).map(|k| &k.file)) > 2 * rows(files.get(same));
            let skipped = came.is_some() && came == wanted.get(same + 1) || same > 0 && longer;
            if skipped || came.is_none() && same > 0 {
                return format!("{seen}: {} is missing, a digit was lost", name(wanted[same]));
            }
        } else if let Some(last) = heard.get(same)
            && wanted.last() == Some(last)
        {
            return format!("{seen}: {} came twice, a digit was doubled", name(last));
        }
        if heard.is_empty() {
            return format!(
                "{expected}; something unknown was heard from {} on{over}",
                self.first()
            );
        }
        seen
    }

    fn silence(&self) -> Option<String> {
        // A row or two are the end of what was said before.
        let loud = (self.from..self.ear.len()).filter(|row| !self.ear.is_silent(*row)).count();
        let seconds = secs(self.ear.len().saturating_sub(self.from));
        (loud < 8).then(|| format!("nothing but silence was heard for {seconds}"))
    }

    fn after(&self) -> String {
        match self.pressed {
            Some(keys) => format!(" after {keys}"),
            None => String::new(),
        }
    }

    fn first(&self) -> String {
        secs(self.ear.first_sound(self.from).unwrap_or(self.from))
    }
}

fn scores(known: &Known) -> String {
    format!(" ({:.2} as a whole, {:.2} in its worst 0.6 s)", known.found.whole, known.found.window)
}

/// Rows as seconds.
pub(super) fn secs(rows: usize) -> String {
    format!("{:.1} s", rows as f64 / 50.0)
}
