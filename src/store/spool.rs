//! The spool: records appended to a local file by a thread of its own, durable before the answer.
//!
//! Group commit: what has queued up while the disk was busy is written and synced together, so the
//! disk's sync rate bounds the latency and not the number of calls. What a full disk refuses is kept in
//! memory, up to a bound, and tried again until it is taken.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use super::OpenError;
use super::frame;
use super::journal::{Journal, Position};
use super::open_calls::{self, Key, OpenCalls};
use crate::call::Record;

/// The appending side.
#[derive(Debug)]
pub(super) struct Spool {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    figures: Arc<Figures>,
}

/// How the spool stands and what became of records, for whoever watches.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Bytes that are not in SQL yet.
    pub(super) bytes: AtomicU64,
    /// Bytes that the disk did not take; they are in memory alone.
    pub(super) unwritten: AtomicU64,
    /// Records that neither the disk nor the memory could hold.
    pub(super) lost: AtomicU64,
    /// Lines of the disk that cannot be read.
    pub(super) damaged: AtomicU64,
    /// When SQL last took some, or began to be waited for: ms since 1970.
    pub(super) moved_ms: AtomicU64,
}

impl Figures {
    /// SQL took some, or is waited for from now on.
    pub(super) fn moves(&self) {
        self.moved_ms.store(unix_ms(), Ordering::Relaxed);
    }

    /// For how long nothing went into SQL though something waits.
    pub(super) fn behind(&self) -> Duration {
        if self.bytes.load(Ordering::Relaxed) == 0 {
            return Duration::ZERO;
        }
        let moved = self.moved_ms.load(Ordering::Relaxed);
        Duration::from_millis(unix_ms().saturating_sub(moved))
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The draining side, for the writer.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) journal: Journal,
    pub(super) position: Position,
    pub(super) tail: watch::Receiver<Position>,
    pub(super) figures: Arc<Figures>,
    /// Held as long as anybody works in the folder.
    _lock: Arc<File>,
}

impl Spool {
    /// Opens the folder, repairs the tail and starts the thread.
    pub(super) fn open(folder: &Path) -> Result<(Spool, Drain), OpenError> {
        let unusable = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::SpoolInUse { folder: folder.to_owned() },
            _ => OpenError::Spool { folder: folder.to_owned(), reason: error.to_string() },
        };
        let journal = Journal::new(folder).map_err(unusable)?;
        let lock = Arc::new(journal.lock().map_err(unusable)?);
        let position = journal.load_position().map_err(unusable)?;
        let segments = journal.segments().map_err(unusable)?;
        let last = segments.last().copied().unwrap_or(position.segment);
        let (file, offset) = journal.open_tail(last).map_err(unusable)?;
        let tail = Position { segment: last, offset };
        let left = OpenCalls::left_behind(&journal, tail).map_err(unusable)?;
        let waiting: u64 = segments
            .iter()
            .filter(|segment| **segment >= position.segment)
            .map(|segment| journal.len(*segment))
            .sum::<u64>()
            .saturating_sub(position.offset);
        let figures = Arc::new(Figures { bytes: waiting.into(), ..Figures::default() });
        figures.moves();
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (told, watched) = watch::channel(tail);
        let mut appender = Appender {
            journal: journal.clone(),
            file,
            tail,
            told,
            figures: figures.clone(),
            open: OpenCalls::default(),
            backlog: Vec::new(),
            _lock: Arc::clone(&lock),
        };
        appender.end_calls(&left)?;
        std::thread::Builder::new()
            .name("spool".into())
            .spawn(move || appender.run(queue))
            .map_err(unusable)?;
        let spool = Spool { jobs: Mutex::new(Some(jobs)), figures: figures.clone() };
        Ok((spool, Drain { journal, position, tail: watched, figures, _lock: lock }))
    }

    /// Returns when the record is on disk.
    pub(super) async fn append(&self, record: &Record) -> Result<(), AppendError> {
        let line = Line::of(record)?;
        let (done, ack) = oneshot::channel();
        let jobs = self.jobs().ok_or(AppendError::Closed)?;
        jobs.send(Job::Append(line, done)).await.map_err(|_| AppendError::Closed)?;
        ack.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Due every [`BEAT`]: notes that the gateway lives and tries again what the disk refused.
    /// `false` when the spool is closed.
    pub(super) fn beat(&self) -> bool {
        match self.jobs() {
            // A full queue is being worked off, which is as good.
            Some(jobs) => !matches!(jobs.try_send(Job::Beat), Err(TrySendError::Closed(_))),
            None => false,
        }
    }

    fn jobs(&self) -> Option<mpsc::Sender<Job>> {
        self.jobs.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }

    /// No more appends; the thread finishes what it has and ends.
    pub(super) fn close(&self) {
        self.jobs.lock().unwrap_or_else(|e| e.into_inner()).take();
    }
}

/// Why a record is not on disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The disk refused; the text is the system's.
    #[error("the record cannot be written: {0}")]
    Disk(String),
    /// The spool holds as much as it may: the database has been away for too long.
    #[error("the spool is full ({0} bytes wait for the database)")]
    Full(u64),
    /// The record is larger than any record should be.
    #[error("a record of {0} bytes is too large")]
    TooLarge(usize),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

#[derive(Debug)]
enum Job {
    Append(Line, oneshot::Sender<Result<(), AppendError>>),
    Beat,
}

/// A record as it is written.
#[derive(Debug)]
struct Line {
    key: Key,
    ended: bool,
    bytes: Vec<u8>,
}

impl Line {
    fn of(record: &Record) -> Result<Line, AppendError> {
        let mut bytes = Vec::new();
        frame::encode(record, &mut bytes).map_err(|e| AppendError::Disk(e.to_string()))?;
        if bytes.len() > MAX_FRAME {
            return Err(AppendError::TooLarge(bytes.len()));
        }
        Ok(Line { key: open_calls::key(record), ended: record.ended_at.is_some(), bytes })
    }
}

/// The thread's own.
struct Appender {
    journal: Journal,
    file: File,
    tail: Position,
    told: watch::Sender<Position>,
    figures: Arc<Figures>,
    open: OpenCalls,
    /// Lines that the disk refused, oldest first.
    backlog: Vec<u8>,
    _lock: Arc<File>,
}

impl Appender {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut waiting = Vec::new();
        let mut buffer = Vec::new();
        while let Some(first) = queue.blocking_recv() {
            buffer.clear();
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Append(line, done) => {
                        self.open.note(line.key, line.ended, &line.bytes);
                        buffer.extend_from_slice(&line.bytes);
                        waiting.push(done);
                    }
                    // Of no use where no call is on; a disk should rest.
                    Job::Beat if !self.open.is_empty() => {
                        if let Err(error) = open_calls::beat(self.journal.folder()) {
                            tracing::debug!(%error, "the sign of life cannot be written");
                        }
                    }
                    Job::Beat => {}
                }
                next = if waiting.len() < QUEUE { queue.try_recv().ok() } else { None };
            }
            let result = self.commit(&buffer, waiting.len());
            for done in waiting.drain(..) {
                // The caller may have stopped waiting; the record is written all the same.
                let _ = done.send(result.clone());
            }
        }
        if !self.backlog.is_empty() && self.commit(&[], 0).is_err() {
            tracing::error!(bytes = self.backlog.len(), "records are lost: the disk takes nothing");
        }
    }

    /// Writes the ends of calls that an earlier run left open.
    fn end_calls(&mut self, ended: &[Record]) -> Result<(), OpenError> {
        if ended.is_empty() {
            return Ok(());
        }
        let unusable =
            |reason: String| OpenError::Spool { folder: self.journal.folder().to_owned(), reason };
        let mut buffer = Vec::new();
        for record in ended {
            let line = Line::of(record).map_err(|error| unusable(error.to_string()))?;
            buffer.extend_from_slice(&line.bytes);
        }
        tracing::warn!(
            calls = ended.len(),
            "calls were on when the gateway stopped; their records are ended"
        );
        // A disk that is full now takes them later; the next start would find them again, too.
        let _ = self.commit(&buffer, ended.len());
        Ok(())
    }

    /// All of the group is on disk, or none of it is in the file and it waits in the backlog.
    fn commit(&mut self, group: &[u8], records: usize) -> Result<(), AppendError> {
        if group.is_empty() && self.backlog.is_empty() {
            return Ok(());
        }
        let waiting = self.figures.bytes.load(Ordering::Relaxed);
        if waiting + group.len() as u64 > MAX_SPOOL_BYTES {
            self.figures.lost.fetch_add(records as u64, Ordering::Relaxed);
            return Err(AppendError::Full(waiting));
        }
        match self.write(group) {
            Ok(()) => {
                if !self.backlog.is_empty() {
                    tracing::info!(bytes = self.backlog.len(), "the disk takes records again");
                    self.backlog = Vec::new();
                    self.figures.unwritten.store(0, Ordering::Relaxed);
                }
                Ok(())
            }
            Err(error) => {
                if self.backlog.len() + group.len() <= MAX_BACKLOG {
                    self.backlog.extend_from_slice(group);
                    self.figures.unwritten.store(self.backlog.len() as u64, Ordering::Relaxed);
                } else {
                    self.figures.lost.fetch_add(records as u64, Ordering::Relaxed);
                    tracing::error!(
                        bytes = group.len(),
                        "records are lost: the disk takes nothing"
                    );
                }
                Err(AppendError::Disk(error.to_string()))
            }
        }
    }

    fn write(&mut self, group: &[u8]) -> io::Result<()> {
        let mut head = Vec::new();
        if self.tail.offset >= SEGMENT_BYTES {
            let segment = self.tail.segment + 1;
            let (file, offset) = self.journal.open_tail(segment)?;
            self.file = file;
            self.tail = Position { segment, offset };
        }
        if self.tail.offset == 0 {
            self.open.lines().for_each(|line| head.extend_from_slice(line));
        }
        let parts = [&head[..], &self.backlog, group];
        let written = parts.iter().try_for_each(|part| self.file.write_all(part));
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // Back to the last whole line, so that a later append does not follow half a line.
            let _ = self.file.set_len(self.tail.offset);
            let _ = self.file.seek(SeekFrom::Start(self.tail.offset));
            return Err(error);
        }
        let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
        self.tail.offset += length;
        if self.figures.bytes.fetch_add(length, Ordering::Relaxed) == 0 {
            self.figures.moves();
        }
        self.told.send_replace(self.tail);
        Ok(())
    }
}

/// How often a sign of life is written while a call is on, and a disk that refused is tried again.
pub(super) const BEAT: Duration = Duration::from_secs(2);

/// Some ten thousand records of a disk that is full.
const MAX_BACKLOG: usize = 8 * 1024 * 1024;

/// Appends that may wait at once; the next one waits for a place.
const QUEUE: usize = 1024;

/// A segment is closed at this size: small enough to read again after a crash in an instant.
pub(super) const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// No record is near this size; the reader's buffer always holds one.
pub(super) const MAX_FRAME: usize = 64 * 1024;

/// About two million records.
const MAX_SPOOL_BYTES: u64 = 1024 * 1024 * 1024;
