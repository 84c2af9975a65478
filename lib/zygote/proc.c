/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "zygote/proc.h"
#include "zygote/raw.h"

struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

bool proc_list_open(struct proc_list *list, const char *path)
{
	list->fd = raw_open(path, O_RDONLY | O_DIRECTORY);
	list->have = list->at = 0;
	return list->fd >= 0;
}

void proc_list_close(struct proc_list *list)
{
	raw_close(list->fd);
	list->fd = -1;
}

bool proc_list_next(struct proc_list *list, int *ret_number)
{
	for (;;) {
		if (list->at >= list->have) {
			list->have = raw(
				SYS_getdents64, list->fd, (long)list->bytes, sizeof(list->bytes));
			list->at = 0;
			if (list->have <= 0)
				return false;
		}
		const struct entry *e = (const struct entry *)(list->bytes + list->at);
		list->at += e->len;
		if (e->name[0] < '0' || e->name[0] > '9')
			continue;
		*ret_number = (int)proc_number(e->name, 10);
		return true;
	}
}

bool proc_read(const char *path, char *text, size_t size)
{
	int fd = raw_open(path, O_RDONLY);
	size_t have = 0;
	long n = fd;
	while (n >= 0 && have < size - 1 &&
		(n = raw(SYS_read, fd, (long)(text + have), (long)(size - 1 - have))) > 0)
		have += (size_t)n;
	raw_close(fd);
	text[have] = 0;
	return n == 0;
}

/* Complete lines; what is left of them moves to the front. */
static long hand_out(
	char *text, int (*look)(const char *line, void *context), void *context, int *r)
{
	char *line = text;
	for (char *end; *r == 0 && (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		*r = look(line, context);
	}
	long left = (long)strlen(line);
	memmove(text, line, (size_t)left + 1);
	return left;
}

int proc_each_line(const char *path, int (*look)(const char *line, void *context), void *context)
{
	char text[PROC_TEXT];
	int fd = raw_open(path, O_RDONLY), r = 0;
	long have = 0, n = 0;
	while (fd >= 0 && r == 0 && have < PROC_TEXT - 1 &&
		(n = raw(SYS_read, fd, (long)(text + have), PROC_TEXT - 1 - have)) > 0) {
		text[have + n] = 0;
		have = hand_out(text, look, context, &r);
	}
	raw_close(fd);
	return r == 0 && (fd < 0 || n != 0 || have) ? -EIO : r;
}

static const char *skip_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

const char *proc_field(const char *text, const char *name)
{
	size_t len = strlen(name);
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			return skip_blanks(line + len + 1);
	}
	return NULL;
}

static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

uint64_t proc_number(const char *value, unsigned base)
{
	uint64_t number = 0;
	for (value = value ? skip_blanks(value) : ""; digit(*value) < base; value++)
		number = number * base + digit(*value);
	return number;
}

bool proc_same_line(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	while (*a == *b && *a && *a != '\n')
		a++, b++;
	return (*a == 0 || *a == '\n') && (*b == 0 || *b == '\n');
}
