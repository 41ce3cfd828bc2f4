//! Reads what rules name: identities, groups, the emergency table, places, schedules.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::{Loader, needed};
use crate::base::document::{self, Field, Reader, Value};
use crate::base::{DialString, UserId};
use crate::dialplan::emergency;
use crate::dialplan::number::Region;
use crate::dialplan::plan::{
    App, CallerIdentity, Destination, Emergency, Group, Menu, Presentation, Ring, RingStrategy,
    Voicemail,
};
use crate::dialplan::schedule::{Day, Hours, Schedule, Zone};

impl Loader<'_> {
    pub(super) fn caller_ids(&self) -> BTreeMap<String, CallerIdentity> {
        let mut all = BTreeMap::new();
        for (name, table) in self.root.named("caller_id") {
            table.required("number");
            let number = table.parsed("number");
            let text = table.text("name").filter(|field| {
                let fine =
                    field.value.chars().count() <= 64 && !field.value.chars().any(char::is_control);
                if !fine {
                    let message = "`name` has more than 64 characters or a control character";
                    self.findings.error(&field.at, message);
                }
                fine
            });
            let present = table.choice("present", PRESENT).map(|f| f.value).unwrap_or_default();
            table.finish();
            if let Some(Field { value: number, .. }) = number {
                let name_shown = text.map(|field| field.value.to_owned());
                let identity = CallerIdentity { number, name: name_shown, present };
                all.insert(name.value.clone(), identity);
            }
        }
        all
    }

    pub(super) fn groups(
        &self,
        identities: &BTreeMap<String, CallerIdentity>,
    ) -> Vec<(String, Group)> {
        let mut all = Vec::new();
        for (name, table) in self.root.named("group") {
            if !table.has("users") {
                self.findings.error(table.at(), format!("{} needs `users`", table.name()));
            }
            let users = table.texts("users").unwrap_or_default();
            let users = users.into_iter().filter_map(|user| self.user(user, "users"));
            let mut seen = HashSet::new();
            let users = users.filter(|user| seen.insert(user.clone())).collect();
            let mut caller_ids = Vec::new();
            for field in table.texts("caller_id").unwrap_or_default() {
                if identities.contains_key(field.value)
                    || self.known_name("caller_id", field.value, &field.at)
                {
                    caller_ids.push(field.value.to_owned());
                }
            }
            table.finish();
            let users: Vec<UserId> = users;
            self.group_users.borrow_mut().insert(name.value.clone(), users.clone());
            all.push((name.value.clone(), Group { users, caller_ids }));
        }
        all
    }

    pub(super) fn emergency(
        &self,
        country: Option<Region>,
        identities: &BTreeMap<String, CallerIdentity>,
    ) -> Emergency {
        let Some(item) = self.root.item("emergency") else {
            let message = "the plan needs [emergency], or `emergency = \"not-provided\"`";
            self.findings.error(self.root.at(), message);
            return Emergency::NotProvided;
        };
        if let Value::Text(text) = &item.value {
            if text != "not-provided" {
                let message = format!("`emergency` = {text:?}; the only word is \"not-provided\"");
                self.findings.error(&item.at, message);
            }
            return Emergency::NotProvided;
        }
        let Some(table) = Reader::new(item, "[emergency]", self.findings) else {
            return Emergency::NotProvided;
        };
        needed(&table, "numbers");
        needed(&table, "route");
        let numbers = self.emergency_numbers(&table, country);
        let route = self.trunks(table.texts("route").unwrap_or_default(), "route");
        let caller_id = table.text("caller_id").and_then(|field| {
            let there = identities.contains_key(field.value)
                || self.known_name("caller_id", field.value, &field.at);
            there.then(|| field.value.to_owned())
        });
        table.finish();
        Emergency::Provided { numbers, route, caller_id }
    }

    fn emergency_numbers(
        &self,
        table: &Reader<'_>,
        country: Option<Region>,
    ) -> BTreeMap<Region, Vec<DialString>> {
        let mut all = BTreeMap::new();
        for (key, item) in table.entries("numbers") {
            let code = Field { value: key.value.as_str(), at: key.at.clone() };
            let region: Option<Field<Region>> = super::region(code, "numbers", self.findings);
            let list = match &item.value {
                Value::List(list) if !list.is_empty() => list.as_slice(),
                Value::Text(_) => std::slice::from_ref(item),
                _ => {
                    let message = format!("numbers.{} must be a list of numbers", key.value);
                    self.findings.error(&item.at, message);
                    continue;
                }
            };
            let mut numbers: Vec<DialString> = Vec::new();
            for item in list {
                let text = document::text(item, "numbers", self.findings);
                let Some(text) = text else { continue };
                let shown = text.value;
                let number = document::parsed::<DialString>(text, "numbers", self.findings);
                let Some(number) = number else { continue };
                if !emergency::is_plausible(number.value.as_str()) {
                    let message = format!(
                        "{shown:?} is no emergency number: these are 2 to 6 digits, and whatever is \
                         one is no longer dialled as anything else"
                    );
                    self.findings.error(&number.at, message);
                }
                numbers.push(number.value);
            }
            if let Some(region) = region {
                all.insert(region.value, numbers);
            }
        }
        let countries = self.known.users.iter().flat_map(|users| users.values().flatten());
        for needed in countries.chain(&country) {
            if !all.contains_key(needed) && table.has("numbers") {
                let message = format!("[emergency] has no numbers for {needed}, where users are");
                self.findings.error(table.at(), message);
            }
        }
        all
    }

    pub(super) fn extensions(&self) -> BTreeMap<DialString, Destination> {
        let mut all = BTreeMap::new();
        for (key, item) in self.root.entries("extension") {
            let text = Field { value: key.value.as_str(), at: key.at.clone() };
            let code = document::parsed(text, "extension", self.findings);
            let to = document::text(item, &key.value, self.findings)
                .and_then(|text| self.destination(text));
            if let (Some(code), Some(to)) = (code, to) {
                self.code(&mut all, code, to);
            }
        }
        all
    }

    pub(super) fn features(&self) -> BTreeMap<DialString, Destination> {
        let mut all = BTreeMap::new();
        for table in self.root.tables("feature") {
            table.required("code");
            let code = table.parsed("code");
            let to = table.required("to").and_then(|text| self.destination(text));
            table.finish();
            if let (Some(code), Some(to)) = (code, to) {
                self.code(&mut all, code, to);
            }
        }
        all
    }

    fn code(
        &self,
        all: &mut BTreeMap<DialString, Destination>,
        code: Field<DialString>,
        to: Destination,
    ) {
        let text = code.value.as_str().to_owned();
        self.code_places.borrow_mut().entry(code.value.clone()).or_insert_with(|| code.at.clone());
        if all.insert(code.value, to).is_some() {
            self.findings.error(&code.at, format!("{text} is there twice"));
        }
    }

    /// Reads `user:alice`, `ring:r`, `voicemail:v`, `menu:m`, `app:echo`, `number:+49…`, `webhook:w`,
    /// `hangup`.
    pub(super) fn destination(&self, field: Field<&str>) -> Option<Destination> {
        if field.value == "hangup" {
            return Some(Destination::Hangup);
        }
        let Some((kind, name)) = field.value.split_once(':').filter(|(_, n)| !n.is_empty()) else {
            let near = self.findings.suggest(field.value, KINDS.iter().copied());
            let message = format!(
                "{:?} is no destination: KIND:NAME with {}, or hangup{near}",
                field.value,
                KINDS[..7].join(", ")
            );
            self.findings.error(&field.at, message);
            return None;
        };
        let at = field.at.clone();
        let named =
            |table: &'static str| self.known_name(table, name, &at).then(|| name.to_owned());
        match kind {
            "user" => {
                let user = self.user(Field { value: name, at: at.clone() }, "user")?;
                Some(Destination::User(user))
            }
            "ring" => named("ring").map(Destination::Ring),
            "voicemail" => named("voicemail").map(Destination::Voicemail),
            "menu" => named("menu").map(Destination::Menu),
            "app" => {
                let word = Field { value: name, at: at.clone() };
                document::choice(word, "app", App::WORDS, self.findings)
                    .map(|app| Destination::App(app.value))
            }
            "number" => {
                let text = Field { value: name, at: at.clone() };
                let number = document::parsed::<DialString>(text, "number", self.findings)?;
                self.forwards.borrow_mut().push(number.clone());
                Some(Destination::Number(number.value))
            }
            "webhook" => {
                if let Some(all) = self.known.webhooks.as_ref().filter(|all| !all.contains(name)) {
                    let near = self.findings.suggest(name, all.iter().map(String::as_str));
                    let message = format!("the configuration has no [webhook.{name}]{near}");
                    self.findings.error(&at, message);
                    return None;
                }
                Some(Destination::Webhook(name.to_owned()))
            }
            other => {
                let near = self.findings.suggest(other, KINDS.iter().copied());
                self.findings.error(&at, format!("{other:?} is no kind of destination{near}"));
                None
            }
        }
    }

    /// Where a menu sends its caller: it has answered, and asks nobody.
    fn of_menu(&self, field: Field<&str>) -> Option<Destination> {
        if field.value.starts_with("webhook:") {
            let message = format!("{} stands in a flow or at a code, not in a menu", field.value);
            self.findings.error(&field.at, message);
            return None;
        }
        self.destination(field)
    }

    pub(super) fn rings(&self) -> BTreeMap<String, Ring> {
        let mut all = BTreeMap::new();
        for (name, table) in self.root.named("ring") {
            needed(&table, "users");
            let users = self.people(&table, "users");
            if users.len() > MOST_RUNG {
                let message = format!(
                    "{} would ring {} users; at most {MOST_RUNG} can be in a ring group",
                    table.name(),
                    users.len()
                );
                self.findings.error(table.at(), message);
            }
            let strategy = table.choice("strategy", STRATEGIES).map(|f| f.value);
            let timeout = self.longer_than_nothing(&table, "timeout").unwrap_or(RING_TIMEOUT);
            table.finish();
            let strategy = strategy.unwrap_or_default();
            all.insert(name.value.clone(), Ring { users, strategy, timeout });
        }
        all
    }

    /// Users and, spelled out, `group:NAME`; each once.
    fn people(&self, table: &Reader<'_>, key: &'static str) -> Vec<UserId> {
        let groups = self.group_users.borrow();
        let mut users: Vec<UserId> = Vec::new();
        let mut seen: HashSet<UserId> = HashSet::new();
        let mut add = |user: UserId| {
            if seen.insert(user.clone()) {
                users.push(user);
            }
        };
        for field in table.texts(key).unwrap_or_default() {
            match field.value.strip_prefix("group:") {
                // What is wrong with its members is reported where the group is read.
                Some(group) if self.known_name("group", group, &field.at) => {
                    groups.get(group).into_iter().flatten().cloned().for_each(&mut add);
                }
                Some(_) => {}
                None => self.user(field, key).into_iter().for_each(&mut add),
            }
        }
        users
    }

    pub(super) fn voicemails(&self) -> BTreeMap<String, Voicemail> {
        let mut all = BTreeMap::new();
        for (name, table) in self.root.named("voicemail") {
            let greeting = self.sound(table.required("greeting"));
            let max = self.longer_than_nothing(&table, "max").unwrap_or(VOICEMAIL_MAX);
            let notify = self.people(&table, "notify");
            table.finish();
            let greeting = greeting.unwrap_or_default();
            all.insert(name.value.clone(), Voicemail { greeting, max, notify });
        }
        all
    }

    pub(super) fn menus(&self) -> BTreeMap<String, Menu> {
        let mut all = BTreeMap::new();
        for (name, table) in self.root.named("menu") {
            let prompt = self.spoken(table.required("prompt")).unwrap_or_default();
            let invalid = self.spoken(table.text("invalid"));
            let failed = self.spoken(table.text("failed"));
            let keys = "0123456789*#ABCD";
            let terminator = table.text("terminator").and_then(|field| {
                let key = field.value.chars().next().filter(|key| keys.contains(*key));
                if key.is_none() || field.value.len() != 1 {
                    let words = format!("`terminator` = {:?} is not one key", field.value);
                    self.findings.error(&field.at, words);
                }
                key
            });
            let max_digits = table.integer("max_digits", 1..17);
            let max_digits = max_digits.and_then(|field| usize::try_from(field.value).ok());
            let barge_in = table.boolean("barge_in").is_none_or(|field| field.value);
            let first_digit =
                self.longer_than_nothing(&table, "first_digit").unwrap_or(FIRST_DIGIT);
            let next_digit = self.longer_than_nothing(&table, "next_digit").unwrap_or(NEXT_DIGIT);
            let retries = table.integer("retries", 0..11).map_or(2, |field| field.value);
            let on_fail = table.required("on_fail").and_then(|text| self.of_menu(text));
            let press = self.keys(&table);
            self.unpressable(&table, terminator, max_digits);
            table.finish();
            let menu = Menu {
                prompt,
                barge_in,
                first_digit,
                next_digit,
                retries: u32::try_from(retries).unwrap_or(0),
                invalid,
                failed,
                terminator,
                max_digits,
                on_fail: on_fail.unwrap_or(Destination::Hangup),
                press,
            };
            all.insert(name.value.clone(), menu);
        }
        all
    }

    fn keys(&self, table: &Reader<'_>) -> BTreeMap<String, Destination> {
        let mut press = BTreeMap::new();
        if needed(table, "press").is_none() {
            return press;
        }
        let entries = table.entries("press");
        if entries.is_empty() {
            self.findings.error(table.at(), format!("{} has no key to press", table.name()));
        }
        for (keys, item) in entries {
            let fine = (1..=16).contains(&keys.value.len())
                && keys.value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D'));
            if !fine {
                let message = format!("{:?} is not 1 to 16 keys of 0-9, *, #, A-D", keys.value);
                self.findings.error(&keys.at, message);
            }
            let to =
                document::text(item, "press", self.findings).and_then(|text| self.of_menu(text));
            if let Some(to) = to {
                press.insert(keys.value.clone(), to);
            }
        }
        press
    }

    /// Choices that no caller can make, since the menu stops collecting before them.
    fn unpressable(&self, table: &Reader<'_>, end: Option<char>, most: Option<usize>) {
        for (keys, _) in table.entries("press") {
            let words = match (end, most) {
                (Some(end), _) if keys.value.contains(end) => {
                    format!("`terminator` = \"{end}\" ends what is collected and is no part of it")
                }
                (_, Some(most)) if keys.value.len() > most => {
                    format!("`max_digits` = {most} ends what is collected before its last key")
                }
                _ => continue,
            };
            let message = format!("{:?} can never be chosen: {words}", keys.value);
            self.findings.error(&keys.at, message);
        }
    }

    pub(super) fn schedules(&self, default: &Zone) -> BTreeMap<String, Schedule> {
        let mut all = BTreeMap::new();
        for (name, table) in self.root.named("schedule") {
            needed(&table, "open");
            let zone = table.text("timezone").and_then(|field| {
                let zone = Zone::named(field.value);
                if zone.is_none() {
                    let names = Zone::names();
                    let valid = names.iter().map(String::as_str);
                    let near = self.findings.suggest(field.value, valid);
                    let message = format!("`timezone` = {:?} is not known{near}", field.value);
                    self.findings.error(&field.at, message);
                }
                zone
            });
            let open = table.texts("open").unwrap_or_default();
            let open = open.into_iter().filter_map(|field| {
                let hours = Hours::parse(field.value);
                if hours.is_none() {
                    let message = format!(
                        "{:?} is no time like \"mon-fri 08:30-17:30\" or \"daily 00:00-24:00\"",
                        field.value
                    );
                    self.findings.error(&field.at, message);
                }
                hours
            });
            let open: Vec<Hours> = open.collect();
            let closed = table.texts_or_none("closed").into_iter().filter_map(|field| {
                let day = Day::parse(field.value);
                if day.is_none() {
                    let message =
                        format!("{:?} is no day like \"2026-12-24\" or \"12-25\"", field.value);
                    self.findings.error(&field.at, message);
                }
                day
            });
            let closed = closed.collect();
            let schedule = Schedule { zone: zone.unwrap_or_else(|| default.clone()), open, closed };
            if !schedule.open.is_empty() && schedule.is_constant() {
                self.findings.error(table.at(), format!("{} is always open", table.name()));
            }
            table.finish();
            all.insert(name.value.clone(), schedule);
        }
        all
    }
}

const KINDS: &[&str] = &["user", "ring", "voicemail", "menu", "app", "number", "webhook", "hangup"];
const PRESENT: &[(&str, Presentation)] = &[
    ("identity", Presentation::Identity),
    ("from", Presentation::From),
    ("anonymous", Presentation::Anonymous),
];
const STRATEGIES: &[(&str, RingStrategy)] = &[
    ("all", RingStrategy::All),
    ("in-order", RingStrategy::InOrder),
    ("longest-idle", RingStrategy::LongestIdle),
];
/// More telephones than this at once, or one after another, is a queue's work.
const MOST_RUNG: usize = 1_000;
/// About six rings: longer than it takes to reach for a phone, shorter than patience.
const RING_TIMEOUT: Duration = Duration::from_secs(25);
const VOICEMAIL_MAX: Duration = Duration::from_secs(180);
const FIRST_DIGIT: Duration = Duration::from_secs(6);
const NEXT_DIGIT: Duration = Duration::from_secs(3);
