-- suits: 0.1.0
-- Retention: drops the monthly partitions that lie wholly before a moment (Unix microseconds), what is
-- older in the DEFAULT partition, and the runs that thereby have no log any more. Returns how many runs.
CREATE FUNCTION ops.drop_older(before_us bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	month timestamp := date_trunc('month', to_timestamp(before_us / 1000000.0) AT TIME ZONE 'UTC');
	cut uuid := ops.uuid_floor(month);
	partition_name text;
	dropped bigint;
BEGIN
	FOR partition_name IN
		SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'ops.run_log'::regclass AND c.relname ~ '^run_log_[0-9]{4}_[0-9]{2}$'
			AND to_date(substring(c.relname FROM 9), 'YYYY_MM') < month
	LOOP
		EXECUTE format('DROP TABLE ops.%I', partition_name);
	END LOOP;
	DELETE FROM ops.run_log_default WHERE run_id < cut;
	DELETE FROM ops.runs WHERE id < cut;
	GET DIAGNOSTICS dropped = ROW_COUNT;
	RETURN dropped;
END
$$;
