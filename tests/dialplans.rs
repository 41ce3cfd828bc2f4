//! Every plan of `dialplans/`: it loads without a finding, its tests pass, every rule is tested.

use std::fs;
use std::path::{Path, PathBuf};

use crosspoint::dialplan::{self, Files, Format, Known};

struct Directory(PathBuf);

impl Files for Directory {
    fn read(&self, name: &str) -> Result<String, String> {
        fs::read_to_string(self.0.join(name)).map_err(|error| format!("{name}: {error}"))
    }

    fn exists(&self, name: &str) -> Option<bool> {
        // The sounds belong to the installation that a plan is started from.
        (!name.starts_with("prompts/")).then(|| self.0.join(name).exists())
    }
}

fn plans() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialplans");
    let mut plans: Vec<(String, String)> = fs::read_dir(directory)
        .expect("dialplans/ is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("readable"))
        })
        .collect();
    plans.sort();
    plans
}

fn directory() -> Directory {
    Directory(Path::new(env!("CARGO_MANIFEST_DIR")).join("dialplans"))
}

#[test]
fn every_plan_is_fine_and_every_rule_is_tested() {
    assert!(!plans().is_empty());
    for (name, text) in plans() {
        let report = dialplan::test(&text, &name, &Known::default(), &directory(), Format::Text);
        assert_eq!(report.exit, 0, "{}", report.text);
        assert!(report.text.ends_with(" 0 failed\n"), "{}", report.text);
        let report = dialplan::check(&text, &name, &Known::default(), &directory(), Format::Text);
        assert_eq!(report.exit, 0, "{}", report.text);
        assert!(!report.text.contains("warning"), "{}", report.text);
    }
}
