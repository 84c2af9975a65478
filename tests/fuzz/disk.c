/* SPDX-License-Identifier: MIT */
/* nova_disk_extract() on a small good image with changes: nothing may be written outside of the
 * directory. */
#include <assert.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nova/disk.h>

#include "base/base.h"
#include "patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define SEEN 65536u /* the first blocks; the others of the image are free */

static struct buf good;
static char *dir;

static void clean_up(void)
{
	fs_remove_tree(dir);
	free(dir);
	buf_free(&good);
}

static void make_good(void)
{
	const char *base = getenv("TMPDIR");
	dir = str_format("%s/nova-fuzz-XXXXXX", base ? base : "/tmp");
	assert(dir && mkdtemp(dir));
	AUTO_FREE char *source = path_join(dir, "source"), *sub = path_join(source, "sub");
	AUTO_FREE char *file = path_join(sub, "main.py"), *image = path_join(dir, "image"),
		       *link = path_join(source, "link");
	AUTO_FREE char *slow = path_join(source, "slow");
	assert(fs_mkdirs(sub, 0755) == 0 && fs_write_file(file, "print(1)\n", 9, 0644) == 0);
	char target[100];
	memset(target, 't', sizeof(target));
	target[99] = 0;
	assert(symlink("sub/main.py", link) == 0 && symlink(target, slow) == 0);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = source;
	opts.min_size = 4 * SEEN;
	assert(nova_disk_build(image, &opts, NULL) == 0);
	good = BUF_INIT(1 << 20);
	assert(fs_read_file(image, &good) == 0 && good.len >= SEEN);
	assert(fs_remove_tree(source) == 0 && fs_unlink(image) == 0);
	atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!good.data)
		make_good();
	AUTO_FREE uint8_t *image = malloc(good.len);
	memcpy(image, good.data, good.len);
	apply_patches(image, SEEN, data, len);
	AUTO_FD int fd = sys_memfd("image");
	assert(fd >= 0 && sys_write_all(fd, image, good.len) == 0);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	AUTO_FREE char *out = path_join(dir, "out");
	assert(fs_mkdirs(out, 0700) == 0);
	nova_disk_extract(path, out, NULL);
	assert(fs_remove_tree(out) == 0);
	char **names;
	assert(fs_list(dir, &names) == 0);
	return 0;
}
