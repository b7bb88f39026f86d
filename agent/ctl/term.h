/* Terminals: colours only there, no control characters of others, and a line of progress. */
#ifndef OPS_AGENT_CTL_TERM_H
#define OPS_AGENT_CTL_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Whether out is a terminal that takes colours (NO_COLOR and TERM=dumb say no). */
bool term_has_colours(FILE *out);
/* Starts a colour on out when it takes colours: of a run's or step's status. */
void term_status_colour(FILE *out, const char *status);
void term_dim(FILE *out);
void term_plain(FILE *out);
/* Writes text from elsewhere (a comment, a title) with control characters as '?'. */
void term_put(FILE *out, const char *text);

/* One line on standard error that says how a run is going, taken away before output and drawn again
 * when there is a pause. All functions do nothing when it is off. */
struct progress {
	bool on;
	bool drawn;
	bool line_open;	   /* the output's last byte was no newline, on the same terminal */
	uint64_t began_us; /* monotonic; of opsctl's watching */
	uint64_t last_us;  /* of the last output */
	uint64_t bytes;
	char what[64];
};

/* On when standard error is a terminal and wanted is true. */
void progress_init(struct progress *p, bool wanted);
/* What is going on now, "dump" or "waiting for an approval". */
void progress_set(struct progress *p, const char *what);
/* Takes the line away: something is about to be written. */
void progress_hide(struct progress *p);
/* n bytes of output, the last of them was `last`, went to a terminal or elsewhere. */
void progress_wrote(struct progress *p, size_t n, char last, bool to_terminal);
/* Draws it, unless output came a moment ago or stopped in the middle of a line. */
void progress_tick(struct progress *p);

#define PROGRESS_TICK_MS 250

#endif
