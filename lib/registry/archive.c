/* SPDX-License-Identifier: MIT */
/*
 * All of the registry as an archive: manifest.json, which says what this is; store.jsonl, a row of
 * the store to a line; and blobs/HASH for each file that a row needs.
 *
 * Who exports has the lock of the blobs until the end, so none of them goes meanwhile. Who imports
 * puts the blobs first, which nobody needs yet, and the rows last, in one transaction: a process
 * that dies in between leaves blobs without users, which the next registry_open() removes.
 */
#include <errno.h>
#include <fcntl.h>

#include "registry/internal.h"
#include "tar/tar.h"

#define FORMAT        1
#define MANIFEST      "manifest.json"
#define ROWS          "store.jsonl"
#define BLOBS         "blobs/"
#define MANIFEST_MOST (1u << 20)
#define ROWS_MOST     (1u << 30)
#define PIECE         (1u << 20)

/* The blobs that a row of functions, versions or runtimes needs, as keys of an object. */
static int note_blobs(json_t *hashes, const json_t *row, nova_error_t **error)
{
	const char *code = json_string_value(json_object_get(row, "code_hash"));
	const char *image = json_string_value(json_object_get(row, "image"));
	image = image ? image_blob(image) : NULL;
	bool failed = (code && json_object_set_new(hashes, code, json_true()) < 0) ||
		      (image && json_object_set_new(hashes, image, json_true()) < 0);
	return failed ? nova_oom(error) : 0;
}

/* --- out --- */

struct export
{
	struct buf rows;
	json_t *hashes, *keys, *counts;
};

static void export_done(struct export *e)
{
	buf_free(&e->rows);
	json_decref(e->hashes);
	json_decref(e->keys);
	json_decref(e->counts);
}

static int note_row(struct export *e, const char *table, const json_t *row, nova_error_t **error)
{
	json_int_t count = json_integer_value(json_object_get(e->counts, table));
	const char *key = json_string_value(json_object_get(row, "key_id"));
	if (json_object_set_new(e->counts, table, json_integer(count + 1)) < 0 ||
		(key && json_object_set_new(e->keys, key, json_true()) < 0))
		return nova_oom(error);
	return note_blobs(e->hashes, row, error);
}

static int add_row(void *userdata, const char *table, json_t *row, nova_error_t **error)
{
	struct export *e = userdata;
	AUTO_JSON json_t *line = json_pack("{s:O}", table, row);
	AUTO_FREE char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	int os = text ? buf_append_str(&e->rows, text) : -ENOMEM;
	if (os == 0)
		os = buf_append(&e->rows, "\n", 1);
	if (os == -EMSGSIZE)
		return nova_fail(error, NOVA_ETOOBIG,
			"the store has more than %u MiB of rows, which no archive takes",
			ROWS_MOST >> 20);
	return os < 0 ? nova_oom(error) : note_row(e, table, row, error);
}

static json_t *keys_of(const json_t *object)
{
	json_t *list = json_array();
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
		json_array_append_new(list, json_string(key));
	return list;
}

static int add_manifest(struct tar_writer *to, const struct export *e, nova_error_t **error)
{
	AUTO_JSON json_t *manifest = json_pack("{s:i,s:s,s:I,s:O,s:o}", "format", FORMAT, "libnova",
		NOVA_VERSION_STRING, "created_us", (json_int_t)clock_unix_us(), "rows", e->counts,
		"secret_keys", keys_of(e->keys));
	AUTO_FREE char *text = manifest ? json_dumps(manifest, JSON_INDENT(2)) : NULL;
	return text ? tar_add(to, MANIFEST, text, strlen(text), error) : nova_oom(error);
}

static int add_blob(
	struct registry *registry, struct tar_writer *to, const char *hash, nova_error_t **error)
{
	struct blobs *blobs = registry->blobs;
	AUTO_FREE char *path = NULL;
	char name[TAR_NAME];
	int r = blobs->ops->check(blobs, hash, error);
	if (r == 0)
		r = blobs->ops->get(blobs, hash, &path, error);
	if (r < 0)
		return r == NOVA_ENOTFOUND ? nova_wrap(error, NOVA_ECORRUPT, "cannot export") : r;
	snprintf(name, sizeof(name), BLOBS "%.64s", hash);
	return tar_add_file(to, name, path, error);
}

static int write_archive(
	struct registry *registry, const char *path, const struct export *e, nova_error_t **error)
{
	CLEANUP(tar_writer_freep) struct tar_writer *to = NULL;
	const char *hash;
	json_t *value;
	int r = tar_writer_new(path, &to, error);
	if (r == 0)
		r = add_manifest(to, e, error);
	if (r == 0)
		r = tar_add(to, ROWS, e->rows.len ? (char *)e->rows.data : "", e->rows.len, error);
	json_object_foreach(e->hashes, hash, value) if (r == 0) r =
		add_blob(registry, to, hash, error);
	return r < 0 ? r : tar_finish(to, error);
}

int registry_export(struct registry *registry, const char *path, nova_error_t **error)
{
	struct store *store = registry->store;
	CLEANUP(export_done)
	struct export e = { BUF_INIT(ROWS_MOST), json_object(), json_object(), json_object() };
	AUTO_FD int lock = -1;
	if (!e.hashes || !e.keys || !e.counts)
		return nova_oom(error);
	int r = registry->blobs->ops->lock(registry->blobs, true, &lock, error);
	if (r == 0)
		r = store->ops->transfer->dump(store, add_row, &e, error);
	return r < 0 ? r : write_archive(registry, path, &e, error);
}

/* --- in --- */

struct import {
	struct registry *registry;
	const char *path;
	struct tar_reader *from;
	json_t *rows, *hashes; /* those that are needed */
	struct text_list put;  /* those that this import has put */
};

static void import_done(struct import *i)
{
	tar_reader_free(i->from);
	json_decref(i->rows);
	json_decref(i->hashes);
	text_list_done(&i->put);
}

static int fail_foreign(const struct import *i, const char *why, nova_error_t **error)
{
	return nova_fail(
		error, NOVA_ECORRUPT, "%s is no archive of nova_export(): %s", i->path, why);
}

/* The next file, which has to be that one. */
static int read_whole(struct import *i, const char *wanted, size_t most, char **ret_text,
	size_t *ret_len, nova_error_t **error)
{
	char name[TAR_NAME] = "";
	uint64_t size = 0;
	int r = tar_next(i->from, name, &size, error);
	if (r < 0)
		return r;
	if (r == 0 || strcmp(name, wanted) != 0)
		return fail_foreign(i, "it has not the files of one, in their order", error);
	if (size > most)
		return nova_fail(error, NOVA_ETOOBIG, "%s: %s has %llu bytes; at most %zu are read",
			i->path, wanted, (unsigned long long)size, most);
	AUTO_FREE char *text = malloc(size + 1);
	if (!text)
		return nova_oom(error);
	r = tar_read(i->from, text, size, error);
	text[r < 0 ? 0 : size] = 0;
	*ret_len = size;
	*ret_text = STEAL(text);
	return r;
}

static int check_manifest(struct import *i, nova_error_t **error)
{
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *manifest = NULL;
	size_t len;
	int r = read_whole(i, MANIFEST, MANIFEST_MOST, &text, &len, error);
	if (r < 0)
		return r;
	int os = json_parse(text, len, JSON_REJECT_DUPLICATES, &manifest, NULL);
	if (os < 0)
		return os == -ENOMEM ? nova_oom(error) :
				       fail_foreign(i, MANIFEST " in it is no JSON", error);
	json_int_t format = json_integer_value(json_object_get(manifest, "format"));
	const char *made_by = json_string_value(json_object_get(manifest, "libnova"));
	if (format > FORMAT)
		return nova_fail(error, NOVA_ENOTSUP,
			"%s has format %lld, of libnova %.20s, and libnova " NOVA_VERSION_STRING
			" knows %d at most; use the libnova that wrote it, or a newer one",
			i->path, (long long)format, made_by ? made_by : "", FORMAT);
	return format == FORMAT ? 0 : fail_foreign(i, MANIFEST " in it names no format", error);
}

static int add_line(struct import *i, const char *line, size_t len, nova_error_t **error)
{
	json_t *row = NULL;
	int os = json_parse(line, len, JSON_REJECT_DUPLICATES, &row, NULL);
	if (os == -ENOMEM || (os == 0 && json_array_append_new(i->rows, row) < 0))
		return nova_oom(error);
	if (os < 0 || json_object_size(row) != 1)
		return fail_foreign(i, "a line of " ROWS " in it is no row", error);
	return note_blobs(i->hashes, json_object_iter_value(json_object_iter(row)), error);
}

static int read_rows(struct import *i, nova_error_t **error)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	int r = read_whole(i, ROWS, ROWS_MOST, &text, &len, error);
	for (char *at = text, *end; r == 0 && at < text + len; at = end + 1) {
		end = memchr(at, '\n', (size_t)(text + len - at));
		end = end ? end : text + len;
		r = add_line(i, at, (size_t)(end - at), error);
	}
	return r;
}

/* The rest of the last page is zero. */
static int write_file(struct import *i, int fd, uint64_t size, nova_error_t **error)
{
	AUTO_FREE uint8_t *piece = malloc(PIECE);
	int r = piece ? 0 : nova_oom(error);
	for (uint64_t at = 0; r == 0 && at < size; at += PIECE) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
		memset(piece, 0, PIECE);
		r = tar_read(i->from, piece, n, error);
		int os = r < 0 ? 0 : sys_pwrite_sparse(fd, piece, (n + 4095) / 4096 * 4096, at);
		if (os < 0)
			r = nova_fail_os(error, os, "cannot write a file of %s", i->path);
	}
	int os = r < 0 ? 0 : sys_truncate(fd, size);
	return os < 0 ? nova_fail_os(error, os, "cannot write a file of %s", i->path) : r;
}

static int put_blob(struct import *i, const char *hash, uint64_t size, nova_error_t **error)
{
	struct blobs *blobs = i->registry->blobs;
	CLEANUP(unfinished_remove) struct unfinished file = { NULL };
	char found[SHA256_HEX];
	int r = blobs->ops->begin(blobs, &file.path, error);
	if (r < 0)
		return r;
	AUTO_FD int fd = sys_open(file.path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return nova_fail_os(error, fd, "cannot make %s", file.path);
	r = write_file(i, fd, size, error);
	int os = r < 0 ? 0 : sha256_file_hex(file.path, found);
	if (os < 0)
		return nova_fail_os(error, os, "cannot read %s", file.path);
	if (r == 0 && strcmp(found, hash) != 0)
		return nova_fail(error, NOVA_ECORRUPT,
			"the archive %s is damaged: its file %.12s… has the SHA-256 %.12s…",
			i->path, hash, found);
	if (r == 0)
		r = text_list_add(&i->put, hash) < 0 ? nova_oom(error) : 0;
	return r < 0 ? r : blobs->ops->put(blobs, file.path, hash, error);
}

/* No name of it becomes a path: it is a hash that a row needs, or refused. */
static int read_blobs(struct import *i, nova_error_t **error)
{
	char name[TAR_NAME];
	uint64_t size;
	int r;
	while ((r = tar_next(i->from, name, &size, error)) > 0) {
		const char *hash = str_starts(name, BLOBS) ? name + strlen(BLOBS) : "";
		if (strlen(hash) != SHA256_HEX - 1 ||
			strspn(hash, "0123456789abcdef") != SHA256_HEX - 1 ||
			!json_object_get(i->hashes, hash))
			return fail_foreign(i, "it has a file that no row of it needs", error);
		r = put_blob(i, hash, size, error);
		if (r < 0)
			return r;
	}
	return r;
}

static int check_blobs(struct import *i, nova_error_t **error)
{
	struct blobs *blobs = i->registry->blobs;
	const char *hash;
	json_t *value;
	json_object_foreach(i->hashes, hash, value)
	{
		bool named = strlen(hash) == SHA256_HEX - 1 &&
			     strspn(hash, "0123456789abcdef") == SHA256_HEX - 1;
		int has = named ? blobs->ops->has(blobs, hash, error) : 0;
		if (has < 0)
			return has;
		if (!has)
			return nova_fail(error, NOVA_ECORRUPT,
				"the archive %s is damaged: it lacks the file %.12s… of a function",
				i->path, hash);
	}
	return 0;
}

static int import_all(struct import *i, bool merges, nova_error_t **error)
{
	struct store *store = i->registry->store;
	int r = check_manifest(i, error);
	if (r == 0)
		r = read_rows(i, error);
	if (r == 0)
		r = read_blobs(i, error);
	if (r == 0)
		r = check_blobs(i, error);
	return r < 0 ? r : store->ops->transfer->restore(store, i->rows, merges, error);
}

int registry_import(struct registry *registry, const char *path, bool merges, nova_error_t **error)
{
	CLEANUP(import_done)
	struct import i = { registry, path, NULL, json_array(), json_object(), { NULL, 0 } };
	AUTO_FD int lock = -1;
	int r = i.rows && i.hashes ? tar_reader_new(path, &i.from, error) : nova_oom(error);
	if (r == 0)
		r = registry->blobs->ops->lock(registry->blobs, true, &lock, error);
	if (r < 0)
		return r;
	r = import_all(&i, merges, error);
	for (size_t n = 0; r < 0 && n < i.put.count; n++)
		blob_drop(registry, i.put.items[n]);
	return r;
}
