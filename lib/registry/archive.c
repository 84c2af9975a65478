/* SPDX-License-Identifier: MIT */
/*
 * All of the registry as an archive: manifest.json, which says what this is; store.jsonl, a row of
 * the store to a line; kept.jsonl, the same of what functions keep, unless there is none; and
 * blobs/HASH for each file that a row needs.
 *
 * Who exports locks nobody out. If a file is gone that a row needed, as its function was deleted
 * meanwhile, it begins anew; in the end with the lock of the blobs. Who imports sees first whether
 * the rows could be added. Then it puts what functions keep that are not there yet, which takes
 * long and locks nobody out; then, with the lock of the blobs, these, which nobody needs yet; and
 * the rows last, in one transaction. A process that dies in between leaves spaces without
 * functions, which the same import takes the place of and kv_tick() removes, and blobs without
 * users, which the next registry_open() removes. One imports at a time.
 */
#include <errno.h>
#include <fcntl.h>

#include "registry/internal.h"
#include "tar/tar.h"

#define FORMAT        2 /* 1: it has nothing that functions keep */
#define MANIFEST      "manifest.json"
#define ROWS          "store.jsonl"
#define KEPT          "kept.jsonl"
#define BLOBS         "blobs/"
#define MANIFEST_MOST (1u << 20)
#define ROWS_MOST     (1u << 30)
#define KEPT_MOST     ((UINT64_C(8) << 30) - 1) /* as any file of a tar */
#define BLOBS_MOST    1000000u
#define PATIENCE_MS   10000u /* for another import */
#define PIECE         (1u << 20)
#define TRIES         5 /* of an export */
#define TRIES_FREE    2 /* of them without the lock */

static bool is_hash(const char *text)
{
	return strlen(text) == SHA256_HEX - 1 && strspn(text, "0123456789abcdef") == SHA256_HEX - 1;
}

static int note_blob(json_t *hashes, const char *hash, nova_error_t **error)
{
	if (!is_hash(hash))
		return nova_fail(error, NOVA_ECORRUPT,
			"a row needs the file '%.80s', which is no SHA-256", hash);
	if (json_object_set_new(hashes, hash, json_true()) < 0)
		return nova_oom(error);
	return json_object_size(hashes) <= BLOBS_MOST ?
		       0 :
		       nova_fail(error, NOVA_ETOOBIG,
			       "there are more than %u files, which no archive takes", BLOBS_MOST);
}

/* The blobs that a row of functions, versions or runtimes needs, as keys of an object. */
static int note_blobs(json_t *hashes, const json_t *row, nova_error_t **error)
{
	const char *code = json_string_value(json_object_get(row, "code_hash"));
	const char *image = json_string_value(json_object_get(row, "image"));
	image = image ? image_blob(image) : NULL;
	int r = code ? note_blob(hashes, code, error) : 0;
	return r == 0 && image ? note_blob(hashes, image, error) : r;
}

/* The ids of functions, likewise. */
static int note_function(json_t *ids, const char *table, const json_t *row, nova_error_t **error)
{
	const char *id = json_string_value(json_object_get(row, "id"));
	bool is_one = id && !strcmp(table, "functions");
	return is_one && json_object_set_new(ids, id, json_true()) < 0 ? nova_oom(error) : 0;
}

static bool is_of(const json_t *ids, const json_t *row)
{
	const char *id = json_string_value(json_object_get(row, "function"));
	return id && json_object_get(ids, id);
}

/* --- out --- */

struct export
{
	struct rows rows, kept;
	json_t *hashes, *ids, *keys, *counts;
	uint64_t now_us;
	bool again; /* a function was deleted meanwhile */
};

static void export_done(struct export *e)
{
	rows_done(&e->rows);
	rows_done(&e->kept);
	json_decref(e->hashes);
	json_decref(e->ids);
	json_decref(e->keys);
	json_decref(e->counts);
}

static int count_row(struct export *e, const char *table, nova_error_t **error)
{
	json_int_t count = json_integer_value(json_object_get(e->counts, table));
	return json_object_set_new(e->counts, table, json_integer(count + 1)) < 0 ?
		       nova_oom(error) :
		       0;
}

static int note_row(struct export *e, const char *table, const json_t *row, nova_error_t **error)
{
	const char *key = json_string_value(json_object_get(row, "key_id"));
	if (key && json_object_set_new(e->keys, key, json_true()) < 0)
		return nova_oom(error);
	int r = count_row(e, table, error);
	if (r == 0)
		r = note_function(e->ids, table, row, error);
	return r < 0 ? r : note_blobs(e->hashes, row, error);
}

static int add_row(void *userdata, const char *table, json_t *row, nova_error_t **error)
{
	struct export *e = userdata;
	int r = rows_add(&e->rows, table, row, error);
	if (r == 0 && e->rows.size > ROWS_MOST)
		return nova_fail(error, NOVA_ETOOBIG,
			"the store has more than %u MiB of rows, which no archive takes",
			ROWS_MOST >> 20);
	return r < 0 ? r : note_row(e, table, row, error);
}

static bool has_expired(const json_t *row, uint64_t now_us)
{
	json_int_t at = json_integer_value(json_object_get(row, "expires_us"));
	return at && (uint64_t)at <= now_us;
}

/* Functions may have come and gone since they were read. */
static int add_kept(void *userdata, const char *table, json_t *row, nova_error_t **error)
{
	struct export *e = userdata;
	if (!is_of(e->ids, row) || has_expired(row, e->now_us))
		return 0;
	int r = rows_add(&e->kept, table, row, error);
	if (r == 0 && e->kept.size > KEPT_MOST)
		return nova_fail(error, NOVA_ETOOBIG,
			"functions keep more than %u MiB of rows, which no archive takes",
			(unsigned)(KEPT_MOST >> 20));
	return r < 0 ? r : count_row(e, table, error);
}

static int read_kept(
	struct export *e, const struct kept *kept, const char *path, nova_error_t **error)
{
	struct store *store = NULL;
	int r = kept->open(kept->userdata, false, &store, error);
	if (r < 0 || !store)
		return r;
	e->now_us = clock_unix_us();
	r = rows_new(path, &e->kept, error);
	if (r == 0)
		r = store->ops->transfer->dump(store, add_kept, e, error);
	return r < 0 ? r : rows_flush(&e->kept, error);
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

static int add_manifest(
	struct tar_writer *to, const struct export *e, int64_t schema, nova_error_t **error)
{
	AUTO_JSON json_t *manifest = json_pack("{s:i,s:I,s:s,s:I,s:O,s:o}", "format",
		e->kept.size ? FORMAT : 1, "schema", (json_int_t)schema, "libnova",
		NOVA_VERSION_STRING, "created_us", (json_int_t)clock_unix_us(), "rows", e->counts,
		"secret_keys", keys_of(e->keys));
	AUTO_FREE char *text = manifest ? json_dumps(manifest, JSON_INDENT(2)) : NULL;
	return text ? tar_add(to, MANIFEST, text, strlen(text), error) : nova_oom(error);
}

/* Whole, and open: it can be read whoever removes it from then on. */
static int open_blob(struct blobs *blobs, const char *hash, int *ret_fd, nova_error_t **error)
{
	AUTO_FREE char *path = NULL;
	int r = blobs->ops->check(blobs, hash, error);
	if (r == 0)
		r = blobs->ops->get(blobs, hash, &path, error);
	if (r < 0)
		return r;
	*ret_fd = sys_open(path, O_RDONLY, 0);
	if (*ret_fd == -ENOENT)
		return nova_fail(error, NOVA_ENOTFOUND, "%s is gone", path);
	return *ret_fd < 0 ? nova_fail_os(error, *ret_fd, "cannot read %s", path) : 0;
}

/* What somebody still needs is lost; what nobody needs any more was deleted meanwhile. */
static int fail_gone(struct registry *registry, struct export *e, const char *hash,
	nova_error_t **failure, nova_error_t **error)
{
	uint64_t users = 0;
	int r = registry->store->ops->count_users(registry->store, hash, &users, error);
	if (r < 0)
		return r;
	e->again = !users;
	if (error)
		*error = STEAL(*failure);
	return nova_wrap(error, users ? NOVA_ECORRUPT : NOVA_EBUSY, "cannot export");
}

static int add_blob(struct registry *registry, struct export *e, struct tar_writer *to,
	const char *hash, nova_error_t **error)
{
	AUTO_FD int fd = -1;
	AUTO_ERROR nova_error_t *failure = NULL;
	char name[TAR_NAME];
	int r = open_blob(registry->blobs, hash, &fd, &failure);
	if (r == NOVA_ENOTFOUND)
		return fail_gone(registry, e, hash, &failure, error);
	if (r < 0 && error)
		*error = STEAL(failure);
	snprintf(name, sizeof(name), BLOBS "%.64s", hash);
	return r < 0 ? r : tar_add_file(to, name, fd, error);
}

static int write_archive(
	struct registry *registry, const char *path, struct export *e, nova_error_t **error)
{
	CLEANUP(tar_writer_freep) struct tar_writer *to = NULL;
	const char *hash;
	json_t *value;
	int r = tar_writer_new(path, &to, error);
	if (r == 0)
		r = add_manifest(
			to, e, registry->store->ops->transfer->schema(registry->store), error);
	if (r == 0)
		r = tar_add_file(to, ROWS, e->rows.fd, error);
	if (r == 0 && e->kept.size)
		r = tar_add_file(to, KEPT, e->kept.fd, error);
	json_object_foreach(e->hashes, hash, value) if (r == 0) r =
		add_blob(registry, e, to, hash, error);
	return r < 0 ? r : tar_finish(to, error);
}

/* *ret_again: it failed as somebody has deleted what it was about to read. */
static int export_once(struct registry *registry, const struct kept *kept, const char *path,
	bool *ret_again, nova_error_t **error)
{
	struct store *store = registry->store;
	CLEANUP(export_done)
	struct export e = { .rows = { .fd = -1 },
		.kept = { .fd = -1 },
		.hashes = json_object(),
		.ids = json_object(),
		.keys = json_object(),
		.counts = json_object() };
	if (!e.hashes || !e.ids || !e.keys || !e.counts)
		return nova_oom(error);
	int r = rows_new(path, &e.rows, error);
	if (r == 0)
		r = store->ops->transfer->dump(store, add_row, &e, error);
	if (r == 0)
		r = rows_flush(&e.rows, error);
	if (r == 0)
		r = read_kept(&e, kept, path, error);
	if (r == 0)
		r = write_archive(registry, path, &e, error);
	*ret_again = e.again;
	return r;
}

int registry_export(
	struct registry *registry, const struct kept *kept, const char *path, nova_error_t **error)
{
	AUTO_FD int lock = -1;
	AUTO_ERROR nova_error_t *failure = NULL;
	bool again = true;
	int r = 0;
	for (int i = 0; again && i < TRIES; i++) {
		nova_error_free(STEAL(failure));
		again = false;
		r = i == TRIES_FREE ?
			    registry->blobs->ops->lock(registry->blobs, true, &lock, &failure) :
			    0;
		if (r == 0)
			r = export_once(registry, kept, path, &again, &failure);
	}
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

/* --- in --- */

struct import {
	struct registry *registry;
	const struct kept *kept_store;
	const char *path;
	struct tar_reader *from;
	char *beside;   /* a name for files on their way */
	int64_t schema; /* of its rows */
	bool merges;
	struct transfer_lock *lock;
	struct rows rows, kept;  /* the latter: not open unless there are any */
	json_t *ids;             /* of functions */
	struct store *kept_into; /* NULL: nothing was put into it */
	int blobs_lock;
	json_t *hashes;       /* that are needed, and were not put */
	struct text_list put; /* by this import */
};

static void import_done(struct import *i)
{
	i->registry->store->ops->transfer->unlock(i->lock);
	fd_close(i->blobs_lock);
	tar_reader_free(i->from);
	free(i->beside);
	rows_done(&i->rows);
	rows_done(&i->kept);
	json_decref(i->ids);
	json_decref(i->hashes);
	text_list_done(&i->put);
}

static int fail_foreign(const struct import *i, const char *why, nova_error_t **error)
{
	return nova_fail(
		error, NOVA_ECORRUPT, "%s is no archive of nova_export(): %s", i->path, why);
}

/* The next file, which has to be that one. */
static int find_file(
	struct import *i, const char *wanted, size_t most, uint64_t *ret_size, nova_error_t **error)
{
	char name[TAR_NAME] = "";
	int r = tar_next(i->from, name, ret_size, error);
	if (r < 0)
		return r;
	if (r == 0 || strcmp(name, wanted) != 0)
		return fail_foreign(i, "it has not the files of one, in their order", error);
	if (*ret_size > most)
		return nova_fail(error, NOVA_ETOOBIG, "%s: %s has %llu bytes; at most %zu are read",
			i->path, wanted, (unsigned long long)*ret_size, most);
	return 0;
}

static int read_manifest(struct import *i, json_t **ret_manifest, nova_error_t **error)
{
	uint64_t size;
	int r = find_file(i, MANIFEST, MANIFEST_MOST, &size, error);
	AUTO_FREE char *text = r == 0 ? malloc(size + 1) : NULL;
	if (r == 0)
		r = text ? tar_read(i->from, text, size, error) : nova_oom(error);
	if (r < 0)
		return r;
	int os = json_parse(text, size, JSON_REJECT_DUPLICATES, ret_manifest, NULL);
	if (os == -ENOMEM)
		return nova_oom(error);
	return os < 0 ? fail_foreign(i, MANIFEST " in it is no JSON", error) : 0;
}

static int fail_newer(const struct import *i, const json_t *manifest, const char *what, int64_t has,
	int64_t known, nova_error_t **error)
{
	const char *made_by = json_string_value(json_object_get(manifest, "libnova"));
	return nova_fail(error, NOVA_ENOTSUP,
		"%s has %s %lld, of libnova %.20s, and libnova " NOVA_VERSION_STRING
		" knows %lld at most; use the libnova that wrote it, or a newer one",
		i->path, what, (long long)has, made_by ? made_by : "", (long long)known);
}

static int check_manifest(struct import *i, nova_error_t **error)
{
	AUTO_JSON json_t *manifest = NULL;
	struct store *store = i->registry->store;
	int64_t known = store->ops->transfer->schema(store);
	int r = read_manifest(i, &manifest, error);
	if (r < 0)
		return r;
	json_int_t format = json_integer_value(json_object_get(manifest, "format"));
	i->schema = json_integer_value(json_object_get(manifest, "schema"));
	if (format > FORMAT)
		return fail_newer(i, manifest, "format", format, FORMAT, error);
	if (format <= 0 || i->schema <= 0)
		return fail_foreign(i, MANIFEST " in it names no format and schema", error);
	return i->schema > known ? fail_newer(i, manifest, "schema", i->schema, known, error) : 0;
}

/* Whatever is wrong with a row is said of the archive. */
static int say_where(const struct import *i, int code, nova_error_t **error)
{
	return code < 0 ? nova_wrap(error, code, "%s", i->path) : code;
}

static int next_row(void *userdata, json_t **ret_line, nova_error_t **error)
{
	struct import *i = userdata;
	return say_where(i, rows_next(&i->rows, ret_line, error), error);
}

static int next_kept(void *userdata, json_t **ret_line, nova_error_t **error)
{
	struct import *i = userdata;
	AUTO_JSON json_t *line = NULL;
	int r = rows_next(&i->kept, &line, error);
	if (r > 0 && !is_of(i->ids, json_object_iter_value(json_object_iter(line))))
		r = nova_fail(
			error, NOVA_ECORRUPT, "there is something of a function that it has not");
	if (r > 0)
		*ret_line = STEAL(line);
	return say_where(i, r, error);
}

static int copy_rows(struct import *i, struct rows *to, uint64_t size, nova_error_t **error)
{
	AUTO_FREE char *piece = malloc(PIECE);
	int r = piece ? 0 : nova_oom(error);
	for (uint64_t at = 0; r == 0 && at < size; at += PIECE) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
		r = tar_read(i->from, piece, n, error);
		if (r == 0)
			r = rows_write(to, piece, n, error);
	}
	return r;
}

static int read_rows(struct import *i, nova_error_t **error)
{
	uint64_t size;
	json_t *next = NULL;
	int r = find_file(i, ROWS, ROWS_MOST, &size, error);
	if (r == 0)
		r = copy_rows(i, &i->rows, size, error);
	while (r >= 0 && (r = next_row(i, &next, error)) > 0) {
		AUTO_JSON json_t *line = STEAL(next);
		void *at = json_object_iter(line);
		const json_t *row = json_object_iter_value(at);
		r = note_blobs(i->hashes, row, error);
		if (r == 0)
			r = note_function(i->ids, json_object_iter_key(at), row, error);
		r = say_where(i, r, error);
	}
	rows_rewind(&i->rows);
	return r;
}

static int read_kept_rows(struct import *i, uint64_t size, nova_error_t **error)
{
	if (size > KEPT_MOST)
		return fail_foreign(i, KEPT " in it is too long", error);
	int r = rows_new(i->beside, &i->kept, error);
	if (r == 0)
		r = copy_rows(i, &i->kept, size, error);
	rows_rewind(&i->kept);
	return r;
}

static int check_lock(void *userdata, nova_error_t **error)
{
	const struct import *i = userdata;
	return i->registry->store->ops->transfer->check_lock(i->lock, error);
}

/* Once it is known that the functions can be added. Nobody sees it before they are. */
static int put_kept(struct import *i, nova_error_t **error)
{
	const struct transfer_source from = {
		.next = next_kept, .last = check_lock, .userdata = i
	};
	int r = i->kept_store->open(i->kept_store->userdata, true, &i->kept_into, error);
	return r < 0 ? r : i->kept_into->ops->transfer->restore(i->kept_into, &from, error);
}

/* There are no such functions, as long as nobody else imports: else it is left to who clears. */
static void forget_kept(struct import *i)
{
	const char *id;
	json_t *value;
	if (i->kept_into && check_lock(i, NULL) == 0)
		json_object_foreach(i->ids, id, value)
			i->kept_into->ops->kv->clear(i->kept_into, id, NULL);
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

/* No name of it becomes a path: it is a hash that a row needs and that was not there before, or
 * refused. */
static int read_blob(struct import *i, const char *name, uint64_t size, nova_error_t **error)
{
	const char *hash = str_starts(name, BLOBS) ? name + strlen(BLOBS) : "";
	if (!strcmp(name, KEPT))
		return fail_foreign(i, "it has " KEPT " twice, or not before its " BLOBS, error);
	if (!json_object_get(i->hashes, hash))
		return fail_foreign(i, "it has a file that no row of it needs", error);
	int r = put_blob(i, hash, size, error);
	json_object_del(i->hashes, hash);
	return r;
}

static int read_rest(struct import *i, nova_error_t **error)
{
	struct blobs *blobs = i->registry->blobs;
	char name[TAR_NAME];
	uint64_t size;
	int r = tar_next(i->from, name, &size, error);
	if (r > 0 && !strcmp(name, KEPT)) {
		r = read_kept_rows(i, size, error);
		if (r == 0)
			r = put_kept(i, error);
		if (r == 0)
			r = tar_next(i->from, name, &size, error);
	}
	int locked = r < 0 ? r : blobs->ops->lock(blobs, true, &i->blobs_lock, error);
	r = locked < 0 ? locked : r;
	while (r > 0) {
		r = read_blob(i, name, size, error);
		if (r == 0)
			r = tar_next(i->from, name, &size, error);
	}
	return r;
}

/* What it lacks may be there already. */
static int check_blobs(struct import *i, nova_error_t **error)
{
	struct blobs *blobs = i->registry->blobs;
	const char *hash;
	json_t *value;
	json_object_foreach(i->hashes, hash, value)
	{
		int has = blobs->ops->has(blobs, hash, error);
		if (has < 0)
			return has;
		if (!has)
			return nova_fail(error, NOVA_ECORRUPT,
				"the archive %s is damaged: it lacks the file %.12s… of a function",
				i->path, hash);
	}
	return 0;
}

static int add_rows(struct import *i, bool rehearses, nova_error_t **error)
{
	struct store *store = i->registry->store;
	const struct transfer_source from = { i->schema, i->merges, rehearses, next_row, check_lock,
		i };
	rows_rewind(&i->rows);
	return store->ops->transfer->restore(store, &from, error);
}

/* The store has refused the rows. With other codes they may be there all the same: a server has not
 * answered. */
static bool is_refused(int code)
{
	return code == NOVA_EEXIST || code == NOVA_ECORRUPT || code == NOVA_EBUSY ||
	       code == NOVA_EPERM || code == NOVA_ENOSPC || code == NOVA_EINVAL;
}

/* All that comes before the rows. */
static int prepare_import(struct import *i, nova_error_t **error)
{
	int r = check_manifest(i, error);
	if (r == 0)
		r = read_rows(i, error);
	if (r == 0)
		r = add_rows(i, true, error);
	if (r == 0)
		r = read_rest(i, error);
	if (r == 0)
		r = check_blobs(i, error);
	if (r < 0)
		forget_kept(i);
	return r;
}

static int import_all(struct import *i, nova_error_t **error)
{
	int r = prepare_import(i, error);
	if (r == 0) {
		r = add_rows(i, false, error);
		if (is_refused(r))
			forget_kept(i);
	}
	for (size_t n = 0; r < 0 && n < i->put.count; n++)
		blob_drop(i->registry, i->put.items[n]);
	return r;
}

static int begin_import(struct import *i, nova_error_t **error)
{
	struct store *store = i->registry->store;
	struct blobs *blobs = i->registry->blobs;
	i->hashes = json_object();
	i->ids = json_object();
	int r = i->hashes && i->ids ? tar_reader_new(i->path, &i->from, error) : nova_oom(error);
	if (r == 0)
		r = store->ops->transfer->lock(
			store, TRANSFER_IMPORTS, PATIENCE_MS, &i->lock, error);
	if (r == 0)
		r = blobs->ops->begin(blobs, &i->beside, error);
	return r < 0 ? r : rows_new(i->beside, &i->rows, error);
}

int registry_import(struct registry *registry, const struct kept *kept, const char *path,
	bool merges, nova_error_t **error)
{
	CLEANUP(import_done)
	struct import i = { .registry = registry,
		.kept_store = kept,
		.path = path,
		.merges = merges,
		.rows = { .fd = -1 },
		.kept = { .fd = -1 },
		.blobs_lock = -1 };
	int r = begin_import(&i, error);
	return r < 0 ? r : import_all(&i, error);
}
