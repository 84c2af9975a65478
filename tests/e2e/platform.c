/* SPDX-License-Identifier: MIT */
/* The whole way through nova/function.h, on the engine that is named. */
#include "platform.h"

static Suite *platform_suite(void)
{
	TCase *(*const parts[])(void) = { call_cases, check_cases, pool_cases, sharing_cases,
		broken_cases, keeper_cases, network_cases, limit_cases, network_limit_cases,
		template_cases, runtime_cases, standby_cases, randomness_cases, room_cases,
		node_cases };
	Suite *suite = suite_create("platform");
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		TCase *tc = parts[i]();
		/* Sixty VMs, or three hundred in the long form; Node's start under emulation. */
		bool long_ones = parts[i] == randomness_cases || parts[i] == node_cases;
		tcase_set_timeout(tc, long_ones ? 1200 : 180);
		suite_add_tcase(suite, tc);
	}
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, platform_suite);
}
