/*
 * The runs that the worker knows: one entry per folder in STATE_DIR/runs, found by a scan at start
 * and by inotify afterwards. It watches the state of runs that are not final, and tells of changes
 * in an order that any number of listeners can follow at their own pace: every entry has the number
 * of its last change, and runset_next_change() goes through them from a number on.
 */
#ifndef OPS_AGENT_WORKER_RUNSET_H
#define OPS_AGENT_WORKER_RUNSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "agent/run/state.h"
#include "agent/worker/watch.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/uuid.h"
#include "proto/wire.h"

#define RUNSET_MAX_RUNS 65536  /* more: the oldest finished ones are no longer found */
#define RUNSET_COALESCE_MS 100 /* between two changes that are told of one run */

struct runset;

struct run {
	struct runset *set;
	struct uuid id;
	uint64_t number;
	enum run_status status;
	bool final;
	bool released;
	uint64_t change;     /* number of the last change that was told; 0: none since start */
	struct list changed; /* runset.changes */
	struct list due;     /* runset.due; linked while a change waits to be told */
	uint64_t told_us;    /* monotonic */
	struct list tails;   /* tail.run_link */
	struct watch state_watch;
	struct watch journal_watch; /* while there are tails */
};

struct runset_callbacks {
	/* A change is ready to be told: runset_next_change() finds it. */
	void (*on_change)(void *arg);
	/* Somebody who tails this run should look at its journal. */
	void (*on_journal)(struct run *run);
};

struct runset {
	const struct runset_callbacks *callbacks;
	void *arg;
	struct watcher *watcher;
	uv_timer_t timer; /* tells what is due */
	char *path;	  /* STATE_DIR/runs */
	int fd;
	struct watch watch;
	struct run **runs; /* sorted by id, which is by age */
	size_t n, cap;
	struct list changes; /* run.changed, oldest change first */
	struct list due;     /* run.due */
	uint64_t last_change;
};

/* Scans and starts watching. 0 or a negative errno. */
MUSTCHECK int runset_open(struct runset *set, uv_loop_t *loop, struct watcher *watcher,
	const char *state_dir, const struct runset_callbacks *callbacks, void *arg);
/* Closes its handle and frees the entries, whose tails must be gone. Memory of the set itself may
 * go when the loop has run. */
void runset_close(struct runset *set);

/* By UUID or decimal number; NULL when there is none. */
struct run *runset_find(struct runset *set, struct wire_str ref);
/* The entry of a run that may just have been made; NULL when there is no such folder. */
struct run *runset_get(struct runset *set, const struct uuid *id);
/* Position of the newest run older than id; set->n for none. id NULL: the newest. */
size_t runset_before(const struct runset *set, const struct uuid *id);
size_t runset_count_active(const struct runset *set);

/* Opens the run's folder; a negative errno when it is gone. */
MUSTCHECK int runset_open_dir(const struct runset *set, const struct run *run);
/* Reads the state again (it is also read on every notification). */
void runset_refresh(struct run *run);
/* Composes the run's document. */
MUSTCHECK int runset_document(struct run *run, struct json *json, struct err *err);

/* Begins and ends telling on_journal; begins with the first and ends with the last tail. */
MUSTCHECK int runset_watch_journal(struct run *run);
void runset_unwatch_journal(struct run *run);

/* The run with the oldest change after number `after`; NULL when all were told. */
struct run *runset_next_change(const struct runset *set, uint64_t after);

#endif
