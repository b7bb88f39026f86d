/*
 * A unit's journal, live: what `journalctl -fu UNIT` would show. Entries of the unit, and what the
 * manager and others with the right to say of it; priority error and worse as standard error, all
 * else as standard output. One record an entry, "name[pid]: message" and a newline; the time is the
 * record's.
 *
 * The journal is read through libsystemd as the probes' account, which setup puts into the group
 * systemd-journal. OPS_AGENT_JOURNAL_DIR names another folder of journal files (for tests, and for
 * journals that are mounted elsewhere).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probes/journal.h"
#include "agent/probes/tails.h"
#include "core/base/buf.h"
#include "core/base/clock.h"

#define MAX_FIELD_BYTES (1u << 20) /* of one message; the rest of it is not shown */
#define PRIORITY_ERROR 3
#define COREDUMP_ID "fc2e22bc6ee647b6b90729ab34a250b1"

/* As journalctl(1) has it: by the unit itself, of its core dumps, by the manager, by root. */
static int match_unit(sd_journal *journal, const char *unit)
{
	int rc = journal_match(journal, "_SYSTEMD_UNIT", unit);

	rc = rc < 0 ? rc : sd_journal_add_disjunction(journal);
	rc = rc < 0 ? rc : journal_match(journal, "MESSAGE_ID", COREDUMP_ID);
	rc = rc < 0 ? rc : journal_match(journal, "_UID", "0");
	rc = rc < 0 ? rc : journal_match(journal, "COREDUMP_UNIT", unit);
	rc = rc < 0 ? rc : sd_journal_add_disjunction(journal);
	rc = rc < 0 ? rc : journal_match(journal, "_PID", "1");
	rc = rc < 0 ? rc : journal_match(journal, "UNIT", unit);
	rc = rc < 0 ? rc : sd_journal_add_disjunction(journal);
	rc = rc < 0 ? rc : journal_match(journal, "_UID", "0");
	return rc < 0 ? rc : journal_match(journal, "OBJECT_SYSTEMD_UNIT", unit);
}

/* The journal's pointers hold until the next field is read: each is copied at once. */
static void append_field(
	struct buf *line, struct wire_str value, const char *before, const char *behind)
{
	if (value.len == 0)
		return;
	buf_append_str(line, before);
	buf_append(line, value.data, value.len);
	buf_append_str(line, behind);
}

static void show(sd_journal *journal, struct buf *line, struct tailout *out)
{
	struct wire_str priority = journal_field(journal, "PRIORITY", NULL);
	bool is_error = priority.len == 1 && priority.data[0] >= '0' &&
			priority.data[0] <= '0' + PRIORITY_ERROR;
	uint64_t time_us = 0;

	if (sd_journal_get_realtime_usec(journal, &time_us) < 0)
		time_us = 0; /* now */
	buf_reset(line);
	append_field(line, journal_field(journal, "SYSLOG_IDENTIFIER", "_COMM"), "", "");
	append_field(line, journal_field(journal, "_PID", "SYSLOG_PID"), "[", "]");
	if (line->len != 0)
		buf_append_str(line, ": ");
	append_field(line, journal_field(journal, "MESSAGE", NULL), "", "");
	if (line->len == 0 || line->data[line->len - 1] != '\n')
		buf_append_byte(line, '\n');
	if (buf_err(line) == 0)
		tailout_write(out, is_error ? RECORD_STDERR : RECORD_STDOUT, time_us, line->data,
			line->len);
}

/* Stands so that sd_journal_next() gives the first entry of the backlog. */
static int seek(sd_journal *journal, uint32_t backlog_lines)
{
	int rc = sd_journal_seek_tail(journal);

	/* one more than wanted: next() goes on behind where it stands */
	if (rc >= 0)
		rc = sd_journal_previous_skip(journal, (uint64_t)backlog_lines + 1);
	/* fewer than that, or none at all: from the first on */
	if (rc >= 0 && (uint32_t)rc <= backlog_lines)
		rc = sd_journal_seek_head(journal);
	return rc;
}

/* Waits for new entries. False: nobody reads any more. */
static int wait_for_more(sd_journal *journal, const struct tailout *out)
{
	struct pollfd fds[] = {
		{.fd = sd_journal_get_fd(journal)},
		{.fd = out->fd}, /* its error is what is waited for */
	};
	int events = sd_journal_get_events(journal), timeout_ms = -1;
	uint64_t until_us = UINT64_MAX;

	if (fds[0].fd < 0 || events < 0)
		return fds[0].fd < 0 ? fds[0].fd : events;
	fds[0].events = (short)events;
	/* where files cannot be watched, libsystemd wants to look every so often */
	if (sd_journal_get_timeout(journal, &until_us) >= 0 && until_us != UINT64_MAX) {
		uint64_t now = clock_mono_us();

		timeout_ms = until_us > now ? (int)MIN((until_us - now) / 1000 + 1, 60000u) : 0;
	}
	if (poll(fds, ARRAY_LEN(fds), timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents & (POLLERR | POLLHUP))
		return -EPIPE;
	return sd_journal_process(journal);
}

static int follow(sd_journal *journal, struct tailout *out)
{
	struct buf line;
	int rc = 0;

	buf_init(&line, MAX_FIELD_BYTES + 4096);
	while (rc >= 0) {
		rc = sd_journal_next(journal);
		if (rc > 0)
			show(journal, &line, out);
		else if (rc == 0)
			rc = wait_for_more(journal, out);
	}
	buf_fini(&line);
	return rc;
}

void unit_tail_run(const struct tail_spec *spec, struct tailout *out)
{
	sd_journal *journal;
	int rc = journal_open(&journal);

	if (rc == -ENOENT) {
		tailout_end(out,
			"there is no journal that the probes' account may read: it should be "
			"in the group systemd-journal");
		return;
	}
	if (rc >= 0)
		rc = sd_journal_set_data_threshold(journal, MAX_FIELD_BYTES);
	if (rc >= 0)
		rc = match_unit(journal, spec->name);
	/* watched before it is read, so that nothing is missed in between */
	if (rc >= 0)
		rc = sd_journal_get_fd(journal);
	if (rc >= 0)
		rc = seek(journal, spec->backlog_lines);
	if (rc >= 0)
		rc = follow(journal, out);
	if (rc != -EPIPE)
		tailout_end(out, "the journal cannot be read: %s", strerror(-rc));
	sd_journal_close(journal);
}
