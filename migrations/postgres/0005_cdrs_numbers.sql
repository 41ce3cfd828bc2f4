-- A search for the beginning of a number reads an index without the records: in the list's order with the
-- numbers, by a number with the key.
DROP INDEX cdrs_by_start;
CREATE INDEX cdrs_by_start ON cdrs (started_at_ms DESC, id DESC) INCLUDE (from_number, to_number);
DROP INDEX cdrs_by_from_number;
CREATE INDEX cdrs_by_from_number ON cdrs (from_number, started_at_ms DESC, id DESC);
DROP INDEX cdrs_by_to_number;
CREATE INDEX cdrs_by_to_number ON cdrs (to_number, started_at_ms DESC, id DESC);
