-- suits: 0.1.0
-- Samples of what the status document measures. A row is one moment of one host with all its values
-- side by side, which takes a sixth of the room of a row a value: ten seconds for a day, a minute for
-- thirty days, a quarter of an hour for two years. A moment has one row at each resolution, so several
-- dashboards that watch one host write it once.

-- No program has ever written to it; as a view it is how a person reads the samples.
DROP TABLE ops.metric_samples;

CREATE TABLE ops.metric_series (
	id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	host text NOT NULL,
	item text NOT NULL,
	value text NOT NULL,
	seen_us bigint NOT NULL,
	UNIQUE (host, item, value)
);
COMMENT ON COLUMN ops.metric_series.item IS 'section/id, as in the status document.';
COMMENT ON COLUMN ops.metric_series.seen_us IS 'Of the newest sample, to the day.';

CREATE TABLE ops.metric_moments (
	host text NOT NULL,
	resolution_s integer NOT NULL CHECK (resolution_s IN (10, 60, 900)),
	time_us bigint NOT NULL,
	series integer[] NOT NULL,
	samples integer[],
	average real[] NOT NULL,
	minimum real[],
	maximum real[],
	PRIMARY KEY (host, resolution_s, time_us)
);
COMMENT ON COLUMN ops.metric_moments.time_us IS 'When it begins: a multiple of the resolution.';
COMMENT ON COLUMN ops.metric_moments.samples IS 'How many samples each value is made of; NULL: one, which is average.';

CREATE VIEW ops.metric_samples AS
	SELECT m.host, s.item || ' ' || s.value AS metric, m.resolution_s, m.time_us,
		coalesce(u.samples, 1) AS samples, u.average::double precision AS average,
		coalesce(u.minimum, u.average)::double precision AS minimum,
		coalesce(u.maximum, u.average)::double precision AS maximum
	FROM ops.metric_moments m
	CROSS JOIN LATERAL unnest(m.series, m.samples, m.average, m.minimum, m.maximum)
		AS u (id, samples, average, minimum, maximum)
	JOIN ops.metric_series s ON s.id = u.id;

-- One moment: {"section/id": {"value": number}}. What another dashboard has written stays. More than
-- 4096 series of one host are not begun.
CREATE FUNCTION ops.metric_put(for_host text, at_us bigint, sample text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	doc jsonb := sample::jsonb;
BEGIN
	INSERT INTO ops.metric_series (host, item, value, seen_us)
		SELECT for_host, i.key, v.key, at_us
		FROM jsonb_each(doc) i CROSS JOIN LATERAL jsonb_each(i.value) v
		WHERE NOT EXISTS (SELECT FROM ops.metric_series s
				WHERE s.host = for_host AND s.item = i.key AND s.value = v.key)
			AND (SELECT count(*) FROM ops.metric_series s WHERE s.host = for_host) < 4096
		ORDER BY i.key, v.key
		ON CONFLICT DO NOTHING;
	INSERT INTO ops.metric_moments (host, resolution_s, time_us, series, average)
		SELECT for_host, 10, at_us, array_agg(s.id ORDER BY s.id),
			array_agg((v.value #>> '{}')::real ORDER BY s.id)
		FROM jsonb_each(doc) i CROSS JOIN LATERAL jsonb_each(i.value) v
		JOIN ops.metric_series s ON s.host = for_host AND s.item = i.key AND s.value = v.key
		HAVING count(*) > 0
		ON CONFLICT DO NOTHING;
	UPDATE ops.metric_series s SET seen_us = at_us
		FROM jsonb_each(doc) i CROSS JOIN LATERAL jsonb_each(i.value) v
		WHERE s.host = for_host AND s.item = i.key AND s.value = v.key AND s.seen_us < at_us - 86400000000;
END
$$;

-- Makes the coarser moments that are complete at now_us, and drops what is older than is kept. The last
-- quarter of an hour is made again, for what came late; what stays the same is not written. What is
-- dropped are whole quarters: of what is left of one a moment would be made again that is wrong. Returns
-- how many moments were written, or -1 when another session is at it.
CREATE FUNCTION ops.metric_roll_up(now_us bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	late_us CONSTANT bigint := 900000000;
	day_us CONSTANT bigint := 86400000000;
	quarter_us CONSTANT bigint := now_us - now_us % 900000000;
	of_host text;
	tier record;
	last_us bigint;
	n bigint;
	written bigint := 0;
BEGIN
	IF NOT pg_try_advisory_xact_lock(x'6f70736d65747273'::bigint) THEN
		RETURN -1;
	END IF;
	FOR of_host IN SELECT DISTINCT s.host FROM ops.metric_series s LOOP
		FOR tier IN SELECT * FROM (VALUES (10, 60), (60, 900)) AS t (source_s, target_s) LOOP
			SELECT max(m.time_us) INTO last_us FROM ops.metric_moments m
				WHERE m.host = of_host AND m.resolution_s = tier.target_s AND m.time_us < now_us;
			INSERT INTO ops.metric_moments AS t
					(host, resolution_s, time_us, series, samples, average, minimum, maximum)
				SELECT of_host, tier.target_s, r.slot_us, array_agg(r.id ORDER BY r.id),
					array_agg(r.samples ORDER BY r.id), array_agg(r.average ORDER BY r.id),
					array_agg(r.minimum ORDER BY r.id), array_agg(r.maximum ORDER BY r.id)
				FROM (
					SELECT m.time_us - m.time_us % (tier.target_s * 1000000::bigint) AS slot_us, u.id,
						sum(coalesce(u.samples, 1))::integer AS samples,
						(sum(u.average::double precision * coalesce(u.samples, 1))
							/ sum(coalesce(u.samples, 1)))::real AS average,
						min(coalesce(u.minimum, u.average)) AS minimum,
						max(coalesce(u.maximum, u.average)) AS maximum
					FROM ops.metric_moments m
					CROSS JOIN LATERAL unnest(m.series, m.samples, m.average, m.minimum, m.maximum)
						AS u (id, samples, average, minimum, maximum)
					WHERE m.host = of_host AND m.resolution_s = tier.source_s
						AND m.time_us >= coalesce(last_us - late_us, 0)
						AND m.time_us < now_us - now_us % (tier.target_s * 1000000::bigint)
					GROUP BY 1, 2
				) r
				GROUP BY r.slot_us
				ON CONFLICT (host, resolution_s, time_us) DO UPDATE SET series = excluded.series,
					samples = excluded.samples, average = excluded.average,
					minimum = excluded.minimum, maximum = excluded.maximum
				WHERE (t.series, t.samples, t.average, t.minimum, t.maximum) IS DISTINCT FROM
					(excluded.series, excluded.samples, excluded.average, excluded.minimum,
						excluded.maximum);
			GET DIAGNOSTICS n = ROW_COUNT;
			written := written + n;
		END LOOP;
		DELETE FROM ops.metric_moments m WHERE m.host = of_host AND m.resolution_s = 10
			AND m.time_us < quarter_us - day_us - 2 * late_us;
		DELETE FROM ops.metric_moments m WHERE m.host = of_host AND m.resolution_s = 60
			AND m.time_us < quarter_us - 30 * day_us - 2 * late_us;
		DELETE FROM ops.metric_moments m WHERE m.host = of_host AND m.resolution_s = 900
			AND m.time_us < now_us - 731 * day_us;
	END LOOP;
	DELETE FROM ops.metric_series s WHERE s.seen_us < now_us - 732 * day_us;
	RETURN written;
END
$$;

-- What was measured from from_us to to_us in steps of step_s, made of the moments of resolution tier_s;
-- what is newer than the last of them comes from the finest. keys: [["section/id", "value"], ...]. One row
-- a key, in their order: whether it is known, and three arrays of JSON, [[time_us, average], ...], lowest and
-- highest, null where nothing was measured.
CREATE FUNCTION ops.metric_history(for_host text, keys text, from_us bigint, to_us bigint, step_s integer,
	tier_s integer)
RETURNS TABLE (known boolean, averages text, lowest text, highest text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
	WITH wanted AS MATERIALIZED (
		SELECT k.ordinality AS n, s.id
		FROM jsonb_array_elements(keys::jsonb) WITH ORDINALITY k
		LEFT JOIN ops.metric_series s
			ON s.host = for_host AND s.item = k.value ->> 0 AND s.value = k.value ->> 1
	), edge AS MATERIALIZED (
		SELECT coalesce((SELECT max(m.time_us) + tier_s * 1000000::bigint FROM ops.metric_moments m
			WHERE m.host = for_host AND m.resolution_s = tier_s), 0) AS us
	), found AS (
		SELECT m.time_us, m.series, m.samples, m.average, m.minimum, m.maximum
			FROM ops.metric_moments m
			WHERE m.host = for_host AND m.resolution_s = tier_s
				AND m.time_us >= from_us - from_us % (step_s * 1000000::bigint) AND m.time_us <= to_us
		UNION ALL
		SELECT m.time_us, m.series, m.samples, m.average, m.minimum, m.maximum
			FROM ops.metric_moments m
			WHERE m.host = for_host AND m.resolution_s = 10 AND tier_s > 10
				AND m.time_us >= greatest((SELECT us FROM edge),
					from_us - from_us % (step_s * 1000000::bigint))
				AND m.time_us <= to_us
	), points AS (
		SELECT w.n, f.time_us - f.time_us % (step_s * 1000000::bigint) AS slot_us,
			sum(f.average[p.at]::double precision * coalesce(f.samples[p.at], 1))
				/ sum(coalesce(f.samples[p.at], 1)) AS average,
			min(coalesce(f.minimum[p.at], f.average[p.at])) AS minimum,
			max(coalesce(f.maximum[p.at], f.average[p.at])) AS maximum
		FROM found f
		JOIN wanted w ON w.id IS NOT NULL
		CROSS JOIN LATERAL (SELECT array_position(f.series, w.id) AS at) p
		WHERE p.at IS NOT NULL
		GROUP BY 1, 2
	), slots AS (
		SELECT s AS us FROM generate_series(from_us - from_us % (step_s * 1000000::bigint), to_us,
			step_s * 1000000::bigint) s
	)
	SELECT w.id IS NOT NULL,
		json_agg(json_build_array(s.us, p.average::real) ORDER BY s.us)::text,
		json_agg(p.minimum ORDER BY s.us)::text,
		json_agg(p.maximum ORDER BY s.us)::text
	FROM wanted w
	CROSS JOIN slots s
	LEFT JOIN points p ON p.n = w.n AND p.slot_us = s.us
	GROUP BY w.n, w.id
	ORDER BY w.n
$$;
