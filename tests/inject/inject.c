/* SPDX-License-Identifier: MIT */
/*
 * Every call of the library is refused what it needs, one thing at a time: see points.h. What it
 * then says must be true, and nothing may be left behind. Every tenth point, or fortieth where an
 * attempt is slow; with NOVA_TEST_LONG set, every one. Run as `inject MAP`, the library's symbol
 * map.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>

#include "inject.h"
#include "points.h"
#include "unit/test.h"

static const struct inject_case *const tables[] = { base_cases, host_cases, vm_cases,
	platform_cases, call_cases, snapshot_cases, runtime_cases, version_cases, key_cases,
	secret_cases, kv_cases, backup_cases, job_cases, server_cases };
static const struct inject_case *cases[256];
static int case_count;
static struct buf map = BUF_INIT(1 << 20);

/* --- what is there --- */

struct list {
	char **entries;
	size_t count;
};

static void list_add(struct list *list, char *entry)
{
	list->entries = realloc(list->entries, (list->count + 1) * sizeof(char *));
	list->entries[list->count++] = entry;
}

static void list_done(struct list *list)
{
	strv_free(list->entries, list->count);
}
#define AUTO_LIST CLEANUP(list_done)

static size_t count_of(const struct list *list, const char *entry)
{
	size_t count = 0;
	for (size_t i = 0; i < list->count; i++)
		count += !strcmp(list->entries[i], entry);
	return count;
}

/* A machine that takes the place of a dead one has another id. */
static char *without_ids(char *path)
{
	char *run = strstr(path, "/run/");
	for (char *at = run; at && *at; at++)
		if (strchr("0123456789abcdef", *at))
			*at = '#';
	return path;
}

static void add_files(struct list *list, const char *directory)
{
	char **names;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++) {
		char *path = path_join(directory, names[i]);
		/* what the agent writes there is its own affair */
		if (fs_is_directory(path) == 1 && strcmp(names[i], "work"))
			add_files(list, path);
		list_add(list, without_ids(path));
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
}

static struct list files_now(void)
{
	struct list list = { NULL, 0 };
	add_files(&list, world.home);
	return list;
}

static struct list fds_now(void)
{
	struct list list = { NULL, 0 };
	char **names;
	int count = fs_list("/proc/self/fd", &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = str_format("/proc/self/fd/%s", names[i]);
		char *target = NULL;
		if (sys_readlinkat(AT_FDCWD, path, &target) == 0) /* the one that listed is gone */
			list_add(&list, target);
	}
	strv_free(names, (size_t)count);
	return list;
}

static struct list processes_now(void)
{
	struct list list = { NULL, 0 };
	char **names;
	int count = fs_list("/proc", &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = str_format("/proc/%s/cmdline", names[i]);
		AUTO_BUF struct buf line = BUF_INIT(1 << 20);
		if (isdigit((unsigned char)names[i][0]) && fs_read_file(path, &line) == 0 &&
			line.len && memmem(line.data, line.len, world.home, strlen(world.home)))
			list_add(&list, strdup(names[i]));
	}
	strv_free(names, (size_t)count);
	return list;
}

/* Processes that were told to end get the time that this takes. */
static bool no_more_processes(size_t before)
{
	uint64_t limit = deadline_in_ms(20000);
	for (;;) {
		AUTO_LIST struct list now = processes_now();
		if (now.count <= before)
			return true;
		AUTO_FD int fd = (int)syscall(SYS_pidfd_open, atoi(now.entries[now.count - 1]), 0);
		struct pollfd p = { fd, POLLIN, 0 };
		if (fd >= 0 && sys_poll(&p, 1, deadline_poll_ms(limit)) == 0)
			return false;
	}
}

/* --- one attempt --- */

static struct {
	const struct inject_case *now;
	size_t fds, processes;
	struct list files;
	unsigned nth, complaints;
	struct point point;
} at;

static void complain(const char *format, ...) PRINTF_LIKE(1, 2);
static void complain(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "%s: at point %u: ", at.now->calls, at.nth);
	vfprintf(stderr, format, args);
	fputs("; ", stderr);
	va_end(args);
	point_print(&at.point);
	at.complaints++;
}

static int fitting_code(int os)
{
	return os == ENOMEM ? NOVA_ENOMEM : os == ENOSPC ? NOVA_ENOSPC : NOVA_EIO;
}

static size_t runs_noted(void)
{
	uint64_t size = 0;
	return world.mark && fs_stat(world.mark, &size, NULL) == 0 ? size : 0;
}

static void judge_error(int code, const nova_error_t *error)
{
	const char *message = nova_error_message(error);
	bool is_away = at.now->remote && code == NOVA_EIO;
	if (code != fitting_code(at.point.os) && !is_away)
		complain("it is told as %s '%s'", nova_code_name(code), message);
	if (at.now->silent)
		return;
	if (nova_error_code(error) != code)
		complain("the call returns %s and its error says %s", nova_code_name(code),
			nova_code_name(nova_error_code(error)));
	if (nova_error_os(error) != at.point.os && !is_away)
		complain("the error has errno %d: '%s'", nova_error_os(error), message);
	if (!is_away && !strstr(message, strerror(at.point.os)) &&
		!(at.point.os == ENOMEM && !strcmp(message, "out of memory")))
		complain("'%s' does not say why", message);
	if (strchr(message, '\n'))
		complain("'%s' is more than a line", message);
}

static void judge_outcome(int code, const nova_error_t *error, size_t runs)
{
	int outcome = nova_error_outcome(error);
	if (at.now->commands && outcome == NOVA_OUTCOME_RAN)
		return;
	if (code == 0                             ? at.now->runs && runs != 1 :
		outcome == NOVA_OUTCOME_NEVER_RAN ? runs != 0 :
						    outcome == NOVA_OUTCOME_RAN && runs != 1)
		complain("%s, outcome %d, but the function ran %zu times: '%s'",
			nova_code_name(code), outcome, runs, nova_error_message(error));
}

/* What cannot be removed without a descriptor is swept later: a machine's directory with that of
 * its context, an unfinished snapshot by the next one that is written. */
static bool is_swept(const char *path)
{
	bool full = at.point.os == EMFILE || at.point.os == ENFILE;
	return (full || at.now->swept) && (strstr(path, "/run/") || strstr(path, "/.tmp-"));
}

static void judge_rest(void)
{
	if (!no_more_processes(at.processes)) {
		complain("a process is left");
		at.processes++;
	}
	AUTO_LIST struct list fds = fds_now(), files = files_now();
	if (fds.count > at.fds) {
		complain("%zu descriptors are left: the last one is %s", fds.count - at.fds,
			fds.entries[fds.count - 1]);
		at.fds = fds.count;
	}
	for (size_t i = 0; i < files.count; i++)
		if (count_of(&at.files, files.entries[i]) < count_of(&files, files.entries[i])) {
			if (!is_swept(files.entries[i]))
				complain("%s is left", files.entries[i]);
			list_add(&at.files, strdup(files.entries[i]));
		}
	for (size_t i = 0; i < at.files.count; i++)
		if (*at.files.entries[i] && !count_of(&files, at.files.entries[i]) &&
			!strstr(at.files.entries[i], "/run/") &&
			!strstr(at.files.entries[i], "/.tmp-")) {
			complain("%s is gone", at.files.entries[i]);
			at.files.entries[i][0] = 0;
		}
}

static void call_back(void (*function)(void))
{
	if (function)
		function();
}

/* Without a failure. */
static void succeed(void)
{
	AUTO_ERROR nova_error_t *error = NULL;
	call_back(at.now->prepare);
	int code = at.now->run(&error);
	call_back(at.now->undo);
	if (code != at.now->expected)
		complain("without a failure it is %s '%s'", nova_code_name(code),
			nova_error_message(error));
}

static bool attempt(enum family family)
{
	AUTO_ERROR nova_error_t *error = NULL;
	call_back(at.now->prepare);
	size_t before = runs_noted();
	points_arm(family, at.nth, at.nth);
	int code = at.now->run(&error);
	at.point = points_disarm();
	size_t after = runs_noted();
	call_back(at.now->undo);
	if (code != at.now->expected && (!at.point.hit || family == INTERRUPT))
		complain("it is %s '%s'", nova_code_name(code), nova_error_message(error));
	else if (code != at.now->expected)
		judge_error(code, error);
	judge_outcome(code, error, after - before);
	judge_rest();
	if (code != at.now->expected)
		succeed();
	return at.point.hit;
}

static bool is_long(void)
{
	const char *text = getenv("NOVA_TEST_LONG");
	return text && *text;
}

/* --- tests --- */

START_TEST(a_call_that_is_refused_something_says_so_and_leaves_nothing)
{
	unsigned step = is_long() ? 1 : cases[_i]->slow ? 40 : 10, points[FAMILIES] = { 0 };
	at.now = cases[_i];
	const char *only = getenv("NOVA_TEST_CALL"); /* for the one who mends */
	if (only && !strstr(at.now->calls, only))
		return;
	uint64_t begin = clock_ns();
	world_open();
	call_back(at.now->make);
	succeed();
	succeed();
	AUTO_LIST struct list fds = fds_now(), processes = processes_now();
	at.fds = fds.count;
	at.processes = processes.count;
	at.files = files_now();
	for (int family = 0; family < FAMILIES; family++) {
		for (at.nth = 1; attempt((enum family)family); at.nth += step)
			points[family] = at.nth;
	}
	list_done(&at.files);
	world_close();
	if (getenv("NOVA_TEST_TALK"))
		fprintf(stderr, "%-40.40s %5u %4u %4u %6.1f s\n", at.now->calls, points[MEMORY],
			points[SYSTEM], points[INTERRUPT], (double)(clock_ns() - begin) / 1e9);
	ck_assert_msg(
		at.complaints == 0, "%s: %u complaints, see above", at.now->calls, at.complaints);
}
END_TEST

static bool names(const char *calls, const char *name, size_t len)
{
	for (const char *found = calls; (found = strstr(found, name)); found += len)
		if ((found == calls || found[-1] == ' ') && (!found[len] || found[len] == ' '))
			return true;
	return false;
}

START_TEST(every_call_of_the_symbol_map_has_a_case)
{
	AUTO_FREE char *text = buf_steal_str(&map), *copy = strdup(text);
	char *save = NULL;
	size_t calls = 0;
	for (char *word = strtok_r(copy, " \t\n;", &save); word;
		word = strtok_r(NULL, " \t\n;", &save)) {
		bool found = false;
		if (!str_starts(word, "nova_"))
			continue;
		for (int i = 0; i < case_count && !found; i++)
			found = names(cases[i]->calls, word, strlen(word));
		ck_assert_msg(found,
			"%s has no case in tests/inject: what happens if it is refused memory or a "
			"descriptor?",
			word);
		calls++;
	}
	ck_assert_uint_gt(calls, 150);
	for (int i = 0; i < case_count; i++) {
		AUTO_FREE char *mine = strdup(cases[i]->calls);
		for (char *word = strtok_r(mine, " ", &save); word;
			word = strtok_r(NULL, " ", &save)) {
			AUTO_FREE char *line = str_format("\t%s;", word);
			ck_assert_msg(
				strstr(text, line), "there is no call %s in the symbol map", word);
		}
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("inject");
	TCase *names_case = tcase_create("map"), *points_case = tcase_create("points");
	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (const struct inject_case *c = tables[t]; c->calls; c++)
			cases[case_count++] = c;
	tcase_set_timeout(points_case, is_long() ? 3600 : 240);
	tcase_add_test(names_case, every_call_of_the_symbol_map_has_a_case);
	tcase_add_loop_test(points_case,
		a_call_that_is_refused_something_says_so_and_leaves_nothing, 0, case_count);
	suite_add_tcase(suite, names_case);
	suite_add_tcase(suite, points_case);
	return suite;
}

int main(int argc, char **argv)
{
	if (argc != 2 || fs_read_file(argv[1], &map) < 0)
		return 2;
	int status = test_run(make_suite());
	buf_free(&map);
	return status;
}
