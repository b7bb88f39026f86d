/* What a connection tells its WebSocket. Used within core/web only. */
#ifndef OPS_CORE_WEB_WS_IMPL_H
#define OPS_CORE_WEB_WS_IMPL_H

#include <stddef.h>

#include "core/web/conn.h"
#include "core/web/ws.h"

/* Bytes have arrived. */
void ws_feed(struct ws *ws, const char *data, size_t n);
/* The kernel has taken some of what was queued. */
void ws_on_progress(struct ws *ws);
void ws_on_deadline(struct ws *ws, enum conn_deadline kind);
/* The connection is gone: tells on_close and frees. */
void ws_on_gone(struct ws *ws);

#endif
