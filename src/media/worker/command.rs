//! What goes from a session's handle to the worker that owns its call, and the way there.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::base::{CallId, Digit};
use crate::codec::Prompt;
use crate::dtmf::{DigitEvent, InfoSupport, ToneItem};
use crate::media::{
    BrowserCodec, Error, Feed, Hold, LegSide, Line, MediaEvent, Phase, Recorder, TrunkAudio,
    TrunkMedia,
};

/// A call within its pool; never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::media) struct CallKey(pub(in crate::media) u64);

/// Where the result of a command goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// To a worker.
#[derive(Debug)]
pub(in crate::media) enum Message {
    /// A new call; its place was reserved by the pool.
    Open { key: CallKey, call: CallId, events: mpsc::Sender<MediaEvent> },
    /// Something for a call.
    Command { key: CallKey, command: Command },
}

/// To a call. The meaning of each is on the method of `Session` that sends it.
#[derive(Debug)]
pub(in crate::media) enum Command {
    Prefer(BrowserCodec),
    BrowserOffer { sdp: String, reply: Reply<String> },
    BrowserRestart { sdp: String, reply: Reply<String> },
    RestartOffer { reply: Reply<String> },
    OfferBrowser { reply: Reply<String> },
    BrowserAnswer { sdp: String, reply: Reply<()> },
    Say { text: String },
    BrowserCandidate { candidate: Option<String> },
    TrunkOffer { media: TrunkMedia, reply: Reply<String> },
    TrunkAnswer { sdp: String, phase: Phase, reply: Reply<TrunkAudio> },
    ReofferTrunk { hold: Hold, reply: Reply<String> },
    WithdrawTrunkOffer,
    AnswerTrunk { sdp: String, media: TrunkMedia, reply: Reply<String> },
    ParkTrunk,
    RestoreTrunk { reply: Reply<()> },
    ForgetParked,
    Feed(Feed),
    Connect,
    Serve(Box<dyn Line>),
    Record(Option<Box<dyn Recorder>>),
    Play(Option<Arc<Prompt>>),
    SendDigits { to: LegSide, digits: Vec<ToneItem> },
    CancelDigits { to: LegSide },
    Press { to: LegSide, digit: Digit },
    Release { to: LegSide },
    PeerInfo(InfoSupport),
    InfoDone { request: u64, status: u16 },
    ReportDigit { from: LegSide, event: DigitEvent },
}

/// The sending end of a worker's channel.
///
/// The channel is bounded and a full one refuses the command. Closing must never be refused, so it
/// goes beside the channel: a set of keys, bounded by the calls the worker carries.
#[derive(Debug, Clone)]
pub(in crate::media) struct Inbox {
    sender: SyncSender<Message>,
    shared: Arc<Shared>,
    waker: Arc<mio::Waker>,
}

/// The receiving end.
#[derive(Debug)]
pub(in crate::media) struct Mailbox {
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
}

/// What both ends see.
#[derive(Debug, Default)]
struct Shared {
    any_closing: AtomicBool,
    closing: Mutex<HashSet<CallKey>>,
    stop: AtomicBool,
    /// Calls that have or were promised a place.
    calls: AtomicUsize,
}

/// Commands waiting at most: several for each call a worker carries.
const MAX_WAITING: usize = 1024;

/// Both ends of a worker's channel.
pub(in crate::media) fn channel(waker: Arc<mio::Waker>) -> (Inbox, Mailbox) {
    let (sender, receiver) = sync_channel(MAX_WAITING);
    let shared = Arc::new(Shared::default());
    let inbox = Inbox { sender, shared: Arc::clone(&shared), waker };
    (inbox, Mailbox { receiver, shared })
}

impl Inbox {
    /// Promises a place to one more call, if fewer than `limit` have one.
    pub(in crate::media) fn reserve(&self, limit: usize) -> Result<(), Error> {
        self.shared
            .calls
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |calls| {
                (calls < limit).then_some(calls + 1)
            })
            .map(|_| ())
            .map_err(|_| Error::Overloaded)
    }

    /// Takes a promise back.
    pub(in crate::media) fn unreserve(&self) {
        self.shared.calls.fetch_sub(1, Ordering::AcqRel);
    }

    /// Calls that have or were promised a place.
    pub(in crate::media) fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::Acquire)
    }

    pub(in crate::media) fn send(&self, message: Message) -> Result<(), Error> {
        self.sender.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Disconnected(_) => Error::Closed,
        })?;
        self.wake();
        Ok(())
    }

    pub(in crate::media) fn close(&self, key: CallKey) {
        self.shared.closing.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        self.shared.any_closing.store(true, Ordering::Release);
        self.wake();
    }

    /// Ends the worker and all its calls.
    pub(in crate::media) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // A worker that cannot be woken still looks every 20 ms while it has calls.
        let _ = self.waker.wake();
    }
}

impl Mailbox {
    /// Calls whose owner is gone. To be asked **before** the messages are taken and acted on after
    /// them: so that a call closed at once after it was opened is known.
    pub(super) fn closing(&self) -> HashSet<CallKey> {
        if !self.shared.any_closing.swap(false, Ordering::AcqRel) {
            return HashSet::new();
        }
        std::mem::take(&mut *self.shared.closing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn next(&self) -> Option<Message> {
        self.receiver.try_recv().ok()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }

    /// A call's place is free again.
    pub(super) fn closed(&self) {
        self.shared.calls.fetch_sub(1, Ordering::AcqRel);
    }
}
