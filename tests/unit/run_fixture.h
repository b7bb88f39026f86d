/* A folder for one run in a temporary place, and a small plan. For the tests of agent/run. */
#ifndef OPS_TESTS_UNIT_RUN_FIXTURE_H
#define OPS_TESTS_UNIT_RUN_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/plan.h"
#include "core/base/mem.h"

struct fixture {
	char path[64];
	int dir_fd;
};

static inline int fixture_setup(void **state)
{
	struct fixture *fix = xcalloc(1, sizeof(*fix));

	snprintf(fix->path, sizeof(fix->path), "/tmp/ops-unit-XXXXXX");
	if (mkdtemp(fix->path) == NULL)
		return -1;
	fix->dir_fd = open(fix->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = fix;
	return fix->dir_fd >= 0 ? 0 : -1;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fix = *state;
	DIR *dir = opendir(fix->path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		(void)unlinkat(fix->dir_fd, entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	close(fix->dir_fd);
	rmdir(fix->path);
	free(fix);
	return 0;
}

/* n steps "s0", "s1" …, each needing the one before. To be freed with plan_free(). */
static inline struct plan *fixture_plan(size_t n)
{
	struct plan *plan = xcalloc(1, sizeof(*plan));

	uuid_v7(&plan->id);
	plan->number = 1482;
	plan->is_flow = true;
	plan->name = xstrdup("backup");
	plan->title = xstrdup("Nightly \"backup\"");
	plan->host = xstrdup("host");
	plan->actor = xstrdup("user:admin");
	plan->trigger = xstrdup("manual");
	plan->config_digest = xstrdup("ab");
	plan->created_us = 1234567;
	plan->timeout_us = 60000000;
	plan->max_output = 1000;
	plan->n_inputs = 2;
	plan->inputs = xcalloc(2, sizeof(*plan->inputs));
	plan->inputs[0].name = xstrdup("db");
	plan->inputs[0].value = xstrdup("app");
	plan->inputs[1].name = xstrdup("password");
	plan->inputs[1].value = xstrdup("hunter22");
	plan->inputs[1].secret = true;
	plan->n_steps = n;
	plan->steps = xcalloc(n, sizeof(*plan->steps));
	for (size_t i = 0; i < n; i++) {
		struct plan_step *step = &plan->steps[i];

		step->id = xasprintf("s%zu", i);
		step->uses = xstrdup("pg.dump");
		step->title = xstrdup("Dump");
		step->executable = xstrdup("/bin/true");
		step->argv = xcalloc(1, sizeof(*step->argv));
		step->argv[0].prefix = xstrdup("/bin/true");
		step->n_argv = 1;
		step->user = xstrdup("ops-run");
		step->cwd = xstrdup("/");
		step->timeout_us = 5;
		step->n_outputs = 2;
		step->outputs = xcalloc(2, sizeof(*step->outputs));
		step->outputs[0] = xstrdup("path");
		step->outputs[1] = xstrdup("bytes");
		if (i > 0) {
			step->n_needs = 1;
			step->needs = xcalloc(1, sizeof(*step->needs));
			step->needs[0] = (uint16_t)(i - 1);
		}
	}
	return plan;
}

#endif
