-- Runs of tests of voice menus that were reported: the newest some hundred.
CREATE TABLE ivr_runs (
    id      TEXT NOT NULL PRIMARY KEY, -- run_ and a ULID: its order is that of time
    summary TEXT NOT NULL, -- JSON, as lists show it
    run     TEXT NOT NULL  -- JSON, the whole
);

-- Dial plans that were in force: the newest some dozens.
CREATE TABLE dialplan_versions (
    loaded_at_ms BIGINT NOT NULL, -- Unix time, UTC: since when
    hash         TEXT   NOT NULL, -- SHA-256 of the text
    text         TEXT   NOT NULL,
    PRIMARY KEY (loaded_at_ms, hash)
);
