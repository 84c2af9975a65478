/* SPDX-License-Identifier: MIT */
/* The parts of the firecracker engine that only compute: what a version understands, requests,
 * replies, limits, pages. */
#include "engine/firecracker/firecracker.h"
#include "test.h"

static nova_error_t *error;

/* --- versions --- */

static struct fc_version version(const char *text)
{
	struct fc_version v;
	ck_assert_msg(fc_version_parse(text, &v), "%s", text);
	return v;
}

START_TEST(versions_are_read_as_the_program_prints_them)
{
	static const struct {
		const char *text;
		unsigned major, minor, patch;
	} good[] = {
		{ "Firecracker v1.16.1", 1, 16, 1 },
		{ "1.10.0", 1, 10, 0 },
		{ "v2.0.12\n", 2, 0, 12 },
		{ "1.17.0-dev", 1, 17, 0 },
		{ "Firecracker v1.12.1+local", 1, 12, 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct fc_version v = version(good[i].text);
		ck_assert_msg(v.major == good[i].major && v.minor == good[i].minor &&
				      v.patch == good[i].patch,
			"%s", good[i].text);
	}
	static const char *const bad[] = { "", "Firecracker", "1.16", "v1.x.3", "1.16.1beta",
		"1.99999.0", "7.1.-1", "1.+2.3", "1. 2.3", "1.2. 3", "1..3", "1.2.", "1.2.00003" };
	struct fc_version v;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!fc_version_parse(bad[i], &v), "%s", bad[i]);
}
END_TEST

/* The versions on either side of where a fact begins and ends; NULL: it does not. */
static const struct {
	enum fc_fact fact;
	const char *before, *first, *last, *after;
	unsigned upstream;
} facts[] = {
	{ FC_KEEPS_DEAD_STREAMS, NULL, "0.25.0", "1.9.99", "1.10.0", 4796 },
	{ FC_CLONES_ARE_DEAF, "1.15.99", "1.16.0", "1.16.0", "1.16.1", 5969 },
	{ FC_RESET_COMES_LATE, NULL, "1.10.0", "1.15.99", "1.16.0", 5882 },
	{ FC_PAUSE_STOPS_STREAMS, "1.15.1", "1.16.0", "1.16.9", "1.17.0", 6100 },
	{ FC_NAMES_NETWORKS, "1.11.9", "1.12.0", "2.0.0", NULL, 4731 },
	{ FC_DIFF_WITHOUT_TRACKING, "1.12.1", "1.13.0", "3.1.0", NULL, 5274 },
	{ FC_TRACKS_BY_NEW_NAME, "1.12.99", "1.13.0", "2.0.0", NULL, 0 },
	{ FC_NAMES_VSOCK, "1.15.2", "1.16.0", "2.0.0", NULL, 5323 },
};

static bool has(const char *text, enum fc_fact fact)
{
	struct fc_version v = version(text);
	return fc_has(&v, fact);
}

START_TEST(a_fact_is_true_of_the_versions_of_its_row_alone)
{
	enum fc_fact fact = facts[_i].fact;
	ck_assert(has(facts[_i].first, fact) && has(facts[_i].last, fact));
	ck_assert(!facts[_i].before || !has(facts[_i].before, fact));
	ck_assert(!facts[_i].after || !has(facts[_i].after, fact));
	ck_assert_uint_eq(fc_upstream(fact), facts[_i].upstream);
}
END_TEST

START_TEST(versions_that_cannot_work_are_refused)
{
	struct fc_version v;
	static const char *const good[] = { "1.10.0", "1.15.0", "1.16.1", "2.0.0" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		v = version(good[i]);
		ck_ok(fc_version_check(&v, &error));
	}
	v = version("1.9.1");
	ck_fails_with(NOVA_ENOTSUP, "1.9.1 is too old", fc_version_check(&v, &error));
	v = version("1.16.0");
	ck_fails_with(NOVA_ENOTSUP, "1.16.1 or later", fc_version_check(&v, &error));
}
END_TEST

/* --- requests --- */

static json_t *body_of(const struct fc_plan *plan, size_t i)
{
	json_t *body = json_loads(plan->list[i].body, 0, NULL);
	ck_assert_ptr_nonnull(body);
	return body;
}

static void is_request(const struct fc_plan *plan, size_t i, const char *path, const char *body)
{
	ck_assert_uint_lt(i, plan->count);
	ck_assert_str_eq(plan->list[i].method, "PUT");
	ck_assert_str_eq(plan->list[i].path, path);
	json_t *got = body_of(plan, i), *expected = json_loads(body, 0, NULL);
	ck_assert_ptr_nonnull(expected);
	ck_assert_msg(json_equal(got, expected), "%s: got %s, expected %s", path,
		plan->list[i].body, body);
	json_decref(got);
	json_decref(expected);
}

START_TEST(a_machine_is_made_in_the_order_that_is_demanded)
{
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	struct fc_boot boot = {
		.version = version("1.16.1"),
		.kernel = "/k",
		.initramfs = "/i",
		.disks = { { .name = "rootfs", .path = "/r" },
			{ .name = "code", .path = "/c", .iops = 1000, .bandwidth = 10485760 } },
		.disk_count = 2,
		.vsock = "/v",
		.config.memory_mb = 512,
		.config.vcpus = 2,
	};
	fc_plan_boot(&plan, &boot);
	ck_assert(!plan.failed);
	ck_assert_uint_eq(plan.count, 7);
	is_request(&plan, 0, "/machine-config", "{\"vcpu_count\":2,\"mem_size_mib\":512}");
	ck_assert_str_eq(plan.list[1].path, "/boot-source");
	is_request(&plan, 2, "/drives/rootfs",
		"{\"drive_id\":\"rootfs\",\"path_on_host\":\"/"
		"r\",\"is_root_device\":false,\"is_read_only\":true}");
	is_request(&plan, 3, "/drives/code",
		"{\"drive_id\":\"code\",\"path_on_host\":\"/"
		"c\",\"is_root_device\":false,\"is_read_only\":true,\"rate_limiter\":{"
		"\"bandwidth\":{\"size\":1048576,\"refill_time\":100},\"ops\":{\"size\":1000,"
		"\"refill_time\":1000}}}");
	is_request(&plan, 4, "/entropy", "{}");
	is_request(&plan, 5, "/vsock", "{\"guest_cid\":3,\"uds_path\":\"/v\"}");
	is_request(&plan, 6, "/actions", "{\"action_type\":\"InstanceStart\"}");
}
END_TEST

START_TEST(what_is_not_there_is_not_asked_for)
{
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	struct fc_boot boot = {
		.version = version("1.10.0"),
		.kernel = "/k",
		.disks = { { .name = "rootfs", .path = "/r" } },
		.disk_count = 1,
		.vsock = "/v",
		.config.memory_mb = 128,
		.config.vcpus = 1,
	};
	fc_plan_boot(&plan, &boot);
	ck_assert_uint_eq(plan.count, 6);
	json_t *source = body_of(&plan, 1);
	ck_assert_ptr_null(json_object_get(source, "initrd_path"));
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(source, "boot_args")), "init=/init"));
	json_decref(source);
	/* A kernel without initramfs mounts the disk itself. */
	is_request(&plan, 2, "/drives/rootfs",
		"{\"drive_id\":\"rootfs\",\"path_on_host\":\"/"
		"r\",\"is_root_device\":true,\"is_read_only\":true}");
}
END_TEST

START_TEST(disks_are_read_by_io_uring_if_that_is_asked_for)
{
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	struct fc_boot boot = {
		.version = version("1.10.0"),
		.kernel = "/k",
		.initramfs = "/i",
		.disks = { { .name = "rootfs", .path = "/r" }, { .name = "code", .path = "/c" } },
		.disk_count = 2,
		.vsock = "/v",
		.config.memory_mb = 128,
		.config.vcpus = 1,
		.async = true,
	};
	fc_plan_boot(&plan, &boot);
	is_request(&plan, 2, "/drives/rootfs",
		"{\"drive_id\":\"rootfs\",\"path_on_host\":\"/"
		"r\",\"is_root_device\":false,\"is_read_only\":true,\"io_engine\":\"Async\"}");
	is_request(&plan, 3, "/drives/code",
		"{\"drive_id\":\"code\",\"path_on_host\":\"/"
		"c\",\"is_root_device\":false,\"is_read_only\":true,\"io_engine\":\"Async\"}");
}
END_TEST

START_TEST(the_serial_console_is_off_unless_asked_for)
{
	AUTO_FREE char *off = fc_boot_args(false, false, NULL),
		       *on = fc_boot_args(true, false, NULL);
	ck_assert(strstr(off, "8250.nr_uarts=0") && !strstr(off, "console="));
	ck_assert(strstr(on, "console=ttyS0") && !strstr(on, "nr_uarts"));
	/* the guest ends by the keyboard controller, also after a panic */
	ck_assert(strstr(off, "reboot=k panic=1"));
	ck_assert_uint_lt(strlen(off), 1024);
}
END_TEST

static struct net_link link_of(const char *name, const char *subnet, const char *address)
{
	struct net_link link = NET_LINK_NONE;
	snprintf(link.name, sizeof(link.name), "%s", name);
	ck_assert(net_subnet_parse(subnet, &link.subnet) &&
		  net_address_parse(address, &link.address));
	return link;
}

START_TEST(a_network_device_has_its_tap_its_address_and_its_limits)
{
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	struct net_link link = link_of("nova-012345", "172.30.0.0/24", "172.30.0.7");
	struct fc_boot boot = {
		.version = version("1.16.1"),
		.kernel = "/k",
		.initramfs = "/i",
		.vsock = "/v",
		.config.memory_mb = 128,
		.config.vcpus = 1,
		.link = &link,
		.config.net_rx_bandwidth = 5242880,
		.config.net_tx_bandwidth = 1000,
	};
	fc_plan_boot(&plan, &boot);
	ck_assert(!plan.failed);
	json_t *source = body_of(&plan, 1);
	ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(source, "boot_args")),
		" ip=172.30.0.7::172.30.0.1:255.255.255.0::eth0:off"));
	json_decref(source);
	is_request(&plan, 2, "/network-interfaces/eth0",
		"{\"iface_id\":\"eth0\",\"host_dev_name\":\"nova-012345\",\"guest_mac\":\"02:fc:00:"
		"1e:00:07\",\"rx_rate_limiter\":{\"bandwidth\":{\"size\":524288,\"refill_time\":"
		"100}},\"tx_rate_limiter\":{\"bandwidth\":{\"size\":65536,\"refill_time\":65536}}"
		"}");
}
END_TEST

START_TEST(a_network_device_without_limits_has_no_limiter)
{
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	struct net_link link = link_of("nova-012345", "10.0.0.0/8", "10.1.2.3");
	struct fc_boot boot = {
		.version = version("1.10.0"),
		.kernel = "/k",
		.vsock = "/v",
		.config.memory_mb = 128,
		.config.vcpus = 1,
		.link = &link,
	};
	fc_plan_boot(&plan, &boot);
	is_request(&plan, 2, "/network-interfaces/eth0",
		"{\"iface_id\":\"eth0\",\"host_dev_name\":\"nova-012345\",\"guest_mac\":\"02:fc:00:"
		"01:02:03\"}");
}
END_TEST

START_TEST(a_clone_gets_a_tap_of_its_own_from_version_1_12_on)
{
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	struct fc_restore restore = {
		.version = version("1.12.0"),
		.state = "/s",
		.memory = "/m",
		.vsock = "/v",
		.tap = "nova-abcdef-1",
	};
	ck_ok(fc_restore_check(&restore, &error));
	fc_plan_restore(&plan, &restore);
	is_request(&plan, 0, "/snapshot/load",
		"{\"snapshot_path\":\"/"
		"s\",\"mem_backend\":{\"backend_type\":\"File\",\"backend_path\":\"/"
		"m\"},\"resume_vm\":true,\"enable_diff_snapshots\":true,\"network_overrides\":[{"
		"\"iface_id\":\"eth0\",\"host_dev_name\":\"nova-abcdef-1\"}]}");
	restore.version = version("1.11.3");
	ck_fails_with(NOVA_ENOTSUP, "1.12 or later", fc_restore_check(&restore, &error));
	restore.tap = NULL;
	ck_ok(fc_restore_check(&restore, &error));
}
END_TEST

static const struct {
	const char *version, *body;
} restores[] = {
	{ "1.10.0", "\"enable_diff_snapshots\":true" },
	{ "1.12.9", "\"enable_diff_snapshots\":true" },
	{ "1.13.0", "\"track_dirty_pages\":true" },
	{ "1.15.1", "\"track_dirty_pages\":true" },
	{ "1.16.1", "\"track_dirty_pages\":true,\"vsock_override\":{\"uds_path\":\"/v\"}" },
	{ "1.17.0", "\"track_dirty_pages\":true,\"vsock_override\":{\"uds_path\":\"/v\"}" },
};

START_TEST(each_version_is_sent_only_fields_that_it_knows)
{
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	struct fc_restore restore = {
		.version = version(restores[_i].version),
		.state = "/s",
		.memory = "/m",
		.vsock = "/v",
	};
	fc_plan_restore(&plan, &restore);
	AUTO_FREE char *body = str_format("{\"snapshot_path\":\"/"
					  "s\",\"mem_backend\":{\"backend_type\":\"File\","
					  "\"backend_path\":\"/m\"},\"resume_vm\":true,%s}",
		restores[_i].body);
	ck_assert_uint_eq(plan.count, 1);
	is_request(&plan, 0, "/snapshot/load", body);
}
END_TEST

START_TEST(a_snapshot_is_whole_or_a_difference)
{
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	fc_plan_save(&plan, "/s", "/m", false);
	fc_plan_save(&plan, "/s", "/m", true);
	is_request(&plan, 0, "/snapshot/create",
		"{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/m\",\"snapshot_type\":\"Full\"}");
	is_request(&plan, 1, "/snapshot/create",
		"{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/m\",\"snapshot_type\":\"Diff\"}");
}
END_TEST

START_TEST(a_first_difference_is_whole_by_version_and_swap)
{
	static const struct {
		const char *version;
		bool swap, tracks;
	} cases[] = {
		{ "1.10.0", false, true },
		{ "1.12.1", false, true },
		{ "1.13.0", false, false },
		{ "1.13.0", true, true },
		{ "1.17.0", false, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
		struct fc_boot boot = {
			.version = version(cases[i].version),
			.kernel = "/k",
			.vsock = "/v",
			.config.memory_mb = 128,
			.config.vcpus = 1,
		};
		boot.track = fc_must_track(&boot.version, cases[i].swap);
		ck_assert_msg(boot.track == cases[i].tracks, "%s", cases[i].version);
		fc_plan_boot(&plan, &boot);
		json_t *machine = body_of(&plan, 0);
		ck_assert(
			json_is_true(json_object_get(machine, "track_dirty_pages")) == boot.track);
		json_decref(machine);
	}
}
END_TEST

/* --- command line --- */

static char *joined(const struct fc_command *command)
{
	AUTO_BUF struct buf line = BUF_INIT(4096);
	for (size_t i = 0; command->argv[i]; i++)
		ck_assert(buf_append_str(&line, command->argv[i]) == 0 &&
			  buf_append_str(&line, " ") == 0);
	return buf_steal_str(&line);
}

START_TEST(without_a_jailer_the_program_is_started_plainly)
{
	CLEANUP(fc_command_done) struct fc_command command;
	struct fc_place place = { .id = "nova-0123abcd-ffff", .fd = 7 };
	ck_assert_int_eq(fc_command_make(&command, NULL, "/bin/firecracker", &place, "/jails"), 0);
	AUTO_FREE char *line = joined(&command);
	ck_assert_str_eq(line,
		"/bin/firecracker --id nova-0123abcd-ffff --api-sock /proc/self/fd/4/api "
		"--log-path /proc/self/fd/4/diag --level Warning --show-level ");
}
END_TEST

START_TEST(the_jailer_gets_user_group_place_and_the_programs_own_arguments)
{
	CLEANUP(fc_command_done) struct fc_command command;
	struct fc_place place = {
		.jailed = true,
		.id = "nova-0123abcd-ffff",
		.fd = 7,
		.uid = 1879048193,
		.logs = true,
	};
	ck_assert_int_eq(
		fc_command_make(&command, "/bin/jailer", "/bin/firecracker", &place, "/jails"), 0);
	AUTO_FREE char *line = joined(&command);
	static const char expected[] =
		"/bin/jailer --id nova-0123abcd-ffff --exec-file /bin/firecracker --uid 1879048193 "
		"--gid 1879048192 --chroot-base-dir /jails --cgroup-version 1 --resource-limit "
		"no-file=1024 -- --api-sock /api --log-path /diag --level Warning --show-level "
		"--metrics-path /metrics ";
	ck_assert_str_eq(line, expected);
}
END_TEST

START_TEST(files_have_the_same_names_in_every_clone)
{
	struct fc_place a = { .id = "nova-1", .fd = 7 }, jailed = { .jailed = true, .fd = 7 };
	static const char *const plain[] = { "/proc/self/fd/5", "/proc/self/fd/6",
		"/proc/self/fd/7", "/proc/self/fd/8", "/proc/self/fd/9", "/proc/self/fd/4/kernel",
		"/proc/self/fd/4/initramfs", "/proc/self/fd/4/vsock" };
	for (int i = 0; i < (int)ARRAY_LEN(plain); i++) {
		AUTO_FREE char *seen = fc_seen(&a, (enum fc_file)i),
			       *inside = fc_seen(&jailed, (enum fc_file)i);
		ck_assert_str_eq(seen, plain[i]);
		ck_assert_msg(inside[0] == '/' && !strchr(inside + 1, '/'), "%s", inside);
	}
	AUTO_FREE char *ours = fc_path(&jailed, FC_VSOCK);
	/* however long the path of the jail is, a socket's address holds it */
	ck_assert_str_eq(ours, "/proc/self/fd/7/vsock");
}
END_TEST

/* --- limits --- */

static const uint64_t rates[] = { 1, 1000, 65535, 655359, 655360, 10485760, 5242880, 1ull << 40 };

START_TEST(a_rate_becomes_a_bucket_that_neither_stalls_nor_bursts)
{
	bool failed = false;
	json_t *limiter = fc_rate_limiter(rates[_i], 0, &failed);
	ck_assert(limiter && !failed);
	ck_assert_ptr_null(json_object_get(limiter, "ops"));
	json_t *bucket = json_object_get(limiter, "bandwidth");
	uint64_t size = (uint64_t)json_integer_value(json_object_get(bucket, "size"));
	uint64_t refill = (uint64_t)json_integer_value(json_object_get(bucket, "refill_time"));
	ck_assert_uint_ge(size, 65536);
	ck_assert_uint_ge(refill, 100);
	double got = (double)size * 1000 / (double)refill;
	ck_assert_msg(got >= (double)rates[_i] * 0.99 && got <= (double)rates[_i] * 1.01,
		"%g instead of %llu", got, (unsigned long long)rates[_i]);
	json_decref(limiter);
}
END_TEST

START_TEST(no_limit_is_no_limiter_and_operations_are_counted_by_the_second)
{
	bool failed = false;
	ck_assert_ptr_null(fc_rate_limiter(0, 0, &failed));
	ck_assert(!failed);
	json_t *limiter = fc_rate_limiter(0, 250, &failed);
	AUTO_FREE char *text = json_dumps(limiter, JSON_COMPACT | JSON_SORT_KEYS);
	ck_assert_str_eq(text, "{\"ops\":{\"refill_time\":1000,\"size\":250}}");
	json_decref(limiter);
}
END_TEST

/* --- replies --- */

static const struct {
	const char *text, *fault;
} faults[] = {
	{ "{\"fault_message\":\"no such file\"}", "no such file" },
	{ "{\"fault_message\":\"two\\nlines\"}", "two lines" },
	{ "{ \"error\": \"text\nAll previous unanswered requests will be dropped.\" }", NULL },
	{ "{\"fault_message\":7}", NULL },
	{ "[]", NULL },
	{ "", NULL },
	{ "no words", NULL },
};

START_TEST(a_reason_is_taken_from_what_looks_like_one)
{
	AUTO_FREE char *got = fc_fault(faults[_i].text, strlen(faults[_i].text));
	if (faults[_i].fault)
		ck_assert_str_eq(got, faults[_i].fault);
	else
		ck_assert_ptr_null(got);
}
END_TEST

START_TEST(a_reason_without_end_is_cut)
{
	AUTO_FREE char *many = malloc(100001), *text = NULL;
	memset(many, 'x', 100000);
	many[100000] = 0;
	text = str_format("{\"fault_message\":\"%s\"}", many);
	AUTO_FREE char *got = fc_fault(text, strlen(text));
	ck_assert_uint_le(strlen(got), 600);
	ck_assert_uint_gt(strlen(got), 100);
}
END_TEST

START_TEST(only_firecracker_is_taken_for_firecracker)
{
	struct fc_version v;
	static const char good[] =
		"{\"id\":\"x\",\"state\":\"Not "
		"started\",\"vmm_version\":\"1.16.1\",\"app_name\":\"Firecracker\"}";
	ck_assert(fc_answer_version(good, strlen(good), &v) && v.minor == 16);
	static const char *const bad[] = {
		"{}",
		"",
		"null",
		"{\"vmm_version\":\"1.16.1\"}",
		"{\"vmm_version\":\"x\",\"app_name\":\"Firecracker\"}",
		"{\"vmm_version\":1,\"app_name\":\"Firecracker\"}",
		"{\"vmm_version\":\"1.16.1\",\"app_name\":\"nginx\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!fc_answer_version(bad[i], strlen(bad[i]), &v), "%s", bad[i]);
}
END_TEST

/* --- advice --- */

static void put_file(const char *root, const char *path, const char *text)
{
	AUTO_FREE char *whole = str_format("%s%s", root, path), *directory = strdup(whole);
	*strrchr(directory, '/') = 0;
	ck_assert_int_eq(fs_mkdirs(directory, 0700), 0);
	ck_assert_int_eq(fs_write_file(whole, text, strlen(text), 0600), 0);
}

START_TEST(a_host_as_it_should_be_gets_no_advice)
{
	char *root = test_dir();
	AUTO_FREE char *nothing = NULL;
	put_file(root, "/proc/swaps", "Filename Type Size Used Priority\n");
	put_file(root, "/proc/sys/kernel/osrelease", "6.18.1\n");
	put_file(root, "/sys/kernel/mm/ksm/run", "0\n");
	put_file(root, "/sys/devices/system/cpu/smt/active", "0\n");
	put_file(root, "/sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n");
	ck_assert_int_eq(fc_advice(root, true, "/jailer", &nothing), 0);
	ck_assert_str_eq(nothing, "");
	test_dir_remove(root);
}
END_TEST

START_TEST(what_is_missing_is_named_one_a_line)
{
	char *root = test_dir();
	AUTO_FREE char *all = NULL, *user = NULL;
	put_file(root, "/proc/swaps",
		"Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n");
	put_file(root, "/proc/sys/kernel/osrelease", "6.1.0-56-amd64\n");
	put_file(root, "/proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n");
	put_file(root, "/sys/kernel/mm/ksm/run", "1\n");
	put_file(root, "/sys/devices/system/cpu/smt/active", "1\n");
	put_file(root, "/sys/devices/system/cpu/vulnerabilities/mds",
		"Vulnerable: Clear CPU buffers attempted, no microcode\n");
	put_file(root, "/sys/devices/system/cpu/vulnerabilities/retbleed", "Vulnerable\n");
	put_file(root, "/sys/devices/system/cpu/vulnerabilities/tsx", "Mitigation: x\n");
	ck_assert_int_eq(fc_advice(root, true, NULL, &all), 0);
	static const char *const parts[] = { "no jailer", "swapoff -a", "KSM", "SMT",
		"open to mds, retbleed:", "favordynmods" };
	size_t lines = 1;
	for (const char *at = all; (at = strchr(at, '\n')); at++)
		lines++;
	ck_assert_uint_eq(lines, ARRAY_LEN(parts));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		ck_assert_msg(strstr(all, parts[i]) != NULL, "'%s' not in: %s", parts[i], all);
	ck_assert_int_eq(fc_advice(root, false, NULL, &user), 0);
	ck_assert(str_starts(user, "VMMs run as this user"));
	test_dir_remove(root);
}
END_TEST

/* --- io_uring --- */

static bool async_on(const char *release, const char *disabled, bool is_root, const char *part)
{
	char *root = test_dir();
	nova_config_t *config;
	bool async = false;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "firecracker.io_engine", "Async", &error));
	struct engine_env env = { .config = config };
	put_file(root, "/proc/sys/kernel/osrelease", release);
	if (disabled)
		put_file(root, "/proc/sys/kernel/io_uring_disabled", disabled);
	int code = fc_wants_async(root, &env, is_root, &async, &error);
	if (part)
		ck_fails_with(NOVA_ENOTSUP, part, code);
	else
		ck_ok(code);
	nova_config_free(config);
	test_dir_remove(root);
	return code == 0 && async;
}

START_TEST(a_host_that_cannot_read_by_io_uring_is_told_from)
{
	async_on("5.10.50\n", NULL, true, "this is 5.10.50: set it to Sync");
	async_on("5.4.0-150-generic\n", NULL, true, "needs Linux 5.10.51 or later");
	async_on("unknown\n", NULL, true, "needs Linux 5.10.51");
	async_on("6.6.1\n", "2\n", true, "switched off");
	async_on("6.6.1\n", "1\n", false, "switched off");
	ck_assert(async_on("5.10.51\n", NULL, false, NULL));
	ck_assert(async_on("5.15.0-91-generic\n", NULL, false, NULL));
	ck_assert(async_on("6.6.1\n", "1\n", true, NULL));
	ck_assert(async_on("7.0-rc1\n", "0\n", false, NULL));
}
END_TEST

START_TEST(without_the_setting_io_uring_matters_to_nobody)
{
	nova_config_t *config;
	bool async = true;
	ck_ok(nova_config_new(&config, &error));
	struct engine_env env = { .config = config };
	ck_ok(fc_wants_async("/nonexistent", &env, false, &async, &error));
	ck_assert(!async);
	ck_fails_with(NOVA_ECONFIG, "it takes one of Sync, Async",
		nova_config_set(config, "firecracker.io_engine", "async", &error));
	nova_config_free(config);
}
END_TEST

/* --- pages --- */

#define MEMORY_PAGES 64u
#define MEMORY_BYTES ((uint64_t)MEMORY_PAGES * PAGE_BYTES)

static void put_page(int fd, uint32_t page, char letter)
{
	uint8_t content[PAGE_BYTES];
	memset(content, letter, sizeof(content));
	ck_assert_int_eq(
		sys_pwrite_all(fd, content, sizeof(content), (uint64_t)page * PAGE_BYTES), 0);
}

static int sparse(const char *letters) /* one for each page, '.' is a hole */
{
	int fd = sys_memfd("test");
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sys_truncate(fd, MEMORY_BYTES), 0);
	for (uint32_t i = 0; letters[i]; i++)
		if (letters[i] != '.')
			put_page(fd, i, letters[i]);
	return fd;
}

static void memory_is(int fd, const char *letters)
{
	char page[PAGE_BYTES];
	for (uint32_t i = 0; letters[i]; i++) {
		ck_assert_int_eq(
			sys_pread_all(fd, page, sizeof(page), (uint64_t)i * PAGE_BYTES), 0);
		char expected = letters[i] == '.' ? 0 : letters[i];
		ck_assert_msg(page[0] == expected && page[PAGE_BYTES - 1] == expected,
			"page %u is '%c', not '%c'", i, page[0], letters[i]);
	}
}

static void update(struct pages *pages, const char *letters)
{
	AUTO_FD int fd = sparse(letters);
	ck_ok(pages_update(pages, fd, MEMORY_BYTES, &error));
}

START_TEST(differences_add_up_and_the_latest_counts)
{
	CLEANUP(pages_done) struct pages pages = PAGES_NONE;
	update(&pages, "........");
	ck_assert_uint_eq(pages.count, 0);
	update(&pages, ".aa..a..");
	ck_assert_uint_eq(pages.count, 3);
	ck_assert_uint_eq(pages.run_count, 2);
	update(&pages, "b.bb...b");
	ck_assert_uint_eq(pages.count, 6);
	update(&pages, "........");
	AUTO_FD int memory = sparse("zzzzzzzz");
	ck_assert_int_eq(pages_lay_over(&pages, memory), 0);
	memory_is(memory, "babbzazb");
}
END_TEST

START_TEST(a_difference_without_holes_is_not_believed)
{
	struct pages pages = PAGES_NONE;
	AUTO_FD int fd = sys_memfd("test");
	for (uint32_t i = 0; i < MEMORY_PAGES; i++)
		put_page(fd, i, 'x');
	ck_fails_with(NOVA_EIO, "not supported", pages_update(&pages, fd, MEMORY_BYTES, &error));
	ck_assert_uint_eq(pages.count, 0);
}
END_TEST

START_TEST(a_whole_file_is_made_once_and_goes_with_its_pages)
{
	char *dir = test_dir();
	struct pages pages = PAGES_NONE;
	update(&pages, "...c....");
	AUTO_FD int base = sparse("zz......");
	char *first = NULL, *second = NULL;
	ck_ok(pages_whole(&pages, dir, base, MEMORY_BYTES, &first, &error));
	ck_ok(pages_whole(&pages, dir, base, MEMORY_BYTES, &second, &error));
	ck_assert_str_eq(first, second);
	AUTO_FD int file = sys_open(first, 0, 0);
	memory_is(file, "zz.c....");
	struct pages copy;
	ck_ok(pages_copy(&pages, &copy, &error));
	pages_done(&copy);
	ck_assert(fs_exists(first));
	pages_done(&pages);
	ck_assert(!fs_exists(first));
	free(first);
	free(second);
	ck_fails(NOVA_ENOTFOUND, pages_whole(&(struct pages)PAGES_NONE, "/no/such/place", base,
					 MEMORY_BYTES, &first, &error));
	test_dir_remove(dir);
}
END_TEST

static Suite *firecracker_suite(void)
{
	Suite *suite = suite_create("firecracker");
	TCase *tc = tcase_create("versions");
	tcase_add_test(tc, versions_are_read_as_the_program_prints_them);
	tcase_add_loop_test(
		tc, a_fact_is_true_of_the_versions_of_its_row_alone, 0, ARRAY_LEN(facts));
	tcase_add_test(tc, versions_that_cannot_work_are_refused);
	suite_add_tcase(suite, tc);
	tc = tcase_create("requests");
	tcase_add_test(tc, a_machine_is_made_in_the_order_that_is_demanded);
	tcase_add_test(tc, what_is_not_there_is_not_asked_for);
	tcase_add_test(tc, disks_are_read_by_io_uring_if_that_is_asked_for);
	tcase_add_test(tc, the_serial_console_is_off_unless_asked_for);
	tcase_add_test(tc, a_network_device_has_its_tap_its_address_and_its_limits);
	tcase_add_test(tc, a_network_device_without_limits_has_no_limiter);
	tcase_add_test(tc, a_clone_gets_a_tap_of_its_own_from_version_1_12_on);
	tcase_add_loop_test(
		tc, each_version_is_sent_only_fields_that_it_knows, 0, ARRAY_LEN(restores));
	tcase_add_test(tc, a_snapshot_is_whole_or_a_difference);
	tcase_add_test(tc, a_first_difference_is_whole_by_version_and_swap);
	suite_add_tcase(suite, tc);
	tc = tcase_create("command line");
	tcase_add_test(tc, without_a_jailer_the_program_is_started_plainly);
	tcase_add_test(tc, the_jailer_gets_user_group_place_and_the_programs_own_arguments);
	tcase_add_test(tc, files_have_the_same_names_in_every_clone);
	suite_add_tcase(suite, tc);
	tc = tcase_create("limits");
	tcase_add_loop_test(
		tc, a_rate_becomes_a_bucket_that_neither_stalls_nor_bursts, 0, ARRAY_LEN(rates));
	tcase_add_test(tc, no_limit_is_no_limiter_and_operations_are_counted_by_the_second);
	suite_add_tcase(suite, tc);
	tc = tcase_create("replies");
	tcase_add_loop_test(tc, a_reason_is_taken_from_what_looks_like_one, 0, ARRAY_LEN(faults));
	tcase_add_test(tc, a_reason_without_end_is_cut);
	tcase_add_test(tc, only_firecracker_is_taken_for_firecracker);
	suite_add_tcase(suite, tc);
	tc = tcase_create("advice");
	tcase_add_test(tc, a_host_as_it_should_be_gets_no_advice);
	tcase_add_test(tc, a_host_that_cannot_read_by_io_uring_is_told_from);
	tcase_add_test(tc, without_the_setting_io_uring_matters_to_nobody);
	tcase_add_test(tc, what_is_missing_is_named_one_a_line);
	suite_add_tcase(suite, tc);
	tc = tcase_create("pages");
	tcase_add_test(tc, differences_add_up_and_the_latest_counts);
	tcase_add_test(tc, a_difference_without_holes_is_not_believed);
	tcase_add_test(tc, a_whole_file_is_made_once_and_goes_with_its_pages);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(firecracker_suite)
