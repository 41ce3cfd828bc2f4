-- Searches of the operator: by trunk, direction, cause, newest first.
CREATE INDEX cdrs_by_trunk ON cdrs (trunk, started_at_ms DESC, id DESC);
CREATE INDEX cdrs_by_direction ON cdrs (direction, started_at_ms DESC, id DESC);
CREATE INDEX cdrs_by_cause ON cdrs (cause, started_at_ms DESC, id DESC);
