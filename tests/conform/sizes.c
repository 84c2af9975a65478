/* SPDX-License-Identifier: MIT */
/*
 * Programs that were compiled with older or newer headers. Older: an option struct that ends where
 * one of its members begins. Newer: one that goes on behind the last. sized_structs.py makes the
 * list of structs from the headers; one without a full_… and use_… here does not compile.
 */
#include "vmtest.h"

#define TAIL 16

static struct platform p;
static nova_vm_t *vm;

struct sized {
	const char *name;
	size_t size;
	const size_t *places; /* of the members behind `size` */
	size_t count;
	size_t reserved;  /* its place; 0: there is none */
	const void *full; /* with which the call works */
	int (*use)(const void *opts, nova_error_t **error);
};

/* --- a call for each --- */

static const char *const words[] = { "A=1" };
static const char *const opened[] = { "/data=/code/data" };
/* A module that exports a function _start, which does nothing. */
static const char module[] = "\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\7\x0a\1\6_start\0\0"
			     "\x0a\4\1\2\0\x0b";

static const nova_queue_opts full_nova_queue_opts = { sizeof(nova_queue_opts), .threads = 2,
	.max_calls = 3 };
static int use_nova_queue_opts(const void *opts, nova_error_t **ret_error)
{
	nova_queue_t *queue = NULL;
	int code = nova_queue_new(p.nova, opts, &queue, ret_error);
	nova_queue_free(queue);
	return code;
}

static const nova_disk_opts full_nova_disk_opts = { sizeof(nova_disk_opts), .data = "x",
	.data_len = 1, .entry_name = "x", .label = "x" };
static int use_nova_disk_opts(const void *opts, nova_error_t **ret_error)
{
	AUTO_FREE char *image = str_format("%s/x.ext4", p.dir);
	return nova_disk_build(image, opts, ret_error);
}

static const nova_function_opts full_nova_function_opts = {
	sizeof(nova_function_opts),
	.name = "x",
	.runtime = "wasm",
	.code = module,
	.code_len = sizeof(module) - 1,
	.memory_mb = 72,
	.timeout_s = 2,
	.vcpus = 1,
	.env = words,
	.env_count = 1,
	.flags = NOVA_REGISTER_REPLACE,
	.concurrency = 2,
	.network = "none",
	.check = NOVA_CHECK_NEVER,
	.init_timeout_s = 60,
	.labels = words,
	.labels_count = 1,
	.preopens = opened,
	.preopens_count = 1,
	.rehearse = "{}",
	.rate = 3,
	.rate_period_ms = 60000,
	.rate_burst = 2,
};
static int use_nova_function_opts(const void *opts, nova_error_t **ret_error)
{
	int code = nova_function_register(p.nova, opts, NULL, ret_error);
	nova_function_delete(p.nova, "x", 0, NULL);
	return code;
}

static void keeps_something(void)
{
	const nova_function_opts keeper = { sizeof(keeper), .name = "keeps", .runtime = "shell",
		.code = "true", .code_len = 4, .flags = NOVA_REGISTER_REPLACE };
	ck_ok(nova_function_register(p.nova, &keeper, NULL, &error));
}

static const nova_kv_put_opts full_nova_kv_put_opts = { sizeof(nova_kv_put_opts), .key = "x",
	.value = "v", .value_len = 1, .ttl_ms = 60000, .flags = NOVA_KV_NEW };
static int use_nova_kv_put_opts(const void *opts, nova_error_t **ret_error)
{
	keeps_something();
	int code = nova_kv_put(p.nova, "keeps", opts, NULL, ret_error);
	nova_kv_delete(p.nova, "keeps", "x", 0, NULL);
	return code;
}

static const nova_file_put_opts full_nova_file_put_opts = { sizeof(nova_file_put_opts), .name = "x",
	.type = "text/plain", .data = "v", .data_len = 1 };
static int use_nova_file_put_opts(const void *opts, nova_error_t **ret_error)
{
	keeps_something();
	return nova_file_put(p.nova, "keeps", opts, ret_error);
}

static const nova_kv_list_opts full_nova_kv_list_opts = { sizeof(nova_kv_list_opts), .prefix = "x",
	.after = "x", .limit = 7 };
static int use_nova_kv_list_opts(const void *opts, nova_error_t **ret_error)
{
	const nova_kv_entry **entries = NULL;
	size_t count = 0;
	keeps_something();
	int code = nova_kv_list(p.nova, "keeps", opts, &entries, &count, ret_error);
	nova_kv_list_free(entries, count);
	return code;
}

static const char *const words_of_properties[] = { "labels" };
static const char *const sh[] = { "/bin/sh", "{file}" };
static const nova_runtime_opts full_nova_runtime_opts = { sizeof(nova_runtime_opts), .name = "x",
	.rootfs = "base", .argv = sh, .argv_count = 2, .protocol = "none", .memory_mb = 72,
	.timeout_s = 1, .init_timeout_s = 1, .flags = NOVA_RUNTIME_REPLACE };
static int use_nova_runtime_opts(const void *opts, nova_error_t **ret_error)
{
	int code = nova_runtime_register(p.nova, opts, NULL, ret_error);
	nova_runtime_delete(p.nova, "x", NULL);
	return code;
}

static const nova_function_opts changed = { sizeof(changed), .memory_mb = 100 };
static const nova_function_update_opts full_nova_function_update_opts = {
	sizeof(nova_function_update_opts), .change = &changed, .reset = words_of_properties,
	.reset_count = 1
};
static int use_nova_function_update_opts(const void *opts, nova_error_t **ret_error)
{
	return nova_function_update(p.nova, "echo", opts, NULL, ret_error);
}

static const nova_function_delete_opts full_nova_function_delete_opts = {
	sizeof(nova_function_delete_opts), .flags = NOVA_DELETE_FORCE
};
static int use_nova_function_delete_opts(const void *opts, nova_error_t **ret_error)
{
	platform_add(p.nova, "x", "shell", "true");
	int code = nova_function_delete_with(p.nova, "x", opts, ret_error);
	nova_function_delete(p.nova, "x", 0, NULL);
	return code;
}

static const nova_alias_opts full_nova_alias_opts = { sizeof(nova_alias_opts), .function = "v",
	.name = "x", .version = 1, .second = 2, .weight = 10 };
static int use_nova_alias_opts(const void *opts, nova_error_t **ret_error)
{
	platform_add(p.nova, "v", "shell", "true");
	ck_ok(nova_function_publish(p.nova, "v", NULL, &error));
	platform_add(p.nova, "v", "shell", "false");
	ck_ok(nova_function_publish(p.nova, "v", NULL, &error));
	int code = nova_alias_set(p.nova, opts, NULL, ret_error);
	ck_ok(nova_function_delete(p.nova, "v", NOVA_DELETE_FORCE, &error));
	return code;
}

static const nova_function_list_opts full_nova_function_list_opts = {
	sizeof(nova_function_list_opts),
	.labels = words,
	.labels_count = 1,
	.after = "x",
	.limit = 7,
};
static int use_nova_function_list_opts(const void *opts, nova_error_t **ret_error)
{
	nova_function_t **list;
	size_t count;
	int code = nova_function_list(p.nova, opts, &list, &count, ret_error);
	if (code == 0)
		nova_function_list_free(list, count);
	return code;
}

static const nova_usage last_usage = { sizeof(nova_usage), .key = "", .function = "" };
static const nova_usage_list_opts full_nova_usage_list_opts = {
	sizeof(nova_usage_list_opts),
	.since_us = 1,
	.until_us = 2,
	.key = "k",
	.function = "v",
	.after = &last_usage,
	.by = NOVA_USAGE_BY_KEY,
	.period = NOVA_USAGE_BY_DAY,
	.limit = 1,
};
static int use_nova_usage_list_opts(const void *opts, nova_error_t **ret_error)
{
	const nova_usage **list;
	size_t count;
	int code = nova_usage_list(p.nova, opts, &list, &count, ret_error);
	if (code == 0)
		nova_usage_list_free(list, count);
	return code;
}

static const nova_usage_bill_opts full_nova_usage_bill_opts = { sizeof(nova_usage_bill_opts),
	.time_us = 1, .key = "k" };
static int use_nova_usage_bill_opts(const void *opts, nova_error_t **ret_error)
{
	const nova_bill *bill = NULL;
	int code = nova_usage_bill(p.nova, opts, &bill, ret_error);
	nova_bill_free(bill);
	return code;
}

static const nova_usage_estimate_opts full_nova_usage_estimate_opts = {
	sizeof(nova_usage_estimate_opts),
	.calls = 1,
	.duration_us = 2,
	.egress_bytes = 3,
	.ingress_bytes = 4,
	.gpu_us = 5,
	.disk_mb = 6,
	.snapshot_kb = 7,
	.snapshot_life_s = 8,
	.memory_mb = 64,
	.vcpus = 1,
	.mode = NOVA_USAGE_BRANCHED,
};
static int use_nova_usage_estimate_opts(const void *opts, nova_error_t **ret_error)
{
	const nova_bill *bill = NULL;
	int code = nova_usage_estimate(p.nova, opts, &bill, ret_error);
	nova_bill_free(bill);
	return code;
}

static const nova_invocation_list_opts full_nova_invocation_list_opts = {
	sizeof(nova_invocation_list_opts),
	.function = "v",
	.request_id = "x",
	.since_us = 1,
	.until_us = 2,
	.cursor = 3,
	.version = 1,
	.code = NOVA_EFUNCTION,
	.errors = 1,
	.order = NOVA_INVOCATION_OLDEST,
	.limit = 1,
	.wait_ms = 1,
};
static int use_nova_invocation_list_opts(const void *opts, nova_error_t **ret_error)
{
	const nova_invocation **list;
	size_t count;
	int code = nova_invocation_list(p.nova, opts, &list, &count, ret_error);
	if (code == 0)
		nova_invocation_list_free(list, count);
	return code;
}

static const nova_invocation_summary_opts full_nova_invocation_summary_opts = {
	sizeof(nova_invocation_summary_opts), .function = "v", .since_us = 1, .until_us = 2
};
static int use_nova_invocation_summary_opts(const void *opts, nova_error_t **ret_error)
{
	const nova_invocation_summary **list;
	size_t count;
	int code = nova_invocation_summarize(p.nova, opts, &list, &count, ret_error);
	if (code == 0)
		nova_invocation_summaries_free(list, count);
	return code;
}

static const nova_invoke_opts full_nova_invoke_opts = { sizeof(nova_invoke_opts),
	.timeout_ms = 60000, .queue_timeout_ms = 60000, .request_id = "x" };
static int use_nova_invoke_opts(const void *opts, nova_error_t **ret_error)
{
	nova_result_t *r = NULL;
	int code = nova_invoke(p.nova, "echo", "{}", opts, &r, ret_error);
	nova_result_free(r);
	return code;
}

static const nova_run_file beside = { "x", "x", 1 };
static const nova_run_opts full_nova_run_opts = { sizeof(nova_run_opts), .code_len = 4,
	.code_name = "x.sh", .input = "[]", .args = words, .args_count = 1, .stdin_data = "x",
	.stdin_len = 1, .env = words, .env_count = 1, .files = &beside, .files_count = 1,
	.memory_mb = 72, .vcpus = 1, .timeout_ms = 60000, .queue_timeout_ms = 60000,
	.network = "none", .request_id = "x" };
static int use_nova_run_opts(const void *opts, nova_error_t **ret_error)
{
	nova_result_t *r = NULL;
	int code = nova_run(p.nova, "shell", "true", opts, &r, ret_error);
	nova_result_free(r);
	return code;
}

static const nova_instance_opts full_nova_instance_opts = { sizeof(nova_instance_opts),
	.function = "echo", .name = "x", .memory_mb = 72, .vcpus = 1 };
static int use_nova_instance_opts(const void *opts, nova_error_t **ret_error)
{
	nova_instance_t *instance = NULL;
	int code = nova_instance_start(p.nova, opts, &instance, ret_error);
	if (instance)
		nova_instance_stop(instance, 0, NULL);
	nova_instance_free(instance);
	return code;
}

static const nova_wait_opts full_nova_wait_opts = { sizeof(nova_wait_opts), .interrupt = NULL };
static int use_nova_wait_opts(const void *opts, nova_error_t **ret_error)
{
	return nova_vm_ping(vm, 0, opts, ret_error);
}

static const nova_pool_opts full_nova_pool_opts = { sizeof(nova_pool_opts), .idle_ttl_ms = 1000,
	.max_vms = 2, .max_queue = 3, .flags = NOVA_POOL_THREAD };
static int use_nova_pool_opts(const void *opts, nova_error_t **ret_error)
{
	nova_pool_t *pool = NULL;
	int code = nova_pool_new(nova_host_get(p.nova), opts, &pool, ret_error);
	nova_pool_free(pool);
	return code;
}

static const nova_pool_want full_nova_pool_want = { sizeof(nova_pool_want), .key = "x",
	.concurrency = 2, .flags = NOVA_POOL_FRESH, .queue_timeout_ms = 60000 };
static int use_nova_pool_want(const void *want, nova_error_t **ret_error)
{
	nova_vm_t *lent = NULL;
	int code = nova_pool_acquire(p.pool, want, &lent, NULL, ret_error);
	nova_pool_release(p.pool, lent, 0);
	return code;
}

/* Of these three the fake engine has nothing but the refusal, which comes after a look at the
 * options. */
static nova_vm_t *no_branch;
static const nova_merge_opts full_nova_merge_opts = { sizeof(nova_merge_opts),
	.branches = &no_branch, .branch_count = 1, .directory = "/tmp",
	.on_conflict = NOVA_MERGE_FIRST };
static int use_nova_merge_opts(const void *opts, nova_error_t **ret_error)
{
	nova_vm_t *merged;
	int code = nova_vm_merge(vm, opts, &merged, NULL, ret_error);
	return code == NOVA_ENOTSUP || code == NOVA_EINVAL ? 0 : code;
}

static const nova_template_opts full_nova_template_opts = { sizeof(nova_template_opts),
	.interrupt = NULL };
static int use_nova_template_opts(const void *opts, nova_error_t **ret_error)
{
	int code = nova_template_prepare(p.nova, "shell", opts, NULL, ret_error);
	return code == NOVA_ENOTSUP ? 0 : code;
}

static const nova_snapshot_opts full_nova_snapshot_opts = { sizeof(nova_snapshot_opts), .name = "x",
	.life_time_s = 9, .compress = NOVA_COMPRESS_OFF };
static int use_nova_snapshot_opts(const void *opts, nova_error_t **ret_error)
{
	int code = nova_vm_snapshot(vm, opts, NULL, ret_error);
	return code == NOVA_ENOTSUP ? 0 : code;
}

static const nova_vm_opts full_nova_vm_opts = { sizeof(nova_vm_opts), .engine = "fake",
	.memory_mb = 72, .vcpus = 1, .boot_timeout_ms = 60000, .network = "none" };
static int use_nova_vm_opts(const void *opts, nova_error_t **ret_error)
{
	nova_vm_t *other = NULL;
	int code = nova_vm_start(nova_host_get(p.nova), opts, &other, ret_error);
	nova_vm_free(other);
	return code;
}

static const nova_vm_init_opts full_nova_vm_init_opts = {
	sizeof(nova_vm_init_opts),
	.runtime = "nothing",
	.handler = "main.handler",
	.env = words,
	.env_count = 1,
	.timeout_ms = 60000,
	.concurrency = 2,
	.preopens = opened,
	.preopens_count = 1,
};
static int use_nova_vm_init_opts(const void *opts, nova_error_t **ret_error)
{
	int code = nova_vm_init(vm, opts, ret_error);
	/* there is no such runtime: the options have been read */
	return code == NOVA_EINVAL ? 0 : code;
}

static const nova_vm_invoke_opts full_nova_vm_invoke_opts = { sizeof(nova_vm_invoke_opts),
	.timeout_ms = 60000, .request_id = "x" };
static int use_nova_vm_invoke_opts(const void *opts, nova_error_t **ret_error)
{
	nova_result_t *r = NULL;
	int code = nova_vm_invoke(vm, "{}", opts, &r, ret_error);
	nova_result_free(r);
	return code == NOVA_EBUSY ? 0 : code; /* it has no function */
}

static const char *const command[] = { "true" };
static const nova_vm_command_opts full_nova_vm_command_opts = {
	sizeof(nova_vm_command_opts),
	.argv = command,
	.argc = 1,
	.env = words,
	.env_count = 1,
	.stdin_data = "x",
	.stdin_len = 1,
	.directory = "/tmp",
	.timeout_ms = 60000,
	.stdin_fd = -1,
};
static int use_nova_vm_command_opts(const void *opts, nova_error_t **ret_error)
{
	nova_result_t *r = NULL;
	int code = nova_vm_command(vm, opts, &r, ret_error);
	nova_result_free(r);
	return code;
}

static const nova_file_read_opts full_nova_file_read_opts = { sizeof(nova_file_read_opts),
	.max_size = 1 << 20 };
static int use_nova_file_read_opts(const void *opts, nova_error_t **ret_error)
{
	void *data = NULL;
	size_t len;
	int code = nova_vm_read_file(vm, "/etc/passwd", opts, &data, &len, ret_error);
	nova_free(data);
	return code;
}

static const nova_file_write_opts full_nova_file_write_opts = { sizeof(nova_file_write_opts),
	.mode = 0600 };
static int use_nova_file_write_opts(const void *opts, nova_error_t **ret_error)
{
	AUTO_FREE char *path = str_format("/tmp/nova-sizes-%s", nova_vm_id(vm));
	int code = nova_vm_write_file(vm, path, "x", 1, opts, ret_error);
	if (code == 0)
		code = nova_vm_remove_file(vm, path, NULL, ret_error);
	return code;
}

static const nova_key_opts full_nova_key_opts = { sizeof(nova_key_opts), .name = "x",
	.tier = "gold", .expires_us = INT64_MAX, .rate = 1, .period_ms = 1, .burst = 1 };
static int use_nova_key_opts(const void *opts, nova_error_t **ret_error)
{
	const nova_key *key = NULL;
	int code = nova_key_create(p.nova, opts, &key, ret_error);
	nova_key_free(key);
	if (code == 0)
		code = nova_key_delete(p.nova, "x", ret_error);
	return code;
}

static const nova_rate_opts full_nova_rate_opts = { sizeof(nova_rate_opts), .name = "x", .rate = 5,
	.period_ms = 1000, .burst = 5, .tokens = 1 };
static int use_nova_rate_opts(const void *opts, nova_error_t **ret_error)
{
	uint64_t wait_ms;
	return nova_rate_take(p.nova, opts, &wait_ms, ret_error);
}

static const nova_job_opts full_nova_job_opts = { sizeof(nova_job_opts), .key = "x", .attempts = 1,
	.lease_ms = 1000, .keep_s = 1, .owner = "me", .if_label = "a=b" };
static int use_nova_job_opts(const void *opts, nova_error_t **ret_error)
{
	nova_job_t *job = NULL;
	int code = nova_job_submit(p.nova, "f", NULL, opts, &job, ret_error);
	nova_job_free(job);
	if (code != NOVA_ENOTSUP) /* there is no Redis */
		return code;
	nova_error_free(*ret_error);
	*ret_error = NULL;
	return 0;
}

static const nova_job_list_opts full_nova_job_list_opts = { sizeof(nova_job_list_opts),
	.function = "f", .owner = "me", .cursor = 1, .states = 1, .limit = 1 };
static int use_nova_job_list_opts(const void *opts, nova_error_t **ret_error)
{
	nova_job_t **jobs = NULL;
	size_t count = 0;
	uint64_t next = 0;
	int code = nova_job_list(p.nova, opts, &jobs, &count, &next, ret_error);
	nova_job_list_free(jobs, count);
	if (code != NOVA_ENOTSUP) /* there is no Redis */
		return code;
	nova_error_free(*ret_error);
	*ret_error = NULL;
	return 0;
}

#include "sized_structs.h"

/* --- the tests --- */

static int use_and_forget(const struct sized *s, const void *opts)
{
	int code = s->use(opts, &error);
	nova_error_free(error);
	error = NULL;
	return code;
}

/* The first `size` bytes in memory of just that size, so that a sanitizer sees a look behind them.
 */
static int use_older(const struct sized *s, size_t size)
{
	uint8_t *opts = malloc(size);
	memcpy(opts, s->full, size);
	memcpy(opts, &size, sizeof(size));
	int code = use_and_forget(s, opts);
	free(opts);
	return code;
}

/* The same members, and the others as an own program would leave them. */
static int use_zeroed(const struct sized *s, size_t size)
{
	uint8_t *opts = calloc(1, s->size);
	memcpy(opts, s->full, size);
	memcpy(opts, &s->size, sizeof(s->size));
	int code = use_and_forget(s, opts);
	free(opts);
	return code;
}

static void check_older(const struct sized *s)
{
	ck_assert_msg(use_older(s, s->size) == 0, "%s", s->name);
	for (size_t i = 0; i < s->count; i++) {
		int code = use_older(s, s->places[i]), expected = use_zeroed(s, s->places[i]);
		ck_assert_msg(code == expected && code != NOVA_EABI, "%s of %zu bytes: %s, not %s",
			s->name, s->places[i], nova_code_name(code), nova_code_name(expected));
	}
}

START_TEST(a_struct_of_an_older_program_means_the_same_as_one_with_zeros_behind)
{
	for (size_t i = 0; i < ARRAY_LEN(structs); i++)
		check_older(&structs[i]);
}
END_TEST

static void check_newer(const struct sized *s)
{
	size_t size = s->size + TAIL;
	uint8_t *opts = calloc(1, size);
	memcpy(opts, s->full, s->size);
	memcpy(opts, &size, sizeof(size));
	ck_assert_msg(use_and_forget(s, opts) == 0, "%s", s->name);
	for (size_t at = s->size; at < size; at += TAIL - 1) {
		opts[at] = 1;
		ck_fails_with(NOVA_EABI, s->name, s->use(opts, &error));
		opts[at] = 0;
	}
	free(opts);
}

START_TEST(a_struct_of_a_newer_program_is_accepted_unless_it_asks_for_more)
{
	for (size_t i = 0; i < ARRAY_LEN(structs); i++)
		check_newer(&structs[i]);
}
END_TEST

static void check_refusals(const struct sized *s)
{
	AUTO_FREE char *reserved = str_format("%s.reserved", s->name),
		       *size_of = str_format("%s.size", s->name);
	uint8_t *opts = malloc(s->size);
	memcpy(opts, s->full, s->size);
	if (s->reserved) {
		opts[s->reserved] = 1;
		ck_fails_with(NOVA_EABI, reserved, s->use(opts, &error));
		opts[s->reserved] = 0;
	}
	for (size_t size = 0; size < sizeof(size_t); size++) {
		memcpy(opts, &size, sizeof(size));
		ck_fails_with(NOVA_EABI, size_of, s->use(opts, &error));
	}
	free(opts);
}

START_TEST(a_reserved_member_that_is_not_zero_and_a_size_that_is_none_are_refused_by_name)
{
	for (size_t i = 0; i < ARRAY_LEN(structs); i++)
		check_refusals(&structs[i]);
}
END_TEST

START_TEST(a_count_without_what_it_counts_is_refused)
{
	nova_vm_command_opts with_env = full_nova_vm_command_opts,
			     with_stdin = full_nova_vm_command_opts;
	nova_vm_init_opts init = full_nova_vm_init_opts;
	nova_pool_want want = full_nova_pool_want;
	with_env.env = init.env = NULL;
	with_stdin.stdin_data = NULL;
	want.init = &init;
	ck_fails_with(NOVA_EINVAL, "env is NULL", use_nova_vm_command_opts(&with_env, &error));
	ck_fails_with(
		NOVA_EINVAL, "stdin_data is NULL", use_nova_vm_command_opts(&with_stdin, &error));
	ck_fails_with(NOVA_EINVAL, "env is NULL", nova_vm_init(vm, &init, &error));
	ck_fails_with(NOVA_EINVAL, "env is NULL", nova_pool_keep(p.pool, &want, 1, &error));
}
END_TEST

static void set_up(void)
{
	p = platform_open(NULL);
	platform_add(p.nova, "echo", "shell", "echo 1");
	ck_ok(nova_vm_start(nova_host_get(p.nova), NULL, &vm, &error));
}

static void tear_down(void)
{
	nova_vm_free(vm);
	platform_close(&p);
}

static Suite *make_suite(void)
{
	Suite *suite = suite_create("sizes");
	TCase *tc = tcase_create("sizes");
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_struct_of_an_older_program_means_the_same_as_one_with_zeros_behind);
	tcase_add_test(tc, a_struct_of_a_newer_program_is_accepted_unless_it_asks_for_more);
	tcase_add_test(
		tc, a_reserved_member_that_is_not_zero_and_a_size_that_is_none_are_refused_by_name);
	tcase_add_test(tc, a_count_without_what_it_counts_is_refused);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, make_suite);
}
