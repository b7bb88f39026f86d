#include "core/web/uri.h"

#include <errno.h>
#include <string.h>

#include "core/base/hex.h"
#include "core/base/utf8.h"

/* Decodes one character at in (of n > 0 bytes left). Returns the bytes it took, 0 when broken. */
static size_t decode_char(const char *in, size_t n, char *out)
{
	unsigned char byte;

	if (in[0] != '%') {
		*out = in[0];
		return 1;
	}
	if (n < 3 || hex_decode(in + 1, 2, &byte, 1) != 0)
		return 0;
	*out = (char)byte;
	return 3;
}

static bool has_dot_segment(const char *path)
{
	for (const char *p = path; (p = strchr(p, '/')) != NULL;) {
		size_t len;

		p++;
		len = strcspn(p, "/");
		if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
			return true;
	}
	return false;
}

int uri_decode_path(const char *path, size_t n, char *out)
{
	size_t len = 0;

	for (size_t i = 0; i < n;) {
		size_t took = decode_char(path + i, n - i, &out[len]);
		unsigned char c = (unsigned char)out[len];

		if (took == 0 || c < 0x20 || c == 0x7f || (c == '/' && took == 3))
			return -EBADMSG;
		i += took;
		len++;
	}
	out[len] = '\0';
	return utf8_is_valid(out, len) && !has_dot_segment(out) ? 0 : -EBADMSG;
}

/* Decodes the n bytes of a name or value and its NUL. Returns the bytes written, 0 when broken. */
static size_t decode_part(const char *in, size_t n, char *out)
{
	size_t len = 0;

	for (size_t i = 0; i < n;) {
		size_t took = decode_char(in + i, n - i, &out[len]);

		if (took == 0 || out[len] == '\0')
			return 0;
		if (took == 1 && out[len] == '+')
			out[len] = ' ';
		i += took;
		len++;
	}
	out[len] = '\0';
	return utf8_is_valid(out, len) ? len + 1 : 0;
}

int uri_decode_query(const char *query, size_t n, char *out, struct uri_pair *pairs, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < n;) {
		const char *amp = memchr(query + i, '&', n - i);
		size_t len = amp != NULL ? (size_t)(amp - (query + i)) : n - i;
		const char *equals = memchr(query + i, '=', len);
		size_t name_len = equals != NULL ? (size_t)(equals - (query + i)) : len;
		size_t wrote;

		if (len > 0) {
			if (count == max)
				return -E2BIG;
			pairs[count].name = out;
			wrote = decode_part(query + i, name_len, out);
			if (wrote == 0)
				return -EBADMSG;
			out += wrote;
			/* Without '=' the value is the empty text that ends the name. */
			pairs[count].value = out - 1;
			if (equals != NULL) {
				pairs[count].value = out;
				wrote = decode_part(equals + 1, len - name_len - 1, out);
				if (wrote == 0)
					return -EBADMSG;
				out += wrote;
			}
			count++;
		}
		i += len + 1;
	}
	return (int)count;
}
