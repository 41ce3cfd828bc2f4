//! `/v1/rtc` as frames, so that a test can send what no page would.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Connects with this `Origin`.
    pub async fn connect(base: &str, origin: &str) -> Socket {
        let url = format!("{}/v1/rtc", base.replacen("http", "ws", 1));
        let mut request = url.as_str().into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "crosspoint.v1".parse().unwrap());
        headers.insert("origin", origin.parse().unwrap());
        Socket(connect_async(request).await.unwrap().0)
    }

    /// Connects and signs in.
    pub async fn signed_in(base: &str, token: &str) -> Socket {
        let mut socket = Socket::connect(base, base).await;
        let welcome = socket.ask(json!({"id": 1, "type": "hello", "token": token})).await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        socket
    }

    pub async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// Sends a text that may find the connection closed already.
    pub async fn push(&mut self, text: &str) {
        let _ = self.0.send(Message::text(text)).await;
    }

    /// Sends a request and waits for the reply to its `id`.
    pub async fn ask(&mut self, request: Value) -> Value {
        self.send(Message::text(request.to_string())).await;
        let reply = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let body: Value = serde_json::from_str(&text).unwrap();
                        if body["re"] == request["id"] {
                            return body;
                        }
                    }
                    Some(Ok(_)) => {}
                    other => panic!("no reply to {request}: {other:?}"),
                }
            }
        };
        tokio::time::timeout(LIMIT, reply).await.unwrap()
    }

    /// Waits for the next event of this name.
    pub async fn event(&mut self, name: &str) -> Value {
        let event = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let body: Value = serde_json::from_str(&text).unwrap();
                        if body["type"] == name {
                            return body;
                        }
                    }
                    Some(Ok(_)) => {}
                    other => panic!("no {name}: {other:?}"),
                }
            }
        };
        tokio::time::timeout(LIMIT, event).await.unwrap()
    }

    /// Waits for the close and its code.
    pub async fn close_code(&mut self) -> u16 {
        let closed = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                    Some(Ok(_)) => {}
                    other => panic!("no close frame: {other:?}"),
                }
            }
        };
        tokio::time::timeout(LIMIT, closed).await.unwrap()
    }
}

const LIMIT: Duration = Duration::from_secs(10);
