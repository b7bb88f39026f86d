#include "agent/ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/ctl/exitcode.h"
#include "agent/ctl/term.h"
#include "core/base/mem.h"

static char *copy_of(struct wire_str text)
{
	return xstrndup(text.len != 0 ? text.data : "", text.len);
}

/* [{name, message}], or an empty array. */
static json_t *read_problems(const struct msg_response *reply)
{
	json_t *list = json_array();
	struct msg_problems problems;

	if (reply == NULL || reply->status != MSG_INVALID_INPUT ||
		msg_problems_decode(reply->fields, reply->fields_len, &problems) != 0)
		return list;
	for (uint16_t i = 0; i < problems.n; i++) {
		json_t *problem = json_object();

		json_object_set_new(problem, "name",
			json_stringn_nocheck(
				problems.items[i].name.data, problems.items[i].name.len));
		json_object_set_new(problem, "message",
			json_stringn_nocheck(
				problems.items[i].value.data, problems.items[i].value.len));
		json_array_append_new(list, problem);
	}
	return list;
}

static int tell(const struct ctl *ctl, int exit_code, const char *message, json_t *problems)
{
	json_t *document, *problem;
	size_t i;
	char *text;

	fputs("opsctl: ", stderr);
	term_put(stderr, message);
	fputc('\n', stderr);
	json_array_foreach(problems, i, problem)
	{
		fputs("  ", stderr);
		term_put(stderr, json_string_value(json_object_get(problem, "name")));
		fputs(": ", stderr);
		term_put(stderr, json_string_value(json_object_get(problem, "message")));
		fputc('\n', stderr);
	}
	if (!ctl->cli.json)
		return exit_code;
	document = json_pack("{s:{s:i,s:o,s:O}}", "error", "exit", exit_code, "message",
		json_string_nocheck(message), "problems", problems);
	text = document != NULL ? json_dumps(document, JSON_COMPACT) : NULL;
	if (text != NULL)
		puts(text);
	free(text);
	json_decref(document);
	return exit_code;
}

int ctl_fail(const struct ctl *ctl, int exit_code, const char *message)
{
	json_t *none = json_array();
	int rc = tell(ctl, exit_code, message, none);

	json_decref(none);
	return rc;
}

int ctl_nonsense(const struct ctl *ctl)
{
	return ctl_fail(ctl, EXIT_SOFTWARE_ERROR,
		"the agent's answer makes no sense; do opsctl and ops-agent belong together? "
		"'opsctl --version' and 'ops-agent --version' tell");
}

static int refused(const struct ctl *ctl, const struct msg_response *reply)
{
	json_t *problems = read_problems(reply);
	char *message = copy_of(reply->message);
	int rc = tell(ctl, exitcode_of_status(reply->status), message, problems);

	free(message);
	json_decref(problems);
	return rc;
}

int ctl_call(
	struct ctl *ctl, uint16_t method, const void *fields, int n, struct msg_response *ret_reply)
{
	struct err err = {0};

	if (n < 0)
		return ctl_fail(ctl, EXIT_USAGE_ERROR, "the arguments are too long");
	if (ctl->client == NULL &&
		client_open(ctl->socket_path, ctl->secret_path, &ctl->client, &err) != 0)
		return ctl_fail(ctl, exitcode_of_error(err.code), err.msg);
	if (client_call(ctl->client, method, fields, (size_t)n, ret_reply, &err) != 0)
		return ctl_fail(ctl, exitcode_of_error(err.code), err.msg);
	return ret_reply->status == MSG_OK ? EXIT_OK : refused(ctl, ret_reply);
}

json_t *ctl_parse(struct wire_str json)
{
	return json_loadb(json.data, json.len, 0, NULL);
}

int ctl_print(const struct ctl *ctl, struct wire_str json, void (*show)(const json_t *))
{
	json_t *document;

	if (ctl->cli.json) {
		printf("%.*s\n", (int)json.len, json.data);
		return EXIT_OK;
	}
	document = ctl_parse(json);
	if (document == NULL)
		return ctl_nonsense(ctl);
	show(document);
	json_decref(document);
	return EXIT_OK;
}

int ctl_catalog(struct ctl *ctl, struct wire_str *ret_text, json_t **ret_catalog)
{
	struct msg_document document;
	struct msg_response reply;
	json_t *catalog = NULL;
	int rc = ctl_call(ctl, MSG_CATALOG, NULL, 0, &reply);

	if (rc != EXIT_OK)
		return rc;
	if (msg_document_decode(reply.fields, reply.fields_len, &document) == 0)
		catalog = ctl_parse(document.json);
	if (catalog == NULL)
		return ctl_nonsense(ctl);
	if (ret_text != NULL)
		*ret_text = document.json;
	*ret_catalog = catalog;
	return EXIT_OK;
}

const char *ctl_run_ref(const char *arg)
{
	return *arg == '#' ? arg + 1 : arg;
}
