/*
 * Passwords are hashed on the thread pool: LIMIT_HASHES_AT_ONCE at a time, LIMIT_HASHES_WAITING
 * behind them, the rest are told to come back. A hash costs tens of milliseconds by design.
 */
#ifndef OPS_CORE_APP_AUTH_PASSWORD_H
#define OPS_CORE_APP_AUTH_PASSWORD_H

#include <stddef.h>
#include <uv.h>

#include "core/base/err.h"
#include "core/base/mem.h"

struct password_pool;

struct password_pool *password_pool_new(uv_loop_t *loop, const char *hash);
/* Passwords are checked against this one from now on; a check under way with the old one fails. */
void password_pool_set_hash(struct password_pool *pool, const char *hash);
/* Checks that are waiting are dropped, those being computed end unheard; neither is called back.
 * Memory goes when the last one is done: run the loop until then. */
void password_pool_close(struct password_pool *pool);

enum password_result {
	PASSWORD_RIGHT,
	PASSWORD_WRONG,
	PASSWORD_UNCHECKED, /* its hash could not be computed: no memory (16 MiB) */
};

/* Checks a password (copied, wiped afterwards) against the pool's hash. on_checked comes once, from
 * the loop. -EBUSY: too many are waiting; -EMSGSIZE: longer than LIMIT_PASSWORD_BYTES. */
MUSTCHECK int password_check(struct password_pool *pool, const char *password,
	void (*on_checked)(enum password_result result, void *arg), void *arg);

/* A yescrypt hash of a password, for `ops-dashboard passwd`. Blocking. To be freed. NULL with a
 * text when it cannot be made. */
char *password_hash(const char *password, struct err *err);

#endif
