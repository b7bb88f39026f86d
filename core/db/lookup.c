/*
 * Owns one uv_getaddrinfo_t and a timer.
 *
 * Happy path: the hosts are walked in order; folders and addresses are taken as they are, each name
 * is asked for (one at a time: a hanging resolver holds one thread of the pool, not all of them),
 * and its addresses are appended. At the end the timer, set to fire at once, calls back: so also
 * when nothing needed a lookup the answer never comes from within lookup_start().
 *
 * Failure modes: a name that does not resolve is left out and remembered; when nothing is left that
 * is the error. A cancelled lookup must wait for a running getaddrinfo(3): it cannot be
 * interrupted.
 */
#include "core/db/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

struct lookup {
	uv_loop_t *loop;
	const struct conninfo *info;
	size_t next; /* host to look at */
	struct conninfo_address addresses[CONNINFO_MAX_ADDRESSES];
	size_t n;
	struct err err; /* of the last name without an address */
	bool cancelled;
	bool asking; /* req is out */
	uv_getaddrinfo_t req;
	uv_timer_t soon;
	lookup_done_fn cb;
	void *arg;
};

static void lookup_add(struct lookup *lookup, const char *text)
{
	if (lookup->n == CONNINFO_MAX_ADDRESSES)
		return;
	struct conninfo_address *address = &lookup->addresses[lookup->n];
	if (strlen(text) >= sizeof(address->text))
		return;
	address->host = lookup->next;
	memcpy(address->text, text, strlen(text) + 1);
	lookup->n++;
}

static void on_soon_closed(uv_handle_t *handle)
{
	struct lookup *lookup = container_of((uv_timer_t *)handle, struct lookup, soon);
	if (lookup->cancelled) {
		err_set(&lookup->err, -ECANCELED, "the lookup was cancelled");
		lookup->n = 0;
	} else if (lookup->n > 0) {
		lookup->err = (struct err){0};
	}
	lookup->cb(&lookup->err, lookup->addresses, lookup->n, lookup->arg);
	free(lookup);
}

/* Everything is known: the way out is the timer's last callback. */
static void on_soon(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, on_soon_closed);
}

static void lookup_step(struct lookup *lookup);

static void lookup_take(struct lookup *lookup, const struct addrinfo *list)
{
	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
		char text[64];
		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0,
			    NI_NUMERICHOST) == 0)
			lookup_add(lookup, text);
	}
}

/* The resolver has answered for one name. */
static void on_addresses(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct lookup *lookup = container_of(req, struct lookup, req);
	lookup->asking = false;
	if (status == 0) {
		lookup_take(lookup, list);
	} else {
		err_set(&lookup->err, -EHOSTUNREACH, "cannot look up the host '%s': %s",
			lookup->info->hosts[lookup->next].name, uv_strerror(status));
	}
	uv_freeaddrinfo(list);
	lookup->next++;
	lookup_step(lookup);
}

static void lookup_step(struct lookup *lookup)
{
	static const struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};

	while (!lookup->cancelled && lookup->next < lookup->info->n_hosts) {
		const struct conninfo_host *host = &lookup->info->hosts[lookup->next];
		if (!host->needs_lookup) {
			const char *text = host->address;
			if (text == NULL && host->name != NULL && host->name[0] != '/' &&
				host->name[0] != '@')
				text = host->name;
			lookup_add(lookup, text != NULL ? text : "");
			lookup->next++;
			continue;
		}
		int rc = uv_getaddrinfo(
			lookup->loop, &lookup->req, on_addresses, host->name, NULL, &hints);
		if (rc == 0) {
			lookup->asking = true;
			return;
		}
		err_set(&lookup->err, rc, "cannot look up the host '%s': %s", host->name,
			uv_strerror(rc));
		lookup->next++;
	}
	uv_timer_start(&lookup->soon, on_soon, 0, 0);
}

struct lookup *lookup_start(
	uv_loop_t *loop, const struct conninfo *info, lookup_done_fn cb, void *arg)
{
	struct lookup *lookup = xcalloc(1, sizeof(*lookup));
	lookup->loop = loop;
	lookup->info = info;
	lookup->cb = cb;
	lookup->arg = arg;
	uv_timer_init(loop, &lookup->soon);
	lookup_step(lookup);
	return lookup;
}

void lookup_cancel(struct lookup *lookup)
{
	lookup->cancelled = true;
	if (lookup->asking) {
		/* Fails when a thread is at it already; then its answer comes by itself. */
		(void)uv_cancel((uv_req_t *)&lookup->req);
	}
}
