/* SPDX-License-Identifier: MIT */
/* Function objects: counted, immutable views of a record. */
#include <time.h>

#include "json/json.h"
#include "registry/registry.h"

nova_function_t *function_new(struct function_record *record)
{
	nova_function_t *function = malloc(sizeof(*function));
	if (!function)
		return NULL;
	atomic_init(&function->references, 1);
	function->published = false;
	function->record = *record;
	memset(record, 0, sizeof(*record));
	return function;
}

nova_function_t *function_ref(nova_function_t *function)
{
	atomic_fetch_add_explicit(&function->references, 1, memory_order_relaxed);
	return function;
}

void nova_function_free(nova_function_t *function)
{
	if (!function ||
		atomic_fetch_sub_explicit(&function->references, 1, memory_order_acq_rel) != 1)
		return;
	record_clear(&function->record);
	free(function);
}

void nova_function_list_free(nova_function_t **functions, size_t count)
{
	for (size_t i = 0; functions && i < count; i++)
		nova_function_free(functions[i]);
	free(functions);
}

/* What the getters tell of NULL is told of a record without anything. */
static const struct function_record *record_of(const nova_function_t *function)
{
	static const struct function_record nothing = {
		.id = (char *)"",
		.name = (char *)"",
		.code_path = (char *)"",
		.code_hash = (char *)"",
		.config = { .runtime = (char *)"", .handler = (char *)"" },
	};
	return function ? &function->record : &nothing;
}

const char *nova_function_id(const nova_function_t *f)
{
	return record_of(f)->id;
}

const char *nova_function_name(const nova_function_t *f)
{
	return record_of(f)->name;
}

const char *nova_function_code_path(const nova_function_t *f)
{
	return record_of(f)->code_path;
}

const char *nova_function_code_hash(const nova_function_t *f)
{
	return record_of(f)->code_hash;
}

uint32_t nova_function_version(const nova_function_t *f)
{
	return record_of(f)->version;
}

uint64_t nova_function_created_us(const nova_function_t *f)
{
	return record_of(f)->created_us;
}

uint64_t nova_function_updated_us(const nova_function_t *f)
{
	return record_of(f)->updated_us;
}

static const struct property *find(const char *name)
{
	const struct property *p = name ? property_find(name) : NULL;
	return p && p->is.offset ? p : NULL;
}

uint64_t nova_function_number(const nova_function_t *f, const char *property)
{
	const struct property *p = find(property);
	bool is_number = p && (p->is.type == NOVA_PROPERTY_U32 || p->is.type == NOVA_PROPERTY_U64);
	return is_number ? property_number(p, &record_of(f)->config) : 0;
}

const char *nova_function_text(const nova_function_t *f, const char *property, size_t index)
{
	const struct property *p = find(property);
	return p ? property_shown(p, &record_of(f)->config, index) : NULL;
}

/* --- JSON --- */

static json_t *json_time(uint64_t us)
{
	char text[64];
	time_t seconds = (time_t)(us / 1000000u);
	struct tm t = { 0 };
	gmtime_r(&seconds, &t);
	size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(text + len, sizeof(text) - len, ".%06uZ", (unsigned)(us % 1000000u));
	return json_string(text);
}

static json_t *json_function(const struct function_record *r)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "id", r->id, "name", r->name, "code_path",
		r->code_path, "code_hash", r->code_hash);
	if (json && function_config_to_json(&r->config, json) &&
		json_object_set_new(json, "version", json_integer(r->version)) == 0 &&
		json_object_set_new(json, "created_at", json_time(r->created_us)) == 0 &&
		json_object_set_new(json, "updated_at", json_time(r->updated_us)) == 0)
		return json;
	json_decref(json);
	return NULL;
}

char *nova_function_to_json(const nova_function_t *f)
{
	AUTO_JSON json_t *json = f ? json_function(&f->record) : NULL;
	return json ? json_dumps(json, JSON_COMPACT) : NULL;
}
