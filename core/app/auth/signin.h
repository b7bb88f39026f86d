/* POST /login, /logout, /session/reauth and GET /session. */
#ifndef OPS_CORE_APP_AUTH_SIGNIN_H
#define OPS_CORE_APP_AUTH_SIGNIN_H

#include <stdbool.h>
#include <stddef.h>

struct request;
struct server;

void signin_login(struct request *req);
void signin_logout(struct request *req);
void signin_session(struct request *req);
void signin_reauth(struct request *req);

/* For store_open(): the last one-time code used. Whether the event still matters. */
bool signin_on_stored_event(struct server *server, const char *json, size_t len);

#endif
