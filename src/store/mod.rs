//! Records on disk and in SQL (SQLite, PostgreSQL).
//!
//! A record is durable when it is in the spool, a local append-only file; a task of its
//! own carries it into SQL, exactly once by key, whenever the database lets it. Nothing on a call's
//! path waits for SQL. A leaf: imports the call's record, is used by `gateway` and `api`.

mod cursor;
mod database;
mod filter;
mod frame;
mod history;
mod inspect;
mod ivr_runs;
mod journal;
mod open_calls;
mod plan_versions;
mod settings;
mod spool;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::base::CallId;
use crate::call::Record;

pub use cursor::{Cursor, CursorError};
pub use database::{OpenError, ReadError};
pub use filter::Filter;
pub use history::{Past, PastCall};
pub use inspect::{Inspection, inspect, is_held};
pub use ivr_runs::KeepError;
pub use plan_versions::KeptPlan;
pub use settings::Settings;
pub use spool::AppendError;

use database::Database;
use spool::Spool;

/// The records of calls: durable appends and paged reads.
#[derive(Debug)]
pub struct Store {
    spool: Arc<Spool>,
    database: Database,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// How the spool stands, and what became of records since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolState {
    /// Bytes of records that are not in SQL yet.
    pub bytes: u64,
    /// Bytes of records that the disk did not take: in memory alone, and tried again.
    pub unwritten_bytes: u64,
    /// For how long nothing went into SQL though something waits.
    pub behind: Duration,
    /// Records that neither the disk nor the memory had room for.
    pub lost: u64,
    /// Lines of the spool that could not be read.
    pub damaged: u64,
}

impl Store {
    /// Opens the spool and the database, migrates the database, and starts to drain what an earlier
    /// run left in the spool. Calls that an earlier run left open get their end.
    ///
    /// A server that this spool's records went to before may be away: the records wait for it. One
    /// that was never there is an error, since its address may be wrong.
    ///
    /// # Errors
    /// [`OpenError`] in one line that says what is wrong and where.
    pub async fn open(settings: &Settings) -> Result<Store, OpenError> {
        let folder = settings.spool_folder();
        let known = Known::new(&folder, &settings.url);
        let database = match Database::open(&settings.url).await {
            Err(OpenError::Away { reason }) if known.is_known() => {
                tracing::warn!(reason, "the database is away; records wait in the spool");
                Database::later(&settings.url)?
            }
            Err(OpenError::Away { reason }) => return Err(OpenError::Unreachable { reason }),
            other => other?,
        };
        let (spool, drain) = Spool::open(&folder)?;
        known.remember();
        let spool = Arc::new(spool);
        tokio::spawn(beat(Arc::downgrade(&spool)));
        let writer = tokio::spawn(writer::run(drain, database.clone()));
        Ok(Store { spool, database, writer: Mutex::new(Some(writer)) })
    }

    /// Makes a record durable: when this returns it is on disk and will be in SQL once.
    ///
    /// # Errors
    /// The disk does not take it; the call goes on without.
    pub async fn append(&self, record: &Record) -> Result<(), AppendError> {
        self.spool.append(record).await
    }

    /// The records that started before the cursor, newest first, at most `limit` (1 to 1000), and
    /// the cursor of the next page where there is one.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn records(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<(Vec<Record>, Option<Cursor>), ReadError> {
        let limit = limit.clamp(1, 1000) as usize;
        let mut records = self.database.list(after, limit as i64 + 1).await?;
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(Cursor::of);
        Ok((records, next))
    }

    /// The same of those that a filter lets through.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn search(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<(Vec<Record>, Option<Cursor>), ReadError> {
        if *filter == Filter::default() {
            return self.records(after, limit).await;
        }
        let limit = limit.clamp(1, 1000) as usize;
        let mut records = self.database.search(filter, after, limit as i64 + 1).await?;
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(Cursor::of);
        Ok((records, next))
    }

    /// The latest record of one call.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn record(&self, id: CallId) -> Result<Option<Record>, ReadError> {
        self.database.find(id).await
    }

    /// What users have called up to `now`; `long` is how long a call makes its country known.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn past(&self, now: Timestamp, long: Duration) -> Result<Past, ReadError> {
        Past::read(&self.database, now, long).await
    }

    /// Whether the database answers now.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), ReadError> {
        self.database.ping().await
    }

    fn database(&self) -> &Database {
        &self.database
    }

    /// Bytes in the spool that are not in SQL yet, for the metric.
    pub fn spool_bytes(&self) -> u64 {
        self.spool_state().bytes
    }

    /// How the spool stands, for the metrics.
    pub fn spool_state(&self) -> SpoolState {
        let figures = self.spool.figures();
        let read = |own: &AtomicU64| own.load(Ordering::Relaxed);
        SpoolState {
            bytes: read(&figures.bytes),
            unwritten_bytes: read(&figures.unwritten),
            behind: figures.behind(),
            lost: read(&figures.lost),
            damaged: read(&figures.damaged),
        }
    }

    /// Takes no more records, lets the writer finish for at most `patience`, and closes. What is not
    /// in SQL by then stays in the spool for the next start.
    pub async fn close(&self, patience: Duration) {
        self.spool.close();
        let writer = self.writer.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(mut writer) = writer
            && tokio::time::timeout(patience, &mut writer).await.is_err()
        {
            writer.abort();
            tracing::warn!(
                spool_bytes = self.spool_bytes(),
                "the database did not take all records; they stay in the spool"
            );
        }
        self.database.close().await;
    }
}

/// Keeps the spool's time until it is closed.
async fn beat(spool: Weak<Spool>) {
    let mut step = tokio::time::interval(spool::BEAT);
    loop {
        step.tick().await;
        if !spool.upgrade().is_some_and(|spool| spool.beat()) {
            return;
        }
    }
}

/// Whether the records of a spool went to this database before. Kept beside the spool, as a digest,
/// since the URL may hold a password.
struct Known {
    file: PathBuf,
    digest: String,
}

impl Known {
    fn new(folder: &Path, url: &str) -> Known {
        let digest = Sha256::digest(url).iter().map(|byte| format!("{byte:02x}")).collect();
        Known { file: folder.join("database"), digest }
    }

    fn is_known(&self) -> bool {
        std::fs::read_to_string(&self.file).is_ok_and(|digest| digest == self.digest)
    }

    fn remember(&self) {
        if let Err(error) = std::fs::write(&self.file, &self.digest) {
            tracing::warn!(%error, "which database the spool belongs to cannot be noted");
        }
    }
}

#[cfg(test)]
mod tests;
