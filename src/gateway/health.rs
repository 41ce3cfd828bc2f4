//! Drives the trunks' monitors: OPTIONS out to every destination of each trunk, what comes back into
//! its monitor, the breaker's state where calls see it. Destinations that are silent are tried last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Inner;
use super::requests::Done;
use super::trunks::Trunk;
use crate::base::TrunkId;
use crate::sip::{Command, Destination, Host, NameAddr, Options, Origin, Uri};
use crate::trunk::{Health, Input, Monitor, Output, Probing};

/// What a call has learnt about a trunk.
pub(super) struct News {
    pub trunk: TrunkId,
    pub input: Input,
}

/// Runs until the gateway stops.
pub(super) async fn run(gateway: Arc<Inner>, mut news: mpsc::Receiver<News>) {
    let now = Instant::now();
    let watched: Vec<Arc<Trunk>> = gateway.trunks.all().cloned().collect();
    let mut monitors: HashMap<TrunkId, Monitor> = HashMap::new();
    for (n, trunk) in watched.iter().enumerate() {
        let probing = match trunk.definition.options_interval {
            Some(interval) => Probing::Options(interval),
            None => Probing::CallsOnly,
        };
        let first = Duration::from_millis(200 * (n as u64 + 1));
        monitors.insert(trunk.definition.id.clone(), Monitor::new(now, probing, first));
    }
    let mut asked: JoinSet<News> = JoinSet::new();
    loop {
        let mut deadline = Instant::now() + LONGEST_SLEEP;
        for trunk in &watched {
            let Some(monitor) = monitors.get_mut(&trunk.definition.id) else { continue };
            loop {
                match monitor.poll_output() {
                    Output::Timeout(at) => {
                        deadline = deadline.min(at);
                        break;
                    }
                    Output::Request => {
                        let (gateway, trunk) = (gateway.clone(), trunk.clone());
                        asked.spawn(async move {
                            let input = ask(&gateway, &trunk).await;
                            News { trunk: trunk.definition.id.clone(), input }
                        });
                    }
                    Output::Up => {
                        trunk.set_health(Health::Up);
                        tracing::info!(trunk.id = %trunk.definition.id, "trunk is up");
                        gateway.events.tell("trunk.up", &news_of(trunk));
                    }
                    Output::OnTrial => {
                        trunk.set_health(Health::Up);
                        tracing::info!(trunk.id = %trunk.definition.id, "trunk is tried again");
                    }
                    Output::Down => {
                        trunk.set_health(Health::Down);
                        tracing::warn!(trunk.id = %trunk.definition.id, "trunk is down");
                        gateway.events.tell("trunk.down", &news_of(trunk));
                    }
                }
            }
        }
        // Cancellation safe: channels, finished tasks and a timer lose nothing.
        let told = tokio::select! {
            Some(done) = asked.join_next(), if !asked.is_empty() => done.ok(),
            told = news.recv() => match told {
                Some(told) => Some(told),
                None => return,
            },
            () = tokio::time::sleep_until(deadline.into()) => None,
        };
        let now = Instant::now();
        match told {
            Some(News { trunk, input }) => {
                if let Some(monitor) = monitors.get_mut(&trunk) {
                    monitor.handle_input(now, input);
                }
            }
            None => monitors.values_mut().for_each(|own| own.handle_input(now, Input::Timeout)),
        }
    }
}

/// Asks every destination of a trunk. One that answers makes the trunk alive.
async fn ask(gateway: &Arc<Inner>, trunk: &Trunk) -> Input {
    let located = match trunk.locate(&gateway.dns).await {
        Ok(located) => located,
        Err(error) => {
            tracing::warn!(trunk.id = %trunk.definition.id, %error, "trunk not located");
            return Input::Failed;
        }
    };
    let asked = located.into_iter().take(MOST_ASKED).map(|destination| async move {
        let status = options(gateway, trunk, destination).await;
        if status.is_none() {
            tracing::debug!(
                trunk.id = %trunk.definition.id,
                destination = %destination.address,
                "no answer to OPTIONS"
            );
            gateway.dns.unreachable(destination).await;
        }
        status
    });
    let answers = futures_util::future::join_all(asked).await;
    let answers = answers.into_iter().flatten();
    // 503 of one and 200 of another: it takes calls.
    answers.min().map_or(Input::Failed, Input::Answered)
}

/// The status that a destination answers OPTIONS with; `None` where it says nothing in time.
pub(super) async fn options(
    gateway: &Inner,
    trunk: &Trunk,
    destination: Destination,
) -> Option<u16> {
    let here = Host::from(gateway.sip_address(&destination).ip());
    let target = Uri::parse(trunk.definition.target.as_str()).ok()?;
    let from = NameAddr::new(Uri::sip(Some("crosspoint"), &here, None).ok()?);
    let credentials = trunk.credentials();
    let (request, answer) = gateway.requests.open();
    let options = Options { request, target, destination, from, credentials };
    gateway.sip(Command::Options(Box::new(options))).await;
    let done = tokio::time::timeout(ANSWER_WAIT, answer).await.ok()?.ok()?;
    match done {
        Done { answer, origin: Origin::Peer } => Some(answer.status),
        Done { .. } => None,
    }
}

fn news_of(trunk: &Trunk) -> serde_json::Value {
    serde_json::json!({"trunk": trunk.definition.id})
}

const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Below the monitor's own, so that one request counts once.
const ANSWER_WAIT: Duration = Duration::from_millis(3_800);
/// A cluster is known by its first hosts.
const MOST_ASKED: usize = 8;
