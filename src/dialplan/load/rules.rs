//! Reads `[[outbound]]` and `[[inbound]]`.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::{Loader, needed};
use crate::base::document::{self, Field, Item, Reader, Value};
use crate::base::{DtmfMode, Place};
use crate::dialplan::number::{NumberType, Region};
use crate::dialplan::pattern::Pattern;
use crate::dialplan::plan::{
    Action, Choice, Destination, DigitLog, InboundAction, InboundRule, Law, OutboundRule,
    Recording, Route, Spread,
};
use crate::dialplan::rates::Rates;

impl Loader<'_> {
    pub(super) fn outbound(&self) -> Vec<OutboundRule> {
        let mut rules: Vec<OutboundRule> = Vec::new();
        let mut names: HashSet<String> = HashSet::new();
        for table in self.root.tables("outbound") {
            let before = self.findings.errors();
            let name = self.name(&table, &mut names);
            let to = self.patterns_or_any(&table, "to");
            let region = self.choices(&table, "region", |field| self.region(field));
            let kind = self.choices(&table, "type", |field| {
                document::choice(field, "type", NumberType::WORDS, self.findings).map(|f| f.value)
            });
            let group = self.choices(&table, "group", |field| {
                self.known_name("group", field.value, &field.at).then(|| field.value.to_owned())
            });
            let user = self.choices(&table, "user", |field| self.user(field, "user"));
            let when = self.when(&table);
            let conditions = ["to", "region", "type", "group", "user", "when"];
            if !conditions.iter().any(|key| table.has(key)) {
                let message = format!(
                    "{} has no condition; write `region = \"any\"` if it is meant for all",
                    table.name()
                );
                self.findings.error(table.at(), message);
            }
            let action = self.action(&table);
            let at = table.at().clone();
            table.finish();
            // What a mistake has made of a rule says nothing about the others.
            let whole = self.findings.errors() == before;
            if let (Some(name), Some(action), true) = (name, action, whole) {
                rules.push(OutboundRule { name, at, to, region, kind, group, user, when, action });
            }
        }
        rules
    }

    pub(super) fn inbound(&self) -> Vec<InboundRule> {
        let mut rules: Vec<InboundRule> = Vec::new();
        let mut names: HashSet<String> = HashSet::new();
        // By whom a number is taken from every caller at all times.
        let mut taken: HashMap<String, String> = HashMap::new();
        for table in self.root.tables("inbound") {
            let before = self.findings.errors();
            let name = self.name(&table, &mut names);
            needed(&table, "did");
            self.dids_once(&table, &taken);
            let did = self.patterns_or_any(&table, "did");
            let from = self.patterns_or_any(&table, "from");
            let trunk = self.choices(&table, "trunk", |f| self.trunk(f, "trunk").map(|f| f.value));
            let when = self.when(&table);
            let recording = recording(&table);
            let action = match (table.texts("flow"), table.text("deny")) {
                (None, Some(words)) if recording.is_some() => {
                    self.findings.error(&words.at, "`record` means nothing in a rule that denies");
                    None
                }
                (Some(flow), None) => {
                    Some(InboundAction::Flow(self.flow(flow), recording.unwrap_or_default()))
                }
                (None, Some(words)) => Some(InboundAction::Deny(words.value.to_owned())),
                (Some(_), Some(words)) => {
                    self.findings.error(&words.at, "a rule has `flow` or `deny`, not both");
                    None
                }
                (None, None) => {
                    if !table.has("flow") && !table.has("deny") {
                        let message = format!("{} needs `flow` or `deny`", table.name());
                        self.findings.error(table.at(), message);
                    }
                    None
                }
            };
            let at = table.at().clone();
            table.finish();
            let whole = self.findings.errors() == before;
            if let (Some(name), Some(action), true) = (name, action, whole) {
                if let (Some(dids), None, None, None) = (&did, &from, &trunk, &when) {
                    dids.iter().for_each(|did| {
                        taken.entry(did.as_str().to_owned()).or_insert_with(|| name.clone());
                    });
                }
                rules.push(InboundRule { name, at, did, from, trunk, when, action });
            }
        }
        rules
    }

    /// Reports a `did` that is there twice, in its rule or because a rule before takes all its calls. A
    /// rule that loses all of them is reported whole, elsewhere.
    fn dids_once(&self, table: &Reader<'_>, taken: &HashMap<String, String>) {
        let list = table.texts("did").unwrap_or_default();
        let lost = list.iter().filter(|field| taken.contains_key(field.value)).count();
        let mut seen: HashSet<&str> = HashSet::new();
        for field in &list {
            if !seen.insert(field.value) {
                self.findings.error(&field.at, format!("{} is there twice", field.value));
            }
            if let Some(rule) = taken.get(field.value).filter(|_| lost < list.len()) {
                let message = format!("all calls to {} are taken by {rule:?} above", field.value);
                self.findings.error(&field.at, message);
            }
        }
    }

    fn name(&self, table: &Reader<'_>, known: &mut HashSet<String>) -> Option<String> {
        let name = table.required("name")?;
        if !known.insert(name.value.to_owned()) {
            let message = format!("a second rule called {:?} in {}", name.value, table.name());
            self.findings.error(&name.at, message);
        }
        Some(name.value.to_owned())
    }

    /// `None` is everything: there is no such key, or it is the word `any`.
    fn patterns_or_any(&self, table: &Reader<'_>, key: &'static str) -> Option<Vec<Pattern>> {
        match table.item(key).and_then(any_word) {
            Some(()) => None,
            None => self.patterns(table, key),
        }
    }

    fn patterns(&self, table: &Reader<'_>, key: &'static str) -> Option<Vec<Pattern>> {
        let list = table.texts(key)?;
        let patterns = list.into_iter().filter_map(|field| {
            document::parsed::<Pattern>(field, key, self.findings).map(|field| field.value)
        });
        Some(patterns.collect())
    }

    fn choices<T: Clone + Eq + Hash>(
        &self,
        table: &Reader<'_>,
        key: &'static str,
        read: impl Fn(Field<&str>) -> Option<T>,
    ) -> Option<Choice<T>> {
        let list = table.texts(key)?;
        if list.iter().any(|field| field.value == "any") {
            if list.len() > 1 {
                let message = format!("`{key}`: \"any\" stands alone");
                self.findings.error(&list[0].at, message);
            }
            return Some(Choice::Any);
        }
        let mut values: Vec<T> = Vec::new();
        let mut seen: HashSet<T> = HashSet::new();
        for field in list {
            let (text, at) = (field.value, field.at.clone());
            let Some(value) = read(field) else { continue };
            if !seen.insert(value.clone()) {
                self.findings.error(&at, format!("`{key}` has {text:?} twice"));
            } else {
                values.push(value);
            }
        }
        Some(Choice::OneOf(values))
    }

    fn region(&self, field: Field<&str>) -> Option<Region> {
        super::region(field, "region", self.findings).map(|field| field.value)
    }

    fn when(&self, table: &Reader<'_>) -> Option<String> {
        let field = table.text("when")?;
        self.known_name("schedule", field.value, &field.at).then(|| field.value.to_owned())
    }

    fn action(&self, table: &Reader<'_>) -> Option<Action> {
        if let Some(item) = table.item("webhook") {
            self.findings.error(
                &item.at,
                "`webhook` is no key of a rule: \"webhook:NAME\" is a step of a flow",
            );
        }
        let route = table.item("route").and_then(|item| self.route(item));
        let rates = table.text("rates").and_then(|field| self.rates(field, route.as_ref()));
        let dtmf = table.choice("dtmf", DtmfMode::WORDS).map(|field| field.value);
        let codec = table.choice("codec", Law::WORDS).map(|field| field.value);
        let max_call = self.longer_than_nothing(table, "max_call");
        let caller_id = self.identity_name(table, "caller_id");
        let recording = recording(table).unwrap_or_default();
        let digits = match table.boolean("log_digits") {
            Some(field) if field.value => DigitLog::Named,
            _ => DigitLog::Masked,
        };
        let deny = table.text("deny");
        match (deny, table.has("route")) {
            (Some(words), false) => {
                let keys =
                    ["rates", "dtmf", "codec", "max_call", "caller_id", "record", "log_digits"];
                for key in keys {
                    if table.has(key) {
                        let message = format!("`{key}` means nothing in a rule that denies");
                        self.findings.error(&words.at, message);
                    }
                }
                Some(Action::Deny(words.value.to_owned()))
            }
            (Some(words), true) => {
                self.findings.error(&words.at, "a rule has `route` or `deny`, not both");
                None
            }
            (None, true) => route.map(|route| Action::Route {
                route,
                rates,
                dtmf,
                codec,
                max_call,
                caller_id,
                digits,
                recording,
            }),
            (None, false) => {
                if !table.has("deny") {
                    let message = format!("{} needs `route` or `deny`", table.name());
                    self.findings.error(table.at(), message);
                }
                None
            }
        }
    }

    fn route(&self, item: &Item) -> Option<Route> {
        let (list, spread) = match &item.value {
            Value::Table(_) => {
                let table = Reader::new(item, "`route`", self.findings)?;
                needed(&table, "balance");
                let list = table.texts("balance");
                let found = list.map(|list| self.trunks(list, "route"));
                table.finish();
                (found?, Spread::Balanced)
            }
            Value::List(items) if !items.is_empty() => {
                let texts = items
                    .iter()
                    .filter_map(|item| document::text(item, "route", self.findings))
                    .collect();
                (self.trunks(texts, "route"), Spread::Ordered)
            }
            Value::Text(_) => {
                let text = document::text(item, "route", self.findings)?;
                (self.trunks(vec![text], "route"), Spread::Ordered)
            }
            _ => {
                let message = "`route` is a list of trunks or { balance = [...] }, and not empty";
                self.findings.error(&item.at, message);
                return None;
            }
        };
        Some(Route { trunks: list, spread })
    }

    fn rates(&self, field: Field<&str>, route: Option<&Route>) -> Option<Arc<Rates>> {
        let known = self.rates.borrow().get(field.value).cloned();
        let rates = known.unwrap_or_else(|| {
            let read = match self.files.read(field.value) {
                Ok(text) => Some(Arc::new(Rates::parse(&text, field.value, self.findings))),
                Err(reason) => {
                    self.findings.error(&field.at, format!("`rates`: {reason}"));
                    None
                }
            };
            self.rates.borrow_mut().insert(field.value.to_owned(), read.clone());
            read
        })?;
        if let Some(route) = route {
            if route.spread == Spread::Balanced {
                self.findings
                    .error(&field.at, "`rates` sorts a route; a balanced one has no order");
            }
            for trunk in route.trunks.iter().filter(|trunk| !rates.has(trunk)) {
                let message = format!("{} has no price by {trunk}", field.value);
                self.findings.warn(&field.at, message);
            }
        }
        Some(rates)
    }

    fn flow(&self, list: Vec<Field<&str>>) -> Vec<Destination> {
        let places: Vec<Place> = list.iter().map(|field| field.at.clone()).collect();
        let mut flow = Vec::new();
        for (index, field) in list.into_iter().enumerate() {
            let Some(step) = self.destination(field) else { continue };
            let goes_on = matches!(
                step,
                Destination::User(_)
                    | Destination::Ring(_)
                    | Destination::Number(_)
                    | Destination::Webhook(_)
            );
            if let Some(next) = places.get(index + 1).filter(|_| !goes_on) {
                let message = format!("never reached: the call does not come back from {step}");
                self.findings.error(next, message);
            }
            flow.push(step);
        }
        flow
    }
}

/// Whether a rule's calls are recorded, where it says so.
fn recording(table: &Reader<'_>) -> Option<Recording> {
    let field = table.boolean("record")?;
    Some(if field.value { Recording::On } else { Recording::Off })
}

/// The word `any`, alone or in a list.
fn any_word(item: &Item) -> Option<()> {
    let is_any = |item: &Item| matches!(&item.value, Value::Text(text) if text == "any");
    let found = match &item.value {
        Value::List(items) => items.len() == 1 && is_any(&items[0]),
        _ => is_any(item),
    };
    found.then_some(())
}
