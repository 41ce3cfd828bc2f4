//! Records in SQLite or PostgreSQL, written off the call's path.
