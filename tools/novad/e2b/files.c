/* SPDX-License-Identifier: MIT */
/* The files of a sandbox. Those calls that libnova has do most; commands of the guest the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "e2b.h"

#define COMMAND_MS 60000

const struct field e2b_file_query[] = {
	{ "path", KIND_TEXT, "of a file", .max = 4096 },
	{ "username", KIND_TEXT, "refused: there is one" },
	{ NULL },
};

const struct field e2b_path_fields[] = {
	{ "path", KIND_TEXT, "of a file or directory", true, .max = 4096 },
	{ NULL },
};

const struct field e2b_list_dir_fields[] = {
	{ "path", KIND_TEXT, "of a directory", true, .max = 4096 },
	{ "depth", KIND_NUMBER, "levels below it", .min = 0, .max = 64 },
	{ NULL },
};

const struct field e2b_move_fields[] = {
	{ "source", KIND_TEXT, "what is there", true, .max = 4096 },
	{ "destination", KIND_TEXT, "where it is to be", true, .max = 4096 },
	{ NULL },
};

static void release(void *instance)
{
	nova_instance_free(instance);
}

/* The job holds it; NULL: it has been answered. */
static nova_vm_t *vm_of(struct job *job)
{
	nova_error_t *error = NULL;
	nova_instance_t *instance = NULL;
	if (nova_instance_get(job_nova(job), job_text(job, "sandbox"), &instance, &error) == 0)
		job_hold(job, instance, release);
	else
		job_fail_by(job, error);
	nova_error_free(error);
	return nova_instance_vm(instance);
}

/* --- commands of the guest --- */

/* Its exit status; -1: the job has failed. What it says about a failure goes to `why`. */
static int command(struct job *job, nova_vm_t *vm, const char *script, const char *first,
	const char *second, char why[300])
{
	size_t len = 0;
	nova_error_t *error = NULL;
	nova_result_t *result = NULL;
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	const char *const argv[] = { "/bin/sh", "-c", script, "sh", first, second };
	opts.argv = argv;
	opts.argc = second ? 6 : 5;
	opts.timeout_ms = COMMAND_MS;
	opts.interrupt = job_interrupt(job);
	int code = nova_vm_command(vm, &opts, &result, &error);
	const char *said = nova_result_stderr(result, &len);
	snprintf(why, 300, "%.*s", (int)(len < 299 ? strcspn(said, "\n") : 299), said ? said : "");
	int status = code == 0 ? nova_result_exit_code(result) : -1;
	if (code != 0)
		job_fail_by(job, error);
	nova_result_free(result);
	nova_error_free(error);
	return status;
}

#define STATUS_THERE   17
#define STATUS_MISSING 44

/* False: it has been answered why not. */
static bool change(struct job *job, const char *script, const char *first, const char *second)
{
	char why[300];
	nova_vm_t *vm = vm_of(job);
	int status = vm ? command(job, vm, script, first, second, why) : -1;
	if (status == STATUS_THERE)
		job_problem(job, 409, "exists", "'%s' is there already", first);
	else if (status == STATUS_MISSING)
		job_problem(job, 404, "not_found", "'%s' is not there", first);
	else if (status > 0)
		job_problem(job, 400, "invalid", "%s", why);
	return status == 0;
}

static void make_dir(struct job *job)
{
	char *path = e2b_path(job_field(job, "path"));
	if (change(job, "[ -d \"$1\" ] && exit 17; exec mkdir -p -- \"$1\"", path, NULL))
		job_answer(job, json_object());
	free(path);
}

static void remove_it(struct job *job)
{
	char *path = e2b_path(job_field(job, "path"));
	if (change(job, "exec rm -rf -- \"$1\"", path, NULL))
		job_answer(job, json_object());
	free(path);
}

/* --- what is there --- */

/* As of "drwxr-xr-x". */
static json_t *permissions_json(int kind, uint32_t mode)
{
	char text[11] = "-rwxrwxrwx";
	if (kind == NOVA_FILE_DIRECTORY)
		*text = 'd';
	for (int i = 0; i < 9; i++)
		if (!(mode >> (8 - i) & 1))
			text[i + 1] = '-';
	return json_string(text);
}

/* One of a listing of that directory; who owns it is not told. */
static json_t *entry_json(const char *directory, const nova_files_t *files, size_t i)
{
	static const char *const types[] = { "UNSPECIFIED", "FILE", "DIRECTORY", "SYMLINK",
		"UNSPECIFIED" };
	char path[8300], type[40];
	int kind = nova_files_kind(files, i);
	const char *relative = nova_files_path(files, i), *slash = strrchr(relative, '/');
	const char *name = slash ? slash + 1 : relative, *target = nova_files_target(files, i);
	snprintf(path, sizeof(path), "%s/%s", strcmp(directory, "/") ? directory : "", relative);
	snprintf(type, sizeof(type), "FILE_TYPE_%s", types[kind]);
	return need(json_pack("{s:o,s:s,s:o,s:I,s:i,s:o,s:o,s:o*}", "name",
		text_json(name, strlen(name)), "type", type, "path", text_json(path, strlen(path)),
		"size", (json_int_t)nova_files_size(files, i), "mode",
		(int)nova_files_mode(files, i), "permissions",
		permissions_json(kind, nova_files_mode(files, i)), "modifiedTime",
		e2b_time((int64_t)nova_files_mtime_us(files, i)), "symlinkTarget",
		*target ? text_json(target, strlen(target)) : NULL));
}

/* NULL: it has been answered. */
static nova_files_t *listing(struct job *job, nova_vm_t *vm, const char *path, uint32_t depth)
{
	nova_error_t *error = NULL;
	nova_files_t *files = NULL;
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	wait.interrupt = job_interrupt(job);
	if (nova_vm_list_files(vm, path, depth, &wait, &files, &error) != 0)
		job_fail_by(job, error);
	nova_error_free(error);
	return files;
}

static void list_dir(struct job *job)
{
	uint32_t depth = job_field_number(job, "depth");
	char *path = e2b_path(job_field(job, "path"));
	nova_vm_t *vm = vm_of(job);
	nova_files_t *files = vm ? listing(job, vm, path, depth ? depth : 1) : NULL;
	if (files) {
		json_t *entries = need(json_array());
		for (size_t i = 0; i < nova_files_count(files); i++)
			json_array_append_new(entries, entry_json(path, files, i));
		job_answer(job, json_pack("{s:o}", "entries", entries));
	}
	nova_files_free(files);
	free(path);
}

/* It stands in the listing of its directory. */
static void answer_entry(struct job *job, nova_vm_t *vm, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	char *directory = need(strndup(path, name > path + 1 ? (size_t)(name - path) - 1 : 1));
	nova_files_t *files = listing(job, vm, directory, 1);
	json_t *entry = NULL;
	for (size_t i = 0; i < nova_files_count(files) && !entry; i++)
		if (!strcmp(nova_files_path(files, i), name))
			entry = entry_json(directory, files, i);
	if (entry)
		job_answer(job, json_pack("{s:o}", "entry", entry));
	else if (files)
		job_problem(job, 404, "not_found", "'%s' is not there", path);
	nova_files_free(files);
	free(directory);
}

static void answer_root(struct job *job)
{
	job_answer(job, json_pack("{s:{s:s,s:s,s:s}}", "entry", "name", "/", "path", "/", "type",
				"FILE_TYPE_DIRECTORY"));
}

static void stat_it(struct job *job)
{
	char *path = e2b_path(job_field(job, "path"));
	nova_vm_t *vm = vm_of(job);
	if (vm && !path[1])
		answer_root(job);
	else if (vm)
		answer_entry(job, vm, path);
	free(path);
}

static void move(struct job *job)
{
	char *from = e2b_path(job_field(job, "source"));
	char *to = e2b_path(job_field(job, "destination"));
	if (change(job,
		    "[ -e \"$1\" ] || [ -L \"$1\" ] || exit 44\n"
		    "mkdir -p -- \"${2%/*}/\" && exec mv -T -- \"$1\" \"$2\"",
		    from, to))
		answer_entry(job, nova_instance_vm(job_held(job)), to);
	free(from);
	free(to);
}

/* --- content --- */

static void read_file(struct job *job)
{
	void *data = NULL;
	size_t len = 0;
	nova_error_t *error = NULL;
	nova_file_read_opts opts = NOVA_FILE_READ_OPTS_INIT;
	const struct novad *novad = job_userdata(job);
	nova_vm_t *vm = vm_of(job);
	if (!vm)
		return;
	char *path = e2b_path(job_query(job, "path") ? job_query(job, "path") : "");
	opts.max_size = (size_t)novad->settings.body_kb << 10;
	opts.interrupt = job_interrupt(job);
	if (nova_vm_read_file(vm, path, &opts, &data, &len, &error) != 0)
		job_fail_by(job, error);
	else
		job_answer_bytes(job, data, len);
	nova_free(data);
	nova_error_free(error);
	free(path);
}

static int write_once(struct job *job, nova_vm_t *vm, const char *path, const char *data,
	size_t len, nova_error_t **error)
{
	nova_file_write_opts opts = NOVA_FILE_WRITE_OPTS_INIT;
	opts.interrupt = job_interrupt(job);
	return nova_vm_write_file(vm, path, data, len, &opts, error);
}

/* With the directories that are missing. False: it has been answered why not. */
static bool write_one(
	struct job *job, nova_vm_t *vm, const char *path, const char *data, size_t len)
{
	char why[300];
	nova_error_t *error = NULL;
	int code = write_once(job, vm, path, data, len, &error), status = 0;
	if (code == NOVA_ENOTFOUND) {
		nova_error_free(error);
		error = NULL;
		status = command(job, vm, "exec mkdir -p -- \"${1%/*}/\"", path, NULL, why);
		if (status == 0)
			code = write_once(job, vm, path, data, len, &error);
	}
	if (status > 0)
		job_problem(job, 400, "invalid", "%s", why);
	else if (error)
		job_fail_by(job, error);
	nova_error_free(error);
	return code == 0;
}

static void write_files(struct job *job)
{
	size_t i, at = 0;
	json_t *part;
	const struct bytes *body = job_body(job);
	const json_t *parts = json_object_get(job_options(job), "parts");
	nova_vm_t *vm = vm_of(job);
	json_t *written = need(json_array());
	bool done = vm != NULL;
	json_array_foreach(parts, i, part)
	{
		size_t len = (size_t)json_integer_value(json_object_get(part, "len"));
		char *path = e2b_path(json_string_value(json_object_get(part, "path")));
		done = done && write_one(job, vm, path, body->data + at, len);
		json_array_append_new(
			written, need(json_pack("{s:s,s:s,s:s}", "name", strrchr(path, '/') + 1,
					 "type", "file", "path", path)));
		at += len;
		free(path);
	}
	if (done)
		job_answer(job, written);
	else
		json_decref(written);
}

const struct job_verb verb_e2b_read = { .name = "read", .work = read_file };
const struct job_verb verb_e2b_write = { .name = "write", .work = write_files };
const struct job_verb verb_e2b_stat = { .name = "stat", .work = stat_it };
const struct job_verb verb_e2b_list_dir = { .name = "list", .work = list_dir };
const struct job_verb verb_e2b_make_dir = { .name = "make", .work = make_dir };
const struct job_verb verb_e2b_move = { .name = "move", .work = move };
const struct job_verb verb_e2b_remove = { .name = "remove", .work = remove_it };
