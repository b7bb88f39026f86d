/* The inside of a request. Used within core/web only. */
#ifndef OPS_CORE_WEB_REQUEST_IMPL_H
#define OPS_CORE_WEB_REQUEST_IMPL_H

#include "core/base/buf.h"
#include "core/base/list.h"
#include "core/web/body.h"
#include "core/web/conn.h"
#include "core/web/head.h"
#include "core/web/request.h"
#include "core/web/server_impl.h"
#include "core/web/uri.h"

struct request_field {
	const char *name, *value; /* name in lower case */
};

/* What the answer's head is to say; see response.c. */
struct request_answer {
	unsigned status; /* 0: nothing was sent */
	uint64_t length; /* announced; RESPONSE_LENGTH_UNKNOWN */
	uint64_t sent;	 /* body bytes queued */
	bool has_begun;	 /* streaming */
	bool is_chunked;
	bool was_full;
	bool has_cache_control, has_csp, is_page;
	bool is_broken;	   /* its extra header fields did not fit */
	struct buf extra;  /* header lines of response_header() */
	const char *lines; /* prepared header lines, static; NULL: none */
	size_t lines_len;
	void (*on_writable)(struct request *req);
};

struct request_text {
	struct request_text *next;
	char text[];
};

struct request {
	unsigned magic;
	struct web_server *server; /* NULL: closed meanwhile */
	struct conn *conn;	   /* NULL: aborted */
	struct list link;	   /* web_server.requests */
	void *app, *arg;
	void *identity; /* the authorize hook's */
	void (*on_abort)(struct request *req);
	const struct route *route;
	bool is_aborted;
	bool is_held; /* by a hook that will answer later or by a handler: its end is theirs */
	bool body_ended;
	uint64_t started_us;

	unsigned flags; /* enum head_flag */
	uint8_t minor_version;
	const char *method, *target, *path, *host;
	char *segments; /* the path with a NUL for each '/' */
	uint8_t n_segments, n_params, n_pairs, n_fields;
	const char *segment[WEB_MAX_SEGMENTS];
	struct {
		const char *name;
		size_t name_len;
		const char *value;
	} params[WEB_MAX_PARAMS];
	struct uri_pair *pairs;
	struct request_field *fields;

	struct body body;
	struct buf content;	    /* the body's bytes */
	uint64_t content_length;    /* as announced */
	struct request_text *texts; /* values handed out that had to be copied */
	struct request_answer answer;
	char id[REQUEST_ID_BYTES];
	char remote[CONN_REMOTE_BYTES];
	char client[CONN_REMOTE_BYTES]; /* remote, or what request_set_client() said */
};

/* A request from a parsed head; NULL when out of memory. *ret_error: 0, or -EBADMSG when path or
 * query cannot be decoded (then answer 400 to the request that is returned). */
struct request *request_new(
	struct conn *conn, const struct head *head, const char *data, size_t n, int *ret_error);

/* Whether there is still somebody to answer. */
static inline bool request_has_peer(const struct request *req)
{
	return req->conn != NULL && req->conn->state != CONN_CLOSING;
}

/* The end of it: tells on_finished, takes it from its connection, frees. */
void request_free(struct request *req);

/* Its connection is gone or has been answered in its place. Frees it when nobody holds it, else
 * tells on_abort. */
void request_abort(struct request *req);

#endif
