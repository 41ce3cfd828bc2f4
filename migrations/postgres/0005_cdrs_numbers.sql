-- A search for the beginning of a number reads an index without the records: in the list's order with the
-- numbers, by a number with the key.
DROP INDEX cdrs_by_start;
CREATE INDEX cdrs_by_start ON cdrs (started_at_ms DESC, id DESC) INCLUDE (from_number, to_number);
DROP INDEX cdrs_by_from_number;
CREATE INDEX cdrs_by_from_number ON cdrs (from_number, started_at_ms DESC, id DESC);
DROP INDEX cdrs_by_to_number;
CREATE INDEX cdrs_by_to_number ON cdrs (to_number, started_at_ms DESC, id DESC);
-- An extension or a code that was dialled is found as a number is.
UPDATE cdrs SET to_number = record::json -> 'to' ->> 'uri'
WHERE to_number IS NULL AND record::json -> 'to' ->> 'uri' ~ '^[0-9*#+]+$';
UPDATE cdrs SET from_number = record::json -> 'from' ->> 'uri'
WHERE from_number IS NULL AND record::json -> 'from' ->> 'uri' ~ '^[0-9*#+]+$';
