//! The environment over the file: `CROSSPOINT_TRUNK__NORTH__PASSWORD` is `trunk.north.password`.
//!
//! Names are compared without case, and `-` and `.` in a table's name as `_`. A value is a string;
//! the setting says how it is read, lists are separated by commas, and what starts with `[` or `{`
//! is TOML.

use std::collections::BTreeMap;

use crate::base::document::{self, Field, Item, Table, Value};
use crate::base::{Findings, Place};

/// Puts every variable that is a setting into the document.
pub(super) fn apply(root: &mut Item, variables: &BTreeMap<String, String>, findings: &Findings) {
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        if NOT_SETTINGS.contains(&path) {
            continue;
        }
        let at = Place { file: format!("environment {name}").into(), line: 0, column: 0 };
        let segments: Vec<&str> = path.split("__").collect();
        if segments.iter().any(|segment| segment.is_empty()) {
            findings.error(&at, "is no setting: write CROSSPOINT_TABLE__KEY");
            continue;
        }
        let Some(value) = value_of(value, &at, findings) else { continue };
        if let Value::Table(table) = &mut root.value {
            put(table, &segments, value, &at, findings);
        }
    }
}

fn put(table: &mut Table, path: &[&str], value: Value, at: &Place, findings: &Findings) {
    let [first, rest @ ..] = path else { return };
    let index = table.iter().position(|(key, _)| same(&key.value, first)).unwrap_or_else(|| {
        let key = Field { value: first.to_lowercase(), at: at.clone() };
        table.push((key, Item { value: Value::Table(Table::new()), at: at.clone() }));
        table.len() - 1
    });
    let (_, item) = &mut table[index];
    if rest.is_empty() {
        *item = Item { value, at: at.clone() };
        return;
    }
    match &mut item.value {
        Value::Table(inner) => put(inner, rest, value, at, findings),
        _ => findings.error(at, format!("{} is no table", first.to_lowercase())),
    }
}

fn value_of(text: &str, at: &Place, findings: &Findings) -> Option<Value> {
    if !text.starts_with(['[', '{']) {
        return Some(Value::Text(text.to_owned()));
    }
    let inner = Findings::default();
    let mut root = document::parse(&format!("value = {text}"), "", &inner);
    if inner.has_errors() {
        findings.error(at, "is no TOML value");
        return None;
    }
    replace_places(&mut root, at);
    match root.value {
        Value::Table(mut table) if table.len() == 1 => table.pop().map(|(_, item)| item.value),
        _ => None,
    }
}

fn replace_places(item: &mut Item, at: &Place) {
    item.at = at.clone();
    match &mut item.value {
        Value::List(items) => items.iter_mut().for_each(|item| replace_places(item, at)),
        Value::Table(table) => {
            for (key, item) in table {
                key.at = at.clone();
                replace_places(item, at);
            }
        }
        _ => {}
    }
}

fn same(key: &str, segment: &str) -> bool {
    let plain = |c: char| if matches!(c, '-' | '.') { '_' } else { c.to_ascii_lowercase() };
    key.chars().map(plain).eq(segment.chars().map(plain))
}

const PREFIX: &str = "CROSSPOINT_";
/// Variables that are no settings: the file itself, what is logged, and those of the tests.
const NOT_SETTINGS: &[&str] = &["CONFIG", "LOG", "CHROMIUM", "KEEP_TEST_FILES"];
