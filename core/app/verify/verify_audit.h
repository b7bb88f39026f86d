/*
 * The audit's chain, read back from its first entry to its last: each entry's hash is the SHA-256
 * of the hash before it and its own bytes, so whoever changes, removes or puts in one breaks it
 * there. Who removes the newest ones, or writes the whole chain anew, is found by the head that the
 * dashboard noted in STATE_DIR (audit.h).
 */
#ifndef OPS_CORE_APP_VERIFY_VERIFY_AUDIT_H
#define OPS_CORE_APP_VERIFY_VERIFY_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/app/audit/audit.h"
#include "core/db/pool.h"

#define VERIFY_AUDIT_PAGE 500 /* entries read at a time */

struct verify_audit_result {
	int err; /* not 0: PostgreSQL cannot be asked; message says why */
	uint64_t n_entries;
	bool is_whole;
	char message[320]; /* what is wrong, and where */
};

/* head: of STATE_DIR, position 0 when there is none. done comes once, from the loop. */
void verify_audit(struct pool *pool, const struct audit_head *head,
	void (*done)(const struct verify_audit_result *result, void *arg), void *arg);

#endif
