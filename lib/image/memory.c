/* SPDX-License-Identifier: MIT */
/*
 * Remembers which files were found whole, so that 256 MiB are not hashed at each start.
 *
 * One line a file: "sha256 size mtime_ns inode path". It lies beside the images, or in the user's
 * cache when the images belong to somebody else. To lose it, or a line of it, costs one more check,
 * so nothing here fails.
 */
#include <errno.h>
#include <inttypes.h>

#include "image/image.h"

#define MEMORY_MAX (256u << 10)

int image_cache_path(const char *name, bool environment, char **ret_path, nova_error_t **error)
{
	const char *cache = environment ? env_get("XDG_CACHE_HOME") : NULL;
	bool own = cache && *cache == '/';
	AUTO_FREE char *home = NULL;
	int r = own ? 0 : path_user_home(environment, &home);
	*ret_path = NULL;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return nova_fail_os(error, r, "the home directory of this user");
	*ret_path = str_format("%s%s/nova/%s", own ? cache : home, own ? "" : "/.cache", name);
	return *ret_path ? 0 : nova_oom(error);
}

static char *memory_line(const char *path, const char *sha256, const struct image_seen *seen)
{
	return str_format("%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n", sha256, seen->size,
		seen->mtime_ns, seen->inode, path);
}

static char *beside(const char *directory)
{
	return path_join(directory, ".checked");
}

static char *in_cache(const char *directory, bool environment)
{
	char digest[SHA256_HEX];
	if (sha256_hex(directory, strlen(directory), digest) < 0)
		return NULL;
	AUTO_FREE char *name = str_format("checked/%.16s", digest);
	char *path = NULL;
	return name && image_cache_path(name, environment, &path, NULL) == 0 ? path : NULL;
}

static char *read_memory(const char *file)
{
	AUTO_BUF struct buf b = BUF_INIT(MEMORY_MAX);
	if (!file || fs_read_file(file, &b) < 0)
		return NULL;
	return buf_steal_str(&b);
}

static bool has_line(const char *file, const char *line)
{
	AUTO_FREE char *text = read_memory(file);
	const char *at = text ? strstr(text, line) : NULL;
	return at && (at == text || at[-1] == '\n');
}

bool image_remembered(
	const char *directory, const char *path, const char *sha256, const struct image_seen *seen)
{
	AUTO_FREE char *line = memory_line(path, sha256, seen);
	AUTO_FREE char *first = beside(directory);
	AUTO_FREE char *second = in_cache(directory, seen->environment);
	return line && (has_line(first, line) || has_line(second, line));
}

/* Appends the lines of `text` that are not about `path`. */
static void keep_others(struct buf *out, const char *text, const char *path)
{
	size_t path_len = strlen(path);
	for (const char *end; text && (end = strchr(text, '\n')); text = end + 1) {
		bool same = (size_t)(end - text) > path_len &&
			    end[-(ptrdiff_t)path_len - 1] == ' ' &&
			    !memcmp(end - path_len, path, path_len);
		if (!same)
			buf_append(out, text, (size_t)(end + 1 - text));
	}
}

/* Beside the images it is for all who use them. */
static int write_memory(const char *file, mode_t mode, const char *path, const char *line)
{
	AUTO_FREE char *text = read_memory(file);
	AUTO_BUF struct buf b = BUF_INIT(MEMORY_MAX);
	keep_others(&b, text, path);
	int r = buf_append_str(&b, line);
	return r < 0 ? r : fs_write_file(file, b.data, b.len, mode);
}

/* Where the images belong to somebody else. */
static bool is_forbidden(int r)
{
	return r == -EACCES || r == -EPERM || r == -EROFS;
}

void image_remember(
	const char *directory, const char *path, const char *sha256, const struct image_seen *seen)
{
	AUTO_FREE char *line = memory_line(path, sha256, seen);
	AUTO_FREE char *first = beside(directory);
	if (!line || !first || !is_forbidden(write_memory(first, 0644, path, line)))
		return;
	AUTO_FREE char *second = in_cache(directory, seen->environment);
	AUTO_FREE char *folder = NULL;
	if (!second || image_cache_path("checked", seen->environment, &folder, NULL) < 0 ||
		!folder || fs_mkdirs(folder, 0700) < 0)
		return;
	fs_sweep_temps(folder, NULL);
	write_memory(second, 0600, path, line);
}
