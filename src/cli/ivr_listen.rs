//! `crosspoint ivr record` and `crosspoint ivr crawl`: calls that only listen.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::Unusable;
use super::arguments::{IvrCrawl, IvrPeer, IvrRecord};
use super::ivr::{Peers, check_address, write};
use super::serve;
use crate::base::document;
use crate::caller;
use crate::ivr::{self, CaseResult, Dtmf, Map, Outcome, Via};

/// Keeps one prompt as the reference.
pub(super) async fn record(arguments: IvrRecord) -> Result<ExitCode, Unusable> {
    serve::logging(&arguments.log, "error")?;
    let target = check(&arguments.target)?;
    let press = &arguments.press;
    if ivr::keys(press).count() != press.chars().count() {
        let words =
            format_args!("--press {press:?}: keys are 0-9, *, #, A-D, and , and w for pauses");
        return Err(Unusable::new(words));
    }
    let via = Via::from(arguments.via);
    let peers = peers(&arguments.peer, via).await?;
    let listen = duration(&arguments.listen)?;
    let result = call(&peers, &target, via, &arguments.press, listen).await;
    peers.stop().await;
    let Some(pcm) = answer(&result)? else {
        println!("nothing was heard in {} s", listen.as_secs());
        return Ok(ExitCode::from(1));
    };
    let wav = ivr::mono_wav(&pcm).ok_or_else(|| Unusable::new("the sound cannot be written"))?;
    write(&arguments.file, &wav)?;
    println!("{} ({:.1} s)", arguments.file.display(), pcm.len() as f64 / 8000.0);
    Ok(ExitCode::SUCCESS)
}

/// Presses every key at every menu and writes what was heard, with a draft of a scenario.
pub(super) async fn crawl(arguments: IvrCrawl) -> Result<ExitCode, Unusable> {
    serve::logging(&arguments.log, "error")?;
    let target = check(&arguments.target)?;
    let via = Via::from(arguments.via);
    let mut map = Map::new(usize::from(arguments.depth));
    if !arguments.yes && !agreed(&map, &arguments)? {
        println!("nobody was called");
        return Ok(ExitCode::from(1));
    }
    let peers = peers(&arguments.peer, via).await?;
    let listen = duration(&arguments.listen)?;
    let pause = Duration::from_secs(60) / arguments.rate.max(1);
    let mut calls = 0;
    let mut next_call = tokio::time::Instant::now();
    while let Some(keys) = map.next_keys() {
        if calls == arguments.calls {
            println!("stopped after {calls} calls (--calls)");
            break;
        }
        // Both are cancel safe: time goes by, and a stop stays.
        tokio::select! {
            () = tokio::time::sleep_until(next_call) => {}
            () = peers.stop.stopped() => {}
        }
        if peers.stop.is_stopped() {
            println!("stopped after {calls} calls");
            break;
        }
        next_call = tokio::time::Instant::now() + pause;
        calls += 1;
        let result = call(&peers, &target, via, &keys, listen).await;
        let shown = if keys.is_empty() { "(start)" } else { keys.as_str() };
        let heard = answer(&result);
        match heard {
            Ok(pcm) => println!("{shown:>8}  {}", map.heard(&keys, pcm)),
            Err(error) if calls == 1 => return Err(error),
            Err(error) => println!("{shown:>8}  {error}"),
        }
    }
    peers.stop().await;
    for (name, pcm) in map.prompts() {
        let wav = ivr::mono_wav(pcm).ok_or_else(|| Unusable::new("the sound cannot be written"))?;
        write(&arguments.folder.join("prompts").join(name), &wav)?;
    }
    for (name, text) in map.scenarios(&target, via) {
        let draft = arguments.folder.join(name);
        write(&draft, text.as_bytes())?;
        println!("{}", draft.display());
    }
    println!("{calls} calls");
    Ok(ExitCode::SUCCESS)
}

/// What may be called, as it is written in a scenario: no emergency number is.
fn check(target: &str) -> Result<String, Unusable> {
    let target = ivr::target(target).map_err(Unusable::new)?;
    check_address(&target).map_err(Unusable::new)?;
    Ok(target)
}

/// Calls may cost money: somebody has to say yes.
fn agreed(map: &Map, arguments: &IvrCrawl) -> Result<bool, Unusable> {
    let most = map.most_calls().min(arguments.calls);
    print!(
        "This places up to {most} calls to {}, {} a minute, and they may cost money. Go on? [yes/no] ",
        arguments.target, arguments.rate
    );
    io::stdout().flush().map_err(Unusable::new)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(Unusable::new)?;
    Ok(matches!(line.trim(), "yes" | "y"))
}

async fn peers(peer: &IvrPeer, via: Via) -> Result<Peers, Unusable> {
    if via == Via::Loopback {
        return Err(Unusable::new("a call that listens needs --via trunk or browser"));
    }
    Peers::of(peer, via == Via::Trunk, via == Via::Browser).await
}

async fn call(peers: &Peers, target: &str, via: Via, keys: &str, listen: Duration) -> CaseResult {
    let case = ivr::listening(target, via, Dtmf::default(), keys, SETTLE, listen);
    match (&peers.phones, &peers.pages) {
        (Some(phones), _) => phones.run(case).await,
        (None, Some(pages)) => pages.run(case).await,
        (None, None) => {
            let mut runner = ivr::Runner::new(case);
            runner.fail("there is no telephone");
            runner.into_result()
        }
    }
}

/// What was said after the last key.
fn answer(result: &CaseResult) -> Result<Option<Vec<i16>>, Unusable> {
    let listened = result.steps.iter().find(|step| step.name == "listen");
    match (&result.outcome, listened) {
        // The far side may hang up when it has said its words.
        // What the key interrupted is over by then.
        (_, Some(step)) => Ok(ivr::utterance(&result.heard, step.start + caller::LATER, PAUSE)),
        (Outcome::Passed, None) => Ok(None),
        (Outcome::Failed(words) | Outcome::Error(words), None) => Err(Unusable::new(words)),
    }
}

fn duration(text: &str) -> Result<Duration, Unusable> {
    document::duration(text)
        .ok_or_else(|| Unusable::new(format_args!("{text:?} is no duration like \"15s\"")))
}

/// Between the answer or a key and the next key: a menu has begun to speak.
const SETTLE: Duration = Duration::from_secs(2);
/// A pause within what one prompt says is shorter.
const PAUSE: Duration = Duration::from_millis(1200);
