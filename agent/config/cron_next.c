#include <errno.h>

#include "agent/config/cron.h"
#include "core/base/mem.h"

#define MINUTE 60
#define HOUR 3600
#define DAY 86400
#define ALL_HOURS 0xffffffu
/* Clocks are never moved by more than this, but where a land crosses the date line (Samoa lost a
 * day): that costs a look at every minute of three days, and is right all the same. */
#define MAX_SHIFT DAY

struct date {
	int month, day, weekday;
};

static int64_t floor_to(int64_t value, int64_t unit)
{
	int64_t rest = value % unit;

	return value - (rest < 0 ? rest + unit : rest);
}

/* Of a local time in seconds, as if it were UTC (H. Hinnant's civil_from_days). */
static struct date date_of(int64_t local)
{
	int64_t days = floor_to(local, DAY) / DAY;
	int64_t z = days + 719468;
	int64_t era = floor_to(z, 146097) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	return (struct date){
		.month = (int)(mp < 10 ? mp + 3 : mp - 9),
		.day = (int)(doy - (153 * mp + 2) / 5 + 1),
		.weekday = (int)(((days % 7) + 11) % 7), /* day 0 was a Thursday */
	};
}

static bool day_matches(const struct cron *cron, int64_t local)
{
	struct date date = date_of(local);
	bool day = cron->days >> date.day & 1, weekday = cron->weekdays >> date.weekday & 1;

	if (!(cron->months >> date.month & 1))
		return false;
	return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

static bool time_matches(const struct cron *cron, int64_t local)
{
	int64_t second = local - floor_to(local, DAY);

	return cron->hours >> (second / HOUR) & 1 && cron->minutes >> (second % HOUR / MINUTE) & 1;
}

/* Whether a local minute in from..to (without to) matches. */
static bool any_matches(const struct cron *cron, int64_t from, int64_t to)
{
	for (int64_t local = from; local < to; local += MINUTE) {
		if (time_matches(cron, local) && day_matches(cron, local))
			return true;
	}
	return false;
}

struct clock {
	cron_offset_fn offset;
	const void *zone;
};

static int64_t local_at(const struct clock *clock, int64_t t)
{
	return floor_to(t + clock->offset(clock->zone, t), MINUTE);
}

/* Whether this local minute was there before t already: clocks were put back in between. */
static bool was_before(const struct clock *clock, int64_t t, int64_t local)
{
	int64_t shift = clock->offset(clock->zone, t - MAX_SHIFT) - clock->offset(clock->zone, t);

	return shift > 0 && local_at(clock, t - shift) == local;
}

static bool fires_at(const struct cron *cron, const struct clock *clock, int64_t t)
{
	int64_t local = local_at(clock, t), before = local_at(clock, t - MINUTE);

	/* the first minute behind a gap stands for all that is missing too */
	if (local > before + MINUTE && any_matches(cron, before + MINUTE, local))
		return true;
	if (!time_matches(cron, local) || !day_matches(cron, local))
		return false;
	return cron->hours == ALL_HOURS || !was_before(clock, t, local);
}

/* Nothing can fire in the day that begins at t, wherever its local times lie. */
static bool day_is_empty(const struct cron *cron, const struct clock *clock, int64_t t)
{
	int64_t from = floor_to(local_at(clock, t) - MAX_SHIFT, DAY);

	for (int64_t local = from; local <= from + 4 * (int64_t)DAY; local += DAY) {
		if (day_matches(cron, local))
			return false;
	}
	return true;
}

int cron_next(const struct cron *cron, cron_offset_fn offset, const void *zone, int64_t after,
	int64_t *ret_unix_s)
{
	const struct clock clock = {.offset = offset, .zone = zone};
	int64_t t = floor_to(after, MINUTE) + MINUTE;

	while (t < after + CRON_HORIZON_S) {
		if (day_is_empty(cron, &clock, t)) {
			t += DAY;
			continue;
		}
		for (int64_t end = t + DAY; t < end; t += MINUTE) {
			if (!fires_at(cron, &clock, t))
				continue;
			*ret_unix_s = t;
			return 0;
		}
	}
	return -ENOENT;
}
