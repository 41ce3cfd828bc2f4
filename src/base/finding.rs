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

/// Collects findings while a file is read: all that people will mend in one go, and how many more
/// there are. A file of mistakes costs no more memory than its first ones.
#[derive(Debug, Default)]
pub struct Findings(RefCell<Kept>);

#[derive(Debug, Default)]
struct Kept {
    findings: Vec<Finding>,
    errors: usize,
    warnings: usize,
    /// Names looked through for suggestions so far.
    compared: usize,
}

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

    /// How many errors there were, kept or not.
    pub fn errors(&self) -> usize {
        self.0.borrow().errors
    }

    /// [`suggestion`], as long as not too many names were looked through for suggestions before:
    /// thousands of wrong names are one mistake, and each would be compared with all valid ones.
    pub fn suggest<'a>(&self, name: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
        let left = MOST_COMPARED.saturating_sub(self.0.borrow().compared);
        if left == 0 {
            return String::new();
        }
        let valid: Vec<&str> = valid.into_iter().collect();
        self.0.borrow_mut().compared += valid.len() + 1;
        suggestion(name, valid)
    }

    /// All that were kept, in the order of the file, and how many were not.
    pub fn into_sorted(self) -> Vec<Finding> {
        let Kept { findings: mut all, errors, warnings, .. } = self.0.into_inner();
        all.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        let more = |count: usize, severity, what: &str| {
            let file = all.first().map(|first| first.file.clone()).unwrap_or_default();
            let left = count.checked_sub(MOST_KEPT).filter(|left| *left > 0)?;
            let message = format!("{left} more {what}; mend these first");
            Some(Finding { file, line: 0, column: 0, severity, message })
        };
        let more = [
            more(errors, Severity::Error, "errors are not listed"),
            more(warnings, Severity::Warning, "warnings are not listed"),
        ];
        all.dedup();
        all.extend(more.into_iter().flatten());
        all
    }

    fn add(&self, at: &Place, severity: Severity, mut message: String) {
        let mut kept = self.0.borrow_mut();
        let count = match severity {
            Severity::Error => &mut kept.errors,
            Severity::Warning => &mut kept.warnings,
        };
        *count += 1;
        if *count > MOST_KEPT {
            return;
        }
        if let Some((end, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
            message.truncate(end);
            message.push_str("...");
        }
        kept.findings.push(Finding {
            file: at.file.to_string(),
            line: at.line,
            column: at.column,
            severity,
            message,
        });
    }
}

/// Errors, and warnings, that are kept of one file.
const MOST_KEPT: usize = 500;
/// In characters; a message may quote what somebody wrote.
const LONGEST_MESSAGE: usize = 500;
/// Names that are compared with wrong ones while a file is read.
const MOST_COMPARED: usize = 50_000;

/// The candidate most like `name`, where one is like enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    let limit = (length / 3).max(1);
    let name = name.to_lowercase();
    candidates
        .into_iter()
        // A difference in length is a distance at least.
        .filter(|c| c.chars().count().abs_diff(length) <= limit)
        .map(|c| (distance(&name, &c.to_lowercase()), c))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, c)| c)
}

/// `; did you mean "x"?`, the valid names when there are few, or nothing.
pub fn suggestion<'a>(name: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let mut valid: Vec<&str> = valid.into_iter().collect();
    match nearest(name, valid.iter().copied()) {
        Some(near) => format!("; did you mean {near:?}?"),
        None if (1..=12).contains(&valid.len()) => {
            let mut seen = std::collections::BTreeSet::new();
            valid.retain(|word| seen.insert(*word));
            format!("; valid: {}", valid.join(", "))
        }
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
        assert_eq!(suggestion("zz", ["balance", "balance"]), "; valid: balance");
    }

    #[test]
    fn a_file_of_mistakes_is_told_in_part_and_says_so() {
        let findings = Findings::default();
        let at = |line| Place { file: "a.toml".into(), line, column: 1 };
        for line in 1..=2_000 {
            findings.warn(&at(line), "odd");
            findings.error(&at(line), "x".repeat(10_000));
            findings.suggest("nroth", ["north"]);
        }
        assert_eq!(findings.errors(), 2_000);
        let all = findings.into_sorted();
        assert_eq!(all.len(), 2 * MOST_KEPT + 2);
        assert!(all.iter().all(|finding| finding.message.len() <= LONGEST_MESSAGE + 3));
        let more = &all[2 * MOST_KEPT];
        assert_eq!(more.severity, Severity::Error);
        assert_eq!(more.message, "1500 more errors are not listed; mend these first");
    }

    #[test]
    fn suggestions_end_where_they_would_cost_too_much() {
        let findings = Findings::default();
        let names: Vec<String> = (0..10_000).map(|n| format!("user{n}")).collect();
        let valid = || names.iter().map(String::as_str);
        assert_eq!(findings.suggest("usr77", valid()), "; did you mean \"user77\"?");
        let told = (0..1_000).filter(|_| !findings.suggest("usr77", valid()).is_empty()).count();
        assert!(told < 10, "{told}");
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
