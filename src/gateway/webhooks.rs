//! Webhooks: what happens in the gateway, sent to servers of the operator, signed as Standard Webhooks
//! has it (<https://www.standardwebhooks.com>), tried again until it is taken, with a log.
//!
//! A target that hangs or refuses delays its own deliveries and nothing else: each webhook has a task of its
//! own. Deliveries are kept in memory: what was not delivered when the gateway stops is in the records, and
//! is not sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::Notify;

use super::deliveries::{Attempt, Deliveries, Delivery, DeliveryState, Outcome, Try};
use super::outgoing::{self, Private, Target};
use super::{Events, Happening};
use crate::config;
use crate::telemetry::Metrics;

/// The webhooks of a gateway.
pub(super) struct Webhooks {
    hooks: Vec<Arc<Hook>>,
}

struct Hook {
    name: String,
    target: Target,
    events: Vec<String>,
    secret: Vec<u8>,
    deliveries: Mutex<Deliveries>,
    /// Rung when one is to be sent again.
    again: Notify,
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
                deliveries: Mutex::default(),
                again: Notify::new(),
            }))
        };
        Webhooks { hooks: configured.into_iter().filter_map(hook).collect() }
    }

    /// Follows what happens until the gateway stops; one task a webhook.
    pub async fn run(self: Arc<Webhooks>, events: Arc<Events>, metrics: Arc<Metrics>) {
        let own = self.hooks.iter().map(|hook| serve(hook, &events, &metrics));
        futures_util::future::join_all(own).await;
    }

    /// All of them.
    pub fn views(&self) -> Vec<WebhookView> {
        let view = |hook: &Arc<Hook>| WebhookView {
            name: hook.name.clone(),
            url: hook.target.uri.to_string(),
            events: hook.events.clone(),
            pending: hook.deliveries().pending(),
        };
        self.hooks.iter().map(view).collect()
    }

    fn hook(&self, name: &str) -> Option<&Arc<Hook>> {
        self.hooks.iter().find(|hook| hook.name == name)
    }

    /// The deliveries of one, newest first; `None` where there is no such webhook.
    pub fn deliveries(&self, name: &str) -> Option<Vec<Delivery>> {
        let hook = self.hook(name)?;
        Some(hook.deliveries().newest_first())
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
        let found = hook.deliveries().again(Instant::now(), id);
        hook.again.notify_one();
        found
    }
}

impl Hook {
    fn deliveries(&self) -> MutexGuard<'_, Deliveries> {
        // Nothing panics while it is held.
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, r#type: &str) -> bool {
        let fits = |own: &String| match own.strip_suffix('*') {
            Some(beginning) => r#type.starts_with(beginning),
            None => own == r#type,
        };
        self.events.is_empty() || self.events.iter().any(fits)
    }
}

/// Follows what happens and delivers it, until the gateway stops.
async fn serve(hook: &Arc<Hook>, events: &Events, metrics: &Metrics) {
    let mut newest = events.follow();
    let mut place = events.now();
    let mut tries = FuturesUnordered::new();
    loop {
        newest.mark_unchanged();
        place = note_all(hook, events, metrics, place);
        while let Some(due) = hook.deliveries().take_due(Instant::now()) {
            tries.push(attempt(hook, due));
        }
        let timeout = hook.deliveries().timeout();
        let due = async {
            match timeout {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { return },
            () = hook.again.notified() => {}
            () = due => {}
            Some((due, attempt, outcome)) = tries.next() => {
                if let Some(error) = &attempt.error {
                    let status = attempt.status;
                    tracing::info!(webhook = hook.name, delivery = due.id, status, error, "not delivered");
                }
                let state = hook.deliveries().tried(Instant::now(), &due.id, attempt, outcome);
                match state {
                    DeliveryState::Delivered => metrics.webhook_delivery("delivered"),
                    DeliveryState::Failed => metrics.webhook_delivery("failed"),
                    DeliveryState::Pending | DeliveryState::Dropped => {}
                }
            }
        }
    }
}

/// Notes what has happened since a place, and gives the new one.
fn note_all(hook: &Hook, events: &Events, metrics: &Metrics, mut place: u64) -> u64 {
    loop {
        let since = events.since(place, 256);
        if since.missed {
            tracing::warn!(webhook = hook.name, "more happened than could be followed");
        }
        place = since.place;
        for happening in since.happenings.iter().filter(|own| hook.wants(own.r#type)) {
            note(hook, events, metrics, happening);
        }
        if since.happenings.is_empty() {
            return place;
        }
    }
}

fn note(hook: &Hook, events: &Events, metrics: &Metrics, happening: &Happening) {
    let Happening { number, r#type, at, data } = happening;
    let payload = Payload { r#type, timestamp: *at, data };
    let Ok(body) = serde_json::to_string(&payload) else { return };
    let id = format!("msg_{}_{number}", events.run());
    let dropped =
        hook.deliveries().add(Instant::now(), Delivery::new(*number, id, r#type, *at), body);
    if let Some(dropped) = dropped {
        metrics.webhook_delivery("dropped");
        tracing::warn!(
            webhook = hook.name,
            delivery = dropped,
            "too many wait: the oldest is dropped"
        );
    }
}

/// One try of a delivery.
async fn attempt(hook: &Hook, due: Try) -> (Try, Attempt, Outcome) {
    let (at, began) = (Timestamp::now(), Instant::now());
    let headers = headers(hook, &due.id, &due.body, at);
    let body = due.body.as_bytes().to_vec();
    let answer = outgoing::post(&hook.target, &headers, body, WITHIN, 0).await;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, error) = match answer.map(|answer| answer.status) {
        Ok(status @ 200..=299) => (Some(status), None),
        Ok(status @ 300..=399) => (Some(status), Some("redirects are not followed".to_owned())),
        Ok(status) => (Some(status), Some("not a 2xx".to_owned())),
        Err(fault) => (None, Some(fault.to_string())),
    };
    let outcome = match (&error, status) {
        (None, _) => Outcome::Taken,
        // 410: the receiver wants no more of this (Standard Webhooks).
        (Some(_), Some(410)) => Outcome::Unwanted,
        (Some(_), _) => Outcome::NotTaken,
    };
    (due, Attempt { at, status, error, took_ms }, outcome)
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

const WITHIN: Duration = Duration::from_secs(10);
/// A caller waits.
const DECIDES_WITHIN: Duration = Duration::from_secs(3);
const LONGEST_ANSWER: usize = 16 * 1024;

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
