/* SPDX-License-Identifier: MIT */
/* Microvms that are forked as the processes they are: docs/hot.md. Nothing here depends on how fast
 * that is. */
#include "hot.h"

static struct setting {
	char *home;
	nova_config_t *config;
	nova_host_t *host;
} s;

static void set_up(void)
{
	s.home = vmtest_take_home();
	s.config = vmtest_config(s.home);
	ck_ok(nova_config_set(s.config, "pool.hot", "auto", &error));
	ck_ok(nova_config_set(s.config, "pool.hot_patience", HOT_PATIENCE, &error));
	ck_ok(nova_host_new(s.config, &s.host, &error));
}

static void tear_down(void)
{
	nova_host_unref(s.host);
	vmtest_nothing_left(s.home);
	nova_config_free(s.config);
	vmtest_leave_home(s.home);
}

static nova_vm_t *boot_with(uint32_t vcpus)
{
	nova_vm_opts o = NOVA_VM_OPTS_INIT;
	nova_vm_t *vm;
	o.memory_mb = 128;
	o.vcpus = vcpus;
	ck_ok(nova_vm_start(s.host, &o, &vm, &error));
	ck_assert_str_eq(nova_vm_path(vm), "classic");
	return vm;
}

static nova_vm_t *boot(void)
{
	return boot_with(1);
}

/* What a command prints; caller frees. */
static char *prints(nova_vm_t *vm, const char *command)
{
	const char *const argv[] = { "/bin/sh", "-c", command };
	nova_vm_command_opts o = NOVA_VM_COMMAND_OPTS_INIT;
	nova_result_t *r;
	o.argv = argv;
	o.argc = ARRAY_LEN(argv);
	ck_ok(nova_vm_command(vm, &o, &r, &error));
	char *text = strdup(nova_result_stdout(r, NULL));
	text[strcspn(text, "\n")] = 0;
	ck_assert_str_eq(nova_result_path(r), nova_vm_path(vm));
	nova_result_free(r);
	return text;
}

static void expect(nova_vm_t *vm, const char *command, const char *text)
{
	AUTO_FREE char *printed = prints(vm, command);
	ck_assert_str_eq(printed, text);
}

static void expect_different(nova_vm_t *a, nova_vm_t *b, const char *command)
{
	AUTO_FREE char *one = prints(a, command), *other = prints(b, command);
	ck_assert_str_ne(one, "");
	ck_assert_str_ne(one, other);
}

/* Threads on a busy host may not come to rest in all the time there is: the usual way is right
 * then, and says so. */
static void fork_hot(nova_vm_t *vm, size_t count, nova_vm_t **children)
{
	for (uint64_t deadline = deadline_in_ms(300000); !deadline_passed(deadline);) {
		ck_ok(nova_vm_fork(vm, count, NULL, children, &error));
		if (!strcmp(nova_vm_path(children[0]), "hot")) {
			ck_assert_str_eq(nova_vm_path_why(children[0]), "");
			return;
		}
		fprintf(stderr, "# %s\n", nova_vm_path_why(children[0]));
		ck_assert_str_ne(nova_vm_path_why(children[0]), "");
		for (size_t i = 0; i < count; i++)
			nova_vm_free(children[i]);
	}
	ck_abort_msg("no fork of the process has succeeded");
}

static void free_all(nova_vm_t **vms, size_t count)
{
	for (size_t i = 0; i < count; i++)
		nova_vm_free(vms[i]);
}

static pid_t parent_of(nova_vm_t *vm)
{
	AUTO_FREE char *path = str_format("/proc/%lld/stat", (long long)nova_vm_pid(vm));
	AUTO_BUF struct buf stat = BUF_INIT(4096);
	ck_assert_int_eq(fs_read_file(path, &stat), 0);
	AUTO_FREE char *text = buf_steal_str(&stat);
	int parent = 0;
	ck_assert_int_eq(sscanf(strrchr(text, ')'), ") %*c %d", &parent), 1);
	return parent;
}

/* As the kernel tells it: a filter, and no way to more rights. */
static void is_confined(nova_vm_t *vm)
{
	AUTO_FREE char *path = str_format("/proc/%lld/status", (long long)nova_vm_pid(vm));
	AUTO_BUF struct buf status = BUF_INIT(1 << 16);
	ck_assert_int_eq(fs_read_file(path, &status), 0);
	AUTO_FREE char *text = buf_steal_str(&status);
	ck_assert_ptr_nonnull(strstr(text, "NoNewPrivs:\t1"));
	ck_assert_ptr_nonnull(strstr(text, "Seccomp:\t2"));
}

/* Copies, each somebody of its own, none of which sees what another does. */
static void children_are_independent(nova_vm_t *vm)
{
	nova_vm_t *children[3];
	expect(vm, "echo before > /tmp/f; cat /tmp/f", "before");
	fork_hot(vm, ARRAY_LEN(children), children);
	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		ck_assert_int_eq(parent_of(children[i]), parent_of(vm));
		is_confined(children[i]);
		expect(children[i], "cat /tmp/f; echo after > /tmp/f", "before");
	}
	expect(vm, "cat /tmp/f", "before");
	expect(children[2], "cat /tmp/f", "after");
	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		nova_vm_t *other = i ? children[i - 1] : vm;
		expect_different(children[i], other, "head -c 16 /dev/urandom | od -An -tx1");
		expect_different(children[i], other, "cat /proc/sys/kernel/hostname");
	}
	free_all(children, ARRAY_LEN(children));
}

/* What it has become is as much a VM as any other. */
static void a_child_leaves_an_ordinary_snapshot(nova_vm_t *vm)
{
	nova_vm_t *child, *restored, *again;
	nova_snapshot_t *snapshot;
	fork_hot(vm, 1, &child);
	expect(child, "echo in a child > /tmp/f; cat /tmp/f", "in a child");
	ck_ok(nova_vm_snapshot(child, NULL, &snapshot, &error));
	expect(child, "cat /tmp/f", "in a child");
	fork_hot(child, 1, &again); /* what was open for the snapshot is closed */
	expect(again, "cat /tmp/f", "in a child");
	nova_vm_free(again);
	nova_vm_free(child);
	ck_ok(nova_vm_restore(s.host, snapshot, NULL, &restored, &error));
	expect(restored, "cat /tmp/f", "in a child");
	fork_hot(restored, 1, &child);
	expect(child, "cat /tmp/f", "in a child");
	nova_vm_free(child);
	nova_vm_free(restored);
	nova_snapshot_free(snapshot);
}

static void a_paused_vm_is_forked_and_stays_paused(nova_vm_t *vm)
{
	nova_vm_t *child;
	ck_ok(nova_vm_pause(vm, NULL, &error));
	for (int i = 0; i < 3; i++) { /* its threads are held from the first time on */
		fork_hot(vm, 1, &child);
		ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_PAUSED);
		ck_assert_int_eq(nova_vm_state(child), NOVA_VM_RUNNING);
		expect(child, "echo on", "on");
		nova_vm_free(child);
	}
	ck_ok(nova_vm_resume(vm, NULL, &error));
	expect(vm, "echo on", "on");
	ck_ok(nova_vm_pause(vm, NULL, &error));
	fork_hot(vm, 1, &child);
	nova_vm_free(child);
	nova_snapshot_t *snapshot;
	for (int i = 0; i < 2; i++) {
		ck_ok(nova_vm_snapshot(vm, NULL, &snapshot, &error));
		ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_PAUSED);
		nova_snapshot_free(snapshot);
	}
	ck_ok(nova_vm_resume(vm, NULL, &error));
	fork_hot(vm, 1, &child);
	expect(child, "echo on", "on");
	nova_vm_free(child);
	expect(vm, "echo on", "on");
}

static void generations_end_in_the_usual_way(nova_vm_t *vm)
{
	nova_vm_t *last = vm, *child;
	int depth = 0;
	do {
		ck_ok(nova_vm_fork(last, 1, NULL, &child, &error));
		if (last != vm)
			nova_vm_free(last);
		last = child;
	} while (!strcmp(nova_vm_path(child), "hot") && ++depth < 100);
	ck_assert_int_lt(depth, 100);
	ck_assert_str_ne(nova_vm_path_why(child), "");
	if (strstr(nova_vm_path_why(child), "generation"))
		ck_assert_int_ge(depth, 3);
	expect(child, "echo last", "last");
	nova_vm_free(child);
}

START_TEST(a_running_vm_is_forked_as_the_process_that_it_is)
{
	set_up();
	nova_vm_t *vm = boot();
	children_are_independent(vm);
	a_child_leaves_an_ordinary_snapshot(vm);
	a_paused_vm_is_forked_and_stays_paused(vm);
	generations_end_in_the_usual_way(vm);
	nova_vm_free(vm);
	tear_down();
}
END_TEST

static void both_processors_work(nova_vm_t *vm)
{
	expect(vm, "nproc", "2");
	for (int cpu = 0; cpu < 2; cpu++) {
		AUTO_FREE char *command = str_format(
			"taskset -c %d sh -c 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); "
			"done; echo $i'",
			cpu);
		expect(vm, command, "2000");
	}
}

/* Each is a thread of QEMU, and both are at work when the order comes. */
START_TEST(a_vm_with_two_processors_is_forked_with_both_at_work)
{
	set_up();
	nova_vm_t *vm = boot_with(2), *children[2], *grandchild;
	expect(vm, "for i in 1 2; do (while :; do :; done) >/dev/null 2>&1 & done; echo on", "on");
	fork_hot(vm, ARRAY_LEN(children), children);
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		both_processors_work(children[i]);
	both_processors_work(vm);
	free_all(&children[1], 1);
	fork_hot(children[0], 1, &grandchild);
	both_processors_work(grandchild);
	nova_vm_free(grandchild);
	nova_vm_free(children[0]);
	nova_vm_free(vm);
	tear_down();
}
END_TEST

static size_t children_of(pid_t keeper)
{
	AUTO_FREE char *path = str_format("/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	size_t count = 0;
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	for (size_t i = 0; i < text.len; i++)
		count += text.data[i] == ' ';
	return count;
}

static void reopen_with(const char *setting, const char *value)
{
	nova_host_unref(s.host);
	ck_ok(nova_config_set(s.config, setting, value, &error));
	ck_ok(nova_host_new(s.config, &s.host, &error));
}

/* Wherever the time is over: while the threads come to rest, before the child is there, or before
 * it lives. */
START_TEST(a_fork_that_takes_too_long_leaves_no_child_and_its_parent_goes_on)
{
	set_up();
	nova_vm_free(boot()); /* by then it is known that it can be done */
	reopen_with("pool.hot_patience", "1ms");
	nova_vm_t *vm = boot(), *children[3];
	for (int i = 0; i < 3; i++) {
		ck_ok(nova_vm_fork(vm, ARRAY_LEN(children), NULL, children, &error));
		for (size_t c = 0; c < ARRAY_LEN(children); c++)
			ck_assert_int_eq(!strcmp(nova_vm_path(children[c]), "hot"),
				!*nova_vm_path_why(children[c]));
		expect(children[2], "echo on", "on");
		expect(vm, "echo on", "on");
		free_all(children, ARRAY_LEN(children));
		ck_assert_uint_eq(children_of(parent_of(vm)), 1);
	}
	nova_vm_free(vm);
	tear_down();
}
END_TEST

START_TEST(without_the_setting_the_usual_way_says_why)
{
	set_up();
	reopen_with("pool.hot", "off");
	nova_vm_t *vm = boot(), *child;
	ck_ok(nova_vm_fork(vm, 1, NULL, &child, &error));
	ck_assert_str_eq(nova_vm_path(child), "classic");
	ck_assert_str_eq(nova_vm_path_why(child), "the setting pool.hot is off");
	expect(child, "echo on", "on");
	nova_vm_free(child);
	nova_vm_free(vm);
	tear_down();
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("hot");
	TCase *tc = tcase_create("hot");
	tcase_set_timeout(tc, 900);
	tcase_add_test(tc, a_running_vm_is_forked_as_the_process_that_it_is);
	tcase_add_test(tc, a_vm_with_two_processors_is_forked_with_both_at_work);
	tcase_add_test(tc, a_fork_that_takes_too_long_leaves_no_child_and_its_parent_goes_on);
	tcase_add_test(tc, without_the_setting_the_usual_way_says_why);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, zygote_cases());
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, suite);
}
