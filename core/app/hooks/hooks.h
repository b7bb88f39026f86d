/*
 * POST /hooks/{name}: a flow started from outside. Who may is decided by the signature alone: no
 * cookie, no token, no Origin. A name that there is not and a signature that is wrong are answered
 * alike, in the same time; the log says which it was.
 */
#ifndef OPS_CORE_APP_HOOKS_HOOKS_H
#define OPS_CORE_APP_HOOKS_HOOKS_H

struct hooks; /* how often each was called */
struct request;

struct hooks *hooks_new(void);
void hooks_free(struct hooks *hooks);

void hooks_call(struct request *req);

#endif
