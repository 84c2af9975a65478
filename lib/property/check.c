/* SPDX-License-Identifier: MIT */
/* What values must be like. */
#include "property/property.h"

#define HANDLER_MAX     128
#define RUNTIME_MAX     32
#define LABEL_KEY_MAX   63
#define LABEL_VALUE_MAX 255

/* --- texts --- */

bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of the identifier that begins here: letters, digits and '_', no digit first. */
static size_t identifier_length(const char *text)
{
	size_t n = 0;
	while (is_letter(text[n]) || text[n] == '_' || (n && is_digit(text[n])))
		n++;
	return n;
}

int check_runtime(const struct property *p, const void *value, int code, nova_error_t **error)
{
	const char *runtime = *(char *const *)value;
	size_t len = identifier_length(runtime);
	if (len && !runtime[len] && len <= RUNTIME_MAX)
		return 0;
	return nova_fail(error, code, "%s: '%.40s' is no name of a runtime", p->is.name,
		text_is_utf8(runtime) ? runtime : "");
}

/* Length of the file or package name that begins here: as an identifier, but with '-' and digits
 * anywhere. */
static size_t module_length(const char *text)
{
	size_t n = 0;
	while (is_letter(text[n]) || is_digit(text[n]) || text[n] == '_' || (n && text[n] == '-'))
		n++;
	return n;
}

/* "package.module.function" or "path/module.function". "": none was named. */
static bool handler_is_good(const char *handler)
{
	const char *dot = strrchr(handler, '.'), *at = handler;
	if (!*handler)
		return true;
	if (!dot || strlen(handler) > HANDLER_MAX)
		return false;
	for (;; at++) { /* each name, and what is behind it */
		size_t len = module_length(at);
		at += len;
		if (!len || (*at != '.' && *at != '/'))
			return false;
		if (at == dot)
			break;
	}
	size_t function = identifier_length(dot + 1);
	return function && !dot[1 + function];
}

int check_handler(const struct property *p, const void *value, int code, nova_error_t **error)
{
	const char *handler = *(char *const *)value;
	if (handler_is_good(handler))
		return 0;
	return nova_fail(error, code,
		"%s: '%.80s' is not of the form module.function, such as main.handler", p->is.name,
		text_is_utf8(handler) ? handler : "(not UTF-8)");
}

/* One that was not named is what the check at registering finds, if there is one: in the same code
 * the same. */
bool same_handler(const char *a, const char *b)
{
	const char *named = *a ? a : b;
	if (*a && *b)
		return !strcmp(a, b);
	return !*named || !strcmp(named, "main.handler") || !strcmp(named, "main.lambda_handler");
}

/* --- lists --- */

int check_env(const struct property *p, const void *value, int code, nova_error_t **error)
{
	const struct text_list *list = value;
	for (size_t i = 0; i < list->count; i++) {
		const char *entry = list->items[i];
		size_t name = identifier_length(entry);
		if (!name || entry[name] != '=')
			return nova_fail(error, code,
				"%s: '%.64s' is not of the form NAME=value with a name of letters, "
				"digits and '_' that does not begin with a digit",
				p->is.name, text_is_utf8(entry) ? entry : "(not UTF-8)");
		if (!text_is_utf8(entry))
			return nova_fail(error, code, "%s: the value of '%.*s' is not UTF-8",
				p->is.name, (int)(name < 64 ? name : 64), entry);
	}
	return 0;
}

/* Length of the key that begins here; 0: none does. */
static size_t key_length(const char *text)
{
	size_t n = 0;
	while (is_letter(text[n]) || is_digit(text[n]) ||
		(n && text[n] && strchr("-_./", text[n]) != NULL))
		n++;
	return n;
}

static bool label_value_is_good(const char *value)
{
	if (strlen(value) > LABEL_VALUE_MAX || !text_is_utf8(value))
		return false;
	while (*value && (unsigned char)*value >= ' ' && *value != 127)
		value++;
	return !*value;
}

int check_labels(const struct property *p, const void *value, int code, nova_error_t **error)
{
	const struct text_list *list = value;
	for (size_t i = 0; i < list->count; i++) {
		const char *entry = list->items[i];
		size_t key = key_length(entry);
		if (!key || key > LABEL_KEY_MAX || entry[key] != '=')
			return nova_fail(error, code,
				"%s: '%.80s' is not of the form key=value with a key of at most %d "
				"letters, digits and '-_./' that begins with a letter or a digit",
				p->is.name, text_is_utf8(entry) ? entry : "(not UTF-8)",
				LABEL_KEY_MAX);
		if (!label_value_is_good(entry + key + 1))
			return nova_fail(error, code,
				"%s: the value of '%.*s' is not UTF-8 of at most %d bytes without "
				"control characters",
				p->is.name, (int)key, entry, LABEL_VALUE_MAX);
	}
	return 0;
}

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
	if (code == 0 && p->is.type == NOVA_PROPERTY_LIST)
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
