//! The database: whether it answers, whose tables it has, and whether its clock is ours.

use std::time::Duration;

use super::report::Report;
use crate::config::{Config, StoreUrl};
use crate::store::inspect;

pub(super) async fn check(config: &Config, now_unix: Duration, report: &mut Report) {
    let check = "database";
    let settings = config.store.settings();
    let seen = match inspect(&settings).await {
        Ok(seen) => seen,
        Err(error) => {
            let fix = match config.store.url {
                StoreUrl::Sqlite(_) => {
                    "name a file that this user may write: store.url = \"sqlite:FILE\""
                }
                StoreUrl::Postgres(_) => {
                    "start the server and let us in: store.url = \"postgres://USER:PASSWORD@HOST/DATABASE\""
                }
            };
            return report.fail(check, error.to_string(), fix);
        }
    };
    let server = &seen.server;
    match (seen.is_new, &seen.missing[..], &seen.unknown[..]) {
        (_, _, [newest, ..]) => report.fail(
            check,
            format!("{server} was made by a newer Crosspoint (it has migration {newest})"),
            "install that version, or restore the database from before",
        ),
        (true, ..) => {
            report.ok(check, format!("{server}: empty, its tables are made at the first start"))
        }
        (false, [], []) => {
            report.ok(check, format!("{server}: answers, its tables are of this version"))
        }
        (false, missing, []) => report.ok(
            check,
            format!("{server}: answers, {} migrations run at the next start", missing.len()),
        ),
    }
    if let Some(theirs) = seen.now_unix {
        let apart = now_unix.abs_diff(theirs);
        if apart > CLOCKS_APART {
            report.warn(
                "database clock",
                format!("{:.1} s from ours", apart.as_secs_f64()),
                "let NTP keep both: which of them is wrong?",
            );
        } else {
            report.ok("database clock", "the same as ours");
        }
    }
}

/// More than a slow answer makes.
const CLOCKS_APART: Duration = Duration::from_secs(3);
