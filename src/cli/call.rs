//! `crosspoint call list|start|hangup`: asked of a running gateway over its API.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Unusable;
use super::arguments::{CallCommand, Output, Remote};
use super::ask::{self, Bounds, Request};
use crate::host;

pub(super) async fn run(command: CallCommand, output: Output) -> Result<ExitCode, Unusable> {
    match command {
        CallCommand::List(list) => {
            let answer = all(&list.remote).await?;
            Ok(answer.told(output, |body| table(body, Timestamp::now())))
        }
        CallCommand::Start(start) => {
            let mut order = json!({"to": start.to});
            let parts =
                [("user", start.user), ("from", start.from), ("caller_id", start.caller_id)];
            for (name, value) in parts {
                if let Some(value) = value {
                    order[name] = json!(value);
                }
            }
            let answer = ask(&start.remote, "POST", "/v1/calls", Some(&order)).await?;
            Ok(answer.told(output, |body| format!("{}\n", text(&body["id"]))))
        }
        CallCommand::Hangup(hangup) => {
            let mut exit = ExitCode::SUCCESS;
            for call in &hangup.calls {
                let plain = call.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if !plain {
                    return Err(Unusable::new(format_args!(
                        "{call:?} is no call; see `call list`"
                    )));
                }
                let path = format!("/v1/calls/{call}/actions/hangup");
                let answer = ask(&hangup.remote, "POST", &path, None).await?;
                let refused = answer.status >= 300;
                let said = answer.told(output, |_| String::new());
                if refused {
                    exit = said;
                }
            }
            Ok(exit)
        }
    }
}

/// The calls that are on, of all pages.
async fn all(remote: &Remote) -> Result<Answer, Unusable> {
    let mut answer = ask(remote, "GET", "/v1/calls?limit=500", None).await?;
    while let Some(next) = answer.body["next"].as_str() {
        let path = format!("/v1/calls?limit=500&cursor={next}");
        let mut more = ask(remote, "GET", &path, None).await?;
        if more.status >= 300 {
            return Ok(more);
        }
        let before = answer.body["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        if let Some(items) = more.body["items"].as_array_mut() {
            items.splice(0..0, before);
        }
        answer = more;
    }
    Ok(answer)
}

/// The calls that are on, as lines under a head.
fn table(body: &Value, now: Timestamp) -> String {
    let calls = body["items"].as_array().cloned().unwrap_or_default();
    if calls.is_empty() {
        return "no call is on\n".to_owned();
    }
    let mut out = format!(
        "{:<31} {:<10} {:>8}  {:<18} {:<18} {}\n",
        "CALL", "STATE", "FOR", "FROM", "TO", "TRUNK"
    );
    for call in &calls {
        let since = call["answered_at"].as_str().or(call["started_at"].as_str());
        let since = since.and_then(|at| at.parse::<Timestamp>().ok());
        let seconds = since.map_or(0, |at| (now.as_second() - at.as_second()).max(0));
        out += &format!(
            "{:<31} {:<10} {:>8}  {:<18} {:<18} {}\n",
            text(&call["id"]),
            text(&call["state"]),
            format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
            party(&call["from"]),
            party(&call["to"]),
            text(&call["trunk"]),
        );
    }
    out
}

fn party(party: &Value) -> String {
    let known = ["user", "number", "uri"].into_iter().filter_map(|name| party[name].as_str());
    known.into_iter().next().unwrap_or("-").to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// What a gateway says.
pub(super) struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// Prints it; a refusal is 1.
    fn told(&self, output: Output, words: impl FnOnce(&Value) -> String) -> ExitCode {
        if output == Output::Json && !self.body.is_null() {
            println!("{:#}", self.body);
        } else if self.status < 300 {
            print!("{}", words(&self.body));
        }
        if self.status < 300 {
            return ExitCode::SUCCESS;
        }
        if output != Output::Json {
            let detail = self.body["detail"].as_str().or(self.body["title"].as_str());
            let code = self.body["code"].as_str().unwrap_or("no code");
            eprintln!(
                "crosspoint: the gateway refuses ({}, {code}): {}",
                self.status,
                detail.unwrap_or("it does not say why")
            );
        }
        ExitCode::from(1)
    }
}

/// One request.
pub(super) async fn ask(
    remote: &Remote,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, Unusable> {
    let url = remote.url.trim_end_matches('/');
    let (tls, authority) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(authority), _) => (true, authority),
        (_, Some(authority)) => (false, authority),
        _ => {
            return Err(Unusable::new(
                "--url is like https://phone.example or http://127.0.0.1:8080",
            ));
        }
    };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    };
    let port = if tls { 443 } else { 80 };
    let address = match host.len() == authority.len() {
        true => format!("{authority}:{port}"),
        false => authority.to_owned(),
    };
    let key = match (&remote.key, &remote.key_file) {
        (Some(key), _) => Some(key.clone()),
        (None, Some(file)) => Some(key_of(file)?),
        (None, None) => None,
    };
    let key = key.filter(|key| key.chars().all(|c| c.is_ascii_graphic()));
    let authorization = key.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = Request { method, path, host: authority, headers: &authorization, body: &body };
    let bounds = Bounds { patience: PATIENCE, octets: MAX_BODY };
    let none = |error: &dyn std::fmt::Display| {
        Unusable::new(format_args!(
            "no gateway answers on {url} ({error}); is it running, is --url right?"
        ))
    };
    let connect = TcpStream::connect(&address);
    let (status, body) = if tls {
        let shaken = async {
            let stream = connect.await?;
            let name = host.trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(name).map_err(std::io::Error::other)?;
            let trust = host::client_trusting(host::authorities()).with_no_client_auth();
            TlsConnector::from(Arc::new(trust)).connect(name, stream).await
        };
        ask::ask(shaken, &request, bounds, none).await?
    } else {
        ask::ask(connect, &request, bounds, none).await?
    };
    Ok(Answer { status, body })
}

fn key_of(file: &Path) -> Result<String, Unusable> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Unusable::new(format_args!("{}: {error}", file.display())))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

const PATIENCE: Duration = Duration::from_secs(15);
/// A thousand calls are some MB.
const MAX_BODY: u64 = 64 << 20;
