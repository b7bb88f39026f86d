/*
 * The audit: what a person or a token did, one entry for each request that may change something,
 * hash-chained in ops.audit. It is written when the request is over, with its outcome. While
 * PostgreSQL is away entries wait in STATE_DIR/audit and are brought in afterwards, each once.
 *
 * Now and then, and when the daemon stops, the newest entry's position and hash are noted in
 * STATE_DIR/state (`audit.head`): `ops-dashboard verify` finds by them a chain that was cut or
 * written anew by whoever can write to the database.
 */
#ifndef OPS_CORE_APP_AUDIT_AUDIT_H
#define OPS_CORE_APP_AUDIT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/app/auth/caller.h"
#include "core/base/crypto.h"
#include "core/base/err.h"
#include "core/web/server.h"

#define AUDIT_MAX_WAITING 8192 /* entries; more are lost, and said to be in the log */
#define AUDIT_BATCH 32	       /* of one transaction */
#define AUDIT_RETRY_MS 5000
#define AUDIT_STRANGERS_PER_MINUTE 60	  /* failed sign-ins that are written down */
#define AUDIT_HEAD_MS (60u * 60u * 1000u) /* between two notes of the head */
#define AUDIT_FILE "audit"

/* An entry of the chain; position 0: none. */
struct audit_head {
	int64_t position;
	uint8_t hash[CRYPTO_SHA256_BYTES];
};

struct audit;
struct server;

/* Reads STATE_DIR/audit; blocking, at start. NULL with a text. */
struct audit *audit_open(struct server *server, struct err *err);
/* What waits is on the disk then. Before the pool. */
void audit_close(struct audit *audit, void (*on_closed)(void *arg), void *arg);

/* An event of STATE_DIR/state; false: not one of the audit's, or not worth keeping. */
bool audit_head_parse(const char *json, size_t len, struct audit_head *ret_head);

/* A request is over: writes it down when it is one that counts. */
void audit_request(
	struct audit *audit, const struct caller *caller, const struct web_finished *finished);
/* Entries that are not in PostgreSQL yet. */
size_t audit_waiting(const struct audit *audit);

/* GET /audit */
void audit_list(struct request *req);

#endif
