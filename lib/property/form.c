/* SPDX-License-Identifier: MIT */
/* The form of texts: what the rows of the table refer to. */
#include "property/property.h"
#include "proto/proto.h"

#define HANDLER_MAX     128
#define RUNTIME_MAX     32
#define LABEL_KEY_MAX   63
#define LABEL_VALUE_MAX 255
#define REHEARSE_MAX    (64u << 10)

/* --- texts --- */

/* Length of the identifier that begins here: letters, digits and '_', no digit first. */
static size_t identifier_length(const char *text)
{
	size_t n = 0;
	while (is_letter(text[n]) || text[n] == '_' || (n && is_digit(text[n])))
		n++;
	return n;
}

bool runtime_name_ok(const char *name)
{
	size_t n = 0;
	while (is_letter(name[n]) ||
		(n && name[n] && (is_digit(name[n]) || strchr("-_.", name[n]))))
		n++;
	return n && !name[n] && n <= RUNTIME_MAX;
}

int check_runtime(const struct property *p, const void *value, int code, nova_error_t **error)
{
	const char *runtime = *(char *const *)value;
	if (runtime_name_ok(runtime))
		return 0;
	return nova_fail(error, code, "%s: '%.40s' is no name of a runtime", p->is.name,
		text_is_utf8(runtime) ? runtime : "");
}

/* "": that of the runtime; else the name of an image, or a blob. */
int check_image(const struct property *p, const void *value, int code, nova_error_t **error)
{
	const char *image = *(char *const *)value;
	if (!image || image_blob(image) || runtime_name_ok(image) || !*image)
		return 0;
	return nova_fail(error, code, "%s: '%.80s' is no name of an image", p->is.name,
		text_is_utf8(image) ? image : "");
}

const char *image_blob(const char *image)
{
	if (!str_starts(image, IMAGE_BLOB))
		return NULL;
	const char *hash = image + strlen(IMAGE_BLOB);
	return strspn(hash, "0123456789abcdef") == 64 && !hash[64] ? hash : NULL;
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
	return strlen(value) <= LABEL_VALUE_MAX && text_is_utf8(value) && !text_has_control(value);
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

/* An absolute path that stays where it says; "::" is wasmtime's between the two. */
static bool is_plain_path(const char *path)
{
	size_t len = strlen(path);
	if (*path != '/' || strstr(path, "::") || text_has_control(path))
		return false;
	return !strstr(path, "/../") && (len < 3 || strcmp(path + len - 3, "/..") != 0);
}

int check_preopens(const struct property *p, const void *value, int code, nova_error_t **error)
{
	const struct text_list *list = value;
	for (size_t i = 0; i < list->count; i++) {
		const char *entry = list->items[i], *directory = strchr(entry, '=');
		AUTO_FREE char *name =
			directory ? strndup(entry, (size_t)(directory - entry)) : strdup("");
		if (!name)
			return nova_oom(error);
		if (!text_is_utf8(entry) || !is_plain_path(name) || !is_plain_path(directory + 1))
			return nova_fail(error, code,
				"%s: '%.200s' is not of the form /name=/directory, two paths that "
				"begin with '/', without '..' and '::'",
				p->is.name, text_is_utf8(entry) ? entry : "(not UTF-8)");
	}
	return 0;
}

int check_rehearse(const struct property *p, const void *value, int code, nova_error_t **error)
{
	const char *input = *(char *const *)value;
	size_t len = input ? strlen(input) : 0;
	if (!len)
		return 0;
	if (len > REHEARSE_MAX)
		return nova_fail(error, code, "%s: %zu bytes; at most %u are possible", p->is.name,
			len, REHEARSE_MAX);
	if (json_text_ok(input, len, PROTO_DEPTH_USER))
		return 0;
	return nova_fail(error, code, "%s: '%.80s' is not JSON", p->is.name,
		text_is_utf8(input) ? input : "(not UTF-8)");
}
