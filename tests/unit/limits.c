/* SPDX-License-Identifier: MIT */
/* Memory limits by control groups, and users of VMMs: both are of the whole machine, so these tests
 * need root. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "engine/user.h"
#include "engine/engine.h"
#include "keeper/cgroup.h"
#include "test.h"

static nova_error_t *error;

/* --- users --- */

#define FIRST     0x6f000000u /* not those that VMMs really get */
#define PROCESSES 4u
#define EACH      1250u
#define RANGE     20000u /* small, so that some hundred would be the same without the lock */

static void reserve(void)
{
	struct rlimit files = { 4096, 4096 };
	if (geteuid() != 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
		test_skip("not root, or too few descriptors");
}

static void take_many(uint32_t *taken, int ready, int go)
{
	char byte = 0;
	for (size_t i = 0; i < EACH; i++) {
		int lock;
		if (vmm_user_take(FIRST, RANGE, &taken[i], &lock, NULL) < 0)
			_exit(1);
	}
	if (sys_write_all(ready, &byte, 1) < 0)
		_exit(2);
	(void)!sys_read(go, &byte, 1); /* all hold theirs until then */
	_exit(0);
}

START_TEST(five_thousand_users_taken_by_four_processes_are_different)
{
	reserve();
	int ready[2], go[2], status;
	pid_t pids[PROCESSES];
	char byte;
	uint32_t *taken = mmap(NULL, PROCESSES * EACH * sizeof(*taken), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(sys_pipe(ready) + sys_pipe(go), 0);
	for (size_t p = 0; p < PROCESSES; p++)
		if (!(pids[p] = fork())) {
			fd_close(go[1]);
			take_many(taken + p * EACH, ready[1], go[0]);
		}
	fd_close(ready[1]);
	for (size_t p = 0; p < PROCESSES; p++)
		ck_assert_int_eq(sys_read(ready[0], &byte, 1), 1);
	bool *seen = calloc(RANGE, sizeof(*seen));
	for (size_t i = 0; i < PROCESSES * EACH; i++) {
		ck_assert_msg(taken[i] >= FIRST && !seen[taken[i] - FIRST], "%x twice", taken[i]);
		seen[taken[i] - FIRST] = true;
	}
	free(seen);
	int lock;
	uint32_t uid;
	ck_fails_with(NOVA_EBUSY, "no user", vmm_user_take(taken[0], 1, &uid, &lock, &error));
	kill(pids[0], SIGKILL); /* its death gives them back */
	ck_assert_int_eq(waitpid(pids[0], &status, 0), pids[0]);
	ck_ok(vmm_user_take(taken[0], 1, &uid, &lock, &error));
	fd_close(lock);
	fd_close(go[1]);
	for (size_t p = 1; p < PROCESSES; p++)
		ck_assert_int_eq(waitpid(pids[p], &status, 0), pids[p]);
	fd_close(ready[0]);
	fd_close(go[0]);
}
END_TEST

/* --- control groups --- */

/* The directory in which groups are made here; NULL: there is none. */
static char *groups(void)
{
	AUTO_BUF struct buf text = BUF_INIT(65536);
	if (cgroup_obstacle() || fs_read_file("/proc/self/cgroup", &text) < 0)
		return NULL;
	AUTO_FREE char *lines = buf_steal_str(&text);
	const char *at = strstr(lines, ":memory:");
	const char *mount = at ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
	at = at ? at + strlen(":memory:") : strstr(lines, "0::") + strlen("0::");
	return str_format("%s%.*s", mount, (int)strcspn(at, "\n"), at);
}

#define MAKERS 6

/* Those that one of these processes has made: other programs beside have groups there, and sweep.
 */
static size_t count_groups(const char *directory, const pid_t *makers)
{
	char **names;
	size_t found = 0;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++)
		for (int maker = 0; maker < MAKERS; maker++) {
			char prefix[32];
			snprintf(prefix, sizeof(prefix), "nova-%d-", (int)makers[maker]);
			found += str_starts(names[i], prefix);
		}
	if (count >= 0)
		strv_free(names, (size_t)count);
	return found;
}

/* A keeper in little: limits a child, and is killed. */
static void be_killed_with_a_child(void)
{
	int ready[2];
	char byte = 0;
	if (sys_pipe(ready) < 0)
		_exit(2);
	pid_t child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)!sys_write(ready[1], &byte, 1);
		pause();
	}
	if (sys_read(ready[0], &byte, 1) != 1 || !cgroup_limit(child, 64u << 20))
		_exit(3);
	raise(SIGKILL);
}

START_TEST(groups_of_killed_keepers_are_swept_and_that_of_a_living_one_stays)
{
	AUTO_FREE char *directory = groups();
	if (!directory)
		test_skip("%s", cgroup_obstacle());
	pid_t makers[MAKERS] = { getpid() };
	for (int i = 1; i < MAKERS; i++) {
		int status;
		pid_t pid = makers[i] = fork();
		if (!pid)
			be_killed_with_a_child();
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status), "status %x", status);
	}
	pid_t living = fork();
	if (!living)
		pause();
	ck_assert(cgroup_limit(living, 64u << 20));
	/* The children of the killed take a moment to leave their groups. */
	for (uint64_t end = deadline_in_ms(20000); !deadline_passed(end); poll(NULL, 0, 5)) {
		cgroup_sweep();
		if (count_groups(directory, makers) <= 1)
			break;
	}
	ck_assert_uint_eq(count_groups(directory, makers), 1);
	kill(living, SIGKILL);
	waitpid(living, NULL, 0);
	cgroup_forget(living);
	ck_assert_uint_eq(count_groups(directory, makers), 0);
}
END_TEST

static Suite *limits_suite(void)
{
	Suite *suite = suite_create("limits");
	TCase *tc = tcase_create("limits");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, five_thousand_users_taken_by_four_processes_are_different);
	tcase_add_test(tc, groups_of_killed_keepers_are_swept_and_that_of_a_living_one_stays);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(limits_suite)
