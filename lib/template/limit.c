/* SPDX-License-Identifier: MIT */
/*
 * How much of the disk the templates of a home may take. Whoever writes one makes room for it
 * first: those go that can be of no use any more, then those that were used least lately, but none
 * that is in use, and none on which another stands that stays.
 *
 * One writes at a time, with the lock `.room`. What all take together is noted in `.taken`, as
 * adding it up looks at each of them. The note is not there while somebody writes, so that his
 * death leaves no wrong one; what others delete meanwhile makes it too large, and then it is added
 * up once too often.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include <nova/snapshot.h>

#include "template/recipe.h"

#define MOST_BYTES                                                                                 \
	(10ull << 30) /* and at most this part of the disk, unless a setting says more             \
		       */
#define DISK_SHARE 10u
/* When room is made, a part of the limit more becomes free, so that it is not made for each. */
#define AHEAD_SHARE 10u
#define ROOM_MS     60000u /* others write for a moment; who waits has made its template by now */

static uint64_t limit_of(nova_host_t *host, const char *root)
{
	uint64_t told = config_u64(host_config(host), "pool.templates_disk") << 20,
		 share = fs_disk_size(root) / DISK_SHARE;
	if (told)
		return told;
	return share && share < MOST_BYTES ? share : MOST_BYTES;
}

/* --- what is there --- */

struct usage {
	struct manifest *all; /* of templates and snapshots */
	struct kept *kept;    /* the templates among them */
	size_t all_count, count;
	uint64_t bytes;
};

struct kept {
	struct manifest *manifest;
	uint64_t bytes, used_us;
	bool stale, gone;
};

static void usage_done(struct usage *u)
{
	manifests_free(u->all, u->all_count);
	free(u->kept);
}

static bool is_stale(nova_host_t *host, const char *root, const struct manifest *m)
{
	int code = instant_check(host, root, m, NULL);
	return code == NOVA_ESTALE || code == NOVA_ENOTFOUND;
}

/* What goes first comes first. */
static int by_use(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;
	if (x->stale != y->stale)
		return x->stale ? -1 : 1;
	return x->used_us < y->used_us ? -1 : x->used_us > y->used_us;
}

static int usage_take(const char *root, struct usage *u, nova_error_t **error)
{
	*u = (struct usage){ .all = NULL };
	int code = snapshot_list(root, &u->all, &u->all_count, error);
	if (code == 0 && !(u->kept = calloc(u->all_count + 1, sizeof(*u->kept))))
		code = nova_oom(error);
	for (size_t i = 0; code == 0 && i < u->all_count; i++) {
		struct manifest *m = &u->all[i];
		if (!str_starts(m->name, TEMPLATE_PREFIX))
			continue;
		struct kept *k = &u->kept[u->count++];
		*k = (struct kept){ .manifest = m, .bytes = snapshot_disk_bytes(root, m->id) };
		u->bytes += k->bytes;
	}
	return code;
}

static size_t count_bases(const struct usage *u)
{
	size_t count = 0;
	for (size_t i = 0; i < u->count; i++)
		count += u->kept[i].manifest->memory.size > 0;
	return count;
}

static void put_in_order(nova_host_t *host, const char *root, struct usage *u)
{
	for (size_t i = 0; i < u->count; i++) {
		u->kept[i].used_us = snapshot_last_use_us(root, u->kept[i].manifest->id);
		u->kept[i].stale = is_stale(host, root, u->kept[i].manifest);
	}
	if (u->count)
		qsort(u->kept, u->count, sizeof(*u->kept), by_use);
}

/* --- making room --- */

struct removed {
	size_t stale, unused;
	uint64_t bytes;
};

static bool is_base(const struct usage *u, const struct manifest *m)
{
	for (size_t i = 0; m->memory.size && i < u->all_count; i++)
		if (!strcmp(u->all[i].base, m->id))
			return true;
	return false;
}

/* A template that is gone stands on nothing any more. */
static void leave(struct usage *u, struct kept *k)
{
	k->manifest->base[0] = 0;
	u->bytes -= k->bytes;
	k->gone = true;
}

/* What is in use, or is just being removed by another, stays in the sum. */
static bool drop(const char *root, struct usage *u, struct kept *k, struct removed *removed)
{
	if (k->gone || is_base(u, k->manifest) || snapshot_remove(root, k->manifest, NULL) < 0)
		return false;
	leave(u, k);
	removed->bytes += k->bytes;
	*(k->stale ? &removed->stale : &removed->unused) += 1;
	return true;
}

/* Until no more than `most` bytes are left. A base can go only after what stands on it. */
static void drop_down_to(const char *root, struct usage *u, uint64_t most, struct removed *removed)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < u->count && (u->kept[i].stale || u->bytes > most); i++)
			again |= drop(root, u, &u->kept[i], removed);
	}
}

static void tell(nova_host_t *host, const struct removed *r)
{
	if (r->stale)
		log_warn(host_log(host), "template",
			"%zu were removed, as what they were made from has changed or is gone",
			r->stale);
	if (r->unused)
		log_info(host_log(host), "template",
			"%zu that were used least lately were removed: with these %" PRIu64
			" MB are free again (setting pool.templates_disk)",
			r->unused, r->bytes >> 20);
}

static uint64_t less(uint64_t from, uint64_t what)
{
	return from > what ? from - what : 0;
}

static int make_room(const struct recipe *r, uint64_t limit, uint64_t need, uint64_t *ret_taken,
	nova_error_t **error)
{
	CLEANUP(usage_done) struct usage u = { .all = NULL };
	struct removed removed = { 0 };
	uint64_t most = less(limit, need);
	int code = usage_take(r->root, &u, error);
	if (code < 0)
		return code;
	put_in_order(r->host, r->root, &u);
	drop_down_to(
		r->root, &u, u.bytes > most ? less(most, limit / AHEAD_SHARE) : most, &removed);
	tell(r->host, &removed);
	*ret_taken = u.bytes;
	return 0;
}

/* --- the note --- */

#define NOTE ".taken"

/* A note that was cut off has no end of line. */
static bool take_note(const char *path, uint64_t *ret_bytes)
{
	AUTO_BUF struct buf text = BUF_INIT(32);
	char *end = NULL;
	int r = path ? fs_read_file(path, &text) : -ENOMEM;
	if (path)
		fs_unlink(path);
	if (r < 0 || !text.len || buf_append(&text, "", 1) < 0)
		return false;
	*ret_bytes = strtoull((char *)text.data, &end, 10);
	return !strcmp(end, "\n");
}

/* Without it the next one adds up. */
static void leave_note(const char *root, uint64_t bytes)
{
	AUTO_FREE char *path = path_join(root, NOTE), *text = str_format("%" PRIu64 "\n", bytes);
	AUTO_FD int fd = path && text ? sys_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
	if (fd >= 0)
		sys_write_all(fd, text, strlen(text));
}

/* --- one writer --- */

static int fail_full(
	const char *root, uint64_t limit, uint64_t taken, uint64_t need, nova_error_t **error)
{
	return nova_fail(error, NOVA_ELIMIT,
		"the templates in '%s' may take %" PRIu64
		" MB (setting pool.templates_disk); %" PRIu64
		" MB are in use, and this one needs %" PRIu64
		" MB: allow more, or each process makes "
		"its own",
		root, limit >> 20, taken >> 20, (need >> 20) + 1);
}

static int lock_room(const struct recipe *r, int *ret_lock, nova_error_t **error)
{
	AUTO_FREE char *path = path_join(r->root, ".room");
	int os = path ? fs_lock_unless(path, r->stop, deadline_in_ms(ROOM_MS), ret_lock) : -ENOMEM;
	if (os == -EWOULDBLOCK)
		return nova_fail(error, NOVA_EBUSY,
			"another process has been writing templates to '%s' all the time", r->root);
	if (os == -ECANCELED)
		return stop_check(r->stop, "the template was written", error);
	return os < 0 ? nova_fail_os(error, os, "'%s'", path ? path : r->root) : 0;
}

int room_make(
	const struct recipe *r, uint64_t need, bool tidy, struct room *ret, nova_error_t **error)
{
	AUTO_FD int lock = -1;
	AUTO_FREE char *note = path_join(r->root, NOTE);
	uint64_t limit = limit_of(r->host, r->root), taken = 0;
	int code = lock_room(r, &lock, error);
	if (code < 0)
		return code;
	if (!take_note(note, &taken) || tidy || taken + need > limit)
		code = make_room(r, limit, need, &taken, error);
	if (code < 0)
		return code;
	if (taken + need > limit) {
		leave_note(r->root, taken);
		return fail_full(r->root, limit, taken, need, error);
	}
	*ret = (struct room){ STEAL_FD(lock), taken };
	return 0;
}

void room_done(const struct recipe *r, struct room *room, uint64_t bytes)
{
	leave_note(r->root, room->taken + bytes);
	fd_close(STEAL_FD(room->lock));
}

/* --- for people --- */

int nova_template_stats(nova_host_t *host, uint64_t *ret_values, size_t room, nova_error_t **error)
{
	if (ANY_NULL(error, host, ret_values))
		return NOVA_EINVAL;
	CLEANUP(usage_done) struct usage u = { .all = NULL };
	AUTO_FREE char *root = instants_root(host);
	int code = host_check_process(host, error);
	if (code == 0)
		code = root ? usage_take(root, &u, error) : nova_oom(error);
	if (code < 0)
		return code;
	const uint64_t values[] = {
		[NOVA_TEMPLATE_COUNT] = u.count,
		[NOVA_TEMPLATE_BASES] = count_bases(&u),
		[NOVA_TEMPLATE_BYTES] = u.bytes,
		[NOVA_TEMPLATE_LIMIT_BYTES] = limit_of(host, root),
	};
	memcpy(ret_values, values,
		sizeof(*values) * (room < ARRAY_LEN(values) ? room : ARRAY_LEN(values)));
	return ARRAY_LEN(values);
}
