#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/trust.h"
#include "core/base/mem.h"

/* A folder below /tmp, which is sticky and root's: what lies in it is as safe as its own mode. */
static int set_up(void **state)
{
	char *dir = xstrdup("/tmp/test_trust.XXXXXX");

	assert_non_null(mkdtemp(dir));
	*state = dir;
	return 0;
}

static int tear_down(void **state)
{
	char *command = xasprintf("rm -rf %s", (char *)*state);
	int rc = system(command);

	free(command);
	free(*state);
	return rc;
}

static char *in(void *const *state, const char *name)
{
	return xasprintf("%s/%s", (const char *)*state, name);
}

static void make_file(const char *path, mode_t mode, const char *content)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(content, file);
	assert_int_equal(fchmod(fileno(file), mode), 0);
	fclose(file);
}

static int try_open(const char *path, struct err *err)
{
	int fd = trust_open(path, geteuid(), O_RDONLY, NULL, err);

	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : fd;
}

static void own_files_below_a_sticky_folder_pass(void **state)
{
	char *file = in(state, "file");
	char *resolved = NULL;
	struct err err;
	int fd;

	make_file(file, 0644, "x");
	fd = trust_open(file, geteuid(), O_RDONLY, &resolved, &err);
	assert_true(fd >= 0);
	assert_string_equal(resolved, file);
	close(fd);
	free(resolved);
	free(file);
}

static void what_others_can_write_is_refused(void **state)
{
	char *dir = in(state, "dir");
	char *file = in(state, "dir/file");
	struct err err;

	assert_int_equal(mkdir(dir, 0755), 0);
	make_file(file, 0664, "x");
	assert_int_equal(try_open(file, &err), -EPERM);
	assert_non_null(strstr(err.msg, "/dir/file (mode 0664) can be changed by others"));
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(try_open(file, &err), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(try_open(file, &err), -EPERM);
	assert_non_null(strstr(err.msg, "/dir (mode 0777) can be changed by others"));
	free(file);
	free(dir);
}

static void another_ones_folder_is_refused(void **state)
{
	char *dir = in(state, "theirs");
	char *file = in(state, "theirs/file");
	struct err err;

	assert_int_equal(mkdir(dir, 0755), 0);
	make_file(file, 0644, "x");
	if (geteuid() == 0) {
		assert_int_equal(chown(dir, 12345, 12345), 0);
		assert_int_equal(try_open(file, &err), -EPERM);
		assert_non_null(strstr(err.msg, "/theirs belongs to uid 12345; chown it to root"));
	} else {
		/* root's checks, seen by somebody whose folder it is */
		int fd = trust_open(file, 0, O_RDONLY, NULL, &err);

		assert_int_equal(fd, -EPERM);
	}
	free(file);
	free(dir);
}

static void links_are_followed_and_every_step_is_checked(void **state)
{
	char *open_dir = in(state, "open");
	char *target = in(state, "open/target");
	char *link = in(state, "link");
	char *up = in(state, "up");
	char *loop = in(state, "loop");
	char *resolved = NULL;
	struct err err;
	int fd;

	assert_int_equal(mkdir(open_dir, 0755), 0);
	make_file(target, 0644, "x");
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(symlink("open/../open/./target", up), 0);
	assert_int_equal(symlink(loop, loop), 0);
	fd = trust_open(link, geteuid(), O_RDONLY, &resolved, &err);
	assert_true(fd >= 0);
	assert_string_equal(resolved, target);
	free(resolved);
	close(fd);
	fd = trust_open(up, geteuid(), O_RDONLY, &resolved, &err);
	assert_true(fd >= 0);
	assert_string_equal(resolved, target);
	free(resolved);
	close(fd);
	assert_int_equal(try_open(loop, &err), -ELOOP);
	assert_int_equal(chmod(open_dir, 0775), 0);
	assert_int_equal(try_open(link, &err), -EPERM);
	free(open_dir);
	free(target);
	free(link);
	free(up);
	free(loop);
}

static void strange_paths_fail_clearly(void **state)
{
	char *missing = in(state, "nothing/here");
	char *file = in(state, "plain");
	char *below = in(state, "plain/below");
	struct err err;

	make_file(file, 0644, "x");
	assert_int_equal(try_open(missing, &err), -ENOENT);
	assert_int_equal(try_open(below, &err), -ENOTDIR);
	assert_int_equal(try_open("relative", &err), -EINVAL);
	assert_int_equal(try_open("", &err), -EINVAL);
	assert_int_equal(try_open("/", &err), 0);
	free(missing);
	free(file);
	free(below);
}

static void programs_are_files_that_may_be_executed(void **state)
{
	char *program = in(state, "program");
	char *resolved = NULL;
	struct err err;

	make_file(program, 0644, "#!/bin/sh\n");
	assert_int_equal(trust_check_program(program, geteuid(), NULL, &err), -EACCES);
	assert_non_null(strstr(err.msg, "is not executable; chmod +x"));
	assert_int_equal(chmod(program, 0755), 0);
	assert_int_equal(trust_check_program(program, geteuid(), &resolved, &err), 0);
	assert_string_equal(resolved, program);
	free(resolved);
	assert_int_equal(trust_check_program(*state, geteuid(), NULL, &err), -EACCES);
	assert_int_equal(trust_check_program("/bin/true", geteuid(), &resolved, &err), 0);
	free(resolved);
	free(program);
}

static void an_interpreter_others_can_change_is_refused(void **state)
{
	char *interpreter = in(state, "interpreter");
	char *script = in(state, "script");
	char *self = in(state, "self");
	char *text = xasprintf("#! %s -x\n", interpreter);
	char *own = xasprintf("#!%s\n", self);
	struct err err;

	make_file(interpreter, 0777, "");
	make_file(script, 0755, text);
	make_file(self, 0755, own);
	assert_int_equal(trust_check_program(script, geteuid(), NULL, &err), -EPERM);
	assert_non_null(strstr(err.msg, "the interpreter of "));
	assert_int_equal(chmod(interpreter, 0755), 0);
	assert_int_equal(trust_check_program(script, geteuid(), NULL, &err), 0);
	assert_int_equal(trust_check_program(self, geteuid(), NULL, &err), -ELOOP);
	make_file(script, 0755, "#!\n");
	assert_int_equal(trust_check_program(script, geteuid(), NULL, &err), -ENOEXEC);
	make_file(script, 0755, "#!nowhere\n");
	assert_int_equal(trust_check_program(script, geteuid(), NULL, &err), -EINVAL);
	free(interpreter);
	free(script);
	free(self);
	free(text);
	free(own);
}

/* What `#!/usr/bin/env NAME` starts is an interpreter like any other. */
static void an_interpreter_found_by_env_is_checked_too(void **state)
{
	char *script = in(state, "script"), *open_to_all = in(state, "python");
	char *line = xasprintf("#!/usr/bin/env -S %s -u\n", open_to_all);
	struct err err = {0};

	make_file(open_to_all, 0777,
		"\x7f"
		"ELF");
	make_file(script, 0755, line);
	assert_int_equal(trust_check_program(script, geteuid(), NULL, &err), -EPERM);
	assert_non_null(strstr(err.msg, "can be changed by others"));
	make_file(script, 0755, "#!/usr/bin/env A=b true\n");
	assert_int_equal(trust_check_program(script, geteuid(), NULL, &err), 0);
	make_file(script, 0755, "#!/usr/bin/env no-such-interpreter\n");
	assert_int_equal(trust_check_program(script, geteuid(), NULL, &err), 0);
	free(line);
	free(open_to_all);
	free(script);
}

/* Files of others may lie in /tmp beside ours; a search path must not come across them. */
static void a_folder_to_search_for_programs_takes_no_strangers(void **state)
{
	char *dir = in(state, "bin"), *file = in(state, "file");
	struct err err = {0};

	assert_int_equal(mkdir(dir, 0755), 0);
	make_file(file, 0644, "");
	assert_int_equal(trust_check_folder(dir, geteuid(), &err), 0);
	assert_int_equal(trust_check_folder("/tmp", geteuid(), &err), -EPERM);
	assert_non_null(strstr(err.msg, "/tmp takes files of others"));
	assert_int_equal(trust_check_folder(file, geteuid(), &err), -ENOTDIR);
	assert_int_equal(trust_check_folder("/usr/no-such-folder", geteuid(), &err), -ENOENT);
	free(dir);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			own_files_below_a_sticky_folder_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_others_can_write_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_ones_folder_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			links_are_followed_and_every_step_is_checked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(strange_paths_fail_clearly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			programs_are_files_that_may_be_executed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_interpreter_others_can_change_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_interpreter_found_by_env_is_checked_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_folder_to_search_for_programs_takes_no_strangers, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
