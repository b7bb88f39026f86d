/*
 * A lookup takes two steps: bisect the entries of the index for the last one that is surely not
 * past what is asked for, then walk record headers from there. The first record of a journal is an
 * implied entry {0, 0, 0}.
 *
 * By line: line n starts behind the n-th newline. The record that has this newline is the last
 * output record whose header counts less than n; when it is that record's last byte, the line
 * starts in the output record after it. Events carry a line number as well and are stepped over.
 */
#include "agent/run/index.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/file.h"
#include "proto/record.h"
#include "proto/wire.h"

void index_entry_encode(const struct index_entry *entry, uint8_t out[INDEX_ENTRY_BYTES])
{
	struct wire_writer w;

	wire_writer_init(&w, out, INDEX_ENTRY_BYTES);
	wire_put_u64(&w, entry->offset);
	wire_put_u64(&w, entry->time_us);
	wire_put_u32(&w, entry->line);
	wire_put_u32(&w, 0);
}

void index_entry_decode(const uint8_t data[INDEX_ENTRY_BYTES], struct index_entry *ret_entry)
{
	struct wire_reader r;

	wire_reader_init(&r, data, INDEX_ENTRY_BYTES);
	ret_entry->offset = wire_get_u64(&r);
	ret_entry->time_us = wire_get_u64(&r);
	ret_entry->line = wire_get_u32(&r);
}

int index_append(int index_fd, const struct index_entry *entry)
{
	uint8_t bytes[INDEX_ENTRY_BYTES];

	index_entry_encode(entry, bytes);
	return file_write_all(index_fd, bytes, sizeof(bytes));
}

/* Reads exactly n bytes. 0, -EBADMSG (the file ends before) or a negative errno. */
static int read_at(int fd, uint64_t offset, void *out, size_t n)
{
	uint8_t *to = out;

	while (n > 0) {
		ssize_t got = pread(fd, to, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EBADMSG;
		to += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

/* The header at offset, and where the next record starts. */
static int header_at(
	int journal_fd, uint64_t offset, uint64_t size, struct record *ret_rec, uint64_t *ret_next)
{
	uint8_t head[RECORD_HEADER_BYTES];
	int rc;

	if (size - offset < RECORD_HEADER_BYTES)
		return -EBADMSG;
	rc = read_at(journal_fd, offset, head, sizeof(head));
	if (rc == 0)
		rc = record_decode_header(head, sizeof(head), ret_rec);
	if (rc == 0 && size - offset - RECORD_HEADER_BYTES < ret_rec->length)
		rc = -EBADMSG;
	if (rc == 0)
		*ret_next = offset + RECORD_HEADER_BYTES + ret_rec->length;
	return rc == -EAGAIN ? -EBADMSG : rc;
}

int index_rebuild(int journal_fd, uint64_t journal_size, int index_fd)
{
	uint64_t at = 0, due = INDEX_SPACING;

	if (ftruncate(index_fd, 0) != 0 || lseek(index_fd, 0, SEEK_SET) != 0)
		return -errno;
	while (at < journal_size) {
		struct record rec;
		uint64_t next;
		int rc = header_at(journal_fd, at, journal_size, &rec, &next);

		if (rc == 0 && at >= due) {
			rc = index_append(index_fd,
				&(struct index_entry){
					.offset = at, .time_us = rec.time_us, .line = rec.line});
			due = at + INDEX_SPACING;
		}
		if (rc != 0)
			return rc;
		at = next;
	}
	return 0;
}

static bool is_before(const struct index_entry *entry, enum index_key key, uint64_t value)
{
	switch (key) {
	case INDEX_BY_LINE:
		return entry->line < value; /* with ==, the line may end before the entry */
	case INDEX_BY_TIME:
		return entry->time_us < value;
	case INDEX_BY_OFFSET:
	case INDEX_BY_BEFORE_END:
		break;
	}
	return entry->offset <= value;
}

/* Whether the record there is the one that the entry speaks of. */
static bool agrees(int journal_fd, const struct index_entry *entry, uint64_t size)
{
	struct record rec;
	uint64_t next;

	return header_at(journal_fd, entry->offset, size, &rec, &next) == 0 &&
	       rec.time_us == entry->time_us && rec.line == entry->line;
}

/* The last entry before what is asked for; the start of the journal when there is none. */
static struct index_entry bisect(
	int journal_fd, int index_fd, uint64_t size, enum index_key key, uint64_t value)
{
	struct index_entry best = {0}, entry;
	uint8_t bytes[INDEX_ENTRY_BYTES];
	off_t end = index_fd >= 0 ? lseek(index_fd, 0, SEEK_END) : 0;
	uint64_t low = 0, high = end > 0 ? (uint64_t)end / INDEX_ENTRY_BYTES : 0;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (read_at(index_fd, middle * INDEX_ENTRY_BYTES, bytes, sizeof(bytes)) != 0)
			return (struct index_entry){0};
		index_entry_decode(bytes, &entry);
		if (entry.offset < size && is_before(&entry, key, value)) {
			best = entry;
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (best.offset != 0 && !agrees(journal_fd, &best, size))
		best = (struct index_entry){0};
	return best;
}

struct walk {
	int journal_fd;
	uint64_t size;
	struct index_entry at; /* record under the cursor */
	struct record rec;
	uint64_t next;
};

static int walk_load(struct walk *w)
{
	int rc = header_at(w->journal_fd, w->at.offset, w->size, &w->rec, &w->next);

	if (rc == 0) {
		w->at.time_us = w->rec.time_us;
		w->at.line = w->rec.line;
	}
	return rc;
}

/* Newlines in the payload of an output record; *ret_ends_line: its last byte is one. */
static int look_into(const struct walk *w, uint32_t *ret_newlines, bool *ret_ends_line)
{
	uint8_t *payload = malloc(w->rec.length != 0 ? w->rec.length : 1);
	int rc;

	if (payload == NULL)
		return -ENOMEM;
	rc = read_at(w->journal_fd, w->at.offset + RECORD_HEADER_BYTES, payload, w->rec.length);
	if (rc == 0) {
		*ret_newlines = record_count_newlines(payload, w->rec.length);
		*ret_ends_line = w->rec.length != 0 && payload[w->rec.length - 1] == '\n';
	}
	free(payload);
	return rc;
}

/* last is the last record before the end, output the last one of output (maybe none). */
static int at_end(const struct walk *last, const struct walk *output, struct index_entry *ret_found)
{
	uint32_t newlines = 0;
	bool ends_line = false;
	int rc = output->next != 0 ? look_into(output, &newlines, &ends_line) : 0;

	if (rc == 0)
		*ret_found = (struct index_entry){.offset = last->size,
			.time_us = last->at.time_us,
			.line = output->next != 0 ? output->at.line + newlines : last->at.line};
	return rc;
}

static int walk_to_line(struct walk *w, uint64_t line, struct index_entry *ret_found)
{
	struct walk before = {0},
		    last = *w; /* before: has the newline that the line starts behind */
	uint32_t newlines = 0;
	bool ends_line = false, found = false;
	int rc;

	for (; w->at.offset < w->size && !found; w->at.offset = w->next) {
		rc = walk_load(w);
		if (rc != 0)
			return rc;
		last = *w;
		if (w->rec.kind == RECORD_EVENT)
			continue;
		if (w->rec.line >= line)
			found = true;
		else
			before = *w;
	}
	rc = before.next != 0 ? look_into(&before, &newlines, &ends_line) : 0;
	if (rc != 0)
		return rc;
	if (found) {
		bool here = before.next == 0 || (last.rec.line == line && ends_line);

		*ret_found = here ? last.at : before.at;
		return 0;
	}
	if (before.next != 0 && (before.rec.line + newlines > line ||
					(before.rec.line + newlines == line && !ends_line))) {
		*ret_found = before.at;
		return 0;
	}
	return at_end(&last, &before, ret_found);
}

/* By time or offset. */
static int walk_to(
	struct walk *w, enum index_key key, uint64_t value, struct index_entry *ret_found)
{
	struct walk last = *w, output = {0};
	int rc;

	for (; w->at.offset < w->size; w->at.offset = w->next) {
		rc = walk_load(w);
		if (rc != 0)
			return rc;
		if (key == INDEX_BY_TIME ? w->rec.time_us >= value : value < w->next) {
			*ret_found = w->at;
			return 0;
		}
		last = *w;
		if (w->rec.kind != RECORD_EVENT)
			output = *w;
	}
	return at_end(&last, &output, ret_found);
}

int index_locate(int journal_fd, int index_fd, uint64_t journal_size, enum index_key key,
	uint64_t value, struct index_entry *ret_found)
{
	struct walk w = {.journal_fd = journal_fd, .size = journal_size};

	if (journal_size == 0) {
		*ret_found = (struct index_entry){0};
		return 0;
	}
	if (key == INDEX_BY_BEFORE_END)
		value = value < journal_size ? journal_size - value : 0;
	w.at = bisect(journal_fd, index_fd, journal_size, key, value);
	if (key == INDEX_BY_LINE)
		return walk_to_line(&w, value, ret_found);
	return walk_to(&w, key, value, ret_found);
}
