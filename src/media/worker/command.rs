//! What goes from a session's handle to the worker that owns its call, and the way there.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::base::{CallId, Digit};
use crate::media::{Error, Feed, LegSide, MediaEvent, Phase, ToneItem, TrunkAudio, TrunkMedia};

/// A call within its pool; never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CallKey(pub(super) u64);

/// Where the result of a command goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// To a worker.
#[derive(Debug)]
pub(super) enum Message {
    /// A new call; its place was reserved by the pool.
    Open { key: CallKey, call: CallId, events: mpsc::Sender<MediaEvent> },
    /// Something for a call.
    Command { key: CallKey, command: Command },
}

/// To a call. The meaning of each is on the method of `Session` that sends it.
#[derive(Debug)]
pub(super) enum Command {
    BrowserOffer { sdp: String, reply: Reply<String> },
    OfferBrowser { reply: Reply<String> },
    BrowserAnswer { sdp: String, reply: Reply<()> },
    BrowserCandidate { candidate: Option<String> },
    TrunkOffer { media: TrunkMedia, reply: Reply<String> },
    TrunkAnswer { sdp: String, phase: Phase, reply: Reply<TrunkAudio> },
    AnswerTrunk { sdp: String, media: TrunkMedia, reply: Reply<String> },
    Feed(Feed),
    Connect,
    SendDigits { to: LegSide, digits: Vec<ToneItem> },
    Press { to: LegSide, digit: Digit },
    Release { to: LegSide },
}

/// The sending end of a worker's channel.
///
/// The channel is bounded and a full one refuses the command. Closing must never be refused, so it
/// goes beside the channel: a set of keys, bounded by the calls the worker carries.
#[derive(Debug, Clone)]
pub(super) struct Inbox {
    sender: SyncSender<Message>,
    closing: Arc<Closing>,
    waker: Arc<mio::Waker>,
}

/// Calls whose owner is gone.
#[derive(Debug, Default)]
pub(super) struct Closing {
    any: AtomicBool,
    keys: Mutex<HashSet<CallKey>>,
}

impl Closing {
    /// Takes all, if there are any. Without one, no lock is taken.
    pub(super) fn take(&self) -> Option<HashSet<CallKey>> {
        if !self.any.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut keys))
    }
}

impl Inbox {
    pub(super) fn new(
        sender: SyncSender<Message>,
        closing: Arc<Closing>,
        waker: Arc<mio::Waker>,
    ) -> Self {
        Self { sender, closing, waker }
    }

    pub(super) fn send(&self, message: Message) -> Result<(), Error> {
        self.sender.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Disconnected(_) => Error::Closed,
        })?;
        self.wake();
        Ok(())
    }

    pub(super) fn close(&self, key: CallKey) {
        let mut keys = self.closing.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key);
        drop(keys);
        self.closing.any.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn wake(&self) {
        // A worker that cannot be woken still wakes every 20 ms while it has calls.
        let _ = self.waker.wake();
    }
}
