#include "core/web/head.h"

#include <string.h>
#include <strings.h>

#define T 1 /* token character */
#define V 2 /* field value: VCHAR, SP, HT, obs-text */
#define U 4 /* request target: VCHAR but '#' */
#define H 8 /* host: letters, digits, '.', '-', '_' */

/* What each byte may be part of: a sum of the above. The unit test builds it from the rules. */
/* clang-format off */
static const uint8_t kinds[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, /* 00 */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 10 */
	2, 7, 6, 3, 7, 7, 7, 7, 6, 6, 7, 7, 6, 15, 15, 6, /* 20 */
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 6, 6, 6, 6, 6, /* 30 */
	6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* 40 */
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 6, 6, 7, 15, /* 50 */
	7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* 60 */
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 7, 6, 7, 0, /* 70 */
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* 80 */
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* 90 */
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* a0 */
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* b0 */
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* c0 */
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* d0 */
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* e0 */
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* f0 */
};
/* clang-format on */

bool head_is_token_char(unsigned char c)
{
	return (kinds[c] & T) != 0;
}

static int refuse(struct head_error *error, unsigned status, const char *code, const char *detail)
{
	*error = (struct head_error){status, code, detail};
	return -1;
}

static int malformed(struct head_error *error, const char *detail)
{
	return refuse(error, 400, "malformed_request", detail);
}

static int too_long(bool in_request_line, struct head_error *error)
{
	if (in_request_line)
		return refuse(error, 414, "target_too_long", "the request target is over 8 KiB");
	return refuse(error, 431, "headers_too_large", "the header fields are over 16 KiB");
}

/* One empty line before the request line is allowed (RFC 9112, 2.2). */
static size_t leading_crlf(const char *data, size_t n)
{
	return n >= 2 && data[0] == '\r' && data[1] == '\n' ? 2 : 0;
}

long head_find_end(const char *data, size_t n, size_t *scanned, struct head_error *ret_error)
{
	size_t start = leading_crlf(data, n), pos = *scanned > start ? *scanned : start;
	const char *lf;

	if (n == 1 && data[0] == '\r')
		return 0;
	if (n > start && !(data[start] >= 'A' && data[start] <= 'Z'))
		return malformed(ret_error, "the request does not begin with a method");
	while (pos < n && (lf = memchr(data + pos, '\n', n - pos)) != NULL) {
		size_t at = (size_t)(lf - data);

		if (data[at - 1] != '\r')
			return malformed(ret_error, "a line ends in a bare line feed");
		if (at + 1 > WEB_MAX_HEAD)
			return too_long(false, ret_error);
		if (at >= start + 3 && data[at - 2] == '\n')
			return (long)(at + 1);
		pos = at + 1;
	}
	*scanned = n;
	if (n > WEB_MAX_HEAD)
		return too_long(memchr(data + start, '\n', n - start) == NULL, ret_error);
	return 0;
}

/* Names that may stand only once, and those that mean something here. */
enum field_id {
	FIELD_HOST,
	FIELD_CONTENT_LENGTH,
	FIELD_TRANSFER_ENCODING,
	FIELD_EXPECT,
	FIELD_CONTENT_TYPE,
	FIELD_CONTENT_ENCODING,
	FIELD_AUTHORIZATION,
	FIELD_ORIGIN,
	FIELD_RANGE,
	FIELD_IDEMPOTENCY_KEY,
	FIELD_WS_KEY,
	FIELD_WS_VERSION,
	FIELD_SINGLETONS,
	FIELD_CONNECTION = FIELD_SINGLETONS,
	FIELD_OTHER,
};

static const struct {
	uint8_t len;
	const char *name;
} known[] = {
	[FIELD_HOST] = {4, "host"},
	[FIELD_CONTENT_LENGTH] = {14, "content-length"},
	[FIELD_TRANSFER_ENCODING] = {17, "transfer-encoding"},
	[FIELD_EXPECT] = {6, "expect"},
	[FIELD_CONTENT_TYPE] = {12, "content-type"},
	[FIELD_CONTENT_ENCODING] = {16, "content-encoding"},
	[FIELD_AUTHORIZATION] = {13, "authorization"},
	[FIELD_ORIGIN] = {6, "origin"},
	[FIELD_RANGE] = {5, "range"},
	[FIELD_IDEMPOTENCY_KEY] = {15, "idempotency-key"},
	[FIELD_WS_KEY] = {17, "sec-websocket-key"},
	[FIELD_WS_VERSION] = {21, "sec-websocket-version"},
	[FIELD_CONNECTION] = {10, "connection"},
};

struct scan {
	const char *data;
	size_t n, pos;
	struct head *head;
	struct head_error *error;
	unsigned seen; /* 1 << enum field_id */
	bool close, keep_alive;
	struct head_span authority; /* of an absolute target */
};

static struct head_span span(size_t from, size_t to)
{
	return (struct head_span){(uint16_t)from, (uint16_t)(to - from)};
}

static bool span_is(const struct scan *s, struct head_span sp, const char *text)
{
	return sp.len == strlen(text) && strncasecmp(s->data + sp.off, text, sp.len) == 0;
}

static int scan_method(struct scan *s)
{
	static const char *const methods[] = {
		"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
	size_t from = s->pos;

	while (kinds[(unsigned char)s->data[s->pos]] & T)
		s->pos++;
	s->head->method = span(from, s->pos);
	if (s->data[s->pos] != ' ' || s->head->method.len == 0)
		return malformed(s->error, "the request line is not \"method target version\"");
	s->pos++;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (s->head->method.len == strlen(methods[i]) &&
			memcmp(s->data + from, methods[i], s->head->method.len) == 0)
			return 0;
	}
	return refuse(s->error, 501, "unknown_method", "this method is not implemented");
}

/* The forms of a target (RFC 9112, 3.2): origin, absolute, asterisk. */
static int scan_target(struct scan *s)
{
	size_t from = s->pos, end, start, authority;

	while (kinds[(unsigned char)s->data[s->pos]] & U)
		s->pos++;
	end = s->pos;
	if (end - from > WEB_MAX_TARGET)
		return too_long(true, s->error);
	if (end == from || s->data[end] != ' ')
		return malformed(
			s->error, "the request target holds a byte that may not stand there");
	s->pos++;
	s->head->target = span(from, end);
	if (s->data[from] == '/')
		return 0;
	if (end - from == 1 && s->data[from] == '*' && span_is(s, s->head->method, "OPTIONS")) {
		s->head->flags |= HEAD_ASTERISK;
		return 0;
	}
	if (end - from > 7 && strncasecmp(s->data + from, "http://", 7) == 0)
		authority = from + 7;
	else if (end - from > 8 && strncasecmp(s->data + from, "https://", 8) == 0)
		authority = from + 8;
	else
		return malformed(s->error, "the request target does not begin with a slash");
	for (start = authority; start < end; start++) {
		if (s->data[start] == '/' || s->data[start] == '?')
			break;
	}
	s->authority = span(authority, start);
	s->head->target = span(start, end);
	if (start < end && s->data[start] == '?')
		return malformed(s->error, "the request target has a query but no path");
	return s->authority.len > 0 ? 0 : malformed(s->error, "the request target has no host");
}

static int scan_version(struct scan *s)
{
	const char *v = s->data + s->pos;

	if (s->n - s->pos < 10 || memcmp(v, "HTTP/", 5) != 0 || v[5] < '0' || v[5] > '9' ||
		v[6] != '.' || v[7] < '0' || v[7] > '9' || v[8] != '\r' || v[9] != '\n')
		return malformed(s->error, "the request line does not end in an HTTP version");
	if (v[5] != '1' || v[7] > '1')
		return refuse(s->error, 505, "unsupported_version", "only HTTP/1.0 and HTTP/1.1");
	s->head->minor_version = (uint8_t)(v[7] - '0');
	s->pos += 10;
	return 0;
}

static enum field_id field_identify(const struct scan *s, struct head_span name)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i].len == name.len &&
			strncasecmp(s->data + name.off, known[i].name, name.len) == 0)
			return (enum field_id)i;
	}
	return FIELD_OTHER;
}

static int take_content_length(struct scan *s, struct head_span value)
{
	uint64_t length = 0;

	if (value.len == 0 || value.len > 18)
		return malformed(s->error, "Content-Length is not a number");
	for (size_t i = 0; i < value.len; i++) {
		char c = s->data[value.off + i];

		if (c < '0' || c > '9')
			return malformed(s->error, "Content-Length is not a number");
		length = length * 10 + (uint64_t)(c - '0');
	}
	s->head->content_length = length;
	s->head->flags |= HEAD_HAS_LENGTH;
	return 0;
}

static int take_host(struct scan *s, struct head_span value)
{
	const char *host = s->data + value.off;
	size_t i = 0, digits = 0;

	s->head->host = value;
	if (value.len > 0 && host[0] == '[') {
		for (i = 1; i < value.len && host[i] != ']'; i++) {
			if (!(kinds[(unsigned char)host[i]] & H) && host[i] != ':')
				return malformed(s->error, "Host is not a host name");
		}
		if (i < 3 || i == value.len)
			return malformed(s->error, "Host is not a host name");
		i++;
	} else {
		while (i < value.len && (kinds[(unsigned char)host[i]] & H))
			i++;
		if (i == 0 || i > 253)
			return malformed(s->error, "Host is not a host name");
	}
	if (i == value.len)
		return 0;
	if (host[i++] != ':')
		return malformed(s->error, "Host is not a host name");
	for (; i < value.len && host[i] >= '0' && host[i] <= '9'; i++)
		digits++;
	if (i != value.len || digits > 5)
		return malformed(s->error, "Host does not end in a port");
	return 0;
}

static int take_connection(struct scan *s, struct head_span value)
{
	size_t pos = value.off, end = (size_t)value.off + value.len;

	while (pos < end) {
		struct head_span option;
		size_t from;

		while (pos < end &&
			(s->data[pos] == ' ' || s->data[pos] == '\t' || s->data[pos] == ','))
			pos++;
		from = pos;
		while (pos < end && (kinds[(unsigned char)s->data[pos]] & T))
			pos++;
		if (pos == from && pos < end)
			return malformed(s->error, "Connection is not a list of words");
		option = span(from, pos);
		s->close |= span_is(s, option, "close");
		s->keep_alive |= span_is(s, option, "keep-alive");
		if (span_is(s, option, "upgrade"))
			s->head->flags |= HEAD_CONNECTION_UPGRADE;
	}
	return 0;
}

static int take_field(struct scan *s, struct head_field *field)
{
	enum field_id id = field_identify(s, field->name);

	if (id < FIELD_SINGLETONS) {
		if (s->seen & (1u << id))
			return malformed(
				s->error, "a header field stands twice that may stand once");
		s->seen |= 1u << id;
	}
	switch (id) {
	case FIELD_HOST:
		return take_host(s, field->value);
	case FIELD_CONTENT_LENGTH:
		return take_content_length(s, field->value);
	case FIELD_TRANSFER_ENCODING:
		if (!span_is(s, field->value, "chunked") || s->head->minor_version == 0)
			return malformed(
				s->error, "the only Transfer-Encoding is chunked, in HTTP/1.1");
		s->head->flags |= HEAD_CHUNKED;
		return 0;
	case FIELD_EXPECT:
		if (!span_is(s, field->value, "100-continue"))
			return refuse(
				s->error, 417, "unknown_expectation", "only 100-continue is known");
		if (s->head->minor_version == 1)
			s->head->flags |= HEAD_EXPECT_CONTINUE;
		return 0;
	case FIELD_CONNECTION:
		return take_connection(s, field->value);
	default:
		return 0;
	}
}

/* One field line; the head's last two bytes are known to be its end. */
static int scan_field(struct scan *s)
{
	struct head_field *field = &s->head->fields[s->head->n_fields];
	size_t from = s->pos, to;

	if (s->head->n_fields == WEB_MAX_HEADERS)
		return refuse(s->error, 431, "too_many_headers", "more than 100 header fields");
	while (kinds[(unsigned char)s->data[s->pos]] & T)
		s->pos++;
	field->name = span(from, s->pos);
	if (s->pos == from || s->data[s->pos] != ':')
		return malformed(s->error, "a header field is not \"name: value\"");
	s->pos++;
	while (s->data[s->pos] == ' ' || s->data[s->pos] == '\t')
		s->pos++;
	from = s->pos;
	while (kinds[(unsigned char)s->data[s->pos]] & V)
		s->pos++;
	if (s->data[s->pos] != '\r' || s->data[s->pos + 1] != '\n')
		return malformed(s->error, "a header field holds a control byte");
	to = s->pos;
	while (to > from && (s->data[to - 1] == ' ' || s->data[to - 1] == '\t'))
		to--;
	field->value = span(from, to);
	s->head->n_fields++;
	s->pos += 2;
	return take_field(s, field);
}

static int check_whole(struct scan *s)
{
	struct head *head = s->head;

	if ((head->flags & HEAD_CHUNKED) && (head->flags & HEAD_HAS_LENGTH))
		return malformed(s->error, "both Transfer-Encoding and Content-Length");
	if (!(s->seen & (1u << FIELD_HOST)) && head->minor_version == 1)
		return malformed(s->error, "Host is missing");
	if (s->authority.len > 0 && head->host.len > 0 &&
		(s->authority.len != head->host.len ||
			strncasecmp(s->data + s->authority.off, s->data + head->host.off,
				head->host.len) != 0))
		return malformed(s->error, "the request target names another host than Host");
	if (s->authority.len > 0 && head->host.len == 0 && take_host(s, s->authority) != 0)
		return -1;
	if (head->minor_version == 1 ? !s->close : s->keep_alive && !s->close)
		head->flags |= HEAD_KEEP_ALIVE;
	return 0;
}

int head_parse(const char *data, size_t n, struct head *ret_head, struct head_error *ret_error)
{
	struct scan s = {.data = data, .n = n, .head = ret_head, .error = ret_error};

	/* Everything but the fields array, of which n_fields tells how much is meant. */
	memset(ret_head, 0, offsetof(struct head, fields));
	if (n < 4 || n > WEB_MAX_HEAD || memcmp(data + n - 4, "\r\n\r\n", 4) != 0)
		return malformed(ret_error, "the request has no end");
	s.pos = leading_crlf(data, n);
	if (scan_method(&s) != 0 || scan_target(&s) != 0 || scan_version(&s) != 0)
		return -1;
	while (s.pos < n - 2) {
		if (scan_field(&s) != 0)
			return -1;
	}
	if (s.pos != n - 2)
		return malformed(ret_error, "the header fields do not end in an empty line");
	return check_whole(&s);
}
