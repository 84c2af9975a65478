/* SPDX-License-Identifier: MIT */
/* The columns of a function: those of each record, then one for each property, by their table. */
#include <assert.h>
#include <errno.h>

#include "store/sql/sql.h"

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

static int count_columns(void)
{
	int count = FIXED_COUNT;
	FOR_EACH_COLUMN(p)
	count++;
	return count;
}

static int add_parameter(struct buf *sql, char parameter, int number)
{
	char text[16];
	snprintf(text, sizeof(text), "%c%d", parameter, number);
	return buf_append_str(sql, text);
}

static int add_parameters(struct buf *sql, char parameter)
{
	int r = 0;
	for (int i = 1; r == 0 && i <= count_columns(); i++) {
		r = i > 1 ? buf_append_str(sql, ",") : 0;
		if (r == 0)
			r = add_parameter(sql, parameter, i);
	}
	return r;
}

char *columns_fill_in(const char *sql, char parameter)
{
	AUTO_BUF struct buf out = BUF_INIT(64u << 10);
	int r = 0;
	for (; r == 0 && *sql; sql++) {
		if (*sql == '@')
			r = add_columns(&out);
		else if (*sql == '#')
			r = add_parameters(&out, parameter);
		else if (*sql == '!')
			r = add_parameter(&out, parameter, count_columns() + 1);
		else
			r = buf_append(&out, *sql == '$' ? &parameter : sql, 1);
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

bool column_default(const char *name, int64_t schema, struct sql_value *ret)
{
	FOR_EACH_COLUMN(p)
	if (p->schema > schema && !strcmp(p->is.name, name)) {
		*ret = p->is.type == NOVA_PROPERTY_TEXT ? sql_text("") :
		       p->is.type == NOVA_PROPERTY_LIST ? sql_text("[]") :
							  sql_number(p->is.standard);
		return true;
	}
	return false;
}

/* --- a record to parameters --- */

static void add(struct column_values *to, struct sql_value value)
{
	assert(to->count < COLUMNS_MAX - 1); /* one more is what it replaces */
	to->values[to->count++] = value;
}

static bool add_property(
	struct column_values *to, const struct property *p, const struct function_config *config)
{
	char *list;
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
		add(to, sql_text(*property_text(p, config)));
		return true;
	case NOVA_PROPERTY_LIST:
		list = to->owned[to->count] = text_list_to_json(property_list(p, config));
		add(to, sql_text(list));
		return list;
	default:
		add(to, sql_number(property_number(p, config)));
		return true;
	}
}

int columns_from_record(
	struct column_values *ret, const struct function_record *r, nova_error_t **error)
{
	const char *const texts[] = { r->id, r->name, r->code_path, r->code_hash };
	const uint64_t numbers[] = { r->version, r->created_us, r->updated_us };
	*ret = (struct column_values){ .count = 0 };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		add(ret, sql_text(texts[i]));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		add(ret, sql_number(numbers[i]));
	FOR_EACH_COLUMN(p)
	if (!add_property(ret, p, &r->config))
		return nova_oom(error);
	return 0;
}

void column_values_done(struct column_values *values)
{
	for (size_t i = 0; i < values->count; i++)
		free(values->owned[i]);
}

/* --- a row to a record --- */

static void row_property(
	struct sql_row *row, const struct property *p, struct function_config *config)
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

int columns_to_record(struct sql_session *session, struct function_record *r, nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
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
