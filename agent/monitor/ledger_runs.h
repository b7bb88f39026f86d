/*
 * What the ledger says of finished runs, gathered for `ops-agent verify`: the digest of
 * run.finished, and the seal. Reading it parses no JSON: it takes the bytes that the monitor writes
 * and no others, and the chain was checked before.
 */
#ifndef OPS_AGENT_MONITOR_LEDGER_RUNS_H
#define OPS_AGENT_MONITOR_LEDGER_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/monitor/seal.h"
#include "core/base/uuid.h"

struct ledger_run {
	struct uuid id;
	bool has_digest, has_seal, not_sealed; /* not_sealed: it says why there is no seal */
	uint8_t digest[CRYPTO_SHA256_BYTES];
	struct seal seal;
	uint64_t digest_at, seal_at; /* byte of the ledger where the event is */
};

/* A hash table; grows with the ledger that is read. Zeroes make an empty one. */
struct ledger_runs {
	struct ledger_run *runs; /* of a run that is not there has_… are all false */
	size_t n, cap;
};

void ledger_runs_fini(struct ledger_runs *runs);
/* Takes one event; those that are about something else change nothing. -EBADMSG: it is one of ours
 * in a form that is not. */
MUSTCHECK int ledger_runs_add(
	struct ledger_runs *runs, uint64_t offset, const char *json, size_t n);
/* What the ledger says of a run; NULL: nothing. */
const struct ledger_run *ledger_runs_find(const struct ledger_runs *runs, const struct uuid *id);

#endif
