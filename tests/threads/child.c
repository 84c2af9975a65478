/* SPDX-License-Identifier: MIT */
/*
 * Every public call in a child that fork() has made, while the parent's threads hold every lock
 * that can be got hold of. The list of calls is the symbol map: one that is not judged here fails
 * the test. A call that takes a lock would hang, and the alarm ends the child.
 */
#include <sys/wait.h>

#include "vmtest.h"

#include "platform/platform.h"
#include "pool/internal.h"
#include "vm/object.h"

#define HANG_S     60
#define CALLS_ROOM 400
/* the fake engine takes none; nobody may look at it */
#define NO_SNAPSHOT ((nova_snapshot_t *)&nothing)

static const char nothing[256];

/* What the parent has, and the child is given by fork(). */
static struct parent {
	struct platform p;
	nova_host_t *host;
	nova_vm_t *vm, *lent;
	nova_queue_t *queue;
	nova_call_t *call, *collected;
	nova_instance_t *instance;
	nova_function_t *function;
	const nova_runtime *runtime;
	const nova_alias *alias;
	const nova_key *key;
	nova_result_t *result;
	nova_files_t *files;
	nova_probe_t *probe;
	nova_config_t *config;
} s;

/* --- the judgement --- */

static const char *judged[CALLS_ROOM];
static size_t judged_count;
static int wrong;

static void judge(const char *name, bool right, const char *what, int code)
{
	judged[judged_count++] = name;
	if (right)
		return;
	wrong++;
	fprintf(stderr, "# %s in a child of fork(): %s (%s)\n", name, what,
		code < 0 ? nova_code_name(code) : "no code");
}

/* With an error that says so, where the call can give one. */
static void judge_refusal(const char *name, int code, bool has_error)
{
	bool said = !has_error || (nova_error_code(error) == NOVA_EBUSY &&
					  strstr(nova_error_message(error), "fork"));
	judge(name, code == NOVA_EBUSY && said, "is not refused", code);
	nova_error_free(error);
	error = NULL;
}

#define REFUSES(call, ...)      judge_refusal(#call, call(__VA_ARGS__, &error), true)
#define REFUSES_BARE(call, ...) judge_refusal(#call, call(__VA_ARGS__), false)
#define GIVES(value, call, ...) judge(#call, call(__VA_ARGS__) == (value), "gives something", 0)
#define RETURNS(call, ...)      (call(__VA_ARGS__), judge(#call, true, "", 0))
#define WORKS_WITH(call, ok)    judge(#call, (ok), "does not work", 0)

static bool is_judged(const char *name, size_t len)
{
	for (size_t i = 0; i < judged_count; i++)
		if (!strncmp(judged[i], name, len) && !judged[i][len])
			return true;
	return false;
}

static void judge_the_list(void)
{
	AUTO_BUF struct buf map = BUF_INIT(1u << 20);
	if (fs_read_file(NOVA_SOURCE_ROOT "/lib/nova.map", &map) < 0) {
		judge("lib/nova.map", false, "cannot be read", 0);
		return;
	}
	AUTO_FREE char *text = buf_steal_str(&map);
	for (const char *at = text; (at = strstr(at, "\tnova_"));) {
		size_t len = strcspn(++at, ";");
		if (is_judged(at, len))
			continue;
		wrong++;
		fprintf(stderr,
			"# %.*s: say in tests/threads/child.c what it does in a child of fork()\n",
			(int)len, at);
	}
}

/* --- what uses the context is refused, or does nothing --- */

static void judge_vm_calls(void)
{
	const char *argv[] = { "true" };
	nova_vm_command_opts command = NOVA_VM_COMMAND_OPTS_INIT;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	nova_vm_t *vm, *const pair[] = { s.lent, s.lent };
	const nova_merge_opts merge = { sizeof(merge), .branches = pair, .branch_count = 2 };
	nova_result_t *r;
	nova_files_t *files;
	void *data;
	size_t len;
	uint64_t value;
	command.argv = argv;
	command.argc = 1;
	init.runtime = "shell";
	REFUSES(nova_vm_start, s.host, NULL, &vm);
	REFUSES(nova_vm_init, s.vm, &init);
	REFUSES(nova_vm_invoke, s.vm, "{}", NULL, &r);
	REFUSES(nova_vm_command, s.vm, &command, &r);
	REFUSES(nova_vm_ping, s.vm, 0, NULL);
	REFUSES(nova_vm_pause, s.vm, NULL);
	REFUSES(nova_vm_resume, s.vm, NULL);
	REFUSES(nova_vm_stop, s.vm, 0, NULL);
	REFUSES(nova_vm_stats, s.vm, &value, 1);
	REFUSES(nova_vm_fork, s.vm, 1, NULL, &vm);
	REFUSES(nova_vm_merge, s.vm, &merge, &vm, NULL);
	REFUSES(nova_vm_park, s.vm, 1, 0, NULL);
	REFUSES(nova_vm_list_files, s.vm, "/tmp", 1, NULL, &files);
	REFUSES(nova_vm_read_file, s.vm, "/tmp/x", NULL, &data, &len);
	REFUSES(nova_vm_write_file, s.vm, "/tmp/x", "x", 1, NULL);
	REFUSES(nova_vm_remove_file, s.vm, "/tmp/x", NULL);
	REFUSES_BARE(nova_vm_state, s.vm);
	RETURNS(nova_vm_cancel, s.vm, "x");
	RETURNS(nova_vm_kill, s.vm);
	RETURNS(nova_vm_free, s.vm);
	GIVES(0, nova_vm_pid, s.vm);
	GIVES(NULL, nova_vm_console, s.vm);
	WORKS_WITH(nova_vm_id, strlen(nova_vm_id(s.vm)) == 8);
	WORKS_WITH(nova_vm_path, !strcmp(nova_vm_path(s.vm), "classic"));
	WORKS_WITH(nova_vm_path_why, nova_vm_path_why(s.vm) != NULL);
	WORKS_WITH(nova_vm_engine, !strcmp(nova_vm_engine(s.vm), "fake"));
}

static void judge_snapshot_calls(void)
{
	nova_vm_t *vm;
	nova_snapshot_t *snapshot, **list;
	size_t count;
	uint64_t value;
	REFUSES(nova_vm_snapshot, s.vm, NULL, &snapshot);
	REFUSES(nova_vm_restore, s.host, NO_SNAPSHOT, NULL, &vm);
	REFUSES(nova_snapshot_open, s.host, "x", &snapshot);
	REFUSES(nova_snapshot_list, s.host, &list, &count);
	REFUSES(nova_snapshot_delete, s.host, "x");
	REFUSES(nova_snapshot_prune, s.host, &count);
	REFUSES(nova_template_list, s.host, &list, &count);
	REFUSES(nova_template_prune, s.host, 1, &count);
	REFUSES(nova_template_stats, s.host, &value, 1);
	REFUSES(nova_template_build, s.p.nova, "echo", NULL);
	REFUSES(nova_template_prepare, s.p.nova, "shell", NULL, NULL);
}

static void judge_pool_calls(void)
{
	nova_pool_t *pool;
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	nova_vm_t *vm;
	uint64_t value;
	want.key = "x";
	REFUSES(nova_pool_new, s.host, NULL, &pool);
	REFUSES(nova_pool_acquire, s.p.pool, &want, &vm, NULL);
	REFUSES(nova_pool_keep, s.p.pool, &want, 1);
	REFUSES(nova_pool_drain, s.p.pool, 0);
	REFUSES_BARE(nova_pool_fd, s.p.pool);
	REFUSES_BARE(nova_pool_stats, s.p.pool, &value, 1);
	REFUSES_BARE(nova_pool_histogram, s.p.pool, 0, &value, &value, 1);
	RETURNS(nova_pool_release, s.p.pool, s.lent, 1);
	RETURNS(nova_pool_forget, s.p.pool, "x");
	RETURNS(nova_pool_free, s.p.pool);
	GIVES(-1, nova_pool_tick, s.p.pool);
	GIVES(0, nova_pool_percentile_us, s.p.pool, 0, 50);
}

static void judge_runtime_calls(void)
{
	static const char *const argv[] = { "/bin/sh", "{file}" };
	nova_runtime_opts opts = NOVA_RUNTIME_OPTS_INIT;
	const nova_runtime *runtime, **list;
	size_t count;
	opts.name = "own";
	opts.rootfs = "base";
	opts.argv = argv;
	opts.argv_count = ARRAY_LEN(argv);
	REFUSES(nova_runtime_register, s.p.nova, &opts, &runtime);
	REFUSES(nova_runtime_get, s.p.nova, "shell", &runtime);
	REFUSES(nova_runtime_list, s.p.nova, &list, &count);
	REFUSES(nova_runtime_check, s.p.nova, "shell");
	REFUSES(nova_runtime_delete, s.p.nova, "own");
	RETURNS(nova_runtime_free, s.runtime);
	RETURNS(nova_runtime_list_free, NULL, 0);
}

static void judge_version_calls(void)
{
	const nova_function_update_opts update = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	const nova_alias_opts opts = { sizeof(opts), .function = "echo", .name = "x",
		.version = 1 };
	nova_function_t *function, **list;
	const nova_alias *alias, **aliases;
	size_t count;
	REFUSES(nova_function_update, s.p.nova, "echo", &update, &function);
	REFUSES(nova_function_publish, s.p.nova, "echo", &function);
	REFUSES(nova_function_list_versions, s.p.nova, "echo", &list, &count);
	REFUSES(nova_alias_set, s.p.nova, &opts, &alias);
	REFUSES(nova_alias_get, s.p.nova, "echo", "x", &alias);
	REFUSES(nova_alias_list, s.p.nova, "echo", &aliases, &count);
	REFUSES(nova_alias_delete, s.p.nova, "echo", "x");
	RETURNS(nova_alias_free, s.alias);
	RETURNS(nova_alias_list_free, NULL, 0);
}

static void judge_key_calls(void)
{
	const nova_key_opts opts = { sizeof(opts), .name = "x" };
	const nova_key *key, **keys;
	size_t count;
	REFUSES(nova_key_create, s.p.nova, &opts, &key);
	REFUSES(nova_key_check, s.p.nova, "nova_x", &key);
	REFUSES(nova_key_get, s.p.nova, "x", &key);
	REFUSES(nova_key_list, s.p.nova, &keys, &count);
	REFUSES(nova_key_revoke, s.p.nova, "x");
	REFUSES(nova_key_delete, s.p.nova, "x");
	const nova_rate_opts rate = { sizeof(rate), .name = "x", .rate = 1 };
	REFUSES(nova_rate_take, s.p.nova, &rate, NULL);
	nova_job_t *job;
	REFUSES(nova_job_submit, s.p.nova, "f", NULL, NULL, &job);
	REFUSES(nova_job_perform, s.p.nova, 0, NULL, &job);
	REFUSES(nova_job_get, s.p.nova, "00000000-0000-4000-8000-000000000000", &job);
	nova_job_t **jobs;
	uint64_t next;
	REFUSES(nova_job_list, s.p.nova, NULL, &jobs, &count, &next);
	RETURNS(nova_job_list_free, NULL, 0);
	RETURNS(nova_job_free, NULL);
	RETURNS(nova_job_id, NULL);
	RETURNS(nova_job_state, NULL);
	RETURNS(nova_job_owner, NULL);
	RETURNS(nova_job_output, NULL, NULL);
	RETURNS(nova_job_error, NULL);
	RETURNS(nova_job_to_json, NULL);
	RETURNS(nova_key_free, s.key);
	RETURNS(nova_key_list_free, NULL, 0);
}

static void judge_secret_calls(void)
{
	const nova_secret **secrets;
	AUTO_FREE char *file = path_join(s.p.dir, "child.key");
	size_t count;
	REFUSES(nova_secret_set, s.p.nova, "x", "v", 1);
	REFUSES(nova_secret_list, s.p.nova, &secrets, &count);
	REFUSES(nova_secret_rotate, s.p.nova, &count);
	REFUSES(nova_secret_delete, s.p.nova, "x");
	RETURNS(nova_secret_list_free, NULL, 0);
	WORKS_WITH(nova_secret_key_create, nova_secret_key_create(file, NULL) == 0);
}

static void judge_kv_calls(void)
{
	const nova_kv_put_opts put = { sizeof(put), .key = "x" };
	const nova_file_put_opts put_file = { sizeof(put_file), .name = "x" };
	const nova_kv_entry *entry, **entries;
	const nova_file *file, **files;
	uint64_t version;
	size_t count;
	REFUSES(nova_kv_put, s.p.nova, "echo", &put, &version);
	REFUSES(nova_kv_get, s.p.nova, "echo", "x", &entry);
	REFUSES(nova_kv_delete, s.p.nova, "echo", "x", 0);
	REFUSES(nova_kv_list, s.p.nova, "echo", NULL, &entries, &count);
	REFUSES(nova_file_put, s.p.nova, "echo", &put_file);
	REFUSES(nova_file_get, s.p.nova, "echo", "x", &file);
	REFUSES(nova_file_delete, s.p.nova, "echo", "x");
	REFUSES(nova_file_list, s.p.nova, "echo", NULL, &files, &count);
	RETURNS(nova_kv_entry_free, NULL);
	RETURNS(nova_kv_list_free, NULL, 0);
	RETURNS(nova_file_free, NULL);
	RETURNS(nova_file_list_free, NULL, 0);
}

static void judge_backup_calls(void)
{
	AUTO_FREE char *file = path_join(s.p.dir, "child.tar.gz");
	REFUSES(nova_export, s.p.nova, file);
	REFUSES(nova_import, s.p.nova, file, 0);
}

static void judge_invocation_calls(void)
{
	const nova_invocation **list;
	const nova_invocation_summary **summaries;
	size_t count;
	REFUSES(nova_invocation_list, s.p.nova, NULL, &list, &count);
	REFUSES(nova_invocation_summarize, s.p.nova, NULL, &summaries, &count);
	RETURNS(nova_invocation_list_free, NULL, 0);
	RETURNS(nova_invocation_summaries_free, NULL, 0);
}

static void judge_usage_calls(void)
{
	const nova_usage **list;
	const nova_bill *bill;
	size_t count;
	const nova_usage_estimate_opts opts = NOVA_USAGE_ESTIMATE_OPTS_INIT;
	REFUSES(nova_usage_list, s.p.nova, NULL, &list, &count);
	REFUSES(nova_usage_bill, s.p.nova, NULL, &bill);
	REFUSES(nova_usage_estimate, s.p.nova, &opts, &bill);
	RETURNS(nova_usage_list_free, NULL, 0);
	RETURNS(nova_bill_free, NULL);
	RETURNS(nova_usage_to_json, NULL);
	RETURNS(nova_bill_to_json, NULL);
}

static void judge_platform_calls(void)
{
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	nova_function_t *function, **list;
	nova_result_t *r;
	size_t count;
	opts.name = "of-the-child";
	opts.runtime = "shell";
	opts.code = "true";
	opts.code_len = 4;
	REFUSES(nova_function_register, s.p.nova, &opts, &function);
	REFUSES(nova_function_get, s.p.nova, "echo", &function);
	REFUSES(nova_function_list, s.p.nova, NULL, &list, &count);
	REFUSES(nova_function_check, s.p.nova, "echo");
	REFUSES(nova_function_delete, s.p.nova, "echo", 0);
	REFUSES(nova_function_delete_with, s.p.nova, "echo", NULL);
	judge_version_calls();
	judge_key_calls();
	judge_secret_calls();
	judge_kv_calls();
	judge_backup_calls();
	judge_invocation_calls();
	judge_usage_calls();
	REFUSES(nova_invoke, s.p.nova, "echo", "{}", NULL, &r);
	REFUSES(nova_run, s.p.nova, "shell", "true", NULL, &r);
	RETURNS(nova_close, s.p.nova);
	WORKS_WITH(nova_host_get, nova_host_get(s.p.nova) == s.host);
	WORKS_WITH(nova_pool_get, nova_pool_get(s.p.nova) == s.p.pool);
}

static void judge_submits(void)
{
	const char *argv[] = { "true" };
	const nova_vm_command_opts command = { sizeof(command), .argv = argv, .argc = 1 };
	const nova_vm_init_opts init = { sizeof(init), .runtime = "shell" };
	const nova_instance_opts instance = { sizeof(instance), .function = "echo" };
	nova_call_t *call;
	REFUSES(nova_queue_submit_run, s.queue, "shell", "true", NULL, &call);
	REFUSES(nova_queue_submit_vm_start, s.queue, NULL, &call);
	REFUSES(nova_queue_submit_vm_restore, s.queue, NO_SNAPSHOT, NULL, &call);
	REFUSES(nova_queue_submit_vm_init, s.queue, s.vm, &init, &call);
	REFUSES(nova_queue_submit_vm_invoke, s.queue, s.vm, "{}", NULL, &call);
	REFUSES(nova_queue_submit_vm_command, s.queue, s.vm, &command, &call);
	REFUSES(nova_queue_submit_vm_fork, s.queue, s.vm, 1, NULL, &call);
	REFUSES(nova_queue_submit_vm_snapshot, s.queue, s.vm, NULL, &call);
	REFUSES(nova_queue_submit_instance_start, s.queue, &instance, &call);
}

static void judge_queue_calls(void)
{
	nova_queue_t *queue;
	nova_call_t *call;
	REFUSES(nova_queue_new, s.p.nova, NULL, &queue);
	REFUSES(nova_queue_submit, s.queue, "echo", "{}", NULL, &call);
	judge_submits();
	REFUSES(nova_queue_collect, s.queue, 0, NULL, &call);
	REFUSES_BARE(nova_call_cancel, s.call);
	GIVES(0, nova_queue_count, s.queue, NOVA_QUEUE_THREADS);
	RETURNS(nova_queue_free, s.queue);
	RETURNS(nova_call_free, s.call);
	WORKS_WITH(nova_queue_fd, nova_queue_fd(s.queue) >= 0);
	WORKS_WITH(nova_call_is_finished,
		nova_call_is_finished(s.collected) && !nova_call_is_finished(s.call));
	WORKS_WITH(nova_call_code,
		nova_call_code(s.collected) == 0 && nova_call_code(s.call) == NOVA_EBUSY);
	WORKS_WITH(nova_call_userdata, nova_call_userdata(s.collected) == &s);
	WORKS_WITH(nova_call_request_id, *nova_call_request_id(s.collected));
	WORKS_WITH(nova_call_take_error, !nova_call_take_error(s.collected));
	WORKS_WITH(nova_call_take_vm, !nova_call_take_vm(s.collected));
	WORKS_WITH(nova_call_take_snapshot, !nova_call_take_snapshot(s.collected));
	WORKS_WITH(nova_call_take_instance, !nova_call_take_instance(s.collected));
	nova_result_t *r = nova_call_take_result(s.collected);
	WORKS_WITH(nova_call_take_result, r != NULL);
	nova_result_free(r);
}

static void judge_instance_calls(void)
{
	const char *argv[] = { "true" };
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_vm_command_opts command = NOVA_VM_COMMAND_OPTS_INIT;
	nova_instance_t *instance, **list;
	nova_result_t *r;
	size_t count;
	opts.function = "echo";
	command.argv = argv;
	command.argc = 1;
	REFUSES(nova_instance_start, s.p.nova, &opts, &instance);
	REFUSES(nova_instance_get, s.p.nova, "x", &instance);
	REFUSES(nova_instance_list, s.p.nova, &list, &count);
	REFUSES(nova_vm_command, nova_instance_vm(s.instance), &command, &r);
	WORKS_WITH(nova_instance_vm, nova_instance_vm(s.instance) != NULL);
	REFUSES(nova_instance_stop, s.instance, 0);
	REFUSES_BARE(nova_instance_state, s.instance);
	GIVES(NULL, nova_instance_to_json, s.instance);
	WORKS_WITH(nova_instance_id, strlen(nova_instance_id(s.instance)) == 8);
	WORKS_WITH(nova_instance_name, !strcmp(nova_instance_name(s.instance), "x"));
	WORKS_WITH(nova_instance_function, !strcmp(nova_instance_function(s.instance), "echo"));
	WORKS_WITH(nova_instance_version, nova_instance_version(s.instance) == 1);
	WORKS_WITH(nova_instance_created_us, nova_instance_created_us(s.instance) > 0);
}

static void judge_host_calls(void)
{
	nova_probe_t *probe;
	uint64_t vms;
	REFUSES(nova_engine_probe, s.host, &probe);
	REFUSES_BARE(nova_host_capacity, s.host, &vms, 1);
	RETURNS(nova_host_set_log, s.host, NULL, NULL, 0);
	WORKS_WITH(nova_host_home, !strcmp(nova_host_home(s.host), s.p.dir));
	WORKS_WITH(nova_host_images, *nova_host_images(s.host));
	WORKS_WITH(nova_host_setting, !strcmp(nova_host_setting(s.host, "engine"), "fake"));
	WORKS_WITH(nova_host_ref, nova_host_ref(s.host) == s.host);
	RETURNS(nova_host_unref, s.host);
	nova_host_unref(s.host); /* more often than it was taken: the parent's is left alone */
}

/* --- what is immutable, or belongs to no context, works --- */

static void judge_function_object(void)
{
	const nova_function_t *f = s.function;
	AUTO_FREE char *json = nova_function_to_json(f);
	WORKS_WITH(nova_function_to_json, json && strstr(json, "echo"));
	WORKS_WITH(nova_function_id, *nova_function_id(f));
	WORKS_WITH(nova_function_name, !strcmp(nova_function_name(f), "echo"));
	WORKS_WITH(nova_function_code_path, nova_function_code_path(f) != NULL);
	WORKS_WITH(nova_function_code_hash, strlen(nova_function_code_hash(f)) == 64);
	WORKS_WITH(nova_function_version, nova_function_version(f) == 1);
	WORKS_WITH(nova_function_created_us, nova_function_created_us(f) > 0);
	WORKS_WITH(nova_function_updated_us, nova_function_updated_us(f) > 0);
	WORKS_WITH(nova_function_number, nova_function_number(f, "vcpus") == 1);
	WORKS_WITH(nova_function_text, !strcmp(nova_function_text(f, "network", 0), "none"));
	RETURNS(nova_function_free, s.function);
	RETURNS(nova_function_list_free, NULL, 0);
}

static void judge_result_and_files(void)
{
	const nova_result_t *r = s.result;
	const nova_files_t *f = s.files;
	AUTO_FREE char *json = nova_result_to_json(r);
	WORKS_WITH(nova_result_to_json, json && strstr(json, "output"));
	WORKS_WITH(nova_result_output, !strcmp(nova_result_output(r, NULL), "1"));
	WORKS_WITH(nova_result_stdout, nova_result_stdout(r, NULL) != NULL);
	WORKS_WITH(nova_result_stderr, nova_result_stderr(r, NULL) != NULL);
	WORKS_WITH(nova_result_truncated, !nova_result_truncated(r));
	WORKS_WITH(nova_result_failure, !*nova_result_failure(r));
	WORKS_WITH(nova_result_exit_code, nova_result_exit_code(r) == 0);
	WORKS_WITH(nova_result_request_id, *nova_result_request_id(r));
	WORKS_WITH(nova_result_cold_start, nova_result_cold_start(r) >= 0);
	WORKS_WITH(nova_result_vm_id, *nova_result_vm_id(r));
	WORKS_WITH(nova_result_snapshot, !*nova_result_snapshot(r));
	WORKS_WITH(nova_result_instance, !*nova_result_instance(r));
	WORKS_WITH(nova_result_version, nova_result_version(r) == 0);
	WORKS_WITH(nova_result_path, !strcmp(nova_result_path(r), "classic"));
	WORKS_WITH(nova_result_path_why, nova_result_path_why(r) != NULL);
	WORKS_WITH(nova_result_timing_us, nova_result_timing_us(r, NOVA_TIMING_TOTAL) > 0);
	RETURNS(nova_result_free, s.result);
	WORKS_WITH(nova_files_count, nova_files_count(f) == 1);
	WORKS_WITH(nova_files_path, !strcmp(nova_files_path(f, 0), "mark"));
	WORKS_WITH(nova_files_kind, nova_files_kind(f, 0) == NOVA_FILE_REGULAR);
	WORKS_WITH(nova_files_size, nova_files_size(f, 0) == 1);
	WORKS_WITH(nova_files_mode, nova_files_mode(f, 0) == 0600);
	WORKS_WITH(nova_files_mtime_us, nova_files_mtime_us(f, 0) > 0);
	WORKS_WITH(nova_files_digest, nova_files_digest(f, 0) > 0);
	WORKS_WITH(nova_files_target, !*nova_files_target(f, 0));
	RETURNS(nova_files_free, s.files);
}

static void judge_interrupt(void)
{
	nova_interrupt_t *own = NULL;
	WORKS_WITH(nova_interrupt_new, nova_interrupt_new(&own, NULL) == 0);
	RETURNS(nova_interrupt_trigger, own);
	RETURNS(nova_interrupt_free, own);
}

static void judge_probe(void)
{
	const nova_probe_t *p = s.probe;
	WORKS_WITH(nova_probe_count, nova_probe_count(p) > 0);
	WORKS_WITH(nova_probe_engine, *nova_probe_engine(p, 0));
	WORKS_WITH(nova_probe_usable, nova_probe_usable(p, 0) >= 0);
	WORKS_WITH(nova_probe_unlimited, nova_probe_unlimited(p) != NULL);
	WORKS_WITH(nova_probe_reason, nova_probe_reason(p, 0) != NULL);
	WORKS_WITH(nova_probe_advice, nova_probe_advice(p, 0) != NULL);
	WORKS_WITH(nova_probe_version, nova_probe_version(p, 0) != NULL);
	WORKS_WITH(nova_probe_binary, nova_probe_binary(p, 0) != NULL);
	WORKS_WITH(nova_probe_accelerator, nova_probe_accelerator(p, 0) != NULL);
	WORKS_WITH(nova_probe_features, nova_probe_features(p, 0) < UINT32_MAX);
	WORKS_WITH(nova_probe_choice, nova_probe_choice(p) >= 0);
	WORKS_WITH(nova_probe_choice_reason, nova_probe_choice_reason(p) != NULL);
	WORKS_WITH(nova_probe_not_hot, nova_probe_not_hot(p) != NULL);
	WORKS_WITH(nova_probe_kvm, nova_probe_kvm(p) != NULL);
	RETURNS(nova_probe_free, s.probe);
}

static void judge_config_and_protocol(void)
{
	const char *variable = nova_config_variable("engine");
	AUTO_FREE void *frame = NULL;
	nova_config_t *config;
	nova_decoder_t *decoder;
	const char *text;
	size_t len;
	int type;
	WORKS_WITH(nova_config_new, nova_config_new(&config, &error) == 0);
	WORKS_WITH(nova_config_load_env, nova_config_load_env(config, &error) == 0);
	WORKS_WITH(nova_config_set, nova_config_set(config, "engine", "qemu", &error) == 0);
	WORKS_WITH(nova_config_get, !strcmp(nova_config_get(s.config, "engine"), "fake"));
	WORKS_WITH(nova_config_source, nova_config_source(config, "engine") != NOVA_CONFIG_DEFAULT);
	WORKS_WITH(nova_config_keys, nova_config_keys()[0] != NULL);
	WORKS_WITH(nova_property_get, nova_property_get(0) != NULL);
	WORKS_WITH(nova_config_describe, nova_config_describe("engine") != NULL);
	WORKS_WITH(nova_config_variable, variable && !strcmp(variable, "NOVA_ENGINE"));
	WORKS_WITH(nova_config_load, nova_config_load(config, "/no/such/file", NULL) < 0);
	RETURNS(nova_config_free, config);
	WORKS_WITH(nova_config_ignore_environment,
		nova_config_new(&config, &error) == 0 &&
			nova_config_ignore_environment(config, &error) == 0);
	nova_config_free(config);
	WORKS_WITH(nova_frame_encode,
		nova_frame_encode(NOVA_MSG_PING, "{}", 2, &frame, &len, &error) == 0);
	WORKS_WITH(nova_decoder_new, nova_decoder_new(0, &decoder, &error) == 0);
	WORKS_WITH(nova_decoder_feed, nova_decoder_feed(decoder, frame, len, &error) == 0);
	WORKS_WITH(nova_decoder_next, nova_decoder_next(decoder, &type, &text, &len, &error) == 1);
	RETURNS(nova_decoder_free, decoder);
}

static void judge_what_needs_no_context(void)
{
	AUTO_FREE char *disk = str_format("%s/of-the-child.ext4", s.p.dir),
		       *tree = str_format("%s/tree", s.p.dir);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.data = "x";
	opts.data_len = 1;
	WORKS_WITH(nova_disk_build, nova_disk_build(disk, &opts, &error) == 0);
	WORKS_WITH(nova_disk_extract,
		fs_mkdirs(tree, 0700) == 0 && nova_disk_extract(disk, tree, &error) == 0);
	WORKS_WITH(nova_image_extract_kernel,
		nova_image_extract_kernel("/no/such/file", disk, NULL) < 0);
	WORKS_WITH(nova_version, *nova_version());
	const char *contents = NULL;
	WORKS_WITH(nova_module_name, *nova_module_name(0));
	WORKS_WITH(nova_module_purpose, *nova_module_purpose(0));
	WORKS_WITH(nova_module_load, nova_module_load(0, &contents, &error) == 0);
	WORKS_WITH(nova_code_name, !strcmp(nova_code_name(NOVA_EBUSY), "NOVA_EBUSY"));
	WORKS_WITH(nova_log_filter_level,
		nova_log_filter_level("warn,pool=debug", "pool", 0) == NOVA_LOG_DEBUG);
	WORKS_WITH(nova_error_code, nova_error_code(NULL) == 0);
	WORKS_WITH(nova_error_message, nova_error_message(NULL) != NULL);
	WORKS_WITH(nova_error_os, nova_error_os(NULL) == 0);
	WORKS_WITH(nova_error_outcome, nova_error_outcome(NULL) == NOVA_OUTCOME_NEVER_RAN);
	WORKS_WITH(nova_error_retry_ms, nova_error_retry_ms(NULL) == 0);
	WORKS_WITH(nova_error_limit, nova_error_limit(NULL) == NOVA_LIMIT_HOST);
	RETURNS(nova_error_free, NULL);
	RETURNS(nova_free, NULL);
}

/* What the refusals advise. */
static void judge_a_context_of_its_own(void)
{
	AUTO_FREE char *home = str_format("%s/of-the-child", s.p.dir);
	nova_host_t *host = NULL;
	nova_t *nova = NULL;
	nova_result_t *r = NULL;
	nova_config_t *config = vmtest_config(home);
	WORKS_WITH(nova_host_new, nova_host_new(config, &host, &error) == 0);
	nova_host_unref(host);
	WORKS_WITH(nova_open, nova_open(config, &nova, &error) == 0);
	platform_add(nova, "own", "shell", "echo 2");
	judge("nova_invoke",
		platform_call(nova, "own", &r) == 0 && !strcmp(nova_result_output(r, NULL), "2"),
		"fails in a context of its own", 0);
	nova_result_free(r);
	nova_close(nova);
	nova_config_free(config);
}

/* Objects that the fake engine has none of, and what is the same as one of the above: they hold no
 * lock and no context. */
static void judge_the_rest(void)
{
	static const char *const plain[] = {
		"nova_snapshot_free",
		"nova_snapshot_list_free",
		"nova_snapshot_id",
		"nova_snapshot_name",
		"nova_snapshot_path",
		"nova_snapshot_base",
		"nova_snapshot_parent",
		"nova_snapshot_has_function",
		"nova_snapshot_created_us",
		"nova_snapshot_used_us",
		"nova_snapshot_life_time_s",
		"nova_snapshot_draws",
		"nova_snapshot_disk_bytes",
		"nova_merge_count",
		"nova_merge_conflicts",
		"nova_merge_path",
		"nova_merge_kind",
		"nova_merge_branch",
		"nova_merge_free",
		"nova_image_check",
	};
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		judge(plain[i], true, "", 0);
	RETURNS(nova_instance_list_free, NULL, 0);
	RETURNS(nova_instance_free, s.instance); /* the child's own copy */
}

/* --- the parent --- */

static void make_alias(void)
{
	const nova_alias_opts opts = { sizeof(opts), .function = "echo", .name = "x",
		.version = 1 };
	ck_ok(nova_function_publish(s.p.nova, "echo", NULL, &error));
	ck_ok(nova_alias_set(s.p.nova, &opts, &s.alias, &error));
}

static void make_key(void)
{
	const nova_key_opts opts = { sizeof(opts), .name = "x" };
	ck_ok(nova_key_create(s.p.nova, &opts, &s.key, &error));
}

static void fill(void)
{
	nova_instance_opts instance = NOVA_INSTANCE_OPTS_INIT;
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	s.p = platform_open(NULL);
	s.host = nova_host_get(s.p.nova);
	platform_add(s.p.nova, "echo", "shell", "echo 1");
	platform_add(s.p.nova, "slow", "shell", "sleep 1000");
	ck_ok(platform_call(s.p.nova, "echo", &s.result));
	ck_ok(nova_function_get(s.p.nova, "echo", &s.function, &error));
	ck_ok(nova_runtime_get(s.p.nova, "shell", &s.runtime, &error));
	make_alias();
	make_key();
	ck_ok(nova_vm_start(s.host, NULL, &s.vm, &error));
	AUTO_FREE char *directory = str_format("%s/files", s.p.dir),
		       *mark = str_format("%s/mark", directory);
	ck_assert_int_eq(fs_mkdirs(directory, 0777), 0);
	ck_assert_int_eq(fs_write_file(mark, "x", 1, 0600), 0);
	ck_ok(nova_vm_list_files(s.vm, directory, 1, NULL, &s.files, &error));
	want.key = "x";
	ck_ok(nova_pool_acquire(s.p.pool, &want, &s.lent, NULL, &error));
	instance.function = "echo";
	instance.name = "x";
	ck_ok(nova_instance_start(s.p.nova, &instance, &s.instance, &error));
	ck_ok(nova_queue_new(s.p.nova, NULL, &s.queue, &error));
	nova_invoke_opts echo = NOVA_INVOKE_OPTS_INIT;
	echo.userdata = &s;
	ck_ok(nova_queue_submit(s.queue, "echo", "{}", &echo, NULL, &error));
	ck_ok(nova_queue_collect(s.queue, UINT32_MAX, NULL, &s.collected, &error));
	ck_ok(nova_queue_submit(s.queue, "slow", "{}", NULL, &s.call, &error));
	ck_ok(nova_engine_probe(s.host, &s.probe, &error));
	s.config = s.p.config;
}

/* As if a thread of the parent were in the middle of each. */
static void hold_locks(bool hold)
{
	pthread_mutex_t *const locks[] = {
		&s.vm->lock,
		&s.vm->end_lock,
		&s.lent->lock,
		&s.lent->end_lock,
		&s.p.pool->lock,
		&s.instance->lock,
		&s.p.nova->instances_lock,
		&s.p.nova->registry.cache.lock,
		&s.p.nova->replicas.lock,
	};
	for (size_t i = 0; i < ARRAY_LEN(locks); i++)
		(hold ? pthread_mutex_lock : pthread_mutex_unlock)(locks[i]);
}

static void be_the_child(void)
{
	alarm(HANG_S);
	judge_vm_calls();
	judge_snapshot_calls();
	judge_pool_calls();
	judge_platform_calls();
	judge_runtime_calls();
	judge_queue_calls();
	judge_instance_calls();
	judge_host_calls();
	judge_function_object();
	judge_result_and_files();
	judge_probe();
	judge_interrupt();
	judge_config_and_protocol();
	judge_what_needs_no_context();
	judge_a_context_of_its_own();
	judge_the_rest();
	judge_the_list();
	_exit(wrong ? 1 : 0);
}

START_TEST(in_a_child_every_call_is_refused_or_needs_no_context_and_none_waits_for_a_lock)
{
	int status;
	nova_function_t *function;
	fill();
	hold_locks(true);
	pid_t child = fork();
	if (child == 0)
		be_the_child();
	hold_locks(false);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(!WIFSIGNALED(status), "a call hung or crashed: signal %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);

	/* The parent has lost nothing. */
	ck_ok(nova_vm_ping(s.vm, 0, NULL, &error));
	ck_ok(nova_vm_ping(s.lent, 0, NULL, &error));
	ck_fails(NOVA_ENOTFOUND, nova_function_get(s.p.nova, "of-the-child", &function, &error));
	platform_answers(s.p.nova, "echo", "1");
	ck_assert_int_eq(nova_instance_state(s.instance), NOVA_VM_RUNNING);
	nova_call_free(s.call);
	nova_call_free(s.collected);
	nova_queue_free(s.queue);
	nova_instance_free(s.instance);
	nova_pool_release(s.p.pool, s.lent, 1);
	nova_vm_free(s.vm);
	nova_function_free(s.function);
	nova_runtime_free(s.runtime);
	nova_alias_free(s.alias);
	nova_key_free(s.key);
	nova_result_free(s.result);
	nova_files_free(s.files);
	nova_probe_free(s.probe);
	platform_close(&s.p);
}
END_TEST

static Suite *child_suite(void)
{
	Suite *suite = suite_create("child");
	TCase *tc = tcase_create("fork");
	tcase_set_timeout(tc, 2 * HANG_S);
	tcase_add_test(
		tc, in_a_child_every_call_is_refused_or_needs_no_context_and_none_waits_for_a_lock);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, child_suite);
}
