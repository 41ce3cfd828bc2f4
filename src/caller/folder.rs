//! The files beside a scenario.

use std::fs;
use std::path::{Path, PathBuf};

use crate::ivr::Folder;

/// A folder of this machine.
#[derive(Debug, Clone)]
pub struct Disk(PathBuf);

impl Disk {
    /// The folder that a file is in.
    pub fn of(file: &Path) -> Disk {
        Disk(file.parent().map(Path::to_owned).unwrap_or_default())
    }

    /// A path of this folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Folder for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        fs::read(self.path(path)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => error.to_string(),
        })
    }

    fn sounds(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".wav"))
            .collect();
        names.sort();
        names
    }
}
