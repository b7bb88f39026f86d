#include "core/app/verify/verify_sql.h"

#include "core/app/archive/archive_batch.h"

#define PAGE_SQL                                                                                   \
	"WITH ids AS (SELECT id FROM ops.runs WHERE $1::uuid IS NULL OR id < $1"                   \
	" UNION SELECT run_id FROM ops.run_log WHERE $1::uuid IS NULL OR run_id < $1)"             \
	" SELECT ids.id, coalesce(r.archived_offset, s.stored), s.stored,"                         \
	" coalesce(r.complete, false), coalesce(r.size, s.stored), r.digest, r.id IS NOT NULL,"    \
	" coalesce(r.host, '')"                                                                    \
	" FROM ids LEFT JOIN ops.runs r ON r.id = ids.id CROSS JOIN LATERAL (SELECT"               \
	" coalesce(sum(end_offset - start_offset), 0)::bigint AS stored FROM ops.run_log l"        \
	" WHERE l.run_id = ids.id) s ORDER BY ids.id DESC LIMIT $2"

struct pg_batch *verify_sql_page(const struct uuid *before)
{
	const struct pg_param params[] = {
		before != NULL ? pg_uuid(before) : pg_null(), pg_i64(VERIFY_PAGE)};
	return pg_batch_one(PAGE_SQL, params, ARRAY_LEN(params));
}

/* The first record is run.created: 24 bytes of header, whose first four are the payload's length.
 */
#define MAKE_SQL                                                                                   \
	"INSERT INTO ops.runs (id, number, host, kind, name, title, actor, \"trigger\","           \
	" config_digest, created_us, archived_offset, size, document)"                             \
	" SELECT $1, (e->>'number')::bigint, coalesce(e->>'host', ''), coalesce(e->>'kind', ''),"  \
	" coalesce(e->>'name', ''),"                                                               \
	" coalesce(e->>'title', e->>'name', ''), coalesce(e->>'actor', ''),"                       \
	" coalesce(e->>'trigger', ''), coalesce(e->>'config_digest', ''), time_us, $2::bigint,"    \
	" $2::bigint, (e - 'event') || jsonb_build_object('id', $1::text, 'number', e->'number',"  \
	" 'host', coalesce(e->>'host', ''), 'title', coalesce(e->>'title', e->>'name', ''),"       \
	" 'inputs', coalesce(e->'inputs', '{}'), 'created_us', time_us, 'size', $2::bigint)"       \
	" FROM (SELECT time_us, convert_from(substring(records FROM 25 FOR get_byte(records, 0)"   \
	" + 256 * get_byte(records, 1) + 65536 * get_byte(records, 2)), 'UTF8')::jsonb AS e"       \
	" FROM ops.run_log WHERE run_id = $1 AND start_offset = 0) first"
#define END_SQL                                                                                    \
	"UPDATE ops.runs SET complete = true, archived_offset = $2, size = $2, digest = $3,"       \
	" status = $4, reason = $5, exit_code = $6::bigint::integer,"                              \
	" signal = $7::bigint::integer, bytes = $8, lines = $9, truncated = $10,"                  \
	" started_us = coalesce($11::bigint, started_us), finished_us = $12::bigint,"              \
	" document = document || jsonb_build_object('status', $4, 'reason', $5,"                   \
	" 'exit_code', $6::bigint, 'signal', $7::bigint, 'bytes', $8, 'lines', $9,"                \
	" 'truncated', $10, 'size', $2, 'started_us', coalesce($11::bigint, started_us),"          \
	" 'finished_us', $12::bigint), error_line = $13::bigint, error_text = $14,"                \
	" problem = NULL, updated_at = now() WHERE id = $1"
#define NO_STEPS_SQL "DELETE FROM ops.run_steps WHERE run_id = $1"

static struct pg_param number_or_null(int64_t n)
{
	return n == PROJECTION_NONE ? pg_null() : pg_i64(n);
}

struct pg_batch *verify_sql_rebuild(
	const struct uuid *run, bool known, struct projection *p, const struct errorline *line)
{
	bool is_asked = errorline_is_asked(p->status);
	const struct pg_param params[] = {
		pg_uuid(run),
		pg_u64(p->offset),
		pg_bytes(p->digest, sizeof(p->digest)),
		pg_text(p->status),
		pg_text(p->reason[0] != '\0' ? p->reason : NULL),
		number_or_null(p->exit_code),
		number_or_null(p->signal),
		pg_u64(p->bytes),
		pg_u64(p->lines),
		pg_bool(p->truncated),
		number_or_null(p->started_us),
		number_or_null(p->finished_us),
		is_asked ? pg_u64(line->line) : pg_null(),
		pg_text(is_asked && line->line > 0 ? line->text : NULL),
	};
	struct pg_batch *sql = pg_batch_new();

	if (!known)
		pg_batch_add(sql, MAKE_SQL, params, 2);
	pg_batch_add(sql, NO_STEPS_SQL, params, 1);
	archive_sql_add_steps(sql, run, p);
	if (p->finished && p->digest_matches)
		pg_batch_add(sql, END_SQL, params, ARRAY_LEN(params));
	return sql;
}
