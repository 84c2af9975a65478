/* SPDX-License-Identifier: MIT */
/* Blobs in a directory of this host: one file each. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "blob/blob.h"

/* In the state directory; all of them are code disks. What a store of this host needs is not to be
 * taken for what can be had again. */
#define DIRECTORY  "disks"
#define CACHE      "disk-cache" /* of a store that hosts share */
#define ENDING     ".ext4"
#define UNFINISHED ".new-" /* begins the names of files that are no blobs yet */

struct directory {
	struct blobs base;
	char *path;
};

static const char *path_of(const struct blobs *blobs)
{
	return ((const struct directory *)blobs)->path;
}

/* False: no file can have a path so long. */
static bool name_blob(const struct blobs *blobs, const char *hash, char out[PATH_MAX])
{
	int len = snprintf(out, PATH_MAX, "%s/%s" ENDING, path_of(blobs), hash);
	return len > 0 && len < PATH_MAX;
}

/* --- opening --- */

static void directory_close(struct blobs *blobs)
{
	struct directory *d = (struct directory *)blobs;
	if (d)
		free(d->path);
	free(d);
}

static int directory_open(
	const nova_config_t *config, struct blobs **ret_blobs, nova_error_t **error)
{
	const char *name = store_find(config)->shared ? CACHE : DIRECTORY;
	AUTO_FREE char *home = NULL, *path = NULL;
	int r = path_absolute(config_str(config, "home"), &home);
	if (r == 0 && !(path = path_join(home, name)))
		r = -ENOMEM;
	if (r == 0)
		r = fs_mkdirs(path, 0700);
	if (r < 0)
		return nova_fail_os(error, r, "cannot make the state directory %s (setting 'home')",
			path ? path : config_str(config, "home"));
	struct directory *d = malloc(sizeof(*d));
	if (!d)
		return nova_oom(error);
	*d = (struct directory){ { &blobs_directory }, STEAL(path) };
	*ret_blobs = &d->base;
	return 0;
}

/* --- with the lock --- */

static int directory_lock(struct blobs *blobs, bool wait, int *ret_fd, nova_error_t **error)
{
	AUTO_FREE char *path = path_join(path_of(blobs), ".lock");
	int r = path ? fs_lock(path, wait, ret_fd) : -ENOMEM;
	if (r == -EWOULDBLOCK)
		return nova_fail(error, NOVA_EBUSY, "somebody else has locked %s", path_of(blobs));
	return r < 0 ? nova_fail_os(error, r, "cannot lock %s", path_of(blobs)) : 0;
}

static int directory_begin(struct blobs *blobs, char **ret_path, nova_error_t **error)
{
	char random[17];
	int r = random_hex(random, 16);
	if (r < 0)
		return nova_fail_os(error, r, "cannot get random bytes");
	*ret_path = str_format("%s/" UNFINISHED "%s", path_of(blobs), random);
	return *ret_path ? 0 : nova_oom(error);
}

static int directory_check(struct blobs *blobs, const char *hash, nova_error_t **error)
{
	char path[PATH_MAX], found[SHA256_HEX];
	int r = name_blob(blobs, hash, path) ? sha256_file_hex(path, found) : -ENOENT;
	if (r == -ENOENT)
		return nova_fail(error, NOVA_ENOTFOUND,
			"the code disk %s is gone; register the function again to make it", path);
	if (r < 0)
		return nova_fail_os(error, r, "cannot read the code disk %s", path);
	if (!strcmp(found, hash)) {
		fs_set_mtime(path, WHOLE_NS); /* else it is read once more */
		return 0;
	}
	return nova_fail(error, NOVA_ECORRUPT,
		"the code disk %s is damaged: its SHA-256 is %s; register the function again to "
		"make it anew",
		path, found);
}

/* The size is asked first: it is cheap, and what a crash or a full disk cut short differs in it. */
static bool is_there_already(
	struct blobs *blobs, const char *path, const char *made, const char *hash)
{
	uint64_t size, present;
	return fs_stat(made, &size, NULL) == 0 && fs_stat(path, &present, NULL) == 0 &&
	       size == present && directory_check(blobs, hash, NULL) == 0;
}

static int directory_put(
	struct blobs *blobs, const char *made, const char *hash, nova_error_t **error)
{
	char path[PATH_MAX];
	if (!name_blob(blobs, hash, path))
		return nova_fail_os(error, -ENAMETOOLONG, "%s", path_of(blobs));
	if (is_there_already(blobs, path, made, hash))
		return 0;
	AUTO_FD int fd = sys_open(made, O_RDONLY, 0);
	fs_set_mtime(made, WHOLE_NS);
	int r = fd < 0 ? fd : fs_publish(fd, made, path);
	return r < 0 ? nova_fail_os(error, r, "cannot store the code disk %s", path) : 0;
}

static int directory_remove(struct blobs *blobs, const char *hash, nova_error_t **error)
{
	char path[PATH_MAX];
	int r = name_blob(blobs, hash, path) ? fs_unlink(path) : 0;
	return r < 0 ? nova_fail_os(error, r, "cannot remove %s", path) : 0;
}

/* Whoever has the lock is the only one who can be making one, so each is a left-over. */
static void directory_tidy(struct blobs *blobs)
{
	char **names;
	int count = fs_list(path_of(blobs), &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = str_starts(names[i], UNFINISHED) ?
					       path_join(path_of(blobs), names[i]) :
					       NULL;
		if (path)
			fs_unlink(path);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
	fs_sweep_temps(path_of(blobs), NULL);
}

/* --- always --- */

static int directory_get(
	struct blobs *blobs, const char *hash, char **ret_path, nova_error_t **error)
{
	uint64_t mtime_ns;
	AUTO_FREE char *path = str_format("%s/%s" ENDING, path_of(blobs), hash);
	if (!path)
		return nova_oom(error);
	if (fs_stat(path, NULL, &mtime_ns) == 0 && mtime_ns != WHOLE_NS) {
		int code = directory_check(blobs, hash, error);
		if (code < 0 && code != NOVA_ENOTFOUND)
			return code;
	}
	fs_set_atime(path, clock_unix_us());
	*ret_path = STEAL(path);
	return 0;
}

static int directory_has(struct blobs *blobs, const char *hash, nova_error_t **error)
{
	char path[PATH_MAX];
	uint64_t size;
	int r = name_blob(blobs, hash, path) ? fs_stat(path, &size, NULL) : -ENOENT;
	if (r == 0 || r == -ENOENT)
		return r == 0;
	return nova_fail_os(error, r, "cannot look at %s", path);
}

/* "HASH.ext4" becomes "HASH"; what is anything else is not ours. */
static bool is_blob(char *name)
{
	char *ending = strchr(name, '.');
	if (!ending || strcmp(ending, ENDING) != 0)
		return false;
	*ending = 0;
	return strspn(name, "0123456789abcdef") == SHA256_HEX - 1 && !name[SHA256_HEX - 1];
}

static int directory_list(
	struct blobs *blobs, char ***ret_hashes, size_t *ret_count, nova_error_t **error)
{
	char **names;
	int count = fs_list(path_of(blobs), &names);
	if (count < 0)
		return nova_fail_os(error, count, "cannot list %s", path_of(blobs));
	*ret_count = 0;
	for (int i = 0; i < count; i++)
		if (is_blob(names[i]))
			names[(*ret_count)++] = names[i];
		else
			free(names[i]);
	*ret_hashes = names;
	return 0;
}

/* --- as a cache --- */

#define IN_USE_US 60000000u /* who has a path opens it within that */

struct cached {
	char *name;
	uint64_t used_us, size;
};

static int by_use(const void *a, const void *b)
{
	const struct cached *x = a, *y = b;
	return (x->used_us > y->used_us) - (x->used_us < y->used_us);
}

static uint64_t look(const struct blobs *blobs, char **names, size_t count, struct cached *ret)
{
	uint64_t total = 0;
	for (size_t i = 0; i < count; i++) {
		char path[PATH_MAX];
		ret[i] = (struct cached){ names[i], 0, 0 };
		if (name_blob(blobs, names[i], path))
			fs_stat_use(path, &ret[i].size, &ret[i].used_us);
		total += ret[i].size;
	}
	return total;
}

void blobs_shrink(struct blobs *blobs, uint64_t most)
{
	char **names;
	size_t count;
	if (directory_list(blobs, &names, &count, NULL) < 0)
		return;
	AUTO_FREE struct cached *all = calloc(count + 1, sizeof(*all));
	uint64_t total = all ? look(blobs, names, count, all) : 0, now = clock_unix_us();
	if (all)
		qsort(all, count, sizeof(*all), by_use);
	for (size_t i = 0; total > most && all[i].used_us + IN_USE_US < now; i++) {
		directory_remove(blobs, all[i].name, NULL);
		total -= all[i].size;
		if (i + 1 == count)
			break;
	}
	strv_free(names, count);
}

const struct blob_ops blobs_directory = {
	.open = directory_open,
	.close = directory_close,
	.lock = directory_lock,
	.begin = directory_begin,
	.put = directory_put,
	.remove = directory_remove,
	.tidy = directory_tidy,
	.get = directory_get,
	.has = directory_has,
	.check = directory_check,
	.list = directory_list,
};
