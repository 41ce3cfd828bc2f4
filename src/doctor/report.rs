//! What was found: a line a check, and what to do where it is not right.

use std::fmt::Write as _;

use serde::Serialize;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It may be meant so; if it is not, calls or sound suffer.
    Warn,
    /// It does not work like this.
    Fail,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What was looked at, in words.
    pub check: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, in a sentence.
    pub found: String,
    /// What to do, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// All that was found, in the order it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing failed.
    pub ok: bool,
    /// The checks.
    pub lines: Vec<Line>,
    /// Whether there was a configuration to look at.
    #[serde(skip)]
    pub usable: bool,
}

impl Report {
    /// Nothing found yet.
    pub fn new() -> Report {
        Report { ok: true, lines: Vec::new(), usable: true }
    }

    /// It is as it should be.
    pub fn ok(&mut self, check: impl Into<String>, found: impl Into<String>) {
        self.push(Verdict::Ok, check.into(), found.into(), None);
    }

    /// It may be wrong.
    pub fn warn(
        &mut self,
        check: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(Verdict::Warn, check.into(), found.into(), Some(fix.into()));
    }

    /// It is wrong.
    pub fn fail(
        &mut self,
        check: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(Verdict::Fail, check.into(), found.into(), Some(fix.into()));
    }

    fn push(&mut self, verdict: Verdict, check: String, found: String, fix: Option<String>) {
        self.ok &= verdict != Verdict::Fail;
        self.lines.push(Line { check, verdict, found, fix });
    }

    /// For people: a line a check, and below it what to do.
    pub fn text(&self) -> String {
        let widest = self.lines.iter().map(|line| line.check.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for Line { check, verdict, found, fix } in &self.lines {
            let _ = writeln!(out, "{:<5} {check:widest$}  {found}", verdict.word());
            if let Some(fix) = fix {
                let _ = writeln!(out, "      {:widest$}  -> {fix}", "");
            }
        }
        let count = |wanted| self.lines.iter().filter(|line| line.verdict == wanted).count();
        let (warned, failed) = (count(Verdict::Warn), count(Verdict::Fail));
        let _ = writeln!(out, "{} checks, {warned} to look at, {failed} failed", self.lines.len());
        out
    }

    /// 0 where nothing failed, 1 where something did, 2 where there was nothing to look at.
    pub fn exit(&self) -> u8 {
        match (self.usable, self.ok) {
            (false, _) => 2,
            (true, false) => 1,
            (true, true) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_no_failure_and_every_fault_says_what_to_do() {
        let mut report = Report::new();
        report.ok("a", "fine");
        report.warn("bcd", "odd", "look at it");
        assert_eq!((report.ok, report.exit()), (true, 0));
        report.fail("e", "wrong", "mend it");
        assert_eq!((report.ok, report.exit()), (false, 1));
        let text = "ok    a    fine\nwarn  bcd  odd\n           -> look at it\n\
                    FAIL  e    wrong\n           -> mend it\n3 checks, 1 to look at, 1 failed\n";
        assert_eq!(report.text(), text);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["lines"][1]["verdict"], "warn");
        assert_eq!(json["lines"][0].get("fix"), None);
        assert_eq!(Report { usable: false, ..report }.exit(), 2);
    }
}
