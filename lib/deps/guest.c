/* SPDX-License-Identifier: MIT */
/* Which Python a root filesystem has, and which C library: what wheels are built for. */
#include "deps/deps.h"
#include "disk/disk.h"

#define NEWEST_PYTHON 30 /* 3.30 */
#define OLDEST_PYTHON 6
#define LIBC_MAX      (8u << 20)

/* 1: its standard library is there. */
static int has_python(struct disk_image *image, const char *prefix, int minor, nova_error_t **error)
{
	char path[64];
	mode_t mode;
	snprintf(path, sizeof(path), "%s/lib/python3.%d/os.py", prefix, minor);
	return disk_image_find(image, path, &mode, error);
}

/* In the order in which the agent looks for the interpreter. */
static int find_python(struct disk_image *image, struct deps_guest *ret, nova_error_t **error)
{
	static const char *const prefixes[] = { "/usr", "/usr/local" };
	char path[64];
	mode_t mode;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		snprintf(path, sizeof(path), "%s/bin/python3", prefixes[i]);
		int found = disk_image_find(image, path, &mode, error);
		for (int minor = NEWEST_PYTHON; found > 0 && minor >= OLDEST_PYTHON; minor--) {
			found = has_python(image, prefixes[i], minor, error);
			if (found > 0)
				snprintf(ret->python, sizeof(ret->python), "3.%d", minor);
			if (found)
				return found < 0 ? found : 0;
			found = 1;
		}
		if (found < 0)
			return found;
	}
	return nova_fail(error, NOVA_ENOTSUP,
		"the root filesystem '%s' has no python3 that packages could be chosen for",
		image->path);
}

/* "stable release version 2.36" stands in each GNU C library. */
static unsigned glibc_version(const struct buf *library)
{
	static const char before[] = "stable release version 2.";
	const char *at = memmem(library->data, library->len, before, strlen(before));
	const char *end = (const char *)library->data + library->len;
	unsigned version = 0;
	for (at = at ? at + strlen(before) : end; at < end && is_digit(*at) && version < 1000; at++)
		version = version * 10 + (unsigned)(*at - '0');
	return version;
}

static int find_libc(struct disk_image *image, struct deps_guest *ret, nova_error_t **error)
{
	static const char *const places[] = { "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6",
		"/usr/lib/libc.so.6" };
	mode_t mode;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		AUTO_BUF struct buf library = BUF_INIT(LIBC_MAX);
		int found = disk_image_find(image, places[i], &mode, error);
		int code = found > 0 ? disk_image_read(image, places[i], &library, error) : found;
		unsigned version = code == 0 && found ? glibc_version(&library) : 0;
		if (version)
			snprintf(ret->platform, sizeof(ret->platform), "manylinux_2_%u", version);
		if (code < 0 || version)
			return code;
	}
	snprintf(ret->platform, sizeof(ret->platform), "musllinux_1_2");
	return 0;
}

int deps_guest_python(const char *rootfs, struct deps_guest *ret, nova_error_t **error)
{
	AUTO_DISK_IMAGE struct disk_image image;
	int code = disk_image_open(rootfs, &image, error);
	if (code == 0)
		code = find_python(&image, ret, error);
	return code < 0 ? code : find_libc(&image, ret, error);
}
