/*
 * Owns: one call to the pool at a time, and the hash that the next entry must follow.
 *
 * Happy path: PAGE (entries in the order of their positions) → each hashed → … → a page that is not
 * full: the end. Failure modes: the first entry that does not fit ends it, with its position.
 */
#include "core/app/verify/verify_audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/crypto.h"
#include "core/base/mem.h"
#include "core/db/batch.h"

#define PAGE_SQL                                                                                   \
	"SELECT position, entry, previous_hash, hash FROM ops.audit WHERE position > $1"           \
	" ORDER BY position LIMIT $2"
#define PAGE_MS 30000

struct walk {
	struct pool *pool;
	struct audit_head head;
	bool head_seen;
	int64_t position; /* of the last entry that was read */
	uint8_t hash[CRYPTO_SHA256_BYTES];
	struct verify_audit_result result;
	void (*done)(const struct verify_audit_result *result, void *arg);
	void *arg;
};

static void walk_page(struct walk *walk);

static void walk_end(struct walk *walk)
{
	walk->done(&walk->result, walk->arg);
	free(walk);
}

static void walk_broken(struct walk *walk, int64_t position, const char *what)
{
	snprintf(walk->result.message, sizeof(walk->result.message),
		"audit: entry at position %" PRId64 ": %s", position, what);
	walk_end(walk);
}

static bool is_hash(struct pg_bytes_view bytes, const uint8_t hash[CRYPTO_SHA256_BYTES])
{
	return bytes.len == CRYPTO_SHA256_BYTES &&
	       memcmp(bytes.data, hash, CRYPTO_SHA256_BYTES) == 0;
}

/* What is wrong with an entry, NULL: nothing. */
static const char *take_entry(struct walk *walk, const struct pg_result *rows, size_t i)
{
	struct pg_bytes_view entry = pg_get_bytes(rows, i, 1);
	struct crypto_sha256 ctx;

	if (!is_hash(pg_get_bytes(rows, i, 2), walk->hash))
		return "it does not follow the one before it; entries were removed or put in";
	crypto_sha256_init(&ctx);
	crypto_sha256_update(&ctx, walk->hash, sizeof(walk->hash));
	crypto_sha256_update(&ctx, entry.data, entry.len);
	crypto_sha256_final(&ctx, walk->hash);
	if (!is_hash(pg_get_bytes(rows, i, 3), walk->hash))
		return "it is not what was written then";
	walk->position = pg_get_i64(rows, i, 0);
	walk->result.n_entries++;
	if (walk->position != walk->head.position)
		return NULL;
	walk->head_seen = true;
	if (memcmp(walk->head.hash, walk->hash, sizeof(walk->hash)) != 0)
		return "this dashboard noted another one here; the chain was written anew";
	return NULL;
}

static void on_page(const struct pg_reply *reply, void *arg)
{
	struct walk *walk = arg;
	const struct pg_result *rows;
	size_t n;

	if (reply->err != 0) {
		walk->result.err = reply->err;
		snprintf(walk->result.message, sizeof(walk->result.message), "audit: %s",
			reply->message);
		walk_end(walk);
		return;
	}
	rows = reply->results[0];
	n = pg_rows(rows);
	for (size_t i = 0; i < n; i++) {
		const char *what = take_entry(walk, rows, i);

		if (what != NULL) {
			walk_broken(walk, pg_get_i64(rows, i, 0), what);
			return;
		}
	}
	if (n == VERIFY_AUDIT_PAGE) {
		walk_page(walk);
		return;
	}
	if (walk->head.position > 0 && !walk->head_seen) {
		walk_broken(walk, walk->head.position,
			"this dashboard has noted it, and it is not there any more");
		return;
	}
	walk->result.is_whole = true;
	walk_end(walk);
}

static void walk_page(struct walk *walk)
{
	const struct pg_param params[] = {pg_i64(walk->position), pg_i64(VERIFY_AUDIT_PAGE)};

	pool_run(walk->pool, pg_batch_one(PAGE_SQL, params, ARRAY_LEN(params)), POOL_IDEMPOTENT,
		PAGE_MS, on_page, walk);
}

void verify_audit(struct pool *pool, const struct audit_head *head,
	void (*done)(const struct verify_audit_result *result, void *arg), void *arg)
{
	struct walk *walk = xcalloc(1, sizeof(*walk));

	walk->pool = pool;
	walk->head = *head;
	walk->done = done;
	walk->arg = arg;
	walk_page(walk);
}
