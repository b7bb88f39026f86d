#include "core/web/body.h"

#include <errno.h>

static int on_llhttp_body(llhttp_t *parser, const char *data, size_t n)
{
	struct body *body = container_of(parser, struct body, parser);

	body->stopped = body->on_data(body, data, n);
	return body->stopped == 0 ? 0 : HPE_USER;
}

/* Stops llhttp behind the message, so that it never looks at the next one. */
static int on_llhttp_complete(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_body = on_llhttp_body,
	.on_message_complete = on_llhttp_complete,
};

static bool is_end(llhttp_errno_t e)
{
	return e == HPE_PAUSED || e == HPE_PAUSED_UPGRADE;
}

int body_begin(struct body *body, const char *head, size_t n, bool is_chunked, uint64_t length,
	int (*on_data)(struct body *body, const char *data, size_t n))
{
	llhttp_errno_t e;
	bool ends;

	*body = (struct body){.is_chunked = is_chunked, .remaining = length, .on_data = on_data};
	llhttp_init(&body->parser, HTTP_REQUEST, &settings);
	e = llhttp_execute(&body->parser, head, n);
	ends = !is_chunked && length == 0;
	if (ends ? !is_end(e) : e != HPE_OK)
		return -EBADMSG;
	return ends;
}

int body_feed(struct body *body, const char *data, size_t n, size_t *ret_used)
{
	llhttp_errno_t e;
	int end;

	if (body->is_chunked) {
		end = chunk_scan(&body->chunk, data, n, ret_used);
		if (end < 0)
			return end;
	} else {
		*ret_used = n < body->remaining ? n : (size_t)body->remaining;
		body->remaining -= *ret_used;
		end = body->remaining == 0;
	}
	e = llhttp_execute(&body->parser, data, *ret_used);
	if (body->stopped != 0)
		return body->stopped;
	return (end ? is_end(e) : e == HPE_OK) ? end : -EBADMSG;
}
