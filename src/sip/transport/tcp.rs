//! Streams: a connection has one task that reads and frames, and one that writes from a bounded queue
//! with a deadline. A slow peer holds up nobody but itself.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Arrival, Unsent};
use crate::sip::codec::{Limits, ParseError, write};
use crate::sip::endpoint::ConnectionId;
use crate::sip::{Frame, Framer};

/// Time limits of a stream.
#[derive(Debug, Clone, Copy)]
pub(in crate::sip) struct StreamLimits {
    /// Limits of one message.
    pub(in crate::sip) message: Limits,
    /// To connect, and for one write.
    pub(in crate::sip) write: Duration,
    /// For the first message, and for the rest of one that has begun.
    pub(in crate::sip) first_message: Duration,
    /// Between messages.
    pub(in crate::sip) idle: Duration,
}

/// The driver's end of a connection.
#[derive(Debug)]
pub(in crate::sip) struct Connection {
    /// The peer.
    pub(in crate::sip) remote: SocketAddr,
    /// The listener that it came to, or whose address we tell the peer.
    pub(in crate::sip) local: SocketAddr,
    /// Messages to write. Dropping it closes the stream.
    pub(in crate::sip) queue: mpsc::Sender<Arc<[u8]>>,
}

impl Connection {
    /// The driver's end, and the queue for the connection's task.
    pub(in crate::sip) fn new(
        local: SocketAddr,
        remote: SocketAddr,
    ) -> (Connection, mpsc::Receiver<Arc<[u8]>>) {
        let (queue, messages) = mpsc::channel(LONGEST_QUEUE);
        (Connection { remote, local, queue }, messages)
    }
}

/// Takes connections until the driver is gone.
pub(in crate::sip) async fn accept(listener: TcpListener, driver: mpsc::Sender<Arrival>) {
    let Ok(local) = listener.local_addr() else { return };
    loop {
        // Cancel safe: a connection not taken stays in the backlog.
        match listener.accept().await {
            Ok((stream, remote)) => {
                if driver.send(Arrival::Accepted { local, remote, stream }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Out of descriptors, most likely: a moment's rest instead of a busy loop.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Runs one connection to its end: `stream` opens it, or is open already.
pub(in crate::sip) async fn connect(
    id: ConnectionId,
    stream: impl Future<Output = std::io::Result<TcpStream>>,
    messages: mpsc::Receiver<Arc<[u8]>>,
    driver: mpsc::Sender<Arrival>,
    limits: StreamLimits,
) {
    let unsent = match timeout(limits.write, stream).await {
        Ok(Ok(stream)) => {
            // Without it small responses wait for the ACK of the last one.
            let _ = stream.set_nodelay(true);
            let (reader, writer) = stream.into_split();
            let (pongs, urgent) = mpsc::channel(LONGEST_QUEUE);
            // Whichever ends first ends the other: neither holds anything worth finishing.
            tokio::select! {
                unsent = write_all(writer, messages, urgent, limits.write) => unsent,
                () = read_all(id, reader, &driver, pongs, limits) => Unsent::Nothing,
            }
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "connection not opened");
            Unsent::Some
        }
        Err(_) => Unsent::Some,
    };
    let _ = driver.send(Arrival::Closed { connection: id, unsent }).await;
}

async fn write_all(
    mut writer: OwnedWriteHalf,
    mut messages: mpsc::Receiver<Arc<[u8]>>,
    mut urgent: mpsc::Receiver<Vec<u8>>,
    deadline: Duration,
) -> Unsent {
    loop {
        // Cancel safe: `recv` loses nothing, and the write is not within the select.
        let written = tokio::select! {
            message = messages.recv() => match message {
                Some(bytes) => timeout(deadline, writer.write_all(&bytes)).await,
                None => return Unsent::Nothing,
            },
            bytes = urgent.recv() => match bytes {
                Some(bytes) => timeout(deadline, writer.write_all(&bytes)).await,
                None => return Unsent::Nothing,
            },
        };
        if !matches!(written, Ok(Ok(()))) {
            return Unsent::Some;
        }
    }
}

async fn read_all(
    id: ConnectionId,
    mut reader: OwnedReadHalf,
    driver: &mpsc::Sender<Arrival>,
    pongs: mpsc::Sender<Vec<u8>>,
    limits: StreamLimits,
) {
    let mut framer = Framer::new(limits.message);
    let mut buffer = vec![0; 16 * 1024];
    let mut deadline = Instant::now() + limits.first_message;
    let mut between = false;
    loop {
        let Ok(Ok(length @ 1..)) = timeout_at(deadline, reader.read(&mut buffer)).await else {
            return;
        };
        framer.push(&buffer[..length]);
        let mut whole = false;
        while let Some(frame) = framer.next_frame() {
            match frame {
                Frame::Message(bytes) => {
                    whole = true;
                    let message = Arrival::Message { connection: id, bytes };
                    if driver.send(message).await.is_err() {
                        return;
                    }
                }
                Frame::Ping => {
                    // A peer that pings faster than it reads gets no pong.
                    let _ = pongs.try_send(b"\r\n".to_vec());
                }
                Frame::Pong => {}
                Frame::Broken(error) => return refuse(&pongs, error, limits.write).await,
            }
        }
        // A message that has begun has to end in time, however slowly its bytes come.
        let now = Instant::now();
        if framer.is_between_messages() {
            if whole || between {
                deadline = now + limits.idle;
                between = true;
            }
        } else if whole || between {
            deadline = now + limits.first_message;
            between = false;
        }
    }
}

/// Answers what cannot be framed, where it can be answered, and lets the stream end.
async fn refuse(pongs: &mpsc::Sender<Vec<u8>>, error: ParseError, grace: Duration) {
    if let ParseError::Refused(refusal) = error {
        let response = refusal.response(UNFRAMED_TAG);
        if pongs.send(write(&response.into())).await.is_ok() {
            // The writer takes it from the queue; an empty queue means that it is being written.
            let _ = timeout(grace, pongs.reserve_many(LONGEST_QUEUE)).await;
            tokio::task::yield_now().await;
        }
    }
}

/// Messages that wait for one peer; with more, the peer is given up.
const LONGEST_QUEUE: usize = 256;

/// A refusal of something that is no message makes no dialog: the tag names nothing.
const UNFRAMED_TAG: &str = "unframed";
