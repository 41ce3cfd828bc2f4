//! `[store]` of the configuration.

use std::path::PathBuf;

use serde::Deserialize;

/// Where records are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `sqlite:FILE` or `postgres://…`. Default: a SQLite file in the working directory, because it
    /// needs no server.
    pub url: String,
    /// The folder of the spool; it must be on a local disk. Default: beside the SQLite file, or
    /// `crosspoint.spool` in the working directory.
    pub spool: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { url: "sqlite:crosspoint.db".into(), spool: None }
    }
}

impl Settings {
    /// The folder of the spool, given or derived.
    pub fn spool_folder(&self) -> PathBuf {
        if let Some(folder) = &self.spool {
            return folder.clone();
        }
        match self.url.strip_prefix("sqlite:") {
            Some(file) => {
                let file = file.strip_prefix("//").unwrap_or(file);
                PathBuf::from(format!("{}.spool", file.split('?').next().unwrap_or(file)))
            }
            None => PathBuf::from("crosspoint.spool"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spool_is_beside_the_file() {
        for (url, folder) in [
            ("sqlite:crosspoint.db", "crosspoint.db.spool"),
            ("sqlite:///var/lib/x.db?mode=rwc", "/var/lib/x.db.spool"),
            ("postgres://db/x", "crosspoint.spool"),
        ] {
            let settings = Settings { url: url.into(), spool: None };
            assert_eq!(settings.spool_folder(), PathBuf::from(folder), "{url}");
        }
        assert!(toml::from_str::<Settings>("uri = \"x\"").is_err(), "unknown keys are refused");
    }
}
