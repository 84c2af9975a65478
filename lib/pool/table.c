/* SPDX-License-Identifier: MIT */
#include "pool/parts.h"

#define FIRST_SIZE 64u

int table_init(struct table *t)
{
	*t = (struct table){ calloc(FIRST_SIZE, sizeof(struct node *)), FIRST_SIZE, 0 };
	return t->buckets ? 0 : NOVA_ENOMEM;
}

void table_done(struct table *t)
{
	free(t->buckets);
	t->buckets = NULL;
}

struct node *table_bucket(const struct table *t, uint64_t hash)
{
	return t->buckets[hash & (t->size - 1)];
}

static void insert(struct node **buckets, size_t size, struct node *n)
{
	struct node **place = &buckets[n->hash & (size - 1)];
	n->next = *place;
	*place = n;
}

/* Without memory for more buckets the chains grow longer, no more. */
static void grow(struct table *t)
{
	struct node **larger = calloc(t->size * 2, sizeof(struct node *));
	if (!larger)
		return;
	for (size_t i = 0; i < t->size; i++)
		for (struct node *n = t->buckets[i], *next; n; n = next) {
			next = n->next;
			insert(larger, t->size * 2, n);
		}
	free(t->buckets);
	t->buckets = larger;
	t->size *= 2;
}

void table_add(struct table *t, struct node *n, uint64_t hash)
{
	if (t->count >= t->size)
		grow(t);
	n->hash = hash;
	insert(t->buckets, t->size, n);
	t->count++;
}

void table_remove(struct table *t, struct node *n)
{
	struct node **place = &t->buckets[n->hash & (t->size - 1)];
	while (*place != n)
		place = &(*place)->next;
	*place = n->next;
	t->count--;
}
