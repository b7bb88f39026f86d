/*
 * Owns: the feeds, each with its log source and the newest of what that brought; the views, each in
 * one feed, or waiting for a place.
 *
 *     source ──▶ feed: [tail ─ held chunks ─ head) ──▶ view at its `at`, tail <= at <= head
 *
 * Happy path: a view opens → a feed of its own opens its source → records come and go straight to
 * the views at the head; what some view cannot take yet, or another feed's view may still want, is
 * held → credit of the views at the head is passed on to the source. When all views of a feed are
 * within what another feed of the run holds, they move there (adopt()). The end of the source is
 * told to each view when it has come to the head.
 *
 * Falling behind: what is held beyond LIMIT_LOG_SHARED_BYTES is dropped from its tail; a view that
 * was there goes on in a feed of its own (detach()). When there is no place for that, nothing is
 * dropped and the source gets no more credit.
 *
 * Failure modes: a lost source ends all its views at once, each at its own offset; they come back
 * by themselves (live_log.c).
 *
 * Over 500 lines: feeds and views only make sense together.
 *
 * Nothing is delivered from within logview_credit() or logview_close(): they put the feed on the
 * list of those to settle, which the idle handle does before the loop blocks.
 */
#include "core/app/logs/logfan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/app/server.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/record.h"

#define CHUNK_MIN_BYTES (64u << 10) /* small pieces share a chunk */

struct logfan {
	struct server *server;
	struct list feeds;   /* feed.link, oldest first */
	struct list dirty;   /* feed.dirty */
	struct list waiting; /* view.link: without a feed, the first is next */
	size_t n_feeds;
	size_t held; /* bytes, of all feeds */
	uv_idle_t soon;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* Records that follow each other. */
struct chunk {
	struct list link; /* feed.chunks */
	uint64_t offset;
	size_t len, cap;
	uint8_t data[];
};

struct feed {
	struct list link, dirty;
	struct logfan *fan;
	struct logsource *source; /* NULL: ended */
	char id[UUID_TEXT_BYTES]; /* of the run; "" until that is known, and where it is not */
	bool opened;
	uint64_t tail, head;
	struct list chunks; /* chunk.link, oldest first */
	size_t held;
	int64_t granted; /* bytes that the source may still bring */
	struct list views;
	uint16_t end_reason;
};

struct logview {
	struct list link; /* feed.views, or fan.waiting */
	struct logfan *fan;
	struct feed *feed; /* NULL: waiting for one */
	char run[64];
	int64_t wanted; /* where its feed is to begin */
	bool opened, ended;
	uint64_t at;	 /* the next record's */
	int64_t balance; /* record bytes it still takes */
	const struct logview_callbacks *callbacks;
	void *arg;
};

static void feed_mark(struct feed *feed);
static void feed_open(struct logfan *fan, struct logview *view);

/* --- what is held --- */

/* False: no memory. */
static bool hold(struct feed *feed, uint64_t offset, const uint8_t *records, size_t len)
{
	struct chunk *last = container_of(feed->chunks.prev, struct chunk, link);

	if (list_empty(&feed->chunks) || last->cap - last->len < len) {
		size_t cap = MAX(len, (size_t)CHUNK_MIN_BYTES);

		last = malloc(sizeof(*last) + cap);
		if (last == NULL)
			return false;
		last->offset = offset;
		last->len = 0;
		last->cap = cap;
		list_append(&feed->chunks, &last->link);
	}
	memcpy(last->data + last->len, records, len);
	last->len += len;
	feed->held += len;
	feed->fan->held += len;
	return true;
}

static void drop_oldest(struct feed *feed)
{
	struct chunk *chunk = container_of(feed->chunks.next, struct chunk, link);

	feed->tail = chunk->offset + chunk->len;
	feed->held -= chunk->len;
	feed->fan->held -= chunk->len;
	list_remove(&chunk->link);
	free(chunk);
}

/* --- feeds --- */

static bool fan_has_room(const struct logfan *fan)
{
	return fan->n_feeds < LIMIT_LOG_FEEDS && fan->held < LIMIT_LOG_HELD_BYTES;
}

static void fan_serve_waiting(struct logfan *fan)
{
	while (fan_has_room(fan) && !list_empty(&fan->waiting)) {
		struct logview *view = container_of(fan->waiting.next, struct logview, link);

		list_remove(&view->link);
		feed_open(fan, view);
	}
}

/* It has no view any more. */
static void feed_free(struct feed *feed)
{
	struct logfan *fan = feed->fan;

	assert(list_empty(&feed->views));
	logsource_close(feed->source);
	while (!list_empty(&feed->chunks))
		drop_oldest(feed);
	list_remove(&feed->link);
	list_remove(&feed->dirty);
	free(feed);
	fan->n_feeds--;
	/* its place, or its memory, is somebody's */
	fan_serve_waiting(fan);
	list_foreach(pos, tmp, &fan->feeds) feed_mark(container_of(pos, struct feed, link));
}

static void view_move(struct logview *view, struct feed *feed)
{
	list_remove(&view->link);
	list_append(&feed->views, &view->link);
	view->feed = feed;
}

static void view_end(struct logview *view, const struct logsource_end *end)
{
	list_remove(&view->link);
	view->ended = true;
	view->callbacks->on_end(view, end, view->arg);
	free(view);
}

/* How many of these whole records may go: until the credit is used up. */
static size_t cut(const uint8_t *records, size_t len, int64_t credit)
{
	size_t n = 0;

	if (credit >= (int64_t)len)
		return len;
	while (n < len && credit > 0) {
		struct record rec;
		size_t size = len - n; /* what makes no sense is passed on: the viewer sees it */

		if (record_decode_header(records + n, len - n, &rec) == 0)
			size = MIN(size, RECORD_HEADER_BYTES + (size_t)rec.length);
		n += size;
		credit -= (int64_t)size;
	}
	return n;
}

static void view_give(struct logview *view, const uint8_t *records, size_t len)
{
	size_t n = cut(records, len, view->balance);
	uint64_t offset = view->at;

	view->at += n;
	view->balance -= (int64_t)n;
	view->callbacks->on_records(view, offset, records, n, view->arg);
}

/* Brings a view as far as what is held and its credit allow. */
static void view_catch_up(struct feed *feed, struct logview *view)
{
	list_foreach(pos, tmp, &feed->chunks)
	{
		struct chunk *chunk = container_of(pos, struct chunk, link);

		while (view->balance > 0 && view->at < chunk->offset + chunk->len) {
			size_t from = (size_t)(view->at - chunk->offset);

			view_give(view, chunk->data + from, chunk->len - from);
		}
	}
}

/* --- one run, several feeds --- */

static bool is_within(const struct feed *feed, const struct feed *other)
{
	list_foreach(pos, tmp, &feed->views)
	{
		const struct logview *view = container_of(pos, struct logview, link);

		if (!view->opened || view->at < other->tail || view->at > other->head)
			return false;
	}
	return true;
}

static struct feed *next_of_run(const struct feed *feed, const struct list *from)
{
	for (const struct list *pos = from->next; pos != &feed->fan->feeds; pos = pos->next) {
		struct feed *other = container_of((struct list *)(uintptr_t)pos, struct feed, link);

		if (other != feed && other->opened && strcmp(other->id, feed->id) == 0)
			return other;
	}
	return NULL;
}

static bool has_siblings(const struct feed *feed)
{
	return feed->id[0] != '\0' && next_of_run(feed, &feed->fan->feeds) != NULL;
}

/* Moves all views of this feed to another one that holds what they want next. The one that is ahead
 * stays, of two alike either. True: this one is gone. */
static bool adopt(struct feed *feed)
{
	struct feed *other = NULL;

	if (feed->id[0] == '\0' || !feed->opened)
		return false;
	for (const struct list *from = &feed->fan->feeds; (other = next_of_run(feed, from)) != NULL;
		from = &other->link) {
		if (other->head < feed->head || !is_within(feed, other))
			continue;
		list_foreach(pos, tmp, &feed->views)
			view_move(container_of(pos, struct logview, link), other);
		feed_mark(other);
		feed_free(feed);
		return true;
	}
	return false;
}

/* Views at the oldest chunk go on in feeds of their own. False: there is no place for that. */
static bool detach(struct feed *feed)
{
	struct chunk *oldest = container_of(feed->chunks.next, struct chunk, link);

	list_foreach(pos, tmp, &feed->views)
	{
		struct logview *view = container_of(pos, struct logview, link);

		if (view->at >= oldest->offset + oldest->len)
			continue;
		if (!fan_has_room(feed->fan))
			return false;
		list_remove(&view->link);
		view->wanted = (int64_t)view->at;
		feed_open(feed->fan, view);
		memcpy(view->feed->id, feed->id, sizeof(feed->id));
	}
	return true;
}

/* --- settling --- */

/* Drops what nobody wants. */
static void trim(struct feed *feed)
{
	bool keep = has_siblings(feed);
	uint64_t low = feed->head;

	list_foreach(pos, tmp, &feed->views) low =
		MIN(low, container_of(pos, struct logview, link)->at);
	while (!list_empty(&feed->chunks)) {
		struct chunk *chunk = container_of(feed->chunks.next, struct chunk, link);

		if (feed->held > LIMIT_LOG_SHARED_BYTES) {
			if (chunk->offset + chunk->len > low && !detach(feed))
				return;
		} else if (keep || chunk->offset + chunk->len > low) {
			return;
		}
		drop_oldest(feed);
	}
	feed->tail = feed->head;
}

/* Passes credit on: as much as the view takes that is ahead and takes most. */
static void grant(struct feed *feed)
{
	int64_t want = 0;

	if (feed->source == NULL || !feed->opened || feed->held > LIMIT_LOG_SHARED_BYTES)
		return;
	list_foreach(pos, tmp, &feed->views)
	{
		const struct logview *view = container_of(pos, struct logview, link);

		if (view->at == feed->head)
			want = MAX(want, view->balance);
	}
	if (want <= feed->granted)
		return;
	logsource_credit(feed->source, (uint32_t)(want - feed->granted));
	feed->granted = want;
}

static void end_views(struct feed *feed)
{
	struct logsource_end end = {
		.reason = feed->end_reason, .offset = feed->head, .message = ""};

	list_foreach(pos, tmp, &feed->views)
	{
		struct logview *view = container_of(pos, struct logview, link);

		if (view->at == feed->head)
			view_end(view, &end);
	}
}

static void feed_settle(struct feed *feed)
{
	if (feed->opened) {
		list_foreach(pos, tmp, &feed->views)
			view_catch_up(feed, container_of(pos, struct logview, link));
		if (feed->source == NULL)
			end_views(feed);
	}
	if (list_empty(&feed->views)) {
		feed_free(feed);
		return;
	}
	if (adopt(feed))
		return;
	trim(feed);
	if (list_empty(&feed->views))
		feed_free(feed);
	else
		grant(feed);
}

static void on_soon(uv_idle_t *soon)
{
	struct logfan *fan = soon->data;
	struct list dirty;

	uv_idle_stop(soon);
	list_init(&dirty);
	list_move_all(&fan->dirty, &dirty);
	while (!list_empty(&dirty)) {
		struct feed *feed = container_of(dirty.next, struct feed, dirty);

		list_remove(&feed->dirty);
		feed_settle(feed);
	}
}

static void feed_mark(struct feed *feed)
{
	if (list_empty(&feed->dirty))
		list_append(&feed->fan->dirty, &feed->dirty);
	uv_idle_start(&feed->fan->soon, on_soon);
}

/* --- the source --- */

/* It cannot go on: each view is told so, at its own offset. */
static void fail_views(struct feed *feed, const struct logsource_end *end)
{
	feed->source = NULL;
	feed->opened = false;
	list_foreach(pos, tmp, &feed->views)
	{
		struct logview *view = container_of(pos, struct logview, link);
		struct logsource_end mine = *end;

		if (view->opened)
			mine.offset = view->at;
		view_end(view, &mine);
	}
	feed_mark(feed);
}

/* We cannot go on with what the source brings. */
static void feed_fail(struct feed *feed, const char *message)
{
	struct logsource *source = feed->source;

	fail_views(feed, &(struct logsource_end){.err = -EIO, .message = message});
	logsource_close(source);
}

static void on_opened(struct logsource *source, const struct logsource_opened *opened, void *arg)
{
	struct feed *feed = arg;
	struct logview *view = container_of(feed->views.next, struct logview, link);

	(void)source;
	if (view->opened && view->at != opened->offset) {
		feed_fail(feed, "the agent sent records of another offset");
		return;
	}
	feed->opened = true;
	feed->tail = feed->head = opened->offset;
	if (strlen(opened->id) < sizeof(feed->id))
		memcpy(feed->id, opened->id, strlen(opened->id) + 1);
	if (!view->opened) {
		view->opened = true;
		view->at = opened->offset;
		view->callbacks->on_opened(view, opened, view->arg);
	}
	feed_mark(feed);
}

/* Straight to the views that are at the head; what is wanted still, here or by others of this run,
 * is held. */
static void on_chunk(struct logsource *source, const uint8_t *payload, size_t len, void *arg)
{
	struct feed *feed = arg;
	struct msg_chunk chunk;
	bool is_wanted = has_siblings(feed);

	(void)source;
	if (msg_chunk_decode(payload, len, &chunk) < 0 || chunk.offset != feed->head) {
		feed_fail(feed, "the agent sent records of another offset");
		return;
	}
	feed->granted -= (int64_t)chunk.records_len;
	feed->fan->server->watched_bytes += chunk.records_len;
	list_foreach(pos, tmp, &feed->views)
	{
		struct logview *view = container_of(pos, struct logview, link);

		if (view->at == feed->head && view->balance > 0)
			view_give(view, chunk.records, chunk.records_len);
		if (view->at < chunk.offset + chunk.records_len)
			is_wanted = true;
	}
	feed->head = chunk.offset + chunk.records_len;
	if (!is_wanted) {
		while (!list_empty(&feed->chunks))
			drop_oldest(feed);
		feed->tail = feed->head;
	} else if (!hold(feed, chunk.offset, chunk.records, chunk.records_len)) {
		feed_fail(feed, "out of memory");
		return;
	}
	feed_mark(feed);
	grant(feed);
}

/* No more of it; the source is freed by itself. */
static void on_end(struct logsource *source, const struct logsource_end *end, void *arg)
{
	struct feed *feed = arg;

	(void)source;
	if (!feed->opened || end->err != 0) {
		fail_views(feed, end);
		return;
	}
	feed->source = NULL;
	feed->end_reason = end->reason;
	feed_mark(feed);
}

static void feed_open(struct logfan *fan, struct logview *view)
{
	static const struct logsource_callbacks callbacks = {
		.on_opened = on_opened,
		.on_chunk = on_chunk,
		.on_end = on_end,
	};
	struct feed *feed = xcalloc(1, sizeof(*feed));

	feed->fan = fan;
	feed->granted = FRAME_INITIAL_CREDIT;
	list_init(&feed->dirty);
	list_init(&feed->chunks);
	list_init(&feed->views);
	list_append(&fan->feeds, &feed->link);
	fan->n_feeds++;
	view_move(view, feed);
	feed->source = logsource_open(fan->server, view->run, view->wanted, &callbacks, feed);
}

/* --- views --- */

struct logview *logview_open(struct logfan *fan, const char *run, int64_t offset,
	const struct logview_callbacks *callbacks, void *arg)
{
	struct logview *view = xcalloc(1, sizeof(*view));

	assert(strlen(run) < sizeof(view->run));
	memcpy(view->run, run, strlen(run) + 1);
	view->fan = fan;
	view->wanted = offset;
	view->balance = FRAME_INITIAL_CREDIT;
	view->callbacks = callbacks;
	view->arg = arg;
	list_init(&view->link);
	list_append(&fan->waiting, &view->link);
	fan_serve_waiting(fan);
	return view;
}

void logview_credit(struct logview *view, uint32_t bytes)
{
	struct feed *feed = view->feed;

	view->balance += bytes;
	if (feed == NULL || !feed->opened || view->ended)
		return;
	if (view->at == feed->head)
		grant(feed);
	else
		feed_mark(feed);
}

void logview_close(struct logview *view)
{
	struct feed *feed;

	if (view == NULL || view->ended)
		return;
	feed = view->feed;
	list_remove(&view->link);
	free(view);
	if (feed == NULL)
		return;
	if (list_empty(&feed->views))
		feed_free(feed);
	else
		feed_mark(feed);
}

struct logfan *logfan_open(struct server *server)
{
	struct logfan *fan = xcalloc(1, sizeof(*fan));

	fan->server = server;
	list_init(&fan->feeds);
	list_init(&fan->dirty);
	list_init(&fan->waiting);
	uv_idle_init(server->loop, &fan->soon);
	fan->soon.data = fan;
	return fan;
}

static void on_soon_closed(uv_handle_t *handle)
{
	struct logfan *fan = handle->data;

	assert(fan->n_feeds == 0 && list_empty(&fan->waiting));
	fan->on_closed(fan->closed_arg);
	free(fan);
}

void logfan_close(struct logfan *fan, void (*on_closed)(void *arg), void *arg)
{
	fan->on_closed = on_closed;
	fan->closed_arg = arg;
	uv_close((uv_handle_t *)&fan->soon, on_soon_closed);
}
