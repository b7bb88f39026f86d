/* What the history's files share. */
#ifndef OPS_CORE_APP_ARCHIVE_HISTORY_INTERNAL_H
#define OPS_CORE_APP_ARCHIVE_HISTORY_INTERNAL_H

#include "core/app/archive/history.h"
#include "proto/record.h"

#define HISTORY_DEADLINE_MS 8000

struct history_call {
	struct pool_call *out;
	union {
		history_list_fn list;
		history_get_fn get;
		history_locate_fn locate;
		history_homes_fn homes;
	} cb;
	void *arg;
	unsigned limit; /* of a list */
	uint8_t kind;	/* of a locate */
	uint64_t value;
};

/* Finds what history_locate() answers in up to two rows that follow each other; n_rows >= 1. For
 * MSG_LOCATE_BEFORE_END value is the byte's offset. -EBADMSG: a record is damaged. */
struct history_row {
	uint64_t offset; /* of its first record */
	const uint8_t *records;
	size_t len;
};
MUSTCHECK int history_walk(const struct history_row *rows, size_t n_rows, uint8_t kind,
	uint64_t value, struct history_locate_reply *ret_found);

#endif
