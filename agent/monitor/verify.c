/*
 * `ops-agent verify`: looks at everything that can be damaged or changed, changes nothing. May run
 * beside the agent: what it seals meanwhile is read before a missing seal is told.
 *
 * Of each journal every record's checksum, the digest over the headers against run.finished, the
 * state and the ledger, and the bytes against the seal. Every finding names a file, the byte where
 * it begins, and what is wrong.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/monitor/ledger.h"
#include "agent/monitor/ledger_runs.h"
#include "agent/monitor/monitor.h"
#include "agent/monitor/seal.h"
#include "agent/monitor/settings.h"
#include "agent/run/event.h"
#include "agent/run/journal.h"
#include "agent/run/meta.h"
#include "agent/run/rundir.h"
#include "agent/run/state.h"
#include "core/base/hex.h"
#include "core/base/mem.h"
#include "core/base/uuid.h"

struct verify {
	int state_fd;
	struct ledger_walk walk;
	struct ledger_runs runs;
	bool wants_head, saw_head;
	uint8_t head[CRYPTO_SHA256_BYTES];
	uint64_t strange; /* byte of the first event that cannot be read; UINT64_MAX: none */
	unsigned good, unfinished, bad, sealed;
};

/* ---- the ledger ---- */

static void on_event(void *arg, uint64_t offset, const char *json, size_t n,
	const uint8_t head[CRYPTO_SHA256_BYTES])
{
	struct verify *v = arg;

	if (ledger_runs_add(&v->runs, offset, json, n) != 0 && v->strange == UINT64_MAX)
		v->strange = offset;
	if (v->wants_head && memcmp(head, v->head, sizeof(v->head)) == 0)
		v->saw_head = true;
}

static void look_at_ledger(struct verify *v)
{
	char head[2 * CRYPTO_SHA256_BYTES + 1];
	struct err err = {0};

	if (ledger_verify(v->state_fd, &v->walk, &err) != 0) {
		printf("%s\n", err.msg);
		v->bad++;
		return;
	}
	if (v->strange != UINT64_MAX) {
		printf("ledger, byte %" PRIu64 ": an event that cannot be read\n", v->strange);
		v->bad++;
	}
	hex_encode(v->walk.head, sizeof(v->walk.head), head);
	printf("ledger: %" PRIu64 " events, %" PRIu64 " bytes, the chain holds\n", v->walk.events,
		v->walk.offset);
	printf("head: %s\n", head);
	if (v->wants_head && !v->saw_head) {
		printf("ledger, byte %" PRIu64
		       ": it never had the head that was given; events were cut off or rewritten\n",
			v->walk.offset);
		v->bad++;
	}
}

/* ---- runs ---- */

/* A finding: which file of the run, from which byte on, and what. */
struct finding {
	const char *file; /* NULL: there is none */
	uint64_t offset;
	char what[256];
};

static void find(struct finding *finding, const char *file, uint64_t offset, const char *what)
{
	finding->file = file;
	finding->offset = offset;
	snprintf(finding->what, sizeof(finding->what), "%s", what);
}

static void check_seal(int run_fd, const struct ledger_run *said, struct finding *finding)
{
	struct seal seal;

	if (seal_journal(run_fd, &seal) != 0) {
		find(finding, RUNDIR_JOURNAL, 0, "it cannot be read");
	} else if (seal.size != said->seal.size) {
		find(finding, RUNDIR_JOURNAL, MIN(seal.size, said->seal.size), "");
		snprintf(finding->what, sizeof(finding->what),
			"%" PRIu64 " bytes, but %" PRIu64 " were sealed (ledger, byte %" PRIu64 ")",
			seal.size, said->seal.size, said->seal_at);
	} else if (memcmp(seal.sha256, said->seal.sha256, sizeof(seal.sha256)) != 0) {
		find(finding, RUNDIR_JOURNAL, 0, "");
		snprintf(finding->what, sizeof(finding->what),
			"records and checksums agree, but these are not the bytes that were sealed "
			"(ledger, byte %" PRIu64 ")",
			said->seal_at);
	}
}

static bool meta_is_good(int run_fd, struct finding *finding)
{
	struct err err = {0};
	struct plan *meta = meta_read(run_fd, &err);
	bool good = meta != NULL;

	if (!good)
		find(finding, RUNDIR_META, 0, err.msg);
	meta_free(meta);
	return good;
}

static void check_journal(struct verify *v, int run_fd, const struct ledger_run *said,
	const struct run_state *state, const struct journal_walk *walk, struct finding *finding)
{
	if (walk->totals.size != walk->file_size)
		find(finding, RUNDIR_JOURNAL, walk->totals.size,
			walk->finished ? "bytes behind run.finished" : "a damaged record");
	else if (!walk->finished)
		find(finding, RUNDIR_JOURNAL, walk->totals.size, "it ends without run.finished");
	else if (memcmp(walk->digest, walk->finished_digest, sizeof(walk->digest)) != 0)
		find(finding, RUNDIR_JOURNAL, walk->finished_offset,
			"the digest of run.finished is not the journal's");
	else if (memcmp(walk->digest, state->digest, sizeof(walk->digest)) != 0)
		find(finding, RUNDIR_STATE, 0, "its digest is not the journal's");
	else if (said != NULL && said->has_digest &&
		 memcmp(walk->digest, said->digest, sizeof(walk->digest)) != 0)
		find(finding, RUNDIR_JOURNAL, 0, "its digest is not the one in the ledger");
	else if (said != NULL && said->has_seal)
		check_seal(run_fd, said, finding);
	if (finding->file == NULL) {
		v->good++;
		v->sealed += said != NULL && said->has_seal;
	}
}

/* Events that the agent wrote since. */
static const struct ledger_run *find_again(struct verify *v, const struct uuid *id)
{
	struct err err = {0};

	if (v->walk.damage == NULL)
		(void)!ledger_verify(v->state_fd, &v->walk, &err);
	return ledger_runs_find(&v->runs, id);
}

static void look(struct verify *v, int run_fd, const struct uuid *id, struct finding *finding)
{
	bool marked = faccessat(run_fd, SEAL_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	const struct ledger_run *said = ledger_runs_find(&v->runs, id);
	struct journal_walk walk;
	struct run_state state;
	int fd, rc;

	if (marked && (said == NULL || (!said->has_seal && !said->not_sealed)))
		said = find_again(v, id);
	if (marked && (said == NULL || (!said->has_seal && !said->not_sealed))) {
		find(finding, SEAL_FILE, 0,
			"the run was sealed, but the ledger has no seal: its events were cut off");
		return;
	}
	if (!meta_is_good(run_fd, finding))
		return;
	if (state_read(run_fd, &state) != 0) {
		find(finding, RUNDIR_STATE, 0, "the state is damaged");
		return;
	}
	/* before its journal is read: of one that ends meanwhile not all would have been */
	if (!run_status_is_final((enum run_status)state.status)) {
		v->unfinished++;
		return;
	}
	fd = openat(run_fd, RUNDIR_JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	rc = fd >= 0 ? journal_walk(fd, 0, &walk) : -errno;
	if (fd >= 0)
		close(fd);
	if (rc != 0)
		find(finding, RUNDIR_JOURNAL, 0, strerror(-rc));
	else
		check_journal(v, run_fd, said, &state, &walk, finding);
}

/* Meanwhile: then what was found is that its files went. */
static bool is_pruned(int runs_fd, const char *name)
{
	return faccessat(runs_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

static void look_at_runs(struct verify *v)
{
	int fd = openat(v->state_fd, "runs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (dir == NULL) {
		printf("runs: %s\n", strerror(errno));
		v->bad += errno != ENOENT;
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		struct finding finding = {0};
		struct uuid id;
		int run_fd;

		if (uuid_parse(entry->d_name, strlen(entry->d_name), &id) != 0)
			continue;
		run_fd = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (run_fd < 0 && errno == ENOENT)
			continue; /* pruned meanwhile */
		if (run_fd >= 0) {
			look(v, run_fd, &id, &finding);
			close(run_fd);
		} else {
			find(&finding, "", 0, strerror(errno));
		}
		if (finding.file != NULL && !is_pruned(fd, entry->d_name)) {
			printf("runs/%s/%s, byte %" PRIu64 ": %s\n", entry->d_name, finding.file,
				finding.offset, finding.what);
			v->bad++;
		}
	}
	closedir(dir);
}

int monitor_verify(const char *head)
{
	struct verify v = {.strange = UINT64_MAX, .wants_head = head != NULL};
	struct settings settings;
	struct err err = {0};

	if (head != NULL && hex_decode(head, strlen(head), v.head, sizeof(v.head)) != 0) {
		fputs("ops-agent: HEAD is 64 hexadecimal digits, as verify prints them\n", stderr);
		return MONITOR_EXIT_USAGE;
	}
	if (settings_load(&settings, &err) != 0) {
		fprintf(stderr, "ops-agent: %s\n", err.msg);
		return MONITOR_EXIT_CONFIG;
	}
	v.state_fd = open(settings.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v.state_fd < 0) {
		fprintf(stderr, "ops-agent: cannot open %s: %s\n", settings.state_dir,
			strerror(errno));
		settings_fini(&settings);
		return MONITOR_EXIT_FAILED;
	}
	v.walk.fn = on_event;
	v.walk.arg = &v;
	look_at_ledger(&v);
	look_at_runs(&v);
	printf("runs: %u good (%u of them sealed), %u not finished, %u damaged\n", v.good, v.sealed,
		v.unfinished, v.bad);
	close(v.state_fd);
	ledger_runs_fini(&v.runs);
	settings_fini(&settings);
	return v.bad == 0 ? MONITOR_EXIT_OK : MONITOR_EXIT_FAILED;
}
