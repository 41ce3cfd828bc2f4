//! The spool: records appended to a local file by a thread of its own, durable before the answer.
//!
//! Group commit: what has queued up while the disk was busy is written and synced together, so the
//! disk's sync rate bounds the latency and not the number of calls.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot, watch};

use super::OpenError;
use super::frame;
use super::journal::{Journal, Position};
use crate::call::Record;

/// The appending side.
#[derive(Debug)]
pub(super) struct Spool {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    bytes: Arc<AtomicU64>,
}

/// The draining side, for the writer.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) journal: Journal,
    pub(super) position: Position,
    pub(super) tail: watch::Receiver<Position>,
    pub(super) bytes: Arc<AtomicU64>,
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
        let waiting: u64 = segments
            .iter()
            .filter(|segment| **segment >= position.segment)
            .map(|segment| journal.len(*segment))
            .sum::<u64>()
            .saturating_sub(position.offset);
        let bytes = Arc::new(AtomicU64::new(waiting));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (told, watched) = watch::channel(tail);
        let appender = Appender {
            journal: journal.clone(),
            file,
            tail,
            told,
            bytes: Arc::clone(&bytes),
            _lock: Arc::clone(&lock),
        };
        std::thread::Builder::new()
            .name("spool".into())
            .spawn(move || appender.run(queue))
            .map_err(unusable)?;
        let spool = Spool { jobs: Mutex::new(Some(jobs)), bytes: Arc::clone(&bytes) };
        Ok((spool, Drain { journal, position, tail: watched, bytes, _lock: lock }))
    }

    /// Returns when the record is on disk.
    pub(super) async fn append(&self, record: &Record) -> Result<(), AppendError> {
        let mut line = Vec::new();
        frame::encode(record, &mut line).map_err(|e| AppendError::Disk(e.to_string()))?;
        if line.len() > MAX_FRAME {
            return Err(AppendError::TooLarge(line.len()));
        }
        let jobs = self.jobs.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let (done, ack) = oneshot::channel();
        jobs.ok_or(AppendError::Closed)?
            .send(Job { line, done })
            .await
            .map_err(|_| AppendError::Closed)?;
        ack.await.unwrap_or(Err(AppendError::Closed))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
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
struct Job {
    line: Vec<u8>,
    done: oneshot::Sender<Result<(), AppendError>>,
}

/// The thread's own.
struct Appender {
    journal: Journal,
    file: File,
    tail: Position,
    told: watch::Sender<Position>,
    bytes: Arc<AtomicU64>,
    _lock: Arc<File>,
}

impl Appender {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut group = Vec::new();
        let mut buffer = Vec::new();
        while let Some(first) = queue.blocking_recv() {
            group.push(first);
            while group.len() < QUEUE
                && let Ok(job) = queue.try_recv()
            {
                group.push(job);
            }
            buffer.clear();
            group.iter().for_each(|job| buffer.extend_from_slice(&job.line));
            let result = self.commit(&buffer);
            for job in group.drain(..) {
                // The caller may have stopped waiting; the record is written all the same.
                let _ = job.done.send(result.clone());
            }
        }
    }

    /// All of the group is on disk, or none of it is in the file.
    fn commit(&mut self, buffer: &[u8]) -> Result<(), AppendError> {
        let waiting = self.bytes.load(Ordering::Relaxed);
        if waiting + buffer.len() as u64 > MAX_SPOOL_BYTES {
            return Err(AppendError::Full(waiting));
        }
        let disk = |error: io::Error| AppendError::Disk(error.to_string());
        if self.tail.offset >= SEGMENT_BYTES {
            let segment = self.tail.segment + 1;
            let (file, offset) = self.journal.open_tail(segment).map_err(disk)?;
            self.file = file;
            self.tail = Position { segment, offset };
        }
        if let Err(error) = self.file.write_all(buffer).and_then(|()| self.file.sync_data()) {
            // Back to the last whole line, so that a later append does not follow half a line.
            let _ = self.file.set_len(self.tail.offset);
            let _ = self.file.seek(SeekFrom::Start(self.tail.offset));
            return Err(disk(error));
        }
        self.tail.offset += buffer.len() as u64;
        self.bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.told.send_replace(self.tail);
        Ok(())
    }
}

/// Appends that may wait at once; the next one waits for a place.
const QUEUE: usize = 1024;

/// A segment is closed at this size: small enough to read again after a crash in an instant.
pub(super) const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// No record is near this size; the reader's buffer always holds one.
pub(super) const MAX_FRAME: usize = 64 * 1024;

/// About two million records.
const MAX_SPOOL_BYTES: u64 = 1024 * 1024 * 1024;
