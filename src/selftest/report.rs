//! What the self-test found: one entry per check, each with what was measured in this run.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use super::digits::Cell;

/// The outcome of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Whether every check holds.
    pub ok: bool,
    /// The checks in the order they ran.
    pub checks: Vec<Check>,
    /// The table of digits: a cell for each way in, way out and key.
    pub digits: Vec<Cell>,
}

/// One claim, whether it held, and the figures it was judged by.
#[derive(Debug, Serialize)]
pub struct Check {
    /// Short name in words joined by `-`.
    pub name: &'static str,
    /// Whether the claim held.
    pub ok: bool,
    /// The measured figures, with units in their names.
    pub measured: Map<String, Value>,
    /// What went wrong, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Report {
    /// Adds a check from its figures and verdict, or from the fault that stopped it.
    pub(super) fn add(&mut self, name: &'static str, outcome: anyhow::Result<Outcome>) {
        let check = match outcome {
            Ok(Outcome { ok, measured }) => Check { name, ok, measured, error: None },
            Err(error) => {
                Check { name, ok: false, measured: Map::new(), error: Some(format!("{error:#}")) }
            }
        };
        self.checks.push(check);
        self.ok = self.checks.iter().all(|c| c.ok);
    }

    /// The report as lines for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for check in &self.checks {
            let mark = if check.ok { "ok  " } else { "FAIL" };
            let _ = write!(out, "{mark}  {:<24}", check.name);
            for (name, value) in &check.measured {
                let _ = write!(out, "  {name}={value}");
            }
            if let Some(error) = &check.error {
                let _ = write!(out, "  {error}");
            }
            out.push('\n');
        }
        let mut rows: Vec<(&str, &str, String)> = Vec::new();
        for cell in &self.digits {
            let key = if cell.ok { cell.digit } else { '!' };
            match rows.iter_mut().find(|row| (row.0, row.1) == (cell.source, cell.destination)) {
                Some(row) => row.2.push(key),
                None => rows.push((cell.source, cell.destination, key.to_string())),
            }
        }
        for (source, destination, keys) in rows {
            let _ = writeln!(out, "      {source:>14} -> {destination:<10} {keys}");
        }
        let failed = self.checks.iter().filter(|c| !c.ok).count();
        let _ = writeln!(out, "{} checks, {failed} failed", self.checks.len());
        out
    }
}

/// A check that ran to its end.
pub(super) struct Outcome {
    ok: bool,
    measured: Map<String, Value>,
}

impl Outcome {
    pub(super) fn new(ok: bool) -> Outcome {
        Outcome { ok, measured: Map::new() }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.ok
    }

    /// Adds a figure, rounded to a tenth.
    pub(super) fn figure(mut self, name: &str, value: f64) -> Outcome {
        self.measured.insert(name.to_owned(), Value::from((value * 10.0).round() / 10.0));
        self
    }

    /// Adds a word or a count.
    pub(super) fn fact(mut self, name: &str, value: impl Into<Value>) -> Outcome {
        self.measured.insert(name.to_owned(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_fails_the_report() {
        let mut report = Report::default();
        report.add("first", Ok(Outcome::new(true).figure("delay_ms", 12.34)));
        assert!(report.ok);
        report.add("second", Err(anyhow::anyhow!("no answer")));
        assert!(!report.ok);
        let text = report.text();
        assert!(text.contains("delay_ms=12.3"), "{text}");
        assert!(text.contains("FAIL  second"), "{text}");
        assert!(text.ends_with("2 checks, 1 failed\n"), "{text}");
    }
}
