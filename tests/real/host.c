/* SPDX-License-Identifier: MIT */
/* What a VMM does to its host. */
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "engine/qemu/qemu.h"
#include "host/host.h"
#include "keeper/cgroup.h"
#include "real.h"

#define GROUPS "/sys/fs/cgroup"

/* A host of version 2 in a mount namespace of our own, with the group that a jailer once made. */
static bool be_a_cgroup2_host(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       umount2(GROUPS, MNT_DETACH) == 0 &&
	       mount("cgroup2", GROUPS, "cgroup2", 0, NULL) == 0 &&
	       (fs_exists(GROUPS "/firecracker") || mkdir(GROUPS "/firecracker", 0755) == 0);
}

/* The group of version 2 that a process is in; caller frees. */
static char *group_of(pid_t pid)
{
	AUTO_FREE char *path = str_format("/proc/%d/cgroup", (int)pid);
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	AUTO_FREE char *lines = buf_steal_str(&text);
	char *line = strstr(lines, "0::");
	ck_assert_ptr_nonnull(line);
	line[strcspn(line, "\n")] = 0;
	return strdup(line);
}

START_TEST(a_vmm_stays_in_the_control_group_that_it_was_started_in)
{
	if (!be_a_cgroup2_host())
		test_skip("no hierarchy of version 2 can be mounted");
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	is_call(vm, 1);
	AUTO_FREE char *group = group_of((pid_t)nova_vm_pid(vm));
	ck_assert_msg(!strstr(group, "/firecracker"), "it is in %s", group);
	nova_vm_free(vm);
	tear_down(&s);
	rmdir(GROUPS "/firecracker");
}
END_TEST

/* Its control files of version 2, by the path in /proc: 0::/… */
static char *limit_of(const char *group)
{
	AUTO_FREE char *path = str_format(GROUPS "%s/memory.max", group + strlen("0::"));
	AUTO_BUF struct buf text = BUF_INIT(64);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	return buf_steal_str(&text);
}

START_TEST(a_vmm_is_held_to_its_memory_by_a_group_of_version_2)
{
	if (!be_a_cgroup2_host())
		test_skip("no hierarchy of version 2 can be mounted");
	if (cgroup_obstacle())
		test_skip("%s", cgroup_obstacle());
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	AUTO_FREE char *group = group_of((pid_t)nova_vm_pid(vm));
	ck_assert_msg(strstr(group, "/nova-"), "it is in %s", group);
	AUTO_FREE char *limit = limit_of(group);
	ck_assert_int_eq(strtoull(limit, NULL, 10) % 4096, 0);
	ck_assert_uint_gt(strtoull(limit, NULL, 10), 64u << 20);
	ck_assert_uint_lt(strtoull(limit, NULL, 10), 1024u << 20);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* --- another processor --- */

/* In a mount namespace of our own. */
static bool pretend_another_processor(const char *dir)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	AUTO_FREE char *path = path_join(dir, "cpuinfo");
	ck_assert_int_eq(fs_read_file("/proc/cpuinfo", &text), 0);
	uint8_t *flag = memmem(text.data, text.len, " lm ", 4);
	ck_assert_ptr_nonnull(flag);
	memcpy(flag, " l2 ", 4);
	ck_assert_int_eq(fs_write_file(path, text.data, text.len, 0600), 0);
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount(path, "/proc/cpuinfo", NULL, MS_BIND, NULL) == 0;
}

START_TEST(a_snapshot_of_another_processor_is_not_restored)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL), *restored = NULL;
	nova_snapshot_t *snapshot;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	ck_ok(nova_vm_snapshot(vm, &opts, &snapshot, &error));
	ck_ok(nova_vm_restore(s.host, snapshot, NULL, &restored, &error));
	is_call(restored, 1);
	nova_vm_free(restored);
	bool pretends = pretend_another_processor(s.dir);
	if (pretends)
		ck_fails(NOVA_ESTALE, nova_vm_restore(s.host, snapshot, NULL, &restored, &error));
	nova_snapshot_free(snapshot);
	nova_vm_free(vm);
	tear_down(&s);
	if (!pretends)
		test_skip("/proc/cpuinfo cannot be covered");
}
END_TEST

/* --- QEMU with KVM --- */

/* This context on a host whose KVM is fit, with `auto`: KVM is taken if QEMU comes up with it. */
static struct engine_env on_a_fit_host(struct setting *s, struct qemu_kvm *kvm)
{
	struct engine_env env = *host_engine_env(s->host);
	nova_config_t *config;
	ck_ok(config_copy(s->config, &config, &error));
	ck_ok(nova_config_set(config, "qemu.accel", "auto", &error));
	pthread_mutex_init(&kvm->lock, NULL);
	env.kvm.state = KVM_FIT;
	env.config = config;
	env.qemu_kvm = kvm;
	return env;
}

/* What is taken, and why: *ret_reason is the caller's. */
static const char *accelerator(struct setting *s, char **ret_reason)
{
	struct qemu_kvm kvm = { .known = false };
	struct engine_env env = on_a_fit_host(s, &kvm);
	struct engine_report report = { .usable = false };
	ck_ok(qemu_engine.probe(&env, &report, &error));
	ck_assert(report.usable);
	*ret_reason = STEAL(report.reason);
	const char *taken = report.accelerator;
	engine_report_done(&report);
	nova_error_free(kvm.why);
	pthread_mutex_destroy(&kvm.lock);
	nova_config_free((nova_config_t *)env.config);
	return taken;
}

START_TEST(a_device_that_is_closed_to_qemus_user_is_told_of)
{
	static const char way_out[] = "chgrp kvm /dev/kvm && chmod g+rw /dev/kvm";
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	nova_vm_t *vm = NULL;
	nova_probe_t *probe;
	if (geteuid() != 0 || !cover_kvm(0600)) {
		printf("# SKIP %s: /dev/kvm cannot be covered\n", __func__);
		return;
	}
	struct setting s = set_up(false, NULL);
	ck_fails_with(NOVA_EPERM, way_out, nova_vm_start(s.host, &opts, &vm, &error));
	ck_ok(nova_engine_probe(s.host, &probe, &error));
	ck_assert_msg(strstr(nova_probe_choice_reason(probe), way_out) != NULL, "%s",
		nova_probe_choice_reason(probe));
	ck_assert_int_eq(nova_probe_choice(probe), -1);
	nova_probe_free(probe);
	AUTO_FREE char *why = NULL, *well = NULL;
	ck_assert_str_eq(accelerator(&s, &why), "tcg");
	ck_assert_msg(strstr(why, way_out) != NULL, "%s", why);
	ck_assert_int_eq(chmod("/dev/kvm", 0666), 0); /* of this mount namespace */
	ck_assert_str_eq(accelerator(&s, &well), "kvm");
	vm = start(&s, NULL);
	is_call(vm, 1);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* A QEMU on a KVM that refuses the registers `first` and `second`, until it is told to do without.
 * Others than root must be able to execute it. Caller frees the path and removes its directory. */
static char *strict_qemu(char *dir, const char *first, const char *second)
{
	char *path = path_join(dir, "qemu");
	AUTO_FREE char *text = str_format("#!/bin/sh\n"
					  "refuse() { echo \"qemu: error: failed to set MSR $1 to "
					  "0x69\" >&2; kill -ABRT $$; }\n"
					  "case \"$*\" in\n"
					  "*'-cpu host '*) refuse %s ;;\n"
					  "*'-cpu host,arch-capabilities=off '*) refuse %s ;;\n"
					  "*) exec qemu-system-x86_64 \"$@\" ;;\n"
					  "esac\n",
		first, second);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(fs_write_file(path, text, strlen(text), 0755), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
	return path;
}

START_TEST(registers_that_kvm_refuses_are_done_without)
{
	char *dir = test_dir();
	AUTO_FREE char *qemu = strict_qemu(dir, "0x10a", "0x345"), *reason = NULL;
	struct setting s = set_up(false, "qemu.binary", qemu, NULL);
	nova_vm_t *vm = start(&s, NULL), *child = fork_one(vm);
	is_call(vm, 1);
	is_call(child, 1);
	ck_assert_str_eq(accelerator(&s, &reason), "kvm");
	nova_vm_free(vm);
	nova_vm_free(child);
	tear_down(&s);
	test_dir_remove(dir);
}
END_TEST

START_TEST(a_register_that_nothing_helps_against_is_named)
{
	char *dir = test_dir();
	AUTO_FREE char *qemu = strict_qemu(dir, "0x10a", "0x123456"), *reason = NULL;
	struct setting s = set_up(false, "qemu.binary", qemu, NULL);
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	nova_vm_t *vm = NULL;
	ck_fails_with(NOVA_EENGINE, "failed to set MSR 0x123456",
		nova_vm_start(s.host, &opts, &vm, &error));
	ck_assert_str_eq(accelerator(&s, &reason), "tcg");
	ck_assert_msg(strstr(reason, "failed to set MSR 0x123456") != NULL, "%s", reason);
	tear_down(&s);
	test_dir_remove(dir);
}
END_TEST

void add_host_tests(TCase *tc, int variants)
{
	if (!strcmp(engine, "qemu")) {
		tcase_add_test(tc, a_device_that_is_closed_to_qemus_user_is_told_of);
		tcase_add_test(tc, registers_that_kvm_refuses_are_done_without);
		tcase_add_test(tc, a_register_that_nothing_helps_against_is_named);
	}
	tcase_add_loop_test(
		tc, a_vmm_stays_in_the_control_group_that_it_was_started_in, 0, variants);
	tcase_add_loop_test(tc, a_vmm_is_held_to_its_memory_by_a_group_of_version_2, 0, variants);
	tcase_add_loop_test(tc, a_snapshot_of_another_processor_is_not_restored, 0, variants);
}
