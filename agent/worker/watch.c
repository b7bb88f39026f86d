#include "agent/worker/watch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct list *bucket_of(struct watcher *watcher, int wd)
{
	return &watcher->buckets[(unsigned)wd % WATCH_BUCKETS];
}

static struct watch *find(struct watcher *watcher, int wd)
{
	struct list *bucket = bucket_of(watcher, wd);

	list_foreach(pos, tmp, bucket)
	{
		struct watch *watch = container_of(pos, struct watch, link);

		if (watch->wd == wd)
			return watch;
	}
	return NULL;
}

/* The kernel dropped events. Each bucket is emptied into a list of its own first, so that watches
 * may come and go meanwhile. */
static void tell_all(struct watcher *watcher)
{
	for (unsigned i = 0; i < WATCH_BUCKETS; i++) {
		struct list todo;

		list_move_all(&watcher->buckets[i], &todo);
		while (!list_empty(&todo)) {
			struct watch *watch = container_of(todo.next, struct watch, link);

			list_remove(&watch->link);
			list_append(&watcher->buckets[i], &watch->link);
			watch->on_change(watch, IN_Q_OVERFLOW, "");
		}
	}
}

static void dispatch(struct watcher *watcher, const struct inotify_event *event)
{
	struct watch *watch;

	if (event->mask & IN_Q_OVERFLOW) {
		tell_all(watcher);
		return;
	}
	watch = find(watcher, event->wd);
	if (watch == NULL)
		return;
	if (event->mask & IN_IGNORED) {
		list_remove(&watch->link);
		watch->wd = -1;
	}
	watch->on_change(watch, event->mask, event->len != 0 ? event->name : "");
}

/* The inotify descriptor has become readable. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct watcher *watcher = container_of(poll, struct watcher, poll);
	_Alignas(struct inotify_event) char bytes[WATCH_READ_BYTES];
	ssize_t n;

	(void)status;
	(void)events;
	n = read(watcher->fd, bytes, sizeof(bytes));
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *event =
			(const struct inotify_event *)(const void *)(bytes + at);

		at += (ssize_t)(sizeof(*event) + event->len);
		dispatch(watcher, event);
	}
}

int watcher_open(struct watcher *watcher, uv_loop_t *loop)
{
	int rc;

	for (unsigned i = 0; i < WATCH_BUCKETS; i++)
		list_init(&watcher->buckets[i]);
	watcher->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watcher->fd < 0)
		return -errno;
	rc = uv_poll_init(loop, &watcher->poll, watcher->fd);
	if (rc == 0)
		rc = uv_poll_start(&watcher->poll, UV_READABLE, on_readable);
	return rc;
}

/* The poll handle is closed: nothing looks at the descriptor any more. */
static void on_closed(uv_handle_t *handle)
{
	struct watcher *watcher = container_of(handle, struct watcher, poll);

	close(watcher->fd);
	watcher->fd = -1;
}

void watcher_close(struct watcher *watcher)
{
	uv_close((uv_handle_t *)&watcher->poll, on_closed);
}

void watch_init(struct watch *watch,
	void (*on_change)(struct watch *watch, uint32_t mask, const char *name))
{
	list_init(&watch->link);
	watch->wd = -1;
	watch->on_change = on_change;
}

int watch_add(struct watcher *watcher, struct watch *watch, const char *path, uint32_t mask)
{
	int wd;

	if (watch->wd >= 0)
		return 0;
	wd = inotify_add_watch(watcher->fd, path, mask);
	if (wd < 0)
		return -errno;
	watch->wd = wd;
	list_append(bucket_of(watcher, wd), &watch->link);
	return 0;
}

void watch_remove(struct watcher *watcher, struct watch *watch)
{
	if (watch->wd < 0)
		return;
	inotify_rm_watch(watcher->fd, watch->wd);
	list_remove(&watch->link);
	watch->wd = -1;
}
