/* SPDX-License-Identifier: MIT */
/* What is done with runtimes. Their columns stand in the order of step 6 of the schema. */
#include "store/sqlite/sqlite.h"

static int put(
	struct store *store, const struct runtime_record *r, bool replaces, nova_error_t **error)
{
	AUTO_FREE char *argv = text_list_to_json(&r->argv);
	if (!argv)
		return nova_oom(error);
	AUTO_USE struct use use = use_writer(store);
	int code = use_prepare(&use, replaces ? SQL_RUNTIME_REPLACE : SQL_RUNTIME_INSERT, error);
	if (code < 0)
		return code;
	const char *const texts[] = { r->name, r->rootfs, r->image, r->protocol, argv };
	const uint64_t numbers[] = { r->memory_mb, r->timeout_s, r->init_timeout_s, r->created_us };
	int at = 1;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		use_bind_text(&use, at++, texts[i]);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		use_bind_number(&use, at++, numbers[i]);
	int rc = sqlite3_step(use.statement);
	if ((rc & 0xff) == SQLITE_CONSTRAINT && !replaces)
		return nova_fail(error, NOVA_EEXIST, "a runtime '%s' exists already", r->name);
	return rc == SQLITE_DONE ? 0 : sqlite_fail(use.connection, rc, "write to it", error);
}

/* Into an empty one; what could be read of it is there after a failure. */
static int read_columns(sqlite3_stmt *s, struct runtime_record *r, nova_error_t **error)
{
	struct row row = { s };
	r->name = row_text(&row);
	r->rootfs = row_text(&row);
	r->image = row_text(&row);
	r->protocol = row_text(&row);
	row_list(&row, &r->argv);
	r->memory_mb = (uint32_t)row_number(&row, UINT32_MAX);
	r->timeout_s = (uint32_t)row_number(&row, UINT32_MAX);
	r->init_timeout_s = (uint32_t)row_number(&row, UINT32_MAX);
	r->created_us = row_number(&row, INT64_MAX);
	int code = row_end(&row, error);
	return code < 0 ? code : runtime_record_check(r, NOVA_ECORRUPT, error);
}

static int read_record(struct use *use, struct runtime_record *ret, nova_error_t **error)
{
	AUTO_RUNTIME_RECORD struct runtime_record record = { NULL };
	int code = read_columns(use->statement, &record, error);
	if (code == NOVA_ENOMEM)
		return code;
	if (code < 0)
		return nova_wrap(error, code, "the function store %s is damaged at runtime '%.32s'",
			use->connection->path,
			record.name && text_is_utf8(record.name) ? record.name : "?");
	*ret = record;
	memset(&record, 0, sizeof(record));
	return 0;
}

static int fail_not_found(const char *name, nova_error_t **error)
{
	return nova_fail(error, NOVA_ENOTFOUND, "there is no runtime '%.80s'",
		text_is_utf8(name) ? name : "(not UTF-8)");
}

static int get(struct store *store, const char *name, struct runtime_record *ret_record,
	nova_error_t **error)
{
	AUTO_USE struct use use = use_reader(store);
	int r = use_prepare(&use, SQL_RUNTIME_GET, error);
	if (r < 0)
		return r;
	use_bind_text(&use, 1, name);
	int rc = sqlite3_step(use.statement);
	if (rc == SQLITE_DONE)
		return fail_not_found(name, error);
	if (rc != SQLITE_ROW)
		return sqlite_fail(use.connection, rc, "read it", error);
	return read_record(&use, ret_record, error);
}

static int read_list(
	struct use *use, struct runtime_record **records, size_t *count, nova_error_t **error)
{
	int rc, code = 0;
	while (code == 0 && (rc = sqlite3_step(use->statement)) == SQLITE_ROW) {
		struct runtime_record *grown = use_grow(*records, *count, sizeof(*grown));
		if (!grown)
			return nova_oom(error);
		*records = grown;
		code = read_record(use, &grown[*count], error);
		*count += code == 0;
	}
	if (code < 0)
		return code;
	return rc == SQLITE_DONE ? 0 : sqlite_fail(use->connection, rc, "read it", error);
}

static int list(struct store *store, struct runtime_record **ret_records, size_t *ret_count,
	nova_error_t **error)
{
	struct runtime_record *records = NULL;
	size_t count = 0;
	AUTO_USE struct use use = use_reader(store);
	int code = use_prepare(&use, SQL_RUNTIME_LIST, error);
	if (code == 0)
		code = read_list(&use, &records, &count, error);
	if (code < 0) {
		runtime_record_list_free(records, count);
		return code;
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

static int remove_runtime(struct store *store, const char *name, nova_error_t **error)
{
	AUTO_USE struct use use = use_writer(store);
	int r = use_prepare(&use, SQL_RUNTIME_REMOVE, error);
	if (r < 0)
		return r;
	use_bind_text(&use, 1, name);
	int rc = sqlite3_step(use.statement);
	if (rc != SQLITE_DONE)
		return sqlite_fail(use.connection, rc, "write to it", error);
	return sqlite3_changes(use.connection->db) ? 0 : fail_not_found(name, error);
}

const struct runtime_ops sqlite_runtime_ops = {
	.put = put,
	.get = get,
	.list = list,
	.remove = remove_runtime,
};
