//! The signalling side of the self-test's client: `crosspoint.v1` over a WebSocket, as a page
//! speaks it. Reads the messages as plain JSON so that it also checks their form.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::base::CallId;

/// One signalling session.
pub struct Page {
    requests: mpsc::Sender<(Value, Option<oneshot::Sender<Value>>)>,
    events: mpsc::Receiver<Event>,
    /// Events that a wait passed over.
    passed: Vec<Event>,
}

/// An event of the gateway and when it came.
#[derive(Debug, Clone)]
pub struct Event {
    /// When its frame arrived.
    pub at: Instant,
    /// The whole message.
    pub body: Value,
}

impl Event {
    /// A text field, empty where it is missing.
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }
}

impl Page {
    /// Connects and says hello.
    ///
    /// # Errors
    /// No gateway there, or it refuses the token.
    pub async fn connect(base: &str, token: &str) -> anyhow::Result<Page> {
        let url = format!("{}/v1/rtc", base.replacen("http", "ws", 1));
        let mut request = url.as_str().into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "crosspoint.v1".parse()?);
        headers.insert("origin", base.parse()?);
        let (socket, _) = tokio_tungstenite::connect_async(request)
            .await
            .with_context(|| format!("connecting to {url}"))?;
        let (requests, inbox) = mpsc::channel(16);
        let (events_tx, events) = mpsc::channel(256);
        tokio::spawn(run(socket, inbox, events_tx));
        let page = Page { requests, events, passed: Vec::new() };
        let client = json!({"name": "crosspoint-selftest", "version": env!("CARGO_PKG_VERSION")});
        page.ask(json!({"type": "hello", "token": token, "client": client})).await?;
        Ok(page)
    }

    /// Sends a request and waits for its reply's body.
    ///
    /// # Errors
    /// The gateway answered with an error, or the connection ended.
    pub async fn ask(&self, request: Value) -> anyhow::Result<Value> {
        let kind = request["type"].as_str().unwrap_or_default().to_owned();
        let (reply, answer) = oneshot::channel();
        self.requests.send((request, Some(reply))).await.map_err(|_| gone())?;
        let answer = tokio::time::timeout(PATIENCE, answer)
            .await
            .map_err(|_| anyhow!("no reply to {kind}"))?
            .map_err(|_| gone())?;
        if answer["ok"] == json!(true) {
            return Ok(answer);
        }
        let error = &answer["error"];
        bail!("{kind} was refused: {} ({})", error["message"], error["code"])
    }

    /// The next event, where one is there already.
    pub fn next_now(&mut self) -> Option<Event> {
        if self.passed.is_empty() {
            self.events.try_recv().ok()
        } else {
            Some(self.passed.remove(0))
        }
    }

    /// The next event that `wanted` takes; others are kept for later waits.
    ///
    /// # Errors
    /// None came within `limit`, or the connection ended.
    pub async fn event(
        &mut self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Event) -> bool,
    ) -> anyhow::Result<Event> {
        if let Some(place) = self.passed.iter().position(&wanted) {
            return Ok(self.passed.remove(place));
        }
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let event = tokio::time::timeout_at(deadline, self.events.recv())
                .await
                .map_err(|_| anyhow!("{what} did not come within {} ms", limit.as_millis()))?
                .ok_or_else(gone)?;
            if wanted(&event) {
                return Ok(event);
            }
            self.passed.push(event);
        }
    }
}

/// A fresh call id, made as a page makes it.
pub fn new_call_id() -> anyhow::Result<CallId> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|e| anyhow!("no randomness: {e}"))?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(CallId::from_parts(since.as_millis() as u64, u128::from_le_bytes(random) >> 48))
}

async fn run<S>(
    mut socket: tokio_tungstenite::WebSocketStream<S>,
    mut inbox: mpsc::Receiver<(Value, Option<oneshot::Sender<Value>>)>,
    events: mpsc::Sender<Event>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut waiting: HashMap<u64, oneshot::Sender<Value>> = HashMap::new();
    let mut next_id = 1_u64;
    loop {
        // Both branches are cancellation safe: a WebSocket stream keeps a half-read frame.
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let at = Instant::now();
                    let Ok(body) = serde_json::from_str::<Value>(&text) else { return };
                    if let Some(id) = body["re"].as_u64() {
                        if let Some(reply) = waiting.remove(&id) {
                            let _ = reply.send(body);
                        }
                    } else if events.send(Event { at, body }).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            request = inbox.recv() => {
                let Some((mut body, reply)) = request else {
                    let _ = socket.close(None).await;
                    return;
                };
                body["id"] = json!(next_id);
                if let Some(reply) = reply {
                    waiting.insert(next_id, reply);
                }
                next_id += 1;
                if socket.send(Message::text(body.to_string())).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn gone() -> anyhow::Error {
    anyhow!("the gateway closed the signalling connection")
}

/// How long a reply may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of `GET path`, by HTTP/1.1 over a connection of its own.
///
/// # Errors
/// No gateway there, or a status other than 200.
pub async fn get(base: &str, path: &str) -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let authority = base.strip_prefix("http://").context("only http:// is spoken here")?;
    let mut stream = tokio::net::TcpStream::connect(authority).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_BODY).read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        bail!("GET {path}: {status}");
    }
    Ok(body.to_owned())
}

const MAX_BODY: u64 = 1 << 20;
