#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/web/route.h"

struct part {
	const char *text; /* literal, or the parameter's name */
	uint8_t len;
	bool is_param;
};

struct compiled {
	const struct route *route;
	size_t n_parts;
	unsigned param_mask; /* first part in the highest bit: smaller means more literal */
	struct part parts[WEB_MAX_SEGMENTS];
};

struct router {
	size_t n;
	struct compiled *table;		    /* by number of parts, then param_mask */
	size_t first[WEB_MAX_SEGMENTS + 2]; /* where the rows of n parts begin */
};

static bool is_method(const char *method)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (method != NULL && strcmp(method, methods[i]) == 0)
			return true;
	}
	return false;
}

/* One segment of a pattern, of len bytes. */
static int compile_part(struct compiled *row, const char *text, size_t len, struct err *err)
{
	struct part *part = &row->parts[row->n_parts];
	size_t params = 0;

	if (row->n_parts == WEB_MAX_SEGMENTS || len == 0 || len > UINT8_MAX)
		return err_set(err, -EINVAL, "empty, too long or too many segments");
	part->is_param = text[0] == '{';
	part->text = part->is_param ? text + 1 : text;
	part->len = (uint8_t)(part->is_param ? len - 2 : len);
	if (part->is_param && (len < 3 || text[len - 1] != '}'))
		return err_set(err, -EINVAL, "a parameter is written {name}, a whole segment");
	if (memchr(part->text, '{', part->len) != NULL ||
		memchr(part->text, '}', part->len) != NULL)
		return err_set(err, -EINVAL, "a brace within a segment");
	if (part->is_param)
		row->param_mask |= 1u << (WEB_MAX_SEGMENTS - 1 - row->n_parts);
	row->n_parts++;
	for (size_t i = 0; i < row->n_parts; i++)
		params += row->parts[i].is_param;
	if (params > WEB_MAX_PARAMS)
		return err_set(err, -EINVAL, "too many parameters");
	return 0;
}

static int compile(struct compiled *row, const struct route *route, struct err *err)
{
	const char *s = route->pattern;

	row->route = route;
	if (!is_method(route->method))
		return err_set(err, -EINVAL, "unknown method");
	if (route->handle == NULL)
		return err_set(err, -EINVAL, "no handler");
	if ((route->flags & ROUTE_WEBSOCKET) && strcmp(route->method, "GET") != 0)
		return err_set(err, -EINVAL, "a WebSocket endpoint is a GET");
	if (s == NULL || *s != '/')
		return err_set(err, -EINVAL, "a pattern begins with '/'");
	if (s[1] == '\0')
		return 0;
	while (*s == '/') {
		size_t len = strcspn(s + 1, "/");
		int r = compile_part(row, s + 1, len, err);

		if (r != 0)
			return r;
		s += 1 + len;
	}
	return 0;
}

static int compare_rows(const void *a, const void *b)
{
	const struct compiled *x = a, *y = b;

	if (x->n_parts != y->n_parts)
		return x->n_parts < y->n_parts ? -1 : 1;
	if (x->param_mask != y->param_mask)
		return x->param_mask < y->param_mask ? -1 : 1;
	/* Equal otherwise: table order, so that sorting is stable. */
	return x->route < y->route ? -1 : x->route > y->route;
}

static bool same_path(const struct compiled *x, const struct compiled *y)
{
	if (x->n_parts != y->n_parts || x->param_mask != y->param_mask)
		return false;
	for (size_t i = 0; i < x->n_parts; i++) {
		const struct part *p = &x->parts[i], *q = &y->parts[i];

		if (!p->is_param && (p->len != q->len || memcmp(p->text, q->text, p->len) != 0))
			return false;
	}
	return true;
}

static int check_doubles(const struct router *router, struct err *err)
{
	for (size_t i = 0; i < router->n; i++) {
		for (size_t j = i + 1; j < router->n; j++) {
			const struct compiled *x = &router->table[i], *y = &router->table[j];

			if (same_path(x, y) && strcmp(x->route->method, y->route->method) == 0)
				return err_set(err, -EEXIST, "route %s %s stands twice",
					y->route->method, y->route->pattern);
		}
	}
	return 0;
}

struct router *router_new(const struct route *routes, size_t n_routes, struct err *err)
{
	struct router *router = xcalloc(1, sizeof(*router));

	router->n = n_routes;
	router->table = xcalloc(n_routes + 1, sizeof(*router->table));
	if (n_routes > WEB_MAX_ROUTES) {
		err_set(err, -E2BIG, "more than %u routes", WEB_MAX_ROUTES);
		goto fail;
	}
	for (size_t i = 0; i < n_routes; i++) {
		if (compile(&router->table[i], &routes[i], err) != 0) {
			err_wrap(err, "route %zu (%s)", i,
				routes[i].pattern != NULL ? routes[i].pattern : "");
			goto fail;
		}
	}
	qsort(router->table, router->n, sizeof(*router->table), compare_rows);
	if (check_doubles(router, err) != 0)
		goto fail;
	for (size_t parts = 0, i = 0; parts < ARRAY_LEN(router->first); parts++) {
		while (i < router->n && router->table[i].n_parts < parts)
			i++;
		router->first[parts] = i;
	}
	return router;
fail:
	router_free(router);
	return NULL;
}

void router_free(struct router *router)
{
	if (router == NULL)
		return;
	free(router->table);
	free(router);
}

static bool row_matches(const struct compiled *row, const char *const *segments)
{
	for (size_t i = 0; i < row->n_parts; i++) {
		const struct part *part = &row->parts[i];

		if (part->is_param ? segments[i][0] == '\0'
				   : strncmp(part->text, segments[i], part->len) != 0 ||
					     segments[i][part->len] != '\0')
			return false;
	}
	return true;
}

static void add_allowed(char *allowed, size_t size, const char *method)
{
	size_t len = strlen(allowed);

	if (strstr(allowed, method) != NULL)
		return;
	/* The names of all methods fit: is_method() bounds them. */
	if (len > 0 && len + 2 < size) {
		memcpy(allowed + len, ", ", 3);
		len += 2;
	}
	if (len + strlen(method) < size)
		memcpy(allowed + len, method, strlen(method) + 1);
}

static void take_params(const struct compiled *row, struct route_match *match)
{
	match->n_params = 0;
	for (size_t i = 0; i < row->n_parts; i++) {
		const struct part *part = &row->parts[i];

		if (!part->is_param)
			continue;
		match->params[match->n_params].name = part->text;
		match->params[match->n_params].name_len = part->len;
		match->params[match->n_params].segment = i;
		match->n_params++;
	}
}

void router_find(const struct router *router, const char *method, const char *const *segments,
	size_t n_segments, struct route_match *ret_match)
{
	const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

	ret_match->route = NULL;
	ret_match->n_params = 0;
	ret_match->allowed[0] = '\0';
	if (n_segments > WEB_MAX_SEGMENTS)
		return;
	for (size_t i = router->first[n_segments]; i < router->first[n_segments + 1]; i++) {
		const struct compiled *row = &router->table[i];

		if (!row_matches(row, segments))
			continue;
		if (strcmp(row->route->method, wanted) == 0) {
			ret_match->route = row->route;
			take_params(row, ret_match);
			return;
		}
		add_allowed(ret_match->allowed, sizeof(ret_match->allowed), row->route->method);
		if (strcmp(row->route->method, "GET") == 0)
			add_allowed(ret_match->allowed, sizeof(ret_match->allowed), "HEAD");
	}
}
