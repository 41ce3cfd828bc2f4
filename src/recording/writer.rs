//! The writer: one thread that all recordings of a gateway go through to the disk. It may be as slow as
//! the disk; taps do not wait for it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use super::folder::{Folder, RecordingView};
use super::metrics::Counts;
use super::seal::{self, Seal, SealKey};
use super::settings::{Format, Settings};
use super::sound::Sound;
use super::tap::{BUFFERS, Control, LARGEST, Pauses, Tap};
use super::wav;
use crate::base::{CallId, RecordingId};
use crate::codec::Rate;
use crate::media::LegSide;

/// To the writer.
#[derive(Debug)]
pub(super) enum Message {
    /// A recording begins.
    Begin(Box<Begin>),
    /// Whole frames, left and right by turns, and how many are missing before them.
    Sound { id: RecordingId, rate: Rate, missing: u64, samples: Vec<i16> },
    /// Its tap is gone.
    End { id: RecordingId },
}

#[derive(Debug)]
pub(super) struct Begin {
    view: RecordingView,
    control: Arc<Control>,
    back: SyncSender<Vec<i16>>,
}

/// What a recording begins with.
#[derive(Debug, Clone)]
pub struct Start {
    /// Its name.
    pub id: RecordingId,
    /// The call.
    pub call: CallId,
    /// Now.
    pub at: Timestamp,
    /// Where the caller is in the media session.
    pub caller: LegSide,
    /// When nothing of it is kept.
    pub pauses: Arc<Pauses>,
}

/// Starts recordings, and knows those that are on the disk.
#[derive(Debug)]
pub struct Recorder {
    sender: SyncSender<Message>,
    folder: Arc<Folder>,
    format: Format,
    counts: Arc<Counts>,
    active: Arc<AtomicUsize>,
}

impl Recorder {
    /// Starts the writer.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn new(settings: &Settings) -> io::Result<Recorder> {
        let key = settings.key.clone().map(SealKey::new);
        let folder = Arc::new(Folder::new(settings.folder.clone(), key));
        let old = folder.clone();
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        std::thread::Builder::new().name("recordings of before".to_owned()).spawn(move || {
            let ended = old.end_unfinished(u64::try_from(begun).unwrap_or(u64::MAX));
            if ended > 0 {
                tracing::warn!(recordings = ended, "recordings that a stop had cut were ended");
            }
        })?;
        let (sender, messages) = sync_channel(WAITING);
        let (counts, active) = (Arc::<Counts>::default(), Arc::<AtomicUsize>::default());
        let writer = Writer {
            folder: folder.clone(),
            counts: counts.clone(),
            active: active.clone(),
            keep: settings.keep,
            open: HashMap::new(),
        };
        std::thread::Builder::new()
            .name("recordings".to_owned())
            .spawn(move || writer.run(&messages))?;
        Ok(Recorder { sender, folder, format: settings.format, counts, active })
    }

    /// Begins a recording; `None` where the writer has more to do than it can.
    pub fn begin(&self, start: Start) -> Option<(Tap, Arc<Control>)> {
        let Start { id, call, at, caller, pauses } = start;
        let view = RecordingView {
            id,
            call,
            format: self.format,
            encrypted: self.folder.key().is_some(),
            started_at: at,
            ended_at: None,
            duration_ms: 0,
            lost_ms: 0,
            error: None,
        };
        let control = Arc::new(Control::new(pauses, self.counts.clone()));
        let (back, empty) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            let _ = back.try_send(Vec::with_capacity(LARGEST));
        }
        let begin = Begin { view, control: control.clone(), back };
        match self.sender.try_send(Message::Begin(Box::new(begin))) {
            Ok(()) => {
                self.active.fetch_add(1, Ordering::Relaxed);
                let sender = self.sender.clone();
                Some((Tap::new(id, caller, control.clone(), sender, empty), control))
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.counts.one_failed();
                None
            }
        }
    }

    /// The recordings on the disk.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// What they come to.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Recordings whose files are not ended yet.
    pub fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }
}

struct Writer {
    folder: Arc<Folder>,
    counts: Arc<Counts>,
    active: Arc<AtomicUsize>,
    keep: Option<Duration>,
    open: HashMap<RecordingId, Open>,
}

/// A recording that is being written.
struct Open {
    begin: Begin,
    /// Its file, from the first sound on.
    file: Option<Output>,
    frames: u64,
    /// Nothing came for it since its tap is gone.
    quiet: bool,
}

struct Output {
    file: File,
    rate: Rate,
    sound: Sound,
    seal: Option<Seal>,
    bytes: u64,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut swept: Option<Instant> = None;
        let mut looked = Instant::now();
        loop {
            // While something is recorded it is looked for what came, since to wake a thread for each block
            // costs a media worker more than the block.
            let came = match self.open.is_empty() {
                true => messages.recv_timeout(LOOK),
                false => {
                    std::thread::sleep(GATHER);
                    messages.try_recv().map_err(|error| match error {
                        TryRecvError::Empty => RecvTimeoutError::Timeout,
                        TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                    })
                }
            };
            match came {
                Ok(message) => {
                    self.take(message);
                    messages.try_iter().take(WAITING).for_each(|message| self.take(message));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if looked.elapsed() >= LOOK {
                self.look();
                looked = Instant::now();
            }
            if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
                self.sweep();
                swept = Some(Instant::now());
            }
        }
        let left: Vec<RecordingId> = self.open.keys().copied().collect();
        left.into_iter().for_each(|id| self.end(id));
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Begin(begin) => {
                let id = begin.view.id;
                let open = Open { begin: *begin, file: None, frames: 0, quiet: false };
                self.open.insert(id, open);
            }
            Message::Sound { id, rate, missing, samples } => {
                let Some(open) = self.open.get_mut(&id) else { return };
                open.quiet = false;
                if !open.begin.control.has_failed()
                    && let Err(error) = open.write(&self.folder, rate, missing, &samples)
                {
                    open.begin.control.fail();
                    self.counts.one_failed();
                    open.begin.view.error = Some(error.to_string());
                    tracing::error!(
                        call.id = %open.begin.view.call,
                        recording.id = %id,
                        %error,
                        "a recording cannot be written; the call goes on"
                    );
                }
                let _ = open.begin.back.try_send(samples);
            }
            Message::End { id } => self.end(id),
        }
    }

    /// Ends those whose tap is gone though the queue had no room to say so.
    fn look(&mut self) {
        let gone = |open: &mut Open| {
            open.begin.control.has_ended() && std::mem::replace(&mut open.quiet, true)
        };
        let ended: Vec<RecordingId> =
            self.open.iter_mut().filter_map(|(id, open)| gone(open).then_some(*id)).collect();
        ended.into_iter().for_each(|id| self.end(id));
    }

    fn end(&mut self, id: RecordingId) {
        let Some(mut open) = self.open.remove(&id) else { return };
        let control = open.begin.control.clone();
        let ended = open.end();
        open.begin.view.lost_ms = control.lost_ms();
        if let Err(error) = &ended
            && !control.has_failed()
        {
            control.fail();
            self.counts.one_failed();
            open.begin.view.error = Some(error.to_string());
        } else if ended.is_ok() && open.file.is_some() && !control.has_failed() {
            self.counts.one_kept();
        }
        // A call without a frame has no file, and one without a file needs no description.
        if open.file.is_some()
            && let Err(error) = self.folder.describe(&open.begin.view)
        {
            tracing::error!(recording.id = %id, %error, "a recording cannot be described");
        }
        let (duration_ms, lost_ms) = (open.begin.view.duration_ms, control.lost_ms());
        tracing::info!(call.id = %open.begin.view.call, recording.id = %id, duration_ms, lost_ms, "recorded");
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    fn sweep(&self) {
        let Some(keep) = self.keep else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = now.saturating_sub(keep).as_millis();
        let gone = self.folder.sweep(u64::try_from(before).unwrap_or(0));
        if gone > 0 {
            tracing::info!(recordings = gone, "old recordings were deleted");
        }
    }
}

impl Open {
    fn write(
        &mut self,
        folder: &Folder,
        rate: Rate,
        missing: u64,
        samples: &[i16],
    ) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(Output::create(folder, &self.begin.view, rate)?);
            folder.describe(&self.begin.view)?;
        }
        let Some(output) = &mut self.file else { return Ok(()) };
        let mut left = missing;
        while left > 0 {
            let some = left.min(MOST_SILENCE);
            let silence = output.sound.silence(rate, some);
            output.put(silence, false)?;
            self.frames += some;
            left -= some;
        }
        let bytes = output.sound.bytes(rate, samples);
        output.put(bytes, false)?;
        self.frames += (samples.len() / (2 * rate.frame())) as u64;
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let view = &mut self.begin.view;
        view.duration_ms = self.frames * 20;
        let after = Duration::from_millis(view.duration_ms);
        view.ended_at = view.started_at.checked_add(after).ok();
        let Some(output) = &mut self.file else { return Ok(()) };
        let last = output.sound.end();
        output.put(last, true)?;
        if view.format == Format::Wav && output.seal.is_none() {
            let header = wav::header(output.rate, Some(output.bytes - wav::HEADER as u64));
            output.file.seek(SeekFrom::Start(0))?;
            output.file.write_all(&header)?;
        }
        output.file.sync_data()
    }
}

impl Output {
    fn create(folder: &Folder, view: &RecordingView, rate: Rate) -> io::Result<Output> {
        let mut random = [0; 36];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let (salt, serial) = random.split_at(32);
        let serial = serial.iter().fold(0, |serial, byte| serial << 8 | u32::from(*byte));
        let (sound, first) = Sound::begin(view.format, rate, serial)
            .ok_or_else(|| io::Error::other("no encoder for it"))?;
        let mut file = folder.create(view)?;
        let mut seal = None;
        if let Some(key) = folder.key() {
            let salt = salt.try_into().map_err(io::Error::other)?;
            let preamble = seal::preamble(salt);
            file.write_all(&preamble)?;
            seal = Seal::of(key, &preamble);
            if seal.is_none() {
                return Err(io::Error::other("it cannot be encrypted"));
            }
        }
        let mut output = Output { file, rate, sound, seal, bytes: 0 };
        output.put(first, false)?;
        Ok(output)
    }

    fn put(&mut self, bytes: Vec<u8>, last: bool) -> io::Result<()> {
        if bytes.is_empty() && !last {
            return Ok(());
        }
        self.bytes += bytes.len() as u64;
        match &mut self.seal {
            None => self.file.write_all(&bytes),
            Some(seal) => {
                let sealed = seal.seal(&bytes, last);
                let sealed = sealed.ok_or_else(|| io::Error::other("it cannot be encrypted"))?;
                self.file.write_all(&sealed)
            }
        }
    }
}

/// Blocks of all taps that wait for the disk: each tap has at most 16 of its own.
const WAITING: usize = 8192;
/// How often those are looked for whose end was not said.
const LOOK: Duration = Duration::from_secs(1);
/// How long blocks may wait for the writer, of the 3.2 s that a tap has room for.
const GATHER: Duration = Duration::from_millis(50);
const SWEEP: Duration = Duration::from_secs(3600);
/// Frames of silence written at once: 10 s.
const MOST_SILENCE: u64 = 500;

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
