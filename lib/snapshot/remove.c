/* SPDX-License-Identifier: MIT */
/* Removing snapshots. With the lock of the root held one is moved away, in one step; its files are
 * removed after that, or swept later. */
#include <errno.h>

#include "snapshot/manifest.h"

/* A file that is missing is locked by nobody. */
static int lock_against_users(
	const char *directory, const struct manifest *m, int *ret_state, int *ret_memory)
{
	int r = file_lock(directory, "state", true, ret_state);
	if (m->memory.size && (r == 0 || r == -ENOENT))
		r = file_lock(directory, memory_name(m), true, ret_memory);
	return r == -ENOENT ? 0 : r;
}

/* --- with the lock of the root held --- */

/* To *ret_trash, which is to be removed and freed. -errno. */
static int move_away(const char *root, const char *id, char **ret_trash)
{
	char unique[9];
	int r = random_hex(unique, 8);
	if (r < 0)
		return r;
	AUTO_FREE char *path = path_join(root, id),
		       *trash = str_format("%s/.tmp-%s-%s", root, id, unique);
	r = path && trash ? fs_rename(path, trash) : -ENOMEM;
	if (r == 0)
		*ret_trash = STEAL(trash);
	return r;
}

static int take_out(
	const char *root, const struct manifest *m, char **ret_trash, nova_error_t **error)
{
	AUTO_FREE char *path = path_join(root, m->id);
	AUTO_FD int state = -1, memory = -1;
	if (!path)
		return nova_oom(error);
	int r = lock_against_users(path, m, &state, &memory);
	if (r == 0)
		r = move_away(root, m->id, ret_trash);
	if (r == -EWOULDBLOCK)
		return nova_fail(
			error, NOVA_EBUSY, "snapshot '%s' is in use by a running microVM", m->name);
	return r < 0 ? nova_fail_os(error, r, "snapshot '%s'", m->name) : 0;
}

static int check_no_dependent(const char *root, const struct manifest *m, nova_error_t **error)
{
	struct manifest *all = NULL;
	size_t count = 0;
	int code = snapshot_list(root, &all, &count, error);
	for (size_t i = 0; code == 0 && i < count; i++)
		if (!strcmp(all[i].base, m->id))
			code = nova_fail(error, NOVA_EBUSY,
				"snapshot '%s' is the base of snapshot '%s': delete that first",
				m->name, all[i].name);
	manifests_free(all, count);
	return code;
}

/* --- the lock --- */

/* Nothing is published while it is held, and who writes a snapshot that depends on another holds
 * the lock of that one's memory. */
static int lock_root(const char *root, int *ret_lock, nova_error_t **error)
{
	AUTO_FREE char *guard = path_join(root, ".lock");
	int r = guard ? fs_lock(guard, true, ret_lock) : -ENOMEM;
	return r < 0 ? nova_fail_os(error, r, "the lock of '%s'", root) : 0;
}

static void remove_trash(char *trash)
{
	if (trash)
		fs_remove_tree(trash);
	free(trash);
}

int snapshot_remove(const char *root, const struct manifest *m, nova_error_t **error)
{
	int guard = -1;
	char *trash = NULL;
	int code = lock_root(root, &guard, error);
	if (code < 0)
		return code;
	if (m->memory.size)
		code = check_no_dependent(root, m, error);
	if (code == 0)
		code = take_out(root, m, &trash, error);
	fd_close(guard);
	remove_trash(trash);
	return code;
}

void snapshot_discard(const char *root, const char *id)
{
	int guard = -1;
	char *trash = NULL;
	if (lock_root(root, &guard, NULL) < 0)
		return;
	move_away(root, id, &trash);
	fd_close(guard);
	remove_trash(trash);
}

/* --- many at once --- */

/* Ids of snapshots on which others are based, in order. */
struct bases {
	char (*ids)[SNAPSHOT_ID];
	size_t count;
};

static void bases_done(struct bases *bases)
{
	free(bases->ids);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int list_bases(const char *root, struct bases *ret, nova_error_t **error)
{
	struct manifest *all = NULL;
	size_t count = 0;
	int code = snapshot_list(root, &all, &count, error);
	if (code < 0)
		return code;
	ret->ids = calloc(count + 1, sizeof(*ret->ids));
	for (size_t i = 0; ret->ids && i < count; i++)
		if (*all[i].base)
			memcpy(ret->ids[ret->count++], all[i].base, SNAPSHOT_ID);
	manifests_free(all, count);
	if (!ret->ids)
		return nova_oom(error);
	qsort(ret->ids, ret->count, sizeof(*ret->ids), by_id);
	return 0;
}

static bool is_base(const struct bases *bases, const char *id)
{
	return bsearch(id, bases->ids, bases->count, sizeof(*bases->ids), by_id) != NULL;
}

struct removal {
	const char *root;
	const struct manifest *const *list;
	size_t count;
	char **trash; /* as many as there are in the list */
	size_t trash_count;
};

/* What is in use stays, as does what has gone meanwhile. */
static int take_out_one(struct removal *r, const struct manifest *m, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	int code = take_out(r->root, m, &r->trash[r->trash_count], &why);
	if (code == 0)
		r->trash_count++;
	if (!code_is_refusal(code))
		return 0;
	if (error)
		*error = STEAL(why);
	return code;
}

/* What has its own memory goes last: when those that are based on it have gone. */
static int take_out_all(struct removal *r, nova_error_t **error)
{
	CLEANUP(bases_done) struct bases used = { .count = 0 };
	size_t left = 0;
	int code = 0;
	for (size_t i = 0; code == 0 && i < r->count; i++)
		if (r->list[i]->memory.size)
			left++;
		else
			code = take_out_one(r, r->list[i], error);
	if (code == 0 && left)
		code = list_bases(r->root, &used, error);
	for (size_t i = 0; code == 0 && left && i < r->count; i++)
		if (r->list[i]->memory.size && !is_base(&used, r->list[i]->id))
			code = take_out_one(r, r->list[i], error);
	return code;
}

int snapshot_remove_unused(const char *root, const struct manifest *const *list, size_t count,
	size_t *ret_removed, nova_error_t **error)
{
	int guard = -1;
	struct removal r = { root, list, count, calloc(count + 1, sizeof(char *)), 0 };
	int code = r.trash ? lock_root(root, &guard, error) : nova_oom(error);
	if (code == 0)
		code = take_out_all(&r, error);
	fd_close(guard);
	for (size_t i = 0; i < r.trash_count; i++)
		remove_trash(r.trash[i]);
	free(r.trash);
	*ret_removed = r.trash_count;
	return code;
}
