//! Runs of tests of voice menus, as they were reported: the newest 200. What is in them is JSON that the
//! API reads and writes; here it is text.

use sqlx::Row;

use super::Store;
use super::database::{Database, ReadError, WriteError, in_time, on};
use crate::base::RunId;

/// What was reported is not in the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be kept: {0}")]
pub struct KeepError(pub(super) String);

impl From<WriteError> for KeepError {
    fn from(error: WriteError) -> KeepError {
        match error {
            WriteError::Unavailable(words) | WriteError::Refused(words) => KeepError(words),
        }
    }
}

impl Store {
    /// Keeps a run: its JSON as lists show it, and the whole. The oldest beyond 200 is gone then.
    ///
    /// # Errors
    /// The database does not take it now.
    pub async fn keep_run(&self, id: RunId, summary: &str, run: &str) -> Result<(), KeepError> {
        Ok(self.database().keep_run(id, summary, run).await?)
    }

    /// Summaries of the runs before `before`, the newest first, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn runs(&self, before: Option<RunId>, limit: u32) -> Result<Vec<String>, ReadError> {
        self.database().runs(before, i64::from(limit)).await
    }

    /// One run as a whole.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn run(&self, id: RunId) -> Result<Option<String>, ReadError> {
        self.database().run(id).await
    }
}

impl Database {
    async fn keep_run(&self, id: RunId, summary: &str, run: &str) -> Result<(), WriteError> {
        on!(self, pool => {
            in_time(sqlx::query(KEEP).bind(id.to_string()).bind(summary).bind(run).execute(pool))
                .await?;
            in_time(sqlx::query(FORGET).bind(MOST_RUNS).execute(pool)).await?;
        });
        Ok(())
    }

    async fn runs(&self, before: Option<RunId>, limit: i64) -> Result<Vec<String>, ReadError> {
        // Behind every id there is.
        let before = before.map_or_else(|| "s".to_owned(), |before| before.to_string());
        on!(self, pool => in_time(sqlx::query(LIST).bind(before).bind(limit).fetch_all(pool))
            .await?
            .into_iter()
            .map(|row| Ok(row.try_get("summary")?))
            .collect())
    }

    async fn run(&self, id: RunId) -> Result<Option<String>, ReadError> {
        on!(self, pool => in_time(sqlx::query(FIND).bind(id.to_string()).fetch_optional(pool))
            .await?
            .map(|row| Ok(row.try_get("run")?))
            .transpose())
    }
}

/// A pipeline's runs of some weeks.
const MOST_RUNS: i64 = 200;

const KEEP: &str = "INSERT INTO ivr_runs (id, summary, run) VALUES ($1, $2, $3)";
const FORGET: &str = "
DELETE FROM ivr_runs WHERE id NOT IN (SELECT id FROM ivr_runs ORDER BY id DESC LIMIT $1)";
const LIST: &str = "SELECT summary FROM ivr_runs WHERE id < $1 ORDER BY id DESC LIMIT $2";
const FIND: &str = "SELECT run FROM ivr_runs WHERE id = $1";
