/* SPDX-License-Identifier: MIT */
/* Code that is run once: checked as that of a function, and put on a disk of its own. */
#include "disk/disk.h"
#include "registry/internal.h"

#define OWN_PREFIX ".nova"
#define STDIN_NAME OWN_PREFIX "-stdin" /* beside the code */
#define ARGS_MAX   (32u << 10)         /* all variables together go through one message */
#define DAY_MS     86400000u

/* --- what is asked for --- */

static int too_large(uint64_t size, nova_error_t **error)
{
	return nova_fail(error, NOVA_ETOOBIG,
		"the code, the files beside it and stdin are %llu bytes together: %u are the limit",
		(unsigned long long)size, NOVA_RUN_SIZE_MAX);
}

static int check_size(const nova_function_opts *code, const nova_run_opts *o, nova_error_t **error)
{
	uint64_t size = code->code_len;
	if (o->stdin_len && !o->stdin_data)
		return nova_fail(error, NOVA_EINVAL, "stdin_len is %zu, but stdin_data is NULL",
			o->stdin_len);
	for (size_t i = 0; i < o->files_count && size <= NOVA_RUN_SIZE_MAX; i++)
		if (__builtin_add_overflow(size, o->files[i].len, &size))
			size = UINT64_MAX;
	if (__builtin_add_overflow(size, o->stdin_len, &size))
		size = UINT64_MAX;
	return size > NOVA_RUN_SIZE_MAX ? too_large(size, error) : 0;
}

static int refuse_file(const char *name, const char *why, nova_error_t **error)
{
	return nova_fail(error, NOVA_EINVAL, "the file '%.80s' %s",
		text_is_utf8(name) ? name : "(not UTF-8)", why);
}

static int check_name(const char *name, const char *entry, nova_error_t **error)
{
	if (!disk_name_ok(name))
		return refuse_file(name,
			"cannot lie beside the code: its name is to be one plain name of at most "
			"255 bytes, without '/'",
			error);
	if (!strcmp(name, entry))
		return refuse_file(name, "would be in the place of the code: rename it", error);
	if (!strcmp(name, DISK_LOST) || str_starts(name, OWN_PREFIX))
		return refuse_file(name, "has a name that is taken: rename it", error);
	return 0;
}

static int check_files(const nova_run_opts *o, const char *entry, nova_error_t **error)
{
	if (o->files_count > NOVA_RUN_FILES_MAX)
		return nova_fail(error, NOVA_EINVAL,
			"%zu files beside the code are too many: %u are the limit", o->files_count,
			NOVA_RUN_FILES_MAX);
	if (o->files_count && !o->files)
		return nova_fail(error, NOVA_EINVAL, "files_count is %zu, but files is NULL",
			o->files_count);
	for (size_t i = 0; i < o->files_count; i++) {
		const nova_run_file *file = &o->files[i];
		if (!file->name || (file->len && !file->data))
			return nova_fail(error, NOVA_EINVAL, "files[%zu] has no %s", i,
				file->name ? "data" : "name");
		int r = check_name(file->name, entry, error);
		for (size_t j = 0; j < i && r == 0; j++)
			if (!strcmp(o->files[j].name, file->name))
				r = refuse_file(file->name, "is given twice", error);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The same as that of a function; what only runs have is looked at by the rest of this file. */
static void function_opts(
	nova_function_opts *to, const char *language, const char *code, const nova_run_opts *o)
{
	uint32_t timeout_ms = o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT;
	*to = (nova_function_opts)NOVA_FUNCTION_OPTS_INIT;
	to->name = "run";
	to->runtime = language;
	to->code = code;
	to->code_len = o->code_len ? o->code_len : strlen(code);
	to->handler = o->handler;
	to->memory_mb = o->memory_mb;
	to->vcpus = o->vcpus;
	to->timeout_s = (timeout_ms + 999u) / 1000u;
	to->env = o->env;
	to->env_count = o->env_count;
	to->network = o->network;
}

static int check_timeout(const nova_run_opts *o, nova_error_t **error)
{
	return o->timeout_ms <= DAY_MS ?
		       0 :
		       nova_fail(error, NOVA_EINVAL, "timeout_ms is %u: a day, %u, is the most",
			       o->timeout_ms, DAY_MS);
}

/* --- what a program is given: the agent and the interpreters look for these variables --- */

static int put_argument(struct buf *list, const nova_run_opts *o, size_t i, nova_error_t **error)
{
	const char *argument = o->args[i];
	if (!argument || !text_is_utf8(argument))
		return nova_fail(
			error, NOVA_EINVAL, "argument %zu of the code is NULL or not UTF-8", i);
	int r = i ? buf_append(list, ",", 1) : 0;
	if (r == 0)
		r = json_put_string(list, argument, strlen(argument));
	if (r == -EMSGSIZE)
		return nova_fail(error, NOVA_ETOOBIG,
			"the arguments are too long: %u bytes as a list of JSON are the limit; "
			"the input, stdin and files have more room",
			ARGS_MAX);
	return r < 0 ? nova_oom(error) : 0;
}

static int add_arguments(
	struct function_record *record, const nova_run_opts *o, nova_error_t **error)
{
	AUTO_BUF struct buf list = BUF_INIT(ARGS_MAX);
	if (o->args_count && !o->args)
		return nova_fail(
			error, NOVA_EINVAL, "args_count is %zu, but args is NULL", o->args_count);
	int r = buf_append_str(&list, "NOVA_ARGS=[") < 0 ? nova_oom(error) : 0;
	for (size_t i = 0; i < o->args_count && r == 0; i++)
		r = put_argument(&list, o, i, error);
	if (r < 0 || !o->args_count)
		return r;
	list.max += 2;
	return buf_append(&list, "]", 2) < 0 ||
			       text_list_add(&record->config.env, (char *)list.data) < 0 ?
		       nova_oom(error) :
		       0;
}

static int add_stdin(struct function_record *record, const nova_run_opts *o, nova_error_t **error)
{
	return o->stdin_len && text_list_add(&record->config.env, "NOVA_STDIN=" STDIN_NAME) < 0 ?
		       nova_oom(error) :
		       0;
}

/* --- its disk --- */

/* Node and Python go by the ending of a file. NULL: out of memory. */
static char *entry_name(const struct runtime *runtime, const nova_run_opts *o)
{
	const char *dot = o->code_name && !o->handler ? strrchr(o->code_name, '.') : NULL;
	for (const char *const *ending = runtime->modules; dot && *ending; ending++)
		if (!strcmp(*ending, dot))
			return str_format("main%s", dot);
	return strdup("handler");
}

static int build_disk(struct registry *registry, const nova_function_opts *code,
	const nova_run_opts *o, const char *entry, char **ret_disk, nova_error_t **error)
{
	char random[17];
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.data = code->code;
	opts.data_len = code->code_len;
	opts.entry_name = entry;
	int r = random_hex(random, 16);
	if (r < 0)
		return nova_fail_os(error, r, "cannot get random bytes");
	AUTO_FREE struct disk_file *files = calloc(o->files_count + 1, sizeof(*files));
	AUTO_FREE char *path =
		str_format("%s/run-%s.ext4", host_engine_env(registry->host)->run_dir, random);
	if (!files || !path)
		return nova_oom(error);
	for (size_t i = 0; i < o->files_count; i++)
		files[i] =
			(struct disk_file){ o->files[i].name, o->files[i].data, o->files[i].len };
	files[o->files_count] = (struct disk_file){ STDIN_NAME, o->stdin_data, o->stdin_len };
	r = disk_build_once(path, &opts, files, o->files_count + (o->stdin_len > 0), error);
	if (r < 0)
		return nova_wrap(error, r, "code");
	*ret_disk = STEAL(path);
	return 0;
}

/* --- all of it --- */

/* A key of its own in the pool: what was made for one run is good for no other. */
static int name_record(struct function_record *record, nova_error_t **error)
{
	char random[17];
	int r = random_hex(random, 16);
	if (r < 0)
		return nova_fail_os(error, r, "cannot get random bytes");
	record->id = str_format("run-%s", random);
	return record->id ? 0 : nova_oom(error);
}

static int check_all(struct registry *registry, const nova_function_opts *code,
	const nova_run_opts *o, struct function_record *record, char **ret_entry,
	nova_error_t **error)
{
	AUTO_RUNTIME const struct runtime *runtime = NULL;
	int r = check_timeout(o, error);
	if (r == 0)
		r = check_size(code, o, error);
	if (r == 0)
		r = registry_check_opts(registry, code, record, &runtime, error);
	if (r < 0)
		return r;
	*ret_entry = entry_name(runtime, o);
	if (!*ret_entry)
		return nova_oom(error);
	r = check_files(o, *ret_entry, error);
	if (r == 0)
		r = add_arguments(record, o, error);
	if (r == 0)
		r = add_stdin(record, o, error);
	return r == 0 ? name_record(record, error) : r;
}

int registry_make_once(struct registry *registry, const char *language, const char *code,
	const nova_run_opts *o, struct once *ret_once, nova_error_t **error)
{
	AUTO_RECORD struct function_record record = { 0 };
	AUTO_FREE char *entry = NULL;
	nova_function_opts f;
	function_opts(&f, language, code, o);
	int r = check_all(registry, &f, o, &record, &entry, error);
	AUTO_FUNCTION nova_function_t *function = r == 0 ? function_new(&record) : NULL;
	if (r < 0 || !function)
		return r < 0 ? r : nova_oom(error);
	r = build_disk(registry, &f, o, entry, &ret_once->disk, error);
	if (r < 0)
		return r;
	if (runtime_rules(&function->record.config)->form == CODE_WASM)
		ret_once->compiled = compiled_once(registry, f.code, f.code_len);
	ret_once->function = STEAL(function);
	return 0;
}
