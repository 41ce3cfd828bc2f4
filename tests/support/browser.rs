//! Chromium or Firefox with the web phone of a real gateway, driven by `web/test/drive.mjs`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::Process;

/// Which browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Chromium,
    Firefox,
}

/// A browser that runs a list of steps.
pub struct Browser {
    process: Process,
}

impl Browser {
    /// Starts Chromium; `microphone` is a WAV file or `none`.
    pub fn start(base: &str, token: Option<&str>, microphone: &str, steps: Value) -> Browser {
        Browser::start_in(Engine::Chromium, base, token, microphone, steps)
    }

    /// Starts one or the other; Firefox has a tone of its own for a microphone.
    pub fn start_in(
        engine: Engine,
        base: &str,
        token: Option<&str>,
        microphone: &str,
        steps: Value,
    ) -> Browser {
        let name = match engine {
            Engine::Chromium => "chromium",
            Engine::Firefox => "firefox",
        };
        let web = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("web");
        let plan = json!({"browser": name, "base": base, "token": token, "microphone": microphone, "steps": steps});
        let mut command = Command::new("node");
        command.current_dir(&web).arg("test/drive.mjs").arg(plan.to_string());
        Browser { process: Process::start(name, &mut command) }
    }

    /// Waits until the next step of this name is done.
    pub fn has_done(&self, step: &str) {
        self.process.line_with(&format!("done: {step}"), Duration::from_secs(60));
    }

    /// What it saw, one value a step; panics where a step failed.
    pub fn finish(&mut self) -> Vec<Value> {
        self.process.wait(Duration::from_secs(180));
        let line = self.process.line_with("{\"ok\"", Duration::from_secs(5));
        let result: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(result["ok"], json!(true), "{result:#}");
        result["saw"].as_array().unwrap().clone()
    }
}

impl Drop for Browser {
    /// The driver closes its browser before it ends.
    fn drop(&mut self) {
        self.process.end(Duration::from_secs(10));
    }
}
