/* SPDX-License-Identifier: MIT */
/* A program whose output is read, while what it installs is kept within the limit. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deps/helper.h"

#define LOOK_MS 300 /* how often the size is looked at */
/* Before they are in their place, packages lie there once packed and once unpacked. */
#define ON_THE_WAY 3

/* --- sizes --- */

/* Of a file, or of all in a directory. */
static uint64_t size_of(const char *path)
{
	struct stat st;
	char **names;
	if (lstat(path, &st) < 0)
		return 0;
	uint64_t size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	int count = S_ISDIR(st.st_mode) ? fs_list(path, &names) : 0;
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *entry = path_join(path, names[i]);
		size += entry ? size_of(entry) : 0;
	}
	if (count > 0)
		strv_free(names, (size_t)count);
	return size;
}

struct entry {
	char *name;
	uint64_t size;
};

static int by_size(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

/* "torch (200 MB), numpy (50 MB) and scipy (40 MB)"; freed by the caller. */
static char *name_largest(const char *directory)
{
	char **names;
	int count = fs_list(directory, &names);
	struct entry *entries = count > 0 ? calloc((size_t)count, sizeof(*entries)) : NULL;
	AUTO_FREE char *text = strdup("");
	for (int i = 0; entries && i < count; i++) {
		AUTO_FREE char *path = path_join(directory, names[i]);
		entries[i] = (struct entry){ names[i], path ? size_of(path) : 0 };
	}
	if (entries)
		qsort(entries, (size_t)count, sizeof(*entries), by_size);
	for (int i = 0; entries && text && i < 3 && i < count && entries[i].size >> 20; i++) {
		char *longer = str_format("%s%s%s (%llu MB)", text, i ? ", " : "", entries[i].name,
			(unsigned long long)(entries[i].size >> 20));
		free(text);
		text = longer;
	}
	free(entries);
	if (count > 0)
		strv_free(names, (size_t)count);
	return STEAL(text);
}

static int fail_size(const struct job *job, const char *directory, nova_error_t **error)
{
	AUTO_FREE char *largest = name_largest(directory);
	return nova_fail(error, NOVA_ETOOBIG,
		"requirements: the packages of %s take more than the %llu MB that are allowed; the "
		"largest are %s",
		job->text[DEPS_FILE], (unsigned long long)(job->limit >> 20),
		largest ? largest : "");
}

int check_size(const struct job *job, nova_error_t **error)
{
	AUTO_FREE char *modules = path_join(job->target, "node_modules");
	if (size_of(job->target) <= job->limit)
		return 0;
	bool is_npm = modules && fs_is_directory(modules) > 0;
	return fail_size(job, is_npm ? modules : job->target, error);
}

/* Where pip unpacks them: tmp/pip-target-…/lib/python. */
static char *unpacked(const char *tmp)
{
	char **names;
	char *found = NULL;
	int count = fs_list(tmp, &names);
	for (int i = 0; i < count && !found; i++)
		if (str_starts(names[i], "pip-target-"))
			found = str_format("%s/%s/lib/python", tmp, names[i]);
	if (count > 0)
		strv_free(names, (size_t)count);
	return found;
}

static int check_on_the_way(const struct job *job, nova_error_t **error)
{
	if (size_of(job->text[DEPS_WORK]) <= ON_THE_WAY * job->limit)
		return 0;
	AUTO_FREE char *tmp = path_join(job->text[DEPS_WORK], "tmp");
	AUTO_FREE char *there = tmp ? unpacked(tmp) : NULL;
	return fail_size(job, there ? there : job->target, error);
}

/* --- the program --- */

static void child(const struct job *job, const char *const *argv, int out)
{
	const char *file = job->text[DEPS_FILE], *slash = strrchr(file, '/');
	AUTO_FREE char *directory = strndup(file, slash ? (size_t)(slash - file) + 1 : 0);
	if (!directory || chdir(directory) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/* What a person wants to know of what it prints. */
static void tell_line(const char *line)
{
	static const char *const of_interest[] = { "Collecting ", "Downloading ", "Processing ",
		"Building wheel for ", "Installing collected packages", "added " };
	line += strspn(line, " ");
	for (size_t i = 0; i < ARRAY_LEN(of_interest); i++)
		if (str_starts(line, of_interest[i]))
			report_progress(line);
}

/* `told` is where the line that has not been told begins. */
static void tell_lines(const struct buf *log, size_t *told)
{
	const char *text = (const char *)log->data, *end;
	while ((end = memchr(text + *told, '\n', log->len - *told)) != NULL) {
		AUTO_FREE char *line = strndup(text + *told, (size_t)(end - text) - *told);
		if (line)
			tell_line(line);
		*told = (size_t)(end - text) + 1;
	}
}

/* One piece of its output; false: that was all. What does not fit is dropped. */
static bool read_piece(int fd, struct buf *log, size_t *told)
{
	char piece[16384];
	ssize_t got = sys_read(fd, piece, sizeof(piece));
	if (got <= 0)
		return false;
	if (buf_append(log, piece, (size_t)got) == 0)
		tell_lines(log, told);
	return true;
}

/* Until it has closed its output. */
static int watch(const struct job *job, int fd, struct buf *log, nova_error_t **error)
{
	size_t told = 0;
	uint64_t look = deadline_in_ms(LOOK_MS);
	for (;;) {
		struct pollfd wait = { fd, POLLIN, 0 };
		int ready = sys_poll(&wait, 1, deadline_poll_ms(look));
		if (ready > 0 && !read_piece(fd, log, &told))
			return 0;
		if (!deadline_passed(look))
			continue;
		int code = check_on_the_way(job, error);
		if (code < 0)
			return code;
		look = deadline_in_ms(LOOK_MS);
	}
}

int run(const struct job *job, const char *const *argv, int *ret_status, char **ret_log,
	nova_error_t **error)
{
	AUTO_BUF struct buf log = BUF_INIT(LOG_MAX);
	int fds[2], status = 0, r = sys_pipe(fds);
	pid_t pid = r < 0 ? -1 : fork();
	if (pid < 0)
		return nova_fail_os(error, r < 0 ? r : -EAGAIN, "cannot start %s", argv[0]);
	if (pid == 0)
		child(job, argv, fds[1]);
	fd_close(fds[1]);
	int code = watch(job, fds[0], &log, error);
	fd_close(fds[0]);
	if (code < 0)
		return code; /* it ends with us */
	waitpid(pid, &status, 0);
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
	if (*ret_status == 127 && !log.len)
		return nova_fail(error, NOVA_ENOTFOUND, "%s is missing on this host", argv[0]);
	*ret_log = buf_steal_str(&log);
	return *ret_log ? 0 : nova_oom(error);
}
