/*
 * The journal's writer. It owns the descriptors of journal and index and what is accepted but not
 * yet written.
 *
 * Happy path: a record leaves in one write(2); file space is allocated in steps ahead of the end
 * (FALLOC_FL_KEEP_SIZE), so that JOURNAL_RESERVE bytes behind the end are always ours.
 *
 * Disk full: output is refused (-ENOSPC, nothing taken) as soon as the reserve would be touched, so
 * the caller stops reading and the command blocks; events go on into the reserve. Where the file
 * system has no fallocate, a write may be cut short: its rest, and every event after it, waits in
 * `pending`, and journal_flush() goes on at the very byte. Totals and digest count what is
 * accepted.
 *
 * Other errors (EIO) end the journal: the caller ends the run. The index is only a hint: when
 * writing to it fails, it is given up.
 */
#include "agent/run/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/index.h"
#include "agent/run/rundir.h"
#include "core/base/clock.h"

#define ALLOCATE_FIRST (128u << 10)
#define ALLOCATE_MOST (4u << 20)

int journal_create(struct journal *journal, int run_dir_fd, struct err *err)
{
	struct stat st;

	*journal = (struct journal){.fd = -1, .index_fd = -1, .index_next = INDEX_SPACING};
	buf_init(&journal->pending, JOURNAL_MAX_PENDING);
	crypto_sha256_init(&journal->digest);
	journal->fd = rundir_create(run_dir_fd, RUNDIR_JOURNAL, O_RDWR | O_APPEND);
	if (journal->fd < 0)
		return err_set_errno(err, journal->fd, "cannot make %s", RUNDIR_JOURNAL);
	if (fstat(journal->fd, &st) != 0 || st.st_size != 0) {
		journal_fini(journal);
		return err_set(err, -EEXIST, "%s holds records already", RUNDIR_JOURNAL);
	}
	journal->index_fd = rundir_create(run_dir_fd, RUNDIR_INDEX, O_WRONLY | O_APPEND | O_TRUNC);
	return 0;
}

void journal_fini(struct journal *journal)
{
	if (journal->fd >= 0)
		close(journal->fd);
	if (journal->index_fd >= 0)
		close(journal->index_fd);
	journal->fd = journal->index_fd = -1;
	buf_fini(&journal->pending);
}

static bool is_no_room(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT;
}

/* Bytes of the file that are written. */
static uint64_t written(const struct journal *journal)
{
	return journal->totals.size - journal->pending.len;
}

/* Sees to it that the file has room up to `until`. 0, -ENOSPC, or another errno. */
static int allocate(struct journal *journal, uint64_t until)
{
	uint64_t step = MIN(MAX(journal->totals.size, ALLOCATE_FIRST), ALLOCATE_MOST);

	if (until <= journal->allocated || journal->no_fallocate)
		return 0;
	for (uint64_t to = until + step; to >= until; to = until + step) {
		int rc = fallocate(journal->fd, FALLOC_FL_KEEP_SIZE, (off_t)journal->allocated,
				 (off_t)(to - journal->allocated)) == 0
				 ? 0
				 : -errno;

		if (rc == 0) {
			journal->allocated = to;
			return 0;
		}
		if (rc == -EOPNOTSUPP || rc == -ENOSYS) {
			journal->no_fallocate = true;
			return 0;
		}
		if (rc == -EINTR)
			continue;
		if (!is_no_room(rc))
			return rc;
		if (step == 0)
			break;
		step = step > ALLOCATE_FIRST ? step / 2 : 0;
	}
	return -ENOSPC;
}

/* Writes what it can. Returns the bytes written, all n unless there was no room; or an errno. */
static ssize_t write_some(struct journal *journal, const uint8_t *data, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t wrote = write(journal->fd, data + done, n - done);

		if (wrote > 0)
			done += (size_t)wrote;
		else if (wrote < 0 && is_no_room(-errno))
			break;
		else if (wrote < 0 && errno != EINTR)
			return -errno;
	}
	return (ssize_t)done;
}

static void note_index(struct journal *journal, const struct record *rec)
{
	struct index_entry entry = {
		.offset = journal->totals.size, .time_us = rec->time_us, .line = rec->line};

	if (journal->totals.size < journal->index_next || journal->index_fd < 0)
		return;
	journal->index_next = journal->totals.size + INDEX_SPACING;
	if (index_append(journal->index_fd, &entry) != 0) {
		close(journal->index_fd);
		journal->index_fd = -1;
	}
}

/* Takes the record whose payload stands behind the header's room in bytes. */
static int append(struct journal *journal, struct record *rec, uint8_t *bytes)
{
	size_t n = RECORD_HEADER_BYTES + rec->length;
	uint64_t now = clock_wall_us();
	size_t done = 0;

	/* A clock that is set back must not make a later record older. */
	rec->time_us = MAX(now, journal->totals.time_us);
	rec->line = (uint32_t)journal->totals.lines;
	rec->payload = bytes + RECORD_HEADER_BYTES;
	record_encode_header(rec, bytes);
	if (!journal_is_stuck(journal)) {
		ssize_t wrote = write_some(journal, bytes, n);

		if (wrote < 0)
			return (int)wrote;
		done = (size_t)wrote;
	}
	note_index(journal, rec);
	buf_append(&journal->pending, bytes + done, n - done);
	if (buf_err(&journal->pending) != 0)
		return -ENOBUFS;
	crypto_sha256_update(&journal->digest, bytes, RECORD_HEADER_BYTES);
	journal->totals.time_us = rec->time_us;
	journal->totals.size += n;
	journal->totals.records++;
	return 0;
}

int journal_append_output(
	struct journal *journal, const struct journal_output *output, uint8_t *buf, size_t n)
{
	struct record rec = {.length = (uint32_t)n,
		.step = output->step,
		.kind = (uint8_t)output->kind,
		.flags = output->flags};
	uint32_t newlines;
	int rc;

	assert(n > 0 && n <= RECORD_MAX_PAYLOAD && output->kind != RECORD_EVENT);
	if (journal_is_stuck(journal))
		return -ENOSPC;
	rc = allocate(journal, journal->totals.size + RECORD_HEADER_BYTES + n + JOURNAL_RESERVE);
	if (rc != 0)
		return rc;
	newlines = record_count_newlines(buf + RECORD_HEADER_BYTES, n);
	rc = append(journal, &rec, buf);
	if (rc != 0)
		return rc;
	journal->totals.bytes += n;
	journal->totals.lines += newlines;
	return 0;
}

int journal_append_event(struct journal *journal, uint16_t step, const struct buf *json)
{
	struct record rec = {.length = (uint32_t)json->len, .step = step, .kind = RECORD_EVENT};
	uint8_t bytes[RECORD_MAX_BYTES];
	int rc;

	assert(json->len > 0 && json->len <= RECORD_MAX_PAYLOAD && buf_err(json) == 0);
	memcpy(bytes + RECORD_HEADER_BYTES, json->data, json->len);
	/* The reserve is for events, so a failure to add to it is not one of theirs. */
	rc = allocate(
		journal, journal->totals.size + RECORD_HEADER_BYTES + rec.length + JOURNAL_RESERVE);
	if (rc != 0 && rc != -ENOSPC)
		return rc;
	return append(journal, &rec, bytes);
}

bool journal_is_stuck(const struct journal *journal)
{
	return journal->pending.len != 0;
}

int journal_flush(struct journal *journal)
{
	if (journal_is_stuck(journal)) {
		ssize_t wrote = write_some(journal, journal->pending.data, journal->pending.len);

		if (wrote < 0)
			return (int)wrote;
		buf_consume(&journal->pending, (size_t)wrote);
		if (journal_is_stuck(journal))
			return -ENOSPC;
	}
	return allocate(journal, journal->totals.size + RECORD_MAX_BYTES + JOURNAL_RESERVE);
}

void journal_digest(const struct journal *journal, uint8_t out[32])
{
	struct crypto_sha256 copy = journal->digest;

	crypto_sha256_final(&copy, out);
}

int journal_sync(int journal_fd)
{
	return fdatasync(journal_fd) == 0 ? 0 : -errno;
}

void journal_trim(struct journal *journal)
{
	/* Setting the size that it has gives back what is allocated behind it; that this fails
	 * costs some disk space until the journal is pruned. */
	if (ftruncate(journal->fd, (off_t)written(journal)) == 0)
		journal->allocated = written(journal);
}
