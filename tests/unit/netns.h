/* SPDX-License-Identifier: MIT */
/* Tests with real devices, in a network namespace of their own: the network of this machine is left
 * alone. */
#ifndef NOVA_TESTS_NETNS_H
#define NOVA_TESTS_NETNS_H

#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>

#include "test.h"

static inline bool netns_has_program(void)
{
	static const char *const programs[] = { "/usr/sbin/iptables", "/sbin/iptables",
		"/usr/sbin/nft", "/sbin/nft" };
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		if (fs_exists(programs[i]))
			return true;
	return false;
}

/* Why there can be none here; NULL: there can. */
static inline const char *netns_missing(void)
{
	if (geteuid() != 0)
		return "not root";
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return "no /dev/net/tun";
	if (!netns_has_program())
		return "neither iptables nor nft";
	pid_t pid = fork();
	if (!pid)
		_exit(unshare(CLONE_NEWNET) < 0);
	int status;
	return waitpid(pid, &status, 0) == pid && status == 0 ? NULL :
								"no network namespace can be made";
}

START_TEST(what_needs_a_network_of_its_own)
{
	test_skip("%s", netns_missing());
}
END_TEST

/* In the place of the tests that cannot run, where netns_missing(). */
static inline void netns_add_skip(TCase *tc)
{
	tcase_add_test(tc, what_needs_a_network_of_its_own);
}

static inline size_t netns_count(const char *begin)
{
	struct if_nameindex *all = if_nameindex();
	size_t count = 0;
	for (size_t i = 0; all && all[i].if_index; i++)
		count += str_starts(all[i].if_name, begin);
	if_freenameindex(all);
	return count;
}

static inline size_t netns_count_taps(void)
{
	return netns_count("nova-");
}

/* Of devices that what a guest sends waits in. */
static inline size_t netns_count_queues(void)
{
	return netns_count("novq-");
}

#endif
