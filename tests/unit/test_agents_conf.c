#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/app/config/agents_conf.h"
#include "core/base/mem.h"

static char secret[] = "/tmp/ops-secret-XXXXXX";
static struct config_errors errors;

static int set_up(void **state)
{
	int fd = mkstemp(secret);

	(void)state;
	return fd < 0 || write(fd, "0123456789abcdef0123\n", 21) != 21 || close(fd) < 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(secret);
}

/* Each $ in the text becomes the path of the secret. */
static int parse(const char *format, struct agents_conf *conf)
{
	char *text = xstrdup("");
	int rc;

	for (const char *at = format; *at != '\0'; at++) {
		char *more =
			*at == '$' ? xasprintf("%s%s", text, secret) : xasprintf("%s%c", text, *at);

		free(text);
		text = more;
	}
	config_errors_init(&errors);
	rc = agents_conf_parse("a.yml", text, strlen(text), conf, &errors);
	assert_int_equal(rc, errors.total > 0 ? -EINVAL : 0);
	free(text);
	return rc;
}

/* The first error begins so. */
static void expect(const char *format, const char *error)
{
	struct agents_conf conf;

	assert_int_equal(parse(format, &conf), -EINVAL);
	if (strncmp(errors.lines[0], error, strlen(error)) != 0)
		fail_msg("'%s' instead of '%s'", errors.lines[0], error);
	agents_conf_fini(&conf);
}

static void reads_agents_in_their_order(void **state)
{
	struct agents_conf conf;

	(void)state;
	assert_int_equal(
		parse("version: 1\nagents:\n"
		      "  - { host: web1, title: \"Web server\", socket: /run/a.sock, secret_file: "
		      "$ }\n"
		      "  - { host: db-1.example_x, socket: /run/b.sock, secret_file: $ }\n",
			&conf),
		0);
	assert_int_equal(conf.n, 2);
	assert_string_equal(conf.items[0].host, "web1");
	assert_string_equal(conf.items[0].title, "Web server");
	assert_string_equal(conf.items[0].socket, "/run/a.sock");
	assert_string_equal(conf.items[0].secret, "0123456789abcdef0123");
	assert_string_equal(conf.items[1].host, "db-1.example_x");
	assert_null(conf.items[1].title);
	agents_conf_fini(&conf);
}

#define ONE "version: 1\nagents:\n  - "

static void names_the_place_of_each_mistake(void **state)
{
	(void)state;
	expect("agents: [ { host: a, socket: /a, secret_file: $ } ]\n",
		"a.yml:1:1: the key 'version' is missing");
	expect("version: 2\nagents: [ { host: a, socket: /a, secret_file: $ } ]\n",
		"a.yml:1:10: must be 1");
	expect("version: 1\n", "a.yml:1:1: the key 'agents' is missing");
	expect("version: 1\nagents: []\n", "a.yml:2:9: must be a list of at least one agent");
	expect("version: 1\nagents: {}\n", "a.yml:2:9: must be a list of at least one agent");
	expect(ONE "{ hots: a, socket: /a, secret_file: $ }\n", "a.yml:3:7: the key 'hots'");
	assert_non_null(strstr(errors.lines[0], "host"));
	expect(ONE "{ socket: /a, secret_file: $ }\n", "a.yml:3:5: the key 'host' is missing");
	expect(ONE "{ host: a, secret_file: $ }\n", "a.yml:3:5: the key 'socket' is missing");
	expect(ONE "{ host: a, socket: /a }\n", "a.yml:3:5: the key 'secret_file' is missing");
	expect(ONE "{ host: -a, socket: /a, secret_file: $ }\n", "a.yml:3:13: '-a' may hold");
	expect(ONE "{ host: a/b, socket: /a, secret_file: $ }\n", "a.yml:3:13: 'a/b' may hold");
	expect(ONE "{ host: a, socket: a, secret_file: $ }\n",
		"a.yml:3:24: must be an absolute path");
	expect(ONE "{ host: a, socket: /a, secret_file: /nowhere/x }\n",
		"a.yml:3:41: cannot read /nowhere/x");
}

static void lets_no_two_agents_share_a_name_or_a_socket(void **state)
{
	(void)state;
	expect(ONE "{ host: a, socket: /a, secret_file: $ }\n"
		   "  - { host: a, socket: /b, secret_file: $ }\n",
		"a.yml:4:13: the host 'a' is there already");
	expect(ONE "{ host: a, socket: /a, secret_file: $ }\n"
		   "  - { host: b, socket: /a, secret_file: $ }\n",
		"a.yml:4:24: is the socket of 'a' already");
}

static void takes_sixteen_agents_and_no_more(void **state)
{
	struct agents_conf conf;
	char *text = xstrdup("version: 1\nagents:\n");

	(void)state;
	for (int i = 1; i <= LIMIT_HOSTS; i++) {
		char *more = xasprintf(
			"%s  - { host: h%d, socket: /s%d, secret_file: $ }\n", text, i, i);

		free(text);
		text = more;
	}
	assert_int_equal(parse(text, &conf), 0);
	assert_int_equal(conf.n, LIMIT_HOSTS);
	agents_conf_fini(&conf);
	char *more = xasprintf("%s  - { host: h, socket: /s, secret_file: $ }\n", text);
	expect(more, "a.yml:3:3: holds more than 16 agents");
	free(more);
	free(text);
}

static void reads_no_secret_that_others_can(void **state)
{
	(void)state;
	assert_int_equal(chmod(secret, 0644), 0);
	expect(ONE "{ host: a, socket: /a, secret_file: $ }\n", "a.yml:3:41: /tmp/ops-secret-");
	assert_non_null(strstr(errors.lines[0], "chmod 0600"));
	assert_int_equal(chmod(secret, 0600), 0);
}

static void knows_names_of_hosts(void **state)
{
	char longest[66];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[64] = '\0';
	assert_true(agents_is_host_name(longest));
	longest[64] = 'a';
	longest[65] = '\0';
	assert_false(agents_is_host_name(longest));
	assert_true(agents_is_host_name("db-1.example_x"));
	assert_true(agents_is_host_name("7"));
	assert_false(agents_is_host_name(""));
	assert_false(agents_is_host_name("*"));
	assert_false(agents_is_host_name(".a"));
	assert_false(agents_is_host_name("a b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_agents_in_their_order),
		cmocka_unit_test(names_the_place_of_each_mistake),
		cmocka_unit_test(lets_no_two_agents_share_a_name_or_a_socket),
		cmocka_unit_test(takes_sixteen_agents_and_no_more),
		cmocka_unit_test(reads_no_secret_that_others_can),
		cmocka_unit_test(knows_names_of_hosts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
