-- A search for the beginning of a number reads the list's order without the records: the numbers are in its index.
DROP INDEX cdrs_by_start;
CREATE INDEX cdrs_by_start ON cdrs (started_at_ms DESC, id DESC, from_number, to_number);
