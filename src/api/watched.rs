//! The stream of a connection, watched: a peer that takes no byte of what is written for it for some
//! time is given up, and [`Standing`] knows whether it takes any. Below TLS, so that it is the same
//! with and without.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::places::{InProgress, Standing};

/// A stream whose writing makes progress, or fails with `TimedOut`.
pub(super) struct Watched<S> {
    stream: S,
    patience: Duration,
    /// Runs while the peer takes nothing.
    deadline: Option<Pin<Box<Sleep>>>,
    standing: Arc<Standing>,
    /// Called once when the peer is given up.
    given_up: Option<Box<dyn FnOnce() + Send>>,
}

impl<S> Watched<S> {
    /// `patience` is how long the peer may take no byte.
    pub(super) fn new(
        stream: S,
        patience: Duration,
        standing: Arc<Standing>,
        given_up: impl FnOnce() + Send + 'static,
    ) -> Watched<S> {
        let given_up: Option<Box<dyn FnOnce() + Send>> = Some(Box::new(given_up));
        Watched { stream, patience, deadline: None, standing, given_up }
    }

    /// What became of an attempt to write.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.deadline.take().is_some() {
                self.standing.set_blocked(false);
            }
            return written;
        }
        if self.deadline.is_none() {
            self.standing.set_blocked(true);
        }
        let until = Instant::now() + self.patience;
        let sleep = || Box::pin(tokio::time::sleep_until(until));
        match self.deadline.get_or_insert_with(sleep).as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                if let Some(given_up) = self.given_up.take() {
                    given_up();
                }
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, octets);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, octets);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has nothing to flush: that it says so is no progress.
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The body of an answer: its request is in progress until the last of it is handed over.
pub(super) struct Answering {
    body: Body,
    _request: InProgress,
}

impl Answering {
    pub(super) fn new(body: Body, request: InProgress) -> Answering {
        Answering { body, _request: request }
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::places::{Bounds, Places};
    use super::*;

    #[tokio::test]
    async fn the_deadline_moves_with_every_byte_that_is_taken_and_ends_what_takes_none() {
        let places = Places::new(Bounds::default());
        let place = places.take([192, 0, 2, 1].into()).unwrap();
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let given_up = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let (ours, mut theirs) = tokio::io::duplex(4);
        let patience = Duration::from_secs(3600);
        let mut ours = Watched::new(ours, patience, place.standing(), given_up);
        let mut last = Instant::now() + patience;
        for _ in 0..3 {
            // Four are taken, the fifth waits.
            let written = futures_util::poll!(std::pin::pin!(ours.write_all(&[7; 5])));
            assert!(written.is_pending());
            let deadline = ours.deadline.as_ref().unwrap().deadline();
            assert!(deadline > last, "it starts anew");
            last = deadline;
            theirs.read_exact(&mut [0; 4]).await.unwrap();
            ours.write_all(&[7]).await.unwrap();
            assert!(ours.deadline.is_none(), "all was taken: it may be silent for ever");
            theirs.read_exact(&mut [0; 1]).await.unwrap();
        }
        ours.patience = Duration::from_millis(1);
        let error = ours.write_all(&[7; 5]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(ours.write_all(&[7; 5]).await.is_err(), "for good");
        assert_eq!(count.load(Ordering::Relaxed), 1, "told once");
    }
}
