/* SPDX-License-Identifier: MIT */
/* Hash tables, and FNV-1a. */
#include <errno.h>
#include <stdlib.h>

#include "base/table.h"

#define FIRST_SIZE 64u

int table_init(struct table *t)
{
	*t = (struct table){ calloc(FIRST_SIZE, sizeof(struct table_node *)), FIRST_SIZE, 0 };
	return t->buckets ? 0 : -ENOMEM;
}

void table_done(struct table *t)
{
	free(t->buckets);
	t->buckets = NULL;
}

struct table_node *table_bucket(const struct table *t, uint64_t hash)
{
	return t->buckets[hash & (t->size - 1)];
}

static void insert(struct table_node **buckets, size_t size, struct table_node *n)
{
	struct table_node **place = &buckets[n->hash & (size - 1)];
	n->next = *place;
	*place = n;
}

/* Without memory for more buckets the chains grow longer, no more. */
static void grow(struct table *t)
{
	struct table_node **larger = calloc(t->size * 2, sizeof(struct table_node *));
	if (!larger)
		return;
	for (size_t i = 0; i < t->size; i++)
		for (struct table_node *n = t->buckets[i], *next; n; n = next) {
			next = n->next;
			insert(larger, t->size * 2, n);
		}
	free(t->buckets);
	t->buckets = larger;
	t->size *= 2;
}

void table_add(struct table *t, struct table_node *n, uint64_t hash)
{
	if (t->count >= t->size)
		grow(t);
	n->hash = hash;
	insert(t->buckets, t->size, n);
	t->count++;
}

void table_remove(struct table *t, struct table_node *n)
{
	struct table_node **place = &t->buckets[n->hash & (t->size - 1)];
	while (*place != n)
		place = &(*place)->next;
	*place = n->next;
	t->count--;
}

uint64_t hash_text(const char *text)
{
	uint64_t hash = 14695981039346656037u;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash ^ hash >> 32; /* the low bits choose the bucket */
}
