#include "core/web/deadline.h"

#include <assert.h>

#include "core/base/mem.h"

static void arm(struct deadlines *ds, uint64_t due_ms);

/* The earliest deadline may have come. */
static void on_timer(uv_timer_t *timer)
{
	struct deadlines *ds = container_of(timer, struct deadlines, timer);
	uint64_t now = uv_now(timer->loop), next = UINT64_MAX;

	ds->timer_due_ms = 0;
	for (unsigned kind = 0; kind < DEADLINE_KINDS; kind++) {
		struct deadline *d;

		/* A callback may clear or set any entry: look at the first one anew each time. */
		while ((d = deadlines_first(ds, kind)) != NULL && d->due_ms <= now) {
			list_remove(&d->link);
			ds->on_due(d);
		}
	}
	for (unsigned kind = 0; kind < DEADLINE_KINDS; kind++) {
		struct deadline *d = deadlines_first(ds, kind);

		if (d != NULL)
			next = MIN(next, d->due_ms);
	}
	if (next != UINT64_MAX)
		arm(ds, next);
}

static void arm(struct deadlines *ds, uint64_t due_ms)
{
	uint64_t now = uv_now(ds->timer.loop);

	if (uv_is_closing((uv_handle_t *)&ds->timer) ||
		(ds->timer_due_ms != 0 && ds->timer_due_ms <= due_ms))
		return;
	ds->timer_due_ms = due_ms;
	uv_timer_start(&ds->timer, on_timer, due_ms > now ? due_ms - now : 0, 0);
}

void deadlines_init(struct deadlines *ds, uv_loop_t *loop, void (*on_due)(struct deadline *d))
{
	*ds = (struct deadlines){.on_due = on_due};
	uv_timer_init(loop, &ds->timer);
	for (unsigned kind = 0; kind < DEADLINE_KINDS; kind++)
		list_init(&ds->kinds[kind]);
}

void deadlines_set_length(struct deadlines *ds, unsigned kind, unsigned length_ms)
{
	assert(kind < DEADLINE_KINDS);
	ds->length_ms[kind] = length_ms;
}

/* The timer's handle is released. */
static void on_timer_closed(uv_handle_t *handle)
{
	struct deadlines *ds = container_of((uv_timer_t *)handle, struct deadlines, timer);

	ds->on_closed(ds);
}

void deadlines_close(struct deadlines *ds, void (*on_closed)(struct deadlines *ds))
{
	for (unsigned kind = 0; kind < DEADLINE_KINDS; kind++)
		assert(list_empty(&ds->kinds[kind]));
	ds->on_closed = on_closed;
	uv_close((uv_handle_t *)&ds->timer, on_timer_closed);
}

void deadline_init(struct deadline *d)
{
	list_init(&d->link);
	d->due_ms = 0;
	d->kind = 0;
}

void deadline_set(struct deadlines *ds, struct deadline *d, unsigned kind)
{
	assert(kind < DEADLINE_KINDS);
	list_remove(&d->link);
	if (ds->length_ms[kind] == 0)
		return;
	d->kind = (uint8_t)kind;
	d->due_ms = uv_now(ds->timer.loop) + ds->length_ms[kind];
	list_append(&ds->kinds[kind], &d->link);
	arm(ds, d->due_ms);
}

void deadline_clear(struct deadline *d)
{
	list_remove(&d->link);
}

bool deadline_is_set(const struct deadline *d)
{
	return !list_empty(&d->link);
}

uint64_t deadline_age_ms(const struct deadlines *ds, const struct deadline *d)
{
	return uv_now(ds->timer.loop) + ds->length_ms[d->kind] - d->due_ms;
}

struct deadline *deadlines_first(struct deadlines *ds, unsigned kind)
{
	struct list *head = &ds->kinds[kind];

	return list_empty(head) ? NULL : container_of(head->next, struct deadline, link);
}
