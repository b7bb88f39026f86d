/* The input as what a Docker engine answers: the first byte says to which question, the rest are
 * the bytes of the answer, in one piece and cut in two: both must mean the same. Whatever it is,
 * what is reported of it must be a whole report. */
#include <string.h>

#include "agent/probes/container.h"
#include "agent/probes/dockerlog.h"
#include "agent/probes/engine.h"
#include "fuzz.h"

#define MAX_CONTAINERS 8
#define NOW UINT64_C(1795698700000000)

static int keep(void *arg, const uint8_t *data, size_t n)
{
	buf_append(arg, data, n);
	return buf_err(arg);
}

static int read_answer(
	const uint8_t *data, size_t n, size_t cut, struct buf *body, unsigned *ret_status)
{
	struct engine_answer *answer = engine_answer_new(keep, body);
	int rc = cut != 0 ? engine_answer_feed(answer, data, cut, NULL) : 0;

	if (rc == 0 && n > cut)
		rc = engine_answer_feed(answer, data + cut, n - cut, NULL);
	if (rc == 0)
		rc = engine_answer_feed(answer, NULL, 0, NULL);
	*ret_status = engine_answer_status(answer);
	engine_answer_free(answer);
	return rc;
}

static void check_report(const struct container *c)
{
	struct container_before before = {.cpu_us = 1, .cpu_at_us = 1};
	struct report report;
	struct finding found;
	size_t at = 0;
	int rc;

	report_init(&report);
	container_report(c, &before, NULL, NOW, &report);
	container_report(c, NULL, "because", NOW, &report);
	while ((rc = report_next(report.bytes.data, report.bytes.len, &at, &found)) > 0) {
		(void)!container_read_before(found.values.data, found.values.len, &before);
		buf_fini(&found.values);
	}
	FUZZ_CHECK(rc == 0);
	report_fini(&report);
}

static void on_output(
	void *arg, enum record_kind kind, uint64_t time_us, const uint8_t *data, size_t n)
{
	size_t *bytes = arg;

	(void)time_us;
	(void)data;
	FUZZ_CHECK(n > 0 && (kind == RECORD_STDOUT || kind == RECORD_STDERR));
	*bytes += n;
}

static void check_log(const uint8_t *data, size_t n)
{
	size_t whole = 0, pieces = 0;
	struct dockerlog log;
	int rc, again = 0;

	dockerlog_init(&log, on_output, &whole);
	rc = dockerlog_feed(&log, data, n);
	dockerlog_init(&log, on_output, &pieces);
	for (size_t i = 0; i < n && again == 0; i++)
		again = dockerlog_feed(&log, data + i, 1);
	FUZZ_CHECK(rc == again && whole <= n);
	FUZZ_CHECK(rc != 0 || whole == pieces);
}

static void check_body(uint8_t question, const struct buf *body)
{
	struct container list[MAX_CONTAINERS] = {0};
	struct err err = {0};
	size_t total = 0;

	if (question % 5 == 0 &&
		container_read_list(body->data, body->len, list, MAX_CONTAINERS, &total, &err) != 0)
		FUZZ_CHECK(err.msg[0] != '\0');
	else if (question % 5 == 1)
		(void)!container_read_details(body->data, body->len, list, &err);
	else if (question % 5 == 2)
		container_read_stats(body->data, body->len, list);
	else if (question % 5 == 3)
		container_read_image(body->data, body->len, list);
	else if (question % 5 == 4)
		check_log(body->data, body->len);
	memcpy(list[0].name, "a", 2);
	for (size_t i = 0; i < MAX(MIN(total, (size_t)MAX_CONTAINERS), 1u); i++)
		check_report(&list[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf body, again;
	unsigned status, status_again;
	int rc;

	if (n == 0)
		return 0;
	buf_init(&body, 1u << 16);
	buf_init(&again, 1u << 16);
	rc = read_answer(data + 1, n - 1, 0, &body, &status);
	FUZZ_CHECK(read_answer(data + 1, n - 1, n / 2, &again, &status_again) == rc);
	FUZZ_CHECK(rc != 1 || (status == status_again && body.len == again.len));
	if (rc == 1 && status == 200 && buf_err(&body) == 0)
		check_body(data[0], &body);
	if (rc == 1 && status != 200) {
		struct err err = {0};

		engine_explain(status, body.data, body.len, &err);
		FUZZ_CHECK(err.code < 0);
	}
	buf_fini(&body);
	buf_fini(&again);
	return 0;
}
