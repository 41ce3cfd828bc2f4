//! The SQL side: SQLite and PostgreSQL behind one small set of queries.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, SqlSafeStr};

use super::Cursor;
use super::Filter;
use super::filter::{FEW, MOST_FEW, Way};
use super::history;
use crate::base::{CallId, DialString, Party};
use crate::call::Record;

/// A pool of connections.
#[derive(Debug, Clone)]
pub(super) enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs the same text on whichever pool there is.
macro_rules! on {
    ($database:expr, $pool:ident => $body:expr) => {
        match $database {
            Database::Sqlite($pool) => $body,
            Database::Postgres($pool) => $body,
        }
    };
}
pub(super) use on;

impl Database {
    /// Connects and migrates.
    pub(super) async fn open(url: &str) -> Result<Database, OpenError> {
        if url.starts_with("sqlite:") {
            open_sqlite(url).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            open_postgres(url).await
        } else {
            Err(OpenError::BadUrl { reason: "expected sqlite:FILE or postgres://…".into() })
        }
    }

    /// A PostgreSQL server that is away now: nothing is tried, and nothing migrated.
    pub(super) fn later(url: &str) -> Result<Database, OpenError> {
        Ok(Database::Postgres(pool_options().connect_lazy_with(postgres_options(url)?)))
    }

    /// Migrates a server that was away when the gateway started; nothing where it is done.
    pub(super) async fn prepare(&self) -> Result<(), String> {
        match self {
            Database::Sqlite(_) => Ok(()),
            Database::Postgres(pool) => {
                migrate_postgres(pool).await.map_err(|error| error.to_string())
            }
        }
    }

    /// Writes records by key in one transaction; a record that is complete is never changed again.
    pub(super) async fn upsert(&self, records: &[Record]) -> Result<(), WriteError> {
        if records.is_empty() {
            return Ok(());
        }
        // A server that is frozen, or cut off without a word, must not hold the writer for ever.
        match tokio::time::timeout(WRITE_LIMIT, self.write(records)).await {
            Ok(result) => result,
            Err(_) => Err(WriteError::Unavailable(format!(
                "no answer within {} s",
                WRITE_LIMIT.as_secs()
            ))),
        }
    }

    async fn write(&self, records: &[Record]) -> Result<(), WriteError> {
        on!(self, pool => {
            let mut transaction = pool.begin().await?;
            for record in records {
                let json = serde_json::to_string(record)
                    .map_err(|error| WriteError::Refused(error.to_string()))?;
                let cause = record.cause.and_then(|cause| serde_json::to_value(cause).ok());
                sqlx::query(UPSERT)
                    .bind(record.id.to_string())
                    .bind(record.started_at.as_millisecond())
                    .bind(record.answered_at.map(|at| at.as_millisecond()))
                    .bind(record.ended_at.map(|at| at.as_millisecond()))
                    .bind(i64::try_from(record.duration_ms).unwrap_or(i64::MAX))
                    .bind(record.direction.as_str())
                    .bind(record.from.user.as_ref().map(|user| user.to_string()))
                    .bind(number_of(&record.from))
                    .bind(record.to.user.as_ref().map(|user| user.to_string()))
                    .bind(number_of(&record.to))
                    .bind(record.trunk.as_ref().map(|trunk| trunk.to_string()))
                    .bind(cause.as_ref().and_then(|cause| cause.as_str()).map(str::to_owned))
                    .bind(json)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(())
        })
    }

    /// Records after a cursor, newest first.
    pub(super) async fn list(
        &self,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<Vec<Record>, ReadError> {
        let (started_at_ms, id) = match after {
            Some(cursor) => (cursor.started_at_ms, cursor.id.to_string()),
            None => (i64::MAX, String::new()),
        };
        on!(self, pool => in_time(sqlx::query(LIST)
            .bind(started_at_ms)
            .bind(id)
            .bind(limit)
            .fetch_all(pool))
            .await?
            .into_iter()
            .map(|row| parse(row.try_get("record")?))
            .collect())
    }

    /// The same of those that a filter lets through.
    pub(super) async fn search(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<Vec<Record>, ReadError> {
        let few = match filter.number_range() {
            Some((low, high)) => {
                on!(self, pool => in_time(sqlx::query(FEW)
                .bind(low)
                .bind(high)
                .fetch_one(pool))
                .await?
                .try_get::<i64, _>("found")?)
                    <= MOST_FEW
            }
            None => false,
        };
        let way = if few { Way::ByNumber } else { Way::InOrder };
        self.search_by(way, filter, after, limit).await
    }

    /// The same by one way; both find the same.
    pub(super) async fn search_by(
        &self,
        way: Way,
        filter: &Filter,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<Vec<Record>, ReadError> {
        let (sql, values) = filter.sql(way);
        let (started_at_ms, id) = match after {
            Some(cursor) => (cursor.started_at_ms, cursor.id.to_string()),
            None => (i64::MAX, String::new()),
        };
        on!(self, pool => {
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(started_at_ms)
                .bind(id)
                .bind(limit)
                .bind(filter.since_ms())
                .bind(filter.until_ms());
            for value in values {
                query = query.bind(value);
            }
            in_time(query.fetch_all(pool))
                .await?
                .into_iter()
                .map(|row| parse(row.try_get("record")?))
                .collect()
        })
    }

    /// The latest record with this id.
    pub(super) async fn find(&self, id: CallId) -> Result<Option<Record>, ReadError> {
        on!(self, pool => in_time(sqlx::query(FIND)
            .bind(id.to_string())
            .fetch_optional(pool))
            .await?
            .map(|row| parse(row.try_get("record")?))
            .transpose())
    }

    /// Whom each user has talked to for at least `long_ms` since a moment, each pair once.
    pub(super) async fn talked_to(
        &self,
        since_ms: i64,
        long_ms: i64,
        limit: i64,
    ) -> Result<Vec<(String, String)>, ReadError> {
        on!(self, pool => in_time(sqlx::query(TALKED_TO)
            .bind(since_ms)
            .bind(long_ms)
            .bind(limit)
            .fetch_all(pool))
            .await?
            .into_iter()
            .map(|row| Ok((row.try_get("from_user")?, row.try_get("to_number")?)))
            .collect())
    }

    /// Users' calls by a trunk since a moment that are over, newest first.
    pub(super) async fn dialled(
        &self,
        since_ms: i64,
        limit: i64,
    ) -> Result<Vec<history::Row>, ReadError> {
        on!(self, pool => in_time(sqlx::query(DIALLED)
            .bind(since_ms)
            .bind(limit)
            .fetch_all(pool))
            .await?
            .into_iter()
            .map(|row| {
                Ok(history::Row {
                    user: row.try_get("from_user")?,
                    number: row.try_get("to_number")?,
                    started_at_ms: row.try_get("started_at_ms")?,
                    ended_at_ms: row.try_get("ended_at_ms")?,
                    duration_ms: row.try_get("duration_ms")?,
                })
            })
            .collect())
    }

    pub(super) async fn ping(&self) -> Result<(), ReadError> {
        on!(self, pool => in_time(sqlx::query("SELECT 1").execute(pool)).await.map(drop)?);
        Ok(())
    }

    pub(super) async fn close(&self) {
        on!(self, pool => pool.close().await);
    }
}

/// Why the store cannot start. One line for people each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The configuration's `url` is none.
    #[error("store.url cannot be used: {reason}")]
    BadUrl {
        /// What is wrong with it; never the URL itself, which may hold a password.
        reason: String,
    },
    /// Another program holds the database.
    #[error(
        "the database {file} is locked by another program; stop it or give store.url another file"
    )]
    Locked {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be opened or is no database.
    #[error("the database {file} cannot be used: {reason}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's or SQLite's words.
        reason: String,
    },
    /// The server does not answer now; it may later.
    #[error("the PostgreSQL server is away: {reason}")]
    Away {
        /// The server's or the system's words.
        reason: String,
    },
    /// The server does not answer or does not let us in.
    #[error("the PostgreSQL server cannot be used: {reason}")]
    Unreachable {
        /// The server's or the system's words.
        reason: String,
    },
    /// The database was made by another version.
    #[error("the database cannot be migrated: {reason}")]
    Migration {
        /// What does not fit.
        reason: String,
    },
    /// Another gateway works in the spool's folder.
    #[error("the spool {folder} is in use by another gateway")]
    SpoolInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The spool's folder cannot be used.
    #[error("the spool {folder} cannot be used: {reason}")]
    Spool {
        /// The folder.
        folder: PathBuf,
        /// The system's words.
        reason: String,
    },
}

/// The database cannot be read now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("records cannot be read: {0}")]
pub struct ReadError(String);

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> ReadError {
        ReadError(error.to_string())
    }
}

/// Why a batch is not in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteError {
    /// Not now: locked, away, full, read-only.
    Unavailable(String),
    /// Never: one of the records breaks a rule of the table.
    Refused(String),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> WriteError {
        let refused = match &error {
            sqlx::Error::Database(error) => is_refusal(error.as_ref()),
            sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => true,
            _ => false,
        };
        let words = error.to_string();
        if refused { WriteError::Refused(words) } else { WriteError::Unavailable(words) }
    }
}

/// SQLite: primary codes 18 (too big), 19 (constraint), 20 (mismatch). PostgreSQL: classes 22 (data)
/// and 23 (integrity). Everything else can pass.
fn is_refusal(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    if code.len() == 5 {
        return code.starts_with("22") || code.starts_with("23");
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 18..=20))
}

async fn open_sqlite(url: &str) -> Result<Database, OpenError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| OpenError::BadUrl { reason: error.to_string() })?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // The spool is what survives a power cut; SQL only has to be consistent.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::from_secs(2))
        // What fails is said where it is handled; SQL is no words for an operator's log.
        .disable_statement_logging();
    let file = options.get_filename().to_owned();
    let trouble = |error: &sqlx::Error| {
        let code = match error {
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()),
            _ => None,
        };
        match code.map(|code| code & 0xff) {
            // SQLITE_BUSY, SQLITE_LOCKED
            Some(5 | 6) => OpenError::Locked { file: file.clone() },
            _ => OpenError::Unreadable { file: file.clone(), reason: error.to_string() },
        }
    };
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options)
        .await
        .map_err(|error| trouble(&error))?;
    let migrated = Migrator::with_migrations(migrations(SQLITE)).run(&pool).await;
    migrated.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => trouble(&error),
        other => OpenError::Migration { reason: other.to_string() },
    })?;
    // A database that is up to date was only read so far: see that it can be written, too.
    sqlx::raw_sql("BEGIN IMMEDIATE; ROLLBACK")
        .execute(&pool)
        .await
        .map_err(|error| trouble(&error))?;
    Ok(Database::Sqlite(pool))
}

async fn open_postgres(url: &str) -> Result<Database, OpenError> {
    let options = postgres_options(url)?;
    // A pool tries until its time is up and then says only that; one connection says why.
    let first = tokio::time::timeout(Duration::from_secs(5), PgConnection::connect_with(&options));
    let first = first.await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    let first = first.map_err(|error| {
        let reason = error.to_string();
        if is_away(&error) { OpenError::Away { reason } } else { OpenError::Unreachable { reason } }
    })?;
    // Whatever the server says to a goodbye, it was there.
    let _ = first.close().await;
    let pool = pool_options()
        .connect_with(options)
        .await
        .map_err(|error| OpenError::Away { reason: error.to_string() })?;
    migrate_postgres(&pool).await?;
    Ok(Database::Postgres(pool))
}

fn postgres_options(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::BadUrl {
        // The parser's words repeat parts of the URL.
        reason: "expected postgres://user:password@host/database".into(),
    })?;
    Ok(options.disable_statement_logging())
}

fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(5))
}

async fn migrate_postgres(pool: &PgPool) -> Result<(), OpenError> {
    Migrator::with_migrations(migrations(POSTGRES))
        .run(pool)
        .await
        .map_err(|error| OpenError::Migration { reason: error.to_string() })
}

/// Whether waiting can help. PostgreSQL: class 57P (stopping, starting), 53 (no connection free).
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("53"))
        }
        _ => false,
    }
}

/// A read that waits for nobody longer than its reader does.
pub(super) async fn in_time<T>(read: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(READ_LIMIT, read).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

const READ_LIMIT: Duration = Duration::from_secs(5);
const WRITE_LIMIT: Duration = Duration::from_secs(10);

fn migrations(list: &[(i64, &'static str, &'static str)]) -> Vec<Migration> {
    list.iter()
        .map(|(version, name, sql)| {
            let sql = (*sql).into_sql_str();
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
        })
        .collect()
}

/// The migrations that this program has for `sqlite` or `postgres`; none for anything else.
pub(super) fn migrated_versions(kind: &str) -> Vec<i64> {
    let list = match kind {
        "sqlite" => SQLITE,
        "postgres" => POSTGRES,
        _ => &[],
    };
    list.iter().map(|(version, _, _)| *version).collect()
}

/// What a search for a number finds a party by: its number, or what was dialled as it was: an extension,
/// a service code.
fn number_of(party: &Party) -> Option<String> {
    let dialled = || Some(party.uri.parse::<DialString>().ok()?.as_str().to_owned());
    party.number.as_ref().map(|number| number.as_str().to_owned()).or_else(dialled)
}

fn parse(json: String) -> Result<Record, ReadError> {
    serde_json::from_str(&json).map_err(|error| ReadError(error.to_string()))
}

const SQLITE: &[(i64, &str, &str)] = &[
    (1, "cdrs", include_str!("../../migrations/sqlite/0001_cdrs.sql")),
    (2, "cdrs_search", include_str!("../../migrations/sqlite/0002_cdrs_search.sql")),
    (3, "cdrs_filters", include_str!("../../migrations/sqlite/0003_cdrs_filters.sql")),
    (4, "runs_and_plans", include_str!("../../migrations/sqlite/0004_runs_and_plans.sql")),
    (5, "cdrs_numbers", include_str!("../../migrations/sqlite/0005_cdrs_numbers.sql")),
];

const POSTGRES: &[(i64, &str, &str)] = &[
    (1, "cdrs", include_str!("../../migrations/postgres/0001_cdrs.sql")),
    (2, "cdrs_search", include_str!("../../migrations/postgres/0002_cdrs_search.sql")),
    (3, "cdrs_filters", include_str!("../../migrations/postgres/0003_cdrs_filters.sql")),
    (4, "runs_and_plans", include_str!("../../migrations/postgres/0004_runs_and_plans.sql")),
    (5, "cdrs_numbers", include_str!("../../migrations/postgres/0005_cdrs_numbers.sql")),
];

const UPSERT: &str = "
INSERT INTO cdrs (id, started_at_ms, answered_at_ms, ended_at_ms, duration_ms, direction,
                  from_user, from_number, to_user, to_number, trunk, cause, record)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (id, started_at_ms) DO UPDATE SET
    answered_at_ms = excluded.answered_at_ms, ended_at_ms = excluded.ended_at_ms,
    duration_ms = excluded.duration_ms, direction = excluded.direction,
    from_user = excluded.from_user, from_number = excluded.from_number,
    to_user = excluded.to_user, to_number = excluded.to_number,
    trunk = excluded.trunk, cause = excluded.cause, record = excluded.record
WHERE cdrs.ended_at_ms IS NULL";

const LIST: &str = "
SELECT record FROM cdrs
WHERE started_at_ms <= $1 AND (started_at_ms < $1 OR id < $2)
ORDER BY started_at_ms DESC, id DESC
LIMIT $3";

const TALKED_TO: &str = "
SELECT from_user, to_number FROM cdrs
WHERE started_at_ms >= $1 AND direction = 'outbound' AND duration_ms >= $2
  AND from_user IS NOT NULL AND to_number IS NOT NULL
GROUP BY from_user, to_number
ORDER BY MAX(started_at_ms) DESC
LIMIT $3";

const DIALLED: &str = "
SELECT from_user, to_number, started_at_ms, ended_at_ms, duration_ms FROM cdrs
WHERE started_at_ms >= $1 AND direction = 'outbound' AND trunk IS NOT NULL
  AND from_user IS NOT NULL AND ended_at_ms IS NOT NULL
ORDER BY started_at_ms DESC, id DESC
LIMIT $2";

const FIND: &str = "SELECT record FROM cdrs WHERE id = $1 ORDER BY started_at_ms DESC LIMIT 1";
