/* What the probes read of others: the first byte says as what the rest comes. Messages that decode
 * encode to the same bytes; texts are read without a byte beyond them. */
#include <errno.h>
#include <string.h>

#include "agent/probes/note.h"
#include "agent/probes/report.h"
#include "agent/probes/repository.h"
#include "agent/probes/tailnote.h"
#include "agent/probes/updates.h"
#include "agent/probes/url.h"
#include "core/base/buf.h"
#include "fuzz.h"

static void check_note(const uint8_t *data, size_t n)
{
	static uint8_t out[NOTE_MAX_BYTES];
	struct note note;

	if (note_decode(data, n, &note) != 0)
		return;
	FUZZ_CHECK(!tailnote_is(data, n));
	FUZZ_CHECK(note_encode(&note, out, sizeof(out)) == (int)n);
	FUZZ_CHECK(memcmp(out, data, n) == 0);
}

static void check_tailnote(const uint8_t *data, size_t n)
{
	uint8_t out[TAILNOTE_MAX_BYTES];
	struct tailnote note;

	if (tailnote_decode(data, n, &note) != 0)
		return;
	FUZZ_CHECK(tailnote_is(data, n));
	FUZZ_CHECK(tailnote_encode(&note, out, sizeof(out)) == (int)n);
	FUZZ_CHECK(memcmp(out, data, n) == 0);
}

static void check_report(const uint8_t *data, size_t n)
{
	struct finding *found = malloc(sizeof(*found));
	size_t at = 0, before = 0;
	int rc;

	FUZZ_CHECK(found != NULL);
	while ((rc = report_next(data, n, &at, found)) > 0) {
		FUZZ_CHECK(at > before && at <= n);
		before = at;
		buf_fini(&found->values);
	}
	FUZZ_CHECK(rc == 0 ? at == n : rc == -EBADMSG);
	free(found);
}

static void check_texts(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1);
	struct repository repository;
	struct updates updates;
	struct url url;

	FUZZ_CHECK(text != NULL);
	memcpy(text, data, n);
	text[n] = '\0';
	updates_parse(text, &updates);
	FUZZ_CHECK(updates.security <= updates.pending);
	if (repository_parse(text, &repository) == 0)
		FUZZ_CHECK(repository.branch[0] != '\0');
	if (url_parse(text, &url) == 0)
		FUZZ_CHECK(url.path[0] == '/' && url.host[0] != '\0');
	free(text);
}

static void check_answer(const uint8_t *data, size_t n)
{
	/* exactly as large as the answer: a byte too far is seen */
	char *copy = malloc(n + (n == 0));

	FUZZ_CHECK(copy != NULL);
	memcpy(copy, data, n);
	(void)url_status(copy, n);
	if (url_body_holds(copy, n, "Welcome"))
		FUZZ_CHECK(memmem(copy, n, "Welcome", 7) != NULL);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const checks[])(const uint8_t *data, size_t n) = {
		check_note, check_tailnote, check_report, check_texts, check_answer};

	if (size > 0 && data[0] < sizeof(checks) / sizeof(checks[0]))
		checks[data[0]](data + 1, size - 1);
	return 0;
}
