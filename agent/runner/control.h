/*
 * RUN_DIR/control: what the monitor asks of a run that is under way. Each order is a file made with
 * O_EXCL, "actor\nreason\n"; the first one counts, later ones of the same name cannot come.
 * An answer to the approval that step number N waits for is approve.N, "actor\ncomment\nyes|no\n".
 */
#ifndef OPS_AGENT_RUNNER_CONTROL_H
#define OPS_AGENT_RUNNER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

#define CONTROL_TEXT_BYTES 512
#define CONTROL_POLL_US UINT64_C(500000)

enum control_order {
	CONTROL_CANCEL,
	CONTROL_KILL,
	CONTROL_GO,	/* to a run that was made with CONTROL_GATE_HOLD */
	CONTROL_ORDERS, /* how many there are */
};

/* What was decided about the run before its runner started. */
enum control_gate {
	CONTROL_GATE_OPEN,
	CONTROL_GATE_HOLD, /* wait for CONTROL_GO */
	CONTROL_GATE_SKIP, /* the run ends as skipped; reason says why in a word, or is empty */
};

struct control {
	int dir_fd;
	int inotify_fd; /* -1: the host has no instance left; look every CONTROL_POLL_US instead */
	bool taken[CONTROL_ORDERS];
	char actor[CONTROL_TEXT_BYTES], reason[CONTROL_TEXT_BYTES]; /* of the last one taken */
};

/* Opens (and makes) the folder in run_dir. 0 or a negative errno. */
MUSTCHECK int control_open(
	struct control *control, int run_dir_fd, const char *run_dir, struct err *err);
void control_close(struct control *control);
/* Empties the queue of inotify_fd. */
void control_ack(struct control *control);
/* Whether an order of this kind is there that was not taken before; takes it. closed: it is known
 * that nobody is still writing it. */
bool control_take(struct control *control, enum control_order order, bool closed);
/* Looks for `hold` and `skip`. */
enum control_gate control_gate(struct control *control);
/* Whether an answer to this step's approval is there, and which; actor and reason (the comment) are
 * set. Does not remember that it was taken. */
bool control_read_answer(struct control *control, uint16_t step, bool closed, bool *ret_approve);
/* Takes the answer's place, so that none can come any more. 0; -EEXIST: one is there already; or
 * another negative errno. */
MUSTCHECK int control_close_answer(struct control *control, uint16_t step, bool approve);

#endif
