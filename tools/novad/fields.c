/* SPDX-License-Identifier: MIT */
/* What a body may have: checked by a table, which also becomes the document. */
#include <stdio.h>
#include <string.h>

#include "novad.h"

#define TEXT_MAX (64 << 10)

static const struct field *find(const struct field *fields, const char *name)
{
	for (; fields->kind != KIND_END; fields++)
		if (!strcmp(fields->name, name))
			return fields;
	return NULL;
}

static int64_t text_max(const struct field *field)
{
	return field->max ? field->max : TEXT_MAX;
}

static bool is_choice(const struct field *field, const char *text)
{
	if (!field->choices)
		return true;
	for (const char *const *choice = field->choices; *choice; choice++)
		if (!strcmp(*choice, text))
			return true;
	return false;
}

/* A NUL would end it for the library. */
static bool is_text(const struct field *field, const json_t *value)
{
	return json_is_string(value) && json_string_length(value) <= (size_t)text_max(field) &&
	       strlen(json_string_value(value)) == json_string_length(value) &&
	       is_choice(field, json_string_value(value));
}

static bool is_number(const struct field *field, const json_t *value)
{
	json_int_t number = json_integer_value(value);
	return json_is_integer(value) && number >= field->min && number <= field->max;
}

static bool are_texts(const struct field *field, const json_t *value)
{
	size_t i;
	json_t *entry;
	json_array_foreach(value, i, entry) if (!is_text(field, entry)) return false;
	return json_is_array(value);
}

static bool are_pairs(const struct field *field, json_t *value)
{
	const char *name;
	json_t *entry;
	json_object_foreach(value, name, entry) if (!is_text(field, entry)) return false;
	return json_is_object(value) || are_texts(field, value);
}

static bool are_bytes(const json_t *value)
{
	size_t i;
	json_t *entry;
	struct bytes bytes = { 0 };
	if (json_is_string(value)) {
		bool fits =
			base64_read(&bytes, json_string_value(value), json_string_length(value));
		bytes_free(&bytes);
		return fits;
	}
	json_array_foreach(value, i, entry)
	{
		json_int_t number = json_integer_value(entry);
		if (!json_is_integer(entry) || number < 0 || number > 255)
			return false;
	}
	return json_is_array(value);
}

void field_bytes(struct bytes *out, const json_t *value)
{
	size_t i;
	json_t *entry;
	if (json_is_string(value))
		base64_read(out, json_string_value(value), json_string_length(value));
	json_array_foreach(value, i, entry)
	{
		char byte = (char)json_integer_value(entry);
		bytes_add(out, &byte, 1);
	}
}

static bool fits(const struct field *field, json_t *value)
{
	switch (field->kind) {
	case KIND_TEXT:
		return is_text(field, value);
	case KIND_NUMBER:
		return is_number(field, value);
	case KIND_FLAG:
		return json_is_boolean(value);
	case KIND_TEXTS:
		return are_texts(field, value);
	case KIND_BYTES:
		return are_bytes(value);
	case KIND_OBJECT:
		return json_is_object(value);
	case KIND_PAIRS:
		return are_pairs(field, value);
	default:
		return true;
	}
}

static void list_choices(const struct field *field, char *out, size_t size)
{
	size_t len = 0;
	for (const char *const *choice = field->choices; *choice && len < size; choice++)
		len += (size_t)snprintf(out + len, size - len, "%s%s",
			choice == field->choices ? "" : ", ", *choice);
}

static void describe(const struct field *field, char *out, size_t size)
{
	static const char *const kinds[] = {
		[KIND_TEXT] = "a text without NUL",
		[KIND_FLAG] = "true or false",
		[KIND_TEXTS] = "a list of texts",
		[KIND_BYTES] = "a list of numbers from 0 to 255, or base64",
		[KIND_OBJECT] = "an object",
		[KIND_PAIRS] = "an object of texts, or a list of texts NAME=value,",
	};
	bool limited =
		field->kind == KIND_TEXT || field->kind == KIND_TEXTS || field->kind == KIND_PAIRS;
	if (field->choices)
		list_choices(field, out, size);
	else if (field->kind == KIND_NUMBER)
		snprintf(out, size, "a whole number from %lld to %lld", (long long)field->min,
			(long long)field->max);
	else if (limited)
		snprintf(out, size, "%s of at most %lld bytes", kinds[field->kind],
			(long long)text_max(field));
	else
		snprintf(out, size, "%s", kinds[field->kind]);
}

static bool check_one(
	const struct field *fields, const char *name, json_t *value, char *why, size_t size)
{
	char kind[200];
	const struct field *field = find(fields, name);
	if (!field) {
		snprintf(why, size, "there is no field '%.60s' here", name);
		return false;
	}
	if (json_is_null(value) && !field->required)
		return true; /* as if it were not there */
	if (fits(field, value))
		return field->kind != KIND_OBJECT || fields_check(field->members, value, why, size);
	describe(field, kind, sizeof(kind));
	snprintf(why, size, "the field '%.60s' is not %s%s", name, field->choices ? "one of " : "",
		kind);
	return false;
}

bool fields_check(const struct field *fields, const json_t *object, char *why, size_t size)
{
	const char *name;
	json_t *value;
	if (!json_is_object(object)) {
		snprintf(why, size, "the body is not a JSON object");
		return false;
	}
	json_object_foreach((json_t *)object, name,
		value) if (!check_one(fields, name, value, why, size)) return false;
	for (; fields->kind != KIND_END; fields++)
		if (fields->required && !json_object_get(object, fields->name)) {
			snprintf(why, size, "the field '%s' is missing", fields->name);
			return false;
		}
	return true;
}

/* --- the document --- */

static json_t *schema_of(const struct field *field)
{
	switch (field->kind) {
	case KIND_TEXT:
		return json_pack("{s:s,s:I}", "type", "string", "maxLength",
			(json_int_t)text_max(field) / 4);
	case KIND_NUMBER:
		return json_pack("{s:s,s:I,s:I}", "type", "integer", "minimum",
			(json_int_t)field->min, "maximum", (json_int_t)field->max);
	case KIND_FLAG:
		return json_pack("{s:s}", "type", "boolean");
	case KIND_TEXTS:
		return json_pack("{s:s,s:{s:s}}", "type", "array", "items", "type", "string");
	case KIND_BYTES:
		return json_pack("{s:[{s:s,s:{s:s,s:i,s:i}},{s:s,s:s}]}", "oneOf", "type", "array",
			"items", "type", "integer", "minimum", 0, "maximum", 255, "type", "string",
			"contentEncoding", "base64");
	case KIND_OBJECT:
		return fields_schema(field->members);
	case KIND_PAIRS:
		return json_pack("{s:[{s:s,s:{s:s}},{s:s,s:{s:s}}]}", "oneOf", "type", "object",
			"additionalProperties", "type", "string", "type", "array", "items", "type",
			"string");
	default:
		return json_object();
	}
}

json_t *fields_schema(const struct field *fields)
{
	json_t *properties = need(json_object()), *required = need(json_array());
	for (; fields->kind != KIND_END; fields++) {
		json_t *schema = need(schema_of(fields));
		json_object_set_new(schema, "description", json_string(fields->doc));
		if (fields->choices) {
			json_t *choices = need(json_array());
			for (const char *const *at = fields->choices; *at; at++)
				json_array_append_new(choices, json_string(*at));
			json_object_set_new(schema, "enum", choices);
		}
		json_object_set_new(properties, fields->name, schema);
		if (fields->required)
			json_array_append_new(required, json_string(fields->name));
	}
	return need(json_pack("{s:s,s:o,s:o,s:b}", "type", "object", "properties", properties,
		"required", required, "additionalProperties", 0));
}
