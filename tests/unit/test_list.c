#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/mem.h"
#include <cmocka.h>

struct item {
	int n;
	struct list link;
};

/* The numbers in the list, as digits of one. */
static int digits(struct list *head)
{
	int number = 0;

	list_foreach(pos, next, head) number =
		number * 10 + container_of(pos, struct item, link)->n;
	return number;
}

static void keeps_the_order(void **state)
{
	struct item a = {.n = 1}, b = {.n = 2}, c = {.n = 3};
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	list_append(&head, &b.link);
	list_append(&head, &c.link);
	list_insert(&head, &a.link);
	assert_int_equal(digits(&head), 123);
	list_remove(&b.link);
	assert_int_equal(digits(&head), 13);
	list_insert(&a.link, &b.link);
	assert_int_equal(digits(&head), 123);
}

static void removing_twice_is_fine(void **state)
{
	struct item a = {.n = 1}, b = {.n = 2};
	struct list head;

	(void)state;
	list_init(&head);
	list_append(&head, &a.link);
	list_append(&head, &b.link);
	list_remove(&a.link);
	list_remove(&a.link);
	assert_int_equal(digits(&head), 2);
	assert_true(list_empty(&a.link));
}

static void elements_may_go_while_it_is_walked(void **state)
{
	struct item items[4] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}};
	struct list head;

	(void)state;
	list_init(&head);
	for (int i = 0; i < 4; i++)
		list_append(&head, &items[i].link);
	list_foreach(pos, next, &head)
	{
		if (container_of(pos, struct item, link)->n % 2 == 0)
			list_remove(pos);
	}
	assert_int_equal(digits(&head), 13);
}

static void moves_everything_at_once(void **state)
{
	struct item a = {.n = 1}, b = {.n = 2};
	struct list from, to;

	(void)state;
	list_init(&from);
	list_append(&from, &a.link);
	list_append(&from, &b.link);
	list_move_all(&from, &to);
	assert_true(list_empty(&from));
	assert_int_equal(digits(&to), 12);
	list_move_all(&from, &to);
	assert_true(list_empty(&to));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_order),
		cmocka_unit_test(removing_twice_is_fine),
		cmocka_unit_test(elements_may_go_while_it_is_walked),
		cmocka_unit_test(moves_everything_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
