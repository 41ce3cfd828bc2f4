//! What the records say of users' calls: how the caps and the fraud brake go on after a restart.

use std::time::Duration;

use jiff::Timestamp;

use super::ReadError;
use super::database::Database;
use crate::base::{E164, UserId};

/// What users have called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// Whom a user has talked to for long enough that the country is no news.
    pub long: Vec<(UserId, E164)>,
    /// The calls of the last day that went out by a trunk, oldest first.
    pub recent: Vec<PastCall>,
}

/// A user's call that went out by a trunk and is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCall {
    /// Who called.
    pub user: UserId,
    /// Whom, where it was a number in full.
    pub to: Option<E164>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was over.
    pub ended_at: Timestamp,
    /// How long it was up.
    pub talked: Duration,
}

impl Past {
    /// Reads the records up to `now`; `long` is how long a call makes a country known.
    pub(super) async fn read(
        database: &Database,
        now: Timestamp,
        long: Duration,
    ) -> Result<Past, ReadError> {
        let since = |age: Duration| {
            let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            now.as_millisecond().saturating_sub(age_ms)
        };
        let long_ms = i64::try_from(long.as_millis()).unwrap_or(i64::MAX);
        let talked_to = database.talked_to(since(KNOWN_FOR), long_ms, MOST).await?;
        // A row that is none of ours is passed over: nothing here is worth not starting for.
        let long = talked_to
            .into_iter()
            .filter_map(|(user, number)| Some((user.parse().ok()?, number.parse().ok()?)))
            .collect();
        let mut recent: Vec<PastCall> = database
            .dialled(since(DAY), MOST)
            .await?
            .into_iter()
            .filter_map(|row| {
                Some(PastCall {
                    user: row.user.parse().ok()?,
                    to: row.number.and_then(|number| number.parse().ok()),
                    started_at: Timestamp::from_millisecond(row.started_at_ms).ok()?,
                    ended_at: Timestamp::from_millisecond(row.ended_at_ms).ok()?,
                    talked: Duration::from_millis(row.duration_ms.try_into().unwrap_or(0)),
                })
            })
            .collect();
        recent.reverse();
        Ok(Past { long, recent })
    }
}

/// One row of [`Database::dialled`].
pub(super) struct Row {
    pub user: String,
    pub number: Option<String>,
    pub started_at_ms: i64,
    pub ended_at_ms: i64,
    pub duration_ms: i64,
}

const DAY: Duration = Duration::from_secs(86_400);
/// A country that a user has not talked to for so long is news again.
const KNOWN_FOR: Duration = Duration::from_secs(90 * 86_400);
/// The most rows of each kind, newest first: a bound on the start, not a rule.
const MOST: i64 = 100_000;
