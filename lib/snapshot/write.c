/* SPDX-License-Identifier: MIT */
/* Writing a snapshot: everything into a temporary directory, synced, then one rename. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "snapshot/manifest.h"

/* The file is as sparse as the memory is empty. */
static int copy_sparse(int from, int to, uint64_t size)
{
	uint8_t *memory = sys_map(from, 0, size, false);
	int r = memory ? sys_truncate(to, size) : -ENOMEM;
	if (r == 0)
		r = sys_pwrite_sparse(to, memory, size);
	sys_unmap(memory, size);
	return r;
}

static int write_pages(int to, const struct pages *pages)
{
	struct pages_header header = { PAGES_MAGIC, (uint32_t)pages->run_count, (uint32_t)pages->page_count };
	size_t runs_size = pages->run_count * sizeof(*pages->runs), bytes = pages->page_count * PAGE_BYTES;
	uint64_t content = (sizeof(header) + runs_size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	int r = sys_pwrite_all(to, &header, sizeof(header), 0);
	if (r == 0)
		r = sys_pwrite_all(to, pages->runs, runs_size, sizeof(header));
	if (r == 0)
		r = sys_truncate(to, content + bytes);
	if (r < 0 || !bytes)
		return r;
	uint8_t *from = sys_map(pages->fd, pages->offset, bytes, false);
	r = from ? sys_pwrite_all(to, from, bytes, content) : -ENOMEM;
	sys_unmap(from, bytes);
	return r;
}

static int write_state(int to, int from)
{
	uint8_t block[16384];
	struct stat st;
	int r = sys_fstat(from, &st);
	for (uint64_t at = 0; r == 0 && at < (uint64_t)st.st_size;) {
		size_t n = (uint64_t)st.st_size - at < sizeof(block) ? (size_t)((uint64_t)st.st_size - at) : sizeof(block);
		r = sys_pread_all(from, block, n, at);
		if (r == 0)
			r = sys_pwrite_all(to, block, n, at);
		at += n;
	}
	return r;
}

static int sum_file(const char *path, struct file_sum *sum)
{
	int r = fs_stat(path, &sum->size, NULL);
	return r < 0 ? r : sha256_file_hex(path, sum->sha256);
}

struct writing {
	const char *directory;
	int memory_fd, state_fd;
	const struct pages *pages;
};

static int write_one(const struct writing *w, const char *name, struct file_sum *sum)
{
	AUTO_FREE char *path = path_join(w->directory, name);
	/* Any user may open it by its descriptor, as a VMM with a user of its own does; nobody else reaches it, as the root is closed. */
	AUTO_FD int fd = path ? sys_open(path, O_RDWR | O_CREAT | O_EXCL, 0600) : -ENOMEM;
	int r = fd < 0 ? fd : sys_fchmod(fd, 0666);
	if (r == 0 && !strcmp(name, "memory")) {
		struct stat st;
		r = sys_fstat(w->memory_fd, &st);
		if (r == 0)
			r = copy_sparse(w->memory_fd, fd, (uint64_t)st.st_size);
	} else if (r == 0) {
		r = !strcmp(name, "pages") ? write_pages(fd, w->pages) : write_state(fd, w->state_fd);
	}
	if (r == 0)
		r = sys_fsync(fd);
	return r < 0 ? r : sum_file(path, sum);
}

static int write_files(const struct writing *w, struct manifest *m)
{
	AUTO_FREE char *manifest = path_join(w->directory, "manifest.json");
	int r = w->memory_fd >= 0 ? write_one(w, "memory", &m->memory) : write_one(w, "pages", &m->pages);
	if (r == 0)
		r = write_one(w, "state", &m->state);
	AUTO_FREE char *json = r == 0 ? manifest_to_json(m) : NULL;
	if (r == 0)
		r = json && manifest ? fs_write_file(manifest, json, strlen(json), 0600) : -ENOMEM;
	return r;
}

/* Unfinished directories are locked by their writers; those of the dead are not. */
static void sweep(const char *root)
{
	char **names;
	int count = fs_list(root, &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = str_starts(names[i], ".tmp-") ? path_join(root, names[i]) : NULL;
		AUTO_FD int fd = path ? sys_open(path, O_RDONLY | O_DIRECTORY, 0) : -1;
		if (fd >= 0 && sys_flock(fd, true, false) == 0)
			fs_remove_tree(path);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
}

static int begin(const char *root, const char *temp, int *ret_lock)
{
	AUTO_FREE char *guard = path_join(root, ".lock");
	AUTO_FD int guard_fd = -1;
	int r = guard ? fs_mkdirs(root, 0700) : -ENOMEM;
	if (r == 0)
		r = fs_lock(guard, true, &guard_fd); /* between mkdir and lock a directory looks dead */
	if (r < 0)
		return r;
	sweep(root);
	r = fs_mkdirs(temp, 0700);
	AUTO_FD int fd = r == 0 ? sys_open(temp, O_RDONLY | O_DIRECTORY, 0) : -1;
	if (r == 0)
		r = fd < 0 ? fd : sys_flock(fd, true, false);
	if (r == 0)
		*ret_lock = STEAL_FD(fd);
	return r;
}

static int check_name_is_free(const char *root, const char *name, nova_error_t **error)
{
	AUTO_MANIFEST struct manifest other = { .name = NULL };
	if (snapshot_find(root, name, &other, NULL) < 0)
		return 0;
	return nova_fail(error, NOVA_EEXIST, "there is a snapshot '%s' already; delete it first or take another name", name);
}

/* The name is unique among those that can be seen; looked at under the lock of the root. */
static int publish(const char *root, const struct manifest *m, const char *temp, int lock, nova_error_t **error)
{
	AUTO_FREE char *guard = path_join(root, ".lock"), *path = path_join(root, m->id);
	AUTO_FD int guard_fd = -1;
	if (!guard || !path)
		return nova_oom(error);
	int r = fs_lock(guard, true, &guard_fd);
	if (r < 0)
		return nova_fail_os(error, r, "'%s'", guard);
	int code = check_name_is_free(root, m->name, error);
	if (code < 0)
		return code;
	r = fs_publish(lock, temp, path);
	if (r < 0 && !fs_exists(temp))
		fs_rename(path, temp); /* it was there, but may not last: what is reported as failed must not be seen */
	return r < 0 ? nova_fail_os(error, r, "snapshot '%s'", path) : 0;
}

int snapshot_write(const char *root, struct manifest *m, int memory_fd, const struct pages *pages, int state_fd, nova_error_t **error)
{
	AUTO_FREE char *temp = str_format("%s/.tmp-%s", root, m->id);
	AUTO_FD int lock = -1;
	int free_name = check_name_is_free(root, m->name, error); /* looked at again in the end; this spares writing for nothing */
	if (free_name < 0)
		return free_name;
	int r = temp ? begin(root, temp, &lock) : -ENOMEM;
	struct writing w = { temp, memory_fd, state_fd, pages };
	if (r == 0)
		r = write_files(&w, m);
	int code = r < 0 ? nova_fail_os(error, r, "snapshot in '%s'", root) : publish(root, m, temp, lock, error);
	if (code < 0 && temp)
		fs_remove_tree(temp);
	return code;
}
