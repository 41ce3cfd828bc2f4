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
use crate::base::{TrunkId, UserId, suggestion};
use crate::dialplan::{
    self, Format, InboundRequest, Known, OutboundRequest, Plan, Region, Report, diff,
};

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
    /// `--from USER NUMBER [--country CODE] [--caller-id NUMBER]`
    Outbound {
        /// Who calls.
        from: String,
        /// What is dialled.
        number: String,
        /// The caller's country, where it is not the configuration's or the plan's.
        country: Option<String>,
        /// The identity that the caller asks for.
        caller_id: Option<String>,
    },
    /// `--did NUMBER [--from NUMBER] [--trunk NAME]`
    Inbound {
        /// What is called.
        did: String,
        /// Who calls, where known.
        from: Option<String>,
        /// The trunk it comes by, where that matters.
        trunk: Option<String>,
    },
}

/// `crosspoint dialplan check FILE…`: exit 0 fine, 1 findings, 2 unreadable; the worst of all files.
pub fn check_plans(paths: &[&Path], against: Against<'_>, format: Format) -> Report {
    every(paths, against, format, |source, known, files| {
        dialplan::check(&source.text, &source.name, known, files, format)
    })
}

/// `crosspoint dialplan test FILE…`: exit codes as `check_plans`; with `least`, 1 too where the tests
/// of a plan reach less than so many percent of its rules.
pub fn test_plans(
    paths: &[&Path],
    against: Against<'_>,
    format: Format,
    least: Option<u8>,
) -> Report {
    every(paths, against, format, |source, known, files| {
        dialplan::test(&source.text, &source.name, known, files, format, least)
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
    let (plan, known) = match plan(path, against) {
        Ok(plan) => plan,
        Err(error) => return error.report(),
    };
    let at = match at.map(|text| plan.moment(text).ok_or(text)) {
        None => now,
        Some(Ok(at)) => at,
        Some(Err(text)) => {
            return unusable(format!(
                "--at {text:?} is no time like 2026-11-22T10:00 or 2026-11-22T10:00:00+01:00"
            ));
        }
    };
    match asked(question, at, &known) {
        Ok(Asked::Outbound(request)) => dialplan::explain_outbound(&plan, &request, format),
        Ok(Asked::Inbound(request)) => dialplan::explain_inbound(&plan, &request, format),
        Err(words) => unusable(words),
    }
}

enum Asked {
    Outbound(OutboundRequest),
    Inbound(InboundRequest),
}

/// The request in a question, or what is wrong with it.
fn asked(question: &Question, at: Timestamp, known: &Known) -> Result<Asked, String> {
    match question {
        Question::Outbound { from, number, country, caller_id } => {
            let user: UserId = from.parse().map_err(|error| format!("--from {from:?}: {error}"))?;
            if known.users.as_ref().is_some_and(|users| !users.contains_key(&user)) {
                return Err(format!("--from {from:?}: the configuration has no such user"));
            }
            let country = country.as_deref().map(|code| {
                code.parse::<Region>().map_err(|error| match Region::meant(code) {
                    Some(near) => format!("--country {code:?}: {error}; did you mean {near}?"),
                    None => format!("--country {code:?}: {error}"),
                })
            });
            Ok(Asked::Outbound(OutboundRequest {
                user,
                country: country.transpose()?,
                dialled: number.clone(),
                caller_id: caller_id.clone(),
                at,
            }))
        }
        Question::Inbound { did, from, trunk } => {
            let trunk = trunk.as_deref().map(|name| {
                let id: TrunkId = name.parse().map_err(|e| format!("--trunk {name:?}: {e}"))?;
                match &known.trunks {
                    Some(trunks) if !trunks.contains(&id) => {
                        let near = suggestion(name, trunks.iter().map(TrunkId::as_str));
                        Err(format!("--trunk: there is no trunk {name:?}{near}"))
                    }
                    _ => Ok(id),
                }
            });
            let (did, from) = (did.clone(), from.clone());
            Ok(Asked::Inbound(InboundRequest { did, from, trunk: trunk.transpose()?, at }))
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
        (Ok((old, _)), Ok((new, _))) => diff(&old, &new, &records, format),
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

/// A plan without a mistake of its own; where its tests fail, standard error says so, and the plan
/// explains why.
fn plan(path: &Path, against: Against<'_>) -> Result<(Plan, Known), LoadError> {
    let text = text(path)?;
    let name = path.display().to_string();
    let known = known(against)?;
    let plan = dialplan::load_untested(&text, &name, &known, &beside(path, against))
        .map_err(LoadError::Findings)?;
    for finding in dialplan::failing_tests(&plan) {
        eprintln!("{finding}");
    }
    Ok((plan, known))
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
        Some(_) => Directory::of_plan(path),
        None => Directory::of_plan(path).with_sounds_given(),
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
