/* SPDX-License-Identifier: MIT */
/* Rows as JSON, out of a store and into one. What comes in may be anybody's: it is read back as
 * records, which are checked, before it counts. */
#include "store/sql/sql.h"

/* A column that a table was given later. */
struct added {
	const char *name;
	int64_t schema;
	struct sql_value value; /* of rows before */
};

struct table {
	const char *name, *kind;
	enum sql_statement copy, restore; /* both have the columns in the same order */
	int (*read)(struct sql_session *session, void *to, nova_error_t **error);
	void (*clear)(void *record);
	const struct added *added; /* but properties; ends with NULL */
};

static void clear_function(void *record)
{
	record_clear(record);
}

static void clear_alias(void *record)
{
	alias_record_clear(record);
}

static void clear_runtime(void *record)
{
	runtime_record_clear(record);
}

static void clear_key(void *record)
{
	key_record_clear(record);
}

static void clear_secret(void *record)
{
	secret_record_clear(record);
}

union any_record {
	struct function_record function;
	struct alias_record alias;
	struct runtime_record runtime;
	struct key_record key;
	struct secret_record secret;
};

static const struct added added_to_keys[] = {
	{ "rate", 13, { .type = SQL_TYPE_NUMBER } },
	{ "period_ms", 13, { .type = SQL_TYPE_NUMBER } },
	{ "burst", 13, { .type = SQL_TYPE_NUMBER } },
	{ NULL },
};

/* What is referred to comes first. */
static const struct table tables[] = {
	{ "functions", "function", SQL_FUNCTIONS_COPY, SQL_FUNCTION_INSERT, sql_read_function,
		clear_function },
	{ "versions", "version of function", SQL_VERSIONS_COPY, SQL_VERSION_RESTORE,
		sql_read_function, clear_function },
	{ "aliases", "alias of function", SQL_ALIASES_COPY, SQL_ALIAS_RESTORE, sql_read_alias,
		clear_alias },
	{ "runtimes", "runtime", SQL_RUNTIME_LIST, SQL_RUNTIME_INSERT, sql_read_runtime,
		clear_runtime },
	{ "api_keys", "key", SQL_KEY_LIST, SQL_KEY_RESTORE, sql_read_key, clear_key,
		added_to_keys },
	{ "secrets", "secret", SQL_SECRETS_COPY, SQL_SECRET_RESTORE, sql_read_secret,
		clear_secret },
};

static const struct table *find_table(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (!strcmp(tables[i].name, name))
			return &tables[i];
	return NULL;
}

static int64_t schema_of(struct store *store)
{
	return sql_schema_latest(((struct sql_store *)store)->schema);
}

/* --- one import at a time, and nobody who clears beside it --- */

#define LOCK_AGAIN_MS 20u

struct transfer_lock {
	struct sql_session session;
};

static void unlock(struct transfer_lock *lock)
{
	if (lock)
		sql_end(&lock->session);
	free(lock);
}

/* Nobody tells when the other one has ended. */
static int await_lock(
	struct sql_session *session, enum sql_lock which, uint64_t deadline, nova_error_t **error)
{
	static const char *const others[SQL_LOCKS] = {
		[SQL_LOCK_IMPORT] = "another import into it is under way; try again when it has "
				    "ended",
		[SQL_LOCK_SPACES] = "what deleted functions have kept is just being removed from "
				    "it; try again in a moment",
	};
	const struct sql_store *store = session->store;
	int r;
	while ((r = store->driver->lock(session, which, error)) == 0 && !deadline_passed(deadline))
		sys_poll(NULL, 0, LOCK_AGAIN_MS);
	if (r == 0)
		return nova_fail(
			error, NOVA_EBUSY, "%s %s: %s", store->what, store->place, others[which]);
	return r < 0 ? r : 0;
}

static int lock(struct store *store, enum transfer_work work, uint64_t patience_ms,
	struct transfer_lock **ret_lock, nova_error_t **error)
{
	uint64_t deadline = deadline_in_ms(patience_ms);
	struct transfer_lock *made = calloc(1, sizeof(*made));
	if (!made)
		return nova_oom(error);
	int r = sql_start(store, SQL_COPIES, &made->session, error);
	if (r == 0 && work == TRANSFER_IMPORTS)
		r = await_lock(&made->session, SQL_LOCK_IMPORT, deadline, error);
	if (r == 0)
		r = await_lock(&made->session, SQL_LOCK_SPACES, deadline, error);
	if (r < 0) {
		unlock(made);
		return r;
	}
	*ret_lock = made;
	return 0;
}

static int check_lock(struct transfer_lock *lock, nova_error_t **error)
{
	struct sql_session *session = &lock->session;
	return session->store->driver->execute(session, "SELECT 1", "import", error);
}

/* --- out --- */

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

struct columns {
	char *names[COLUMNS_MAX];
	size_t count;
};

static void columns_done(struct columns *columns)
{
	for (size_t i = 0; i < columns->count; i++)
		free(columns->names[i]);
}

/* Those of a table, and whether it has rows. */
static int look_at(struct sql_session *session, const struct table *table, struct columns *ret,
	nova_error_t **error)
{
	const char *name;
	int r = sql_run(session, table->copy, NULL, 0, error);
	if (r < 0)
		return r;
	for (int i = 0; (name = session->store->driver->column(session, i)); i++) {
		ret->names[i] = strdup(name);
		if (!ret->names[i])
			return nova_oom(error);
		ret->count++;
	}
	return r;
}

static int fail_row(
	const struct table *table, const json_t *row, const char *why, nova_error_t **error)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	return nova_fail(
		error, NOVA_ECORRUPT, "%s '%.80s': %s", table->kind, name ? name : "", why);
}

static int insert_values(struct sql_session *session, const struct table *table, const json_t *row,
	const struct sql_value *values, size_t count, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int r = sql_do(session, table->restore, values, count, NULL, &failure);
	const char *name = json_string_value(json_object_get(row, "name"));
	if (r == NOVA_EEXIST)
		return nova_fail(error, NOVA_EEXIST,
			"there is a %s '%.80s' already; nothing was "
			"imported",
			table->kind, name ? name : "");
	if (r == NOVA_EBUSY)
		return fail_row(table, row, "the archive lacks what it refers to", error);
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

/* What the row has of a column, or what one of an earlier schema stands for. */
static bool take_value(const struct table *table, const char *column, int64_t schema,
	const json_t *row, struct sql_value *ret, void **ret_owned, size_t *count)
{
	const json_t *value = json_object_get(row, column);
	if (value) {
		(*count)++;
		return sql_value_from_json(value, ret, ret_owned);
	}
	for (const struct added *a = table->added; a && a->name; a++)
		if (a->schema > schema && !strcmp(a->name, column)) {
			*ret = a->value;
			return true;
		}
	return column_default(column, schema, ret);
}

static int insert(struct sql_session *session, const struct table *table,
	const struct columns *columns, int64_t schema, const json_t *row, nova_error_t **error)
{
	struct sql_value values[COLUMNS_MAX];
	void *owned[COLUMNS_MAX] = { NULL };
	size_t found = 0;
	bool good = true;
	for (size_t i = 0; good && i < columns->count; i++)
		good = take_value(
			table, columns->names[i], schema, row, &values[i], &owned[i], &found);
	good = good && found == json_object_size(row);
	int r = good ? insert_values(session, table, row, values, columns->count, error) :
		       fail_row(table, row,
			       "it has not the columns of its schema, or values that none of them "
			       "can have",
			       error);
	for (size_t i = 0; i < columns->count; i++)
		free(owned[i]);
	return r;
}

static int insert_all(struct sql_session *session, const struct columns *columns,
	const struct transfer_source *from, nova_error_t **error)
{
	int r;
	json_t *next = NULL;
	while ((r = from->next(from->userdata, &next, error)) > 0) {
		AUTO_JSON json_t *line = STEAL(next);
		void *at = json_object_iter(line);
		const char *name = json_object_iter_key(at);
		const struct table *table = find_table(name);
		if (!table)
			return nova_fail(error, NOVA_ECORRUPT,
				"there is a row of '%.40s', a table that this libnova does not "
				"know",
				name);
		r = insert(session, table, &columns[table - tables], from->schema,
			json_object_iter_value(at), error);
		if (r < 0)
			return r;
	}
	return r;
}

/* Each row is a record as the library writes them. */
static int read_back(struct sql_session *session, nova_error_t **error)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(tables); i++)
		for (r = sql_run(session, tables[i].copy, NULL, 0, error); r > 0;) {
			union any_record record;
			memset(&record, 0, sizeof(record));
			r = tables[i].read(session, &record, error);
			if (r < 0)
				return nova_wrap(error, r, "what was to be imported is not valid");
			tables[i].clear(&record);
			r = sql_next(session, error);
		}
	return r < 0 ? r : 0;
}

static int look_at_all(
	struct sql_session *session, bool merges, struct columns *columns, nova_error_t **error)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		int r = look_at(session, &tables[i], &columns[i], error);
		if (r > 0 && !merges)
			return nova_fail(error, NOVA_EEXIST,
				"%s %s has %s already: import into an empty one, or merge",
				session->store->what, session->store->place, tables[i].name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int restore(struct store *store, const struct transfer_source *from, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	struct columns columns[ARRAY_LEN(tables)];
	memset(columns, 0, sizeof(columns));
	int r = sql_start(store, SQL_WRITES, &session, error);
	if (r == 0)
		r = sql_begin(&session, error);
	if (r == 0)
		r = look_at_all(&session, from->merges, columns, error);
	if (r == 0)
		r = insert_all(&session, columns, from, error);
	if (r == 0)
		r = read_back(&session, error);
	if (r == 0 && from->last)
		r = from->last(from->userdata, error);
	if (r == 0 && !from->rehearses)
		r = sql_commit(&session, error);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		columns_done(&columns[i]);
	return r;
}

const struct transfer_ops sql_transfer_ops = {
	.lock = lock,
	.check_lock = check_lock,
	.unlock = unlock,
	.schema = schema_of,
	.dump = dump,
	.restore = restore,
};
