/*
 * Five-field cron lines: minute hour day-of-month month day-of-week. A field is `*`, a number, a
 * range `a-b`, either with a step `/n`, or a list of these by commas; months and days of the week
 * may be named (jan, mon); 0 and 7 are Sunday. Macros (@daily) and a sixth field are errors.
 */
#ifndef OPS_AGENT_CONFIG_CRON_H
#define OPS_AGENT_CONFIG_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

struct cron {
	uint64_t minutes; /* bit n: minute n */
	uint32_t hours;
	uint32_t days;	  /* bits 1..31 */
	uint16_t months;  /* bits 1..12 */
	uint8_t weekdays; /* bits 0..6 */
	/* As cron has it: when both are restricted, a day that matches either counts. */
	bool any_day, any_weekday;
};

/* 0, or -EINVAL with a text that names the field. */
MUSTCHECK int cron_parse(const char *text, struct cron *ret_cron, struct err *err);

#endif
