/*
 * File notifications for the whole worker: one inotify instance on the loop. A watch belongs to its
 * owner's memory; the kernel knows one watch a file, so a file has one owner who tells the others.
 */
#ifndef OPS_AGENT_WORKER_WATCH_H
#define OPS_AGENT_WORKER_WATCH_H

#include <stdint.h>
#include <sys/inotify.h>
#include <uv.h>

#include "core/base/list.h"
#include "core/base/mem.h"

#define WATCH_BUCKETS 256
#define WATCH_READ_BYTES 16384

struct watcher {
	uv_poll_t poll;
	int fd;
	struct list buckets[WATCH_BUCKETS]; /* watch.link, by descriptor */
};

struct watch {
	struct list link;
	int wd; /* -1: not watching */
	/* Something happened: mask as inotify(7) has it; name is that of a folder's entry, "" for a
	 * file. IN_Q_OVERFLOW: events were lost, look again. May remove any watch. */
	void (*on_change)(struct watch *watch, uint32_t mask, const char *name);
};

/* 0 or a negative errno. */
MUSTCHECK int watcher_open(struct watcher *watcher, uv_loop_t *loop);
/* Closes the handle; no callback comes afterwards. Memory may go when the loop has run. */
void watcher_close(struct watcher *watcher);

void watch_init(struct watch *watch,
	void (*on_change)(struct watch *watch, uint32_t mask, const char *name));
/* Begins. 0 or a negative errno (-ENOSPC: the system's limit of watches). */
MUSTCHECK int watch_add(
	struct watcher *watcher, struct watch *watch, const char *path, uint32_t mask);
/* Ends; twice is fine. */
void watch_remove(struct watcher *watcher, struct watch *watch);

#endif
