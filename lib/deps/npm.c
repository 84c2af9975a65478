/* SPDX-License-Identifier: MIT */
/* Node: npm installs what the lock file says, and runs no script of a package. */
#include <errno.h>
#include <fcntl.h>

#include "deps/helper.h"
#include "json/json.h"

#define LOCK     "package-lock.json"
#define FILE_MAX (64u << 20)
#define DEPTH    32 /* packages in packages */

static char *beside(const char *file, const char *name)
{
	const char *slash = strrchr(file, '/');
	return str_format("%.*s/%s", (int)(slash ? slash - file : 0), file, name);
}

/* npm works where these two are: not where the user has them. */
static int copy_in(const struct job *job, const char *from, const char *name, nova_error_t **error)
{
	AUTO_FREE char *to = path_join(job->target, name);
	AUTO_BUF struct buf content = BUF_INIT(FILE_MAX);
	int r = to ? fs_read_file(from, &content) : -ENOMEM;
	if (r == -ENOENT && !strcmp(name, LOCK))
		return nova_fail(error, NOVA_EINVAL,
			"requirements: there is no " LOCK " beside %s; make it with: npm install "
			"--package-lock-only",
			job->text[DEPS_FILE]);
	if (r == 0)
		r = fs_write_file(to, content.data, content.len, 0600);
	return r < 0 ? nova_fail_os(error, r, "requirements: cannot copy %s", from) : 0;
}

/* The function's own are what counts; the directory of the packages stays. */
static int take_out(const struct job *job, const char *name, nova_error_t **error)
{
	AUTO_FREE char *path = path_join(job->target, name);
	int r = path ? fs_unlink(path) : -ENOMEM;
	return r < 0 ? nova_fail_os(error, r, "requirements: cannot remove %s", name) : 0;
}

/* --- what npm says --- */

/* "npm error code E404", and before version 10 "npm ERR! code E404". */
static bool has_code(const char *log, const char *code)
{
	AUTO_FREE char *line = str_format(" code %s", code);
	return line && strstr(log, line);
}

static bool has_any(const char *log, const char *const *codes)
{
	for (; *codes; codes++)
		if (has_code(log, *codes))
			return true;
	return false;
}

/* The first line of an error that is not its code; freed by the caller. */
static char *own_words(const char *log)
{
	for (const char *at = log; *at;) {
		size_t len = strcspn(at, "\n"), head = 0;
		if (str_starts(at, "npm error ") || str_starts(at, "npm ERR! "))
			head = strlen("npm error ");
		if (len > head && head && !str_starts(at + head, "code ") &&
			!str_starts(at + head, "errno ") && !str_starts(at + head, "syscall "))
			return strndup(at + head, len - head < 300 ? len - head : 300);
		at += len + (at[len] != 0);
	}
	return strdup("it does not say why");
}

static int explain(const struct job *job, const char *log, nova_error_t **error)
{
	static const char *const unreachable[] = { "ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN",
		"ETIMEDOUT", "ECONNRESET", "ERR_SOCKET_TIMEOUT", NULL };
	static const char *const missing[] = { "E404", "ETARGET", "ENOTCACHED", "ENOVERSIONS",
		NULL };
	AUTO_FREE char *words = own_words(log);
	const char *file = job->text[DEPS_FILE], *why = words ? words : "";
	if (strstr(log, "can only install packages when your package.json"))
		return nova_fail(error, NOVA_EINVAL,
			"requirements: the " LOCK " beside %s does not fit it; make it anew with: "
			"npm install --package-lock-only",
			file);
	if (has_any(log, unreachable))
		return nova_fail(error, NOVA_EIO,
			"requirements: the registry cannot be reached (%s); look at the network, "
			"at npm_config_registry and at the proxy, or give npm's cache (find_links)",
			why);
	if (has_any(log, missing))
		return nova_fail(error, NOVA_ENOTFOUND,
			"requirements: a package of %s is not there: %s", file, why);
	if (has_code(log, "EINTEGRITY"))
		return nova_fail(error, NOVA_ECORRUPT,
			"requirements: a package does not have the hash that the " LOCK
			" gives: %s",
			why);
	return nova_fail(error, NOVA_EINVAL, "requirements: npm cannot install %s: %s", file, why);
}

/* --- what cannot be as it is --- */

static const char *name_of(const char *path)
{
	return strstr(path, "node_modules/") + strlen("node_modules/");
}

static int fail_native(const char *path, nova_error_t **error)
{
	return nova_fail(error, NOVA_EINVAL,
		"requirements: the package %s builds native code or fetches it, which is not done "
		"here; take one that comes built, or that is JavaScript alone",
		name_of(path));
}

static json_t *read_manifest(const char *path)
{
	AUTO_FREE char *file = path_join(path, "package.json");
	AUTO_BUF struct buf text = BUF_INIT(FILE_MAX);
	if (!file || fs_read_file(file, &text) < 0)
		return NULL;
	return json_loadb((char *)text.data, text.len, 0, NULL);
}

/* What npm would run of it now. */
static const char *const when_installed[] = { "preinstall", "install", "postinstall" };

/* Without these programs nothing native comes to be; other scripts only tidy up or advertise. */
static bool makes_native(const char *script)
{
	static const char *const programs[] = { "gyp", "prebuild-install", "cmake-js",
		"prebuildify" };
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		if (strstr(script, programs[i]))
			return true;
	return false;
}

static int check_scripts(const char *path, nova_error_t **error)
{
	AUTO_JSON json_t *manifest = read_manifest(path);
	const json_t *scripts = json_object_get(manifest, "scripts");
	bool told = false;
	for (size_t i = 0; i < ARRAY_LEN(when_installed); i++) {
		const char *script = json_string_value(json_object_get(scripts, when_installed[i]));
		if (!script)
			continue;
		if (makes_native(script))
			return fail_native(path, error);
		AUTO_FREE char *text = str_format(
			"%s: its script %s is not run", name_of(path), when_installed[i]);
		if (text && !told)
			report_progress(text);
		told = true;
	}
	return 0;
}

static bool has_entry(char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

/* A package with a recipe of node-gyp and nothing that was built by it before; or one whose scripts
 * would make that. */
static int check_content(const char *path, char *const *names, int count, nova_error_t **error)
{
	if (has_entry(names, count, "prebuilds"))
		return 0;
	if (has_entry(names, count, "binding.gyp"))
		return fail_native(path, error);
	return has_entry(names, count, "package.json") ? check_scripts(path, error) : 0;
}

/* "dependencies": {"b": "file:../b"} makes a link to that place. */
static int check_link(const char *path, nova_error_t **error)
{
	AUTO_FREE char *target = NULL;
	if (sys_readlinkat(AT_FDCWD, path, &target) < 0 || strstr(path, "/.bin/"))
		return 0;
	return nova_fail(error, NOVA_EINVAL,
		"requirements: the package %s is a directory of this host, which is not copied; "
		"make an archive of it with npm pack, and name that",
		name_of(path));
}

static int check_package(const char *path, int depth, nova_error_t **error)
{
	char **names;
	int code = depth ? check_link(path, error) : 0;
	if (code < 0)
		return code;
	int count = depth < DEPTH && fs_is_directory(path) > 0 ? fs_list(path, &names) : 0;
	if (depth)
		code = check_content(path, names, count, error);
	for (int i = 0; code == 0 && i < count; i++) {
		AUTO_FREE char *entry = path_join(path, names[i]);
		code = entry ? check_package(entry, depth + 1, error) : nova_oom(error);
	}
	if (count > 0)
		strv_free(names, (size_t)count);
	return code;
}

static int check_packages(const struct job *job, nova_error_t **error)
{
	AUTO_FREE char *modules = path_join(job->target, "node_modules");
	return modules ? check_package(modules, 0, error) : nova_oom(error);
}

/* --- all of it --- */

static int run_npm(const struct job *job, nova_error_t **error)
{
	const char *links = job->text[DEPS_LINKS];
	bool url = strstr(links, "://"), cache = *links && !url;
	const char *const argv[] = { "npm", "ci", "--ignore-scripts", "--omit=dev", "--no-audit",
		"--no-fund", "--no-progress", "--no-update-notifier", "--fetch-retries=1",
		"--prefix", job->target,
		url   ? "--registry" :
		cache ? "--cache" :
			NULL,
		links, cache ? "--offline" : NULL, NULL };
	AUTO_FREE char *log = NULL;
	int status, code = run(job, argv, &status, &log, error);
	if (code == NOVA_ENOTFOUND) {
		nova_error_free(*error);
		*error = NULL;
		return nova_fail(error, code,
			"requirements: npm is missing on this host; install it with: apt-get "
			"install npm");
	}
	return code == 0 && status ? explain(job, log, error) : code;
}

int npm_install(const struct job *job, nova_error_t **error)
{
	AUTO_FREE char *lock = beside(job->text[DEPS_FILE], LOCK);
	if (!lock)
		return nova_oom(error);
	int code = copy_in(job, job->text[DEPS_FILE], "package.json", error);
	if (code == 0)
		code = copy_in(job, lock, LOCK, error);
	if (code == 0)
		code = run_npm(job, error);
	if (code == 0)
		code = check_packages(job, error);
	if (code == 0)
		code = take_out(job, "package.json", error);
	return code < 0 ? code : take_out(job, LOCK, error);
}
