/* SPDX-License-Identifier: MIT */
/* What is asked for is found among what was installed before, or installed. */
#include <errno.h>
#include <fcntl.h>

#include "deps/internal.h"
#include "vm/vm.h"

#define DIRECTORY "deps" /* in the state directory */
#define KEPT      16     /* installations; the longest unused goes first */

void deps_done(struct deps *deps)
{
	if (deps->work)
		fs_remove_tree(deps->work);
	fd_close(deps->lock);
	free(deps->directory);
	free(deps->work);
	*deps = (struct deps)DEPS_NONE;
}

/* --- the guest --- */

/* Without a guest (the engine fake) functions run on this host. */
static int find_guest(nova_host_t *host, const char *image, struct deps_guest *ret, bool python,
	nova_error_t **error)
{
	const struct engine_ops *ops;
	AUTO_FREE char *kernel = NULL, *initramfs = NULL, *rootfs = NULL;
	int code = host_choose_engine(host, NULL, &ops, error);
	if (code < 0 || !engine_has(ops, NOVA_FEATURE_GUEST))
		return code;
	code = vm_find_images(host, ops, image, &kernel, &initramfs, &rootfs, error);
	if (code < 0 || !python)
		return code;
	return deps_guest_python(rootfs, ret, error);
}

/* --- what is kept --- */

struct kept {
	char *root; /* the directory of all */
	char *path; /* of this one; NULL: it is not kept */
	int lock;   /* shared: none is removed meanwhile */
};

static void kept_done(struct kept *kept)
{
	fd_close(kept->lock);
	free(kept->root);
	free(kept->path);
}

/* The file beside an installation that is as old as its last use. */
static char *mark_of(const char *path)
{
	return str_format("%s.used", path);
}

static void touch(const struct kept *kept)
{
	AUTO_FREE char *mark = mark_of(kept->path);
	if (mark)
		fs_write_file(mark, "", 0, 0600);
}

/* 0: it has no mark. */
static uint64_t last_use(const char *path)
{
	uint64_t mtime;
	AUTO_FREE char *mark = mark_of(path);
	return mark && fs_stat(mark, NULL, &mtime) == 0 ? mtime : 0;
}

/* The one that was used the longest ago, if there is no room for `key` beside the others; freed by
 * the caller. */
static char *oldest(const char *root, const char *key)
{
	char **names, *found = NULL;
	uint64_t least = UINT64_MAX;
	int count = fs_list(root, &names), others = 0;
	for (int i = 0; i < count; i++) {
		if (strlen(names[i]) != SHA256_HEX - 1 || !strcmp(names[i], key))
			continue;
		AUTO_FREE char *path = path_join(root, names[i]);
		uint64_t used = path ? last_use(path) : UINT64_MAX;
		others++;
		if (used >= least)
			continue;
		least = used;
		free(found);
		found = STEAL(path);
	}
	if (count > 0)
		strv_free(names, (size_t)count);
	if (others < KEPT)
		free(STEAL(found));
	return found;
}

/* The mark first: without it a tree that is left is the next to go. */
static int forget(const char *path)
{
	AUTO_FREE char *mark = mark_of(path);
	int r = mark ? fs_remove_tree(mark) : -ENOMEM;
	return r < 0 && r != -ENOENT ? r : fs_remove_tree(path);
}

/* Unless somebody is at work there: whoever comes later will do it. */
static void prune(const struct kept *kept, const char *key)
{
	if (sys_flock(kept->lock, true, false) < 0)
		return;
	for (int r = 0; r == 0;) {
		AUTO_FREE char *path = oldest(kept->root, key);
		r = path ? forget(path) : -ENOENT;
	}
}

/* Others are pruned before, as afterwards the lock is not given up for a moment. */
static int kept_open(nova_host_t *host, const char *key, struct kept *ret, nova_error_t **error)
{
	ret->root = path_join(nova_host_home(host), DIRECTORY);
	AUTO_FREE char *lock = ret->root ? path_join(ret->root, ".lock") : NULL;
	int r = lock ? fs_mkdirs(ret->root, 0700) : -ENOMEM;
	if (r == 0 && *key && !(ret->path = path_join(ret->root, key)))
		r = -ENOMEM;
	if (r == 0)
		r = ret->lock = sys_open(lock, O_RDWR | O_CREAT, 0600);
	if (r >= 0) {
		prune(ret, key);
		r = sys_flock(ret->lock, false, true);
	}
	return r < 0 ? nova_fail_os(error, r, "the packages that are kept in '%s'",
			       ret->root ? ret->root : DIRECTORY) :
		       0;
}

/* --- installing --- */

static int make_work(nova_host_t *host, struct deps *deps, nova_error_t **error)
{
	char random[17];
	int r = random_hex(random, 16);
	if (r < 0)
		return nova_fail_os(error, r, "cannot get random bytes");
	deps->work = str_format("%s/deps-%s", host_engine_env(host)->run_dir, random);
	deps->directory = deps->work ? path_join(deps->work, "target") : NULL;
	if (!deps->directory)
		return nova_oom(error);
	r = fs_mkdirs(deps->directory, 0700);
	return r < 0 ? nova_fail_os(error, r, "cannot make '%s'", deps->directory) : 0;
}

/* From now on it is everybody's. Somebody else's of the same key is as good. */
static int keep(const struct kept *kept, struct deps *deps, nova_error_t **error)
{
	int r = fs_rename(deps->directory, kept->path);
	if (r < 0 && fs_is_directory(kept->path) <= 0)
		return nova_fail_os(error, r, "cannot keep the packages in '%s'", kept->path);
	fs_remove_tree(deps->work);
	free(STEAL(deps->work));
	free(deps->directory);
	deps->directory = strdup(kept->path);
	return deps->directory ? 0 : nova_oom(error);
}

static int install(nova_host_t *host, const struct deps_want *want, const struct deps_guest *guest,
	const struct stop *stop, struct deps *deps, nova_error_t **error)
{
	int code = make_work(host, deps, error);
	return code < 0 ? code : install_run(host, want, guest, deps->work, stop, error);
}

static int find_or_install(nova_host_t *host, const struct deps_want *want, const struct stop *stop,
	struct deps *deps, nova_error_t **error)
{
	struct deps_guest guest = { "", "" };
	char key[SHA256_HEX] = "";
	CLEANUP(kept_done) struct kept kept = { NULL, NULL, -1 };
	int code = find_guest(host, want->image, &guest, !strcmp(want->client, "pip"), error);
	if (code == 0)
		code = deps_key(want, &guest, key, error);
	if (code == 0)
		code = kept_open(host, key, &kept, error);
	if (code < 0)
		return code;
	if (kept.path && fs_is_directory(kept.path) > 0)
		deps->directory = strdup(kept.path);
	else
		code = install(host, want, &guest, stop, deps, error);
	if (code == 0 && kept.path && deps->work)
		code = keep(&kept, deps, error);
	if (code < 0 || !kept.path)
		return code;
	touch(&kept);
	deps->lock = STEAL_FD(kept.lock);
	return deps->directory ? 0 : nova_oom(error);
}

int deps_install(nova_host_t *host, const struct deps_want *want, const struct stop *stop,
	struct deps *ret, nova_error_t **error)
{
	AUTO_FREE char *file = NULL, *links = NULL;
	struct deps_want absolute = *want;
	bool url = want->find_links && strstr(want->find_links, "://");
	int r = path_absolute(want->file, &file);
	if (r == 0 && want->find_links && !url)
		r = path_absolute(want->find_links, &links);
	if (r < 0)
		return nova_fail_os(error, r, "requirements: '%s'", want->file);
	absolute.file = file;
	absolute.find_links = links ? links : want->find_links;
	AUTO_DEPS struct deps deps = DEPS_NONE;
	int code = find_or_install(host, &absolute, stop, &deps, error);
	if (code < 0)
		return code;
	*ret = deps;
	deps = (struct deps)DEPS_NONE;
	return 0;
}
