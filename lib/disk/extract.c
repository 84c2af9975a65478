/* SPDX-License-Identifier: MIT */
/* nova_disk_extract(): writes what read.c tells of an image. */
#include <errno.h>
#include <fcntl.h>

#include "disk/disk.h"

struct writer {
	const char *image;
	/* open directories, each in the one before; the first is the caller's */
	int dirs[DISK_MAX_DEPTH + 1];
	size_t depth;     /* the last of them */
	int file;         /* -1: none is being written */
	const char *name; /* its name */
	uint64_t at;
};

static int fail_output(const struct writer *w, int r, const char *name, nova_error_t **error)
{
	AUTO_FREE char *shown = strdup(name);
	if (!shown)
		return nova_oom(error);
	disk_make_readable(shown);
	if (r == -EEXIST)
		return nova_fail(error, NOVA_ECORRUPT,
			"the code disk '%s' is damaged: '%s' is in a directory twice", w->image,
			shown);
	return nova_fail_os(error, r, "cannot write '%s' of the code disk '%s'", shown, w->image);
}

static int enter(void *to, const char *name, nova_error_t **error)
{
	struct writer *w = to;
	int r = sys_mkdirat(w->dirs[w->depth], name, 0700);
	if (r == 0)
		r = sys_openat(w->dirs[w->depth], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (r < 0)
		return fail_output(w, r, name, error);
	w->dirs[++w->depth] = r;
	return 0;
}

static int leave(void *to, const char *name, mode_t mode, nova_error_t **error)
{
	struct writer *w = to;
	int fd = w->dirs[w->depth--];
	int r = sys_fchmod(fd, mode);
	fd_close(fd);
	return r < 0 ? fail_output(w, r, name, error) : 0;
}

static int begin_file(void *to, const char *name, uint64_t size, nova_error_t **error)
{
	struct writer *w = to;
	w->file =
		sys_openat(w->dirs[w->depth], name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	w->name = name;
	w->at = 0;
	/* Born as a hole. */
	int r = w->file < 0 ? w->file : sys_truncate(w->file, size);
	return r < 0 ? fail_output(w, r, name, error) : 0;
}

static int piece(void *to, const uint8_t *data, size_t len, nova_error_t **error)
{
	struct writer *w = to;
	int r = disk_all_zero(data, len) ? 0 : sys_pwrite_all(w->file, data, len, w->at);
	w->at += len;
	return r < 0 ? fail_output(w, r, w->name, error) : 0;
}

static int end_file(void *to, const char *name, mode_t mode, nova_error_t **error)
{
	struct writer *w = to;
	int r = sys_fchmod(w->file, mode);
	fd_close(STEAL_FD(w->file));
	return r < 0 ? fail_output(w, r, name, error) : 0;
}

static int make_link(void *to, const char *name, const char *target, nova_error_t **error)
{
	struct writer *w = to;
	int r = sys_symlinkat(target, w->dirs[w->depth], name);
	return r < 0 ? fail_output(w, r, name, error) : 0;
}

static int extract_image(const char *image, const char *directory, nova_error_t **error)
{
	static const struct disk_visitor visitor = { enter, leave, begin_file, piece, end_file,
		make_link };
	AUTO_FD int fd = sys_open(image, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return nova_fail_os(error, fd, "cannot open the code disk '%s'", image);
	struct writer w = { .image = image, .file = -1 };
	w.dirs[0] = sys_open(directory, O_RDONLY | O_DIRECTORY, 0);
	if (w.dirs[0] < 0)
		return nova_fail_os(error, w.dirs[0], "cannot open the directory '%s'", directory);
	int r = disk_read(fd, image, &visitor, &w, error);
	fd_close(w.file);
	for (size_t i = 0; i <= w.depth; i++)
		fd_close(w.dirs[i]);
	return r;
}

/* Removes what a failed extraction has written. */
static void tidy(const char *directory)
{
	char **names = NULL;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(directory, names[i]);
		if (path)
			fs_remove_tree(path);
	}
	strv_free(names, count > 0 ? (size_t)count : 0);
}

static void drop_empty_lost(const char *directory)
{
	AUTO_FREE char *lost = path_join(directory, DISK_LOST);
	char **names = NULL;
	int count = lost ? fs_list(lost, &names) : -1;
	if (count == 0)
		fs_remove_tree(lost);
	strv_free(names, count > 0 ? (size_t)count : 0);
}

int nova_disk_extract(const char *image, const char *directory, nova_error_t **error)
{
	if (ANY_NULL(error, image, directory))
		return NOVA_EINVAL;
	char **names = NULL;
	int count = fs_list(directory, &names);
	strv_free(names, count > 0 ? (size_t)count : 0);
	if (count < 0)
		return nova_fail_os(error, count, "cannot read the directory '%s'", directory);
	if (count)
		return nova_fail(error, NOVA_EEXIST, "the directory '%s' is not empty", directory);
	int r = extract_image(image, directory, error);
	if (r < 0)
		tidy(directory);
	else
		drop_empty_lost(directory);
	return r;
}
