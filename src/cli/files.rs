//! `crosspoint config …` and `crosspoint dialplan …`: what they read, and what they print.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;

use super::arguments::{ConfigCommand, DialplanCommand, Explain, Output};
use super::serve;
use crate::config::{self, Against, Question};
use crate::dialplan::{Format, Report};

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
    let variables = serve::environment();
    let against = |config| against(config, &variables);
    printed(&match command {
        DialplanCommand::Check(files) => {
            config::check_plans(&paths(&files.plans), against(&files.config), format)
        }
        DialplanCommand::Test(tests) => {
            let (files, least) = (&tests.files, tests.min_coverage);
            config::test_plans(&paths(&files.plans), against(&files.config), format, least)
        }
        DialplanCommand::Explain(explain) => explained(explain, against(&explain.config), format),
        DialplanCommand::Diff(diff) => {
            let against = against(&diff.config);
            config::diff_plans(&diff.old, &diff.new, &diff.cdrs, against, format)
        }
    })
}

fn explained(explain: &Explain, against: Against<'_>, format: Format) -> Report {
    let question = match &explain.did {
        Some(did) => Question::Inbound {
            did: did.clone(),
            from: explain.from.clone(),
            trunk: explain.trunk.clone(),
        },
        None => Question::Outbound {
            from: explain.from.clone().unwrap_or_default(),
            number: explain.number.clone().unwrap_or_default(),
            country: explain.country.clone(),
            caller_id: explain.caller_id.clone(),
        },
    };
    let at = explain.at.as_deref();
    config::explain_plan(&explain.plan, &question, at, Timestamp::now(), against, format)
}

fn against<'a>(
    config: &'a Option<PathBuf>,
    variables: &'a BTreeMap<String, String>,
) -> Against<'a> {
    Against { config: config.as_deref(), variables }
}

fn paths(list: &[PathBuf]) -> Vec<&Path> {
    list.iter().map(PathBuf::as_path).collect()
}

fn format(output: Output) -> Format {
    match output {
        Output::Text => Format::Text,
        Output::Json => Format::Json,
        Output::Junit => Format::Junit,
    }
}

fn printed(report: &Report) -> ExitCode {
    print!("{}", report.text);
    ExitCode::from(report.exit)
}
