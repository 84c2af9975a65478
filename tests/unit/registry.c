/* SPDX-License-Identifier: MIT */
/* Functions registered, looked up, replaced and deleted: on a real store and real code disks,
 * without VMs. */
#include <elf.h>
#include <jansson.h>
#include <sys/stat.h>

#include "registry.h"

/* --- what is stored --- */

START_TEST(a_function_comes_back_with_every_field)
{
	static const char *const env[] = { "ZED=last", "A_1=first=1" };
	nova_function_opts o = opts_of("hello", "print(1)");
	AUTO_FUNCTION nova_function_t *f = NULL;
	o.handler = "app.run";
	o.memory_mb = 512;
	o.vcpus = 2;
	o.timeout_s = 120;
	o.min_replicas = 1;
	o.concurrency = 8;
	o.disk_iops = 1000;
	o.disk_bandwidth = 10485760;
	o.net_rx_bandwidth = o.net_tx_bandwidth = 5242880;
	o.network = "nat";
	o.env = env;
	o.env_count = 2;
	ck_ok(nova_function_register(&nova, &o, NULL, &error));
	ck_ok(nova_function_get(&nova, "hello", &f, &error));
	ck_assert_str_eq(nova_function_name(f), "hello");
	ck_assert_str_eq(nova_function_text(f, "runtime", 0), "python");
	ck_assert_str_eq(nova_function_text(f, "handler", 0), "app.run");
	ck_assert_str_eq(nova_function_code_path(f), "");
	ck_assert_uint_eq(nova_function_number(f, "memory_mb"), 512);
	ck_assert_uint_eq(nova_function_number(f, "vcpus"), 2);
	ck_assert_uint_eq(nova_function_number(f, "timeout_s"), 120);
	ck_assert_uint_eq(nova_function_number(f, "min_replicas"), 1);
	ck_assert_uint_eq(nova_function_number(f, "concurrency"), 8);
	ck_assert_uint_eq(nova_function_number(f, "disk_iops"), 1000);
	ck_assert_uint_eq(nova_function_number(f, "disk_bandwidth"), 10485760);
	ck_assert_uint_eq(nova_function_number(f, "net_rx_bandwidth"), 5242880);
	ck_assert_uint_eq(nova_function_number(f, "net_tx_bandwidth"), 5242880);
	ck_assert_str_eq(nova_function_text(f, "network", 0), "nat");
	ck_assert_uint_eq(nova_function_version(f), 1);
	ck_assert_ptr_null(nova_function_text(f, "env", 2));
	ck_assert_str_eq(nova_function_text(f, "env", 0), "A_1=first=1");
	ck_assert_str_eq(nova_function_text(f, "env", 1), "ZED=last");
	ck_assert_ptr_null(nova_function_text(f, "env", 2));
	ck_assert_uint_eq(nova_function_created_us(f), nova_function_updated_us(f));
	ck_consistent();
}
END_TEST

START_TEST(what_is_not_said_has_its_default)
{
	AUTO_FUNCTION nova_function_t *f = NULL;
	nova_function_opts o = opts_of("hello", "print(1)");
	ck_ok(nova_function_register(&nova, &o, &f, &error));
	ck_assert_str_eq(nova_function_text(f, "handler", 0), "main.handler");
	ck_assert_uint_eq(nova_function_number(f, "memory_mb"), 128);
	ck_assert_uint_eq(nova_function_number(f, "timeout_s"), 30);
	ck_assert_uint_eq(nova_function_number(f, "vcpus"), 1);
	ck_assert_uint_eq(nova_function_number(f, "min_replicas"), 0);
	ck_assert_str_eq(nova_function_text(f, "network", 0), "none");
	ck_assert_uint_eq(nova_function_number(f, "concurrency"), 1);
	ck_assert_uint_eq(strlen(nova_function_id(f)), 36);
	ck_assert_int_eq(nova_function_id(f)[14], '4');
}
END_TEST

START_TEST(the_json_of_a_function_has_its_members)
{
	static const char *const env[] = { "GREETING=gr\xc3\xbc\xc3\x9f \"dich\"" };
	AUTO_FUNCTION nova_function_t *f = NULL;
	nova_function_opts o = opts_of("hello", "print(1)");
	o.env = env;
	o.env_count = 1;
	o.labels = (const char *const[]){ "team=\"a\"", "4.k8s/cost-center=" };
	o.labels_count = 2;
	ck_ok(nova_function_register(&nova, &o, &f, &error));
	f->record.created_us = 1700000000000042;
	AUTO_FREE char *text = nova_function_to_json(f);
	json_t *json = json_loads(text, 0, NULL), *limits = json_object_get(json, "limits");
	static const char *const members[] = { "id", "name", "runtime", "handler", "code_path",
		"code_hash", "memory_mb", "timeout_s", "init_timeout_s", "min_replicas",
		"concurrency", "network", "limits", "env_vars", "labels", "preopens", "rehearse",
		"version", "created_at", "updated_at" };
	ck_assert_uint_eq(json_object_size(json), ARRAY_LEN(members));
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		ck_assert_ptr_nonnull(json_object_get(json, members[i]));
	ck_assert_uint_eq(json_object_size(limits), 8);
	ck_assert_int_eq(json_integer_value(json_object_get(limits, "vcpus")), 1);
	ck_assert_str_eq(
		json_string_value(json_object_get(json_object_get(json, "env_vars"), "GREETING")),
		"gr\xc3\xbc\xc3\x9f \"dich\"");
	ck_assert_str_eq(json_string_value(json_object_get(json, "created_at")),
		"2023-11-14T22:13:20.000042Z");
	json_decref(json);
}
END_TEST

START_TEST(the_same_again_changes_nothing)
{
	AUTO_FUNCTION nova_function_t *first = NULL, *second = NULL;
	nova_function_opts o = opts_of("hello", "print(1)");
	ck_ok(nova_function_register(&nova, &o, &first, &error));
	ck_ok(nova_function_register(&nova, &o, &second, &error));
	o.flags = NOVA_REGISTER_REPLACE;
	nova_function_free(STEAL(second));
	ck_ok(nova_function_register(&nova, &o, &second, &error));
	ck_assert_str_eq(nova_function_id(first), nova_function_id(second));
	ck_assert_uint_eq(nova_function_version(second), 1);
	ck_assert_uint_eq(nova_function_updated_us(second), nova_function_updated_us(first));
	ck_consistent();
}
END_TEST

START_TEST(a_version_keeps_its_handler_when_its_labels_change)
{
	AUTO_FUNCTION nova_function_t *f = NULL;
	nova_function_opts o = opts_of("hello", "def lambda_handler(e): pass");
	o.handler = "main.lambda_handler";
	ck_ok(nova_function_register(&nova, &o, NULL, &error));
	o.handler = NULL; /* the same one is found */
	o.labels = (const char *const[]){ "team=a" };
	o.labels_count = 1;
	ck_fails_with(NOVA_EEXIST, "differs in its labels",
		nova_function_register(&nova, &o, NULL, &error));
	o.flags = NOVA_REGISTER_REPLACE;
	ck_ok(nova_function_register(&nova, &o, &f, &error));
	ck_assert_uint_eq(nova_function_version(f), 1);
	ck_assert_str_eq(nova_function_text(f, "handler", 0), "main.lambda_handler");
	ck_assert_str_eq(nova_function_text(f, "labels", 0), "team=a");
}
END_TEST

START_TEST(something_else_needs_the_replace_flag)
{
	AUTO_FUNCTION nova_function_t *old = NULL, *now = NULL;
	ck_ok(add(&nova, "hello", "print(1)", 0));
	ck_ok(nova_function_get(&nova, "hello", &old, &error));
	ck_fails_with(NOVA_EEXIST, "differs in its code", add(&nova, "hello", "print(2)", 0));
	nova_function_opts o = opts_of("hello", "print(1)");
	o.concurrency = 2;
	ck_fails_with(NOVA_EEXIST, "differs in its concurrency",
		nova_function_register(&nova, &o, NULL, &error));
	o.memory_mb = 256;
	ck_fails_with(NOVA_EEXIST, "differs in its memory_mb",
		nova_function_register(&nova, &o, NULL, &error));
	ck_consistent();
	nova.pool = (nova_pool_t *)&nova;
	ck_ok(add(&nova, "hello", "print(2)", NOVA_REGISTER_REPLACE));
	AUTO_FREE char *key = str_format("%s:1", nova_function_id(old));
	ck_assert_str_eq(forgotten, key);
	ck_ok(nova_function_get(&nova, "hello", &now, &error));
	ck_assert_str_eq(nova_function_id(now), nova_function_id(old));
	ck_assert_uint_eq(nova_function_version(now), 2);
	ck_assert_uint_eq(nova_function_created_us(now), nova_function_created_us(old));
	ck_assert(!has_disk(nova_function_code_hash(old)));
	ck_consistent();
}
END_TEST

static int replace_seen(uint64_t seen_us, const char *code)
{
	nova_function_opts o = opts_of("hello", code);
	o.flags = NOVA_REGISTER_REPLACE;
	o.if_updated_us = seen_us;
	return nova_function_register(&nova, &o, NULL, &error);
}

static int update_seen(uint64_t seen_us, uint32_t timeout_s)
{
	nova_function_opts change = NOVA_FUNCTION_OPTS_INIT;
	nova_function_update_opts o = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	change.timeout_s = timeout_s;
	change.if_updated_us = seen_us;
	o.change = &change;
	return nova_function_update(&nova, "hello", &o, NULL, &error);
}

static int delete_seen(const char *name, uint64_t seen_us)
{
	nova_function_delete_opts o = NOVA_FUNCTION_DELETE_OPTS_INIT;
	o.if_updated_us = seen_us;
	return nova_function_delete_with(&nova, name, &o, &error);
}

START_TEST(what_has_changed_since_it_was_seen_is_left_alone)
{
	AUTO_FUNCTION nova_function_t *first = NULL, *second = NULL, *third = NULL;
	nova_function_t *gone = NULL;
	ck_ok(add(&nova, "hello", "print(1)", 0));
	ck_ok(nova_function_get(&nova, "hello", &first, &error));
	uint64_t seen_us = nova_function_updated_us(first);
	ck_ok(replace_seen(seen_us, "print(2)"));
	ck_fails_with(NOVA_EBUSY, "'hello' was changed", replace_seen(seen_us, "print(3)"));
	/* also where it would be the same again */
	ck_fails_with(NOVA_EBUSY, "'hello' was changed", replace_seen(seen_us, "print(2)"));
	ck_fails_with(NOVA_EBUSY, "'hello' was changed", update_seen(seen_us, 7));
	ck_ok(nova_function_get(&nova, "hello", &second, &error));
	ck_assert_uint_eq(nova_function_version(second), 2);
	ck_ok(update_seen(nova_function_updated_us(second), 7));
	ck_ok(nova_function_get(&nova, "hello", &third, &error));
	ck_assert_uint_eq(nova_function_number(third, "timeout_s"), 7);
	ck_fails_with(NOVA_EBUSY, "'hello' was changed", delete_seen("hello", seen_us));
	ck_ok(nova_function_publish(&nova, "hello", NULL, &error));
	ck_fails_with(NOVA_EBUSY, "was changed", delete_seen("hello:3", seen_us));
	ck_ok(delete_seen("hello:3", nova_function_updated_us(third)));
	ck_ok(delete_seen("hello", nova_function_updated_us(third)));
	ck_fails_with(NOVA_EBUSY, "'hello' was changed",
		replace_seen(nova_function_updated_us(third), "print(4)"));
	ck_fails(NOVA_ENOTFOUND, nova_function_get(&nova, "hello", &gone, &error));
	ck_consistent();
}
END_TEST

START_TEST(one_code_has_one_disk_as_long_as_anyone_uses_it)
{
	AUTO_FUNCTION nova_function_t *a = NULL, *b = NULL;
	ck_ok(add(&nova, "a", "print(1)", 0));
	ck_ok(add(&nova, "b", "print(1)", 0));
	ck_ok(nova_function_get(&nova, "a", &a, &error));
	ck_ok(nova_function_get(&nova, "b", &b, &error));
	ck_assert_str_eq(nova_function_code_hash(a), nova_function_code_hash(b));
	ck_ok(nova_function_delete(&nova, "a", 0, &error));
	ck_assert(has_disk(nova_function_code_hash(b)));
	nova.pool = (nova_pool_t *)&nova;
	ck_ok(nova_function_delete(&nova, "b", 0, &error));
	ck_assert(!has_disk(nova_function_code_hash(b)));
	char key[FUNCTION_POOL_KEY];
	function_pool_key(&b->record, key);
	ck_assert_str_eq(forgotten, key);
	ck_fails_with(NOVA_ENOTFOUND, "'b'", nova_function_delete(&nova, "b", 0, &error));
	ck_consistent();
}
END_TEST

/* As a guest that compiles a module leaves it. */
static char *compiled_for(const char *hash)
{
	char *path = str_format("%s/home/compiled/%s", dir, hash);
	AUTO_FREE char *file = path_join(path, "key-checksum");
	ck_assert_int_eq(fs_mkdirs(path, 0700), 0);
	ck_assert_int_eq(fs_write_file(file, "x", 1, 0600), 0);
	return path;
}

START_TEST(what_was_compiled_goes_with_the_last_who_has_the_code)
{
	AUTO_FUNCTION nova_function_t *a = NULL, *b = NULL;
	ck_ok(add(&nova, "a", "print(1)", 0));
	ck_ok(add(&nova, "b", "print(1)", 0));
	ck_ok(nova_function_get(&nova, "a", &a, &error));
	AUTO_FREE char *compiled = compiled_for(nova_function_code_hash(a));
	AUTO_FREE char *nobodys = compiled_for("0123"), *once = compiled_for("once-0123");
	ck_ok(add(&nova, "a", "print(2)", NOVA_REGISTER_REPLACE));
	ck_assert_int_eq(fs_exists(compiled), 1);
	close_registry(&nova);
	ck_ok(open_registry(&nova));
	ck_assert_int_eq(fs_exists(compiled), 1);
	ck_assert_int_eq(fs_exists(nobodys), 0);
	ck_assert_int_eq(fs_exists(once), 1);
	ck_ok(nova_function_delete(&nova, "b", 0, &error));
	ck_assert_int_eq(fs_exists(compiled), 0);
	ck_ok(nova_function_get(&nova, "a", &b, &error));
	AUTO_FREE char *replaced = compiled_for(nova_function_code_hash(b));
	ck_ok(add(&nova, "a", "print(3)", NOVA_REGISTER_REPLACE));
	ck_assert_int_eq(fs_exists(replaced), 0);
}
END_TEST

START_TEST(a_module_may_be_text)
{
	for (int spaces = 4000; spaces < 4100; spaces += 9) {
		AUTO_FREE char *text = str_format("\n;; a module\n(module%*s(func (export "
						  "\"_start\")))",
			spaces, "");
		nova_function_opts o = opts_of("text", text);
		o.runtime = "wasm";
		o.flags = NOVA_REGISTER_REPLACE;
		ck_ok(nova_function_register(&nova, &o, NULL, &error));
	}
}
END_TEST

START_TEST(an_image_cut_short_or_lost_is_put_back_by_registering_again)
{
	AUTO_FUNCTION nova_function_t *f = NULL;
	nova_function_opts o = opts_of("hello", "print(1)");
	ck_ok(nova_function_register(&nova, &o, &f, &error));
	AUTO_FREE char *path = disk_path(nova_function_code_hash(f));
	ck_assert_int_eq(truncate(path, 4096), 0);
	ck_ok(add(&nova, "hello", "print(1)", 0));
	ck_consistent();
	ck_assert_int_eq(fs_unlink(path), 0);
	ck_ok(add(&nova, "hello", "print(1)", 0));
	ck_consistent();
}
END_TEST

START_TEST(names_are_listed_sorted_and_a_wrong_one_gets_the_nearest)
{
	nova_function_t **functions, *f;
	size_t count;
	ck_ok(nova_function_list(&nova, NULL, &functions, &count, &error));
	ck_assert_ptr_null(functions);
	ck_assert_uint_eq(count, 0);
	ck_fails_with(
		NOVA_ENOTFOUND, "register it first", nova_function_get(&nova, "hello", &f, &error));
	ck_ok(add(&nova, "resize", "print(1)", 0));
	ck_ok(add(&nova, "hello", "print(1)", 0));
	ck_ok(nova_function_list(&nova, NULL, &functions, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(nova_function_name(functions[0]), "hello");
	ck_assert_str_eq(nova_function_name(functions[1]), "resize");
	nova_function_list_free(functions, count);
	ck_fails_with(NOVA_ENOTFOUND, "did you mean 'hello'",
		nova_function_get(&nova, "helo", &f, &error));
	ck_fails_with(NOVA_ENOTFOUND, "did you mean 'hello'",
		nova_function_delete(&nova, "helo", 0, &error));
}
END_TEST

/* --- what is refused --- */

static char *const too_long =
	(char[]){ "a23456789012345678901234567890123456789012345678901234567890123456" };

/* (module (import "env" "missing" (func)) … (func (export "_start") call 0)) */
#define IMPORTS "\0asm\1\0\0\0\1\4\1\x60\0\0\2\x0f\1\3env\7missing\0\0"
/* (module (func (export "run"))) */
#define LIBRARY "\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\7\7\1\3run\0\0\xa\4\1\2\0\xb"
#define MODULE(bytes)                                                                              \
	.size = sizeof(nova_function_opts), .name = "f", .runtime = "wasm", .code = (bytes),       \
	.code_len = sizeof(bytes) - 1

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LABELS(...)                                                                                \
	.name = "f", .labels = (const char *const[]){ __VA_ARGS__ },                               \
	.labels_count = sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)

#define PREOPENS(...)                                                                              \
	.name = "f", .preopens = (const char *const[]){ __VA_ARGS__ },                             \
	.preopens_count = sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)

static const struct {
	const char *message;
	nova_function_opts o;
} refused[] = {
#define CODED .size = sizeof(nova_function_opts), .code = "x", .code_len = 1
#define GOOD  CODED, .runtime = "python"
	{ "name: a function needs", { GOOD, .name = NULL } },
	{ "name: ''", { GOOD, .name = "" } },
	{ "name: '-x'", { GOOD, .name = "-x" } },
	{ "name: '../x'", { GOOD, .name = "../x" } },
	{ "name: '(not UTF-8)'", { GOOD, .name = "a\xff" } },
	{ "runtime: required", { CODED, .name = "f" } },
	{ "did you mean 'python'", { CODED, .name = "f", .runtime = "pyton" } },
	{ "did you mean 'python'", { CODED, .name = "f", .runtime = "python3.12" } },
	{ "did you mean 'node'", { CODED, .name = "f", .runtime = "node20" } },
	{ "it is one of python, node, go", { CODED, .name = "f", .runtime = "cobol-85-extended" } },
	{ "memory_mb is 31", { GOOD, .name = "f", .memory_mb = 31 } },
	{ "memory_mb is 65537", { GOOD, .name = "f", .memory_mb = 65537 } },
	{ "timeout_s is 86401", { GOOD, .name = "f", .timeout_s = 86401 } },
	{ "vcpus is 33", { GOOD, .name = "f", .vcpus = 33 } },
	{ "concurrency is 17; it must be 1 to 16", { GOOD, .name = "f", .concurrency = 17 } },
	{ "min_replicas is 1001", { GOOD, .name = "f", .min_replicas = 1001 } },
	{ "disk_iops is", { GOOD, .name = "f", .disk_iops = UINT64_MAX } },
	{ "network: 'wide' is unknown", { GOOD, .name = "f", .network = "wide" } },
	{ "net_tx_bandwidth is", { GOOD, .name = "f", .net_tx_bandwidth = 1ull << 63 } },
	{ "handler: 'main'", { GOOD, .name = "f", .handler = "main" } },
	{ "handler: '.x'", { GOOD, .name = "f", .handler = ".x" } },
	{ "handler: 'a..c'", { GOOD, .name = "f", .handler = "a..c" } },
	{ "handler: '../b.c'", { GOOD, .name = "f", .handler = "../b.c" } },
	{ "handler: '/a.b'", { GOOD, .name = "f", .handler = "/a.b" } },
	{ "handler: 'a/.b'", { GOOD, .name = "f", .handler = "a/.b" } },
	{ "handler: 'a.b-c'", { GOOD, .name = "f", .handler = "a.b-c" } },
	{ "handler: 'a.b.'", { GOOD, .name = "f", .handler = "a.b." } },
	{ "env: 'NOEQUALS'",
		{ GOOD, .name = "f", .env = (const char *const[]){ "NOEQUALS" }, .env_count = 1 } },
	{ "env: '1A=x'",
		{ GOOD, .name = "f", .env = (const char *const[]){ "1A=x" }, .env_count = 1 } },
	{ "env: '=x'",
		{ GOOD, .name = "f", .env = (const char *const[]){ "=x" }, .env_count = 1 } },
	{ "env: 'A' is given twice",
		{ GOOD, .name = "f", .env = (const char *const[]){ "A=2", "B=1", "A=1" },
			.env_count = 3 } },
	{ "env: the value of 'A' is not UTF-8",
		{ GOOD, .name = "f", .env = (const char *const[]){ "A=\xff" }, .env_count = 1 } },
	{ "labels: 'team' is not of the form key=value", { GOOD, LABELS("a=", "team") } },
	{ "labels: '=x' is not of the form", { GOOD, LABELS("=x") } },
	{ "labels: '.a=x' is not of the form", { GOOD, LABELS(".a=x") } },
	{ "labels: 'a b=x' is not of the form", { GOOD, LABELS("a b=x") } },
	{ "labels: '" X64 "=' is not of the form", { GOOD, LABELS(X64 "=") } },
	{ "labels: the value of 'a' is not", { GOOD, LABELS("a=\xff") } },
	{ "labels: the value of 'a' is not", { GOOD, LABELS("a=1\n2") } },
	{ "labels: the value of 'a' is not", { GOOD, LABELS("a=" X64 X64 X64 X64) } },
	{ "labels: 'a' is given twice", { GOOD, LABELS("a=2", "a-b=", "a=1") } },
	{ "labels: 17 entries; at most 16",
		{ GOOD, LABELS("a=", "b=", "c=", "d=", "e=", "f=", "g=", "h=", "i=", "j=", "k=",
				"l=", "m=", "n=", "o=", "p=", "q=") } },
	{ "preopens: 'data=/code' is not of the form /name=/directory",
		{ GOOD, PREOPENS("data=/code") } },
	{ "preopens: '/data' is not of the form", { GOOD, PREOPENS("/data") } },
	{ "preopens: '/a=/code/../etc' is not", { GOOD, PREOPENS("/a=/code/../etc") } },
	{ "preopens: '/a=/code/..' is not", { GOOD, PREOPENS("/a=/code/..") } },
	{ "preopens: '/a=/b::/c' is not", { GOOD, PREOPENS("/a=/b::/c") } },
	{ "preopens: '/a=code' is not", { GOOD, PREOPENS("/a=code") } },
	{ "preopens: '/a' is given twice", { GOOD, PREOPENS("/a=/tmp", "/a=/code") } },
	{ "preopens: only functions of runtime wasm", { GOOD, PREOPENS("/a=/code") } },
	{ "rate is 1000001; it must be 0 to 1000000", { GOOD, .name = "f", .rate = 1000001 } },
	{ "rate_burst is given, but there is no rate", { GOOD, .name = "f", .rate_burst = 5 } },
	{ "rate_period_ms is given, but", { GOOD, .name = "f", .rate_period_ms = 5 } },
	{ "rehearse: '{' is not JSON", { GOOD, .name = "f", .rehearse = "{" } },
	{ "rehearse: '(not UTF-8)' is not JSON", { GOOD, .name = "f", .rehearse = "\"\xff\"" } },
	{ "env: entry 1 is NULL", { GOOD, .name = "f", .env = (const char *const[]){ "A=1", NULL },
					  .env_count = 2 } },
	{ "env is NULL", { GOOD, .name = "f", .env_count = 2 } },
	{ "python needs at least 96", { GOOD, .name = "f", .memory_mb = 95 } },
	{ "node needs at least 160",
		{ CODED, .name = "f", .runtime = "javascript", .memory_mb = 159 } },
	{ "shell needs at least 72", { CODED, .name = "f", .runtime = "shell", .memory_mb = 71 } },
	{ "flags: 0x20", { GOOD, .name = "f", .flags = 32 } },
	{ "check: 3", { GOOD, .name = "f", .check = 3 } },
	{ "in place: only",
		{ CODED, .name = "f", .runtime = "shell", .flags = NOVA_REGISTER_IN_PLACE } },
	{ "not both", { GOOD, .name = "f", .code_path = "/etc/passwd" } },
	{ "code: give", { .size = sizeof(nova_function_opts), .name = "f", .runtime = "python" } },
	{ "code: it is empty", { .size = sizeof(nova_function_opts),
				       .name = "f",
				       .runtime = "python",
				       .code = "" } },
	{ "is not a WebAssembly module", { CODED, .name = "f", .runtime = "wasm" } },
	{ "is a damaged WebAssembly module", { MODULE("\0asm\1\0\0\0\1\x80") } },
	{ "is a damaged WebAssembly module", { MODULE("\0asm\1\0\0\0\2\3\1\x7f") } },
	{ "is a damaged WebAssembly module", { MODULE("\0asm\1\0\0\0\2\2\1\x7f") } },
	{ "imports env.missing, and", { MODULE(IMPORTS) } },
	{ "exports no function _start", { MODULE(LIBRARY) } },
	{ "exports no function _start", { MODULE(" \n(module)") } },
	{ "go build", { CODED, .name = "f", .runtime = "go" } },
	{ "x86_64-unknown-linux-musl", { CODED, .name = "f", .runtime = "rust" } },
#undef CODED
#undef GOOD
};

START_TEST(a_bad_field_is_named_and_nothing_is_stored)
{
	char **names;
	ck_fails_with(NOVA_EINVAL, refused[_i].message,
		nova_function_register(&nova, &refused[_i].o, NULL, &error));
	AUTO_FREE char *room = disks();
	int files = fs_list(room, &names);
	ck_assert_int_le(files, 1);
	strv_free(names, (size_t)files);
}
END_TEST

START_TEST(limits_are_inclusive)
{
	nova_function_opts o = opts_of(too_long, "x");
	ck_fails_with(NOVA_EINVAL, "1 to 64", nova_function_register(&nova, &o, NULL, &error));
	char name[65] = { 0 };
	memcpy(name, too_long, 64);
	o.name = name;
	o.memory_mb = 65536;
	o.timeout_s = 86400;
	o.vcpus = 32;
	o.min_replicas = 1000;
	o.disk_iops = INT64_MAX;
	char *big = malloc(65536);
	memset(big, 'v', 65536);
	big[0] = 'A';
	big[1] = '=';
	big[65535] = 0;
	o.env = (const char *const[]){ big };
	o.env_count = 1;
	ck_ok(nova_function_register(&nova, &o, NULL, &error));
	o.env = (const char *const[]){ big, "B=" };
	o.env_count = 2;
	o.flags = NOVA_REGISTER_REPLACE;
	ck_fails_with(
		NOVA_EINVAL, "at most 65536", nova_function_register(&nova, &o, NULL, &error));
	free(big);
}
END_TEST

START_TEST(a_null_where_something_is_needed_is_refused)
{
	nova_function_opts o = opts_of("f", "x");
	nova_function_t *f;
	ck_fails(NOVA_EINVAL, nova_function_register(NULL, &o, NULL, &error));
	ck_fails(NOVA_EINVAL, nova_function_register(&nova, NULL, NULL, &error));
	ck_fails(NOVA_EINVAL, nova_function_get(&nova, NULL, &f, &error));
	ck_fails(NOVA_EINVAL, nova_function_delete(&nova, NULL, 0, &error));
	ck_fails(NOVA_EINVAL, nova_function_list(&nova, NULL, NULL, NULL, &error));
	o.size = 4;
	ck_fails(NOVA_EABI, nova_function_register(&nova, &o, NULL, &error));
	nova_function_free(NULL);
	nova_function_list_free(NULL, 0);
}
END_TEST

/* --- code --- */

static int add_path(const char *runtime, const char *path)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "f";
	o.runtime = runtime;
	o.code_path = path;
	o.flags = NOVA_REGISTER_REPLACE;
	return nova_function_register(&nova, &o, NULL, &error);
}

struct tiny_elf {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
};

static struct tiny_elf tiny_elf(void)
{
	return (struct tiny_elf){
		.header = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
				    ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2, },
		.segments = { { .p_type = PT_LOAD }, { .p_type = PT_LOAD } },
	};
}

static int add_elf(const struct tiny_elf *elf, size_t len)
{
	AUTO_FREE char *path = write_code("elf", elf, len);
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "f";
	o.runtime = "go";
	o.code = elf;
	o.code_len = len;
	o.flags = NOVA_REGISTER_REPLACE;
	int from_memory = nova_function_register(&nova, &o, NULL, NULL);
	int from_file = add_path("binary", path);
	ck_assert_int_eq(from_memory, from_file);
	return from_file;
}

START_TEST(a_static_program_is_taken_and_others_are_refused_with_advice)
{
	struct tiny_elf elf = tiny_elf();
	ck_ok(add_elf(&elf, sizeof(elf)));
	elf.header.e_type = ET_DYN; /* static, position-independent */
	ck_ok(add_elf(&elf, sizeof(elf)));
	elf.segments[1].p_type = PT_INTERP;
	ck_fails_with(NOVA_EINVAL, "dynamically linked", add_elf(&elf, sizeof(elf)));
	elf = tiny_elf();
	elf.header.e_machine = EM_AARCH64;
	ck_fails_with(NOVA_EINVAL, "another kind of machine", add_elf(&elf, sizeof(elf)));
	elf = tiny_elf();
	elf.header.e_type = ET_REL;
	ck_fails_with(NOVA_EINVAL, "object file", add_elf(&elf, sizeof(elf)));
	elf = tiny_elf();
	ck_fails_with(NOVA_EINVAL, "damaged", add_elf(&elf, sizeof(elf) - 1));
	ck_fails_with(NOVA_EINVAL, "damaged", add_elf(&elf, 20));
	elf.header.e_phoff = UINT64_MAX - 3;
	ck_fails_with(NOVA_EINVAL, "damaged", add_elf(&elf, sizeof(elf)));
	elf.header.e_phoff = 1ull << 62;
	ck_fails_with(NOVA_EINVAL, "damaged", add_elf(&elf, sizeof(elf)));
	elf = tiny_elf();
	elf.header.e_phnum = 65535;
	ck_fails_with(NOVA_EINVAL, "damaged", add_elf(&elf, sizeof(elf)));
	ck_fails_with(NOVA_EINVAL, "CGO_ENABLED=0", add_path("go", "/proc/self/exe"));
	ck_fails_with(NOVA_EINVAL, "-static", add_path("binary", "/proc/self/exe"));
}
END_TEST

START_TEST(a_script_may_be_a_binary_but_not_a_go_program)
{
	AUTO_FREE char *script = write_code("script", "#!/bin/sh\n", 10);
	AUTO_FREE char *empty = write_code("empty", "", 0);
	ck_ok(add_path("binary", script));
	ck_ok(add_path("shell", script));
	ck_fails_with(NOVA_EINVAL, "not a Linux program", add_path("go", script));
	ck_fails_with(NOVA_EINVAL, "empty is empty", add_path("rust", empty));
}
END_TEST

START_TEST(code_that_is_missing_or_not_a_file_is_named)
{
	AUTO_FREE char *missing = path_join(dir, "missing.py");
	AUTO_FREE char *fifo = path_join(dir, "fifo");
	ck_fails_with(NOVA_ENOTFOUND, "missing.py", add_path("python", missing));
	ck_fails_with(NOVA_ENOTFOUND, "code", add_path("python", ""));
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_fails(NOVA_EINVAL, add_path("python", fifo));
	ck_consistent();
}
END_TEST

START_TEST(a_directory_needs_an_entry)
{
	AUTO_FREE char *code = path_join(dir, "code");
	ck_assert_int_eq(fs_mkdirs(code, 0755), 0);
	ck_fails_with(NOVA_EINVAL, "no file 'handler' and no 'main.py'", add_path("python", code));
	ck_fails_with(NOVA_EINVAL, "no file 'handler'", add_path("shell", code));
	free(write_code("code/main.py", "x", 1));
	ck_ok(add_path("python", code));
	free(write_code("code/handler", "x", 1));
	ck_ok(add_path("shell", code));
	ck_fails_with(NOVA_EINVAL, "code/handler is not a Linux program", add_path("go", code));
}
END_TEST

static int add_handler(const char *code, const char *handler)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "f";
	o.runtime = "python";
	o.code_path = code;
	o.handler = handler;
	o.flags = NOVA_REGISTER_REPLACE;
	return nova_function_register(&nova, &o, NULL, &error);
}

START_TEST(the_module_of_a_handler_has_to_be_there)
{
	AUTO_FREE char *code = path_join(dir, "code"), *inner = path_join(dir, "code/app/inner");
	ck_assert_int_eq(fs_mkdirs(inner, 0755), 0);
	free(write_code("code/app/api.py", "x", 1));
	free(write_code("code/app/inner/__init__.py", "x", 1));
	free(write_code("code/my-func.py", "x", 1));
	static const char *const good[] = { "app.api.handler", "app/api.run", "app.inner.handler",
		"my-func.handler" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_ok(add_handler(code, good[i]));
	ck_fails_with(NOVA_EINVAL, "no file 'handler' and no 'app/web.py'",
		add_handler(code, "app.web.handler"));
	ck_fails_with(NOVA_EINVAL, "no 'main.py'", add_handler(code, NULL));
	/* A package of the name handler is no file of that name. */
	AUTO_FREE char *package = path_join(dir, "code/handler");
	ck_assert_int_eq(fs_mkdirs(package, 0755), 0);
	ck_fails_with(NOVA_EINVAL, "no file 'handler' and no 'main.py'", add_handler(code, NULL));
	free(write_code("code/handler/__init__.py", "x", 1));
	ck_ok(add_handler(code, "handler.handle"));
}
END_TEST

START_TEST(modules_of_node_have_several_endings_and_main_may_be_called_index)
{
	static const char *const files[] = { "index.js", "app/main.mjs", "app/api/index.cjs" };
	static const char *const good[] = { NULL, "main.handler", "app.main.run", "app/api.run" };
	AUTO_FREE char *code = path_join(dir, "code"), *inner = path_join(dir, "code/app/api");
	ck_assert_int_eq(fs_mkdirs(inner, 0755), 0);
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "f";
	o.runtime = "node";
	o.code_path = code;
	o.flags = NOVA_REGISTER_REPLACE;
	ck_fails_with(NOVA_EINVAL, "no file 'handler' and no 'main.js'",
		nova_function_register(&nova, &o, NULL, &error));
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_FREE char *name = path_join("code", files[i]);
		free(write_code(name, "x", 1));
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		o.handler = good[i];
		ck_ok(nova_function_register(&nova, &o, NULL, &error));
	}
	o.handler = "app.index.run";
	ck_fails_with(
		NOVA_EINVAL, "no 'app/index.js'", nova_function_register(&nova, &o, NULL, &error));
}
END_TEST

START_TEST(javascript_is_node_and_has_the_memory_that_it_needs)
{
	nova_function_t *function;
	nova_function_opts o = opts_of("f", "exports.handler = 1");
	o.runtime = "javascript";
	o.flags = NOVA_REGISTER_IN_PLACE; /* as it is in any case */
	ck_ok(nova_function_register(&nova, &o, &function, &error));
	ck_assert_str_eq(nova_function_text(function, "runtime", 0), "node");
	ck_assert_int_eq(nova_function_number(function, "memory_mb"), 256);
	nova_function_free(function);
}
END_TEST

START_TEST(code_that_cannot_be_run_is_refused_where_it_lies)
{
	AUTO_FREE char *zip = write_code("code.zip", "PK\3\4rest", 8),
		       *empty = write_code("empty.py", "", 0);
	AUTO_FREE char *secret = write_code("secret.py", "x", 1), *code = path_join(dir, "code");
	ck_fails_with(NOVA_EINVAL, "code.zip is a zip file, not python code; unpack it",
		add_path("python", zip));
	ck_fails_with(
		NOVA_EINVAL, "code.zip is a zip file, not shell code", add_path("shell", zip));
	ck_fails_with(NOVA_EINVAL, "empty.py is empty", add_path("python", empty));
	ck_assert_int_eq(fs_mkdirs(code, 0755), 0);
	free(write_code("code/main.py", "", 0));
	ck_fails_with(NOVA_EINVAL, "main.py is empty", add_path("python", code));
	if (geteuid() == 0)
		return; /* whom no mode keeps from reading */
	ck_assert_int_eq(fs_chmod(secret, 0), 0);
	ck_fails_with(NOVA_EPERM, "cannot read", add_path("python", secret));
}
END_TEST

static void link_code(const char *name, const char *target)
{
	AUTO_FREE char *path = path_join(dir, name);
	ck_assert_int_eq(fs_unlink(path), 0);
	ck_assert_int_eq(symlink(target, path), 0);
}

START_TEST(an_entry_that_the_guest_cannot_reach_is_refused)
{
	AUTO_FREE char *code = path_join(dir, "code"), *inner = path_join(dir, "code/inner");
	AUTO_FREE char *outside = write_code("outside.py", "x", 1);
	ck_assert_int_eq(fs_mkdirs(inner, 0755), 0);
	free(write_code("code/inner/api.py", "x", 1));
	link_code("code/main.py", "inner/../inner/./api.py");
	ck_ok(add_path("python", code));
	link_code("code/python", "/usr/bin/python3"); /* no entry, so it may lead anywhere */
	link_code("code/nowhere", "nowhere");
	ck_ok(add_path("python", code));
	const char *const out[] = { outside, "../outside.py", "inner/../../code/inner/api.py" };
	for (size_t i = 0; i < ARRAY_LEN(out); i++) {
		link_code("code/main.py", out[i]);
		ck_fails_with(NOVA_EINVAL, "code/main.py is behind a link that leads out",
			add_path("python", code));
	}
	link_code("code/main.py", "missing.py");
	ck_fails_with(NOVA_EINVAL, "no 'main.py'", add_path("python", code));
	link_code("code/app", dir);
	ck_fails_with(NOVA_EINVAL, "code/app/outside.py is behind a link",
		add_handler(code, "app.outside.handler"));
	link_code("code/handler", outside);
	ck_fails_with(NOVA_EINVAL, "code/handler is behind a link", add_path("shell", code));
}
END_TEST

START_TEST(an_entry_that_nobody_may_use_is_refused)
{
	AUTO_FREE char *code = path_join(dir, "code"), *handler = path_join(dir, "code/handler");
	ck_assert_int_eq(fs_mkdirs(code, 0700), 0);
	free(write_code("code/handler", "#!/bin/sh\n", 10));
	ck_assert_int_eq(fs_chmod(handler, 0700), 0);
	ck_ok(add_path("binary", code));
	ck_assert_int_eq(fs_chmod(handler, 0600), 0);
	ck_fails_with(NOVA_EPERM, "owner cannot execute it: chmod u+x", add_path("binary", code));
	ck_ok(add_path("shell", code));
	ck_assert_int_eq(fs_chmod(handler, 0200), 0);
	ck_fails_with(NOVA_EPERM, geteuid() ? "cannot read" : "owner cannot read it: chmod u+r",
		add_path("shell", code));
	ck_assert_int_eq(fs_unlink(handler), 0);
	ck_assert_int_eq(mkfifo(handler, 0600), 0);
	ck_fails_with(NOVA_EINVAL, "code/handler is no regular file", add_path("shell", code));
}
END_TEST

START_TEST(a_relative_path_is_stored_absolute)
{
	AUTO_FREE char *path = write_code("hello.py", "x", 1);
	AUTO_FUNCTION nova_function_t *f = NULL;
	ck_assert_int_eq(chdir(dir), 0);
	ck_ok(add_path("python", "./hello.py"));
	ck_ok(nova_function_get(&nova, "f", &f, &error));
	ck_assert_str_eq(nova_function_code_path(f), path);
}
END_TEST

static Suite *registry_suite(void)
{
	Suite *suite = suite_create("registry");
	TCase *tc = tcase_create("registry");
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_function_comes_back_with_every_field);
	tcase_add_test(tc, what_is_not_said_has_its_default);
	tcase_add_test(tc, the_json_of_a_function_has_its_members);
	tcase_add_test(tc, the_same_again_changes_nothing);
	tcase_add_test(tc, a_version_keeps_its_handler_when_its_labels_change);
	tcase_add_test(tc, something_else_needs_the_replace_flag);
	tcase_add_test(tc, what_has_changed_since_it_was_seen_is_left_alone);
	tcase_add_test(tc, one_code_has_one_disk_as_long_as_anyone_uses_it);
	tcase_add_test(tc, what_was_compiled_goes_with_the_last_who_has_the_code);
	tcase_add_test(tc, a_module_may_be_text);
	tcase_add_test(tc, an_image_cut_short_or_lost_is_put_back_by_registering_again);
	tcase_add_test(tc, names_are_listed_sorted_and_a_wrong_one_gets_the_nearest);
	tcase_add_loop_test(
		tc, a_bad_field_is_named_and_nothing_is_stored, 0, (int)ARRAY_LEN(refused));
	tcase_add_test(tc, limits_are_inclusive);
	tcase_add_test(tc, a_null_where_something_is_needed_is_refused);
	tcase_add_test(tc, a_static_program_is_taken_and_others_are_refused_with_advice);
	tcase_add_test(tc, a_script_may_be_a_binary_but_not_a_go_program);
	tcase_add_test(tc, code_that_is_missing_or_not_a_file_is_named);
	tcase_add_test(tc, a_directory_needs_an_entry);
	tcase_add_test(tc, the_module_of_a_handler_has_to_be_there);
	tcase_add_test(tc, modules_of_node_have_several_endings_and_main_may_be_called_index);
	tcase_add_test(tc, javascript_is_node_and_has_the_memory_that_it_needs);
	tcase_add_test(tc, code_that_cannot_be_run_is_refused_where_it_lies);
	tcase_add_test(tc, an_entry_that_the_guest_cannot_reach_is_refused);
	tcase_add_test(tc, an_entry_that_nobody_may_use_is_refused);
	tcase_add_test(tc, a_relative_path_is_stored_absolute);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(registry_suite)
