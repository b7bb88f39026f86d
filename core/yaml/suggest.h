/* "did you mean …?": the nearest of the names that are known. */
#ifndef OPS_CORE_YAML_SUGGEST_H
#define OPS_CORE_YAML_SUGGEST_H

#include <stddef.h>

#define SUGGEST_MAX_NAME 64

struct suggest {
	char name[SUGGEST_MAX_NAME];
	const char *best; /* NULL: nothing near enough */
	size_t distance;
};

/* Starts a search for what somebody may have meant by the n bytes at name. */
void suggest_init(struct suggest *s, const char *name, size_t n);
/* Offers a known name; it must live as long as the search. */
void suggest_offer(struct suggest *s, const char *known);

#define SUGGEST_TEXT_BYTES 96
/* " (did you mean NAME?)", or "" when nothing is near. Returns text. */
const char *suggest_text(const struct suggest *s, char text[SUGGEST_TEXT_BYTES]);

#endif
