//! The task that carries the spool into SQL.
//!
//! A batch is written by key in one transaction, then the position is noted. A crash in between
//! writes the batch again, which changes nothing. When the database is locked, away or full it waits
//! and tries again; the spool on disk grows, memory does not.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::database::{Database, WriteError};
use super::journal::{Batch, Position};
use super::spool::Drain;
use crate::call::Record;

/// Runs until the appending side is gone and everything is in SQL.
pub(super) async fn run(mut drain: Drain, database: Database) {
    let mut wait = SHORTEST_WAIT;
    while let Err(reason) = database.prepare().await {
        tracing::warn!(reason, wait_ms = wait.as_millis(), "records wait for the database");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    loop {
        let tail = *drain.tail.borrow_and_update();
        if drain.position >= tail {
            // Cancel safe: `changed` only waits.
            match drain.tail.changed().await {
                Ok(()) => continue,
                Err(_) if *drain.tail.borrow() == tail => return,
                Err(_) => continue,
            }
        }
        let batch = match read(&drain, tail).await {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(%error, "the spool cannot be read");
                tokio::time::sleep(LONGEST_WAIT).await;
                continue;
            }
        };
        if !batch.corrupt.is_empty() {
            let (lines, Position { segment, offset }) = (batch.corrupt.len(), drain.position);
            drain.figures.damaged.fetch_add(lines as u64, Ordering::Relaxed);
            tracing::error!(
                lines,
                segment,
                offset,
                "lines of the spool are damaged; they are set aside in `damaged`"
            );
            if let Err(error) = drain.journal.keep_damaged(&batch.corrupt) {
                tracing::error!(%error, "the damaged lines cannot be set aside");
            }
        }
        write(&drain, &database, &batch.records).await;
        let advanced = advanced(&drain, drain.position, batch.end);
        drain.position = batch.end;
        drain.figures.moves();
        let _ = drain.figures.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bytes| {
            Some(bytes.saturating_sub(advanced))
        });
        if let Err(error) = drain.journal.save_position(drain.position) {
            tracing::warn!(%error, "the spool's position cannot be saved");
        }
    }
}

async fn read(drain: &Drain, tail: Position) -> io::Result<Batch> {
    let (journal, from) = (drain.journal.clone(), drain.position);
    tokio::task::spawn_blocking(move || journal.read(from, tail)).await.map_err(io::Error::other)?
}

/// Bytes between two places that are in one segment or at a segment's end.
fn advanced(drain: &Drain, from: Position, to: Position) -> u64 {
    if from.segment == to.segment {
        to.offset - from.offset
    } else {
        drain.journal.len(from.segment).saturating_sub(from.offset)
    }
}

/// Returns when every record is in SQL or set aside.
async fn write(drain: &Drain, database: &Database, records: &[Record]) {
    match persist(database, records).await {
        Ok(()) => {}
        Err(_) => {
            // One of them is refused for what it is: the others go in one by one.
            for record in records {
                if let Err(reason) = persist(database, std::slice::from_ref(record)).await {
                    tracing::error!(call.id = %record.id, reason, "the database refuses a record; it is set aside in `refused`");
                    if let Err(error) = drain.journal.set_aside(record) {
                        tracing::error!(%error, "the refused record cannot be set aside");
                    }
                }
            }
        }
    }
}

/// Tries until the database takes the batch or refuses it for what it is.
async fn persist(database: &Database, records: &[Record]) -> Result<(), String> {
    let mut wait = SHORTEST_WAIT;
    loop {
        match database.upsert(records).await {
            Ok(()) => return Ok(()),
            Err(WriteError::Refused(reason)) => return Err(reason),
            Err(WriteError::Unavailable(reason)) => {
                tracing::warn!(reason, wait_ms = wait.as_millis(), "records wait for the database");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// Short enough that records are there soon after a database comes back.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
