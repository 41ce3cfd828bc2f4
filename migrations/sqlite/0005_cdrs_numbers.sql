-- A search for the beginning of a number reads the list's order without the records: the numbers are in its index.
DROP INDEX cdrs_by_start;
CREATE INDEX cdrs_by_start ON cdrs (started_at_ms DESC, id DESC, from_number, to_number);
-- An extension or a code that was dialled is found as a number is.
UPDATE cdrs SET to_number = json_extract(record, '$.to.uri')
WHERE to_number IS NULL AND json_extract(record, '$.to.uri') NOT GLOB '*[^0-9*#+]*';
UPDATE cdrs SET from_number = json_extract(record, '$.from.uri')
WHERE from_number IS NULL AND json_extract(record, '$.from.uri') NOT GLOB '*[^0-9*#+]*';
