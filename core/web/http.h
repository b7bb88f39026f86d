/*
 * What a connection does with the bytes of HTTP: heads into requests, requests through hooks and
 * routes to handlers, bodies into requests. Used within core/web only.
 */
#ifndef OPS_CORE_WEB_HTTP_H
#define OPS_CORE_WEB_HTTP_H

#include <stddef.h>

#include "core/web/conn.h"
#include "core/web/request.h"

/* Uses as much of the bytes as the connection's state allows; returns how many. */
size_t http_process(struct conn *conn, const char *data, size_t n);

/* The state's deadline has passed. */
void http_on_deadline(struct conn *conn, enum conn_deadline kind);

#endif
