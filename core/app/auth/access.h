/* Who may come in: API tokens, sessions, and the trial of a TOTP secret. */
#ifndef OPS_CORE_APP_AUTH_ACCESS_H
#define OPS_CORE_APP_AUTH_ACCESS_H

#include "core/app/auth/sessions.h"

struct request;
struct server;

void access_tokens_list(struct request *req);	/* GET /tokens */
void access_tokens_create(struct request *req); /* POST /tokens: a session needs a reauth */
void access_tokens_revoke(struct request *req); /* DELETE /tokens/{token} */
void access_totp_verify(struct request *req);	/* POST /totp/verify */

void access_sessions_list(struct request *req);	  /* GET /sessions */
void access_sessions_revoke(struct request *req); /* DELETE /sessions/{session} */

/* Keeps ops.sessions in step: a session was made, seen again, or revoked here. */
void access_session_seen(struct server *server, session_ref ref);
void access_session_revoked(struct server *server, const struct session_info *info);
/* Learns what other dashboards revoked: all that the database has; what a notification says. */
void access_sessions_load(struct server *server);
#define ACCESS_SESSIONS_NOTIFY "sessions"

#endif
