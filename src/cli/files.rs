//! `crosspoint config …` and `crosspoint dialplan …`: what they read, and what they print.

use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;

use super::arguments::{ConfigCommand, DialplanCommand, Explain, Output, PlanFile};
use super::{Unusable, serve, unusable};
use crate::config::{self, Directory};
use crate::dialplan::{
    self, Format, InboundRequest, Known, OutboundRequest, Plan, Report, explain_inbound,
    explain_outbound,
};

pub(super) fn config(command: &ConfigCommand, output: Output) -> ExitCode {
    let variables = serve::environment();
    let format = format(output);
    printed(&match command {
        ConfigCommand::Check(file) => config::check(&file.file, &variables, format),
        ConfigCommand::Show(file) => config::show(&file.file, &variables, format),
        ConfigCommand::Schema => config::schema(),
    })
}

pub(super) fn dialplan(command: &DialplanCommand, output: Output) -> ExitCode {
    let format = format(output);
    let report = match command {
        DialplanCommand::Check(file) => opened(file).map(|opened| {
            let Opened { text, name, known, files } = opened;
            dialplan::check(&text, &name, &known, &files, format)
        }),
        DialplanCommand::Test(file) => opened(file).map(|opened| {
            let Opened { text, name, known, files } = opened;
            dialplan::test(&text, &name, &known, &files, format)
        }),
        DialplanCommand::Explain(explain) => explained(explain, format),
    };
    match report {
        Ok(report) => printed(&report),
        Err(error) => unusable(&error),
    }
}

struct Opened {
    text: String,
    name: String,
    known: Known,
    files: Directory,
}

fn opened(file: &PlanFile) -> Result<Opened, Unusable> {
    let known = match &file.config {
        Some(path) => known(path)?,
        None => Known::default(),
    };
    let name = file.plan.display().to_string();
    let text = std::fs::read_to_string(&file.plan)
        .map_err(|error| Unusable::new(format_args!("{name}: {error}")))?;
    Ok(Opened { text, name, known, files: Directory::of(&file.plan) })
}

/// The names that a configuration gives to a plan; the configuration's own plan is not looked at.
fn known(path: &Path) -> Result<Known, Unusable> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Unusable::new(format_args!("{}: {error}", path.display())))?;
    let name = path.display().to_string();
    config::read(&text, &name, &serve::environment(), &Directory::of(path))
        .map(|(config, _)| config.known())
        .map_err(|findings| {
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            Unusable::new(lines.join("\n"))
        })
}

fn explained(explain: &Explain, format: Format) -> Result<Report, Unusable> {
    let Opened { text, name, known, files } = opened(&explain.plan)?;
    let plan = dialplan::load(&text, &name, &known, &files).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Unusable::new(lines.join("\n"))
    })?;
    let at = moment(explain.at.as_deref(), &plan)?;
    if let Some(did) = &explain.did {
        let request =
            InboundRequest { did: did.clone(), from: explain.from.clone(), trunk: None, at };
        return Ok(explain_inbound(&plan, &request, format));
    }
    let from = explain.from.as_deref().ok_or_else(|| Unusable::new("--from USER is missing"))?;
    let user =
        from.parse().map_err(|error| Unusable::new(format_args!("--from {from}: {error}")))?;
    let dialled = explain.number.clone().unwrap_or_default();
    let country = known.users.as_ref().and_then(|users| users.get(&user).copied().flatten());
    let request = OutboundRequest { user, country, dialled, caller_id: None, at };
    Ok(explain_outbound(&plan, &request, format))
}

/// `--at`: an instant, or a local time of the plan's zone.
fn moment(at: Option<&str>, plan: &Plan) -> Result<Timestamp, Unusable> {
    let Some(text) = at else { return Ok(Timestamp::now()) };
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let wrong = || {
        Unusable::new(format_args!(
            "--at {text}: expected 2026-11-23T10:00 or 2026-11-23T10:00:00Z"
        ))
    };
    let local = text.parse().map_err(|_| wrong())?;
    plan.moment(local).ok_or_else(wrong)
}

fn format(output: Output) -> Format {
    match output {
        Output::Text => Format::Text,
        Output::Json => Format::Json,
    }
}

fn printed(report: &Report) -> ExitCode {
    print!("{}", report.text);
    ExitCode::from(report.exit)
}
