#include "core/app/hosts/homes.h"

#include <stdlib.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/base/mem.h"

struct place {
	struct uuid run;
	struct host *host;
	enum home_kind kind; /* HOME_UNKNOWN: free */
	bool told;	     /* that another one claims it, too */
	uint64_t until_ms;   /* HOME_ALONE */
};

struct homes {
	struct place places[LIMIT_HOST_RUNS];
};

struct homes *homes_new(void)
{
	return xcalloc(1, sizeof(struct homes));
}

void homes_free(struct homes *homes)
{
	free(homes);
}

static size_t place_of(const struct uuid *run)
{
	uint32_t chance;

	/* The end of a version 7 UUID is chance. */
	memcpy(&chance, run->bytes + sizeof(run->bytes) - sizeof(chance), sizeof(chance));
	return chance % LIMIT_HOST_RUNS;
}

static bool holds(const struct place *place, const struct uuid *run)
{
	return place->kind != HOME_UNKNOWN && memcmp(&place->run, run, sizeof(*run)) == 0;
}

struct home homes_get(const struct homes *homes, const struct uuid *run, uint64_t now_ms)
{
	const struct place *place = &homes->places[place_of(run)];
	struct home home = {.kind = HOME_UNKNOWN};

	if (!holds(place, run))
		return home;
	home = (struct home){place->kind, place->host};
	if (home.kind == HOME_ALONE && now_ms >= place->until_ms)
		home.kind = HOME_CLAIMED;
	return home;
}

bool homes_claim(
	struct homes *homes, const struct uuid *run, struct host *host, struct host **ret_other)
{
	struct place *place = &homes->places[place_of(run)];

	if (!holds(place, run))
		*place = (struct place){.run = *run, .host = host, .kind = HOME_CLAIMED};
	if (place->host == host)
		return true;
	*ret_other = place->told ? NULL : place->host;
	place->told = true;
	if (place->kind != HOME_SURE) {
		place->kind = HOME_CONTESTED;
		place->host = NULL;
	}
	return false;
}

struct host *homes_settle(struct homes *homes, const struct uuid *run, struct host *host)
{
	struct place *place = &homes->places[place_of(run)];
	bool is_known = holds(place, run), told = is_known && place->told;
	struct host *wrong = is_known && place->host != host && !told ? place->host : NULL;

	*place = (struct place){
		.run = *run, .host = host, .kind = HOME_SURE, .told = told || wrong != NULL};
	return wrong;
}

void homes_alone(struct homes *homes, const struct uuid *run, struct host *host, uint64_t until_ms)
{
	struct place *place = &homes->places[place_of(run)];

	if (holds(place, run) && place->host != host)
		return;
	if (holds(place, run) && place->kind == HOME_SURE)
		return;
	*place =
		(struct place){.run = *run, .host = host, .kind = HOME_ALONE, .until_ms = until_ms};
}

void homes_forget(struct homes *homes, const struct host *host)
{
	for (size_t i = 0; i < LIMIT_HOST_RUNS; i++) {
		struct place *place = &homes->places[i];

		if (place->host == host || place->kind == HOME_CONTESTED)
			*place = (struct place){.kind = HOME_UNKNOWN};
	}
}
