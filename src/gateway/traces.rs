//! Traces of calls, sent to an OpenTelemetry collector when the calls are over: OTLP by HTTP, protobuf.
//!
//! A collector that is away or slow costs its own traces and nothing else: calls leave their record in a
//! bounded queue and go on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::http::Uri;
use tokio::sync::mpsc;

use super::outgoing::{self, Private, Target};
use super::{Inner, call_trace};
use crate::call::Record;
use crate::config;
use crate::telemetry::{Metrics, Trace, export};

/// Where calls that are over leave their record.
pub(super) struct Traces {
    queue: mpsc::Sender<Record>,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Traces {
    /// The queue, and what [`run`] takes from it.
    pub fn new(metrics: Arc<Metrics>) -> (Traces, Queue) {
        let (queue, records) = mpsc::channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        (Traces { queue, waiting: waiting.clone(), metrics }, Queue { records, waiting })
    }

    /// A call is over.
    pub fn ended(&self, record: &Record) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if self.queue.try_send(record.clone()).is_err() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.metrics.dropped("otlp", 1);
        }
    }

    /// Waits until all are sent, or `patience` is over.
    pub async fn sent(&self, patience: Duration) {
        let sent = async {
            while self.waiting.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // What is not sent by then is lost; the records are not.
        let _ = tokio::time::timeout(patience, sent).await;
    }
}

/// The other end of the queue.
pub(super) struct Queue {
    records: mpsc::Receiver<Record>,
    waiting: Arc<AtomicUsize>,
}

/// Sends what is left in the queue, some together; ends with the gateway.
pub(super) async fn run(settings: config::Otlp, mut queue: Queue, gateway: Weak<Inner>) {
    let Ok(uri) = format!("{}/v1/traces", settings.endpoint.trim_end_matches('/')).parse::<Uri>()
    else {
        tracing::error!("[otlp] endpoint is no address");
        return;
    };
    // The operator's own: a collector is where it likes to be.
    let target = Target { uri, private: Private::Allowed };
    let mut headers = vec![("content-type", "application/x-protobuf".to_owned())];
    if let Some(own) = &settings.authorization {
        headers.push(("authorization", own.expose().clone()));
    }
    let mut away = false;
    let mut records = Vec::new();
    while queue.records.recv_many(&mut records, BATCH).await > 0 {
        // The answer to BYE comes when the call is over.
        tokio::time::sleep(LINGER).await;
        while records.len() < BATCH
            && let Ok(more) = queue.records.try_recv()
        {
            records.push(more);
        }
        let Some(gateway) = gateway.upgrade() else { return };
        let traces: Vec<Trace> = records.iter().map(|record| trace(&gateway, record)).collect();
        let body = export(&settings.service, &traces);
        match send(&target, &headers, body).await {
            Ok(()) if away => {
                away = false;
                tracing::info!("the OpenTelemetry collector takes traces again");
            }
            Ok(()) => {}
            Err(error) => {
                gateway.metrics.dropped("otlp", records.len() as u64);
                if !away {
                    tracing::warn!(
                        error,
                        "traces are not taken by [otlp] endpoint and are dropped"
                    );
                }
                away = true;
            }
        }
        queue.waiting.fetch_sub(records.len(), Ordering::AcqRel);
        records.clear();
    }
}

fn trace(gateway: &Inner, record: &Record) -> Trace {
    let timeline = gateway.registry.timeline(record.id).unwrap_or_default();
    call_trace::of(record.id, record, &timeline, &gateway.sip_trace.of(record.id))
}

/// Tries again what can pass (OTLP 1.x, "OTLP/HTTP response").
async fn send(
    target: &Target,
    headers: &[(&'static str, String)],
    body: Vec<u8>,
) -> Result<(), String> {
    let mut last = String::new();
    for pause in PAUSES {
        tokio::time::sleep(pause).await;
        match outgoing::post(target, headers, body.clone(), ANSWER, 0).await {
            Ok(answer) if (200..300).contains(&answer.status) => return Ok(()),
            Ok(answer) if [429, 502, 503, 504].contains(&answer.status) => {
                last = format!("status {}", answer.status);
            }
            Ok(answer) => return Err(format!("status {}", answer.status)),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// Calls that end within some seconds of a gateway under load.
const QUEUE: usize = 2048;
/// Traces in one request: some hundred KiB.
const BATCH: usize = 64;
const LINGER: Duration = Duration::from_millis(500);
const ANSWER: Duration = Duration::from_secs(10);
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(4)];
