/* SPDX-License-Identifier: MIT */
/* Files of a guest. What it says of them is checked as if it came from a stranger: it may be one by
 * then. */
#include <errno.h>

#include "files/files.h"

#define READ_MOST  (64u << 20)
#define LISTING_NS 600000000000u /* of all its pages: what files hold is read for them */

/* --- listings --- */

void nova_files_free(nova_files_t *files)
{
	for (size_t i = 0; files && i < files->count; i++) {
		free(files->items[i].path);
		free(files->items[i].target);
	}
	if (files)
		free(files->items);
	free(files);
}

const struct file *files_find(const struct nova_files *files, const char *path, size_t len)
{
	AUTO_FREE char *wanted = strndup(path, len);
	size_t low = 0, high = wanted ? files->count : 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = proto_path_order(wanted, files->items[middle].path);
		if (!order)
			return &files->items[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static bool read_kind(struct json_span kind, int *ret)
{
	static const char kinds[] = "fdlo"; /* in the order of nova_file_kind */
	const char *known = kind.len == 1 && *kind.at ? strchr(kinds, *kind.at) : NULL;
	*ret = known ? (int)(known - kinds) + 1 : 0;
	return known;
}

/* The last text of an entry: of a link where it leads, of a file what its content is. */
static bool read_text(struct json_span text, struct file *f)
{
	bool link = f->kind == NOVA_FILE_LINK;
	if (link ? !text.len || text.len >= PROTO_PATH_MAX || strlen(text.at) != text.len :
		   text.len && (text.len != 16 || strspn(text.at, "0123456789abcdef") != 16))
		return false;
	snprintf(f->digest, sizeof(f->digest), "%s", link ? "" : text.at);
	f->target = strdup(link ? text.at : "");
	return true;
}

/* One entry: [path, kind, mode, size, mtime_us, digest or target]. False: it is none. */
static bool read_file(struct json_span entry, struct file *f)
{
	enum { PATH, KIND, MODE, SIZE, TIME, MORE, ITEMS };
	struct json_span items[ITEMS], extra, path, kind, text;
	struct json_walk walk;
	int64_t mode, size, time;
	if (!json_list_start(&walk, entry.at, entry.len, 1))
		return false;
	for (size_t i = 0; i < ITEMS; i++)
		if (json_list_next(&walk, &items[i]) <= 0)
			return false;
	if (json_list_next(&walk, &extra) != 0 || !json_take_text(items[PATH], &path) ||
		!proto_path_ok(path.at, path.len) || !json_take_text(items[KIND], &kind) ||
		!read_kind(kind, &f->kind) || !json_take_number(items[MODE], 07777, &mode) ||
		!json_take_number(items[SIZE], INT64_MAX, &size) ||
		!json_take_number(items[TIME], INT64_MAX, &time) ||
		!json_take_text(items[MORE], &text))
		return false;
	f->mode = (uint32_t)mode;
	f->size = (uint64_t)size;
	f->mtime_us = (uint64_t)time;
	if (!read_text(text, f))
		return false;
	f->path = strdup(path.at);
	return true;
}

/* Behind the one before, and in a directory that was listed. */
static bool fits(const struct nova_files *files, const struct file *f)
{
	const char *slash = strrchr(f->path, '/');
	const struct file *parent =
		slash ? files_find(files, f->path, (size_t)(slash - f->path)) : NULL;
	return (!slash || (parent && parent->kind == NOVA_FILE_DIRECTORY)) &&
	       (!files->count ||
		       proto_path_order(files->items[files->count - 1].path, f->path) < 0);
}

static int add_file(struct nova_files *files, struct file *f, nova_error_t **error)
{
	size_t names = files->names + strlen(f->path) + strlen(f->target);
	if (files->count >= FILES_MOST || names > FILES_NAMES)
		return nova_fail(error, NOVA_ETOOBIG,
			"the directory holds more than %u files, or %u MiB of names: list a part "
			"of it",
			FILES_MOST, FILES_NAMES >> 20);
	if (files->count == files->capacity) {
		size_t more = files->capacity ? files->capacity * 2 : 64;
		struct file *larger = realloc(files->items, more * sizeof(*larger));
		if (!larger)
			return nova_oom(error);
		files->items = larger;
		files->capacity = more;
	}
	files->names = names;
	files->items[files->count++] = *f;
	*f = (struct file){ .path = NULL };
	return 0;
}

/* 0; 1: it makes no sense; or a code. */
static int add_entry(struct nova_files *files, struct json_span entry, nova_error_t **error)
{
	struct file f = { .path = NULL };
	int code = !read_file(entry, &f) ? 1 :
		   !f.path || !f.target  ? nova_oom(error) :
		   !fits(files, &f)      ? 1 :
					   add_file(files, &f, error);
	free(f.path);
	free(f.target);
	return code;
}

int files_add_page(struct nova_files *files, const struct guest_message *said, nova_error_t **error)
{
	struct json_walk walk;
	struct json_span entry;
	size_t count = 0;
	int next =
		said->entries.at && json_list_start(&walk, said->entries.at, said->entries.len, 2) ?
			1 :
			-1;
	while (next > 0 && (next = json_list_next(&walk, &entry)) > 0) {
		int code = add_entry(files, entry, error);
		if (code < 0)
			return code;
		if (code > 0)
			break;
		count++;
	}
	if (next == 0 && (count || !said->more))
		return 0;
	return nova_fail(error, NOVA_EAGENT,
		"the listing by the guest makes no sense at entry %zu of a page", count);
}

static const struct file *file_at(const nova_files_t *files, size_t index)
{
	static const struct file none = { .target = (char *)"" };
	return files && index < files->count ? &files->items[index] : &none;
}

size_t nova_files_count(const nova_files_t *files)
{
	return files ? files->count : 0;
}

const char *nova_files_path(const nova_files_t *files, size_t index)
{
	return file_at(files, index)->path;
}

int nova_files_kind(const nova_files_t *files, size_t index)
{
	return file_at(files, index)->kind;
}

uint64_t nova_files_size(const nova_files_t *files, size_t index)
{
	return file_at(files, index)->size;
}

uint32_t nova_files_mode(const nova_files_t *files, size_t index)
{
	return file_at(files, index)->mode;
}

uint64_t nova_files_mtime_us(const nova_files_t *files, size_t index)
{
	return file_at(files, index)->mtime_us;
}

uint64_t nova_files_digest(const nova_files_t *files, size_t index)
{
	return strtoull(file_at(files, index)->digest, NULL, 16);
}

const char *nova_files_target(const nova_files_t *files, size_t index)
{
	return file_at(files, index)->target;
}

/* --- messages --- */

static int check_path(const char *path, nova_error_t **error)
{
	if (path && proto_path_absolute_ok(path, strlen(path)))
		return 0;
	return nova_fail(error, NOVA_EINVAL,
		"'%s' is no path in a guest: it begins with '/', has single slashes, no '.' or "
		"'..', and is UTF-8",
		path && text_is_utf8(path) ? path : "?");
}

/* One message, and its answer, in its turn. Takes `payload`. */
static int ask(nova_vm_t *vm, int type, json_t *payload, const struct stop *stop,
	struct vm_answer *answer, nova_error_t **error)
{
	return vm_request(vm, type, payload, DEFAULT_TIMEOUT, NULL, stop, answer, error);
}

int nova_vm_list_files(nova_vm_t *vm, const char *directory, uint32_t depth,
	const nova_wait_opts *wait, nova_files_t **ret_files, nova_error_t **error)
{
	if (ANY_NULL(error, vm, directory, ret_files))
		return NOVA_EINVAL;
	struct stop stop;
	int code = check_path(directory, error);
	if (code == 0)
		code = stop_import(&stop, wait, error);
	nova_files_t *files = code == 0 ? calloc(1, sizeof(*files)) : NULL;
	if (!files)
		return code < 0 ? code : nova_oom(error);
	uint64_t took = 0; /* by the guest, which can make the smallest pages, and slowly */
	for (bool more = true; more && code == 0;) {
		AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
		const char *after = files->count ? files->items[files->count - 1].path : "";
		json_t *payload = json_pack("{s:s, s:I, s:s}", "path", directory, "depth",
			(json_int_t)depth, "after", after);
		code = vm_request(vm, NOVA_MSG_FILE_LIST, payload, DEFAULT_TIMEOUT, &took, &stop,
			&answer, error);
		if (code == 0 && (code = files_add_page(files, &answer.said, error)) < 0)
			nova_wrap(error, code, "'%s' of microVM %s", directory, nova_vm_id(vm));
		more = answer.said.more;
		if (code == 0 && more && took > LISTING_NS)
			code = nova_fail(error, NOVA_EAGENT,
				"'%s' of microVM %s: its guest has listed it for 10 minutes, and "
				"is not done: list a part of it",
				directory, nova_vm_id(vm));
	}
	if (code < 0)
		nova_files_free(files);
	else
		*ret_files = files;
	return code;
}

/* `seen`: what is expected of a read, or known after the first piece. */
static int read_answer(const struct guest_message *said, struct file *seen, uint64_t offset,
	bool first, struct buf *out, nova_error_t **error)
{
	uint64_t size = said->size > 0 ? (uint64_t)said->size : 0,
		 time = said->mtime_us > 0 ? (uint64_t)said->mtime_us : 0;
	size_t before = out->len;
	int r = said->base64.at ? base64_get(out, said->base64.at, said->base64.len) : -EINVAL;
	size_t got = out->len - before;
	if (r == -ENOMEM)
		return nova_oom(error);
	if (r < 0 || got > PROTO_FILE_PIECE)
		return nova_fail(error, NOVA_EAGENT, "the guest's answer holds no piece of a file");
	if (first)
		seen->size = size, seen->mtime_us = time;
	uint64_t left = size > offset ? size - offset : 0;
	if (seen->size != size || seen->mtime_us != time ||
		got != (left < PROTO_FILE_PIECE ? left : PROTO_FILE_PIECE))
		return nova_fail(error, NOVA_EBUSY, "the file was changed while it was read");
	return 0;
}

static int read_piece(nova_vm_t *vm, const char *path, struct file *seen, uint64_t offset,
	bool first, const struct stop *stop, struct buf *out, nova_error_t **error)
{
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	json_t *payload = json_pack("{s:s, s:I, s:I}", "path", path, "offset", (json_int_t)offset,
		"length", (json_int_t)PROTO_FILE_PIECE);
	int code = ask(vm, NOVA_MSG_FILE_READ, payload, stop, &answer, error);
	if (code == 0 && (code = read_answer(&answer.said, seen, offset, first, out, error)) < 0)
		nova_wrap(error, code, "'%s' of microVM %s", path, nova_vm_id(vm));
	return code;
}

int vm_file_piece(nova_vm_t *vm, const char *path, const struct file *expected, uint64_t offset,
	const struct stop *stop, struct buf *out, nova_error_t **error)
{
	struct file seen = *expected;
	return read_piece(vm, path, &seen, offset, false, stop, out, error);
}

/* The whole file into `whole`, which may hold one piece more. */
static int read_whole(nova_vm_t *vm, const char *path, size_t most, const struct stop *stop,
	struct buf *whole, nova_error_t **error)
{
	struct file seen = { .size = 0 };
	int code;
	do {
		code = read_piece(vm, path, &seen, whole->len, !whole->len, stop, whole, error);
		if (code == 0 && seen.size > most)
			code = nova_fail(error, NOVA_ETOOBIG,
				"'%s' of microVM %s has %llu bytes, and at most %zu are wanted",
				path, nova_vm_id(vm), (unsigned long long)seen.size, most);
	} while (code == 0 && whole->len < seen.size);
	return code;
}

int nova_vm_read_file(nova_vm_t *vm, const char *path, const nova_file_read_opts *opts,
	void **ret_data, size_t *ret_len, nova_error_t **error)
{
	nova_file_read_opts o;
	if (ANY_NULL(error, vm, path, ret_data, ret_len))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_file_read_opts", error);
	if (code == 0)
		code = check_path(path, error);
	if (code < 0)
		return code;
	size_t most = o.max_size ? o.max_size : READ_MOST;
	AUTO_BUF struct buf whole = BUF_INIT(
		most < SIZE_MAX - PROTO_FILE_PIECE - 1 ? most + PROTO_FILE_PIECE + 1 : SIZE_MAX);
	const struct stop stop = { o.interrupt, NULL };
	code = read_whole(vm, path, most, &stop, &whole, error);
	size_t len = whole.len;
	void *data = code == 0 ? buf_steal_str(&whole) : NULL;
	if (!data)
		return code < 0 ? code : nova_oom(error);
	*ret_data = data;
	*ret_len = len;
	return 0;
}

int vm_file_change(nova_vm_t *vm, const char *path, const struct file_change *c,
	const struct stop *stop, nova_error_t **error)
{
	static const char *const kinds[] = { "", "file", "directory", "link" };
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	AUTO_BUF struct buf coded = BUF_INIT(PROTO_FILE_PIECE * 2);
	json_t *payload = NULL;
	if (base64_put(&coded, c->data, c->len) < 0)
		return nova_oom(error);
	if (!c->file)
		payload = json_pack("{s:s, s:s}", "path", path, "kind", "remove");
	else
		payload = json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:b, s:s%}", "path", path,
			"kind", kinds[c->file->kind], "part", c->part, "target",
			c->file->target ? c->file->target : "", "mode", (int)c->file->mode,
			"mtime_us", (json_int_t)c->file->mtime_us, "offset", (json_int_t)c->offset,
			"last", c->last, "base64", coded.len ? (char *)coded.data : "", coded.len);
	return ask(vm, NOVA_MSG_FILE_WRITE, payload, stop, &answer, error);
}

int nova_vm_write_file(nova_vm_t *vm, const char *path, const void *data, size_t len,
	const nova_file_write_opts *opts, nova_error_t **error)
{
	nova_file_write_opts o;
	char part[17];
	if (ANY_NULL(error, vm, path) || (len && ANY_NULL(error, data)))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_file_write_opts", error);
	if (code == 0)
		code = opts_reserved(o.reserved, "nova_file_write_opts", error);
	if (code == 0 && o.mode > 07777)
		code = nova_fail(
			error, NOVA_EINVAL, "nova_file_write_opts.mode: 0%o is over 07777", o.mode);
	if (code == 0)
		code = check_path(path, error);
	if (code == 0 && random_hex(part, 16) < 0)
		code = nova_oom(error);
	const struct stop stop = { o.interrupt, NULL };
	struct file file = { .kind = NOVA_FILE_REGULAR, .mode = o.mode ? o.mode : 0644 };
	struct file_change piece = { .file = &file, .part = part };
	while (code == 0 && !piece.last) {
		piece.data = (const uint8_t *)data + piece.offset;
		piece.len = len - piece.offset < PROTO_FILE_PIECE ? len - piece.offset :
								    PROTO_FILE_PIECE;
		piece.last = piece.offset + piece.len == len;
		code = vm_file_change(vm, path, &piece, &stop, error);
		piece.offset += piece.len;
	}
	return code;
}

int nova_vm_remove_file(
	nova_vm_t *vm, const char *path, const nova_wait_opts *wait, nova_error_t **error)
{
	struct file_change gone = { .file = NULL };
	if (ANY_NULL(error, vm, path))
		return NOVA_EINVAL;
	struct stop stop;
	int code = check_path(path, error);
	if (code == 0)
		code = stop_import(&stop, wait, error);
	return code < 0 ? code : vm_file_change(vm, path, &gone, &stop, error);
}
