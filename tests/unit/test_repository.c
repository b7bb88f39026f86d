#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "agent/probes/repository.h"

static void reads_what_git_says(void **state)
{
	struct repository r;

	(void)state;
	assert_int_equal(repository_parse("# branch.oid 0123456789abcdef\n"
					  "# branch.head main\n"
					  "# branch.upstream origin/main\n"
					  "# branch.ab +2 -13\n"
					  "# stash 1\n"
					  "1 .M N... 100644 100644 100644 a b file\n"
					  "2 R. N... 100644 100644 100644 a b R100 new\told\n"
					  "u UU N... 1 1 1 1 a b c both\n"
					  "? new file\n",
				 &r),
		0);
	assert_string_equal(r.commit, "0123456789abcdef");
	assert_string_equal(r.branch, "main");
	assert_string_equal(r.upstream, "origin/main");
	assert_int_equal(r.ahead, 2);
	assert_int_equal(r.behind, 13);
	assert_int_equal(r.changed, 3);
	assert_int_equal(r.untracked, 1);
}

static void reads_a_repository_without_commits(void **state)
{
	struct repository r;

	(void)state;
	assert_int_equal(repository_parse("# branch.oid (initial)\n# branch.head main\n", &r), 0);
	assert_string_equal(r.commit, "");
	assert_string_equal(r.upstream, "");
}

static void refuses_what_git_does_not_say(void **state)
{
	struct repository r;

	(void)state;
	assert_int_equal(repository_parse("", &r), -EBADMSG);
	assert_int_equal(repository_parse("# branch.oid 1\n", &r), -EBADMSG);
	assert_int_equal(repository_parse("# branch.head m\nhello\n", &r), -EBADMSG);
	assert_int_equal(repository_parse("# branch.head m\n# branch.ab 1 2\n", &r), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_git_says),
		cmocka_unit_test(reads_a_repository_without_commits),
		cmocka_unit_test(refuses_what_git_does_not_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
