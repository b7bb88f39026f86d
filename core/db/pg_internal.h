/* What pg.c and pg_connect.c share. */
#ifndef OPS_CORE_DB_PG_INTERNAL_H
#define OPS_CORE_DB_PG_INTERNAL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <uv.h>

#include "core/db/internal.h"
#include "core/db/lookup.h"
#include "core/db/pg.h"

enum pg_state {
	PG_LOOKUP,     /* addresses of the hosts are being looked up */
	PG_CONNECTING, /* PQconnectPoll() */
	PG_SETUP,      /* our session settings are on their way */
	PG_IDLE,
	PG_BUSY, /* a batch or script of the owner is running */
	PG_DOWN,
	PG_CLOSING,
};

/* On the heap: the next one may be made before this one's close callback. */
struct pg_poll {
	uv_poll_t handle;
	struct pg *pg;
	int events;
};

/* What is running: the owner's batch or script, or the settings of SETUP. */
struct pg_job {
	bool active;
	struct pg_batch *batch; /* NULL: a script */
	size_t n_sent;		/* statements given to libpq */
	bool sent;		/* and the sync after them */
	bool synced;		/* the last answer is there */
	PGresult **results;	/* of the statements, in order */
	size_t n_results;
	bool failed; /* the server refused a statement */
	struct pg_reply refusal;
	pg_done_fn cb;
	void *arg;
};

struct pg {
	uv_loop_t *loop;
	const struct conninfo *info;
	unsigned attempt;
	struct pg_callbacks callbacks;
	void *arg;

	enum pg_state state;
	PGconn *conn;
	struct pg_poll *poll; /* NULL: the socket is not watched */
	struct lookup *lookup;
	struct pg_job job;
	uv_timer_t deadline, soon;
	unsigned deadline_ms;
	unsigned n_handles; /* not yet closed, a running lookup included */
	bool read_only;
	int down_err; /* what a running batch gets */
	char reason[PG_MAX_MESSAGE];

	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* The one mover of states; asserts that the step exists. */
void pg_set_state(struct pg *pg, enum pg_state state);
/* The one way out when a connection fails. */
void pg_down(struct pg *pg, int err, const char *reason);
/* A handle (or the lookup) is gone. The connection may be freed when this returns. */
void pg_handle_closed(struct pg *pg);
void pg_arm_deadline(struct pg *pg, unsigned deadline_ms);

/* Watches the connection's socket from now on; drops the watch. */
int pg_poll_set(struct pg *pg, int events, uv_poll_cb cb);
void pg_poll_drop(struct pg *pg);
struct pg *pg_of_poll(uv_poll_t *handle);

/* Sends what is to be sent and takes what is there. */
void pg_pump(struct pg *pg);
/* Starts a batch or a script; state and deadline are the caller's. */
void pg_start_job(
	struct pg *pg, struct pg_batch *batch, const char *script, pg_done_fn cb, void *arg);

/* pg_connect.c: from LOOKUP to on_ready. */
void pg_connect(struct pg *pg);

#endif
