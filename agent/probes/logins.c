/*
 * Sign-ins that sshd refused within a day, from the journal. Where there is none that the probes
 * may read there is no such item. A number to look at, no alarm: on a machine in the internet it is
 * never zero.
 */
#include <errno.h>
#include <string.h>

#include "agent/probes/journal.h"
#include "agent/probes/probe.h"
#include "core/base/clock.h"

#define DAY_US UINT64_C(86400000000)
#define MAX_ENTRIES 100000 /* looked at; more are not counted */

struct logins {
	unsigned failed;  /* "Failed password for …" */
	unsigned invalid; /* "Invalid user …": also where sshd takes no passwords */
	uint64_t last_us;
	bool more; /* MAX_ENTRIES were not all */
};

static bool begins(struct wire_str text, const char *with)
{
	return text.len >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static void count(sd_journal *journal, struct logins *logins)
{
	struct wire_str message = journal_field(journal, "MESSAGE", NULL);
	bool failed = begins(message, "Failed "), invalid = begins(message, "Invalid user ");
	uint64_t time_us = 0;

	logins->failed += failed;
	logins->invalid += invalid;
	if ((failed || invalid) && sd_journal_get_realtime_usec(journal, &time_us) >= 0)
		logins->last_us = time_us;
}

static int count_all(sd_journal *journal, struct logins *logins)
{
	int rc = journal_match(journal, "SYSLOG_IDENTIFIER", "sshd");

	rc = rc < 0 ? rc : journal_match(journal, "SYSLOG_IDENTIFIER", "sshd-session");
	rc = rc < 0 ? rc : sd_journal_seek_realtime_usec(journal, clock_wall_us() - DAY_US);
	for (int i = 0; rc >= 0 && (rc = sd_journal_next(journal)) > 0; i++) {
		if (i == MAX_ENTRIES) {
			logins->more = true;
			return 0;
		}
		count(journal, logins);
	}
	return rc;
}

void logins_run(const struct probe *probe, struct report *report)
{
	struct logins logins = {0};
	sd_journal *journal;
	int rc = journal_open(&journal);
	struct finding *f;

	if (rc != -ENOENT) {
		rc = rc < 0 ? rc : count_all(journal, &logins);
		f = report_begin(report, probe->id, probe->title);
		if (rc < 0)
			finding_raise(f, LEVEL_UNKNOWN, "journal_unreadable",
				"the journal cannot be read: %s", strerror(-rc));
		json_kv_uint(&f->json, "failed_24h", logins.failed);
		json_kv_uint(&f->json, "invalid_users_24h", logins.invalid);
		if (logins.last_us != 0)
			json_kv_uint(&f->json, "last_us", logins.last_us);
		if (logins.more)
			json_kv_bool(&f->json, "more", true);
		report_end(report);
	}
	sd_journal_close(journal);
}
