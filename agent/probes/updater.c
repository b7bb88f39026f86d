/*
 * The nightly update: the last line of the history that deploy/ops-dashboard-updater/update.sh
 * writes, when and what it was, and whether it went well. Where no updater is installed, or it has
 * never had anything to do, there is no such item. The only JSON but Docker's that the agent reads,
 * and as that, only in a look's own process.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/probes/probe.h"

#define HISTORY "/var/lib/ops-dashboard-updater/history.jsonl"
#define MAX_LINE 65536
#define SHOWN_COMMIT 12
#define SHOWN_CHANGES 10
#define MAX_CHANGES 2000 /* bytes of the text */

/* The file's last whole line, NUL-terminated, in text. Its bytes; 0: there is none yet; -errno. */
static ssize_t last_line(const char *path, char text[MAX_LINE + 1])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;
	char *start;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = pread(fd, text, MAX_LINE, st.st_size > MAX_LINE ? st.st_size - MAX_LINE : 0);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n <= 0)
		return n;
	while (n > 0 && text[n - 1] != '\n')
		n--;
	if (n == 0)
		return 0;
	text[--n] = '\0';
	start = strrchr(text, '\n');
	if (start == NULL)
		return n;
	n -= start + 1 - text;
	memmove(text, start + 1, (size_t)n + 1);
	return n;
}

static const char *text_of(const json_t *line, const char *key)
{
	const char *text = json_string_value(json_object_get(line, key));

	return text != NULL ? text : "";
}

static void put_commit(struct finding *f, const json_t *line, const char *key)
{
	const char *commit = text_of(line, key);

	if (commit[0] == '\0')
		return;
	json_key(&f->json, key);
	json_strn(&f->json, commit, MIN(strlen(commit), (size_t)SHOWN_COMMIT));
}

/* The subjects of the newest commits, one a line. */
static void put_changes(struct finding *f, const json_t *line)
{
	const json_t *changes = json_object_get(line, "changes");
	struct buf text;
	json_t *subject;
	size_t i;

	json_kv_uint(&f->json, "changes", json_array_size(changes));
	buf_init(&text, MAX_CHANGES);
	json_array_foreach(changes, i, subject)
	{
		if (i == SHOWN_CHANGES)
			break;
		if (i > 0)
			buf_append_byte(&text, '\n');
		buf_append_str(&text,
			json_string_value(subject) != NULL ? json_string_value(subject) : "");
	}
	if (buf_err(&text) == 0 && text.len > 0) {
		json_key(&f->json, "new");
		json_strn(&f->json, text.data, text.len);
	}
	buf_fini(&text);
}

static void judge(struct finding *f, const json_t *line)
{
	const char *result = text_of(line, "result"), *reason = text_of(line, "reason");
	struct tm tm = {0};

	if (strptime(text_of(line, "time"), "%Y-%m-%dT%H:%M:%SZ", &tm) != NULL && timegm(&tm) > 0)
		json_kv_uint(&f->json, "updated_us", (uint64_t)timegm(&tm) * 1000000);
	json_kv_str(&f->json, "result", result);
	if (text_of(line, "version")[0] != '\0')
		json_kv_str(&f->json, "version", text_of(line, "version"));
	put_commit(f, line, "from");
	put_commit(f, line, "to");
	json_kv_uint(&f->json, "took_s",
		(uint64_t)MAX(json_integer_value(json_object_get(line, "seconds")), 0));
	if (reason[0] != '\0')
		json_kv_str(&f->json, "reason", reason);
	put_changes(f, line);
	if (strcmp(result, "rolled_back") == 0)
		finding_raise(f, LEVEL_BAD, "update_reverted", "the last update was taken back: %s",
			reason);
	else if (strcmp(result, "updated") != 0)
		finding_raise(f, LEVEL_BAD, "update_failed", "the last update failed: %s", reason);
}

void updater_run(const struct probe *probe, struct report *report)
{
	const char *path = getenv("OPS_UPDATER_HISTORY");
	char *text = xcalloc(1, MAX_LINE + 1);
	ssize_t n = last_line(path != NULL ? path : HISTORY, text);
	json_t *line = n > 0 ? json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct finding *f;

	if (n != 0 && n != -ENOENT) {
		f = report_begin(report, probe->id, probe->title);
		if (n < 0)
			finding_raise(f, LEVEL_UNKNOWN, "updates_unreadable",
				"the history of updates cannot be read: %s", strerror((int)-n));
		else if (!json_is_object(line))
			finding_raise(f, LEVEL_UNKNOWN, "updates_senseless",
				"the last line of the history of updates makes no sense");
		else
			judge(f, line);
		report_end(report);
	}
	json_decref(line);
	free(text);
}
