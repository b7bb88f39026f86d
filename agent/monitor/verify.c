/* `ops-agent verify`: looks at everything that can be damaged, changes nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/monitor/ledger.h"
#include "agent/monitor/monitor.h"
#include "agent/monitor/settings.h"
#include "agent/run/journal.h"
#include "agent/run/rundir.h"
#include "agent/run/state.h"
#include "core/base/uuid.h"

struct tally {
	unsigned good, unfinished, bad;
};

/* NULL, or what is wrong with it. */
static const char *look(int run_fd, struct tally *tally)
{
	struct journal_walk walk;
	struct run_state state;
	int fd = openat(run_fd, RUNDIR_JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int rc;

	if (fd < 0)
		return "the journal cannot be opened";
	rc = journal_walk(fd, 0, &walk);
	close(fd);
	if (rc != 0)
		return "the journal cannot be read";
	if (state_read(run_fd, &state) != 0)
		return "the state is damaged";
	if (!run_status_is_final((enum run_status)state.status)) {
		tally->unfinished++;
		return NULL;
	}
	if (!walk.finished || walk.totals.size != walk.file_size)
		return "the journal is damaged";
	if (memcmp(walk.digest, state.digest, sizeof(walk.digest)) != 0)
		return "the digest is not the journal's";
	tally->good++;
	return NULL;
}

static void look_at_runs(int state_fd, struct tally *tally)
{
	int fd = openat(state_fd, "runs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		const char *wrong = "the folder cannot be opened";
		struct uuid id;
		int run_fd;

		if (uuid_parse(entry->d_name, strlen(entry->d_name), &id) != 0)
			continue;
		run_fd = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (run_fd >= 0) {
			wrong = look(run_fd, tally);
			close(run_fd);
		}
		if (wrong != NULL) {
			printf("run %s: %s\n", entry->d_name, wrong);
			tally->bad++;
		}
	}
	closedir(dir);
}

int monitor_verify(void)
{
	struct settings settings;
	struct tally tally = {0};
	struct err err = {0};
	uint64_t events = 0, bytes = 0;
	int fd;

	if (settings_load(&settings, &err) != 0) {
		fprintf(stderr, "ops-agent: %s\n", err.msg);
		return MONITOR_EXIT_CONFIG;
	}
	fd = open(settings.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "ops-agent: cannot open %s: %s\n", settings.state_dir,
			strerror(errno));
		settings_fini(&settings);
		return MONITOR_EXIT_FAILED;
	}
	if (ledger_verify(fd, &events, &bytes, &err) == 0) {
		printf("ledger: %" PRIu64 " events, %" PRIu64 " bytes, the chain holds\n", events,
			bytes);
	} else {
		printf("%s\n", err.msg);
		tally.bad++;
	}
	look_at_runs(fd, &tally);
	printf("runs: %u good, %u not finished, %u damaged\n", tally.good, tally.unfinished,
		tally.bad);
	close(fd);
	settings_fini(&settings);
	return tally.bad == 0 ? MONITOR_EXIT_OK : MONITOR_EXIT_FAILED;
}
