#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/app/config/config.h"
#include "core/app/config/env.h"

#define HASH "$y$j9T$uSSFhXVQ9wK9Xxjk0yqPa.$8dMPnZP2PRrZd6vXFLAdiYb2Q.jDcOCJfzfv0tOPlt4"
#define SECRET "7d5c1f2b9a3e4d6c8b0a1f2e3d4c5b6a"
#define MAX_VARS 24

/* An environment that is complete, and what a test puts over it. */
struct env_builder {
	char *vars[MAX_VARS + 1];
	size_t n;
};

static void set(struct env_builder *b, const char *name, const char *value)
{
	size_t len = strlen(name);
	char *text;

	for (size_t i = 0; i < b->n; i++) {
		if (strncmp(b->vars[i], name, len) == 0 && b->vars[i][len] == '=') {
			free(b->vars[i]);
			b->vars[i] = b->vars[--b->n];
			b->vars[b->n] = NULL;
			break;
		}
	}
	if (value == NULL)
		return;
	text = malloc(len + strlen(value) + 2);
	sprintf(text, "%s=%s", name, value);
	b->vars[b->n++] = text;
}

static struct env_builder complete(void)
{
	struct env_builder b = {.n = 0};

	set(&b, "DATABASE_URL", "postgresql://ops@localhost/ops");
	set(&b, "AUTH_SECRET", SECRET);
	set(&b, "AUTH_PASSWORD_HASH", HASH);
	set(&b, "OPS_AGENT_SECRET", SECRET);
	return b;
}

static void done(struct env_builder *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->vars[i]);
}

static struct config cfg;
static struct config_report report;

static int load(struct env_builder *b)
{
	config_fini(&cfg);
	return config_load(b->vars, &cfg, &report);
}

/* Loads with one variable changed and expects one problem that begins so. */
static void expect_problem(const char *name, const char *value, const char *problem)
{
	struct env_builder b = complete();

	set(&b, name, value);
	assert_int_equal(load(&b), -EINVAL);
	assert_int_equal(report.n_problems, 1);
	if (strncmp(report.problems[0], problem, strlen(problem)) != 0)
		assert_string_equal(report.problems[0], problem);
	done(&b);
	config_fini(&cfg);
}

static char *temp_file(const char *content)
{
	char *path = strdup("/tmp/ops-config-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
	return path;
}

static void fills_in_what_is_safe_to_leave_out(void **state)
{
	struct env_builder b = complete();

	(void)state;
	assert_int_equal(load(&b), 0);
	assert_string_equal(cfg.auth_user, "admin");
	assert_string_equal(cfg.listen_host, "127.0.0.1");
	assert_int_equal(cfg.listen_port, 3001);
	assert_string_equal(cfg.public_origin, "http://127.0.0.1:3001");
	assert_string_equal(cfg.public_host, "127.0.0.1:3001");
	assert_string_equal(cfg.agents.items[0].socket, "/run/ops-agent/agent.sock");
	assert_null(cfg.auth_totp_secret);
	assert_false(cfg.https);
	done(&b);
	config_fini(&cfg);
}

static void names_everything_that_is_missing_at_once(void **state)
{
	char *none[] = {NULL};

	(void)state;
	assert_int_equal(config_load(none, &cfg, &report), -EINVAL);
	assert_int_equal(report.n_problems, 4);
	assert_non_null(strstr(report.problems[0], "DATABASE_URL is missing"));
	assert_non_null(strstr(report.problems[1], "AUTH_SECRET is missing"));
	assert_non_null(strstr(report.problems[2], "AUTH_PASSWORD_HASH is missing"));
	assert_non_null(strstr(report.problems[3], "OPS_AGENT_SECRET is missing"));
	config_fini(&cfg);
}

static void refuses_weak_secrets(void **state)
{
	(void)state;
	expect_problem("AUTH_SECRET", "short", "AUTH_SECRET is weak: 5 bytes");
	expect_problem("AUTH_SECRET", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"AUTH_SECRET is weak: it is made of 1 different");
	expect_problem("OPS_AGENT_SECRET", "0123456789", "OPS_AGENT_SECRET is weak");
	expect_problem("AUTH_SECRET", "", "AUTH_SECRET is missing");
}

static void refuses_a_password_in_place_of_its_hash(void **state)
{
	(void)state;
	expect_problem("AUTH_PASSWORD_HASH", "hunter2", "AUTH_PASSWORD_HASH is not a yescrypt");
	expect_problem(
		"AUTH_PASSWORD_HASH", "$6$salt$hash", "AUTH_PASSWORD_HASH is not a yescrypt");
	expect_problem("AUTH_PASSWORD_HASH", "$y$j9T", "AUTH_PASSWORD_HASH is not a yescrypt");
}

static void wants_an_origin_when_it_listens_to_the_network(void **state)
{
	struct env_builder b = complete();

	(void)state;
	expect_problem("LISTEN", "0.0.0.0:3001", "PUBLIC_ORIGIN is missing");
	expect_problem("LISTEN", "[::]:3001", "PUBLIC_ORIGIN is missing");
	set(&b, "LISTEN", "0.0.0.0:3001");
	set(&b, "PUBLIC_ORIGIN", "https://ops.example.org");
	assert_int_equal(load(&b), 0);
	assert_true(cfg.https);
	assert_string_equal(cfg.public_host, "ops.example.org");
	done(&b);
	config_fini(&cfg);
}

static void refuses_origins_that_no_browser_sends(void **state)
{
	static const char *const rows[] = {"ops.example.org", "https://",
		"https://ops.example.org/", "https://ops.example.org/x", "https://Ops.example.org",
		"https://ops.example.org:443", "http://ops.example.org:80",
		"https://ops.example.org:0", "https://ops.example.org:x",
		"https://u@ops.example.org", "ftp://ops.example.org", "https://[::1",
		"https://:443"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_problem("PUBLIC_ORIGIN", rows[i], "PUBLIC_ORIGIN");
}

static void refuses_malformed_addresses(void **state)
{
	static const char *const rows[] = {"3001", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
		"127.0.0.1:70000", "127.0.0.1:30x", "example.org:3001", ":3001", "256.0.0.1:3001"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct env_builder b = complete();

		set(&b, "LISTEN", rows[i]);
		assert_int_equal(load(&b), -EINVAL);
		assert_non_null(strstr(report.problems[0], "LISTEN"));
		done(&b);
	}
	config_fini(&cfg);
}

static void reads_values_from_files(void **state)
{
	struct env_builder b = complete();
	char *path = temp_file(SECRET "\n");

	(void)state;
	set(&b, "AUTH_SECRET", NULL);
	set(&b, "AUTH_SECRET_FILE", path);
	assert_int_equal(load(&b), 0);
	assert_string_equal(cfg.auth_secret, SECRET);
	set(&b, "AUTH_SECRET", SECRET);
	assert_int_equal(load(&b), -EINVAL);
	assert_string_equal(report.problems[0], "AUTH_SECRET and AUTH_SECRET_FILE are both given");
	unlink(path);
	set(&b, "AUTH_SECRET", NULL);
	assert_int_equal(load(&b), -EINVAL);
	assert_non_null(strstr(report.problems[0], path));
	free(path);
	done(&b);
	config_fini(&cfg);
}

static void the_environment_wins_over_the_env_file(void **state)
{
	struct env_builder b = complete();
	char *path = temp_file("# a comment\n\nAUTH_USER=\"from file\"\nAUTH_USER2='$x'\n"
			       "LISTEN=127.0.0.1:4000\n");

	(void)state;
	set(&b, "ENV_FILE", path);
	set(&b, "AUTH_USER", "env");
	assert_int_equal(load(&b), 0);
	assert_string_equal(cfg.auth_user, "env");
	assert_int_equal(cfg.listen_port, 4000);
	assert_int_equal(report.n_warnings, 1);
	assert_non_null(strstr(report.warnings[0], "AUTH_USER2"));
	unlink(path);
	assert_int_equal(load(&b), -EINVAL);
	assert_non_null(strstr(report.problems[0], "ENV_FILE"));
	free(path);
	done(&b);
	config_fini(&cfg);
}

static void the_env_file_expands_nothing_and_is_strict(void **state)
{
	static const char good[] = "A=x y # z\nB=\"q'$HOME\\n\"\r\n C = lead\n";
	static const char *const bad[] = {
		"novalue\n", "1A=x\n", "A=\"open\n", "A=1\nA=2\n", "=x\n"};
	char *envp[] = {NULL};
	struct env env;
	struct err err;

	(void)state;
	assert_int_equal(env_init(&env, envp, &err), 0);
	assert_true(env_parse(&env, good, sizeof(good) - 1, &err) < 0); /* "C " is no name */
	env_fini(&env);
	assert_int_equal(env_parse(&env, good, sizeof(good) - 1 - 10, &err), 0);
	assert_string_equal(env.lines[0].value, "x y # z");
	assert_string_equal(env.lines[1].value, "q'$HOME\\n");
	env_fini(&env);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_true(env_parse(&env, bad[i], strlen(bad[i]), &err) < 0);
		env_fini(&env);
	}
	assert_true(env_parse(&env, "A=\0", 3, &err) < 0);
	env_fini(&env);
}

static void only_a_trusted_proxys_last_hop_counts(void **state)
{
	struct env_builder b = complete();
	uint8_t addr[ADDRESS_BYTES], want[ADDRESS_BYTES];

	(void)state;
	set(&b, "TRUSTED_PROXIES", "172.16.0.0/12, ::1");
	assert_int_equal(load(&b), 0);
	assert_int_equal(cfg.n_trusted_proxies, 2);
	assert_int_equal(address_parse("198.51.100.7", 12, want), 0);
	config_client_address(&cfg, "172.20.0.2", "6.6.6.6, 198.51.100.7", addr);
	assert_memory_equal(addr, want, sizeof(addr));
	config_client_address(&cfg, "::1", "198.51.100.7", addr);
	assert_memory_equal(addr, want, sizeof(addr));
	config_client_address(&cfg, "198.51.100.7", "6.6.6.6", addr);
	assert_memory_equal(addr, want, sizeof(addr));
	assert_int_equal(address_parse("172.20.0.2", 10, want), 0);
	config_client_address(&cfg, "172.20.0.2", "nonsense", addr);
	assert_memory_equal(addr, want, sizeof(addr));
	config_client_address(&cfg, "172.20.0.2", NULL, addr);
	assert_memory_equal(addr, want, sizeof(addr));
	done(&b);
	config_fini(&cfg);
	expect_problem("TRUSTED_PROXIES", "10.0.0.0/33", "TRUSTED_PROXIES");
	expect_problem("TRUSTED_PROXIES", "caddy", "TRUSTED_PROXIES");
}

static void writes_addresses_as_people_do(void **state)
{
	uint8_t addr[ADDRESS_BYTES];
	char text[ADDRESS_TEXT_BYTES];

	(void)state;
	assert_int_equal(address_parse("10.1.2.3", 8, addr), 0);
	address_format(addr, text);
	assert_string_equal(text, "10.1.2.3");
	assert_int_equal(address_parse("2001:db8::7", 11, addr), 0);
	address_format(addr, text);
	assert_string_equal(text, "2001:db8::7");
}

static void refuses_other_bad_values(void **state)
{
	(void)state;
	expect_problem("LOG_LEVEL", "loud", "LOG_LEVEL");
	expect_problem("LOG_FORMAT", "xml", "LOG_FORMAT");
	expect_problem("RETENTION_DAYS", "0", "RETENTION_DAYS");
	expect_problem("RETENTION_DAYS", "10d", "RETENTION_DAYS");
	expect_problem("AUTH_TOTP_SECRET", "not base32!", "AUTH_TOTP_SECRET");
	expect_problem("AUTH_USER", "a b", "AUTH_USER");
	expect_problem("STATE_DIR", "state", "STATE_DIR");
	expect_problem("OPS_AGENT_SOCKET", "agent.sock", "OPS_AGENT_SOCKET");
	expect_problem("TLS_CERT", "/x", "TLS_CERT and TLS_KEY are paths that go together");
	expect_problem("TLS_KEY", "/x", "TLS_CERT and TLS_KEY are paths that go together");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_in_what_is_safe_to_leave_out),
		cmocka_unit_test(names_everything_that_is_missing_at_once),
		cmocka_unit_test(refuses_weak_secrets),
		cmocka_unit_test(refuses_a_password_in_place_of_its_hash),
		cmocka_unit_test(wants_an_origin_when_it_listens_to_the_network),
		cmocka_unit_test(refuses_origins_that_no_browser_sends),
		cmocka_unit_test(refuses_malformed_addresses),
		cmocka_unit_test(reads_values_from_files),
		cmocka_unit_test(the_environment_wins_over_the_env_file),
		cmocka_unit_test(the_env_file_expands_nothing_and_is_strict),
		cmocka_unit_test(only_a_trusted_proxys_last_hop_counts),
		cmocka_unit_test(writes_addresses_as_people_do),
		cmocka_unit_test(refuses_other_bad_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
