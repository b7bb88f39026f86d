/*
 * RUN_DIR/index: where in the journal a line or a time is. One entry of 24 bytes per 256 KiB or so,
 * {u64 offset, u64 time_us, u32 line, u32 0}: a record starts at offset, with this time, and line
 * newlines come before it. Entries grow. The index is a hint: entries at or past the journal's end
 * are ignored, one that does not agree with the journal is not believed, none at all only costs a
 * longer walk.
 */
#ifndef OPS_AGENT_RUN_INDEX_H
#define OPS_AGENT_RUN_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

#define INDEX_ENTRY_BYTES 24
#define INDEX_SPACING (256u << 10) /* journal bytes between two entries, at least */

struct index_entry {
	uint64_t offset;
	uint64_t time_us;
	uint32_t line;
};

/* The same numbers as enum msg_locate of proto/msg.h. */
enum index_key {
	INDEX_BY_LINE = 0,	/* the record that holds the n-th line, counted from 0 */
	INDEX_BY_TIME = 1,	/* the first record at or after unix microseconds */
	INDEX_BY_OFFSET = 2,	/* the record that holds this byte, rounded down */
	INDEX_BY_BEFORE_END = 3 /* the record that holds the byte n bytes before the end */
};

void index_entry_encode(const struct index_entry *entry, uint8_t out[INDEX_ENTRY_BYTES]);
void index_entry_decode(const uint8_t data[INDEX_ENTRY_BYTES], struct index_entry *ret_entry);
/* Appends one entry to the file. 0 or a negative errno. */
MUSTCHECK int index_append(int index_fd, const struct index_entry *entry);
/* Writes the index anew from the journal's first journal_size bytes. 0 or a negative errno. */
MUSTCHECK int index_rebuild(int journal_fd, uint64_t journal_size, int index_fd);

/*
 * Finds the record that key and value ask for in the journal's first journal_size bytes: reads the
 * index by bisection, then walks at most a few hundred KiB of headers. index_fd may be -1. A value
 * past the end finds the end: {journal_size, time of the last record, lines so far}. 0 or a
 * negative errno (-EBADMSG: the journal is damaged there).
 */
MUSTCHECK int index_locate(int journal_fd, int index_fd, uint64_t journal_size, enum index_key key,
	uint64_t value, struct index_entry *ret_found);

#endif
