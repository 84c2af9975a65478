/* SPDX-License-Identifier: MIT */
/* What a function has in its guest: rights, memory, /tmp. */
#include "platform.h"

#define RIGHTS \
	"import subprocess\n" \
	"def handler(event):\n" \
	"    status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n" \
	"    held = {int(status['Cap' + kind], 16) for kind in ('Inh', 'Prm', 'Eff', 'Bnd', 'Amb')}\n" \
	"    root = subprocess.run(['unshare', '-r', 'true'], stderr=subprocess.DEVNULL).returncode\n" \
	"    return [sorted(held), int(status['NoNewPrivs']), root != 0,\n" \
	"            open('/proc/sys/user/max_user_namespaces').read().strip()]\n"

START_TEST(a_function_has_no_capabilities_and_no_way_to_any)
{
	if (is_fake())
		return; /* a process of this machine like any other */
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "python", RIGHTS);
	platform_answers(p.nova, "f", "[[0], 1, true, \"0\"]");
	platform_close(&p);
}
END_TEST

TCase *room_cases(void)
{
	TCase *tc = tcase_create("room");
	tcase_add_test(tc, a_function_has_no_capabilities_and_no_way_to_any);
	return tc;
}
