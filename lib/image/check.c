/* SPDX-License-Identifier: MIT */
/* nova_image_check(): files against MANIFEST, whose lines are "sha256  size  path". */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "image/image.h"

#define MANIFEST_MAX (1u << 20)

struct entry {
	char sha256[SHA256_HEX];
	uint64_t size;
	char path[256];
};

/* The name that tools/images knows an image by: the file's name without its ending. */
static char *target_of(const char *path)
{
	if (!path)
		return strdup("");
	if (!strcmp(path, IMAGE_KERNEL))
		return strdup(" kernel");
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	return str_format(" %.*s", (int)strcspn(name, "."), name);
}

char *image_command(const char *directory, const char *path)
{
	AUTO_FREE char *target = target_of(path);
	return target ? str_format("tools/images --dir '%s'%s", directory, target) : NULL;
}

static int fail_image(
	nova_error_t **error, int code, const char *directory, const char *path, const char *what)
{
	AUTO_FREE char *command = image_command(directory, path);
	if (!command)
		return nova_oom(error);
	return nova_fail(error, code, "the image '%s/%s' %s; make it with: %s", directory, path,
		what, command);
}

static bool path_ok(const char *path)
{
	return *path && *path != '/' && strcmp(path, "..") && !str_starts(path, "../") &&
	       !strstr(path, "/../");
}

/* Reads one line; false if it is none. */
static bool parse_line(const char *line, size_t len, struct entry *out)
{
	char copy[512], space;
	if (len >= sizeof(copy))
		return false;
	memcpy(copy, line, len);
	copy[len] = 0;
	if (sscanf(copy, "%64[0-9a-f]%c %" SCNu64 " %255s", out->sha256, &space, &out->size,
		    out->path) != 4)
		return false;
	return strlen(out->sha256) == 64 && space == ' ' && path_ok(out->path);
}

static int check_content(const char *directory, const struct entry *e, bool environment,
	const char *path, nova_error_t **error)
{
	AUTO_FD int fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (fd == -ENOENT)
		return fail_image(error, NOVA_ENOTFOUND, directory, e->path, "is missing");
	if (fd < 0)
		return nova_fail_os(error, fd, "cannot open the image '%s'", path);
	struct stat st;
	int r = sys_fstat(fd, &st);
	if (r < 0)
		return nova_fail_os(error, r, "cannot look at the image '%s'", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != e->size)
		return fail_image(error, NOVA_ECORRUPT, directory, e->path,
			"has another size than it was made with");
	struct image_seen seen = { e->size, timespec_to_ns(&st.st_mtim), st.st_ino, environment };
	if (image_remembered(directory, e->path, e->sha256, &seen))
		return 0;
	char digest[SHA256_HEX];
	r = sha256_file_hex(path, digest);
	if (r < 0)
		return nova_fail_os(error, r, "cannot read the image '%s'", path);
	if (strcmp(digest, e->sha256))
		return fail_image(error, NOVA_ECORRUPT, directory, e->path,
			"is damaged: its SHA-256 is not that of MANIFEST");
	image_remember(directory, e->path, e->sha256, &seen);
	return 0;
}

static int check_entry(
	const char *directory, const struct entry *e, bool environment, nova_error_t **error)
{
	AUTO_FREE char *path = path_join(directory, e->path);
	return path ? check_content(directory, e, environment, path, error) : nova_oom(error);
}

/* Checks the entries that `name` asks for; *ret_found counts them. */
static int check_lines(const char *directory, const char *text, const char *name, bool environment,
	size_t *ret_found, nova_error_t **error)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		struct entry e;
		if (len && *text != '#') {
			if (!parse_line(text, len, &e))
				return fail_image(error, NOVA_ECORRUPT, directory, IMAGE_MANIFEST,
					"cannot be understood");
			bool asked = !name || !strcmp(name, e.path);
			int r = asked ? check_entry(directory, &e, environment, error) : 0;
			if (r < 0)
				return r;
			*ret_found += asked;
		}
		text += len + (text[len] == '\n');
	}
	return 0;
}

static int read_manifest(const char *directory, char **ret_text, nova_error_t **error)
{
	AUTO_FREE char *path = path_join(directory, IMAGE_MANIFEST);
	AUTO_BUF struct buf b = BUF_INIT(MANIFEST_MAX);
	if (!path)
		return nova_oom(error);
	int r = fs_read_file(path, &b);
	if (r == -ENOENT || r == -ENOTDIR) {
		AUTO_FREE char *command = image_command(directory, NULL);
		return nova_fail(error, NOVA_ENOTFOUND,
			"there are no guest images in '%s'; make them with: %s", directory,
			command ? command : "tools/images");
	}
	if (r < 0)
		return nova_fail_os(error, r, "cannot read '%s'", path);
	*ret_text = buf_steal_str(&b);
	return *ret_text ? 0 : nova_oom(error);
}

int image_check(const char *directory, const char *name, bool environment, nova_error_t **error)
{
	if (!*directory)
		return nova_fail(error, NOVA_EINVAL, "nova_image_check() needs a directory");
	AUTO_FREE char *text = NULL;
	int r = hash_ready(error);
	if (r == 0)
		r = read_manifest(directory, &text, error);
	if (r < 0)
		return r;
	size_t found = 0;
	r = check_lines(directory, text, name, environment, &found, error);
	if (r < 0 || found)
		return r;
	if (!name)
		return fail_image(
			error, NOVA_ECORRUPT, directory, IMAGE_MANIFEST, "lists no image");
	return fail_image(error, NOVA_ENOTFOUND, directory, name, "has not been made");
}

int nova_image_check(const char *directory, const char *name, nova_error_t **error)
{
	return ANY_NULL(error, directory) ? NOVA_EINVAL : image_check(directory, name, true, error);
}
