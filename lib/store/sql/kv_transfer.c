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

#define PORTION_ROWS  256u
#define PORTION_BYTES (1u << 20)

/* A row on its way; its values borrow from the others. */
struct line {
	json_t *json;
	const struct table *table;
	struct sql_value values[KEPT_COLUMNS];
	void *owned[KEPT_COLUMNS];
	size_t count;
};

/* What is added by one transaction, which waits for nothing else meanwhile. */
struct portion {
	struct line lines[PORTION_ROWS];
	size_t count, bytes;
};

static int fail_row(
	const struct table *table, const char *function, const char *why, nova_error_t **error)
{
	return nova_fail(
		error, NOVA_ECORRUPT, "%s %.36s: %s", table->kind, function ? function : "?", why);
}

static const char *function_of(const struct line *line)
{
	return line->values[0].data;
}

static bool take_columns(const json_t *row, struct line *line)
{
	const struct table *table = line->table;
	bool good = true;
	for (size_t i = 0; good && table->columns[i]; i++, line->count++)
		good = sql_value_from_json(json_object_get(row, table->columns[i]),
			       &line->values[i], &line->owned[i]) &&
		       line->values[i].type == table->types[i];
	return good && line->count == json_object_size(row);
}

static int read_row(const json_t *row, struct line *line, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	if (!take_columns(row, line))
		return fail_row(line->table, json_string_value(json_object_get(row, "function")),
			"it has not its columns, or values that none of them can have", error);
	int r = line->table->check(line->values, &failure);
	if (r == NOVA_ECORRUPT)
		return fail_row(line->table, function_of(line), nova_error_message(failure), error);
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

static void portion_clear(struct portion *portion)
{
	for (size_t i = 0; i < portion->count; i++) {
		for (size_t n = 0; n < KEPT_COLUMNS; n++)
			free(portion->lines[i].owned[n]);
		json_decref(portion->lines[i].json);
	}
	portion->count = portion->bytes = 0;
}

/* Takes it. */
static int add_line(struct portion *portion, json_t *json, nova_error_t **error)
{
	struct line *line = &portion->lines[portion->count++];
	void *at = json_object_iter(json);
	const struct table *table = find_table(json_object_iter_key(at));
	*line = (struct line){ .json = json, .table = table };
	if (!table)
		return nova_fail(error, NOVA_ECORRUPT,
			"there is a row of '%.40s', a table that this libnova does not know",
			json_object_iter_key(at));
	int r = read_row(json_object_iter_value(at), line, error);
	for (size_t i = 0; i < line->count; i++)
		portion->bytes += line->values[i].len;
	return r;
}

/* 1: there may be more behind it. */
static int read_portion(
	const struct transfer_source *from, struct portion *portion, nova_error_t **error)
{
	json_t *next = NULL;
	int r = 1;
	while (r > 0 && portion->count < PORTION_ROWS && portion->bytes < PORTION_BYTES) {
		r = from->next(from->userdata, &next, error);
		int bad = r > 0 ? add_line(portion, STEAL(next), error) : 0;
		r = bad < 0 ? bad : r;
	}
	return r;
}

/* A space of that function may be left of one that was deleted, or of an import that was cut
 * off. */
static int put(struct sql_session *session, const struct line *line, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	uint64_t changes = 0;
	int r = line->table == tables ? sql_clear_space(session, function_of(line), &failure) : 0;
	if (r == 0)
		r = sql_do(session, line->table->restore, line->values, line->count, &changes,
			&failure);
	if (r == NOVA_EEXIST)
		return fail_row(line->table, function_of(line), "it is there twice", error);
	if (r == NOVA_EBUSY || (r == 0 && !changes))
		return fail_row(line->table, function_of(line),
			"the archive lacks what it refers to", error);
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

static int write_portion(struct store *store, const struct transfer_source *from,
	const struct portion *portion, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	int r = sql_start(store, SQL_LOGS, &session, error);
	if (r == 0)
		r = sql_begin(&session, error);
	for (size_t i = 0; r == 0 && i < portion->count; i++)
		r = put(&session, &portion->lines[i], error);
	if (r == 0 && from->last)
		r = from->last(from->userdata, error);
	return r < 0 ? r : sql_commit(&session, error);
}

static int restore(struct store *store, const struct transfer_source *from, nova_error_t **error)
{
	AUTO_FREE struct portion *portion = calloc(1, sizeof(*portion));
	int r = portion ? 1 : nova_oom(error);
	while (r > 0) {
		r = read_portion(from, portion, error);
		int failed = r < 0 ? r : write_portion(store, from, portion, error);
		r = failed < 0 ? failed : r;
		portion_clear(portion);
	}
	return r;
}

const struct transfer_ops sql_kv_transfer_ops = {
	.dump = dump,
	.restore = restore,
};
