#include "core/yaml/suggest.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

void suggest_init(struct suggest *s, const char *name, size_t n)
{
	*s = (struct suggest){.distance = SUGGEST_MAX_NAME};
	if (n < sizeof(s->name))
		memcpy(s->name, name, n);
}

/* Edits (insert, delete, replace, swap of neighbours) that make a into b; both are short. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m)
{
	size_t rows[3][SUGGEST_MAX_NAME + 1];
	size_t *before = rows[0], *prev = rows[1], *now = rows[2];

	for (size_t j = 0; j <= m; j++)
		prev[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t cost = a[i - 1] != b[j - 1];

			now[j] = MIN(MIN(prev[j] + 1, now[j - 1] + 1), prev[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = MIN(now[j], before[j - 2] + 1);
		}
		before = prev;
		prev = now;
		now = spare;
	}
	return prev[m];
}

void suggest_offer(struct suggest *s, const char *known)
{
	size_t n = strlen(s->name);
	size_t m = strlen(known);
	size_t distance;

	if (n == 0 || m >= SUGGEST_MAX_NAME)
		return;
	distance = edit_distance(s->name, n, known, m);
	/* a third of the letters may be wrong, but never all of them */
	if (distance <= 1 + MAX(n, m) / 3 && distance < MIN(n, m) && distance < s->distance) {
		s->best = known;
		s->distance = distance;
	}
}

const char *suggest_text(const struct suggest *s, char text[SUGGEST_TEXT_BYTES])
{
	text[0] = '\0';
	if (s->best != NULL)
		snprintf(text, SUGGEST_TEXT_BYTES, " (did you mean %s?)", s->best);
	return text;
}
