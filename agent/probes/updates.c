/*
 * Pending package updates, as apt knows them from the lists it last fetched: nothing is fetched, no
 * lock is taken, nothing changes. On a machine without apt there is no such item.
 */
#include "agent/probes/updates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/probes/command.h"
#include "agent/probes/probe.h"

#define MAX_OUTPUT (4u << 20)
#define LISTS "/var/lib/apt/lists"

/* strcasestr() within n bytes. */
static bool holds(const char *text, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= n; i++) {
		if (strncasecmp(text + i, word, len) == 0)
			return true;
	}
	return false;
}

void updates_parse(const char *text, struct updates *ret_updates)
{
	struct updates updates = {0};

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		const char *old = memchr(text, '[', n), *new = memchr(text, '(', n);

		/* what is new as a package has no old version in front of the new one */
		if (strncmp(text, "Inst ", 5) == 0 && old != NULL && new != NULL && old < new) {
			updates.pending++;
			if (holds(new, n - (size_t)(new - text), "security"))
				updates.security++;
		}
		text += n;
		text += *text == '\n';
	}
	*ret_updates = updates;
}

static int ask_apt(struct buf *out, struct err *err)
{
	static const char *const argv[] = {"apt-get", "--simulate", "--quiet", "-o",
		"Debug::NoLocking=1", "dist-upgrade", NULL};
	static const char *const env[] = {
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "LC_ALL=C", NULL};
	const struct command apt = {.path = "/usr/bin/apt-get", .argv = argv, .env = env};

	return command_run(&apt, out, err);
}

void updates_run(const struct probe *probe, struct report *report)
{
	struct updates updates;
	struct err err = {0};
	struct finding *f;
	struct stat st;
	struct buf out;
	char *text;
	int rc;

	buf_init(&out, MAX_OUTPUT);
	rc = ask_apt(&out, &err);
	if (rc == -ENOENT)
		return; /* another kind of machine */
	f = report_begin(report, probe->id, probe->title);
	text = rc == 0 ? xstrndup((const char *)out.data, out.len) : NULL;
	if (text == NULL) {
		finding_raise(f, LEVEL_UNKNOWN, NULL, "%s", err.msg);
	} else {
		updates_parse(text, &updates);
		json_kv_uint(&f->json, "pending", updates.pending);
		json_kv_uint(&f->json, "security", updates.security);
		if (stat(LISTS, &st) == 0)
			json_kv_uint(&f->json, "fetched_us", (uint64_t)st.st_mtim.tv_sec * 1000000);
		if (updates.security == 1)
			finding_raise(f, LEVEL_WARN, "security_updates", "%u security update",
				updates.security);
		else if (updates.security != 0)
			finding_raise(f, LEVEL_WARN, "security_updates", "%u security updates",
				updates.security);
	}
	report_end(report);
	free(text);
	buf_fini(&out);
}
