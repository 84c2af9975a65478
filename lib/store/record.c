/* SPDX-License-Identifier: MIT */
/* The record of a function: memory, rules, and the text form of its variables. */
#include <errno.h>

#include "net/net.h"
#include "proto/proto.h"
#include "store/store.h"

#define YEAR_10000_US 253402300800000000u

void record_clear(struct function_record *r)
{
	free(r->id);
	free(r->name);
	free(r->runtime);
	free(r->handler);
	free(r->code_path);
	free(r->code_hash);
	strv_free(r->env, r->env_count);
	memset(r, 0, sizeof(*r));
}

void record_list_free(struct function_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		record_clear(&records[i]);
	free(records);
}

static bool copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from;
}

int record_copy(
	struct function_record *to, const struct function_record *from, nova_error_t **error)
{
	AUTO_RECORD struct function_record copy = *from;
	copy.id = copy.name = copy.runtime = copy.handler = copy.code_path = copy.code_hash = NULL;
	copy.env_count = 0;
	copy.env = from->env_count ? calloc(from->env_count, sizeof(*copy.env)) : NULL;
	if ((from->env_count && !copy.env) || !copy_text(&copy.id, from->id) ||
		!copy_text(&copy.name, from->name) || !copy_text(&copy.runtime, from->runtime) ||
		!copy_text(&copy.handler, from->handler) ||
		!copy_text(&copy.code_path, from->code_path) ||
		!copy_text(&copy.code_hash, from->code_hash))
		return nova_oom(error);
	for (; copy.env_count < from->env_count; copy.env_count++)
		if (!(copy.env[copy.env_count] = strdup(from->env[copy.env_count])))
			return nova_oom(error);
	*to = copy;
	memset(&copy, 0, sizeof(copy));
	return 0;
}

/* --- rules
 * ----------------------------------------------------------------------------------------------------
 */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
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

static bool name_is_good(const char *name)
{
	size_t len = strlen(name);
	if (len < 1 || len > RECORD_NAME_MAX || !(is_letter(name[0]) || is_digit(name[0])))
		return false;
	for (; *name; name++)
		if (!is_letter(*name) && !is_digit(*name) && !strchr("-_.", *name))
			return false;
	return true;
}

/* Length of the file or package name that begins here: as an identifier, but with '-' and digits anywhere. */
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
	if (!dot || strlen(handler) > RECORD_HANDLER_MAX)
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

static int check_range(const char *what, uint64_t value, uint64_t min, uint64_t max, int code,
	nova_error_t **error)
{
	if (value >= min && value <= max)
		return 0;
	return nova_fail(error, code, "%s is %llu; it must be %llu to %llu", what,
		(unsigned long long)value, (unsigned long long)min, (unsigned long long)max);
}

static int check_numbers(const struct function_record *r, int code, nova_error_t **error)
{
	const struct {
		const char *what;
		uint64_t value, min, max;
	} rules[] = {
		{ "memory_mb", r->memory_mb, 32, 65536 },
		{ "timeout_s", r->timeout_s, 1, 86400 },
		{ "vcpus", r->vcpus, 1, 32 },
		{ "min_replicas", r->min_replicas, 0, 1000 },
		{ "concurrency", r->concurrency, 1, 16 },
		{ "disk_iops", r->disk_iops, 0, RECORD_MAX_NUMBER },
		{ "disk_bandwidth", r->disk_bandwidth, 0, RECORD_MAX_NUMBER },
		{ "net_rx_bandwidth", r->net_rx_bandwidth, 0, RECORD_MAX_NUMBER },
		{ "net_tx_bandwidth", r->net_tx_bandwidth, 0, RECORD_MAX_NUMBER },
		{ "network", r->network, NET_NONE, NET_NAT },
	};
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		int bad = check_range(
			rules[i].what, rules[i].value, rules[i].min, rules[i].max, code, error);
		if (bad)
			return bad;
	}
	return 0;
}

static int check_env(const struct function_record *r, int code, nova_error_t **error)
{
	size_t total = 0;
	for (size_t i = 0; i < r->env_count; i++) {
		const char *entry = r->env[i];
		size_t name = identifier_length(entry);
		if (!name || entry[name] != '=')
			return nova_fail(error, code,
				"env: '%.64s' is not of the form NAME=value with a name of "
				"letters, digits and '_' that does not begin with a digit",
				text_is_utf8(entry) ? entry : "(not UTF-8)");
		if (!text_is_utf8(entry))
			return nova_fail(error, code, "env: the value of '%.*s' is not UTF-8",
				(int)(name < 64 ? name : 64), entry);
		total += strlen(entry) + 1;
	}
	if (total > RECORD_ENV_MAX)
		return nova_fail(error, code,
			"env: %zu bytes of variables; at most %u are possible", total,
			RECORD_ENV_MAX);
	return 0;
}

int record_check_fields(const struct function_record *r, int code, nova_error_t **error)
{
	if (!name_is_good(r->name))
		return nova_fail(error, code,
			"name: '%.80s' is no function name; use 1 to 64 letters, digits, '-', '_' "
			"and '.', beginning with a letter or digit",
			text_is_utf8(r->name) ? r->name : "(not UTF-8)");
	size_t runtime = identifier_length(r->runtime);
	if (!runtime || r->runtime[runtime] || runtime > 32)
		return nova_fail(error, code, "runtime: '%.40s' is no name of a runtime",
			text_is_utf8(r->runtime) ? r->runtime : "");
	if (!handler_is_good(r->handler))
		return nova_fail(error, code,
			"handler: '%.80s' is not of the form module.function, such as main.handler",
			text_is_utf8(r->handler) ? r->handler : "(not UTF-8)");
	if (!text_is_utf8(r->code_path))
		return nova_fail(error, code, "code_path: the path is not UTF-8");
	if (strlen(r->code_path) > RECORD_PATH_MAX)
		return nova_fail(error, code, "code_path: the path is longer than %d bytes",
			RECORD_PATH_MAX);
	int bad = check_numbers(r, code, error);
	return bad ? bad : check_env(r, code, error);
}

static bool is_hex_text(const char *text, const char *shape)
{
	for (; *shape; shape++, text++)
		if (*shape == '-' ? *text != '-'
				  : !(is_digit(*text) || (*text >= 'a' && *text <= 'f')))
			return false;
	return !*text;
}

int record_check(const struct function_record *r, int code, nova_error_t **error)
{
	if (!is_hex_text(r->id, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"))
		return nova_fail(error, code, "id: this is no UUID");
	if (!is_hex_text(r->code_hash,
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"))
		return nova_fail(error, code, "code_hash: this is no SHA-256");
	if (!r->version)
		return nova_fail(error, code, "version: it begins at 1");
	if (r->created_us >= YEAR_10000_US || r->updated_us >= YEAR_10000_US)
		return nova_fail(error, code, "created_at, updated_at: beyond the year 9999");
	return record_check_fields(r, code, error);
}

/* --- variables
 * ---------------------------------------------------------------------------------------------------
 */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int record_sort_env(struct function_record *r, nova_error_t **error)
{
	if (r->env_count < 2)
		return 0;
	qsort(r->env, r->env_count, sizeof(*r->env), by_text);
	for (size_t i = 1; i < r->env_count; i++) {
		size_t name = strcspn(r->env[i], "=") + 1;
		if (!strncmp(r->env[i - 1], r->env[i], name))
			return nova_fail(error, NOVA_EINVAL, "env: '%.*s' is given twice",
				(int)(name - 1), r->env[i]);
	}
	return 0;
}

static int append_chunk(const char *data, size_t len, void *out)
{
	return buf_append(out, data, len) < 0 ? -1 : 0;
}

static void json_freep(json_t **json)
{
	json_decref(*json);
}

char *record_env_to_json(const struct function_record *r)
{
	CLEANUP(json_freep) json_t *list = json_array();
	AUTO_BUF struct buf text = BUF_INIT(8 * RECORD_ENV_MAX); /* \u0001 takes six bytes */
	for (size_t i = 0; i < r->env_count; i++)
		if (json_array_append_new(list, json_string(r->env[i])) < 0)
			return NULL;
	if (!list || json_dump_callback(list, append_chunk, &text, JSON_COMPACT) < 0)
		return NULL;
	return buf_steal_str(&text);
}

int record_env_from_json(struct function_record *r, const char *json, size_t len)
{
	CLEANUP(json_freep) json_t *list = NULL;
	int os = json_parse(json, len, 0, &list, NULL);
	if (os < 0 || !json_is_array(list))
		return os < 0 ? os : -EINVAL;
	size_t count = json_array_size(list);
	char **env = count ? calloc(count, sizeof(*env)) : NULL;
	if (count && !env)
		return -ENOMEM;
	r->env = env;
	for (; r->env_count < count; r->env_count++) {
		const char *text = json_string_value(json_array_get(list, r->env_count));
		if (!text)
			return -EINVAL;
		if (!(env[r->env_count] = strdup(text)))
			return -ENOMEM;
	}
	return 0;
}
