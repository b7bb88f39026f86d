/*
 * opsctl: the agent's power over SSH. It speaks to the agent's socket directly, so it works with
 * the dashboard and the database down. Exit codes: exitcode.h.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/exitcode.h"
#include "agent/ctl/show.h"
#include "core/base/buf.h"
#include "core/base/json.h"

#define DEFAULT_SOCKET "/run/ops-agent/agent.sock"
#define DEFAULT_SECRET "/etc/ops-agent/secret"
#define STATUS_MAX_BYTES (2u << 20)

static int do_list(struct ctl *ctl)
{
	const char *id = ctl->cli.n_args != 0 ? ctl->cli.args[0] : NULL;
	struct wire_str text;
	json_t *catalog;
	int rc = ctl_catalog(ctl, &text, &catalog);

	if (rc != EXIT_OK)
		return rc;
	if (id != NULL && show_find_entry(catalog, id) == NULL)
		rc = ctl_fail(ctl, EXIT_BAD_INPUT,
			"there is no command or flow of that name; 'opsctl list' names them all");
	else if (ctl->cli.names)
		show_names(catalog, id);
	else if (ctl->cli.json && id != NULL)
		show_json(show_find_entry(catalog, id));
	else if (ctl->cli.json)
		printf("%.*s\n", (int)text.len, text.data);
	else if (id != NULL)
		show_entry(catalog, id);
	else
		show_catalog(catalog);
	json_decref(catalog);
	return rc;
}

static void show_runs_of(const json_t *document)
{
	show_runs(json_object_get(document, "runs"));
}

static void show_numbers_of(const json_t *document)
{
	show_numbers(json_object_get(document, "runs"));
}

static int list_runs(struct ctl *ctl, uint8_t filter, struct msg_run_list_reply *ret_list)
{
	struct msg_run_list request = {.filter = filter, .limit = (uint16_t)ctl->cli.limit};
	struct msg_response reply;
	uint8_t fields[64];
	int rc = ctl_call(ctl, MSG_RUN_LIST, fields,
		msg_run_list_encode(&request, fields, sizeof(fields)), &reply);

	if (rc == EXIT_OK &&
		msg_run_list_reply_decode(reply.fields, reply.fields_len, ret_list) != 0)
		rc = ctl_nonsense(ctl);
	return rc;
}

static int do_runs(struct ctl *ctl)
{
	struct msg_run_list_reply list;
	int rc = list_runs(ctl, ctl->cli.active ? MSG_LIST_ACTIVE : MSG_LIST_ALL, &list);

	if (rc != EXIT_OK)
		return rc;
	return ctl_print(ctl, list.json, ctl->cli.names ? show_numbers_of : show_runs_of);
}

static int do_show(struct ctl *ctl)
{
	struct msg_run_ref request = {.run = wire_str_of(ctl_run_ref(ctl->cli.args[0]))};
	struct msg_document document;
	struct msg_response reply;
	uint8_t fields[256];
	int rc = ctl_call(ctl, MSG_RUN_GET, fields,
		msg_run_ref_encode(&request, fields, sizeof(fields)), &reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_document_decode(reply.fields, reply.fields_len, &document) != 0)
		return ctl_nonsense(ctl);
	return ctl_print(ctl, document.json, show_run);
}

/* What was done, in a word for a person or as {"run":…,"done":word}. */
static void print_done(const struct ctl *ctl, const char *word)
{
	struct json json;
	struct buf buf;

	if (!ctl->cli.json) {
		puts(word);
		return;
	}
	buf_init(&buf, 1024);
	json_init(&json, &buf);
	json_open_object(&json);
	json_kv_str(&json, "run", ctl_run_ref(ctl->cli.args[0]));
	json_kv_str(&json, "done", word);
	json_close_object(&json);
	printf("%.*s\n", (int)buf.len, (const char *)buf.data);
	buf_fini(&buf);
}

static int do_cancel(struct ctl *ctl)
{
	struct msg_run_cancel request = {
		.run = wire_str_of(ctl_run_ref(ctl->cli.args[0])),
		.actor = wire_str_of(ctl->actor),
		.reason = wire_str_of("opsctl cancel"),
	};
	struct msg_response reply;
	uint8_t fields[512];
	int rc = ctl_call(ctl, MSG_RUN_CANCEL, fields,
		msg_run_cancel_encode(&request, fields, sizeof(fields)), &reply);

	if (rc == EXIT_OK)
		print_done(ctl, "cancel requested");
	return rc;
}

static int do_approve(struct ctl *ctl)
{
	struct msg_run_approve request = {
		.run = wire_str_of(ctl_run_ref(ctl->cli.args[0])),
		.step = wire_str_of(ctl->cli.args[1]),
		.approve = !ctl->cli.reject,
		.actor = wire_str_of(ctl->actor),
		.comment = wire_str_of(ctl->cli.comment != NULL ? ctl->cli.comment : ""),
	};
	struct msg_response reply;
	uint8_t fields[2048];
	int rc = ctl_call(ctl, MSG_RUN_APPROVE, fields,
		msg_run_approve_encode(&request, fields, sizeof(fields)), &reply);

	if (rc == EXIT_OK)
		print_done(ctl, ctl->cli.reject ? "refused" : "approved");
	return rc;
}

/* {"agent":{…},"config_error":…,"runs":[…]}; what the agent said is copied before the next call. */
static int ask_status(struct ctl *ctl, json_t **ret_status)
{
	struct msg_hello request = {
		.version = MSG_PROTOCOL_VERSION, .client = wire_str_of("opsctl/" OPS_VERSION)};
	struct msg_run_list_reply list;
	struct msg_hello_reply hello;
	struct msg_response reply;
	json_t *status, *catalog;
	uint8_t fields[64];
	int rc = ctl_call(
		ctl, MSG_HELLO, fields, msg_hello_encode(&request, fields, sizeof(fields)), &reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_hello_reply_decode(reply.fields, reply.fields_len, &hello) != 0)
		return ctl_nonsense(ctl);
	status = json_pack("{s:{s:s%,s:s%,s:s%,s:s%,s:I}}", "agent", "version",
		hello.agent_version.data, (size_t)hello.agent_version.len, "id",
		hello.agent_id.data, (size_t)hello.agent_id.len, "host", hello.host.data,
		(size_t)hello.host.len, "config_digest", hello.config_digest.data,
		(size_t)hello.config_digest.len, "started_us", (json_int_t)hello.started_us);
	if (status == NULL)
		return ctl_nonsense(ctl);
	rc = ctl_catalog(ctl, NULL, &catalog);
	if (rc == EXIT_OK) {
		json_t *error = json_object_get(catalog, "config_error");

		json_object_set(status, "config_error", error != NULL ? error : json_null());
		json_decref(catalog);
		rc = list_runs(ctl, MSG_LIST_ACTIVE, &list);
	}
	if (rc == EXIT_OK) {
		json_t *runs = ctl_parse(list.json);

		json_object_set(status, "runs", json_object_get(runs, "runs"));
		json_decref(runs);
		*ret_status = status;
	} else {
		json_decref(status);
	}
	return rc;
}

static int do_status(struct ctl *ctl)
{
	json_t *status;
	int rc = ask_status(ctl, &status);

	if (rc != EXIT_OK)
		return rc;
	if (ctl->cli.json)
		show_json(status);
	else
		show_status(status);
	json_decref(status);
	return EXIT_OK;
}

static int do_reload(struct ctl *ctl)
{
	struct msg_reload request = {.actor = wire_str_of(ctl->actor)};
	struct msg_reload_reply done;
	struct msg_response reply;
	uint8_t fields[64];
	int rc = ctl_call(ctl, MSG_RELOAD, fields,
		msg_reload_encode(&request, fields, sizeof(fields)), &reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_reload_reply_decode(reply.fields, reply.fields_len, &done) != 0)
		return ctl_nonsense(ctl);
	printf(ctl->cli.json ? "{\"config_digest\":\"%.*s\"}\n" : "loaded, digest %.*s\n",
		(int)done.config_digest.len, done.config_digest.data);
	return EXIT_OK;
}

static void print_rotated(const struct ctl *ctl, uint64_t until_us)
{
	time_t until = (time_t)(until_us / 1000000);
	char text[64] = "";
	struct json json;
	struct buf buf;
	struct tm tm;

	if (ctl->cli.json) {
		buf_init(&buf, 8192);
		json_init(&json, &buf);
		json_open_object(&json);
		json_kv_str(&json, "secret_path", ctl->secret_path);
		json_kv_uint(&json, "old_valid_until_us", until_us);
		json_close_object(&json);
		printf("%.*s\n", (int)buf.len, (const char *)buf.data);
		buf_fini(&buf);
		return;
	}
	printf("%s holds a new secret\n", ctl->secret_path);
	if (ctl->cli.now)
		puts("the old one is refused from now on");
	else if (localtime_r(&until, &tm) != NULL &&
		 strftime(text, sizeof(text), "%F %T %z", &tm) != 0)
		printf("the old one stays good until %s\n", text);
}

static int do_rotate_secret(struct ctl *ctl)
{
	struct msg_secret_rotate request = {
		.actor = wire_str_of(ctl->actor), .grace_s = ctl->cli.now ? 0 : ctl->cli.grace_s};
	struct msg_secret_rotate_reply done;
	struct msg_response reply;
	uint8_t fields[64];
	int rc = ctl_call(ctl, MSG_SECRET_ROTATE, fields,
		msg_secret_rotate_encode(&request, fields, sizeof(fields)), &reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_secret_rotate_reply_decode(reply.fields, reply.fields_len, &done) != 0)
		return ctl_nonsense(ctl);
	print_rotated(ctl, done.old_valid_until_us);
	return EXIT_OK;
}

static int dispatch(struct ctl *ctl)
{
	static int (*const verbs[])(struct ctl *) = {
		[CLI_LIST] = do_list,
		[CLI_RUN] = ctl_run,
		[CLI_LOGS] = ctl_logs,
		[CLI_RUNS] = do_runs,
		[CLI_SHOW] = do_show,
		[CLI_CANCEL] = do_cancel,
		[CLI_APPROVE] = do_approve,
		[CLI_STATUS] = do_status,
		[CLI_RELOAD] = do_reload,
		[CLI_ROTATE_SECRET] = do_rotate_secret,
	};

	return verbs[ctl->cli.verb](ctl);
}

/* Only interrupts a wait; what to do then is decided where the wait was. */
static void on_sigint(int signo)
{
	(void)signo;
}

static const char *from_environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : otherwise;
}

int main(int argc, char **argv)
{
	struct sigaction interrupt = {.sa_handler = on_sigint};
	struct ctl ctl = {
		.socket_path = from_environment("OPS_AGENT_SOCKET", DEFAULT_SOCKET),
		.secret_path = from_environment("OPS_AGENT_SECRET_PATH", DEFAULT_SECRET),
	};
	int rc;

	if (!cli_parse(argc, argv, &ctl.cli, &rc))
		return rc;
	snprintf(ctl.actor, sizeof(ctl.actor), "opsctl:%u", (unsigned)getuid());
	sigaction(SIGINT, &interrupt, NULL); /* no SA_RESTART: it ends poll() */
	signal(SIGPIPE, SIG_IGN);
	rc = dispatch(&ctl);
	client_close(ctl.client);
	if (fflush(stdout) != 0 && rc == EXIT_OK)
		rc = EXIT_SOFTWARE_ERROR;
	return rc;
}
