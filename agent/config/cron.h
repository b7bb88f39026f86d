/*
 * Five-field cron lines: minute hour day-of-month month day-of-week. A field is `*`, a number, a
 * range `a-b`, either with a step `/n`, or a list of these by commas; months and days of the week
 * may be named (jan, mon); 0 and 7 are Sunday. In place of all five: @hourly @daily @midnight
 * @weekly @monthly @yearly @annually. A sixth field is an error, and so is @reboot.
 *
 * When it is time (cron_next()): a line fires in every minute whose local time matches it. Where
 * clocks are put forward, what lies in the gap fires once, in the first minute behind it. Where
 * they are put back, a time of day that comes twice fires the first time only; a line for every
 * hour (the second field is `*`) names no time of day and goes on as if nothing had happened.
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

#define CRON_HORIZON_S (INT64_C(9) * 366 * 86400) /* the longest way to a 29 February, and some */

/* 0, or -EINVAL with a text that names the field. */
MUSTCHECK int cron_parse(const char *text, struct cron *ret_cron, struct err *err);

/* Seconds east of UTC at a unix time. */
typedef int (*cron_offset_fn)(const void *zone, int64_t unix_s);

/* The first time after `after` (unix seconds) at which it fires; -ENOENT: not within
 * CRON_HORIZON_S. */
MUSTCHECK int cron_next(const struct cron *cron, cron_offset_fn offset, const void *zone,
	int64_t after, int64_t *ret_unix_s);

#endif
