/* SPDX-License-Identifier: MIT */
/* Rows as JSON: an object of columns, each a number, a text, or {"hex": "…"}. */
#include "store/sql/sql.h"

/* --- out --- */

static json_t *hex_of(const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	AUTO_FREE char *text = malloc(2 * len + 1);
	for (size_t i = 0; text && i < len; i++) {
		text[2 * i] = digits[data[i] >> 4];
		text[2 * i + 1] = digits[data[i] & 15];
	}
	return text ? json_pack("{s:s%}", "hex", text, 2 * len) : NULL;
}

/* NULL: out of memory, or (*ret_bad) what no archive can have. */
static json_t *value_of(struct sql_session *session, int column, bool *ret_bad)
{
	const struct sql_driver *driver = session->store->driver;
	int64_t number;
	const void *data;
	const char *text;
	size_t len;
	if (driver->number(session, column, &number))
		return json_integer(number);
	if (driver->bytes(session, column, &data, &len))
		return hex_of(data, len);
	*ret_bad = !driver->text(session, column, &text, &len) || strlen(text) != len ||
		   !text_is_utf8(text);
	return *ret_bad ? NULL : json_string(text);
}

int sql_row_to_json(struct sql_session *session, json_t **ret_row, nova_error_t **error)
{
	AUTO_JSON json_t *row = json_object();
	const char *name;
	for (int i = 0; row && (name = session->store->driver->column(session, i)); i++) {
		bool bad = false;
		json_t *value = value_of(session, i, &bad);
		if (bad)
			return nova_fail(error, NOVA_ECORRUPT,
				"%s %s: column '%s' has a value that cannot be "
				"exported: it is no text",
				session->store->what, session->store->place, name);
		if (json_object_set_new(row, name, value) < 0)
			return nova_oom(error);
	}
	*ret_row = STEAL(row);
	return *ret_row ? 0 : nova_oom(error);
}

int sql_dump(struct sql_session *session, enum sql_statement which, const char *table,
	int (*take)(void *userdata, const char *table, json_t *row, nova_error_t **error),
	void *userdata, nova_error_t **error)
{
	int r = sql_run(session, which, NULL, 0, error);
	while (r > 0) {
		AUTO_JSON json_t *row = NULL;
		r = sql_row_to_json(session, &row, error);
		if (r == 0)
			r = take(userdata, table, row, error);
		if (r == 0)
			r = sql_next(session, error);
	}
	return r;
}

/* --- in --- */

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of "hex", which the caller frees; NULL: they are none. */
static uint8_t *bytes_of(const json_t *value, size_t *ret_len)
{
	const json_t *hex = json_object_get(value, "hex");
	const char *text = json_string_value(hex);
	size_t len = text ? json_string_length(hex) : 1;
	uint8_t *data = len % 2 ? NULL : malloc(len / 2 + 1);
	for (size_t i = 0; data && i < len; i += 2) {
		int high = digit(text[i]), low = digit(text[i + 1]);
		if (high < 0 || low < 0) {
			free(data);
			return NULL;
		}
		data[i / 2] = (uint8_t)(high << 4 | low);
	}
	*ret_len = len / 2;
	return data;
}

bool sql_value_from_json(const json_t *json, struct sql_value *ret, void **ret_owned)
{
	size_t len;
	if (json_is_integer(json)) {
		*ret = sql_number((uint64_t)json_integer_value(json));
		return true;
	}
	if (json_is_string(json)) {
		*ret = sql_text(json_string_value(json));
		return ret->len == json_string_length(json);
	}
	*ret_owned = json_is_object(json) ? bytes_of(json, &len) : NULL;
	if (*ret_owned)
		*ret = sql_bytes(*ret_owned, len);
	return *ret_owned;
}
