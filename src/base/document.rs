//! A TOML file as a tree in file order in which every key and value knows its place.
//!
//! `Reader` takes typed values out of a table, reports each mistake to a `Findings` and goes on,
//! and at the end refuses the keys that nobody asked for. Owned by nobody: plans and the
//! configuration are both read through it.

use std::cell::RefCell;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::finding::{Findings, Place};

/// A value and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub at: Place,
}

impl<T> Field<T> {
    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Field<U> {
        Field { value: change(self.value), at: self.at }
    }
}

/// A TOML value; a table keeps the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string, or a date as it is written.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    List(Vec<Item>),
    /// A table.
    Table(Table),
}

/// A value in a document.
pub type Item = Field<Value>;

/// The entries of a table in the order of the file.
pub type Table = Vec<(Field<String>, Item)>;

/// Parses a whole file. Syntax errors go to `findings`, every one of them; the tree is what could be read.
pub fn parse(text: &str, file: &str, findings: &Findings) -> Item {
    let source = Source::new(text, file);
    // The parser keeps every error until the end, so it gets no more of a broken file than that the
    // first errors are in it.
    let whole = match DeTable::parse(text).err().map(|error| error.span().unwrap_or(0..0).start) {
        Some(first) if text.len() > first.saturating_add(BROKEN_BYTES) => {
            let mut end = first + BROKEN_BYTES;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            &text[..end]
        }
        _ => text,
    };
    let (root, errors) = DeTable::parse_recoverable(whole);
    for error in errors {
        let at = source.place(error.span().unwrap_or(0..0));
        findings.error(&at, error.message().trim());
    }
    if whole.len() < text.len() {
        let at = source.place(whole.len()..whole.len());
        findings.error(&at, "not read from here on: mend the errors above first");
    }
    let at = source.place(0..0);
    Item { value: Value::Table(source.table(root.get_ref())), at }
}

#[cfg(test)]
thread_local! {
    /// The name of every table that was read, and the keys that it was asked for.
    pub(crate) static FINISHED: RefCell<Vec<(String, Vec<&'static str>)>> = RefCell::default();
}

/// Typed access to one table. Every getter reports what is wrong and gives `None`.
pub struct Reader<'a> {
    table: &'a Table,
    at: &'a Place,
    name: String,
    findings: &'a Findings,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    /// Reads `item`, called `name` in messages; reports an error where it is no table.
    pub fn new(item: &'a Item, name: impl Into<String>, findings: &'a Findings) -> Option<Self> {
        let name = name.into();
        let Value::Table(table) = &item.value else {
            findings.error(&item.at, format!("{name} must be a table, not {}", kind(&item.value)));
            return None;
        };
        Some(Reader { table, at: &item.at, name, findings, asked: RefCell::default() })
    }

    /// Where the table starts.
    pub fn at(&self) -> &'a Place {
        self.at
    }

    /// The table's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sink of this reader.
    pub fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// The raw value of a key.
    pub fn item(&self, key: &'static str) -> Option<&'a Item> {
        self.asked.borrow_mut().push(key);
        self.table.iter().find(|(k, _)| k.value == key).map(|(_, item)| item)
    }

    /// Whether the key is written; does not count as asking for it.
    pub fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(k, _)| k.value == key)
    }

    /// Every key that is written, with its place.
    pub fn keys(&self) -> impl Iterator<Item = (&'a str, &'a Place)> {
        self.table.iter().map(|(key, _)| (key.value.as_str(), &key.at))
    }

    /// A string; empty or blank is an error.
    pub fn text(&self, key: &'static str) -> Option<Field<&'a str>> {
        self.item(key).and_then(|item| text(item, key, self.findings))
    }

    /// A string that must be there.
    pub fn required(&self, key: &'static str) -> Option<Field<&'a str>> {
        let found = self.text(key);
        if !self.has(key) {
            self.findings.error(self.at, format!("{} needs `{key}`", self.name));
        }
        found
    }

    /// A string that must parse as `T`.
    pub fn parsed<T: FromStr>(&self, key: &'static str) -> Option<Field<T>>
    where
        T::Err: std::fmt::Display,
    {
        self.text(key).and_then(|field| parsed(field, key, self.findings))
    }

    /// One word of a fixed list.
    pub fn choice<T: Copy>(
        &self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<Field<T>> {
        let field = self.text(key)?;
        choice(field, key, words, self.findings)
    }

    /// An integer within a range, ends included.
    pub fn integer(&self, key: &'static str, range: Range<i64>) -> Option<Field<i64>> {
        let item = self.item(key)?;
        let value = match &item.value {
            Value::Integer(n) => Some(*n),
            Value::Text(t) if item.at.line == 0 => t.parse().ok(),
            _ => None,
        };
        match value {
            Some(n) if range.contains(&n) => Some(Field { value: n, at: item.at.clone() }),
            Some(n) => {
                let last = range.end - 1;
                let message = format!("`{key}` = {n} is not in {} to {last}", range.start);
                self.findings.error(&item.at, message);
                None
            }
            None => self.wrong(key, item, "a whole number"),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &'static str) -> Option<Field<bool>> {
        let item = self.item(key)?;
        match &item.value {
            Value::Boolean(b) => Some(Field { value: *b, at: item.at.clone() }),
            Value::Text(t) if item.at.line == 0 && (t == "true" || t == "false") => {
                Some(Field { value: t == "true", at: item.at.clone() })
            }
            _ => self.wrong(key, item, "true or false"),
        }
    }

    /// A duration with its unit: `"25s"`, `"500ms"`, `"2h"`, `"1h30m"`.
    pub fn duration(&self, key: &'static str) -> Option<Field<Duration>> {
        let field = self.text(key)?;
        match duration(field.value) {
            Some(value) => Some(Field { value, at: field.at }),
            None => {
                let message =
                    format!("`{key}` = {:?} is no duration like \"25s\" or \"2h\"", field.value);
                self.findings.error(&field.at, message);
                None
            }
        }
    }

    /// A list of strings, in a file also one string alone. Not there is `None`; an empty list is an
    /// error, since an empty field must not come to mean everything.
    pub fn texts(&self, key: &'static str) -> Option<Vec<Field<&'a str>>> {
        let item = self.item(key)?;
        let list = self.strings(key, item)?;
        if list.is_empty() {
            let message = format!("`{key}` is empty; leave it out, or say what it means");
            self.findings.error(&item.at, message);
            return None;
        }
        Some(list)
    }

    /// A list of strings that may be empty; not there is empty.
    pub fn texts_or_none(&self, key: &'static str) -> Vec<Field<&'a str>> {
        self.item(key).and_then(|item| self.strings(key, item)).unwrap_or_default()
    }

    /// A sub-table.
    pub fn table(&self, key: &'static str) -> Option<Reader<'a>> {
        // Inside another one it stands as `key = { … }`.
        let name = match self.name.is_empty() {
            true => format!("[{key}]"),
            false => format!("`{key}` of {}", self.name),
        };
        self.item(key).and_then(|item| Reader::new(item, name, self.findings))
    }

    /// The tables of `[[key]]`, or of a list of tables, in the order of the file.
    pub fn tables(&self, key: &'static str) -> Vec<Reader<'a>> {
        match self.item(key) {
            None => Vec::new(),
            Some(Item { value: Value::List(items), .. }) => items
                .iter()
                .filter_map(|item| Reader::new(item, format!("[[{key}]]"), self.findings))
                .collect(),
            Some(item) => {
                let message = format!("`{key}` must be written as [[{key}]]");
                self.findings.error(&item.at, message);
                Vec::new()
            }
        }
    }

    /// The named tables of `[key.NAME]`.
    pub fn named(&self, key: &'static str) -> Vec<(&'a Field<String>, Reader<'a>)> {
        self.entries(key)
            .iter()
            .filter_map(|(name, item)| {
                let reader = Reader::new(item, format!("[{key}.{}]", name.value), self.findings)?;
                Some((name, reader))
            })
            .collect()
    }

    /// The entries of a table whose keys are free.
    pub fn entries(&self, key: &'static str) -> &'a [(Field<String>, Item)] {
        match self.item(key) {
            None => &[],
            Some(Item { value: Value::Table(table), .. }) => table,
            Some(item) => {
                self.wrong::<()>(key, item, "a table");
                &[]
            }
        }
    }

    /// Refuses every key that was not asked for.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        #[cfg(test)]
        FINISHED.with_borrow_mut(|all| all.push((self.name.clone(), asked.clone())));
        for (key, _) in self.table {
            if !asked.contains(&key.value.as_str()) {
                let near = self.findings.suggest(&key.value, asked.iter().copied());
                let place =
                    if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) };
                self.findings.error(&key.at, format!("unknown key `{}`{place}{near}", key.value));
            }
        }
    }

    fn strings(&self, key: &'static str, item: &'a Item) -> Option<Vec<Field<&'a str>>> {
        match &item.value {
            Value::List(items) => {
                Some(items.iter().filter_map(|item| text(item, key, self.findings)).collect())
            }
            Value::Text(_) if item.at.line > 0 => text(item, key, self.findings).map(|t| vec![t]),
            Value::Text(line) => Some(
                line.split(',')
                    .map(str::trim)
                    .filter(|word| !word.is_empty())
                    .map(|value| Field { value, at: item.at.clone() })
                    .collect(),
            ),
            _ => self.wrong(key, item, "a list of strings"),
        }
    }

    fn wrong<T>(&self, key: &str, item: &Item, expected: &str) -> Option<T> {
        let message = format!("`{key}` must be {expected}, not {}", kind(&item.value));
        self.findings.error(&item.at, message);
        None
    }
}

/// The string in `item`; anything else, empty and blank are errors about `key`.
pub fn text<'a>(item: &'a Item, key: &str, findings: &Findings) -> Option<Field<&'a str>> {
    match &item.value {
        Value::Text(value) if !value.trim().is_empty() => {
            Some(Field { value: value.as_str(), at: item.at.clone() })
        }
        Value::Text(_) => {
            findings.error(&item.at, format!("`{key}` is empty"));
            None
        }
        other => {
            findings.error(&item.at, format!("`{key}` must be a string, not {}", kind(other)));
            None
        }
    }
}

/// Parses a string as `T`; the error tells the key, the text and what was expected.
pub fn parsed<T: FromStr>(field: Field<&str>, key: &str, findings: &Findings) -> Option<Field<T>>
where
    T::Err: std::fmt::Display,
{
    match field.value.parse() {
        Ok(value) => Some(Field { value, at: field.at }),
        Err(error) => {
            findings.error(&field.at, format!("`{key}` = {:?}: {error}", field.value));
            None
        }
    }
}

/// One word of a fixed list.
pub fn choice<T: Copy>(
    field: Field<&str>,
    key: &str,
    words: &[(&'static str, T)],
    findings: &Findings,
) -> Option<Field<T>> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == field.value) {
        return Some(Field { value: *value, at: field.at });
    }
    let near = findings.suggest(field.value, words.iter().map(|(word, _)| *word));
    findings.error(&field.at, format!("`{key}` = {:?} is not known{near}", field.value));
    None
}

/// A duration of whole numbers with the units `ms s m h d`, largest first or alone.
pub fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..unit_len] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            "d" => Duration::from_secs(86_400),
            _ => return None,
        };
        rest = &rest[unit_len..];
        total = total.checked_add(unit.checked_mul(number)?)?;
    }
    (!text.is_empty()).then_some(total)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::List(_) => "a list",
        Value::Table(_) => "a table",
    }
}

struct Source<'t> {
    text: &'t str,
    file: Arc<str>,
    /// Where each line starts.
    starts: Vec<usize>,
    /// How many characters come before each block of the text, so that a column is no walk along a
    /// line, which may be the whole file.
    before: Vec<usize>,
}

impl Source<'_> {
    fn new<'t>(text: &'t str, file: &str) -> Source<'t> {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let mut count = 0;
        let blocks = text.as_bytes().chunks(BLOCK).map(|block| {
            count += characters(block);
            count
        });
        Source {
            text,
            file: file.into(),
            starts: std::iter::once(0).chain(breaks.map(|(index, _)| index + 1)).collect(),
            before: std::iter::once(0).chain(blocks).collect(),
        }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let offset = span.start.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let column = self.characters_before(offset) - self.characters_before(self.starts[line - 1]);
        Place {
            file: self.file.clone(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
        }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        self.before[block] + characters(&self.text.as_bytes()[block * BLOCK..offset])
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
            .into_iter()
            .map(|(key, value)| {
                let at = self.place(key.span());
                let mut item = self.item(value.get_ref(), value.span());
                if matches!(item.value, Value::Table(_)) {
                    item.at = at.clone();
                }
                (Field { value: key.get_ref().to_string(), at }, item)
            })
            .collect()
    }

    fn item(&self, value: &DeValue<'_>, span: Range<usize>) -> Item {
        let at = self.place(span);
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
                Ok(n) => Value::Integer(n),
                Err(_) => Value::Text(n.as_str().to_owned()),
            },
            DeValue::Float(f) => Value::Float(f.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(b) => Value::Boolean(*b),
            DeValue::Datetime(d) => Value::Text(d.to_string()),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|i| self.item(i.get_ref(), i.span())).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Item { value, at }
    }
}

/// How many characters begin in these bytes of UTF-8.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// How much of a broken file is read after its first error, in bytes.
const BROKEN_BYTES: usize = 64 * 1024;
/// In bytes.
const BLOCK: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(findings: Findings) -> Vec<String> {
        findings.into_sorted().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_reported_with_its_place() {
        let findings = Findings::default();
        let text = "one = 1\ntwo = \"\"\ntoo = 3\n[deep]\nwait = \"5 parsecs\"\n";
        let root = parse(text, "f.toml", &findings);
        let reader = Reader::new(&root, "", &findings).unwrap();
        assert_eq!(reader.text("one"), None);
        assert_eq!(reader.text("two"), None);
        let deep = reader.table("deep").unwrap();
        assert_eq!(deep.duration("wait"), None);
        deep.finish();
        reader.finish();
        assert_eq!(
            texts(findings),
            [
                "f.toml:1:7: error: `one` must be a string, not a whole number",
                "f.toml:2:7: error: `two` is empty",
                "f.toml:3:1: error: unknown key `too`; did you mean \"two\"?",
                "f.toml:5:8: error: `wait` = \"5 parsecs\" is no duration like \"25s\" or \"2h\"",
            ]
        );
    }

    #[test]
    fn syntax_errors_do_not_hide_each_other() {
        let findings = Findings::default();
        parse("a = \nb = 1\nc = [\n\"x\"\nd == 2\n", "f.toml", &findings);
        assert!(texts(findings).len() >= 2);
    }

    #[test]
    fn a_file_of_errors_costs_no_more_than_its_first_ones() {
        let findings = Findings::default();
        parse(&"=".repeat(4 << 20), "f.toml", &findings);
        let found = texts(findings);
        assert_eq!(found.len(), 501);
        assert!(found[0].starts_with("f.toml:1:"), "{}", found[0]);
        assert!(found[500].contains("more errors are not listed"), "{}", found[500]);
    }

    #[test]
    fn columns_count_characters_however_long_the_line_is() {
        let findings = Findings::default();
        let text = format!("a = 1\nb = {{ c = \"{}\", d = \"\" }}\n", "\u{e9}".repeat(3_000));
        let root = parse(&text, "f.toml", &findings);
        let reader = Reader::new(&root, "", &findings).unwrap();
        assert_eq!(reader.table("b").unwrap().text("d"), None);
        assert_eq!(texts(findings), ["f.toml:2:3019: error: `d` is empty"]);
    }

    #[test]
    fn durations_carry_their_unit() {
        for (text, ms) in
            [("25s", 25_000), ("500ms", 500), ("1h30m", 5_400_000), ("2d", 172_800_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "25", "s", "-1s", "1.5h", "99999999999s", "1 s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn tables_keep_the_order_of_the_file() {
        let findings = Findings::default();
        let root = parse("[z]\n[a]\n[m]\n", "f", &findings);
        let Value::Table(table) = root.value else { panic!() };
        let names: Vec<&str> = table.iter().map(|(k, _)| k.value.as_str()).collect();
        assert_eq!(names, ["z", "a", "m"]);
        assert_eq!(table[2].0.at.line, 3);
    }
}
