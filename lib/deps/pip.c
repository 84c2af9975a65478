/* SPDX-License-Identifier: MIT */
/* Python: pip installs wheels for the guest's Python. Of what has no wheel the source becomes one
 * here, if it is for every machine. */
#include "deps/helper.h"

#define MAX_ARGS  192
#define MAX_BUILT 64 /* packages of which there is no wheel */
#define NAME_END  "<>=!~[;@ ("
#define LOWEST    5 /* manylinux_2_5 is manylinux1 */

struct args {
	const char *list[MAX_ARGS + 1];
	char *owned[MAX_ARGS]; /* those that were made for it */
	size_t count, owned_count;
	bool no_memory;
};

static void args_done(struct args *args)
{
	for (size_t i = 0; i < args->owned_count; i++)
		free(args->owned[i]);
}
#define AUTO_ARGS CLEANUP(args_done)

static void add(struct args *args, const char *text)
{
	if (text && args->count < MAX_ARGS)
		args->list[args->count++] = text;
	else
		args->no_memory = true;
}

static void add_made(struct args *args, char *text)
{
	add(args, text);
	if (text)
		args->owned[args->owned_count++] = text;
}

/* Where packages come from, and how quickly a registry that is not there is given up. */
static void add_pip(struct args *args, const struct job *job, const char *verb)
{
	static const char *const all[] = { "--no-input", "--disable-pip-version-check",
		"--no-color", "--progress-bar", "off", "--retries", "1", "--timeout", "15" };
	add(args, "python3");
	add(args, "-m");
	add(args, "pip");
	add(args, verb);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		add(args, all[i]);
	if (!*job->text[DEPS_LINKS])
		return;
	add(args, "--no-index");
	add(args, "--find-links");
	add(args, job->text[DEPS_LINKS]);
}

/* A C library runs what was built for it, and for those before it. */
static void add_platforms(struct args *args, const char *platform)
{
	static const char *const old[] = { "manylinux2014", "manylinux2010", "manylinux1" };
	const char *last = strrchr(platform, '_');
	int newest = last ? (int)strtol(last + 1, NULL, 10) : 0;
	bool musl = str_starts(platform, "musl");
	for (int minor = newest; minor >= (musl ? 0 : LOWEST); minor--) {
		add(args, "--platform");
		add_made(args,
			str_format("%.*s_%d_x86_64", (int)(last - platform), platform, minor));
	}
	for (size_t i = 0; !musl && i < ARRAY_LEN(old); i++) {
		add(args, "--platform");
		add_made(args, str_format("%s_x86_64", old[i]));
	}
}

static void add_guest(struct args *args, const struct job *job)
{
	const char *version = job->text[DEPS_PYTHON], *dot = strchr(version, '.');
	if (!dot)
		return;
	add(args, "--python-version");
	add(args, version);
	add(args, "--implementation");
	add(args, "cp");
	add(args, "--abi");
	add_made(args, str_format("cp%.*s%s", (int)(dot - version), version, dot + 1));
	add(args, "--abi");
	add(args, "abi3");
	add(args, "--abi");
	add(args, "none");
	add_platforms(args, job->text[DEPS_PLATFORM]);
}

static int run_pip(const struct job *job, struct args *args, int *ret_status, char **ret_log,
	nova_error_t **error)
{
	args->list[args->count] = NULL;
	if (args->no_memory)
		return nova_oom(error);
	int code = run(job, args->list, ret_status, ret_log, error);
	bool missing = code == NOVA_ENOTFOUND;
	if (code == 0 && *ret_status)
		missing = line_with(*ret_log, "No module named pip") != NULL;
	if (!missing)
		return code;
	nova_error_free(*error);
	*error = NULL;
	return nova_fail(error, NOVA_ENOTFOUND,
		"requirements: pip is missing on this host ('python3 -m pip' does not run); "
		"install it with: apt-get install python3-pip");
}

/* --- what has no wheel --- */

/* The wheel that was made; freed by the caller. */
static char *newest_wheel(const char *directory)
{
	char **names, *found = NULL;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count && !found; i++) {
		size_t len = strlen(names[i]);
		if (len > 4 && !strcmp(names[i] + len - 4, ".whl"))
			found = strdup(names[i]);
	}
	if (count > 0)
		strv_free(names, (size_t)count);
	return found;
}

static bool is_pure(const char *wheel)
{
	static const char ending[] = "-none-any.whl";
	size_t len = strlen(wheel);
	return len > strlen(ending) && !strcmp(wheel + len - strlen(ending), ending);
}

/* Out of the directory in which it was made, into that of all. */
static int take_wheel(
	const char *package, const char *made, const char *wheels, nova_error_t **error)
{
	AUTO_FREE char *wheel = newest_wheel(made);
	AUTO_FREE char *from = wheel ? path_join(made, wheel) : NULL;
	AUTO_FREE char *to = wheel ? path_join(wheels, wheel) : NULL;
	if (!from || !to)
		return nova_fail(error, NOVA_EINVAL,
			"requirements: building the source of %s made no wheel", package);
	if (!is_pure(wheel))
		return nova_fail(error, NOVA_EINVAL,
			"requirements: %s has no wheel for the guest, and its source builds native "
			"code (%s), which is this host's; take a version that has a wheel",
			package, wheel);
	int r = fs_rename(from, to);
	return r < 0 ? nova_fail_os(error, r, "cannot move the wheel of %s", package) : 0;
}

/* NULL: out of memory. */
static int make_directory(const char *path, nova_error_t **error)
{
	int r = path ? fs_mkdirs(path, 0700) : 0;
	if (!path)
		return nova_oom(error);
	return r < 0 ? nova_fail_os(error, r, "cannot make '%s'", path) : 0;
}

/* Whoever calls a compiler is told at once that there is none. */
static int build(
	const struct job *job, const char *package, const char *wheels, nova_error_t **error)
{
	AUTO_ARGS struct args args = { .count = 0 };
	AUTO_FREE char *made = path_join(job->text[DEPS_WORK], "made"), *log = NULL;
	int status;
	int code = make_directory(made, error);
	if (code == 0)
		code = make_directory(wheels, error);
	if (code < 0)
		return code;
	add_pip(&args, job, "wheel");
	add(&args, "--no-deps");
	add(&args, "--no-binary");
	add_made(&args, strndup(package, strcspn(package, NAME_END)));
	add(&args, "--wheel-dir");
	add(&args, made);
	add(&args, package);
	setenv("CC", "no-native-code", 1);
	setenv("CXX", "no-native-code", 1);
	code = run_pip(job, &args, &status, &log, error);
	if (code == 0 && status)
		code = pip_explain_build(package, log, error);
	return code < 0 ? code : take_wheel(package, made, wheels, error);
}

/* --- all of it --- */

static int install_once(const struct job *job, const char *wheels, int *ret_status, char **ret_log,
	nova_error_t **error)
{
	AUTO_ARGS struct args args = { .count = 0 };
	add_pip(&args, job, "install");
	add(&args, "-vv"); /* which files were passed over, and why */
	add(&args, "--no-compile");
	add(&args, "--no-warn-script-location");
	add(&args, "--only-binary");
	add(&args, ":all:");
	add(&args, "--target");
	add(&args, job->target);
	add(&args, "--requirement");
	add(&args, job->text[DEPS_FILE]);
	add(&args, "--find-links");
	add(&args, wheels);
	add_guest(&args, job);
	return run_pip(job, &args, ret_status, ret_log, error);
}

/* "Tag: cp311-cp311-linux_x86_64" has what was built on this host, from a source that the
 * requirements name by its place. */
static int check_metadata(const struct job *job, const char *name, nova_error_t **error)
{
	AUTO_FREE char *path = str_format("%s/%s/WHEEL", job->target, name);
	AUTO_BUF struct buf content = BUF_INIT(64u << 10);
	if (!path || fs_read_file(path, &content) < 0)
		return 0;
	AUTO_FREE char *text = buf_steal_str(&content);
	if (!text || !strstr(text, "-linux_x86_64"))
		return 0;
	return nova_fail(error, NOVA_EINVAL,
		"requirements: %.*s builds native code, which is this host's; take a version that "
		"has a wheel",
		(int)(strstr(name, ".dist-info") - name), name);
}

static int check_built(const struct job *job, nova_error_t **error)
{
	char **names;
	int count = fs_list(job->target, &names), code = 0;
	for (int i = 0; code == 0 && i < count; i++)
		if (strstr(names[i], ".dist-info"))
			code = check_metadata(job, names[i], error);
	if (count > 0)
		strv_free(names, (size_t)count);
	return code;
}

/* The code disk cannot be written, so the guest would compile each module anew whenever it imports
 * it. Another version's code would not be taken; what cannot be compiled stays source. Each names
 * the source that it is of, as a file of the function may take the place of that. */
static int compile(const struct job *job, nova_error_t **error)
{
	static const char program[] =
		"import compileall, py_compile, sys\n"
		"if sys.argv[2] in ('', '%d.%d' % sys.version_info[:2]):\n"
		"    mode = py_compile.PycInvalidationMode.CHECKED_HASH\n"
		"    compileall.compile_dir(sys.argv[1], quiet=2, stripdir=sys.argv[1],\n"
		"        prependdir='/code', invalidation_mode=mode)\n";
	AUTO_FREE char *log = NULL;
	const char *const argv[] = { "python3", "-c", program, job->target, job->text[DEPS_PYTHON],
		NULL };
	int status;
	setenv("PYTHONHASHSEED", "0", 1); /* the same bytes each time */
	report_progress("Compiling");
	return run(job, argv, &status, &log, error);
}

static int finish(const struct job *job, nova_error_t **error)
{
	int code = check_built(job, error);
	return code < 0 ? code : compile(job, error);
}

int pip_install(const struct job *job, nova_error_t **error)
{
	AUTO_FREE char *wheels = path_join(job->text[DEPS_WORK], "wheels");
	int made = make_directory(wheels, error);
	if (made < 0)
		return made;
	for (int built = 0; built <= MAX_BUILT; built++) {
		AUTO_FREE char *log = NULL, *package = NULL;
		int status, code = install_once(job, wheels, &status, &log, error);
		if (code < 0 || status == 0)
			return code < 0 ? code : finish(job, error);
		package = pip_wants_source(log);
		if (!package)
			return pip_explain(job, log, error);
		code = build(job, package, wheels, error);
		if (code < 0)
			return code;
	}
	return nova_fail(error, NOVA_ETOOBIG,
		"requirements: more than %d packages of %s have no wheel", MAX_BUILT,
		job->text[DEPS_FILE]);
}
