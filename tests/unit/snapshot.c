/* SPDX-License-Identifier: MIT */
/* Snapshots on disk without any VM: files in memory stand for a guest's. System calls of the room
 * can be made to fail. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "hash/hash.h"
#include "snapshot/manifest.h"
#include "test.h"

static nova_error_t *error;

/* --- calls that fail on demand --- */

static int countdown; /* the call that takes it to 0 fails; 0: none does */
static int fault;

static bool fails_now(void)
{
	return countdown && --countdown == 0;
}

#define WRAP(type, name, parameters, arguments)                                                    \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fails_now() ? -fault : __real_##name arguments;                             \
	}

WRAP(int, sys_open, (const char *path, int flags, mode_t mode), (path, flags, mode))
WRAP(int, sys_fsync, (int fd), (fd))
WRAP(int, sys_fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, sys_fstat, (int fd, struct stat *out), (fd, out))
WRAP(int, sys_flock, (int fd, bool exclusive, bool wait), (fd, exclusive, wait))
WRAP(int, sys_truncate, (int fd, uint64_t size), (fd, size))
WRAP(int, sys_pread_all, (int fd, void *out, size_t len, uint64_t at), (fd, out, len, at))
WRAP(int, sys_pwrite_all, (int fd, const void *data, size_t len, uint64_t at), (fd, data, len, at))
WRAP(int, sys_pwrite_sparse, (int fd, const uint8_t *data, uint64_t len, uint64_t at),
	(fd, data, len, at))
WRAP(int, fs_mkdirs, (const char *path, mode_t mode), (path, mode))
WRAP(int, fs_lock, (const char *path, bool wait, int *ret_fd), (path, wait, ret_fd))
WRAP(int, fs_rename, (const char *from, const char *to), (from, to))
WRAP(int, fs_stat, (const char *path, uint64_t *size, uint64_t *mtime), (path, size, mtime))
WRAP(int, fs_write_file, (const char *path, const void *data, size_t len, mode_t mode),
	(path, data, len, mode))

static int manifests_read;
static const char *unreadable; /* the id whose manifest fails by `fault` each time */
int __real_fs_read_file(const char *path, struct buf *out);
int __wrap_fs_read_file(const char *path, struct buf *out);
int __wrap_fs_read_file(const char *path, struct buf *out)
{
	bool is_manifest = strstr(path, "/manifest.json") != NULL;
	manifests_read += is_manifest;
	if (fails_now() || (is_manifest && unreadable && strstr(path, unreadable)))
		return -fault;
	return __real_fs_read_file(path, out);
}

WRAP(int, fs_list, (const char *path, char ***ret_names), (path, ret_names))

static int sums; /* that were made of a file */
int __real_sha256_file_hex(const char *path, char *out);
int __wrap_sha256_file_hex(const char *path, char *out);
int __wrap_sha256_file_hex(const char *path, char *out)
{
	sums++;
	return fails_now() ? -fault : __real_sha256_file_hex(path, out);
}
int __real_sha256_pages_hex(const char *path, char *out);
int __wrap_sha256_pages_hex(const char *path, char *out);
int __wrap_sha256_pages_hex(const char *path, char *out)
{
	sums++;
	return fails_now() ? -fault : __real_sha256_pages_hex(path, out);
}

WRAP(ssize_t, sys_read, (int fd, void *out, size_t len), (fd, out, len))

/* Between its steps as well: published, but the directory's own fsync failed. */
static bool fails_after_rename;
int __real_fs_publish(int fd, const char *temp, const char *path);
int __wrap_fs_publish(int fd, const char *temp, const char *path);
int __wrap_fs_publish(int fd, const char *temp, const char *path)
{
	if (fails_now())
		return -fault;
	int r = __real_fs_publish(fd, temp, path);
	return fails_after_rename ? -fault : r;
}

/* --- snapshots to play with --- */

#define MEMORY_MB 32u
#define BASE_ID   "00000000000000aa"
#define CHILD_ID  "00000000000000bb"

struct play {
	char *dir, *root;
	int memory, state;
	struct pages pages;
};

static void put(int fd, const char *text, uint64_t at)
{
	ck_assert_int_eq(__real_sys_pwrite_all(fd, text, strlen(text), at), 0);
}

static struct play set_up(void)
{
	static struct page_run runs[] = { { 1, 2 }, { 8191, 1 } };
	struct play p = { .dir = test_dir() };
	p.root = path_join(p.dir, "snapshots");
	p.memory = sys_memfd("memory");
	p.state = sys_memfd("state");
	p.pages = (struct pages){ runs, 2, 3, sys_memfd("pages"), 0 };
	ck_assert_int_eq(__real_sys_truncate(p.memory, (uint64_t)MEMORY_MB << 20), 0);
	ck_assert_int_eq(__real_sys_truncate(p.pages.fd, 3 * PAGE_BYTES), 0);
	put(p.memory, "guest memory", 5 * PAGE_BYTES);
	put(p.state, "state of devices", 0);
	put(p.pages.fd, "first", 0);
	put(p.pages.fd, "third", 2 * PAGE_BYTES);
	return p;
}

static void tear_down(struct play *p)
{
	fd_close(p->memory);
	fd_close(p->state);
	fd_close(p->pages.fd);
	free(p->root);
	test_dir_remove(p->dir);
}

static struct manifest manifest_for(const char *id, const char *base, const char *name)
{
	struct manifest m = {
		.name = strdup(name),
		.created_us = 1,
		.engine = strdup("qemu"),
		.engine_identity = strdup("q"),
		.rootfs_identity = strdup(""),
		.code_identity = strdup(""),
		.config = { .memory_mb = MEMORY_MB, .vcpus = 1 },
	};
	snprintf(m.id, sizeof(m.id), "%s", id);
	snprintf(m.base, sizeof(m.base), "%s", base);
	return m;
}

static bool compress;

static int write_as(const struct play *p, const char *id, const char *name)
{
	static const struct pages none = PAGES_NONE;
	bool own = strcmp(id, CHILD_ID) != 0;
	AUTO_MANIFEST struct manifest m = manifest_for(id, own ? "" : BASE_ID, name);
	struct snapshot_parts parts = { own ? p->memory : -1, own ? &none : &p->pages, p->state,
		compress };
	return snapshot_write(p->root, &m, &parts, &error);
}

static void write_both(const struct play *p)
{
	ck_ok(write_as(p, BASE_ID, "base"));
	ck_ok(write_as(p, CHILD_ID, "child"));
}

static int open_it(const struct play *p, const char *name, struct snapshot_files *files)
{
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	int code = snapshot_find(p->root, name, &m, &error);
	return code < 0 ? code : snapshot_open(p->root, &m, files, &error);
}

static void opens(const struct play *p, const char *name)
{
	struct snapshot_files files = SNAPSHOT_FILES_NONE;
	ck_ok(open_it(p, name, &files));
	snapshot_files_done(&files);
}

static void does_not_open(const struct play *p, const char *name, int expected, const char *part)
{
	struct snapshot_files files = SNAPSHOT_FILES_NONE;
	ck_fails_with(expected, part, open_it(p, name, &files));
	ck_assert(files.memory == -1 && files.memory_lock == -1 && files.state == -1 &&
		  files.pages.fd == -1);
}

static int remove_it(const struct play *p, const char *name)
{
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	int code = snapshot_find(p->root, name, &m, &error);
	return code < 0 ? code : snapshot_remove(p->root, &m, &error);
}

static size_t listed(const struct play *p)
{
	struct manifest *list;
	size_t count;
	ck_ok(snapshot_list(p->root, &list, &count, &error));
	for (size_t i = 0; i < count; i++)
		manifest_done(&list[i]);
	free(list);
	return count;
}

static size_t names_with(const struct play *p, const char *prefix)
{
	char **names;
	int count = __real_fs_list(p->root, &names);
	size_t found = 0;
	for (int i = 0; i < count; i++)
		found += str_starts(names[i], prefix);
	if (count >= 0)
		strv_free(names, (size_t)count);
	return found;
}

/* --- the whole way --- */

START_TEST(what_is_written_is_read)
{
	struct play p = set_up();
	compress = _i == 1;
	char text[17] = "";
	ck_assert_uint_eq(listed(&p), 0);
	write_both(&p);
	ck_assert_uint_eq(listed(&p), 2);
	struct snapshot_files base = SNAPSHOT_FILES_NONE, child = SNAPSHOT_FILES_NONE;
	ck_ok(open_it(&p, "base", &base));
	ck_assert_int_eq(sys_pread_all(base.memory, text, 12, 5 * PAGE_BYTES), 0);
	ck_assert_str_eq(text, "guest memory");
	ck_assert_int_eq(base.pages.fd, -1);
	ck_ok(open_it(&p, CHILD_ID, &child));
	ck_assert_int_eq(child.memory, -1);
	ck_assert_int_eq(sys_pread_all(child.state, text, 16, 0), 0);
	ck_assert_str_eq(text, "state of devices");
	ck_assert_uint_eq(child.pages.run_count, 2);
	ck_assert_uint_eq(child.pages.count, 3);
	ck_assert_int_eq(memcmp(child.pages.runs, p.pages.runs, 2 * sizeof(struct page_run)), 0);
	ck_assert_uint_eq(child.pages.offset % PAGE_BYTES, 0);
	memset(text, 0, sizeof(text));
	ck_assert_int_eq(
		sys_pread_all(child.pages.fd, text, 5, child.pages.offset + 2 * PAGE_BYTES), 0);
	ck_assert_str_eq(text, "third");
	/* the rest of 32 MB is a hole */
	ck_assert_uint_lt(snapshot_disk_bytes(p.root, BASE_ID), 1 << 20);
	struct stat st;
	ck_assert_int_eq(sys_fstat(base.memory, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, (uint64_t)MEMORY_MB << 20);
	ck_assert_uint_lt((uint64_t)st.st_blocks * 512, 1 << 20);

	ck_fails_with(NOVA_EBUSY, "'child'", remove_it(&p, "base"));
	ck_fails_with(NOVA_EBUSY, "in use", remove_it(&p, "child"));
	snapshot_files_done(&child);
	ck_ok(remove_it(&p, "child"));
	ck_fails_with(NOVA_EBUSY, "in use", remove_it(&p, "base"));
	snapshot_files_done(&base);
	ck_ok(remove_it(&p, "base"));
	ck_fails_with(NOVA_ENOTFOUND, "base", remove_it(&p, "base"));
	tear_down(&p);
}
END_TEST

/* Runs that begin, end, lie across and fill the pieces in which memory is written; content that is
 * random, so that it does not shrink away. */
START_TEST(pages_are_laid_over_the_memory_that_is_written_whole)
{
	static const struct page_run runs[] = { { 0, 1 }, { 255, 2 }, { 511, 258 }, { 1023, 1 },
		{ 1024, 1 }, { 2047, 600 }, { 8190, 2 } };
	struct play p = set_up();
	AUTO_FREE uint8_t *expected = malloc((size_t)MEMORY_MB << 20),
			  *got = malloc((size_t)MEMORY_MB << 20);
	size_t count = 0;
	uint8_t page[PAGE_BYTES];
	compress = _i == 1;
	for (size_t i = 0; i < 8192; i += 3) {
		ck_assert_int_eq(random_bytes(page, sizeof(page)), 0);
		ck_assert_int_eq(sys_pwrite_all(p.memory, page, sizeof(page), i * PAGE_BYTES), 0);
	}
	ck_assert_int_eq(sys_pread_all(p.memory, expected, (size_t)MEMORY_MB << 20, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		for (uint32_t n = 0; n < runs[i].count; n++, count++) {
			ck_assert_int_eq(random_bytes(page, sizeof(page)), 0);
			if (n % 5 == 4)
				memset(page, 0, sizeof(page));
			memcpy(expected + (size_t)(runs[i].first + n) * PAGE_BYTES, page,
				sizeof(page));
			ck_assert_int_eq(sys_pwrite_all(p.pages.fd, page, sizeof(page),
						 (1 + count) * PAGE_BYTES),
				0);
		}
	struct pages pages = { (struct page_run *)runs, ARRAY_LEN(runs), count, p.pages.fd,
		PAGE_BYTES };
	AUTO_MANIFEST struct manifest m = manifest_for(BASE_ID, "", "whole");
	struct snapshot_parts parts = { p.memory, &pages, p.state, compress };
	struct snapshot_files files = SNAPSHOT_FILES_NONE;
	ck_ok(snapshot_write(p.root, &m, &parts, &error));
	ck_ok(open_it(&p, "whole", &files));
	ck_assert_int_eq(sys_pread_all(files.memory, got, (size_t)MEMORY_MB << 20, 0), 0);
	ck_assert_int_eq(memcmp(got, expected, (size_t)MEMORY_MB << 20), 0);
	snapshot_files_done(&files);
	tear_down(&p);
}
END_TEST

START_TEST(an_instant_without_pages_is_one_too)
{
	struct play p = set_up();
	ck_ok(write_as(&p, BASE_ID, "base"));
	p.pages = (struct pages){ NULL, 0, 0, p.pages.fd, 0 };
	ck_ok(write_as(&p, CHILD_ID, "child"));
	opens(&p, "child");
	tear_down(&p);
}
END_TEST

START_TEST(what_was_just_written_is_not_read_again)
{
	struct play p = set_up();
	sums = 0;
	write_both(&p);
	ck_assert_int_eq(sums, 4); /* of memory or pages, and state, each once */
	opens(&p, "base");
	opens(&p, "child");
	ck_assert_int_eq(sums, 4);
	tear_down(&p);
}
END_TEST

START_TEST(a_name_is_taken_by_one)
{
	struct play p = set_up();
	ck_ok(write_as(&p, BASE_ID, "name"));
	ck_fails_with(NOVA_EEXIST, "'name'", write_as(&p, CHILD_ID, "name"));
	ck_fails_with(NOVA_EEXIST, BASE_ID, write_as(&p, CHILD_ID, BASE_ID));
	ck_assert_uint_eq(names_with(&p, ".tmp-"), 0);
	ck_assert_uint_eq(listed(&p), 1);
	tear_down(&p);
}
END_TEST

START_TEST(a_name_is_not_taken_for_free_because_nobody_can_look)
{
	static const int faults[] = { EIO, EMFILE, ENOMEM };
	struct play p = set_up();
	fault = faults[_i];
	int expected = fault == ENOMEM ? NOVA_ENOMEM : NOVA_EIO;
	ck_ok(write_as(&p, BASE_ID, "name"));
	unreadable = BASE_ID;
	ck_fails(expected, write_as(&p, CHILD_ID, "name"));
	ck_fails_with(expected, "'name'", snapshot_check_free(p.root, "name", &error));
	ck_fails(expected, snapshot_check_free(p.root, BASE_ID, &error));
	ck_assert_uint_eq(names_with(&p, ".tmp-"), 0);
	ck_ok(write_as(&p, CHILD_ID, CHILD_ID)); /* which needs no look at the others */
	unreadable = NULL;
	ck_assert_uint_eq(listed(&p), 2);
	tear_down(&p);
}
END_TEST

/* --- many --- */

#define MANY 12u

static void write_many(const struct play *p)
{
	for (unsigned i = 0; i < MANY; i++) {
		AUTO_FREE char *id = str_format("%016x", 0x1000 + i);
		ck_ok(write_as(p, id, id));
	}
}

START_TEST(what_is_given_no_name_is_written_without_a_look_at_the_others)
{
	struct play p = set_up();
	write_many(&p);
	manifests_read = 0;
	ck_ok(write_as(&p, BASE_ID, BASE_ID));
	ck_assert_int_eq(manifests_read, 0);
	ck_ok(write_as(&p, CHILD_ID, "child"));
	ck_assert_int_eq(manifests_read, 2 * (MANY + 1)); /* before it is written, and after that */
	tear_down(&p);
}
END_TEST

/* All but the one whose name is `kept`. */
static int remove_all(const struct play *p, const char *kept, size_t *ret_removed)
{
	struct manifest *all = NULL;
	const struct manifest *list[MANY + 2];
	size_t count = 0, chosen = 0;
	ck_ok(snapshot_list(p->root, &all, &count, &error));
	ck_assert_uint_le(count, ARRAY_LEN(list));
	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].name, kept))
			list[chosen++] = &all[i];
	manifests_read = 0;
	int code = snapshot_remove_unused(p->root, list, chosen, ret_removed, &error);
	manifests_free(all, count);
	return code;
}

START_TEST(many_are_removed_with_one_look_at_what_is_left)
{
	struct play p = set_up();
	struct snapshot_files files = SNAPSHOT_FILES_NONE;
	size_t removed = 0;
	write_both(&p);
	write_many(&p);
	ck_ok(open_it(&p, "0000000000001003", &files));
	ck_ok(remove_all(&p, "child", &removed));
	ck_assert_uint_eq(removed, MANY - 1);
	ck_assert_int_eq(manifests_read, MANY + 2);
	ck_assert_uint_eq(listed(&p), 3); /* what is in use, the child, and its base */
	opens(&p, "base");
	opens(&p, "child");
	snapshot_files_done(&files);
	ck_ok(remove_all(&p, "", &removed)); /* a base goes with what is based on it */
	ck_assert_uint_eq(removed, 3);
	ck_assert_uint_eq(listed(&p), 0);
	ck_assert_uint_eq(names_with(&p, ".tmp-"), 0);
	tear_down(&p);
}
END_TEST

/* --- damage --- */

static char *file_of(const struct play *p, const char *id, const char *name)
{
	return str_format("%s/%s/%s", p->root, id, name);
}

static void flip(const char *path, uint64_t at)
{
	uint8_t byte;
	AUTO_FD int fd = sys_open(path, O_RDWR, 0);
	ck_assert_int_eq(sys_pread_all(fd, &byte, 1, at), 0);
	byte ^= 0x10;
	ck_assert_int_eq(sys_pwrite_all(fd, &byte, 1, at), 0);
}

static const struct {
	const char *id, *file;
} parts[] = {
	{ BASE_ID, "memory" },
	{ BASE_ID, "state" },
	{ CHILD_ID, "pages" },
	{ CHILD_ID, "state" },
	{ BASE_ID, "manifest.json" },
	{ BASE_ID, "memory.zst" },
	{ CHILD_ID, "pages.zst" },
};

/* Checked before, so the check that is remembered must not hide it. */
START_TEST(each_damaged_file_is_named)
{
	struct play p = set_up();
	const char *id = parts[_i].id, *name = parts[_i].file;
	compress = strstr(name, ".zst") != NULL;
	AUTO_FREE char *path = file_of(&p, id, name), *away = path_join(p.dir, "away");
	uint64_t size;
	write_both(&p);
	opens(&p, id);
	opens(&p, id);
	ck_assert_int_eq(fs_stat(path, &size, NULL), 0);
	flip(path, !strcmp(name, "manifest.json") ? 0 : size / 2);
	does_not_open(&p, id, NOVA_ECORRUPT, path);
	flip(path, !strcmp(name, "manifest.json") ? 0 : size / 2);
	opens(&p, id);
	AUTO_FD int fd = sys_open(path, O_RDWR, 0);
	ck_assert_int_eq(sys_truncate(fd, size - 1), 0);
	does_not_open(&p, id, NOVA_ECORRUPT, path);
	ck_assert_int_eq(sys_truncate(fd, 0), 0);
	does_not_open(&p, id, NOVA_ECORRUPT, path);
	ck_assert_int_eq(fs_rename(path, away), 0);
	does_not_open(&p, id, NOVA_ECORRUPT, name);
	tear_down(&p);
}
END_TEST

/* Another file of the same size and time: the inode tells. */
START_TEST(a_file_that_was_exchanged_is_found)
{
	struct play p = set_up();
	AUTO_FREE char *path = file_of(&p, BASE_ID, "state");
	write_both(&p);
	opens(&p, "base");
	struct stat st;
	AUTO_FD int old = sys_open(path, O_RDONLY, 0);
	ck_assert_int_eq(sys_fstat(old, &st), 0);
	ck_assert_int_eq(fs_write_file(path, "STATE of devices", 16, 0600), 0);
	AUTO_FD int fd = sys_open(path, O_RDWR, 0);
	const struct timespec times[2] = { st.st_atim, st.st_mtim };
	ck_assert_int_eq(futimens(fd, times), 0);
	does_not_open(&p, "base", NOVA_ECORRUPT, path);
	tear_down(&p);
}
END_TEST

/* A pages file with these runs, under a manifest with the right checksum. */
static void forge(const struct play *p, const struct pages_header *header,
	const struct page_run *runs, size_t run_count, size_t pages)
{
	AUTO_FREE char *path = file_of(p, CHILD_ID, "pages"),
		       *manifest = file_of(p, CHILD_ID, "manifest.json");
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	ck_ok(snapshot_find(p->root, CHILD_ID, &m, &error));
	AUTO_FD int fd = sys_open(path, O_RDWR | O_TRUNC, 0);
	ck_assert_int_eq(sys_pwrite_all(fd, header, sizeof(*header), 0), 0);
	ck_assert_int_eq(sys_pwrite_all(fd, runs, run_count * sizeof(*runs), sizeof(*header)), 0);
	m.pages.size = (1 + pages) * PAGE_BYTES;
	ck_assert_int_eq(sys_truncate(fd, m.pages.size), 0);
	ck_assert_int_eq(sha256_file_hex(path, m.pages.sha256), 0);
	AUTO_FREE char *json = manifest_to_json(&m);
	ck_assert_int_eq(fs_write_file(manifest, json, strlen(json), 0600), 0);
}

START_TEST(forged_pages_are_refused_in_spite_of_their_checksum)
{
	static const struct {
		struct pages_header header;
		struct page_run runs[2];
		size_t pages;
	} forged[] = {
		{ { PAGES_MAGIC, 1, 1 }, { { 8192, 1 } }, 1 },        /* behind the end */
		{ { PAGES_MAGIC, 1, 2 }, { { 8191, 2 } }, 2 },        /* over the end */
		{ { PAGES_MAGIC, 1, 2 }, { { UINT32_MAX, 2 } }, 2 },  /* around it */
		{ { PAGES_MAGIC, 2, 2 }, { { 7, 1 }, { 7, 1 } }, 2 }, /* twice */
		{ { PAGES_MAGIC, 2, 2 }, { { 9, 1 }, { 7, 1 } }, 2 }, /* out of order */
		{ { PAGES_MAGIC, 2, 2 }, { { 7, 2 }, { 9, 0 } }, 2 }, /* empty */
		{ { PAGES_MAGIC, 1, 2 }, { { 7, 1 } }, 2 },           /* fewer than said */
		{ { PAGES_MAGIC, 1, 1 }, { { 7, 2 } }, 1 },           /* more than said */
		/* more runs than pages */
		{ { PAGES_MAGIC, 2, 1 }, { { 7, 1 }, { 9, 1 } }, 1 },
		{ { PAGES_MAGIC, 1, 3 }, { { 7, 3 } }, 1 }, /* content cut off */
		{ { PAGES_MAGIC, UINT32_MAX, UINT32_MAX }, { { 7, 1 } }, 1 },
		{ { "novapgs1", 1, 1 }, { { 7, 1 } }, 1 },
		/* finer than there is; in parts of pages: over the end, and content cut off */
		{ { PAGES_MAGIC, 1, 1, PAGES_FINEST + 1 }, { { 7, 1 } }, 1 },
		{ { PAGES_MAGIC, 1, 1, UINT32_MAX }, { { 7, 1 } }, 1 },
		{ { PAGES_MAGIC, 1, 256, 8 }, { { (8192 << 8) - 255, 256 } }, 1 },
		{ { PAGES_MAGIC, 1, 257, 8 }, { { 7, 257 } }, 1 },
	};
	struct play p = set_up();
	write_both(&p);
	forge(&p, &(struct pages_header){ PAGES_MAGIC, 1, 1 }, &(struct page_run){ 7, 1 }, 1, 1);
	opens(&p, "child");
	forge(&p, &(struct pages_header){ PAGES_MAGIC, 1, 256, 8 },
		&(struct page_run){ (8192 << 8) - 256, 256 }, 1, 1);
	opens(&p, "child");
	forge(&p, &forged[_i].header, forged[_i].runs, 2, forged[_i].pages);
	does_not_open(&p, "child", NOVA_ECORRUPT, "pages");
	tear_down(&p);
}
END_TEST

/* A compressed file with this content, under a manifest with the right checksum. */
static void forge_compressed(const struct play *p, const void *data, size_t len, uint64_t unpacked)
{
	AUTO_FREE char *path = file_of(p, BASE_ID, "memory.zst"),
		       *manifest = file_of(p, BASE_ID, "manifest.json");
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	ck_ok(snapshot_find(p->root, BASE_ID, &m, &error));
	AUTO_FD int fd = sys_open(path, O_RDWR | O_TRUNC, 0);
	ck_assert_int_eq(sys_pwrite_all(fd, data, len, 0), 0);
	m.memory.size = len;
	m.memory.unpacked = unpacked;
	ck_assert_int_eq(sha256_file_hex(path, m.memory.sha256), 0);
	AUTO_FREE char *json = manifest_to_json(&m);
	ck_assert_int_eq(fs_write_file(manifest, json, strlen(json), 0600), 0);
}

START_TEST(forged_compression_is_refused_in_spite_of_its_checksum)
{
	struct play p = set_up();
	const uint64_t size = (uint64_t)MEMORY_MB << 20;
	compress = true;
	ck_ok(write_as(&p, BASE_ID, "base"));
	AUTO_FREE char *path = file_of(&p, BASE_ID, "memory.zst");
	AUTO_BUF struct buf good = BUF_INIT(1u << 20);
	ck_assert_int_eq(fs_read_file(path, &good), 0);
	forge_compressed(&p, good.data, good.len, size);
	opens(&p, "base");
	forge_compressed(&p, good.data, good.len - 1, size); /* cut off */
	does_not_open(&p, "base", NOVA_ECORRUPT, "memory.zst");
	forge_compressed(&p, good.data, 1, size);
	does_not_open(&p, "base", NOVA_ECORRUPT, "memory.zst");
	forge_compressed(&p, "not compressed at all", 21, size);
	does_not_open(&p, "base", NOVA_ECORRUPT, "memory.zst");
	good.data[good.len / 2] ^= 1; /* its own checksum */
	forge_compressed(&p, good.data, good.len, size);
	does_not_open(&p, "base", NOVA_ECORRUPT, "memory.zst");
	good.data[good.len / 2] ^= 1;
	AUTO_BUF struct buf twice = BUF_INIT(1u << 20); /* more than the memory */
	ck_assert_int_eq(
		buf_append(&twice, good.data, good.len) + buf_append(&twice, good.data, good.len),
		0);
	forge_compressed(&p, twice.data, twice.len, size);
	does_not_open(&p, "base", NOVA_ECORRUPT, "memory.zst");
	ck_assert_int_eq(buf_append_str(&good, "x"), 0);
	forge_compressed(&p, good.data, good.len, size);
	does_not_open(&p, "base", NOVA_ECORRUPT, "memory.zst");
	/* a manifest that promises another size */
	forge_compressed(&p, good.data, good.len - 1, size * 2);
	does_not_open(&p, BASE_ID, NOVA_ECORRUPT, "manifest");
	tear_down(&p);
}
END_TEST

START_TEST(a_directory_with_the_manifest_of_another_is_not_listed)
{
	struct play p = set_up();
	AUTO_FREE char *from = path_join(p.root, BASE_ID),
		       *to = path_join(p.root, "00000000000000cc");
	write_both(&p);
	ck_assert_int_eq(fs_rename(from, to), 0);
	ck_assert_uint_eq(listed(&p), 1);
	does_not_open(&p, "00000000000000cc", NOVA_ECORRUPT, "another snapshot");
	does_not_open(&p, "base", NOVA_ENOTFOUND, "base");
	tear_down(&p);
}
END_TEST

/* --- the n-th call fails --- */

/* The former snapshot is whole, the new one is there whole or not at all. */
static void check_after_write(const struct play *p, int code, int n)
{
	struct snapshot_files files = SNAPSHOT_FILES_NONE;
	if (code < 0) {
		ck_assert_msg(listed(p) == 1, "call %d failed (%s), but the snapshot is there", n,
			nova_error_message(error));
		ck_assert_str_ne(nova_error_message(error), "");
		nova_error_free(error);
		error = NULL;
		ck_fails(NOVA_ENOTFOUND, open_it(p, CHILD_ID, &files));
	} else {
		opens(p, "child");
	}
	opens(p, "base");
}

START_TEST(writing_may_fail_anywhere)
{
	struct play p = set_up();
	ck_ok(write_as(&p, BASE_ID, "base"));
	opens(&p, "base");
	fault = _i % 2 ? ENOSPC : EIO;
	compress = _i >= 2;
	int failures = 0;
	for (int n = 1;; n++) {
		countdown = n;
		int code = write_as(&p, CHILD_ID, "child");
		bool reached = countdown == 0;
		countdown = 0;
		failures += code < 0;
		check_after_write(&p, code, n);
		if (code == 0)
			ck_ok(remove_it(&p, "child"));
		/* a retry works, and sweeps what could not be removed */
		ck_ok(write_as(&p, CHILD_ID, "child"));
		ck_assert_uint_eq(names_with(&p, ".tmp-"), 0);
		ck_ok(remove_it(&p, "child"));
		if (!reached)
			break;
	}
	ck_assert_int_gt(failures, 15);
	tear_down(&p);
}
END_TEST

START_TEST(what_may_not_last_is_not_seen)
{
	struct play p = set_up();
	ck_ok(write_as(&p, BASE_ID, "base"));
	fault = EIO;
	fails_after_rename = true;
	int code = write_as(&p, CHILD_ID, "child");
	fails_after_rename = false;
	ck_fails(NOVA_EIO, code);
	ck_assert_uint_eq(listed(&p), 1);
	ck_assert_uint_eq(names_with(&p, ".tmp-"), 0);
	ck_ok(write_as(&p, CHILD_ID, "child"));
	tear_down(&p);
}
END_TEST

START_TEST(removing_may_fail_anywhere)
{
	struct play p = set_up();
	fault = EIO;
	int failures = 0;
	for (int n = 1;; n++) {
		ck_ok(write_as(&p, BASE_ID, "base"));
		countdown = n;
		int code = remove_it(&p, "base");
		bool reached = countdown == 0;
		countdown = 0;
		nova_error_free(error);
		error = NULL;
		failures += code < 0;
		if (code < 0) {
			opens(&p, "base");
			ck_ok(remove_it(&p, "base"));
		}
		ck_assert_uint_eq(listed(&p), 0);
		ck_assert_uint_eq(names_with(&p, "0"), 0);
		if (!reached)
			break;
	}
	ck_assert_int_gt(failures, 3);
	tear_down(&p);
}
END_TEST

START_TEST(removing_many_may_fail_anywhere)
{
	struct play p = set_up();
	fault = EIO;
	int failures = 0;
	for (int n = 1;; n++) {
		size_t removed = 9, left;
		write_both(&p);
		ck_ok(write_as(&p, "00000000000000cc", "other"));
		struct manifest *all;
		size_t count;
		ck_ok(snapshot_list(p.root, &all, &count, &error));
		const struct manifest *list[] = { &all[0], &all[1], &all[2] };
		countdown = n;
		int code = snapshot_remove_unused(p.root, list, count, &removed, &error);
		bool reached = countdown == 0;
		countdown = 0;
		manifests_free(all, count);
		nova_error_free(error);
		error = NULL;
		failures += code < 0;
		left = listed(&p);
		ck_assert_uint_eq(left, 3 - removed);
		ck_assert(code < 0 || !left);
		ck_ok(remove_all(&p, "", &removed));
		ck_assert_uint_eq(removed, left);
		if (!reached)
			break;
	}
	ck_assert_int_gt(failures, 3);
	tear_down(&p);
}
END_TEST

/* Each time checked anew, as the remembered check is wiped. */
START_TEST(opening_may_fail_anywhere)
{
	struct play p = set_up();
	compress = _i >= 2;
	write_both(&p);
	const char *id = _i % 2 ? BASE_ID : CHILD_ID;
	AUTO_FREE char *checked = file_of(&p, id, ".checked");
	fault = EIO;
	int failures = 0;
	for (int n = 1;; n++) {
		struct snapshot_files files = SNAPSHOT_FILES_NONE;
		ck_assert_int_eq(fs_unlink(checked), 0);
		countdown = n;
		int code = open_it(&p, id, &files);
		bool reached = countdown == 0;
		countdown = 0;
		failures += code < 0;
		if (code < 0) {
			ck_assert_str_ne(nova_error_message(error), "");
			ck_assert(files.memory == -1 && files.state == -1 && files.pages.fd == -1);
			nova_error_free(error);
			error = NULL;
		}
		snapshot_files_done(&files);
		opens(&p, id);
		if (!reached)
			break;
	}
	ck_assert_int_gt(failures, 5);
	tear_down(&p);
}
END_TEST

/* --- killed --- */

static void write_and_remove_for_ever(const struct play *p)
{
	for (unsigned n = 0;; n++) {
		AUTO_FREE char *id = str_format("%016x", 0x1000 + n);
		if (write_as(p, id, id) < 0 || (n % 2 && remove_it(p, id) < 0))
			_exit(1);
	}
}

START_TEST(a_writer_killed_anywhere_leaves_whole_snapshots_only)
{
	struct play p = set_up();
	for (int round = 0; round < 15; round++) {
		pid_t pid = fork();
		if (pid == 0)
			write_and_remove_for_ever(&p);
		sys_poll(NULL, 0, 30 + round * 7);
		kill(pid, SIGKILL);
		int status;
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status), "the writer failed");
		struct manifest *list;
		size_t count;
		ck_ok(snapshot_list(p.root, &list, &count, &error));
		for (size_t i = 0; i < count; i++) {
			opens(&p, list[i].id);
			ck_ok(remove_it(&p, list[i].id));
			manifest_done(&list[i]);
		}
		free(list);
		ck_ok(write_as(&p, BASE_ID, "base"));
		ck_assert_uint_eq(names_with(&p, ".tmp-"), 0);
		ck_ok(remove_it(&p, "base"));
	}
	tear_down(&p);
}
END_TEST

static Suite *snapshot_suite(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tc = tcase_create("directories");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, what_is_written_is_read, 0, 2);
	tcase_add_loop_test(tc, pages_are_laid_over_the_memory_that_is_written_whole, 0, 2);
	tcase_add_test(tc, an_instant_without_pages_is_one_too);
	tcase_add_test(tc, what_was_just_written_is_not_read_again);
	tcase_add_test(tc, a_name_is_taken_by_one);
	tcase_add_loop_test(tc, a_name_is_not_taken_for_free_because_nobody_can_look, 0, 3);
	tcase_add_test(tc, what_is_given_no_name_is_written_without_a_look_at_the_others);
	tcase_add_test(tc, many_are_removed_with_one_look_at_what_is_left);
	tcase_add_loop_test(tc, each_damaged_file_is_named, 0, ARRAY_LEN(parts));
	tcase_add_test(tc, a_file_that_was_exchanged_is_found);
	tcase_add_loop_test(tc, forged_pages_are_refused_in_spite_of_their_checksum, 0, 12);
	tcase_add_test(tc, forged_compression_is_refused_in_spite_of_its_checksum);
	tcase_add_test(tc, a_directory_with_the_manifest_of_another_is_not_listed);
	tcase_add_loop_test(tc, writing_may_fail_anywhere, 0, 4);
	tcase_add_test(tc, what_may_not_last_is_not_seen);
	tcase_add_test(tc, removing_may_fail_anywhere);
	tcase_add_test(tc, removing_many_may_fail_anywhere);
	tcase_add_loop_test(tc, opening_may_fail_anywhere, 0, 4);
	tcase_add_test(tc, a_writer_killed_anywhere_leaves_whole_snapshots_only);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(snapshot_suite)
