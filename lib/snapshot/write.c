/* SPDX-License-Identifier: MIT */
/* Writing a snapshot: everything into a temporary directory, synced, then one rename. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "snapshot/manifest.h"

#define CHUNK (1u << 20)

/* --- memory: as it is in the base, with the pages laid over it --- */

struct layers {
	/* read, not mapped: a look at a hole of a memfd through a mapping fills it */
	int memory;
	uint8_t *content; /* mapped */
	uint64_t size, content_size;
	const struct pages *pages;
};

static void layers_done(struct layers *l)
{
	sys_unmap(l->content, l->content_size);
}

static int layers_map(struct layers *l, int memory, const struct pages *pages)
{
	struct stat st;
	int r = sys_fstat(memory, &st);
	if (r < 0)
		return r;
	l->pages = pages;
	l->size = (uint64_t)st.st_size;
	l->content_size = pages_bytes(pages);
	l->memory = memory;
	l->content =
		l->content_size ? sys_map(pages->fd, pages->offset, l->content_size, false) : NULL;
	return l->content_size && !l->content ? -ENOMEM : 0;
}

/* Where the next runs are, for a walk from the start. */
struct cursor {
	size_t run;
	uint64_t content;
};

/* Copies what of the runs lies in [at, at + len) into `out`, which holds the base's. */
static void lay_over(
	const struct layers *l, struct cursor *c, uint64_t at, size_t len, uint8_t *out)
{
	const size_t piece = piece_bytes(l->pages);
	for (; c->run < l->pages->run_count; c->run++) {
		const struct page_run *run = &l->pages->runs[c->run];
		uint64_t begin = (uint64_t)run->first * piece,
			 end = begin + (uint64_t)run->count * piece;
		if (begin >= at + len)
			return;
		uint64_t from = begin > at ? begin : at, to = end < at + len ? end : at + len;
		memcpy(out + (from - at), l->content + c->content + (from - begin), to - from);
		if (end > at + len)
			return; /* the rest of it belongs to the next chunk */
		c->content += end - begin;
	}
}

/* The file is as sparse as the memory is empty. */
static int write_layers(
	const struct layers *l, int to, struct compressor *compressor, const struct stop *stop)
{
	struct cursor cursor = { 0 };
	AUTO_FREE uint8_t *chunk = malloc(CHUNK);
	int r = chunk ? 0 : -ENOMEM;
	for (uint64_t at = 0; r == 0 && at < l->size; at += CHUNK) {
		size_t len = l->size - at < CHUNK ? (size_t)(l->size - at) : CHUNK;
		r = sys_pread_all(l->memory, chunk, len, at);
		if (r == 0)
			lay_over(l, &cursor, at, len, chunk);
		if (r == 0)
			r = compressor ? compressor_add(compressor, chunk, len) :
					 sys_pwrite_sparse(to, chunk, len, at);
		if (r == 0 && stop_asked(stop))
			r = -ECANCELED;
	}
	return r;
}

static int write_memory(int to, const struct snapshot_parts *parts, struct file_sum *sum)
{
	CLEANUP(layers_done) struct layers layers = { .memory = -1 };
	CLEANUP(compressor_done) struct compressor compressor = { .context = NULL };
	int r = layers_map(&layers, parts->memory, parts->pages);
	if (r == 0 && !parts->compress) {
		r = sys_truncate(to, layers.size);
		return r < 0 ? r : write_layers(&layers, to, NULL, parts->stop);
	}
	sum->unpacked = layers.size;
	if (r == 0)
		r = compressor_begin(&compressor, to, layers.size);
	if (r == 0)
		r = write_layers(&layers, to, &compressor, parts->stop);
	return r < 0 ? r : compressor_end(&compressor);
}

/* --- pages --- */

struct page_file {
	struct pages_header header;
	uint64_t runs_size, padding, content_size;
	uint8_t *content; /* mapped */
};

static void page_file_done(struct page_file *f)
{
	sys_unmap(f->content, f->content_size);
}

static int page_file_map(struct page_file *f, const struct pages *pages)
{
	*f = (struct page_file){
		.header = { PAGES_MAGIC, (uint32_t)pages->run_count, (uint32_t)pages->count,
			pages->fine },
		.runs_size = pages->run_count * sizeof(*pages->runs),
		.content_size = pages_bytes(pages),
	};
	f->padding = (PAGE_BYTES - (sizeof(f->header) + f->runs_size) % PAGE_BYTES) % PAGE_BYTES;
	if (f->content_size)
		f->content = sys_map(pages->fd, pages->offset, f->content_size, false);
	return f->content_size && !f->content ? -ENOMEM : 0;
}

static int write_pages(int to, const struct pages *pages, struct file_sum *sum, bool compress)
{
	static const uint8_t zeros[PAGE_BYTES];
	CLEANUP(page_file_done) struct page_file f = { .content = NULL };
	CLEANUP(compressor_done) struct compressor compressor = { .context = NULL };
	int r = page_file_map(&f, pages);
	const struct {
		const void *data;
		uint64_t len;
	} parts[] = { { &f.header, sizeof(f.header) }, { pages->runs, f.runs_size },
		{ zeros, f.padding }, { f.content, f.content_size } };
	uint64_t size = sizeof(f.header) + f.runs_size + f.padding + f.content_size, at = 0;
	sum->unpacked = compress ? size : 0;
	if (r == 0 && compress)
		r = compressor_begin(&compressor, to, size);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++) {
		r = compress ? compressor_add(&compressor, parts[i].data, parts[i].len) :
			       sys_pwrite_all(to, parts[i].data, parts[i].len, at);
		at += parts[i].len;
	}
	return r == 0 && compress ? compressor_end(&compressor) : r;
}

/* --- all of it --- */

static int write_state(int to, int from)
{
	uint8_t block[16384];
	struct stat st;
	int r = sys_fstat(from, &st);
	for (uint64_t at = 0; r == 0 && at < (uint64_t)st.st_size;) {
		size_t n = (uint64_t)st.st_size - at < sizeof(block) ?
				   (size_t)((uint64_t)st.st_size - at) :
				   sizeof(block);
		r = sys_pread_all(from, block, n, at);
		if (r == 0)
			r = sys_pwrite_all(to, block, n, at);
		at += n;
	}
	return r;
}

struct writing {
	const char *directory;
	const struct snapshot_parts *parts;
};

enum part { PART_MEMORY, PART_PAGES, PART_STATE };

static int write_part(
	const struct snapshot_parts *parts, enum part part, int to, struct file_sum *sum)
{
	if (part == PART_MEMORY)
		return write_memory(to, parts, sum);
	return part == PART_PAGES ? write_pages(to, parts->pages, sum, parts->compress) :
				    write_state(to, parts->state);
}

static int sum_part(const char *path, bool sparse, struct file_sum *sum)
{
	int r = fs_stat(path, &sum->size, NULL);
	if (r < 0)
		return r;
	return sparse ? sha256_pages_hex(path, sum->sha256) : sha256_file_hex(path, sum->sha256);
}

static int write_one(const struct writing *w, enum part part, struct file_sum *sum)
{
	static const char *const names[][2] = { { "memory", "memory.zst" },
		{ "pages", "pages.zst" }, { "state", "state" } };
	AUTO_FREE char *path = path_join(w->directory, names[part][w->parts->compress]);
	/* Any user may open it by its descriptor, as a VMM with a user of its own does; nobody else
	 * reaches it, as the root is closed. */
	AUTO_FD int fd = path ? sys_open(path, O_RDWR | O_CREAT | O_EXCL, 0600) : -ENOMEM;
	int r = fd < 0 ? fd : sys_fchmod(fd, 0666);
	if (r == 0)
		r = write_part(w->parts, part, fd, sum);
	if (r == 0)
		sys_write_behind(fd);
	if (r == 0)
		r = sum_part(path, part == PART_MEMORY && !w->parts->compress, sum);
	return r < 0 ? r : sys_fsync(fd);
}

static int write_files(const struct writing *w, struct manifest *m)
{
	AUTO_FREE char *manifest = path_join(w->directory, "manifest.json");
	int r = w->parts->memory >= 0 ? write_one(w, PART_MEMORY, &m->memory) :
					write_one(w, PART_PAGES, &m->pages);
	if (r == 0)
		r = write_one(w, PART_STATE, &m->state);
	AUTO_FREE char *json = r == 0 ? manifest_to_json(m) : NULL;
	if (r == 0)
		r = json && manifest ? fs_write_file(manifest, json, strlen(json), 0600) : -ENOMEM;
	if (r == 0)
		remember_checked(w->directory, m); /* the sums were made of what is on disk */
	return r;
}

/* Unfinished directories are locked by their writers; those of the dead are not. */
static void sweep_unfinished(const char *root)
{
	char **names;
	int count = fs_list(root, &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path =
			str_starts(names[i], ".tmp-") ? path_join(root, names[i]) : NULL;
		AUTO_FD int fd = path ? sys_open(path, O_RDONLY | O_DIRECTORY, 0) : -1;
		if (fd >= 0 && sys_flock(fd, true, false) == 0)
			fs_remove_tree(path);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
}

/* The lock of a template that is being made is removed by its maker, if that lives to do it. */
static void sweep_entry(const char *root, const char *name)
{
	AUTO_FREE char *path = path_join(root, name);
	AUTO_FD int fd = -1;
	if (!path)
		return;
	if (str_starts(name, ".make-") && fs_lock(path, false, &fd) == 0)
		fs_unlink(path);
	else if (name[0] != '.')
		fs_sweep_temps(path, NULL);
}

void snapshot_sweep(const char *root)
{
	AUTO_FREE char *guard = path_join(root, ".lock");
	AUTO_FD int guard_fd = -1;
	char **names;
	if (!guard || !fs_exists(guard) || fs_lock(guard, false, &guard_fd) < 0)
		return; /* whoever holds it is at work here, and sweeps as well */
	sweep_unfinished(root);
	fs_sweep_temps(root, NULL);
	int count = fs_list(root, &names);
	for (int i = 0; i < count; i++)
		sweep_entry(root, names[i]);
	if (count >= 0)
		strv_free(names, (size_t)count);
}

static int begin(const char *root, const char *temp, int *ret_lock)
{
	AUTO_FREE char *guard = path_join(root, ".lock");
	AUTO_FD int guard_fd = -1;
	int r = guard ? fs_mkdirs(root, 0700) : -ENOMEM;
	if (r == 0)
		/* between mkdir and lock a directory looks dead */
		r = fs_lock(guard, true, &guard_fd);
	if (r < 0)
		return r;
	sweep_unfinished(root);
	r = fs_mkdirs(temp, 0700);
	AUTO_FD int fd = r == 0 ? sys_open(temp, O_RDONLY | O_DIRECTORY, 0) : -1;
	if (r == 0)
		r = fd < 0 ? fd : sys_flock(fd, true, false);
	if (r == 0)
		*ret_lock = STEAL_FD(fd);
	return r;
}

/* What was given no name is called by its id, which is new. */
static int check_name(const char *root, const struct manifest *m, nova_error_t **error)
{
	return strcmp(m->name, m->id) ? snapshot_check_free(root, m->name, error) : 0;
}

/* The name is unique among those that can be seen; looked at under the lock of the root. */
static int publish(const char *root, const struct manifest *m, const char *temp, int lock,
	nova_error_t **error)
{
	AUTO_FREE char *guard = path_join(root, ".lock"), *path = path_join(root, m->id);
	AUTO_FD int guard_fd = -1;
	if (!guard || !path)
		return nova_oom(error);
	int r = fs_lock(guard, true, &guard_fd);
	if (r < 0)
		return nova_fail_os(error, r, "'%s'", guard);
	int code = check_name(root, m, error);
	if (code < 0)
		return code;
	r = fs_publish(lock, temp, path);
	if (r < 0 && fs_exists(temp) == 0)
		/* it was there, but may not last: what is reported as failed must not be seen */
		fs_rename(path, temp);
	return r < 0 ? nova_fail_os(error, r, "snapshot '%s'", path) : 0;
}

int snapshot_write(const char *root, struct manifest *m, const struct snapshot_parts *parts,
	nova_error_t **error)
{
	AUTO_FREE char *temp = str_format("%s/.tmp-%s", root, m->id);
	AUTO_FD int lock = -1;
	/* looked at again in the end; this spares writing for nothing */
	int code = check_name(root, m, error);
	if (code < 0)
		return code;
	int r = temp ? begin(root, temp, &lock) : -ENOMEM;
	struct writing w = { temp, parts };
	if (r == 0)
		r = write_files(&w, m);
	code = r < 0 ? nova_fail_os(error, r, "snapshot in '%s'", root) :
		       publish(root, m, temp, lock, error);
	if (code < 0 && temp)
		fs_remove_tree(temp);
	return code;
}
