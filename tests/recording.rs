//! Recordings of real calls: baresip speaks one tone, a page another; both channels are measured, what is
//! paused is not there, the file cannot be read without its key, a disk that takes nothing costs the
//! recording and not the call, and so does one that hangs.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crosspoint::selftest::{Page, Source};
use serde_json::{Value, json};
use support::bystander::place;
use support::gateway::Gateway;
use support::phones::Baresip;
use support::talk::{LIMIT, Talk};
use support::{http, sound};

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
caller_id = "office"
[caller_id.office]
number = "+493023125600"
[[outbound]]
name = "the phone"
to = ["700"]
route = ["phone"]
record = true
[[inbound]]
name = "menu"
did = ["+493023125600"]
flow = ["menu:top"]
record = true
[menu.top]
prompt = "prompt.wav"
first_digit = "60s"
on_fail = "app:milliwatt"
[menu.top.press]
"4" = "app:milliwatt"
"#;

const KEY: &str = "[recording]\nkey = \"0123456789abcdef0123456789abcdef\"\nkeep = \"1d\"\n";

/// From the page to the phone: the page's 440 Hz left, the phone's 880 Hz right, nothing while it is
/// paused; then from the phone into a menu, whose part is not there.
#[tokio::test(flavor = "multi_thread")]
async fn both_sides_are_kept_but_for_what_is_paused_and_only_the_key_opens_it() {
    let phone = Baresip::start(880.0, -20.0);
    let mut talk = call(&phone, KEY).await;
    talk.hears(880.0).await;
    said(&talk, 2.0).await;
    let record = format!("/v1/calls/{}/actions/record", talk.call.id);
    let ask = |action: &str| {
        let body = format!("{{\"action\":\"{action}\"}}");
        let answer = http::request(&talk.gateway.base, "POST", &record, &[], &body);
        assert_eq!(answer.status, 202, "{}", answer.body);
    };
    ask("pause");
    said(&talk, 2.0).await;
    ask("resume");
    said(&talk, 2.0).await;
    talk.hang_up().await;
    http::no_call_is_on(&talk.gateway.base);
    let base = &talk.gateway.base;
    let id = recording_of(base, 1);
    let view = ended(base, &id);
    assert_eq!(view["encrypted"], true, "{view}");
    assert_eq!(view["call"], talk.call.id.as_str(), "{view}");
    let wav = download(base, &id);
    let [left, right] = channels(&wav);
    for (side, own, other) in [(&left, 440.0, 880.0), (&right, 880.0, 440.0)] {
        let heard = sound::best_level(side, own);
        assert!((-32.0..=-16.0).contains(&heard), "{own} Hz at {heard} dBm0");
        assert!(sound::best_level(side, other) < -45.0, "the other side is in the channel");
    }
    let halves: Vec<bool> =
        right.chunks_exact(4000).map(|half| sound::level(half, 880.0) > -30.0).collect();
    let silent = halves.iter().skip_while(|heard| !**heard).skip_while(|heard| **heard);
    assert!(silent.clone().take_while(|heard| !**heard).count() >= 2, "{halves:?}");
    assert!(silent.skip_while(|heard| !**heard).any(|heard| *heard), "{halves:?}");
    // What is on the disk is not the sound.
    let sealed = files(&talk.gateway.dir.join("recordings"));
    let file = sealed.iter().find(|path| path.to_string_lossy().ends_with(".sealed")).unwrap();
    let bytes = fs::read(file).unwrap();
    assert!(!bytes.windows(4).any(|four| four == b"RIFF"));
    assert!(bytes.len() >= wav.len(), "{} {}", bytes.len(), wav.len());

    // The menu's part of a call is silence, the milliwatt after it is 1004 Hz.
    let sip = talk.gateway.sip_udp.unwrap().port();
    phone.dial(&format!("sip:+493023125600@127.0.0.1:{sip}"));
    talk.gateway_says("menu:top").await;
    let in_menu = goes_on(base, 0);
    phone.send_code("4");
    talk.gateway_says("app:milliwatt").await;
    goes_on(base, in_menu);
    phone.command("hangup", "");
    http::no_call_is_on(base);
    let second = recording_of(base, 2);
    let view = ended(base, &second);
    let [left, right] = channels(&download(base, &second));
    assert!(left.len() as u64 / 8 + 20 > view["duration_ms"].as_u64().unwrap(), "{view}");
    // The prompt is a second of 600 Hz.
    let said = right[..12_000].iter().filter(|sample| **sample != 0).count();
    assert_eq!(said, 0, "a menu was recorded");
    assert!(sound::best_level(&right, 1004.0) > -30.0, "{}", sound::best_level(&right, 1004.0));
    assert!(sound::best_level(&left, 880.0) > -35.0, "the caller after the menu");
    assert!(sound::best_level(&left[..8000], 880.0) < -60.0, "the caller in the menu");

    // Listed, the newest first, by pages; deleted.
    let list = http::get(base, "/v1/recordings?limit=1", &[]).json();
    assert_eq!(list["items"][0]["id"], second.as_str(), "{list}");
    let next = format!("/v1/recordings?limit=1&cursor={}", list["next"].as_str().unwrap());
    let list = http::get(base, &next, &[]).json();
    assert_eq!(list["items"][0]["id"], id.as_str(), "{list}");
    assert_eq!(http::metric(base, "crosspoint_recordings_total{result=\"kept\"}"), 2.0);
    for (status, of) in [(204, &id), (404, &id)] {
        let path = format!("/v1/recordings/{of}");
        assert_eq!(http::request(base, "DELETE", &path, &[], "").status, status);
    }
    let nothing = http::get(base, &format!("/v1/recordings/{id}/audio"), &[]);
    assert_eq!((nothing.status, nothing.json()["code"].as_str()), (404, Some("request/not-found")));
}

/// A file stands where the folder should be: nobody can write there, not even root.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_takes_nothing_costs_the_recording_and_never_the_call() {
    let phone = Baresip::start(880.0, -20.0);
    let mut talk = call(&phone, "[recording]\nfolder = \"plan.toml\"\n").await;
    talk.hears(880.0).await;
    said(&talk, 1.0).await;
    talk.gateway_says("a recording cannot be written").await;
    talk.hears(880.0).await;
    talk.hang_up().await;
    http::no_call_is_on(&talk.gateway.base);
    let record = http::closed_records(&talk.gateway.base, 1).remove(0);
    assert_eq!(record["recording"]["failed"], true, "{record}");
    assert_eq!(record["cause"], "hangup", "{record}");
    let failed = "crosspoint_recordings_total{result=\"failed\"}";
    assert_eq!(http::metric(&talk.gateway.base, failed), 1.0);
}

/// A disk that hangs, first under a call that goes on, then under one that ends: sound goes on both ways, what
/// finds no buffer is counted while it is lost, the call ends when it is hung up, and the recording is whole
/// but for a gap that it tells of.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_costs_the_recording_a_gap_and_the_call_nothing() {
    let phone = Baresip::start(880.0, -20.0);
    let mut talk = call(&phone, "").await;
    let base = talk.gateway.base.clone();
    let folder = talk.gateway.dir.join("recordings");
    let record = format!("/v1/calls/{}/actions/record", talk.call.id);
    let ask = |action: &str| {
        let body = format!("{{\"action\":\"{action}\"}}");
        assert_eq!(http::request(&base, "POST", &record, &[], &body).status, 202);
    };
    talk.hears(880.0).await;
    goes_on(&base, 0);
    let first = newest(&base);
    let disk = Hung::at_the_end_of(&folder, &first);
    ask("stop");
    ask("start");
    let lost = "crosspoint_recording_lost_seconds_total";
    let deadline = Instant::now() + 3 * LIMIT;
    while http::metric(&base, lost) < 2.0 {
        assert!(Instant::now() < deadline, "no sound is lost: does the disk hang?");
        talk.hears(880.0).await;
    }
    assert!(http::metric(&base, "crosspoint_drops_total{reason=\"recording\"}") >= 100.0);
    assert_eq!(newest(&base), first, "nothing was written meanwhile");
    assert_eq!(
        http::get(&base, &format!("/v1/recordings/{first}"), &[]).json()["ended_at"],
        Value::Null
    );
    disk.goes_on();
    assert_eq!(ended(&base, &first)["lost_ms"], 0);
    // Some 3 s that waited in the buffers are there at once, then the gap, and what is said now.
    goes_on(&base, 0);
    said(&talk, 2.0).await;
    let second = newest(&base);
    assert_ne!(second, first);

    let disk = Hung::at_the_end_of(&folder, &second);
    talk.hang_up().await;
    http::no_call_is_on(&base);
    let record = http::closed_records(&base, 1).remove(0);
    let lost_ms = record["recording"]["lost_ms"].as_u64().unwrap();
    assert!(lost_ms >= 2000, "{record}");
    assert_eq!(
        (&record["recording"]["id"], &record["recording"]["failed"]),
        (&json!(second), &json!(false))
    );
    assert_eq!(
        http::get(&base, &format!("/v1/recordings/{second}"), &[]).json()["ended_at"],
        Value::Null
    );
    disk.goes_on();
    let view = ended(&base, &second);
    assert_eq!((&view["lost_ms"], &view["error"]), (&json!(lost_ms), &Value::Null), "{view}");
    let [left, right] = channels(&download(&base, &second));
    assert_eq!(left.len() as u64 / 8, view["duration_ms"].as_u64().unwrap(), "{view}");
    let silent = right.iter().filter(|sample| **sample == 0).count() as u64;
    assert!(silent >= lost_ms * 8, "silence stands for {lost_ms} ms: {silent} samples of it");
    for (side, hz) in [(&left, 440.0), (&right, 880.0)] {
        let halves: Vec<bool> =
            side.chunks_exact(4000).map(|half| sound::level(half, hz) > -35.0).collect();
        let gap = halves.iter().skip_while(|heard| !**heard).skip_while(|heard| **heard);
        assert!(gap.clone().take_while(|heard| !**heard).count() >= 2, "{hz} Hz: {halves:?}");
        assert!(gap.skip_while(|heard| !**heard).any(|heard| *heard), "{hz} Hz: {halves:?}");
    }
    // The disk hung for more than five seconds: what the phone heard has no such gap.
    let gap = sound::longest_gap(&phone.recording(), 440.0);
    assert!(gap < 3000.0, "the phone heard nothing for {gap} ms");
    assert_eq!(http::metric(&base, "crosspoint_recordings_total{result=\"kept\"}"), 2.0);
    assert_eq!(http::metric(&base, "crosspoint_recordings_active"), 0.0);
}

/// A disk that hangs when a recording's description is written a last time: a pipe stands there, and whoever
/// opens it waits for a reader, as long as that takes.
struct Hung {
    description: PathBuf,
    pipe: PathBuf,
}

impl Hung {
    fn at_the_end_of(folder: &Path, id: &str) -> Hung {
        let is_it = |path: &PathBuf| path.ends_with(format!("{id}.json"));
        let description = files(folder).into_iter().find(is_it).expect("it is described");
        let pipe = description.with_extension("new");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        Hung { description, pipe }
    }

    /// What is written comes to the disk after all.
    fn goes_on(self) {
        // Waits for the writer, if it has not come so far; the writer closes it after it was renamed.
        let written = fs::read(&self.pipe).unwrap();
        fs::write(&self.pipe, written).unwrap();
        fs::rename(&self.pipe, &self.description).unwrap();
    }
}

/// The newest recording that is described.
fn newest(base: &str) -> String {
    let list = http::get(base, "/v1/recordings?limit=1", &[]).json();
    list["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned()
}

/// A page in a call with the phone, speaking 440 Hz.
async fn call(phone: &Baresip, tables: &str) -> Talk {
    let dir = support::TempDir::new("recording");
    sound::write_tone(&dir.join("prompt.wav"), 8000, 600.0, -10.0, 1.0);
    let config = support::gateway::gateway_config(&dir, phone.port);
    let levels = "info,crosspoint::gateway=debug";
    let gateway = Gateway::of_files(dir, &format!("{config}{tables}"), PLAN, levels);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = place(&page, "700").await;
    call.state(&mut page, "active").await.unwrap();
    call.peer.connected(LIMIT).await.expect("ICE and DTLS");
    call.peer.play(Source::tone(440.0, -20.0)).await.unwrap();
    Talk { gateway, page, call, kamailio: None }
}

/// Waits until the page has heard so many seconds more.
async fn said(talk: &Talk, seconds: f64) {
    talk.call.peer.heard.lock().unwrap().clear();
    let deadline = Instant::now() + LIMIT;
    while talk.call.peer.heard.lock().unwrap().seconds() < seconds {
        assert!(Instant::now() < deadline, "the page hears nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the newest recording, which is on, has two seconds more than so many bytes; says its bytes.
fn goes_on(base: &str, bytes: usize) -> usize {
    let deadline = Instant::now() + LIMIT;
    loop {
        let list = http::get(base, "/v1/recordings?limit=1", &[]).json();
        let on = list["items"].as_array().unwrap().iter().find(|item| item["ended_at"].is_null());
        let length = on.map_or(0, |item| download(base, item["id"].as_str().unwrap()).len());
        if length > bytes + 2 * 32_000 {
            return length;
        }
        assert!(Instant::now() < deadline, "the recording does not go on: {list}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

fn recording_of(base: &str, count: usize) -> String {
    let record = http::closed_records(base, count).remove(0);
    record["recording"]["id"].as_str().unwrap_or_else(|| panic!("{record}")).to_owned()
}

/// A recording once it is ended.
fn ended(base: &str, id: &str) -> Value {
    let deadline = Instant::now() + LIMIT;
    loop {
        let view = http::get(base, &format!("/v1/recordings/{id}"), &[]).json();
        if view["ended_at"].is_string() {
            return view;
        }
        assert!(Instant::now() < deadline, "{view}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn download(base: &str, id: &str) -> Vec<u8> {
    let authority = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(stream, "GET /v1/recordings/{id}/audio HTTP/1.0\r\nHost: {authority}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&answer[..body]).to_ascii_lowercase();
    assert!(head.contains(" 200 ") && head.contains("content-type: audio/wav"), "{head}");
    answer.split_off(body)
}

fn channels(wav: &[u8]) -> [Vec<i16>; 2] {
    let mut read = hound::WavReader::new(wav).unwrap();
    assert_eq!((read.spec().channels, read.spec().sample_rate), (2, 8000));
    let all: Vec<i16> = read.samples::<i16>().map(Result::unwrap).collect();
    [0, 1].map(|n| all.iter().skip(n).step_by(2).copied().collect())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let days = fs::read_dir(folder).unwrap().map(|day| day.unwrap().path());
    days.flat_map(|day| fs::read_dir(day).unwrap().map(|file| file.unwrap().path())).collect()
}
