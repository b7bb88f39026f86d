-- suits: 0.1.0
-- The line of a failed run's log that says what went wrong. It follows from the log alone, so what is not known yet
-- (NULL: runs of before this migration, and those that were just archived) is looked for by whichever dashboard comes
-- to it.
ALTER TABLE ops.runs ADD COLUMN error_line bigint CHECK (error_line >= 0);
ALTER TABLE ops.runs ADD COLUMN error_text text CHECK (octet_length(error_text) <= 200);
COMMENT ON COLUMN ops.runs.error_line IS 'From 1; 0: the log does not say; NULL: nobody has looked yet.';
CREATE INDEX runs_unexplained ON ops.runs (id)
	WHERE complete AND error_line IS NULL AND status IN ('failed', 'timed_out', 'lost');
