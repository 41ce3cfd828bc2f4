//! The log: one line per event on standard error, for people (`text`) or for programs (`json`).
//!
//! Values that are personal or secret are types that redact themselves (`base::Pii`,
//! `base::Secret`); nothing here has to know which.

use std::io::IsTerminal;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// `[log]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// For people or for programs.
    pub format: Format,
    /// Which events: a level (`info`), or levels by module (`info,crosspoint::sip=debug`). Default
    /// `info`: a few lines per call. The libraries' own talk starts at `warn`.
    pub level: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { format: Format::Text, level: "info".into() }
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Time, level, message, fields; in colour on a terminal.
    Text,
    /// One JSON object.
    Json,
}

/// Starts logging for the whole process. Panics are logged as errors, too.
///
/// # Errors
/// The level is not one, or logging was started before.
pub fn init(settings: &Settings) -> Result<(), LogError> {
    let filter = filter(&settings.level)?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|_| LogError::Started)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
        // The payload may hold what a call said; the place is enough to find the fault.
        tracing::error!(place, "a panic was caught");
    }));
    Ok(())
}

/// Logging cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The level is neither a level nor a list of `module=level`.
    #[error(
        "log.level {0:?} is neither a level (error, warn, info, debug, trace) nor a list of module=level"
    )]
    Level(String),
    /// Logging was started before in this process.
    #[error("logging was started before")]
    Started,
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let bad = || LogError::Level(level.to_owned());
    // The crates below talk per packet and per query; their warnings are enough.
    let text = match level {
        "error" | "warn" | "info" | "debug" | "trace" => format!("warn,crosspoint={level}"),
        list if !list.trim().is_empty() => list.to_owned(),
        _ => return Err(bad()),
    };
    EnvFilter::builder().parse(text).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_us_and_a_list_is_as_written() {
        assert_eq!(filter("debug").unwrap().to_string(), "crosspoint=debug,warn");
        assert_eq!(filter("crosspoint::sip=trace").unwrap().to_string(), "crosspoint::sip=trace");
        for bad in ["", " ", "info,x=loud"] {
            assert_eq!(filter(bad).unwrap_err(), LogError::Level(bad.into()), "{bad}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Settings>("colour = true").is_err());
        let settings = toml::from_str::<Settings>("format = \"json\"").unwrap();
        assert_eq!(settings.format, Format::Json);
    }
}
