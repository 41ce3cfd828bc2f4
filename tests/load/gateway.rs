//! The real gateway with real calls on it: the binary, its signalling over a WebSocket, a trunk over
//! SIP.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crosspoint::base::CallId;
use crosspoint::selftest;
use serde_json::{Value, json};

use super::generator::{Call, Generator};
use super::page::Page;
use super::plan::PHONE;
use super::process::Measured;
use super::speech::{self, Payloads};
use super::trunk::{Trunk, UserAgent};

const PROGRAM: &str = env!("CARGO_BIN_EXE_crosspoint");

/// A gateway, its calls, and the signalling that holds them.
pub struct Gateway {
    pub process: Measured,
    pub http: String,
    pub generator: Generator,
    /// With one call.
    pub idle_kb: u64,
    runtime: tokio::runtime::Runtime,
    pages: Vec<selftest::Page>,
    pub ids: Vec<String>,
}

/// A page may have 16 at once.
const CALLS_A_PAGE: usize = 16;

/// What a call sends.
pub type Speech = Arc<dyn Fn(usize) -> (Arc<Payloads>, Arc<Payloads>)>;

impl Gateway {
    /// Starts it with these settings of `[media]` and connects `calls` calls.
    pub fn with_calls(calls: usize, media: &str, speech: &Speech) -> Gateway {
        let folder = speech::folder().join("gateway");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let mut trunk = Trunk::new();
        let agent = UserAgent::start(trunk.sdp());
        let here = folder.display();
        let config = format!(
            "dialplan = \"{here}/plan.toml\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n\
             [media]\nworkers = 1\nwebrtc_port = 0\naddress = \"127.0.0.1\"\n{media}\n\
             [store]\nurl = \"sqlite:{here}/crosspoint.db\"\n\
             [auth]\ntoken_secret_file = \"{here}/token.key\"\n\
             [user.web]\ncountry = \"DE\"\nmax_concurrent = 1000\nmax_per_minute = 1000\n\
             max_per_hour = 1000\nmax_per_day = 1000\n\
             [trunk.phone]\ntarget = \"sip:{}\"\ncodecs = [\"pcmu\"]\nchannels = 1000\ncps = 1000\n",
            agent.address
        );
        let plan = match media.contains("[recording]") {
            true => format!("{PHONE}record = true\n"),
            false => PHONE.to_owned(),
        };
        fs::write(folder.join("plan.toml"), plan).unwrap();
        fs::write(folder.join("token.key"), "a secret of a benchmark, long enough to be one\n")
            .unwrap();
        let file = folder.join("crosspoint.toml");
        fs::write(&file, config).unwrap();
        let file = file.to_str().unwrap();
        let arguments = [
            "serve",
            "--config",
            file,
            "--log-format",
            "json",
            "--log-level",
            "warn,crosspoint=info",
        ];
        let mut process = Measured::start(Path::new(PROGRAM), &arguments);
        let ready: Value =
            serde_json::from_str(&process.line_with("\"message\":\"ready\"")).unwrap();
        process.forget_lines();
        let http = ready["http"].as_str().unwrap().to_owned();
        let token = Command::new(PROGRAM)
            .args(["token", "create", "--user", "web", "--ttl", "1h", "--config", file])
            .output()
            .unwrap();
        let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let base = format!("http://{http}");
        let connect = || runtime.block_on(selftest::Page::connect(&base, &token)).unwrap();
        let mut pages = vec![connect()];
        let mut idle_kb = process.resident_kb();
        let (mut all, mut ids) = (Vec::new(), Vec::new());
        for number in 0..calls {
            if number / CALLS_A_PAGE == pages.len() {
                pages.push(connect());
            }
            let (mut own, sdp) = Page::offering();
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
            let id = CallId::from_parts(since, number as u128 + 1).to_string();
            let to = format!("7{number:02}");
            let to = &to[to.len() - 3..];
            let ask =
                json!({"type": "call.start", "call": id, "to": to, "metadata": {}, "sdp": sdp});
            // A worker that is busy with handshakes refuses for a moment.
            let mut tries = 0;
            let reply = loop {
                match runtime.block_on(pages[number / CALLS_A_PAGE].ask(ask.clone())) {
                    Ok(reply) => break reply,
                    Err(error) if tries == 20 => panic!("call {number}: {error}"),
                    Err(_) => std::thread::sleep(Duration::from_millis(500)),
                }
                tries += 1;
            };
            own.accept(reply["sdp"].as_str().unwrap());
            let patience = Duration::from_secs(10);
            trunk.add(agent.offers.recv_timeout(patience).expect("an INVITE on the trunk"));
            if number == 0 {
                // The first call brings what all share: the tables of numbers and their expressions.
                idle_kb = process.resident_kb();
            }
            let (up, down) = speech(number);
            all.push(Call::new(own, up, down, number * 37));
            ids.push(id);
        }
        let mut generator = Generator::new(all, trunk);
        generator.connect();
        Gateway { process, http, generator, idle_kb, runtime, pages, ids }
    }

    /// `GET` of a page of its HTTP.
    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.http).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        body.to_owned()
    }

    /// Ends the calls as a page does.
    pub fn hang_up(&self) {
        for (number, id) in self.ids.iter().enumerate() {
            let page = &self.pages[number / CALLS_A_PAGE];
            let _ = self.runtime.block_on(page.ask(json!({"type": "call.hangup", "call": id})));
        }
    }

    /// Ticks so far by lateness: upper end in ms and how many are not later.
    pub fn lateness(&self) -> Vec<(f64, u64)> {
        let name = "crosspoint_media_tick_late_seconds_bucket{le=\"";
        let text = self.get("/metrics");
        let rows = text.lines().filter_map(|line| line.strip_prefix(name));
        rows.map(|row| {
            let (end, count) = row.split_once("\"} ").unwrap();
            (end.parse::<f64>().unwrap_or(f64::INFINITY) * 1e3, count.parse().unwrap())
        })
        .collect()
    }
}

/// The lateness that 99 of 100 ticks between two counts kept, as the class it is in.
pub fn late_p99(before: &[(f64, u64)], after: &[(f64, u64)]) -> f64 {
    let all = after.last().unwrap().1 - before.last().unwrap().1;
    let row = after.iter().zip(before).find(|((_, now), (_, then))| (now - then) * 100 >= all * 99);
    row.map_or(f64::INFINITY, |((end, _), _)| *end)
}
