-- suits: 0.1.0
-- What has been told, so that of several dashboards on one database one tells it. key is what it is about
-- (run/ID/end, status/HOST/SECTION/ITEM, agent/HOST), state how it was; owner is a STATE_DIR's id.
CREATE TABLE ops.notify_claims (
	key text PRIMARY KEY,
	state text NOT NULL,
	owner text NOT NULL,
	time_us bigint NOT NULL
);
