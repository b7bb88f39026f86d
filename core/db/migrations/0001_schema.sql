-- suits: 0.1.0
-- The schema "ops". Later migrations only add to it. Times named *_us are Unix microseconds, as in the
-- records and documents that they come from; run ids are version 7 UUIDs, so they sort by time.

DO $$
BEGIN
	-- CREATE SCHEMA IF NOT EXISTS would ask for the right to create one even when it is there.
	IF to_regnamespace('ops') IS NULL THEN
		CREATE SCHEMA ops;
	END IF;
END
$$;

CREATE TABLE ops.migrations (
	number integer PRIMARY KEY,
	name text NOT NULL,
	checksum text NOT NULL,
	suits text NOT NULL,
	program text NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ops.migrations IS 'What was done to this schema; suits is the oldest program that works with it.';

CREATE TABLE ops.runs (
	id uuid PRIMARY KEY,
	number bigint,
	host text NOT NULL DEFAULT '',
	kind text NOT NULL DEFAULT '',
	name text NOT NULL DEFAULT '',
	title text NOT NULL DEFAULT '',
	status text NOT NULL DEFAULT 'queued',
	reason text,
	exit_code integer,
	signal integer,
	actor text NOT NULL DEFAULT '',
	"trigger" text NOT NULL DEFAULT '',
	config_digest text NOT NULL DEFAULT '',
	created_us bigint,
	started_us bigint,
	finished_us bigint,
	bytes bigint NOT NULL DEFAULT 0,
	lines bigint NOT NULL DEFAULT 0,
	size bigint NOT NULL DEFAULT 0,
	truncated boolean NOT NULL DEFAULT false,
	document jsonb NOT NULL,
	archived_offset bigint NOT NULL DEFAULT 0 CHECK (archived_offset >= 0),
	complete boolean NOT NULL DEFAULT false,
	digest bytea CHECK (length(digest) = 32),
	released boolean NOT NULL DEFAULT false,
	problem text,
	updated_at timestamptz NOT NULL DEFAULT now(),
	CHECK (NOT complete OR digest IS NOT NULL)
) WITH (fillfactor = 80);
COMMENT ON COLUMN ops.runs.document IS 'The run as the agent last told it.';
COMMENT ON COLUMN ops.runs.archived_offset IS 'ops.run_log holds the journal up to here, without a gap.';
COMMENT ON COLUMN ops.runs.complete IS 'All of it is here and its digest was recomputed.';
COMMENT ON COLUMN ops.runs.released IS 'The agent knows that it may drop its journal.';
COMMENT ON COLUMN ops.runs.problem IS 'Why it could not be archived.';
CREATE INDEX runs_name ON ops.runs (name, id DESC);
CREATE INDEX runs_status ON ops.runs (status, id DESC);
CREATE INDEX runs_number ON ops.runs (number DESC, id DESC);
CREATE INDEX runs_incomplete ON ops.runs (id) WHERE NOT complete;

CREATE TABLE ops.run_steps (
	run_id uuid NOT NULL REFERENCES ops.runs ON DELETE CASCADE,
	step integer NOT NULL,
	step_id text NOT NULL DEFAULT '',
	uses text NOT NULL DEFAULT '',
	title text NOT NULL DEFAULT '',
	phase text NOT NULL DEFAULT 'main',
	status text NOT NULL DEFAULT 'pending',
	reason text,
	attempt integer NOT NULL DEFAULT 0,
	exit_code integer,
	signal integer,
	started_us bigint,
	finished_us bigint,
	start_offset bigint,
	PRIMARY KEY (run_id, step)
);
COMMENT ON COLUMN ops.run_steps.start_offset IS 'Of the step''s first step.started in the journal.';
CREATE INDEX run_steps_uses ON ops.run_steps (uses, run_id DESC);

-- The journals, byte for byte. A row holds whole records; the rows of a run follow each other
-- without a gap. One partition a month (of the run's id, hence of its creation).
CREATE TABLE ops.run_log (
	run_id uuid NOT NULL,
	start_offset bigint NOT NULL,
	end_offset bigint NOT NULL,
	first_line bigint NOT NULL,
	time_us bigint NOT NULL,
	records bytea NOT NULL,
	PRIMARY KEY (run_id, start_offset),
	CHECK (start_offset >= 0 AND end_offset = start_offset + octet_length(records))
) PARTITION BY RANGE (run_id);
COMMENT ON COLUMN ops.run_log.first_line IS 'Newlines before the first record, as its header says.';
COMMENT ON COLUMN ops.run_log.time_us IS 'Of the first record.';

DO $$
BEGIN
	-- Output is text mostly: lz4 stores it nine times as fast as the default method.
	ALTER TABLE ops.run_log ALTER COLUMN records SET COMPRESSION lz4;
EXCEPTION
	WHEN feature_not_supported OR invalid_parameter_value OR syntax_error THEN
		RAISE NOTICE 'this server lacks lz4: logs are compressed with its default method';
END
$$;

CREATE TABLE ops.run_log_default PARTITION OF ops.run_log DEFAULT;

-- The smallest version 7 UUID of a moment.
CREATE FUNCTION ops.uuid_floor(moment timestamp) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog AS $$
	SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the partitions of this month and the given number of months after it; rows that meanwhile went
-- to the DEFAULT partition move. Returns how many were made.
CREATE FUNCTION ops.make_partitions(months integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	made integer := 0;
	month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
	lower_id uuid;
	upper_id uuid;
	partition_name text;
BEGIN
	FOR i IN 0 .. months LOOP
		partition_name := 'run_log_' || to_char(month + make_interval(months => i), 'YYYY_MM');
		CONTINUE WHEN to_regclass('ops.' || partition_name) IS NOT NULL;
		lower_id := ops.uuid_floor(month + make_interval(months => i));
		upper_id := ops.uuid_floor(month + make_interval(months => i + 1));
		LOCK TABLE ops.run_log_default IN ACCESS EXCLUSIVE MODE;
		CONTINUE WHEN to_regclass('ops.' || partition_name) IS NOT NULL;
		EXECUTE format('CREATE TABLE ops.%I (LIKE ops.run_log INCLUDING ALL)', partition_name);
		EXECUTE format('WITH moved AS (DELETE FROM ops.run_log_default'
			' WHERE run_id >= %L AND run_id < %L RETURNING *)'
			' INSERT INTO ops.%I SELECT * FROM moved', lower_id, upper_id, partition_name);
		EXECUTE format('ALTER TABLE ops.run_log ATTACH PARTITION ops.%I FOR VALUES FROM (%L) TO (%L)',
			partition_name, lower_id, upper_id);
		made := made + 1;
	END LOOP;
	RETURN made;
END
$$;

SELECT ops.make_partitions(3);

-- The first statement of each archiving transaction: moves a run's offset on, and fails when somebody
-- else has moved it (or it is not there), which undoes the transaction.
CREATE FUNCTION ops.archive_advance(run uuid, old_offset bigint, new_offset bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	UPDATE ops.runs SET archived_offset = new_offset, updated_at = now()
		WHERE id = run AND archived_offset = old_offset AND NOT complete;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the archive of run % is no longer at %', run, old_offset USING ERRCODE = 'OPS01';
	END IF;
END
$$;

-- Everything that a person or a token did; each row is chained to the one before by its hash.
CREATE TABLE ops.audit (
	position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	time_us bigint NOT NULL,
	host text NOT NULL DEFAULT '',
	actor text NOT NULL,
	action text NOT NULL,
	object text NOT NULL DEFAULT '',
	outcome text NOT NULL DEFAULT '',
	address text NOT NULL DEFAULT '',
	request_id text NOT NULL DEFAULT '',
	details jsonb NOT NULL DEFAULT '{}',
	entry bytea NOT NULL,
	previous_hash bytea NOT NULL CHECK (length(previous_hash) = 32),
	hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32)
);
COMMENT ON COLUMN ops.audit.entry IS 'The bytes that were hashed, after previous_hash.';
CREATE INDEX audit_time ON ops.audit (time_us DESC);
CREATE INDEX audit_actor ON ops.audit (actor, position DESC);
CREATE INDEX audit_object ON ops.audit (object, position DESC);

CREATE TABLE ops.api_tokens (
	id uuid PRIMARY KEY,
	name text NOT NULL,
	hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
	prefix text NOT NULL DEFAULT '',
	scopes text[] NOT NULL DEFAULT '{}',
	created_by text NOT NULL DEFAULT '',
	created_us bigint NOT NULL,
	expires_us bigint,
	revoked_us bigint,
	last_used_us bigint,
	last_used_address text NOT NULL DEFAULT ''
);
COMMENT ON COLUMN ops.api_tokens.prefix IS 'Its first characters, to tell tokens apart.';

CREATE TABLE ops.sessions (
	id bytea PRIMARY KEY CHECK (length(id) = 32),
	user_name text NOT NULL,
	created_us bigint NOT NULL,
	seen_us bigint NOT NULL,
	expires_us bigint NOT NULL,
	revoked_us bigint,
	address text NOT NULL DEFAULT '',
	user_agent text NOT NULL DEFAULT ''
);
COMMENT ON COLUMN ops.sessions.id IS 'SHA-256 of the session id in the cookie.';
CREATE INDEX sessions_expires ON ops.sessions (expires_us);

CREATE TABLE ops.metric_samples (
	host text NOT NULL,
	metric text NOT NULL,
	resolution_s integer NOT NULL,
	time_us bigint NOT NULL,
	samples integer NOT NULL DEFAULT 1,
	average double precision NOT NULL,
	minimum double precision NOT NULL,
	maximum double precision NOT NULL,
	PRIMARY KEY (host, metric, resolution_s, time_us)
);
CREATE INDEX metric_samples_age ON ops.metric_samples (resolution_s, time_us);
