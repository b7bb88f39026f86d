/* Samples over HTTP: one question to the database, whose JSON is the answer's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/http.h"
#include "core/app/server.h"
#include "core/app/status/sample.h"
#include "core/app/status/samples.h"
#include "core/base/clock.h"
#include "core/base/json.h"

/* While the agent was never heard its host is not known: then the one that was sampled last. */
#define HISTORY_SQL                                                                                \
	"SELECT known, averages, lowest, highest FROM ops.metric_history(coalesce(nullif($1, '')," \
	" (SELECT host FROM ops.metric_series ORDER BY seen_us DESC LIMIT 1), ''),"                \
	" $2, $3, $4, $5, $6)"
#define MAX_ANSWER_BYTES (8u << 20)
#define HOUR_US (UINT64_C(3600) * CLOCK_SECOND_US)
#define MAX_SPAN_US (UINT64_C(732) * 86400 * CLOCK_SECOND_US)

struct question {
	struct request *req;
	bool many;
	json_t *keys; /* [["section/id", "value"]…] */
	uint64_t from_us, to_us;
	struct sample_steps steps;
};

static void question_free(struct question *q)
{
	json_decref(q->keys);
	free(q);
}

static void write_column(
	struct json *json, const char *key, const struct pg_result *result, size_t row, size_t col)
{
	struct pg_bytes_view text = pg_get_text(result, row, col);

	json_key(json, key);
	json_raw(json, text.data, text.len);
}

/* The members of one value's history. */
static void write_series(
	struct json *json, const struct question *q, const struct pg_result *result, size_t row)
{
	const json_t *key = json_array_get(q->keys, row);

	json_kv_str(json, "item", json_string_value(json_array_get(key, 0)));
	json_kv_str(json, "value", json_string_value(json_array_get(key, 1)));
	json_kv_uint(json, "step_us", q->steps.step_s * CLOCK_SECOND_US);
	write_column(json, "samples", result, row, 1);
	if (!q->many && q->steps.tier_s > SAMPLE_EVERY_S) {
		write_column(json, "lowest", result, row, 2);
		write_column(json, "highest", result, row, 3);
	}
}

static void answer(struct question *q, const struct pg_result *result)
{
	struct json json;
	struct buf buf;

	buf_init(&buf, MAX_ANSWER_BYTES);
	json_init(&json, &buf);
	json_open_object(&json);
	if (q->many) {
		json_kv_uint(&json, "from_us", q->from_us);
		json_kv_uint(&json, "to_us", q->to_us);
		json_key(&json, "series");
		json_open_array(&json);
		for (size_t row = 0; row < pg_rows(result); row++) {
			json_open_object(&json);
			write_series(&json, q, result, row);
			json_close_object(&json);
		}
		json_close_array(&json);
	} else {
		write_series(&json, q, result, 0);
	}
	json_close_object(&json);
	if (buf_err(&buf) < 0)
		response_problem(q->req, 500, "internal", "The answer is too large.");
	else
		response_send(q->req, 200, "application/json", (const char *)buf.data, buf.len);
	buf_fini(&buf);
}

/* The database has answered, or could not. */
static void on_history(const struct pg_reply *reply, void *arg)
{
	struct question *q = arg;

	if (reply->err != 0)
		response_problem(q->req, 503, "history_unavailable",
			"The database cannot be asked just now. Try again in a moment.");
	else if (!q->many && !pg_get_bool(reply->results[0], 0, 0))
		response_problem(
			q->req, 404, "not_found", "Nothing was ever measured under this name.");
	else
		answer(q, reply->results[0]);
	question_free(q);
}

/* The n-th pair of the query: 1, 0 when there are no more, -EINVAL when it is none. */
static int read_key(struct question *q, size_t n)
{
	const char *item = request_query_nth(q->req, "item", n);
	const char *value = request_query_nth(q->req, "value", n);

	if (item == NULL && value == NULL)
		return 0;
	if (item == NULL || value == NULL || strlen(item) > SAMPLE_MAX_NAME_BYTES ||
		strlen(value) > SAMPLE_MAX_NAME_BYTES || strchr(item, '/') == NULL)
		return -EINVAL;
	json_array_append_new(q->keys, json_pack("[s,s]", item, value));
	return 1;
}

/* What is asked for; false: answered. */
static bool read_keys(struct question *q)
{
	size_t most = q->many ? SAMPLES_MAX_KEYS : 1, n = 0;
	int rc;

	while ((rc = read_key(q, n)) > 0 && n < most)
		n++;
	if (rc == 0 && n > 0)
		return true;
	response_problem(q->req, 400, "bad_request",
		q->many ? "item (section/id) and value must be given in pairs, 32 at most."
			: "item (section/id) and value must be given, once each.");
	return false;
}

static bool read_range(struct question *q)
{
	uint64_t now = clock_wall_us();

	if (!http_query_number(q->req, "to", now, INT64_MAX / 2, &q->to_us) ||
		!http_query_number(q->req, "from", q->to_us > HOUR_US ? q->to_us - HOUR_US : 0,
			INT64_MAX / 2, &q->from_us))
		return false;
	if (q->from_us < q->to_us && q->to_us - q->from_us <= MAX_SPAN_US) {
		q->steps = sample_steps(q->from_us, q->to_us, now);
		return true;
	}
	response_problem(q->req, 400, "bad_request",
		"from must be before to, and two years before it at most.");
	return false;
}

static void ask(struct request *req, bool many)
{
	struct server *server = server_of(req);
	struct question *q = xcalloc(1, sizeof(*q));
	struct host *host;
	char *keys;

	q->req = req;
	q->many = many;
	q->keys = json_array();
	if (!read_keys(q) || !read_range(q)) {
		question_free(q);
		return;
	}
	host = http_query_host(req);
	if (host == NULL) {
		question_free(q);
		return;
	}
	keys = json_dumps(q->keys, JSON_COMPACT);
	const struct pg_param params[] = {pg_text(host_name(host)), pg_text(keys),
		pg_u64(q->from_us), pg_u64(q->to_us), pg_i32((int32_t)q->steps.step_s),
		pg_i32((int32_t)q->steps.tier_s)};
	(void)pool_run(server->pool, pg_batch_one(HISTORY_SQL, params, ARRAY_LEN(params)),
		POOL_IDEMPOTENT, SAMPLES_QUERY_MS, on_history, q);
	free(keys);
}

void samples_get(struct request *req)
{
	ask(req, false);
}

void samples_get_many(struct request *req)
{
	ask(req, true);
}
