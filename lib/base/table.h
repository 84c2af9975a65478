/* SPDX-License-Identifier: MIT */
/*
 * A hash table whose entries are members of what is in it. It grows with that, so that looking up
 * takes no longer with ten thousand of them.
 */
#ifndef NOVA_LIB_BASE_TABLE_H
#define NOVA_LIB_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_node {
	struct table_node *next;
	uint64_t hash;
};
struct table {
	struct table_node **buckets; /* a power of two of them */
	size_t size, count;
};
int table_init(struct table *t); /* 0 or -ENOMEM */
void table_done(struct table *t);
/* the first of those among which it must be */
struct table_node *table_bucket(const struct table *t, uint64_t hash);
void table_add(struct table *t, struct table_node *n, uint64_t hash);
void table_remove(struct table *t, struct table_node *n);

uint64_t hash_text(const char *text);

#endif
