//! One request of a command to a running gateway: HTTP/1.0, whose answer ends where the connection does.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Unusable;

/// What is asked.
pub(super) struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub host: &'a str,
    /// Further headers, each with its end of line.
    pub headers: &'a str,
    pub body: &'a str,
}

/// How much is borne.
pub(super) struct Bounds {
    /// From the connection to the last octet.
    pub patience: Duration,
    /// Of the answer.
    pub octets: u64,
}

/// Connects, asks and gives status and body, `null` where that is no JSON. `none` says what is wrong where
/// no gateway answers.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    connect: impl Future<Output = io::Result<S>>,
    request: &Request<'_>,
    bounds: Bounds,
    none: impl Fn(&dyn Display) -> Unusable,
) -> Result<(u16, Value), Unusable> {
    let exchange = async { exchange(connect.await?, request, bounds.octets).await };
    let answer = match tokio::time::timeout(bounds.patience, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(none(&error)),
        Err(_) => return Err(none(&"it says nothing")),
    };
    let (head, text) = answer.split_once("\r\n\r\n").ok_or_else(|| none(&"it speaks no HTTP"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| none(&"it speaks no HTTP"))?;
    Ok((status, serde_json::from_str(text).unwrap_or(Value::Null)))
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &Request<'_>,
    octets: u64,
) -> io::Result<String> {
    let Request { method, path, host, headers, body } = request;
    let text = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         {headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    match stream.take(octets).read_to_end(&mut answer).await {
        // A TLS peer that closes without a goodbye: the answer says itself where it ends.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        read => drop(read?),
    }
    String::from_utf8(answer).map_err(io::Error::other)
}
