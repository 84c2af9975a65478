/* SPDX-License-Identifier: MIT */
/*
 * Blobs in a store that several hosts share, with a directory of this host in front.
 *
 * The lock is that of the directory, and excludes this host alone: between hosts the store sees to
 * it that nothing goes which somebody is about to need.
 */
#include <errno.h>
#include <fcntl.h>

#include "blob/blob.h"

#define MEGABYTE (1u << 20)

struct shared {
	struct blobs base;
	struct blobs *cache;
	struct store *store;
	uint64_t most; /* bytes of the cache; 0: no limit */
};

static struct shared *shared_of(struct blobs *blobs)
{
	return (struct shared *)blobs;
}

static void shared_close(struct blobs *blobs)
{
	struct shared *s = shared_of(blobs);
	if (s)
		blobs_closep(&s->cache);
	free(s);
}

static int shared_lock(struct blobs *blobs, bool wait, int *ret_fd, nova_error_t **error)
{
	struct blobs *cache = shared_of(blobs)->cache;
	return cache->ops->lock(cache, wait, ret_fd, error);
}

static int shared_begin(struct blobs *blobs, char **ret_path, nova_error_t **error)
{
	struct blobs *cache = shared_of(blobs)->cache;
	return cache->ops->begin(cache, ret_path, error);
}

static void shrink(struct shared *s)
{
	if (s->most)
		blobs_shrink(s->cache, s->most);
}

static int shared_put(struct blobs *blobs, const char *path, const char *hash, nova_error_t **error)
{
	struct shared *s = shared_of(blobs);
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return nova_fail_os(error, fd, "cannot read %s", path);
	int r = s->store->ops->contents->put(s->store, hash, fd, error);
	if (r == 0)
		r = s->cache->ops->put(s->cache, path, hash, error);
	shrink(s);
	return r;
}

static int shared_remove(struct blobs *blobs, const char *hash, nova_error_t **error)
{
	struct shared *s = shared_of(blobs);
	int r = s->cache->ops->remove(s->cache, hash, error);
	s->store->ops->contents->sweep(s->store, NULL);
	return r;
}

static void shared_tidy(struct blobs *blobs)
{
	struct shared *s = shared_of(blobs);
	s->cache->ops->tidy(s->cache);
	s->store->ops->contents->sweep(s->store, NULL);
}

/* --- always --- */

static int fill(struct shared *s, const char *path, const char *hash, nova_error_t **error)
{
	AUTO_FREE char *temp = NULL;
	AUTO_FD int fd = -1;
	char found[SHA256_HEX];
	int os = fs_temp_beside(path, 0600, &fd, &temp);
	if (os < 0)
		return nova_fail_os(error, os, "cannot make %s", path);
	int r = s->store->ops->contents->get(s->store, hash, fd, error);
	if (r == 0 && (os = sha256_file_hex(temp, found)) < 0)
		r = nova_fail_os(error, os, "cannot read %s", temp);
	if (r == 0 && strcmp(found, hash))
		r = nova_fail(error, NOVA_ECORRUPT,
			"a file of a function in the store is damaged: its SHA-256 is %s instead "
			"of %s; register the function again to make it anew",
			found, hash);
	if (r == 0)
		fs_set_mtime(temp, WHOLE_NS); /* else it would be another file at the next look */
	if (r == 0 && (os = fs_publish(fd, temp, path)) < 0)
		r = nova_fail_os(error, os, "cannot write %s", path);
	if (r < 0)
		fs_unlink(temp);
	return r;
}

static int shared_get(struct blobs *blobs, const char *hash, char **ret_path, nova_error_t **error)
{
	struct shared *s = shared_of(blobs);
	AUTO_ERROR nova_error_t *failure = NULL;
	AUTO_FREE char *path = NULL;
	int r = s->cache->ops->get(s->cache, hash, &path, &failure);
	/* the store has a better one */
	if (r == NOVA_ECORRUPT && s->cache->ops->remove(s->cache, hash, NULL) == 0)
		r = s->cache->ops->get(s->cache, hash, &path, error);
	else if (r < 0 && error)
		*error = STEAL(failure);
	if (r == 0 && !fs_exists(path)) {
		r = fill(s, path, hash, error);
		shrink(s);
	}
	if (r == 0)
		*ret_path = STEAL(path);
	return r;
}

static int shared_has(struct blobs *blobs, const char *hash, nova_error_t **error)
{
	struct shared *s = shared_of(blobs);
	int r = s->cache->ops->has(s->cache, hash, error);
	return r ? r : s->store->ops->contents->has(s->store, hash, error);
}

static int shared_check(struct blobs *blobs, const char *hash, nova_error_t **error)
{
	struct shared *s = shared_of(blobs);
	AUTO_FREE char *path = NULL;
	int r = shared_get(blobs, hash, &path, error);
	return r < 0 ? r : s->cache->ops->check(s->cache, hash, error);
}

static int shared_list(
	struct blobs *blobs, char ***ret_hashes, size_t *ret_count, nova_error_t **error)
{
	struct blobs *cache = shared_of(blobs)->cache;
	return cache->ops->list(cache, ret_hashes, ret_count, error);
}

static const struct blob_ops blobs_shared = {
	.close = shared_close,
	.lock = shared_lock,
	.begin = shared_begin,
	.put = shared_put,
	.remove = shared_remove,
	.tidy = shared_tidy,
	.get = shared_get,
	.has = shared_has,
	.check = shared_check,
	.list = shared_list,
};

int blobs_share(struct blobs **blobs, struct store *store, const nova_config_t *config,
	nova_error_t **error)
{
	if (!store->ops->shared)
		return 0;
	struct shared *s = malloc(sizeof(*s));
	if (!s)
		return nova_oom(error);
	*s = (struct shared){ { &blobs_shared }, *blobs, store,
		config_u64(config, "postgres.cache") * MEGABYTE };
	*blobs = &s->base;
	return 0;
}
