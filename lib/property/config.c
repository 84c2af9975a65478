/* SPDX-License-Identifier: MIT */
/* Values in the structs: reading, writing, copying, comparing. */
#include "property/property.h"

/* --- one value --- */

static void *member(const struct property *p, const void *config)
{
	return (char *)config + p->at;
}

uint64_t property_number(const struct property *p, const void *config)
{
	if (p->is.type == NOVA_PROPERTY_U64)
		return *(const uint64_t *)member(p, config);
	return *(const uint32_t *)member(p, config);
}

void property_set_number(const struct property *p, void *config, uint64_t number)
{
	if (p->is.type == NOVA_PROPERTY_U64)
		*(uint64_t *)member(p, config) = number;
	else
		*(uint32_t *)member(p, config) = (uint32_t)number;
}

char **property_text(const struct property *p, const void *config)
{
	return member(p, config);
}

struct text_list *property_list(const struct property *p, const void *config)
{
	return member(p, config);
}

/* --- lists --- */

int text_list_add(struct text_list *list, const char *text)
{
	char **items = reallocarray(list->items, list->count + 1, sizeof(*items));
	if (!items)
		return NOVA_ENOMEM;
	list->items = items;
	items[list->count] = strdup(text);
	return items[list->count] ? (list->count++, 0) : NOVA_ENOMEM;
}

void text_list_done(struct text_list *list)
{
	strv_free(list->items, list->count);
	*list = (struct text_list){ NULL, 0 };
}

static int list_copy(struct text_list *to, const struct text_list *from)
{
	to->items = from->count ? calloc(from->count, sizeof(*to->items)) : NULL;
	if (from->count && !to->items)
		return NOVA_ENOMEM;
	for (; to->count < from->count; to->count++)
		if (!(to->items[to->count] = strdup(from->items[to->count])))
			return NOVA_ENOMEM;
	return 0;
}

bool text_list_same(const struct text_list *a, const struct text_list *b)
{
	for (size_t i = 0; a->count == b->count && i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->count == b->count;
}

/* --- all of them, or those of a machine --- */

static void done(void *config, bool machine)
{
	FOR_EACH_PROPERTY(p)
	{
		if (machine && !p->of_machine)
			continue;
		if (p->is.type == NOVA_PROPERTY_TEXT)
			free(*property_text(p, config));
		else if (p->is.type == NOVA_PROPERTY_LIST)
			strv_free(property_list(p, config)->items, property_list(p, config)->count);
	}
}

static int copy_value(const struct property *p, void *to, const void *from)
{
	const char *text;
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
		text = *property_text(p, from);
		*property_text(p, to) = text ? strdup(text) : NULL;
		return !text || *property_text(p, to) ? 0 : NOVA_ENOMEM;
	case NOVA_PROPERTY_LIST:
		return list_copy(property_list(p, to), property_list(p, from));
	default:
		property_set_number(p, to, property_number(p, from));
		return 0;
	}
}

static int copy(void *to, const void *from, bool machine)
{
	int code = 0;
	FOR_EACH_PROPERTY(p)
	if (code == 0 && (p->of_machine || !machine))
		code = copy_value(p, to, from);
	return code;
}

static bool same_text(const struct property *p, const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return p->same ? p->same(a, b) : !strcmp(a, b);
}

static bool same_value(const struct property *p, const void *a, const void *b)
{
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
		return same_text(p, *property_text(p, a), *property_text(p, b));
	case NOVA_PROPERTY_LIST:
		return text_list_same(property_list(p, a), property_list(p, b));
	default:
		return property_number(p, a) == property_number(p, b);
	}
}

static const char *difference(const void *a, const void *b, bool machine, uint32_t except)
{
	FOR_EACH_PROPERTY(p)
	if ((p->of_machine || !machine) && !(p->is.flags & except) && !same_value(p, a, b))
		return p->is.name;
	return NULL;
}

void machine_config_done(struct machine_config *config)
{
	done(config, true);
	memset(config, 0, sizeof(*config));
}

void function_config_done(struct function_config *config)
{
	done(config, false);
	memset(config, 0, sizeof(*config));
}

int machine_config_copy(struct machine_config *to, const struct machine_config *from)
{
	return copy(to, from, true);
}

int function_config_copy(struct function_config *to, const struct function_config *from)
{
	return copy(to, from, false);
}

bool machine_config_same(const struct machine_config *a, const struct machine_config *b)
{
	return !difference(a, b, true, 0);
}

const char *function_config_difference(
	const struct function_config *a, const struct function_config *b)
{
	return difference(a, b, false, 0);
}

bool function_config_same_version(const struct function_config *a, const struct function_config *b)
{
	return !difference(a, b, false, NOVA_PROPERTY_BESIDE);
}
