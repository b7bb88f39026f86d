#include "core/web/chunk.h"

#include <errno.h>

#include "core/base/hex.h"
#include "core/web/head.h"
#include "core/web/limits.h"

enum state {
	SIZE, /* hex digits */
	EXT,  /* after ';': a name must come */
	EXT_NAME,
	EXT_VAL, /* after '=': a value must come */
	EXT_VALUE,
	SIZE_LF, /* the LF of the size line */
	DATA,	 /* remaining bytes */
	DATA_CR, /* the CR and LF after them */
	DATA_LF,
	LAST_CR, /* the empty line after the chunk of size 0 */
	LAST_LF,
	DONE,
};

static int expect(struct chunk_scan *scan, char c, char expected, enum state next)
{
	if (c != expected)
		return -EBADMSG;
	scan->state = (uint8_t)next;
	return 0;
}

static int on_size(struct chunk_scan *scan, char c)
{
	int value = hex_digit(c);

	if (value >= 0) {
		if (++scan->digits > 8)
			return -EBADMSG;
		scan->remaining = scan->remaining << 4 | (uint32_t)value;
		return 0;
	}
	if (scan->digits == 0)
		return -EBADMSG;
	if (c == ';') {
		scan->state = EXT;
		scan->ext = 0;
		return 0;
	}
	return expect(scan, c, '\r', SIZE_LF);
}

/* Words only: ;name, and =word behind the last one. What another server might read in its own way
 * (quoted values, blanks) is not read here, nor is what llhttp 8 refuses: a name behind a value. */
static int on_ext(struct chunk_scan *scan, char c)
{
	bool in_word = scan->state == EXT_NAME || scan->state == EXT_VALUE;

	if (c == '\r' && in_word)
		return expect(scan, c, '\r', SIZE_LF);
	if (++scan->ext > WEB_MAX_CHUNK_EXT)
		return -EBADMSG;
	if (head_is_token_char((unsigned char)c)) {
		if (!in_word)
			scan->state = scan->state == EXT ? EXT_NAME : EXT_VALUE;
		return 0;
	}
	if (c == '=' && scan->state == EXT_NAME)
		return expect(scan, c, '=', EXT_VAL);
	return scan->state == EXT_NAME ? expect(scan, c, ';', EXT) : -EBADMSG;
}

static int on_size_end(struct chunk_scan *scan, char c)
{
	if (++scan->chunks > WEB_MAX_CHUNKS)
		return -EBADMSG;
	scan->digits = 0;
	return expect(scan, c, '\n', scan->remaining > 0 ? DATA : LAST_CR);
}

static int on_byte(struct chunk_scan *scan, char c)
{
	switch ((enum state)scan->state) {
	case SIZE:
		return on_size(scan, c);
	case EXT:
	case EXT_NAME:
	case EXT_VAL:
	case EXT_VALUE:
		return on_ext(scan, c);
	case SIZE_LF:
		return on_size_end(scan, c);
	case DATA_CR:
		return expect(scan, c, '\r', DATA_LF);
	case DATA_LF:
		return expect(scan, c, '\n', SIZE);
	case LAST_CR:
		return expect(scan, c, '\r', LAST_LF);
	case LAST_LF:
		return expect(scan, c, '\n', DONE);
	case DATA:
	case DONE:
		break;
	}
	return -EBADMSG;
}

int chunk_scan(struct chunk_scan *scan, const char *data, size_t n, size_t *ret_used)
{
	size_t pos = 0;

	while (pos < n && scan->state != DONE) {
		if (scan->state == DATA) {
			size_t step = MIN(n - pos, scan->remaining);

			scan->remaining -= (uint32_t)step;
			pos += step;
			if (scan->remaining == 0)
				scan->state = DATA_CR;
		} else if (on_byte(scan, data[pos++]) != 0) {
			return -EBADMSG;
		}
	}
	*ret_used = pos;
	return scan->state == DONE;
}
