/* What notify*.c share: events become marks and claims (notify.c), wait in lanes (notify_lane.c),
 * survive restarts (notify_state.c) and come from somewhere (notify_watch.c, notify_items.c). */
#ifndef OPS_CORE_APP_NOTIFY_NOTIFY_INTERNAL_H
#define OPS_CORE_APP_NOTIFY_NOTIFY_INTERNAL_H

#include <jansson.h>
#include <uv.h>

#include "core/agentlink/link.h"
#include "core/app/notify/notify.h"
#include "core/app/notify/notify_text.h"
#include "core/app/status/status.h"
#include "core/base/list.h"
#include "core/base/uuid.h"
#include "core/db/pool.h"
#include "core/net/outgoing.h"

/* How much earlier than seen_us a run may have ended and still be looked at: events come a little
 * late, and marks know what was told. */
#define NOTIFY_SLACK_US (UINT64_C(10) * 60 * 1000000)

enum notify_result {
	NOTIFY_SENT,
	NOTIFY_FAILED,
	NOTIFY_DROPPED,
	NOTIFY_N_RESULTS
};

/* That something is known: a run's event was told, an item is at a level, a name has failed. */
struct notify_mark {
	struct list link; /* notify.marks, oldest first */
	uint64_t time_us;
	bool is_run; /* may be forgotten when it is old */
	char state[24];
	char key[];
};

/* An event on its way: notify.waiting, then in a lane. */
struct notify_item {
	struct list link;
	uint64_t queued_us; /* for a target; wall clock */
	struct notify_event event;
};

/* Of one target, by name, over reloads. */
struct notify_tally {
	struct list link; /* notify.tallies */
	uint64_t results[NOTIFY_N_RESULTS];
	uint64_t last_us; /* 0: nothing was sent yet */
	bool last_ok, last_was_test;
	char last_message[256];
	char name[NOTIFY_MAX_NAME + 1];
};

/* What one rule tells one target. */
struct notify_lane {
	struct list link; /* notify.lanes */
	struct notify *notify;
	size_t rule;
	char target[NOTIFY_MAX_NAME + 1];
	uint64_t quiet_ms;
	struct list items; /* notify_item.link, oldest first */
	size_t n_items;
	uint64_t more;			   /* events that are only counted any more */
	uint64_t quiet_until_ms, retry_ms; /* uv_now's clock */
	unsigned failures;
	struct outgoing_call *call; /* NULL: nothing is being sent */
	size_t n_sending;	    /* of the first items */
	uint64_t more_sending;
	bool orphan; /* gone from the configuration while it was sending */
};

/* What is watched of one host. */
struct notify_host {
	struct list link; /* notify.hosts */
	struct notify *notify;
	struct host *host;
	unsigned n_handles; /* of both, that are not closed */

	/* notify_watch.c */
	struct link_watch watch;
	struct link_call *list;
	json_t *found; /* by the scan, newest first */
	uint64_t scan_began_us;
	unsigned scan_pages, scan_failures; /* failures: of this page */
	char scan_before[UUID_TEXT_BYTES];  /* the page that is asked for; "": the first */
	bool scanned;			    /* since the agent was connected */
	uint64_t seen_us; /* runs that ended before were looked at; 0: to be found out */
	uv_timer_t grace, scan_timer;
	uint64_t away_us; /* since when the agent is away; 0: it is there */

	/* notify_items.c */
	struct status_listener levels;
	struct link_call *look;
	uv_timer_t look_timer;
};

struct notify_line; /* a last line that is being looked up */

struct notify {
	struct server *server;
	const struct notify_conf *conf; /* NULL: none */
	struct outgoing *outgoing;
	struct list marks, waiting, lanes, tallies, lines;
	size_t n_marks, n_waiting, n_lines;
	size_t n_held; /* items of all lanes */
	struct pool_call *claim;
	size_t n_claiming; /* of the first of waiting */
	uv_timer_t due;	   /* the next lane that may send */

	/* notify_state.c */
	int dir_fd;
	char owner[UUID_TEXT_BYTES]; /* of claims: this STATE_DIR */
	uint64_t seen_us; /* of the primary host, as it was when it was read; 0: begun anew */
	json_t *seen;	  /* of each, by name; NULL: none was written down */
	uv_work_t save;
	bool dirty, saving;
	struct buf saved;
	uv_timer_t save_soon;

	/* notify_watch.c */
	struct list hosts; /* notify_host.link */
	unsigned n_hosts;  /* with those whose timers are still closing */

	unsigned n_closing;
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* ---- notify.c ---- */

/* Takes a copy. It is told when a rule is about it and nobody has told it before. */
void notify_tell(struct notify *notify, const struct notify_event *event);
/* The words of now; about the primary host, where nothing else is said. */
struct notify_words notify_words(const struct notify *notify);
/* NULL: unknown. */
struct notify_mark *notify_find_mark(const struct notify *notify, const char *key);
void notify_set_mark(
	struct notify *notify, const char *key, const char *state, uint64_t time_us, bool is_run);
void notify_drop_mark(struct notify *notify, struct notify_mark *mark);
void notify_part_closed(void *arg);

/* ---- notify_lane.c ---- */

void notify_lanes_configure(struct notify *notify);
void notify_lanes_free(struct notify *notify);
/* Queues a copy for every target that the rules name for it. */
void notify_lanes_add(struct notify *notify, const struct notify_event *event);
/* queued_us 0: now. NOTIFY_MAX_QUEUED are held, and as many again while those are being sent; of
 * all lanes together LIMIT_NOTIFY_HELD. */
void notify_lane_push(
	struct notify_lane *lane, const struct notify_event *event, uint64_t queued_us);
/* Sends what is due. */
void notify_lanes_pump(struct notify *notify);
struct notify_tally *notify_tally_of(struct notify *notify, const char *target);
void notify_tally_count(
	struct notify_tally *tally, enum notify_result result, const char *message, bool is_test);

/* ---- notify_state.c ---- */

MUSTCHECK int notify_state_load(struct notify *notify, struct err *err);
/* The state is another one: it is written soon. */
void notify_state_touch(struct notify *notify);
/* The end: writes it, blocking, unless a thread is at it and does so afterwards. */
void notify_state_close(struct notify *notify);

/* ---- notify_watch.c ---- */

void notify_watch_open(struct notify *notify);
void notify_watch_configure(struct notify *notify);
/* notify_part_closed() is called for each host. */
void notify_watch_close(struct notify *notify);
/* Up to when that host's runs were looked at, for the next start. */
uint64_t notify_host_seen_us(const struct notify_host *host);

/* ---- notify_items.c ---- */

void notify_items_open(struct notify_host *host);
/* The agent came, or the configuration is another one: a look soon, then every look_every. */
void notify_items_configure(struct notify_host *host);
/* on_closed comes for its one handle, whose data is the notify_host. */
void notify_items_close(struct notify_host *host, uv_close_cb on_closed);

/* ---- notify_line.c ---- */

typedef void (*notify_line_fn)(struct notify *notify, const json_t *run, const char *line);
/* Looks up the last line of a run's log (of stderr, else of stdout) and calls back later; false:
 * too many are being looked up. */
MUSTCHECK bool notify_line_ask(struct notify *notify, json_t *run, notify_line_fn cb);
bool notify_line_is_asked(const struct notify *notify, const char *run);
void notify_lines_forget(struct notify *notify);

#endif
