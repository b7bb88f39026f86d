-- suits: 0.1.0
-- An entry has an id of its own, so that writing it twice is writing it once.
ALTER TABLE ops.audit ADD COLUMN entry_id uuid;
CREATE UNIQUE INDEX audit_entry_id ON ops.audit (entry_id);

-- Appends one entry (the text of a JSON object) to the chain. The order of the chain is that of the
-- positions: whoever appends waits for those before to commit.
CREATE FUNCTION ops.audit_append(new_id uuid, new_entry text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	last bytea;
	bytes bytea := convert_to(new_entry, 'UTF8');
	doc jsonb := new_entry::jsonb;
BEGIN
	PERFORM pg_advisory_xact_lock(x'6f70736175646974'::bigint);
	IF EXISTS (SELECT FROM ops.audit WHERE entry_id = new_id) THEN
		RETURN;
	END IF;
	SELECT a.hash INTO last FROM ops.audit a ORDER BY a.position DESC LIMIT 1;
	last := coalesce(last, decode(repeat('00', 32), 'hex'));
	INSERT INTO ops.audit (entry_id, time_us, host, actor, action, object, outcome, address, request_id,
			entry, previous_hash, hash)
		VALUES (new_id, (doc->>'time_us')::bigint, coalesce(doc->>'host', ''), coalesce(doc->>'actor', ''),
			doc->>'event', coalesce(doc->>'object', ''), coalesce(doc->>'status', ''),
			coalesce(doc->>'address', ''), coalesce(doc->>'request_id', ''), bytes, last,
			sha256(last || bytes));
END
$$;

-- What the agents' ledgers say, event by event, as they were sent. Their own chain is the agent's to
-- verify (`ops-agent verify`); position is the agent's.
CREATE TABLE ops.ledger (
	agent_id text NOT NULL,
	position bigint NOT NULL,
	time_us bigint NOT NULL,
	event text NOT NULL,
	actor text NOT NULL DEFAULT '',
	run text NOT NULL DEFAULT '',
	document text NOT NULL,
	PRIMARY KEY (agent_id, position)
);
CREATE INDEX ledger_time ON ops.ledger (time_us DESC, position DESC);
