//! From text to a plan: reads to the end and reports every mistake at once.
//!
//! `tables` reads what rules name (users, places, schedules), `rules` the rules, `check` what only
//! the whole plan can tell. A plan with an error in it does not exist.

mod check;
mod rules;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::number::Region;
use super::plan::{Emergency, Plan};
use super::schedule::Zone;
use super::test_case;
use crate::base::document::{self, Field, Item, Reader};
use crate::base::{Finding, Findings, Place, Severity, TrunkId, UserId, suggestion};

/// What the configuration knows; `None` takes the names a plan uses as given.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The trunks there are.
    pub trunks: Option<BTreeSet<TrunkId>>,
    /// The users there are, with their countries.
    pub users: Option<BTreeMap<UserId, Option<Region>>>,
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
    let plan = load_untested(text, file, known, files)?;
    let mut findings: Vec<Finding> =
        test_case::run(&plan).iter().flat_map(test_case::TestResult::findings).collect();
    if findings.is_empty() {
        return Ok(plan);
    }
    findings.extend(plan.warnings);
    Err(findings)
}

/// Reads a plan without running its tests, for those who report each test.
pub(super) fn load_untested(
    text: &str,
    file: &str,
    known: &Known,
    files: &dyn Files,
) -> Result<Plan, Vec<Finding>> {
    let findings = Findings::default();
    let root = document::parse(text, file, &findings);
    if findings.has_errors() {
        // After a syntax error the tree has holes, and every hole would be a second, false error.
        return Err(findings.into_sorted());
    }
    let plan = Reader::new(&root, "", &findings)
        .and_then(|root| Loader { root, findings: &findings, known, files }.read(file));
    let has_errors = findings.has_errors();
    let findings = findings.into_sorted();
    match plan {
        Some(mut plan) if !has_errors => {
            plan.warnings = findings;
            plan.warnings.extend(test_case::uncovered(&plan));
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
        let (country, zone, max_call, caller_id) = defaults?;
        let plan = Plan {
            file: file.to_owned(),
            country,
            zone: zone.clone(),
            max_call,
            users: self.known.users.clone(),
            caller_id,
            groups: self.groups(&caller_ids),
            emergency: self.emergency(country, &caller_ids),
            caller_ids,
            extensions: self.extensions(),
            features: self.features(),
            schedules: self.schedules(&zone),
            outbound: self.outbound(),
            inbound: self.inbound(),
            rings: self.rings(),
            voicemails: self.voicemails(),
            menus: self.menus(),
            tests: test_case::read(&self.root, &zone, self.findings),
            warnings: Vec::new(),
        };
        check::whole(&plan, &self.root, self.findings);
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
        let country = table.parsed::<Region>("country");
        if let Some(Field { value: Region::WORLD, at }) = &country {
            self.findings.error(at, "`country` = \"001\" is no country");
        }
        let zone = table.required("timezone").and_then(|name| match Zone::named(name.value) {
            Some(zone) => Some(zone),
            None => {
                let names = Zone::names();
                let near = suggestion(name.value, names.iter().map(String::as_str));
                let message = format!("`timezone` = {:?} is not known{near}", name.value);
                self.findings.error(&name.at, message);
                None
            }
        });
        let max_call = table.duration("max_call").map_or(DEFAULT_MAX_CALL, |field| field.value);
        let caller_id = self.identity_name(&table, "caller_id");
        table.finish();
        Some((country?.value, zone?, max_call, caller_id))
    }

    /// The names of the tables `[kind.*]`.
    fn names(&self, kind: &'static str) -> Vec<&str> {
        self.root.entries(kind).iter().map(|(name, _)| name.value.as_str()).collect()
    }

    /// Reports a name that is not among `[kind.*]`.
    fn known_name(&self, kind: &'static str, name: &str, at: &Place) -> bool {
        let names = self.names(kind);
        if names.contains(&name) {
            return true;
        }
        let near = suggestion(name, names);
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
            let near = suggestion(trunk.value.as_str(), trunks.iter().map(TrunkId::as_str));
            let message = format!("there is no trunk {:?}{near}", trunk.value.as_str());
            self.findings.error(&trunk.at, message);
            return None;
        }
        Some(trunk)
    }

    fn user(&self, field: Field<&str>, key: &str) -> Option<UserId> {
        let user: Field<UserId> = document::parsed(field, key, self.findings)?;
        if let Some(users) = self.known.users.as_ref().filter(|u| !u.contains_key(&user.value)) {
            let near = suggestion(user.value.as_str(), users.keys().map(UserId::as_str));
            let message = format!("there is no user {:?}{near}", user.value.as_str());
            self.findings.error(&user.at, message);
            return None;
        }
        Some(user.value)
    }

    fn trunks(&self, list: Vec<Field<&str>>, key: &str) -> Vec<TrunkId> {
        let mut trunks: Vec<TrunkId> = Vec::new();
        for field in list {
            if let Some(trunk) = self.trunk(field, key) {
                if trunks.contains(&trunk.value) {
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

/// Whether any of `findings` is an error.
pub(super) fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// What a call may last where the plan says nothing: spec, secure defaults.
const DEFAULT_MAX_CALL: Duration = Duration::from_secs(2 * 3_600);
