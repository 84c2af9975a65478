/* SPDX-License-Identifier: MIT */
/* One VM. */
#include "inject.h"

static nova_vm_t *vm;
static nova_result_t *result;

static int start(nova_error_t **error)
{
	int code = nova_vm_start(world.host, NULL, &vm, error);
	return code < 0 || (*nova_vm_id(vm) && nova_vm_pid(vm) > 0 &&
				   !strcmp(nova_vm_engine(vm), "fake") &&
				   nova_vm_state(vm) == NOVA_VM_RUNNING) ?
		       code :
		       NOVA_EAGENT;
}

static void end(void)
{
	nova_vm_free(STEAL(vm));
}

static void prepare_start(void)
{
	MUST(start(&world.error));
}

/* --- its function --- */

static void prepare_code(void)
{
	AUTO_FREE char *code = world_code("");
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.code_disk = code;
	MUST(nova_vm_start(world.host, &opts, &vm, &world.error));
}

static int init(nova_error_t **error)
{
	static const char *const env[] = { "A=1", "B=2" };
	nova_vm_init_opts opts = NOVA_VM_INIT_OPTS_INIT;
	opts.runtime = "shell";
	opts.env = env;
	opts.env_count = ARRAY_LEN(env);
	return nova_vm_init(vm, &opts, error);
}

static bool result_is_whole(const nova_result_t *r, const char *output)
{
	size_t len;
	AUTO_FREE char *json = nova_result_to_json(r);
	return !strcmp(nova_result_output(r, &len), output) && nova_result_stdout(r, &len) &&
	       nova_result_stderr(r, &len) && !nova_result_truncated(r) &&
	       !*nova_result_failure(r) && nova_result_exit_code(r) == 0 &&
	       *nova_result_request_id(r) && nova_result_cold_start(r) < 2 &&
	       *nova_result_vm_id(r) && nova_result_snapshot(r) && nova_result_instance(r) &&
	       nova_result_version(r) == 0 && !strcmp(nova_result_path(r), "classic") &&
	       nova_result_path_why(r) && nova_result_timing_us(r, NOVA_TIMING_BOOT) < UINT64_MAX &&
	       nova_result_timing_us(r, NOVA_TIMING_TOTAL) / 1000 < UINT64_MAX;
}

static int invoke(nova_error_t **error)
{
	return nova_vm_invoke(world.vm, "{}", NULL, &result, error);
}

static void free_result(void)
{
	if (result)
		MUST(result_is_whole(result, nova_result_output(result, NULL)) ? 0 : NOVA_EAGENT);
	nova_result_free(STEAL(result));
}

static void prepare_result(void)
{
	world_vm();
	MUST(invoke(&world.error));
}

static int result_to_json(nova_error_t **error)
{
	(void)error;
	AUTO_FREE char *json = nova_result_to_json(result);
	return json ? 0 : NOVA_ENOMEM;
}

static int cancel(nova_error_t **error)
{
	(void)error;
	nova_vm_cancel(world.vm, "nobody");
	return 0;
}

/* --- commands and files --- */

static int command(nova_error_t **error)
{
	static const char *const argv[] = { "sh", "-c", "cat; echo e >&2" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	opts.stdin_data = "hello";
	opts.stdin_len = 5;
	int code = nova_vm_command(world.vm, &opts, &result, error);
	return code < 0 || (!strcmp(nova_result_stdout(result, NULL), "hello") &&
				   !strcmp(nova_result_stderr(result, NULL), "e\n")) ?
		       code :
		       NOVA_EAGENT;
}

static void free_command(void)
{
	nova_result_free(STEAL(result));
}

/* --- a command whose streams flow: a pipe has its stdin, and it prints enough for credit --- */

#define PRINTED (5 + 70000)

static int stdin_fd = -1;
static size_t heard;

static void prepare_stream(void)
{
	int ends[2];
	world_vm();
	heard = 0;
	MUST(sys_pipe(ends));
	MUST(sys_write_all(ends[1], "hello", 5));
	fd_close(ends[1]);
	stdin_fd = ends[0];
}

static void hear(void *userdata, int stream, const void *data, size_t len)
{
	(void)userdata, (void)data;
	heard += stream == 1 ? len : 0;
}

static int stream_command(nova_error_t **error)
{
	static const char *const argv[] = { "sh", "-c", "cat; head -c 70000 /dev/zero" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = stdin_fd;
	opts.on_output = hear;
	int code = nova_vm_command(world.vm, &opts, &result, error);
	if (code < 0)
		return code;
	size_t kept;
	bool whole = str_starts(nova_result_stdout(result, &kept), "hello") && kept == PRINTED;
	return whole && heard == PRINTED ? 0 : NOVA_EAGENT;
}

static void free_stream(void)
{
	fd_close(stdin_fd);
	free_command();
}

static char *directory, *file;

static void make_files(void)
{
	directory = path_join(world.home, "files");
	file = path_join(directory, "file");
	MUST(fs_mkdirs(directory, 0777));
}

static void prepare_files(void)
{
	world_vm();
	MUST(nova_vm_write_file(world.vm, file, "content", 7,
		&(nova_file_write_opts){ sizeof(nova_file_write_opts), .mode = 0644 },
		&world.error));
}

static void remove_files(void)
{
	fs_unlink(file);
}

static int list_files(nova_error_t **error)
{
	nova_files_t *files = NULL;
	int code = nova_vm_list_files(world.vm, directory, 1, NULL, &files, error);
	bool whole = code < 0 ||
		     (nova_files_count(files) == 1 && !strcmp(nova_files_path(files, 0), "file") &&
			     nova_files_size(files, 0) == 7 &&
			     nova_files_kind(files, 0) == NOVA_FILE_REGULAR &&
			     nova_files_mode(files, 0) == 0644 && nova_files_mtime_us(files, 0) &&
			     nova_files_digest(files, 0) && !*nova_files_target(files, 0));
	nova_files_free(files);
	return whole ? code : NOVA_EAGENT;
}

static int read_file(nova_error_t **error)
{
	void *data = NULL;
	size_t len = 0;
	int code = nova_vm_read_file(world.vm, file, NULL, &data, &len, error);
	bool same = code < 0 || (len == 7 && !memcmp(data, "content", 7));
	nova_free(data);
	return same ? code : NOVA_EAGENT;
}

static int write_file(nova_error_t **error)
{
	return nova_vm_write_file(world.vm, file, "content", 7,
		&(nova_file_write_opts){ sizeof(nova_file_write_opts), .mode = 0644 }, error);
}

static int remove_file(nova_error_t **error)
{
	return nova_vm_remove_file(world.vm, file, NULL, error);
}

/* --- the machine --- */

static int ping(nova_error_t **error)
{
	return nova_vm_ping(world.vm, 5000, NULL, error);
}

static int pause_and_resume(nova_error_t **error)
{
	int code = nova_vm_pause(world.vm, NULL, error);
	return code < 0 ? code : nova_vm_resume(world.vm, NULL, error);
}

static void resume(void)
{
	nova_vm_resume(world.vm, NULL, NULL);
}

static int stop(nova_error_t **error)
{
	return nova_vm_stop(vm, 5000, NULL, error);
}

static int kill_and_free(nova_error_t **error)
{
	(void)error;
	nova_vm_kill(vm);
	nova_vm_free(STEAL(vm));
	return 0;
}

static int console(nova_error_t **error)
{
	(void)error;
	AUTO_FREE char *text = nova_vm_console(world.vm);
	return text ? 0 : NOVA_ENOMEM;
}

static int stats(nova_error_t **error)
{
	uint64_t values[8];
	int code = nova_vm_stats(world.vm, values, 8, error);
	return code < 0 ? code : 0;
}

/* --- what the fake engine cannot do, and says so --- */

static int fork_vm(nova_error_t **error)
{
	nova_vm_t *children[2] = { NULL, NULL };
	return nova_vm_fork(world.vm, 2, NULL, children, error);
}

static int park(nova_error_t **error)
{
	return nova_vm_park(world.vm, 1, 1000, NULL, error);
}

static int merge(nova_error_t **error)
{
	nova_vm_t *const branches[] = { vm };
	const nova_merge_opts opts = { sizeof(opts), .branches = branches, .branch_count = 1 };
	nova_vm_t *merged = NULL;
	nova_merge_t *report = NULL;
	int code = nova_vm_merge(world.vm, &opts, &merged, &report, error);
	if (report)
		(void)(nova_merge_count(report) + nova_merge_conflicts(report) +
			(nova_merge_path(report, 0) != NULL) + nova_merge_kind(report, 0) +
			nova_merge_branch(report, 0));
	nova_merge_free(report);
	return code;
}

static void prepare_merge(void)
{
	world_vm();
	prepare_start();
}

static int snapshot(nova_error_t **error)
{
	nova_snapshot_t *made = NULL;
	return nova_vm_snapshot(world.vm, NULL, &made, error);
}

const struct inject_case vm_cases[] = {
	{ "nova_vm_start nova_vm_id nova_vm_engine nova_vm_path nova_vm_path_why nova_vm_state "
	  "nova_vm_pid",
		.run = start, .undo = end },
	{ "nova_vm_free nova_vm_kill", .prepare = prepare_start, .run = kill_and_free },
	{ "nova_vm_init", NULL, prepare_code, init, end },
	{ "nova_vm_invoke nova_result_free nova_result_output nova_result_stdout "
	  "nova_result_stderr nova_result_truncated nova_result_failure nova_result_exit_code "
	  "nova_result_request_id nova_result_cold_start nova_result_vm_id nova_result_snapshot "
	  "nova_result_instance nova_result_version nova_result_path nova_result_path_why "
	  "nova_result_timing_us",
		NULL, world_vm, invoke, free_result, .runs = true },
	{ "nova_result_to_json", NULL, prepare_result, result_to_json, free_result,
		.silent = true },
	{ "nova_vm_cancel", NULL, world_vm, cancel },
	{ "nova_vm_command", NULL, world_vm, command, free_command },
	{ "nova_vm_command", NULL, prepare_stream, stream_command, free_stream, .commands = true },
	{ "nova_vm_list_files nova_files_count nova_files_path nova_files_kind nova_files_size "
	  "nova_files_mode nova_files_mtime_us nova_files_digest nova_files_target nova_files_free",
		make_files, prepare_files, list_files, remove_files },
	{ "nova_vm_read_file", make_files, prepare_files, read_file, remove_files },
	{ "nova_vm_write_file", make_files, world_vm, write_file, remove_files },
	{ "nova_vm_remove_file", make_files, prepare_files, remove_file, remove_files },
	{ "nova_vm_ping", NULL, world_vm, ping },
	{ "nova_vm_pause nova_vm_resume", NULL, world_vm, pause_and_resume, resume },
	{ "nova_vm_stop", NULL, prepare_start, stop, end },
	{ "nova_vm_console", NULL, world_vm, console, .silent = true },
	{ "nova_vm_stats", NULL, world_vm, stats },
	{ "nova_vm_fork", NULL, world_vm, fork_vm, .expected = NOVA_ENOTSUP },
	{ "nova_vm_park", NULL, world_vm, park, .expected = NOVA_ENOTSUP },
	{ "nova_vm_merge nova_merge_count nova_merge_conflicts nova_merge_path nova_merge_kind "
	  "nova_merge_branch nova_merge_free",
		NULL, prepare_merge, merge, end, .expected = NOVA_ENOTSUP },
	{ "nova_vm_snapshot", NULL, world_vm, snapshot, .expected = NOVA_ENOTSUP },
	{ NULL },
};
