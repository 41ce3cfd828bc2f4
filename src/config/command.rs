//! What `crosspoint config check|show|schema` print, and their exit codes.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::load::{Directory, LoadError, load, text};
use super::read::read;
pub use crate::dialplan::{Format, Report};

/// `crosspoint config check FILE`: the configuration and its plan. Exit 2 where a file cannot be read.
pub fn check(path: &Path, variables: &BTreeMap<String, String>, format: Format) -> Report {
    let name = path.display().to_string();
    match load(path, variables) {
        Ok(loaded) => {
            let warnings = loaded.plan.plan.warnings();
            let text = match format {
                Format::Json => line(&json!({ "file": name, "ok": true, "findings": warnings })),
                _ => {
                    let lines: String = warnings.iter().map(|w| format!("{w}\n")).collect();
                    format!(
                        "{lines}{name}: fine, {} trunks, {} users, plan {}\n",
                        loaded.config.trunks.len(),
                        loaded.config.users.len(),
                        loaded.config.dialplan
                    )
                }
            };
            Report { text, exit: 0 }
        }
        Err(error) => failed(&name, &error, format),
    }
}

/// `crosspoint config show FILE`: every setting in force and where it comes from.
pub fn show(path: &Path, variables: &BTreeMap<String, String>, format: Format) -> Report {
    let name = path.display().to_string();
    let content = match text(path) {
        Ok(content) => content,
        Err(error) => return failed(&name, &error, format),
    };
    match read(&content, &name, variables, &Directory::of(path)) {
        Err(findings) => failed(&name, &LoadError::Findings(findings), format),
        Ok((_, settings)) => {
            let text = match format {
                Format::Json => line(&json!(settings)),
                _ => {
                    let width = |s: &super::describe::Setting| s.key.len() + s.value.len() + 3;
                    let widest = settings.iter().map(width).max().unwrap_or(0).min(60);
                    let row = |s: &super::describe::Setting| {
                        let setting = format!("{} = {}", s.key, s.value);
                        format!("{setting:widest$}  # {}\n", s.origin)
                    };
                    settings.iter().map(row).collect()
                }
            };
            Report { text, exit: 0 }
        }
    }
}

/// `crosspoint config schema`: the JSON Schema of the file.
pub fn schema() -> Report {
    Report { text: SCHEMA.to_owned(), exit: 0 }
}

fn failed(name: &str, error: &LoadError, format: Format) -> Report {
    let exit = match error {
        LoadError::Unreadable(_) => 2,
        LoadError::Findings(_) => 1,
    };
    let text = match (format, error) {
        (Format::Json, LoadError::Unreadable(reason)) => {
            line(&json!({ "file": name, "ok": false, "error": reason }))
        }
        (Format::Json, LoadError::Findings(findings)) => {
            line(&json!({ "file": name, "ok": false, "findings": findings }))
        }
        _ => format!("{error}\n"),
    };
    Report { text, exit }
}

fn line(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

pub(super) const SCHEMA: &str = include_str!("schema.json");

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::dialplan::{self, NoFiles};

    /// A TOML text with every property of the schema at once.
    fn every_key(schema: &Value, table: &str, text: &mut String) {
        let properties = schema["properties"].as_object().unwrap();
        for (key, property) in properties.iter().filter(|(_, p)| p["type"] != "object") {
            let value = match property["items"]["type"].as_str() {
                Some("object") => "[{ urls = [], secret = \"\", secret_file = \"\" }]",
                _ => "\"\"",
            };
            text.push_str(&format!("{key} = {value}\n"));
        }
        for (key, property) in properties.iter().filter(|(_, p)| p["type"] == "object") {
            let name = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
            if property["additionalProperties"].is_object() {
                text.push_str(&format!("[{name}.a]\n"));
                every_key(&property["additionalProperties"], &name, text);
            } else {
                text.push_str(&format!("[{name}]\n"));
                if property["properties"].is_object() {
                    every_key(property, &name, text);
                }
            }
        }
    }

    #[test]
    fn the_schema_and_the_reader_know_the_same_keys() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let mut text = String::new();
        every_key(&schema, "", &mut text);
        let findings = read(&text, "c", &BTreeMap::new(), &NoFiles).unwrap_err();
        let unknown: Vec<_> =
            findings.iter().filter(|f| f.message.starts_with("unknown key")).collect();
        assert!(unknown.is_empty(), "{unknown:#?}\n{text}");
        // The other way round: what the reader offers for a wrong key is in the schema.
        let wrong = "[trunk.a]\nzzzzzzzz = 1\n[media]\nqqqqqqqq = 1\n[auth]\nzzzzzzzz = 1\n";
        let findings = read(wrong, "c", &BTreeMap::new(), &NoFiles).unwrap_err();
        for finding in findings.iter().filter(|f| f.message.contains("; valid: ")) {
            let (_, names) = finding.message.split_once("; valid: ").unwrap();
            for name in names.split(", ") {
                assert!(SCHEMA.contains(&format!("\"{name}\"")), "{name}");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_unusable_and_one_with_mistakes_has_findings() {
        let report = check(Path::new("/nowhere/c.toml"), &BTreeMap::new(), Format::Text);
        assert_eq!(report.exit, 2);
        assert!(report.text.starts_with("/nowhere/c.toml: "), "{}", report.text);
        assert_eq!(report.text.lines().count(), 1);
    }

    #[test]
    fn the_demo_fits_its_plan() {
        let carrier = "127.0.0.1:5999".parse().unwrap();
        let secret = crate::base::Secret::new("0123456789abcdef".to_owned());
        let config = super::super::Config::demo(carrier, Path::new("demo.db"), secret);
        let plan = include_str!("../../dialplans/demo.toml");
        let plan = dialplan::load(plan, "demo.toml", &config.known(), &NoFiles).unwrap();
        assert!(!plan.provides_emergency());
        assert_eq!(plan.warnings(), []);
    }
}
