/* SPDX-License-Identifier: MIT */
/* Properties in option structs of the public headers, which are borrowed. */
#include "property/property.h"

static size_t offset_in(const struct property *p, enum property_face face)
{
	const size_t offsets[] = {
		[IN_REGISTER] = p->is.offset,
		[IN_VM] = p->in_vm,
		[IN_INIT] = p->in_init,
		[IN_INSTANCE] = p->in_instance,
	};
	return offsets[face];
}

#define FOR_EACH_IN(p, face)                                                                       \
	FOR_EACH_PROPERTY(p)                                                                       \
	if (offset_in(p, face))

static void *member(const struct property *p, enum property_face face, const void *opts)
{
	return (char *)opts + offset_in(p, face);
}

/* A list is two members: the texts and, behind them, their count. */
struct borrowed_list {
	const char *const *items;
	size_t count;
};

static struct borrowed_list list_in(const void *at)
{
	struct borrowed_list list;
	memcpy(&list.items, at, sizeof(list.items));
	memcpy(&list.count, (const char *)at + sizeof(list.items), sizeof(list.count));
	return list;
}

/* --- in --- */

static int import_number(const struct property *p, void *to, const void *at)
{
	uint64_t number =
		p->is.type == NOVA_PROPERTY_U64 ? *(const uint64_t *)at : *(const uint32_t *)at;
	property_set_number(p, to, number ? number : p->is.standard);
	return 0;
}

static int import_choice(const struct property *p, void *to, const char *text, nova_error_t **error)
{
	AUTO_BUF struct buf all = BUF_INIT(256);
	for (uint32_t i = 0; p->is.choices[i]; i++) {
		if (!text || !strcmp(p->is.choices[i], text)) {
			property_set_number(p, to, i);
			return 0;
		}
		if ((i && buf_append_str(&all, p->is.choices[i + 1] ? ", " : " or ") < 0) ||
			buf_append_str(&all, p->is.choices[i]) < 0)
			return nova_oom(error);
	}
	return nova_fail(error, NOVA_EINVAL, "%s: '%.32s' is unknown; it is %.*s", p->is.name,
		text_is_utf8(text) ? text : "(not UTF-8)", (int)all.len, (const char *)all.data);
}

static int import_text(const struct property *p, void *to, const char *text, nova_error_t **error)
{
	/* A machine without one has NULL, as it is a path; a function has "". */
	if (!text && p->of_machine)
		return 0;
	*property_text(p, to) = strdup(text ? text : "");
	return *property_text(p, to) ? 0 : nova_oom(error);
}

static int import_list(const struct property *p, void *to, const void *at, nova_error_t **error)
{
	struct borrowed_list from = list_in(at);
	struct text_list *list = property_list(p, to);
	const char *name = p->is.name;
	if (from.count && !from.items)
		return nova_fail(error, NOVA_EINVAL, "%s: %s_count is %zu, but %s is NULL", name,
			name, from.count, name);
	if (from.count > p->is.most)
		return nova_fail(error, NOVA_EINVAL, "%s: %zu entries; at most %llu are possible",
			name, from.count, (unsigned long long)p->is.most);
	for (size_t i = 0; i < from.count; i++) {
		if (!from.items[i])
			return nova_fail(error, NOVA_EINVAL, "%s: entry %zu is NULL", name, i);
		if (text_list_add(list, from.items[i]) < 0)
			return nova_oom(error);
	}
	return 0;
}

static int import(const struct property *p, void *to, const void *at, nova_error_t **error)
{
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
		return import_text(p, to, *(const char *const *)at, error);
	case NOVA_PROPERTY_CHOICE:
		return import_choice(p, to, *(const char *const *)at, error);
	case NOVA_PROPERTY_LIST:
		return import_list(p, to, at, error);
	default:
		return import_number(p, to, at);
	}
}

int properties_import(
	struct function_config *to, enum property_face face, const void *opts, nova_error_t **error)
{
	int code = 0;
	FOR_EACH_IN(p, face)
	if (code == 0)
		code = import(p, to, member(p, face, opts), error);
	return code;
}

/* --- some of them --- */

static bool is_given(const struct property *p, const void *at)
{
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
	case NOVA_PROPERTY_CHOICE:
		return *(const char *const *)at != NULL;
	case NOVA_PROPERTY_LIST:
		return list_in(at).count;
	case NOVA_PROPERTY_U64:
		return *(const uint64_t *)at;
	default:
		return *(const uint32_t *)at;
	}
}

const char *properties_given(enum property_face face, const void *opts)
{
	FOR_EACH_IN(p, face)
	if (is_given(p, member(p, face, opts)))
		return p->is.name;
	return NULL;
}

static int override(const struct property *p, void *config, const void *at, nova_error_t **error)
{
	if (p->is.type == NOVA_PROPERTY_TEXT)
		free(STEAL(*property_text(p, config)));
	else if (p->is.type == NOVA_PROPERTY_LIST)
		text_list_done(property_list(p, config));
	return import(p, config, at, error);
}

int properties_override(struct function_config *config, enum property_face face, const void *opts,
	nova_error_t **error)
{
	int code = 0;
	FOR_EACH_IN(p, face)
	if (code == 0 && is_given(p, member(p, face, opts)))
		code = override(p, config, member(p, face, opts), error);
	return code;
}

/* --- back to the default --- */

static int fail_unknown(const char *name, nova_error_t **error)
{
	const nova_property *p;
	const char *names[64], *nearest;
	size_t count = 0;
	while (count < ARRAY_LEN(names) - 1 && (p = nova_property_get(count)))
		names[count++] = p->name;
	names[count] = NULL;
	nearest = str_nearest(name, names);
	return nova_fail(error, NOVA_EINVAL, "reset: there is no property '%.40s'%s%s%s",
		text_is_utf8(name) ? name : "(not UTF-8)", nearest ? "; did you mean '" : "",
		nearest ? nearest : "", nearest ? "'?" : "");
}

int property_reset(struct function_config *config, const char *name, nova_error_t **error)
{
	const struct property *p = property_find(name);
	if (!p || !p->is.offset)
		return fail_unknown(name, error);
	switch (p->is.type) {
	case NOVA_PROPERTY_TEXT:
		free(*property_text(p, config));
		*property_text(p, config) = strdup("");
		return *property_text(p, config) ? 0 : nova_oom(error);
	case NOVA_PROPERTY_LIST:
		text_list_done(property_list(p, config));
		return 0;
	default:
		property_set_number(p, config, p->is.standard);
		return 0;
	}
}
