/*
 * Owns, per stream, the journal's descriptor and a place in the run's list of tails. Holds no
 * output: each piece is read from the file straight into the block that the connection sends.
 *
 * Happy path: as long as the client has credit and the connection is not jammed, read up to
 * TAIL_CHUNK_BYTES at the offset, cut behind the last whole record, send. At the end of the file it
 * waits; the run's notification wakes it. run.finished is the last record: END 1.
 *
 * Failure modes: the file is shorter than the offset (a power cut took its tail): END 4. No record
 * at the offset where there must be one: the journal is damaged, END 3, logged; the client's other
 * source is its own copy. The run's folder is gone: END 3; what was opened stays readable until
 * then.
 */
#include "agent/worker/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/event.h"
#include "agent/run/index.h"
#include "agent/run/rundir.h"
#include "agent/worker/document.h"
#include "agent/worker/methods.h"
#include "core/base/log.h"
#include "proto/frame.h"
#include "proto/record.h"

#define BLOCK_HEAD (FRAME_HEADER_BYTES + MSG_CHUNK_PREFIX_BYTES)

struct tail {
	struct list run_link; /* run.tails */
	struct stream *stream;
	struct run *run;
	int fd;
	uint64_t offset; /* of the next byte to send */
	int64_t credit;
};

int tail_cut(const uint8_t *data, size_t n, int64_t credit, struct tail_cut *ret_cut)
{
	struct tail_cut cut = {0};

	while (credit > 0 && !cut.finished) {
		struct record rec;
		int rc = record_decode_header(data + cut.bytes, n - cut.bytes, &rec);
		size_t size;

		if (rc == -EAGAIN)
			break;
		if (rc != 0)
			return rc;
		size = RECORD_HEADER_BYTES + (size_t)rec.length;
		if (size > n - cut.bytes)
			break;
		if (rec.kind == RECORD_EVENT && rec.step == RECORD_STEP_RUN) {
			rec.payload = data + cut.bytes + RECORD_HEADER_BYTES;
			cut.finished = event_is_run_finished(&rec);
		}
		cut.bytes += size;
		credit -= (int64_t)size;
	}
	*ret_cut = cut;
	return 0;
}

static uint64_t tail_offset(const struct stream *stream)
{
	return ((const struct tail *)stream->arg)->offset;
}

static void tail_credit(struct stream *stream, uint32_t bytes)
{
	struct tail *tail = stream->arg;

	/* a client that adds without end gains nothing: what it does not read jams it */
	if (tail->credit < INT64_MAX - (int64_t)bytes)
		tail->credit += (int64_t)bytes;
	stream_wake(stream);
}

static void tail_free(struct stream *stream)
{
	struct tail *tail = stream->arg;

	list_remove(&tail->run_link);
	if (list_empty(&tail->run->tails))
		runset_unwatch_journal(tail->run);
	close(tail->fd);
	free(tail);
}

static enum stream_step end(struct tail *tail, enum msg_end_reason reason)
{
	stream_end(tail->stream, reason);
	return STREAM_GONE;
}

/* Nothing to read: what that means. */
static enum stream_step at_end(struct tail *tail, const struct stat *st)
{
	if (tail->offset > (uint64_t)st->st_size)
		return end(tail, MSG_END_SHORTENED);
	if (st->st_nlink == 0)
		return end(tail, MSG_END_PRUNED);
	/* only a tail that was opened at the very end of a finished journal gets here */
	if (tail->run->final && tail->offset == (uint64_t)st->st_size)
		return end(tail, MSG_END_FINISHED);
	return STREAM_WAIT;
}

static enum stream_step send_chunk(struct tail *tail, uint8_t *block, const struct tail_cut *cut)
{
	struct wire_writer w;

	wire_writer_init(&w, block + FRAME_HEADER_BYTES, MSG_CHUNK_PREFIX_BYTES);
	wire_put_u64(&w, tail->offset);
	tail->offset += cut->bytes;
	tail->credit -= (int64_t)cut->bytes;
	if (framed_send_block(tail->stream->conn->framed, FRAME_CHUNK, tail->stream->id, block,
		    MSG_CHUNK_PREFIX_BYTES + cut->bytes) != 0)
		return STREAM_WAIT; /* the connection is about to end */
	if (cut->finished)
		return end(tail, MSG_END_FINISHED);
	return STREAM_MORE;
}

static enum stream_step tail_pump(struct stream *stream)
{
	struct tail *tail = stream->arg;
	struct tail_cut cut = {0};
	struct stat st;
	uint8_t *block;
	size_t want;
	ssize_t n;
	int rc;

	if (fstat(tail->fd, &st) != 0)
		return end(tail, MSG_END_PRUNED);
	if ((uint64_t)st.st_size <= tail->offset)
		return at_end(tail, &st);
	if (tail->credit <= 0)
		return STREAM_WAIT;
	/* room for one whole record at least, whatever the credit */
	want = TAIL_CHUNK_BYTES;
	if (tail->credit < (int64_t)want)
		want = (size_t)tail->credit;
	want = MIN(want + RECORD_MAX_BYTES, (size_t)((uint64_t)st.st_size - tail->offset));
	block = malloc(BLOCK_HEAD + want);
	if (block == NULL)
		return STREAM_WAIT;
	n = pread(tail->fd, block + BLOCK_HEAD, want, (off_t)tail->offset);
	rc = n < 0 ? -errno : tail_cut(block + BLOCK_HEAD, (size_t)n, tail->credit, &cut);
	if (rc == 0 && cut.bytes != 0)
		return send_chunk(tail, block, &cut);
	free(block);
	if (rc == 0 || rc == -EINTR)
		return rc == 0 ? STREAM_WAIT : STREAM_MORE;
	log_error(LOG_EV("run.journal_damaged"), LOG_INT("number", tail->run->number),
		LOG_INT("offset", tail->offset), LOG_STR("error", strerror(-rc)));
	return end(tail, MSG_END_PRUNED);
}

static const struct stream_ops tail_ops = {
	.pump = tail_pump,
	.credit = tail_credit,
	.offset = tail_offset,
	.free = tail_free,
};

void tail_wake(struct run *run)
{
	list_foreach(pos, tmp, &run->tails)
	{
		stream_wake(container_of(pos, struct tail, run_link)->stream);
	}
}

/* Whether a record begins at this offset of the journal's size bytes. */
static bool is_boundary(int dir_fd, int journal_fd, uint64_t size, uint64_t offset)
{
	struct index_entry found = {0};
	int index_fd, rc;

	if (offset == 0 || offset >= size)
		return true;
	index_fd = openat(dir_fd, RUNDIR_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	rc = index_locate(journal_fd, index_fd, size, INDEX_BY_OFFSET, offset, &found);
	if (index_fd >= 0)
		close(index_fd);
	return rc == 0 && found.offset == offset;
}

static void respond(struct stream *stream, struct run *run, uint64_t offset, uint64_t size)
{
	struct msg_run_tail_reply reply = {.offset = offset, .size = size};
	struct err err = {0};
	struct buf json, fields;
	struct json writer;
	uint8_t *to;
	int n;

	buf_init(&json, DOCUMENT_MAX_BYTES);
	buf_init(&fields, DOCUMENT_MAX_BYTES + 64);
	json_init(&writer, &json);
	/* the log is worth having even if the document is not to be had */
	if (runset_document(run, &writer, &err) != 0 || buf_err(&json) != 0) {
		buf_reset(&json);
		buf_append_str(&json, "null");
	}
	reply.json = (struct wire_str){(const char *)json.data, (uint32_t)json.len};
	to = buf_reserve(&fields, json.len + 64);
	n = to != NULL ? msg_run_tail_reply_encode(&reply, to, json.len + 64) : -ENOMEM;
	if (n > 0)
		stream_respond_keep(stream, to, (size_t)n);
	buf_fini(&json);
	buf_fini(&fields);
}

void tail_start(struct stream *stream, struct run *run, uint64_t offset)
{
	int dir_fd = runset_open_dir(run->set, run);
	struct tail *tail;
	struct stat st;
	int fd = -1, rc;

	if (dir_fd >= 0)
		fd = openat(dir_fd, RUNDIR_JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = errno;
		if (fd >= 0)
			close(fd);
		if (dir_fd >= 0)
			close(dir_fd);
		stream_respond(stream, rc == ENOENT ? MSG_NOT_FOUND : MSG_UNAVAILABLE,
			"the run's journal cannot be opened", NULL, 0);
		return;
	}
	if (!is_boundary(dir_fd, fd, (uint64_t)st.st_size, offset)) {
		close(dir_fd);
		close(fd);
		stream_respond(stream, MSG_BAD_OFFSET, "no record begins at this offset", NULL, 0);
		return;
	}
	close(dir_fd);
	rc = runset_watch_journal(run);
	if (rc != 0) {
		close(fd);
		stream_respond(stream, MSG_UNAVAILABLE, strerror(-rc), NULL, 0);
		return;
	}
	runset_refresh(run);
	respond(stream, run, offset, (uint64_t)st.st_size);
	tail = xcalloc(1, sizeof(*tail));
	tail->stream = stream;
	tail->run = run;
	tail->fd = fd;
	tail->offset = offset;
	tail->credit = FRAME_INITIAL_CREDIT;
	list_append(&run->tails, &tail->run_link);
	stream_start(stream, &tail_ops, tail);
}
