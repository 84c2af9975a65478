/* SPDX-License-Identifier: MIT */
/*
 * nova-deps: installs the packages of a function by the ordinary client of its language.
 *
 * A child of nova-keeper, which ends it and whatever it has started when nobody waits for it any
 * more. So it looks after no process but the one that it waits for, and cleans up nothing: its
 * directory is the library's.
 */
#include <fcntl.h>
#include <unistd.h>

#include "deps/helper.h"

static void say(char kind, const char *text)
{
	AUTO_FREE char *line = str_format("%c%s\n", kind, text);
	for (char *at = line; at && at[1]; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	size_t len = line ? utf8_valid_prefix((const uint8_t *)line, strlen(line)) : 0;
	if (line && len == strlen(line))
		sys_write_all(DEPS_SOCKET_FD, line, len);
	else if (kind != DEPS_PROGRESS)
		sys_write_all(DEPS_SOCKET_FD, "E-7 its output is not UTF-8\n", 28);
}

void report_progress(const char *text)
{
	say(DEPS_PROGRESS, text);
}

static bool read_all(void *out, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = sys_read(DEPS_SOCKET_FD, (char *)out + got, len - got);
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

/* The texts into the job, the variables into the environment. */
static bool take_texts(struct job *job, char *at, const char *end)
{
	for (size_t i = 0; at < end; i++) {
		char *nul = memchr(at, 0, (size_t)(end - at));
		if (!nul)
			return false;
		if (i < DEPS_TEXTS)
			job->text[i] = at;
		else
			putenv(at);
		at = nul + 1;
	}
	return job->text[DEPS_LIMIT] != NULL;
}

/* The request is never freed: it is the environment. */
static bool take_job(struct job *job)
{
	uint32_t len = 0;
	if (!read_all(&len, sizeof(len)) || len > DEPS_REQUEST_MAX)
		return false;
	char *request = malloc(len + 1u);
	if (!request || !read_all(request, len) || !take_texts(job, request, request + len))
		return false;
	job->limit = strtoull(job->text[DEPS_LIMIT], NULL, 10);
	job->target = path_join(job->text[DEPS_WORK], "target");
	return job->target != NULL;
}

static bool prepare(const struct job *job)
{
	AUTO_FREE char *tmp = path_join(job->text[DEPS_WORK], "tmp");
	return tmp && fs_mkdirs(tmp, 0700) == 0 && setenv("TMPDIR", tmp, 1) == 0;
}

static int install(const struct job *job, nova_error_t **error)
{
	/* pip names a package only once it has found it */
	report_progress("Looking for packages");
	int code = !strcmp(job->text[DEPS_CLIENT], "npm") ? npm_install(job, error) :
							    pip_install(job, error);
	return code < 0 ? code : check_size(job, error);
}

int main(void)
{
	struct job job = { .limit = 0 };
	AUTO_ERROR nova_error_t *error = NULL;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, 2) < 0 || fcntl(DEPS_SOCKET_FD, F_SETFD, FD_CLOEXEC) < 0)
		return 1;
	if (!take_job(&job) || !prepare(&job))
		return 1;
	if (install(&job, &error) == 0) {
		say(DEPS_DONE, "");
		return 0;
	}
	AUTO_FREE char *text =
		str_format("%d %s", nova_error_code(error), nova_error_message(error));
	if (text)
		say(DEPS_FAILED, text);
	return 1;
}
