/* SPDX-License-Identifier: MIT */
/* How parameters go to the server. */
#include "store/postgres/postgres.h"

static Oid type_of(const struct sql_value *value)
{
	return value->type == SQL_TYPE_NUMBER ? WIRE_NUMBER :
	       value->type == SQL_TYPE_BYTES  ? WIRE_BYTES :
						WIRE_TEXT;
}

void wire_types(Oid ret_types[VALUES_MAX], const struct sql_value *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ret_types[i] = type_of(&values[i]);
}

void wire_set(struct wire *w, const struct sql_value *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct sql_value *v = &values[i];
		w->formats[i] = v->type != SQL_TYPE_TEXT;
		w->values[i] = v->data ? v->data : v->type == SQL_TYPE_BYTES ? "" : NULL;
		w->lengths[i] = (int)v->len;
		if (v->type != SQL_TYPE_NUMBER)
			continue;
		for (int byte = 0; byte < 8; byte++)
			w->numbers[i][byte] = (uint8_t)((uint64_t)v->number >> (56 - 8 * byte));
		w->values[i] = (const char *)w->numbers[i];
		w->lengths[i] = 8;
	}
}

void statement_name(char ret_name[STATEMENT_NAME], enum sql_statement which)
{
	snprintf(ret_name, STATEMENT_NAME, "nova%d", (int)which);
}

int wire_send(PGconn *pg, enum sql_statement which, const struct wire *w, size_t count)
{
	char name[STATEMENT_NAME];
	statement_name(name, which);
	return PQsendQueryPrepared(pg, name, (int)count, w->values, w->lengths, w->formats, 1);
}
