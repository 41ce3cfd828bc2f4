//! `crosspoint selftest`: against a running gateway, or one started for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use super::arguments::{Output, Selftest};
use super::{Unusable, demo, serve, token};
use crate::carrier::{Carrier, Line};
use crate::config;
use crate::dtmf::Mode;
use crate::selftest::{FarDigit, FarSide, Options, run as run_checks};
use crate::signaling::Claims;

pub(super) async fn run(arguments: Selftest, output: Output) -> Result<ExitCode, Unusable> {
    serve::logging(&arguments.log, "error")?;
    let json = arguments.json || output == Output::Json;
    let progress: fn(&str) = if json { |_| {} } else { |what| eprintln!("  {what}") };
    let report = match &arguments.config {
        Some(file) => run_checks(&running(file, progress)?, None).await,
        None => {
            let folder = Folder::new("selftest")?;
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let running = demo::start(any, &folder.0.join("selftest.db")).await?;
            let report = run_checks(&own(&running, progress)?, Some(&Far(&running.carrier))).await;
            running.stop().await;
            report
        }
    };
    if json {
        let text = serde_json::to_string_pretty(&report).map_err(Unusable::new)?;
        println!("{text}");
    } else {
        print!("{}", report.text());
    }
    Ok(ExitCode::from(u8::from(!report.ok)))
}

/// How to reach a demo that was started for the test.
pub(super) fn own(running: &demo::Running, progress: fn(&str)) -> Result<Options, Unusable> {
    let claims = claims(demo::user()?);
    let token = running.gateway.mint(&claims).map_err(Unusable::new)?;
    let base = format!("http://{}", running.http.address);
    Ok(Options { base, token, bind: LOOPBACK, progress })
}

/// How to reach the gateway that runs with this configuration.
fn running(file: &Path, progress: fn(&str)) -> Result<Options, Unusable> {
    let loaded = config::load(file, &serve::environment()).map_err(Unusable::new)?;
    let user = loaded.config.users.keys().next().cloned();
    let user = user.ok_or_else(|| Unusable::new("the configuration has no [user.NAME]"))?;
    let token = token::sign(&loaded.config, &claims(user))?;
    let listen = loaded.config.http.listen;
    let host = if listen.ip().is_unspecified() { LOOPBACK } else { listen.ip() };
    let base = format!("http://{}", SocketAddr::new(host, listen.port()));
    let bind = loaded.config.media.address.filter(IpAddr::is_loopback).unwrap_or(host);
    Ok(Options { base, token, bind, progress })
}

fn claims(user: crate::base::UserId) -> Claims {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Claims::new(user, now.as_secs() + 600)
}

/// The carrier that was started for the test.
#[derive(Debug)]
struct Far<'a>(&'a Carrier);

impl FarSide for Far<'_> {
    fn take_digits(&self) -> Vec<FarDigit> {
        let listener = |line| match line {
            Line::Listens(last) => Some(last),
            _ => None,
        };
        let far = |heard: crate::carrier::ReceivedDigit| FarDigit {
            listener: listener(heard.line),
            digit: heard.digit,
            mode: heard.mode,
            duration: heard.duration,
        };
        self.0.take_digits().into_iter().map(far).collect()
    }

    fn press_keys(&self, number: &str, mode: Mode) {
        self.0.press_keys(number, mode);
    }
}

/// A folder that goes away with the test.
pub(super) struct Folder(pub std::path::PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Result<Folder, Unusable> {
        let name = format!("crosspoint-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)
            .map_err(|error| Unusable::new(format_args!("{}: {error}", path.display())))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
