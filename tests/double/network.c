/* SPDX-License-Identifier: MIT */
/* Machines with a network device: the double opens real TAPs, in a jail as a user who may do
 * nothing else. */
#include "setting.h"
#include "unit/netns.h"

static void attach(struct setting *s, const struct net_link *same)
{
	ck_ok(net_attach(s->env->net, "0123abcd", same, &s->m->link, &error));
}

static void boot_with_limits(struct setting *s)
{
	struct machine_spec spec = {
		.id = "0123abcd",
		.kernel = "/dev/null",
		.config.memory_mb = 32,
		.config.vcpus = 1,
		.base_fd = -1,
		.config.net_rx_bandwidth = 10485760,
		.config.net_tx_bandwidth = 5242880,
		.deadline = deadline_in_ms(10000),
	};
	attach(s, NULL);
	ck_ok(firecracker_engine.start(s->m, s->env, &spec, &error));
}

static const char *const jailers[] = { "off", JAILER };

START_TEST(a_machine_opens_its_tap_and_takes_it_along_at_its_end)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	struct setting s = set_up_with("", jailers[_i], NULL);
	boot_with_limits(&s);
	was_asked(&s, "\"host_dev_name\":\"nova-0123ab\",\"guest_mac\":\"02:fc:00:1e:00:02\",\"rx_"
		      "rate_limiter\":{\"bandwidth\":{\"size\":1048576,\"refill_time\":100}},\"tx_"
		      "rate_limiter\":{\"bandwidth\":{\"size\":524288,\"refill_time\":100}}");
	was_asked(&s, "ip=172.30.0.2::172.30.0.1:255.255.255.0::eth0:off");
	ck_assert_int_eq(sys_tap_remove("nova-0123ab"), -16); /* EBUSY: the double has it open */
	ck_assert_uint_eq(netns_count_taps(), 1);
	tear_down(&s);
	ck_assert_uint_eq(netns_count_taps(), 0);
}
END_TEST

START_TEST(a_machine_that_goes_on_as_a_clone_gets_another_tap_with_the_same_address)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	struct setting s = set_up_with("", jailers[_i], NULL);
	AUTO_FD int state = -1;
	boot_with_limits(&s);
	ck_ok(firecracker_engine.save(s.m, &state, &error));
	AUTO_FD int base = sys_dup(s.m->ram);
	struct machine *booted = s.m;
	s.m = machine_new(&firecracker_engine);
	attach(&s, &booted->link);
	ck_assert_uint_eq(s.m->link.address, booted->link.address);
	ck_ok(start(&s, base, 10000));
	ck_ok(firecracker_engine.load(s.m, state, &error));
	was_asked(&s, "\"network_overrides\":[{\"iface_id\":\"eth0\",\"host_dev_name\":\"nova-"
		      "0123ab-1\"}]");
	machine_free(&firecracker_engine, booted);
	agent_answers(&s);
	ck_assert_uint_eq(netns_count_taps(), 1);
	tear_down(&s);
	ck_assert_uint_eq(netns_count_taps(), 0);
}
END_TEST

START_TEST(a_version_that_cannot_override_devices_is_refused_a_clone)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	struct setting s = set_up(",\"version\":\"1.11.0\"");
	AUTO_FD int state = -1;
	boot_with_limits(&s);
	ck_ok(firecracker_engine.save(s.m, &state, &error));
	AUTO_FD int base = sys_dup(s.m->ram);
	machine_free(&firecracker_engine, s.m);
	s.m = machine_new(&firecracker_engine);
	attach(&s, NULL);
	ck_ok(start(&s, base, 10000));
	ck_fails_with(NOVA_ENOTSUP, "Firecracker 1.11.0 cannot give",
		firecracker_engine.load(s.m, state, &error));
	tear_down(&s);
	ck_assert_uint_eq(netns_count_taps(), 0);
}
END_TEST

START_TEST(a_start_that_fails_leaves_no_tap)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	struct setting s = set_up(",\"busy_taps\":[\"nova-0123ab\"]");
	struct machine_spec spec = {
		.id = "0123abcd",
		.kernel = "/dev/null",
		.config.memory_mb = 32,
		.config.vcpus = 1,
		.base_fd = -1,
		.deadline = deadline_in_ms(10000),
	};
	attach(&s, NULL);
	ck_fails_with(
		NOVA_EENGINE, "Resource busy", firecracker_engine.start(s.m, s.env, &spec, &error));
	tear_down(&s);
	ck_assert_uint_eq(netns_count_taps(), 0);
}
END_TEST

void add_network_tests(TCase *tc)
{
	if (netns_missing()) {
		netns_add_skip(tc);
		return;
	}
	tcase_add_loop_test(
		tc, a_machine_opens_its_tap_and_takes_it_along_at_its_end, 0, ARRAY_LEN(jailers));
	tcase_add_loop_test(tc,
		a_machine_that_goes_on_as_a_clone_gets_another_tap_with_the_same_address, 0,
		ARRAY_LEN(jailers));
	tcase_add_test(tc, a_version_that_cannot_override_devices_is_refused_a_clone);
	tcase_add_test(tc, a_start_that_fails_leaves_no_tap);
}
