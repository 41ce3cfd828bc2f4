//! A mistake in a file that people write: where it is, what is wrong, what would have been right.
//!
//! Plans and configurations are read to the end, so that one reading reports every mistake.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Where something is written: a file with line and column, or a named source without lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name as it was given, or `environment NAME`.
    pub file: Arc<str>,
    /// From 1; 0 where the source has no lines.
    pub line: u32,
    /// In characters, from 1; 0 where the source has no lines.
    pub column: u32,
}

/// Whether a finding stops the file from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used; somebody should look.
    Warning,
}

/// One mistake. Its `Display` is `file:line:column: error: message`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// The file's name as it was given.
    pub file: String,
    /// From 1; 0 where the source has no lines.
    pub line: u32,
    /// In characters, from 1; 0 where the source has no lines.
    pub column: u32,
    /// Whether it stops the file from being used.
    pub severity: Severity,
    /// What is wrong, and the nearest valid name where there is one.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}: {}", self.message)
    }
}

/// Collects findings while a file is read.
#[derive(Debug, Default)]
pub struct Findings(RefCell<Vec<Finding>>);

impl Findings {
    /// Adds an error.
    pub fn error(&self, at: &Place, message: impl Into<String>) {
        self.add(at, Severity::Error, message.into());
    }

    /// Adds a warning.
    pub fn warn(&self, at: &Place, message: impl Into<String>) {
        self.add(at, Severity::Warning, message.into());
    }

    /// Whether an error is among them.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors are among them.
    pub fn errors(&self) -> usize {
        self.0.borrow().iter().filter(|f| f.severity == Severity::Error).count()
    }

    /// All of them, in the order of the file.
    pub fn into_sorted(self) -> Vec<Finding> {
        let mut all = self.0.into_inner();
        all.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        all.dedup();
        all
    }

    fn add(&self, at: &Place, severity: Severity, message: String) {
        self.0.borrow_mut().push(Finding {
            file: at.file.to_string(),
            line: at.line,
            column: at.column,
            severity,
            message,
        });
    }
}

/// The candidate most like `name`, where one is like enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|c| (distance(&name.to_lowercase(), &c.to_lowercase()), c))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, c)| c)
}

/// `; did you mean "x"?`, the valid names when there are few, or nothing.
pub fn suggestion<'a>(name: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    match nearest(name, valid.iter().copied()) {
        Some(near) => format!("; did you mean {near:?}?"),
        None if (1..=12).contains(&valid.len()) => format!("; valid: {}", valid.join(", ")),
        None => String::new(),
    }
}

/// Edit distance over characters: insert, delete, replace, and swap of neighbours (restricted Damerau).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_takes_a_slip_and_refuses_a_stranger() {
        assert_eq!(nearest("nroth", ["north", "south"]), Some("north"));
        assert_eq!(nearest("passwrd", ["password", "register"]), Some("password"));
        assert_eq!(nearest("xyz", ["north", "south"]), None);
        assert_eq!(suggestion("zz", ["north", "south"]), "; valid: north, south");
    }

    #[test]
    fn a_finding_reads_like_a_compiler_message() {
        let findings = Findings::default();
        let at = Place { file: "a.toml".into(), line: 3, column: 7 };
        findings.error(&at, "unknown key");
        let at = Place { file: "environment X".into(), line: 0, column: 0 };
        findings.warn(&at, "odd");
        assert!(findings.has_errors());
        let texts: Vec<String> = findings.into_sorted().iter().map(Finding::to_string).collect();
        assert_eq!(texts, ["a.toml:3:7: error: unknown key", "environment X: warning: odd"]);
    }
}
