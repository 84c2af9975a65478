/* SPDX-License-Identifier: MIT */
/*
 * Plugs. They are what a function keeps that is registered for that: a value for each under
 * "METHOD /path", an object that says what is there, and the files of those that are uploaded to a
 * path, under the same name. So all who share the store have the same.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <nova/kv.h>

#include "serve.h"

#define KEY_MAX 255 /* as of the names of files */

static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE" };

/* Where a gateway has routes of its own, or may have some. */
static const char *const taken[] = { "api", "my-own-cluster", "2015-03-31", "healthz", "readyz",
	"metrics", "openapi.json", "page.css", "page.js", "execute", "functions", "v2", "sandboxes",
	"health", "files", "process.Process", "filesystem.Filesystem" };

bool plug_is_free(const char *path)
{
	size_t len = strcspn(path + 1, "/");
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (strlen(taken[i]) == len && !strncmp(taken[i], path + 1, len))
			return false;
	return len > 0;
}

static bool is_plain_part(const char *part, size_t len)
{
	static const char others[] = "-._~!$&'()*+,;=:@";
	bool dots = len < 3 && strspn(part, ".") >= len;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)part[i]) && !strchr(others, part[i]))
			return false;
	return len && !dots;
}

/* It may end with a slash. */
static bool is_plain(const char *path)
{
	while (*path == '/' && path[1]) {
		size_t len = strcspn(++path, "/");
		if (!is_plain_part(path, len))
			return false;
		path += len;
	}
	return !path[strspn(path, "/")] && strlen(path) < 2;
}

const char *plug_wrong(const char *method, const char *path)
{
	char name[8];
	if (!plug_method(method, name))
		return "the method is none of GET, POST, PUT, PATCH and DELETE";
	if (strlen(name) + 1 + strlen(path) > KEY_MAX)
		return "the path is too long: with its method it may have 255 bytes";
	if (*path != '/' || !is_plain(path))
		return "a path begins with '/', and has letters, digits and -._~!$&'()*+,;=:@, "
		       "without empty parts";
	if (!plug_is_free(path))
		return "this path is one of the gateway's own: take another one, as /hello";
	return NULL;
}

bool plug_method(const char *given, char name[8])
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (!strcasecmp(methods[i], given)) {
			snprintf(name, 8, "%s", methods[i]);
			return true;
		}
	return false;
}

static void key_of(char key[KEY_MAX + 1], const char *method, const char *path)
{
	char name[8] = "";
	plug_method(method, name);
	snprintf(key, KEY_MAX + 1, "%s %s", name, path);
}

/* Nobody calls it. */
static int make_holder(nova_t *nova, nova_error_t **error)
{
	static const char code[] = "echo 'it keeps the plugs of paths'\n";
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	nova_function_t *function = NULL;
	int found = nova_function_get(nova, PLUG_HOLDER, &function, NULL);
	nova_function_free(function);
	if (found != NOVA_ENOTFOUND) /* another failure is met by what comes next */
		return 0;
	opts.name = PLUG_HOLDER;
	opts.runtime = "shell";
	opts.code = code;
	opts.code_len = sizeof(code) - 1;
	opts.check = NOVA_CHECK_NEVER;
	int made = nova_function_register(nova, &opts, NULL, error);
	if (made != NOVA_EEXIST) /* somebody was faster */
		return made;
	nova_error_free(*error);
	*error = NULL;
	return 0;
}

static int put(nova_t *nova, const char *key, json_t *plug, nova_error_t **error)
{
	nova_kv_put_opts opts = NOVA_KV_PUT_OPTS_INIT;
	char *text = need(json_dumps(need(plug), JSON_COMPACT));
	opts.key = key;
	opts.value = text;
	opts.value_len = strlen(text);
	int code = nova_kv_put(nova, PLUG_HOLDER, &opts, NULL, error);
	free(text);
	json_decref(plug);
	return code;
}

int plug_function(nova_t *nova, const char *method, const char *path, const char *function,
	const char *start, nova_error_t **error)
{
	char key[KEY_MAX + 1];
	nova_function_t *found = NULL;
	int code = nova_function_get(nova, function, &found, error);
	nova_function_free(found);
	if (code == 0)
		code = make_holder(nova, error);
	if (code != 0)
		return code;
	key_of(key, method, path);
	return put(nova, key,
		json_pack("{s:s,s:s*}", "function", function, "start_function", start), error);
}

static int put_file(nova_t *nova, const char *name, const char *type, const struct bytes *content,
	nova_error_t **error)
{
	nova_file_put_opts opts = NOVA_FILE_PUT_OPTS_INIT;
	opts.name = name;
	opts.type = type;
	opts.data = content->data;
	opts.data_len = content->len;
	return nova_file_put(nova, PLUG_HOLDER, &opts, error);
}

int plug_keep(nova_t *nova, const char *name, const char *type, const struct bytes *content,
	nova_error_t **error)
{
	int code = make_holder(nova, error);
	return code ? code : put_file(nova, name, type, content, error);
}

int plug_kept(
	nova_t *nova, const char *method, const char *path, const char *name, nova_error_t **error)
{
	char key[KEY_MAX + 1];
	const nova_file *file = NULL;
	int code = plug_file(nova, name, &file, error);
	nova_file_free(file);
	if (code != 0)
		return code;
	key_of(key, method, path);
	return put(nova, key, json_pack("{s:s}", "file", name), error);
}

int plug_upload(nova_t *nova, const char *method, const char *path, const char *type,
	const struct bytes *content, nova_error_t **error)
{
	char key[KEY_MAX + 1];
	key_of(key, method, path);
	int code = plug_keep(nova, key, type, content, error);
	return code ? code : put(nova, key, json_pack("{s:s}", "file", key), error);
}

/* Without anything plugged there is no holder either: nothing is plugged there. */
int plug_find(
	nova_t *nova, const char *method, const char *path, json_t **ret_plug, nova_error_t **error)
{
	char key[KEY_MAX + 1];
	const nova_kv_entry *entry = NULL;
	key_of(key, method, path);
	int code = nova_kv_get(nova, PLUG_HOLDER, key, &entry, error);
	*ret_plug = code ? NULL : json_loadb(entry->value, entry->value_len, 0, NULL);
	nova_kv_entry_free(entry);
	return code == 0 && !json_is_object(*ret_plug) ? NOVA_ECORRUPT : code;
}

int plug_file(nova_t *nova, const char *name, const nova_file **ret_file, nova_error_t **error)
{
	return nova_file_get(nova, PLUG_HOLDER, name, ret_file, error);
}

int plug_remove(nova_t *nova, const char *method, const char *path, nova_error_t **error)
{
	char key[KEY_MAX + 1];
	key_of(key, method, path);
	int code = nova_kv_delete(nova, PLUG_HOLDER, key, 0, error);
	if (code == 0) /* there may be none */
		nova_file_delete(nova, PLUG_HOLDER, key, NULL);
	return code;
}
