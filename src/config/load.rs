//! Reads the configuration, its secrets and its plan from the disk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::describe::Setting;
use super::read;
use super::settings::Config;
use crate::base::Finding;
use crate::dialplan::{self, Files, Known, Plan};

/// A configuration and the plan it names, both without a mistake.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every setting with its origin.
    pub settings: Vec<Setting>,
    /// The plan.
    pub plan: LoadedPlan,
}

/// A plan with what it was made of.
#[derive(Debug, Clone)]
pub struct LoadedPlan {
    /// The plan.
    pub plan: Plan,
    /// Its text.
    pub text: String,
    /// Its file; `None` where it has none (the demo's is built in).
    pub path: Option<PathBuf>,
    /// Every file that was read for it, its own among them.
    pub files: Vec<PathBuf>,
}

/// Why a configuration cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read at all.
    #[error("{0}")]
    Unreadable(String),
    /// Mistakes in the configuration or its plan, all of them.
    #[error("{}", lines(.0))]
    Findings(Vec<Finding>),
}

/// Loads a configuration file, the environment and the plan.
///
/// # Errors
/// See [`LoadError`].
pub fn load(path: &Path, variables: &BTreeMap<String, String>) -> Result<Loaded, LoadError> {
    let text = text(path)?;
    let files = Directory::of(path);
    let name = path.display().to_string();
    let (mut config, settings) =
        read(&text, &name, variables, &files).map_err(LoadError::Findings)?;
    config.directory = files.path("");
    let plan_path = files.path(&config.dialplan);
    let plan_text = self::text(&plan_path)?;
    let (plan, files) = load_plan(&plan_text, &plan_path, &config.known());
    let plan = plan.map_err(LoadError::Findings)?;
    let plan = LoadedPlan { plan, text: plan_text, path: Some(plan_path), files };
    Ok(Loaded { config, settings, plan })
}

/// Loads the text of a plan that stands or will stand at `path`, with every file that was read or
/// tried for it.
pub fn load_plan(
    text: &str,
    path: &Path,
    known: &Known,
) -> (Result<Plan, Vec<Finding>>, Vec<PathBuf>) {
    let files = Noted { directory: Directory::of(path), read: RefCell::default() };
    let plan = dialplan::load(text, &path.display().to_string(), known, &files);
    let mut read = files.read.into_inner();
    read.insert(0, path.to_owned());
    (plan, read)
}

/// A directory that notes what is read from it.
struct Noted {
    directory: Directory,
    read: RefCell<Vec<PathBuf>>,
}

impl Files for Noted {
    fn read(&self, name: &str) -> Result<String, String> {
        let path = self.directory.path(name);
        let mut read = self.read.borrow_mut();
        if !read.contains(&path) {
            read.push(path);
        }
        self.directory.read(name)
    }

    fn exists(&self, name: &str) -> Option<bool> {
        self.directory.exists(name)
    }
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, LoadError> {
    fs::read_to_string(path)
        .map_err(|error| LoadError::Unreadable(format!("{}: {error}", path.display())))
}

/// The files beside a file.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    sounds: Sounds,
}

/// Whether sound files must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sounds {
    Needed,
    Given,
}

impl Directory {
    /// The directory that `file` is in.
    pub fn of(file: &Path) -> Directory {
        let path = file.parent().map(Path::to_path_buf).unwrap_or_default();
        Directory { path, sounds: Sounds::Needed }
    }

    /// Takes sound files as given: they belong to the installation that a plan is used in.
    pub fn with_sounds_given(self) -> Directory {
        Directory { sounds: Sounds::Given, ..self }
    }

    /// Where a file is that is written relative to this directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Files for Directory {
    fn read(&self, name: &str) -> Result<String, String> {
        fs::read_to_string(self.path(name)).map_err(|error| format!("{name}: {error}"))
    }

    fn exists(&self, name: &str) -> Option<bool> {
        (self.sounds == Sounds::Needed).then(|| self.path(name).exists())
    }
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
