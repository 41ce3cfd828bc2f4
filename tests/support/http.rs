//! HTTP as bytes, so that a test can send what no client library would.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

/// An answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// A header's value, empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim()).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

/// `GET path` with further header lines, each `Name: value`. A `Host` among them takes the place of
/// the true one.
pub fn get(base: &str, path: &str, headers: &[&str]) -> Answer {
    request(base, "GET", path, headers, "")
}

/// Any request.
pub fn request(base: &str, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
    let authority = base.strip_prefix("http://").unwrap();
    let mut text = format!("{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|line| line.to_ascii_lowercase().starts_with("host:")) {
        text += &format!("Host: {authority}\r\n");
    }
    for line in headers {
        text += &format!("{line}\r\n");
    }
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// One sample of `/metrics`; 0 where there is none.
pub fn metric(base: &str, name: &str) -> f64 {
    let text = get(base, "/metrics", &[]).body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// The calls that are on.
pub fn calls(base: &str) -> Vec<Value> {
    get(base, "/v1/calls", &[]).json()["items"].as_array().unwrap().clone()
}

/// The records.
pub fn records(base: &str) -> Vec<Value> {
    get(base, "/v1/cdrs", &[]).json()["items"].as_array().unwrap().clone()
}

/// The record of this call, once the call is over.
pub fn closed_record(base: &str, call: &str) -> Value {
    let is_it = |record: &Value| record["id"] == call;
    closed(base, 1, is_it).pop().unwrap()
}

/// The records, newest first, once there are so many and every call is over: the end of a call follows its
/// last message into the database.
pub fn closed_records(base: &str, count: usize) -> Vec<Value> {
    closed(base, count, |_| true)
}

fn closed(base: &str, count: usize, is_meant: impl Fn(&Value) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut all = records(base);
        all.retain(&is_meant);
        if all.len() >= count && all.iter().all(|record| !record["ended_at"].is_null()) {
            return all;
        }
        assert!(Instant::now() < deadline, "not {count} records of calls that are over: {all:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Waits until no call is on: a call that was refused goes right after its answer.
pub fn no_call_is_on(base: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !calls(base).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", calls(base));
    }
}
