/* SPDX-License-Identifier: MIT */
/* What pip says at great length, in a sentence that names the package and the way out. */
#include "deps/helper.h"

#define NOT_FOUND "No matching distribution found for "
#define SENTENCE  300

const char *line_with(const char *log, const char *part)
{
	const char *found = strstr(log, part);
	return found ? found + strlen(part) : NULL;
}

/* Up to the end of the line, but for " (from …)"; freed by the caller. */
static char *rest_of_line(const char *at)
{
	size_t len = strcspn(at, "\r\n");
	const char *from = memmem(at, len, " (from ", 7);
	if (from)
		len = (size_t)(from - at);
	return strndup(at, len < SENTENCE ? len : SENTENCE);
}

/* A requirement without what it says of versions, as file names have it: in lower case, '_' for
 * '-' and '.'. */
static void file_name_of(const char *requirement, char *out, size_t size)
{
	size_t n = 0;
	for (const char *at = requirement; *at && !strchr("<>=!~[;@ (", *at) && n + 1 < size; at++)
		out[n++] = *at == '-' || *at == '.' ? '_' :
			   *at >= 'A' && *at <= 'Z' ? (char)(*at + 'a' - 'A') :
						      *at;
	out[n] = 0;
}

/* Whether a file is of that package: "Foo.Bar-1.0-…" of "foo_bar". */
static bool is_of(const char *file, const char *package)
{
	char name[128];
	size_t len = strlen(package);
	file_name_of(file, name, sizeof(name));
	return !strncmp(name, package, len) && name[len] == '_';
}

/* The last file that was passed over for this reason, of this package; freed by the caller. */
static char *passed_over(const char *log, const char *reason, const char *requirement)
{
	char package[128];
	char *last = NULL;
	file_name_of(requirement, package, sizeof(package));
	for (const char *at = log; (at = strstr(at, reason)) != NULL; at++) {
		size_t len = strcspn(at, "\r\n");
		AUTO_FREE char *line = strndup(at, len);
		/* "…: https://host/path/foo-1.0-….whl#sha256=… (from …) (requires-python:…)" */
		const char *link = line ? strstr(line, "://") : NULL;
		if (!link)
			continue;
		char *end = (char *)link + strcspn(link, "# ");
		*end = 0;
		const char *slash = strrchr(link, '/');
		if (!slash || !is_of(slash + 1, package))
			continue;
		free(last);
		last = strdup(slash + 1);
	}
	return last;
}

static char *missing_package(const char *log)
{
	const char *at = line_with(log, NOT_FOUND);
	return at ? rest_of_line(at) : NULL;
}

static bool is_unreachable(const char *log)
{
	return strstr(log, "connection broken by") || strstr(log, "Could not fetch URL") ||
	       strstr(log, "Max retries exceeded") || strstr(log, "ConnectTimeoutError");
}

char *pip_wants_source(const char *log)
{
	AUTO_FREE char *package = missing_package(log);
	if (!package || *package == '-' || is_unreachable(log))
		return NULL;
	AUTO_FREE char *source = passed_over(log, "No sources permitted for ", package);
	return source ? STEAL(package) : NULL;
}

/* --- one kind of failure each: 0 if it is another --- */

static int fail_misfit(const struct job *job, const char *wheel, nova_error_t **error)
{
	const char *python = job->text[DEPS_PYTHON];
	if (!*python) /* the engine fake */
		return nova_fail(error, NOVA_EINVAL,
			"requirements: the wheel %s does not fit the guest, which is this host; "
			"take a version of it that has a fitting wheel",
			wheel);
	return nova_fail(error, NOVA_EINVAL,
		"requirements: the wheel %s does not fit the guest, which has Python %s and "
		"%s_x86_64; take a version of it that has a fitting wheel",
		wheel, python, job->text[DEPS_PLATFORM]);
}

/* The package that the line below names; freed by the caller. */
static char *line_below(const char *at)
{
	const char *next = strchr(at, '\n');
	return next ? rest_of_line(next + 1 + strspn(next + 1, " \n")) : NULL;
}

static int hash_mismatch(const char *log, nova_error_t **error)
{
	const char *at = line_with(log, "DO NOT MATCH THE HASHES");
	AUTO_FREE char *package = at ? line_below(at) : NULL;
	if (at)
		return nova_fail(error, NOVA_ECORRUPT,
			"requirements: %s does not have the hash that is given for it; it was "
			"changed, or the hash is another version's",
			package ? package : "a package");
	return 0;
}

/* Where one has a hash. */
static int hash_missing(const char *log, nova_error_t **error)
{
	const char *at = line_with(log, "Hashes are required in --require-hashes mode");
	if (!at)
		at = line_with(log, "In --require-hashes mode, all requirements must have");
	AUTO_FREE char *package = at ? line_below(at) : NULL;
	if (at)
		return nova_fail(error, NOVA_EINVAL,
			"requirements: where one package has a hash all need one, and a version "
			"after ==; %s has none",
			package ? package : "another");
	return 0;
}

static int unreachable(const char *log, nova_error_t **error)
{
	if (!is_unreachable(log))
		return 0;
	AUTO_FREE char *package = missing_package(log);
	return nova_fail(error, NOVA_EIO,
		"requirements: the registry cannot be reached%s%s; look at the network, at "
		"PIP_INDEX_URL and at the proxy, or give the packages in a directory "
		"(find_links)",
		package ? " for " : "", package ? package : "");
}

/* "from versions: 1.0, 2.0" */
static char *versions_of(const char *log)
{
	const char *at = line_with(log, "(from versions: ");
	size_t len = at ? strcspn(at, ")\r\n") : 0;
	return at && strncmp(at, "none", 4) != 0 ? strndup(at, len < SENTENCE ? len : SENTENCE) :
						   NULL;
}

static int not_found(const struct job *job, const char *log, nova_error_t **error)
{
	AUTO_FREE char *package = missing_package(log);
	if (!package)
		return 0;
	AUTO_FREE char *versions = versions_of(log);
	AUTO_FREE char *wheel = passed_over(log, "none of the wheel's tags", package);
	if (wheel)
		return fail_misfit(job, wheel, error);
	if (versions)
		return nova_fail(error, NOVA_ENOTFOUND,
			"requirements: there is no version %s; there are %s", package, versions);
	return nova_fail(error, NOVA_ENOTFOUND, "requirements: there is no package %s in %s",
		package, *job->text[DEPS_LINKS] ? job->text[DEPS_LINKS] : "the registry");
}

static int unsupported_wheel(const struct job *job, const char *log, nova_error_t **error)
{
	const char *end = strstr(log, " is not a supported wheel on this platform"), *at = end;
	while (at && at > log && at[-1] != ' ' && at[-1] != '\n' && at[-1] != '/')
		at--;
	AUTO_FREE char *wheel = end ? strndup(at, (size_t)(end - at)) : NULL;
	return wheel ? fail_misfit(job, wheel, error) : 0;
}

/* What it says itself: its first error, else its last line. */
static char *own_words(const char *log)
{
	const char *at = line_with(log, "ERROR: ");
	size_t end = strlen(log);
	while (end && strchr("\r\n ", log[end - 1]))
		end--;
	if (at)
		return rest_of_line(at);
	size_t begin = end;
	while (begin && log[begin - 1] != '\n')
		begin--;
	return strndup(log + begin, end - begin < SENTENCE ? end - begin : SENTENCE);
}

int pip_explain(const struct job *job, const char *log, nova_error_t **error)
{
	int code = hash_mismatch(log, error);
	if (code == 0)
		code = hash_missing(log, error);
	if (code == 0)
		code = unreachable(log, error);
	if (code == 0)
		code = unsupported_wheel(job, log, error);
	if (code == 0)
		code = not_found(job, log, error);
	if (code < 0)
		return code;
	AUTO_FREE char *words = own_words(log);
	if (strstr(log, "No space left on device"))
		return nova_fail(error, NOVA_ENOSPC,
			"requirements: no space is left for the packages of %s",
			job->text[DEPS_FILE]);
	return nova_fail(error, NOVA_EINVAL, "requirements: pip cannot install %s: %s",
		job->text[DEPS_FILE], words ? words : "");
}

int pip_explain_build(const char *package, const char *log, nova_error_t **error)
{
	if (strstr(log, "no-native-code"))
		return nova_fail(error, NOVA_EINVAL,
			"requirements: %s has no wheel for the guest, and its source builds native "
			"code; take a version that has a wheel",
			package);
	AUTO_FREE char *words = own_words(log);
	return nova_fail(error, NOVA_EINVAL,
		"requirements: %s has no wheel, and its source cannot be built: %s", package,
		words ? words : "");
}
