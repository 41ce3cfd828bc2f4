//! Streams, plain or in TLS: a connection has one task that reads and frames, and one that writes from a bounded queue
//! with a deadline. A slow peer holds up nobody but itself.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::{Arrival, Unsent};
use crate::sip::codec::{Limits, ParseError, write};
use crate::sip::command::{TlsPeer, Transport};
use crate::sip::endpoint::ConnectionId;
use crate::sip::{Frame, Framer};

/// Time limits of a stream.
#[derive(Debug, Clone, Copy)]
pub(in crate::sip) struct StreamLimits {
    /// Limits of one message.
    pub(in crate::sip) message: Limits,
    /// To connect, with the handshake of TLS.
    pub(in crate::sip) open: Duration,
    /// For one write.
    pub(in crate::sip) write: Duration,
    /// For the first message, and for the rest of one that has begun.
    pub(in crate::sip) first_message: Duration,
    /// Between messages.
    pub(in crate::sip) idle: Duration,
    /// Between two pings of ours (RFC 5626 4.4.1); `None` on streams that the peer has opened.
    pub(in crate::sip) ping: Option<Duration>,
}

/// What a connection reads from and writes to.
pub(in crate::sip) trait Stream:
    AsyncRead + AsyncWrite + Send + Unpin + 'static
{
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// The driver's end of a connection.
#[derive(Debug)]
pub(in crate::sip) struct Connection {
    /// TCP or TLS.
    pub(in crate::sip) transport: Transport,
    /// Whom the peer has proved to be, in TLS.
    pub(in crate::sip) tls: TlsPeer,
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
        (transport, tls): (Transport, TlsPeer),
        local: SocketAddr,
        remote: SocketAddr,
    ) -> (Connection, mpsc::Receiver<Arc<[u8]>>) {
        let (queue, messages) = mpsc::channel(LONGEST_QUEUE);
        (Connection { transport, tls, remote, local, queue }, messages)
    }
}

/// Takes connections until the driver is gone.
pub(in crate::sip) async fn accept(
    transport: Transport,
    listener: TcpListener,
    driver: mpsc::Sender<Arrival>,
) {
    let Ok(local) = listener.local_addr() else { return };
    loop {
        // Cancel safe: a connection not taken stays in the backlog.
        match listener.accept().await {
            Ok((stream, remote)) => {
                // Without it small responses wait for the ACK of the last one.
                let _ = stream.set_nodelay(true);
                let arrival = Arrival::Accepted { transport, local, remote, stream };
                if driver.send(arrival).await.is_err() {
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
pub(in crate::sip) async fn connect<S: Stream>(
    id: ConnectionId,
    remote: SocketAddr,
    stream: impl Future<Output = std::io::Result<S>>,
    messages: mpsc::Receiver<Arc<[u8]>>,
    driver: mpsc::Sender<Arrival>,
    limits: StreamLimits,
) {
    let unsent = match timeout(limits.open, stream).await {
        Ok(Ok(stream)) => {
            let (reader, writer) = tokio::io::split(stream);
            let (pongs, urgent) = mpsc::channel(LONGEST_QUEUE);
            let (pong, ponged) = watch::channel(0);
            // Whichever ends first ends the other: neither holds anything worth finishing.
            tokio::select! {
                unsent = write_all(writer, messages, urgent, ponged, limits) => unsent,
                () = read_all(id, reader, &driver, pongs, pong, limits) => Unsent::Nothing,
            }
        }
        Ok(Err(error)) => {
            // A certificate that is not believed is among these: somebody must look.
            tracing::warn!(%remote, %error, "connection not opened");
            Unsent::Some
        }
        Err(_) => Unsent::Some,
    };
    let _ = driver.send(Arrival::Closed { connection: id, unsent }).await;
}

async fn write_all<S: Stream>(
    mut writer: WriteHalf<S>,
    mut messages: mpsc::Receiver<Arc<[u8]>>,
    mut urgent: mpsc::Receiver<Vec<u8>>,
    ponged: watch::Receiver<u64>,
    limits: StreamLimits,
) -> Unsent {
    let mut keepalive = Keepalive::new(limits.ping, ponged);
    loop {
        // Cancel safe: `recv` loses nothing, and the write is not within the select.
        let written = tokio::select! {
            message = messages.recv() => match message {
                Some(bytes) => send(&mut writer, &bytes, limits.write).await,
                None => {
                    // In TLS the peer is told that this is the end and no cut.
                    let _ = timeout(limits.write, writer.shutdown()).await;
                    return Unsent::Nothing;
                }
            },
            bytes = urgent.recv() => match bytes {
                Some(bytes) => send(&mut writer, &bytes, limits.write).await,
                None => return Unsent::Nothing,
            },
            () = sleep_until(keepalive.due) => match keepalive.on_due() {
                Flow::Ping => send(&mut writer, b"\r\n\r\n", limits.write).await,
                Flow::Waits => true,
                Flow::Dead => false,
            },
        };
        if !written {
            return Unsent::Some;
        }
    }
}

async fn send<S: Stream>(writer: &mut WriteHalf<S>, bytes: &[u8], deadline: Duration) -> bool {
    let sent = timeout(deadline, async {
        writer.write_all(bytes).await?;
        writer.flush().await
    });
    matches!(sent.await, Ok(Ok(())))
}

/// Pings of ours on a stream that we opened (RFC 5626 4.4.1). A peer that has once answered one and
/// then stops answering is gone; one that never did does not know them.
struct Keepalive {
    every: Option<Duration>,
    ponged: watch::Receiver<u64>,
    due: Instant,
    /// Pongs seen when the ping that is not answered yet went out.
    waits: Option<u64>,
}

enum Flow {
    Ping,
    Waits,
    Dead,
}

impl Keepalive {
    fn new(every: Option<Duration>, ponged: watch::Receiver<u64>) -> Keepalive {
        let due = Instant::now() + every.unwrap_or(NEVER);
        Keepalive { every, ponged, due, waits: None }
    }

    fn on_due(&mut self) -> Flow {
        let seen = *self.ponged.borrow();
        let Some(every) = self.every else {
            self.due += NEVER;
            return Flow::Waits;
        };
        match self.waits.take() {
            Some(before) if seen == before && before > 0 => Flow::Dead,
            Some(_) => {
                self.due = Instant::now() + every;
                Flow::Waits
            }
            None => {
                self.waits = Some(seen);
                self.due = Instant::now() + PONG_WAIT;
                Flow::Ping
            }
        }
    }
}

async fn read_all<S: Stream>(
    id: ConnectionId,
    mut reader: ReadHalf<S>,
    driver: &mpsc::Sender<Arrival>,
    pongs: mpsc::Sender<Vec<u8>>,
    pong: watch::Sender<u64>,
    limits: StreamLimits,
) {
    let mut framer = Framer::new(limits.message);
    let mut buffer = vec![0; 16 * 1024];
    let mut deadline = Instant::now() + limits.first_message;
    let mut between = false;
    loop {
        let length = match timeout_at(deadline, reader.read(&mut buffer)).await {
            Ok(Ok(length @ 1..)) => length,
            Ok(Ok(_)) | Err(_) => return,
            Ok(Err(error)) => {
                // In TLS the peer says so when it does not believe our certificate (RFC 8446 6.2).
                tracing::warn!(%error, "connection broken");
                return;
            }
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
                Frame::Pong => pong.send_modify(|count| *count += 1),
                Frame::Broken(error) => return refuse(&pongs, error, limits.write).await,
            }
        }
        // A keepalive of a peer that has said something keeps its stream as a message does.
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

/// RFC 5626 4.4.1.
const PONG_WAIT: Duration = Duration::from_secs(10);
const NEVER: Duration = Duration::from_secs(86_400);

/// Messages that wait for one peer; with more, the peer is given up.
const LONGEST_QUEUE: usize = 256;

/// A refusal of something that is no message makes no dialog: the tag names nothing.
const UNFRAMED_TAG: &str = "unframed";
