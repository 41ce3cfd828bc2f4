//! What `crosspoint config check|show|schema` print, and their exit codes.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::load::{Directory, LoadError, load, text};
use super::read::read;
use crate::base::{Finding, Severity};
pub use crate::dialplan::{Format, Report};
use crate::trunk::Definition;

/// `crosspoint config check FILE`: the configuration and its plan. Exit 2 where a file cannot be read.
pub fn check(path: &Path, variables: &BTreeMap<String, String>, format: Format) -> Report {
    let name = path.display().to_string();
    match load(path, variables) {
        Ok(loaded) => {
            let mute = loaded.config.trunks.values().filter(|trunk| !trunk.takes_calls());
            let mut warnings: Vec<Finding> =
                mute.map(|trunk| no_calls_from(trunk, &name)).collect();
            warnings.extend_from_slice(loaded.plan.plan.warnings());
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

/// A trunk that calls can go out to, and none come from.
fn no_calls_from(trunk: &Definition, file: &str) -> Finding {
    let message = format!(
        "[trunk.{}]: calls that come from it get no answer: its target is a name, and nothing says which \
         addresses are its own; list them in `accept_from`",
        trunk.id
    );
    let (line, column) = (0, 0);
    Finding { file: file.to_owned(), line, column, severity: Severity::Warning, message }
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
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::base::document::FINISHED;
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
                every_key(&property["additionalProperties"], &format!("{name}.a"), text);
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
        // The other way round: what the reader asks a table for is in the schema.
        FINISHED.take();
        let mut tables = String::new();
        every_table(&schema, "", &mut tables);
        let _ = read(&tables, "c", &BTreeMap::new(), &NoFiles);
        let mut of_schema = BTreeMap::new();
        named_keys(&schema, "", &mut of_schema);
        let of_reader: BTreeMap<String, BTreeSet<String>> = FINISHED
            .take()
            .into_iter()
            .map(|(name, keys)| (name, keys.into_iter().map(str::to_owned).collect()))
            .collect();
        assert_eq!(of_reader, of_schema, "{tables}");
    }

    /// Every table of the schema, with what it needs to be one.
    fn every_table(schema: &Value, table: &str, text: &mut String) {
        for (key, property) in schema["properties"].as_object().unwrap() {
            let name = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
            if property["additionalProperties"].is_object() {
                text.push_str(&format!("[{name}.a]\n"));
                every_table(&property["additionalProperties"], &format!("{name}.a"), text);
            } else if property["properties"].is_object() {
                text.push_str(&format!("[{name}]\n"));
                every_table(property, &name, text);
            } else if property["items"]["type"] == "object" {
                text.push_str(&format!("{key} = [{{ urls = [] }}]\n"));
            }
        }
    }

    /// The keys of every table of the schema, under the name that the reader has for it.
    fn named_keys(schema: &Value, name: &str, all: &mut BTreeMap<String, BTreeSet<String>>) {
        let properties = schema["properties"].as_object().unwrap();
        all.insert(name.to_owned(), properties.keys().cloned().collect());
        for (key, property) in properties {
            let own = match name {
                "" => format!("[{key}]"),
                of => format!("`{key}` of {of}"),
            };
            if property["additionalProperties"].is_object() {
                named_keys(&property["additionalProperties"], &format!("[{key}.a]"), all);
            } else if property["properties"].is_object() {
                named_keys(property, &own, all);
            } else if property["items"]["type"] == "object" {
                named_keys(&property["items"], &format!("[[{key}]]"), all);
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
    fn a_trunk_that_no_call_can_come_from_is_pointed_out() {
        for (lines, pointed_out) in [
            ("target = \"sip:north.example\"", true),
            ("target = \"sip:north.example\"\naccept_from = [\"192.0.2.0/24\"]", false),
            ("target = \"sip:north.example\"\nusername = \"u\"\nregister = true", false),
            ("target = \"sip:192.0.2.7\"", false),
        ] {
            let text = format!("dialplan = \"p\"\n[trunk.north]\n{lines}\n");
            let (config, _) = read(&text, "c", &BTreeMap::new(), &NoFiles).unwrap();
            let trunk = config.trunks.values().next().unwrap();
            assert_eq!(!trunk.takes_calls(), pointed_out, "{lines}");
            let words = no_calls_from(trunk, "c.toml").to_string();
            assert!(words.starts_with("c.toml: warning: [trunk.north]: "), "{words}");
        }
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
