/* SPDX-License-Identifier: MIT */
/* Values as text: JSON, and what goes into a key. */
#include <errno.h>

#include "property/property.h"
#include "proto/proto.h"

/* --- keys --- */

/* "name=value", with a NUL that keeps "a", "b" and "ab", "" apart. */
static int add_entry(struct buf *key, const char *name, const char *value)
{
	const char *text = value ? value : "";
	int r = buf_append_str(key, name);
	if (r == 0)
		r = buf_append_str(key, "=");
	return r == 0 ? buf_append(key, text, strlen(text) + 1) : r;
}

static int add_to_key(const struct property *p, const void *config, struct buf *key)
{
	char number[24];
	const struct text_list *list;
	int r = 0;
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
		return add_entry(key, p->is.name, *property_text(p, config));
	case NOVA_PROPERTY_LIST:
		list = property_list(p, config);
		for (size_t i = 0; r == 0 && i < list->count; i++)
			r = add_entry(key, p->is.name, list->items[i]);
		return r;
	default:
		snprintf(number, sizeof(number), "%llu",
			(unsigned long long)property_number(p, config));
		return add_entry(key, p->is.name, number);
	}
}

int machine_config_key(const struct machine_config *config, struct buf *key)
{
	int r = 0;
	FOR_EACH_PROPERTY(p)
	if (r == 0 && p->of_machine && p->is.type != NOVA_PROPERTY_TEXT)
		r = add_to_key(p, config, key);
	return r;
}

int function_config_key(const struct function_config *config, struct buf *key)
{
	int r = 0;
	FOR_EACH_PROPERTY(p)
	if (r == 0 && !p->of_machine && !(p->is.flags & NOVA_PROPERTY_PER_CLONE))
		r = add_to_key(p, config, key);
	return r;
}

/* --- JSON --- */

static json_t *list_object(const struct text_list *list)
{
	json_t *object = json_object();
	for (size_t i = 0; object && i < list->count; i++) {
		const char *entry = list->items[i], *equals = strchr(entry, '=');
		AUTO_FREE char *name = equals ? strndup(entry, (size_t)(equals - entry)) : NULL;
		if (!name || json_object_set_new(object, name, json_string(equals + 1)) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

const char *property_shown(const struct property *p, const void *config, size_t index)
{
	const char *text;
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
		text = *property_text(p, config);
		return index ? NULL : text && *text ? text : p->none ? p->none : "";
	case NOVA_PROPERTY_CHOICE:
		return index ? NULL : p->is.choices[property_number(p, config)];
	case NOVA_PROPERTY_LIST:
		return index < property_list(p, config)->count ?
			       property_list(p, config)->items[index] :
			       NULL;
	default:
		return NULL;
	}
}

json_t *property_json(const struct property *p, const void *config)
{
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
	case NOVA_PROPERTY_CHOICE:
		return json_string(property_shown(p, config, 0));
	case NOVA_PROPERTY_LIST:
		return list_object(property_list(p, config));
	default:
		return json_integer((json_int_t)property_number(p, config));
	}
}

/* The object in which "group.name" stands, made if need be. */
static json_t *group_of(json_t *object, const char *path)
{
	const char *dot = strchr(path, '.');
	AUTO_FREE char *name = dot ? strndup(path, (size_t)(dot - path)) : NULL;
	if (!dot || !name)
		return dot ? NULL : object;
	json_t *group = json_object_get(object, name);
	if (!group && json_object_set_new(object, name, json_object()) == 0)
		group = json_object_get(object, name);
	return group;
}

bool function_config_to_json(const struct function_config *config, json_t *object)
{
	FOR_EACH_PROPERTY(p)
	{
		if (!p->json)
			continue;
		const char *dot = strchr(p->json, '.');
		json_t *group = group_of(object, p->json);
		if (!group || json_object_set_new(
				      group, dot ? dot + 1 : p->json, property_json(p, config)) < 0)
			return false;
	}
	return true;
}

static bool in_manifest(const struct property *p)
{
	return p->of_machine && p->is.type != NOVA_PROPERTY_TEXT;
}

bool machine_config_to_json(const struct machine_config *config, json_t *object)
{
	FOR_EACH_PROPERTY(p)
	if (in_manifest(p) && json_object_set_new(object, p->is.name, property_json(p, config)) < 0)
		return false;
	return true;
}

static bool read_choice(const struct property *p, void *config, const json_t *value)
{
	const char *text = json_string_value(value);
	for (uint32_t i = 0; text && p->is.choices[i]; i++)
		if (!strcmp(p->is.choices[i], text)) {
			property_set_number(p, config, i);
			return true;
		}
	/* Once there were two, and which one was a matter of true or false. */
	property_set_number(p, config, json_is_true(value));
	return json_is_boolean(value);
}

static bool read_value(const struct property *p, void *config, const json_t *value)
{
	if (!value || p->is.type == NOVA_PROPERTY_CHOICE) {
		property_set_number(p, config, p->is.standard);
		return !value || read_choice(p, config, value);
	}
	json_int_t number = json_integer_value(value);
	if (!json_is_integer(value) || number < 0 || (uint64_t)number > p->is.most)
		return false;
	property_set_number(p, config, (uint64_t)number);
	return true;
}

bool machine_config_from_json(struct machine_config *config, const json_t *object)
{
	FOR_EACH_PROPERTY(p)
	if (in_manifest(p) && !read_value(p, config, json_object_get(object, p->is.name)))
		return false;
	return machine_config_check(config, NOVA_ECORRUPT, NULL) == 0;
}

/* --- lists as arrays --- */

char *text_list_to_json(const struct text_list *list)
{
	AUTO_JSON json_t *array = json_array();
	for (size_t i = 0; array && i < list->count; i++)
		if (json_array_append_new(array, json_string(list->items[i])) < 0)
			return NULL;
	return array ? json_dumps(array, JSON_COMPACT) : NULL;
}

int text_list_from_json(struct text_list *list, const char *json, size_t len)
{
	AUTO_JSON json_t *array = NULL;
	int os = json_parse(json, len, 0, &array, NULL);
	if (os < 0 || !json_is_array(array))
		return os < 0 ? os : -EINVAL;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *text = json_string_value(json_array_get(array, i));
		if (!text)
			return -EINVAL;
		if (text_list_add(list, text) < 0)
			return -ENOMEM;
	}
	return 0;
}
