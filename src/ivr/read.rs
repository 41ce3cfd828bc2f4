//! From a file to a scenario: strict, and every mistake at once, with file, line and a hint.

use std::sync::Arc;
use std::time::Duration;

use super::prompt::{Reference, WHOLE, WINDOW};
use super::scenario::{
    Act, By, Dtmf, Expect, Keep, Library, Network, Scenario, Step, Variant, Via, keys,
};
use super::target::{emergency, target};
use super::tone_table::{COUNTRIES, ToneKind};
use super::yaml;
use crate::base::document::{self, Field, Item, Reader, Value};
use crate::base::{DtmfMode, Finding, Findings, Place, suggestion};
use crate::codec::read_wav;

/// The two ways to write a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.yaml`, `.yml`.
    Yaml,
    /// `.toml`.
    Toml,
}

impl Format {
    /// By a file's name; `None` where it is neither.
    pub fn of(file: &str) -> Option<Format> {
        match file.rsplit_once('.')?.1 {
            "yaml" | "yml" => Some(Format::Yaml),
            "toml" => Some(Format::Toml),
            _ => None,
        }
    }
}

/// The files beside a scenario, by paths relative to it.
pub trait Folder {
    /// The bytes of a file.
    ///
    /// # Errors
    /// One line for people.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// The names of the WAV files in a folder.
    fn sounds(&self, folder: &str) -> Vec<String>;
}

/// Reads a scenario and the recordings it names, and those beside them: what is heard instead of the
/// right prompt is told by its name.
///
/// # Errors
/// Every mistake.
pub fn read(
    text: &str,
    file: &str,
    format: Format,
    folder: &dyn Folder,
) -> Result<(Scenario, Library), Vec<Finding>> {
    let findings = Findings::default();
    let root = match format {
        Format::Yaml => yaml::parse(text, file, &findings),
        Format::Toml => document::parse(text, file, &findings),
    };
    if findings.has_errors() {
        return Err(findings.into_sorted());
    }
    let read = Reader::new(&root, "the file", &findings).and_then(|reader| {
        let mut reading = Reading {
            text,
            toml: format == Format::Toml,
            findings: &findings,
            folder,
            prompts: String::new(),
            library: Library::new(),
        };
        let scenario = reading.scenario(&reader, file)?;
        reading.neighbours();
        Some((scenario, reading.library))
    });
    let failed = findings.has_errors();
    match read {
        Some(read) if !failed => Ok(read),
        _ => Err(findings.into_sorted()),
    }
}

struct Reading<'a> {
    text: &'a str,
    toml: bool,
    findings: &'a Findings,
    folder: &'a dyn Folder,
    prompts: String,
    library: Library,
}

impl Reading<'_> {
    fn scenario(&mut self, root: &Reader<'_>, file: &str) -> Option<Scenario> {
        match root.integer("version", 0..i64::MAX) {
            Some(Field { value: 1, .. }) => {}
            Some(Field { value, at }) => {
                self.findings.error(&at, format!("version {value} is not known; this reads 1"));
            }
            None if root.has("version") => {}
            None => self.findings.error(root.at(), "the scenario needs `version: 1`"),
        }
        let name = root.required("name").map(|field| field.value.to_owned());
        let target = self.quoted(root, "target").and_then(|text| self.target(root, &text));
        if target.is_none() && !root.has("target") {
            self.findings
                .error(root.at(), "the scenario needs `target`: a number, sip:… or did:+…");
        }
        let from = self.quoted(root, "from");
        let at = root.text("at").map(|field| field.value.to_owned());
        let plan = root.text("plan").map(|field| field.value.to_owned());
        let via = root.choice("via", Via::WORDS).map_or(Via::Trunk, |field| field.value);
        self.prompts = root.text("prompts").map_or("prompts", |field| field.value).to_owned();
        let dtmf =
            root.table("dtmf").map_or_else(Dtmf::default, |t| self.dtmf(&t, Dtmf::default()));
        let network = root.table("network").map_or_else(Network::default, |t| self.network(&t));
        let mut call_limit = Duration::from_secs(120);
        if let Some(limits) = root.table("limits") {
            if let Some(limit) = limits.duration("call") {
                if limit.value.is_zero() {
                    self.findings.error(&limit.at, "`call` must be longer than nothing");
                }
                call_limit = limit.value;
            }
            limits.finish();
        }
        let mut record = Keep::default();
        if let Some(finally) = root.table("finally") {
            let words = &[
                ("always", Keep::Always),
                ("on-failure", Keep::OnFailure),
                ("never", Keep::Never),
            ];
            record = finally.choice("record", words).map_or(record, |field| field.value);
            finally.finish();
        }
        let steps = self.list(root, "steps");
        if steps.is_empty() && !self.findings.has_errors() {
            let at = root.item("steps").map_or(root.at(), |item| &item.at);
            self.findings.error(at, "the scenario needs `steps`: without any nothing is tested");
        }
        let steps: Vec<Step> =
            steps.iter().enumerate().filter_map(|(n, item)| self.step(item, n + 1)).collect();
        let variants: Vec<Variant> = self
            .list(root, "variants")
            .iter()
            .filter_map(|item| self.variant(item, dtmf, network))
            .collect();
        root.finish();
        Some(Scenario {
            file: file.to_owned(),
            name: name?,
            target: target?,
            from,
            at,
            plan,
            via,
            dtmf,
            network,
            prompts: self.prompts.clone(),
            call_limit,
            steps,
            record,
            variants,
        })
    }

    /// A string that holds telephone data: YAML makes numbers, comments and aliases of such.
    fn quoted(&self, table: &Reader<'_>, key: &'static str) -> Option<String> {
        let item = table.item(key)?;
        let example = match &item.value {
            Value::Text(text) if !text.trim().is_empty() => return Some(text.clone()),
            Value::Text(text) if text == yaml::MISSING => return None,
            Value::Text(_) => {
                self.findings.error(&item.at, format!("`{key}` is empty"));
                return None;
            }
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => self.written(&item.at),
            Value::List(_) | Value::Table(_) => "5",
        };
        let is = if self.toml { " =" } else { ":" };
        let words = format!(
            "`{key}` must be a quoted string: write {key}{is} \"{example}\" (without quotes a key \
             or a number loses its zeros, its + or its #)"
        );
        self.findings.error(&item.at, words);
        None
    }

    /// A value without quotes as it stands in the file.
    fn written(&self, at: &Place) -> &str {
        let line = self.text.lines().nth(at.line.saturating_sub(1) as usize).unwrap_or_default();
        let from = line.char_indices().nth(at.column.saturating_sub(1) as usize);
        let rest = from.map_or("", |(from, _)| &line[from..]);
        rest.split([' ', '\t', ',', '}', ']']).next().unwrap_or_default()
    }

    fn target(&self, table: &Reader<'_>, text: &str) -> Option<String> {
        match target(text) {
            Ok(target) => Some(target),
            Err(words) => {
                let at = table.item("target").map_or(table.at(), |item| &item.at);
                self.findings.error(at, words);
                None
            }
        }
    }

    fn list<'a>(&self, table: &Reader<'a>, key: &'static str) -> &'a [Item] {
        match table.item(key) {
            None => &[],
            Some(Item { value: Value::List(items), .. }) => items,
            Some(item) => {
                self.findings.error(&item.at, format!("`{key}` must be a list"));
                &[]
            }
        }
    }

    fn dtmf(&self, table: &Reader<'_>, base: Dtmf) -> Dtmf {
        let modes = &[
            ("rfc4733", DtmfMode::Rfc4733),
            ("info", DtmfMode::Info),
            ("inband", DtmfMode::Inband),
        ];
        let mode = table.choice("mode", modes).map_or(base.mode, |field| field.value);
        let duration = table.duration("duration").map_or(base.duration, |field| field.value);
        let gap = table.duration("gap").map_or(base.gap, |field| field.value);
        table.finish();
        Dtmf { mode, duration, gap }
    }

    fn network(&self, table: &Reader<'_>) -> Network {
        let loss = table.text("loss").and_then(|field| {
            let share = field.value.strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
            let share = share.filter(|share| (0.0..=50.0).contains(share));
            if share.is_none() {
                let words = format!("`loss` = {:?} is no share like \"3%\"", field.value);
                self.findings.error(&field.at, words);
            }
            share
        });
        let jitter = table.duration("jitter").map_or(Duration::ZERO, |field| field.value);
        table.finish();
        Network { loss: loss.unwrap_or(0.0) / 100.0, jitter }
    }

    fn variant(&self, item: &Item, dtmf: Dtmf, network: Network) -> Option<Variant> {
        let table = Reader::new(item, "a variant", self.findings)?;
        let name = table.required("name").map(|field| field.value.to_owned());
        let dtmf = table.table("dtmf").map(|t| self.dtmf(&t, dtmf));
        let network = table.table("network").map(|t| self.network(&t)).or(Some(network));
        let via = table.choice("via", Via::WORDS).map(|field| field.value);
        table.finish();
        Some(Variant { name: name?, dtmf, network, via })
    }

    fn step(&mut self, item: &Item, number: usize) -> Option<Step> {
        let table = Reader::new(item, format!("step {number}"), self.findings)?;
        let name = table.text("name").map(|field| field.value.to_owned());
        let secret = table.boolean("secret").is_some_and(|field| field.value);
        let mut acts: Vec<(&str, Act)> = Vec::new();
        if let Some(press) = self.quoted(&table, "press") {
            self.check_keys(&table, &press);
            acts.push(("press", Act::Press(press)));
        }
        if let Some(file) = table.text("say")
            && let Some(pcm) = self.sound(&file)
        {
            acts.push(("say", Act::Say(pcm.into())));
        }
        if let Some(wait) = table.duration("wait") {
            acts.push(("wait", Act::Wait(wait.value)));
        }
        if let Some(Field { value: true, .. }) = table.boolean("hangup") {
            acts.push(("hangup", Act::HangUp));
        }
        if let Some(hold) = table.boolean("hold") {
            acts.push(("hold", Act::Hold(hold.value)));
        }
        if let Some(to) = self.quoted(&table, "transfer") {
            if let Some(words) = emergency(&to) {
                let at = table.item("transfer").map_or(table.at(), |item| &item.at);
                self.findings.error(at, format!("`transfer` {words}"));
            }
            acts.push(("transfer", Act::Transfer(to)));
        }
        if acts.len() > 1 {
            let names: Vec<&str> = acts.iter().map(|(name, _)| *name).collect();
            let words = format!("step {number} does {}: make a step of each", names.join(" and "));
            self.findings.error(table.at(), words);
        }
        let expect = table.table("expect").map(|expect| self.expects(&expect)).unwrap_or_default();
        table.finish();
        let act = acts.into_iter().next().map(|(_, act)| act);
        if act.is_none() && expect.is_empty() && !self.findings.has_errors() {
            let words = format!("step {number} neither does nor expects anything");
            self.findings.error(table.at(), words);
        }
        let name = name.unwrap_or_else(|| match &act {
            Some(Act::Press(_)) if secret => "press secret keys".to_owned(),
            Some(Act::Press(keys)) => format!("press {keys}"),
            Some(Act::HangUp) => "hang up".to_owned(),
            _ => format!("step {number}"),
        });
        Some(Step { name, line: item.at.line, act, expect, secret })
    }

    fn check_keys(&self, table: &Reader<'_>, press: &str) {
        let known = keys(press).count();
        if known != press.chars().count() || known == 0 {
            let at = table.item("press").map_or(table.at(), |item| &item.at);
            let words = format!("{press:?} is not keys of 0-9, *, #, A-D, with , and w for pauses");
            self.findings.error(at, words);
        }
    }

    fn expects(&mut self, table: &Reader<'_>) -> Vec<Expect> {
        let mut all = Vec::new();
        if let Some(t) = table.table("sip") {
            let status = t.integer("status", 100..700).map_or(200, |field| field.value);
            let within = within(&t, Duration::from_secs(10));
            t.finish();
            all.push(Expect::Sip { status: u16::try_from(status).unwrap_or(200), within });
        }
        if let Some(t) = table.table("prompt") {
            let file = t.required("file").map(|field| self.reference(&field));
            let whole = self.share(&t, "match", WHOLE);
            let window = self.share(&t, "window", WINDOW);
            let within = within(&t, Duration::from_secs(5));
            let complete = t.boolean("complete").is_none_or(|field| field.value);
            t.finish();
            if let Some(file) = file {
                all.push(Expect::Prompt { file, whole, window, within, complete });
            }
        }
        if let Some(t) = table.table("sequence") {
            let files = t.texts("files").unwrap_or_default();
            if files.is_empty() {
                self.findings.error(t.at(), "`sequence` needs `files`: [a.wav, b.wav]");
            }
            let files = files.iter().map(|field| self.reference(field)).collect();
            let within = within(&t, Duration::from_secs(5));
            t.finish();
            all.push(Expect::Sequence { files, within });
        }
        if let Some(t) = table.table("prompt_stops") {
            let within = within(&t, Duration::from_millis(300));
            t.finish();
            all.push(Expect::PromptStops { within });
        }
        if let Some(t) = table.table("tone") {
            all.extend(self.tone(&t));
        }
        if let Some(t) = table.table("level") {
            let min = self.decibel(&t, "min", -60.0);
            let max = self.decibel(&t, "max", 0.0);
            t.finish();
            if min > max {
                let words =
                    format!("`min` = {min}dBFS is louder than `max` = {max}dBFS: no sound is both");
                self.findings.error(t.at(), words);
            }
            all.push(Expect::Level { min, max });
        }
        if let Some(t) = table.table("silence") {
            let max = t.duration("max").map_or(Duration::from_secs(2), |field| field.value);
            t.finish();
            all.push(Expect::Silence { max });
        }
        if let Some(t) = table.table("digits") {
            let keys = self.quoted(&t, "keys");
            let within = within(&t, Duration::from_secs(5));
            t.finish();
            all.extend(keys.map(|keys| Expect::Digits { keys, within }));
        }
        if let Some(t) = table.table("end") {
            let words = &[("local", By::Local), ("remote", By::Remote)];
            let by = t.choice("by", words).map_or(By::Remote, |field| field.value);
            let within = within(&t, Duration::from_secs(10));
            t.finish();
            all.push(Expect::End { by, within });
        }
        table.finish();
        all
    }

    fn tone(&self, t: &Reader<'_>) -> Option<Expect> {
        let kind = t.choice("kind", ToneKind::WORDS).map(|field| field.value);
        if kind.is_none() && !t.has("kind") {
            self.findings.error(t.at(), "`tone` needs `kind`");
        }
        let country = t.text("country").and_then(|field| {
            let upper = field.value.to_ascii_uppercase();
            if COUNTRIES.contains(&upper.as_str()) {
                return Some(upper);
            }
            let near = suggestion(&upper, COUNTRIES.iter().copied());
            let words = format!(
                "the tones of {:?} are not known{near}; countries are two letters: {}",
                field.value,
                COUNTRIES.join(" ")
            );
            self.findings.error(&field.at, words);
            None
        });
        let within = within(t, Duration::from_secs(6));
        t.finish();
        Some(Expect::Tone { kind: kind?, country, within })
    }

    fn share(&self, table: &Reader<'_>, key: &'static str, usual: f32) -> f32 {
        let Some(item) = table.item(key) else { return usual };
        let value = match &item.value {
            Value::Float(value) => Some(*value),
            Value::Integer(value) => Some(*value as f64),
            _ => None,
        };
        match value.filter(|value| (0.1..=1.0).contains(value)) {
            Some(value) => value as f32,
            None => {
                self.findings.error(&item.at, format!("`{key}` must be a number of 0.1 to 1"));
                usual
            }
        }
    }

    fn decibel(&self, table: &Reader<'_>, key: &'static str, usual: f64) -> f64 {
        let Some(item) = table.item(key) else { return usual };
        let value = match &item.value {
            Value::Text(text) => text.strip_suffix("dBFS").and_then(|n| n.trim().parse().ok()),
            _ => None,
        };
        match value.filter(|value: &f64| (-96.0..=3.1).contains(value)) {
            Some(value) => value,
            None => {
                self.findings.error(&item.at, format!("`{key}` must be a level like -35dBFS"));
                usual
            }
        }
    }

    /// The name of a recording, which is in the library afterwards.
    fn reference(&mut self, field: &Field<&str>) -> String {
        let name = field.value.to_owned();
        if !self.library.contains_key(&name)
            && let Some(pcm) = self.sound(field)
        {
            match Reference::new(&name, &pcm) {
                Ok(reference) => {
                    self.library.insert(name.clone(), Arc::new(reference));
                }
                Err(error) => self.findings.error(&field.at, format!("{name}: {error}")),
            }
        }
        name
    }

    fn sound(&self, field: &Field<&str>) -> Option<Vec<i16>> {
        let path = join(&self.prompts, field.value);
        let bytes = match self.folder.read(&path) {
            Ok(bytes) => bytes,
            Err(words) => {
                let names = self.folder.sounds(&self.prompts);
                let near = suggestion(field.value, names.iter().map(String::as_str));
                let hint = "`crosspoint ivr record` makes one";
                self.findings.error(&field.at, format!("{path}: {words}{near}; {hint}"));
                return None;
            }
        };
        match read_wav(&bytes) {
            Ok(pcm) => Some(pcm),
            Err(error) => {
                self.findings.error(&field.at, format!("{path}: {error}"));
                None
            }
        }
    }

    /// The other recordings of the folder.
    fn neighbours(&mut self) {
        for name in self.folder.sounds(&self.prompts).into_iter().take(MOST_NEIGHBOURS) {
            if self.library.contains_key(&name) {
                continue;
            }
            // One that is no recording was not asked for: it says nothing.
            let pcm = self.folder.read(&join(&self.prompts, &name)).ok();
            let pcm = pcm.and_then(|bytes| read_wav(&bytes).ok());
            if let Some(reference) = pcm.and_then(|pcm| Reference::new(&name, &pcm).ok()) {
                self.library.insert(name, Arc::new(reference));
            }
        }
    }
}

fn within(table: &Reader<'_>, usual: Duration) -> Duration {
    table.duration("within").map_or(usual, |field| field.value)
}

fn join(folder: &str, name: &str) -> String {
    match folder.trim_end_matches('/') {
        "" | "." => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

/// Recordings beside those that are named.
const MOST_NEIGHBOURS: usize = 200;
