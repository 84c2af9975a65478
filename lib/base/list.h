/* SPDX-License-Identifier: MIT */
/* Lists whose links are members of what is in them: rings in which the head is a link, too. */
#ifndef NOVA_LIB_BASE_LIST_H
#define NOVA_LIB_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* All zero: in no list. */
struct link {
	struct link *prev, *next;
};
#define CONTAINER_OF(at, type, member) ((type *)(void *)((char *)(at)-offsetof(type, member)))

static inline void list_init(struct link *head)
{
	head->prev = head->next = head;
}
static inline bool list_empty(const struct link *head)
{
	return head->next == head;
}
static inline bool linked(const struct link *l)
{
	return l->next != NULL;
}
static inline void link_remove(struct link *l)
{
	if (!l->next)
		return;
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->prev = l->next = NULL;
}
/* Behind `at`: as the first of a list if that is its head. */
static inline void link_after(struct link *at, struct link *l)
{
	l->prev = at;
	l->next = at->next;
	at->next->prev = l;
	at->next = l;
}
static inline void list_append(struct link *head, struct link *l)
{
	link_after(head->prev, l);
}
/* NULL: it is empty. */
static inline struct link *list_first(const struct link *head)
{
	return list_empty(head) ? NULL : head->next;
}
/* The same, and takes it out. */
static inline struct link *list_pop(struct link *head)
{
	struct link *l = list_first(head);
	if (l)
		link_remove(l);
	return l;
}

#endif
