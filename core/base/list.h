/*
 * A doubly linked list whose links live in the elements. Say which element and link a head is for
 * where it is declared: `struct list subs;  // sub.link` (with block comments in our files).
 * A link that is in no list points to itself, so list_remove() may be called twice.
 */
#ifndef OPS_BASE_LIST_H
#define OPS_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *list)
{
	list->next = list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
	return list->next == list;
}

/* Inserts link behind pos: at the front when pos is the head. */
static inline void list_insert(struct list *pos, struct list *link)
{
	link->prev = pos;
	link->next = pos->next;
	pos->next->prev = link;
	pos->next = link;
}

/* Inserts link at the end of the list whose head is given. */
static inline void list_append(struct list *head, struct list *link)
{
	list_insert(head->prev, link);
}

static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* Moves everything in from to the (initialised, empty) list to; from is empty afterwards. */
static inline void list_move_all(struct list *from, struct list *to)
{
	list_init(to);
	if (list_empty(from))
		return;
	to->next = from->next;
	to->prev = from->prev;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

/* Elements may be removed by the body: next is taken before it runs. */
#define list_foreach(pos, tmp, head)                                                               \
	for (struct list *pos = (head)->next, *tmp = pos->next; pos != (head);                     \
		pos = tmp, tmp = pos->next)

#endif
