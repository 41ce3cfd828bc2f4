-- Searches of the operator: by user, by number.
CREATE INDEX cdrs_by_from_user ON cdrs (from_user, started_at_ms DESC);
CREATE INDEX cdrs_by_to_user ON cdrs (to_user, started_at_ms DESC);
CREATE INDEX cdrs_by_from_number ON cdrs (from_number, started_at_ms DESC);
CREATE INDEX cdrs_by_to_number ON cdrs (to_number, started_at_ms DESC);
