//! From text to a plan: reads to the end and reports every mistake at once.
//!
//! `tables` reads what rules name (users, places, schedules), `rules` the rules, `check` what only
//! the whole plan can tell. A plan with an error in it does not exist.

mod check;
mod rules;
mod tables;
mod unreached;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::index::{Index, Members};
use super::number::Region;
use super::plan::{Emergency, Plan};
use super::rates::Rates;
use super::schedule::Zone;
use super::test_case;
use crate::base::document::{self, Field, Item, Reader};
use crate::base::{DialString, Finding, Findings, Place, Severity, TrunkId, UserId};

/// What the configuration knows; `None` takes the names a plan uses as given.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The trunks there are.
    pub trunks: Option<BTreeSet<TrunkId>>,
    /// The users there are, with their countries.
    pub users: Option<BTreeMap<UserId, Option<Region>>>,
    /// The webhooks of the configuration.
    pub webhooks: Option<BTreeSet<String>>,
}

/// The files a plan names (rates, prompts), relative to the plan.
pub trait Files {
    /// The content of a text file.
    ///
    /// # Errors
    /// One line for people.
    fn read(&self, name: &str) -> Result<String, String>;

    /// Whether there is such a file; `None` where nobody can tell, and then it is taken as given.
    fn exists(&self, name: &str) -> Option<bool>;

    /// Why a sound file that is there cannot be played; `None` where it can, or nobody can tell.
    fn fault(&self, _name: &str) -> Option<String> {
        None
    }
}

/// No files: rates cannot be read, prompts are taken as given.
#[derive(Debug, Clone, Copy)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, name: &str) -> Result<String, String> {
        Err(format!("{name} cannot be read here"))
    }

    fn exists(&self, _name: &str) -> Option<bool> {
        None
    }
}

/// Reads a plan and runs the tests in it.
///
/// # Errors
/// Every finding, warnings too, where at least one is an error: nothing of the plan is used.
pub fn load(
    text: &str,
    file: &str,
    known: &Known,
    files: &dyn Files,
) -> Result<Plan, Vec<Finding>> {
    let mut plan = load_untested(text, file, known, files)?;
    let results = test_case::run(&plan);
    plan.warnings.extend(test_case::uncovered(&plan, &results));
    let mut findings = test_case::failures(&results);
    if findings.is_empty() {
        return Ok(plan);
    }
    findings.extend(plan.warnings);
    Err(findings)
}

/// Reads a plan without running its tests, for those who report each test, and for those who want to
/// know why one fails.
///
/// # Errors
/// Every finding, warnings too, where at least one is an error.
pub fn load_untested(
    text: &str,
    file: &str,
    known: &Known,
    files: &dyn Files,
) -> Result<Plan, Vec<Finding>> {
    let findings = Findings::default();
    let root = document::parse(text, file, &findings);
    if findings.has_errors() {
        // After a syntax error the tree has holes, and every hole would be a second, false error.
        let words = "what the rest of the plan says is looked at when it can be read";
        findings.warn(&root.at, words);
        return Err(findings.into_sorted());
    }
    let plan = Reader::new(&root, "", &findings)
        .and_then(|root| Loader::new(root, &findings, known, files).read(file));
    let has_errors = findings.has_errors();
    let findings = findings.into_sorted();
    match plan {
        Some(mut plan) if !has_errors => {
            plan.warnings = findings;
            Ok(plan)
        }
        _ => Err(findings),
    }
}

/// What the readers of the parts share.
pub(super) struct Loader<'a> {
    root: Reader<'a>,
    findings: &'a Findings,
    known: &'a Known,
    files: &'a dyn Files,
    /// The names of `[KIND.*]`, by kind.
    names: RefCell<HashMap<&'static str, Names<'a>>>,
    /// Tables of prices that were read; `None` could not be.
    rates: RefCell<HashMap<String, Option<Arc<Rates>>>>,
    /// Who is in which group, once the groups are read.
    group_users: RefCell<HashMap<String, Vec<UserId>>>,
    /// Where codes are written, as far as they are read.
    code_places: RefCell<BTreeMap<DialString, Place>>,
    /// Every `number:` destination, as far as they are read.
    forwards: RefCell<Vec<Field<DialString>>>,
}

/// Names, for looking up and in the order of the file.
type Names<'a> = Rc<(HashSet<&'a str>, Vec<&'a str>)>;

impl<'a> Loader<'a> {
    fn new(
        root: Reader<'a>,
        findings: &'a Findings,
        known: &'a Known,
        files: &'a dyn Files,
    ) -> Loader<'a> {
        let (names, rates) = (RefCell::default(), RefCell::default());
        let (group_users, code_places) = (RefCell::default(), RefCell::default());
        let forwards = RefCell::default();
        Loader { root, findings, known, files, names, rates, group_users, code_places, forwards }
    }

    /// The names of the tables `[kind.*]`.
    fn names(&self, kind: &'static str) -> Names<'a> {
        if let Some(names) = self.names.borrow().get(kind) {
            return names.clone();
        }
        let entries: &'a [(Field<String>, Item)] = self.root.entries(kind);
        let list: Vec<&str> = entries.iter().map(|(name, _)| name.value.as_str()).collect();
        let names: Names<'a> = Rc::new((list.iter().copied().collect(), list));
        self.names.borrow_mut().insert(kind, names.clone());
        names
    }
}

impl Loader<'_> {
    fn read(self, file: &str) -> Option<Plan> {
        match self.root.integer("version", 0..i64::MAX) {
            Some(Field { value: 1, .. }) => {}
            Some(Field { value, at }) => {
                self.findings.error(&at, format!("version {value} is not known; this reads 1"));
            }
            None if self.root.has("version") => {}
            None => self.findings.error(self.root.at(), "the plan needs `version = 1`"),
        }
        let defaults = self.defaults();
        let caller_ids = self.caller_ids();
        // Without defaults there is no plan, but the rest is read for its own mistakes.
        let home = defaults.as_ref().map(|(country, ..)| *country);
        let (country, zone, max_call, caller_id) = match defaults {
            Some(defaults) => defaults,
            None => (Region::WORLD, Zone::named("UTC")?, DEFAULT_MAX_CALL, None),
        };
        let (outbound, inbound) = (self.outbound(), self.inbound());
        let before = self.findings.errors();
        let groups = self.groups(&caller_ids);
        let groups_are_whole = self.findings.errors() == before;
        let members = Members::of(&groups);
        let outbound_index = Index::of_outbound(&outbound, &members);
        let plan = Plan {
            file: file.to_owned(),
            country,
            zone: zone.clone(),
            max_call,
            users: self.known.users.clone(),
            caller_id,
            rings: self.rings(),
            members,
            groups,
            emergency: self.emergency(home, &caller_ids),
            caller_ids,
            extensions: self.extensions(),
            features: self.features(),
            code_places: self.code_places.take(),
            schedules: self.schedules(&zone),
            outbound_index,
            inbound_index: Index::of_inbound(&inbound),
            outbound,
            inbound,
            voicemails: self.voicemails(),
            menus: self.menus(),
            tests: test_case::read(&self.root, &zone, self.known, self.findings),
            warnings: Vec::new(),
        };
        check::whole(&plan, groups_are_whole, &self.root, self.findings);
        if !self.findings.has_errors() {
            check::forwards(&plan, &self.forwards.take(), self.findings);
        }
        self.root.finish();
        Some(plan)
    }

    fn defaults(&self) -> Option<(Region, Zone, Duration, Option<String>)> {
        let Some(table) = self.root.table("defaults") else {
            if !self.root.has("defaults") {
                let message = "the plan needs [defaults] with `country` and `timezone`";
                self.findings.error(self.root.at(), message);
            }
            return None;
        };
        table.required("country");
        let country =
            table.text("country").and_then(|field| region(field, "country", self.findings));
        if let Some(Field { value: Region::WORLD, at }) = &country {
            self.findings.error(at, "`country` = \"001\" is no country");
        }
        let zone = table.required("timezone").and_then(|name| match Zone::named(name.value) {
            Some(zone) => Some(zone),
            None => {
                let names = Zone::names();
                let near = self.findings.suggest(name.value, names.iter().map(String::as_str));
                let message = format!("`timezone` = {:?} is not known{near}", name.value);
                self.findings.error(&name.at, message);
                None
            }
        });
        let max_call = self.longer_than_nothing(&table, "max_call").unwrap_or(DEFAULT_MAX_CALL);
        let caller_id = self.identity_name(&table, "caller_id");
        table.finish();
        Some((country?.value, zone?, max_call, caller_id))
    }

    /// A duration that must not be 0.
    fn longer_than_nothing(&self, table: &Reader<'_>, key: &'static str) -> Option<Duration> {
        let field = table.duration(key)?;
        if field.value.is_zero() {
            self.findings.error(&field.at, format!("`{key}` must be longer than 0s"));
        }
        Some(field.value)
    }

    /// Reports a name that is not among `[kind.*]`.
    fn known_name(&self, kind: &'static str, name: &str, at: &Place) -> bool {
        let names = self.names(kind);
        if names.0.contains(name) {
            return true;
        }
        let near = self.findings.suggest(name, names.1.iter().copied());
        self.findings.error(at, format!("there is no [{kind}.{name}]{near}"));
        false
    }

    fn identity_name(&self, table: &Reader<'_>, key: &'static str) -> Option<String> {
        let field = table.text(key)?;
        self.known_name("caller_id", field.value, &field.at).then(|| field.value.to_owned())
    }

    fn trunk(&self, field: Field<&str>, key: &str) -> Option<Field<TrunkId>> {
        let trunk: Field<TrunkId> = document::parsed(field, key, self.findings)?;
        if let Some(trunks) = self.known.trunks.as_ref().filter(|t| !t.contains(&trunk.value)) {
            let valid = trunks.iter().map(TrunkId::as_str);
            let near = self.findings.suggest(trunk.value.as_str(), valid);
            let message = format!("there is no trunk {:?}{near}", trunk.value.as_str());
            self.findings.error(&trunk.at, message);
            return None;
        }
        Some(trunk)
    }

    fn user(&self, field: Field<&str>, key: &str) -> Option<UserId> {
        let user: Field<UserId> = document::parsed(field, key, self.findings)?;
        if let Some(users) = self.known.users.as_ref().filter(|u| !u.contains_key(&user.value)) {
            let valid = users.keys().map(UserId::as_str);
            let near = self.findings.suggest(user.value.as_str(), valid);
            let message = format!("there is no user {:?}{near}", user.value.as_str());
            self.findings.error(&user.at, message);
            return None;
        }
        Some(user.value)
    }

    fn trunks(&self, list: Vec<Field<&str>>, key: &str) -> Vec<TrunkId> {
        let mut trunks: Vec<TrunkId> = Vec::new();
        let mut seen: HashSet<TrunkId> = HashSet::new();
        for field in list {
            if let Some(trunk) = self.trunk(field, key) {
                if !seen.insert(trunk.value.clone()) {
                    self.findings.error(&trunk.at, format!("trunk {} is named twice", trunk.value));
                }
                trunks.push(trunk.value);
            }
        }
        trunks
    }

    /// Reports a sound file that is not there.
    fn sound(&self, field: Option<Field<&str>>) -> Option<String> {
        let field = field?;
        if self.files.exists(field.value) == Some(false) {
            self.findings.error(&field.at, format!("there is no file {:?}", field.value));
        }
        Some(field.value.to_owned())
    }

    /// The same of what a menu says: without it callers would hear nothing and know no key.
    fn spoken(&self, field: Option<Field<&str>>) -> Option<String> {
        if let Some(field) = &field
            && let Some(words) = self.files.fault(field.value)
        {
            self.findings.error(&field.at, format!("{}: {words}", field.value));
        }
        self.sound(field)
    }
}

impl Emergency {
    /// Every number in the table, whatever the country.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &str> {
        let numbers = match self {
            Emergency::Provided { numbers, .. } => Some(numbers),
            Emergency::NotProvided => None,
        };
        numbers.into_iter().flat_map(BTreeMap::values).flatten().map(|n| n.as_str())
    }
}

/// An item that a table must have; reports it missing.
pub(super) fn needed<'a>(table: &Reader<'a>, key: &'static str) -> Option<&'a Item> {
    let item = table.item(key);
    if item.is_none() {
        table.findings().error(table.at(), format!("{} needs `{key}`", table.name()));
    }
    item
}

/// A country; the error names the code that was probably meant.
pub(in crate::dialplan) fn region(
    field: Field<&str>,
    key: &str,
    findings: &Findings,
) -> Option<Field<Region>> {
    match field.value.parse::<Region>() {
        Ok(region) => Some(field.map(|_| region)),
        Err(error) => {
            let near = match Region::meant(field.value) {
                Some(region) => format!("; did you mean \"{region}\"?"),
                None => String::new(),
            };
            findings.error(&field.at, format!("`{key}` = {:?}: {error}{near}", field.value));
            None
        }
    }
}

/// Whether any of `findings` is an error.
pub(super) fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// What a call may last where the plan says nothing: spec, secure defaults.
const DEFAULT_MAX_CALL: Duration = Duration::from_secs(2 * 3_600);

#[cfg(test)]
mod tests;
