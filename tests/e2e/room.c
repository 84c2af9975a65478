/* SPDX-License-Identifier: MIT */
/* What a function has in its guest: rights, memory, /tmp. */
#include "platform.h"

/* 425 to 427 are io_uring_setup() to io_uring_register(); 424 is pidfd_send_signal(), their
 * neighbour, which fails for its arguments. */
#define RIGHTS                                                                                     \
	"import ctypes, errno, subprocess\n"                                                       \
	"libc = ctypes.CDLL(None, use_errno=True)\n"                                               \
	"def says(number):\n"                                                                      \
	"    libc.syscall(number, 999, 0, 0, 0, 0)\n"                                              \
	"    return errno.errorcode[ctypes.get_errno()]\n"                                         \
	"def handler(event):\n"                                                                    \
	"    status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"            \
	"    held = {int(status['Cap' + kind], 16) for kind in ('Inh', 'Prm', 'Eff', 'Bnd', "      \
	"'Amb')}\n"                                                                                \
	"    root = subprocess.run(['unshare', '-r', 'true'], "                                    \
	"stderr=subprocess.DEVNULL).returncode\n"                                                  \
	"    return [sorted(held), int(status['NoNewPrivs']), root != 0,\n"                        \
	"            open('/proc/sys/user/max_user_namespaces').read().strip(),\n"                 \
	"            [says(n) for n in (424, 425, 426, 427)]]\n"

START_TEST(a_function_has_no_capabilities_no_way_to_any_and_no_io_uring)
{
	if (is_fake())
		return; /* a process of this machine like any other */
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "rights", "python", RIGHTS);
	platform_answers(p.nova, "rights",
		"[[0], 1, true, \"0\", [\"EBADF\", \"ENOSYS\", \"ENOSYS\", \"ENOSYS\"]]");
	platform_close(&p);
}
END_TEST

/* 35 MB of memory, of the 41 that were measured; without the tracer's files left out and the caches
 * dropped they are 32. Then: what is there, whether `df` tells the truth, and how a full /tmp and
 * /dev/shm show. What is closed to all, and what is in a directory of the import, goes, too; what
 * the import made stays. */
#define FILLS                                                                                      \
	"import errno, os\n"                                                                       \
	"os.mkdir('/tmp/import')\n"                                                                \
	"def fill(place):\n"                                                                       \
	"    size = os.statvfs(place).f_blocks * os.statvfs(place).f_frsize\n"                     \
	"    done = 0\n"                                                                           \
	"    try:\n"                                                                               \
	"        with open(place + '/fill', 'wb', buffering=0) as file:\n"                         \
	"            while True:\n"                                                                \
	"                done += file.write(bytes(1 << 16))\n"                                     \
	"    except OSError as e:\n"                                                               \
	"        return [errno.errorcode[e.errno], size * 0.9 < done <= size, size >= 8 << 20]\n"  \
	"def handler(event):\n"                                                                    \
	"    assert len(b'x' * (35 << 20))\n"                                                      \
	"    seen = sorted(os.listdir('/tmp/import') + os.listdir('/tmp') + "                      \
	"os.listdir('/dev/shm'))\n"                                                                \
	"    os.makedirs('/tmp/closed/more')\n"                                                    \
	"    os.chmod('/tmp/closed', 0)\n"                                                         \
	"    open('/tmp/import/more', 'w').close()\n"                                              \
	"    return [seen, fill('/tmp'), fill('/dev/shm')]\n"

#define FULL "[\"ENOSPC\", true, true], [\"ENOSPC\", true, true]]"

#define COUNTS                                                                                     \
	"def handler(event):\n"                                                                    \
	"    with open('/tmp/count', 'a+') as file:\n"                                             \
	"        file.write('x')\n"                                                                \
	"        return file.tell()\n"

static void add_that_keeps(nova_t *nova, const char *name, const char *source, uint32_t flag)
{
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = name;
	opts.runtime = "python";
	opts.code = source;
	opts.code_len = strlen(source);
	opts.flags = flag;
	opts.check = NOVA_CHECK_NEVER;
	ck_ok(nova_function_register(nova, &opts, NULL, &error));
}

START_TEST(a_function_has_room_in_memory_and_tmp_and_no_call_takes_that_of_the_next)
{
	if (is_fake())
		return;
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "fills", "python", FILLS);
	add_that_keeps(p.nova, "keeps", COUNTS, NOVA_REGISTER_KEEP_TMP);
	add_that_keeps(p.nova, "in-place", COUNTS, NOVA_REGISTER_IN_PLACE);
	for (int i = 1; i <= 2; i++) {
		platform_answers(p.nova, "fills", "[[\".nova\", \"import\"], " FULL);
		platform_answers(p.nova, "keeps", i == 1 ? "1" : "2");
		platform_answers(p.nova, "in-place", i == 1 ? "1" : "2");
	}
	platform_close(&p);
}
END_TEST

/* The agent has 8 MB of its own, and sends in pieces what the function has written. */
#define HOLDS                                                                                      \
	"def handler(event):\n"                                                                    \
	"    held = bytearray(26 << 20)\n"                                                         \
	"    return 'x' * ((6 << 20) - 2)\n"

START_TEST(the_longest_output_leaves_a_guest_whose_memory_is_full)
{
	if (is_fake())
		return;
	struct platform p = platform_open(NULL);
	nova_result_t *r = NULL;
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	size_t len;
	platform_add(p.nova, "holds", "python", HOLDS);
	opts.timeout_ms = 120000;
	ck_ok(nova_invoke(p.nova, "holds", "null", &opts, &r, &error));
	nova_result_output(r, &len);
	ck_assert_uint_eq(len, 6 << 20);
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

TCase *room_cases(void)
{
	TCase *tc = tcase_create("room");
	tcase_add_test(tc, a_function_has_no_capabilities_no_way_to_any_and_no_io_uring);
	tcase_add_test(
		tc, a_function_has_room_in_memory_and_tmp_and_no_call_takes_that_of_the_next);
	tcase_add_test(tc, the_longest_output_leaves_a_guest_whose_memory_is_full);
	return tc;
}
