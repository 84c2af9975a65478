/* SPDX-License-Identifier: MIT */
/* What is done with functions: one prepared statement each, under the lock of its connection. */
#include "store/sqlite/sqlite.h"

static int fail_row(struct use *use, const char *name, int code, nova_error_t **error)
{
	return nova_wrap(error, code, "the function store %s is damaged at function '%.64s'",
		use->connection->path, name && text_is_utf8(name) ? name : "?");
}

static int read_record(struct use *use, struct function_record *ret, nova_error_t **error)
{
	AUTO_RECORD struct function_record record = { 0 };
	int r = columns_read(use->statement, &record, error);
	if (r == NOVA_ENOMEM)
		return r;
	if (r < 0)
		return fail_row(use, record.name, r, error);
	*ret = record;
	memset(&record, 0, sizeof(record));
	return 0;
}

/* --- operations --- */

static int put(struct store *store, const struct function_record *record, uint32_t replaces,
	nova_error_t **error)
{
	AUTO_USE struct use use = use_writer(store);
	int r = use_prepare(&use, replaces ? SQL_UPDATE : SQL_INSERT, error);
	if (r < 0)
		return r;
	int behind = columns_bind(use.statement, record, error);
	if (behind < 0)
		return behind;
	if (replaces)
		use_bind_number(&use, behind, replaces);
	int rc = sqlite3_step(use.statement);
	if ((rc & 0xff) == SQLITE_CONSTRAINT && !replaces)
		return nova_fail(
			error, NOVA_EEXIST, "a function '%s' exists already", record->name);
	if (rc != SQLITE_DONE)
		return sqlite_fail(use.connection, rc, "write to it", error);
	if (replaces && sqlite3_changes(use.connection->db) == 0)
		return nova_fail(error, NOVA_EBUSY,
			"the function '%s' was changed by somebody else meanwhile", record->name);
	return 0;
}

static int get(struct store *store, const char *name, struct function_record *ret_record,
	nova_error_t **error)
{
	AUTO_USE struct use use = use_reader(store);
	int r = use_prepare(&use, SQL_GET, error);
	if (r < 0)
		return r;
	use_bind_text(&use, 1, name);
	int rc = sqlite3_step(use.statement);
	if (rc == SQLITE_DONE)
		return nova_fail(error, NOVA_ENOTFOUND, "there is no function '%.80s'",
			text_is_utf8(name) ? name : "(not UTF-8)");
	if (rc != SQLITE_ROW)
		return sqlite_fail(use.connection, rc, "read it", error);
	return read_record(&use, ret_record, error);
}

/* With the statement of the list. Until its end the records that were read are there. */
static int read_list(struct use *use, struct function_record **ret_records, size_t *ret_count,
	nova_error_t **error)
{
	struct function_record *records = NULL;
	size_t count = 0;
	int rc = SQLITE_DONE, r = 0;
	while (r == 0 && (rc = sqlite3_step(use->statement)) == SQLITE_ROW) {
		struct function_record *grown = use_grow(records, count, sizeof(*records));
		if (!grown) {
			r = nova_oom(error);
			break;
		}
		records = grown;
		r = read_record(use, &records[count], error);
		count += r == 0;
	}
	if (r == 0 && rc != SQLITE_DONE)
		r = sqlite_fail(use->connection, rc, "read it", error);
	if (r < 0) {
		record_list_free(records, count);
		return r;
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

static int list(struct store *store, const struct text_list *labels,
	struct function_record **ret_records, size_t *ret_count, nova_error_t **error)
{
	static const struct text_list none = { NULL, 0 };
	AUTO_FREE char *wanted = text_list_to_json(labels ? labels : &none);
	if (!wanted)
		return nova_oom(error);
	AUTO_USE struct use use = use_reader(store);
	int r = use_prepare(&use, SQL_LIST, error);
	if (r < 0)
		return r;
	use_bind_text(&use, 1, wanted);
	return read_list(&use, ret_records, ret_count, error);
}

static int names(struct store *store, const char *runtime, size_t max, char ***ret_names,
	size_t *ret_count, nova_error_t **error)
{
	AUTO_USE struct use use = use_reader(store);
	int rc = SQLITE_DONE, r = use_prepare(&use, SQL_NAMES, error);
	if (r < 0)
		return r;
	char **found = calloc(max + 1, sizeof(*found));
	if (!found)
		return nova_oom(error);
	size_t count = 0;
	use_bind_number(&use, 1, max);
	use_bind_text(&use, 2, runtime);
	while (count < max && (rc = sqlite3_step(use.statement)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(use.statement, 0);
		if (text && !(found[count++] = strdup(text)))
			r = nova_oom(error);
	}
	if (r == 0 && rc != SQLITE_DONE && rc != SQLITE_ROW)
		r = sqlite_fail(use.connection, rc, "read it", error);
	if (r < 0) {
		strv_free(found, count);
		return r;
	}
	*ret_names = found;
	*ret_count = count;
	return 0;
}

static int remove_function(struct store *store, const char *name, nova_error_t **error)
{
	AUTO_USE struct use use = use_writer(store);
	int r = use_prepare(&use, SQL_REMOVE, error);
	if (r < 0)
		return r;
	use_bind_text(&use, 1, name);
	int rc = sqlite3_step(use.statement);
	if (rc != SQLITE_DONE)
		return sqlite_fail(use.connection, rc, "write to it", error);
	if (sqlite3_changes(use.connection->db) == 0)
		return nova_fail(error, NOVA_ENOTFOUND, "there is no function '%.80s'",
			text_is_utf8(name) ? name : "(not UTF-8)");
	return 0;
}

const struct function_ops sqlite_function_ops = {
	.put = put,
	.get = get,
	.list = list,
	.names = names,
	.remove = remove_function,
};
