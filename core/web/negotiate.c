#include "core/web/negotiate.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* One element of a comma-separated list: its first word and its q in thousandths. */
struct element {
	const char *word;
	size_t len;
	unsigned q;
};

/* Reads "0.5", "1", "1.000" as thousandths; anything else counts as 0 (not wanted). */
static unsigned parse_q(const char *s, size_t n)
{
	unsigned q, scale = 100;

	if (n == 0 || (s[0] != '0' && s[0] != '1') || (n > 1 && s[1] != '.') || n > 5)
		return 0;
	q = s[0] == '1' ? 1000 : 0;
	for (size_t i = 2; i < n; i++, scale /= 10) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		q += (unsigned)(s[i] - '0') * scale;
	}
	return q <= 1000 ? q : 0;
}

/* Reads the next element and moves *at behind it. False at the end. */
static bool next_element(const char **at, struct element *ret)
{
	const char *s = *at + strspn(*at, " \t,"), *end;

	if (*s == '\0')
		return false;
	end = s + strcspn(s, ",");
	ret->word = s;
	ret->len = strcspn(s, " \t,;");
	ret->q = 1000;
	for (const char *p = s + ret->len; p < end;) {
		size_t n;

		p += strspn(p, " \t;");
		n = strcspn(p, " \t,;");
		if (n > 2 && strncasecmp(p, "q=", 2) == 0)
			ret->q = parse_q(p + 2, n - 2);
		p += n;
	}
	*at = end;
	return true;
}

static bool element_is(const struct element *e, const char *word)
{
	return e->len == strlen(word) && strncasecmp(e->word, word, e->len) == 0;
}

enum encoding negotiate_encoding(const char *accept_encoding, unsigned available)
{
	static const char *const names[] = {"identity", "gzip", "br"};
	int q[3] = {-1, -1, -1}, star = -1;
	enum encoding best = ENCODING_IDENTITY;
	struct element e;

	if (accept_encoding == NULL)
		return ENCODING_IDENTITY;
	while (next_element(&accept_encoding, &e)) {
		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			if (element_is(&e, names[i]))
				q[i] = (int)e.q;
		}
		if (element_is(&e, "x-gzip"))
			q[ENCODING_GZIP] = (int)e.q;
		if (element_is(&e, "*"))
			star = (int)e.q;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (q[i] < 0)
			q[i] = star;
	}
	/* Not named, identity is acceptable but the last choice. */
	if (q[ENCODING_IDENTITY] < 0)
		q[ENCODING_IDENTITY] = 1;
	for (int i = ENCODING_GZIP; i <= ENCODING_BR; i++) {
		if ((available & (1u << i)) && q[i] > 0 && q[i] >= q[best])
			best = (enum encoding)i;
	}
	return best;
}

bool negotiate_accepts_html(const char *accept)
{
	struct element e;

	while (accept != NULL && next_element(&accept, &e)) {
		if (element_is(&e, "text/html") && e.q > 0)
			return true;
	}
	return false;
}

bool negotiate_etag_matches(const char *if_none_match, const char *etag)
{
	size_t len = strlen(etag);
	const char *s = if_none_match;

	if (s == NULL)
		return false;
	if (strcmp(s, "*") == 0)
		return true;
	for (;;) {
		const char *end;

		s += strspn(s, " \t,");
		if (strncmp(s, "W/", 2) == 0)
			s += 2;
		if (*s != '"' || (end = strchr(s + 1, '"')) == NULL)
			return false;
		if ((size_t)(end + 1 - s) == len && memcmp(s, etag, len) == 0)
			return true;
		s = end + 1;
	}
}

bool negotiate_is_type(const char *content_type, const char *type)
{
	size_t len = strlen(type);

	return content_type != NULL && strncasecmp(content_type, type, len) == 0 &&
	       strchr(" \t;", content_type[len]) != NULL;
}

/* Reads digits; false when there are none or too many. */
static bool parse_number(const char **at, uint64_t *ret)
{
	size_t n = strspn(*at, "0123456789");
	uint64_t value = 0;

	if (n == 0 || n > 18)
		return false;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (uint64_t)((*at)[i] - '0');
	*at += n;
	*ret = value;
	return true;
}

int negotiate_range(const char *range, uint64_t size, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t first, last = UINT64_MAX;

	if (range == NULL || strncasecmp(range, "bytes=", 6) != 0)
		return -ENOENT;
	range += 6;
	if (*range == '-') {
		range++;
		if (!parse_number(&range, &last) || *range != '\0')
			return -ENOENT;
		if (last == 0 || size == 0)
			return -ERANGE;
		*ret_first = last < size ? size - last : 0;
		*ret_last = size - 1;
		return 0;
	}
	if (!parse_number(&range, &first) || *range++ != '-')
		return -ENOENT;
	if (*range != '\0' && (!parse_number(&range, &last) || *range != '\0' || last < first))
		return -ENOENT;
	if (first >= size)
		return -ERANGE;
	*ret_first = first;
	*ret_last = MIN(last, size - 1);
	return 0;
}
