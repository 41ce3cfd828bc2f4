//! Webhooks: what happens in the gateway, sent to servers of the operator, signed as Standard Webhooks
//! has it (<https://www.standardwebhooks.com>), tried again until it is taken, with a log.
//!
//! A target that hangs or refuses delays its own deliveries and nothing else: each has a task of its
//! own, at most eight requests at once, and at most 1,000 deliveries that wait. They are kept in memory:
//! what was not delivered when the gateway stops is in the records, and is not sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::Semaphore;

use super::outgoing::{self, Private, Target};
use super::{Events, Happening, spawn};
use crate::config;

/// The webhooks of a gateway.
pub(super) struct Webhooks {
    hooks: Vec<Arc<Hook>>,
}

struct Hook {
    name: String,
    target: Target,
    events: Vec<String>,
    secret: Vec<u8>,
    log: Mutex<VecDeque<Delivery>>,
    places: Semaphore,
}

/// A webhook of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WebhookView {
    /// Its name.
    pub name: String,
    /// Where it goes.
    pub url: String,
    /// What is sent: `call.ended`, or `call.*`; everything where it is empty.
    pub events: Vec<String>,
    /// Deliveries that wait for an answer or for their next try.
    pub pending: usize,
}

/// A delivery and how it went.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Delivery {
    /// What the receiver knows it by: the same for every try.
    pub id: String,
    /// What happened.
    pub r#type: &'static str,
    /// When it happened (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How it stands.
    pub state: DeliveryState,
    /// Every try so far.
    pub attempts: Vec<Attempt>,
    #[serde(skip)]
    number: u64,
    /// What is sent.
    #[serde(skip)]
    body: Arc<str>,
}

impl Delivery {
    /// Its place in the log: what happened later has a higher one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// One that waits.
    #[cfg(test)]
    pub(crate) fn sample(number: u64) -> Delivery {
        Delivery {
            id: format!("msg_{number}"),
            r#type: "call.ended",
            at: Timestamp::UNIX_EPOCH,
            state: DeliveryState::Pending,
            attempts: Vec::new(),
            number,
            body: "".into(),
        }
    }
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It is on its way, or waits for its next try.
    Pending,
    /// A 2xx came.
    Delivered,
    /// Every try failed.
    Failed,
    /// Too many waited before it.
    Dropped,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Attempt {
    /// When (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The status that came.
    pub status: Option<u16>,
    /// Why there is none, or why it does not count.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

#[derive(Serialize)]
struct Payload<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: &'a serde_json::Value,
}

/// What a server answers that is asked where a call goes.
#[derive(serde::Deserialize)]
struct Decided {
    to: String,
}

impl Webhooks {
    /// Those of a configuration.
    pub fn new<'a>(
        configured: impl IntoIterator<Item = (&'a String, &'a config::Webhook)>,
    ) -> Webhooks {
        let hook = |(name, own): (&String, &config::Webhook)| {
            let private = if own.allow_private { Private::Allowed } else { Private::Refused };
            let uri = own.url.parse().ok()?;
            Some(Arc::new(Hook {
                name: name.clone(),
                target: Target { uri, private },
                events: own.events.clone(),
                secret: key_of(own.secret.expose()),
                log: Mutex::default(),
                places: Semaphore::new(AT_ONCE),
            }))
        };
        Webhooks { hooks: configured.into_iter().filter_map(hook).collect() }
    }

    /// Follows what happens until the gateway stops; one task a webhook.
    pub async fn run(self: Arc<Webhooks>, events: Arc<Events>) {
        let own = self.hooks.iter().map(|hook| follow(hook.clone(), events.clone()));
        futures_util::future::join_all(own).await;
    }

    /// All of them.
    pub fn views(&self) -> Vec<WebhookView> {
        let view = |hook: &Arc<Hook>| WebhookView {
            name: hook.name.clone(),
            url: hook.target.uri.to_string(),
            events: hook.events.clone(),
            pending: hook.log().iter().filter(|own| own.state == DeliveryState::Pending).count(),
        };
        self.hooks.iter().map(view).collect()
    }

    fn hook(&self, name: &str) -> Option<&Arc<Hook>> {
        self.hooks.iter().find(|hook| hook.name == name)
    }

    /// The deliveries of one, newest first; `None` where there is no such webhook.
    pub fn deliveries(&self, name: &str) -> Option<Vec<Delivery>> {
        let hook = self.hook(name)?;
        Some(hook.log().iter().rev().cloned().collect())
    }

    /// Asks a server where a call goes: `to` of its answer, JSON of at most 16 KiB. It has 3 s, and a
    /// redirect is no answer. Such a request is in no log of deliveries: nobody can send it again.
    ///
    /// # Errors
    /// Why there is no answer, in words for the operator.
    pub async fn ask(&self, name: &str, data: &serde_json::Value) -> Result<String, String> {
        let hook = self.hook(name).ok_or("there is no such webhook")?;
        let at = Timestamp::now();
        let payload = Payload { r#type: "call.route", timestamp: at, data };
        let body = serde_json::to_string(&payload).map_err(|error| error.to_string())?;
        let id =
            format!("msg_{}_{}", data["call"].as_str().unwrap_or_default(), at.as_microsecond());
        let headers = headers(hook, &id, &body, at);
        let answer = outgoing::post(
            &hook.target,
            &headers,
            body.into_bytes(),
            DECIDES_WITHIN,
            LONGEST_ANSWER,
        );
        let answer = answer.await.map_err(|fault| fault.to_string())?;
        if !(200..=299).contains(&answer.status) {
            return Err(format!("it answered {}", answer.status));
        }
        let answer: Decided = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("its answer is not {{\"to\": \"KIND:NAME\"}}: {error}"))?;
        Ok(answer.to)
    }

    /// Sends a delivery again, whatever became of it; `false` where it is not in the log.
    pub fn redeliver(&self, name: &str, id: &str) -> bool {
        let Some(hook) = self.hook(name) else { return false };
        let found = {
            let mut log = hook.log();
            let found = log.iter_mut().find(|own| own.id == id);
            found.map(|own| {
                own.state = DeliveryState::Pending;
                (own.id.clone(), own.body.clone())
            })
        };
        let Some((id, body)) = found else { return false };
        spawn("webhook again", deliver(hook.clone(), id, body));
        true
    }
}

impl Hook {
    fn log(&self) -> MutexGuard<'_, VecDeque<Delivery>> {
        // Nothing panics while it is held.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, r#type: &str) -> bool {
        let fits = |own: &String| match own.strip_suffix('*') {
            Some(beginning) => r#type.starts_with(beginning),
            None => own == r#type,
        };
        self.events.is_empty() || self.events.iter().any(fits)
    }

    /// Notes a delivery; `false` where too many wait.
    fn note(&self, delivery: Delivery) -> bool {
        let mut log = self.log();
        let waiting = log.iter().filter(|own| own.state == DeliveryState::Pending).count();
        let full = waiting >= MOST_WAITING;
        let state = if full { DeliveryState::Dropped } else { DeliveryState::Pending };
        if log.len() >= MOST_LOGGED {
            // One that is over makes room; those that wait are bounded by themselves.
            let over = log.iter().position(|own| own.state != DeliveryState::Pending);
            over.and_then(|over| log.remove(over));
        }
        log.push_back(Delivery { state, ..delivery });
        !full
    }

    /// Notes a try of a delivery and how it stands after it.
    fn tried(&self, id: &str, attempt: Attempt, state: DeliveryState) {
        let mut log = self.log();
        if let Some(own) = log.iter_mut().find(|own| own.id == id) {
            own.attempts.push(attempt);
            own.state = state;
        }
    }
}

async fn follow(hook: Arc<Hook>, events: Arc<Events>) {
    let mut newest = events.follow();
    let mut place = events.now();
    loop {
        newest.mark_unchanged();
        let since = events.since(place, 256);
        if since.missed {
            tracing::warn!(webhook = hook.name, "more happened than could be followed");
        }
        place = since.place;
        for happening in &since.happenings {
            if hook.wants(happening.r#type) {
                send(&hook, &events, happening);
            }
        }
        if since.happenings.is_empty() && newest.changed().await.is_err() {
            return;
        }
    }
}

fn send(hook: &Arc<Hook>, events: &Events, happening: &Happening) {
    let Happening { number, r#type, at, data } = happening;
    let payload = Payload { r#type, timestamp: *at, data };
    let Ok(body) = serde_json::to_string(&payload) else { return };
    let id = format!("msg_{}_{number}", events.run());
    let body: Arc<str> = body.into();
    let delivery = Delivery {
        id: id.clone(),
        r#type,
        at: *at,
        state: DeliveryState::Pending,
        attempts: Vec::new(),
        number: *number,
        body: body.clone(),
    };
    if hook.note(delivery) {
        spawn("webhook", deliver(hook.clone(), id, body));
    } else {
        tracing::warn!(webhook = hook.name, "too many deliveries wait: one is dropped");
    }
}

/// Tries until it is taken, or the last try has failed.
async fn deliver(hook: Arc<Hook>, id: String, body: Arc<str>) {
    for (n, wait) in WAITS.iter().enumerate() {
        tokio::time::sleep(*wait).await;
        // A permit is held for one try, not for the waiting in between.
        let Ok(place) = hook.places.acquire().await else { return };
        let (at, began) = (Timestamp::now(), Instant::now());
        let outcome = attempt(&hook, &id, &body, at).await;
        drop(place);
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (status, error) = match outcome {
            Ok(status @ 200..=299) => (Some(status), None),
            Ok(status @ 300..=399) => (Some(status), Some("redirects are not followed".to_owned())),
            Ok(status) => (Some(status), Some("not a 2xx".to_owned())),
            Err(fault) => (None, Some(fault)),
        };
        let state = match &error {
            None => DeliveryState::Delivered,
            // 410: the receiver wants no more of this (Standard Webhooks).
            Some(_) if n + 1 == WAITS.len() || status == Some(410) => DeliveryState::Failed,
            Some(_) => DeliveryState::Pending,
        };
        if let Some(error) = &error {
            tracing::info!(webhook = hook.name, delivery = id, status, error, "not delivered");
        }
        hook.tried(&id, Attempt { at, status, error, took_ms }, state);
        if state != DeliveryState::Pending {
            return;
        }
    }
}

async fn attempt(hook: &Hook, id: &str, body: &str, at: Timestamp) -> Result<u16, String> {
    let headers = headers(hook, id, body, at);
    let answer = outgoing::post(&hook.target, &headers, body.as_bytes().to_vec(), WITHIN, 0).await;
    answer.map(|answer| answer.status).map_err(|fault| fault.to_string())
}

fn headers(hook: &Hook, id: &str, body: &str, at: Timestamp) -> [(&'static str, String); 4] {
    let seconds = at.as_second();
    [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signature(&hook.secret, id, seconds, body)),
    ]
}

/// `v1,` and HMAC-SHA256 over id, time and body (Standard Webhooks, symmetric scheme).
fn signature(secret: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// `whsec_` and base64, or the octets as they are.
fn key_of(secret: &str) -> Vec<u8> {
    let coded = secret.strip_prefix("whsec_").and_then(|rest| STANDARD.decode(rest).ok());
    coded.unwrap_or_else(|| secret.as_bytes().to_vec())
}

/// Before each try. The last comes after eleven hours: a night's maintenance.
const WAITS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(15),
    Duration::from_secs(120),
    Duration::from_secs(900),
    Duration::from_secs(3_600),
    Duration::from_secs(10_800),
    Duration::from_secs(25_200),
];
const WITHIN: Duration = Duration::from_secs(10);
/// A caller waits.
const DECIDES_WITHIN: Duration = Duration::from_secs(3);
const LONGEST_ANSWER: usize = 16 * 1024;
const AT_ONCE: usize = 8;
const MOST_WAITING: usize = 1_000;
const MOST_LOGGED: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_signature_is_the_one_of_the_specification() {
        let key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = r#"{"test": 2432232314}"#;
        assert_eq!(
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(key_of("plain words"), b"plain words");
    }
}
