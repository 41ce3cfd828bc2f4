-- Runs of tests of voice menus that were reported: the newest some hundred.
CREATE TABLE ivr_runs (
    id      TEXT NOT NULL PRIMARY KEY, -- run_ and a ULID: its order is that of time
    summary TEXT NOT NULL CHECK (json_valid(summary)), -- as lists show it
    run     TEXT NOT NULL CHECK (json_valid(run))      -- the whole
) WITHOUT ROWID;

-- Dial plans that were in force: the newest some dozens.
CREATE TABLE dialplan_versions (
    loaded_at_ms INTEGER NOT NULL, -- Unix time, UTC: since when
    hash         TEXT    NOT NULL, -- SHA-256 of the text
    text         TEXT    NOT NULL,
    PRIMARY KEY (loaded_at_ms, hash)
) WITHOUT ROWID;
