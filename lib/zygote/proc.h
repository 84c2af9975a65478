/* SPDX-License-Identifier: MIT */
/* Reading /proc without memory of the heap: whoever holds its lock may be standing. */
#ifndef NOVA_LIB_ZYGOTE_PROC_H
#define NOVA_LIB_ZYGOTE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROC_TEXT 8192 /* enough for what is read here whole */

/* The numbers that a directory lists. */
struct proc_list {
	int fd;
	long have, at;
	char bytes[2048] __attribute__((aligned(8)));
};

/* False: it cannot be opened. */
bool proc_list_open(struct proc_list *list, const char *path);
bool proc_list_next(struct proc_list *list, int *ret_number);
void proc_list_close(struct proc_list *list);

/* The whole file with a NUL; false: it cannot be read, or is too long. */
bool proc_read(const char *path, char *text, size_t size);

/* Hands out each line of a file, however long that is; what `look` returns if that is not 0, which
 * ends it. A negative errno: it cannot be read, or a line is too long. */
int proc_each_line(const char *path, int (*look)(const char *line, void *context), void *context);

/* The value of a line "name: value", NULL: there is none. */
const char *proc_field(const char *text, const char *name);
/* 0 if there is none. */
uint64_t proc_number(const char *value, unsigned base);
/* Whether two lines end alike. */
bool proc_same_line(const char *a, const char *b);

#endif
