/* SPDX-License-Identifier: MIT */
/* From journals into the store: sums by hour, key, function and mode. */
#include <errno.h>
#include <fcntl.h>

#include "base/lock.h"
#include "usage/usage.h"

#define CHUNK (256u << 10) /* of a journal, in one transaction */

/* --- sums --- */

static int compare(const void *a, const void *b)
{
	const struct usage_record *x = a, *y = b;
	if (x->hour != y->hour)
		return x->hour < y->hour ? -1 : 1;
	int order = strcmp(x->key, y->key);
	if (order == 0)
		order = strcmp(x->function, y->function);
	return order ? order : x->mode < y->mode ? -1 : x->mode > y->mode;
}

/* What there is more of than fits is the most that fits. */
static void add(struct usage_record *to, const struct usage_record *from)
{
	for (int i = 0; i < USAGE_AMOUNTS; i++) {
		uint64_t sum = to->amounts[i] + from->amounts[i];
		to->amounts[i] = sum > INT64_MAX ? INT64_MAX : sum;
	}
}

static size_t merge(struct usage_record *records, size_t count)
{
	size_t kept = 0;
	if (count)
		qsort(records, count, sizeof(*records), compare);
	for (size_t i = 0; i < count; i++)
		if (kept && compare(&records[kept - 1], &records[i]) == 0)
			add(&records[kept - 1], &records[i]);
		else
			records[kept++] = records[i];
	return kept;
}

/* --- one journal --- */

struct chunk {
	char *data;
	size_t len; /* of whole lines */
	struct usage_record *records;
	size_t count;
};

static void chunk_done(struct chunk *c)
{
	free(c->data);
	free(c->records);
}

/* *ret_len 0: there is no whole line from there on. */
static int read_chunk(int fd, uint64_t place, uint64_t size, struct chunk *c)
{
	size_t len = size - place > CHUNK ? CHUNK : (size_t)(size - place);
	int r = sys_pread_all(fd, c->data, len, place);
	const char *end = r == 0 && len ? memrchr(c->data, '\n', len) : NULL;
	c->len = end ? (size_t)(end - c->data) + 1 : len == CHUNK ? len : 0;
	return r;
}

static void read_lines(struct chunk *c, uint64_t *ret_bad)
{
	c->data[c->len] = 0;
	c->count = 0;
	for (char *at = c->data, *end = c->data + c->len, *next; at < end; at = next) {
		next = memchr(at, '\n', (size_t)(end - at));
		next = next ? next : end - 1;
		*next++ = 0;
		if (usage_line_read(at, &c->records[c->count]))
			c->count++;
		else
			*ret_bad += 1;
	}
}

static int chunk_init(struct chunk *c, nova_error_t **error)
{
	c->data = malloc(CHUNK + 1);
	c->records = calloc(CHUNK / 32u + 1u, sizeof(*c->records)); /* no line is shorter */
	return c->data && c->records ? 0 : nova_oom(error);
}

/* As far as there is something now. *ret_place: how far. */
static int fold_file(int fd, const char *name, struct store *store, uint64_t *ret_place,
	uint64_t *ret_bad, nova_error_t **error)
{
	struct stat about;
	CLEANUP(chunk_done) struct chunk c = { NULL };
	int code = store->ops->usage->place(store, name, ret_place, error);
	int r = sys_fstat(fd, &about);
	if (code == 0 && r == 0 && *ret_place < (uint64_t)about.st_size)
		code = chunk_init(&c, error);
	while (code == 0 && r == 0 && *ret_place < (uint64_t)about.st_size) {
		bool done = false;
		uint64_t bad = 0;
		r = read_chunk(fd, *ret_place, (uint64_t)about.st_size, &c);
		if (r < 0 || !c.len)
			break;
		read_lines(&c, &bad);
		code = store->ops->usage->fold(store, name, *ret_place, *ret_place + c.len,
			c.records, merge(c.records, c.count), &done, error);
		if (code == 0 && done)
			*ret_bad += bad;
		if (code == 0 && done)
			*ret_place += c.len;
		else if (code == 0) /* somebody else was faster */
			code = store->ops->usage->place(store, name, ret_place, error);
	}
	return r < 0 ? nova_fail_os(error, r, "the journal of usage '%s' cannot be read", name) :
		       code;
}

/* Its owner has left it: what is not finished is nothing. One that is shorter than it was lost what
 * is in the store already, with the power of the machine. */
static void remove_if_left(
	int fd, const char *path, const char *name, struct store *store, uint64_t place)
{
	struct stat about;
	if (sys_flock(fd, true, false) < 0 || sys_fstat(fd, &about) < 0 || lock_is_removed(fd))
		return;
	AUTO_FREE char *tail = NULL;
	uint64_t size = (uint64_t)about.st_size;
	size_t left = size > place ? (size_t)(size - place) : 0;
	if (left > CHUNK || ((tail = malloc(left + 1)) == NULL) ||
		sys_pread_all(fd, tail, left, place) < 0 || memchr(tail, '\n', left))
		return; /* it was written to meanwhile */
	if (fs_unlink_durably(path) == 0)
		store->ops->usage->forget(store, name, clock_unix_us() / USAGE_HOUR_US, NULL);
}

static int fold_one(const char *directory, const char *name, struct store *store, uint64_t *ret_bad,
	nova_error_t **error)
{
	uint64_t place = 0;
	AUTO_FREE char *path = path_join(directory, name);
	if (!path)
		return nova_oom(error);
	AUTO_FD int fd = sys_open(path, O_RDONLY | O_NOFOLLOW, 0);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return nova_fail_os(error, fd, "the journal of usage '%s' cannot be read", path);
	int code = fold_file(fd, name, store, &place, ret_bad, error);
	if (code == 0)
		remove_if_left(fd, path, name, store, place);
	return code;
}

int usage_fold(const char *directory, struct store *store, uint64_t *ret_bad, nova_error_t **error)
{
	char **names;
	int code = 0, count = fs_list(directory, &names);
	*ret_bad = 0;
	if (count == -ENOENT)
		return 0;
	if (count < 0)
		return nova_fail_os(error, count, "the journals of usage in '%s'", directory);
	for (int i = 0; i < count && (code == 0 || code == NOVA_EPERM); i++) {
		if (!usage_is_journal(names[i]))
			continue;
		/* one that belongs to somebody else holds up no other */
		int r = fold_one(directory, names[i], store, ret_bad, code < 0 ? NULL : error);
		code = code < 0 ? code : r;
	}
	strv_free(names, (size_t)count);
	return code;
}
