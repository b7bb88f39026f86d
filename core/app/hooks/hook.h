/*
 * What somebody outside sent to a hook, judged: the signature, whether it is meant, and the inputs
 * for the flow. Pure; hooks.c is the route.
 */
#ifndef OPS_CORE_APP_HOOKS_HOOK_H
#define OPS_CORE_APP_HOOKS_HOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/app/notify/notify_conf.h"
#include "core/base/mem.h"

/* What of a request's head matters; NULL: not sent. */
struct hook_head {
	const char *hub_signature;   /* X-Hub-Signature-256: sha256=HEX (GitHub) */
	const char *forge_signature; /* X-Forgejo-Signature or X-Gitea-Signature: HEX */
	const char *event;	     /* X-GitHub-Event, X-Forgejo-Event or X-Gitea-Event */
};

/* Whether each signature that was sent is that of the body, and there is one. In time that does not
 * depend on them; secret NULL (no such hook) takes as long and is always false. */
bool hook_signature_is_right(
	const struct hook_head *head, const char *secret, const void *body, size_t len);

/* Why it starts nothing although it is right (written to reason), or true: it is meant. */
bool hook_is_meant(const struct notify_hook *hook, const struct hook_head *head, const json_t *doc,
	char *reason, size_t cap);

/* The value that a pointer (RFC 6901) names, or NULL. */
const json_t *hook_pointer(const json_t *doc, const char *pointer);

/* The flow's inputs as a new object of strings, integers and booleans. NULL: problem says which
 * input is why not. */
struct hook_problem {
	const char *input; /* belongs to the hook */
	char message[200];
};
json_t *hook_inputs(
	const struct notify_hook *hook, const json_t *doc, struct hook_problem *problem);

#endif
