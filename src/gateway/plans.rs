//! The dial plan in force, and how another one takes its place while calls go on.
//!
//! A reload is all or nothing: read, check, run the plan's tests, make the number library's tables,
//! then swap one pointer. Calls in progress keep what was decided for them. A plan with a mistake
//! leaves the old one in force and says so in the log, in `/readyz` and in `GET /v1/dialplan`.
//! Everything here but [`Plans::in_force`] reads files and computes: never on a runtime's thread.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::base::{Finding, Severity};
use crate::config::{LoadedPlan, load_plan, read_bytes, read_whole};
use crate::dialplan::{Known, NoFiles, Number, Plan, Region, load};
use crate::ivr::Script;
use crate::telemetry::Metrics;

/// A plan that decides about calls.
#[derive(Debug)]
pub struct PlanInForce {
    /// The plan.
    pub plan: Plan,
    /// Its text.
    pub text: String,
    /// SHA-256 of the text, in hexadecimal.
    pub hash: String,
    /// Since when it is in force.
    pub loaded_at: Timestamp,
    /// What somebody should look at.
    pub warnings: Vec<Finding>,
    /// Its menus and mailboxes with their sounds.
    pub(super) script: Arc<Script>,
}

/// A plan that is or was in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanVersion {
    /// SHA-256 of the text, in hexadecimal.
    pub hash: String,
    /// Since when it was in force.
    pub loaded_at: Timestamp,
    /// Its text.
    pub text: Arc<str>,
}

/// A plan that was not taken.
#[derive(Debug)]
pub struct PlanRefused {
    /// When.
    pub at: Timestamp,
    /// Every mistake in it.
    pub findings: Vec<Finding>,
}

/// Why a text does not become the plan.
#[derive(Debug, thiserror::Error)]
pub enum PutPlanError {
    /// The plan in force, or its file, is not the one that the text was made from.
    #[error("the plan is {in_force} by now")]
    Changed {
        /// The hash of the plan in force.
        in_force: String,
    },
    /// Somebody has edited the file, and it is not in force.
    #[error("the file differs from the plan in force")]
    FileDiffers,
    /// Mistakes; the old plan stays.
    #[error("{} findings", .0.len())]
    Findings(Vec<Finding>),
    /// The file cannot be written; the old plan stays.
    #[error("the plan's file cannot be written: {0}")]
    Unwritable(#[from] io::Error),
}

/// The plan of a gateway through time.
pub(super) struct Plans {
    current: ArcSwap<PlanInForce>,
    refused: ArcSwapOption<PlanRefused>,
    /// The newest plans, those before this start too, oldest first; the last is in force.
    versions: Mutex<VecDeque<PlanVersion>>,
    /// Told of each plan that comes into force: it keeps them beyond a restart.
    keep: Keep,
    path: Option<PathBuf>,
    known: Known,
    metrics: Arc<Metrics>,
    /// The files as they were when the plan was last read or tried. Held for a whole reload, so that
    /// there is one at a time.
    seen: Mutex<Seen>,
}

/// What is known of the files.
#[derive(Debug, Default)]
struct Seen {
    files: BTreeMap<PathBuf, Option<Stamp>>,
    /// A change that was noticed once; it is taken when nothing moves any more.
    moving: Option<BTreeMap<PathBuf, Option<Stamp>>>,
}

/// Keeps a plan that is in force now; it does not wait.
pub(super) type Keep = Box<dyn Fn(PlanVersion) + Send + Sync>;

/// What tells two states of a file apart.
type Stamp = (SystemTime, u64, u64);

impl Plans {
    /// The plan that a gateway starts with, and those that were in force before, oldest first.
    pub fn new(
        loaded: LoadedPlan,
        known: Known,
        metrics: Arc<Metrics>,
        (earlier, keep): (Vec<PlanVersion>, Keep),
    ) -> Plans {
        let seen = Seen { files: stamps(&loaded.files), moving: None };
        warm(&loaded.plan, &known);
        let current = in_force(loaded.plan, loaded.text, loaded.path.as_deref());
        current.tell();
        let version = current.version();
        let versions = Mutex::new(VecDeque::from(earlier));
        let plans = Plans {
            current: ArcSwap::from_pointee(current),
            refused: ArcSwapOption::empty(),
            versions,
            keep,
            path: loaded.path,
            known,
            metrics,
            seen: Mutex::new(seen),
        };
        plans.remember(version);
        plans
    }

    /// The plan that decides now. Does not wait.
    pub fn in_force(&self) -> arc_swap::Guard<Arc<PlanInForce>> {
        self.current.load()
    }

    /// The last plan that was not taken, where none was taken since.
    pub fn refused(&self) -> Option<Arc<PlanRefused>> {
        self.refused.load_full()
    }

    /// The plans that were in force, as many as are kept, the newest first.
    pub fn versions(&self) -> Vec<PlanVersion> {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.iter().rev().cloned().collect()
    }

    fn remember(&self, version: PlanVersion) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        // The same plan after a restart, or read again, is in force since it came.
        if versions.back().is_none_or(|last| last.hash != version.hash) {
            (self.keep)(version.clone());
            versions.push_back(version);
        }
        let bytes =
            |all: &VecDeque<PlanVersion>| all.iter().map(|own| own.text.len()).sum::<usize>();
        while versions.len() > MOST_VERSIONS
            || (versions.len() > 1 && bytes(&versions) > MOST_BYTES)
        {
            versions.pop_front();
        }
    }

    /// The plan's file.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Reads the file again, whether it has changed or not.
    ///
    /// # Errors
    /// Every finding; the old plan stays.
    pub fn reload(&self) -> Result<(), Arc<PlanRefused>> {
        self.read_again(&mut self.seen())
    }

    /// Reads the file again where it or a file that it names has changed since the last reading and
    /// has been still since the last call of this.
    pub fn reload_if_changed(&self) {
        let mut seen = self.seen();
        let paths: Vec<PathBuf> = seen.files.keys().cloned().collect();
        let now = stamps(&paths);
        if now == seen.files {
            seen.moving = None;
        } else if seen.moving.as_ref() != Some(&now) {
            seen.moving = Some(now);
        } else {
            // The findings are told where they are found.
            let _ = self.read_again(&mut seen);
        }
    }

    /// The findings of a text, warnings too; nothing changes.
    pub fn check(&self, text: &str) -> Vec<Finding> {
        match self.load(text).0 {
            Ok(plan) => plan.warnings().to_vec(),
            Err(findings) => findings,
        }
    }

    /// A text as a plan that is not in force.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, text: &str) -> Result<Plan, Vec<Finding>> {
        self.load(text).0
    }

    /// Makes a text the plan: checked, written to the file in one step, in force. `made_from` is the
    /// hash of the plan that it was made from; `None` replaces whatever there is.
    ///
    /// # Errors
    /// See [`PutPlanError`]; the old plan stays.
    pub fn put(&self, text: &str, made_from: Option<&str>) -> Result<(), PutPlanError> {
        let mut seen = self.seen();
        let current = self.in_force();
        if let Some(made_from) = made_from {
            if made_from != current.hash {
                return Err(PutPlanError::Changed { in_force: current.hash.clone() });
            }
            let file = self.path.as_deref().and_then(|path| fs::read_to_string(path).ok());
            if file.is_some_and(|file| file != current.text) {
                return Err(PutPlanError::FileDiffers);
            }
        }
        let (plan, files) = self.load(text);
        let plan = plan.map_err(PutPlanError::Findings)?;
        if let Some(path) = &self.path {
            write_whole(path, text)?;
            seen.files = stamps(&files);
            seen.moving = None;
        }
        self.take(plan, text.to_owned());
        Ok(())
    }

    fn read_again(&self, seen: &mut Seen) -> Result<(), Arc<PlanRefused>> {
        let Some(path) = &self.path else { return Ok(()) };
        // Looked at before it is read: what changes meanwhile is read again.
        let before = stamps([path]);
        let (plan, files, text) = match read_whole(path) {
            Ok(text) => {
                let (plan, files) = self.load(&text);
                (plan, files, text)
            }
            Err(error) => {
                let finding = Finding {
                    file: path.display().to_string(),
                    line: 0,
                    column: 0,
                    severity: Severity::Error,
                    message: error,
                };
                (Err(vec![finding]), seen.files.keys().cloned().collect(), String::new())
            }
        };
        seen.files = stamps(&files);
        seen.files.extend(before);
        seen.moving = None;
        match plan {
            Ok(plan) => {
                self.take(plan, text);
                Ok(())
            }
            Err(findings) => Err(self.refuse(findings)),
        }
    }

    fn load(&self, text: &str) -> (Result<Plan, Vec<Finding>>, Vec<PathBuf>) {
        match &self.path {
            Some(path) => load_plan(text, path, &self.known),
            None => {
                let name = self.in_force().plan.file().to_owned();
                (load(text, &name, &self.known, &NoFiles), Vec::new())
            }
        }
    }

    fn take(&self, plan: Plan, text: String) {
        warm(&plan, &self.known);
        let current = in_force(plan, text, self.path.as_deref());
        tracing::info!(
            hash = %current.hash,
            outbound = current.plan.outbound().len(),
            inbound = current.plan.inbound().len(),
            "a new dial plan is in force"
        );
        current.tell();
        self.remember(current.version());
        let old = self.current.swap(Arc::new(current));
        self.refused.store(None);
        self.metrics.plan_reloaded("taken");
        let_go(old);
    }

    fn refuse(&self, findings: Vec<Finding>) -> Arc<PlanRefused> {
        for finding in &findings {
            tracing::error!(%finding, "dial plan");
        }
        let refused = Arc::new(PlanRefused { at: Timestamp::now(), findings });
        self.refused.store(Some(refused.clone()));
        self.metrics.plan_reloaded("refused");
        // Last: who has read it finds the refusal everywhere.
        tracing::error!(
            findings = refused.findings.len(),
            stays = %self.in_force().hash,
            "the dial plan was not taken; the old one stays in force"
        );
        refused
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A reload that panicked has swapped nothing; the stamps are read anew at the next one.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PlanInForce {
    fn version(&self) -> PlanVersion {
        let (hash, text) = (self.hash.clone(), self.text.as_str().into());
        PlanVersion { hash, loaded_at: self.loaded_at, text }
    }

    fn tell(&self) {
        for warning in &self.warnings {
            tracing::warn!(finding = %warning, "dial plan");
        }
    }
}

fn in_force(plan: Plan, text: String, path: Option<&Path>) -> PlanInForce {
    let hash = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut warnings = plan.warnings().to_vec();
    let folder = path.and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    let read = |file: &str| read_bytes(&folder.join(file));
    let (script, faults) = Script::of(&plan, &read);
    warnings.extend(faults.iter().map(|fault| Finding {
        file: plan.file().to_owned(),
        line: 0,
        column: 0,
        severity: Severity::Warning,
        message: format!("{fault}; callers hear nothing in its place"),
    }));
    let now = Timestamp::now();
    // As the database keeps it.
    let loaded_at = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    let script = Arc::new(script);
    PlanInForce { plan, text, hash, loaded_at, warnings, script }
}

/// A day of somebody who tries things; the file's own history is wherever it is kept.
const MOST_VERSIONS: usize = 50;
const MOST_BYTES: usize = 8 << 20;

/// Gives a plan's memory back on this thread: a big one takes milliseconds, which the last call that
/// asks it must not pay. Whoever still holds it after a second (a page of the API) pays.
fn let_go(mut plan: Arc<PlanInForce>) {
    for _ in 0..100 {
        match Arc::try_unwrap(plan) {
            Ok(plan) => return drop(plan),
            Err(held) => plan = held,
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Makes the number library's tables for the countries that calls will need.
fn warm(plan: &Plan, known: &Known) {
    let users = known.users.iter().flat_map(|users| users.values().flatten().copied());
    let mut countries: Vec<Region> = users.chain(plan.regions()).collect();
    countries.sort();
    countries.dedup();
    countries.into_iter().for_each(Number::warm);
}

fn stamps<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> BTreeMap<PathBuf, Option<Stamp>> {
    let stamp = |path: &Path| {
        let data = fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len(), data.ino()))
    };
    paths.into_iter().map(|p| (p.as_ref().to_owned(), stamp(p.as_ref()))).collect()
}

/// Writes a file so that whoever reads it sees the old or the new one, whole, also after a power cut.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    // Through a link to the file itself, which keeps its place and its rights.
    let path = fs::canonicalize(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut file = fs::File::create(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(fs::metadata(&path)?.permissions())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    })();
    if written.is_err() {
        // Nothing is left of it where it failed; the error that counts is the first.
        let _ = fs::remove_file(&fresh);
    }
    written
}
