//! `crosspoint dialplan check|test|explain|diff` on files: reads them and hands them to the plan.
//!
//! With a configuration, trunks, users and sounds are checked against it; without one the names a
//! plan uses are taken as given.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::load::{Directory, LoadError, text};
use super::read::read;
use crate::dialplan::{self, Format, InboundRequest, Known, OutboundRequest, Plan, Report, diff};

/// What a plan on the disk is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Against<'a> {
    /// `--config FILE`.
    pub config: Option<&'a Path>,
    /// The environment, which a configuration is read with.
    pub variables: &'a BTreeMap<String, String>,
}

/// What `explain` is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// `--from USER NUMBER`
    Outbound {
        /// Who calls.
        from: String,
        /// What is dialled.
        number: String,
    },
    /// `--did NUMBER [--from NUMBER]`
    Inbound {
        /// What is called.
        did: String,
        /// Who calls, where known.
        from: Option<String>,
    },
}

/// `crosspoint dialplan check FILE…`: exit 0 fine, 1 findings, 2 unreadable; the worst of all files.
pub fn check_plans(paths: &[&Path], against: Against<'_>, format: Format) -> Report {
    every(paths, against, format, |source, known, files| {
        dialplan::check(&source.text, &source.name, known, files, format)
    })
}

/// `crosspoint dialplan test FILE…`: exit codes as `check_plans`.
pub fn test_plans(paths: &[&Path], against: Against<'_>, format: Format) -> Report {
    every(paths, against, format, |source, known, files| {
        dialplan::test(&source.text, &source.name, known, files, format)
    })
}

/// `crosspoint dialplan explain FILE`; `at` is a local time of the plan or RFC 3339, else `now`.
pub fn explain_plan(
    path: &Path,
    question: &Question,
    at: Option<&str>,
    now: Timestamp,
    against: Against<'_>,
    format: Format,
) -> Report {
    let plan = match plan(path, against) {
        Ok(plan) => plan,
        Err(error) => return error.report(),
    };
    let at = match at.map(|text| plan.moment(text).ok_or(text)) {
        None => now,
        Some(Ok(at)) => at,
        Some(Err(text)) => {
            return unusable(format!("--at {text:?} is no time like 2026-11-22T10:00"));
        }
    };
    match question {
        Question::Outbound { from, number } => match from.parse() {
            Ok(user) => {
                let dialled = number.clone();
                let request = OutboundRequest { user, country: None, dialled, caller_id: None, at };
                dialplan::explain_outbound(&plan, &request, format)
            }
            Err(error) => unusable(format!("--from {from:?}: {error}")),
        },
        Question::Inbound { did, from } => {
            let request = InboundRequest { did: did.clone(), from: from.clone(), trunk: None, at };
            dialplan::explain_inbound(&plan, &request, format)
        }
    }
}

/// `crosspoint dialplan diff OLD NEW --cdrs FILE`
pub fn diff_plans(
    old: &Path,
    new: &Path,
    cdrs: &Path,
    against: Against<'_>,
    format: Format,
) -> Report {
    let records = match text(cdrs) {
        Ok(records) => records,
        Err(error) => return error.report(),
    };
    match (plan(old, against), plan(new, against)) {
        (Ok(old), Ok(new)) => diff(&old, &new, &records, format),
        (Err(error), _) | (_, Err(error)) => error.report(),
    }
}

struct Source {
    name: String,
    text: String,
}

fn every(
    paths: &[&Path],
    against: Against<'_>,
    format: Format,
    one: impl Fn(&Source, &Known, &Directory) -> Report,
) -> Report {
    let known = match known(against) {
        Ok(known) => known,
        Err(error) => return error.report(),
    };
    let mut reports: Vec<Report> = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        reports.push(match text(path) {
            Ok(text) => one(&Source { name, text }, &known, &beside(path, against)),
            Err(error) => match format {
                Format::Json => Report {
                    text: format!(
                        "{}\n",
                        json!({"file": name, "ok": false, "error": error.to_string()})
                    ),
                    exit: error.report().exit,
                },
                Format::Text | Format::Junit => error.report(),
            },
        });
    }
    let exit = reports.iter().map(|report| report.exit).max().unwrap_or(2);
    // Several JSON reports are one list, so that the output stays one document.
    let text = match (format, reports.as_slice()) {
        (Format::Json, several) if several.len() != 1 => {
            let list: Vec<&str> = several.iter().map(|report| report.text.trim_end()).collect();
            format!("[\n{}\n]\n", list.join(",\n"))
        }
        _ => reports.into_iter().map(|report| report.text).collect(),
    };
    Report { text, exit }
}

fn plan(path: &Path, against: Against<'_>) -> Result<Plan, LoadError> {
    let text = text(path)?;
    let name = path.display().to_string();
    dialplan::load(&text, &name, &known(against)?, &beside(path, against))
        .map_err(LoadError::Findings)
}

fn known(against: Against<'_>) -> Result<Known, LoadError> {
    let Some(path) = against.config else { return Ok(Known::default()) };
    let name = path.display().to_string();
    let (config, _) = read(&text(path)?, &name, against.variables, &Directory::of(path))
        .map_err(LoadError::Findings)?;
    Ok(config.known())
}

fn beside(path: &Path, against: Against<'_>) -> Directory {
    match against.config {
        Some(_) => Directory::of(path),
        None => Directory::of(path).with_sounds_given(),
    }
}

impl LoadError {
    fn report(&self) -> Report {
        let exit = match self {
            LoadError::Unreadable(_) => 2,
            LoadError::Findings(_) => 1,
        };
        Report { text: format!("{self}\n"), exit }
    }
}

fn unusable(message: String) -> Report {
    Report { text: format!("{message}\n"), exit: 2 }
}
