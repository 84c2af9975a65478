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

/* 425 to 427 are io_uring_setup() to io_uring_register(); 424 is pidfd_send_signal(), their
 * neighbour, which fails for its arguments. */
#define CALLS_IO_URING \
	"import ctypes, errno\n" \
	"libc = ctypes.CDLL(None, use_errno=True)\n" \
	"def says(number):\n" \
	"    libc.syscall(number, 999, 0, 0, 0, 0)\n" \
	"    return errno.errorcode[ctypes.get_errno()]\n" \
	"def handler(event):\n" \
	"    return [says(n) for n in (424, 425, 426, 427)]\n"

START_TEST(a_function_finds_no_io_uring)
{
	if (is_fake())
		return;
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "python", CALLS_IO_URING);
	platform_answers(p.nova, "f", "[\"EBADF\", \"ENOSYS\", \"ENOSYS\", \"ENOSYS\"]");
	platform_close(&p);
}
END_TEST

TCase *room_cases(void)
{
	TCase *tc = tcase_create("room");
	tcase_add_test(tc, a_function_has_no_capabilities_and_no_way_to_any);
	tcase_add_test(tc, a_function_finds_no_io_uring);
	return tc;
}
