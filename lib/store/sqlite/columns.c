/* SPDX-License-Identifier: MIT */
/* The columns of a function: those of each record, then one for each property, by their table. */
#include <errno.h>

#include "store/sqlite/sqlite.h"

#define FIXED       "id, name, code_path, code_hash, version, created_us, updated_us"
#define FIXED_COUNT 7

#define FOR_EACH_COLUMN(p)                                                                         \
	FOR_EACH_PROPERTY(p)                                                                       \
	if (p->schema)

/* --- statements --- */

static int add_columns(struct buf *sql)
{
	int r = buf_append_str(sql, FIXED);
	FOR_EACH_COLUMN(p)
	if (r == 0 && (r = buf_append_str(sql, ", ")) == 0)
		r = buf_append_str(sql, p->is.name);
	return r;
}

static int add_parameters(struct buf *sql)
{
	char text[16];
	int count = FIXED_COUNT, r = 0;
	FOR_EACH_COLUMN(p)
	count++;
	for (int i = 1; r == 0 && i <= count; i++) {
		snprintf(text, sizeof(text), "%s?%d", i > 1 ? "," : "", i);
		r = buf_append_str(sql, text);
	}
	return r;
}

char *columns_fill_in(const char *sql)
{
	AUTO_BUF struct buf out = BUF_INIT(64u << 10);
	int r = 0;
	for (; r == 0 && *sql; sql++) {
		if (*sql == '@')
			r = add_columns(&out);
		else if (*sql == '#')
			r = add_parameters(&out);
		else
			r = buf_append(&out, sql, 1);
	}
	return r < 0 ? NULL : buf_steal_str(&out);
}

char *column_definition(const struct property *p)
{
	if (p->is.type == NOVA_PROPERTY_TEXT)
		return str_format("%s TEXT NOT NULL DEFAULT ''", p->is.name);
	if (p->is.type == NOVA_PROPERTY_LIST)
		return str_format("%s TEXT NOT NULL DEFAULT '[]'", p->is.name);
	return str_format(
		"%s INTEGER NOT NULL DEFAULT %llu", p->is.name, (unsigned long long)p->is.standard);
}

/* --- a record to parameters --- */

/* A failure (no memory) leaves NULL, which NOT NULL refuses. */
static void bind_text(sqlite3_stmt *s, int at, const char *text, sqlite3_destructor_type whose)
{
	sqlite3_bind_text(s, at, text, -1, whose);
}

static bool bind_property(
	sqlite3_stmt *s, int at, const struct property *p, const struct function_config *config)
{
	AUTO_FREE char *list = NULL;
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
		bind_text(s, at, *property_text(p, config), SQLITE_STATIC);
		return true;
	case NOVA_PROPERTY_LIST:
		list = text_list_to_json(property_list(p, config));
		return list && sqlite3_bind_text(s, at, list, -1, SQLITE_TRANSIENT) == SQLITE_OK;
	default:
		sqlite3_bind_int64(s, at, (sqlite3_int64)property_number(p, config));
		return true;
	}
}

int columns_bind(sqlite3_stmt *s, const struct function_record *r, nova_error_t **error)
{
	const char *const texts[] = { r->id, r->name, r->code_path, r->code_hash };
	const uint64_t numbers[] = { r->version, r->created_us, r->updated_us };
	int at = 1;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		bind_text(s, at++, texts[i], SQLITE_STATIC);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sqlite3_bind_int64(s, at++, (sqlite3_int64)numbers[i]);
	FOR_EACH_COLUMN(p)
	if (!bind_property(s, at++, p, &r->config))
		return nova_oom(error);
	return at;
}

/* --- a row to a record --- */

char *row_text(struct row *row)
{
	int at = row->next++;
	const char *text = (const char *)sqlite3_column_text(row->statement, at);
	if (sqlite3_column_type(row->statement, at) != SQLITE_TEXT || !text ||
		strlen(text) != (size_t)sqlite3_column_bytes(row->statement, at)) {
		row->bad = sqlite3_column_name(row->statement, at);
		return NULL;
	}
	char *copy = strdup(text);
	row->no_memory |= !copy;
	return copy;
}

uint64_t row_number(struct row *row, uint64_t max)
{
	int at = row->next++;
	sqlite3_int64 number = sqlite3_column_int64(row->statement, at);
	if (sqlite3_column_type(row->statement, at) != SQLITE_INTEGER || number < 0 ||
		(uint64_t)number > max) {
		row->bad = sqlite3_column_name(row->statement, at);
		return 0;
	}
	return (uint64_t)number;
}

void row_list(struct row *row, struct text_list *list)
{
	const char *name = sqlite3_column_name(row->statement, row->next);
	AUTO_FREE char *json = row_text(row);
	int r = json ? text_list_from_json(list, json, strlen(json)) : 0;
	row->no_memory |= r == -ENOMEM;
	if (r == -EINVAL)
		row->bad = name;
}

int row_end(const struct row *row, nova_error_t **error)
{
	if (row->no_memory)
		return nova_oom(error);
	if (row->bad)
		return nova_fail(error, NOVA_ECORRUPT,
			"column '%s' has a value that cannot be there", row->bad);
	return 0;
}

static void row_property(struct row *row, const struct property *p, struct function_config *config)
{
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
		*property_text(p, config) = row_text(row);
		break;
	case NOVA_PROPERTY_LIST:
		row_list(row, property_list(p, config));
		break;
	case NOVA_PROPERTY_U64:
		property_set_number(p, config, row_number(row, INT64_MAX));
		break;
	default:
		property_set_number(p, config, row_number(row, UINT32_MAX));
	}
}

int columns_read(sqlite3_stmt *s, struct function_record *r, nova_error_t **error)
{
	struct row row = { s };
	r->id = row_text(&row);
	r->name = row_text(&row);
	r->code_path = row_text(&row);
	r->code_hash = row_text(&row);
	r->version = (uint32_t)row_number(&row, UINT32_MAX);
	r->created_us = row_number(&row, INT64_MAX);
	r->updated_us = row_number(&row, INT64_MAX);
	FOR_EACH_COLUMN(p)
	row_property(&row, p, &r->config);
	int code = row_end(&row, error);
	return code < 0 ? code : record_check(r, NOVA_ECORRUPT, error);
}
