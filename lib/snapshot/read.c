/* SPDX-License-Identifier: MIT */
/* Finding, checking and opening snapshots. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "snapshot/manifest.h"

#define MANIFEST_MAX (64u << 10)

/* A file that is missing is damage, unless the whole snapshot is gone. */
static int fail_file(const char *directory, const char *name, int os, nova_error_t **error)
{
	int there = os == -ENOENT ? fs_exists(directory) : 0;
	if (there > 0)
		return nova_fail(error, NOVA_ECORRUPT, "'%s/%s' is missing; delete the snapshot",
			directory, name);
	return nova_fail_os(error, there < 0 ? there : os, "'%s/%s'", directory, name);
}

static int read_manifest(
	const char *root, const char *id, struct manifest *ret, nova_error_t **error)
{
	AUTO_FREE char *directory = path_join(root, id),
		       *path = str_format("%s/%s/manifest.json", root, id);
	AUTO_BUF struct buf text = BUF_INIT(MANIFEST_MAX);
	if (!directory || !path)
		return nova_oom(error);
	int r = fs_read_file(path, &text);
	if (r < 0)
		return fail_file(directory, "manifest.json", r, error);
	int code = manifest_from_json((const char *)text.data, text.len, path, ret, error);
	if (code == 0 && strcmp(ret->id, id)) {
		code = nova_fail(error, NOVA_ECORRUPT,
			"'%s' is the manifest of another snapshot, '%s'; delete its directory",
			path, ret->id);
		manifest_done(ret);
	}
	return code;
}

/* What is gone meanwhile, damaged or another's is left out; that it could not be read is no reason
 * to. */
static int add_manifest(const char *root, const char *id, struct manifest *list, size_t *count,
	nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	int code = read_manifest(root, id, &list[*count], &why);
	if (code == NOVA_ECORRUPT || code == NOVA_ENOTFOUND || code == NOVA_EPERM)
		return 0;
	if (code == 0)
		++*count;
	else if (error)
		*error = STEAL(why);
	return code;
}

void manifests_free(struct manifest *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		manifest_done(&list[i]);
	free(list);
}

int snapshot_list(
	const char *root, struct manifest **ret_manifests, size_t *ret_count, nova_error_t **error)
{
	char **names = NULL;
	int count = fs_list(root, &names);
	if (count == -ENOENT)
		count = 0;
	if (count < 0)
		return nova_fail_os(error, count, "'%s'", root);
	struct manifest *list = calloc((size_t)count + 1, sizeof(*list));
	size_t good = 0;
	int code = list ? 0 : nova_oom(error);
	for (int i = 0; code == 0 && i < count; i++)
		if (names[i][0] != '.')
			code = add_manifest(root, names[i], list, &good, error);
	strv_free(names, (size_t)count);
	if (code < 0) {
		manifests_free(list, good);
		return code;
	}
	*ret_manifests = list;
	*ret_count = good;
	return 0;
}

static bool is_id(const char *name)
{
	return strlen(name) == SNAPSHOT_ID - 1 &&
	       strspn(name, "0123456789abcdef") == SNAPSHOT_ID - 1;
}

static int there_is_none(const char *name, nova_error_t **error)
{
	return nova_fail(error, NOVA_ENOTFOUND, "there is no snapshot '%s'", name);
}

static int find_by_name(
	const char *root, const char *name, struct manifest *ret, nova_error_t **error)
{
	struct manifest *list = NULL;
	size_t count = 0;
	int code = snapshot_list(root, &list, &count, error);
	bool found = false;
	for (size_t i = 0; code == 0 && i < count; i++) {
		if (!found && !strcmp(list[i].name, name)) {
			*ret = list[i];
			found = true;
		} else {
			manifest_done(&list[i]);
		}
	}
	free(list);
	return code < 0 || found ? code : there_is_none(name, error);
}

/* 1, 0 or -errno, when nobody can tell. */
static int is_there(const char *root, const char *id)
{
	AUTO_FREE char *directory = path_join(root, id);
	return directory ? fs_exists(directory) : -ENOMEM;
}

static int cannot_tell(const char *name, int os, nova_error_t **error)
{
	return nova_fail_os(error, os, "whether there is a snapshot '%s'", name);
}

/* The name of a template has its id, so none of the others is looked at. */
static int find_template(
	const char *root, const char *name, struct manifest *ret, nova_error_t **error)
{
	const char *id = name + strlen(TEMPLATE_PREFIX);
	int there = is_id(id) ? is_there(root, id) : 0;
	if (there <= 0)
		return there < 0 ? cannot_tell(name, there, error) : there_is_none(name, error);
	int code = read_manifest(root, id, ret, error);
	if (code < 0 || !strcmp(ret->name, name))
		return code;
	manifest_done(ret);
	return there_is_none(name, error);
}

int snapshot_find(const char *root, const char *name, struct manifest *ret, nova_error_t **error)
{
	if (str_starts(name, TEMPLATE_PREFIX))
		return find_template(root, name, ret, error);
	int there = is_id(name) ? is_there(root, name) : 0;
	if (there < 0)
		return cannot_tell(name, there, error);
	return there ? read_manifest(root, name, ret, error) : find_by_name(root, name, ret, error);
}

int snapshot_check_free(const char *root, const char *name, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	AUTO_MANIFEST struct manifest other = { .name = NULL };
	int code = snapshot_find(root, name, &other, &why);
	if (code == NOVA_ENOTFOUND)
		return 0;
	if (code == 0)
		return nova_fail(error, NOVA_EEXIST,
			"there is a snapshot '%s' already; delete it first or take another name",
			name);
	if (error)
		*error = STEAL(why);
	return nova_wrap(error, code, "whether the name '%s' is free", name);
}

/* --- checks that are remembered --- */

struct checked_file {
	const char *name;
	const struct file_sum *sum;
};

/* One line for all files: their identities and sums. The same line in .checked means that they were
 * found whole before. */
static char *fingerprint(const char *directory, const struct checked_file *files, size_t count)
{
	AUTO_BUF struct buf line = BUF_INIT(4096);
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(directory, files[i].name), *identity = NULL;
		if (!path || file_identity(path, &identity, NULL) < 0)
			return NULL;
		AUTO_FREE char *part =
			str_format("%s %s %s\n", files[i].name, identity, files[i].sum->sha256);
		if (!part || buf_append_str(&line, part) < 0)
			return NULL;
	}
	return buf_steal_str(&line);
}

static bool remembered(const char *memory, const char *line)
{
	AUTO_BUF struct buf known = BUF_INIT(8192);
	return fs_read_file(memory, &known) == 0 && known.len == strlen(line) &&
	       memcmp(known.data, line, known.len) == 0;
}

static int check_file(const char *directory, const struct checked_file *file, nova_error_t **error)
{
	AUTO_FREE char *path = path_join(directory, file->name);
	char sha[SHA256_HEX];
	uint64_t size = 0;
	int r = path ? fs_stat(path, &size, NULL) : -ENOMEM;
	if (r == 0 && size == file->sum->size)
		r = !strcmp(file->name, "memory") ? sha256_pages_hex(path, sha) :
						    sha256_file_hex(path, sha);
	if (r < 0)
		return fail_file(directory, file->name, r, error);
	if (size != file->sum->size || strcmp(sha, file->sum->sha256))
		return nova_fail(error, NOVA_ECORRUPT,
			"'%s' is damaged: its %s is not what the manifest says; delete the "
			"snapshot",
			path, size != file->sum->size ? "size" : "checksum");
	return 0;
}

#define CHECKED_FILES 2u

static void list_files(const struct manifest *m, struct checked_file files[CHECKED_FILES])
{
	files[0] = m->memory.size ? (struct checked_file){ memory_name(m), &m->memory } :
				    (struct checked_file){ pages_name(m), &m->pages };
	files[1] = (struct checked_file){ "state", &m->state };
}

static void remember(const char *memory, const char *line)
{
	if (memory && line)
		/* forgetting costs one more check */
		fs_write_file(memory, line, strlen(line), 0600);
}

void remember_checked(const char *directory, const struct manifest *m)
{
	struct checked_file files[CHECKED_FILES];
	list_files(m, files);
	AUTO_FREE char *memory = path_join(directory, ".checked"),
		       *line = fingerprint(directory, files, CHECKED_FILES);
	remember(memory, line);
}

static int check_files(const char *directory, const struct manifest *m, nova_error_t **error)
{
	struct checked_file files[CHECKED_FILES];
	list_files(m, files);
	AUTO_FREE char *memory = path_join(directory, ".checked"),
		       *line = fingerprint(directory, files, CHECKED_FILES);
	if (memory && line && remembered(memory, line))
		return 0;
	for (size_t i = 0; i < CHECKED_FILES; i++) {
		int code = check_file(directory, &files[i], error);
		if (code < 0)
			return code;
	}
	remember(memory, line);
	return 0;
}

/* --- opening --- */

void snapshot_files_done(struct snapshot_files *files)
{
	fd_close(files->memory);
	fd_close(files->memory_lock);
	fd_close(files->state);
	pages_done(&files->pages);
	*files = (struct snapshot_files)SNAPSHOT_FILES_NONE;
}

int file_lock(const char *directory, const char *name, bool exclusive, int *ret_fd)
{
	struct stat st;
	AUTO_FREE char *path = path_join(directory, name);
	AUTO_FD int fd = path ? sys_open(path, O_RDONLY, 0) : -ENOMEM;
	int r = fd < 0 ? fd : sys_flock(fd, exclusive, false);
	if (r == 0)
		r = sys_fstat(fd, &st);
	if (r == 0 && !st.st_nlink)
		r = -EWOULDBLOCK; /* whoever had the lock has removed it */
	if (r == 0)
		*ret_fd = STEAL_FD(fd);
	return r;
}

/* What has the lock stays as it is checked. */
static int open_locked(const char *directory, const struct manifest *m, const char *name,
	int *ret_fd, nova_error_t **error)
{
	int r = file_lock(directory, name, false, ret_fd);
	if (r == -EWOULDBLOCK)
		return nova_fail(error, NOVA_EBUSY, "snapshot '%s' is just being deleted", m->name);
	return r < 0 ? fail_file(directory, name, r, error) : 0;
}

static int open_file(
	const char *directory, const char *name, int flags, int *ret_fd, nova_error_t **error)
{
	AUTO_FREE char *path = path_join(directory, name);
	int fd = path ? sys_open(path, flags, 0) : -ENOMEM;
	if (fd < 0)
		return fail_file(directory, name, fd, error);
	*ret_fd = fd;
	return 0;
}

/* A compressed file is opened as a file of memory. */
static int open_content(const char *directory, const char *name, const struct file_sum *sum,
	int *ret_fd, nova_error_t **error)
{
	AUTO_FD int packed = -1;
	int code = open_file(directory, name, O_RDONLY, sum->unpacked ? &packed : ret_fd, error);
	if (code < 0 || !sum->unpacked)
		return code;
	code = snapshot_can_compress(error);
	if (code < 0)
		return code;
	int r = decompress(packed, sum->unpacked, ret_fd);
	if (r == -EBADMSG)
		return nova_fail(error, NOVA_ECORRUPT,
			"'%s/%s' cannot be uncompressed; delete the snapshot", directory, name);
	return r < 0 ? nova_fail_os(error, r, "'%s/%s'", directory, name) : 0;
}

/* The sum has been checked; these checks keep a manifest that was forged with it from harming us.
 */
static bool runs_are_sound(const struct pages *pages, uint64_t most)
{
	uint64_t total = 0, next = 0;
	for (size_t i = 0; i < pages->run_count; i++) {
		const struct page_run *run = &pages->runs[i];
		if (!run->count || run->first < next || (uint64_t)run->first + run->count > most)
			return false;
		next = (uint64_t)run->first + run->count;
		total += run->count;
	}
	return total == pages->count;
}

static uint64_t pieces_of(uint32_t memory_mb, uint32_t fine)
{
	return (uint64_t)memory_mb << (8 + fine);
}

static int read_pages(
	const char *directory, const struct manifest *m, struct pages *pages, nova_error_t **error)
{
	struct pages_header header = { .run_count = 0 };
	const uint64_t size = m->pages.unpacked ? m->pages.unpacked : m->pages.size;
	int code = open_content(directory, pages_name(m), &m->pages, &pages->fd, error);
	if (code < 0)
		return code;
	int r = sys_pread_all(pages->fd, &header, sizeof(header), 0);
	if (r < 0 && r != -ENODATA)
		return nova_fail_os(error, r, "'%s/%s'", directory, pages_name(m));
	bool sound = r == 0 && !memcmp(header.magic, PAGES_MAGIC, sizeof(header.magic)) &&
		     header.run_count <= header.count && header.fine <= PAGES_FINEST &&
		     header.count <= pieces_of(m->config.memory_mb, header.fine);
	size_t runs_size = sound ? header.run_count * sizeof(*pages->runs) : 0;
	pages->offset = (sizeof(header) + runs_size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	pages->count = header.count;
	pages->fine = (uint8_t)header.fine;
	sound = sound && size == pages->offset + pages_bytes(pages);
	if (sound && !(pages->runs = malloc(runs_size + 1)))
		return nova_oom(error);
	r = sound ? sys_pread_all(pages->fd, pages->runs, runs_size, sizeof(header)) : 0;
	if (r < 0 && r != -ENODATA)
		return nova_fail_os(error, r, "'%s/%s'", directory, pages_name(m));
	sound = sound && r == 0;
	pages->run_count = header.run_count;
	if (!sound || !runs_are_sound(pages, pieces_of(m->config.memory_mb, header.fine)))
		return nova_fail(error, NOVA_ECORRUPT,
			"'%s/%s' is no list of pages; delete the snapshot", directory,
			pages_name(m));
	return 0;
}

int snapshot_open(const char *root, const struct manifest *m, struct snapshot_files *ret,
	nova_error_t **error)
{
	struct snapshot_files files = SNAPSHOT_FILES_NONE;
	AUTO_FREE char *directory = path_join(root, m->id);
	if (!directory)
		return nova_oom(error);
	int code = open_locked(directory, m, "state", &files.state, error);
	if (code == 0 && m->memory.size)
		code = open_locked(directory, m, memory_name(m), &files.memory_lock, error);
	if (code == 0)
		code = check_files(directory, m, error);
	if (code == 0 && m->memory.size)
		code = open_content(directory, memory_name(m), &m->memory, &files.memory, error);
	if (code == 0 && m->pages.size)
		code = read_pages(directory, m, &files.pages, error);
	if (code < 0)
		snapshot_files_done(&files);
	else
		*ret = files;
	return code;
}

/* --- what it takes, and its last use --- */

uint64_t snapshot_disk_bytes(const char *root, const char *id)
{
	static const char *const names[] = { "manifest.json", "state", "memory", "pages",
		"memory.zst", "pages.zst", ".checked", "" };
	uint64_t total = 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = str_format("%s/%s/%s", root, id, names[i]);
		AUTO_FD int fd = path ? sys_open(path, O_RDONLY, 0) : -1;
		struct stat st;
		if (fd >= 0 && sys_fstat(fd, &st) == 0)
			total += (uint64_t)st.st_blocks * 512u;
	}
	return total;
}

/* The manifest is read whole, so its time says nothing else. */
static uint64_t last_use_ns(const char *manifest)
{
	uint64_t time_ns;
	return manifest && fs_stat(manifest, NULL, &time_ns) == 0 ? time_ns : 0;
}

#define NOTE_NS 60000000000u

void snapshot_note_use(const char *root, const char *id)
{
	AUTO_FREE char *path = str_format("%s/%s/manifest.json", root, id);
	uint64_t now = clock_unix_us() * 1000u, last = last_use_ns(path);
	/* a time to come was set by a clock that was wrong */
	if (last && (last > now || now - last >= NOTE_NS))
		fs_set_mtime(path, now);
}

uint64_t snapshot_last_use_us(const char *root, const char *id)
{
	AUTO_FREE char *path = str_format("%s/%s/manifest.json", root, id);
	return last_use_ns(path) / 1000u;
}
