#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/event.h"
#include "agent/run/journal.h"

/* The piece of the file that is in memory. */
struct window {
	int fd;
	uint64_t start; /* file offset of data[0] */
	size_t len;
	uint8_t data[4 * RECORD_MAX_BYTES];
};

/* Makes the n bytes at offset available, reading ahead when whole is set. Their address, NULL at
 * the end of the file, or NULL with *ret_rc set. */
static const uint8_t *window_at(
	struct window *win, uint64_t offset, size_t n, bool whole, int *ret_rc)
{
	size_t want = whole ? sizeof(win->data) : n;

	if (offset >= win->start && offset + n <= win->start + win->len)
		return win->data + (offset - win->start);
	win->start = offset;
	win->len = 0;
	while (win->len < n) {
		ssize_t got = pread(
			win->fd, win->data + win->len, want - win->len, (off_t)(offset + win->len));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			*ret_rc = -errno;
		if (got <= 0)
			return NULL;
		win->len += (size_t)got;
	}
	return win->data;
}

static void count(struct journal_walk *walk, const struct record *rec, uint32_t newlines)
{
	walk->totals.size += RECORD_HEADER_BYTES + rec->length;
	walk->totals.records++;
	walk->totals.time_us = rec->time_us;
	walk->totals.lines = (uint64_t)rec->line + newlines;
	if (rec->kind != RECORD_EVENT)
		walk->totals.bytes += rec->length;
}

/* Looks at the record at walk->totals.size. 1: good, and counted; 0: no good record there. */
static int walk_record(struct window *win, uint64_t verify_from, struct journal_walk *walk,
	struct crypto_sha256 *digest)
{
	uint64_t at = walk->totals.size;
	bool verify = at >= verify_from;
	const uint8_t *bytes;
	struct event_run_finished finished;
	struct record rec;
	uint32_t newlines = 0;
	int rc = 0;

	bytes = window_at(win, at, RECORD_HEADER_BYTES, verify, &rc);
	if (bytes == NULL || record_decode_header(bytes, RECORD_HEADER_BYTES, &rec) != 0)
		return rc;
	if (at + RECORD_HEADER_BYTES + rec.length > walk->file_size)
		return 0;
	/* Payloads that were durable are only looked at where they matter: events of the run, and
	 * the end, whose newlines nothing after it counts. */
	verify = verify || rec.kind == RECORD_EVENT ||
		 at + RECORD_HEADER_BYTES + rec.length + RECORD_MAX_BYTES > walk->file_size;
	if (verify) {
		size_t n = RECORD_HEADER_BYTES + rec.length;

		bytes = window_at(win, at, n, true, &rc);
		if (bytes == NULL || record_decode(bytes, n, &rec) < 0)
			return rc;
		if (rec.kind != RECORD_EVENT)
			newlines = record_count_newlines(rec.payload, rec.length);
	}
	if (walk->finished)
		return 0; /* nothing belongs behind run.finished */
	if (verify && event_is_run_finished(&rec)) {
		walk->finished = true;
		walk->finished_offset = at;
		if (event_read_run_finished(&rec, &finished) == 0)
			memcpy(walk->finished_digest, finished.digest, sizeof(finished.digest));
	} else {
		crypto_sha256_update(digest, bytes, RECORD_HEADER_BYTES);
	}
	count(walk, &rec, newlines);
	return 1;
}

int journal_walk(int journal_fd, uint64_t verify_from, struct journal_walk *ret_walk)
{
	struct journal_walk walk = {0};
	struct crypto_sha256 digest;
	struct window *win;
	struct stat st;
	int rc;

	if (fstat(journal_fd, &st) != 0)
		return -errno;
	walk.file_size = (uint64_t)st.st_size;
	win = calloc(1, sizeof(*win));
	if (win == NULL)
		return -ENOMEM;
	win->fd = journal_fd;
	crypto_sha256_init(&digest);
	do
		rc = walk_record(win, verify_from, &walk, &digest);
	while (rc == 1);
	crypto_sha256_final(&digest, walk.digest);
	free(win);
	if (rc == 0)
		*ret_walk = walk;
	return rc;
}

int64_t journal_cut(const uint8_t *data, size_t n)
{
	size_t at = 0;

	while (n - at >= RECORD_HEADER_BYTES) {
		struct record rec;

		if (record_decode_header(data + at, n - at, &rec) != 0)
			return at != 0 ? (int64_t)at : -EBADMSG;
		if (n - at - RECORD_HEADER_BYTES < rec.length)
			break;
		at += RECORD_HEADER_BYTES + rec.length;
	}
	return (int64_t)at;
}
