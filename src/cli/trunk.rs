//! `crosspoint trunk list` and `crosspoint trunk test`: asked of the gateway that runs with this
//! configuration on this machine.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::arguments::{Output, TrunkCommand};
use super::ask::{self, Bounds, Request};
use super::{Unusable, serve};
use crate::config;

pub(super) async fn run(command: TrunkCommand, output: Output) -> Result<ExitCode, Unusable> {
    match command {
        TrunkCommand::List(list) => {
            let body = all(&list.config).await?;
            match output {
                Output::Json => println!("{body}"),
                Output::Text | Output::Junit => print_list(&body),
            }
            let down = items(&body, "items").iter().any(|trunk| trunk["state"] == "down");
            Ok(ExitCode::from(u8::from(down)))
        }
        TrunkCommand::Test(test) => {
            let path = format!("/v1/trunks/{}/actions/test", test.name);
            if !test.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
                return Err(Unusable::new(format_args!("no trunk is called {:?}", test.name)));
            }
            let said = test.call.map_or(String::new(), |call| json!({"call": call}).to_string());
            let (status, body) = ask(&test.config, "POST", &path, &said).await?;
            expect(status, &body)?;
            match output {
                Output::Json => println!("{body}"),
                Output::Text | Output::Junit => print_report(&body),
            }
            Ok(ExitCode::from(u8::from(body["passed"] != true)))
        }
    }
}

/// The trunks of all pages, as one.
async fn all(config: &Path) -> Result<Value, Unusable> {
    let mut all = Vec::new();
    let mut path = LIST.to_owned();
    loop {
        let (status, body) = ask(config, "GET", &path, "").await?;
        expect(status, &body)?;
        all.extend(items(&body, "items"));
        let Some(next) = body["next"].as_str() else { break };
        path = format!("{LIST}&cursor={next}");
    }
    Ok(json!({"items": all, "next": null}))
}

fn print_list(body: &Value) {
    for trunk in items(body, "items") {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let registration = match text(&trunk["registration"]["state"]).as_str() {
            "registered" => {
                let left = trunk["registration"]["expires_in_ms"].as_u64().unwrap_or(0) / 1000;
                format!("registered for {left} s")
            }
            "not-registered" => text(&trunk["registration"]["reason"]),
            _ => String::new(),
        };
        println!(
            "{:<16} {:<5} {:>4} of {:<5} {registration}",
            text(&trunk["id"]),
            text(&trunk["state"]),
            trunk["calls"],
            trunk["channels"]
        );
    }
}

fn print_report(body: &Value) {
    for step in items(body, "steps") {
        let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
        println!(
            "{:<8} {:<9} {:>6} ms  {}",
            text("outcome"),
            text("name"),
            step["took_ms"],
            text("found")
        );
    }
}

fn items(body: &Value, name: &str) -> Vec<Value> {
    body[name].as_array().cloned().unwrap_or_default()
}

fn expect(status: u16, body: &Value) -> Result<(), Unusable> {
    match status {
        200 => Ok(()),
        404 => Err(Unusable::new(
            "the gateway has no such trunk; `crosspoint trunk list` has its names",
        )),
        _ => {
            let detail = body["detail"].as_str().unwrap_or("it does not say why").to_owned();
            Err(Unusable::new(format_args!("the gateway answers {status}: {detail}")))
        }
    }
}

/// One request to the gateway that runs with this configuration.
async fn ask(
    config: &Path,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(u16, Value), Unusable> {
    let loaded = config::load(config, &serve::environment()).map_err(Unusable::new)?;
    let mut address = loaded.config.http.listen;
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        address = SocketAddr::new(loopback, address.port());
    }
    let none = |error: &dyn std::fmt::Display| {
        Unusable::new(format_args!(
            "no gateway answers on http://{address} ({error}); is `crosspoint serve` running with {}?",
            config.display()
        ))
    };
    let request = Request { method, path, host: &address.to_string(), headers: "", body };
    let bounds = Bounds { patience: PATIENCE, octets: MAX_BODY };
    ask::ask(TcpStream::connect(address), &request, bounds, none).await
}

const LIST: &str = "/v1/trunks?limit=1000";
/// A test call rings for 12 s at most, and each destination is asked for 4 s.
const PATIENCE: Duration = Duration::from_secs(60);
const MAX_BODY: u64 = 1 << 20;
