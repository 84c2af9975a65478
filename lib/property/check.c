/* SPDX-License-Identifier: MIT */
/* Whether values are within their limits. */
#include "property/property.h"

/* --- lists --- */

static int check_size(
	const struct property *p, const struct text_list *list, int code, nova_error_t **error)
{
	size_t total = 0;
	for (size_t i = 0; i < list->count; i++)
		total += strlen(list->items[i]) + 1;
	if (list->count > p->is.most)
		return nova_fail(error, code, "%s: %zu entries; at most %llu are possible",
			p->is.name, list->count, (unsigned long long)p->is.most);
	if (total > p->most_bytes)
		return nova_fail(error, code, "%s: %zu bytes; at most %zu are possible", p->is.name,
			total, p->most_bytes);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sort(const struct property *p, struct text_list *list, nova_error_t **error)
{
	if (list->count < 2)
		return 0;
	qsort(list->items, list->count, sizeof(*list->items), by_text);
	for (size_t i = 1; i < list->count; i++) {
		size_t name = strcspn(list->items[i], "=") + 1;
		if (!strncmp(list->items[i - 1], list->items[i], name))
			return nova_fail(error, NOVA_EINVAL, "%s: '%.*s' is given twice",
				p->is.name, (int)(name - 1), list->items[i]);
	}
	return 0;
}

int function_config_sort(struct function_config *config, nova_error_t **error)
{
	int code = 0;
	FOR_EACH_PROPERTY(p)
	if (code == 0 && p->is.type == NOVA_PROPERTY_LIST && !p->ordered)
		code = sort(p, property_list(p, config), error);
	return code;
}

/* --- all --- */

static int check_number(
	const struct property *p, const void *config, int code, nova_error_t **error)
{
	uint64_t value = property_number(p, config);
	uint64_t least = p->least_of_vm ? p->least_of_vm : p->is.least;
	if (value >= least && value <= p->is.most)
		return 0;
	return nova_fail(error, code, "%s is %llu; it must be %llu to %llu", p->is.name,
		(unsigned long long)value, (unsigned long long)least,
		(unsigned long long)p->is.most);
}

static int check_value(const struct property *p, const void *config, int code, nova_error_t **error)
{
	int bad = 0;
	if (p->is.type == NOVA_PROPERTY_LIST)
		bad = check_size(p, property_list(p, config), code, error);
	else if (p->is.type != NOVA_PROPERTY_TEXT)
		bad = check_number(p, config, code, error);
	if (bad == 0 && p->check)
		bad = p->check(p, (const char *)config + p->at, code, error);
	return bad;
}

static int check(const void *config, bool machine, int code, nova_error_t **error)
{
	int bad = 0;
	FOR_EACH_PROPERTY(p)
	if (bad == 0 && (p->of_machine || !machine))
		bad = check_value(p, config, code, error);
	return bad;
}

int machine_config_check(const struct machine_config *config, int code, nova_error_t **error)
{
	return check(config, true, code, error);
}

int function_config_check(const struct function_config *config, int code, nova_error_t **error)
{
	return check(config, false, code, error);
}

/* --- what is asked for --- */

bool label_is_there(const struct text_list *labels, const char *label)
{
	size_t key = strcspn(label, "=") + 1;
	for (size_t i = 0; i < labels->count; i++)
		if (!strncmp(labels->items[i], label, key))
			return !strcmp(labels->items[i], label);
	return !label[key];
}

int check_wanted_labels(const struct text_list *labels, nova_error_t **error)
{
	const struct property *p = property_find("labels");
	if (labels->count > p->is.most)
		return nova_fail(error, NOVA_EINVAL,
			"labels: %zu are asked for; at most %llu are possible", labels->count,
			(unsigned long long)p->is.most);
	for (size_t i = 0; i < labels->count; i++) {
		if (!labels->items[i])
			return nova_fail(error, NOVA_EINVAL, "labels: entry %zu is NULL", i);
		AUTO_FREE char *whole = strchr(labels->items[i], '=') ?
						strdup(labels->items[i]) :
						str_format("%s=", labels->items[i]);
		if (!whole)
			return nova_oom(error);
		const struct text_list one = { &whole, 1 };
		int code = check_labels(p, &one, NOVA_EINVAL, error);
		if (code < 0)
			return code;
	}
	return 0;
}
