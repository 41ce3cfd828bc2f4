//! The spool's files: numbered segments, `00000001.log` and up, and `position`, how far SQL has them.
//!
//! The one who appends makes segments; the one who drains deletes those that are wholly in SQL, but
//! for the last one of them.
//! `position` is a hint: losing it means reading again what the database already has, and writing by
//! key makes that harmless.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::frame::{self, Frame};
use crate::call::Record;

/// A place between two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// The folder of the segments.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    folder: PathBuf,
}

impl Journal {
    pub(super) fn new(folder: &Path) -> io::Result<Journal> {
        fs::create_dir_all(folder)?;
        Ok(Journal { folder: folder.to_owned() })
    }

    /// The numbers of the segments that exist, rising.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            found.extend(name.to_str().and_then(|n| n.strip_suffix(".log")?.parse::<u64>().ok()));
        }
        found.sort_unstable();
        Ok(found)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a segment holds; nothing where there is none.
    pub(super) fn bytes(&self, segment: u64) -> io::Result<Vec<u8>> {
        match fs::read(self.path(segment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    /// Bytes of a segment.
    pub(super) fn len(&self, segment: u64) -> u64 {
        fs::metadata(self.path(segment)).map_or(0, |meta| meta.len())
    }

    /// Opens a segment for appending, cutting off a torn last line (a crash while writing).
    pub(super) fn open_tail(&self, segment: u64) -> io::Result<(File, u64)> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(self.path(segment))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at as u64 + 1);
        if whole != bytes.len() as u64 {
            file.set_len(whole)?;
        }
        file.seek(SeekFrom::Start(whole))?;
        // The name of a new file is durable only with its folder.
        File::open(&self.folder)?.sync_all()?;
        Ok((file, whole))
    }

    /// Records from a place on, up to `tail` and about [`BATCH_BYTES`], and the place after them.
    pub(super) fn read(&self, from: Position, tail: Position) -> io::Result<Batch> {
        let mut batch = Batch { records: Vec::new(), end: from, corrupt: Vec::new() };
        let mut file = match File::open(self.path(from.segment)) {
            Ok(file) => file,
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && from.segment < tail.segment =>
            {
                batch.end = Position { segment: from.segment + 1, offset: 0 };
                return Ok(batch);
            }
            Err(error) => return Err(error),
        };
        let limit = if from.segment == tail.segment { tail.offset } else { self.len(from.segment) };
        file.seek(SeekFrom::Start(from.offset))?;
        let mut bytes = Vec::new();
        file.take(limit.saturating_sub(from.offset).min(BATCH_BYTES)).read_to_end(&mut bytes)?;
        let mut rest = &bytes[..];
        loop {
            match frame::decode(rest) {
                Frame::Record(record, taken) => {
                    batch.records.push(*record);
                    batch.end.offset += taken as u64;
                    rest = &rest[taken..];
                }
                Frame::Corrupt(taken) => {
                    batch.corrupt.push(rest[..taken].to_vec());
                    batch.end.offset += taken as u64;
                    rest = &rest[taken..];
                }
                Frame::Torn => break,
            }
        }
        if batch.end == from {
            if !bytes.is_empty() {
                // No line end in the whole window: nothing that was ever committed looks so.
                batch.end.offset += bytes.len() as u64;
                batch.corrupt.push(bytes);
            } else if from.segment < tail.segment {
                batch.end = Position { segment: from.segment + 1, offset: 0 };
            }
        }
        Ok(batch)
    }

    /// Where the last run's drain stood; the oldest segment's start where it is not known.
    pub(super) fn load_position(&self) -> io::Result<Position> {
        let first = self.segments()?.first().copied().unwrap_or(1);
        let start = Position { segment: first, offset: 0 };
        let text = fs::read_to_string(self.folder.join("position")).unwrap_or_default();
        let known = text.trim().split_once(' ').and_then(|(segment, offset)| {
            Some(Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
        });
        Ok(known.filter(|at| *at >= start && at.offset <= self.len(at.segment)).unwrap_or(start))
    }

    /// Notes how far SQL has it and deletes the segments before.
    pub(super) fn save_position(&self, at: Position) -> io::Result<()> {
        let temporary = self.folder.join("position.new");
        fs::write(&temporary, format!("{} {}\n", at.segment, at.offset))?;
        fs::rename(&temporary, self.folder.join("position"))?;
        // The one before the current one stays: a crash may tear the current one's head.
        for done in self.segments()?.into_iter().filter(|segment| segment + 1 < at.segment) {
            fs::remove_file(self.path(done))?;
        }
        Ok(())
    }

    /// Sets a record aside that the database will never take.
    pub(super) fn set_aside(&self, record: &Record) -> io::Result<()> {
        let mut line = Vec::new();
        frame::encode(record, &mut line).map_err(io::Error::other)?;
        self.append_to("refused", &line)
    }

    /// Sets lines aside that are no records: somebody may still read something in them.
    pub(super) fn keep_damaged(&self, lines: &[Vec<u8>]) -> io::Result<()> {
        self.append_to("damaged", &lines.concat())
    }

    fn append_to(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.folder.join(name))?;
        file.write_all(bytes)?;
        file.sync_data()
    }

    /// Takes the folder for this process; the lock goes with the file.
    pub(super) fn lock(&self) -> io::Result<File> {
        let file = File::create(self.folder.join("lock"))?;
        file.try_lock().map_err(io::Error::from)?;
        Ok(file)
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.folder.join(format!("{segment:08}.log"))
    }
}

/// What one reading gave.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    pub(super) end: Position,
    /// Lines that are no records.
    pub(super) corrupt: Vec<Vec<u8>>,
}

/// Bounds the writer's memory; a record has about 600 bytes and always fits
/// ([`super::spool::MAX_FRAME`]).
const BATCH_BYTES: u64 = 256 * 1024;
