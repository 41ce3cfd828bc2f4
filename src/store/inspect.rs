//! A look at a database that changes nothing in it: does it answer, are its tables of this version.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row};

use super::database::{OpenError, migrated_versions};
use super::settings::Settings;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// `PostgreSQL 17.2` or the file.
    pub server: String,
    /// Whether nothing of ours is in it yet.
    pub is_new: bool,
    /// Versions of migrations that it lacks.
    pub missing: Vec<i64>,
    /// Versions that this program does not know: a newer one was here.
    pub unknown: Vec<i64>,
    /// The server's clock, since 1970.
    pub now_unix: Option<Duration>,
}

/// Looks at the database of these settings. A file that is not there is a new one.
///
/// # Errors
/// [`OpenError`]: it cannot be used.
pub async fn inspect(settings: &Settings) -> Result<Inspection, OpenError> {
    let seen = async {
        if settings.url.starts_with("sqlite:") {
            sqlite(&settings.url).await
        } else {
            postgres(&settings.url).await
        }
    };
    // Cancel safe: a connection that is dropped is closed.
    tokio::time::timeout(PATIENCE, seen).await.unwrap_or_else(|_| {
        let reason = format!("no answer within {} s", PATIENCE.as_secs());
        Err(OpenError::Unreachable { reason })
    })
}

async fn sqlite(url: &str) -> Result<Inspection, OpenError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| OpenError::BadUrl { reason: error.to_string() })?
        .read_only(true)
        .disable_statement_logging();
    let file = options.get_filename().to_owned();
    let server = file.display().to_string();
    if !file.exists() {
        let folder =
            file.parent().filter(|own| !own.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let reason = "its folder does not exist".to_owned();
            return Err(OpenError::Unreadable { file, reason });
        }
        return Ok(Inspection::of(server, None));
    }
    let trouble = |error: sqlx::Error| OpenError::Unreadable {
        file: file.clone(),
        reason: error.to_string(),
    };
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(trouble)?;
    let tables = sqlx::query("SELECT name FROM sqlite_master WHERE name = '_sqlx_migrations'");
    let tables = tables.fetch_optional(&mut connection).await.map_err(trouble)?;
    if tables.is_none() {
        return Ok(Inspection::of(server, None));
    }
    let rows = sqlx::query(VERSIONS).fetch_all(&mut connection).await.map_err(trouble)?;
    let versions = rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<Vec<i64>>>();
    Ok(Inspection::of(server, Some((&versions.map_err(trouble)?, "sqlite"))))
}

async fn postgres(url: &str) -> Result<Inspection, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::BadUrl {
        // The parser's words repeat parts of the URL.
        reason: "expected postgres://user:password@host/database".into(),
    })?;
    let trouble = |error: sqlx::Error| OpenError::Unreachable { reason: error.to_string() };
    let options = options.disable_statement_logging();
    let mut connection = PgConnection::connect_with(&options).await.map_err(trouble)?;
    let about = sqlx::query(
        "SELECT current_setting('server_version'), \
         (extract(epoch from clock_timestamp()) * 1000)::bigint, \
         to_regclass('_sqlx_migrations') IS NOT NULL",
    );
    let about = about.fetch_one(&mut connection).await.map_err(trouble)?;
    let version: String = about.try_get(0).map_err(trouble)?;
    let now_ms: i64 = about.try_get(1).map_err(trouble)?;
    let made: bool = about.try_get(2).map_err(trouble)?;
    let server = format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default());
    let mut seen = Inspection::of(server.clone(), None);
    if made {
        let rows = sqlx::query(VERSIONS).fetch_all(&mut connection).await.map_err(trouble)?;
        let versions = rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<Vec<i64>>>();
        seen = Inspection::of(server, Some((&versions.map_err(trouble)?, "postgres")));
    }
    // Whatever the server says to a goodbye.
    let _ = connection.close().await;
    seen.now_unix = u64::try_from(now_ms).ok().map(Duration::from_millis);
    Ok(seen)
}

impl Inspection {
    fn of(server: String, applied: Option<(&[i64], &str)>) -> Inspection {
        let (applied, kind) = applied.unwrap_or((&[], ""));
        let known: Vec<i64> = migrated_versions(kind);
        let lacks = |all: &[i64], of: &[i64]| -> Vec<i64> {
            all.iter().filter(|version| !of.contains(version)).copied().collect()
        };
        Inspection {
            server,
            is_new: kind.is_empty(),
            missing: lacks(&known, applied),
            unknown: lacks(applied, &known),
            now_unix: None,
        }
    }
}

const VERSIONS: &str = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version DESC";
const PATIENCE: Duration = Duration::from_secs(6);

/// Whether a gateway works with the records of these settings at this moment, on this machine.
pub fn is_held(settings: &Settings) -> bool {
    let lock = std::fs::File::open(settings.spool_folder().join("lock"));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}
