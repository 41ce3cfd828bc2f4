//! `crosspoint ivr run`: reads scenarios, places their calls, writes what came of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::arguments::{IvrPeer, IvrRun, Output, Remote};
use super::{Unusable, call, serve, token};
use crate::base::Finding;
use crate::caller::{self, Disk, Options, Pages, Phones, Stop};
use crate::config;
use crate::dialplan;
use crate::ivr::{self, Case, CaseResult, Format, Loopback, Scenario, Script, Via};
use crate::signaling::Claims;
use crate::sip::Uri;

pub(super) async fn run(arguments: IvrRun, output: Output) -> Result<ExitCode, Unusable> {
    serve::logging(&arguments.log, "error")?;
    let mut jobs = Vec::new();
    let mut findings = Vec::new();
    let mut plans = Plans::default();
    for file in &arguments.files {
        match cases(file, arguments.via.map(Via::from), &mut plans) {
            Ok(cases) => jobs.extend(cases),
            Err(found) => findings.extend(found),
        }
    }
    if !findings.is_empty() {
        for finding in &findings {
            eprintln!("{finding}");
        }
        return Ok(ExitCode::from(2));
    }
    // What cannot be written is told before anybody is called.
    for file in [&arguments.junit, &arguments.json].into_iter().flatten() {
        write(file, b"")?;
    }
    if let Some(folder) = &arguments.html {
        write(&folder.join("index.html"), b"")?;
    }
    let needs = |via: Via| jobs.iter().any(|(case, _)| case.via == via);
    let peers = Peers::of(&arguments.peer, needs(Via::Trunk), needs(Via::Browser)).await?;
    let options = Options {
        parallel: arguments.parallel,
        retries: arguments.retries,
        phones: peers.phones.clone(),
        pages: peers.pages.clone(),
    };
    let text = output == Output::Text && !arguments.tap;
    let (count, mut done) = (jobs.len(), 0);
    let started = Instant::now();
    let results = caller::run(jobs, &options, |progress| {
        done += 1;
        if text {
            println!("{done:>3}/{count} {}", ivr::report_line(&progress.result));
        }
    })
    .await;
    peers.stop().await;
    write_all(&arguments, &results)?;
    let reported = report(&arguments, &results).await;
    let failed = results.iter().filter(|result| !result.passed()).count();
    if arguments.tap {
        print!("{}", ivr::tap(&results));
    } else if output == Output::Json {
        println!("{:#}", ivr::json(&results));
    } else if output == Output::Junit {
        print!("{}", ivr::junit(&results, &|number| sound_file(&arguments, &results, number)));
    } else {
        let seconds = started.elapsed().as_secs_f64();
        let calls: f64 = results.iter().map(|result| result.call.as_secs_f64()).sum();
        println!(
            "{} passed, {failed} failed; {calls:.1} s of calls in {seconds:.1} s ({:.0} times)",
            results.len() - failed,
            calls / seconds.max(0.001)
        );
    }
    // Last: what came of the calls is told first.
    if let Some(words) = reported?
        && text
    {
        println!("{words}");
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Tells a gateway, where one is named; where it shows what it was told.
async fn report(arguments: &IvrRun, results: &[CaseResult]) -> Result<Option<String>, Unusable> {
    let Some(url) = &arguments.report_to else { return Ok(None) };
    let key_file = arguments.report_key_file.clone();
    let remote = Remote { url: url.clone(), key: None, key_file };
    let body = ivr::json(results);
    let answer = call::ask(&remote, "POST", "/v1/ivr-runs", Some(&body)).await?;
    let said = |name: &str| answer.body[name].as_str().unwrap_or("-").to_owned();
    if answer.status != 201 {
        let (status, code, detail) = (answer.status, said("code"), said("detail"));
        return Err(Unusable::new(format_args!(
            "{url} does not keep the run ({status}, {code}): {detail}"
        )));
    }
    Ok(Some(format!("reported: {}/admin/ivr/{}", url.trim_end_matches('/'), said("id"))))
}

fn write_all(arguments: &IvrRun, results: &[CaseResult]) -> Result<(), Unusable> {
    if let Some(file) = &arguments.junit {
        let sound = |number| sound_file(arguments, results, number);
        write(file, ivr::junit(results, &sound).as_bytes())?;
    }
    if let Some(file) = &arguments.json {
        write(file, format!("{:#}\n", ivr::json(results)).as_bytes())?;
    }
    let Some(folder) = &arguments.html else { return Ok(()) };
    let made_at = format!("{:.0}", Timestamp::now());
    write(&folder.join("index.html"), ivr::html(results, &made_at).as_bytes())?;
    for (number, result) in results.iter().enumerate() {
        if let Some(file) = sound_file(arguments, results, number)
            && let Some(wav) = ivr::wav(result)
        {
            write(Path::new(&file), &wav)?;
        }
    }
    Ok(())
}

/// Where a case's sound is kept.
fn sound_file(arguments: &IvrRun, results: &[CaseResult], number: usize) -> Option<String> {
    let folder = arguments.html.as_ref()?;
    results.get(number).filter(|result| result.keeps_sound())?;
    Some(folder.join(format!("{:03}.wav", number + 1)).display().to_string())
}

pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), Unusable> {
    let unusable = |error| Unusable::new(format_args!("{}: {error}", file.display()));
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(unusable)?;
    }
    let mut file_handle = fs::File::create(file).map_err(unusable)?;
    file_handle.write_all(bytes).map_err(unusable)
}

/// Plans that loopback scenarios call into, each read once.
#[derive(Default)]
struct Plans(BTreeMap<PathBuf, Loopback>);

impl Plans {
    fn get(&mut self, path: &Path, at: &Path) -> Result<Loopback, Vec<Finding>> {
        if let Some(loopback) = self.0.get(path) {
            return Ok(loopback.clone());
        }
        let text = fs::read_to_string(path)
            .map_err(|error| one(at, &format!("plan {}: {error}", path.display())))?;
        let (plan, _) = config::load_plan(&text, path, &dialplan::Known::default());
        let plan = plan?;
        let folder = Disk::of(path);
        let read = |name: &str| ivr::Folder::read(&folder, name);
        let (script, faults) = Script::of(&plan, &read);
        if !faults.is_empty() {
            return Err(faults.iter().flat_map(|fault| one(path, &fault.to_string())).collect());
        }
        let loopback =
            Loopback { plan: Arc::new(plan), script: Arc::new(script), now: Timestamp::now() };
        self.0.insert(path.to_owned(), loopback.clone());
        Ok(loopback)
    }
}

fn cases(
    file: &Path,
    via: Option<Via>,
    plans: &mut Plans,
) -> Result<Vec<(Case, Option<Loopback>)>, Vec<Finding>> {
    let text = fs::read_to_string(file).map_err(|error| one(file, &error.to_string()))?;
    let name = file.display().to_string();
    let format =
        Format::of(&name).ok_or_else(|| one(file, "a scenario is a .yaml, .yml or .toml file"))?;
    let folder = Disk::of(file);
    let (scenario, library) = ivr::read(&text, &name, format, &folder)?;
    check_address(&scenario.target).map_err(|words| one(file, &words))?;
    let scenario = Arc::new(Scenario { via: via.unwrap_or(scenario.via), ..scenario });
    let loopback = match &scenario.plan {
        Some(plan) => Some(plans.get(&folder.path(plan), file)?),
        None => None,
    };
    let cases = Case::of(&scenario, &Arc::new(library));
    let in_loopback = cases.iter().any(|case| case.via == Via::Loopback);
    if in_loopback && loopback.is_none() {
        return Err(one(file, "via: loopback needs `plan`: the dial plan to call into"));
    }
    if let Some(at) = &scenario.at {
        let plan = loopback.as_ref().map(|loopback| &loopback.plan);
        if plan.is_some_and(|plan| plan.moment(at).is_none()) {
            let words = format!("`at` {at:?} is no moment: write 2026-11-23T22:00+01:00");
            return Err(one(file, &words));
        }
        if !in_loopback {
            let words = "`at` moves the clock of loopback only: the far side's own counts";
            let mut warning = one(file, words);
            warning.iter_mut().for_each(|w| w.severity = crate::base::Severity::Warning);
            warning.iter().for_each(|w| eprintln!("{w}"));
        }
    }
    Ok(cases.into_iter().map(|case| (case, loopback.clone())).collect())
}

/// An address must be one that the test's telephone can call.
pub(super) fn check_address(target: &str) -> Result<(), String> {
    if !target.starts_with("sip:") {
        return Ok(());
    }
    let uri = Uri::parse(target).map_err(|error| format!("`target` {target}: {error}"))?;
    match uri.param("transport") {
        Some(other) if !["udp", "tcp"].contains(&other.to_ascii_lowercase().as_str()) => {
            Err(format!("`target` {target}: the test's telephone speaks udp and tcp, not {other}"))
        }
        _ => Ok(()),
    }
}

fn one(file: &Path, words: &str) -> Vec<Finding> {
    vec![Finding {
        file: file.display().to_string(),
        line: 0,
        column: 0,
        severity: crate::base::Severity::Error,
        message: words.to_owned(),
    }]
}

/// The telephones and pages of a run.
pub(super) struct Peers {
    pub phones: Option<Arc<Phones>>,
    pub pages: Option<Pages>,
    pub stop: Stop,
}

impl Peers {
    pub(super) async fn of(peer: &IvrPeer, trunk: bool, browser: bool) -> Result<Peers, Unusable> {
        let loaded = match &peer.config {
            Some(file) => Some(config::load(file, &serve::environment()).map_err(Unusable::new)?),
            None => None,
        };
        let gateway = peer.sip.or_else(|| {
            let sip = loaded.as_ref()?.config.sip.listen.first()?.address;
            Some(if sip.ip().is_unspecified() { (LOOPBACK, sip.port()).into() } else { sip })
        });
        let stop = Stop::new();
        hang_up_at_ctrl_c(stop.clone());
        let mut peers = Peers { phones: None, pages: None, stop };
        if trunk {
            let phones =
                Phones::start(peer.bind.unwrap_or(LOOPBACK), gateway, peers.stop.clone()).await;
            peers.phones = Some(Arc::new(phones.map_err(Unusable::new)?));
        }
        if browser {
            let base = match (&peer.url, &loaded) {
                (Some(url), _) => url.trim_end_matches('/').to_owned(),
                (None, Some(loaded)) => {
                    let listen = loaded.config.http.listen;
                    let ip = if listen.ip().is_unspecified() { LOOPBACK } else { listen.ip() };
                    format!("http://{}", SocketAddr::new(ip, listen.port()))
                }
                (None, None) => "http://127.0.0.1:8080".to_owned(),
            };
            let token = match (&peer.token, &loaded) {
                (Some(token), _) => token.clone(),
                (None, Some(loaded)) => {
                    let user = loaded.config.users.keys().next().cloned();
                    let user = user.ok_or_else(|| Unusable::new("there is no [user.NAME]"))?;
                    token::sign(&loaded.config, &claims(user))?
                }
                (None, None) => demo_token(&base).await?,
            };
            peers.pages = Some(Pages {
                base,
                token,
                bind: peer.bind.unwrap_or(LOOPBACK),
                stop: peers.stop.clone(),
            });
        }
        Ok(peers)
    }

    pub(super) async fn stop(self) {
        if let Some(phones) = self.phones.and_then(Arc::into_inner) {
            phones.stop().await;
        }
    }
}

/// Calls cost money until somebody hangs up: the first Ctrl-C does, the second ends at once.
fn hang_up_at_ctrl_c(stop: Stop) {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        eprintln!("hanging up; once more ends at once");
        stop.stop();
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

/// A demo's page signs itself in; so does a test of it.
async fn demo_token(base: &str) -> Result<String, Unusable> {
    let body = crate::selftest::get(base, "/phone.json").await.map_err(|error| {
        Unusable::new(format_args!("no demo at {base} ({error}): say --url and --token"))
    })?;
    let body: serde_json::Value = serde_json::from_str(&body).map_err(Unusable::new)?;
    let token = body["token"].as_str().map(str::to_owned);
    token.ok_or_else(|| Unusable::new(format_args!("{base} is no demo: say --token")))
}

fn claims(user: crate::base::UserId) -> Claims {
    let exp = Timestamp::now().as_second().unsigned_abs() + 3600;
    Claims::new(user, exp)
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
