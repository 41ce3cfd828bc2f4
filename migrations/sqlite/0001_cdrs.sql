-- One row per call: written at the answer, completed at the end, then never changed again.
-- The key holds the start because a page makes the id of the call it starts.
CREATE TABLE cdrs (
    id            TEXT    NOT NULL,
    started_at_ms INTEGER NOT NULL, -- Unix time, UTC, as all *_at_ms
    answered_at_ms INTEGER,
    ended_at_ms   INTEGER,          -- NULL while the call is on
    duration_ms   INTEGER NOT NULL, -- from the answer to the end
    direction     TEXT    NOT NULL,
    from_user     TEXT,
    from_number   TEXT,
    to_user       TEXT,
    to_number     TEXT,
    trunk         TEXT,
    cause         TEXT,
    record        TEXT    NOT NULL CHECK (json_valid(record)), -- the whole record
    PRIMARY KEY (id, started_at_ms)
) WITHOUT ROWID;

-- The order of lists: newest first.
CREATE INDEX cdrs_by_start ON cdrs (started_at_ms DESC, id DESC);
