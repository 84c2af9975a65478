/* SPDX-License-Identifier: MIT */
/* What shows only now and then, and devices. */
#include <sched.h>

#include "host/host.h"
#include "real.h"
#include "unit/netns.h"

/* The guest goes on being called from `calls` on. */
static void fork_and_call(nova_vm_t *vm, int forks, unsigned calls)
{
	for (int i = 0; i < forks; i++) {
		nova_vm_t *child = fork_one(vm);
		is_call(child, calls + (unsigned)i);
		nova_vm_free(child);
		is_call(vm, calls + (unsigned)i);
	}
}

START_TEST(no_fork_loses_its_parent_or_child)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	bool is_race = _i == 0 && !strcmp(engine, "firecracker"); /* else nothing is to be lost */
	fork_and_call(vm, is_race ? times(40, 200) : times(5, 40), 1);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* Ready may come after the reset of all streams has been handled, and at once, long before. */
START_TEST(no_fork_is_lost_whenever_the_guest_says_that_it_is_ready)
{
	static const char *const orders[] = { "{\"ready\":1}", "{\"ready\":2}" };
	struct setting s = set_up(false, NULL);
	nova_vm_t *vm = start(&s, NULL);
	call(vm, orders[_i]);
	fork_and_call(vm, times(10, 200), 2);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* --- devices --- */

static unsigned count_letter(const char *text, char letter)
{
	unsigned count = 0;
	for (; *text; text++)
		count += *text == letter;
	return count;
}

static void has_devices(nova_vm_t *vm, unsigned disks, unsigned networks)
{
	struct counters c = call(vm, "{}");
	ck_assert_uint_eq(count_letter(c.devices, 'b'), disks);
	ck_assert_uint_eq(count_letter(c.devices, 'n'), networks);
}

static nova_vm_opts with_limits(const char *disk)
{
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.memory_mb = 64;
	opts.code_disk = disk;
	opts.disk_iops = 1000;
	opts.disk_bandwidth = 10u << 20;
	return opts;
}

START_TEST(a_guest_has_the_disks_that_it_is_given)
{
	struct setting s = set_up(_i == 1, NULL);
	AUTO_FREE char *disk = code_disk(&s);
	nova_vm_opts opts = with_limits(disk);
	nova_vm_t *vm = start_with(&s, &opts), *child = fork_one(vm);
	has_devices(vm, 2, 0);
	has_devices(child, 2, 0);
	nova_vm_free(child);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(disks_can_be_read_by_io_uring)
{
	struct setting s = set_up(_i == 1, "firecracker.io_engine", "Async", NULL);
	AUTO_FREE char *disk = code_disk(&s);
	nova_vm_t *vm = start(&s, disk), *child = fork_one(vm);
	has_devices(vm, 2, 0);
	has_devices(child, 2, 0);
	nova_vm_free(child);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_guest_with_a_network_has_a_device_that_its_clone_has_too)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	struct setting s = set_up(_i == 1, NULL);
	AUTO_FREE char *disk = code_disk(&s);
	nova_vm_opts opts = with_limits(disk);
	opts.network = "nat";
	if (!strcmp(engine, "firecracker")) {
		opts.net_rx_bandwidth = 10u << 20;
		opts.net_tx_bandwidth = 5u << 20;
	}
	nova_vm_t *vm = start_with(&s, &opts), *child = fork_one(vm);
	has_devices(vm, 2, 1);
	has_devices(child, 2, 1);
	ck_assert_uint_eq(netns_count_taps(), 2);
	nova_vm_free(vm);
	nova_vm_free(child);
	ck_assert_uint_eq(netns_count_taps(), 0);
	tear_down(&s);
}
END_TEST

/* --- what the VMM takes --- */

/* Resident memory of a process, kB, without mappings that are as large as the guest's memory. */
static unsigned long own_memory(pid_t pid, unsigned long guest_bytes)
{
	AUTO_FREE char *path = str_format("/proc/%d/smaps", (int)pid);
	AUTO_BUF struct buf content = BUF_INIT(4u << 20);
	ck_assert_int_eq(fs_read_file(path, &content), 0);
	AUTO_FREE char *text = buf_steal_str(&content);
	unsigned long from, to, size = 0, kb, sum = 0;
	char *save = NULL;
	for (char *at = strtok_r(text, "\n", &save); at; at = strtok_r(NULL, "\n", &save)) {
		if (sscanf(at, "%lx-%lx ", &from, &to) == 2)
			size = to - from;
		else if (sscanf(at, "Rss: %lu kB", &kb) == 1 && size < guest_bytes)
			sum += kb;
	}
	return sum;
}

START_TEST(the_vmm_takes_less_than_5_mb_beside_the_guest)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	is_call(vm, 1);
	unsigned long booted = own_memory((pid_t)nova_vm_pid(vm), 64ul << 20);
	nova_vm_t *child = fork_one(vm);
	is_call(child, 2);
	unsigned long cloned = own_memory((pid_t)nova_vm_pid(child), 64ul << 20);
	printf("# note: the VMM takes %lu kB, that of a clone %lu kB%s\n", booted, cloned,
		_i == 1 ? ", in a jail" : "");
	fflush(stdout);
	ck_assert_uint_gt(booted, 100);
	ck_assert_uint_lt(booted, 5000);
	ck_assert_uint_lt(cloned, 5000);
	nova_vm_free(vm);
	nova_vm_free(child);
	tear_down(&s);
}
END_TEST

/* The figure is 125 ms, and what is asserted is ten times that, of the best of some: others may be
 * at work here. Where KVM interprets guests it says nothing. */
START_TEST(a_guest_answers_soon_where_kvm_is_fit)
{
	struct setting s = set_up(_i == 1, NULL);
	uint64_t best = UINT64_MAX;
	bool fit = host_engine_env(s.host)->kvm.state == KVM_FIT;
	for (int i = 0; fit && i < 3; i++) {
		nova_vm_t *vm = start(&s, NULL);
		uint64_t us =
			vm_stat(vm, NOVA_VM_STAT_START_US) + vm_stat(vm, NOVA_VM_STAT_BOOT_US);
		best = us < best ? us : best;
		nova_vm_free(vm);
	}
	if (fit)
		printf("# note: a guest answers after %llu us%s\n", (unsigned long long)best,
			_i == 1 ? ", in a jail" : "");
	else
		printf("# SKIP a_guest_answers_soon_where_kvm_is_fit: KVM is not fit here\n");
	fflush(stdout);
	ck_assert(!fit || best < 1250000);
	tear_down(&s);
}
END_TEST

void add_many_tests(TCase *tc, int variants)
{
	if (!strcmp(engine, "firecracker")) {
		tcase_add_loop_test(tc, the_vmm_takes_less_than_5_mb_beside_the_guest, 0, variants);
		tcase_add_loop_test(
			tc, no_fork_is_lost_whenever_the_guest_says_that_it_is_ready, 0, 2);
		tcase_add_loop_test(tc, a_guest_answers_soon_where_kvm_is_fit, 0, variants);
		tcase_add_loop_test(tc, disks_can_be_read_by_io_uring, 0, variants);
	}
	tcase_add_loop_test(tc, a_guest_has_the_disks_that_it_is_given, 0, variants);
	if (netns_missing())
		netns_add_skip(tc);
	else
		tcase_add_loop_test(tc, a_guest_with_a_network_has_a_device_that_its_clone_has_too,
			0, variants);
	tcase_add_loop_test(tc, no_fork_loses_its_parent_or_child, 0, variants);
}
