//! The locator's driver: asks the DNS what the locator wants to know (RFC 3263), through hickory.
//!
//! DNSSEC is not validated, and hickory keeps no answers: the locator's cache knows how long they may
//! serve. Each question has a task of its own that ends with the resolver's own time limit.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::sip::command::{Destination, TlsPeer};
use crate::sip::locate::{
    Input, LocateError, Locator, LookUp, Naptr, Output, Question, Reachable, Record, Reply, Srv,
    Wanted,
};

/// The owner's end; cheap to clone. The driver stops when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Dns {
    requests: mpsc::Sender<Ask>,
}

#[derive(Debug)]
enum Ask {
    Locate(Wanted, oneshot::Sender<Result<Vec<Destination>, LocateError>>),
    Unreachable(Destination),
}

/// Why there is no DNS.
#[derive(Debug, thiserror::Error)]
pub enum DnsStartError {
    /// The resolver cannot be made.
    #[error("no DNS resolver: {0}")]
    Resolver(#[from] NetError),
    /// The system gives no randomness.
    #[error("no randomness: {0}")]
    Random(getrandom::Error),
}

impl Dns {
    /// Starts the driver's task. Without `servers` the system's are asked.
    ///
    /// # Errors
    /// No usable configuration, or no randomness.
    pub fn start(servers: &[SocketAddr], reachable: Reachable) -> Result<Dns, DnsStartError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(DnsStartError::Random)?;
        let resolver = match resolver(servers) {
            Err(error) if servers.is_empty() => {
                // Trunks by address work all the same.
                tracing::warn!(%error, "this system has no DNS configuration: no name is found");
                None
            }
            resolver => Some(resolver?),
        };
        let (requests, asked) = mpsc::channel(REQUESTS);
        let driver = Driver {
            locator: Locator::new(reachable, seed),
            resolver,
            waiting: HashMap::new(),
            last: 0,
            questions: JoinSet::new(),
        };
        tokio::spawn(driver.run(asked));
        Ok(Dns { requests })
    }

    /// All destinations of a name or address, in the order of trying; at least one.
    ///
    /// # Errors
    /// There is none, or the DNS does not say.
    pub async fn locate(&self, wanted: Wanted) -> Result<Vec<Destination>, LocateError> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask::Locate(wanted, answer);
        self.requests.send(ask).await.map_err(|_| LocateError::NoAnswer)?;
        answered.await.map_err(|_| LocateError::NoAnswer)?
    }

    /// Nobody answered there: it is tried last for a while.
    pub async fn unreachable(&self, destination: Destination) {
        // A driver that has stopped locates nothing any more either.
        let destination = Destination { tls: TlsPeer::UNKNOWN, ..destination };
        let _ = self.requests.send(Ask::Unreachable(destination)).await;
    }
}

struct Driver {
    locator: Locator,
    /// `None` where the system has no DNS: every question fails.
    resolver: Option<TokioResolver>,
    waiting: HashMap<LookUp, oneshot::Sender<Result<Vec<Destination>, LocateError>>>,
    last: u64,
    questions: JoinSet<(Question, Reply)>,
}

impl Driver {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        let mut due: Option<Instant> = None;
        loop {
            let wake = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            // Cancel safe: every branch only receives or waits.
            let input = tokio::select! {
                ask = asked.recv() => match ask {
                    Some(Ask::Locate(wanted, answer)) => {
                        self.last += 1;
                        self.waiting.insert(LookUp(self.last), answer);
                        Input::Locate(LookUp(self.last), wanted)
                    }
                    Some(Ask::Unreachable(destination)) => Input::Unreachable(destination),
                    None => return,
                },
                Some(done) = self.questions.join_next(), if !self.questions.is_empty() => {
                    match done {
                        Ok((question, reply)) => Input::Replied(question, reply),
                        Err(error) => {
                            tracing::error!(%error, "a DNS question ended without an answer");
                            continue;
                        }
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => Input::Timeout,
            };
            self.locator.handle_input(Instant::now(), input);
            due = self.drain();
        }
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.locator.poll_output() {
                Output::Ask(question) => {
                    let resolver = self.resolver.clone();
                    self.questions.spawn(async move {
                        let reply = match resolver {
                            Some(resolver) => ask(&resolver, &question).await,
                            None => Reply::Failed,
                        };
                        (question, reply)
                    });
                }
                Output::Located(look_up, found) => {
                    if let Some(answer) = self.waiting.remove(&look_up) {
                        // A call that was given up meanwhile needs no address.
                        let _ = answer.send(found);
                    }
                }
                Output::Timeout(due) => return due,
            }
        }
    }
}

fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut own| {
                own.port = server.port();
                own
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.cache_size = 0;
    // Two tries end before the look-up does.
    options.timeout = Duration::from_secs(1);
    options.attempts = 2;
    builder.build()
}

async fn ask(resolver: &TokioResolver, question: &Question) -> Reply {
    let (name, kind) = match question {
        Question::Naptr(name) => (name, RecordType::NAPTR),
        Question::Srv(name) => (name, RecordType::SRV),
        Question::A(name) => (name, RecordType::A),
        Question::Aaaa(name) => (name, RecordType::AAAA),
    };
    // With the last dot: a trunk's name is whole, no search domain is tried.
    let Ok(name) = Name::from_ascii(format!("{name}.")) else {
        return Reply::Records { records: Vec::new(), ttl: WITHOUT_SOA };
    };
    match resolver.lookup(name, kind).await {
        Ok(found) => {
            let answers = found.answers();
            // The whole chain of aliases has to hold.
            let ttl = answers.iter().map(|own| own.ttl).min().unwrap_or_default();
            let records = answers.iter().filter_map(|own| record(&own.data)).collect();
            Reply::Records { records, ttl: Duration::from_secs(ttl.into()) }
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            let ttl = none.negative_ttl.map_or(WITHOUT_SOA, |ttl| Duration::from_secs(ttl.into()));
            // RFC 2308 5: what does not exist is not believed for long.
            Reply::Records { records: Vec::new(), ttl: ttl.min(LONGEST_NEGATIVE) }
        }
        Err(error) => {
            tracing::debug!(%error, ?kind, "the DNS gave no answer");
            Reply::Failed
        }
    }
}

fn record(data: &RData) -> Option<Record> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let host = |name: &Name| name.to_ascii().trim_end_matches('.').to_owned();
    match data {
        RData::A(own) => Some(Record::Address(own.0.into())),
        RData::AAAA(own) => Some(Record::Address(own.0.into())),
        RData::SRV(own) => Some(Record::Srv(Srv {
            priority: own.priority,
            weight: own.weight,
            port: own.port,
            target: host(&own.target),
        })),
        RData::NAPTR(own) => Some(Record::Naptr(Naptr {
            order: own.order,
            preference: own.preference,
            flags: text(&own.flags),
            service: text(&own.services),
            replacement: host(&own.replacement),
        })),
        _ => None,
    }
}

/// Look-ups that wait for the driver.
const REQUESTS: usize = 1_024;

/// How long it is believed that a record does not exist where the zone does not say.
const WITHOUT_SOA: Duration = Duration::from_secs(10);

/// A trunk that has just been given its name is found within five minutes.
const LONGEST_NEGATIVE: Duration = Duration::from_secs(300);
