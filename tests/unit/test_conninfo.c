#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/db/conninfo.h"

static struct conninfo *parse(const char *text)
{
	struct err err = {0};
	struct conninfo *info = conninfo_parse(text, &err);
	if (info == NULL)
		fail_msg("%s", err.msg);
	return info;
}

static void refuses(const char *text, const char *why)
{
	struct err err = {0};
	assert_null(conninfo_parse(text, &err));
	if (strstr(err.msg, why) == NULL)
		fail_msg("'%s' does not say '%s'", err.msg, why);
	assert_null(strstr(err.msg, "hunter2"));
}

static void takes_a_uri_with_a_host_name(void **state)
{
	(void)state;
	struct conninfo *info =
		parse("postgresql://ops:hunter2@db.example:5433/ops?sslmode=require");
	assert_int_equal(info->n_hosts, 1);
	assert_string_equal(info->hosts[0].name, "db.example");
	assert_string_equal(info->hosts[0].port, "5433");
	assert_true(info->hosts[0].needs_lookup);
	assert_string_equal(info->where, "ops at db.example:5433");
	conninfo_free(info);
}

static void looks_up_neither_addresses_nor_socket_folders(void **state)
{
	static const char *const hosts[] = {
		"127.0.0.1", "::1", "fe80::1%eth0", "/run/postgresql", "@abstract"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		char text[128];
		snprintf(text, sizeof(text), "host=%s dbname=ops", hosts[i]);
		struct conninfo *info = parse(text);
		assert_false(info->hosts[0].needs_lookup);
		conninfo_free(info);
	}
	struct conninfo *info = parse("host=db hostaddr=10.0.0.7 dbname=ops");
	assert_false(info->hosts[0].needs_lookup);
	assert_string_equal(info->hosts[0].address, "10.0.0.7");
	conninfo_free(info);
}

static void takes_several_hosts_with_their_ports(void **state)
{
	(void)state;
	struct conninfo *info =
		parse("postgresql://a:1,[::1]:2,b/ops?target_session_attrs=read-write");
	assert_int_equal(info->n_hosts, 3);
	assert_string_equal(info->hosts[1].name, "::1");
	assert_string_equal(info->hosts[1].port, "2");
	assert_string_equal(info->hosts[2].name, "b");
	assert_null(info->hosts[2].port);
	conninfo_free(info);
	info = parse("host=a,b port=7 dbname=ops");
	assert_string_equal(info->hosts[1].port, "7");
	conninfo_free(info);
}

static void takes_the_host_of_the_environment_when_none_is_given(void **state)
{
	(void)state;
	setenv("PGHOST", "from.environment", 1);
	struct conninfo *info = parse("dbname=ops");
	assert_string_equal(info->hosts[0].name, "from.environment");
	assert_true(info->hosts[0].needs_lookup);
	conninfo_free(info);
	unsetenv("PGHOST");
	info = parse("dbname=ops");
	assert_int_equal(info->n_hosts, 1);
	assert_null(info->hosts[0].name);
	assert_string_equal(info->where, "ops at the local socket");
	conninfo_free(info);
}

static void refuses_what_it_cannot_do_and_shows_no_password(void **state)
{
	(void)state;
	refuses("hunter2", "neither");
	refuses("postgresql://ops:hunter2@h/ops?nonsense=1", "not a PostgreSQL connection string");
	refuses("service=ops password=hunter2", "'service' is not supported");
	refuses("host=a,b hostaddr=1.2.3.4 password=hunter2", "2 hosts but 1 addresses");
	refuses("host=a,b,c port=1,2 password=hunter2", "3 hosts but 2 ports");
	refuses("host=1,2,3,4,5,6,7,8,9 dbname=ops", "at most 8");
}

static const char *value_of(const struct conninfo_params *params, const char *keyword)
{
	for (size_t i = 0; params->keywords[i] != NULL; i++)
		if (strcmp(params->keywords[i], keyword) == 0)
			return params->values[i];
	return NULL;
}

static void gives_libpq_addresses_beside_names_and_our_defaults(void **state)
{
	(void)state;
	struct conninfo *info = parse("postgresql://ops@db:5433,/run/pg/ops?keepalives_idle=99");
	const struct conninfo_address addresses[] = {
		{.host = 0, .text = "10.0.0.1"}, {.host = 0, .text = "fd00::1"}, {.host = 1}};
	struct conninfo_params params;

	free(info->hosts[1].name);
	info->hosts[1].name = xstrdup("/run/pg");
	conninfo_params_init(&params, info, addresses, ARRAY_LEN(addresses));
	assert_string_equal(value_of(&params, "host"), "db,db,/run/pg");
	assert_string_equal(value_of(&params, "hostaddr"), "10.0.0.1,fd00::1,");
	assert_string_equal(value_of(&params, "port"), "5433,5433,");
	assert_string_equal(value_of(&params, "user"), "ops");
	assert_string_equal(value_of(&params, "keepalives_idle"), "99");
	assert_string_equal(value_of(&params, "tcp_user_timeout"), "10000");
	assert_string_equal(value_of(&params, "gssencmode"), "disable");
	conninfo_params_fini(&params);
	conninfo_free(info);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_uri_with_a_host_name),
		cmocka_unit_test(looks_up_neither_addresses_nor_socket_folders),
		cmocka_unit_test(takes_several_hosts_with_their_ports),
		cmocka_unit_test(takes_the_host_of_the_environment_when_none_is_given),
		cmocka_unit_test(refuses_what_it_cannot_do_and_shows_no_password),
		cmocka_unit_test(gives_libpq_addresses_beside_names_and_our_defaults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
