//! The recordings on disk: a folder a day, a file each and its description beside it.
//!
//! ```text
//! recordings/2026-11-21/rec_01J….wav          or .opus; .wav.sealed and .opus.sealed where encrypted
//! recordings/2026-11-21/rec_01J….json         what it is; no number and no name is in it
//! ```
//!
//! The day is in the id, so one is found without a list of all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::seal::{self, Seal, SealKey};
use super::settings::Format;
use super::wav;
use crate::base::{CallId, RecordingId};
use crate::host::make_private_folder;

/// What is known of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordingView {
    /// `rec_…`
    pub id: RecordingId,
    /// The call; its record names the recording.
    pub call: CallId,
    /// What kind of file it is.
    pub format: Format,
    /// Whether it is encrypted on the disk.
    pub encrypted: bool,
    /// When its sound begins (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended; `null` while it is on, or where the gateway was killed meanwhile.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Its length.
    pub duration_ms: u64,
    /// Sound that could not be kept in time; silence stands for it.
    #[serde(default)]
    pub lost_ms: u64,
    /// Why it is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The recordings of a gateway.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    key: Option<SealKey>,
}

impl Folder {
    /// Recordings in a folder that need not be there yet.
    pub fn new(path: PathBuf, key: Option<SealKey>) -> Folder {
        Folder { path, key }
    }

    /// The newest first, from the one before `before` on. Reads the disk.
    pub fn list(&self, before: Option<RecordingId>, limit: usize) -> Vec<RecordingView> {
        let first = before.map(day);
        let days = names(&self.path).into_iter().rev();
        let days = days.filter(|day| first.as_ref().is_none_or(|first| day <= first));
        let files = days.flat_map(|day| names(&self.path.join(day)).into_iter().rev());
        let ids = files.filter_map(|name| name.strip_suffix(".json")?.parse::<RecordingId>().ok());
        ids.filter(|id| before.is_none_or(|before| *id < before))
            .filter_map(|id| self.find(id))
            .take(limit)
            .collect()
    }

    /// One of them. Reads the disk.
    pub fn find(&self, id: RecordingId) -> Option<RecordingView> {
        serde_json::from_slice(&fs::read(self.beside(id, "json")).ok()?).ok()
    }

    /// Its sound, decrypted; `None` where there is none. Reads the disk.
    ///
    /// # Errors
    /// The system's; `InvalidData` where it is encrypted and the key does not open it.
    pub fn open(&self, id: RecordingId) -> io::Result<Option<Opened>> {
        let Some(view) = self.find(id) else { return Ok(None) };
        let file = match File::open(self.sound_path(&view)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        Opened::new(view, file, self.key.as_ref()).map(Some)
    }

    /// Deletes one; `false` where there is none. Waits for the disk.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, id: RecordingId) -> io::Result<bool> {
        let Some(view) = self.find(id) else { return Ok(false) };
        match fs::remove_file(self.sound_path(&view)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The description last: what could not be deleted is still listed.
        fs::remove_file(self.beside(id, "json"))?;
        // Fails while others are in it.
        let _ = fs::remove_dir(self.path.join(day(id)));
        Ok(true)
    }

    /// Deletes those that began before this moment; how many. Waits for the disk.
    pub fn sweep(&self, before_ms: u64) -> usize {
        let last = day(RecordingId::from_parts(before_ms, 0));
        let days = names(&self.path).into_iter().filter(|day| *day <= last);
        let files = days.flat_map(|day| names(&self.path.join(day)));
        let ids = files.filter_map(|name| name.strip_suffix(".json")?.parse::<RecordingId>().ok());
        let old: Vec<RecordingId> = ids.filter(|id| id.unix_ms() < before_ms).collect();
        old.into_iter().filter(|id| self.remove(*id).is_ok_and(|gone| gone)).count()
    }

    /// Ends the descriptions of those that began before this moment and that a gateway which was killed
    /// left open; how many. Waits for the disk.
    pub(super) fn end_unfinished(&self, before_ms: u64) -> usize {
        let files =
            names(&self.path).into_iter().flat_map(|day| names(&self.path.join(day)).into_iter());
        let ids = files.filter_map(|name| name.strip_suffix(".json")?.parse::<RecordingId>().ok());
        let open = ids.filter(|id| id.unix_ms() < before_ms).filter_map(|id| self.find(id));
        let open: Vec<RecordingView> = open.filter(|view| view.ended_at.is_none()).collect();
        let ended = open.into_iter().filter(|view| match self.end_cut(view.clone()) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(recording.id = %view.id, %error, "an unfinished recording stays so");
                false
            }
        });
        ended.count()
    }

    /// Its length is that of the sound that is there; of Opus, and of what the key does not open, the
    /// time of its last writing says it.
    fn end_cut(&self, mut view: RecordingView) -> io::Result<()> {
        let path = self.sound_path(&view);
        let data = match fs::metadata(&path) {
            // There is nothing to describe.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return fs::remove_file(self.beside(view.id, "json"));
            }
            data => data?,
        };
        let mut duration_ms = None;
        if view.format == Format::Wav
            && let Ok(Some(mut opened)) = self.open(view.id)
            && let Ok(Some(first)) = opened.next_bytes()
            && let Some(header) = first.get(..wav::HEADER)
        {
            duration_ms = wav::duration_ms(header);
            if !view.encrypted {
                OpenOptions::new().write(true).open(&path)?.write_all(header)?;
            }
        }
        let duration_ms = duration_ms.unwrap_or_else(|| {
            let written = data.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
            let since =
                written.map_or(0, |at| at.as_millisecond() - view.started_at.as_millisecond());
            u64::try_from(since).unwrap_or(0)
        });
        view.duration_ms = duration_ms;
        let after = std::time::Duration::from_millis(duration_ms);
        view.ended_at = view.started_at.checked_add(after).ok().or(Some(view.started_at));
        view.error = Some("the gateway ended before the recording did".to_owned());
        self.describe(&view)
    }

    /// A file for the sound that only its owner reads.
    pub(super) fn create(&self, view: &RecordingView) -> io::Result<File> {
        let path = self.sound_path(view);
        if let Some(folder) = path.parent() {
            make_private_folder(folder)?;
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    /// Writes a description, whole or not at all.
    pub(super) fn describe(&self, view: &RecordingView) -> io::Result<()> {
        let path = self.beside(view.id, "json");
        let fresh = self.beside(view.id, "new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(view)?)?;
        fs::rename(&fresh, path)
    }

    pub(super) fn key(&self) -> Option<&SealKey> {
        self.key.as_ref()
    }

    fn sound_path(&self, view: &RecordingView) -> PathBuf {
        let end = view.format.word();
        match view.encrypted {
            true => self.beside(view.id, &format!("{end}.sealed")),
            false => self.beside(view.id, end),
        }
    }

    fn beside(&self, id: RecordingId, end: &str) -> PathBuf {
        self.path.join(day(id)).join(format!("{id}.{end}"))
    }
}

/// A recording that is read from its beginning.
#[derive(Debug)]
pub struct Opened {
    /// What it is.
    pub view: RecordingView,
    file: BufReader<File>,
    seal: Option<Seal>,
    /// The bytes of a WAV file as far as it goes, until its header is given.
    wav: Option<u64>,
    last: bool,
}

impl Opened {
    fn new(view: RecordingView, file: File, key: Option<&SealKey>) -> io::Result<Opened> {
        let mut file = BufReader::new(file);
        let is_wav = view.format == Format::Wav;
        let mut length = file.get_ref().metadata()?.len();
        let mut opener = None;
        if view.encrypted {
            let mut preamble = [0; seal::PREAMBLE];
            file.read_exact(&mut preamble)?;
            opener = key.and_then(|key| Seal::of(key, &preamble));
            if opener.is_none() {
                return Err(no_key());
            }
            if is_wav {
                length = contents_of(&mut file)?;
                file.seek(SeekFrom::Start(seal::PREAMBLE as u64))?;
            }
        }
        let wav = is_wav.then_some(length);
        Ok(Opened { view, file, seal: opener, wav, last: false })
    }

    /// The next bytes; `None` at the end, or where a crash has cut it.
    ///
    /// # Errors
    /// The system's; `InvalidData` where the key is not the one it was encrypted with, or it was changed.
    pub fn next_bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        let bytes = match &mut self.seal {
            None => {
                let mut bytes = Vec::with_capacity(PIECE);
                (&mut self.file).take(PIECE as u64).read_to_end(&mut bytes)?;
                Some(bytes).filter(|bytes| !bytes.is_empty())
            }
            Some(_) if self.last => None,
            Some(opener) => match next_chunk(&mut self.file)? {
                None => None,
                Some((head, sealed, last)) => {
                    self.last = last;
                    Some(opener.open(head, sealed).ok_or_else(no_key)?)
                }
            },
        };
        Ok(match (bytes, self.wav.take()) {
            (Some(mut bytes), Some(length)) => {
                if let Some(header) = wav::corrected(&bytes, length) {
                    bytes[..wav::HEADER].copy_from_slice(&header);
                }
                Some(bytes)
            }
            (bytes, _) => bytes,
        })
    }
}

fn no_key() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the key does not open this recording")
}

/// The bytes that are in the whole chunks of a sealed file.
fn contents_of(file: &mut BufReader<File>) -> io::Result<u64> {
    let end = file.get_ref().metadata()?.len();
    let mut at = seal::PREAMBLE as u64;
    let mut contents = 0;
    let mut head = [0; seal::HEAD];
    while at + (seal::HEAD as u64) <= end && file.read_exact(&mut head).is_ok() {
        let Some((length, _)) = seal::chunk(head) else { break };
        at += (seal::HEAD + length) as u64;
        if at > end {
            break;
        }
        file.seek_relative(length as i64)?;
        contents += (length - seal::TAG) as u64;
    }
    Ok(contents)
}

/// A chunk as it is in the file: its head, its sealed contents, whether it is the last.
type Chunk = ([u8; seal::HEAD], Vec<u8>, bool);

/// The next chunk that is there as a whole, and whether it is the last.
fn next_chunk(file: &mut BufReader<File>) -> io::Result<Option<Chunk>> {
    let mut head = [0; seal::HEAD];
    let cut = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    match file.read_exact(&mut head) {
        Err(error) if cut(&error) => return Ok(None),
        read => read?,
    }
    let Some((length, last)) = seal::chunk(head) else { return Err(no_key()) };
    let mut sealed = vec![0; length];
    match file.read_exact(&mut sealed) {
        Err(error) if cut(&error) => Ok(None),
        read => read.map(|()| Some((head, sealed, last))),
    }
}

/// What is in a folder, in order; nothing where there is none.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The folder of the day on which a recording began, in UTC.
fn day(id: RecordingId) -> String {
    let ms = i64::try_from(id.unix_ms()).unwrap_or(i64::MAX);
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// Bytes read at once of a file that is not encrypted.
const PIECE: usize = 64 * 1024;
