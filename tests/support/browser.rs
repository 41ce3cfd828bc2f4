//! Chromium or Firefox with the web phone of a real gateway, driven by `web/test/drive.mjs`.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

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
        Browser::start_plan(
            engine,
            &[],
            json!({"browser": name, "base": base, "token": token, "microphone": microphone, "steps": steps}),
        )
    }

    /// Starts one with a plan of `drive.mjs`; `before` are words before the command (`ip netns exec`).
    pub fn start_plan(engine: Engine, before: &[&str], plan: Value) -> Browser {
        let web = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut words = before.iter().copied().chain(["node", "test/drive.mjs"]);
        let mut command = Command::new(words.next().unwrap_or("node"));
        command.args(words).current_dir(&web).arg(plan.to_string());
        Browser { process: Process::start(&format!("{engine:?}"), &mut command) }
    }

    /// Waits until the next step of this name is done.
    pub fn has_done(&self, step: &str) {
        self.process.line_with(&format!("done: {step}"), Duration::from_secs(60));
    }

    /// What it saw, one value a step; panics where a step failed.
    pub fn finish(&mut self) -> Vec<Value> {
        self.process.wait(Duration::from_secs(180));
        // Standard output is another stream than that of the steps: whoever waited for one may have
        // read it.
        let deadline = Instant::now() + Duration::from_secs(5);
        let result: Value = loop {
            let said = self.process.output();
            match said.lines().find(|line| line.starts_with("{\"ok\"")) {
                Some(line) => break serde_json::from_str(line).unwrap(),
                None => assert!(Instant::now() < deadline, "no result; it said:\n{said}"),
            }
            std::thread::park_timeout(Duration::from_millis(10));
        };
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
