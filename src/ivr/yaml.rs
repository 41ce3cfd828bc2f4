//! YAML to the tree that TOML is read into (`base::document`), with the place of every value.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::base::document::{Field, Item, Value};
use crate::base::{Findings, Place};

/// Reads a file; syntax errors and values that are missing go to `findings`.
pub fn parse(text: &str, file: &str, findings: &Findings) -> Item {
    let file: Arc<str> = file.into();
    let top = Place { file: file.clone(), line: 1, column: 1 };
    match serde_saphyr::from_str::<Spanned<Node>>(text) {
        Ok(node) => item(node, &file, WHOLE, findings),
        Err(error) => {
            let at =
                error.location().map_or(top.clone(), |at| place(&file, at.line(), at.column()));
            let line = text.lines().nth(at.line.saturating_sub(1) as usize).unwrap_or_default();
            let hint = if line.contains(": *") || line.contains(": &") || line.contains(": !") {
                "; YAML gives *, & and ! a meaning of their own: quote the value, as in press: \"*9\""
            } else {
                ""
            };
            let words = error.to_string();
            let told = words.to_ascii_lowercase();
            let words = if told.contains("multiple") && told.contains("document") {
                "there is a second document after `---`: a scenario is one document"
            } else if told.contains("budget") {
                "too big or too deeply nested for a scenario"
            } else {
                without_place(&words)
            };
            findings.error(&at, format!("{words}{hint}"));
            Item { value: Value::Table(Vec::new()), at }
        }
    }
}

fn item(node: Spanned<Node>, file: &Arc<str>, key: &str, findings: &Findings) -> Item {
    let at = place(file, node.referenced.line(), node.referenced.column());
    let value = match node.value {
        Node::Null if key == WHOLE => {
            findings.error(&at, "the file is empty");
            Value::Text(MISSING.to_owned())
        }
        Node::Null => {
            let hint = "; in YAML an unquoted # begins a comment: quote it";
            findings.error(&at, format!("`{key}` has no value{hint}"));
            Value::Text(MISSING.to_owned())
        }
        Node::Boolean(value) => Value::Boolean(value),
        Node::Integer(value) => Value::Integer(value),
        Node::Float(value) => Value::Float(value),
        Node::Text(value) => Value::Text(value),
        Node::List(list) => {
            Value::List(list.into_iter().map(|node| item(node, file, key, findings)).collect())
        }
        Node::Table(table) => Value::Table(
            table
                .into_iter()
                .map(|(name, node)| {
                    let at = place(file, name.referenced.line(), name.referenced.column());
                    let item = item(node, file, &name.value, findings);
                    (Field { value: name.value, at }, item)
                })
                .collect(),
        ),
    };
    Item { value, at }
}

/// The first line of the parser's words without the place, which is told before them, and without its
/// advice to programmers.
fn without_place(words: &str) -> &str {
    let line = words.lines().next().unwrap_or_default().trim();
    let place = line.strip_prefix("error: line ").and_then(|rest| rest.split_once(": "));
    let line = place.map_or(line, |(_, words)| words);
    line.split(", set ").next().unwrap_or(line)
}

fn place(file: &Arc<str>, line: u64, column: u64) -> Place {
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Place { file: file.clone(), line: small(line), column: small(column) }
}

/// The whole document, as a key that nobody can write.
const WHOLE: &str = "\u{0}the file";
/// Stands for a value that is not there: it was reported already.
pub(super) const MISSING: &str = "\u{0}";

enum Node {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Node>>),
    Table(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(node) = list.next_element()? {
            all.push(node);
        }
        Ok(Node::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = map.next_entry()? {
            all.push(entry);
        }
        Ok(Node::Table(all))
    }
}
