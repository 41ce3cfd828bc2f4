//! Phones that are not ours: baresip (plays a file, records what it hears) and sipp (scenarios).

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::{TempDir, free_port};

/// baresip as a phone that answers by itself, plays a tone and records what it hears.
pub struct Baresip {
    pub port: u16,
    pub control_port: u16,
    pub process: Process,
    dir: TempDir,
}

impl Baresip {
    /// A phone that plays a sine of `hz` at `dbm0`.
    pub fn start(hz: f64, dbm0: f64) -> Baresip {
        let dir = TempDir::new("baresip");
        let (port, control_port) = (free_port(), free_port());
        super::sound::write_tone(&dir.join("tone.wav"), 8000, hz, dbm0, 90.0);
        let here = dir.path().display();
        let config = format!(
            "poll_method epoll\n\
             sip_listen 127.0.0.1:{port}\n\
             net_interface 127.0.0.1\n\
             module_path /usr/lib/baresip/modules\n\
             module g711.so\n\
             module aufile.so\n\
             module aubridge.so\n\
             module sndfile.so\n\
             module_tmp uuid.so\n\
             module_tmp account.so\n\
             module_app menu.so\n\
             module_app ctrl_tcp.so\n\
             ctrl_tcp_listen 127.0.0.1:{control_port}\n\
             audio_source aufile,{here}/tone.wav\n\
             audio_player aubridge,sink\n\
             audio_alert aubridge,alert\n\
             snd_path {here}\n"
        );
        fs::write(dir.join("config"), config).unwrap();
        // This release takes calls for its own user only: the number that the plan lets through.
        let account = "<sip:700@127.0.0.1>;regint=0;answermode=auto;audio_codecs=pcmu\n";
        fs::write(dir.join("accounts"), account).unwrap();
        let process =
            Process::start("baresip", Command::new("baresip").arg("-v").arg("-f").arg(dir.path()));
        process.line_with("baresip is ready", Duration::from_secs(20));
        Baresip { port, control_port, process, dir }
    }

    /// The telephone events it has been given so far: a key, and whether it was the key's end.
    pub fn telephone_events(&self) -> Vec<(char, bool)> {
        let output = self.process.output();
        let said = output.lines().filter_map(|line| line.strip_prefix("received event: '"));
        said.map(|event| {
            let key = event.chars().next().unwrap();
            (key, event.ends_with("(end=1)"))
        })
        .collect()
    }

    /// What it heard in its last call, as samples at 8 kHz; the call must be over.
    pub fn recording(&self) -> Vec<i16> {
        self.process.line_with("audio: destroyed", Duration::from_secs(20));
        let mut files: Vec<PathBuf> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        let file = files.last().expect("baresip recorded nothing");
        super::sound::read_wav(file)
    }
}

/// sipp with one of its scenarios.
pub struct Sipp {
    pub port: u16,
    pub process: Process,
    _dir: TempDir,
}

impl Sipp {
    /// sipp as the called side with a scenario file of `tests/sipp/`, for one call.
    pub fn answer(scenario: &str) -> Sipp {
        let dir = TempDir::new("sipp");
        let port = free_port();
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(scenario);
        let process = Process::start(
            "sipp",
            Command::new("sipp")
                .current_dir(dir.path())
                .arg("-sf")
                .arg(file)
                .args(["-i", "127.0.0.1", "-p", &port.to_string(), "-m", "1"])
                .args(["-mi", "127.0.0.1", "-nostdin", "-timeout", "60"]),
        );
        Sipp { port, process, _dir: dir }
    }
}
