/* SPDX-License-Identifier: MIT */
/* What functions keep as rows of an archive. What comes in may be anybody's: each row is looked at
 * before it is put, as there may be too many of them to read them back. */
#include "hash/hash.h"
#include "store/sql/sql.h"

#define KEPT_COLUMNS 6

struct table {
	const char *name, *kind;
	enum sql_statement copy, restore;      /* both have the columns in this order */
	const char *columns[KEPT_COLUMNS + 1]; /* the first is the function; ends with NULL */
	enum sql_type types[KEPT_COLUMNS];
	int (*check)(const struct sql_value *values, nova_error_t **error);
};

#define TEXT   SQL_TYPE_TEXT
#define NUMBER SQL_TYPE_NUMBER
#define BYTES  SQL_TYPE_BYTES

static int check_space(const struct sql_value *values, nova_error_t **error)
{
	uint64_t version = (uint64_t)values[1].number;
	return version && version <= KV_VERSION_MAX ?
		       0 :
		       nova_fail(error, NOVA_ECORRUPT, "its version is none");
}

static int check_entry(const struct sql_value *values, nova_error_t **error)
{
	const struct kv_record record = {
		.key = (char *)(uintptr_t)values[1].data,
		.version = (uint64_t)values[2].number,
		.expires_us = (uint64_t)values[3].number,
		.len = (size_t)values[4].number,
	};
	if (values[5].len != record.len)
		return nova_fail(error, NOVA_ECORRUPT, "its size is not that of its value");
	return kv_record_check(&record, NOVA_ECORRUPT, error);
}

static int check_content(const struct sql_value *values, nova_error_t **error)
{
	char hash[SHA256_HEX];
	int r = hash_ready(error);
	if (r < 0)
		return r;
	if (values[2].len > KV_FILE_MAX)
		return nova_fail(error, NOVA_ECORRUPT, "it has %zu bytes, and may have %u",
			values[2].len, KV_FILE_MAX);
	if (sha256_hex(values[2].data, values[2].len, hash) < 0)
		return nova_oom(error);
	return strcmp(hash, values[1].data) == 0 ?
		       0 :
		       nova_fail(error, NOVA_ECORRUPT, "its bytes have another SHA-256");
}

static int check_file(const struct sql_value *values, nova_error_t **error)
{
	const struct file_record record = {
		.name = (char *)(uintptr_t)values[1].data,
		.type = (char *)(uintptr_t)values[2].data,
		.len = (size_t)values[4].number,
		.updated_us = (uint64_t)values[5].number,
	};
	return file_record_check(&record, NOVA_ECORRUPT, error);
}

/* What is referred to comes first. */
static const struct table tables[] = {
	{ "kv_spaces", "space of function", SQL_KV_SPACES_COPY, SQL_KV_SPACE_RESTORE,
		{ "function", "version", NULL }, { TEXT, NUMBER }, check_space },
	{ "kv_entries", "key of function", SQL_KV_COPY, SQL_KV_RESTORE,
		{ "function", "key", "version", "expires_us", "size", "value", NULL },
		{ TEXT, TEXT, NUMBER, NUMBER, NUMBER, BYTES }, check_entry },
	{ "kv_contents", "content of a file of function", SQL_FILE_CONTENTS_COPY,
		SQL_FILE_CONTENT_RESTORE, { "function", "hash", "data", NULL },
		{ TEXT, TEXT, BYTES }, check_content },
	{ "kv_files", "file of function", SQL_FILES_COPY, SQL_FILE_RESTORE,
		{ "function", "name", "type", "hash", "size", "updated_us", NULL },
		{ TEXT, TEXT, TEXT, TEXT, NUMBER, NUMBER }, check_file },
};

static const struct table *find_table(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (!strcmp(tables[i].name, name))
			return &tables[i];
	return NULL;
}

static int dump(struct store *store,
	int (*take)(void *userdata, const char *table, json_t *row, nova_error_t **error),
	void *userdata, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	int r = sql_start(store, SQL_COPIES, &session, error);
	if (r == 0)
		r = sql_begin_snapshot(&session, error);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(tables); i++)
		r = sql_dump(&session, tables[i].copy, tables[i].name, take, userdata, error);
	return r < 0 ? r : 0;
}

/* --- in --- */

static int fail_row(
	const struct table *table, const json_t *row, const char *why, nova_error_t **error)
{
	const char *function = json_string_value(json_object_get(row, "function"));
	return nova_fail(
		error, NOVA_ECORRUPT, "%s %.36s: %s", table->kind, function ? function : "?", why);
}

/* A space of that function may be left of one that was deleted. */
static int put(struct sql_session *session, const struct table *table, const json_t *row,
	const struct sql_value *values, size_t count, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	uint64_t changes = 0;
	int r = table->check(values, &failure);
	if (r == NOVA_ECORRUPT)
		return fail_row(table, row, nova_error_message(failure), error);
	if (r == 0 && table == tables)
		r = sql_clear_space(session, values[0].data, &failure);
	if (r == 0)
		r = sql_do(session, table->restore, values, count, &changes, &failure);
	if (r == NOVA_EEXIST)
		return fail_row(table, row, "it is there twice", error);
	if (r == NOVA_EBUSY || (r == 0 && !changes))
		return fail_row(table, row, "the archive lacks what it refers to", error);
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

static int insert(struct sql_session *session, const struct table *table, const json_t *row,
	nova_error_t **error)
{
	struct sql_value values[KEPT_COLUMNS];
	void *owned[KEPT_COLUMNS] = { NULL };
	size_t count = 0;
	bool good = true;
	for (; good && table->columns[count]; count++)
		good = sql_value_from_json(json_object_get(row, table->columns[count]),
			       &values[count], &owned[count]) &&
		       values[count].type == table->types[count];
	good = good && count == json_object_size(row);
	int r = good ? put(session, table, row, values, count, error) :
		       fail_row(table, row,
			       "it has not its columns, or values that none of them can have",
			       error);
	for (size_t i = 0; i < KEPT_COLUMNS; i++)
		free(owned[i]);
	return r;
}

static int restore(struct store *store, const struct transfer_source *from, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	json_t *next = NULL;
	int r = sql_start(store, SQL_LOGS, &session, error);
	if (r == 0)
		r = sql_begin(&session, error);
	while (r >= 0 && (r = from->next(from->userdata, &next, error)) > 0) {
		AUTO_JSON json_t *line = STEAL(next);
		void *at = json_object_iter(line);
		const struct table *table = find_table(json_object_iter_key(at));
		r = table ? insert(&session, table, json_object_iter_value(at), error) :
			    nova_fail(error, NOVA_ECORRUPT,
				    "there is a row of '%.40s', a table that this libnova does not "
				    "know",
				    json_object_iter_key(at));
	}
	return r < 0 ? r : sql_commit(&session, error);
}

const struct transfer_ops sql_kv_transfer_ops = {
	.dump = dump,
	.restore = restore,
};
