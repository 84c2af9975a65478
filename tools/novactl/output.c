/* SPDX-License-Identifier: MIT */
/* Results go to stdout. */
#include <stdarg.h>
#include <time.h>

#include "novactl.h"

#define FIELD_COLUMN 12 /* as wide as "Request ID: " */

const char *member_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

json_int_t member_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* Within strings, which is where they are. */
static void print_escaped(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at; at++)
		if (*at == 127 || (*at == 0xc2 && at[1] < 0xa0))
			printf("\\u%04x", *at == 127 ? *at : *++at);
		else
			putchar(*at);
}

void print_json_line(const char *text)
{
	print_escaped(text);
	putchar('\n');
}

void print_json_value(const json_t *value, size_t flags)
{
	char *text = need(json_dumps(value, flags | JSON_ENCODE_ANY));
	print_escaped(text);
	free(text);
}

int print_json(json_t *value)
{
	if (!value)
		return failure("out of memory");
	print_json_value(value, JSON_INDENT(2));
	putchar('\n');
	json_decref(value);
	return STATUS_OK;
}

bool print_structured(json_t *value, const char *format, int *ret_status)
{
	if (globals.json || (format && !strcmp(format, "json"))) {
		*ret_status = print_json(value);
		return true;
	}
	if (format && !strcmp(format, "yaml")) {
		*ret_status = value ? print_yaml(value) : failure("out of memory");
		json_decref(value);
		return true;
	}
	json_decref(value);
	return false;
}

/* Whatever a guest, a file or a store has put into it. */
static char *tame_line(const char *format, va_list args) PRINTF_LIKE(1, 0);
static char *tame_line(const char *format, va_list args)
{
	char *line = NULL;
	if (vasprintf(&line, format, args) < 0)
		need(NULL);
	text_tame(line, strlen(line), false);
	return line;
}

void print_field(const char *label, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *value = tame_line(format, args);
	va_end(args);
	int used = printf("%s: ", label);
	printf("%*s%s\n", used < FIELD_COLUMN ? FIELD_COLUMN - used : 0, "", value);
	free(value);
}

void print_line(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *line = tame_line(format, args);
	va_end(args);
	puts(line);
	free(line);
}

void table_begin(struct table *table, size_t columns, const char *const *headings)
{
	*table = (struct table){ .columns = columns };
	for (size_t i = 0; i < columns; i++)
		table_cell(table, "%s", headings[i]);
}

void table_cell(struct table *table, const char *format, ...)
{
	va_list args;
	if (table->count == table->capacity) {
		table->capacity = table->capacity * 2 + 32;
		table->cells = need(realloc(table->cells, table->capacity * sizeof(*table->cells)));
	}
	va_start(args, format);
	table->cells[table->count++] = tame_line(format, args);
	va_end(args);
}

static int table_width(const struct table *table, size_t column)
{
	size_t width = 0;
	for (size_t i = column; i < table->count; i += table->columns)
		if (strlen(table->cells[i]) > width)
			width = strlen(table->cells[i]);
	return (int)width;
}

void table_day(struct table *table, uint64_t us)
{
	char day[32] = "-";
	time_t seconds = (time_t)(us / 1000000u);
	struct tm tm;
	if (us && gmtime_r(&seconds, &tm))
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	table_cell(table, "%s", day);
}

void table_end(struct table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		bool last = (i + 1) % table->columns == 0;
		if (last)
			printf("%s\n", table->cells[i]);
		else
			printf("%-*s  ", table_width(table, i % table->columns), table->cells[i]);
	}
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
}
