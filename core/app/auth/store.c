/*
 * Owns: the descriptor of STATE_DIR's file (locked with flock while open) and the queue of appends.
 *
 * Happy path: store_append() -> queue -> on_work() in a thread writes every queued record in one
 * go and fdatasyncs -> on_work_done() in the loop calls back in order, starts the next batch.
 *
 * Failures: a failed or short write is cut off again (ftruncate) so that the next record does not
 * follow half a one, and told to each caller of the batch. Closing waits for the batch that is out
 * and writes what is queued behind it.
 */
#include "core/app/auth/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/list.h"
#include "proto/record.h"

static const char created[] = "{\"event\":\"store.created\",\"version\":1}";

struct append {
	struct list link; /* store.queue or a batch */
	void (*on_stored)(int err, void *arg);
	void *arg;
	size_t len;
	uint8_t bytes[]; /* the record */
};

struct store {
	uv_loop_t *loop;
	const char *file;
	off_t first; /* bytes of the first record */
	int dir_fd, fd;
	off_t size;	   /* bytes of whole records; the thread's while busy */
	struct list queue; /* append.link */
	size_t n_pending;
	bool busy; /* the thread has the batch */
	struct buf batch;
	struct list batch_list; /* append.link */
	int batch_err;
	uv_work_t work;
	bool closing;
	uv_timer_t soon; /* closing with nothing to write */
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static void put_record(struct buf *buf, const void *json, size_t len)
{
	uint8_t header[RECORD_HEADER_BYTES];
	struct record rec = {
		.time_us = clock_wall_us(),
		.length = (uint32_t)len,
		.step = RECORD_STEP_RUN,
		.kind = RECORD_EVENT,
		.payload = json,
	};

	record_encode_header(&rec, header);
	buf_append(buf, header, sizeof(header));
	buf_append(buf, json, len);
}

/* Hands out the whole records in buf; keep gets those that still matter. Returns the length of the
 * intact part. */
static size_t replay(const struct buf *buf, bool (*on_event)(const char *, size_t, void *),
	void *arg, struct buf *keep)
{
	size_t at = 0;

	while (at < buf->len) {
		struct record rec;
		int n = record_decode(buf->data + at, buf->len - at, &rec);

		if (n < 0)
			break;
		if (at == 0 || on_event((const char *)rec.payload, rec.length, arg))
			buf_append(keep, buf->data + at, (size_t)n);
		at += (size_t)n;
	}
	return at;
}

static int open_dir(const char *path, struct err *err)
{
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, -errno, "STATE_DIR: cannot make %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, -errno, "STATE_DIR: cannot open %s", path);
	return fd;
}

static int open_file(struct store *store, const char *dir, struct err *err)
{
	if (store->fd >= 0)
		close(store->fd);
	store->fd =
		openat(store->dir_fd, store->file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->fd < 0)
		return err_set_errno(
			err, -errno, "STATE_DIR: cannot write %s/%s", dir, store->file);
	if (flock(store->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, -EBUSY, "STATE_DIR: another ops-dashboard uses %s", dir);
	return 0;
}

/* Reads all, cuts a torn tail, rewrites what has grown. */
static int load(struct store *store, const char *dir,
	bool (*on_event)(const char *, size_t, void *), void *arg, struct err *err)
{
	struct buf all, keep;
	size_t intact;
	int rc;

	buf_init(&all, STORE_MAX_FILE);
	buf_init(&keep, STORE_MAX_FILE);
	rc = file_read(store->dir_fd, store->file, &all, err);
	if (rc < 0)
		goto done;
	intact = replay(&all, on_event, arg, &keep);
	store->size = (off_t)intact;
	if (intact != all.len && ftruncate(store->fd, store->size) < 0) {
		rc = err_set_errno(err, -errno, "STATE_DIR: cannot mend %s/%s", dir, store->file);
		goto done;
	}
	if (intact == 0) {
		put_record(&keep, created, sizeof(created) - 1);
		rc = buf_err(&keep);
	}
	if (rc == 0 && (intact == 0 || intact > STORE_COMPACT_BYTES)) {
		rc = file_replace(store->dir_fd, store->file, keep.data, keep.len, 0600, err);
		store->size = (off_t)keep.len;
		if (rc == 0)
			rc = open_file(store, dir, err);
	}
done:
	buf_fini(&all);
	buf_fini(&keep);
	return rc;
}

static void store_free(struct store *store)
{
	if (store->fd >= 0)
		close(store->fd);
	if (store->dir_fd >= 0)
		close(store->dir_fd);
	buf_fini(&store->batch);
	free(store);
}

struct store *store_open(uv_loop_t *loop, const char *state_dir, const char *file,
	bool (*on_event)(const char *json, size_t len, void *arg), void *arg, struct err *err)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->loop = loop;
	store->file = file;
	store->first = RECORD_HEADER_BYTES + sizeof(created) - 1;
	store->fd = -1;
	list_init(&store->queue);
	list_init(&store->batch_list);
	buf_init(&store->batch, STORE_MAX_PENDING * (STORE_MAX_EVENT_BYTES + RECORD_HEADER_BYTES));
	store->dir_fd = open_dir(state_dir, err);
	if (store->dir_fd < 0 || open_file(store, state_dir, err) < 0 ||
		load(store, state_dir, on_event, arg, err) < 0) {
		store_free(store);
		return NULL;
	}
	uv_timer_init(loop, &store->soon);
	return store;
}

int store_read(const char *state_dir, const char *file,
	bool (*on_event)(const char *json, size_t len, void *arg), void *arg, struct err *err)
{
	struct buf all, keep;
	int dir_fd, rc;

	dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_set_errno(err, -errno, "STATE_DIR: cannot open %s", state_dir);
	buf_init(&all, STORE_MAX_FILE);
	buf_init(&keep, STORE_MAX_FILE);
	rc = file_read(dir_fd, file, &all, err);
	if (rc == 0)
		(void)replay(&all, on_event, arg, &keep);
	buf_fini(&all);
	buf_fini(&keep);
	close(dir_fd);
	return rc;
}

/* In a thread: the loop leaves fd, size and batch alone meanwhile. */
static void on_work(uv_work_t *work)
{
	struct store *store = container_of(work, struct store, work);
	int rc = 0;

	if (lseek(store->fd, store->size, SEEK_SET) < 0)
		rc = -errno;
	if (rc == 0)
		rc = file_write_all(store->fd, store->batch.data, store->batch.len);
	if (rc == 0 && fdatasync(store->fd) < 0)
		rc = -errno;
	if (rc == 0)
		store->size += (off_t)store->batch.len;
	else if (ftruncate(store->fd, store->size) < 0)
		rc = -errno;
	store->batch_err = rc;
}

static void on_closed_handle(uv_handle_t *handle)
{
	struct store *store = handle->data;
	void (*on_closed)(void *arg) = store->on_closed;
	void *arg = store->closed_arg;

	store_free(store);
	on_closed(arg);
}

static void start_batch(struct store *store);

/* The batch is on the disk, or is not. */
static void on_work_done(uv_work_t *work, int status)
{
	struct store *store = container_of(work, struct store, work);
	int err = status < 0 ? status : store->batch_err;
	struct list done;

	store->busy = false;
	list_move_all(&store->batch_list, &done);
	start_batch(store);
	while (!list_empty(&done)) {
		struct append *append = container_of(done.next, struct append, link);

		list_remove(&append->link);
		store->n_pending--;
		if (append->on_stored != NULL)
			append->on_stored(err, append->arg);
		free(append);
	}
	/* One of the callbacks may have closed it. */
	if (store->closing && !store->busy && !uv_is_closing((uv_handle_t *)&store->soon))
		uv_close((uv_handle_t *)&store->soon, on_closed_handle);
}

static void start_batch(struct store *store)
{
	if (store->busy || list_empty(&store->queue))
		return;
	buf_reset(&store->batch);
	list_move_all(&store->queue, &store->batch_list);
	list_foreach(pos, tmp, &store->batch_list)
	{
		struct append *append = container_of(pos, struct append, link);

		buf_append(&store->batch, append->bytes, append->len);
	}
	if (buf_err(&store->batch) < 0 ||
		uv_queue_work(store->loop, &store->work, on_work, on_work_done) < 0)
		abort(); /* both are of constant size */
	store->busy = true;
}

int store_append(struct store *store, const char *json, size_t len,
	void (*on_stored)(int err, void *arg), void *arg)
{
	struct append *append;
	struct buf record;

	if (len > STORE_MAX_EVENT_BYTES)
		return -EMSGSIZE;
	if (store->closing || store->n_pending == STORE_MAX_PENDING)
		return -ENOBUFS;
	/* What is pending is little beside it; the size is the thread's while it is busy. */
	if (!store->busy && store->size > (off_t)STORE_MAX_FILE / 2)
		return -EFBIG;
	buf_init(&record, STORE_MAX_EVENT_BYTES + RECORD_HEADER_BYTES);
	put_record(&record, json, len);
	if (buf_err(&record) < 0) {
		buf_fini(&record);
		return -ENOMEM;
	}
	append = xcalloc(1, sizeof(*append) + record.len);
	append->on_stored = on_stored;
	append->arg = arg;
	append->len = record.len;
	memcpy(append->bytes, record.data, record.len);
	buf_fini(&record);
	list_append(&store->queue, &append->link);
	store->n_pending++;
	start_batch(store);
	return 0;
}

int store_reset(struct store *store)
{
	if (store->busy || store->n_pending > 0)
		return -EBUSY;
	if (ftruncate(store->fd, store->first) < 0)
		return -errno;
	store->size = store->first;
	return 0;
}

void store_close(struct store *store, void (*on_closed)(void *arg), void *arg)
{
	assert(!store->closing);
	store->closing = true;
	store->on_closed = on_closed;
	store->closed_arg = arg;
	store->soon.data = store;
	if (!store->busy)
		uv_close((uv_handle_t *)&store->soon, on_closed_handle);
}
