-- suits: 0.1.0
-- Which host an agent's ledger is of: the agent is known by its id, which outlives a change of the host's name.
CREATE TABLE ops.agents (
	agent_id text PRIMARY KEY,
	host text NOT NULL,
	seen_us bigint NOT NULL
);
