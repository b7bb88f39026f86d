#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/app/config/agents_conf.h"
#include "core/app/notify/notify_conf.h"
#include "core/base/mem.h"

static char secret[] = "/tmp/ops-secret-XXXXXX";
static struct config_errors errors;
static const struct agents_conf *known; /* NULL: nobody says which hosts there are */

static int set_up(void **state)
{
	int fd = mkstemp(secret);

	(void)state;
	return fd < 0 || write(fd, "0123456789abcdef0123  \n", 23) != 23 || close(fd) < 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(secret);
}

/* %s in the text is the path of the secret. */
static struct notify_conf *parse(const char *format)
{
	const char *at = strstr(format, "%s");
	char *text = at == NULL ? xstrdup(format)
				: xasprintf("%.*s%s%s", (int)(at - format), format, secret, at + 2);
	struct notify_conf *conf;

	config_errors_init(&errors);
	conf = notify_conf_parse("n.yml", text, strlen(text), known, &errors);
	assert_true((conf == NULL) == (errors.total > 0));
	free(text);
	return conf;
}

/* The first error begins so. */
static void expect(const char *format, const char *error)
{
	struct notify_conf *conf = parse(format);

	assert_null(conf);
	if (strncmp(errors.lines[0], error, strlen(error)) != 0)
		fail_msg("'%s' instead of '%s'", errors.lines[0], error);
}

#define NTFY "  a: { type: ntfy, url: https://ntfy.sh, topic: ops }\n"

static void reads_all_there_is(void **state)
{
	struct notify_conf *conf =
		parse("version: 1\nlanguage: nl\nagent_grace: 30s\nlook_every: 10m\ntargets:\n" NTFY
		      "  m:\n    type: mail\n    smtp: smtps://mail:465\n    from: a@b\n"
		      "    to: [c@d, e@f]\n    user: a\n    password_file: %s\n"
		      "rules:\n  - { on: [run.failed, status.ok], hosts: [web1, \"db?\"], "
		      "runs: [\"pg.*\"], targets: [m, a], quiet: 5m }\n  - { on: agent.lost, "
		      "targets: a }\n");
	const struct notify_target *mail = notify_conf_target(conf, "m");

	(void)state;
	assert_non_null(conf);
	assert_int_equal(conf->language, NOTIFY_NL);
	assert_int_equal(conf->agent_grace_us, 30000000);
	assert_int_equal(conf->n_targets, 2);
	assert_int_equal(mail->kind, NOTIFY_MAIL);
	assert_string_equal(mail->secret, "0123456789abcdef0123");
	assert_int_equal(mail->to.n, 2);
	assert_false(mail->plain);
	assert_int_equal(conf->rules[0].on, 1u << NOTIFY_RUN_FAILED | 1u << NOTIFY_STATUS_OK);
	assert_int_equal(conf->rules[0].targets[0], 1);
	assert_int_equal(conf->rules[0].quiet_us, 300000000);
	assert_true(notify_list_matches(&conf->rules[0].hosts, "db1"));
	assert_false(notify_list_matches(&conf->rules[0].hosts, "web2"));
	assert_true(notify_list_matches(&conf->rules[1].hosts, "web2"));
	assert_true(notify_list_matches(&conf->rules[0].runs, "pg.dump"));
	assert_false(notify_list_matches(&conf->rules[0].runs, "apg.dump"));
	assert_true(notify_list_matches(&conf->rules[1].runs, "anything"));
	assert_int_equal(conf->rules[1].quiet_us, 60000000);
	assert_null(notify_conf_target(conf, "x"));
	notify_conf_free(conf);
}

static void reads_hooks(void **state)
{
	struct notify_conf *conf =
		parse("version: 1\nhooks:\n  deploy:\n    secret_file: %s\n    flow: deploy\n"
		      "    events: push\n    inputs:\n      a: fixed\n      b: { pointer: /x~1y }\n"
		      "      c: { pointer: /z, default: \"\" }\n      d: { value: \"1\" }\n"
		      "    rate: { limit: 3, per: 1h }\n");
	const struct notify_hook *hook = notify_conf_hook(conf, "deploy");

	(void)state;
	assert_non_null(hook);
	assert_string_equal(hook->flow, "deploy");
	assert_int_equal(hook->n_inputs, 4);
	assert_string_equal(hook->inputs[0].value, "fixed");
	assert_string_equal(hook->inputs[1].pointer, "/x~1y");
	assert_null(hook->inputs[1].value);
	assert_string_equal(hook->inputs[2].value, "");
	assert_int_equal(hook->rate_limit, 3);
	assert_null(notify_conf_hook(conf, "deplo"));
	notify_conf_free(conf);
}

static void names_the_place_of_each_mistake(void **state)
{
	(void)state;
	expect("", "n.yml:1:1: is empty");
	expect("version: 2\n", "n.yml:1:10: must be 1");
	expect("targets: {}\n", "n.yml:1:1: the key 'version' is missing");
	expect("version: 1\nruls: []\n",
		"n.yml:2:1: the key 'ruls' is not known here (did you mean rules?)");
	expect("version: 1\ntargets: { a: { type: ntfi } }\n",
		"n.yml:2:23: 'ntfi' is none of ntfy, webhook, mail (did you mean ntfy?)");
	expect("version: 1\ntargets: { a b: { type: ntfy } }\n", "n.yml:2:12: the name 'a b'");
	expect("version: 1\ntargets:\n  a: { type: ntfy, url: ftp://x, topic: t }\n",
		"n.yml:3:25: 'ftp://x' is no address");
	expect("version: 1\ntargets:\n  a: { type: ntfy, url: \"https://u:p@x\", topic: t }\n",
		"n.yml:3:25: must hold no user and password");
	expect("version: 1\ntargets:\n  a: { type: ntfy, url: https://x, topic: a/b }\n",
		"n.yml:3:43: a topic holds");
	expect("version: 1\ntargets:\n" NTFY "rules: [{ on: run.fail, targets: [a] }]\n",
		"n.yml:4:15: 'run.fail' is none of");
	expect("version: 1\ntargets:\n" NTFY "rules: [{ on: run.failed, targets: [b] }]\n",
		"n.yml:4:37: there is no target 'b'");
	expect("version: 1\ntargets:\n" NTFY "rules: [{ on: run.failed, targets: a, quiet: 5 }]\n",
		"n.yml:4:46: '5' is not a duration from 0");
	expect("version: 1\nrules: [{ on: run.failed, targets: [b] }]\n",
		"n.yml:2:8: there are rules, but no targets");
	expect("version: 1\ntargets: { a: &x { type: ntfy } }\n", "n.yml:2:15: anchors");
}

static void rules_name_hosts_that_are_there(void **state)
{
	static char web1[] = "web1", db1[] = "db1";
	static const struct agents_conf two = {.items = {{.host = web1}, {.host = db1}}, .n = 2};
	static const struct agents_conf nameless = {.items = {{.host = NULL}}, .n = 1};
	struct notify_conf *conf;

	(void)state;
	expect("version: 1\ntargets:\n" NTFY
	       "rules: [{ on: run.failed, hosts: [web1, \"a b\"], targets: a }]\n",
		"n.yml:4:41: 'a b' is no name of a host, nor a pattern of one");
	expect("version: 1\ntargets:\n" NTFY "rules: [{ on: run.failed, hosts: [], targets: a }]\n",
		"n.yml:4:34: is empty; leave the key out to mean all");
	known = &two;
	expect("version: 1\ntargets:\n" NTFY
	       "rules: [{ on: run.failed, hosts: wbe1, targets: a }]\n",
		"n.yml:4:34: AGENTS_FILE names no host 'wbe1' (did you mean web1?)");
	expect("version: 1\ntargets:\n" NTFY
	       "rules: [{ on: run.failed, hosts: [web1, \"m*\"], targets: a }]\n",
		"n.yml:4:41: AGENTS_FILE names no host 'm*'");
	conf = parse("version: 1\ntargets:\n" NTFY
		     "rules: [{ on: run.failed, hosts: [web1, \"d*\"], targets: a }]\n");
	assert_non_null(conf);
	notify_conf_free(conf);
	known = &nameless;
	conf = parse("version: 1\ntargets:\n" NTFY
		     "rules: [{ on: run.failed, hosts: whatever, targets: a }]\n");
	assert_non_null(conf);
	notify_conf_free(conf);
	known = NULL;
}

static void keeps_secrets_from_the_network_and_from_others(void **state)
{
	(void)state;
	expect("version: 1\ntargets:\n  m: { type: mail, smtp: smtp://x, from: a@b, to: c@d, "
	       "user: u, password_file: %s, tls: none }\n",
		"n.yml:3:");
	assert_non_null(strstr(errors.lines[0], "without TLS the password"));
	expect("version: 1\ntargets:\n  m: { type: mail, smtp: smtp://x, from: a@b, to: "
	       "\"c@d\\\\\" "
	       "}\n",
		"n.yml:3:51: 'c@d\\' is no mail address");
	expect("version: 1\ntargets:\n  w: { type: webhook, url: https://x, secret_file: rel }\n",
		"n.yml:3:52: must be an absolute path");
	expect("version: 1\ntargets:\n  w: { type: webhook, url: https://x, secret_file: "
	       "/nothing-here }\n",
		"n.yml:3:52: cannot read /nothing-here");
	assert_int_equal(chmod(secret, 0604), 0);
	expect("version: 1\ntargets:\n  w: { type: webhook, url: https://x, secret_file: %s }\n",
		"n.yml:3:52: ");
	assert_non_null(strstr(errors.lines[0], "may be used by others (mode 604)"));
	assert_null(strstr(errors.lines[0], "0123456789abcdef"));
	assert_int_equal(chmod(secret, 0640), 0);
	notify_conf_free(parse("version: 1\ntargets:\n  w: { type: webhook, url: https://x, "
			       "secret_file: %s }\n"));
	assert_int_equal(errors.total, 0);
}

static void checks_hooks(void **state)
{
	(void)state;
	expect("version: 1\nhooks: { h: { flow: f } }\n",
		"n.yml:2:13: the key 'secret_file' is missing");
	expect("version: 1\nhooks:\n  h: { secret_file: %s, flow: f, inputs: { a: { pointer: x } } "
	       "}\n",
		"n.yml:3:");
	assert_non_null(strstr(errors.lines[0], "'x' is no JSON pointer"));
	expect("version: 1\nhooks:\n  h: { secret_file: %s, flow: f, inputs: { a: { pointer: /~2 } "
	       "} }\n",
		"n.yml:3:");
	expect("version: 1\nhooks:\n  h: { secret_file: %s, flow: f, inputs: { a: { pointer: /x, "
	       "value: y } } }\n",
		"n.yml:3:");
	assert_non_null(strstr(errors.lines[0], "either pointer or value"));
	expect("version: 1\nhooks:\n  h: { secret_file: %s, flow: f, host: \"a b\" }\n",
		"n.yml:3:");
	assert_non_null(strstr(errors.lines[0], "no name of a host"));
	expect("version: 1\nhooks:\n  h: { secret_file: %s, flow: f, rate: { limit: 0, per: 1m } "
	       "}\n",
		"n.yml:3:");
}

static void reads_where_a_hook_starts_its_flow(void **state)
{
	struct notify_conf *conf = parse("version: 1\nhooks:\n"
					 "  h: { secret_file: %s, flow: f, host: web1 }\n");

	(void)state;
	assert_non_null(conf);
	assert_string_equal(notify_conf_hook(conf, "h")->host, "web1");
	notify_conf_free(conf);
}

/* What an installation starts from is right, as far as files it cannot have do not matter. */
static void the_example_is_right(void **state)
{
	config_errors_init(&errors);
	struct notify_conf *conf =
		notify_conf_load(OPS_SOURCE_ROOT "/deploy/notify.yml.example", NULL, &errors);

	(void)state;
	if (conf == NULL)
		fail_msg("%s", errors.lines[0]);
	assert_int_equal(conf->n_targets, 1);
	assert_int_equal(conf->n_rules, 3);
	notify_conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all_there_is),
		cmocka_unit_test(reads_hooks),
		cmocka_unit_test(names_the_place_of_each_mistake),
		cmocka_unit_test(rules_name_hosts_that_are_there),
		cmocka_unit_test(keeps_secrets_from_the_network_and_from_others),
		cmocka_unit_test(checks_hooks),
		cmocka_unit_test(reads_where_a_hook_starts_its_flow),
		cmocka_unit_test(the_example_is_right),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
