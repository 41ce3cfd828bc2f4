//! Reads the configuration, its secrets and its plan from the disk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

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
    let files = Directory::of(path);
    let (config, settings) = load_settings(path, variables)?;
    let plan_path = files.path(&config.dialplan);
    let plan_text = self::text(&plan_path)?;
    let (plan, files) = load_plan(&plan_text, &plan_path, &config.known());
    let plan = plan.map_err(LoadError::Findings)?;
    let plan = LoadedPlan { plan, text: plan_text, path: Some(plan_path), files };
    Ok(Loaded { config, settings, plan })
}

/// Loads a configuration file and the environment, and no plan.
///
/// # Errors
/// See [`LoadError`].
pub fn load_settings(
    path: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<(Config, Vec<Setting>), LoadError> {
    let text = text(path)?;
    let files = Directory::of(path);
    let name = path.display().to_string();
    let (mut config, settings) =
        read(&text, &name, variables, &files).map_err(LoadError::Findings)?;
    config.directory = files.path("");
    Ok((config, settings))
}

/// Loads the text of a plan that stands or will stand at `path`, with every file that was read or
/// tried for it.
pub fn load_plan(
    text: &str,
    path: &Path,
    known: &Known,
) -> (Result<Plan, Vec<Finding>>, Vec<PathBuf>) {
    let files = Noted { directory: Directory::of_plan(path), read: RefCell::default() };
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
        if is_inside(name) {
            let path = self.directory.path(name);
            let mut read = self.read.borrow_mut();
            if !read.contains(&path) {
                read.push(path);
            }
        }
        self.directory.read(name)
    }

    fn exists(&self, name: &str) -> Option<bool> {
        self.directory.exists(name)
    }
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, LoadError> {
    read_whole(path).map_err(|error| LoadError::Unreadable(format!("{}: {error}", path.display())))
}

/// The text of a regular file, for a gateway that must go on: a pipe would make whoever reads it wait
/// for ever, and a device may never end.
///
/// # Errors
/// One line for people.
pub fn read_whole(path: &Path) -> Result<String, String> {
    String::from_utf8(read_bytes(path)?).map_err(|_| "the file is not UTF-8".to_owned())
}

/// The same for a file that is no text.
///
/// # Errors
/// One line for people.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let words = |error: std::io::Error| error.to_string();
    // Opening a pipe waits for its other end, unless told not to.
    let file = fs::OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path);
    let file = file.map_err(words)?;
    let data = file.metadata().map_err(words)?;
    if data.is_dir() {
        return Err("this is a directory".to_owned());
    }
    if !data.is_file() {
        return Err("this is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("larger than {} MiB", MOST_BYTES / (1024 * 1024)));
    }
    Ok(bytes)
}

/// Whether a path stays below the directory that it is relative to.
fn is_inside(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// A table of a million prices is 25 MB.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Linux, <asm-generic/fcntl.h>.
const O_NONBLOCK: i32 = 0o4000;

/// The files beside a file.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    sounds: Sounds,
    reach: Reach,
}

/// Which files may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The operator's: any, secrets come from wherever they are kept.
    Anywhere,
    /// A plan's: those below its directory. A plan comes over HTTP, too, and the words about a bad
    /// table of prices quote it.
    Below,
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
        Directory { path, sounds: Sounds::Needed, reach: Reach::Anywhere }
    }

    /// The directory that a plan is in, which the plan does not leave.
    pub fn of_plan(file: &Path) -> Directory {
        Directory { reach: Reach::Below, ..Directory::of(file) }
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
        if self.reach == Reach::Below && !is_inside(name) {
            return Err(format!(
                "{name}: the file must be in the plan's own directory, or below it"
            ));
        }
        let path = self.path(name);
        let text = match self.reach {
            Reach::Anywhere => fs::read_to_string(path).map_err(|error| error.to_string()),
            Reach::Below => read_whole(&path),
        };
        text.map_err(|error| format!("{name}: {error}"))
    }

    fn exists(&self, name: &str) -> Option<bool> {
        (self.sounds == Sounds::Needed).then(|| self.path(name).exists())
    }

    fn fault(&self, name: &str) -> Option<String> {
        let path = self.path(name);
        // What is no file waits for a writer, or never ends; of what is elsewhere nothing is told.
        let hidden = self.reach == Reach::Below && !is_inside(name);
        if self.sounds == Sounds::Given || hidden || !path.is_file() {
            return None;
        }
        let words = match hound::WavReader::open(path) {
            Ok(wav) if wav.duration() == 0 => "it is empty".to_owned(),
            Ok(wav) if wav.spec().bits_per_sample > 32 => {
                "its samples have more than 32 bits".to_owned()
            }
            Ok(wav) if !(4000..=192_000).contains(&wav.spec().sample_rate) => {
                format!("a sample rate of {} Hz is outside 4000 to 192000", wav.spec().sample_rate)
            }
            Ok(_) => return None,
            Err(error) => error.to_string(),
        };
        Some(format!(
            "not a sound that can be played ({words}); `sox in.wav -b 16 -e signed out.wav` makes one"
        ))
    }
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_sound_that_cannot_be_played_is_told_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let beside = Directory::of_plan(&folder.path().join("plan.toml"));
        fs::write(folder.path().join("junk.wav"), [7; 2000]).unwrap();
        fs::write(folder.path().join("empty.wav"), []).unwrap();
        let menu = include_bytes!("../carrier/prompts/menu.wav");
        fs::write(folder.path().join("menu.wav"), menu).unwrap();
        for name in ["junk.wav", "empty.wav"] {
            assert!(
                beside.fault(name).unwrap().contains("not a sound that can be played"),
                "{name}"
            );
            let plan = format!(
                "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\ntimezone = \
                 \"UTC\"\n[menu.m]\nprompt = \"{name}\"\non_fail = \"hangup\"\n[menu.m.press]\n\"1\" = \
                 \"hangup\"\n"
            );
            let findings = dialplan::load(&plan, "p.toml", &Known::default(), &beside).unwrap_err();
            let words = lines(&findings);
            assert!(words.contains(&format!("p.toml:7:10: error: {name}: not a sound")), "{words}");
        }
        assert_eq!([beside.fault("menu.wav"), beside.fault("missing.wav")], [None, None]);
        assert_eq!(beside.with_sounds_given().fault("junk.wav"), None);
    }

    #[test]
    fn a_plan_reads_regular_files_of_its_own_directory() {
        let name = format!("crosspoint-load-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("prices")).unwrap();
        fs::write(folder.join("prices/rates.csv"), "49,t,0.1\n").unwrap();
        let pipe = folder.join("fifo");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let large = fs::File::create(folder.join("large")).unwrap();
        large.set_len(MOST_BYTES + 1).unwrap();
        let directory = Directory::of_plan(&folder.join("plan.toml"));
        assert_eq!(directory.read("prices/rates.csv"), Ok("49,t,0.1\n".to_owned()));
        assert_eq!(directory.read("./prices/rates.csv"), Ok("49,t,0.1\n".to_owned()));
        for (name, why) in [
            // Nobody writes to it: a reading that waits would never end.
            ("fifo", "no regular file"),
            ("prices", "this is a directory"),
            ("large", "larger than 64 MiB"),
            ("/dev/zero", "must be in the plan's own directory"),
            ("../plan.toml", "must be in the plan's own directory"),
            ("prices/../../x", "must be in the plan's own directory"),
            ("nothing.csv", "No such file"),
        ] {
            let error = directory.read(name).unwrap_err();
            assert!(error.contains(why), "{name}: {error}");
        }
        assert!(read_whole(Path::new("/dev/zero")).unwrap_err().contains("no regular file"));
        let plan = "version = 1\n[[outbound]]\nname = \"a\"\nregion = \"DE\"\nrates = \"fifo\"\n\
                    route = \"n\"\n";
        let (plan, read) = load_plan(plan, &folder.join("plan.toml"), &Known::default());
        let findings = plan.unwrap_err();
        let told =
            |f: &Finding| f.line == 5 && f.message == "`rates`: fifo: this is no regular file";
        assert!(findings.iter().any(told), "{findings:#?}");
        assert_eq!(read.len(), 2);
        fs::remove_dir_all(folder).unwrap();
    }
}
