/* What is sampled of a status document, and at which resolution samples are read. Pure. */
#ifndef OPS_CORE_APP_STATUS_SAMPLE_H
#define OPS_CORE_APP_STATUS_SAMPLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"

#define SAMPLE_EVERY_S 10	  /* the finest resolution; kept for a day */
#define SAMPLE_MINUTE_S 60	  /* the next one; kept for thirty days */
#define SAMPLE_QUARTER_S 900	  /* the coarsest; kept for two years */
#define SAMPLE_MAX_SERIES 512	  /* values of one moment; the rest is left out */
#define SAMPLE_MAX_POINTS 1500	  /* of one answer, for each value */
#define SAMPLE_MAX_NAME_BYTES 256 /* of section/id, and of a value's name */

/*
 * The numbers of a document as {"section/id": {"value": number}}, at most SAMPLE_MAX_SERIES of them
 * in the document's order; NULL when there are none. What never moves (sizes of the machine,
 * process ids) or is a moment (_us) is no measurement, and an item whose level is unknown has none.
 * *ret_left_out: how many numbers were too many. Free the text.
 */
char *sample_text(const json_t *doc, size_t *ret_left_out);

struct sample_steps {
	uint32_t step_s; /* between two points; a multiple of tier_s */
	uint32_t tier_s; /* the resolution that is read */
};

/* The finest steps with which from_us..to_us fits SAMPLE_MAX_POINTS and that are kept since
 * from_us. */
struct sample_steps sample_steps(uint64_t from_us, uint64_t to_us, uint64_t now_us);

#endif
