/*
 * A seal is the SHA-256 of a finished run's whole journal, kept in the ledger as `run.sealed`. The
 * digest in run.finished is over record headers, so it finds damage; whoever rewrites a payload
 * together with its checksums is found by the seal.
 *
 * Hashing takes as long as reading a journal does, so a process of its own does it, at the lowest
 * priorities of processor and disk (`ops-agent seal`). It looks for finished runs without a seal,
 * hashes their journals, tells the monitor (monitor/sealer.h) on a pipe, and ends. It stays the
 * monitor's user: as the worker's, a worker that was taken over could meddle with what it says.
 */
#ifndef OPS_AGENT_MONITOR_SEAL_H
#define OPS_AGENT_MONITOR_SEAL_H

#include <stdint.h>

#include "core/base/crypto.h"
#include "core/base/err.h"
#include "core/base/uuid.h"

#define SEAL_FILE "sealed" /* in RUN_DIR, empty: the ledger has its seal, or why there is none */

struct seal {
	uint64_t size; /* bytes of the journal */
	uint8_t sha256[CRYPTO_SHA256_BYTES];
};

/* What the process writes for each run, in the machine's byte order. */
struct seal_report {
	struct uuid run;
	int32_t error; /* negative errno: the journal cannot be read; 0: seal is set */
	uint8_t zero[4];
	struct seal seal;
};

/* Hashes RUN_DIR/journal. 0 or a negative errno. */
MUSTCHECK int seal_journal(int run_dir_fd, struct seal *ret_seal);

/* Standard input is the folder of all RUN_DIRs, standard output the pipe; parent_pid in decimal: it
 * ends when that process does. The exit code, 0 when every run was looked at. */
int seal_main(const char *parent_pid);

#endif
