/* SPDX-License-Identifier: MIT */
/* Each text that a user gives, with what databases, Redis and terminals might take for something
 * else: it is refused, or it comes back as it was, and nothing else has changed. */
#include "conform/combined.h"
#include "json/json.h"

#define MIB (1u << 20)

static char *large; /* 1 MiB */

struct text {
	const char *at; /* NULL: `large` */
	size_t len;     /* of the bytes, where there may be a NUL; 0: it has none */
};

static const struct text texts[] = {
	{ "'; DROP TABLE functions; --", 0 },
	{ "x' OR '1'='1", 0 },
	{ "\"; DELETE FROM api_keys; --", 0 },
	{ "\\'; SELECT pg_sleep(9); --", 0 },
	{ "$1 ?1 :a @b %s %n {}", 0 },
	{ "%", 0 },
	{ "_", 0 },
	{ "*", 0 },
	{ "[a-z]", 0 },
	{ "x\r\n*1\r\n$8\r\nFLUSHALL\r\n", 0 },
	{ "') redis.call('FLUSHALL') --", 0 },
	{ "../../../../etc/passwd", 0 },
	{ "a\x1b[2J\x01\x7f", 0 },
	{ "\xff\xfe", 0 },
	{ "\xed\xa0\x80", 0 }, /* half of a pair of UTF-16 */
	{ "\xc0\x80", 0 },     /* a NUL as UTF-8 must not have it */
	{ "a\0b", 3 },
	{ "\xf0\x9f\x98\x80 \xef\xbf\xbe", 0 },
	{ "", 0 },
	{ NULL, 0 },
};

static size_t size_of(const char *text)
{
	return text == large ? MIB : strlen(text);
}

/* --- the fields; each gives the code of what was tried --- */

typedef int (*field_fn)(nova_t *nova, const char *text, size_t len);

static int register_with(nova_t *nova, const nova_function_opts *more)
{
	nova_function_opts o = *more;
	nova_function_t *f = NULL;
	o.size = sizeof(o);
	o.name = o.name ? o.name : "g";
	o.runtime = o.runtime ? o.runtime : "shell";
	o.code = o.code ? o.code : echo;
	o.code_len = o.code_len ? o.code_len : strlen(o.code);
	o.check = NOVA_CHECK_NEVER;
	int code = nova_function_register(nova, &o, &f, &error);
	if (code < 0)
		return code;
	nova_function_free(f);
	ck_ok(nova_function_check(nova, o.name, &error));
	return 0;
}

/* What is stored in a property of "g", which goes. */
static void check_stored(nova_t *nova, const char *property, const char *text)
{
	nova_function_t *f = NULL;
	ck_ok(nova_function_get(nova, "g", &f, &error));
	ck_assert_str_eq(nova_function_text(f, property, 0), text);
	nova_function_free(f);
	ck_ok(nova_function_delete(nova, "g", NOVA_DELETE_FORCE, &error));
}

static int function_name(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	int code = register_with(nova, &(nova_function_opts){ .name = text });
	if (code == 0)
		ck_ok(nova_function_delete(nova, text, 0, &error));
	return code;
}

static int function_runtime(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	int code = register_with(nova, &(nova_function_opts){ .runtime = text });
	ck_assert_int_lt(code, 0);
	return code;
}

static int function_handler(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	int code = register_with(nova, &(nova_function_opts){ .handler = text });
	if (code == 0)
		ck_ok(nova_function_delete(nova, "g", 0, &error));
	return code;
}

static int function_code(nova_t *nova, const char *text, size_t len)
{
	int code =
		len ? register_with(nova, &(nova_function_opts){ .code = text, .code_len = len }) :
		      NOVA_EINVAL;
	if (code == 0)
		ck_ok(nova_function_delete(nova, "g", 0, &error));
	return code;
}

static int function_env(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	AUTO_FREE char *variable = str_format("A=%s", text);
	const char *const env[] = { variable };
	int code = register_with(nova, &(nova_function_opts){ .env = env, .env_count = 1 });
	if (code == 0)
		check_stored(nova, "env", variable);
	return code;
}

static int function_label(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	nova_function_list_opts o = NOVA_FUNCTION_LIST_OPTS_INIT;
	nova_function_t **found = NULL;
	size_t count = 0;
	AUTO_FREE char *label = str_format("a=%s", text);
	const char *const labels[] = { label };
	int code =
		register_with(nova, &(nova_function_opts){ .labels = labels, .labels_count = 1 });
	o.labels = labels;
	o.labels_count = 1;
	if (code < 0)
		return code;
	ck_ok(nova_function_list(nova, &o, &found, &count, &error));
	ck_assert_uint_eq(count, 1); /* and "f" has none */
	nova_function_list_free(found, count);
	check_stored(nova, "labels", label);
	return 0;
}

static int function_lookup(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	nova_function_t *f = NULL;
	AUTO_FREE char *version = str_format("f:%s", text);
	int code = nova_function_get(nova, version, &f, &error);
	ck_assert_int_lt(code, 0);
	nova_error_free(STEAL(error));
	code = nova_function_get(nova, text, &f, &error);
	ck_assert_int_lt(code, 0);
	return code;
}

static int function_after(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	nova_function_list_opts o = NOVA_FUNCTION_LIST_OPTS_INIT;
	nova_function_t **found = NULL;
	size_t count = 0;
	o.after = text;
	int code = nova_function_list(nova, &o, &found, &count, &error);
	if (code == 0)
		ck_assert_uint_eq(count, strcmp("f", text) > 0);
	nova_function_list_free(found, count);
	return code;
}

static int alias_name(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	nova_alias_opts o = NOVA_ALIAS_OPTS_INIT;
	o.function = "f";
	o.name = text;
	o.version = 1;
	int code = nova_alias_set(nova, &o, NULL, &error);
	if (code == 0)
		ck_ok(nova_alias_delete(nova, "f", text, &error));
	return code;
}

static int runtime_name(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	static const char *const argv[] = { "/bin/sh", "{file}" };
	nova_runtime_opts o = NOVA_RUNTIME_OPTS_INIT;
	o.name = text;
	o.rootfs = "base";
	o.argv = argv;
	o.argv_count = 2;
	int code = nova_runtime_register(nova, &o, NULL, &error);
	if (code == 0)
		ck_ok(nova_runtime_delete(nova, text, &error));
	return code;
}

static int runtime_argument(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	const char *const argv[] = { "/bin/sh", text };
	const nova_runtime *made = NULL;
	nova_runtime_opts o = NOVA_RUNTIME_OPTS_INIT;
	o.name = "own";
	o.rootfs = "base";
	o.argv = argv;
	o.argv_count = 2;
	int code = nova_runtime_register(nova, &o, NULL, &error);
	if (code < 0)
		return code;
	ck_ok(nova_runtime_get(nova, "own", &made, &error));
	ck_assert_str_eq(made->argv[1], text);
	nova_runtime_free(made);
	ck_ok(nova_runtime_delete(nova, "own", &error));
	return 0;
}

static int make_key(nova_t *nova, const char *name, const char *tier)
{
	const nova_key_opts o = { sizeof(o), .name = name, .tier = tier };
	const nova_key *key = NULL;
	int code = nova_key_create(nova, &o, &key, &error);
	nova_key_free(key);
	if (code == 0)
		ck_ok(nova_key_delete(nova, name, &error));
	return code;
}

static int key_name(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	return make_key(nova, text, NULL);
}

static int key_tier(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	return make_key(nova, "k", text);
}

static int key_text(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	const nova_key *key = NULL;
	int code = nova_key_check(nova, text, &key, &error);
	ck_assert_int_lt(code, 0);
	return code;
}

static int secret_name(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	int code = nova_secret_set(nova, text, "v", 1, &error);
	if (code == 0)
		ck_ok(nova_secret_delete(nova, text, &error));
	return code;
}

static int secret_value(nova_t *nova, const char *text, size_t len)
{
	int code = nova_secret_set(nova, "s", text, len, &error);
	if (code == 0)
		ck_ok(nova_secret_delete(nova, "s", &error));
	return code;
}

static int kv_put(nova_t *nova, const char *key, const void *value, size_t len)
{
	const nova_kv_put_opts o = { sizeof(o), .key = key, .value = value, .value_len = len };
	const nova_kv_entry *entry = NULL;
	int code = nova_kv_put(nova, "f", &o, NULL, &error);
	if (code < 0)
		return code;
	ck_ok(nova_kv_get(nova, "f", key, &entry, &error));
	ck_assert_str_eq(entry->key, key);
	ck_assert_uint_eq(entry->value_len, len);
	ck_assert_mem_eq(entry->value, value, len);
	nova_kv_entry_free(entry);
	ck_ok(nova_kv_delete(nova, "f", key, 0, &error));
	return 0;
}

static int kv_key(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	return kv_put(nova, text, "v", 1);
}

static int kv_value(nova_t *nova, const char *text, size_t len)
{
	return kv_put(nova, "k", text, len);
}

/* One key is there, "f". */
static int kv_page(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	const nova_kv_list_opts prefix = { sizeof(prefix), .prefix = text },
				after = { sizeof(after), .after = text };
	const nova_kv_entry **found = NULL;
	size_t count = 0;
	int code = nova_kv_list(nova, "f", &prefix, &found, &count, &error);
	if (code == 0)
		ck_assert_uint_eq(count, str_starts("f", text));
	nova_kv_list_free(found, count);
	if (code < 0)
		return code;
	code = nova_kv_list(nova, "f", &after, &found, &count, &error);
	if (code == 0)
		ck_assert_uint_eq(count, strcmp("f", text) > 0);
	nova_kv_list_free(found, count);
	return code;
}

static int file_put(nova_t *nova, const nova_file_put_opts *o)
{
	const nova_file *file = NULL;
	int code = nova_file_put(nova, "f", o, &error);
	if (code < 0)
		return code;
	ck_ok(nova_file_get(nova, "f", o->name, &file, &error));
	ck_assert_str_eq(file->name, o->name);
	if (o->type && *o->type)
		ck_assert_str_eq(file->type, o->type);
	ck_assert_uint_eq(file->data_len, o->data_len);
	if (o->data_len)
		ck_assert_mem_eq(file->data, o->data, o->data_len);
	nova_file_free(file);
	ck_ok(nova_file_delete(nova, "f", o->name, &error));
	return 0;
}

static int file_name(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	return file_put(nova, &(nova_file_put_opts){ sizeof(nova_file_put_opts), .name = text });
}

static int file_type(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	return file_put(nova,
		&(nova_file_put_opts){ sizeof(nova_file_put_opts), .name = "n", .type = text });
}

static int file_data(nova_t *nova, const char *text, size_t len)
{
	return file_put(nova, &(nova_file_put_opts){ sizeof(nova_file_put_opts), .name = "n",
				      .data = text, .data_len = len });
}

static int request_id(nova_t *nova, const char *text, size_t len)
{
	nova_invocation_list_opts list = NOVA_INVOCATION_LIST_OPTS_INIT;
	const nova_invocation **found = NULL;
	nova_invoke_opts o = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *result = NULL;
	size_t count = 0;
	(void)len;
	o.request_id = text;
	int code = nova_invoke(nova, "f", NULL, &o, &result, &error);
	nova_result_free(result);
	if (code < 0)
		return code;
	list.request_id = text;
	ck_ok(nova_invocation_list(nova, &list, &found, &count, &error));
	ck_assert_uint_eq(count, 1);
	nova_invocation_list_free(found, count);
	return 0;
}

/* No function has this name; a request of before may have. */
static int log_filter(nova_t *nova, const char *text, size_t len)
{
	nova_invocation_list_opts of_function = NOVA_INVOCATION_LIST_OPTS_INIT,
				  of_request = NOVA_INVOCATION_LIST_OPTS_INIT;
	const nova_invocation **found = NULL;
	size_t count = 0;
	(void)len;
	of_function.function = text;
	of_request.request_id = text;
	int code = nova_invocation_list(nova, &of_function, &found, &count, &error);
	ck_assert_uint_eq(count, 0);
	if (code < 0)
		return code;
	code = nova_invocation_list(nova, &of_request, &found, &count, &error);
	for (size_t i = 0; code == 0 && i < count; i++)
		ck_assert_str_eq(found[i]->request_id, text);
	nova_invocation_list_free(found, count);
	return code;
}

static int usage_key(nova_t *nova, const char *text, size_t len)
{
	nova_invoke_opts o = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *result = NULL;
	(void)len;
	o.key = text;
	int code = nova_invoke(nova, "f", NULL, &o, &result, &error);
	nova_result_free(result);
	return code;
}

/* A call, and where there is Redis a job: a JSON text with all of it. */
static int payload(nova_t *nova, const char *text, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT(16u << 20);
	nova_result_t *result = NULL;
	nova_job_t *job = NULL;
	size_t size = 0;
	ck_assert_int_eq(json_put_string(&b, text, len), 0);
	AUTO_FREE char *json = buf_steal_str(&b);
	int code = nova_invoke(nova, "f", json, NULL, &result, &error);
	if (code < 0)
		return code;
	ck_assert_str_eq(nova_result_output(result, NULL), json);
	nova_result_free(result);
	code = nova_job_submit(nova, "f", json, NULL, NULL, &error);
	if (code < 0)
		return code;
	ck_ok(nova_job_perform(nova, 10000, NULL, &job, &error));
	ck_assert_str_eq(nova_job_output(job, &size), json);
	nova_job_free(job);
	return 0;
}

static int raw_payload(nova_t *nova, const char *text, size_t len)
{
	nova_result_t *result = NULL;
	(void)len;
	int code = nova_invoke(nova, "f", text, NULL, &result, &error);
	ck_assert_int_lt(code, 0);
	nova_error_free(STEAL(error));
	code = nova_job_submit(nova, "f", text, NULL, NULL, &error);
	ck_assert_int_lt(code, 0);
	return code;
}

static int job_key(nova_t *nova, const char *text, size_t len)
{
	const nova_job_opts o = { sizeof(o), .key = text };
	nova_job_t *first = NULL, *again = NULL, *done = NULL;
	(void)len;
	int code = nova_job_submit(nova, "f", "1", &o, &first, &error);
	if (code < 0)
		return code;
	ck_ok(nova_job_submit(nova, "f", "1", &o, &again, &error));
	ck_assert_str_eq(nova_job_id(again), nova_job_id(first));
	ck_ok(nova_job_perform(nova, 10000, NULL, &done, &error));
	ck_assert_str_eq(nova_job_id(done), nova_job_id(first));
	nova_job_free(first);
	nova_job_free(again);
	nova_job_free(done);
	return 0;
}

static int job_function(nova_t *nova, const char *text, size_t len)
{
	(void)len;
	int code = nova_job_submit(nova, text, NULL, NULL, NULL, &error);
	ck_assert_int_lt(code, 0);
	return code;
}

static int job_id(nova_t *nova, const char *text, size_t len)
{
	nova_job_t *job = NULL;
	(void)len;
	int code = nova_job_get(nova, text, &job, &error);
	ck_assert_int_lt(code, 0);
	return code;
}

static int rate_name(nova_t *nova, const char *text, size_t len)
{
	const nova_rate_opts o = { sizeof(o), .name = text, .rate = 1000000 };
	(void)len;
	return nova_rate_take(nova, &o, NULL, &error);
}

static const struct {
	const char *name;
	field_fn try;
} fields[] = {
	{ "function: name", function_name },
	{ "function: runtime", function_runtime },
	{ "function: handler", function_handler },
	{ "function: code", function_code },
	{ "function: env", function_env },
	{ "function: label", function_label },
	{ "function: looked up", function_lookup },
	{ "function: after", function_after },
	{ "alias: name", alias_name },
	{ "runtime: name", runtime_name },
	{ "runtime: argv", runtime_argument },
	{ "key: name", key_name },
	{ "key: tier", key_tier },
	{ "key: text", key_text },
	{ "secret: name", secret_name },
	{ "secret: value", secret_value },
	{ "kv: key", kv_key },
	{ "kv: value", kv_value },
	{ "kv: prefix, after", kv_page },
	{ "file: name", file_name },
	{ "file: type", file_type },
	{ "file: data", file_data },
	{ "call: request id", request_id },
	{ "call: key of usage", usage_key },
	{ "call: payload", payload },
	{ "call: payload as it is", raw_payload },
	{ "log: function, request", log_filter },
	{ "job: key", job_key },
	{ "job: function", job_function },
	{ "job: id", job_id },
	{ "rate: name", rate_name },
};

/* --- what must hold --- */

static const char *field;

static bool is_refusal(int code)
{
	static const int codes[] = { NOVA_EINVAL, NOVA_ENOTFOUND, NOVA_ETOOBIG, NOVA_ENOTSUP };
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (code == codes[i])
			return true;
	return false;
}

/* A sentence that a terminal can show, whatever was given. */
static void check_message(const char *text)
{
	ck_assert_msg(text_is_utf8(text) && strlen(text) < 2000, "%s: %.2000s", field, text);
	for (const char *at = text; *at; at++)
		ck_assert_msg((unsigned char)*at >= ' ' && *at != 0x7f, "%s: %s", field, text);
}

static void check_others(nova_t *nova)
{
	const nova_kv_entry *entry = NULL;
	const nova_key **keys = NULL;
	size_t count = 0;
	ck_assert_msg(count_functions(nova) == 1, "%s", field);
	ck_ok(nova_kv_get(nova, "f", "f", &entry, &error));
	ck_assert_str_eq(entry->value, "kept");
	nova_kv_entry_free(entry);
	ck_ok(nova_key_list(nova, &keys, &count, &error));
	ck_assert_msg(count == 1 && !strcmp(keys[0]->name, "kept"), "%s", field);
	nova_key_list_free(keys, count);
}

static void try_text(nova_t *nova, field_fn try, const struct text *text)
{
	const char *at = text->at ? text->at : large;
	int code = try(nova, at, text->len ? text->len : size_of(at));
	ck_assert_msg(code == 0 || is_refusal(code), "%s with '%.40s': %s: %s", field, at,
		nova_code_name(code), nova_error_message(error));
	check_message(nova_error_message(error));
	nova_error_free(STEAL(error));
	check_others(nova);
}

START_TEST(what_is_in_a_text_is_refused_or_comes_back_and_is_no_command_to_anyone)
{
	const nova_key_opts key = { sizeof(key), .name = "kept" };
	const nova_kv_put_opts value = { sizeof(value), .key = "f", .value = "kept",
		.value_len = 4 };
	const nova_key *made = NULL;
	begin(_i);
	large = malloc(MIB + 1);
	memset(large, 'a', MIB);
	large[MIB] = 0;
	nova_t *nova = host("a");
	ck_ok(add(nova, "f", echo, &error));
	ck_ok(nova_function_publish(nova, "f", NULL, &error));
	ck_ok(nova_kv_put(nova, "f", &value, NULL, &error));
	ck_ok(nova_key_create(nova, &key, &made, &error));
	nova_key_free(made);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		field = fields[i].name;
		for (size_t j = 0; j < ARRAY_LEN(texts); j++)
			try_text(nova, fields[i].try, &texts[j]);
	}
	nova_close(nova);
	free(large);
}
END_TEST

void add_tests_of_texts(TCase *tc)
{
	tcase_add_loop_test(tc,
		what_is_in_a_text_is_refused_or_comes_back_and_is_no_command_to_anyone, 0,
		COMBINATIONS);
}
