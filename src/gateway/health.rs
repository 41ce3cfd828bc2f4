//! Drives the trunks' monitors: OPTIONS out, answers back, the breaker's state where calls see it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Inner;
use super::trunks::Trunk;
use crate::base::TrunkId;
use crate::sip::{Command, Host, NameAddr, Options, Origin, RequestKey, Uri};
use crate::trunk::{Health, Input, Monitor, Output, Probing};

/// What became of an OPTIONS.
pub(super) struct OptionsDone {
    pub request: RequestKey,
    pub status: u16,
    pub origin: Origin,
}

/// What a call has learnt about a trunk.
pub(super) struct News {
    pub trunk: TrunkId,
    pub input: Input,
}

/// Runs until the gateway stops.
pub(super) async fn run(
    gateway: Arc<Inner>,
    mut answers: mpsc::Receiver<OptionsDone>,
    mut news: mpsc::Receiver<News>,
) {
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
    let mut asked: HashMap<RequestKey, TrunkId> = HashMap::new();
    let mut next_key = 0_u64;
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
                        next_key += 1;
                        let key = RequestKey(next_key);
                        if ask(&gateway, trunk, key).await {
                            asked.insert(key, trunk.definition.id.clone());
                        } else {
                            monitor.handle_input(Instant::now(), Input::Failed);
                        }
                    }
                    Output::Up => {
                        trunk.set_health(Health::Up);
                        tracing::info!(trunk.id = %trunk.definition.id, "trunk is up");
                    }
                    Output::OnTrial => {
                        trunk.set_health(Health::Up);
                        tracing::info!(trunk.id = %trunk.definition.id, "trunk is tried again");
                    }
                    Output::Down => {
                        trunk.set_health(Health::Down);
                        tracing::warn!(trunk.id = %trunk.definition.id, "trunk is down");
                    }
                }
            }
        }
        // Cancellation safe: a channel and a timer lose nothing.
        tokio::select! {
            done = answers.recv() => {
                let Some(done) = done else { return };
                let Some(trunk) = asked.remove(&done.request) else { continue };
                if let Some(monitor) = monitors.get_mut(&trunk) {
                    let input = match done.origin {
                        Origin::Peer => Input::Answered(done.status),
                        _ => Input::Failed,
                    };
                    monitor.handle_input(Instant::now(), input);
                }
            }
            told = news.recv() => {
                let Some(News { trunk, input }) = told else { return };
                if let Some(monitor) = monitors.get_mut(&trunk) {
                    monitor.handle_input(Instant::now(), input);
                }
            }
            () = tokio::time::sleep_until(deadline.into()) => {
                let now = Instant::now();
                for monitor in monitors.values_mut() {
                    monitor.handle_input(now, Input::Timeout);
                }
            }
        }
    }
}

/// Sends an OPTIONS; `false` where there is nowhere to send it.
async fn ask(gateway: &Inner, trunk: &Trunk, request: RequestKey) -> bool {
    let Ok(located) = trunk.locate(&gateway.dns).await else { return false };
    let Some(destination) = located.into_iter().next() else { return false };
    let here = Host::from(gateway.sip_address(&destination).ip());
    let (Ok(target), Ok(from)) =
        (Uri::parse(trunk.definition.target.as_str()), Uri::sip(Some("crosspoint"), &here, None))
    else {
        return false;
    };
    let from = NameAddr::new(from);
    let credentials = trunk.credentials();
    let options = Options { request, target, destination, from, credentials };
    gateway.sip(Command::Options(Box::new(options))).await;
    true
}

const LONGEST_SLEEP: Duration = Duration::from_secs(30);
