/* SPDX-License-Identifier: MIT */
/* The parts of the qemu engine that only compute. */
#include <sys/socket.h>

#include "engine/qemu/qemu.h"
#include "host/host.h"
#include "test.h"
#include "vm/frozen.h"

START_TEST(versions_of_qemu_are_digits_and_dots)
{
	struct qemu_version v;
	ck_assert(qemu_version_parse(
		"QEMU emulator version 10.0.3 (Debian 1:10.0.3+ds-0+deb13u1)", &v));
	ck_assert(v.major == 10 && v.minor == 0 && v.patch == 3);
	ck_assert(qemu_version_parse("QEMU emulator version 8.2", &v) && v.minor == 2 &&
		  v.patch == 0);
	static const char *const bad[] = { "", "QEMU", "version ", "version 8", "version -8.1.0",
		"version 8.-1.0", "version 8.1.-1", "version 8. 1", "version 99999.1" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!qemu_version_parse(bad[i], &v), "%s", bad[i]);
}
END_TEST

/* --- the processor with KVM --- */

#define REFUSED(number)                                                                            \
	"QEMU has ended; it said: qemu-system-x86_64: error: failed to set MSR " number            \
	" to 0x69\n"                                                                               \
	"qemu-system-x86_64: ../target/i386/kvm/kvm.c:2996: kvm_buf_set_msrs: Assertion failed."

START_TEST(what_kvm_refuses_is_done_without_one_by_one)
{
	static const struct {
		const char *words, *cpu;
	} steps[] = {
		{ REFUSED("0x10a"), "host,arch-capabilities=off" },
		{ REFUSED("0x48d"), "host,arch-capabilities=off,vmx=off" },
		{ REFUSED("0xc0000104"), "host,arch-capabilities=off,vmx=off,tsc-scale=off" },
	};
	char cpu[QEMU_CPU] = "host";
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		ck_assert(qemu_cpu_adapt(cpu, steps[i].words));
		ck_assert_str_eq(cpu, steps[i].cpu);
	}
}
END_TEST

START_TEST(what_nothing_helps_against_is_left_as_it_is)
{
	static const char *const words[] = {
		"",
		"QEMU has ended",
		REFUSED("0x12345"),
		REFUSED("0x"),
		REFUSED("0x10a"),
	};
	char cpu[QEMU_CPU] = "host,arch-capabilities=off";
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		ck_assert_msg(!qemu_cpu_adapt(cpu, words[i]), "%s", words[i]);
	ck_assert_str_eq(cpu, "host,arch-capabilities=off");
}
END_TEST

/* --- the monitor --- */

static nova_error_t *error;

START_TEST(a_qemu_that_does_not_read_its_monitor_holds_nobody_up)
{
	int pair[2], code = 0;
	struct qmp q;
	ck_assert_int_eq(sys_socketpair(SOCK_STREAM, pair), 0);
	qmp_init(&q, pair[0]);
	for (int i = 0; code == 0 && i < 1000000; i++)
		code = qmp_post(&q, "stop", &error);
	ck_fails_with(NOVA_EENGINE, "does not read its monitor", code);
	ck_fails_with(NOVA_EENGINE, "does not read its monitor",
		qmp_do(&q, "cont", NULL, deadline_in_ms(20), NULL, &error));
	qmp_done(&q);
	fd_close(pair[1]);
}
END_TEST

START_TEST(a_late_reply_of_the_monitor_is_not_taken_for_the_next_one)
{
	static const char both[] =
		"{\"return\": {\"of\": \"first\"}}\n{\"return\": {\"of\": \"second\"}}\n";
	int pair[2];
	struct qmp q;
	json_t *value = NULL;
	ck_assert_int_eq(sys_socketpair(SOCK_STREAM, pair), 0);
	qmp_init(&q, pair[0]);
	ck_fails_with(NOVA_EENGINE, "does not answer",
		qmp_do(&q, "first", NULL, deadline_in_ms(1), NULL, &error));
	ck_assert_int_eq(sys_write_all(pair[1], both, strlen(both)), 0);
	ck_ok(qmp_do(&q, "second", NULL, deadline_in_ms(100000), &value, &error));
	ck_assert_str_eq(json_string_value(json_object_get(value, "of")), "second");
	json_decref(value);
	qmp_done(&q);
	fd_close(pair[1]);
}
END_TEST

/* --- the command line --- */

/* The argument that begins with that, or NULL. */
static const char *argument(const struct arguments *a, const char *begin)
{
	for (size_t i = 0; i < a->count; i++)
		if (str_starts(a->list[i], begin))
			return a->list[i];
	return NULL;
}

#define GROUP "{\"qom-type\":\"throttle-group\""

START_TEST(the_limits_of_the_code_disk_are_those_of_a_throttle_group)
{
	static const struct {
		uint64_t iops, bandwidth;
		const char *limits; /* NULL: none */
	} rows[] = {
		{ 0, 0, NULL },
		{ 50, 0, "{\"iops-total\":50,\"bps-total\":0}" },
		{ 1, 204800, "{\"iops-total\":1,\"bps-total\":204800}" },
		{ INT64_MAX, 1, "{\"iops-total\":1000000000000000,\"bps-total\":1}" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(arguments_done) struct arguments a = { .count = 0 };
		struct net_link link = NET_LINK_NONE;
		struct machine_spec spec = {
			.id = "00000001",
			.config.rootfs = (char[]){ "/root" },
			.config.code_disk = (char[]){ "/code" },
			.config.disk_iops = rows[i].iops,
			.config.disk_bandwidth = rows[i].bandwidth,
			.base_fd = -1,
		};
		qemu_command(&a, "qemu", NULL, 1, &spec, &link);
		const char *group = argument(&a, GROUP);
		ck_assert_int_eq(group != NULL, rows[i].limits != NULL);
		if (group)
			ck_assert_msg(strstr(group, rows[i].limits), "%s", group);
		ck_assert(argument(&a, "node-name=rootfs,read-only=on,driver=raw"));
		ck_assert(argument(&a, group ? "node-name=code,read-only=on,driver=throttle" :
					       "node-name=code,read-only=on,driver=raw"));
	}
}
END_TEST

#ifdef NOVA_ZYGOTE
/* What was found is kept, so another context does without, too; not for ever. */
START_TEST(three_wrong_children_are_the_last)
{
	char *dir = test_dir();
	nova_config_t *config;
	struct hot_forks hot = {
		.lock = PTHREAD_MUTEX_INITIALIZER, .memory = path_join(dir, "hot"), .known = true
	};
	struct engine_env env = { .config = NULL, .hot = &hot };
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "qemu.accel", "tcg", &error));
	ck_ok(nova_config_set(config, "pool.hot", "off", &error));
	env.config = config;
	ck_assert_str_eq(qemu_hot_obstacle(&env, false), "the setting pool.hot is off");
	ck_ok(nova_config_set(config, "pool.hot", "auto", &error));
	for (int i = 0; i < 3; i++) {
		ck_assert_ptr_null(qemu_hot_obstacle(&env, false));
		qemu_hot_strike(&env, "it was green");
	}
	ck_assert_ptr_nonnull(strstr(qemu_hot_obstacle(&env, false), "it was green"));
	if (fs_exists(hot.memory)) { /* there is a QEMU of which that is known */
		struct hot_forks next = { .lock = PTHREAD_MUTEX_INITIALIZER, .memory = hot.memory };
		env.hot = &next;
		ck_assert_ptr_nonnull(strstr(qemu_hot_obstacle(&env, false), "it was green"));
	}
	free(hot.memory);
	nova_config_free(config);
	test_dir_remove(dir);
}
END_TEST

bool __wrap_sys_has_landlock(void);
bool __wrap_sys_has_landlock(void)
{
	return false;
}

static const char *obstacle(const struct engine_env *env, bool shared)
{
	(void)env;
	return shared ? qemu_sharing_obstacle(true) : NULL;
}

static int fork_none(
	struct machine *m, const struct machine_fork *how, struct machine *child, nova_error_t **e)
{
	(void)m, (void)how, (void)child;
	return nova_fail(e, NOVA_ENOTSUP, "there is no machine");
}

START_TEST(without_landlock_no_zygote_is_made_for_several_owners_where_each_vmm_has_a_user)
{
	static const struct engine_ops ops = { .fork_obstacle = obstacle, .fork = fork_none };
	char draws[] = "uuid";
	AUTO_FREE char *dir = test_dir();
	nova_config_t *config;
	nova_host_t *host;
	struct frozen runtime = { .ops = &ops }, function = { .ops = &ops }, drawing = function;
	function.function.is_there = true;
	drawing.function.draws = draws;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", dir, &error));
	ck_ok(nova_host_new(config, &host, &error));
	ck_assert_ptr_nonnull(strstr(frozen_hot_obstacle(host, &runtime), "Landlock"));
	ck_assert_ptr_null(frozen_hot_obstacle(host, &function));
	ck_assert_ptr_null(frozen_hot_obstacle(host, &drawing));
	ck_assert_ptr_null(qemu_sharing_obstacle(false));
	nova_host_unref(host);
	nova_config_free(config);
	test_dir_remove(STEAL(dir));
}
END_TEST
#endif

static Suite *qemu_suite(void)
{
	Suite *suite = suite_create("qemu");
	TCase *tc = tcase_create("qemu");
	tcase_add_test(tc, versions_of_qemu_are_digits_and_dots);
	tcase_add_test(tc, what_kvm_refuses_is_done_without_one_by_one);
	tcase_add_test(tc, what_nothing_helps_against_is_left_as_it_is);
	tcase_add_test(tc, a_qemu_that_does_not_read_its_monitor_holds_nobody_up);
	tcase_add_test(tc, a_late_reply_of_the_monitor_is_not_taken_for_the_next_one);
	tcase_add_test(tc, the_limits_of_the_code_disk_are_those_of_a_throttle_group);
#ifdef NOVA_ZYGOTE
	tcase_add_test(tc, three_wrong_children_are_the_last);
	tcase_add_test(tc,
		without_landlock_no_zygote_is_made_for_several_owners_where_each_vmm_has_a_user);
#endif
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(qemu_suite)
