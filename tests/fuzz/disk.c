/* SPDX-License-Identifier: MIT */
/* The reader of images, on a small good one with changes: what it tells of it could be written, and
 * stays inside. */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk/disk.h"
#include "patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define SEEN 65536u /* the first blocks; the others of the image are free */

/* The good image: a file without a name, and its memory. */
static int good_fd = -1;
static uint8_t *good;
static size_t good_len;

static void make_source(const char *source)
{
	AUTO_FREE char *sub = path_join(source, "sub"), *file = path_join(sub, "main.py");
	AUTO_FREE char *link = path_join(source, "link"), *slow = path_join(source, "slow");
	assert(fs_mkdirs(sub, 0755) == 0 && fs_write_file(file, "print(1)\n", 9, 0644) == 0);
	char target[100];
	memset(target, 't', sizeof(target));
	target[99] = 0;
	assert(symlink("sub/main.py", link) == 0 && symlink(target, slow) == 0);
}

static void make_good(void)
{
	const char *base = getenv("TMPDIR");
	AUTO_FREE char *dir = str_format("%s/nova-fuzz-XXXXXX", base ? base : "/tmp");
	assert(dir && mkdtemp(dir));
	AUTO_FREE char *source = path_join(dir, "source"), *image = path_join(dir, "image");
	make_source(source);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = source;
	opts.min_size = 4 * SEEN;
	assert(nova_disk_build(image, &opts, NULL) == 0);
	AUTO_BUF struct buf content = BUF_INIT(1 << 20);
	assert(fs_read_file(image, &content) == 0 && content.len >= SEEN);
	assert(fs_remove_tree(dir) == 0);
	good_fd = sys_memfd("image");
	assert(good_fd >= 0 && sys_write_all(good_fd, content.data, content.len) == 0);
	good = sys_map(good_fd, 0, good_len = content.len, true);
	assert(good);
}

/* --- what is told of it --- */

struct told {
	unsigned depth;
	bool in_file;
	uint64_t left, all; /* bytes of a file, and of all of them */
};

static int enter(void *to, const char *name, nova_error_t **error)
{
	struct told *t = to;
	(void)error;
	assert(disk_name_ok(name) && !t->in_file && ++t->depth <= DISK_MAX_DEPTH);
	return 0;
}

static int leave(void *to, const char *name, mode_t mode, nova_error_t **error)
{
	struct told *t = to;
	(void)name, (void)error;
	assert(t->depth-- > 0 && !t->in_file && mode <= 0777);
	return 0;
}

static int begin_file(void *to, const char *name, uint64_t size, nova_error_t **error)
{
	struct told *t = to;
	(void)error;
	assert(disk_name_ok(name) && !t->in_file);
	t->in_file = true;
	t->left = size;
	t->all += size;
	assert(t->all <= good_len);
	return 0;
}

static int piece(void *to, const uint8_t *data, size_t len, nova_error_t **error)
{
	struct told *t = to;
	(void)error;
	assert(t->in_file && len && len <= t->left);
	disk_all_zero(data, len);
	t->left -= len;
	return 0;
}

static int end_file(void *to, const char *name, mode_t mode, nova_error_t **error)
{
	struct told *t = to;
	(void)name, (void)error;
	assert(t->in_file && !t->left && mode <= 0777);
	t->in_file = false;
	return 0;
}

static int link_to(void *to, const char *name, const char *target, nova_error_t **error)
{
	struct told *t = to;
	(void)error;
	assert(disk_name_ok(name) && !t->in_file && *target && strlen(target) < DISK_BLOCK);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct disk_visitor visitor = { enter, leave, begin_file, piece, end_file,
		link_to };
	struct told told = { .depth = 0 };
	if (!good)
		make_good();
	apply_patches(good, SEEN, data, len);
	int code = disk_read(good_fd, "fuzz", &visitor, &told, NULL);
	assert(code == 0 || code == NOVA_ECORRUPT || code == NOVA_EIO || code == NOVA_ENOMEM);
	assert(code < 0 || (!told.depth && !told.in_file));
	apply_patches(good, SEEN, data, len); /* once more undoes them */
	return 0;
}
