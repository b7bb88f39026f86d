#include "agent/monitor/rates.h"

#include <errno.h>
#include <string.h>

/* FNV-1a: ids of a catalogue that root wrote do not collide on purpose. */
static uint64_t hash(const char *id)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * UINT64_C(0x100000001b3);
	return h;
}

static struct rate_start *at(struct rates *rates, size_t i)
{
	return &rates->ring[(rates->first + i) % RATES_MAX];
}

static void forget_old(struct rates *rates, uint64_t now_us)
{
	while (rates->n != 0 && at(rates, 0)->time_us + CATALOG_MAX_RATE_PER_US < now_us) {
		rates->first = (rates->first + 1) % RATES_MAX;
		rates->n--;
	}
}

/* The command of step i if it has a rate and no step before is of the same. */
static const struct catalog_command *rated(
	const struct catalog *catalog, const struct plan *plan, size_t i)
{
	const char *uses = plan->steps[i].uses;
	const struct catalog_command *command = catalog_find_command(catalog, uses, strlen(uses));

	if (command == NULL || command->rate_limit == 0)
		return NULL;
	for (size_t k = 0; k < i; k++) {
		if (strcmp(plan->steps[k].uses, uses) == 0)
			return NULL;
	}
	return command;
}

static int check(struct rates *rates, const struct catalog_command *command, uint64_t now_us,
	struct err *err)
{
	uint64_t id = hash(command->id), oldest = 0;
	unsigned n = 0;

	for (size_t i = rates->n; i-- > 0;) {
		const struct rate_start *start = at(rates, i);

		/* one from the future, after the clock was put back, keeps nobody waiting */
		if (start->command != id || start->time_us > now_us ||
			now_us - start->time_us >= command->rate_per_us)
			continue;
		oldest = start->time_us;
		if (++n >= command->rate_limit)
			break;
	}
	if (n < command->rate_limit)
		return 0;
	return err_set(err, -EBUSY, "'%s' may be started %u times in %u s; the next time in %u s",
		command->id, command->rate_limit, (unsigned)(command->rate_per_us / 1000000),
		(unsigned)((oldest + command->rate_per_us - now_us) / 1000000 + 1));
}

int rates_check(struct rates *rates, const struct catalog *catalog, const struct plan *plan,
	uint64_t now_us, struct err *err)
{
	int rc = 0;

	forget_old(rates, now_us);
	for (size_t i = 0; rc == 0 && i < plan->n_steps; i++) {
		const struct catalog_command *command = rated(catalog, plan, i);

		if (command == NULL)
			continue;
		if (rates->n + plan->n_steps > RATES_MAX)
			return err_set(err, -EBUSY, "too many starts in a day");
		rc = check(rates, command, now_us, err);
	}
	return rc;
}

static void note(struct rates *rates, const struct catalog *catalog, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct catalog_command *command = rated(catalog, plan, i);

		if (command != NULL && rates->n < RATES_MAX)
			*at(rates, rates->n++) = (struct rate_start){
				.time_us = plan->created_us, .command = hash(command->id)};
	}
}

void rates_note(struct rates *rates, const struct catalog *catalog, const struct plan *plan)
{
	note(rates, catalog, plan);
}

void rates_note_meta(struct rates *rates, const struct catalog *catalog, const struct plan *meta,
	uint64_t now_us)
{
	if (meta->created_us + CATALOG_MAX_RATE_PER_US >= now_us)
		note(rates, catalog, meta);
}
