/* What the commands of opsctl share: the connection and how failures are told. */
#ifndef OPS_AGENT_CTL_CTL_H
#define OPS_AGENT_CTL_CTL_H

#include <jansson.h>

#include "agent/ctl/cli.h"
#include "agent/ctl/client.h"
#include "core/base/err.h"

struct ctl {
	const char *socket_path, *secret_path;
	struct cli cli;
	char actor[32];
	struct client *client; /* NULL until the first call */
};

/* Each returns the process's exit code after having said what is wrong: on standard error, and with
 * --json as {"error":{exit,message,problems}} on standard output too. */
int ctl_fail(const struct ctl *ctl, int exit_code, const char *message);
int ctl_nonsense(const struct ctl *ctl);

/* Sends one request with the n bytes of fields (n below 0: they did not fit); connects first.
 * EXIT_OK when the answer is ok; it points into the client's memory until the next call. */
int ctl_call(struct ctl *ctl, uint16_t method, const void *fields, int n,
	struct msg_response *ret_reply);

/* The document, or NULL. To be released with json_decref(). */
json_t *ctl_parse(struct wire_str json);
/* Prints a document as it came (--json), or what show makes of it. */
int ctl_print(const struct ctl *ctl, struct wire_str json, void (*show)(const json_t *));
/* The catalogue; EXIT_OK with *ret_catalog set, to be released with json_decref(). */
int ctl_catalog(struct ctl *ctl, struct wire_str *ret_text, json_t **ret_catalog);

/* A run as typed: a number, with or without '#', or a UUID. */
const char *ctl_run_ref(const char *arg);

/* ---- start.c ---- */

int ctl_run(struct ctl *ctl);
int ctl_logs(struct ctl *ctl);

#endif
