//! Dial plans that were in force, beyond a restart: the newest 50 of all gateways of this database.

use jiff::Timestamp;
use sqlx::Row;

use super::database::{Database, ReadError, WriteError, in_time, on};
use super::{KeepError, Store};

/// A plan that was in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPlan {
    /// SHA-256 of the text, in hexadecimal.
    pub hash: String,
    /// Since when.
    pub loaded_at: Timestamp,
    /// Its text.
    pub text: String,
}

impl Store {
    /// Keeps a plan; the oldest beyond 50 is gone then.
    ///
    /// # Errors
    /// The database does not take it now.
    pub async fn keep_plan(&self, plan: &KeptPlan) -> Result<(), KeepError> {
        Ok(self.database().keep_plan(plan).await?)
    }

    /// The plans that are kept, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn plans(&self) -> Result<Vec<KeptPlan>, ReadError> {
        self.database().plans().await
    }
}

impl Database {
    async fn keep_plan(&self, plan: &KeptPlan) -> Result<(), WriteError> {
        let at = plan.loaded_at.as_millisecond();
        on!(self, pool => {
            in_time(sqlx::query(KEEP).bind(at).bind(&plan.hash).bind(&plan.text).execute(pool))
                .await?;
            in_time(sqlx::query(FORGET).bind(MOST_PLANS).execute(pool)).await?;
        });
        Ok(())
    }

    async fn plans(&self) -> Result<Vec<KeptPlan>, ReadError> {
        on!(self, pool => in_time(sqlx::query(LIST).fetch_all(pool))
            .await?
            .into_iter()
            .map(|row| {
                let at = Timestamp::from_millisecond(row.try_get("loaded_at_ms")?);
                let (hash, text) = (row.try_get("hash")?, row.try_get("text")?);
                Ok(KeptPlan { hash, loaded_at: at.unwrap_or_default(), text })
            })
            .collect())
    }
}

/// As many as a gateway has in memory.
const MOST_PLANS: i64 = 50;

const KEEP: &str = "
INSERT INTO dialplan_versions (loaded_at_ms, hash, text) VALUES ($1, $2, $3)
ON CONFLICT (loaded_at_ms, hash) DO NOTHING";
const FORGET: &str = "
DELETE FROM dialplan_versions WHERE loaded_at_ms <
    (SELECT MIN(loaded_at_ms) FROM
        (SELECT loaded_at_ms FROM dialplan_versions ORDER BY loaded_at_ms DESC LIMIT $1) AS newest)";
const LIST: &str = "
SELECT hash, loaded_at_ms, text FROM dialplan_versions ORDER BY loaded_at_ms, hash";
